"""Options of ``top`` and ``replay`` for the limits from which on a wait is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.help import panels
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.board.limits import BoardLimits, Limits

_DEFAULT = "60,120"


def _limits(name: str, text: str) -> Any:
    return typer.Option(
        name, metavar="SECONDS,SECONDS", help=text, rich_help_panel=panels.WALLBOARD
    )


@frozen(kw_only=True)
class LimitOptions:
    """Options for the limits; each is a text such as ``60,120``."""

    wait_limits: Annotated[
        str,
        _limits("--wait-limits", _("Limits of a wait in a queue: late, and too late.")),
    ] = _DEFAULT
    answer_limits: Annotated[
        str,
        _limits(
            "--answer-limits", _("Limits of the average speed of answer (ASA): late, and too late.")
        ),
    ] = _DEFAULT
    park_limits: Annotated[
        str,
        _limits("--park-limits", _("Limits of the time in a park slot: late, and too late.")),
    ] = _DEFAULT

    def board_limits(self) -> BoardLimits:
        """Return the limits; raise ``UsageError`` for a text that is no two ascending numbers."""
        from basix_ws_cti.board.limits import BoardLimits

        return BoardLimits(
            wait=_parse("--wait-limits", self.wait_limits),
            answer=_parse("--answer-limits", self.answer_limits),
            parked=_parse("--park-limits", self.park_limits),
        )


def _parse(option: str, text: str) -> Limits:
    from basix_ws_cti.board.limits import Limits

    try:
        warning, alarm = map(float, text.split(","))
        return Limits(warning, alarm)
    except (ValueError, UsageError):
        raise UsageError(
            f"{option} must be two ascending numbers of seconds, such as {_DEFAULT}, got {text!r}"
        ) from None
