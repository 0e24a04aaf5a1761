"""Commands as the JavaScript library sends them, frame by frame, and their effect in the feed."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from support.bare_server import ARGUMENTS, server
from support.simulator_clients import connect_websocket
from support.waiting import TIMEOUT

from basix_ws_cti import CallParked, CallTransferred, Client, MessageParser, Mirror
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.simulator.frame_writer import Writer


class Feed:
    """WebSocket connection without the library's client: frames in, changes of a mirror out."""

    def __init__(self, websocket):
        self.websocket = websocket
        self.parser = MessageParser()
        self.mirror = Mirror()
        self.events = []

    async def send(self, frame):
        await self.websocket.send(frame)

    async def until(self, condition):
        """Read frames until ``condition(mirror)`` is true; return its value."""
        async with asyncio.timeout(TIMEOUT):
            while not (result := condition(self.mirror)):
                message = self.parser.parse(await self.websocket.recv())
                self.mirror.apply(message)
                if getattr(message, "element_name", "") == "channel" and hasattr(
                    message, "event_name"
                ):
                    leg = message.element
                    self.events.append((leg.uuid, leg.last_event, leg.last_event_data))
        return result

    def ending(self, uuid):
        """Return the disposition and cause with which a channel ended."""
        return next(
            data for one, event, data in self.events if (one, event) == (uuid, "CHANNEL_HANGUP")
        )


@contextlib.asynccontextmanager
async def talk():
    """Yield a PBX, a feed, and a customer's and a user's leg that talk."""
    async with Simulator(calls=False) as pbx, connect_websocket(pbx) as websocket:
        lead = pbx.call("0312341234", to="1001")
        leg = pbx.answer(lead)
        feed = Feed(websocket)
        await feed.until(state_of(leg, "bridged"))
        feed.events.clear()
        yield pbx, feed, lead, leg


def state_of(uuid, name):
    """Return a condition: the channel is in this state; its value is the state."""

    def condition(mirror):
        state = mirror.channels[uuid].state if uuid in mirror.channels else None
        return state if state is not None and state.name == name else None

    return condition


async def test_hangup_frame_ends_both_legs():
    async with talk() as (_, feed, lead, leg):
        await feed.send(f'{{"cmd":"hangup","uuid":"{lead}"}}')
        await feed.until(lambda mirror: not mirror.channels)
        assert feed.ending(lead) == feed.ending(leg) == "send_bye,NORMAL_CLEARING"


async def test_park_frame_parks_the_caller_and_rings_back_after_its_timeout():
    async with talk() as (pbx, feed, lead, leg):
        await feed.send(f'{{"cmd":"park","uuid":"{lead}","timeout":30}}')
        state = await feed.until(state_of(lead, "park"))
        assert (state.slot, state.parker_id, state.parker_name) == (901, 10001001, "user1")
        await feed.until(lambda mirror: leg not in mirror.channels)
        assert feed.ending(leg) == "send_bye,NORMAL_CLEARING"
        assert [*feed.mirror.waiting_channels] == [lead]
        pbx.advance(30)
        state = await feed.until(state_of(lead, "calling"))
        assert (state.target_type, state.user_id) == ("user", 10001001)
        await feed.until(lambda mirror: len(mirror.channels) == 2)
        (ringing,) = feed.mirror.channels_of_user(10001001)
        assert ringing.state.name == "ringing"
        pbx.answer(lead)
        await feed.until(state_of(lead, "bridged"))


async def test_park_frame_without_timeout_parks():
    """JSON.stringify drops a timeout that is undefined."""
    async with talk() as (_, feed, lead, _):
        await feed.send(f'{{"cmd":"park","uuid":"{lead}"}}')
        await feed.until(state_of(lead, "park"))


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("1003", {"target_type": "user", "user_id": 10001003}),
        ("1900", {"target_type": "group", "group_id": 90001001}),
        ("0398765432", {"target_type": "pstn", "address": "0398765432"}),
    ],
)
async def test_transfer_frame_of_the_web_phone_rings_the_destination(destination, expected):
    """It names the other leg, the own user's id and name, and the destination."""
    async with talk() as (pbx, feed, lead, leg):
        await feed.send(
            f'{{"cmd":"transfer","uuid":"{lead}","user_id":10001001,"user_name":"user1",'
            f'"destination":"{destination}"}}'
        )
        state = await feed.until(state_of(lead, "calling"))
        assert {name: getattr(state, name) for name in expected} == expected
        await feed.until(lambda mirror: leg not in mirror.channels)
        assert feed.ending(leg) == "send_bye,NORMAL_CLEARING"
        ringing = await feed.until(
            lambda mirror: [one for one in mirror.channels.values() if one.state.name == "ringing"]
        )
        assert 10001001 not in {one.user_id for one in ringing} or destination == "1900"
        answered = pbx.answer(lead)
        await feed.until(state_of(answered, "bridged"))
        assert feed.mirror.channels[answered].other_uuid == lead


