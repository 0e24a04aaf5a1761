"""Publish a PBX's feed to a Redis stream: the PBX allows two connections, and many want it.

    python examples/redis_fanout.py --redis redis://127.0.0.1:6379 --stream basix

An entry of the stream has an ``event`` (``snapshot``; ``added``, ``changed``, ``removed``, ``gap``;
``CallStarted`` … ``CallEnded``) and its ``data``, as JSON. It begins with a snapshot of all there
is, and so does each run of this program; more come in between, so that a reader never has to
look further back than the stream reaches.

Entries' ids are ours, ``RUN-NUMBER``: what is appended again after a broken connection is refused
by Redis, and so is whatever a forgotten second publisher appends. When Redis is away for more
than a few seconds, this program ends, with an error: have it started again, as after a
crash. Needs ``redis``. Its reader: redis_consumer.py. Which PBX: see feed.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs
from feed import feed, run
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from basix_ws_cti import Added, Changed, Client, Gap, Removed, to_dict

if TYPE_CHECKING:
    from basix_ws_cti import CallEvent

# Entries that the stream keeps, about. A reader that is away for longer misses some.
KEPT = 100_000

# Entries between two snapshots; a tenth of what is kept, so that there is always one.
BETWEEN_SNAPSHOTS = KEPT // 10

# Seconds that Redis has for an answer. The package's own time-out loses a Ctrl-C now and then
# (asyncio.wait_for does, before Python 3.12).
PATIENCE = 20


def entry(item: Added | Changed | Removed | Gap | CallEvent) -> tuple[str, dict[str, Any]]:
    """The name and the data of what happened."""
    match item:
        case Added(kind, element, synthetic) | Removed(kind, element, synthetic):
            pass
        case Changed(kind, element, _, synthetic):
            pass
        case Gap(started, ended, reason):
            times = {"started": started.isoformat(), "ended": ended.isoformat()}
            return "gap", {**times, "reason": type(reason).__name__}
        case event:
            return type(event).__name__, attrs.asdict(event)
    data = {"kind": kind, "key": element.key, "element": to_dict(element), "synthetic": synthetic}
    return type(item).__name__.lower(), data


def snapshot(client: Client) -> tuple[str, dict[str, Any]]:
    """All there is. Keys stand beside their elements: as names in JSON, numbers become texts."""
    elements = {
        kind: [[key, to_dict(element)] for key, element in client.mirror[kind].items()]
        for kind in client.mirror
    }
    calls = [attrs.asdict(call) for call in client.calls.values()]
    return "snapshot", {"elements": elements, "calls": calls}


class Stream:
    """The writing end of a stream."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._run = 0
        self._number = 0

    async def newest(self) -> tuple[int, int]:
        """The newest entry's id."""
        entries: Any = await self._redis.xrevrange(self._name, count=1)
        run, _, number = (entries[0][0] if entries else "0-0").partition("-")
        return int(run), int(number)

    async def begin(self) -> None:
        """Be the publisher from now on, whoever was it before."""
        run, _ = await self.newest()
        self._run = max(time.time_ns() // 1000, run + 1)

    async def append(self, entries: list[tuple[str, dict[str, Any]]]) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            for event, data in entries:
                self._number += 1
                pipe.xadd(
                    self._name,
                    {"event": event, "data": json.dumps(data, ensure_ascii=False)},
                    id=f"{self._run}-{self._number}",
                    maxlen=KEPT,
                    approximate=True,
                )
            try:
                async with asyncio.timeout(PATIENCE):
                    await pipe.execute()
            except ResponseError:
                newest = await self.newest()
                if newest[0] > self._run:
                    raise RedisError("another publisher has taken over") from None
                # Ours are in it already when the answer to the first attempt was lost.
                if newest != (self._run, self._number):
                    raise


def connect(url: str) -> Redis:
    """Redis, asked again for a few seconds when the connection is lost."""
    return Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        socket_timeout=None,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), 8),
        retry_on_error=[RedisConnectionError],
    )


async def publish(url: str, name: str) -> None:
    async with feed("redis_fanout") as pbx, connect(url) as redis:
        client = Client(**pbx, full_events=True)
        happened: list[Any] = []
        client.on_change(happened.append)
        client.on_call(happened.append)
        stream = Stream(redis, name)
        async with client:
            await client.synced()
            await stream.begin()
            happened.clear()  # the snapshot says it all
            await stream.append([snapshot(client)])
            print(f"publishing to {name}", flush=True)
            since_snapshot = 0
            while True:
                # It raises what stopped the client.
                await client.wait_for(lambda _: happened)
                entries = [entry(item) for item in happened]
                happened.clear()
                since_snapshot += len(entries)
                if since_snapshot >= BETWEEN_SNAPSHOTS:
                    entries.append(snapshot(client))  # of this moment, and nothing is left out
                    since_snapshot = 0
                await stream.append(entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="its URL")
    parser.add_argument("--stream", default="basix", help="its key")
    options = parser.parse_args()
    try:
        run(publish(options.redis, options.stream))
    except (RedisError, TimeoutError) as error:
        sys.exit(f"redis_fanout: {str(error) or 'Redis does not answer'}")


if __name__ == "__main__":
    main()
