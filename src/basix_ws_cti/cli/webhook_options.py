"""Options that the commands about webhooks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from basix_ws_cti._internal.translation import _

from .feed_names import CALL_EVENTS
from .help import panels

SpoolOption = Annotated[
    Path,
    typer.Option(
        "--spool",
        metavar="FILE",
        help=_("SQLite file with the events that are not delivered yet."),
        envvar="BASIX_WEBHOOK_SPOOL",
        rich_help_panel=panels.DELIVERY,
    ),
]

DEFAULT_SPOOL = Path("webhook.db")
"""Default of ``--spool``, in the current folder."""

SecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help=_(
            "File with the secret that signs the requests, one per line during a rotation; "
            "default: the variable BASIX_WEBHOOK_SECRET."
        ),
        envvar="BASIX_WEBHOOK_SECRET_FILE",
        rich_help_panel=panels.DELIVERY,
    ),
]


def complete_call_events() -> list[str]:
    """Return the names of call events, for ``--event``."""
    return [*CALL_EVENTS]
