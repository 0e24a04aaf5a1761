"""Control of a running simulator: its methods, scenarios, time, restarts and client commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading

import pytest
from support.simulator_clients import (
    ClientMirror,
    connect_client,
    connect_websocket,
    current_mirror,
    wait_until_it_listens,
)
from support.waiting import TIMEOUT, eventually, wait_until
from websockets.sync.client import connect as sync_connect

from basix_ws_cti import (
    ConnectionLost,
    FieldSpec,
    MessageParser,
    Msg,
    SystemMsg,
    UsageError,
    feed_url,
)
from basix_ws_cti.simulator import NotPossibleError, Pbx, Person, Simulator
from basix_ws_cti.simulator.control import Control
from basix_ws_cti.simulator.scenarios import CALLERS, SCENARIOS, populate

LOGGER = "basix_ws_cti.simulator"


@contextlib.asynccontextmanager
async def simulator_and_client(**options):
    """Yield a PBX without calls, its client, and a function that returns its current mirror."""
    async with Simulator(**{"calls": False, **options}) as pbx, connect_client(pbx) as cti:
        mirror = ClientMirror()

        async def sync() -> ClientMirror:
            mirror.events.clear()
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            await mirror.read_until(cti)
            assert mirror.kinds == expected
            return mirror

        await sync()
        yield pbx, cti, sync


def channel(mirror: ClientMirror, uuid: str) -> dict:
    return mirror.kinds["channel"][uuid]


def ending(mirror: ClientMirror, uuid: str) -> str | None:
    """Return the last_event_data of a channel that was removed."""
    assert uuid not in mirror.kinds["channel"]
    return [v["last_event_data"] for kind, key, v, _ in mirror.events if key == uuid][-1]


# -- calls ----------------------------------------------------------------------------


async def test_call_answer_and_hangup():
    """Each method returns the uuid of its channel, and the client receives each step."""
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call()
        mirror = await sync()
        assert channel(mirror, lead)["state"]["name"] == "calling"
        assert channel(mirror, lead)["end_user"]["items"][0]["name"] == CALLERS[0].name
        (ringing,) = set(mirror.kinds["channel"]) - {lead}
        assert channel(mirror, ringing)["state"]["name"] == "ringing"
        assert channel(mirror, ringing)["user_id"] == 10001001
        leg = pbx.answer(lead)
        assert leg == ringing
        mirror = await sync()
        for one, other in ((lead, leg), (leg, lead)):
            assert channel(mirror, one)["state"]["name"] == "bridged"
            assert channel(mirror, one)["other_uuid"] == other
        assert pbx.hangup(leg) is None
        mirror = await sync()
        assert mirror.kinds["channel"] == {}
        assert ending(mirror, leg) == "recv_bye,NORMAL_CLEARING"
        assert ending(mirror, lead) == "send_bye,NORMAL_CLEARING"


async def test_call_with_each_kind_of_caller_and_destination():
    """The caller is a Person, a known or unknown number, or a user."""
    async with simulator_and_client() as (pbx, _, sync):
        known = pbx.call(CALLERS[2].number)
        unknown = pbx.call("0699999999", "1002")
        person = pbx.call(Person("1", id="9", name="本人"), "1003")
        internal_lead = pbx.call("1004", "1005")
        outbound_lead = pbx.call("1001", "0312345678")
        mirror = await sync()
        assert channel(mirror, known)["end_user"]["items"][0]["id"] == CALLERS[2].id
        assert channel(mirror, unknown)["end_user"] is None
        assert channel(mirror, unknown)["calling_number"] == "0699999999"
        assert channel(mirror, person)["end_user"]["items"][0]["name"] == "本人"
        assert channel(mirror, internal_lead)["peer_location"] == "internal"
        assert channel(mirror, internal_lead)["called_number"] == "1005"
        assert channel(mirror, outbound_lead)["state"]["data"]["address"] == "0312345678"


async def test_call_to_a_group_rings_all_members():
    """One member answers; the other legs end with LOSE_RACE."""
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call(to="1900")
        mirror = await sync()
        ringing = {u for u, c in mirror.kinds["channel"].items() if c["state"]["name"] == "ringing"}
        assert len(ringing) == 5
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(lead, by="1900")
        leg = pbx.answer(lead, by="1003")
        mirror = await sync()
        assert channel(mirror, leg)["user_id"] == 10001003
        assert {ending(mirror, one) for one in ringing - {leg}} == {"send_cancel,LOSE_RACE"}
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(lead)


async def test_call_to_a_group_is_a_waiting_channel():
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call(to="1900")
        assert set((await sync()).kinds["channel_waiting"]) == {lead}
        pbx.answer(lead)
        assert (await sync()).kinds["channel_waiting"] == {}


async def test_ringing_leg_can_be_answered_or_hung_up():
    """A leg that is hung up ends with the cause passed to hangup()."""
    async with simulator_and_client() as (pbx, _, sync):
        for options, ending_data in (
            ({}, "recv_refuse,USER_BUSY"),
            ({"cause": "CALL_REJECTED"}, "recv_refuse,CALL_REJECTED"),
            ({"by_peer": False, "cause": "NO_ANSWER"}, "send_cancel,NO_ANSWER"),
        ):
            pbx.call()
            (ringing,) = (u for u, c in pbx.snapshot()["channel"].items() if c["user_id"])
            pbx.hangup(ringing, **options)
            mirror = await sync()
            assert ending(mirror, ringing) == ending_data
            assert mirror.kinds["channel"] == {}
        pbx.call()
        (ringing,) = (u for u, c in pbx.snapshot()["channel"].items() if c["user_id"])
        assert pbx.answer(ringing) == ringing
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(ringing)


async def test_park_and_retrieve_by_slot():
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call()
        leg = pbx.answer(lead)
        assert pbx.park(lead) == 901
        mirror = await sync()
        assert channel(mirror, lead)["state"]["data"] == {
            "slot": 901,
            "parker_id": 10001001,
            "parker_name": "user1",
        }
        assert mirror.kinds["channel_waiting"].keys() == {lead}
        assert ending(mirror, leg) == "recv_bye,NORMAL_CLEARING"
        with pytest.raises(NotPossibleError, match="no channel is parked on slot 902"):
            pbx.retrieve(902, by="1002")
        retrieving = pbx.retrieve(901, by="1002")
        mirror = await sync()
        assert channel(mirror, retrieving)["called_number"] == "901"
        assert channel(mirror, lead)["other_uuid"] == retrieving
        assert mirror.kinds["channel_waiting"] == {}
        pbx.hangup(lead)
        with pytest.raises(NotPossibleError, match="no active channel"):
            pbx.park(lead)


async def test_pickup_of_a_ringing_leg():
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call()
        (ringing,) = set(pbx.snapshot()["channel"]) - {lead}
        with pytest.raises(NotPossibleError):
            pbx.pick_up("unknown", by="1002")
        leg = pbx.pick_up(ringing, by="1002")
        mirror = await sync()
        assert ending(mirror, ringing) == "send_cancel,PICKED_OFF"
        assert channel(mirror, leg)["called_number"] == f"pickup_uuid.{ringing}"
        assert channel(mirror, leg)["other_uuid"] == lead


async def test_failed_pickup_leaves_no_channel():
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call()
        before = pbx.snapshot()
        with pytest.raises(NotPossibleError):
            pbx.pick_up(lead, by="1002")
        assert pbx.snapshot() == before
        await sync()


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("1002", {"target_type": "user", "user_id": 10001002}),
        ("1900", {"target_type": "group", "group_id": 90001001}),
        ("0398765432", {"target_type": "pstn", "address": "0398765432"}),
    ],
)
async def test_transfer_to_a_user_a_group_and_outside(to, expected):
    async with simulator_and_client() as (pbx, _, sync):
        lead = pbx.call()
        leg = pbx.answer(lead)
        pbx.transfer(lead, to)
        mirror = await sync()
        state = channel(mirror, lead)["state"]
        assert (state["name"], state["data"] | expected) == ("calling", state["data"])
        assert ending(mirror, leg) == "recv_bye,NORMAL_CLEARING"


async def test_originated_call_is_answered():
    async with simulator_and_client() as (pbx, _, sync):
        plugs = [pbx.originate("1001"), pbx.originate("1002")]
        mirror = await sync()
        for plug in plugs:
            assert channel(mirror, plug)["called_number"] == "media_plug"
            assert channel(mirror, plug)["calling_number"] == "media_plug"
            assert channel(mirror, plug)["answer_timestamp"]


# -- the company ----------------------------------------------------------------------


async def test_directory_changes_are_published():
    """Clients receive presence, registration, edited fields, added and removed users."""
    async with simulator_and_client() as (pbx, _, sync):
        pbx.set_presence("1001", 3)
        pbx.register("1001", registered=False)
        pbx.edit("1900", label="新しい名")
        pbx.edit("1002", label="別名", do_not_disturb_status=1)
        new_user, user_without_group = pbx.add_user("新人", "1900"), pbx.add_user("独り")
        mirror = await sync()
        users = {user["main_extension"]: user for user in mirror.kinds["user"].values()}
        assert users["1001"]["presence"] == 3
        assert (users["1002"]["label"], users["1002"]["do_not_disturb_status"]) == ("別名", 1)
        assert users[new_user]["label"] == "新人"
        phones = {one["assoc_user_id"]: one for one in mirror.kinds["terminal"].values()}
        assert phones[users["1001"]["id"]]["registered"] == 0
        assert mirror.kinds["group"][90001001]["label"] == "新しい名"
        members = {one["user_id"] for one in mirror.kinds["group_member"].values()}
        assert users[new_user]["id"] in members
        assert users[user_without_group]["id"] not in members
        pbx.register("1001")
        pbx.call(to=new_user)
        pbx.remove_user(new_user)
        mirror = await sync()
        assert mirror.kinds["channel"] == {}
        assert users[new_user]["id"] not in mirror.kinds["user"]
        phones = {one["assoc_user_id"]: one for one in mirror.kinds["terminal"].values()}
        assert phones[users["1001"]["id"]]["registered"] == 1
        assert users[new_user]["id"] not in phones


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        ("answer", ("unknown",), "no active channel has the uuid 'unknown'"),
        ("hangup", ("unknown",), "no active channel"),
        ("transfer", ("unknown", "1001"), "no active channel"),
        ("originate", ("1900",), "is that of a group"),
        ("originate", ("7",), "no user or group has the extension '7'"),
        ("set_presence", ("7", 1), "no user or group has the extension"),
        ("register", ("1900",), "is that of a group"),
        ("edit", ("7",), "no user or group has the extension"),
        ("add_user", ("x", "1001"), "is that of a user"),
        ("remove_user", ("1900",), "is that of a group"),
        ("play", ("unknown",), "unknown scenario 'unknown'"),
    ],
)
async def test_impossible_operation_raises_not_possible_error(method, arguments, text):
    """It is raised in the caller's own thread."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(NotPossibleError, match=text):
            getattr(pbx, method)(*arguments)
        with pytest.raises(NotPossibleError, match=text):
            await asyncio.to_thread(getattr(pbx, method), *arguments)


