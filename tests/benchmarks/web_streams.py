"""Cost of the web wallboard's streams: CPU and memory of the server, delay of the frames.

    PYTHONPATH=src:tests python tests/benchmarks/web_streams.py

A simulated PBX, the command ``web`` and the browsers run in processes of their own. The PBX sends
about 100 events per second. The script prints for 0, 1, 50 and 200 browsers: CPU time of the server
as a share of one core, its memory, frames and bytes per second and browser, and the time from an
event, by the PBX's time in it, to the frame that a browser receives. The clocks have an unknown
difference, so these delays are beyond the shortest one.

It then opens the page in Chromium, if that is installed, as a TV and at a desk, and prints the time
from an event to its display, the CPU time of the page's main thread and of its scripts alone, and
its memory. Without a graphics card the main thread also draws.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time

from support.browser import open_browser
from support.programs import find_program
from support.web_load import cpu_seconds, memory, read_bytes
from support.web_server import open_stream

COUNTS = (0, 1, 50, 200)
SECONDS = 20
RATE = 480  # calls per simulated minute: about 100 events per second
USERS = 120

PAGES = {
    "tv": {"width": 1920, "height": 1080},
    "desk": {"width": 1280, "height": 800},
}

# Notes for each frame the time at which Chromium has drawn it: the message of a channel is received
# after the drawing for which the callback was called.
PROBE = """
window.displayed = [];
window.EventSource = class extends EventSource {
    constructor(url) {
        super(url);
        for (const kind of ["snapshot", "update"]) {
            this.addEventListener(kind, event => requestAnimationFrame(() => {
                const drawn = new MessageChannel();
                drawn.port1.onmessage = () => displayed.push([Date.now() / 1000, kind, event.data]);
                drawn.port2.postMessage(null);
            }));
        }
    }
};
"""


def start(*arguments):
    """Start a command, and return its process."""
    return subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "BASIX_TOKEN": "simulated"},
        text=True,
    )


def wait_for_port(process, pattern):
    """Return the port that a line of a command's output names."""
    for line in process.stdout:
        if found := re.search(pattern, line):
            return int(found[1])
    raise RuntimeError("the command ended")


def changes_in(frames):
    """Yield the delay of each change of a call's phase; ``frames`` are time, kind and content."""
    known = {}
    for now, kind, content in frames:
        rows = content["calls"] if kind == "snapshot" else content.get("calls", {}).get("set")
        for key, row in (rows or {}).items():
            started = row["phases"][-1]["started"]
            if known.get(key) != started and kind == "update":
                yield now, now - started / 1000
            known[key] = started


def delay_figures(frames, begin):
    """Return median and 99th percentile of the delays since a time, beyond the shortest one."""
    delays = [delay for now, delay in changes_in(frames) if now >= begin]
    if len(delays) <= 10:
        return {}
    steps = statistics.quantiles([delay - min(delays) for delay in delays], n=100)
    return {"p50 ms": round(steps[49] * 1000), "p99 ms": round(steps[98] * 1000)}


async def read_frames(port, frames):
    """Receive a stream, and note the time, kind and content of each frame."""
    async with open_stream(port) as stream:
        async for _id, kind, content in stream.frames():
            frames.append((time.time(), kind, content))


async def measure(web, port, browsers):
    """Return the figures for a number of browsers."""
    totals, frames = [], []
    tasks = [asyncio.create_task(read_bytes(port, totals)) for _ in range(browsers - 1)]
    if browsers:
        tasks.append(asyncio.create_task(read_frames(port, frames)))
    await asyncio.sleep(5)
    totals.clear()
    cpu, started, begin = cpu_seconds(web.pid), time.perf_counter(), time.time()
    await asyncio.sleep(SECONDS)
    elapsed = time.perf_counter() - started
    share = (cpu_seconds(web.pid) - cpu) / elapsed
    size = memory(web.pid)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "browsers": browsers,
        "cpu": f"{share:.1%}",
        "MiB": round(size),
        "frames/s": round(sum(now >= begin for now, *_ in frames) / elapsed, 1),
        "kB/s each": round(sum(totals) / max(1, browsers - 1) / elapsed / 1000, 1),
        **delay_figures(frames, begin),
    }


async def page_metrics(session):
    """Return what Chromium counts for a page, by name."""
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return {one["name"]: one["value"] for one in metrics}


async def measure_page(browser, port, mode):
    """Return the figures of the page in Chromium; those of its main thread are CPU times."""
    page = await browser.new_page(viewport=PAGES[mode])
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.add_init_script(PROBE)
    await page.goto(f"http://127.0.0.1:{port}/?mode={mode}")
    await asyncio.sleep(5)
    before, begin = await page_metrics(session), time.time()
    await asyncio.sleep(SECONDS)
    after = await page_metrics(session)
    displayed = await page.evaluate("displayed")
    await page.close()
    frames = [(now, kind, json.loads(data)) for now, kind, data in displayed]
    elapsed = after["Timestamp"] - before["Timestamp"]
    return {
        "page": mode,
        "frames/s": round(sum(now >= begin for now, *_ in frames) / elapsed, 1),
        "main thread": f"{(after['TaskDuration'] - before['TaskDuration']) / elapsed:.1%}",
        "scripts": f"{(after['ScriptDuration'] - before['ScriptDuration']) / elapsed:.1%}",
        "heap MiB": round(after["JSHeapUsedSize"] / 2**20, 1),
        "nodes": round(after["Nodes"]),
        **delay_figures(frames, begin),
    }


async def measure_pages(port):
    """Print the figures of the page, if Chromium is installed."""
    if find_program("chromium"):
        async with open_browser() as browser:
            for mode in PAGES:
                print(json.dumps(await measure_page(browser, port, mode)), flush=True)


async def main():
    """Measure and print."""
    pbx = start("simulate", "--port", "0", "--rate", str(RATE), "--users", str(USERS))
    pbx_port = wait_for_port(pbx, r"ws://[\d.]+:(\d+)")
    server = f"ws://127.0.0.1:{pbx_port}"
    options = ("--server", server, "--domain", "demo", "--full-events", "--listen", "127.0.0.1:0")
    web = start("web", *options)
    try:
        port = wait_for_port(web, r"wallboard: http://[\d.]+:(\d+)")
        await asyncio.sleep(60)  # until as many calls end as begin
        for browsers in COUNTS:
            print(json.dumps(await measure(web, port, browsers)), flush=True)
        await measure_pages(port)
    finally:
        for process in (web, pbx):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    asyncio.run(main())
