"""Participation: what one user or outside party did in one call, as a flat row."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import frozen

from .model import Call, Role

ParticipationResult = Literal[
    "answered",
    "missed",
    "busy",
    "rejected",
    "failed",
    "abandoned",
    "picked_up_elsewhere",
    "unanswered",
    "unknown",
]


@frozen(kw_only=True)
class Participation:
    """What one user, or one party outside, did in one call: one row, however many legs.

    Times are integers in microseconds since the epoch, UTC; columns that end in ``_us`` are
    durations in microseconds.
    """

    call_id: str
    """``Call.id``."""
    user_id: int | None
    """Id of the user; ``None`` for a party outside."""
    number: str | None
    """Number of the party outside, as the PBX sent it; ``None`` for a user."""
    role: Role
    """What the party did first. ``"offered"``: the PBX called them. ``"placed"``: they dialled.
    ``"consulted"``: they were asked in a consult call. ``"picked_up"``, ``"retrieved"``: they
    took a call that rang elsewhere, or was parked. ``"monitored"``: they listened in.
    ``"service"``: they used a service of the PBX, such as their messages or a conference."""
    group_id: int | None
    """Id of the group whose queue offered the call to them; ``None``: no queue did."""
    result: ParticipationResult | None
    """``"answered"``: they talked, or, for ``"service"`` and ``"monitored"``, were connected.
    ``"missed"``: at least one ring timed out, and they never talked. ``"abandoned"``: the
    caller hung up during their last ring, and no earlier ring had timed out.
    ``"picked_up_elsewhere"``: somebody else answered. ``"unanswered"``: they placed a call that
    nobody answered. ``"busy"``, ``"rejected"``, ``"failed"``: how their last ring went. ``None``
    while they take part and have not talked."""
    rings: int
    """Number of rings: three rounds are one miss with three rings."""
    rang_us: int
    """Time for which a phone of theirs rang; two phones at once count once."""
    talked_us: int
    """Time of talk: the union of their legs' talks, a consult included."""
    held_us: int
    """Time parked, or waiting during a consult; no part of ``talked_us``."""
    first_offered: int | None
    """Time of their first leg; ``None``: the PBX sent no time."""
    answered: int | None
    """Start of their first talk or service; ``None``: there was none."""
    left: int | None
    """Time at which their last leg ended; ``None`` while one lives."""
    complete: bool
    """False if something of the call may have been missed, and while it lasts."""
    clock_adjusted: bool
    """True if a clock step made a duration of this row negative; that duration is zero."""

    @classmethod
    def of(cls, call: Call) -> tuple[Participation, ...]:
        """Return one row for each user and outside party of a call, in the order of their legs.

        A call that was joined to another one has no rows: its parties are part of that one.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)
