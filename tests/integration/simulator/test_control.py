from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading

import pytest
from support.simulator_clients import Picture, bare, client, seen
from support.waiting import TIMEOUT, eventually, wait_until
from websockets.sync.client import connect as sync_connect

from basix_ws_cti import ConnectionLost, FieldSpec, MessageParser, Msg, SystemMsg, feed_url
from basix_ws_cti.simulator import NotPossibleError, Pbx, Person, Simulator
from basix_ws_cti.simulator.control import Control
from basix_ws_cti.simulator.scenarios import CALLERS, SCENARIOS, populate

LOGGER = "basix_ws_cti.simulator"


@contextlib.asynccontextmanager
async def watched(**options):
    """A quiet PBX, and a function that gives what its client holds of this moment."""
    async with Simulator(**{"calls": False, **options}) as pbx, client(pbx) as cti:
        picture = Picture()

        async def look() -> Picture:
            picture.events.clear()
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            await picture.follow(cti)
            assert picture.kinds == expected
            return picture

        await look()
        yield pbx, cti, look


def channel(picture: Picture, uuid: str) -> dict:
    return picture.kinds["channel"][uuid]


def last(picture: Picture, uuid: str) -> str | None:
    """How a channel that is gone ended, as the client was told."""
    assert uuid not in picture.kinds["channel"]
    return [v["last_event_data"] for kind, key, v, _ in picture.events if key == uuid][-1]


# -- calls ----------------------------------------------------------------------------


async def test_call_and_answer():
    """A customer calls a user, who answers: each step is told, and returns its channel."""
    async with watched() as (pbx, _, look):
        line = pbx.call()
        picture = await look()
        assert channel(picture, line)["state"]["name"] == "calling"
        assert channel(picture, line)["end_user"]["items"][0]["name"] == CALLERS[0].name
        (ringing,) = set(picture.kinds["channel"]) - {line}
        assert channel(picture, ringing)["state"]["name"] == "ringing"
        assert channel(picture, ringing)["user_id"] == 10001001
        leg = pbx.answer(line)
        assert leg == ringing
        picture = await look()
        for one, other in ((line, leg), (leg, line)):
            assert channel(picture, one)["state"]["name"] == "bridged"
            assert channel(picture, one)["other_uuid"] == other
        assert pbx.hangup(leg) is None
        picture = await look()
        assert picture.kinds["channel"] == {}
        assert last(picture, leg) == "recv_bye,NORMAL_CLEARING"
        assert last(picture, line) == "send_bye,NORMAL_CLEARING"


async def test_who_calls():
    """A caller is a Person, a known number, an unknown one, or a user; to may be outside."""
    async with watched() as (pbx, _, look):
        known = pbx.call(CALLERS[2].number)
        unknown = pbx.call("0699999999", "1002")
        person = pbx.call(Person("1", id="9", name="本人"), "1003")
        inside = pbx.call("1004", "1005")
        outside = pbx.call("1001", "0312345678")
        picture = await look()
        assert channel(picture, known)["end_user"]["items"][0]["id"] == CALLERS[2].id
        assert channel(picture, unknown)["end_user"] is None
        assert channel(picture, unknown)["calling_number"] == "0699999999"
        assert channel(picture, person)["end_user"]["items"][0]["name"] == "本人"
        assert channel(picture, inside)["peer_location"] == "internal"
        assert channel(picture, inside)["called_number"] == "1005"
        assert channel(picture, outside)["state"]["data"]["address"] == "0312345678"


async def test_a_group_rings():
    """A call to a group rings all members, the one who is named answers, the others lose."""
    async with watched() as (pbx, _, look):
        line = pbx.call(to="1900")
        picture = await look()
        ringing = {
            u for u, c in picture.kinds["channel"].items() if c["state"]["name"] == "ringing"
        }
        assert len(ringing) == 5
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(line, by="1900")
        leg = pbx.answer(line, by="1003")
        picture = await look()
        assert channel(picture, leg)["user_id"] == 10001003
        assert {last(picture, one) for one in ringing - {leg}} == {"send_cancel,LOSE_RACE"}
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(line)


