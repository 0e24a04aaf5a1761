"""Publish a PBX's feed to a Redis stream, for more readers than the PBX allows connections.

    python examples/redis_fanout.py --redis redis://127.0.0.1:6379 --stream basix

Each entry of the stream has an ``event`` (``snapshot``; ``added``, ``changed``, ``removed``,
``gap``; ``CallStarted`` … ``CallEnded``) and its ``data`` as JSON. Each run of this program begins
with a snapshot of the complete state, and repeats it from time to time, so that the stream always
contains one.

This program chooses the ids of the entries, ``RUN-NUMBER``. Redis refuses an id that is not
higher than the last one. So an entry that is appended again after a lost connection is not
duplicated, and an older publisher that is still running cannot append any more. If Redis is not
available for more than a few seconds, this program exits with an error: let a supervisor restart
it. Needs ``redis``. redis_consumer.py reads the stream. feed.py chooses the PBX.
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

# Approximate number of entries that the stream keeps. A reader that falls further behind loses
# some.
MAX_ENTRIES = 100_000

# Entries between two snapshots; few enough that the stream always contains a snapshot.
SNAPSHOT_INTERVAL = MAX_ENTRIES // 10

# Maximum time in seconds for a reply of Redis. The package's own time-out is not used: it loses a
# Ctrl-C now and then (asyncio.wait_for does, before Python 3.12).
REPLY_TIMEOUT = 20


def entry(item: Added | Changed | Removed | Gap | CallEvent) -> tuple[str, dict[str, Any]]:
    """Return the ``event`` and ``data`` of the stream entry for a change, gap or call event."""
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
    """Return the entry with all elements and calls.

    Elements are pairs of key and element, since JSON would turn integer keys of an object into
    texts.
    """
    elements = {
        kind: [[key, to_dict(element)] for key, element in client.mirror[kind].items()]
        for kind in client.mirror
    }
    calls = [attrs.asdict(call) for call in client.calls.values()]
    return "snapshot", {"elements": elements, "calls": calls}


class Stream:
    """Writer of a Redis stream."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._run = 0
        self._number = 0

    async def newest(self) -> tuple[int, int]:
        """Return the id of the newest entry; ``(0, 0)``: the stream is empty."""
        entries: Any = await self._redis.xrevrange(self._name, count=1)
        run, _, number = (entries[0][0] if entries else "0-0").partition("-")
        return int(run), int(number)

    async def begin(self) -> None:
        """Take over from any other publisher: use ids that are higher than its ids."""
        run, _ = await self.newest()
        self._run = max(time.time_ns() // 1000, run + 1)

    async def append(self, entries: list[tuple[str, dict[str, Any]]]) -> None:
        """Append entries in one transaction.

        Raises ``RedisError`` if another publisher has taken over.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            for event, data in entries:
                self._number += 1
                pipe.xadd(
                    self._name,
                    {"event": event, "data": json.dumps(data, ensure_ascii=False)},
                    id=f"{self._run}-{self._number}",
                    maxlen=MAX_ENTRIES,
                    approximate=True,
                )
            try:
                async with asyncio.timeout(REPLY_TIMEOUT):
                    await pipe.execute()
            except ResponseError:
                newest = await self.newest()
                if newest[0] > self._run:
                    raise RedisError("another publisher has taken over") from None
                # The entries are in the stream already if only the reply to the first attempt was
                # lost.
                if newest != (self._run, self._number):
                    raise


def connect(url: str) -> Redis:
    """Return a Redis client that retries for a few seconds after a lost connection."""
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
        pending: list[Any] = []
        client.on_change(pending.append)
        client.on_call(pending.append)
        stream = Stream(redis, name)
        async with client:
            await client.synced()
            await stream.begin()
            pending.clear()  # the snapshot includes them
            await stream.append([snapshot(client)])
            print(f"publishing to {name}", flush=True)
            since_snapshot = 0
            while True:
                # Raises the error that stopped the client, if it stops.
                await client.wait_for(lambda _: pending)
                entries = [entry(item) for item in pending]
                pending.clear()
                since_snapshot += len(entries)
                if since_snapshot >= SNAPSHOT_INTERVAL:
                    entries.append(snapshot(client))  # includes all entries before it
                    since_snapshot = 0
                await stream.append(entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="URL of the Redis server")
    parser.add_argument("--stream", default="basix", help="key of the stream")
    options = parser.parse_args()
    try:
        run(publish(options.redis, options.stream))
    except (RedisError, TimeoutError) as error:
        sys.exit(f"redis_fanout: {str(error) or 'no reply from Redis'}")


if __name__ == "__main__":
    main()
