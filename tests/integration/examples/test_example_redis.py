"""Redis examples with a real Redis, and with both sides killed at random moments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from support.example_connections import connection_environment
from support.free_ports import free_port
from support.paths import EXAMPLES
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import NotPossibleError, Simulator
from basix_ws_cti.simulator.scenarios import SCENARIOS

EVENTS, ROUNDS, KILLS = (100_000, 10, 4) if NIGHTLY else (10_000, 2, 2)

pytestmark = pytest.mark.redis


@pytest.fixture
def port(tmp_path):
    """Port of a Redis server that this test starts."""
    port = free_port()
    redis = subprocess.Popen(
        [
            *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--dir", str(tmp_path)),
        ],
        stdout=subprocess.DEVNULL,
    )
    yield port
    redis.terminate()
    redis.wait()


@pytest.fixture
def redis(port):
    with Redis(port=port, decode_responses=True, protocol=2) as redis:

        def answers():
            try:
                return redis.ping()
            except RedisConnectionError:
                return False

        wait_until(answers, "Redis")
        yield redis


@pytest.fixture
def start(port, tmp_path):
    """Return a function that starts an example and writes its output to files."""
    running = []

    def start(name, *arguments, **environment):
        files = f"{name}.{len(running)}"
        with (
            (tmp_path / f"{files}.out").open("wb") as out,
            (tmp_path / f"{files}.err").open("wb") as err,
        ):
            process = subprocess.Popen(
                [
                    *(sys.executable, str(EXAMPLES / name)),
                    *("--redis", f"redis://127.0.0.1:{port}", *arguments),
                ],
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


class Observer:
    """Independent reader of the stream that counts ids and events."""

    def __init__(self, redis):
        self._redis = redis
        self._last = "-"
        self.ids = []
        self.events = Counter()

    def read_new(self, text=""):
        """Read the new entries; return True if one of them contains the text."""
        found = False
        while page := self._redis.xrange("basix", self._last, count=1000):
            for entry_id, fields in page:
                self.ids.append(entry_id)
                self.events[fields["event"]] += 1
                found = found or text in fields["data"]
            self._last = f"({self.ids[-1]}"
        return found


def normalised(kinds):
    """Return elements by kind as sorted lists, from dicts or lists."""
    return {
        kind: sorted(
            group.values() if isinstance(group, dict) else group,
            key=lambda one: json.dumps(one, sort_keys=True),
        )
        for kind, group in kinds.items()
        if group
    }


@pytest.mark.slow
def test_every_entry_is_consumed_although_both_sides_are_killed(redis, start, tmp_path):
    """Publisher and consumer are killed and restarted at random moments.

    Every entry is consumed at least once, duplicates have the same id, and after each round the
    consumer's state equals the PBX: every element, and the calls that ring or are answered.
    """
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    observer = Observer(redis)
    saved = tmp_path / "state.json"
    kills = Counter()
    with Simulator(calls=False, speed=0.001, users=30, seed=seed) as pbx:
        starts = {
            "publisher": lambda: start("redis_fanout.py", **connection_environment(pbx)),
            # Unbuffered output: each print is one write, and may be the last one before a kill.
            "consumer": lambda: start(
                "redis_consumer.py", "--save", str(saved), PYTHONUNBUFFERED="1"
            ),
        }
        processes = {side: begin() for side, begin in starts.items()}
        for number in range(ROUNDS):
            goal = EVENTS * (number + 1) // ROUNDS
            done = len(observer.ids)
            due = sorted(
                (rng.randrange(done, goal), side) for side in processes for _ in range(KILLS)
            )
            while len(observer.ids) < goal or due:
                with contextlib.suppress(NotPossibleError):  # when no user is free
                    pbx.play(rng.choice(list(SCENARIOS)))
                pbx.advance(rng.uniform(0, 5))
                pbx.flood(200)
                time.sleep(0.05)
                observer.read_new()
                if due and len(observer.ids) >= due[0][0]:
                    _, side = due.pop(0)
                    assert processes[side].poll() is None, side
                    wait_until_busy(processes[side], side, pbx, redis)
                    processes[side].kill()
                    processes[side].wait()
                    kills[side] += 1
                    processes[side] = starts[side]()
            pbx.edit("1001", label=f"end of round {number}")
            wait_until(lambda: observer.read_new(f"end of round {number}"), "the publisher")  # noqa: B023
            wait_until(lambda: is_read_to_the_end(redis), "the consumer")
            processes["consumer"].send_signal(signal.SIGINT)
            assert processes["consumer"].wait(TIMEOUT) == 130
            state = json.loads(saved.read_text(encoding="utf-8"))
            expected = pbx.snapshot()
            assert normalised(state["elements"]) == normalised(expected), seed
            legs = Counter(
                leg["uuid"]
                for call in state["calls"]
                for leg in call["legs"]
                if leg["ended"] is None
            )
            busy = {
                uuid
                for uuid, channel in expected["channel"].items()
                if channel["state"]["name"] in {"ringing", "bridged"}
            }
            assert all(legs[uuid] == 1 for uuid in busy), seed
            for call in state["calls"]:
                assert any(leg["uuid"] in expected["channel"] for leg in call["legs"]), seed
            saved.unlink()
            processes["consumer"] = starts["consumer"]()
    consumed = Counter(
        line.partition(b" ")[0].decode()
        for out in tmp_path.glob("redis_consumer.py.*.out")
        for line in out.read_bytes().split(b"\n")[:-1]  # a kill may leave the last one cut
    )
    duplicates = sum(consumed.values()) - len(consumed)
    print(  # noqa: T201
        f"\nappended {len(observer.ids)}, consumed {len(consumed)} "
        f"({len(set(observer.ids) - set(consumed))} missing), {duplicates} duplicates; "
        f"killed {dict(kills)}; converged {ROUNDS} times of {ROUNDS}; {dict(observer.events)}"
    )
    assert len(set(observer.ids)) == len(observer.ids) == appended(redis)
    assert set(consumed) ^ set(observer.ids) == set(), seed
    assert min(kills["publisher"], kills["consumer"]) == KILLS * ROUNDS
    assert [err.read_text() for err in tmp_path.glob("redis_consumer.py.*.err")] == [""] * (
        1 + kills["consumer"] + ROUNDS
    )


def wait_until_busy(process, side, pbx, redis):
    """Wait until a process works on several entries."""
    if side == "publisher":
        pbx.flood(1000)
        time.sleep(random.uniform(0, 0.2))
        return
    process.send_signal(signal.SIGSTOP)
    before = appended(redis)
    while appended(redis) < before + 500:  # the publisher may still be starting
        pbx.flood(200)
        time.sleep(0.05)
    process.send_signal(signal.SIGCONT)
    # The stopped consumer got one entry as it arrived; with more, it is one of the waiting entries.
    wait_until(
        lambda: any(one["pending"] > 1 for one in redis.xinfo_groups("basix")),
        "the consumer",
        interval=0.001,  # the moment is short
    )
    time.sleep(random.uniform(0, 0.005))


def appended(redis):
    """Return how many entries the stream has had, including trimmed ones."""
    return redis.xinfo_stream("basix")["entries-added"] if redis.exists("basix") else 0


def is_read_to_the_end(redis):
    [group] = redis.xinfo_groups("basix")
    last = redis.xinfo_stream("basix")["last-generated-id"]
    return group["last-delivered-id"] == last and group["pending"] == 0


class LossyProxy:
    """Proxy to Redis that loses the reply to the first transaction and the connection."""

    def __init__(self, port):
        self._port = port
        self.lost = 0

    async def serve(self, reader, writer):
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while request := await reader.read(2**16):
                redis_writer.write(request)
                answer = await redis_reader.read(2**16)
                if b"EXEC" in request and not self.lost:
                    self.lost += 1
                    return
                writer.write(answer)
        finally:
            for end in (writer, redis_writer):
                end.close()
                await end.wait_closed()


async def test_repeated_append_is_stored_once(redis, port, monkeypatch):
    """The publisher appends again when the reply to an append is lost."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import redis_fanout

    proxy = LossyProxy(port)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        lossy = server.sockets[0].getsockname()[1]
        async with redis_fanout.connect(f"redis://127.0.0.1:{lossy}") as connection:
            stream = redis_fanout.Stream(connection, "basix")
            await stream.begin()
            await stream.append([("added", {"a": 1}), ("added", {"a": 2})])
            await stream.append([("added", {"a": 3})])
    assert proxy.lost == 1
    entries = redis.xrange("basix")
    assert [json.loads(fields["data"])["a"] for _, fields in entries] == [1, 2, 3]


