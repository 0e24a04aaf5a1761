"""States and statistics of a client."""

from __future__ import annotations

import typing

import attrs
import pytest

from basix_ws_cti.exceptions import ConnectFailed
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.session import status
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stats,
    Stopped,
    Synced,
    Syncing,
)

REASON = ConnectFailed("no route to host")

# Every state with its attributes in order.
STATES = [
    (Connecting, {"attempt": 1}),
    (Syncing, {}),
    (Synced, {}),
    (Disconnected, {"reason": REASON, "retry_in": 1.5}),
    (Stopped, {"reason": None}),
]

VALUES = {
    "frames": 1,
    "bytes": 2,
    "messages": {"Msg": 3},
    "connects": 4,
    "reconnects": 5,
    "gaps": 6,
    "bad_frames": 7,
    "missed": 8,
    "lag": 9,
    "last_frame_age": None,
}


@pytest.mark.parametrize(("cls", "attributes"), STATES)
def test_states_are_matched_by_position_and_by_name(cls, attributes):
    """A state is created, compared and matched by its attributes, and is immutable."""
    state = cls(*attributes.values())
    assert state == cls(**attributes)
    assert cls.__match_args__ == tuple(attributes)
    assert not any(state == other(**others) for other, others in STATES if other is not cls)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.reason = None


def test_client_state_is_the_union_of_all_states():
    classes = {
        one for one in vars(status).values() if getattr(one, "__module__", "") == status.__name__
    }
    assert (
        set(typing.get_args(ClientState))
        == classes - {Stats, Gap, Lagged}
        == {cls for cls, _ in STATES}
    )


def test_stats_are_keyword_only_and_immutable():
    stats = Stats(**VALUES)
    assert attrs.asdict(stats) == VALUES
    with pytest.raises(TypeError):
        Stats(*VALUES.values())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stats.frames = 2