@pytest.mark.parametrize(
    "user", ["", '"user_id":10001001,', '"user_name":"user1",', '"user_id":null,"user_name":null,']
)
async def test_transfer_frame_with_any_part_of_the_user(user):
    async with talk() as (_, feed, lead, _):
        await feed.send(f'{{"cmd":"transfer","uuid":"{lead}",{user}"destination":"1002"}}')
        state = await feed.until(state_of(lead, "calling"))
        assert state.user_id == 10001002


async def test_eavesdrop_frame_connects_the_media_plug():
    async with talk() as (pbx, feed, lead, _):
        plug = pbx.originate("1002")
        await feed.until(
            lambda mirror: (
                plug in mirror.channels and mirror.channels[plug].last_event == "CHANNEL_ANSWER"
            )
        )
        assert feed.mirror.channels[plug].calling_number == "media_plug"
        await feed.send(
            f'{{"cmd":"eavesdrop","uuid":"{plug}","target_uuid":"{lead}","subcommand":"whisper"}}'
        )
        state = await feed.until(state_of(plug, "eavesdrop"))
        assert (state.uuid, state.eavesdrop_state) == (lead, "whisper")
        await feed.send(f'{{"cmd":"hangup","uuid":"{plug}"}}')
        await feed.until(lambda mirror: plug not in mirror.channels)
        assert feed.mirror.channels[lead].state.name == "bridged"


async def test_client_sends_the_frames_of_the_javascript_library():
    """Keys, their order and spelling, and no spaces; what is not passed is left out."""
    frames = asyncio.Queue()

    async def handler(websocket):
        await websocket.send(Writer().field_spec("user"))
        await websocket.send(Writer().initial_info("user", []))
        async for frame in websocket:
            frames.put_nowait(frame)

    async with server(handler) as url, Client(url, **ARGUMENTS, quiet_time=0) as client:
        await client.synced(TIMEOUT)
        await client.park("u", 60)
        await client.park("u")
        await client.hangup("u")
        await client.transfer("u", "1002", user_id=10001001, user_name="佐藤")
        await client.transfer("u", "1002")
        await client.eavesdrop_with_plug("p", "u", "listen")
        await client.eavesdrop_with_plug("p", "u")
        async with asyncio.timeout(TIMEOUT):
            sent = [await frames.get() for _ in range(7)]
    assert sent == [
        '{"cmd":"park","uuid":"u","timeout":60}',
        '{"cmd":"park","uuid":"u"}',
        '{"cmd":"hangup","uuid":"u"}',
        '{"cmd":"transfer","uuid":"u","user_id":10001001,"user_name":"佐藤","destination":"1002"}',
        '{"cmd":"transfer","uuid":"u","destination":"1002"}',
        '{"cmd":"eavesdrop","uuid":"p","target_uuid":"u","subcommand":"listen"}',
        '{"cmd":"eavesdrop","uuid":"p","target_uuid":"u"}',
    ]
    assert all(json.loads(frame) for frame in sent)


async def test_transfer_and_park_by_command_are_call_events():
    """The user who transfers or parks, and the one who answers, are those of the calls."""
    async with Simulator(calls=False) as pbx, Client(**pbx.connect_args) as client:
        events = client.call_events()
        await client.synced(TIMEOUT)
        lead = pbx.call("0312341234", to="1001")
        pbx.answer(lead)
        await client.wait_for(state_of(lead, "bridged"), TIMEOUT)
        await client.transfer(lead, "1002", user_id=10001001, user_name="user1")
        await client.wait_for(lambda mirror: mirror.channels_of_user(10001002), TIMEOUT)
        pbx.answer(lead)
        await client.wait_for(
            lambda mirror: state_of(mirror.channels_of_user(10001002)[0].uuid, "bridged")(mirror),
            TIMEOUT,
        )
        await client.park(lead, 20, confirm=True)
        pbx.hangup(lead)
        async with asyncio.timeout(TIMEOUT):
            ended = None
            found = {}
            async for event in events:
                found[type(event)] = event
                if event.call.ended is not None:
                    ended = event.call
                    break
        transfer, park = found[CallTransferred], found[CallParked]
        assert transfer.source.user_id == 10001001
        assert transfer.target.user_id == 10001002
        assert park.call.id == ended.id == lead
        (row,) = pbx.ledger
        assert (row.transfers, row.parks) == (1, 1)
