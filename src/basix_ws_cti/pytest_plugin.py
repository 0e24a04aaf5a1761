"""Fixtures for tests of what is built on the feed: a simulated PBX, and its frames.

pytest loads this by itself. Nothing of the simulator is imported before a test asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .simulator import Simulator


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "basix_pbx(**parameters): what the basix_pbx fixture's Simulator is made with"
    )


@pytest.fixture
def basix_pbx(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A running ``Simulator``, in a thread of its own: for asyncio and for plain tests.

    Nothing happens in it but what the test lets happen (``calls=False``). The marker
    ``basix_pbx`` gives it other parameters: ``@pytest.mark.basix_pbx(users=20, otp=26)``.
    """
    from .simulator import Simulator  # noqa: PLC0415 - loads asyncio, websockets and bert

    marker = request.node.get_closest_marker("basix_pbx")
    with Simulator(**{"calls": False, **(marker.kwargs if marker else {})}) as pbx:
        yield pbx


@pytest.fixture
def basix_frames() -> Callable[..., list[bytes]]:
    """Sessions as bytes: ``basix_frames("parked", seed=3)``; see ``simulator.frames``."""
    from .simulator import frames  # noqa: PLC0415

    return frames
