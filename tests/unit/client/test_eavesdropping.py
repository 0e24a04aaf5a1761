"""Eavesdropping in one call: the plug, its answer, time-outs and cleaning up."""

from __future__ import annotations

import asyncio
import logging
import math

import attrs
import pytest
from support.fake_pbx import FakePbx
from support.virtual_clock import now, on_virtual_clock, run

from basix_ws_cti import Channel, ConnectFailed
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    CommandTimeout,
    ConnectionLost,
    EavesdropError,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.session.status import Stopped
from basix_ws_cti.states import Bridged, Eavesdrop

TARGET = Channel(uuid="target", state=Bridged(), calling_number="0312341234")
PLUG = Channel(
    uuid="plug", calling_number="media_plug", last_event="CHANNEL_ANSWER", answer_timestamp=5
)
COMMAND = {"cmd": "eavesdrop", "uuid": "plug", "target_uuid": "target"}


def ringing(uuid="plug"):
    return Channel(uuid=uuid, calling_number="media_plug", last_event="CHANNEL_CREATE")


class Api:
    """HTTP API that answers after ``delay`` seconds; ``actions`` run before and after that."""

    def __init__(self, *uuids, delay=1.0, before=None, error=None):
        self.uuids = uuids
        self.delay = delay
        self.before = before
        self.error = error
        self.requests = []

    async def call_user(self, **request):
        self.requests.append(request)
        if self.before is not None:
            self.before()
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return self.uuids


class PlugPbx(FakePbx):
    """PBX with a call to listen to; ``commands``: everything that clients have sent."""

    def __init__(self):
        super().__init__()
        self.state["channel"] = {"target": TARGET}

    def put(self, leg):
        """Add or update a channel."""
        legs = self.state["channel"]
        name = "updated" if leg.uuid in legs else "added"
        self.replace("channel", {**legs, leg.uuid: leg}, (leg, name))

    def put_later(self, seconds, leg):
        asyncio.get_running_loop().call_later(seconds, self.put, leg)

    def hang_up_later(self, seconds, uuid):
        asyncio.get_running_loop().call_later(seconds, self.hang_up, uuid)

    @property
    def commands(self):
        return [command for one in self.past_connections for command in one.sent]


def eavesdrop(pbx, api, *, setup=lambda: None, **options):
    """Eavesdrop on the target; return the result, or the exception raised."""

    async def main():
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            setup()
            try:
                return await client.eavesdrop(
                    "target", api=api, **{"user_id": 7, "timeout": 10, **options}
                )
            except Exception as error:  # noqa: BLE001 - returned
                return error

    return run(main())


# -- success -------------------------------------------------------------------------------


def test_answer_after_the_reply_is_awaited():
    """The first answered plug listens; the target is the channel asked for."""
    pbx, api = PlugPbx(), Api("plug", "other")

    def setup():
        pbx.put_later(0.5, ringing())
        pbx.put_later(0.6, ringing("other"))
        pbx.put_later(4, PLUG)

    assert eavesdrop(pbx, api, setup=setup) == "plug"
    assert api.requests == [{"user_id": 7, "destination": "media_plug", "answer_timeout": 10}]
    assert pbx.commands == [COMMAND]


def test_answer_before_the_reply_is_not_missed():
    """By the time of the reply, the answer may not be the last event of the plug any more."""
    for leg in (PLUG, attrs.evolve(PLUG, last_event="STATE_CHANGE")):
        pbx = PlugPbx()

        def setup(pbx=pbx, leg=leg):
            pbx.put_later(0.2, ringing())
            pbx.put_later(0.5, leg)

        assert eavesdrop(pbx, Api("plug", delay=2), setup=setup) == "plug"
        assert pbx.commands == [COMMAND]


@pytest.mark.parametrize("lost_after", [0.2, 1.5, 3])
def test_reconnect_in_between_is_survived(lost_after):
    """The connection breaks before the reply, after it, or after the answer was lost."""
    pbx = PlugPbx()

    def setup():
        loop = asyncio.get_running_loop()
        pbx.put_later(0.1, ringing())
        loop.call_later(lost_after, lambda: pbx.lose(cut=True))
        pbx.plan.append(ConnectFailed("no route to host"))
        # The answer comes while there is no connection, or on the second one.
        pbx.put_later(lost_after + 0.1, PLUG)

    assert eavesdrop(pbx, Api("plug"), setup=setup) == "plug"
    assert len(pbx.past_connections) == 2
    assert pbx.past_connections[0].sent == []
    assert pbx.past_connections[1].sent == [COMMAND]


def test_channels_that_are_no_answered_plug_are_passed_over():
    """A leg of the user that is no media plug, one that rings, and plugs of others."""
    pbx = PlugPbx()

    def setup():
        pbx.put(attrs.evolve(PLUG, uuid="call", calling_number="1001"))
        pbx.put(ringing("rings"))
        pbx.put(attrs.evolve(PLUG, uuid="foreign"))
        pbx.put_later(3, PLUG)

    assert eavesdrop(pbx, Api("call", "rings", "plug"), setup=setup) == "plug"
    assert pbx.commands == [COMMAND]


