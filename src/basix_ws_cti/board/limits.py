"""Limits from which on a wait is too long, and the level that a wait has reached."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti.exceptions import UsageError

Level = Literal["ok", "warning", "alarm"]
"""Level of a wait: below both limits, from the first one on, or from the second one on."""

_MICROSECONDS = 1_000_000  # per second


@frozen
class Limits:
    """Two limits of a wait, in seconds.

    Raises ``UsageError`` unless both are positive and ascend.
    """

    warning: float = 60
    """Wait from which on the level is ``"warning"``."""

    alarm: float = 120
    """Wait from which on the level is ``"alarm"``."""

    def __attrs_post_init__(self) -> None:
        check_seconds("warning", self.warning)
        check_seconds("alarm", self.alarm)
        if self.warning >= self.alarm:
            raise UsageError(
                f"the warning limit must be below the alarm limit, "
                f"got {self.warning:g} and {self.alarm:g}"
            )

    def level(self, microseconds: int) -> Level:
        """Return the level of a wait in microseconds."""
        if microseconds >= self.alarm * _MICROSECONDS:
            return "alarm"
        return "warning" if microseconds >= self.warning * _MICROSECONDS else "ok"


DEFAULT_LIMITS = Limits()
"""Limits of 60 and 120 s."""


@frozen(kw_only=True)
class BoardLimits:
    """Limits of each kind of wait that the board shows."""

    wait: Limits = DEFAULT_LIMITS
    """Limits of a call that waits in a queue."""

    answer: Limits = DEFAULT_LIMITS
    """Limits of the average speed of answer (ASA)."""

    parked: Limits = DEFAULT_LIMITS
    """Limits of a parked call."""


DEFAULT_BOARD_LIMITS = BoardLimits()
"""The same limits for each kind of wait."""
