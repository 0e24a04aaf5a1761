"""Event loop that owns an object: use from other loops and threads is refused."""

from __future__ import annotations

import asyncio
import threading

import pytest

from basix_ws_cti._internal.owner_loop import OwnerLoop
from basix_ws_cti.exceptions import UsageError


async def call(function):
    function()


def in_thread(function):
    """Call a function in a new thread; return the exception that it raises, or ``None``."""
    raised = []

    def run():
        try:
            function()
        except UsageError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_nothing_is_refused_before_binding_and_after_release():
    owner = OwnerLoop("the client")
    asyncio.run(call(owner.check))
    owner.check_thread()
    asyncio.run(call(owner.bind))
    owner.release()
    asyncio.run(call(owner.check))
    assert in_thread(owner.check_thread) is None


def test_another_event_loop_is_refused():
    owner = OwnerLoop("the client")
    asyncio.run(call(owner.bind))
    with pytest.raises(UsageError, match="^the client runs in another event loop: await this in"):
        asyncio.run(call(owner.check))


def test_own_event_loop_and_thread_are_accepted():
    owner = OwnerLoop("the client")

    async def use():
        owner.bind()
        owner.check()
        owner.check_thread()

    asyncio.run(use())


def test_another_thread_is_refused():
    owner = OwnerLoop("the client")
    asyncio.run(call(owner.bind))
    error = in_thread(owner.check_thread)
    assert str(error).startswith("the client runs in another thread: call this in its event loop")
