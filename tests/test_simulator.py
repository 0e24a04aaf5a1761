from __future__ import annotations

import asyncio
import base64
import re
import subprocess
import sys
from pathlib import Path

import bert
import pytest
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import InvalidStatus

from basix_ws_cti import InfoEvent, InitialInfo, MessageParser, connect, feed_url
from basix_ws_cti.simulator import Simulator, wire
from basix_ws_cti.simulator.pbx import KINDS, Channel, Pbx, Person
from basix_ws_cti.simulator.scenarios import CALLERS, GROUP, STAFF, Timeline, inbound_call
from basix_ws_cti.states import Bridged, Calling, Ivr, Park, Ringing, SystemOperation


def one_call(seed: int) -> list[bytes]:
    """The frames of one inbound call."""
    pbx = Pbx(seed)
    group = pbx.staff(STAFF, GROUP)
    frames: list[bytes] = []
    pbx.listeners.append(lambda *event: frames.append(wire.info_event(*event)))
    timeline = Timeline(pbx)
    timeline.start(inbound_call(pbx, group, CALLERS[0]))
    while timeline.pause is not None:
        timeline.step()
    assert pbx.elements["channel"] == pbx.elements["channel_waiting"] == {}
    return frames


def parser_for(messages: list) -> MessageParser:
    parser = MessageParser(on_info_event=lambda *event: messages.append(event))
    for kind in KINDS:
        parser.handle_message(wire.field_spec(kind))
    return parser


def a_parked_call() -> list:
    """The events of a call that is parked, read by the parser."""
    for seed in range(20):
        frames = one_call(seed)
        messages: list = []
        parser = parser_for(messages)
        for frame in frames:
            parser.handle_message(frame)
        if any(isinstance(element.state, Park) for _, element, _ in messages):
            return messages
    raise AssertionError("no call was parked")


def test_the_caller_goes_through_all_states():
    """The caller's leg is in the menu, calls the group, talks, is parked, talks, and ends."""
    messages = a_parked_call()
    line = messages[0][1].uuid
    states = []
    for kind, element, _ in messages:
        name = type(element.state)
        if kind == "channel" and element.uuid == line and states[-1:] != [name]:
            states.append(name)
    assert states == [Ivr, Calling, Bridged, Park, Bridged]
    last = [element for kind, element, name in messages if element.uuid == line][-1]
    assert (last.hangup.disposition, last.hangup.cause) == ("recv_bye", "NORMAL_CLEARING")
    assert last.end_user.items[0].name == "山田 太郎"
    assert last.target.type == "group"
    assert last.target.address == "0501234567"
    assert last.offered_at < last.answered_at < last.hung_up_at


def test_the_others_lose_the_race():
    """Every member rings, one answers, and the legs of the others end with LOSE_RACE."""
    messages = a_parked_call()
    ringing = {
        e.uuid for _, e, name in messages if isinstance(e.state, Ringing) and name == "added"
    }
    ended = [e for kind, e, name in messages if kind == "channel" and name == "removed"]
    lost = [element for element in ended if element.hangup.cause == "LOSE_RACE"]
    assert len(ringing) == len(STAFF)
    assert {element.uuid for element in lost} < ringing
    assert len(lost) == len(STAFF) - 1


def test_both_legs_know_of_each_other():
    """Bridged legs carry each other's uuid, and who is there in other_info."""
    messages = a_parked_call()
    bridged = {}
    for _, element, _ in messages:
        if isinstance(element.state, Bridged) and element.last_event == "STATE_CHANGE":
            bridged.setdefault(element.uuid, element)
    for element in bridged.values():
        assert bridged[element.other_uuid].state.since is not None
        if element.user_id is None:
            assert element.other_info.type == "user"
            assert element.other_info.user_id in range(10001002, 10001002 + len(STAFF))
        else:
            assert element.other_info.type == "end_user"
            assert element.other_info.address == "0312341234"


def test_waiting_is_told_apart():
    """The caller is in channel_waiting while the group rings and while parked, and not longer."""
    messages = a_parked_call()
    waiting = [
        (name, type(element.state)) for kind, element, name in messages if kind == "channel_waiting"
    ]
    assert [name for name, _ in waiting if name != "updated"] == ["added", "removed"] * 2
    assert [state for name, state in waiting if name == "added"] == [Calling, Park]


