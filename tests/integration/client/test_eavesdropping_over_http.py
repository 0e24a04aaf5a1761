"""Eavesdropping in one call over real sockets: feed and HTTP API of a simulated PBX."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from support.client_schedules import connected
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import EavesdropError, HttpApi, HttpApiError
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.states import Eavesdrop

SUPERVISOR = 10001002


@contextlib.asynccontextmanager
async def call_in_progress(**options):
    """Yield a PBX, a client, an open HTTP API, and the caller's leg of an answered call.

    The supervisor has two phones.
    """
    async with Simulator(calls=False, **options) as pbx, connected(pbx) as client:
        arguments = pbx.connect_args
        del arguments["app_name"]
        arguments["server"] = pbx.api_url
        async with HttpApi(**arguments) as api:
            lead = pbx.call("0312341234", to="1001")
            pbx.answer(lead)
            pbx.add_terminal("1002")
            yield pbx, client, api, lead


class SpiedApi:
    """HTTP API that calls ``before`` and ``after`` around each request, and keeps its uuids."""

    def __init__(self, api, *, before=None, after=None):
        self.api = api
        self.before = before
        self.after = after
        self.uuids = ()

    async def call_user(self, **request):
        if self.before is not None:
            self.before()
        self.uuids = await self.api.call_user(**request)
        if self.after is not None:
            await self.after()
        return self.uuids


async def test_supervisor_listens_through_one_of_two_phones():
    """The API returns a uuid for each phone; the one that is answered is the plug."""
    async with call_in_progress(speed=10) as (_, client, api, lead):
        spied = SpiedApi(api)
        plug = await client.eavesdrop(
            lead, api=spied, user_id=SUPERVISOR, subcommand="whisper", confirm=True, timeout=TIMEOUT
        )
        assert len(spied.uuids) == 2
        assert plug in spied.uuids
        leg = client.mirror.channels[plug]
        assert leg.user_id == SUPERVISOR
        assert leg.calling_number == "media_plug"
        assert (leg.state.uuid, leg.state.eavesdrop_state) == (lead, "whisper")
        assert set(spied.uuids) - set(client.mirror.channels) == set(spied.uuids) - {plug}
        await client.hangup(plug, confirm=True)
        assert client.mirror.channels[lead].state.name == "bridged"


async def test_user_is_named_by_name():
    async with call_in_progress(speed=10) as (_, client, api, lead):
        plug = await client.eavesdrop(lead, api=api, user_name="user2", timeout=TIMEOUT)
        await client.wait_for(
            lambda mirror: isinstance(mirror.channels[plug].state, Eavesdrop), TIMEOUT
        )


async def test_answer_that_comes_before_the_reply_is_used():
    """The reply is held back until the feed has shown the answer."""
    async with call_in_progress(speed=10) as (_, client, api, lead):

        async def answered():
            await eventually(
                lambda: any(
                    leg.calling_number == "media_plug" and leg.last_event == "CHANNEL_ANSWER"
                    for leg in client.mirror.channels.values()
                )
            )

        spied = SpiedApi(api, after=answered)
        assert await client.eavesdrop(
            lead, api=spied, user_id=SUPERVISOR, confirm=True, timeout=TIMEOUT
        )


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_connection_that_breaks_in_between_is_survived(moment):
    """The connection breaks before the request, or between the reply and the answer."""
    async with call_in_progress(speed=2) as (pbx, client, api, lead):

        async def drop():
            pbx.inject(faults.Drop())
            await eventually(lambda: client.stats.gaps or not client.is_synced)

        hooks = (
            {"before": lambda: pbx.inject(faults.Drop())} if moment == "before" else {"after": drop}
        )
        plug = await client.eavesdrop(
            lead,
            api=SpiedApi(api, **hooks),
            user_id=SUPERVISOR,
            confirm=True,
            timeout=TIMEOUT,
        )
        assert client.stats.gaps == 1
        assert client.mirror.channels[plug].state.uuid == lead


async def test_supervisor_without_registered_phone_is_an_error_of_the_api():
    async with call_in_progress(speed=10) as (pbx, client, api, lead):
        pbx.register("1002", registered=False)
        with pytest.raises(HttpApiError, match="not_available"):
            await client.eavesdrop(lead, api=api, user_id=SUPERVISOR, timeout=TIMEOUT)


async def test_refused_phones_are_an_error():
    """Both phones refuse while they ring."""
    async with call_in_progress(speed=1) as (pbx, client, api, lead):

        async def refuse():
            await eventually(lambda: len(client.mirror.channels_of_user(SUPERVISOR)) == 2)
            for leg in client.mirror.channels_of_user(SUPERVISOR):
                pbx.hangup(leg.uuid)

        with pytest.raises(EavesdropError, match="no phone of the user has answered"):
            await client.eavesdrop(
                lead, api=SpiedApi(api, after=refuse), user_id=SUPERVISOR, timeout=TIMEOUT
            )


async def test_end_of_the_target_hangs_up_the_phones():
    async with call_in_progress(speed=1) as (pbx, client, api, lead):

        async def end():
            await eventually(lambda: len(client.mirror.channels_of_user(SUPERVISOR)) == 2)
            pbx.hangup(lead)

        with pytest.raises(EavesdropError, match="the target has ended"):
            await client.eavesdrop(
                lead, api=SpiedApi(api, after=end), user_id=SUPERVISOR, timeout=TIMEOUT
            )
        await eventually(lambda: not pbx.snapshot()["channel"])


async def test_cancelled_attempt_leaves_no_ringing_phone():
    async with call_in_progress(speed=1) as (pbx, client, api, lead):
        attempt = asyncio.create_task(
            client.eavesdrop(lead, api=api, user_id=SUPERVISOR, timeout=TIMEOUT)
        )
        await eventually(lambda: len(client.mirror.channels_of_user(SUPERVISOR)) == 2)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await eventually(lambda: len(pbx.snapshot()["channel"]) == 2)
