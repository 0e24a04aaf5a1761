"""Webhook: outages, restarts, full disks and damaged spools."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
import tracemalloc

import pytest
from support.sizes import NIGHTLY
from support.small_disk import enlarge, file_limit, small_disk
from support.waiting import TIMEOUT, eventually
from support.webhook_receiver import SECRET, EventSource, WebhookReceiver, ended, started

from basix_ws_cti.bridges import RetryPolicy, Webhook
from basix_ws_cti.bridges.spool import Spool
from basix_ws_cti.exceptions import SpoolError

pytestmark = pytest.mark.slow

# Seconds for which the receiver is dead, at 50 events per second.
OUTAGE = 600 if NIGHTLY else 6
RATE = 50

QUICK = RetryPolicy(first_delay=0.02, longest_delay=0.05, longest_pause=0.05)

SLOW = RetryPolicy(first_delay=60, longest_delay=60, longest_pause=60)


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "hook.db"


@contextlib.asynccontextmanager
async def sending(url, spool, *events, retries=QUICK, **options):
    """Run a webhook; provide it, the source of its events, and the task that reads them."""
    source = EventSource(*events)
    async with Webhook(url, secrets=[SECRET], spool=spool, retries=retries, **options) as webhook:
        running = asyncio.create_task(webhook.run(source))
        try:
            yield webhook, source, running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def gaps(receiver):
    """Return reason and number of missing events of each gap that arrived."""
    found = [one.value["data"] for one in receiver.requests if one.type == "feed.gap"]
    return [(one["reason"], one["missed"]) for one in found]


@pytest.mark.timeout(3600)
async def test_outage_of_the_receiver_loses_nothing_and_takes_no_memory(spool, quiet_log):
    """Events wait on the disk; at the end all arrive, those of each call in order."""
    async with WebhookReceiver() as receiver:
        port = receiver.port
    url = f"http://127.0.0.1:{port}/"
    count = OUTAGE * RATE // 2
    tracemalloc.start()
    try:
        async with sending(url, spool) as (webhook, source, _):
            clock = asyncio.get_running_loop().time
            begun = clock()
            for number in range(count):
                for event in (started, ended):
                    source.put(event(f"c{number}"))
                await asyncio.sleep(max(0, begun + number * 2 / RATE - clock()))
                if number == count // 5:
                    gc.collect()
                    before, _ = tracemalloc.get_traced_memory()
            await eventually(lambda: webhook.health.waiting == 2 * count)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert not webhook.health.is_receiver_available
            assert webhook.health.problem == "127.0.0.1: Connection refused"
            # The bodies of the events that came in between have over 1 kB each.
            assert after - before < 400 * count
            async with WebhookReceiver(port=port) as receiver:
                await eventually(lambda: webhook.health.delivered == 2 * count, 10 * TIMEOUT)
                assert webhook.health.dropped == 0
    finally:
        tracemalloc.stop()
    assert len({one.id for one in receiver.requests}) == len(receiver.requests) == 2 * count
    for number in range(count):
        assert [one.type for one in receiver.of_call(f"c{number}")] == [
            "call.started",
            "call.ended",
        ]
        if NIGHTLY and number > 500:
            break  # the search is quadratic


async def test_full_spool_drops_the_oldest_events_and_reports_their_number(spool):
    is_up = False
    events = [started(f"c{number}") for number in range(50)]
    async with (
        WebhookReceiver(lambda _: 204 if is_up else 503) as receiver,
        sending(receiver.url, spool, *events, max_events=20) as (webhook, _, _),
    ):
        await eventually(lambda: webhook.health.dropped == 30)
        assert webhook.health.waiting == 20
        failed = len(receiver.requests)
        is_up = True
        await eventually(lambda: webhook.health.waiting == 0 and gaps(receiver))
    arrived = {one.call for one in receiver.requests[failed:]} - {None}
    assert arrived >= {f"c{number}" for number in range(30, 50)}
    ((reason, missed),) = gaps(receiver)
    assert reason == "dropped"
    # Events that were being sent when they were dropped may arrive, before this report or after.
    assert 50 - len(arrived) <= missed <= 30


async def test_number_of_dropped_events_survives_a_restart(spool):
    events = [started(f"c{number}") for number in range(5)]
    async with (
        WebhookReceiver(lambda _: 503) as receiver,
        sending(receiver.url, spool, *events, max_events=3) as (webhook, _, _),
    ):
        await eventually(lambda: webhook.health.dropped == 2)
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, max_events=3) as (webhook, _, _),
    ):
        await eventually(lambda: webhook.health.delivered == 4)
        assert webhook.health.dropped == 0  # by this webhook
        assert gaps(receiver) == [("dropped", 2)]


async def test_events_that_are_too_old_are_dropped_at_the_start(spool):
    async with (
        WebhookReceiver(lambda _: 503) as receiver,
        sending(receiver.url, spool, started("a")) as (webhook, _, _),
    ):
        await eventually(lambda: receiver.requests)
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, max_age=0.001) as (webhook, _, _),
    ):
        await eventually(lambda: webhook.health.dropped == 1)
        assert receiver.requests == []


async def test_file_that_cannot_grow_delays_events_and_loses_none(spool):
    """What the spool has is still sent meanwhile."""
    is_up = False
    calls = [f"c{number}" for number in range(600)]
    async with (
        WebhookReceiver(lambda _: 204 if is_up else 503) as receiver,
        sending(receiver.url, spool) as (webhook, source, _),
    ):
        with file_limit(400_000):
            for call in calls:
                source.put(started(call))
            await eventually(lambda: webhook.health.spool_problem)
            assert webhook.health.waiting < len(calls)
            is_up = True
            await eventually(lambda: webhook.health.delivered > 0)
        await eventually(lambda: webhook.health.delivered == len(calls))
        assert (webhook.health.spool_problem, webhook.health.dropped) == (None, 0)
    delivered = {one.id: one.call for one in receiver.requests}
    assert sorted(delivered.values()) == sorted(calls)


@pytest.fixture
def full_disk(tmp_path):
    """Folder with room for a megabyte."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


