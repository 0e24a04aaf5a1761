"""A large call centre, live through ``Client``: ``python tests/benchmarks/scale.py``.

A simulated PBX in a separate process has 20,000 users and 2,000 channels of connected calls. It
ends the oldest calls and begins new ones, and so sends 2,000 events a second, for which it needs
half of a core. One client keeps its mirror, follows calls, logs them to SQLite, and has 20
subscribers. The command prints what that costs: CPU, memory at a quarter of the time and at its
end, the longest block of the event loop, and the lag from an event at the PBX to the callback.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import attrs
import workload
from attrs import define, field, frozen
from live import TIMEOUT, Held, watched
from measure import cpu_since
from server import PAUSE_SECONDS, announce_and_serve, separate_server, serialise
from websockets.asyncio.server import ServerConnection

from basix_ws_cti import Channel, Client
from basix_ws_cti.calllog import CallLog
from basix_ws_cti.calls import CallEnded, CallEvent
from basix_ws_cti.simulator import Pbx, scenarios

# Seconds between two writes of the PBX.
TICK = 0.01

# Ticks that a PBX makes up for at once if it is late. It must answer pings in time.
LATE_TICKS = 10


@frozen(kw_only=True)
class Load:
    """Size of the call centre, and the time for which it is observed."""

    users: int = 20_000
    channels: int = 2000
    rate: int = 2000  # events per second
    subscribers: int = 20
    seconds: float = 60.0


@define
class Result:
    """What a client of this load costs."""

    cpu: float = 0.0
    """CPU seconds of the client's process."""
    seconds: float = 0.0
    """Seconds in which it took them."""
    events: int = 0
    """Number of events that a callback received."""
    changes: list[int] = field(factory=list)
    """Number of changes that each subscriber received."""
    calls: int = 0
    """Number of ended calls that were logged."""
    memory: tuple[float, float] = (0.0, 0.0)
    """Memory of the process in MB after a quarter of the time, and at its end."""
    held: Held = field(factory=Held)
    """Longest times for which the event loop was blocked."""
    lags: list[float] = field(factory=list)
    """Seconds from the start of a channel at the PBX to the callback, for each new channel."""


class BusyPbx:
    """A simulated PBX with calls that end and begin, one after another."""

    def __init__(self, load: Load) -> None:
        self.pbx = Pbx()
        self.pbx.now = time.time_ns() // 1000
        scenarios.populate(self.pbx, load.users)
        callers = itertools.cycle(workload.callers(1))
        self._begin = lambda user: self._talk(next(callers), user)
        self._calls = deque(
            self._begin(user) for user in [*self.pbx.users.values()][: load.channels // 2]
        )
        self.opening = workload.opening_of(self.pbx)
        self._frames = workload.watch(self.pbx)

    def _talk(self, caller, user):
        lead = self.pbx.receive(caller, "0501234567")
        self.pbx.connect(self.pbx.call_user(lead, user))
        return lead, user

    def events(self, count: int) -> list[bytes]:
        """Return the frames of the next ``count`` events."""
        self.pbx.now = time.time_ns() // 1000
        while len(self._frames) < count:
            lead, user = self._calls.popleft()
            self.pbx.hang_up(lead)
            self._calls.append(self._begin(user))
        taken = self._frames[:count]
        del self._frames[:count]
        return taken


async def serve_load(load: Load, pipe: Connection) -> None:
    """Send events at the given rate to one client."""
    busy = BusyPbx(load)

    async def handle(client: ServerConnection) -> None:
        client.transport.write(serialise(busy.opening))
        await asyncio.sleep(PAUSE_SECONDS)
        began, sent, passed = time.perf_counter(), 0, 0.0
        while passed < load.seconds:
            await asyncio.sleep(TICK)
            passed = time.perf_counter() - began
            due = min(int(passed * load.rate) - sent, int(load.rate * TICK * LATE_TICKS))
            client.transport.write(serialise(busy.events(due)))
            sent += due
        await client.close()

    await announce_and_serve(handle, pipe)


def memory() -> float:
    """Return the memory of this process in MB; where the system does not show it, its maximum."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


async def observe(load: Load, port: int, log: CallLog, result: Result) -> None:
    """Run the client until the PBX closes the connection."""
    ended = asyncio.Event()
    client = Client(f"ws://127.0.0.1:{port}", app_name="scale")

    def on_event(_kind: str, element: object, event_name: str) -> None:
        result.events += 1
        if event_name == "added" and type(element) is Channel and element.offer_timestamp:
            result.lags.append(time.time() - element.offer_timestamp / 1e6)

    def on_call(event: CallEvent) -> None:
        if isinstance(event, CallEnded):
            log.add(event.call)
            result.calls += 1

    async def subscribe(number: int) -> None:
        async for _ in client.changes():
            result.changes[number] += 1

    client.on_call(on_call)
    result.changes = [0] * load.subscribers
    async with client:
        await client.synced()
        client.on_info_event(on_event)
        client.on_state(lambda _: ended.set())
        tasks = [asyncio.create_task(subscribe(number)) for number in range(load.subscribers)]
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(load.seconds / 4)
        quarter = memory()
        await ended.wait()
        result.cpu, result.seconds = cpu_since(cpu), time.perf_counter() - began
        result.memory = quarter, memory()
    await asyncio.gather(*tasks, return_exceptions=True)


def measure(load: Load) -> Result:
    """Observe a call centre with this load."""
    result = Result()

    async def logged(port: int, folder: str) -> None:
        async with CallLog(str(Path(folder) / "calls.db")) as log:
            await observe(load, port, log, result)

    with separate_server(serve_load, load) as port, tempfile.TemporaryDirectory() as folder:
        result.held = watched(logged(port, folder), load.seconds + TIMEOUT)
    return result


def table(result: Result) -> str:
    """Return the figures as lines of text."""
    quarter, end = result.memory
    cuts = statistics.quantiles(result.lags, n=100) if len(result.lags) > 1 else [0.0] * 99
    rows = {
        "events received": f"{result.events:,}, {result.events / result.seconds:,.0f} a second",
        "changes received, least and most": f"{min(result.changes):,} {max(result.changes):,}",
        "calls logged": f"{result.calls:,}",
        "CPU": f"{result.cpu / result.seconds:.0%} of a core",
        "CPU for each event": f"{result.cpu / max(result.events, 1) * 1e6:.0f} µs",
        "memory at a quarter of the time": f"{quarter:.0f} MB",
        "memory at the end": f"{end:.0f} MB, {end / quarter - 1:+.1%}",
        "longest step of the event loop": f"{result.held.step * 1e3:.1f} ms of CPU time",
        "longest wait of another task": f"{result.held.wait * 1e3:.1f} ms",
        "longest garbage collection": f"{result.held.collection * 1e3:.1f} ms",
        "lag, median": f"{cuts[49] * 1e3:.1f} ms",
        "lag, 99th percentile": f"{cuts[98] * 1e3:.1f} ms",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in attrs.asdict(Load()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, metavar="N")
    load = Load(**vars(parser.parse_args(arguments)))
    print(table(measure(load)))


if __name__ == "__main__":
    main()
