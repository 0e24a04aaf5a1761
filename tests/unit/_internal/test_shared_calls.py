"""Shared calls: results, sharing, bounds and ends of processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading

import pytest
from support.waiting import TIMEOUT, eventually

from basix_ws_cti._internal.shared_calls import SharedCalls


class Hanging:
    """Function that waits for ``end``, then returns the number of its calls."""

    def __init__(self):
        self.end = threading.Event()
        self.calls = 0

    def __call__(self):
        self.calls += 1
        number = self.calls
        assert self.end.wait(TIMEOUT)
        return number


@pytest.fixture
def hanging():
    function = Hanging()
    yield function
    function.end.set()


def new_calls(**options):
    return SharedCalls("test call", **{"max_threads": 4, **options})


async def started(calls, key, function):
    """Return the task of a caller whose call is pending."""
    task = asyncio.create_task(calls.run(key, function))
    await asyncio.sleep(0)
    return task


async def test_result_is_returned_and_the_thread_ends():
    calls = new_calls()
    assert [await calls.run("a", lambda: 1), await calls.run("a", lambda: 2)] == [1, 2]
    await eventually(lambda: calls.threads == 0)


async def test_call_runs_in_a_daemon_thread_of_its_own():
    thread = await new_calls().run("a", threading.current_thread)
    assert (thread.daemon, thread.name) == (True, "test call")


async def test_exception_is_raised_as_a_copy_for_each_caller(hanging):
    """The callers' frames are in the traceback of their own copy only."""
    calls = new_calls()
    raised = OSError(5, "problem")

    def fail():
        hanging()
        raise raised

    tasks = [await started(calls, "a", fail) for _ in range(2)]
    hanging.end.set()
    one, other = await asyncio.gather(*tasks, return_exceptions=True)
    assert hanging.calls == 1
    assert str(one) == str(other) == "[Errno 5] problem"
    assert len({id(error) for error in (one, other, raised)}) == 3
    assert raised.__traceback__ is None


async def test_callers_with_the_same_key_share_a_pending_call(hanging):
    calls = new_calls()
    tasks = [await started(calls, "a", hanging) for _ in range(10)]
    assert calls.threads == 1
    hanging.end.set()
    assert await asyncio.gather(*tasks) == [1] * 10


async def test_cancelled_caller_does_not_end_the_call_for_others(hanging):
    calls = new_calls()
    first, second = [await started(calls, "a", hanging) for _ in range(2)]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    hanging.end.set()
    assert await second == 1


async def test_repeated_call_that_hangs_takes_one_thread(hanging):
    calls = new_calls()
    for _ in range(100):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await calls.run("a", hanging)
    assert (calls.threads, hanging.calls) == (1, 1)


async def test_call_that_hangs_for_long_gets_one_second_call(hanging):
    """The second one may succeed; there is never a third."""
    calls = new_calls(patience=0)
    task = await started(calls, "a", hanging)
    assert await calls.run("a", lambda: "second") == "second"
    waiting = [await started(calls, "a", hanging) for _ in range(3)]
    await eventually(lambda: hanging.calls == 2)
    assert calls.threads == 2
    hanging.end.set()
    assert await task == 1
    assert await asyncio.gather(*waiting) == [2] * 3


async def test_calls_beyond_the_maximum_wait_for_a_thread(hanging):
    calls = new_calls(max_threads=2)
    tasks = [await started(calls, key, hanging) for key in "ab"]
    late = await started(calls, "c", lambda: "late")
    await asyncio.sleep(0.01)
    assert (calls.threads, late.done()) == (2, False)
    hanging.end.set()
    await asyncio.gather(*tasks)
    assert await late == "late"


async def test_thread_that_cannot_start_raises_and_leaves_nothing_behind(monkeypatch):
    calls = new_calls()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            await calls.run("a", lambda: 1)
    assert calls.threads == 0
    assert await calls.run("a", lambda: 2) == 2


def test_call_outlives_its_event_loop_silently(hanging, caplog):
    """The next event loop shares it."""
    calls = new_calls()

    async def give_up():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await calls.run("a", hanging)

    async def wait():
        task = await started(calls, "a", hanging)
        hanging.end.set()
        return await task

    asyncio.run(give_up())
    assert asyncio.run(wait()) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.slow
def test_forked_process_does_not_wait_for_the_threads_of_its_parent():
    program = """
import asyncio, os, threading
from basix_ws_cti._internal.shared_calls import SharedCalls
calls = SharedCalls("test call", max_threads=1)

async def main(function, seconds):
    async with asyncio.timeout(seconds):
        return await calls.run("a", function)

try:
    asyncio.run(main(threading.Event().wait, 0.1))
except TimeoutError:
    pass
child = os.fork()
if not child:
    os._exit(asyncio.run(main(lambda: 7, 30)))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