async def test_a_call_to_a_group_waits():
    """A call that goes to a group at once is in channel_waiting while it rings."""
    async with watched() as (pbx, _, look):
        line = pbx.call(to="1900")
        assert set((await look()).kinds["channel_waiting"]) == {line}
        pbx.answer(line)
        assert (await look()).kinds["channel_waiting"] == {}


async def test_a_ringing_telephone_is_answered_or_not():
    """The ringing channel itself can be answered, hung up with a cause, or given up."""
    async with watched() as (pbx, _, look):
        for how, end in (
            ({}, "recv_refuse,USER_BUSY"),
            ({"cause": "CALL_REJECTED"}, "recv_refuse,CALL_REJECTED"),
            ({"by_peer": False, "cause": "NO_ANSWER"}, "send_cancel,NO_ANSWER"),
        ):
            pbx.call()
            (ringing,) = (u for u, c in pbx.snapshot()["channel"].items() if c["user_id"])
            pbx.hangup(ringing, **how)
            picture = await look()
            assert last(picture, ringing) == end
            assert picture.kinds["channel"] == {}
        pbx.call()
        (ringing,) = (u for u, c in pbx.snapshot()["channel"].items() if c["user_id"])
        assert pbx.answer(ringing) == ringing
        with pytest.raises(NotPossibleError, match="no phone of"):
            pbx.answer(ringing)


async def test_park_and_retrieve():
    """A parked caller stands on the user's slot until a colleague fetches them."""
    async with watched() as (pbx, _, look):
        line = pbx.call()
        leg = pbx.answer(line)
        assert pbx.park(line) == 901
        picture = await look()
        assert channel(picture, line)["state"]["data"] == {
            "slot": 901,
            "parker_id": 10001001,
            "parker_name": "佐藤 健",
        }
        assert picture.kinds["channel_waiting"].keys() == {line}
        assert last(picture, leg) == "recv_bye,NORMAL_CLEARING"
        with pytest.raises(NotPossibleError, match="no channel is parked on slot 902"):
            pbx.retrieve(902, by="1002")
        fetched = pbx.retrieve(901, by="1002")
        picture = await look()
        assert channel(picture, fetched)["called_number"] == "901"
        assert channel(picture, line)["other_uuid"] == fetched
        assert picture.kinds["channel_waiting"] == {}
        pbx.hangup(line)
        with pytest.raises(NotPossibleError, match="no active channel"):
            pbx.park(line)


async def test_pick_up():
    """A colleague answers a ringing telephone from their own."""
    async with watched() as (pbx, _, look):
        line = pbx.call()
        (ringing,) = set(pbx.snapshot()["channel"]) - {line}
        with pytest.raises(NotPossibleError):
            pbx.pick_up("nobody", by="1002")
        leg = pbx.pick_up(ringing, by="1002")
        picture = await look()
        assert last(picture, ringing) == "send_cancel,PICKED_OFF"
        assert channel(picture, leg)["called_number"] == f"pickup_uuid.{ringing}"
        assert channel(picture, leg)["other_uuid"] == line


async def test_a_pick_up_that_fails_leaves_nothing():
    """Picking up what does not ring is refused, and no channel of the attempt stays."""
    async with watched() as (pbx, _, look):
        line = pbx.call()
        before = pbx.snapshot()
        with pytest.raises(NotPossibleError):
            pbx.pick_up(line, by="1002")
        assert pbx.snapshot() == before
        await look()


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("1002", {"target_type": "user", "user_id": 10001002}),
        ("1900", {"target_type": "group", "group_id": 90001001}),
        ("0398765432", {"target_type": "pstn", "address": "0398765432"}),
    ],
)
async def test_transfer(to, where):
    """A caller is sent on to a user, a group, or a number outside."""
    async with watched() as (pbx, _, look):
        line = pbx.call()
        leg = pbx.answer(line)
        pbx.transfer(line, to)
        picture = await look()
        state = channel(picture, line)["state"]
        assert (state["name"], state["data"] | where) == ("calling", state["data"])
        assert last(picture, leg) == "recv_bye,NORMAL_CLEARING"


