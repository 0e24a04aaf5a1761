"""Metrics of a client: over a lost connection, and in applications of others."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import make_asgi_app, make_wsgi_app
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from support.offline_feed import make_feed
from support.virtual_clock import on_virtual_clock
from support.waiting import eventually

from basix_ws_cti import Backoff, Channel, Client, InfoEvent, UsageError
from basix_ws_cti.bridges import Metrics
from basix_ws_cti.bridges.metrics import SourceMetrics
from basix_ws_cti.client.subscriptions import QUEUE_SIZE
from basix_ws_cti.exceptions import ConnectionLost
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.sources.live import LiveSource


async def scrape(metrics):
    """Return the samples that another thread renders: a number by name and label values."""
    body = (await asyncio.to_thread(metrics.render)).body
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def counters_of(samples):
    return {
        key: value
        for key, value in samples.items()
        if key[0].endswith(("_total", "_bucket", "_count", "_sum"))
    }


@pytest.mark.slow
async def test_no_counter_falls_when_the_connection_is_lost():
    """A call that ended in the gap has a wait with an unknown end."""
    async with Simulator(calls=False, speed=0.001) as pbx:
        client = Client(
            **pbx.connect_args, full_events=True, backoff=Backoff(initial=0.1, maximum=0.1)
        )
        metrics = Metrics(client)
        async with client:
            await client.synced()
            ((group_id, group),) = pbx.snapshot()["group"].items()
            waits = pbx.call("0312341234", to=group["main_extension"])
            await eventually(lambda: waits in client.calls)
            before = await scrape(metrics)
            assert before["basix_queue_waiting_calls", group["label"], str(group_id)] == 1
            pbx.restart(down_for=0.1)  # the PBX loses its channels
            await eventually(lambda: client.stats.gaps == 1 and client.is_synced)
            await eventually(lambda: waits not in client.calls)
            after = before
            while after["basix_feed_gaps_total",] == 0:  # a text is cached for a second
                after = await scrape(metrics)
    queue = (group["label"], str(group_id))
    assert after["basix_queue_waiting_calls", *queue] == 0
    assert after["basix_queue_waits_ended_total", *queue, "unknown"] == 1
    assert after["basix_feed_gaps_total",] == 1
    fallen = {
        key: (value, after.get(key))
        for key, value in counters_of(before).items()
        if after.get(key, -1) < value
    }
    assert fallen == {}


@pytest.mark.slow
async def test_registry_works_with_the_applications_of_prometheus_client():
    async with Simulator(calls=False, speed=0.001) as pbx:
        client = Client(**pbx.connect_args)
        metrics = Metrics(client)
        async with client:
            await client.synced()
            for app in (make_asgi_app(metrics.registry), make_wsgi_app(metrics.registry)):
                text = await asyncio.to_thread(body_of, app)
                assert "basix_feed_synced 1.0" in text
                assert "basix_users{" in text


def body_of(app):
    """Return the answer of a WSGI or an ASGI application, in a thread without its event loop."""
    try:
        return TestClient(app).get("/").text
    except TypeError:
        return b"".join(app({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)).decode()


@pytest.mark.slow
@on_virtual_clock
async def test_burst_of_calls_is_counted_completely():
    """A queue of events would overflow."""
    feed, runner = make_feed()
    error = ConnectionLost("no pong")
    async with feed:
        await feed.synced()
        metrics = SourceMetrics(LiveSource(feed))
        following = asyncio.create_task(metrics.follow())
        await asyncio.sleep(0)  # it begins to follow
        for number in range(QUEUE_SIZE):
            for kind in ("added", "removed"):
                leg = Channel(uuid=str(number), direction="inbound", offer_timestamp=1)
                runner.receive(InfoEvent("channel", leg, kind))
        runner.stop(error)
        with pytest.raises(ConnectionLost) as caught:
            await following
    assert caught.value is error
    assert sum(metrics.exposition.figures.snapshot().ended_calls.values()) == QUEUE_SIZE


def test_limit_of_queues_must_be_a_number():
    client = Client("bcs.example.com", domain="acme", token="secret", app_name="test")
    with pytest.raises(UsageError, match="max_queues must be an int of 1 or more, got 0"):
        Metrics(client, max_queues=0)
