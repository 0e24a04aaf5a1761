"""Command ``help``: explains a command, or how to connect."""

from __future__ import annotations

from typing import Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.help.catalogue import top_level_commands
from basix_ws_cti.cli.suggestions import unknown_name

CONNECTION_TOPIC = "connection"


def topics() -> list[str]:
    """Return the topics that the command explains."""
    return [CONNECTION_TOPIC, *top_level_commands()]


def show_help(
    context: typer.Context,
    *,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help=_("A command, or connection: all options for connecting to a PBX."),
            autocompletion=topics,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the help of a command, or of connecting; without a topic the list of commands."""
    program = context.find_root()
    if topic is None:
        typer.echo(program.get_help())
    elif topic == CONNECTION_TOPIC:
        from basix_ws_cti.cli.help.commands import help_text
        from basix_ws_cti.cli.help.connection import connection_help

        typer.echo(help_text(connection_help()))
    elif (texts := top_level_commands().get(topic)) is not None:
        from basix_ws_cti.cli.app import build_command

        command = build_command(topic, texts)
        with typer.Context(command, parent=program, info_name=topic) as explained:
            typer.echo(explained.get_help())
    else:
        raise unknown_name(
            _("topic"), topic, topics(), _("known: {known}").format(known=", ".join(topics()))
        )
