"""pytest fixtures for tests of code that uses the feed: a simulated PBX, and its frames.

pytest loads this module as a plugin. The simulator is only imported when a test uses a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .simulator import Simulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``basix_pbx``."""
    config.addinivalue_line(
        "markers",
        "basix_pbx(**parameters): parameters of the Simulator that the basix_pbx fixture starts",
    )


@pytest.fixture
def basix_pbx(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """Yield a ``Simulator`` that runs in a separate thread, for asyncio and other tests.

    By default ``calls=False``: nothing happens but what the test calls for. The marker
    ``basix_pbx`` gives other parameters: ``@pytest.mark.basix_pbx(users=20, otp=26)``.
    """
    from .simulator import Simulator  # noqa: PLC0415 - loads asyncio, websockets and bert

    marker = request.node.get_closest_marker("basix_pbx")
    with Simulator(**{"calls": False, **(marker.kwargs if marker else {})}) as pbx:
        yield pbx


@pytest.fixture
def basix_frames() -> Callable[..., list[bytes]]:
    """Return ``simulator.frames``: ``basix_frames("parked", seed=3)`` is a list of frames."""
    from .simulator import frames  # noqa: PLC0415

    return frames
