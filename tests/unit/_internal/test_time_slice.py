"""Time slices and threads: long work that does not block the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from support.virtual_clock import on_virtual_clock, run

from basix_ws_cti._internal.time_slice import SLICE_SECONDS, SLICE_STEPS, TimeSlice, run_in_thread


async def steps_per_slice(seconds):
    """Return the numbers of steps, of ``seconds`` each, in three time slices."""
    time_slice = TimeSlice()
    loop = asyncio.get_running_loop()
    counts = []
    for _ in range(3):
        counts.append(0)
        while True:
            counts[-1] += 1
            loop.now += seconds
            if time_slice.expired():
                break
        assert time_slice.now == loop.now
        await time_slice.yield_to_loop()
    return counts


def test_slice_expires_after_slice_seconds_or_slice_steps():
    assert run(steps_per_slice(0.0)) == [SLICE_STEPS] * 3
    assert run(steps_per_slice(SLICE_SECONDS * 0.3)) == [4] * 3
    assert run(steps_per_slice(1.0)) == [1] * 3


@on_virtual_clock
async def test_yield_to_loop_runs_other_callbacks():
    seen = []
    asyncio.get_running_loop().call_soon(seen.append, 1)
    await TimeSlice().yield_to_loop()
    assert seen == [1]


@on_virtual_clock
async def test_resumed_restarts_the_time_but_not_the_steps():
    """The wait before ``resumed`` may have had length zero."""
    time_slice, loop = TimeSlice(), asyncio.get_running_loop()
    loop.now += 1.0
    time_slice.resumed()
    assert not time_slice.expired()
    for _ in range(SLICE_STEPS - 2):
        time_slice.resumed()
        assert not time_slice.expired()
    time_slice.resumed()
    assert time_slice.expired()


async def test_function_in_a_thread_may_wait_for_the_loop():
    done = threading.Event()

    def function():
        assert done.wait(60)
        return threading.current_thread().name

    future = run_in_thread(function)
    asyncio.get_running_loop().call_soon(done.set)
    assert await future == "basix_ws_cti parser"


async def test_exception_in_a_thread_reaches_the_awaiting_task():
    """An exception that no task awaits is not reported to the event loop."""
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    with pytest.raises(LookupError):
        await run_in_thread({}.popitem)
    future = run_in_thread({}.popitem)
    await asyncio.wait([future])
    del future
    gc.collect()
    assert reported == []


async def test_result_after_cancellation_is_discarded():
    released, reported = threading.Event(), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    future = run_in_thread(lambda: released.wait(60))
    thread = next(one for one in threading.enumerate() if one.name == "basix_ws_cti parser")
    future.cancel()
    released.set()
    await asyncio.to_thread(thread.join, 60)
    await asyncio.sleep(0)
    assert future.cancelled()
    assert reported == []


def test_loop_ends_without_waiting_for_a_thread():
    """The thread ends later without an error."""
    released, crashes = threading.Event(), []
    threading.excepthook, hook = crashes.append, threading.excepthook

    async def main():
        run_in_thread(lambda: released.wait(60))
        return next(one for one in threading.enumerate() if one.name == "basix_ws_cti parser")

    try:
        thread = asyncio.run(main())
        assert thread.is_alive()
        released.set()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        threading.excepthook = hook
    assert crashes == []
