"""``python -m basix_ws_cti.simulator``: a simulated PBX, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys

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
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    logging.getLogger(__package__).setLevel(logging.INFO)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(options))
        except (ValueError, OSError, ImportError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")


async def _run(options: argparse.Namespace) -> None:
    async with Simulator(
        domain=options.domain,
        token=options.token,
        port=options.port,
        speed=options.speed,
        seed=options.seed,
        rate=options.rate,
        calls=not options.quiet,
        users=options.users,
        otp=options.otp,
        older=options.older,
        compressed=options.compressed,
        tls=options.tls,
        api=True,
    ) as pbx:
        print(f"feed:   {pbx.url}/basix/api/ws_cti?app_name=…")  # noqa: T201 - a command's output
        print(f"API:    {pbx.api_url}/basix/api/gen_ws_ticket")  # noqa: T201
        print(f"domain: {options.domain}, token: {options.token}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
