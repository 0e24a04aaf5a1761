"""Browsers of the web wallboard that read slowly or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import socket
import statistics
import subprocess
import sys

import pytest
from support.browser import open_browser
from support.cli_runner import start
from support.faulty_proxy import Proxy
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT
from support.web_load import memory, read_bytes, read_frames

pytestmark = pytest.mark.slow

_logger = logging.getLogger(__name__)

DURATION = 600 if NIGHTLY else 30
"""Time for which a browser stalls, in seconds."""

SLOW = 10_000
"""Bytes per second of a slow network."""

BUSY = ("--port", "0", "--rate", "480", "--users", "120")
"""Options of a simulated PBX that sends 100 events per second."""

STALE = "document.documentElement.dataset.stale"

WEB = ("--domain", "demo", "--full-events", "--listen", "127.0.0.1:0")


@contextlib.contextmanager
def running(pattern, *arguments):
    """Run a command; yield its process and the port that it prints."""
    with start(*arguments, env={"BASIX_TOKEN": "simulated"}, stderr=subprocess.STDOUT) as process:
        try:
            line = process.stdout.readline()
            while line and not re.search(pattern, line):
                line = process.stdout.readline()
            yield process, int(re.search(pattern, line)[1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


async def until(page, expression):
    async with asyncio.timeout(TIMEOUT):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.05)


def open_stalled(port):
    """Open a stream that nobody reads, with a small buffer of the system."""
    browser = socket.socket()
    browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    browser.connect(("127.0.0.1", port))
    browser.sendall(f"GET /stream HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    return browser


def p99(delays, shortest):
    return statistics.quantiles(delays, n=100)[98] - shortest


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_stalled_browser_takes_no_memory_and_delays_no_other():
    """Two servers of the same PBX are compared, of which one has a browser that stalls."""
    with contextlib.ExitStack() as stack:
        run = stack.enter_context
        _, pbx = run(running(r"ws://[\d.]+:(\d+)", "simulate", *BUSY))
        server = ("web", "--server", f"ws://127.0.0.1:{pbx}", *WEB)
        servers = [run(running(r"wallboard: http://[\d.]+:(\d+)", *server)) for _ in range(2)]
        delays, totals, tasks = ([], []), ([], []), []
        for (_, port), its_delays, its_totals in zip(servers, delays, totals, strict=True):
            tasks += [asyncio.create_task(read_bytes(port, its_totals)) for _ in range(4)]
            tasks.append(asyncio.create_task(read_frames(port, its_delays, [])))
        await asyncio.sleep(10)
        before = [memory(process.pid) for process, _ in servers]
        for one in (*delays, *totals):
            one.clear()
        stalled = stack.enter_context(contextlib.closing(open_stalled(servers[0][1])))
        await asyncio.sleep(DURATION)
        grown, control = (
            memory(process.pid) - size for (process, _), size in zip(servers, before, strict=True)
        )
        sent = sum(totals[0]) / 4
        late, control_late = (p99(one, min(map(min, delays))) for one in delays)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        received = 0
        stalled.setblocking(False)
        with contextlib.suppress(OSError):
            while data := stalled.recv(65536):
                received += len(data)
    _logger.info("grown by %.1f MiB (%.1f), p99 %.3f s (%.3f)", grown, control, late, control_late)
    _logger.info("%d of %d bytes sent", received, sent)
    if NIGHTLY:  # the buffers of the system hold the frames of some minutes
        assert received < sent / 2
    assert grown - control < 5
    assert late < 3 * max(control_late, 0.1)


@pytest.mark.browser
async def test_page_in_a_slow_network_marks_late_data():
    """More is sent than the network carries: each frame arrives later than the one before."""
    async with contextlib.AsyncExitStack() as stack:
        run = stack.enter_context
        _, pbx = run(running(r"ws://[\d.]+:(\d+)", "simulate", *BUSY))
        server = ("web", "--server", f"ws://127.0.0.1:{pbx}", *WEB)
        _, port = run(running(r"wallboard: http://[\d.]+:(\d+)", *server))
        proxy = await stack.enter_async_context(Proxy(port))
        browser = await stack.enter_async_context(open_browser())
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{proxy.port}/?mode=tv&lang=en")
        await until(page, f"{STALE} === 'false'")
        proxy.throttle(SLOW)
        await until(page, f"{STALE} === 'true'")
        # The stream is not silent: its frames are late.
        assert "data arrives late" in await page.inner_text(".stale-notice")
        proxy.throttle(0)
        await until(page, f"{STALE} === 'false'")
        await page.close()
