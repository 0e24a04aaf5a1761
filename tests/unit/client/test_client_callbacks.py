"""Callbacks of the client: what becomes of those that can't go on."""

from __future__ import annotations

import asyncio

from support.virtual_clock import Pbx, run

from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import SubscriberLagged


def test_a_callback_that_lags_with_fail():
    """An asynchronous callback whose policy is "fail" is not ended without a word to on_error."""

    async def main():
        pbx, errors = Pbx(), []
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            client.on_error(errors.append)
            told = []

            async def slow(change):
                told.append(change)
                await asyncio.sleep(1)

            client.on_change(slow, policy="fail", size=2)
            for number in range(9):
                pbx.set_user(number)
            await asyncio.sleep(30)
        assert len(told) < 9
        assert [type(error) for error in errors] == [SubscriberLagged]

    run(main())
