"""Sphinx extension: lists all commands and options of the program in the command reference.

The line ``MARK`` of a page is replaced when Sphinx reads the page, so that the list always
belongs to the installed version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from basix_ws_cti.cli.app import build_command, build_program
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.help.catalogue import COMMANDS, CommandTexts, subcommands
from basix_ws_cti.cli.help.commands import argument_name, grouped_parameters, option_name

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PROGRAM = "basix-ws-cti"
MARK = "<!-- commands and options -->"

# Groups of options that most commands share. They are listed once.
SHARED = (panels.CONNECTION, panels.MORE_CONNECTION)


def command_reference() -> Iterator[str]:
    """Yield the lines of the reference, in MyST Markdown."""
    shared = _shared_parameters()
    for name, texts in COMMANDS.items():
        if not subcommands(name):
            yield from _command(name, texts, shared)
    yield from ("## Options for the connection", "", f"```{{program}} {PROGRAM}", "```", "")
    yield from _options([param for params in shared.values() for param in params])
    yield from ("## Options of the program", "")
    yield from _options(build_program().params)


def _shared_parameters() -> dict[str, list[Any]]:
    sections = grouped_parameters(build_command("listen", COMMANDS["listen"]).params)
    return {name: sections[name] for name in SHARED}


def _command(name: str, texts: CommandTexts, shared: dict[str, list[Any]]) -> Iterator[str]:
    command = build_command(name, texts)
    if hasattr(command, "commands"):
        command = command.commands[name.rpartition(" ")[2]]
    sections = grouped_parameters(command.params)
    own = {title: params for title, params in sections.items() if title not in SHARED}
    arguments = own.pop(panels.ARGUMENTS, [])
    usage = " ".join(
        argument_name(param) if param.required else f"[{argument_name(param)}]"
        for param in arguments
    )
    yield from (f"## {name}", "", _marked(texts.help), "")
    yield from ("```text", f"{PROGRAM} {name} [OPTIONS] {usage}".rstrip(), "```", "")
    yield from (f"```{{program}} {PROGRAM} {name}", "```", "")
    for param in arguments:
        yield from (f"- `{argument_name(param)}`: {_marked(param.help)}", "")
    yield from _options([param for params in own.values() for param in params])
    connection = {param.name for title in SHARED for param in sections.get(title, [])}
    if connection:
        everything = [param for params in shared.values() for param in params]
        left_out = [option_name(param) for param in everything if param.name not in connection]
        exception = f", except {', '.join(f'`{option}`' for option in left_out)}"
        link = "[options for the connection](#options-for-the-connection)"
        yield from (f"It also has the {link}{exception if left_out else ''}.", "")
    if texts.examples:
        lines = [line for one in texts.examples for line in (f"# {one.comment}", one.line)]
        yield from ("```sh", *lines, "```", "")


def _options(params: list[Any]) -> Iterator[str]:
    for param in params:
        if getattr(param, "hidden", False) or param.name == "help":
            continue
        yield from (f"```{{option}} {option_name(param)}", _marked(param.help or ""), "")
        default = getattr(param.default, "value", param.default)
        shows_default = param.show_default and not getattr(param, "is_flag", False)
        if shows_default and default not in (None, "", (), []):
            yield from (
                f"Default: `{default:g}`"
                if isinstance(default, float)
                else f"Default: `{default}`",
                "",
            )
        if param.envvar:
            yield from (f"Environment variable: `{param.envvar}`", "")
        yield from ("```", "")


def _marked(text: str) -> str:
    """Return a text with its options marked as code, which keeps both hyphens."""
    return re.sub(r"--[a-z][\w-]*", r"`\g<0>`", text)


def insert_reference(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Replace the mark in the source of a page."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, "\n".join(command_reference()))


def setup(app: Sphinx) -> None:
    """Register the extension."""
    app.connect("source-read", insert_reference)