def test_the_retriever_dials_the_slot():
    """Who fetches a parked call dials its slot from inside."""
    messages = a_parked_call()
    slot = next(e.state.slot for _, e, _ in messages if isinstance(e.state, Park))
    fetch = next(e for _, e, _ in messages if isinstance(e.state, SystemOperation))
    assert fetch.called_number == str(slot)
    assert fetch.direction == "inbound"
    assert fetch.peer_location == "internal"


def test_every_event_moves_a_leg_on():
    """A channel is added once, first; hung up once, at the end; and then removed."""
    messages = a_parked_call()
    for uuid in {element.uuid for _, element, _ in messages}:
        names = [name for kind, e, name in messages if kind == "channel" and e.uuid == uuid]
        events = [e.last_event for kind, e, _ in messages if kind == "channel" and e.uuid == uuid]
        assert names[0] == "added"
        assert names[-1] == "removed"
        assert set(names[1:-1]) == {"updated"}
        assert events.index("CHANNEL_HANGUP") == len(events) - 2


def test_the_same_seed_gives_the_same_bytes():
    """A day repeats itself to the byte, in this process and in another."""
    frames = one_call(7)
    assert one_call(7) == frames
    assert one_call(8) != frames
    again = "import sys, test_simulator as t; sys.stdout.buffer.write(b''.join(t.one_call(7)))"
    elsewhere = subprocess.run(
        [sys.executable, "-c", again], check=True, capture_output=True, cwd=Path(__file__).parent
    )
    assert elsewhere.stdout == b"".join(frames)


def test_the_wire_is_the_production_servers():
    """Kinds and event names are charlists, field names atoms, empty lists {bert,nil}."""
    spec, empty = wire.field_spec("user"), wire.initial_info("channel", [])
    assert spec.startswith(b"\x83h\x03d\x00\nfield_speck\x00\x04userl\x00\x00\x00\x10d\x00\x02id")
    assert empty == b"\x83h\x03d\x00\x0cinitial_infok\x00\x07channelh\x02d\x00\x04bertd\x00\x03nil"
    for frame in one_call(3):
        message, kind, record, event_name = bert.decode(frame)
        assert message == "info_event"
        assert kind in {b"channel", b"channel_waiting"}
        assert event_name in {b"added", b"updated", b"removed"}
        assert len(record) == len(wire.FIELDS[kind.decode()])
        assert (
            f"k\x00{chr(len(event_name))}{event_name.decode()}".encode()
            == frame[-3 - len(event_name) :]
        )
    assert bert.decode(wire.system_msg("logout")) == ("system_msg", "logout")


def test_only_a_user_can_park():
    """The model refuses what no PBX does: a caller outside has no park slots."""
    pbx = Pbx()
    line = pbx.offer(
        "inbound",
        person=Person("03"),
        address="03",
        calling_number="03",
        called_number="050",
        state=("ivr", ("menu",)),
    )
    with pytest.raises(ValueError, match="only a user"):
        pbx.park(line, line)


def test_park_slots_are_the_users_own():
    """A user parks on the first free one of three slots."""
    pbx = Pbx()
    user = pbx.members(pbx.staff(STAFF, GROUP))[0]
    slots = []
    for _ in range(4):
        line, leg = (
            pbx.offer(
                "inbound",
                user=user,
                address="x",
                calling_number="1",
                called_number="2",
                state=("bridged",),
            )
            for _ in range(2)
        )
        pbx.park(line, leg)
        assert isinstance(line, Channel)
        slots.append(line.state.parts[0])
    assert slots == [904, 905, 906, 904]


