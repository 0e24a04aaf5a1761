"""Participation: the part of one user or outside party in one call, as a flat row.

A row is the sum over the legs of one party. If the call took over a consult call, the legs that
the party has from there decide about role, group and times only if the party has no other leg.

The result of a party that never talked, and was never connected to a service, is, by the first of
these rules that applies:

1. One of their rings timed out: ``"missed"``.
2. The PBX called them: how their last ring went, by ``Leg.outcome``. The last ring is the one that
   ended last: of two phones that rang at once, the one that rang on; or the one on which they
   refused, if this stopped the other. If the ring was cancelled, but the caller did not hang up,
   nobody answered in time: ``"missed"``.
3. The feed did not show the hang-up of any of their legs: ``"unknown"``.
4. They tried to take a call, and got none: ``"failed"``.
5. They placed a call, or dialled a service: ``"unanswered"``.

A phone that was answered as the caller hung up, so that nobody talked, counts as a cancelled ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import frozen

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti._internal.display import SetFields

from .channel_facts import party_key
from .intervals import duration, duration_outside
from .leg_roles import TAKING
from .model import Call, Disposition, Interval, Leg, Role
from .outcome import SAME_MOMENT

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

# Result of a called party that never talked, by the outcome of its last ring; all others are
# "failed".
_RESULTS: dict[Disposition | None, ParticipationResult] = {
    "abandoned": "abandoned",
    "busy": "busy",
    "rejected": "rejected",
    "picked_up_elsewhere": "picked_up_elsewhere",
    "unknown": "unknown",
    None: "unknown",
}

# Outcomes of a ring that the party refused.
_REFUSALS: frozenset[Disposition | None] = frozenset({"busy", "rejected"})

# Roles of a party that the PBX called: their phones ring.
_CALLED: frozenset[Role] = frozenset({"offered", "consulted"})

# User id or number of a party, by ``party_key``; a party without both has no row.
_Key = int | str | None

# Roles of a party in a consult call.
_CONSULTING: frozenset[Role] = frozenset({"placed", "consulted"})

# Roles of a party that is served as soon as their leg is answered, without another party.
_SERVED: frozenset[Role] = frozenset({"service", "monitored"})


@frozen(kw_only=True, repr=False)
class Participation(SetFields):
    """Part of one user, or of one party outside, in one call: one row, however many legs.

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
    """What the party did first in the call; what they did in a consult call that became a part of
    it counts only if they did nothing else. ``"offered"``: the PBX called them. ``"placed"``: they
    dialled. ``"consulted"``: they were asked in a consult call. ``"picked_up"``, ``"retrieved"``:
    they took a call that rang elsewhere, or was parked. ``"monitored"``: they listened in.
    ``"service"``: they used a service of the PBX, such as their messages or a conference."""
    group_id: int | None
    """Id of the group whose queue offered the call to them; ``None``: no queue did. Of several
    queues it is the first whose offer they answered and talked on; without such a talk, the first
    that offered the call."""
    result: ParticipationResult | None
    """``"answered"``: they talked, or, for ``"service"`` and ``"monitored"``, were connected, or
    answered a call into a conference.
    ``"missed"``: they never talked, and a ring timed out, or the last one was cancelled although
    the caller stayed. ``"abandoned"``: the caller hung up during their last ring, and no earlier
    ring had timed out.
    ``"picked_up_elsewhere"``: somebody else answered. ``"unanswered"``: they placed a call that
    nobody answered. ``"busy"``, ``"rejected"``, ``"failed"``: how their last ring went; also
    ``"failed"``: they tried to take a call, and got none. ``None`` while they take part and have
    not talked."""
    rings: int
    """Number of rings: three rounds are one miss with three rings."""
    rang_us: int
    """Time for which a phone of theirs rang; two phones at once count once."""
    talked_us: int
    """Time of talk: the union of their legs' talks, a consult included."""
    held_us: int
    """Time for which the leg of this party waited in an answered call: parked, on hold with music,
    or while this party or the one they talk to made a consult call; no part of ``talked_us``. A
    customer who is parked is held; the user who parked them is not, because that leg has ended."""
    transfers_out: int
    """Number of transfers that the party made, blind and attended."""
    transfers_in: int
    """Number of transfers to the party, blind and attended, whether or not they answered.
    Transfers to a group or to a voicemail box do not count."""
    first_offered: int | None
    """Time of the leg that decides about ``role``; ``None``: the PBX sent no time."""
    answered: int | None
    """Start of their first talk, service or conference, from ``first_offered`` on; ``None``: there
    was none."""
    left: int | None
    """Time at which their last leg ended; ``None`` while one lives."""
    complete: bool
    """False if something of the call may have been missed, and while it lasts."""
    clock_adjusted: bool
    """``Call.clock_adjusted``: a clock of the PBX was set back during the call. A duration that
    would be negative is zero."""
    direction: str
    """``Call.direction``: tells calls between users from calls with somebody outside."""
    purpose: str
    """``Call.purpose``: an attempt to pick up, to listen in or to use a service is no call."""

    @classmethod
    def of(cls, call: Call) -> tuple[Participation, ...]:
        """Return one row for each user and outside party, in the order of their first legs.

        A user is identified by id, an outside party by number as the PBX sent it; a party without
        both has no row. A call that was joined to another one has no rows: its parties are part
        of that one.
        """
        return _rows(call, _legs_by_party(call))

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)


