"""Commands ``dead-letters``: events that the receiver of a webhook refused permanently."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.cli.options import TimezoneOption, parse_timezone
from basix_ws_cti.cli.webhook_options import DEFAULT_SPOOL, SpoolOption
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from basix_ws_cti.bridges import DeadLetters

IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help=_("Ids of dead letters, as dead-letters list prints them.")),
]
AllOption = Annotated[bool, typer.Option("--all", help=_("Select all dead letters."))]


def list_letters(
    *,
    spool: SpoolOption = DEFAULT_SPOOL,
    json: Annotated[bool, typer.Option("--json", help=_("Print JSON lines."))] = False,
    timezone: TimezoneOption = None,
) -> None:
    """Print the dead letters of a webhook: time, id, type, and why they were refused."""
    from basix_ws_cti.calls.event_json import json_time
    from basix_ws_cti.cli.output import write_json

    zone = parse_timezone(timezone)
    for letter in _open(spool).list():
        died = datetime.fromtimestamp(letter.died, UTC)
        if json:
            write_json(
                {
                    "id": letter.id,
                    "type": letter.type,
                    "created": json_time(datetime.fromtimestamp(letter.created, UTC), zone),
                    "died": json_time(died, zone),
                    "attempts": letter.attempts,
                    "reason": letter.reason,
                }
            )
        else:
            at = died.astimezone(zone)
            typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {letter.id}  {letter.type}  {letter.reason}")


def retry_letters(
    ids: IdsArgument = None, *, all_letters: AllOption = False, spool: SpoolOption = DEFAULT_SPOOL
) -> None:
    """Send dead letters again; the webhook does so when it runs."""
    count = _open(spool).retry(_selected(ids, all_letters=all_letters))
    _report(
        ids,
        count,
        ngettext(
            "{count:,} dead letter will be sent again",
            "{count:,} dead letters will be sent again",
            count,
        ),
    )


def drop_letters(
    ids: IdsArgument = None, *, all_letters: AllOption = False, spool: SpoolOption = DEFAULT_SPOOL
) -> None:
    """Delete dead letters."""
    count = _open(spool).drop(_selected(ids, all_letters=all_letters))
    _report(
        ids,
        count,
        ngettext("{count:,} dead letter deleted", "{count:,} dead letters deleted", count),
    )


def _open(spool: Path) -> DeadLetters:
    from basix_ws_cti.bridges import DeadLetters

    return DeadLetters(spool)


def _selected(ids: Sequence[str] | None, *, all_letters: bool) -> Sequence[str] | None:
    """Return the ids given; ``None`` for all dead letters."""
    if all_letters and ids:
        raise UsageError(_("--all and ids cannot be combined"))
    if not all_letters and not ids:
        raise UsageError(_("no dead letter selected: name their ids, or pass --all"))
    return None if all_letters else ids


def _report(ids: Sequence[str] | None, count: int, text: str) -> None:
    """Print the number of dead letters; exit with 1 if one of the ids is unknown."""
    from basix_ws_cti.cli.output import report

    typer.echo(text.format(count=count))
    if ids and count < len({*ids}):
        report(_("{count:,} of the ids are no dead letters").format(count=len({*ids}) - count))
        raise typer.Exit(1)
