"""What clients may ask of the simulated PBX, and that nonsense harms nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed_follower import Office

from basix_ws_cti.simulator.commands import parse_command
from basix_ws_cti.simulator.errors import NotPossibleError
from basix_ws_cti.simulator.scenarios import CALLERS
from basix_ws_cti.simulator.timeline import Timeline


class Desk(Office):
    """A company to which commands are given."""

    def __init__(self, *, simulate_users=False, **options):
        super().__init__(**options)
        self.timeline = Timeline(self.pbx)
        self.simulate_users = simulate_users

    def give(self, **command):
        """Give a command, as a client's text frame."""
        self.give_text(json.dumps(command))

    def give_text(self, text):
        self.timeline.start_now(parse_command(self.pbx, text, simulate_users=self.simulate_users))

    def refuses(self, text, match=None):
        """A command is not possible, and changes nothing."""
        before, told, pause = self.pbx.snapshot(), self.told(), self.timeline.time_to_next
        with pytest.raises(NotPossibleError, match=match):
            self.give_text(text)
        assert self.pbx.snapshot() == before
        assert (self.told(), self.timeline.time_to_next) == (told, pause)

    def state(self, channel):
        return self.client.kinds["channel"][channel.uuid]["state"]


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.client.check()


@pytest.fixture
def lively():
    desk = Desk(simulate_users=True)
    yield desk
    desk.client.check()


# hangup


def test_hangup_ends_a_call(desk):
    """A command hangs up from the PBX's side: neither peer said goodbye."""
    line, leg = desk.talk()
    other, _ = desk.talk(1)
    desk.give(cmd="hangup", uuid=leg.uuid)
    assert desk.client.endings() == {
        line.uuid: "send_bye,NORMAL_CLEARING",
        leg.uuid: "send_bye,NORMAL_CLEARING",
    }
    assert other.uuid in desk.pbx.channels
    assert desk.timeline.time_to_next is None


def test_hangup_of_a_telephone_that_rings(desk):
    """A telephone that rings is cancelled, and the caller, who waits for nobody else, refused."""
    line, leg = desk.ring()
    desk.give(cmd="hangup", uuid=leg.uuid)
    assert desk.client.endings() == {
        leg.uuid: "send_cancel,ORIGINATOR_CANCEL",
        line.uuid: "send_refuse,NO_ANSWER",
    }


# park


@pytest.mark.parametrize("own", [False, True])
def test_park_parks_the_caller(desk, own):
    """Whichever leg is named, it is the caller who is parked and the user who is off the line."""
    line, leg = desk.talk(2)
    desk.give(cmd="park", uuid=(leg if own else line).uuid)
    assert desk.state(line)["name"] == "park"
    assert desk.state(line)["data"]["parker_id"] == desk.users[2].id
    assert desk.client.endings() == {leg.uuid: "recv_bye,NORMAL_CLEARING"}
    assert list(desk.client.kinds["channel_waiting"]) == [line.uuid]
    assert desk.timeline.time_to_next is None


def test_park_between_colleagues(desk):
    """Of two users the leg that is named is parked, by the other."""
    asking = desk.pbx.receive(desk.users[0], "1002")
    asked = desk.pbx.call_user(asking, desk.users[1])
    desk.pbx.connect(asked)
    desk.give(cmd="park", uuid=asking.uuid)
    assert desk.state(asking)["data"]["parker_id"] == desk.users[1].id
    assert list(desk.pbx.channels) == [asking.uuid]


def test_park_comes_back(desk):
    """After its timeout a parked call rings at who parked it."""
    line, _ = desk.talk(2)
    desk.give(cmd="park", uuid=line.uuid, timeout=30)
    desk.timeline.advance(29.9)
    assert desk.state(line)["name"] == "park"
    desk.timeline.advance(0.1)
    assert desk.state(line)["name"] == "calling"
    (ringing,) = desk.pbx.ringing_for(line)
    assert ringing.user is desk.users[2]
    assert desk.client.kinds["channel_waiting"] == {}
    assert desk.timeline.time_to_next is None


def test_park_comes_back_to_people(lively):
    """In a lively PBX who parked a call answers when it comes back, and it ends some day."""
    line, _ = lively.talk(2)
    lively.give(cmd="park", uuid=line.uuid, timeout=30)
    lively.timeline.advance(36)
    assert lively.state(line)["name"] == "bridged"
    assert lively.pbx.partner(line).user is lively.users[2]
    lively.timeline.advance(60)
    assert lively.pbx.channels == {}


def test_park_that_is_fetched_does_not_come_back(desk):
    """A call that was fetched, or ended, or parked anew, before the timeout is left alone."""
    calls = [desk.talk(number)[0] for number in range(3)]
    for line in calls:
        desk.give(cmd="park", uuid=line.uuid, timeout=30)
    desk.timeline.advance(10)
    fetched, ended, again = calls
    leg = desk.pbx.receive(desk.users[4], "901")
    desk.pbx.set_state(leg, "system_operation", operation="unpark")
    desk.pbx.retrieve(leg, fetched)
    desk.pbx.hang_up(ended)
    other = desk.pbx.receive(desk.users[3], "907")
    desk.pbx.set_state(other, "system_operation", operation="unpark")
    desk.pbx.retrieve(other, again)
    desk.pbx.park(again)
    told = desk.told()
    desk.timeline.advance(30)
    assert desk.told() == told
    assert desk.timeline.time_to_next is None


