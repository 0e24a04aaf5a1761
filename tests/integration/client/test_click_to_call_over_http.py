"""Click-to-call in one call over real sockets: feed and HTTP API of a simulated PBX."""

from __future__ import annotations

import contextlib

import pytest
from support.client_schedules import connected
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import ClickToCallError, HttpApi, HttpApiError
from basix_ws_cti.calls import CallAnswered, CallEnded, CallStarted
from basix_ws_cti.simulator import Simulator, faults

CUSTOMER = "0398765432"


@contextlib.asynccontextmanager
async def office():
    """Yield a PBX in which user 1001 has two phones, a client, and an open HTTP API."""
    async with Simulator(calls=False, speed=10) as pbx, connected(pbx) as client:
        arguments = {name: pbx.connect_args[name] for name in ("domain", "token")}
        async with HttpApi(pbx.api_url, **arguments) as api:
            pbx.add_terminal("1001")
            yield pbx, client, api


async def test_call_is_followed_from_the_ringing_phones_to_its_end():
    """The user answers the second of two phones, and the customer answers."""
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER, user_extension="1001")
        first, second = call.uuids
        await client.wait_for(lambda mirror: {first, second} <= {*mirror.channels}, TIMEOUT)
        pbx.answer(second)
        customer_uuid = pbx.answer(second)
        answered = await call.answered(TIMEOUT)
        assert answered.answered_by.number == CUSTOMER
        assert answered.caller.user_id == client.mirror.user_by_extension("1001").id
        assert {second, customer_uuid} <= {leg.uuid for leg in answered.legs}
        pbx.hangup(customer_uuid)
        ended = await call.ended(TIMEOUT)
        assert (ended.id, ended.ended_by) == (answered.id, "callee")
        events = [event async for event in call if event.call.id == ended.id]
        assert isinstance(events[0], CallStarted)
        assert [type(event) for event in events].count(CallAnswered) == 1
        assert events[-1] == CallEnded(ended)


async def test_phones_that_nobody_answers_are_an_error():
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER, user_extension="1001")
        await client.wait_for(lambda mirror: {*call.uuids} <= {*mirror.channels}, TIMEOUT)
        for uuid in call.uuids:
            pbx.hangup(uuid)
        with pytest.raises(ClickToCallError, match="no phone of the user was answered"):
            await call.answered(TIMEOUT)
        assert not client.calls


async def test_connection_that_breaks_in_between_is_survived():
    async with office() as (pbx, client, api):
        call = await client.call_user(api, CUSTOMER, user_extension="1001")
        pbx.inject(faults.Drop())
        await eventually(lambda: {*call.uuids} <= {*pbx.snapshot()["channel"]})
        pbx.answer(call.uuids[0])
        pbx.answer(call.uuids[0])
        assert (await call.answered(TIMEOUT)).answered_by.number == CUSTOMER
        assert client.stats.gaps == 1
        pbx.hangup(call.uuids[0])
        await call.ended(TIMEOUT)


async def test_refusal_of_the_api_is_raised():
    async with office() as (_, client, api):
        with pytest.raises(HttpApiError, match="user_not_found"):
            await client.call_user(api, CUSTOMER, user_extension="9999")