def header(domain: str, token: str) -> dict[str, str]:
    value = base64.b64encode(f"{domain}:{token}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


@pytest.mark.parametrize(
    ("target", "headers", "status", "text"),
    [
        ("/elsewhere?app_name=a", header("demo", "simulated"), 404, "no feed"),
        ("/basix/api/ws_cti", header("demo", "simulated"), 400, "app_name"),
        ("/basix/api/ws_cti?app_name=", header("demo", "simulated"), 400, "app_name"),
        ("/basix/api/ws_cti?app_name=a", {}, 401, "credentials"),
        ("/basix/api/ws_cti?app_name=a", header("demo", "wrong"), 401, "credentials"),
        ("/basix/api/ws_cti?app_name=a", header("other", "simulated"), 401, "credentials"),
    ],
)
async def test_who_is_not_let_in(target, headers, status, text):
    """Each way to be refused has its status, and a body that says why."""
    async with Simulator() as simulator:
        with pytest.raises(InvalidStatus) as caught:
            async with websocket_connect(simulator.url + target, additional_headers=headers):
                pass
    assert caught.value.response.status_code == status
    assert text in caught.value.response.body.decode()


async def test_a_library_of_ones_own_gets_in_by_url():
    """feed_url() is enough for a bare WebSocket library."""
    async with Simulator(calls=False) as simulator:
        url = feed_url(**simulator.connect_args)
        async with websocket_connect(url) as websocket:
            assert isinstance(await websocket.recv(), bytes)


async def test_a_snapshot_and_every_later_event_once():
    """Whenever a client comes, its picture and the events after it add up to the world."""
    async with Simulator(speed=500, seed=5) as simulator:

        async def watch(delay: float) -> tuple[dict, bool]:
            await asyncio.sleep(delay)
            picture: dict[str, dict] = {}
            consistent = True
            events = 0
            async with connect(**simulator.connect_args) as cti:
                async for message in cti:
                    if isinstance(message, InitialInfo):
                        picture[message.element_name] = dict(message.elements)
                    elif isinstance(message, InfoEvent):
                        events += 1
                        kind = picture[message.element_name]
                        known = message.element.key in kind
                        consistent &= known is (message.event_name != "added")
                        if message.event_name == "removed":
                            kind.pop(message.element.key, None)
                        else:
                            kind[message.element.key] = message.element
                    if events == 400:
                        return picture, consistent
            raise AssertionError("the feed ended")

        results = await asyncio.gather(*(watch(0.05 * n) for n in range(5)))
    assert all(consistent for _, consistent in results)
    assert all(len(picture["user"]) == len(STAFF) for picture, _ in results)


async def test_commands_are_ignored_for_now(caplog):
    """What a client sends is logged by its length alone, and harms nothing."""
    caplog.set_level("INFO", logger="basix_ws_cti.simulator")
    async with Simulator(calls=False) as simulator, connect(**simulator.connect_args) as cti:
        await cti.send({"cmd": "hangup", "uuid": "somebody"})
        for _ in KINDS * 2:
            await anext(cti)
        while "ignored" not in caplog.text:
            await asyncio.sleep(0.01)
    assert "somebody" not in caplog.text


async def test_clients_that_vanish_harm_nobody():
    """A client that breaks off leaves the simulator and the others as they were."""
    async with Simulator(speed=200) as simulator, connect(**simulator.connect_args) as stays:
        for _ in range(3):
            async with websocket_connect(feed_url(**simulator.connect_args)) as websocket:
                await websocket.recv()
                websocket.transport.abort()
        for _ in range(200):
            await anext(stays)
        while len(simulator._queues) > 1:
            await asyncio.sleep(0.01)


async def test_an_error_in_the_world_comes_out():
    """A scenario that fails is not swallowed: leaving the block raises it."""

    def broken():
        yield 0
        raise LookupError("the world ended")

    with pytest.raises(LookupError, match="the world ended"):
        async with Simulator(calls=False) as simulator:
            simulator._timeline.start(broken())
            async with connect(**simulator.connect_args) as cti:
                await anext(cti)
                await asyncio.sleep(0.05)


async def test_the_address_is_there_inside_the_block():
    """Before and after the block there is no address, and repr shows no token."""
    simulator = Simulator(token="canary")
    with pytest.raises(RuntimeError, match="inside"):
        _ = simulator.url
    async with simulator:
        assert re.fullmatch(r"<Simulator ws://127\.0\.0\.1:\d+>", repr(simulator))
    assert repr(simulator) == "<Simulator not started>"


async def test_japanese_credentials():
    """A token may hold any character, colons and slashes too."""
    async with Simulator(token="ひみつ:/@") as simulator, connect(**simulator.connect_args) as cti:
        await anext(cti)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none(speed):
    """A speed at which time would stand still, or run away, is refused."""
    with pytest.raises(ValueError, match="positive number"):
        Simulator(speed=speed)


async def test_running_once():
    """A simulator that runs can't be started again."""
    async with Simulator(calls=False) as simulator:
        with pytest.raises(RuntimeError, match="running already"):
            await simulator.__aenter__()


async def test_a_client_that_does_not_read_holds_up_nobody():
    """The simulator ends in about a second, whatever its clients do."""
    async with asyncio.timeout(6):  # the client's own close would take ten
        async with Simulator(speed=500) as simulator:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url[-5:]))
            head = "GET /basix/api/ws_cti?app_name=a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            head += "".join(f"{k}: {v}\r\n" for k, v in header("demo", "simulated").items())
            writer.write(f"{head}\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.3)
        writer.close()