async def test_newer_publisher_replaces_the_older_one(redis, port, monkeypatch):
    """The older publisher gets an error and can append nothing more."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import redis_fanout

    async with redis_fanout.connect(f"redis://127.0.0.1:{port}") as connection:
        old = redis_fanout.Stream(connection, "basix")
        new = redis_fanout.Stream(connection, "basix")
        for stream in (old, new):
            await stream.begin()
            await stream.append([("added", {})])
        with pytest.raises(RedisError, match="another publisher has taken over"):
            await old.append([("added", {})])
        await new.append([("added", {})])
    assert redis.xlen("basix") == 3


@pytest.mark.slow
async def test_late_reader_finds_the_complete_state_in_a_trimmed_stream(redis, port, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import redis_consumer
    import redis_fanout

    monkeypatch.setattr(redis_fanout, "MAX_ENTRIES", 200)
    monkeypatch.setattr(redis_fanout, "SNAPSHOT_INTERVAL", 20)
    url = f"redis://127.0.0.1:{port}"
    async with Simulator(calls=False, speed=0.001) as pbx, redis_fanout.connect(url) as connection:
        for name, value in connection_environment(pbx).items():
            monkeypatch.setenv(name, value)
        publisher = asyncio.create_task(redis_fanout.publish(url, "basix"))
        observer = Observer(redis)
        line = pbx.call("0312341234", to="1001")
        while len(observer.ids) < 1000:
            pbx.flood(50)
            await asyncio.sleep(0.02)
            await asyncio.to_thread(observer.read_new)
        pbx.edit("1002", label="the last")
        while not await asyncio.to_thread(observer.read_new, "the last"):
            await asyncio.sleep(0.02)
        first = redis.xrange("basix", count=1)[0][0]
        state = await redis_consumer.Reader(connection, "basix", "late").current_state()
        publisher.cancel()
        await asyncio.wait([publisher])
        assert observer.events["snapshot"] > 5
        assert first > observer.ids[0]
        assert redis.xlen("basix") < 500
        assert normalised(state.elements) == normalised(pbx.snapshot())
        assert [call["id"] for call in state.calls.values()] == [line]


@pytest.mark.slow
def test_consumer_reads_typed_events_without_the_library(start, redis, tmp_path):
    """Without a PBX the publisher uses the simulator; the consumer does not import the library."""
    environment = {"BASIX_SERVER": ""}
    start("redis_fanout.py", **environment)
    consumer = start("redis_consumer.py")
    out = tmp_path / "redis_consumer.py.1.out"

    def shows_a_call():
        text = out.read_text(encoding="utf-8")
        return "CallAnswered" in text and re.search(r"^\S+ channel .* added$", text, re.MULTILINE)

    wait_until(shows_a_call, "an answered call and a new channel")
    consumer.send_signal(signal.SIGINT)
    assert consumer.wait(TIMEOUT) == 130
    lines = [line.split(" ", 1)[1] for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines[0].startswith("snapshot: ")
    text = (EXAMPLES / "redis_consumer.py").read_text(encoding="utf-8")
    assert re.findall(r"^\s*(?:from|import) basix_ws_cti", text, re.MULTILINE) == []


def start_at_shell(name, port, *arguments):
    """Start an example whose streams are pipes."""
    return subprocess.Popen(
        [
            *(sys.executable, str(EXAMPLES / name)),
            *("--redis", f"redis://127.0.0.1:{port}", *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


@pytest.mark.slow
def test_ctrl_c_ends_publisher_and_consumer_without_a_traceback(redis, port):
    """The exit code is 130, as of every program that Ctrl-C ends."""
    publisher = start_at_shell("redis_fanout.py", port)
    consumer = start_at_shell("redis_consumer.py", port)
    for process in (publisher, consumer):
        assert process.stdout.readline()
    for process in (publisher, consumer):
        process.send_signal(signal.SIGINT)
    for process in (publisher, consumer):
        _, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_consumer_ends_quietly_when_its_reader_leaves(redis, port):
    with start_at_shell("redis_fanout.py", port) as publisher:
        with start_at_shell("redis_consumer.py", port) as consumer:
            assert consumer.stdout.readline()
            consumer.stdout.close()
            assert consumer.wait(TIMEOUT) == 0
            assert consumer.stderr.read() == ""
        publisher.kill()
