"""Cost of the web wallboard's streams: CPU and memory of the server, delay of the frames.

    PYTHONPATH=src:tests python tests/benchmarks/web_streams.py

A simulated PBX, the command ``web`` and the browsers run in processes of their own. The PBX sends
about 100 events per second. The script prints for 0, 1, 50 and 200 browsers: CPU time of the server
as a share of one core, its memory, frames and bytes per second and browser, and the time from an
event, by the PBX's time in it, to the frame that a browser receives. The clocks have an unknown
difference, so these delays are beyond the shortest one.
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

from support.web_load import cpu_seconds, memory, read_bytes, read_frames

COUNTS = (0, 1, 50, 200)
SECONDS = 20
RATE = 480  # calls per simulated minute: about 100 events per second
USERS = 120


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


async def measure(web, port, browsers):
    """Return the figures for a number of browsers."""
    totals, delays, counts = [], [], []
    tasks = [asyncio.create_task(read_bytes(port, totals)) for _ in range(browsers - 1)]
    if browsers:
        tasks.append(asyncio.create_task(read_frames(port, delays, counts)))
    await asyncio.sleep(5)
    totals.clear(), delays.clear(), counts.clear()
    cpu, started = cpu_seconds(web.pid), time.perf_counter()
    await asyncio.sleep(SECONDS)
    elapsed = time.perf_counter() - started
    share = (cpu_seconds(web.pid) - cpu) / elapsed
    size = memory(web.pid)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    late = sorted(delay - min(delays) for delay in delays)
    result = {
        "browsers": browsers,
        "cpu": f"{share:.1%}",
        "MiB": round(size),
        "frames/s": round(len(counts) / elapsed, 1),
        "kB/s each": round(sum(totals) / max(1, browsers - 1) / elapsed / 1000, 1),
    }
    if len(late) > 10:
        steps = statistics.quantiles(late, n=100)
        result |= {"p50 ms": round(steps[49] * 1000), "p99 ms": round(steps[98] * 1000)}
    return result


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
    finally:
        for process in (web, pbx):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    asyncio.run(main())