async def test_full_disk_delays_events_and_loses_none(full_disk):
    is_large = False
    calls = [f"c{number}" for number in range(150)]
    async with (
        WebhookReceiver(lambda one: 204 if one.call != "c0" or is_large else 503) as receiver,
        sending(receiver.url, full_disk / "hook.db") as (webhook, source, _),
    ):
        (full_disk / "ballast").write_bytes(bytes(850_000))
        for call in calls:
            for event in (started, ended):
                source.put(event(call))
        await eventually(lambda: webhook.health.spool_problem)
        assert webhook.health.spool_problem == "database or disk is full"
        (full_disk / "ballast").unlink()
        enlarge(full_disk)
        is_large = True
        await eventually(lambda: webhook.health.delivered == 2 * len(calls))
        assert (webhook.health.spool_problem, webhook.health.dropped) == (None, 0)
    for call in calls:
        types = [one.type for one in receiver.of_call(call)]
        assert types[-1] == "call.ended"
        assert types.index("call.ended") == len(types) - 1


async def test_lock_of_another_program_delays_events_and_loses_none(spool):
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, started("a")) as (webhook, source, _),
    ):
        await eventually(lambda: webhook.health.delivered == 1)
        with contextlib.closing(sqlite3.connect(spool, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            source.put(ended("a"))
            await eventually(lambda: webhook.health.spool_problem)
            assert webhook.health.spool_problem == "database is locked"
            other.execute("ROLLBACK")
        await eventually(lambda: webhook.health.delivered == 2)


async def test_spool_that_is_damaged_while_it_is_used_ends_the_webhook(spool):
    async with (
        WebhookReceiver(lambda _: 503) as receiver,
        sending(receiver.url, spool, started("a"), retries=SLOW) as (_, source, running),
    ):
        await eventually(lambda: attempts(spool) == [1])  # nothing is written for a while
        spool.write_bytes(b"\xff" * 100_000)
        source.put(started("b"))
        with pytest.raises(SpoolError, match=r"spool .*hook\.db: "):
            await asyncio.wait_for(running, TIMEOUT)
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, started("c")) as (webhook, _, _),
    ):
        await eventually(lambda: webhook.health.delivered == 2)
        assert webhook.health.put_aside.name.startswith("hook.db.damaged-")
        assert gaps(receiver) == [("damaged", None)]
        assert len(receiver.of_call("c")) == 1


def attempts(spool):
    """Return the failed attempts of each event that waits."""
    with contextlib.closing(sqlite3.connect(f"{spool.as_uri()}?mode=ro", uri=True)) as reader:
        return [one for (one,) in reader.execute("SELECT attempts FROM events")]


async def test_second_webhook_with_the_same_spool_is_refused(spool):
    async with WebhookReceiver() as receiver, sending(receiver.url, spool):
        second = Webhook(receiver.url, secrets=[SECRET], spool=spool)
        with pytest.raises(SpoolError, match="another webhook uses it"):
            await second.__aenter__()


async def test_webhook_cancelled_while_opening_releases_the_spool(spool, caplog):
    Spool(spool, max_events=9, max_age=9).close()
    with contextlib.closing(sqlite3.connect(spool, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # the thread waits for it when it opens the file
        webhook = Webhook("http://127.0.0.1:1/", secrets=[SECRET], spool=spool)
        opening = asyncio.create_task(webhook.__aenter__())
        await eventually(spool.with_name("hook.db.lock").exists)
        opening.cancel()
        await asyncio.wait([opening], timeout=0)
        other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(opening, TIMEOUT)
    assert [one.message for one in caplog.records if one.levelno >= logging.WARNING] == []
    async with Webhook("http://127.0.0.1:1/", secrets=[SECRET], spool=spool) as again:
        assert again.health.waiting == 0


async def test_error_of_the_feed_ends_the_run_and_leaves_the_events(spool):
    async with (
        WebhookReceiver(lambda _: 503) as receiver,
        sending(receiver.url, spool, started("a")) as (webhook, source, running),
    ):
        source.end(ConnectionError("the feed ended"))
        with pytest.raises(ConnectionError, match="the feed ended"):
            await asyncio.wait_for(running, TIMEOUT)
        await eventually(lambda: webhook.health.waiting == 1)
        assert await webhook.drained(0.05) is False
    async with WebhookReceiver() as receiver, sending(receiver.url, spool) as (webhook, _, _):
        assert await webhook.drained(TIMEOUT)
        await eventually(lambda: webhook.health.delivered == 1)
    assert [one.call for one in receiver.requests] == ["a"]


async def test_recording_waits_while_the_spool_is_full(spool):
    is_up = False
    events = [started(f"c{number}") for number in range(50)]
    async with WebhookReceiver(lambda _: 204 if is_up else 503) as receiver:
        source = EventSource(*events)
        source.end()
        async with Webhook(
            receiver.url, secrets=[SECRET], spool=spool, retries=QUICK, max_events=10
        ) as webhook:
            running = asyncio.create_task(webhook.run(source, when_full="wait"))
            await eventually(lambda: webhook.health.waiting == 10)
            await eventually(lambda: not webhook.health.is_receiver_available)
            assert not running.done()
            is_up = True
            await asyncio.wait_for(running, TIMEOUT)
            assert await webhook.drained(TIMEOUT)
            assert (webhook.health.delivered, webhook.health.dropped) == (50, 0)