async def test_originate():
    """The API calls a user, who answers: a channel of their own."""
    async with watched() as (pbx, _, look):
        plugs = [pbx.originate("1001"), pbx.call_user(10001002, "media_plug")]
        picture = await look()
        for plug in plugs:
            assert channel(picture, plug)["called_number"] == "media_plug"
            assert channel(picture, plug)["answer_timestamp"]
        with pytest.raises(NotPossibleError, match="no user has the id 7"):
            pbx.call_user(7, "media_plug")


# -- the company ----------------------------------------------------------------------


async def test_the_company_changes():
    """Presence, registration, fields, hiring and dismissing: each is told at once."""
    async with watched() as (pbx, _, look):
        pbx.set_presence("1001", 3)
        pbx.register("1001", registered=False)
        pbx.edit("1900", label="新しい名")
        pbx.edit("1002", label="別名", do_not_disturb_status=1)
        hired, alone = pbx.add_user("新人", "1900"), pbx.add_user("独り")
        picture = await look()
        users = {user["main_extension"]: user for user in picture.kinds["user"].values()}
        assert users["1001"]["presence"] == 3
        assert (users["1002"]["label"], users["1002"]["do_not_disturb_status"]) == ("別名", 1)
        assert users[hired]["label"] == "新人"
        phones = {one["assoc_user_id"]: one for one in picture.kinds["terminal"].values()}
        assert phones[users["1001"]["id"]]["registered"] == 0
        assert picture.kinds["group"][90001001]["label"] == "新しい名"
        members = {one["user_id"] for one in picture.kinds["group_member"].values()}
        assert users[hired]["id"] in members
        assert users[alone]["id"] not in members
        pbx.register("1001")
        pbx.call(to=hired)
        pbx.remove_user(hired)
        picture = await look()
        assert picture.kinds["channel"] == {}
        assert users[hired]["id"] not in picture.kinds["user"]
        phones = {one["assoc_user_id"]: one for one in picture.kinds["terminal"].values()}
        assert phones[users["1001"]["id"]]["registered"] == 1
        assert users[hired]["id"] not in phones


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        ("answer", ("nobody",), "no active channel has the uuid 'nobody'"),
        ("hangup", ("nobody",), "no active channel"),
        ("transfer", ("nobody", "1001"), "no active channel"),
        ("originate", ("1900",), "is that of a group"),
        ("originate", ("7",), "no user or group has the extension '7'"),
        ("set_presence", ("7", 1), "no user or group has the extension"),
        ("register", ("1900",), "is that of a group"),
        ("edit", ("7",), "no user or group has the extension"),
        ("add_user", ("x", "1001"), "is that of a user"),
        ("remove_user", ("1900",), "is that of a group"),
        ("play", ("a story",), "unknown scenario 'a story'"),
    ],
)
async def test_what_is_not_possible(method, arguments, text):
    """What can't be done as things stand is a NotPossibleError, in the caller's own thread."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(NotPossibleError, match=text):
            getattr(pbx, method)(*arguments)
        with pytest.raises(NotPossibleError, match=text):
            await asyncio.to_thread(getattr(pbx, method), *arguments)


async def test_what_fails_changes_nothing():
    """A hire into a group that is none leaves no user behind."""
    async with Simulator(calls=False) as pbx:
        before = pbx.snapshot()
        for group in ("1001", "7"):
            with pytest.raises(NotPossibleError):
                pbx.add_user("新人", group)
        assert pbx.snapshot() == before


async def test_a_user_without_a_telephone():
    """Who has no phone can't register."""
    own = Pbx()
    own.add_user("無電話", terminal=False)
    async with Simulator(pbx=own, calls=False) as pbx:
        with pytest.raises(NotPossibleError, match="has no phone"):
            pbx.register("1001")


async def test_a_field_that_is_none():
    """Editing a field that there is not is a ValueError."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ValueError, match="a user has no field 'shoe_size'"):
            pbx.edit("1001", shoe_size=43)


def test_outside_the_block():
    """Before and after its block a simulator can't be told anything."""
    pbx = Simulator(calls=False)
    for _ in range(2):
        for act in (pbx.call, pbx.snapshot, pbx.restart, lambda: pbx.msg("x")):
            with pytest.raises(RuntimeError, match="inside its with block"):
                act()
        with pbx:
            pbx.call()
            pbx.pbx.drop_channels()


