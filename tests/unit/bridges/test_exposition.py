"""Exposition: metrics as text, for a large PBX with hostile names, outside the event loop."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from support.call_builders import call
from support.observed_feed import NAMES, ObservedFeed, feed_statistics, large_mirror

from basix_ws_cti import Disconnected, Mirror
from basix_ws_cti.bridges.exposition import Exposition
from basix_ws_cti.bridges.live_figures import MAX_NAME, LiveFigures
from basix_ws_cti.bridges.metric_families import SERIES_OF_FEED, SERIES_PER_QUEUE
from basix_ws_cti.calls import CallEnded, CallStarted, CallUpdated
from basix_ws_cti.exceptions import ConnectionLost

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NOW = 1_000 * 1_000_000


def make_exposition(feed, **options):
    figures = LiveFigures(
        feed, max_queues=options.pop("max_queues", 250), now=lambda: NOW, stats=feed_statistics
    )
    return Exposition(figures, **options)


def parsed(text):
    """Return the metrics of a text in the plain format, by name."""
    return {one.name: one for one in text_string_to_metric_families(text.body.decode())}


def values(text):
    """Return the samples of a text: a number by name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parsed(text).values()
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def large():
    """PBX with 10,000 users and 200 queues, of which each has had two calls."""
    exposition = make_exposition(ObservedFeed(large_mirror(users=10_000, queues=200)))
    for group_id in range(900_000, 900_200):
        text = f"{NOW - 30_000_000} queued g{group_id}"
        exposition.figures.apply(CallStarted(call(text, id=f"waiting {group_id}")))
        done = call(text, NOW, by="caller", id=f"ended {group_id}", disposition="abandoned")
        exposition.figures.apply(CallStarted(call(text, id=done.id)))
        exposition.figures.apply(CallEnded(done))
    return exposition


# -- a large PBX -----------------------------------------------------------------------


@pytest.mark.slow
def test_number_of_series_is_bounded_and_nothing_is_personal(large):
    text = large.render()
    samples = [sample for family in parsed(text).values() for sample in family.samples]
    queues = [sample for sample in samples if "queue_id" in sample.labels]
    assert len(queues) == 200 * SERIES_PER_QUEUE
    assert len(samples) - len(queues) <= SERIES_OF_FEED
    assert {name for sample in samples for name in sample.labels} == {
        *("queue", "queue_id", "result", "state", "phase", "direction", "disposition"),
        *("type", "version", "le"),
    }
    for secret in ("person", "example.com", "0312341234"):
        assert secret not in text.body.decode()


@pytest.mark.slow
def test_both_formats_have_the_same_samples_whatever_the_names_are(large):
    plain = parsed(large.render())
    open_text = large.render(OPENMETRICS)
    assert open_text.content_type.startswith("application/openmetrics-text")
    strict = {
        one.name: one
        for one in openmetrics_parser.text_string_to_metric_families(open_text.body.decode())
    }
    assert len(strict) == len(plain) > 20
    count = sum(len(one.samples) for one in plain.values())
    assert sum(len(one.samples) for one in strict.values()) == count
    names = {
        sample.labels["queue_id"]: sample.labels["queue"]
        for sample in plain["basix_queue_waiting_calls"].samples
    }
    assert len(names) == 200
    for number, name in enumerate(NAMES):
        shown = names[str(900_000 + number)]
        assert shown.isprintable()
        assert len(shown) <= MAX_NAME
        if name and name.isprintable() and len(name) <= MAX_NAME:
            assert shown == name


@pytest.mark.slow
def test_users_and_members_are_counted_by_state(large):
    found = values(large.render())
    assert found["basix_users", "free"] == found["basix_users", "unregistered"] == 5_000
    assert found["basix_terminals",] == 10_000
    assert found["basix_terminals_registered",] == 5_000
    assert found["basix_queues",] == 200
    members = {key[-1]: value for key, value in found.items() if key[2:3] == ("900001",)}
    assert (members["free"], members["unregistered"], members["talking"]) == (5, 5, 0)


@pytest.mark.slow
async def test_ten_parallel_scrapes_take_the_event_loop_the_time_of_one_copy(large):
    """The other threads render once; the event loop copies the counters once."""
    exposition = Exposition(large.figures, cache_time=600)
    exposition.use_loop(asyncio.get_running_loop())
    copies = []
    snapshot = large.figures.snapshot

    def copy():
        began = time.thread_time()
        taken = snapshot()
        copies.append((threading.get_ident(), time.thread_time() - began))
        return taken

    exposition.figures.snapshot = copy
    try:
        texts = await asyncio.gather(*(asyncio.to_thread(exposition.render) for _ in range(10)))
    finally:
        del exposition.figures.snapshot
    assert all(text is texts[0] for text in texts)
    ((thread, seconds),) = copies
    assert thread == threading.get_ident()
    assert seconds < 0.1


# -- formats and cache -----------------------------------------------------------------


def test_compressed_text_has_the_same_contents():
    text = make_exposition(ObservedFeed()).render()
    assert gzip.decompress(text.compressed) == text.body


def test_text_is_rendered_anew_after_the_time_of_the_cache():
    exposition = make_exposition(ObservedFeed(), cache_time=0)
    assert exposition.render() is not exposition.render()


def test_text_is_rendered_after_the_event_loop_has_ended():
    exposition = make_exposition(ObservedFeed())

    async def use():
        exposition.use_loop(asyncio.get_running_loop())

    asyncio.run(use())
    assert b"basix_feed_synced 1.0" in exposition.render().body


