"""Part of the call centre that a view shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from basix_ws_cti.board.model import BoardState
from basix_ws_cti.board.queues import QueueState
from basix_ws_cti.board.users import UserState
from basix_ws_cti.calls import Call

from .view_key import Selection, ViewKey


@frozen(eq=False)
class Selected:
    """Queues, users and calls of a view at one moment."""

    queues: Mapping[int | str, QueueState]
    """Queues, by the group's id."""

    users: tuple[UserState, ...]
    """Users."""

    calls: tuple[Call, ...]
    """Calls that wait or waited in one of the queues, or in which one of the users takes part."""

    is_everything: bool
    """True if nothing is filtered."""

    def has_parked(self, call_id: str | None, parker: Any) -> bool:
        """Return True if the view shows a parked call.

        - ``call_id``: id of the call; ``None``: it is unknown.
        - ``parker``: id of the user who parked it; ``None``: unknown.
        """
        if self.is_everything:
            return True
        return any(call.id == call_id for call in self.calls) or any(
            user.key == parker for user in self.users
        )


def select(state: BoardState, key: ViewKey, members: Mapping[Any, list[Any]]) -> Selected:
    """Return the part of a state that a view shows; ``members`` has the groups of each user."""
    parts = [one for one in (key.selection.within(key.bound), key.bound) if not one.is_everything]
    if not parts:
        return Selected(state.queues, state.users, tuple(state.calls.values()), is_everything=True)
    queues = {
        group: queue
        for group, queue in state.queues.items()
        if all(_shows_queue(part, group, members) for part in parts)
    }
    users = tuple(
        user for user in state.users if all(_shows_user(part, user.key, members) for part in parts)
    )
    user_ids = {user.key for user in users}
    calls = tuple(call for call in state.calls.values() if _takes_part(call, {*queues}, user_ids))
    return Selected(queues, users, calls, is_everything=False)


def _shows_queue(part: Selection, group: Any, members: Mapping[Any, list[Any]]) -> bool:
    if part.queues is not None:
        return str(group) in part.queues
    return part.users is None or any(
        group in members.get(user, ()) for user in members if str(user) in part.users
    )


def _shows_user(part: Selection, user: Any, members: Mapping[Any, list[Any]]) -> bool:
    if part.users is not None:
        return str(user) in part.users
    return part.queues is None or any(str(group) in part.queues for group in members.get(user, ()))


def _takes_part(call: Call, queues: set[Any], users: set[Any]) -> bool:
    if any(leg.party.user_id in users for leg in call.legs):
        return True
    return any(phase.kind == "queued" and phase.party.group_id in queues for phase in call.phases)
