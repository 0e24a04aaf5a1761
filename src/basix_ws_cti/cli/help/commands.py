"""Command classes that write help texts, and load the code of a command when it is run.

Typer's own help needs Rich's Markdown renderer, which takes longer to import than everything
else, and more columns than an 80-column terminal has. These classes write plain sections with
two columns each.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.suggestions import unknown_name

from . import panels
from .layout import in_one_piece, left_width, list_entry, paragraphs, text_width, wrap
from .usage_errors import translated_usage_errors

if TYPE_CHECKING:
    # The classes of typer's command line parser have no public names.
    Formatter = Any
    Parameter = Any
    Command = Any

_MIN_WIDTH = 50
_MAX_WIDTH = 100
_DEFAULT_WIDTH = 80

# Order of the sections of a command.
_SECTION_ORDER = (
    *(panels.ARGUMENTS, panels.OPTIONS, panels.SERVER, panels.ACCESS, panels.SELECTION),
    panels.WALLBOARD,
    *(panels.FIGURES, panels.OUTPUT, panels.DELIVERY, panels.CONNECTION, panels.OTHER),
)

_CONTINUED_USAGE = "  "
_EXAMPLE_INDENT = "  "


def help_width() -> int:
    """Return the columns for help texts: those of the terminal, within limits."""
    columns = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
    return max(_MIN_WIDTH, min(columns, _MAX_WIDTH))


def colour_choice() -> bool | None:
    """Return whether the environment demands or forbids colours; ``None`` if it does neither."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


class _RawValues:
    """Replacement for typer's conversion of values, which imports Pydantic."""

    @staticmethod
    def coerce(value: Any, **_context: Any) -> Any:
        """Return the value as it is."""
        return value


class _HelpWriter:
    """Mixin of a command class: usage text and help in sections of two columns."""

    _converts_values = True

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, whose value needs no conversion."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.get_runtime_param = _RawValues
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments; for completion, values are neither converted nor checked."""
        if ctx.resilient_parsing or not self._converts_values:
            for param in self.get_params(ctx):  # type: ignore[attr-defined]
                param.get_runtime_param = _RawValues
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage text after the command."""
        pieces = [_("[OPTIONS]")]
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            if param.param_type_name == "argument":
                name = argument_name(param)
                pieces.append(name if param.required else f"[{name}]")
        return pieces

    def usage_lines(self, ctx: Any, width: int) -> Iterator[str]:
        """Yield the lines of the usage text."""
        usage = " ".join(self.collect_usage_pieces(ctx))
        first, *further = wrap(f"{ctx.command_path} {usage}", width - text_width(_("Usage:")) - 1)
        yield f"{heading(_('Usage:'))} {first}"
        yield from (_CONTINUED_USAGE + line for line in further)

    def format_help(self, ctx: Any, formatter: Formatter) -> None:
        """Write the help text."""
        formatter.write(help_text(self._help_lines(ctx, help_width())) + "\n")

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return completions without descriptions.

        Typer renders descriptions with Rich, whose import takes longer than everything else.
        """
        items: list[Any] = super().shell_complete(ctx, incomplete)  # type: ignore[misc]
        for item in items:
            item.help = None
        return items

    def _help_lines(self, ctx: Any, width: int) -> Iterator[str]:
        yield from self.usage_lines(ctx, width)
        yield ""
        yield from paragraphs(self.help or "", width)  # type: ignore[attr-defined]
        yield from self._sections(ctx, width)
        yield from examples(self.epilog or "")  # type: ignore[attr-defined]

    def _sections(self, ctx: Any, width: int) -> Iterator[str]:
        sections = grouped_parameters(self.get_params(ctx))  # type: ignore[attr-defined]
        has_more = sections.pop(panels.MORE_CONNECTION, None)
        if panels.OTHER in sections:  # typer's option --help has no section
            sections[panels.OTHER].append(sections[panels.OPTIONS].pop())
            sections = {name: params for name, params in sections.items() if params}
        for name in sorted(sections, key=_SECTION_ORDER.index):
            yield from parameter_section(name, sections[name], width)
            if name == panels.CONNECTION and has_more:
                yield from paragraphs(
                    _("More, and environment variables: {command}").format(
                        command=in_one_piece("basix-ws-cti help connection")
                    ),
                    width,
                )


class HelpCommand(_HelpWriter, TyperCommand):
    """Command whose help has sections of two columns; its epilog is a list of examples."""


class LazyCommand(TyperCommand):
    """Entry of the list of commands. The command itself is built when it is run or completed.

    ``load`` returns the command.
    """

    def __init__(self, name: str, *, summary: str, panel: str, load: Callable[[], Command]) -> None:
        super().__init__(name, help=summary, short_help=summary, rich_help_panel=panel)
        self._load = load

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Build the command and return its context."""
        return self._load().make_context(info_name, args, parent, **extra)


