"""Term of a leader: a gap that was not appended, and a PBX that is lost during the takeover."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace

import pytest
from support.fake_pbx import FakePbx, users
from support.virtual_clock import now, on_virtual_clock
from support.waiting import eventually

from basix_ws_cti import Backoff, Client, ConnectFailed, Disconnected, Msg
from basix_ws_cti.fanout.client_feed import ClientFeed
from basix_ws_cti.fanout.journal import Journal
from basix_ws_cti.fanout.stream_tail import StreamTail
from basix_ws_cti.fanout.stream_writer import LeaseLost
from basix_ws_cti.fanout.term import Term, TermEnded, TermParts, TermStats

MAX_PENDING = 10


class OldStream:
    """Redis with a stream of one entry that this version cannot read."""

    async def execute(self, command, *_):
        return [[b"5-0", [b"a", b"b"]]] if command in {"XRANGE", "XREVRANGE"} else None


class Writer:
    """Writer that keeps the entries, and appends while ``gate`` is open.

    ``refused``: types of entries for which the lease is lost.
    """

    def __init__(self):
        self.entries = []
        self.refused = set()
        self.gate = asyncio.Event()
        self.is_waiting = False

    async def append(self, token, predecessor, entries):
        self.is_waiting = True
        await self.gate.wait()
        self.is_waiting = False
        if self.refused & {new.entry.type for new in entries}:
            return LeaseLost()
        self.entries += [new.entry for new in entries]
        return None

    @property
    def types(self):
        return [entry.type for entry in self.entries]

    @property
    def states(self):
        return [json.loads(entry.data) for entry in self.entries if entry.type == "state"]


class Stage:
    """Client of a fake PBX, and a term that covers everything so far."""

    def __init__(self, pbx, client):
        self.pbx, self.client = pbx, client
        self.writer, self.news = Writer(), asyncio.Event()
        self.journal = Journal(now, max_items=MAX_PENDING)
        self.feed = ClientFeed(client, self.journal, self.news.set)

    async def begin(self):
        """Start the term; return it and its task, which waits to append the marker."""
        parts = TermParts(
            publisher="one",
            lease=SimpleNamespace(token="a:1", is_held=True),
            writer=self.writer,
            tail=StreamTail(OldStream(), "basix", self.journal),
            journal=self.journal,
            feed=self.feed,
            news=self.news,
            stats=TermStats(),
            snapshot_interval=1000,
            on_problem=lambda problem: None,
            may_hand_over=self.may_hand_over,
        )
        term = Term(parts, covers=True)
        task = asyncio.create_task(term.run())
        await eventually(lambda: self.writer.is_waiting)
        return term, task

    async def may_hand_over(self):
        return False


@contextlib.asynccontextmanager
async def staged(backoff=1000):
    pbx = FakePbx()
    pbx.state = {"user": users(3), "channel": {}}
    pbx.history = [pbx.state]
    arguments = {"domain": "d", "token": "t", "app_name": "a", "connector": pbx}
    client = Client("fake", **arguments, backoff=Backoff(backoff, backoff))
    stage = Stage(pbx, client)
    async with client:
        await client.synced()
        yield stage


async def cancelled(task):
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("is_lost", [True, False])
@on_virtual_clock
async def test_journal_that_overflowed_covers_the_stream_only_after_the_gap(is_lost):
    async with staged() as stage:
        writer = stage.writer
        term, task = await stage.begin()
        writer.gate.set()
        await eventually(lambda: "snapshot_end" in writer.types)
        assert term.covers
        writer.gate.clear()
        stage.pbx.send(*map(Msg, "x" * 2 * MAX_PENDING))
        await eventually(lambda: stage.journal.has_overflowed)
        writer.refused = {"gap"} if is_lost else set()
        writer.gate.set()
        if is_lost:
            with pytest.raises(TermEnded, match="lease lost"):
                await task
        else:
            await eventually(lambda: writer.types.count("snapshot_end") == 2)
            await cancelled(task)
        assert writer.types.count("gap") == (not is_lost)
        assert term.covers is not is_lost


@on_virtual_clock
async def test_loss_of_the_pbx_during_the_takeover_follows_the_snapshot():
    async with staged() as stage:
        _, task = await stage.begin()
        stage.pbx.default = ConnectFailed("no route to host")
        stage.pbx.lose()
        await eventually(lambda: getattr(stage.client.state, "retry_in", None))
        assert isinstance(stage.client.state, Disconnected)
        stage.writer.gate.set()
        await eventually(lambda: stage.writer.types[-1:] == ["state"])
        await asyncio.sleep(10)
        await cancelled(task)
    first, *later = stage.writer.states
    assert first["state"] == "synced"
    assert {one["state"] for one in later} == {"disconnected"}
    assert {one["reason"]["error"] for one in later} == {"ConnectionLost"}
    assert later[0]["last_heard"] is not None
    assert stage.writer.types.index("snapshot_end") < stage.writer.types.index("state", 2)


@on_virtual_clock
async def test_pbx_that_was_lost_and_is_back_before_the_marker_is_a_gap():
    async with staged(backoff=0.1) as stage:
        term, task = await stage.begin()
        stage.pbx.lose()
        await eventually(lambda: stage.client.stats.gaps == 1)
        stage.writer.gate.set()
        await eventually(lambda: "snapshot_end" in stage.writer.types)
        await cancelled(task)
    assert stage.writer.types[:3] == ["epoch", "gap", "state"]
    assert [one["state"] for one in stage.writer.states] == ["synced"]
    assert term.restarts == stage.feed.restarts
