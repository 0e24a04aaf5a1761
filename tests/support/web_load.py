"""Load of the command ``web``: its memory and CPU time, and the delay of the frames it sends."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .web_server import open_stream


def cpu_seconds(pid):
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Return the resident memory of a process in MiB."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def read_bytes(port, totals):
    """Receive a stream as a browser does, without looking at it."""
    async with open_stream(port) as stream:
        while data := await stream.reader.read(65536):
            totals.append(len(data))


async def read_frames(port, delays, counts):
    """Receive a stream and note the delay of each event that a frame has.

    The clocks of the PBX and of this machine have an unknown difference, which is in each delay.
    """
    known = {}
    async with open_stream(port) as stream:
        async for _id, event, content in stream.frames():
            now = time.time()
            counts.append(event)
            rows = content["calls"] if event == "snapshot" else content.get("calls", {}).get("set")
            for key, row in (rows or {}).items():
                started = row["phases"][-1]["started"]
                if known.get(key) != started and event == "update":
                    delays.append(now - started / 1000)
                known[key] = started