async def test_failed_add_user_changes_nothing():
    async with Simulator(calls=False) as pbx:
        before = pbx.snapshot()
        for group in ("1001", "7"):
            with pytest.raises(NotPossibleError):
                pbx.add_user("新人", group)
        assert pbx.snapshot() == before


async def test_user_without_phone_cannot_register():
    model = Pbx()
    model.add_user("無電話", terminal=False)
    async with Simulator(pbx=model, calls=False) as pbx:
        with pytest.raises(NotPossibleError, match="has no phone"):
            pbx.register("1001")


async def test_edit_of_an_unknown_field_is_refused():
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ValueError, match="a user has no field 'shoe_size'"):
            pbx.edit("1001", shoe_size=43)


def test_methods_need_a_running_simulator():
    pbx = Simulator(calls=False)
    for _ in range(2):
        for act in (pbx.call, pbx.snapshot, pbx.restart, lambda: pbx.msg("x")):
            with pytest.raises(UsageError, match="inside its with block"):
                act()
        with pbx:
            pbx.call()
            pbx.pbx.drop_channels()


def test_control_alone_is_abstract():
    """Simulator implements run_now()."""
    with pytest.raises(NotImplementedError):
        Control().run_now(lambda: None)


# -- scenarios and time ---------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_scenario_can_be_played(scenario):
    """The client stays in sync, and the scenario ends."""
    async with simulator_and_client(users=40) as (pbx, _, sync):
        pbx.play(scenario)
        pbx.advance(1)
        await sync()
        for _ in range(5):
            pbx.advance(20)
            await sync()
        pbx.advance(7 * 60 * 60)
        assert (await sync()).kinds["channel"] == {}
        assert pbx.timeline.time_to_next is None


