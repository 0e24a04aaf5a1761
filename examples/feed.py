"""Shared code of the larger examples: choose the PBX, run, report errors in one line.

They connect to the PBX in BASIX_SERVER, BASIX_DOMAIN and BASIX_TOKEN, or else to a simulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basix_ws_cti import BasixError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator


@contextlib.asynccontextmanager
async def feed(app_name: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the arguments of ``Client`` for a real or a simulated PBX."""
    if os.environ.get("BASIX_SERVER"):
        names = ("server", "domain", "token")
        settings = {name: os.environ.get(f"BASIX_{name.upper()}") for name in names}
        if not all(settings.values()):
            raise UsageError("BASIX_SERVER requires BASIX_DOMAIN and BASIX_TOKEN: set all three")
        yield {**settings, "app_name": app_name}
        return
    from basix_ws_cti.simulator import Simulator  # noqa: PLC0415 - not needed for a real PBX

    async with Simulator(speed=10, seed=1) as pbx:
        yield pbx.connect_args


def cancel_on_sigterm() -> None:
    """Let SIGTERM cancel this task. The first process of a container would ignore the signal."""
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # type: ignore[union-attr]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until its end, Ctrl-C or SIGTERM.

    Ctrl-C ends the program with exit code 130, and an error of the library with one line on stderr
    and exit code 1. Otherwise the function returns.
    """

    async def main() -> None:
        cancel_on_sigterm()
        await work

    try:
        with until_reader_leaves(), contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BasixError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")


@contextlib.contextmanager
def until_reader_leaves() -> Iterator[None]:
    """End the block without an error when the reader of the output is gone, as with ``| head``."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout at its end, which must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
