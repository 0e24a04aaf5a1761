"""Streams of the web wallboard over HTTP."""

from __future__ import annotations

import asyncio
import json
from zoneinfo import ZoneInfo

import pytest
from support.staged_simulator import quiet, talk
from support.waiting import eventually
from support.web_frames import apply_frame
from support.web_server import open_stream, serve

from basix_ws_cti.web import create_app
from basix_ws_cti.web.mailbox import MAX_FRAMES
from basix_ws_cti.web.view_key import ViewKey

UTC_ZONE = ZoneInfo("UTC")


def app_of(staged, **options):
    return create_app(staged, zone=UTC_ZONE, **options)


@pytest.mark.slow
async def test_a_stream_starts_with_a_snapshot_and_goes_on_with_updates():
    staged = quiet()
    async with serve(app_of(staged)) as port, open_stream(port) as stream:
        frames = stream.frames()
        number, event, document = await anext(frames)
        assert (event, document["seq"], document["calls"]) == ("snapshot", number, {})
        line = talk(staged)
        while not document["calls"]:
            number, event, content = await anext(frames)
            document = apply_frame(document, event, content)
        assert number == document["seq"]
        assert [*document["calls"]] == [line.uuid]


@pytest.mark.slow
async def test_headers_keep_proxies_from_buffering_and_caching():
    async with serve(app_of(quiet())) as port, open_stream(port) as stream:
        assert stream.head.startswith("HTTP/1.1 200")
        assert "content-type: text/event-stream" in stream.head
        assert "cache-control: no-store, no-transform\r\n" in stream.head
        assert "x-accel-buffering: no\r\n" in stream.head


@pytest.mark.slow
async def test_a_browser_that_leaves_is_forgotten():
    app = app_of(quiet())
    async with serve(app) as port:
        async with open_stream(port):
            await eventually(lambda: app.wallboard.streams == 1)
        await eventually(lambda: app.wallboard.streams == 0)


@pytest.mark.slow
@pytest.mark.timing
async def test_open_streams_end_when_the_server_stops():
    app = app_of(quiet())
    loop = asyncio.get_running_loop()
    async with serve(app) as port:
        streams = [open_stream(port) for _ in range(200)]
        opened = [await one.__aenter__() for one in streams]
        stopped = loop.time()
    assert loop.time() - stopped < 3 * 2
    await asyncio.gather(*(one.wait_for_end() for one in opened))
    for one in streams:
        await one.__aexit__(None, None, None)


@pytest.mark.slow
async def test_a_browser_that_reads_too_slowly_loses_its_stream_and_no_other_does():
    """The frames of a stalled browser are bounded by their number, and shared with the others."""
    staged = quiet()
    app = app_of(staged)
    async with serve(app) as port, open_stream(port) as reading, open_stream(port):
        await eventually(lambda: app.wallboard.streams == 2)
        view = app.wallboard.view(ViewKey())
        document = json.loads(view.snapshot(0))
        del document["seq"], document["time"]
        text = "x" * 200_000
        number = 0
        frames = reading.frames()
        while len(view.mailboxes) == 2:
            number += 1
            assert number < 10 * MAX_FRAMES
            view.show({**document, "site": f"{number}{text}"}, number)
            await anext(frames)
        assert app.wallboard.streams == 1
        number += 1
        view.show({**document, "site": f"{number}{text}"}, number)
        while (await anext(frames))[2].get("site") != f"{number}{text}":
            pass