async def test_custom_scenario():
    """Its first step runs at once, the others at their time."""

    def scenario():
        lead = pbx.call()
        yield 10
        pbx.answer(lead)
        yield 10
        pbx.hangup(lead)

    async with simulator_and_client() as (pbx, _, sync):
        pbx.play(scenario())
        assert len((await sync()).kinds["channel"]) == 2
        pbx.advance(9)
        assert {c["state"]["name"] for c in (await sync()).kinds["channel"].values()} == {
            "calling",
            "ringing",
        }
        pbx.advance(1.5)
        assert {c["state"]["name"] for c in (await sync()).kinds["channel"].values()} == {"bridged"}
        pbx.advance(10)
        assert (await sync()).kinds["channel"] == {}


async def test_advance_moves_the_clock():
    """Later events have the new time."""
    async with Simulator(calls=False) as pbx:
        before = pbx.pbx.now
        pbx.advance(3600)
        assert pbx.pbx.now == before + 3_600_000_000
        lead = pbx.call()
        assert pbx.snapshot()["channel"][lead]["offer_timestamp"] == before + 3_600_000_000


async def test_removed_user_does_not_appear_again():
    """This holds even if a scenario of the user was running."""
    async with simulator_and_client(users=1) as (pbx, _, sync):
        pbx.play("voicemail")
        pbx.advance(21)
        pbx.remove_user("1001")
        pbx.advance(3600)
        mirror = await sync()
        assert mirror.kinds["user"] == {}


