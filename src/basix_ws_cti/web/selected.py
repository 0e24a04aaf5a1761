"""Part of the call centre that a view shows."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from attrs import frozen

from basix_ws_cti.board.model import BoardState
from basix_ws_cti.board.queues import QueueState
from basix_ws_cti.board.users import UserState, valid_id
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

    _call_ids: frozenset[str] = frozenset()
    _user_ids: frozenset[Any] = frozenset()

    def has_parked(self, call_id: str | None, parker: Any) -> bool:
        """Return True if the view shows a parked call.

        - ``call_id``: id of the call; ``None``: it is unknown.
        - ``parker``: id of the user who parked it; ``None``: unknown.
        """
        return self.is_everything or call_id in self._call_ids or valid_id(parker) in self._user_ids


def select(state: BoardState, key: ViewKey, members: Mapping[Any, list[Any]]) -> Selected:
    """Return the part of a state that a view shows; ``members`` has the groups of each user."""
    parts = [one for one in (key.selection.within(key.bound), key.bound) if not one.is_everything]
    if not parts:
        return Selected(state.queues, state.users, tuple(state.calls.values()), is_everything=True)
    shown = set.intersection(*(_queues_shown(part, state.queues, members) for part in parts))
    queues = {group: queue for group, queue in state.queues.items() if group in shown}
    users = tuple(
        user for user in state.users if all(_shows_user(part, user.key, members) for part in parts)
    )
    user_ids = frozenset(user.key for user in users)
    calls = tuple(call for call in state.calls.values() if _takes_part(call, queues, user_ids))
    return Selected(
        queues,
        users,
        calls,
        is_everything=False,
        call_ids=frozenset(call.id for call in calls),
        user_ids=user_ids,
    )


def _queues_shown(
    part: Selection, queues: Iterable[int | str], members: Mapping[Any, list[Any]]
) -> set[int | str]:
    """Return the queues that a part of the selection shows."""
    if part.queues is not None:
        return {group for group in queues if str(group) in part.queues}
    if part.users is None:
        return {*queues}
    return {
        group for user, groups in members.items() if str(user) in part.users for group in groups
    }


def _shows_user(part: Selection, user: Any, members: Mapping[Any, list[Any]]) -> bool:
    if part.users is not None:
        return str(user) in part.users
    return part.queues is None or any(str(group) in part.queues for group in members.get(user, ()))


def _takes_part(call: Call, queues: Container[Any], users: Container[Any]) -> bool:
    if any(leg.party.user_id in users for leg in call.legs):
        return True
    return any(phase.kind == "queued" and phase.party.group_id in queues for phase in call.phases)
