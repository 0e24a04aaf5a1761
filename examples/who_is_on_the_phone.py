"""A wallboard in thirty lines: the users of each group who are talking, and with which number.

It connects to the PBX in BASIX_SERVER, BASIX_DOMAIN and BASIX_TOKEN. Without BASIX_SERVER it
starts the built-in simulator. Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
from typing import Any

from basix_ws_cti import BasixError, Client, Mirror
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.states import Bridged


def board(mirror: Mirror) -> str:
    lines = []
    for group in mirror.groups.values():
        talking = {
            user.label: leg.other_info.address
            for user in mirror.members_of_group(group.id or 0)
            for leg in mirror.channels_of_user(user.id or 0)
            if isinstance(leg.state, Bridged) and leg.other_info
        }
        pairs = ", ".join(f"{user} with {number}" for user, number in talking.items())
        lines.append(f"{group.label}: {len(talking)} on the phone {pairs}".rstrip())
    return "\n".join(lines)


async def watch(arguments: dict[str, Any]) -> None:
    shown = ""
    async with Client(**arguments, full_events=True) as client:
        async for _ in client.changes():
            if (now := board(client.mirror)) != shown:
                print(shown := now, flush=True)


async def main() -> None:
    # Containers and systemd end a program with SIGTERM; the first process would ignore it.
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # type: ignore[union-attr]
    if os.environ.get("BASIX_SERVER"):
        names = ("server", "domain", "token")
        real = {name: os.environ.get(f"BASIX_{name.upper()}") for name in names}
        await watch({**real, "app_name": "who_is_on_the_phone"})
    async with Simulator(speed=5, seed=1) as pbx:
        await watch(pbx.connect_args)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals that cannot show Japanese
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader is gone, as with `| head`: nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BasixError as error:
        sys.exit(f"who_is_on_the_phone: {error}")