# -- messages and restarts ------------------------------------------------------------


async def test_system_msg_and_msg_reach_every_client():
    async with (
        Simulator(calls=False) as pbx,
        connect_client(pbx) as one,
        connect_client(pbx) as two,
    ):
        for cti in (one, two):
            await current_mirror(pbx, cti)
        pbx.msg("end")
        for cti in (one, two):
            while await anext(cti) != Msg("end"):
                pass
        pbx.system_msg("logout")
        pbx.msg("山田さんから電話\n")
        for cti in (one, two):
            assert await anext(cti) == SystemMsg("logout")
            assert await anext(cti) == Msg("山田さんから電話\n")


async def test_restart_refuses_a_number_as_pbx():
    """The seconds must be passed as down_for."""
    async with Simulator(calls=False) as pbx, connect_client(pbx) as cti:
        await current_mirror(pbx, cti)
        with pytest.raises(UsageError, match="down_for="):
            pbx.restart(2)
        assert len(pbx.connections) == 1


async def test_restart_closes_connections_and_drops_channels():
    """The address and the users stay the same."""
    async with (
        Simulator(calls=False) as pbx,
        connect_client(pbx) as one,
        connect_client(pbx) as two,
    ):
        for cti in (one, two):
            await current_mirror(pbx, cti)
        await anext(one)
        pbx.call()
        url, users = pbx.url, pbx.snapshot()["user"]
        pbx.restart()
        assert pbx.connections == ()
        for cti in (one, two):
            with pytest.raises(ConnectionLost) as caught:
                async with asyncio.timeout(TIMEOUT):
                    while True:
                        await anext(cti)
            assert caught.value.code == 1006
        assert pbx.url == url
        async with connect_client(pbx) as cti:
            mirror = await current_mirror(pbx, cti)
            assert mirror.kinds == pbx.snapshot()
            assert mirror.kinds["channel"] == {}
            assert mirror.kinds["user"] == users


async def test_restart_with_another_pbx():
    """Its time passes, and down_for delays the new start."""
    simulator = Simulator(speed=20, rate=30)
    listeners = [*simulator.pbx.listeners]
    async with simulator as pbx:
        url, old = pbx.url, pbx.pbx
        async with connect_client(pbx) as cti:
            await current_mirror(pbx, cti)
            other = Pbx(9, older=True)
            populate(other, 11)
            pbx.restart(other, down_for=0.2)
            with pytest.raises(ConnectionLost):
                while True:
                    await anext(cti)
        assert pbx.pbx is other
        assert old.listeners == listeners
        await wait_until_it_listens(pbx)
        assert pbx.url == url
        async with connect_client(pbx) as cti:
            now = other.now
            await eventually(lambda: other.now > now + 2_000_000)
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            mirror = ClientMirror()
            await mirror.read_until(cti)
            assert mirror.kinds == expected
            assert len(expected["user"]) >= 11


