"""Futures for results that a thread computes."""

from __future__ import annotations

import asyncio
import threading

import pytest

from basix_ws_cti._internal.running_future import make_running_future


def test_future_cannot_be_cancelled():
    future = make_running_future()
    assert not future.cancel()
    future.set_result(1)
    assert future.result() == 1


async def test_cancelled_wait_leaves_the_future_for_the_thread():
    future = make_running_future()

    async def wait():
        return await asyncio.wrap_future(future)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    thread = threading.Thread(target=future.set_result, args=("result",))
    thread.start()
    thread.join()
    assert await asyncio.wrap_future(future) == "result"
