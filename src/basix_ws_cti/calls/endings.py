"""How legs and calls end: from what the PBX says of a hang-up to a word for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from basix_ws_cti.elements import Channel, Hangup

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

# Phases in which the caller got what they dialled, without anybody answering.
_SERVICES = frozenset({"conference", "other"})


def leg_outcome(channel: Channel) -> Disposition:
    """How a leg that ended went for the party at its end."""
    if channel.answer_timestamp is not None:
        return "answered"
    hangup = channel.hangup
    if hangup is None:
        return "unknown"
    if hangup.disposition == "recv_cancel":
        return "abandoned"
    return _BY_CAUSE.get(hangup.cause, "failed")


def decisive(last: Phase, legs: Sequence[Leg], line: str, partner: str | None) -> Leg | None:
    """Which leg's hang-up ended the call: the first that hung up itself, else the line.

    ``legs`` are those that ended in the call's last phase. Who parked a call, or handed it
    over, is off the line at that moment too, and does not count.
    """
    if last.kind == "talking":
        legs = [leg for leg in legs if leg.uuid in {line, partner}]
    elif last.kind not in {"queued", "ringing", "conference"}:
        legs = [leg for leg in legs if leg.uuid == line]
    for leg in legs:
        if leg.hangup is not None and leg.hangup.disposition.startswith("recv_"):
            return leg
    return next((leg for leg in legs if leg.uuid == line), legs[-1] if legs else None)


def who_ended_it(hangup: Hangup | None, *, by_caller: bool) -> Side | None:
    """Whose doing a hang-up was; ``None``: nobody saw."""
    if hangup is None:
        return None
    if not hangup.disposition.startswith("recv_"):
        return "pbx"
    return "caller" if by_caller else "callee"


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
    cancelled = hangup.cause == "ORIGINATOR_CANCEL" and hangup.disposition == "send_cancel"
    if ended_by == "caller" or cancelled:
        places: dict[str, Where] = {"ivr": "ivr", "queued": "queue"}
        return "abandoned", places.get(last, "ringing")
    return _BY_CAUSE.get(hangup.cause, "failed"), None