def test_user_by_name_and_subcommand():
    pbx, api = PlugPbx(), Api("plug", before=lambda: pbx.put(PLUG))
    result = eavesdrop(pbx, api, user_id=None, user_name="sato", subcommand="whisper", timeout=2.5)
    assert result == "plug"
    assert api.requests == [{"user_name": "sato", "destination": "media_plug", "answer_timeout": 3}]
    assert pbx.commands == [{**COMMAND, "subcommand": "whisper"}]


@on_virtual_clock
async def test_confirmation_waits_for_the_eavesdrop_state():
    pbx = PlugPbx()

    def setup():
        pbx.put(PLUG)
        pbx.put_later(5, attrs.evolve(PLUG, state=Eavesdrop(uuid="target")))

    async with Client("fake", connector=pbx) as client:
        await client.synced()
        began = now()
        setup()
        assert await client.eavesdrop("target", api=Api("plug"), user_id=7, confirm=True)
        assert now() - began >= 5

    assert pbx.commands == [COMMAND]


# -- failure -------------------------------------------------------------------------------

HANG_UP = {"cmd": "hangup", "uuid": "plug"}


@pytest.mark.parametrize("timeout", [2, 4.5])
def test_unanswered_plug_times_out_and_is_hung_up(timeout):
    """All phones that still ring are hung up."""
    pbx = PlugPbx()
    for uuid in ("plug", "other", "refused"):
        pbx.state["channel"] |= {uuid: ringing(uuid)}
    error = eavesdrop(
        pbx,
        Api("plug", "refused", "other"),
        setup=lambda: pbx.hang_up_later(1.5, "refused"),
        timeout=timeout,
    )
    assert type(error) is WaitTimeout
    assert (error.what, error.seconds) == ("the answer of the media plug", timeout)
    assert pbx.commands == [HANG_UP, {**HANG_UP, "uuid": "other"}]


def test_slow_api_times_out():
    pbx, api = PlugPbx(), Api("plug", delay=100)
    error = eavesdrop(pbx, api, timeout=3)
    assert (error.what, error.seconds) == ("the reply to call_user", 3)
    assert pbx.commands == []


@on_virtual_clock
async def test_no_phone_rings_without_a_snapshot():
    """Nobody is called as long as the client could not listen."""
    pbx, api = FakePbx(default=ConnectFailed("no route to host")), Api("plug")

    async with Client("fake", connector=pbx) as client:
        with pytest.raises(WaitTimeout, match="a complete snapshot"):
            await client.eavesdrop("target", api=api, user_id=7, timeout=3)

    assert api.requests == []


@pytest.mark.parametrize("ends_after", [0.5, 2])
def test_refused_plug_is_an_error_at_once(ends_after):
    """All phones have refused, before the reply or after it."""
    pbx = PlugPbx()
    pbx.state["channel"] |= {uuid: ringing(uuid) for uuid in ("plug", "other")}

    def setup():
        pbx.hang_up_later(0.3, "other")
        pbx.hang_up_later(ends_after, "plug")

    error = eavesdrop(pbx, Api("plug", "other"), setup=setup)
    assert type(error) is EavesdropError
    assert error.reason == "no phone of the user has answered"
    assert pbx.commands == []


def test_refusal_during_a_reconnect_is_an_error_at_once():
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": ringing()}

    def setup():
        loop = asyncio.get_running_loop()
        loop.call_later(2, lambda: pbx.lose(cut=True))
        loop.call_later(2.1, pbx.hang_up, "plug")

    assert str(eavesdrop(pbx, Api("plug"), setup=setup)).endswith(
        "no phone of the user has answered"
    )


def test_user_without_phones_is_an_error():
    pbx = PlugPbx()
    assert eavesdrop(pbx, Api()).reason == "the PBX has rung no phone of the user"
    assert pbx.commands == []


@pytest.mark.parametrize("ends_after", [0.5, 2])
def test_end_of_the_target_hangs_up_the_plug(ends_after):
    """The target ends before the reply or after it."""
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": ringing()}

    def setup():
        pbx.hang_up_later(ends_after, "target")
        pbx.put_later(4, PLUG)

    error = eavesdrop(pbx, Api("plug"), setup=setup)
    assert type(error) is EavesdropError
    assert str(error) == "cannot listen to the channel: the target has ended"
    assert pbx.commands == [HANG_UP]


def test_error_of_the_api_is_raised_unchanged():
    """This includes the API's own time-outs."""
    for error in (LookupError("x"), TimeoutError("of the API")):
        pbx = PlugPbx()
        assert eavesdrop(pbx, Api(error=error)) is error
        assert pbx.commands == []


