"""Outcome of legs and calls: which side ended them, and how they went.

``Leg.outcome`` and ``Call.disposition`` are derived here from FreeSWITCH's hangup causes and
dispositions. A disposition that begins with ``recv_`` means that the leg's own party hung up
or refused; with ``send_``, the PBX ended the leg.
"""

from __future__ import annotations

from collections.abc import Sequence

from basix_ws_cti.elements import Hangup

from .model import AbandonedIn, Disposition, Leg, Phase, Side

_BY_CAUSE: dict[str | None, Disposition] = {
    "USER_BUSY": "busy",
    "CALL_REJECTED": "rejected",
    "LOSE_RACE": "picked_up_elsewhere",
    "PICKED_OFF": "picked_up_elsewhere",
    "ORIGINATOR_CANCEL": "missed",
    "NO_ANSWER": "missed",
    # The PBX cleared a call that nobody had answered.
    "NORMAL_CLEARING": "missed",
    "ALLOTTED_TIMEOUT": "missed",
}

# Maximum time between the ends of two legs if one caused the other, in microseconds.
_SAME_MOMENT = 100_000

# Phases in which the caller reached a service of the PBX without anybody answering.
_SERVICE_PHASES = frozenset({"conference", "other"})


def leg_outcome(hangup: Hangup | None, *, answered: bool) -> Disposition:
    """Return how an ended leg went for its party."""
    if answered:
        return "answered"
    if hangup is None:
        return "unknown"
    if hangup.disposition == "recv_cancel":
        return "abandoned"
    return _BY_CAUSE.get(hangup.cause, "failed")


def deciding_leg(last_phase: Phase, legs: Sequence[Leg], lead_uuid: str) -> Leg | None:
    """Return the leg whose hang-up ended the call.

    - ``legs``: the legs that ended in the last phase; of a talk, only the two that talked.
    - ``lead_uuid``: the lead leg of that phase.

    It is the lead leg if its party hung up, or if the call was neither waiting for a party nor
    talked on. Otherwise it is the first leg whose party hung up and whose end was the reason for
    the end of the lead leg: both ended for the same cause, or, while a single party rang, at the
    same moment. Without such a leg it is the lead leg. So a busy phone does not decide about a
    queue whose other phones go on ringing.
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


def disposition_of(
    phases: Sequence[Phase], hangup: Hangup | None, ended_by: Side | None
) -> tuple[Disposition, AbandonedIn | None]:
    """Return how a call went, and what an abandoning caller had waited in.

    The first of these rules that applies counts:

    1. Somebody talked to the caller: answered.
    2. The caller reached a voicemail box: voicemail.
    3. The call ended in a service of the PBX, such as a conference: answered.
    4. No hang-up was seen: unknown.
    5. The caller hung up: abandoned.
    6. The hangup cause decides.
    """
    kinds = {phase.kind for phase in phases}
    last = phases[-1].kind
    if "talking" in kinds:
        return "answered", None
    if "voicemail" in kinds:
        return "voicemail", None
    if last in _SERVICE_PHASES:
        return "answered", None
    if hangup is None:
        return "unknown", None
    if ended_by == "caller":
        waited_in: dict[str, AbandonedIn] = {"ivr": "ivr", "queued": "queue"}
        return "abandoned", waited_in.get(last, "ringing")
    return _BY_CAUSE.get(hangup.cause, "failed"), None


def _party_hung_up(hangup: Hangup | None) -> bool:
    """Return True if the leg's own party hung up or refused."""
    return hangup is not None and hangup.disposition.startswith("recv_")


def _ended_lead(last_phase: Phase, leg: Leg, lead: Leg) -> bool:
    """Return True if the end of ``leg`` caused the end of the lead leg."""
    causes = [None if one.hangup is None else one.hangup.cause for one in (leg, lead)]
    if causes[0] == causes[1]:
        return True
    if last_phase.kind != "ringing" or leg.ended is None or lead.ended is None:
        return False
    return abs(leg.ended - lead.ended) <= _SAME_MOMENT
