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

# Every state, with its parts in their order.
EVERY = [
    (Connecting, {"attempt": 1}),
    (Syncing, {}),
    (Synced, {}),
    (Disconnected, {"reason": REASON, "retry_in": 1.5}),
    (Stopped, {"reason": None}),
]

FIGURES = {
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


@pytest.mark.parametrize(("cls", "parts"), EVERY)
def test_states_are_matched_by_position_and_by_name(cls, parts):
    """A state is made, compared and matched by its parts, and can't be changed."""
    state = cls(*parts.values())
    assert state == cls(**parts)
    assert cls.__match_args__ == tuple(parts)
    assert not any(state == other(**given) for other, given in EVERY if other is not cls)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.reason = None


def test_client_state_is_any_of_them():
    """``ClientState`` names all the states of the module, and nothing else."""
    classes = {
        one for one in vars(status).values() if getattr(one, "__module__", "") == status.__name__
    }
    assert (
        set(typing.get_args(ClientState))
        == classes - {Stats, Gap, Lagged}
        == {cls for cls, _ in EVERY}
    )


def test_figures_go_by_name():
    """Figures have names alone, as nobody remembers an order of ten, and can't be changed."""
    stats = Stats(**FIGURES)
    assert attrs.asdict(stats) == FIGURES
    with pytest.raises(TypeError):
        Stats(*FIGURES.values())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stats.frames = 2
