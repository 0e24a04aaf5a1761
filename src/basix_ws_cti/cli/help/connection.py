"""The page ``basix-ws-cti help connection``: all options for connecting to a PBX."""

from __future__ import annotations

from collections.abc import Iterator

from basix_ws_cti._internal.translation import _

from . import panels
from .catalogue import Example, epilog
from .commands import examples, grouped_parameters, heading, help_width, parameter_section
from .layout import paragraphs

EXAMPLES = (
    Example(
        comment=_("Once, for all commands that follow in this terminal"),
        line="export BASIX_SERVER=bcs.brastel.com BASIX_DOMAIN=acme",
    ),
    Example(
        comment=_("The token from a file that only you can read"),
        line="basix-ws-cti listen --full-events --token-file ~/.basix-token",
    ),
    Example(
        comment=_("Only the calls of one user"),
        line="basix-ws-cti listen --user-extension 1001",
    ),
    Example(
        comment=_("Without a PBX"),
        line="basix-ws-cti listen --simulate --simulate-seed 7",
    ),
)


def connection_help() -> Iterator[str]:
    """Yield the lines of the page."""
    # A command that has every connection option.
    from basix_ws_cti.cli.app import build_command

    from .catalogue import COMMANDS

    width = help_width()
    yield heading(_("Connecting to a PBX"))
    yield ""
    yield from paragraphs(
        _(
            "All commands that connect to a PBX have these options. Options override environment "
            "variables, which override a profile of the config file.\n\n"
            "The token is never an option, because other users can read the command line. It is "
            "taken from --token-file, else from the variable BASIX_TOKEN, else from the file in "
            "BASIX_TOKEN_FILE or in the profile; otherwise the command asks for it.\n\n"
            "Use --full-events to receive every channel of the PBX, or one of the --user options "
            "to receive the channels of one user. A token identifies no user: without these "
            "options, the PBX sends every channel, as far as it is documented."
        ),
        width,
    )
    sections = grouped_parameters(build_command("listen", COMMANDS["listen"]).params)
    for name in (panels.CONNECTION, panels.MORE_CONNECTION):
        yield from parameter_section(name, sections[name], width, with_variables=True)
    yield from examples(epilog(EXAMPLES))
