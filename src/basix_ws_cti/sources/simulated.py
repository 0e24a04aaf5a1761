"""Source for a simulated PBX, which runs in the same process for as long as it is used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from basix_ws_cti.client.client import Client

from .live import LiveSource, open_live_source
from .source import Notice


@frozen(kw_only=True)
class SimulatedPbx:
    """Running simulated PBX."""

    connect_args: dict[str, Any]
    """Keyword arguments with which ``connect`` and ``Client`` reach the PBX."""

    clock: Callable[[], datetime]
    """Function that returns the simulated time, which may pass faster than real time."""


@contextlib.asynccontextmanager
async def run_simulated_pbx(*, speed: float = 1, seed: int = 0) -> AsyncIterator[SimulatedPbx]:
    """Run a simulated PBX for the duration of the block.

    - ``speed``: simulated seconds per real second.
    - ``seed``: seed of the simulated day; equal seeds give equal days.
    """
    from basix_ws_cti.simulator import Simulator

    async with Simulator(speed=speed, seed=seed) as simulator:
        yield SimulatedPbx(
            connect_args=simulator.connect_args,
            clock=lambda: datetime.fromtimestamp(simulator.now / 1_000_000, UTC),
        )


@contextlib.asynccontextmanager
async def open_simulated_source(
    *,
    speed: float = 1,
    seed: int = 0,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AsyncIterator[LiveSource[Client]]:
    """Run a simulated PBX and provide the feed of all its channels for the block's duration.

    ``speed`` and ``seed`` are those of ``run_simulated_pbx``, ``on_notice`` and
    ``client_options`` those of ``open_live_source``. Times are simulated ones.
    """
    async with (
        run_simulated_pbx(speed=speed, seed=seed) as pbx,
        follow_simulated_pbx(pbx, on_notice=on_notice, **client_options) as source,
    ):
        yield source


def follow_simulated_pbx(
    pbx: SimulatedPbx,
    *,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AbstractAsyncContextManager[LiveSource[Client]]:
    """Provide the feed of all channels of a running simulated PBX for the block's duration.

    ``on_notice`` and ``client_options`` are those of ``open_live_source``. Times are simulated
    ones.
    """
    options = {
        **pbx.connect_args,
        "full_events": True,
        "pbx_time": lambda: pbx.clock().timestamp(),
        **client_options,
    }
    return open_live_source(on_notice=on_notice, clock=pbx.clock, **options)