async def test_restart_while_down():
    async with Simulator(calls=False) as pbx:
        pbx.restart(down_for=0.05)
        pbx.restart(down_for=0.1)
        await wait_until_it_listens(pbx)
        async with connect_client(pbx) as cti:
            assert isinstance(await anext(cti), FieldSpec)


async def test_block_can_end_while_down():
    async with Simulator(calls=False) as pbx:
        pbx.restart(down_for=60)
        await asyncio.sleep(0.05)


async def test_change_fields_changes_the_order_for_all_clients():
    """Other fields are refused."""
    async with simulator_and_client() as (pbx, _, sync):
        fields = tuple(reversed(pbx.writer.fields["user"]))
        pbx.change_fields("user", fields)
        pbx.set_presence("1001", 2)
        await sync()
        async with connect_client(pbx, app_name="new") as other:
            assert (await current_mirror(pbx, other)).kinds == pbx.snapshot()
        with pytest.raises(ValueError, match="fields must be the fields of user"):
            pbx.change_fields("user", fields[1:])


# -- threads --------------------------------------------------------------------------


def test_blocking_program_controls_a_simulator_in_a_thread():
    with (
        Simulator(calls=False) as pbx,
        sync_connect(feed_url(**pbx.connect_args), proxy=None, compression=None) as websocket,
    ):
        parser, mirror = MessageParser(), ClientMirror()

        def sync() -> ClientMirror:
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            while (message := parser.parse(websocket.recv(10))) != Msg("sentinel"):
                mirror.apply(message)
            assert mirror.kinds == expected
            return mirror

        sync()
        lead = pbx.call(to="1002")
        leg = pbx.answer(lead, by="1002")
        assert channel(sync(), lead)["other_uuid"] == leg
        slot = pbx.park(lead)
        retrieving = pbx.retrieve(slot, by="1003")
        pbx.transfer(lead, "1001")
        assert ending(sync(), retrieving) == "recv_bye,NORMAL_CLEARING"
        pbx.hangup(lead)
        lead = pbx.call()
        (ringing,) = set(pbx.snapshot()["channel"]) - {lead}
        pbx.pick_up(ringing, by="1004")
        pbx.hangup(lead)
        pbx.set_presence("1001", 1)
        pbx.register("1001", registered=False)
        pbx.edit("1001", label="x")
        pbx.remove_user(pbx.add_user("新人"))
        pbx.register("1001")
        plug = pbx.originate("1005")
        pbx.hangup(plug)
        pbx.play("direct_call")
        pbx.advance(500)
        sync()
        assert len(pbx.connections) == 1
        websocket.send(json.dumps({"cmd": "hangup", "uuid": pbx.call()}))
        wait_until(lambda: not pbx.snapshot()["channel"])
        with pytest.raises(NotPossibleError):
            pbx.hangup("unknown")
        pbx.system_msg("logout")
        sync()
        pbx.restart()
    assert "basix simulator" not in {thread.name for thread in threading.enumerate()}


def test_concurrent_threads_control_their_own_calls():
    with Simulator(calls=False, users=40) as pbx:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for _ in range(20):
                    lead = pbx.call(to=str(1001 + number))
                    pbx.hangup(pbx.answer(lead))
                pbx.set_presence(str(1001 + number), number)
            except BaseException as error:  # noqa: BLE001 - the test asserts that there is none
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert errors == []
        snapshot = pbx.snapshot()
        assert snapshot["channel"] == {}
        assert [snapshot["user"][10001001 + n]["presence"] for n in range(8)] == list(range(8))


# -- commands over the socket ---------------------------------------------------------


async def test_hangup_command_ends_both_legs():
    async with simulator_and_client() as (pbx, cti, sync):
        lead = pbx.call()
        leg = pbx.answer(lead)
        await cti.send({"cmd": "hangup", "uuid": lead})
        await eventually(lambda: not pbx.snapshot()["channel"])
        mirror = await sync()
        assert ending(mirror, lead) == "send_bye,NORMAL_CLEARING"
        assert ending(mirror, leg) == "send_bye,NORMAL_CLEARING"