def test_control_alone_is_a_promise():
    """Control says what can be done; who does it is Simulator's."""
    with pytest.raises(NotImplementedError):
        Control().run_now(lambda: None)


# -- stories and time -----------------------------------------------------------------


@pytest.mark.parametrize("story", SCENARIOS)
async def test_every_story(story):
    """Each story can be played by name, is told as it goes, and comes to its end."""
    async with watched(users=40) as (pbx, _, look):
        pbx.play(story)
        pbx.advance(1)
        await look()
        told = 0
        for _ in range(5):
            pbx.advance(20)
            told += len((await look()).events)
        pbx.advance(7 * 60 * 60)
        assert (await look()).kinds["channel"] == {}
        assert pbx.timeline.time_to_next is None


async def test_a_story_of_ones_own():
    """A scenario of one's own has its first step at once, and the others in their time."""

    def story():
        line = pbx.call()
        yield 10
        pbx.answer(line)
        yield 10
        pbx.hangup(line)

    async with watched() as (pbx, _, look):
        pbx.play(story())
        assert len((await look()).kinds["channel"]) == 2
        pbx.advance(9)
        assert {c["state"]["name"] for c in (await look()).kinds["channel"].values()} == {
            "calling",
            "ringing",
        }
        pbx.advance(1.5)
        assert {c["state"]["name"] for c in (await look()).kinds["channel"].values()} == {"bridged"}
        pbx.advance(10)
        assert (await look()).kinds["channel"] == {}


async def test_the_clock():
    """advance() moves the PBX's clock by just that, and what happens bears its time."""
    async with Simulator(calls=False) as pbx:
        before = pbx.pbx.now
        pbx.advance(3600)
        assert pbx.pbx.now == before + 3_600_000_000
        line = pbx.call()
        assert pbx.snapshot()["channel"][line]["offer_timestamp"] == before + 3_600_000_000


async def test_who_was_dismissed_stays_away():
    """Nothing is told of a user who is no more, whatever was going on in their name."""
    async with watched(users=1) as (pbx, _, look):
        pbx.play("voicemail")
        pbx.advance(21)
        pbx.remove_user("1001")
        pbx.advance(3600)
        picture = await look()
        assert picture.kinds["user"] == {}


# -- what is said, and restarts -------------------------------------------------------


async def test_what_is_said():
    """system_msg and msg go to every client, as they are."""
    async with Simulator(calls=False) as pbx, client(pbx) as one, client(pbx) as two:
        for cti in (one, two):
            await seen(pbx, cti)
        pbx.msg("end")
        for cti in (one, two):
            while await anext(cti) != Msg("end"):
                pass
        pbx.system_msg("logout")
        pbx.msg("山田さんから電話\n")
        for cti in (one, two):
            assert await anext(cti) == SystemMsg("logout")
            assert await anext(cti) == Msg("山田さんから電話\n")


async def test_a_restart_as_nothing():
    """What is no PBX is refused before anything happens: a number is no time to be away."""
    async with Simulator(calls=False) as pbx, client(pbx) as cti:
        await seen(pbx, cti)
        with pytest.raises(TypeError, match="down_for="):
            pbx.restart(2)
        assert len(pbx.connections) == 1


async def test_restart():
    """A restart ends every connection; the same address has the same PBX without channels."""
    async with Simulator(calls=False) as pbx, client(pbx) as one, client(pbx) as two:
        for cti in (one, two):
            await seen(pbx, cti)
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
        async with client(pbx) as cti:
            picture = await seen(pbx, cti)
            assert picture.kinds == pbx.snapshot()
            assert picture.kinds["channel"] == {}
            assert picture.kinds["user"] == users


async def test_restart_as_another():
    """It can come back as another PBX, whose time passes, and which is away for a while."""
    async with Simulator(speed=300, rate=30) as pbx:
        url, old = pbx.url, pbx.pbx
        async with client(pbx) as cti:
            await seen(pbx, cti)
            other = Pbx(9, older=True)
            populate(other, 11)
            pbx.restart(other, down_for=0.2)
            with pytest.raises(ConnectionLost):
                while True:
                    await anext(cti)
        assert pbx.pbx is other
        assert pbx._client_handler.publish_change not in old.listeners
        await eventually(pbx._restart_task.done)
        assert pbx.url == url
        async with client(pbx) as cti:
            now = other.now
            await eventually(lambda: other.now > now + 10_000_000)
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            picture = Picture()
            await picture.follow(cti)
            assert picture.kinds == expected
            assert len(expected["user"]) >= 11


