"""``python -m basix_ws_cti.simulator``: a simulated PBX, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from .server import Simulator


def main() -> None:
    """Run a simulator, and print where it is and a line for each connection."""
    parser = argparse.ArgumentParser(prog="basix_ws_cti.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="to listen on (default 8765)")
    parser.add_argument("--rate", type=float, default=9, help="calls that begin in a minute")
    parser.add_argument("--speed", type=float, default=1, help="of its time (default 1: as ours)")
    parser.add_argument("--seed", type=int, default=0, help="a day of its own for each number")
    parser.add_argument("--users", type=int, default=5, help="in groups of ten (default 5)")
    parser.add_argument("--domain", default="demo", help="that clients show (default demo)")
    parser.add_argument("--token", default="simulated", help="that clients show")
    parser.add_argument("--otp", type=int, choices=(25, 26), default=25, help="of the server")
    parser.add_argument("--older", action="store_true", help="an older server's kinds")
    parser.add_argument("--compressed", action="store_true", help="compress frames")
    parser.add_argument("--quiet", action="store_true", help="no calls by themselves")
    parser.add_argument("--tls", action="store_true", help="wss://, with a new certificate")
    options = vars(parser.parse_args())
    calls = not options.pop("quiet")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what its encoding lacks is no error
    try:
        pbx = Simulator(**options, calls=calls, api=True)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(pbx, f"domain: {options['domain']}, token: {options['token']}"))
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


async def serve(pbx: Simulator, credentials: str) -> None:
    """Print where a PBX is, ``credentials``, and a line for each connection; without end.

    Raises what entering the PBX's block raises, and ``BrokenPipeError`` when nobody reads.
    """
    unread = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with pbx:
        print(f"feed:   {pbx.url}/basix/api/ws_cti?app_name=…")  # noqa: T201 - a command's output
        print(f"API:    {pbx.api_url}/basix/api/gen_ws_ticket")  # noqa: T201
        print(credentials, flush=True)  # noqa: T201
        with _told(lambda: loop.call_soon_threadsafe(unread.set)):
            await unread.wait()
    raise BrokenPipeError(errno.EPIPE, "nobody reads what is printed")


class _Lines(logging.StreamHandler[TextIO]):
    """What is logged, as lines of stdout; ``on_unread`` is called when they can't be written."""

    def __init__(self, on_unread: Callable[[], object]) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        self._on_unread = on_unread

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self._on_unread()


@contextlib.contextmanager
def _told(on_unread: Callable[[], object]) -> Iterator[None]:
    """What the simulator logs is printed, and goes nowhere else."""
    logger = logging.getLogger("basix_ws_cti.simulator")
    before = logger.level, logger.propagate
    lines = _Lines(on_unread)
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before[0])
        logger.propagate = before[1]


if __name__ == "__main__":
    main()
