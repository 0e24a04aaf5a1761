"""Conversion of a command's connection options into the feed that they select."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from basix_ws_cti.sources.live import LiveSource
    from basix_ws_cti.sources.source import Notice

    from .options import ConnectionOptions


def open_selected_source(
    connection: ConnectionOptions,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AbstractAsyncContextManager[LiveSource]:
    """Open the feed of the PBX, or of the simulated one, that the options select.

    ``client_options`` are further keyword arguments of ``Client``. Raises ``UsageError`` for
    options that cannot work; entering the block raises what ``Client`` raises.
    """
    if connection.simulate:
        from basix_ws_cti.sources.simulated import open_simulated_source

        return open_simulated_source(
            speed=connection.simulate_speed,
            seed=connection.simulate_seed,
            on_notice=on_notice,
            app_name=connection.app_name,
            **client_options,
        )
    from basix_ws_cti.sources.live import open_live_source

    return open_live_source(on_notice=on_notice, **connection.client_arguments(), **client_options)


@contextlib.asynccontextmanager
async def selected_pbx_arguments(connection: ConnectionOptions) -> AsyncIterator[dict[str, Any]]:
    """Provide the keyword arguments of ``connect`` for the selected PBX, simulated or real.

    A simulated PBX runs for the duration of the block. Raises ``UsageError`` for options that
    cannot work.
    """
    if not connection.simulate:
        yield connection.client_arguments()
        return
    from basix_ws_cti.sources.simulated import run_simulated_pbx

    async with run_simulated_pbx(
        speed=connection.simulate_speed, seed=connection.simulate_seed
    ) as pbx:
        yield {**pbx.connect_args, "app_name": connection.app_name, "full_events": True}
