"""Requests of a follower: what happens if the follower stops meanwhile."""

from __future__ import annotations

import asyncio
import gc

import pytest
from support.virtual_clock import on_virtual_clock

from basix_ws_cti import NotConnectedError
from basix_ws_cti.client.commands import hangup
from basix_ws_cti.client.dispatch import Dispatcher
from basix_ws_cti.fanout.command_requests import CommandRequester


@on_virtual_clock
async def test_end_of_the_follower_during_a_request_logs_nothing():
    logged, dispatcher = [], Dispatcher()

    class Ending:
        """Connection to a Redis without a leader; the follower stops before its answer."""

        async def execute(self, *_):
            dispatcher.end(None)
            return 0

        async def close(self):
            pass

    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    with pytest.raises(NotConnectedError):
        await CommandRequester(Ending, "basix", dispatcher).send(hangup("u"), 5)
    gc.collect()
    assert (logged, dispatcher.waiters) == ([], set())
