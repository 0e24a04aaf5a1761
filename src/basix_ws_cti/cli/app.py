"""The program ``basix-ws-cti``: its list of commands, and how each is loaded.

The module of a command is imported when the command is run, completed or explained. The list of
commands needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.completion import (  # type: ignore[attr-defined]
    completion_init,
    install_callback,
    show_callback,
)

from basix_ws_cti._internal.translation import LANGUAGES, _

from .completion import complete_languages
from .help.catalogue import (
    FIRST_STEPS,
    CommandTexts,
    epilog,
    subcommands,
    top_level_commands,
)
from .help.commands import HelpCommand, HelpGroup, LazyCommand, colour_choice
from .help.layout import NO_BREAK

if TYPE_CHECKING:
    from .language_choice import LanguageChoice

_CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["--help", "-h"]}

CommandFunction = Callable[..., None]


def run_program(language: LanguageChoice | None = None) -> None:
    """Run the command in ``sys.argv``. Raises ``SystemExit`` at its end.

    ``language`` becomes the context object of the commands, for ``config show``.
    """
    completion_init()  # makes the shells known; a variable says whether one asks for completion
    build_program()(obj=language, color=colour_choice())


def build_program() -> HelpGroup:
    """Return the program with all commands."""
    program = typer.Typer(
        name="basix-ws-cti",
        cls=HelpGroup,
        help=_(
            "Show, record and replay the live feed of a Basix PBX, and control its calls.\n\n"
            "Options and examples of a command: {command}"
        ).format(command=f"basix-ws-cti{NO_BREAK}COMMAND{NO_BREAK}--help"),
        epilog=epilog(FIRST_STEPS),
        add_completion=False,  # its options would make typer import Pydantic; _main has them
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_CONTEXT_SETTINGS,
    )
    program.callback()(_main)
    group = cast("HelpGroup", typer.main.get_command(program))
    for name, texts in top_level_commands().items():
        load = partial(build_command, name, texts)
        group.add_command(LazyCommand(name, summary=texts.summary, panel=texts.panel, load=load))
    return group


def build_command(name: str, texts: CommandTexts) -> Any:
    """Return a command, or a group of commands, of typer's command line parser."""
    from .command_wrapper import wrap_command

    members = subcommands(name)
    program = typer.Typer(
        cls=HelpGroup,
        help=texts.help,
        epilog=texts.epilog,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_CONTEXT_SETTINGS,
    )
    for member, member_texts in (members or {name: texts}).items():
        program.command(
            member.rpartition(" ")[2],
            cls=HelpCommand,
            help=member_texts.help,
            short_help=member_texts.summary,
            epilog=member_texts.epilog,
        )(wrap_command(load_function(member)))
    return typer.main.get_command(program)


def load_function(name: str) -> CommandFunction:  # noqa: C901, PLR0912, PLR0915 - a table
    """Import the module of a command and return its function."""
    # Import statements, which the check of the layers sees, rather than module names in a table.
    match name:
        case "anonymise":
            from .commands.anonymise import anonymise_recording

            return anonymise_recording
        case "call":
            from .commands.call import start_call

            return start_call
        case "config path":
            from .commands.config import print_config_path

            return print_config_path
        case "config show":
            from .commands.config import show_config

            return show_config
        case "dead-letters drop":
            from .commands.dead_letters import drop_letters

            return drop_letters
        case "dead-letters list":
            from .commands.dead_letters import list_letters

            return list_letters
        case "dead-letters retry":
            from .commands.dead_letters import retry_letters

            return retry_letters
        case "decode":
            from .commands.decode import decode_frames

            return decode_frames
        case "doctor":
            from .commands.doctor import run_doctor

            return run_doctor
        case "hangup":
            from .commands.hangup import hang_up_channel

            return hang_up_channel
        case "help":
            from .commands.help import show_help

            return show_help
        case "listen":
            from .commands.listen import print_feed

            return print_feed
        case "log":
            from .commands.log import log_calls

            return log_calls
        case "metrics":
            from .commands.metrics import serve_metrics

            return serve_metrics
        case "park":
            from .commands.park import park_channel

            return park_channel
        case "publish":
            from .commands.publish import publish_feed

            return publish_feed
        case "record":
            from .commands.record import record_feed

            return record_feed
        case "replay":
            from .commands.replay import replay_recording

            return replay_recording
        case "report":
            from .commands.report import print_report

            return print_report
        case "schema":
            from .commands.schema import print_schema

            return print_schema
        case "simulate":
            from .commands.simulate import run_simulator

            return run_simulator
        case "state":
            from .commands.state import print_state

            return print_state
        case "top":
            from .commands.top import show_wallboard

            return show_wallboard
        case "transfer":
            from .commands.transfer import transfer_channel

            return transfer_channel
        case "web":
            from .commands.web import serve_wallboard

            return serve_wallboard
        case "web-access link":
            from .commands.web_access import add_link

            return add_link
        case "web-access list":
            from .commands.web_access import list_entries

            return list_entries
        case "web-access password":
            from .commands.web_access import set_password

            return set_password
        case "web-access remove":
            from .commands.web_access import remove_entry

            return remove_entry
        case "webhook":
            from .commands.webhook import send_events

            return send_events
    raise KeyError(name)


def _print_version(is_given: bool) -> None:  # noqa: FBT001 - typer's callback
    if is_given:
        from importlib.metadata import version

        from basix_ws_cti import compiled

        build = "compiled" if compiled else "pure Python"
        typer.echo(f"basix-ws-cti {version('basix_ws_cti')} ({build})")
        raise typer.Exit


def _main(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help=_("Show the version and exit."),
        ),
    ] = False,
    _install: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=install_callback,
            help=_("Install completion for the current shell."),
        ),
    ] = False,
    _show: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=show_callback,
            help=_("Print the completion script for the current shell."),
        ),
    ] = False,
    # Only for the help: ``main`` takes the option before it imports this module.
    _lang: Annotated[
        str | None,
        typer.Option(
            "--lang",
            metavar="|".join(LANGUAGES),
            autocompletion=complete_languages,
            help=_("Language of texts for people; default: that of the environment or system."),
        ),
    ] = None,
) -> None:
    """Accept the options of the program itself."""
