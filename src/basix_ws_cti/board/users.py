"""Users at one moment: their channels, and if a phone of theirs is registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from basix_ws_cti.elements import AnyChannel, Channel, User
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Ringing, State


@frozen(eq=False)
class UserState:
    """User with the channels that they have now."""

    key: int | str
    """Id of the user."""

    user: User
    """The user."""

    channels: tuple[Channel, ...]
    """Channels of the user. First comes one that talks, last one that rings."""

    is_registered: bool
    """True if a terminal of the user is registered."""

    @property
    def is_talking(self) -> bool:
        """True if the user talks on a channel, or is in a conference."""
        return bool(self.channels) and display_rank(self.channels[0]) == 0

    @property
    def is_free(self) -> bool:
        """True if a terminal of the user is registered, and the user has no channel."""
        return self.is_registered and not self.channels


def user_states(mirror: Mirror, now: int) -> Iterator[UserState]:
    """Yield the state of each user, in the order of the mirror; ``now`` is in microseconds."""
    registered = {
        valid_id(terminal.assoc_user_id)
        for terminal in mirror.terminals.values()
        if terminal.registered
    }
    channels_of_user: dict[Any, list[Channel]] = {}
    for channel in mirror.channels.values():
        channels_of_user.setdefault(valid_id(channel.user_id), []).append(channel)
    for key, user in mirror.users.items():
        channels = sorted(
            channels_of_user.get(key, ()),
            key=lambda channel: (display_rank(channel), state_since(channel, now)),
        )
        yield UserState(key, user, tuple(channels), key in registered)


def display_rank(channel: Channel) -> int:
    """Return 0 for a leg that talks, 2 for one that rings, 1 for all others.

    The wallboard shows a user's leg with the lowest rank.
    """
    name = getattr(channel.state, "name", None)
    if name in {"bridged", "conference"}:
        return 0
    return 2 if isinstance(channel.state, Ringing) else 1


def state_since(channel: AnyChannel, now: int) -> int:
    """Return the time at which a channel entered its state, or ``now`` if that is unknown."""
    state = channel.state
    return state.ts if isinstance(state, State) and isinstance(state.ts, int) else now


def valid_id(value: object) -> int | str | None:
    """Return the value if it can be an id (and a dictionary key), else ``None``."""
    return value if isinstance(value, int | str) else None