class HelpGroup(_HelpWriter, TyperGroup):
    """Group of commands whose help lists them by their panels, before its own options."""

    # The options of a group are flags, and --lang, which is evaluated earlier.
    _converts_values = False

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Parse the options of the group, and return its context."""
        with translated_usage_errors(help_width()):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command, and run it."""
        with translated_usage_errors(help_width()):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, and the other arguments."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            known = _("known: {known}").format(known=", ".join(names))
            ctx.fail(str(unknown_name(_("command"), name, names, known)))
        return super().resolve_command(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage text after the program."""
        return [*super().collect_usage_pieces(ctx), _("COMMAND [ARGS]...")]

    def _sections(self, ctx: Any, width: int) -> Iterator[str]:
        commands = [
            command for command in map(self.commands.get, self.list_commands(ctx)) if command
        ]
        columns = left_width(command.name or "" for command in commands)
        by_panel: dict[str, list[Command]] = {}
        for command in commands:
            panel = getattr(command, "rich_help_panel", None) or _("Commands")
            by_panel.setdefault(panel, []).append(command)
        for panel, members in by_panel.items():
            yield from ("", heading(panel))
            for command in members:
                entry = list_entry(command.name, command.short_help or "", columns, width)
                yield from _coloured(entry, command.name)
        yield from super()._sections(ctx, width)


def help_text(lines: Iterable[str]) -> str:
    """Return lines as a text that stdout can show.

    Characters that its encoding lacks become ``?``. Typer would write them as UTF-8 nevertheless.
    """
    encoding = sys.stdout.encoding or "utf-8"
    return "\n".join(lines).encode(encoding, "replace").decode(encoding)


def argument_name(param: Parameter) -> str:
    """Return the name of an argument in usage texts, such as ``FILE`` or ``FRAME...``."""
    name = param.metavar or param.name.upper()
    return name if param.nargs == 1 else f"{name}..."


def option_name(param: Parameter) -> str:
    """Return the names of an option with its value, such as ``--limit N`` or ``-h, --help``."""
    names = sorted(param.opts, key=len)
    if param.secondary_opts:  # --full-events/--no-full-events
        names = [name.replace("--", "--[no-]", 1) for name in names]
    text = ", ".join(names)
    return text if param.is_flag else f"{text} {param.metavar or param.name.upper()}"


def grouped_parameters(params: list[Parameter]) -> dict[str, list[Parameter]]:
    """Return the visible parameters by the names of their sections."""
    sections: dict[str, list[Parameter]] = {}
    for param in params:
        if getattr(param, "hidden", False):
            continue
        is_argument = param.param_type_name == "argument"
        default = panels.ARGUMENTS if is_argument else panels.OPTIONS
        sections.setdefault(param.rich_help_panel or default, []).append(param)
    return sections


def parameter_section(
    name: str, params: list[Parameter], width: int, *, with_variables: bool = False
) -> Iterator[str]:
    """Yield the lines of a section; ``with_variables`` adds the environment variables."""
    yield from ("", heading(name))
    is_arguments = params[0].param_type_name == "argument"
    names = [(argument_name if is_arguments else option_name)(param) for param in params]
    columns = left_width(names)
    for shown, param in zip(names, params, strict=True):
        text = _parameter_text(param, with_variables=with_variables)
        yield from _coloured(list_entry(shown, text, columns, width), shown)


def examples(text: str) -> Iterator[str]:
    """Yield the section of examples: command lines, each after a line with a comment."""
    if not text:
        return
    yield from ("", heading(_("Examples")))
    for line in text.splitlines():
        shown = typer.style(line, dim=True) if line.startswith("#") else line
        yield _EXAMPLE_INDENT + shown


def heading(text: str) -> str:
    """Return the heading of a section as terminals show it."""
    return typer.style(text, bold=True)


def _parameter_text(param: Parameter, *, with_variables: bool) -> str:
    """Return the description of a parameter, with its default and environment variable."""
    if param.name == "help":
        return _("Show this help and exit.")
    parts = [param.help or ""]
    if param.show_default and _has_default(param):
        default = getattr(param.default, "value", param.default)
        if isinstance(default, float):
            default = f"{default:g}"
        parts.append(in_one_piece(_("[default: {value}]").format(value=default)))
    if with_variables and param.envvar:
        parts.append(in_one_piece(_("[variable: {name}]").format(name=param.envvar)))
    return " ".join(parts)


def _has_default(param: Parameter) -> bool:
    is_flag = getattr(param, "is_flag", False)
    return not (param.required or is_flag or param.default in (None, "", (), []))


def _coloured(lines: list[str], name: str) -> Iterator[str]:
    """Yield the lines of an entry, with its name in colour."""
    first = lines[0]
    at = len(first) - len(first.lstrip())
    yield first[:at] + typer.style(name, fg="cyan") + first[at + len(name) :]
    yield from lines[1:]