# A generated constructor: the rows of each call that ends are created at once.
_make_participation = constructor(Participation)


def rows_of_agents(call: Call) -> tuple[Participation, ...]:
    """Return the rows of users, and of parties outside whom a queue called.

    The figures count no others, and a caller outside, whom almost every call has, takes time.
    """
    parties = {
        key: legs
        for key, legs in _legs_by_party(call).items()
        if isinstance(key, int) or any(leg.group_id is not None for leg in legs)
    }
    return _rows(call, parties)


def _legs_by_party(call: Call) -> dict[_Key, list[Leg]]:
    """Return the legs of each party that has a row, in the order of their offers."""
    legs: dict[_Key, list[Leg]] = {}
    if call.joined is None:
        for leg in sorted(call.legs, key=_offer_order):
            legs.setdefault(party_key(leg.party), []).append(leg)
        legs.pop(None, None)
    return legs


def _rows(call: Call, parties: Mapping[_Key, Sequence[Leg]]) -> tuple[Participation, ...]:
    """Return the rows of parties, given their legs in the order of their offers."""
    made, received = _transfers(call)
    return tuple(
        [
            _row(call, key, legs, made.get(key, 0), received.get(key, 0))
            for key, legs in parties.items()
        ]
    )


def _row(
    call: Call, key: _Key, legs: Sequence[Leg], transfers_out: int, transfers_in: int
) -> Participation:
    """Return the row of a party, given its legs in the order of their offers."""
    first = legs[0]
    talks, holds = first.talks, first.holds
    group_id, rings, left = first.group_id, first.rings, first.ended
    since = None
    if len(legs) > 1:
        for leg in legs[1:]:
            talks += leg.talks
            holds += leg.holds
            rings += leg.rings
            left = None if left is None or leg.ended is None else max(left, leg.ended)
        own = [leg for leg in legs if not _is_of_consult(call, key, leg)]
        if own and own[0] is not first:
            first = own[0]
            since = first.offered
        group_id = _group_of(own or legs)
    answered = _answered(call, key, legs, talks, since)
    return _make_participation(
        call.id,
        key if isinstance(key, int) else None,
        key if isinstance(key, str) else None,
        first.role,
        group_id,
        _result(call, legs, left) if answered is None else "answered",
        rings,
        _rang(legs),
        duration(talks),
        duration_outside(holds, talks),
        transfers_out,
        transfers_in,
        first.offered,
        answered,
        left,
        call.complete and call.ended is not None,
        call.clock_adjusted,
        call.direction,
        call.purpose,
    )


def _is_of_consult(call: Call, key: _Key, leg: Leg) -> bool:
    """Return True if the call took over a leg from a consult call, as far as the leg shows it."""
    if leg.role not in _CONSULTING:
        return False
    if leg.role == "placed" and key != party_key(call.caller):
        return True
    return leg.offered is not None and leg.offered < call.started


def _group_of(legs: Sequence[Leg]) -> int | None:
    """Return the group whose queue offered a call, given the legs in the order of their offers."""
    offers = [leg for leg in legs if leg.group_id is not None]
    talked = (leg for leg in offers if leg.talks or leg.talking_since is not None)
    leg = next(talked, offers[0] if offers else None)
    return None if leg is None else leg.group_id


_NO_TRANSFERS: Counter[_Key] = Counter()


def _transfers(call: Call) -> tuple[Counter[_Key], Counter[_Key]]:
    """Return the number of transfers that each party made, and that each one received."""
    history = call.transfer_history
    if not history:
        return _NO_TRANSFERS, _NO_TRANSFERS
    return (
        Counter(party_key(one.source) for one in history),
        Counter(party_key(one.target) for one in history if one.phase != "voicemail"),
    )


def _offer_order(leg: Leg) -> tuple[bool, int, str]:
    """Return a sort key by the time of the offer; legs without one come last."""
    return leg.offered is None, leg.offered or 0, leg.uuid


def _answered(
    call: Call, key: _Key, legs: Sequence[Leg], talks: Sequence[Interval], since: int | None
) -> int | None:
    """Return the start of a party's first talk or service; ``None``: there was none.

    ``since``: talks before it do not count if there is a later one; ``None``: all count.
    """
    times = [talk.started for talk in talks]
    answered = []
    for leg in legs:
        if leg.talking_since is not None:
            times.append(leg.talking_since)
        if leg.answered is not None:
            answered.append(leg)
    if times:
        later = [] if since is None else [time for time in times if time >= since]
        return min(later or times)
    if legs[-1].ended is None and _talks_now(call, key):
        return call.phase.started
    if answered:
        served = [leg.answered or 0 for leg in answered if leg.role in _SERVED]
        served += _conference_entries(call, answered)
        if served:
            return min(served)
    if call.disposition == "answered" and call.answered is None and key == party_key(call.caller):
        # Nobody talked to the caller, who reached a conference or a service of the PBX.
        services = (phase for phase in call.summed_phases if phase.kind in {"conference", "other"})
        return next((phase.started for phase in services), None)
    return None


