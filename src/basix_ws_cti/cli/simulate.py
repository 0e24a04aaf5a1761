"""``simulate``: a simulated PBX, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer


def simulate(
    port: Annotated[int, typer.Option(help="to listen on", min=0, max=65535)] = 8765,
) -> None:
    """A simulated PBX, until Ctrl-C."""
    import asyncio

    from basix_ws_cti.simulator import Simulator

    from .source import run

    async def serve() -> None:
        async with Simulator(port=port, api=True) as pbx:
            typer.echo(f"feed: {pbx.url}")
            await asyncio.Event().wait()

    run(serve())
