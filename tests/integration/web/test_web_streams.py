"""Streams of the web wallboard over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from support.docs_code import blocks
from support.paths import DOCS, ROOT
from support.staged_simulator import quiet, talk
from support.waiting import eventually
from support.web_frames import apply_frame
from support.web_requests import ask
from support.web_server import open_stream, serve

from basix_ws_cti.simulator import Simulator
from basix_ws_cti.web import create_app
from basix_ws_cti.web.mailbox import MAX_FRAMES
from basix_ws_cti.web.server import listen
from basix_ws_cti.web.view_key import ViewKey

UTC_ZONE = ZoneInfo("UTC")


def may_make_networks():
    """Return True if this system has network namespaces, and lets us make one."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0


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
        while not any(mailbox.is_closed for mailbox in view.mailboxes):
            number += 1
            assert number < 10 * MAX_FRAMES
            view.show({**document, "site": f"{number}{text}"}, number)
            await anext(frames)
        await eventually(lambda: app.wallboard.streams == 1)
        number += 1
        view.show({**document, "site": f"{number}{text}"}, number)
        while (await anext(frames))[2].get("site") != f"{number}{text}":
            pass


@pytest.mark.slow
async def test_streams_end_after_a_while_and_have_a_heartbeat(monkeypatch):
    """A server that is not ours waits for open streams before it stops."""
    monkeypatch.setattr("basix_ws_cti.web.wallboard.HEARTBEAT_INTERVAL", 0.05)
    monkeypatch.setattr("basix_ws_cti.web.stream.MAX_DURATION", 1.0)
    async with serve(app_of(quiet())) as port, open_stream(port) as stream:
        events = [(number, event) async for number, event, _ in stream.frames()]
    assert [event for _, event in events][:3] == ["snapshot", "heartbeat", "heartbeat"]
    first = events[0][0]
    assert [number for number, _ in events] == [*range(first, first + len(events))]


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option"
)
def test_connections_end_whose_browser_has_vanished():
    """Linux copies the options of the listening socket to its connections."""
    with listen("127.0.0.1", 0) as listener:
        options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE)
        values = [listener.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        assert values == [30_000, 15]
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


VANISHING = """
import asyncio, contextlib, os, subprocess
from zoneinfo import ZoneInfo
from support.staged_simulator import quiet
from support.web_server import open_stream, serve
from basix_ws_cti.web import create_app

async def main():
    app = create_app(quiet(), zone=ZoneInfo("UTC"))
    async with serve(app) as port, contextlib.AsyncExitStack() as stack:
        for _ in range(200):
            await stack.enter_async_context(open_stream(port))
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
        streams = [app.wallboard.streams]
        while app.wallboard.streams:
            await asyncio.sleep(0.5)
        print(streams[0], "streams ended", flush=True)
        os._exit(0)  # nothing can be closed without a network

asyncio.run(main())
"""


@pytest.mark.nightly
@pytest.mark.timing
@pytest.mark.skipif(
    not may_make_networks(), reason="needs unshare and ip, and the right to use them"
)
def test_two_hundred_browsers_that_vanish_without_a_word_leave_nothing():
    """Their network is gone, so that no FIN or RST arrives."""
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    done = subprocess.run(
        [*command, sys.executable, "-c", VANISHING],
        capture_output=True,
        check=False,
        text=True,
        timeout=3 * 60,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "200 streams ended\n", done.stderr


@pytest.mark.slow
async def test_streams_end_if_documents_cannot_be_built(monkeypatch):
    """Heartbeats alone would make the pages believe that their values are current."""
    app = app_of(quiet())
    async with serve(app) as port, open_stream(port) as stream:
        frames = stream.frames()
        await anext(frames)
        monkeypatch.setattr("basix_ws_cti.web.wallboard.feed_field", None)
        async for _ in frames:
            pass
        assert (await ask(app, "/stream", headers={"host": "localhost"})).status == 503
        with pytest.raises(TypeError):
            await app.wallboard.ended()


@pytest.mark.slow
async def test_the_example_of_mounting_runs(monkeypatch):
    """The application in docs/howto/wallboard.md, with a simulated PBX."""
    page = DOCS / "howto" / "wallboard.md"
    (source,) = [one.source for one in blocks(page) if one.file == "intranet.py"]
    async with Simulator(domain="acme", token="simulated") as pbx:
        monkeypatch.setenv("BASIX_SERVER", pbx.url)
        monkeypatch.setenv("BASIX_TOKEN", "simulated")
        namespace = {}
        exec(compile(source, "intranet.py", "exec"), namespace)
        app = namespace["app"]
        async with app.router.lifespan_context(app):

            async def is_live():
                answer = await ask(
                    app, "/wallboard/state", headers={"host": "intranet.example.com"}
                )
                return answer.json["feed"]["live"]

            async with asyncio.timeout(60):
                while not await is_live():
                    await asyncio.sleep(0.05)