def _conference_entries(call: Call, legs: Sequence[Leg]) -> list[int]:
    """Return the times at which a party that the PBX called answered into a conference.

    ``legs``: the answered legs of the party.
    """
    answers = [leg.answered or 0 for leg in legs if leg.role in _CALLED]
    rooms = [phase for phase in call.summed_phases if phase.kind == "conference"] if answers else []
    return [
        answer
        for answer in answers
        if any(room.started <= answer < (room.ended or answer + 1) for room in rooms)
    ]


def _talks_now(call: Call, key: _Key) -> bool:
    """Return True if a party is in the talk that goes on.

    The feed shows the talk on one leg first, and on the other a moment later.
    """
    is_talk = call.ended is None and call.phase.kind == "talking"
    return is_talk and key in {party_key(call.phase.party), party_key(call.caller)}


def _result(call: Call, legs: Sequence[Leg], left: int | None) -> ParticipationResult | None:
    """Return the result of a party that never talked; ``None`` while one of its legs lives."""
    if left is None:
        return None
    rings = [leg for leg in legs if leg.role in _CALLED]
    for leg in rings:
        if leg.timed_out or leg.outcome == "missed":
            return "missed"
    if rings:
        last = rings[0] if len(rings) == 1 else _last_ring(call, rings)
        return _result_of_ring(call, last)
    if all(leg.outcome == "unknown" for leg in legs):
        return "unknown"
    is_attempt_to_take = all(leg.role in TAKING for leg in legs)
    return "failed" if is_attempt_to_take else "unanswered"


def _last_ring(call: Call, rings: Sequence[Leg]) -> Leg:
    """Return the ring that ended last.

    If the party refused on another phone at the same moment, and nobody else talked then, the
    refusal ended both rings: it is that one.
    """
    last = max(rings, key=_end_order)
    if last.outcome != "picked_up_elsewhere":
        return last
    ended = last.ended or 0
    refused = [
        leg
        for leg in rings
        if leg.outcome in _REFUSALS and abs((leg.ended or 0) - ended) <= SAME_MOMENT
    ]
    return last if not refused or _began_to_talk(call, ended) else refused[0]


def _began_to_talk(call: Call, moment: int) -> bool:
    """Return True if somebody began to talk at about a moment."""
    return any(
        abs(started - moment) <= SAME_MOMENT
        for leg in call.legs
        for started in (*[talk.started for talk in leg.talks], leg.talking_since)
        if started is not None
    )


def _result_of_ring(call: Call, ring: Leg) -> ParticipationResult:
    """Return how a ring went that did not lead to a talk, and did not time out."""
    if ring.outcome == "answered":
        return "abandoned" if _caller_hung_up(call, ring) else "failed"
    if ring.outcome == "abandoned" and not _caller_hung_up(call, ring):
        return "missed"
    return _RESULTS.get(ring.outcome, "failed")


def _caller_hung_up(call: Call, ring: Leg) -> bool:
    """Return True if the party for whom a phone rang hung up when the ring was cancelled.

    If the feed does not show the leg of that party, they are taken to have hung up.
    """
    ended = ring.ended or 0
    # Who hung up before the phone began to ring is not the party for whom it rang. A ring may have
    # zero length.
    began = min(_ring(ring).started, ended - 1)
    others = False
    for leg in call.legs:
        if leg.role in _CALLED and not leg.talks:
            continue
        if leg.ended is not None and leg.ended <= began:
            continue
        others = True
        if (
            leg.hangup is not None
            and leg.hangup.disposition.startswith("recv_")
            and abs((leg.ended or 0) - ended) <= SAME_MOMENT
        ):
            return True
    return not others


def _end_order(leg: Leg) -> tuple[int, int, str]:
    """Return a sort key by the time of the end."""
    return leg.ended or 0, leg.offered or 0, leg.uuid


def _rang(legs: Sequence[Leg]) -> int:
    """Return for how long a phone of a party rang, in microseconds.

    Merged legs do not tell when they rang, so their time is added up.
    """
    if len(legs) == 1:
        return max(0, legs[0].rang_us)
    merged = sum(max(0, leg.rang_us) for leg in legs if leg.rings > 1)
    return merged + duration([_ring(leg) for leg in legs if leg.rings <= 1])


def _ring(leg: Leg) -> Interval:
    """Return the time for which the phone of a leg rang once."""
    started = (leg.ended or 0) - leg.rang_us if leg.offered is None else leg.offered
    return Interval(started=started, ended=started + leg.rang_us)