async def test_a_restart_while_it_is_down():
    """A second restart while it is away is no error: it comes back all the same."""
    async with Simulator(calls=False) as pbx:
        pbx.restart(down_for=0.05)
        pbx.restart(down_for=0.1)
        await eventually(pbx._restart_task.done)
        async with client(pbx) as cti:
            assert isinstance(await anext(cti), FieldSpec)


async def test_leaving_while_it_is_down():
    """The block can end while the PBX is away."""
    async with Simulator(calls=False) as pbx:
        pbx.restart(down_for=60)
        await asyncio.sleep(0.05)


async def test_change_fields():
    """A kind's fields come in another order from now on, for old clients and new; no others."""
    async with watched() as (pbx, _, look):
        fields = tuple(reversed(pbx.writer.fields["user"]))
        pbx.change_fields("user", fields)
        pbx.set_presence("1001", 2)
        await look()
        async with client(pbx, app_name="new") as other:
            assert (await seen(pbx, other)).kinds == pbx.snapshot()
        with pytest.raises(ValueError, match="fields must be the fields of user"):
            pbx.change_fields("user", fields[1:])


# -- from another thread --------------------------------------------------------------


def test_from_plain_code():
    """A plain program can run a PBX in a thread, watch it, and say what happens in it."""
    with (
        Simulator(calls=False) as pbx,
        sync_connect(feed_url(**pbx.connect_args), proxy=None, compression=None) as websocket,
    ):
        parser, picture = MessageParser(), Picture()

        def look() -> Picture:
            pbx.msg("sentinel")
            expected = pbx.snapshot()
            while (message := parser.parse(websocket.recv(10))) != Msg("sentinel"):
                picture.take(message)
            assert picture.kinds == expected
            return picture

        look()
        line = pbx.call(to="1002")
        leg = pbx.answer(line, by="1002")
        assert channel(look(), line)["other_uuid"] == leg
        slot = pbx.park(line)
        fetched = pbx.retrieve(slot, by="1003")
        pbx.transfer(line, "1001")
        assert last(look(), fetched) == "recv_bye,NORMAL_CLEARING"
        pbx.hangup(line)
        line = pbx.call()
        (ringing,) = set(pbx.snapshot()["channel"]) - {line}
        pbx.pick_up(ringing, by="1004")
        pbx.hangup(line)
        pbx.set_presence("1001", 1)
        pbx.register("1001", registered=False)
        pbx.edit("1001", label="x")
        pbx.remove_user(pbx.add_user("新人"))
        pbx.register("1001")
        plug = pbx.originate("1005")
        pbx.hangup(plug)
        pbx.play("direct_call")
        pbx.advance(500)
        look()
        assert len(pbx.connections) == 1
        websocket.send(json.dumps({"cmd": "hangup", "uuid": pbx.call()}))
        wait_until(lambda: not pbx.snapshot()["channel"])
        with pytest.raises(NotPossibleError):
            pbx.hangup("nobody")
        pbx.system_msg("logout")
        look()
        pbx.restart()
    assert "basix simulator" not in {thread.name for thread in threading.enumerate()}


def test_many_threads():
    """Threads that act at once each see their own call through; the client has the sum."""
    with Simulator(calls=False, users=40) as pbx:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for _ in range(20):
                    line = pbx.call(to=str(1001 + number))
                    pbx.hangup(pbx.answer(line))
                pbx.set_presence(str(1001 + number), number)
            except BaseException as error:  # noqa: BLE001 - the test's to show
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


async def test_hangup_command():
    """A client ends a channel: the PBX hangs up, and the partner's leg ends too."""
    async with watched() as (pbx, cti, look):
        line = pbx.call()
        leg = pbx.answer(line)
        await cti.send({"cmd": "hangup", "uuid": line})
        await eventually(lambda: not pbx.snapshot()["channel"])
        picture = await look()
        assert last(picture, line) == "send_bye,NORMAL_CLEARING"
        assert last(picture, leg) == "send_bye,NORMAL_CLEARING"