def test_park_by_who_is_gone(desk):
    """A call whose parker is no more when it comes back is ended."""
    line, _ = desk.talk(2)
    desk.give(cmd="park", uuid=line.uuid, timeout=30)
    desk.pbx.remove_user(desk.users[2])
    desk.timeline.advance(30)
    assert desk.pbx.channels == {}
    assert desk.client.endings()[line.uuid] == "send_bye,NORMAL_CLEARING"


@pytest.mark.parametrize("timeout", ["null", "0", "-5", "NaN", "Infinity", "1e999", '"30"', "[]"])
def test_park_for_ever(desk, timeout):
    """A timeout that is none parks all the same, for as long as it takes."""
    line, _ = desk.talk()
    desk.give_text(f'{{"cmd": "park", "uuid": "{line.uuid}", "timeout": {timeout}}}')
    assert desk.state(line)["name"] == "park"
    assert desk.timeline.time_to_next is None


def test_park_of_who_talks_to_nobody(desk):
    """Who is in a menu, or rings, has nobody who could park them."""
    line, leg = desk.ring()
    for channel in (line, leg, desk.call()):
        desk.refuses(json.dumps({"cmd": "park", "uuid": channel.uuid}), "talks to no user")


# transfer


def test_transfer_to_each_sort_of_destination(desk):
    """A call is sent to a user by id or extension, to a group, or to a number outside."""
    for wish, state in (
        ({"user_id": desk.users[1].id}, {"target_type": "user", "user_id": desk.users[1].id}),
        ({"destination": "1003"}, {"target_type": "user", "user_id": desk.users[2].id}),
        ({"destination": "1900"}, {"target_type": "group", "group_id": desk.group.id}),
        ({"destination": "0398765432"}, {"target_type": "pstn", "address": "0398765432"}),
        ({"user_id": 1, "destination": "1004"}, {"user_id": desk.users[3].id}),
        ({"user_id": "x", "destination": "1004"}, {"user_id": desk.users[3].id}),
        ({"user_id": desk.users[1].id, "destination": "1"}, {"user_id": desk.users[1].id}),
    ):
        line, leg = desk.talk(0, CALLERS[1])
        desk.give(cmd="transfer", uuid=line.uuid, user_name="whoever", **wish)
        assert state.items() <= desk.state(line)["data"].items()
        assert leg.uuid not in desk.pbx.channels
        assert desk.timeline.time_to_next is None
        desk.pbx.hang_up(line)


def test_transfer_among_people(lively):
    """In a lively PBX somebody answers a call that was sent on, and it ends some day."""
    line, _ = lively.talk(0)
    lively.give(cmd="transfer", uuid=line.uuid, destination="1002")
    lively.timeline.advance(6)
    assert lively.pbx.partner(line).user is lively.users[1]
    lively.timeline.advance(60)
    assert lively.pbx.channels == {}


def test_transfer_to_where_nobody_is(lively):
    """Who is sent to a group whose telephones are all gone waits, until the call peters out."""
    for phone in lively.pbx.terminals.values():
        lively.pbx.edit(phone, registered=0)
    line, _ = lively.talk(0)
    lively.give(cmd="transfer", uuid=line.uuid, destination="1900")
    assert list(lively.client.kinds["channel_waiting"]) == [line.uuid]
    lively.timeline.advance(100)
    assert lively.timeline.time_to_next is None


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"destination": ""},
        {"destination": None},
        {"destination": 1003},
        {"user_id": 7},
        {"user_id": True},
        {"user_id": 10001002.0},
        {"user_id": [10001002]},
        {"user_name": "user1"},
    ],
)
def test_transfer_to_nowhere(desk, wish):
    """A transfer says where to."""
    line, _ = desk.talk()
    command = {"cmd": "transfer", "uuid": line.uuid, **wish}
    desk.refuses(json.dumps(command), "neither a user_id nor a destination")


def test_transfer_of_what_rings(desk):
    """A telephone that rings can't be sent on."""
    _, leg = desk.ring()
    desk.refuses(json.dumps({"cmd": "transfer", "uuid": leg.uuid, "user_id": 10001002}), "rings")


# eavesdrop


@pytest.mark.parametrize(
    ("wish", "state"),
    [
        ({"subcommand": "whisper"}, "whisper"),
        ({"subcommand": ""}, ""),
        ({}, "listen"),
        ({"subcommand": 3}, "listen"),
    ],
)
def test_eavesdrop(desk, wish, state):
    """A media plug listens to the target, in the way the subcommand says."""
    line, _ = desk.talk()
    plug = desk.pbx.originate(desk.users[1], "media_plug")
    desk.give(cmd="eavesdrop", uuid=plug.uuid, target_uuid=line.uuid, **wish)
    assert desk.state(plug)["name"] == "eavesdrop"
    assert plug.state.data == {"uuid": line.uuid, "eavesdrop_state": state}


