"""Command ``python -m basix_ws_cti.simulator``: run a simulated PBX until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import io
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TextIO

from .simulator import Simulator


def main() -> None:
    """Run a simulator; print its address and a line for each connection."""
    parser = argparse.ArgumentParser(
        prog="basix_ws_cti.simulator", description="Run a simulated PBX until Ctrl-C or SIGTERM."
    )
    parser.add_argument(
        "--port", type=int, default=8765, help="TCP port; 0: any free one (default 8765)"
    )
    parser.add_argument(
        "--rate", type=float, default=9, help="calls per minute of PBX time (default 9)"
    )
    parser.add_argument(
        "--speed", type=float, default=1, help="speed of the PBX's time (default 1: real time)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random calls (default 0)")
    parser.add_argument("--users", type=int, default=5, help="number of users (default 5)")
    parser.add_argument("--domain", default="demo", help="domain of clients (default demo)")
    parser.add_argument("--token", default="simulated", help="token of clients (default simulated)")
    parser.add_argument(
        "--otp", type=int, choices=(25, 26), default=25, help="Erlang/OTP release (default 25)"
    )
    parser.add_argument("--older", action="store_true", help="send the kinds of an older server")
    parser.add_argument("--compressed", action="store_true", help="compress frames")
    parser.add_argument("--quiet", action="store_true", help="make no calls")
    parser.add_argument("--tls", action="store_true", help="use TLS with a new certificate")
    options = vars(parser.parse_args())
    calls = not options.pop("quiet")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # do not fail on a character that stdout's encoding lacks
    try:
        pbx = Simulator(**options, calls=calls)
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(
                _until_terminated(
                    serve(pbx, f"domain: {options['domain']}, token: {options['token']}")
                )
            )
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


async def _until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends, or SIGTERM cancels it.

    The first process of a container ignores SIGTERM unless it has a handler for it.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - for the type checker

    def cancel(*_: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        await work
    finally:
        signal.signal(signal.SIGTERM, before)


async def serve(pbx: Simulator, credentials: str) -> None:
    """Start a simulated PBX and run it until this coroutine is cancelled.

    Prints its addresses and ``credentials``, the text that tells the user how to log in. Raises
    what ``async with pbx`` raises (``OSError`` for a port in use), and ``BrokenPipeError`` once
    stdout is closed.
    """
    stdout_closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with pbx:
        print(f"feed:   {pbx.url}/basix/api/ws_cti?app_name=…")  # noqa: T201 - a command's output
        print(f"API:    {pbx.api_url}/basix/api/gen_ws_ticket")  # noqa: T201
        print(credentials, flush=True)  # noqa: T201
        with _print_log(lambda: loop.call_soon_threadsafe(stdout_closed.set)):
            await stdout_closed.wait()
    raise BrokenPipeError(errno.EPIPE, "stdout is closed: the reader has gone")


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Log handler that writes to stdout; calls ``on_error`` when a line cannot be written."""

    def __init__(self, on_error: Callable[[], object]) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        self._on_error = on_error

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self._on_error()


@contextlib.contextmanager
def _print_log(on_error: Callable[[], object]) -> Iterator[None]:
    """Print what the simulator logs, instead of passing it on to other handlers."""
    logger = logging.getLogger("basix_ws_cti.simulator")
    before = logger.level, logger.propagate
    handler = _StdoutHandler(on_error)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


if __name__ == "__main__":
    main()