@pytest.mark.parametrize("whose", ["caller", "user"])
async def test_park_command(whose):
    """A client parks a call by either leg; when the time is up the parker's telephone rings."""
    async with watched() as (pbx, cti, look):
        line = pbx.call()
        leg = pbx.answer(line)
        await cti.send({"cmd": "park", "uuid": line if whose == "caller" else leg, "timeout": 30})
        await eventually(lambda: leg not in pbx.snapshot()["channel"])
        picture = await look()
        assert channel(picture, line)["state"]["name"] == "park"
        pbx.advance(29)
        assert channel(await look(), line)["state"]["name"] == "park"
        pbx.advance(2)
        picture = await look()
        assert channel(picture, line)["state"]["data"]["user_id"] == 10001001
        assert picture.kinds["channel_waiting"] == {}
        pbx.answer(line, by="1001")
        await look()


async def test_a_parked_call_is_fetched_in_time():
    """Who was fetched is not called back; nor is anybody without a timeout."""
    async with watched() as (pbx, cti, look):
        line, other = pbx.call(), pbx.call(to="1002")
        pbx.answer(line)
        pbx.answer(other)
        await cti.send({"cmd": "park", "uuid": line, "timeout": 30})
        await cti.send({"cmd": "park", "uuid": other})
        await eventually(lambda: len(pbx.snapshot()["channel"]) == 2)
        leg = pbx.retrieve(901, by="1003")
        pbx.advance(3600)
        picture = await look()
        assert channel(picture, line)["other_uuid"] == leg
        assert channel(picture, other)["state"]["name"] == "park"


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ({"user_id": 10001002}, {"user_id": 10001002}),
        ({"user_id": 10001002, "user_name": "user2", "destination": "1003"}, {"user_id": 10001002}),
        ({"destination": "1003"}, {"user_id": 10001003}),
        ({"user_id": None, "destination": "1900"}, {"group_id": 90001001}),
        ({"destination": "0398765432"}, {"address": "0398765432"}),
    ],
)
async def test_transfer_command(to, where):
    """A client sends a caller on: to a user by id or extension, a group, a number."""
    async with watched() as (pbx, cti, look):
        line = pbx.call()
        pbx.answer(line)
        await cti.send({"cmd": "transfer", "uuid": line, **to})
        await eventually(lambda: pbx.snapshot()["channel"][line]["state"]["name"] == "calling")
        state = channel(await look(), line)["state"]
        assert state["data"] | where == state["data"]


async def test_a_transfer_in_a_lively_pbx():
    """Where people are at the telephones somebody answers what a client sends on, and hangs up."""
    async with Simulator(rate=1e-9) as pbx, client(pbx) as cti:
        picture = await seen(pbx, cti)
        line = pbx.call()
        leg = pbx.answer(line)
        await cti.send({"cmd": "transfer", "uuid": line, "user_id": 10001002})
        await eventually(lambda: leg not in pbx.snapshot()["channel"])
        pbx.advance(7)
        await seen(pbx, cti, picture)
        assert channel(picture, line)["state"]["name"] == "bridged"
        pbx.advance(61)
        await seen(pbx, cti, picture)
        assert line not in picture.kinds["channel"]


async def test_eavesdrop_command():
    """With a media plug of its own a client listens in on a call."""
    async with watched() as (pbx, cti, look):
        line = pbx.call()
        pbx.answer(line)
        plug = pbx.call_user(10001002, "media_plug")
        command = {"cmd": "eavesdrop", "uuid": plug, "target_uuid": line}

        def shown() -> str | None:
            return pbx.snapshot()["channel"][plug]["state"]["data"].get("eavesdrop_state")

        await cti.send({**command, "subcommand": "whisper"})
        await eventually(lambda: shown() == "whisper")
        await cti.send(command)
        await eventually(lambda: shown() == "listen")
        assert channel(await look(), plug)["state"]["data"] == {
            "uuid": line,
            "eavesdrop_state": "listen",
        }
        pbx.hangup(line)
        assert (await look()).kinds["channel"] == {}