@pytest.mark.parametrize("named_leg", ["caller", "user"])
async def test_park_command_rings_back_after_the_timeout(named_leg):
    """The command may name either leg."""
    async with simulator_and_client() as (pbx, cti, sync):
        lead = pbx.call()
        leg = pbx.answer(lead)
        await cti.send(
            {"cmd": "park", "uuid": lead if named_leg == "caller" else leg, "timeout": 30}
        )
        await eventually(lambda: leg not in pbx.snapshot()["channel"])
        mirror = await sync()
        assert channel(mirror, lead)["state"]["name"] == "park"
        pbx.advance(29)
        assert channel(await sync(), lead)["state"]["name"] == "park"
        pbx.advance(2)
        mirror = await sync()
        assert channel(mirror, lead)["state"]["data"]["user_id"] == 10001001
        assert mirror.kinds["channel_waiting"] == {}
        pbx.answer(lead, by="1001")
        await sync()


async def test_retrieved_call_does_not_ring_back():
    """A call parked without a timeout does not ring back either."""
    async with simulator_and_client() as (pbx, cti, sync):
        lead, other = pbx.call(), pbx.call(to="1002")
        pbx.answer(lead)
        pbx.answer(other)
        await cti.send({"cmd": "park", "uuid": lead, "timeout": 30})
        await cti.send({"cmd": "park", "uuid": other})
        await eventually(lambda: len(pbx.snapshot()["channel"]) == 2)
        leg = pbx.retrieve(901, by="1003")
        pbx.advance(3600)
        mirror = await sync()
        assert channel(mirror, lead)["other_uuid"] == leg
        assert channel(mirror, other)["state"]["name"] == "park"


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ({"user_id": 10001001, "user_name": "user1", "destination": "1003"}, {"user_id": 10001003}),
        ({"user_name": "user1", "destination": "1003"}, {"user_id": 10001003}),
        ({"destination": "1003"}, {"user_id": 10001003}),
        ({"user_id": None, "destination": "1900"}, {"group_id": 90001001}),
        ({"destination": "0398765432"}, {"address": "0398765432"}),
    ],
)
async def test_transfer_command_to_each_kind_of_destination(to, expected):
    async with simulator_and_client() as (pbx, cti, sync):
        lead = pbx.call()
        pbx.answer(lead)
        await cti.send({"cmd": "transfer", "uuid": lead, **to})
        await eventually(lambda: pbx.snapshot()["channel"][lead]["state"]["name"] == "calling")
        state = channel(await sync(), lead)["state"]
        assert state["data"] | expected == state["data"]


async def test_simulated_user_answers_a_transfer_command():
    """The call ends later."""
    async with Simulator(rate=1e-9) as pbx, connect_client(pbx) as cti:
        mirror = await current_mirror(pbx, cti)
        lead = pbx.call()
        leg = pbx.answer(lead)
        await cti.send({"cmd": "transfer", "uuid": lead, "destination": "1002"})
        await eventually(lambda: leg not in pbx.snapshot()["channel"])
        pbx.advance(7)
        await current_mirror(pbx, cti, mirror)
        assert channel(mirror, lead)["state"]["name"] == "bridged"
        pbx.advance(61)
        await current_mirror(pbx, cti, mirror)
        assert lead not in mirror.kinds["channel"]


async def test_eavesdrop_command_uses_a_media_plug():
    async with simulator_and_client() as (pbx, cti, sync):
        lead = pbx.call()
        pbx.answer(lead)
        plug = pbx.originate("1002")
        command = {"cmd": "eavesdrop", "uuid": plug, "target_uuid": lead}

        def eavesdrop_state() -> str | None:
            return pbx.snapshot()["channel"][plug]["state"]["data"].get("eavesdrop_state")

        await cti.send({**command, "subcommand": "whisper"})
        await eventually(lambda: eavesdrop_state() == "whisper")
        await cti.send(command)
        await eventually(lambda: eavesdrop_state() == "listen")
        assert channel(await sync(), plug)["state"]["data"] == {
            "uuid": lead,
            "eavesdrop_state": "listen",
        }
        pbx.hangup(lead)
        assert (await sync()).kinds["channel"] == {}


