"""Reader of the stream for publishers: what it matches, and when the stream is another one."""

from __future__ import annotations

import asyncio

import pytest

from basix_ws_cti import RedisFeedError
from basix_ws_cti.fanout.entry_encoder import encode, encode_snapshot
from basix_ws_cti.fanout.journal import Journal
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId
from basix_ws_cti.fanout.stream_tail import StreamTail
from basix_ws_cti.messages import Msg
from basix_ws_cti.mirror.mirror import Mirror

ERROR = RedisFeedError("127.0.0.1:6379", "timeout", "no answer")


class FakeRedis:
    """Stream in a list of raw entries, as the tail's commands read it."""

    def __init__(self):
        self.entries = []
        self.failures = 0  # number of the command that fails, from 1 on
        self.snapshot = self.last = NO_ENTRY

    def append(self, entry, epoch=1):
        seq = self.last.seq + 1 if self.last.epoch == epoch else 0
        entry_id = EntryId(epoch, seq)
        if entry.type == "snapshot":
            self.snapshot = entry_id
        fields = entry.fields(at=1, previous=self.last, snapshot=self.snapshot)
        self.entries.append([entry_id.encode(), [part for one in fields.items() for part in one]])
        self.last = entry_id

    async def execute(self, command, _name, start, end, *count):
        self.failures -= 1
        if self.failures == 0:
            raise ERROR
        if command == "XREVRANGE":
            return self.entries[-1:]
        found = [
            one
            for one in self.entries
            if start == b"-" or EntryId.parse(one[0]) >= EntryId.parse(start)
        ]
        if end != "+":
            found = [one for one in found if EntryId.parse(one[0]) <= EntryId.parse(end)]
        return found[: count[1]] if count else found


@pytest.fixture
def redis():
    redis = FakeRedis()
    for entry in encode_snapshot(Mirror()):
        redis.append(entry)
    return redis


@pytest.fixture
def journal():
    return Journal(lambda: 0.0)


@pytest.fixture
async def tail(redis, journal):
    tail = StreamTail(redis, "basix", journal)
    await tail.catch_up()
    return tail


async def test_entries_are_matched_once_though_they_are_read_twice(redis, journal, tail):
    redis.append(encode(Msg("a")))
    await tail.catch_up()
    assert journal.ahead == 1
    journal.add(encode(Msg("a")))
    assert (journal.ahead, len(journal)) == (0, 0)
    tail.reset(tail.last)
    await tail.catch_up()
    assert journal.ahead == 0
    redis.append(encode(Msg("b")))
    await tail.catch_up()
    assert journal.ahead == 1


async def test_a_longer_stream_is_no_break(redis, tail):
    redis.append(encode(Msg("a")))
    await tail.catch_up()
    tail.reset(tail.last)
    redis.append(encode(Msg("b")), epoch=2)
    await tail.catch_up()
    assert tail.last == redis.last
    assert tail.breaks == 0


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_stream_without_the_last_entry_is_a_break(redis, tail, is_reset):
    redis.append(encode(Msg("a")))
    await tail.catch_up()
    if is_reset:
        tail.reset(tail.last)
    del redis.entries[-1]
    redis.last = EntryId.parse(redis.entries[-1][0])
    redis.append(encode(Msg("b")), epoch=2)
    await tail.catch_up()
    assert tail.last == redis.last
    assert tail.breaks == 1


async def test_an_entry_that_was_deleted_before_it_was_read_is_skipped(redis, tail):
    """Nothing can be read past it until the next snapshot."""
    redis.append(encode(Msg("a")))
    redis.append(encode(Msg("b")))
    del redis.entries[-2]
    async with asyncio.timeout(60):
        await tail.catch_up()
    assert tail.last == redis.last
    assert tail.snapshot == redis.snapshot
    assert not tail.state.is_complete
    assert tail.breaks == 2
    for entry in encode_snapshot(Mirror()):
        redis.append(entry)
    await tail.catch_up()
    assert tail.state.is_complete
    assert tail.breaks == 2


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_a_failure_of_redis_leaves_the_state_complete(redis, tail, number):
    redis.append(encode(Msg("a")))
    await tail.catch_up()
    tail.reset(tail.last)
    redis.failures = number
    with pytest.raises(RedisFeedError):
        await tail.catch_up()
    await tail.catch_up()
    assert tail.last == redis.last
    assert tail.state.is_complete
    assert tail.breaks == 0