NONSENSE = [
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
    '{"cmd":"park","uuid":"LINE"}',
    '{"cmd":"transfer","uuid":"LINE"}',
    '{"cmd":"transfer","uuid":"LINE","user_id":7}',
    '{"cmd":"transfer","uuid":"LINE","user_id":true,"destination":""}',
    '{"cmd":"transfer","uuid":"LINE","destination":7}',
    '{"cmd":"eavesdrop","uuid":"LINE"}',
    '{"cmd":"eavesdrop","uuid":"LINE","target_uuid":"LINE"}',
    "[" * 100_000,
    "1" * 10_000,
]


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: repr(text[:50]))
async def test_nonsense_is_ignored(text, caplog):
    """What means nothing is logged in one bounded line, and nothing else comes of it."""
    caplog.set_level("INFO", logger=LOGGER)
    async with watched() as (pbx, _, look), bare(pbx) as websocket:
        line = pbx.call()
        await look()
        await websocket.send(text if isinstance(text, bytes) else text.replace("LINE", line))
        await websocket.send('{"cmd":"sentinel"}')
        await eventually(lambda: caplog.text.count("command ignored") == 2)
        assert (await look()).events == []
        assert len(pbx.connections) == 2
    lines = [one.getMessage() for one in caplog.records if "command ignored" in one.getMessage()]
    assert all(len(line) < 200 and line.isprintable() for line in lines)
    assert "canary" not in caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_a_long_uuid_is_not_logged_in_full(caplog):
    """However long a text a client sends, the log line is bounded."""
    caplog.set_level("INFO", logger=LOGGER)
    async with Simulator(calls=False) as pbx, client(pbx) as cti:
        await cti.send({"cmd": "hangup", "uuid": "x" * 100_000})
        await eventually(lambda: "command ignored" in caplog.text)
    (line,) = [one.getMessage() for one in caplog.records if "command ignored" in one.getMessage()]
    assert len(line) < 500


@pytest.mark.parametrize(
    "command",
    [
        '{"cmd":"transfer","uuid":"LINE","destination":"\\ud800"}',
        '{"cmd":"eavesdrop","uuid":"PLUG","target_uuid":"LINE","subcommand":"\\ud800"}',
    ],
)
async def test_half_a_character_is_ignored(command, caplog):
    """A lone surrogate in a command harms neither the connection nor what others are told."""
    caplog.set_level("INFO", logger=LOGGER)
    async with watched() as (pbx, _, look), bare(pbx) as websocket:
        line, plug = pbx.call(), pbx.originate("1002")
        pbx.answer(line)
        await websocket.send(command.replace("LINE", line).replace("PLUG", plug))
        await websocket.send('{"cmd":"sentinel"}')
        await eventually(lambda: "command ignored: a command must be a JSON object" in caplog.text)
        await look()
        assert len(pbx.connections) == 2
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_a_timeout_that_is_none():
    """A timeout of no sense parks all the same, without a recall."""
    async with watched() as (pbx, cti, look):
        for timeout in (0, -1, "30", None, 1e7, [], float(1 << 70)):
            line = pbx.call()
            leg = pbx.answer(line)
            await cti.send({"cmd": "park", "uuid": line, "timeout": timeout})
            await eventually(lambda: leg not in pbx.snapshot()["channel"])  # noqa: B023
            pbx.advance(1e5)
            assert channel(await look(), line)["state"]["name"] == "park"
            pbx.hangup(line)


async def test_a_timeout_not_of_this_world(caplog):
    """NaN and Infinity, which Python's JSON reads, park without a recall."""
    async with watched() as (pbx, _, look), bare(pbx) as websocket:
        for timeout in ("NaN", "Infinity", "1e999", "-Infinity"):
            line = pbx.call()
            leg = pbx.answer(line)
            await websocket.send(f'{{"cmd":"park","uuid":"{line}","timeout":{timeout}}}')
            await eventually(lambda: leg not in pbx.snapshot()["channel"])  # noqa: B023
            assert channel(await look(), line)["state"]["name"] == "park"
            assert pbx.timeline.time_to_next is None
            pbx.hangup(line)
