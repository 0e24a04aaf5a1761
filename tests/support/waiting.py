"""How a test waits for what others do: until it is so, on a busy machine for long."""

from __future__ import annotations

import asyncio
import time

# Seconds in which even a busy machine has done it: only a defect takes longer.
PATIENCE = 60


async def until(so, seconds=PATIENCE):
    """Let time pass in the event loop until something is so."""
    async with asyncio.timeout(seconds):
        while not so():
            await asyncio.sleep(0.005)


def wait_until(so, what="what was to come", every=0.005):
    """The same in plain code, for what another thread or process does."""
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(every)
