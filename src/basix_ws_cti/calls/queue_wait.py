"""QueueWait: one stay of a call in the queue of one group, as a flat row."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import frozen

from .model import Call

WaitResult = Literal["answered", "abandoned", "overflowed", "voicemail", "ended", "unknown"]


@frozen(kw_only=True)
class QueueWait:
    """One stay of a call in the queue of one group.

    A return to the same group with only menus or announcements in between is the same wait. A
    return after a talk, or after another group, is a new one. Times are integers in microseconds
    since the epoch, UTC.
    """

    call_id: str
    """``Call.id``. A call that was joined to another one keeps its own waits."""
    group_id: int
    """Id of the group whose queue this is."""
    entered: int
    """Time at which the call entered the queue."""
    left: int | None
    """Time at which the wait ended; ``None`` while it lasts."""
    waited_us: int | None
    """Time from ``entered`` to ``left`` in microseconds, menus and announcements in between
    included; ``None`` while the wait lasts."""
    result: WaitResult | None
    """``"answered"``: a party talked to the caller next, also by pickup. ``"abandoned"``: the
    caller hung up. ``"overflowed"``: the call went to another group, a user, a number or a park
    slot. ``"voicemail"``: to a voicemail box. ``"ended"``: the PBX ended the call, or put it
    into a service. ``"unknown"``: a gap in the feed hides it. ``None`` while the wait lasts."""
    next_group_id: int | None
    """Id of the group to which an ``"overflowed"`` wait went; ``None``: to no group."""
    answered_by_user_id: int | None
    """Id of the user who answered; ``None``: no user did."""
    rings: int
    """Number of times that a phone rang for the call during the wait."""
    purpose: str
    """``Call.purpose``: the figures count the waits of purpose ``"call"``."""
    complete: bool
    """False if something of the wait may have been missed, and while the call lasts."""

    @classmethod
    def of(cls, call: Call) -> tuple[QueueWait, ...]:
        """Return the waits of a call, in the order of ``entered``.

        Of a call that has not ended, the last wait may lack ``left`` and ``result``.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)
