"""Tasks beside the main task of a command."""

from __future__ import annotations

import asyncio

import pytest

from basix_ws_cti.cli.side_tasks import run_beside


async def forever(ended):
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(True)


async def fail(error):
    raise error


async def test_tasks_end_with_the_block():
    ended = []
    async with run_beside(forever(ended), forever(ended)):
        await asyncio.sleep(0)
    assert ended == [True, True]


async def test_error_of_a_task_ends_the_block():
    error, ended = LookupError("of the task"), []
    with pytest.raises(LookupError) as caught:
        async with run_beside(fail(error), forever(ended)):
            await asyncio.Event().wait()
    assert caught.value is error
    assert ended == [True]


async def test_error_of_the_block_ends_the_tasks():
    error, ended = LookupError("of the block"), []
    with pytest.raises(LookupError) as caught:
        async with run_beside(forever(ended)):
            await asyncio.sleep(0)
            raise error
    assert caught.value is error
    assert ended == [True]


async def test_cancellation_of_the_block_ends_the_tasks():
    ended = []

    async def work():
        async with run_beside(forever(ended)):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
