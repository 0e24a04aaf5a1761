"""End of an active call: the legs that may have ended it, and how it went.

``outcome`` has the rules; this module finds the facts that they need.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from attrs import frozen

from basix_ws_cti.elements import Hangup

from .active_legs import ActiveLegs
from .leg_roles import OF_CALLER
from .model import AbandonedIn, Direction, Disposition, Leg, Phase, Purpose, Side
from .outcome import Ending, deciding_leg, disposition_of, ending_side, waiting_party_left


@frozen
class CallEnd:
    """End of a call; the fields are those of ``Call``, all ``None`` while the call lasts."""

    ended: int | None = None
    disposition: Disposition | None = None
    abandoned_in: AbandonedIn | None = None
    ended_by: Side | None = None
    hangup: Hangup | None = None


def end_of(
    legs: ActiveLegs,
    phases: Sequence[Phase],
    *,
    talkers: Container[str | None],
    lead_uuid: str,
    direction: Direction,
    purpose: Purpose,
    unseen: bool,
) -> CallEnd:
    """Return how a call ended, whose legs and phases have ended.

    - ``phases``: all phases, as in ``Call.summed_phases``.
    - ``talkers``: uuids of the legs that talked last.
    - ``lead_uuid``: the lead leg of the last phase.
    - ``unseen``: a comparison of snapshots found that the last leg is gone. How the call ended is
      unknown.
    """
    last = phases[-1]
    candidates = _legs_of_end(last, legs.ended_in_phase, talkers)
    leg = None if unseen else deciding_leg(last, candidates, lead_uuid)
    hangup = None if leg is None else leg.hangup
    by_caller = leg is not None and _is_callers(leg, legs.first_uuid)
    ended_by = ending_side(last, hangup, by_caller=by_caller, only_leg=len(candidates) == 1)
    line = [one for one in legs.ended if _is_callers(one, legs.first_uuid)]
    ending = Ending(
        phases=phases,
        hangup=hangup,
        ended_by=ended_by,
        direction=direction,
        purpose=purpose,
        is_line_answered=any(one.answered is not None for one in line or candidates),
        is_originated=any(map(_is_originated, line)),
        is_left=waiting_party_left(leg, ended_by, lead_uuid),
    )
    disposition, abandoned_in = disposition_of(ending)
    return CallEnd(last.ended, disposition, abandoned_in, ended_by, hangup)


def _legs_of_end(last: Phase, legs: Sequence[Leg], talkers: Container[str | None]) -> Sequence[Leg]:
    """Return the legs one of which ended the call, of those that ended in its last phase.

    A leg that ended as the phase began did not end the call: its party transferred the call. Of
    several phones that the PBX called for the caller, it is the one that rang on.
    """
    if last.kind == "talking":
        return [leg for leg in legs if leg.uuid in talkers]
    own = max(filter(_is_originated, legs), key=lambda leg: leg.ended or 0, default=None)
    return [
        leg
        for leg in legs
        if (leg is own or not _is_originated(leg))
        and (leg.ended != last.started or last.ended == last.started)
    ]


def _is_callers(leg: Leg, first_uuid: str) -> bool:
    """Return True for the caller's leg: each phone, if the PBX called the caller first."""
    return leg.uuid == first_uuid or _is_originated(leg)


def _is_originated(leg: Leg) -> bool:
    """Return True for a phone that the PBX called for a call of its own user."""
    return leg.direction == "outbound" and leg.role in OF_CALLER
