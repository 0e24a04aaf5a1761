"""Long work lets others have their turn: in slices, or in a thread."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from support.virtual_clock import run

from basix_ws_cti._internal.time_slice import SLICE_SECONDS, SLICE_STEPS, TimeSlice, run_in_thread


async def steps_of_a_turn(seconds):
    """How many steps, of so many seconds each, are taken before a turn is over."""
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


def test_a_turn_is_short():
    """A turn ends with the step that makes it as long as it may be, or with the last of many."""
    assert run(steps_of_a_turn(0.0)) == [SLICE_STEPS] * 3
    assert run(steps_of_a_turn(SLICE_SECONDS * 0.3)) == [4] * 3
    assert run(steps_of_a_turn(1.0)) == [1] * 3


def test_others_have_their_turn_in_a_pause():
    """During a pause everybody goes on who can."""

    async def main():
        seen = []
        asyncio.get_running_loop().call_soon(seen.append, 1)
        await TimeSlice().yield_to_loop()
        return seen

    assert run(main()) == [1]


def test_after_a_wait_a_turn_begins():
    """A wait begins another turn, but not another count: it may have been none."""

    async def main():
        time_slice, loop = TimeSlice(), asyncio.get_running_loop()
        loop.now += 1.0
        time_slice.resumed()
        assert not time_slice.expired()
        for _ in range(SLICE_STEPS - 2):
            time_slice.resumed()
            assert not time_slice.expired()
        time_slice.resumed()
        assert time_slice.expired()

    run(main())


async def test_the_loop_goes_on():
    """What is called in a thread may wait for what the loop does meanwhile."""
    done = threading.Event()

    def function():
        assert done.wait(60)
        return threading.current_thread().name

    future = run_in_thread(function)
    asyncio.get_running_loop().call_soon(done.set)
    assert await future == "basix_ws_cti parser"


async def test_what_it_raises():
    """An exception comes to who waits; if nobody does it is no defect."""
    defects = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
    with pytest.raises(LookupError):
        await run_in_thread({}.popitem)
    future = run_in_thread({}.popitem)
    await asyncio.wait([future])
    del future
    gc.collect()
    assert defects == []


async def test_nobody_waits_any_more():
    """What a thread finds out after its future was cancelled goes nowhere."""
    go, defects = threading.Event(), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: defects.append(context))
    future = run_in_thread(lambda: go.wait(60))
    thread = next(one for one in threading.enumerate() if one.name == "basix_ws_cti parser")
    future.cancel()
    go.set()
    await asyncio.to_thread(thread.join, 60)
    await asyncio.sleep(0)
    assert future.cancelled()
    assert defects == []


def test_the_loop_ends_first():
    """A loop that ends waits for no thread, and that ends without a word."""
    go, crashes = threading.Event(), []
    threading.excepthook, hook = crashes.append, threading.excepthook

    async def main():
        run_in_thread(lambda: go.wait(60))
        return next(one for one in threading.enumerate() if one.name == "basix_ws_cti parser")

    try:
        thread = asyncio.run(main())
        assert thread.is_alive()
        go.set()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        threading.excepthook = hook
    assert crashes == []
