"""Read a PBX's feed from the Redis stream of redis_fanout.py into typed events.

    python examples/redis_consumer.py --redis redis://127.0.0.1:6379 --group wallboard

It prints a line for each entry and maintains the state of the PBX, which ``--save`` writes to a
file at the end. Each program that reads the stream needs its own ``--group``, for which Redis
stores the position. An entry is acknowledged after it was handled: after a crash, some entries are
delivered a second time, with the same id, and none is lost that the stream still contains.
Needs ``redis``, and not basix_ws_cti.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Key = int | str
Element = dict[str, Any]  # in the shape of basix_ws_cti.to_dict
Call = dict[str, Any]  # the fields of basix_ws_cti.Call

# Entries to request from Redis at a time.
PAGE_SIZE = 100

# Maximum time in seconds for a reply of Redis. The package's own time-out is not used: it loses a
# Ctrl-C now and then (asyncio.wait_for does, before Python 3.12).
REPLY_TIMEOUT = 20


@dataclass(frozen=True)
class Snapshot:
    """The complete state: elements by kind and key, and calls by id."""

    elements: dict[str, dict[Key, Element]]
    calls: dict[str, Call]


@dataclass(frozen=True)
class Change:
    """An element was ``added``, ``changed`` or ``removed`` (``name``).

    ``synthetic``: it happened while the publisher was disconnected.
    """

    name: str
    kind: str
    key: Key
    element: Element
    synthetic: bool


@dataclass(frozen=True)
class Gap:
    """The publisher was disconnected between two times, given in ISO 8601."""

    started: str
    ended: str
    reason: str


@dataclass(frozen=True)
class CallEvent:
    """An event of a call, ``CallStarted`` … ``CallEnded``, with the other fields of the event."""

    name: str
    call: Call
    details: dict[str, Any]


Event = Snapshot | Change | Gap | CallEvent


def decode(event: str, data: str) -> Event:
    """Return the typed event of a stream entry."""
    values: dict[str, Any] = json.loads(data)
    match event:
        case "snapshot":
            kinds = values["elements"].items()
            elements = {kind: dict(pairs) for kind, pairs in kinds}
            return Snapshot(elements, {call["id"]: call for call in values["calls"]})
        case "added" | "changed" | "removed":
            return Change(event, **values)
        case "gap":
            return Gap(**values)
    return CallEvent(event, values.pop("call"), values)


@dataclass
class PbxState:
    """Elements and calls of the PBX after the entry with the id ``last``."""

    elements: dict[str, dict[Key, Element]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    last: tuple[int, int] = (0, 0)

    def apply(self, entry_id: str, event: Event) -> None:
        """Apply an entry, unless it is not newer than the last one."""
        run, _, number = entry_id.partition("-")
        if self.last >= (position := (int(run), int(number))):
            return  # delivered a second time, or included in the state from the start
        self.last = position
        match event:
            case Snapshot(elements, calls):
                self.elements, self.calls = elements, calls
            case Change("removed", kind, key):
                self.elements.get(kind, {}).pop(key, None)
            case Change(_, kind, key, element):
                self.elements.setdefault(kind, {})[key] = element
            case CallEvent("CallEnded", call):
                self.calls.pop(call["id"], None)
            case CallEvent(_, call):
                self.calls[call["id"]] = call


class Reader:
    """Reader of a Redis stream, for one consumer group."""

    def __init__(self, redis: Redis, stream: str, group: str) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group

    async def current_state(self) -> PbxState:
        """Return the state at the end of the stream: the newest snapshot and all later entries."""
        entries: list[tuple[str, Event]] = []
        before = "+"
        while not entries or not isinstance(entries[-1][1], Snapshot):
            page: Any = await self._redis.xrevrange(self._stream, before, count=PAGE_SIZE)
            if not page:
                break  # nothing has been published yet
            for entry_id, fields in page:
                entries.append((entry_id, decode(**fields)))
                if isinstance(entries[-1][1], Snapshot):
                    break
            before = f"({entries[-1][0]}"
        state = PbxState()
        for entry_id, event in reversed(entries):
            state.apply(entry_id, event)
        return state

    async def entries(self) -> AsyncIterator[tuple[str, Event]]:
        """Yield the entries that this group has not acknowledged, then new ones as they arrive.

        Entries are acknowledged page by page, once the last one of a page was handled.
        """
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # "BUSYGROUP": the group exists already
                raise
        after = "0"  # entries delivered before and not acknowledged
        while True:
            async with asyncio.timeout(REPLY_TIMEOUT):
                reply: Any = await self._redis.xreadgroup(
                    self._group, "reader", {self._stream: after}, count=PAGE_SIZE, block=1000
                )
            entries = reply[0][1] if reply else []
            if not entries:
                after = ">"  # entries not delivered to the group yet
                continue
            for entry_id, fields in entries:
                if fields:  # empty if the stream has dropped the entry
                    yield entry_id, decode(**fields)
            await self._redis.xack(self._stream, self._group, *(one for one, _ in entries))


def describe(event: Event) -> str:
    """Return one line about an event."""
    match event:
        case Snapshot(elements, calls):
            return f"snapshot: {sum(map(len, elements.values()))} elements, {len(calls)} calls"
        case Change(name, kind, key):
            return f"{kind} {key} {name}"
        case Gap(started, ended, reason):
            return f"the publisher was disconnected from {started} to {ended}: {reason}"
        case CallEvent(name, call):
            return f"{name} {call['id']}"


async def read(options: argparse.Namespace) -> None:
    # Containers and systemd end a program with SIGTERM; the first process would ignore it.
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # type: ignore[union-attr]
    async with Redis.from_url(
        options.redis, decode_responses=True, protocol=2, socket_timeout=None
    ) as redis:
        reader = Reader(redis, options.stream, options.group)
        state = await reader.current_state()
        try:
            async for entry_id, event in reader.entries():
                state.apply(entry_id, event)
                # One write including the line end: if killed here, no partial line is left.
                sys.stdout.write(f"{entry_id} {describe(event)}\n")
                sys.stdout.flush()
        finally:
            if options.save:
                content = {
                    "calls": [*state.calls.values()],
                    "elements": {
                        kind: [*by_key.values()] for kind, by_key in state.elements.items()
                    },
                }
                options.save.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="URL of the Redis server")
    parser.add_argument("--stream", default="basix", help="key of the stream")
    parser.add_argument(
        "--group", default="consumer", help="consumer group: a name for this program"
    )
    parser.add_argument(
        "--save", type=Path, help="file to write the state of the PBX to at the end"
    )
    options = parser.parse_args()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(read(options))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader is gone, as with `| head`: nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (RedisError, TimeoutError) as error:
        sys.exit(f"redis_consumer: {str(error) or 'no reply from Redis'}")


if __name__ == "__main__":
    main()
