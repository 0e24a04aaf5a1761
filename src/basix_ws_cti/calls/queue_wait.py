"""QueueWait: one stay of a call in the queue of one group, as a flat row.

The waits of a call are read from its phases, oldest first (``add_phase``). A wait begins with a
phase of kind ``queued``. A further one of the same group continues it, and so does a menu or an
announcement (``ivr`` or ``other``) in between. Any other phase, or the end of the call, ends it:

==============================  ================  ===========================
phase or end of the call        result            time at which the wait ends
==============================  ================  ===========================
talking                         ``"answered"``    start of the talk
queued, another group           ``"overflowed"``  exit from the queue
ringing, parked                 ``"overflowed"``  exit from the queue
voicemail                       ``"voicemail"``   exit from the queue
conference                      ``"ended"``       exit from the queue
unknown                         ``"unknown"``     exit from the queue
the caller hung up              ``"abandoned"``   end of the call
it was joined to another call   ``"answered"``    end of the call
its phone rang on for another   ``"overflowed"``  end of the call
the PBX ended it                ``"ended"``       exit from the queue
nobody saw the end              ``"unknown"``     exit from the queue
==============================  ================  ===========================

"Exit from the queue" is the end of the last ``queued`` phase: a menu or an announcement after it is
no part of the wait.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti._internal.display import SetFields

from .model import WITHOUT_PARTY, Call, Leg, Phase, PhaseKind, Wait, WaitResult

_RESULTS: dict[PhaseKind, WaitResult] = {
    "talking": "answered",
    "queued": "overflowed",
    "ringing": "overflowed",
    "parked": "overflowed",
    "voicemail": "voicemail",
    "conference": "ended",
}


@frozen(kw_only=True, repr=False)
class QueueWait(SetFields):
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
    """Time at which the wait ended; ``None`` while it lasts. A menu or an announcement in which
    the caller hangs up, or after which a party talks to them, is a part of the wait."""
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
    entered_by_transfer: bool
    """True if a party transferred the call to the group, which began the wait."""
    purpose: str
    """``Call.purpose``: the figures count the waits of purpose ``"call"``."""
    complete: bool
    """False if something of the wait may have been missed, and while the call lasts."""

    @classmethod
    def of(cls, call: Call) -> tuple[QueueWait, ...]:
        """Return the waits of a call, in the order of ``entered``.

        Of a call that has not ended, the last wait may lack ``left`` and ``result``.
        """
        merged, phases = call.merged, call.phases
        waits: list[Wait] = []
        if merged is not None:
            waits += merged.waits
            phases = phases[1:]
        for phase in phases:
            add_phase(waits, phase)
        if not waits:
            return ()
        if call.ended is not None and waits[-1].result is None:
            waits[-1] = _end_with_call(waits[-1], call, call.ended)
        complete = call.complete and call.ended is not None
        transfers = {(one.at, one.target.group_id) for one in call.transfer_history}
        return tuple(
            [
                _make_queue_wait(
                    call.id,
                    wait.group_id,
                    wait.entered,
                    None if wait.result is None else wait.left,
                    _waited(wait),
                    wait.result,
                    wait.next_group_id,
                    wait.answered_by_user_id,
                    rings,
                    (wait.entered, wait.group_id) in transfers,
                    call.purpose,
                    complete,
                )
                for wait, rings in zip(waits, _rings(call, waits), strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)


# Generated constructors: these objects are created while a call lasts, and at its end.
_make_queue_wait, _make_wait = constructor(QueueWait), constructor(Wait)


def add_phase(waits: list[Wait], phase: Phase) -> None:
    """Update the waits of a call, oldest first, with the next phase of the call."""
    group_id = _group_id(phase) if phase.kind == "queued" else None
    if waits and waits[-1].result is None:
        last = waits[-1]
        if group_id == last.group_id:
            waits[-1] = _with_end(last, phase.ended, None)
            return
        if phase.kind in WITHOUT_PARTY:
            return
        waits[-1] = _end_before(last, phase, group_id)
    if group_id is not None:
        waits.append(_make_wait(group_id, phase.started, phase.ended, None, None, None))


def _group_id(phase: Phase) -> int | None:
    """Return the id of the group of a phase in a queue; ``None``: the PBX did not send it."""
    group_id: object = phase.party.group_id
    return group_id if isinstance(group_id, int) else None


def _with_end(
    wait: Wait,
    left: int | None,
    result: WaitResult | None,
    *,
    next_group_id: int | None = None,
    user_id: int | None = None,
) -> Wait:
    """Return a wait with another end; ``user_id`` is the user who answered."""
    return _make_wait(wait.group_id, wait.entered, left, result, next_group_id, user_id)


def _end_before(wait: Wait, phase: Phase, group_id: int | None) -> Wait:
    """Return a wait as ended by the phase that follows, which waits for ``group_id``."""
    result = _RESULTS.get(phase.kind, "unknown")
    if result == "answered":
        return _with_end(wait, phase.started, result, user_id=phase.party.user_id)
    return _with_end(wait, wait.left, result, next_group_id=group_id)


def _end_with_call(wait: Wait, call: Call, ended: int) -> Wait:
    """Return a wait as ended by the end of its call."""
    if call.joined is not None:
        if call.taken_by is None:
            return _with_end(wait, wait.left, "overflowed")
        return _with_end(wait, ended, "answered", user_id=call.taken_by.user_id)
    if _was_abandoned(call):
        return _with_end(wait, ended, "abandoned")
    is_unknown = call.disposition == "unknown" or call.ended_by is None
    return _with_end(wait, wait.left, "unknown" if is_unknown else "ended")


def _was_abandoned(call: Call) -> bool:
    """Return True if the party that waited at the end of a call hung up.

    A user who hung up an outbound call before an answer has no ``abandoned_in``, but may have
    waited in a queue.
    """
    has_given_up = call.disposition == "unanswered" and call.ended_by == "caller"
    return call.abandoned_in is not None or has_given_up


def _waited(wait: Wait) -> int | None:
    if wait.result is None or wait.left is None:
        return None
    return wait.left - wait.entered


def _rings(call: Call, waits: Sequence[Wait]) -> list[int]:
    """Return the number of rings in each wait.

    A ring counts for the wait in the queue of its group in which it began; of two waits that touch,
    for the later one. A ring that began in a consult call goes on for the call that takes it over:
    it counts for the wait in which it goes on.
    """
    rings = [0] * len(waits)
    # By group: the times of entry of its waits, ascending, and their indexes.
    by_group: dict[int | None, tuple[list[int], list[int]]] = {}
    for index, wait in enumerate(waits):
        entered, indexes = by_group.setdefault(wait.group_id, ([], []))
        entered.append(wait.entered)
        indexes.append(index)
    for leg in call.legs:
        if leg.offered is None or leg.group_id not in by_group:
            continue
        entered, indexes = by_group[leg.group_id]
        place = bisect_right(entered, leg.offered)
        if place:
            index = indexes[place - 1]
            left = waits[index].left
            if left is None or leg.offered <= left:
                rings[index] += leg.rings
                continue
        if place < len(entered) and _rings_at(leg, entered[place]):
            rings[indexes[place]] += leg.rings
    return rings


def _rings_at(leg: Leg, time: int) -> bool:
    """Return True if the ring of a leg, which began before, goes on at a time."""
    if leg.offered is None or leg.rings != 1:
        return False
    is_ringing = leg.ended is None and leg.answered is None
    return is_ringing or leg.offered + leg.rang_us > time
