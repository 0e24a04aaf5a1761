"""Read a PBX's feed from the Redis stream that redis_fanout.py publishes; typed.

    python examples/redis_consumer.py --redis redis://127.0.0.1:6379 --group wallboard

It prints a line for each entry, and keeps the picture of the PBX; ``--save`` writes that to a
file at the end. Each program that wants the feed has a ``--group`` of its own, in which Redis
remembers how far it has read. An entry is acknowledged after it was handled: after a crash some
come a second time, with the same id, and none is left out that the stream still has.
Needs ``redis``, and nothing of basix_ws_cti.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
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

AT_ONCE = 100

# Seconds that Redis has for an answer. The package's own time-out loses a Ctrl-C now and then
# (asyncio.wait_for does, before Python 3.12).
PATIENCE = 20


@dataclass(frozen=True)
class Snapshot:
    """All there is: elements by kind and key, and calls by id."""

    elements: dict[str, dict[Key, Element]]
    calls: dict[str, Call]


@dataclass(frozen=True)
class Change:
    """An element was ``added``, ``changed`` or ``removed``; synthetic: while nobody looked."""

    name: str
    kind: str
    key: Key
    element: Element
    synthetic: bool


@dataclass(frozen=True)
class Gap:
    """The publisher was blind for a while, between two times in ISO 8601."""

    started: str
    ended: str
    reason: str


@dataclass(frozen=True)
class CallEvent:
    """Something happened to a call: ``CallStarted`` … ``CallEnded``, with what is special to it."""

    name: str
    call: Call
    details: dict[str, Any]


Event = Snapshot | Change | Gap | CallEvent


def decode(event: str, data: str) -> Event:
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
class Picture:
    """What the PBX holds, as far as the stream has told, and the id of the last entry in it."""

    elements: dict[str, dict[Key, Element]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    last: tuple[int, int] = (0, 0)

    def take(self, entry_id: str, event: Event) -> None:
        run, _, number = entry_id.partition("-")
        if self.last >= (place := (int(run), int(number))):
            return  # it comes a second time, or was read ahead
        self.last = place
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
    """The reading end of a stream."""

    def __init__(self, redis: Redis, stream: str, group: str) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group

    async def picture(self) -> Picture:
        """The picture at the stream's end: from its newest snapshot, and what came after."""
        entries: list[tuple[str, Event]] = []
        before = "+"
        while not entries or not isinstance(entries[-1][1], Snapshot):
            page: Any = await self._redis.xrevrange(self._stream, before, count=AT_ONCE)
            if not page:
                break  # nobody has published yet
            for entry_id, fields in page:
                entries.append((entry_id, decode(**fields)))
                if isinstance(entries[-1][1], Snapshot):
                    break
            before = f"({entries[-1][0]}"
        picture = Picture()
        for entry_id, event in reversed(entries):
            picture.take(entry_id, event)
        return picture

    async def entries(self) -> AsyncIterator[tuple[str, Event]]:
        """Each entry that this group has not acknowledged, and then each as it comes.

        Asking for the next one acknowledges those before, a handful at a time.
        """
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # else it is there already
                raise
        after = "0"  # what was delivered to us before, and not acknowledged
        while True:
            async with asyncio.timeout(PATIENCE):
                reply: Any = await self._redis.xreadgroup(
                    self._group, "reader", {self._stream: after}, count=AT_ONCE, block=1000
                )
            entries = reply[0][1] if reply else []
            if not entries:
                after = ">"  # what nobody of the group has seen yet
                continue
            for entry_id, fields in entries:
                if fields:  # else the stream has it no more
                    yield entry_id, decode(**fields)
            await self._redis.xack(self._stream, self._group, *(one for one, _ in entries))


def describe(event: Event) -> str:
    match event:
        case Snapshot(elements, calls):
            return f"snapshot: {sum(map(len, elements.values()))} elements, {len(calls)} calls"
        case Change(name, kind, key):
            return f"{kind} {key} {name}"
        case Gap(started, ended, reason):
            return f"the publisher was blind from {started} to {ended}: {reason}"
        case CallEvent(name, call):
            return f"{name} {call['id']}"


async def read(options: argparse.Namespace) -> None:
    async with Redis.from_url(
        options.redis, decode_responses=True, protocol=2, socket_timeout=None
    ) as redis:
        reader = Reader(redis, options.stream, options.group)
        picture = await reader.picture()
        try:
            async for entry_id, event in reader.entries():
                picture.take(entry_id, event)
                # In one piece with its end: a program that is killed here leaves no half a line.
                sys.stdout.write(f"{entry_id} {describe(event)}\n")
                sys.stdout.flush()
        finally:
            if options.save:
                shown = {
                    "calls": [*picture.calls.values()],
                    "elements": {
                        kind: [*those.values()] for kind, those in picture.elements.items()
                    },
                }
                options.save.write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="its URL")
    parser.add_argument("--stream", default="basix", help="its key")
    parser.add_argument("--group", default="consumer", help="this program's name")
    parser.add_argument("--save", type=Path, help="a file for the picture, at the end")
    options = parser.parse_args()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(read(options))
    except (RedisError, TimeoutError) as error:
        sys.exit(f"redis_consumer: {str(error) or 'Redis does not answer'}")


if __name__ == "__main__":
    main()