def test_eavesdrop_needs_a_plug(desk):
    """A channel that talks, rings, or is the target itself, is no media plug."""
    line, leg = desk.talk()
    other, ringing = desk.ring(1)
    for plug, target in ((leg, other), (ringing, line), (other, other)):
        command = {"cmd": "eavesdrop", "uuid": plug.uuid, "target_uuid": target.uuid}
        desk.refuses(json.dumps(command), "cannot listen in")


# Nonsense


@pytest.mark.parametrize("name", ["hangup", "park", "transfer", "eavesdrop"])
@pytest.mark.parametrize("uuid", [None, 1, [], {}, True, "", "nobody's", "\0"])
def test_a_channel_that_is_none(desk, name, uuid):
    """Each command needs a channel that is there."""
    line, _ = desk.talk()
    rest = {"target_uuid": line.uuid, "destination": "1002"}
    desk.refuses(
        json.dumps({"cmd": name, "uuid": uuid, **rest}), "no active channel|no channel uuid"
    )
    desk.refuses(json.dumps({"cmd": name, **rest}), "has no channel uuid in uuid")
    if name == "eavesdrop":
        command = {"cmd": name, "uuid": line.uuid, "target_uuid": uuid}
        desk.refuses(json.dumps(command), "no active channel|no channel uuid")


@pytest.mark.parametrize(
    "text",
    ["", "{", "hangup", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\ud800", "{'cmd': 'park'}"],
)
def test_what_is_not_json(desk, text):
    """A command must be valid JSON, and not too deep."""
    desk.refuses(text, "must be valid JSON")


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '"hangup"',
        "1",
        "{}",
        '{"cmd": null}',
        '{"cmd": ["park"]}',
        '{"cmd": "Park"}',
        '{"cmd": {}}',
        '{"cmd": "__class__"}',
        '{"CMD": "park"}',
        '[{"cmd": "park"}]',
    ],
)
def test_what_is_no_command(desk, text):
    """A command is an object, whose cmd is one of four."""
    desk.refuses(text, "one of hangup, park, transfer, eavesdrop")


def test_bytes_are_no_command(desk):
    """Commands come in text frames; a binary one means nothing, whatever it says."""
    line, _ = desk.talk()
    desk.refuses(json.dumps({"cmd": "hangup", "uuid": line.uuid}).encode(), "text frame")


@pytest.mark.parametrize(
    "command",
    [
        {"cmd": "transfer", "destination": "\ud800"},
        {"cmd": "eavesdrop", "subcommand": "\udfff"},
    ],
)
def test_lone_surrogates_in_a_command(desk, command):
    r"""JSON can say "\ud800", which no feed can carry: it is refused, and breaks nothing."""
    line, _ = desk.talk()
    plug = desk.pbx.originate(desk.users[1], "media_plug")
    uuid = (plug if command["cmd"] == "eavesdrop" else line).uuid
    desk.refuses(json.dumps({**command, "uuid": uuid, "target_uuid": line.uuid}))


def test_a_second_command_finds_what_the_first_has_left(desk):
    """A caller who is made to listen to what rings for them: the next command breaks nothing."""
    line, leg = desk.ring()
    command = {"cmd": "eavesdrop", "uuid": line.uuid, "target_uuid": leg.uuid}
    try:
        desk.give(**command)
    except NotPossibleError:
        return
    desk.give(cmd="hangup", uuid=leg.uuid)


NUMBERS = range(8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELD = JSON | st.sampled_from(["1001", "1900", 10001001, 10001003, *(f"#{n}" for n in NUMBERS)])
COMMAND = st.fixed_dictionaries(
    {"cmd": st.sampled_from(["hangup", "park", "transfer", "eavesdrop"])},
    optional=dict.fromkeys(
        ["uuid", "target_uuid", "user_id", "user_name", "destination", "subcommand", "timeout"],
        FIELD,
    ),
)
TEXT = st.one_of(st.text(), st.binary(), JSON.map(json.dumps), COMMAND.map(json.dumps))


@settings(max_examples=300, deadline=None)
@given(TEXT, st.booleans())
def test_any_nonsense(text, lively):
    """Whatever a client sends is done or refused, and what is refused changes nothing."""
    desk = Desk(simulate_users=lively)
    desk.talk(0)
    desk.pbx.call_group(desk.call(CALLERS[5]), desk.group)
    desk.pbx.originate(desk.users[1], "media_plug")
    if isinstance(text, str):
        for number, uuid in zip(NUMBERS, list(desk.pbx.channels), strict=False):
            text = text.replace(f"#{number}", uuid)
    before, told = desk.pbx.snapshot(), desk.told()
    try:
        desk.give_text(text)
    except NotPossibleError:
        assert desk.pbx.snapshot() == before
        assert desk.told() == told
    else:
        assert desk.told() > told
    desk.client.check()
    desk.timeline.advance(200)
    desk.client.check()
