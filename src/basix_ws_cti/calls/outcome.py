"""How legs and calls end: from what the PBX says of a hang-up to a word for people."""

from __future__ import annotations

from collections.abc import Sequence

from basix_ws_cti.elements import Hangup

from .model import Disposition, Leg, Phase, Side, Where

_BY_CAUSE: dict[str | None, Disposition] = {
    "USER_BUSY": "busy",
    "CALL_REJECTED": "rejected",
    "LOSE_RACE": "picked up elsewhere",
    "PICKED_OFF": "picked up elsewhere",
    "ORIGINATOR_CANCEL": "missed",
    "NO_ANSWER": "missed",
    # The PBX ended it in good order, and nobody had answered.
    "NORMAL_CLEARING": "missed",
    "ALLOTTED_TIMEOUT": "missed",
}

# Microseconds between the ends of two legs of which one is the reason for the other.
_AT_ONCE = 100_000

# Phases in which the caller got what they dialled, without anybody answering.
_SERVICES = frozenset({"conference", "other"})


def leg_outcome(hangup: Hangup | None, *, answered: bool) -> Disposition:
    """Return how an ended leg went for its party."""
    if answered:
        return "answered"
    if hangup is None:
        return "unknown"
    if hangup.disposition == "recv_cancel":
        return "abandoned"
    return _BY_CAUSE.get(hangup.cause, "failed")


def decisive(last: Phase, legs: Sequence[Leg], lead_leg: str) -> Leg | None:
    """Which leg's hang-up ended the call.

    ``legs`` are those that ended in the call's last phase, of a talk the two who talked. That
    is the lead leg, if it hung up itself; else who did while it waited or talked, and took the
    line along: for the same cause, or, where nobody else was asked, at the same time. Else it
    is the lead leg. A telephone that was busy while others rang on does not count.
    """
    own = next((leg for leg in legs if leg.uuid == lead_leg), None)
    waits = last.kind in {"queued", "ringing", "talking"}
    if own is not None and (not waits or _hung_up_itself(own.hangup)):
        return own
    for leg in legs:
        if _hung_up_itself(leg.hangup) and (own is None or _took_along(last, leg, own)):
            return leg
    return own or (legs[-1] if legs else None)


def who_ended_it(
    last: Phase, hangup: Hangup | None, *, by_caller: bool, alone: bool
) -> Side | None:
    """Whose doing a hang-up was; ``None``: nobody saw.

    ``by_caller``: it is the caller's leg that hung up; ``alone``: no other leg was shown.
    What came from a party whose leg is not shown is told by what was sent on to the other.
    """
    if hangup is None:
        return None
    if _hung_up_itself(hangup):
        return "caller" if by_caller else "callee"
    if alone and last.kind == "talking" and hangup.cause == "NORMAL_CLEARING":
        return "callee" if by_caller else "caller"
    cancelled = (hangup.disposition, hangup.cause) == ("send_cancel", "ORIGINATOR_CANCEL")
    if alone and cancelled and not by_caller:
        return "caller"
    return "pbx"


def disposition_of(
    phases: Sequence[Phase], hangup: Hangup | None, ended_by: Side | None
) -> tuple[Disposition, Where | None]:
    """How a call went, and where the caller gave up if they did."""
    kinds = {phase.kind for phase in phases}
    last = phases[-1].kind
    if "talking" in kinds:
        return "answered", None
    if "voicemail" in kinds:
        return "voicemail", None
    if last in _SERVICES:
        return "answered", None
    if hangup is None:
        return "unknown", None
    if ended_by == "caller":
        places: dict[str, Where] = {"ivr": "ivr", "queued": "queue"}
        return "abandoned", places.get(last, "ringing")
    return _BY_CAUSE.get(hangup.cause, "failed"), None


def _hung_up_itself(hangup: Hangup | None) -> bool:
    return hangup is not None and hangup.disposition.startswith("recv_")


def _took_along(last: Phase, leg: Leg, lead_leg: Leg) -> bool:
    causes = [None if one.hangup is None else one.hangup.cause for one in (leg, lead_leg)]
    if causes[0] == causes[1]:
        return True
    if last.kind != "ringing" or leg.ended is None or lead_leg.ended is None:
        return False
    return abs(leg.ended - lead_leg.ended) <= _AT_ONCE
