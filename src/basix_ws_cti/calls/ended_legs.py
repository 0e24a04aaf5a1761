"""Ended legs of a call: of very many, legs of one party are merged into one."""

from __future__ import annotations

from attrs import evolve

from .leg_history import limited
from .model import Leg

# Ended legs kept per call. A queue that rings the same phones for hours produces thousands.
# Beyond this limit, legs of the same party are merged.
MAX_ENDED_LEGS = 200


def limit_legs(ended: list[Leg], ended_in_phase: list[Leg]) -> None:
    """Keep the ended legs of a call, and those of its current phase, within the limit.

    Must be called after each leg that is added. Both lists are sorted, oldest first.
    """
    if len(ended) > MAX_ENDED_LEGS:
        _merge_one(ended)
        del ended_in_phase[:-MAX_ENDED_LEGS]


def _merge_one(ended: list[Leg]) -> None:
    """Merge two legs of a list of ended legs, oldest first, so that no count is lost.

    These are the oldest leg that was never answered and the next one of the same party, role and
    group. If there are none, the same is tried with legs that were answered.
    """
    for answered in (False, True):
        found: dict[tuple[object, ...], int] = {}
        for index, leg in enumerate(ended):
            if (leg.answered is not None) is not answered:
                continue
            party = leg.party
            key = (party.user_id, party.number, leg.role, leg.group_id)
            if key in found:
                ended[index] = _merged(ended[found[key]], leg)
                del ended[found[key]]
                return
            found[key] = index
    if len(ended) > 2 * MAX_ENDED_LEGS:
        del ended[0]


def _merged(first: Leg, last: Leg) -> Leg:
    """Return two ended legs of one party as one leg, which is like the last one."""
    return evolve(
        last,
        offered=first.offered,
        answered=last.answered if first.answered is None else first.answered,
        rings=first.rings + last.rings,
        rang_us=first.rang_us + last.rang_us,
        timed_out=first.timed_out or last.timed_out,
        talks=limited(first.talks + last.talks),
        holds=limited(first.holds + last.holds),
    )
