"""What the larger examples share: which PBX they look at, and how they end.

With BASIX_SERVER, BASIX_DOMAIN and BASIX_TOKEN set it is a real PBX, else the built-in
simulator, made for the occasion.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basix_ws_cti import BasixError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


@contextlib.asynccontextmanager
async def feed(app_name: str) -> AsyncIterator[dict[str, Any]]:
    """Arguments for a ``Client``."""
    if os.environ.get("BASIX_SERVER"):
        names = ("server", "domain", "token")
        found = {name: os.environ.get(f"BASIX_{name.upper()}") for name in names}
        if not all(found.values()):
            raise UsageError("BASIX_SERVER goes with BASIX_DOMAIN and BASIX_TOKEN")
        yield {**found, "app_name": app_name}
        return
    from basix_ws_cti.simulator import Simulator  # noqa: PLC0415 - a real PBX does without

    async with Simulator(speed=10, seed=1) as pbx:
        yield pbx.connect_args


def run(work: Coroutine[Any, Any, None], seconds: float | None = None) -> None:
    """Work for so many seconds, or until Ctrl-C; what ends it otherwise is said in one line."""

    async def timed() -> None:
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                await work
        except TimeoutError:
            if not timer.expired():
                raise

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(timed())
    except BasixError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
