"""Counts of users, queue members, terminals and ongoing calls at one moment, without names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Literal, get_args

from attrs import Factory, define

from basix_ws_cti.board.users import UserState, user_states, valid_id
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Ringing

Presence = Literal["talking", "ringing", "busy", "free", "unregistered"]
"""``"talking"``: on a call or in a conference. ``"ringing"``: a phone rings, and nothing else.
``"busy"``: any other channel, such as a call on hold. ``"free"``: a registered phone and no
channel. ``"unregistered"``: neither a channel nor a registered phone."""

PRESENCES: tuple[Presence, ...] = get_args(Presence)
"""Every presence."""


@define(eq=False)
class Population:
    """Counts of the elements of a mirror."""

    users: Counter[Presence] = Factory(Counter)
    """Users by presence."""
    members: dict[int | None, Counter[Presence]] = Factory(dict)
    """Members of each queue by presence; ``None``: of all queues without counters together."""
    terminals: int = 0
    """SIP terminals."""
    registered: int = 0
    """SIP terminals that are registered."""

    @classmethod
    def of(cls, mirror: Mirror, queues: Container[int]) -> Population:
        """Count the elements of a mirror, in any thread; ``queues`` are counted separately."""
        population = cls()
        presences: dict[int | str, Presence] = {}
        for state in user_states(mirror, 0):
            presence = presences[state.key] = presence_of(state)
            population.users[presence] += 1
        # A user may have several memberships in one group.
        members = {
            (valid_id(member.group_id), valid_id(member.user_id))
            for member in mirror.group_members.values()
        }
        for group_id, user_id in members:
            if isinstance(group_id, int) and user_id in presences:
                queue = group_id if group_id in queues else None
                counts = population.members.setdefault(queue, Counter())
                counts[presences[user_id]] += 1
        for terminal in mirror.terminals.values():
            population.terminals += 1
            population.registered += bool(terminal.registered)
        return population


def presence_of(state: UserState) -> Presence:
    """Return the presence of a user."""
    if state.is_talking:
        return "talking"
    if not state.channels:
        return "free" if state.is_registered else "unregistered"
    is_ringing = all(isinstance(channel.state, Ringing) for channel in state.channels)
    return "ringing" if is_ringing else "busy"