def test_error_of_a_copy_reaches_the_thread_that_renders():
    exposition = make_exposition(ObservedFeed())
    exposition.figures.snapshot = lambda: 1 // 0

    async def use():
        exposition.use_loop(asyncio.get_running_loop())
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(exposition.render)

    asyncio.run(use())


# -- contents --------------------------------------------------------------------------


def test_names_follow_the_conventions_and_every_metric_is_explained():
    for family in parsed(make_exposition(ObservedFeed()).render()).values():
        assert family.name.startswith("basix_"), family
        assert family.documentation.endswith("."), family
        assert family.documentation[0].isupper() or family.documentation[0] == "1", family
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), family
        else:
            assert not family.name.endswith("_total"), family
        if "_wait" in family.name and family.type != "counter":
            assert family.name.endswith(("_seconds", "_calls")), family


def test_statistics_of_the_feed_are_counters():
    found = values(make_exposition(ObservedFeed()).render())
    assert found["basix_feed_frames_total",] == 5
    assert found["basix_feed_received_bytes_total",] == 600
    assert found["basix_feed_connects_total",] == 2
    assert found["basix_feed_gaps_total",] == 1
    assert found["basix_feed_messages_total", "InfoEvent"] == 3
    assert found["basix_feed_queued_items",] == 4
    assert found["basix_feed_last_frame_timestamp_seconds",] == pytest.approx(time.time(), abs=90)


def test_waits_and_talks_of_a_queue():
    feed = ObservedFeed(large_mirror(users=2, queues=1))
    exposition = make_exposition(feed)
    start = NOW - 100_000_000
    for call_id, waited in (("a", 12), ("b", 30)):
        text = f"{start} queued g900000, {start + waited * 1_000_000} talking u7"
        exposition.figures.apply(CallStarted(call(f"{start} queued g900000", id=call_id)))
        exposition.figures.apply(CallEnded(call(text, NOW, by="caller", id=call_id)))
    still = call(f"{NOW - 9_000_000} queued g900000", id="c")
    feed.calls[still.id] = still
    exposition.figures.apply(CallStarted(still))
    found = values(exposition.render())
    queue = next(key[1:] for key in found if key[0] == "basix_queue_waiting_calls")
    assert found["basix_queue_waiting_calls", *queue] == 1
    assert found["basix_queue_longest_wait_seconds", *queue] == 9
    assert found["basix_queue_calls_entered_total", *queue] == 3
    assert found["basix_queue_waits_ended_total", *queue, "answered"] == 2
    assert found["basix_queue_wait_seconds_bucket", "20.0", *queue, "answered"] == 1
    assert found["basix_queue_wait_seconds_sum", *queue, "answered"] == 42
    assert found["basix_call_talk_seconds_sum",] == 88 + 70
    assert found["basix_calls_ended_total", "inbound", "answered"] == 2
    assert found["basix_calls", "queued"] == 1


def test_wait_that_began_in_a_gap_leaves_the_clock_of_the_pbx():
    """The call entered the queue four minutes ago; its event follows from the snapshot."""
    feed = ObservedFeed(large_mirror(users=2, queues=1))
    exposition = make_exposition(feed)
    start = NOW - 300_000_000
    exposition.figures.apply(CallStarted(call(f"{start} ivr", id="a")))
    waits = call(f"{start} ivr, {NOW - 240_000_000} queued g900000", id="a")
    feed.is_settled = False
    exposition.figures.apply(CallUpdated(waits))
    feed.is_settled = True
    exposition.figures.apply(CallUpdated(waits))  # of something else than its phase
    found = values(exposition.render())
    queue = next(key[1:] for key in found if key[0] == "basix_queue_waiting_calls")
    assert found["basix_queue_longest_wait_seconds", *queue] == 240
    assert found["basix_pbx_clock_offset_seconds",] == 0


def test_present_state_is_left_out_while_the_feed_is_not_in_sync():
    """An old value would be wrong; counters stay."""
    feed = ObservedFeed(large_mirror(users=2, queues=1))
    exposition = make_exposition(feed, cache_time=0)
    present = parsed(exposition.render()).keys()
    feed.state = Disconnected(ConnectionLost("no pong"), 1.5)
    stale = parsed(exposition.render())
    assert stale["basix_feed_synced"].samples[0].value == 0
    assert present - stale.keys() == {
        *("basix_calls", "basix_users", "basix_terminals", "basix_terminals_registered"),
        *("basix_queues", "basix_pbx_clock_offset_seconds", "basix_queue_waiting_calls"),
        *("basix_queue_longest_wait_seconds", "basix_queue_members"),
    }


def test_queues_beyond_the_limit_share_their_series():
    exposition = make_exposition(
        ObservedFeed(large_mirror(users=20, queues=5)), max_queues=2, cache_time=0
    )
    exposition.render()
    for number in range(5):
        exposition.figures.apply(CallStarted(call(f"0 queued g{900_000 + number}", id=str(number))))
    found = values(exposition.render())
    entered = {key[2]: value for key, value in found.items() if "calls_entered" in key[0]}
    assert entered == {"900000": 1, "900001": 1, "": 3}
    assert found["basix_queue_calls_entered_total", "other", ""] == 3
    assert sum(value for key, value in found.items() if key[:2] == ("basix_queue_members", "other"))


def test_deleted_queue_keeps_its_counters_and_its_name():
    feed = ObservedFeed(large_mirror(users=2, queues=1))
    exposition = make_exposition(feed, cache_time=0)
    exposition.figures.apply(CallStarted(call("0 queued g900000")))
    before = [one for one in values(exposition.render()) if "entered" in one[0]]
    feed.mirror = Mirror()
    found = values(exposition.render())
    assert [one for one in found if "entered" in one[0]] == before
    assert found[before[0]] == 1
