"""Waiting for conditions, with a limit that only a defect exceeds."""

from __future__ import annotations

import asyncio
import time

# Seconds. Even a busy machine takes less; more is a defect.
TIMEOUT = 60


async def eventually(condition, seconds=TIMEOUT):
    """Wait in the event loop until ``condition()`` is true, for at most ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def wait_until(condition, description="the condition", interval=0.005, seconds=TIMEOUT):
    """Wait in a thread until ``condition()`` is true, for at most ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"timed out while waiting for {description}"
        time.sleep(interval)
