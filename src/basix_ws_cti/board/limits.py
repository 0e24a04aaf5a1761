"""Limits of the figures of a board, and the level that a value has reached."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from basix_ws_cti._internal.arguments import check_number, check_seconds
from basix_ws_cti.exceptions import UsageError

Level = Literal["ok", "warning", "alarm"]
"""Level of a value: within both limits, beyond the first one, or beyond the second one."""

_MICROSECONDS = 1_000_000  # per second

# Margins by which a value must be better than a limit before its level falls.
_MARGIN_OF_WAIT = 0.1
_MARGIN_OF_SHARE = 0.01


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

    def level(self, microseconds: float) -> Level:
        """Return the level of a wait in microseconds."""
        if microseconds >= self.alarm * _MICROSECONDS:
            return "alarm"
        return "warning" if microseconds >= self.warning * _MICROSECONDS else "ok"

    def worse(self, microseconds: float) -> float:
        """Return a wait that is worse by the margin: a tenth of the limit that it nears."""
        return microseconds / (1 - _MARGIN_OF_WAIT)


DEFAULT_LIMITS = Limits()
"""Limits of 60 and 120 s."""


@frozen
class ShareLimits:
    """Two limits of a share from 0 to 1.

    If ``alarm`` is above ``warning``, large shares are bad, as of abandoned calls. Otherwise small
    shares are bad, as of calls answered in time. Raises ``UsageError`` for equal limits, and for
    numbers that are no shares.
    """

    warning: float
    """Share at which the level becomes ``"warning"``."""

    alarm: float
    """Share at which the level becomes ``"alarm"``."""

    def __attrs_post_init__(self) -> None:
        for name, share in (("warning", self.warning), ("alarm", self.alarm)):
            check_number(name, share, at_least=0)
            if share > 1:
                raise UsageError(f"the {name} limit must be a share from 0 to 1, got {share:g}")
        if self.warning == self.alarm:
            raise UsageError(f"the limits of a share must differ, got {self.warning:g} twice")

    @property
    def is_low_bad(self) -> bool:
        """True if a share below the limits is bad."""
        return self.alarm < self.warning

    def level(self, share: float) -> Level:
        """Return the level of a share. A limit that small shares must reach is still good."""
        if self.is_low_bad:
            if share < self.alarm:
                return "alarm"
            return "warning" if share < self.warning else "ok"
        if share >= self.alarm:
            return "alarm"
        return "warning" if share >= self.warning else "ok"

    def worse(self, share: float) -> float:
        """Return a share that is worse by the margin: one percentage point."""
        return share - _MARGIN_OF_SHARE if self.is_low_bad else share + _MARGIN_OF_SHARE


@frozen(kw_only=True)
class BoardLimits:
    """Limits of each figure that the board shows."""

    wait: Limits = DEFAULT_LIMITS
    """Limits of a call that waits in a queue."""

    answer: Limits = DEFAULT_LIMITS
    """Limits of the average speed of answer (ASA)."""

    parked: Limits = DEFAULT_LIMITS
    """Limits of a parked call."""

    talk: Limits = Limits(600, 1200)
    """Limits of the time for which a user talks in one call."""

    service_level: ShareLimits = ShareLimits(0.8, 0.75)
    """Limits of the service level, below which it is too low."""

    abandon_rate: ShareLimits = ShareLimits(0.05, 0.08)
    """Limits of the share of calls that were abandoned."""


DEFAULT_BOARD_LIMITS = BoardLimits()
"""The default limits of each figure."""