INVALID_COMMANDS = [
    "",
    "canary",
    b"\x83canary",
    "[]",
    "null",
    '"canary"',
    "{}",
    '{"cmd":7}',
    '{"cmd":["hangup"]}',
    '{"cmd":"canary"}',
    '{"cmd":"hangup"}',
    '{"cmd":"hangup","uuid":null}',
    '{"cmd":"hangup","uuid":{}}',
    '{"cmd":"hangup","uuid":""}',
    '{"cmd":"hangup","uuid":"\\ud800"}',
    '{"cmd":"park","uuid":"LEAD"}',
    '{"cmd":"transfer","uuid":"LEAD"}',
    '{"cmd":"transfer","uuid":"LEAD","user_id":7}',
    '{"cmd":"transfer","uuid":"LEAD","user_id":true,"destination":""}',
    '{"cmd":"transfer","uuid":"LEAD","destination":7}',
    '{"cmd":"eavesdrop","uuid":"LEAD"}',
    '{"cmd":"eavesdrop","uuid":"LEAD","target_uuid":"LEAD"}',
    "[" * 100_000,
    "1" * 10_000,
]


@pytest.mark.parametrize("text", INVALID_COMMANDS, ids=lambda text: repr(text[:50]))
async def test_invalid_command_is_logged_and_ignored(text, caplog):
    """The log has one line of bounded length, without the text of the command."""
    caplog.set_level("INFO", logger=LOGGER)
    async with simulator_and_client() as (pbx, _, sync), connect_websocket(pbx) as websocket:
        lead = pbx.call()
        await sync()
        await websocket.send(text if isinstance(text, bytes) else text.replace("LEAD", lead))
        await websocket.send('{"cmd":"sentinel"}')
        await eventually(lambda: caplog.text.count("command ignored") == 2)
        assert (await sync()).events == []
        assert len(pbx.connections) == 2
    messages = [one.getMessage() for one in caplog.records if "command ignored" in one.getMessage()]
    assert all(len(message) < 200 and message.isprintable() for message in messages)
    assert "canary" not in caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_long_uuid_is_truncated_in_the_log(caplog):
    caplog.set_level("INFO", logger=LOGGER)
    async with Simulator(calls=False) as pbx, connect_client(pbx) as cti:
        await cti.send({"cmd": "hangup", "uuid": "x" * 100_000})
        await eventually(lambda: "command ignored" in caplog.text)
    (message,) = [
        one.getMessage() for one in caplog.records if "command ignored" in one.getMessage()
    ]
    assert len(message) < 500


@pytest.mark.parametrize(
    "command",
    [
        '{"cmd":"transfer","uuid":"LEAD","destination":"\\ud800"}',
        '{"cmd":"eavesdrop","uuid":"PLUG","target_uuid":"LEAD","subcommand":"\\ud800"}',
    ],
)
async def test_lone_surrogate_in_a_command_is_ignored(command, caplog):
    """The connections and the feed stay usable."""
    caplog.set_level("INFO", logger=LOGGER)
    async with simulator_and_client() as (pbx, _, sync), connect_websocket(pbx) as websocket:
        lead, plug = pbx.call(), pbx.originate("1002")
        pbx.answer(lead)
        await websocket.send(command.replace("LEAD", lead).replace("PLUG", plug))
        await websocket.send('{"cmd":"sentinel"}')
        await eventually(lambda: "command ignored: a command must be a JSON object" in caplog.text)
        await sync()
        assert len(pbx.connections) == 2
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_park_command_with_invalid_timeout_has_no_ring_back():
    async with simulator_and_client() as (pbx, cti, sync):
        for timeout in (0, -1, "30", None, 1e7, [], float(1 << 70)):
            lead = pbx.call()
            leg = pbx.answer(lead)
            await cti.send({"cmd": "park", "uuid": lead, "timeout": timeout})
            await eventually(lambda: leg not in pbx.snapshot()["channel"])  # noqa: B023
            pbx.advance(1e5)
            assert channel(await sync(), lead)["state"]["name"] == "park"
            pbx.hangup(lead)


async def test_park_command_with_infinite_timeout_has_no_ring_back(caplog):
    """Python's JSON decoder accepts NaN and Infinity."""
    async with simulator_and_client() as (pbx, _, sync), connect_websocket(pbx) as websocket:
        for timeout in ("NaN", "Infinity", "1e999", "-Infinity"):
            lead = pbx.call()
            leg = pbx.answer(lead)
            await websocket.send(f'{{"cmd":"park","uuid":"{lead}","timeout":{timeout}}}')
            await eventually(lambda: leg not in pbx.snapshot()["channel"])  # noqa: B023
            assert channel(await sync(), lead)["state"]["name"] == "park"
            assert pbx.timeline.time_to_next is None
            pbx.hangup(lead)
