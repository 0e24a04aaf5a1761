"""Command sender: commands and the confirmation of their effect."""

from __future__ import annotations

import asyncio
import gc

import pytest
from support.client_schedules import (
    connected,
    entered,
    new_client,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import now, on_virtual_clock
from support.waiting import TIMEOUT

from basix_ws_cti import (
    Channel,
    ConnectionLost,
    UsageError,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.command_sender import CommandSender
from basix_ws_cti.client.commands import hangup, transfer
from basix_ws_cti.client.dispatch import Dispatcher
from basix_ws_cti.exceptions import (
    ClientClosed,
    CommandTimeout,
    NotConnectedError,
)
from basix_ws_cti.mirror.changes import Removed
from basix_ws_cti.session.status import Disconnected, Stopped
from basix_ws_cti.simulator import Simulator, faults


@on_virtual_clock
async def test_next_snapshot_confirms_a_command():
    """A command whose event was lost with the connection is confirmed by the next snapshot."""
    pbx = FakePbx()
    pbx.call()
    (uuid,) = pbx.state["channel"]
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        hanging = asyncio.create_task(client.hangup(uuid, confirm=True))
        await asyncio.sleep(0.1)
        assert pbx.connections[0].sent == [{"cmd": "hangup", "uuid": uuid}]
        pbx.hang_up()
        pbx.lose(cut=True)
        await hanging
        assert not any(connection.sent for connection in pbx.connections)  # never sent twice


@on_virtual_clock
async def test_commands_are_sent_as_json_objects():
    """Each command is one JSON object that holds only the arguments that were passed."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        await client.hangup("u")
        await client.park("u")
        await client.park("u", 0)
        await client.transfer("u", "d")
        await client.transfer("u", "d", user_id=0, user_name="n")
        await client.eavesdrop_with_plug("plug", "u")
        await client.eavesdrop_with_plug("plug", "u", "listen")
        assert pbx.connections[0].sent == [
            {"cmd": "hangup", "uuid": "u"},
            {"cmd": "park", "uuid": "u"},
            {"cmd": "park", "uuid": "u", "timeout": 0},
            {"cmd": "transfer", "uuid": "u", "destination": "d"},
            {
                "cmd": "transfer",
                "uuid": "u",
                "user_id": 0,
                "user_name": "n",
                "destination": "d",
            },
            {"cmd": "eavesdrop", "uuid": "plug", "target_uuid": "u"},
            {"cmd": "eavesdrop", "uuid": "plug", "target_uuid": "u", "subcommand": "listen"},
        ]


async def test_commands_have_their_effect_on_the_pbx():
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        uuid = pbx.call(to="1001")
        leg = pbx.answer(uuid)
        await client.wait_for(lambda mirror: leg in mirror.channels, TIMEOUT)
        await client.park(uuid, 60, confirm=True)
        assert pbx.snapshot()["channel"][uuid]["state"]["name"] == "park"
        await client.hangup(uuid, confirm=True)
        assert uuid not in pbx.snapshot()["channel"]
        assert uuid not in client.mirror.channels

        uuid = pbx.call(to="1001")
        pbx.answer(uuid)
        await client.transfer(uuid, "1002")
        user = await client.wait_for(lambda mirror: mirror.user_by_extension("1002"), TIMEOUT)
        await client.wait_for(lambda mirror: mirror.channels_of_user(user.id), TIMEOUT)
        plug = pbx.originate("1003")
        await client.eavesdrop_with_plug(plug, uuid, "listen", confirm=True)
        assert client.mirror.channels[plug].state.uuid == uuid
        await client.hangup(uuid)
        await client.wait_for(lambda mirror: uuid not in mirror.channels, TIMEOUT)
        with pytest.raises(UsageError, match="destination"):
            await client.transfer(uuid, "")


async def test_command_without_effect_times_out():
    """An effect that does not show is a CommandTimeout, which is a TimeoutError."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(CommandTimeout, match="unknown") as caught:
            await client.hangup("nobody", confirm=True, confirm_timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.command == "hangup"


async def test_callers_time_out_is_no_command_timeout():
    """A time-out around a waiting command raises TimeoutError."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.hangup("nobody", confirm=True)
        assert not isinstance(caught.value, CommandTimeout)


@pytest.mark.parametrize(
    ("confirm_timeout", "callers_timeout", "error"),
    [(0.05, None, CommandTimeout), (60, 0.05, TimeoutError)],
)
@on_virtual_clock
async def test_timed_out_command_leaves_no_waiter(confirm_timeout, callers_timeout, error):
    """Neither the time-out of the command nor that of its caller leaves one."""

    class Sent:
        async def send(self, command):
            sent.append(command["cmd"])

    sent, dispatcher = [], Dispatcher()
    sender = CommandSender(Sent, dispatcher)
    sending = asyncio.create_task(sender.send(hangup("nobody"), confirm_timeout))
    await asyncio.sleep(0)
    assert sent == ["hangup"]
    assert len(dispatcher.waiters) == 1
    with pytest.raises(error):
        await asyncio.wait_for(sending, callers_timeout)
    assert dispatcher.waiters == set()


async def test_commands_fail_at_once_without_a_connection():
    """Without a connection, each command fails at once and is not sent later."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(503))
        async with new_client(pbx, backoff=Backoff(0.3, 0.3)) as client:
            await entered(client, Disconnected)
            for command in (
                client.hangup("x"),
                client.hangup("x", confirm=True),
                client.park("x"),
                client.transfer("x", "1002"),
                client.eavesdrop_with_plug("x", "y", "listen"),
            ):
                with pytest.raises(NotConnectedError):
                    await command
        with pytest.raises(NotConnectedError):
            await client.hangup("x")


@on_virtual_clock
async def test_command_waiting_for_confirmation_ends_with_the_client():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        waiting = asyncio.create_task(client.hangup("x", confirm=True, confirm_timeout=100))
        await asyncio.sleep(0.1)
        began = now()
    with pytest.raises(ClientClosed):
        await waiting
    assert now() - began < 1


@on_virtual_clock
async def test_confirmation_just_before_the_end_counts():
    """A command that is confirmed just before the client stops succeeds; others get the error."""
    pbx = FakePbx()
    pbx.call()
    (uuid,) = pbx.state["channel"]
    async with Client("fake", connector=pbx, classify=lambda *_: True) as client:
        await client.synced()
        hanging = asyncio.create_task(client.hangup(uuid, confirm=True))
        other = asyncio.create_task(client.hangup("x", confirm=True))
        await asyncio.sleep(0.1)
        pbx.connections[0].pace = pbx.close_time = None  # all in one step
        pbx.hang_up()
        pbx.lose()
        await hanging
        with pytest.raises(ConnectionLost):
            await other
        assert isinstance(client.state, Stopped)


@on_virtual_clock
async def test_foreign_timeout_error_is_no_command_timeout():
    """If a TimeoutError stops the client, waiting commands raise it, and no CommandTimeout."""

    def is_final(error, _):
        return isinstance(error, TimeoutError)

    pbx = FakePbx()
    async with Client("fake", connector=pbx, classify=is_final) as client:
        await client.synced()
        hanging = asyncio.create_task(client.hangup("x", confirm=True, confirm_timeout=100))
        await asyncio.sleep(0.1)
        pbx.plan.append(TimeoutError("of the token service"))
        pbx.lose()
        with pytest.raises(TimeoutError, match="token service") as caught:
            await hanging
        assert not isinstance(caught.value, CommandTimeout)


class CommandConnection:
    """Connection that records commands, or fails to send them."""

    def __init__(self, error=None):
        self.sent = []
        self.error = error

    async def send(self, command):
        self.sent.append(command)
        if self.error is not None:
            raise self.error


@on_virtual_clock
async def test_sender_needs_a_connection():
    sender = CommandSender(lambda: None, Dispatcher())
    with pytest.raises(NotConnectedError):
        await sender.send(hangup("u"), 5)


@pytest.mark.parametrize(
    ("command", "confirm_timeout"), [(hangup("u"), None), (transfer("u", "1002"), 5)]
)
@on_virtual_clock
async def test_sender_does_not_wait_without_time_out_or_known_effect(command, confirm_timeout):
    connection = CommandConnection()
    await CommandSender(lambda: connection, Dispatcher()).send(command, confirm_timeout)
    assert connection.sent == [command.sent]
    assert now() == 0


@on_virtual_clock
async def test_sender_waits_for_the_effect():
    connection, dispatcher = CommandConnection(), Dispatcher()
    sender = CommandSender(lambda: connection, dispatcher)
    sending = asyncio.create_task(sender.send(hangup("u"), 5))
    await asyncio.sleep(1)
    dispatcher.publish_change(Removed("channel", Channel(uuid="other")))
    await asyncio.sleep(1)
    assert not sending.done()
    dispatcher.publish_change(Removed("channel", Channel(uuid="u")))
    await sending
    assert connection.sent == [hangup("u").sent]
    assert dispatcher.waiters == set()


@on_virtual_clock
async def test_sender_times_out_without_the_effect():
    dispatcher = Dispatcher()
    sender = CommandSender(CommandConnection, dispatcher)
    with pytest.raises(CommandTimeout) as caught:
        await sender.send(hangup("u"), 5)
    assert (caught.value.command, now()) == ("hangup", 5)
    assert dispatcher.waiters == set()


@pytest.mark.parametrize("error", [ConnectionLost(1006), TimeoutError("of the socket")])
@on_virtual_clock
async def test_sender_raises_errors_of_sending(error):
    dispatcher = Dispatcher()
    sender = CommandSender(lambda: CommandConnection(error), dispatcher)
    with pytest.raises(type(error)) as caught:
        await sender.send(hangup("u"), 5)
    assert caught.value is error
    assert dispatcher.waiters == set()


@pytest.mark.parametrize("reason", [None, RuntimeError("final")])
@on_virtual_clock
async def test_end_of_the_client_while_a_command_is_sent_logs_nothing(reason):
    """The command has its own error; that of its confirmation is of no interest."""
    logged, dispatcher = [], Dispatcher()

    class Ending:
        async def send(self, _):
            dispatcher.end(reason)
            raise ConnectionLost(1006)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    with pytest.raises(ConnectionLost):
        await CommandSender(Ending, dispatcher).send(hangup("u"), 5)
    gc.collect()
    assert (logged, dispatcher.waiters) == ([], set())