def test_missing_effect_is_a_command_timeout_and_hangs_up_the_plug():
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": PLUG}
    error = eavesdrop(pbx, Api("plug"), confirm=True)
    assert type(error) is CommandTimeout
    assert (error.command, error.seconds) == ("eavesdrop", 10)
    assert pbx.commands == [COMMAND, HANG_UP]


class BrokenConnection:
    """Replacement for ``FakeConnection.send`` of the first connection: it breaks."""

    def __init__(self, pbx):
        self.pbx = pbx

    async def send(self, command):
        self.pbx.lose(cut=True)
        raise ConnectionLost(1006)


def test_plug_is_hung_up_after_a_reconnect():
    """The connection breaks with the command; the next one hangs up the plug."""
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": PLUG}

    def setup():
        pbx.connections[0].send = BrokenConnection(pbx).send

    assert isinstance(eavesdrop(pbx, Api("plug"), setup=setup), ConnectionLost)
    assert pbx.commands == [HANG_UP]


def test_failed_hang_up_of_the_plug_is_logged(caplog):
    """The first error is raised; the log line has no uuid."""
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": PLUG}

    def setup():
        pbx.connections[0].send = BrokenConnection(pbx).send
        pbx.default = ConnectFailed("no route to host")

    assert isinstance(eavesdrop(pbx, Api("plug"), setup=setup), ConnectionLost)
    assert pbx.commands == []
    (line,) = [one.getMessage() for one in caplog.records if "plug" in one.getMessage()]
    assert line == "media plug was not hung up: TimeoutError"


@on_virtual_clock
async def test_cancelled_attempt_hangs_up_the_plug():
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": ringing()}

    async with Client("fake", connector=pbx) as client:
        await client.synced()
        task = asyncio.create_task(client.eavesdrop("target", api=Api("plug"), user_id=7))
        await asyncio.sleep(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pbx.commands == [HANG_UP]


@on_virtual_clock
async def test_cancelled_attempt_does_not_wait_for_a_connection(caplog):
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": ringing()}

    async with Client("fake", connector=pbx) as client:
        await client.synced()
        task = asyncio.create_task(client.eavesdrop("target", api=Api("plug"), user_id=7))
        await asyncio.sleep(3)
        pbx.default = ConnectFailed("no route to host")
        pbx.lose()
        await asyncio.sleep(0.5)
        task.cancel()
        began = now()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == began

    assert "media plug was not hung up: NotConnectedError" in caplog.messages


@on_virtual_clock
async def test_end_of_the_client_ends_the_attempt(caplog):
    """The error that stopped the client is raised."""
    caplog.set_level(logging.WARNING)
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": ringing()}

    async with Client("fake", connector=pbx, classify=lambda *_: True) as client:
        await client.synced()
        task = asyncio.create_task(client.eavesdrop("target", api=Api("plug"), user_id=7))
        await asyncio.sleep(3)
        pbx.lose()
        with pytest.raises(ConnectionLost):
            await task
        assert isinstance(client.state, Stopped)
    with pytest.raises(ConnectionLost):
        await client.eavesdrop("target", api=Api("plug"), user_id=7)


class CountingClient(Client):
    """Client that counts the callbacks registered with ``on_change``."""

    registered = 0

    def on_change(self, callback, **selection):
        unregister = super().on_change(callback, **selection)
        self.registered += 1

        def counted():
            unregister()
            self.registered -= 1

        return counted


@on_virtual_clock
async def test_no_callback_is_left_behind():
    pbx = PlugPbx()
    pbx.state["channel"] |= {"plug": PLUG}

    async with CountingClient("fake", connector=pbx) as client:
        await client.synced()
        during = []
        api = Api(before=lambda: during.append(client.registered))
        with pytest.raises(EavesdropError):
            await client.eavesdrop("target", api=api, user_id=7)
        assert (during, client.registered) == ([1], 0)
        await client.eavesdrop("target", api=Api("plug"), user_id=7)
        assert client.registered == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "user_id or user_name"),
        ({"user_id": 7, "user_name": "sato"}, "user_id or user_name"),
        ({"user_id": 7, "api": 5}, "api must be an HttpApi, got int"),
        ({"user_id": 7, "timeout": 0}, "timeout must be a positive number"),
        ({"user_id": 7, "timeout": math.inf}, "timeout must be a positive number"),
        ({"user_id": 7, "timeout": math.nan}, "timeout must be a positive number"),
    ],
)
@on_virtual_clock
async def test_invalid_arguments_are_usage_errors(arguments, text):
    pbx, api = PlugPbx(), Api("plug")

    async with Client("fake", connector=pbx) as client:
        with pytest.raises(UsageError, match=text):
            await client.eavesdrop("target", **{"api": api, **arguments})

    assert api.requests == []
