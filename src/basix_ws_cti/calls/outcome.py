"""Outcome of legs and calls: which side ended them, and how they went.

``Leg.outcome`` and ``Call.disposition`` are derived here from FreeSWITCH's hangup causes and
dispositions. A disposition that begins with ``recv_`` means that the leg's own party hung up
or refused; with ``send_``, the PBX ended the leg.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from attrs import frozen

from basix_ws_cti.elements import Hangup

from .channel_facts import ANNOUNCEMENT, RINGING_TONE
from .model import (
    AbandonedIn,
    Direction,
    Disposition,
    Leg,
    Party,
    Phase,
    PhaseKind,
    Purpose,
    Side,
)

# Causes of a leg or call that somebody else took.
_TAKEN = frozenset({"LOSE_RACE", "PICKED_OFF"})

# Causes with which the called party refuses.
_REFUSED: dict[str | None, Disposition] = {"USER_BUSY": "busy", "CALL_REJECTED": "rejected"}

# Causes of the end of a call that nobody answered in time, or that was cleared before an answer.
_NOT_ANSWERED = frozenset({"NO_ANSWER", "ORIGINATOR_CANCEL", "NORMAL_CLEARING", "ALLOTTED_TIMEOUT"})

# Causes that say that the called number or phone could not be reached.
_UNREACHABLE = frozenset(
    {
        "DESTINATION_OUT_OF_ORDER",
        "INVALID_NUMBER_FORMAT",
        "NO_ROUTE_DESTINATION",
        "NO_ROUTE_TRANSIT_NET",
        "NO_USER_RESPONSE",
        "NUMBER_CHANGED",
        "PROGRESS_TIMEOUT",
        "SUBSCRIBER_ABSENT",
        "UNALLOCATED_NUMBER",
        "USER_NOT_REGISTERED",
    }
)

SAME_MOMENT = 100_000
"""Maximum time between the ends of two legs if one caused the other, in microseconds."""

# What a caller waits in, by the phase.
_WAITING: dict[PhaseKind, AbandonedIn] = {
    "ivr": "ivr",
    "queued": "queue",
    "ringing": "ringing",
    "parked": "parked",
}

# Phases in which the PBX calls a party, or may do so.
_CALLS_PARTY: frozenset[PhaseKind] = frozenset({"queued", "ringing", "parked", "unknown"})

# Names of the states in which the PBX serves a user who dialled the service. Any other place of a
# phase of kind ``other`` may also be a step on the way to a party.
_SERVICES = frozenset({"checking_voicemail", "eavesdrop"})


def leg_outcome(hangup: Hangup | None, *, answered: bool, is_callers: bool) -> Disposition:
    """Return how an ended leg went for its party.

    ``is_callers``: the party dialled, or the PBX called it first because it had requested the call
    through the API. Such a leg is never ``"missed"``: nobody else called its party.
    """
    if answered:
        return "answered"
    if hangup is None:
        return "unknown"
    cause = hangup.cause
    if cause in _TAKEN:
        return "picked_up_elsewhere"
    if is_callers:
        if cause in _NOT_ANSWERED or cause in _REFUSED or hangup.disposition == "recv_cancel":
            return "unanswered"
        return "unreachable" if cause in _UNREACHABLE else "failed"
    if cause == "ORIGINATOR_CANCEL" or hangup.disposition == "recv_cancel":
        return "abandoned"
    if cause in _NOT_ANSWERED:
        return "missed"
    return _REFUSED.get(cause, "failed")


def deciding_leg(last_phase: Phase, legs: Sequence[Leg], lead_uuid: str) -> Leg | None:
    """Return the leg whose hang-up ended the call.

    - ``legs``: the legs that ended in the last phase; of a talk, only the two that talked.
    - ``lead_uuid``: the lead leg of that phase.

    It is the lead leg if its party hung up, or if the call was neither waiting for a party nor
    talked on. Otherwise it is the first leg whose party hung up and whose end was the reason for
    the end of the lead leg: both ended for the same cause, which for ``NO_ANSWER`` must be at the
    same moment, or, while a single party rang, at the same moment. Without such a leg it is the
    lead leg. So a busy phone does not decide about a queue whose other phones go on ringing.
    """
    lead = next((leg for leg in legs if leg.uuid == lead_uuid), None)
    is_waiting_or_talking = last_phase.kind in {"queued", "ringing", "talking"}
    if lead is not None and (not is_waiting_or_talking or _party_hung_up(lead.hangup)):
        return lead
    for leg in legs:
        if _party_hung_up(leg.hangup) and (lead is None or _ended_lead(last_phase, leg, lead)):
            return leg
    return lead or (legs[-1] if legs else None)


def ending_side(
    last_phase: Phase, hangup: Hangup | None, *, by_caller: bool, only_leg: bool
) -> Side | None:
    """Return the side that ended the call; ``None`` if nobody saw the end.

    - ``hangup``: the hang-up of the deciding leg.
    - ``by_caller``: True if that is the caller's leg.
    - ``only_leg``: True if the feed showed no other leg in the last phase. A hang-up that the
      PBX sent to this leg then comes from the party whose leg is not shown.
    """
    if hangup is None:
        return None
    if _party_hung_up(hangup):
        return "caller" if by_caller else "callee"
    if only_leg and last_phase.kind == "talking" and hangup.cause == "NORMAL_CLEARING":
        return "callee" if by_caller else "caller"
    cancelled = (hangup.disposition, hangup.cause) == ("send_cancel", "ORIGINATOR_CANCEL")
    if only_leg and cancelled and not by_caller:
        return "caller"
    return "pbx"


@frozen(kw_only=True)
class Ending:
    """Facts that decide how a call went."""

    phases: Sequence[Phase]
    """All phases of the call, oldest first, as in ``Call.summed_phases``."""
    hangup: Hangup | None
    """Hang-up of the deciding leg; ``None`` if nobody saw the end."""
    ended_by: Side | None
    """Side that ended the call."""
    direction: Direction
    """Direction as dialled."""
    purpose: Purpose = "call"
    """Purpose of the call."""
    is_line_answered: bool = True
    """True if the PBX answered the leg of the caller, or the caller answered the PBX."""
    is_originated: bool = False
    """True if the PBX called the caller first, as requested through the API."""
    is_left: bool = False
    """True if the party that waited at the end hung up: see ``waiting_party_left``."""


def waiting_party_left(leg: Leg | None, ended_by: Side | None, lead_uuid: str) -> bool:
    """Return True if the party whose leg the last phase describes hung up.

    - ``leg``: the deciding leg.
    - ``lead_uuid``: the lead leg of the last phase.

    This is the caller, or, after a transfer by the caller, the party that was transferred. A phone
    that rings refuses; it does not hang up.
    """
    if ended_by == "caller":
        return True
    if leg is None or leg.hangup is None or leg.uuid != lead_uuid:
        return False
    return leg.hangup.disposition in {"recv_bye", "recv_cancel"}


def disposition_of(ending: Ending) -> tuple[Disposition, AbandonedIn | None]:
    """Return how a call went, and what the party that waited at the end hung up in.

    The first of these rules that applies decides about the disposition:

    1. Somebody talked to the caller: answered.
    2. The caller reached a voicemail box: voicemail.
    3. The call ended in a conference or service, on an answered line, and not because that
       refused the call: answered.
    4. No hang-up was seen: unknown.
    5. The waiting party hung up: unanswered if it is a user who called somebody outside, or whom
       the PBX called first; otherwise abandoned.
    6. The hangup cause decides.

    A user of whom rule 5 says "unanswered" abandoned nothing. Any other party that hung up while it
    waited did, also a customer whom a user had called and talked to.
    """
    is_attempt = ending.is_originated and not ending.is_line_answered
    is_outbound = ending.direction == "outbound" or is_attempt
    phases = _phases_after_own_ring(ending)
    kinds = {phase.kind for phase in phases}
    was_talked_on = "talking" in kinds
    has_given_up = is_outbound and not was_talked_on and ending.ended_by == "caller"
    abandoned_in = None
    if ending.is_left and not has_given_up:
        abandoned_in = _place_of_wait(phases)
    if was_talked_on:
        return "answered", abandoned_in
    if "voicemail" in kinds:
        return "voicemail", abandoned_in
    if ending.is_line_answered and _is_in_service(phases[-1], kinds) and not _is_refused(ending):
        return "answered", None
    if ending.hangup is None:
        return "unknown", None
    if ending.is_left:
        return ("unanswered", None) if has_given_up else ("abandoned", abandoned_in or "ringing")
    return _by_cause(ending, kinds, is_outbound=is_outbound), None


def joined_disposition(phases: Sequence[Phase], caller: Party) -> Disposition:
    """Return how a call went that became a part of another one.

    Answered if somebody talked to the caller before, or does so from then on. A user who joined
    their consult call with another call before anybody answered has talked to nobody: unanswered.
    """
    was_talked_on = any(phase.kind == "talking" for phase in phases)
    return "answered" if was_talked_on or caller.user_id is None else "unanswered"


def _phases_after_own_ring(ending: Ending) -> Sequence[Phase]:
    """Return the phases without the one in which the phone of the caller rang."""
    phases = ending.phases
    if ending.is_originated and phases[0].kind == "ringing" and len(phases) > 1:
        return phases[1:]
    return phases


def _place_of_wait(phases: Sequence[Phase]) -> AbandonedIn | None:
    """Return what the party waited in at the end; ``None``: it was served, or talked.

    An announcement or another step of the PBX belongs to the wait before it.
    """
    for phase in reversed(phases):
        if phase.kind in _WAITING:
            return _WAITING[phase.kind]
        if phase.kind != "other" or phase.place in _SERVICES:
            return None
    return None


def _is_in_service(last: Phase, kinds: AbstractSet[PhaseKind]) -> bool:
    """Return True if the last phase is a conference or a service that was dialled.

    An operation of the PBX that follows a menu, a queue or a ringing phone is a step on the way,
    such as an announcement.
    """
    if last.kind == "conference" or last.place in _SERVICES:
        return True
    if last.kind != "other" or last.place in {ANNOUNCEMENT, RINGING_TONE}:
        return False
    return kinds.isdisjoint(_WAITING)


def _is_refused(ending: Ending) -> bool:
    """Return True if the PBX ended the call because what was dialled refused it.

    This includes an attempt to take another call, for which there was nothing to take.
    """
    if ending.ended_by != "pbx":
        return False
    cause = None if ending.hangup is None else ending.hangup.cause
    is_attempt_to_take = ending.purpose == "pickup" or cause == "NO_PICKUP"
    return is_attempt_to_take or cause in _REFUSED or cause in _UNREACHABLE


def _by_cause(ending: Ending, kinds: AbstractSet[PhaseKind], *, is_outbound: bool) -> Disposition:
    """Return how an unanswered call went whose waiting party did not hang up."""
    cause = None if ending.hangup is None else ending.hangup.cause
    if cause in _TAKEN:
        return "picked_up_elsewhere"
    if cause in _NOT_ANSWERED:
        return "unanswered" if is_outbound else _ended_by_pbx(ending, kinds)
    if cause in _UNREACHABLE and ending.direction != "inbound":
        # Without a called party the PBX refused the call before it routed it.
        return "unreachable" if _has_called_party(ending, kinds) else "failed"
    return _REFUSED.get(cause, "failed")


def _ended_by_pbx(ending: Ending, kinds: AbstractSet[PhaseKind]) -> Disposition:
    """Return how an inbound or internal call went that the PBX ended for want of an answer."""
    if ending.purpose == "pickup":
        return "failed"
    if kinds & _CALLS_PARTY:
        return "missed"
    if ending.is_line_answered or "ivr" in kinds:
        return "ended_in_menu"
    # Nobody was called: the PBX refused the call, or heard a wrong number.
    return "missed" if _has_called_party(ending, kinds) else "failed"


def _has_called_party(ending: Ending, kinds: AbstractSet[PhaseKind]) -> bool:
    """Return True if the PBX called a party, or may have done so in a gap in the feed."""
    return bool(kinds & _CALLS_PARTY) or ending.phases[-1].place == RINGING_TONE


def _party_hung_up(hangup: Hangup | None) -> bool:
    """Return True if the leg's own party hung up or refused."""
    return hangup is not None and hangup.disposition.startswith("recv_")


def _ended_lead(last_phase: Phase, leg: Leg, lead: Leg) -> bool:
    """Return True if the end of ``leg`` caused the end of the lead leg."""
    causes = [None if one.hangup is None else one.hangup.cause for one in (leg, lead)]
    is_same_cause = causes[0] == causes[1]
    # A phone that stopped ringing by itself decided nothing: the call may go on for a while, and
    # end for the same cause.
    if is_same_cause and causes[0] != "NO_ANSWER":
        return True
    if leg.ended is None or lead.ended is None:
        return is_same_cause
    is_same_moment = abs(leg.ended - lead.ended) <= SAME_MOMENT
    return is_same_moment and (is_same_cause or last_phase.kind == "ringing")
