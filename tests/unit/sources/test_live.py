"""Live and simulated sources: complete names from the first message, notices, and time."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from basix_ws_cti import AuthenticationError, Gap, InfoEvent, InitialInfo, Msg
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.sources.live import open_live_source
from basix_ws_cti.sources.simulated import open_simulated_source, run_simulated_pbx


@contextlib.asynccontextmanager
async def connected(**options):
    """Start a simulated PBX without calls, and a live source that is connected to it."""
    async with Simulator(calls=False) as pbx:
        arguments = {**pbx.connect_args, "full_events": True, **options}
        async with open_live_source(**arguments) as source:
            yield pbx, source


async def test_initial_elements_are_delivered_after_the_snapshot_is_complete():
    async with connected() as (_, source):
        async for _, message in source.messages():
            if isinstance(message, InitialInfo):
                assert source.mirror.users
                assert source.mirror.groups
                assert isinstance(source.state, Synced)
                break


async def test_messages_carry_the_time_of_arrival():
    async with connected() as (pbx, source):
        messages = source.messages()
        first = asyncio.ensure_future(anext(messages))
        await source.synced()
        await first
        before = datetime.now(UTC)
        pbx.msg("hello")
        at = await anext(at async for at, message in messages if isinstance(message, Msg))
        assert before <= at <= datetime.now(UTC)


@pytest.mark.slow
async def test_states_gaps_and_errors_are_reported_as_notices():
    notices = []
    async with connected(on_notice=notices.append) as (pbx, source):
        await source.synced()
        pbx.inject(faults.Drop())
        async with asyncio.timeout(60):
            while not any(isinstance(notice, Gap) for notice in notices):
                await asyncio.sleep(0.01)
    kinds = [type(notice) for notice in notices]
    for kind in (Connecting, Syncing, Synced, Disconnected, Gap, Stopped):
        assert kind in kinds
    assert notices[-1] == Stopped(None)


async def test_element_changes_are_not_notices():
    notices = []
    async with connected(on_notice=notices.append) as (pbx, source):
        await source.synced()
        messages = source.messages()
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        pbx.call("0312341234", to="1001")
        _, message = await waiting
    assert isinstance(message, InfoEvent)
    assert {type(notice) for notice in notices} <= {Connecting, Syncing, Synced, Stopped}


async def test_live_source_yields_call_events_and_shows_active_calls():
    async with connected() as (pbx, source):
        assert source.calls == {}
        events = source.call_events()
        waiting = asyncio.ensure_future(anext(events))
        await source.synced()
        pbx.call("0312341234", to="1001")
        _, event = await waiting
        assert event.call.caller.number == "0312341234"
        assert [*source.calls] == [event.call.id]


async def test_refused_login_raises_the_error_from_the_iteration():
    async with connected(token="wrong") as (_, source):
        with pytest.raises(AuthenticationError):
            async for _ in source.messages():
                pass


async def test_simulated_source_has_simulated_time():
    async with open_simulated_source(speed=100, seed=2) as source:
        started = source.now()
        await source.synced()
        await asyncio.sleep(0.05)
        assert source.now() - started >= timedelta(seconds=5)
        assert abs(started - datetime.now(UTC)) > timedelta(days=1)


@pytest.mark.slow
async def test_equal_seeds_give_equal_simulated_days():
    async def first_users(seed):
        async with open_simulated_source(seed=seed) as source:
            return dict((await source.synced()).users)

    assert await first_users(3) == await first_users(3)


async def test_simulated_pbx_accepts_its_own_connect_arguments():
    async with run_simulated_pbx(seed=1) as pbx:
        async with open_live_source(**pbx.connect_args, full_events=True) as source:
            assert (await source.synced()).users
        assert pbx.clock().tzinfo is UTC
