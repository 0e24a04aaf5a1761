"""Commands of clients to the simulated PBX, and protection against invalid ones."""

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


class CommandOffice(Office):
    """Office to which commands are sent; with ``simulate_users``, users answer and hang up."""

    def __init__(self, *, simulate_users=False, **options):
        super().__init__(**options)
        self.timeline = Timeline(self.pbx)
        self.simulate_users = simulate_users

    def send(self, **command):
        """Send a command, as the text frame of a client."""
        self.send_text(json.dumps(command))

    def send_text(self, text):
        self.timeline.start_now(parse_command(self.pbx, text, simulate_users=self.simulate_users))

    def assert_refused(self, text, match=None):
        """Assert that a command is not possible and changes nothing."""
        before, count, pause = self.pbx.snapshot(), self.event_count(), self.timeline.time_to_next
        with pytest.raises(NotPossibleError, match=match):
            self.send_text(text)
        assert self.pbx.snapshot() == before
        assert (self.event_count(), self.timeline.time_to_next) == (count, pause)

    def state(self, channel):
        return self.client.kinds["channel"][channel.uuid]["state"]


@pytest.fixture
def office():
    office = CommandOffice()
    yield office
    office.client.assert_in_sync()


@pytest.fixture
def staffed_office():
    office = CommandOffice(simulate_users=True)
    yield office
    office.client.assert_in_sync()


# hangup


def test_hangup_ends_both_legs(office):
    """The PBX hangs up: neither peer has sent BYE."""
    lead, leg = office.talk()
    other, _ = office.talk(1)
    office.send(cmd="hangup", uuid=leg.uuid)
    assert office.client.endings() == {
        lead.uuid: "send_bye,NORMAL_CLEARING",
        leg.uuid: "send_bye,NORMAL_CLEARING",
    }
    assert other.uuid in office.pbx.channels
    assert office.timeline.time_to_next is None


def test_hangup_of_a_ringing_leg(office):
    """The leg is cancelled, and the caller, for whom no other phone rings, is refused."""
    lead, leg = office.ring()
    office.send(cmd="hangup", uuid=leg.uuid)
    assert office.client.endings() == {
        leg.uuid: "send_cancel,ORIGINATOR_CANCEL",
        lead.uuid: "send_refuse,NO_ANSWER",
    }


# park


@pytest.mark.parametrize("by_user_leg", [False, True])
def test_park_parks_the_caller(office, by_user_leg):
    """The command may name either leg; the PBX ends the user's leg."""
    lead, leg = office.talk(2)
    office.send(cmd="park", uuid=(leg if by_user_leg else lead).uuid)
    assert office.state(lead)["name"] == "park"
    assert office.state(lead)["data"]["parker_id"] == office.users[2].id
    assert office.client.endings() == {leg.uuid: "send_bye,NORMAL_CLEARING"}
    assert list(office.client.kinds["channel_waiting"]) == [lead.uuid]
    assert office.timeline.time_to_next is None


def test_park_of_an_internal_call(office):
    """The named leg is parked by the other user."""
    first = office.pbx.receive(office.users[0], "1002")
    second = office.pbx.call_user(first, office.users[1])
    office.pbx.connect(second)
    office.send(cmd="park", uuid=first.uuid)
    assert office.state(first)["data"]["parker_id"] == office.users[1].id
    assert list(office.pbx.channels) == [first.uuid]


def test_parked_call_rings_back_after_its_timeout(office):
    lead, _ = office.talk(2)
    office.send(cmd="park", uuid=lead.uuid, timeout=30)
    office.timeline.advance(29.9)
    assert office.state(lead)["name"] == "park"
    office.timeline.advance(0.1)
    assert office.state(lead)["name"] == "calling"
    (ringing,) = office.pbx.ringing_for(lead)
    assert ringing.user is office.users[2]
    assert office.client.kinds["channel_waiting"] == {}
    assert office.timeline.time_to_next is None


def test_simulated_user_answers_the_ring_back(staffed_office):
    lead, _ = staffed_office.talk(2)
    staffed_office.send(cmd="park", uuid=lead.uuid, timeout=30)
    staffed_office.timeline.advance(36)
    assert staffed_office.state(lead)["name"] == "bridged"
    assert staffed_office.pbx.partner(lead).user is staffed_office.users[2]
    staffed_office.timeline.advance(60)
    assert staffed_office.pbx.channels == {}


def test_ring_back_ignores_calls_that_left_the_slot(office):
    """A call that was retrieved, ended or parked again before the timeout does not ring back."""
    calls = [office.talk(number)[0] for number in range(3)]
    for lead in calls:
        office.send(cmd="park", uuid=lead.uuid, timeout=30)
    office.timeline.advance(10)
    retrieved, ended, parked_again = calls
    leg = office.pbx.receive(office.users[4], "901")
    office.pbx.set_state(leg, "system_operation", operation="unpark")
    office.pbx.retrieve(leg, retrieved)
    office.pbx.hang_up(ended)
    other = office.pbx.receive(office.users[3], "907")
    office.pbx.set_state(other, "system_operation", operation="unpark")
    office.pbx.retrieve(other, parked_again)
    office.pbx.park(parked_again)
    count = office.event_count()
    office.timeline.advance(30)
    assert office.event_count() == count
    assert office.timeline.time_to_next is None


def test_ring_back_ends_the_call_of_a_removed_user(office):
    lead, _ = office.talk(2)
    office.send(cmd="park", uuid=lead.uuid, timeout=30)
    office.pbx.remove_user(office.users[2])
    office.timeline.advance(30)
    assert office.pbx.channels == {}
    assert office.client.endings()[lead.uuid] == "send_bye,NORMAL_CLEARING"


@pytest.mark.parametrize("timeout", ["null", "0", "-5", "NaN", "Infinity", "1e999", '"30"', "[]"])
def test_park_with_invalid_timeout_has_no_ring_back(office, timeout):
    lead, _ = office.talk()
    office.send_text(f'{{"cmd": "park", "uuid": "{lead.uuid}", "timeout": {timeout}}}')
    assert office.state(lead)["name"] == "park"
    assert office.timeline.time_to_next is None


def test_park_needs_a_bridged_channel(office):
    """A caller in the menu and a ringing leg cannot be parked."""
    lead, leg = office.ring()
    for channel in (lead, leg, office.call()):
        office.assert_refused(json.dumps({"cmd": "park", "uuid": channel.uuid}), "talks to no user")


# transfer


def test_transfer_to_each_kind_of_destination(office):
    """The destination is the extension of a user or group, or an outside number."""
    for destination, state in (
        ("1003", {"target_type": "user", "user_id": office.users[2].id}),
        ("1900", {"target_type": "group", "group_id": office.group.id}),
        ("0398765432", {"target_type": "pstn", "address": "0398765432"}),
    ):
        lead, leg = office.talk(0, CALLERS[1])
        office.send(cmd="transfer", uuid=lead.uuid, destination=destination)
        assert state.items() <= office.state(lead)["data"].items()
        assert leg.uuid not in office.pbx.channels
        assert office.timeline.time_to_next is None
        office.pbx.hang_up(lead)


@pytest.mark.parametrize(
    "user",
    [
        {"user_id": 10001001, "user_name": "user1"},
        {"user_id": 10001001},
        {"user_name": "user1"},
        {"user_id": None, "user_name": None},
    ],
)
def test_transfer_rings_the_destination_and_not_the_user_who_transfers(office, user):
    """The user is the one on whose behalf the call is transferred; the PBX ends their leg."""
    lead, leg = office.talk(0)
    office.send(cmd="transfer", uuid=lead.uuid, **user, destination="1003")
    (ringing,) = office.pbx.ringing_for(lead)
    assert ringing.user is office.users[2]
    assert office.pbx.channels_of(office.users[0]) == []
    assert office.client.endings() == {leg.uuid: "send_bye,NORMAL_CLEARING"}
    office.pbx.connect(ringing)
    office.pbx.hang_up(lead)
    (row,) = office.pbx.ledger
    assert (row.transfers, row.disposition) == (1, "answered")
    assert row.answered_by_user_id == office.users[0].id


@pytest.mark.parametrize(
    "user",
    [
        {"user_id": 7},
        {"user_id": "10001001"},
        {"user_name": "佐藤"},
        {"user_id": 10001001, "user_name": "user2"},
        {"user_id": [], "user_name": {}},
    ],
)
def test_transfer_by_an_unknown_user_is_refused(office, user):
    lead, _ = office.talk()
    command = {"cmd": "transfer", "uuid": lead.uuid, "destination": "1003", **user}
    office.assert_refused(json.dumps(command), "names a user whom the PBX does not have")


def test_simulated_user_answers_a_transfer(staffed_office):
    lead, _ = staffed_office.talk(0)
    staffed_office.send(cmd="transfer", uuid=lead.uuid, destination="1002")
    staffed_office.timeline.advance(6)
    assert staffed_office.pbx.partner(lead).user is staffed_office.users[1]
    staffed_office.timeline.advance(60)
    assert staffed_office.pbx.channels == {}


def test_transfer_to_a_group_without_phones(staffed_office):
    """The caller waits in the queue until the call ends."""
    for phone in staffed_office.pbx.terminals.values():
        staffed_office.pbx.edit(phone, registered=0)
    lead, _ = staffed_office.talk(0)
    staffed_office.send(cmd="transfer", uuid=lead.uuid, destination="1900")
    assert list(staffed_office.client.kinds["channel_waiting"]) == [lead.uuid]
    staffed_office.timeline.advance(100)
    assert staffed_office.timeline.time_to_next is None


@pytest.mark.parametrize(
    "destination",
    [
        {},
        {"destination": ""},
        {"destination": None},
        {"destination": 1003},
        {"user_id": 10001002, "user_name": "user2"},
    ],
)
def test_transfer_without_destination_is_refused(office, destination):
    lead, _ = office.talk()
    command = {"cmd": "transfer", "uuid": lead.uuid, **destination}
    office.assert_refused(json.dumps(command), "has no destination")


def test_transfer_of_a_ringing_leg_is_refused(office):
    _, leg = office.ring()
    office.assert_refused(
        json.dumps({"cmd": "transfer", "uuid": leg.uuid, "destination": "1002"}), "rings"
    )


# eavesdrop


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"subcommand": "whisper"}, "whisper"),
        ({"subcommand": ""}, ""),
        ({}, "listen"),
        ({"subcommand": 3}, "listen"),
    ],
)
def test_eavesdrop_with_each_subcommand(office, options, state):
    """The subcommand becomes the eavesdrop state; the default is listen."""
    lead, _ = office.talk()
    plug = office.media_plug()
    office.send(cmd="eavesdrop", uuid=plug.uuid, target_uuid=lead.uuid, **options)
    assert office.state(plug)["name"] == "eavesdrop"
    assert plug.state.data == {"uuid": lead.uuid, "eavesdrop_state": state}


def test_eavesdrop_needs_a_media_plug(office):
    """A leg that talks or rings cannot listen in, nor a plug that nobody has answered."""
    lead, leg = office.talk()
    other, ringing = office.ring(1)
    unanswered = office.pbx.originate(office.users[2], "media_plug")
    for plug in (leg, other, ringing, unanswered):
        command = {"cmd": "eavesdrop", "uuid": plug.uuid, "target_uuid": lead.uuid}
        office.assert_refused(json.dumps(command), "is no answered media plug")


# Invalid commands


@pytest.mark.parametrize("name", ["hangup", "park", "transfer", "eavesdrop"])
@pytest.mark.parametrize("uuid", [None, 1, [], {}, True, "", "unknown", "\0"])
def test_unknown_channel_is_refused(office, name, uuid):
    lead, _ = office.talk()
    rest = {"target_uuid": lead.uuid, "destination": "1002"}
    office.assert_refused(
        json.dumps({"cmd": name, "uuid": uuid, **rest}), "no active channel|no channel uuid"
    )
    office.assert_refused(json.dumps({"cmd": name, **rest}), "has no channel uuid in uuid")
    if name == "eavesdrop":
        command = {"cmd": name, "uuid": lead.uuid, "target_uuid": uuid}
        office.assert_refused(json.dumps(command), "no active channel|no channel uuid")


@pytest.mark.parametrize(
    "text",
    ["", "{", "hangup", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\ud800", "{'cmd': 'park'}"],
)
def test_invalid_json_is_refused(office, text):
    office.assert_refused(text, "must be valid JSON")


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
def test_unknown_command_is_refused(office, text):
    """A command is an object whose cmd is one of four names."""
    office.assert_refused(text, "one of hangup, park, transfer, eavesdrop")


def test_binary_frame_is_refused(office):
    lead, _ = office.talk()
    office.assert_refused(json.dumps({"cmd": "hangup", "uuid": lead.uuid}).encode(), "text frame")


@pytest.mark.parametrize(
    "command",
    [
        {"cmd": "transfer", "destination": "\ud800"},
        {"cmd": "eavesdrop", "subcommand": "\udfff"},
    ],
)
def test_lone_surrogate_in_a_command_is_refused(office, command):
    """JSON can escape a lone surrogate, which the feed cannot encode."""
    lead, _ = office.talk()
    plug = office.media_plug()
    uuid = (plug if command["cmd"] == "eavesdrop" else lead).uuid
    office.assert_refused(json.dumps({**command, "uuid": uuid, "target_uuid": lead.uuid}))


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


@pytest.mark.slow
@settings(max_examples=300)
@given(TEXT, st.booleans())
def test_any_input_is_executed_or_refused(text, simulate_users):
    """A refused input changes nothing."""
    office = CommandOffice(simulate_users=simulate_users)
    office.talk(0)
    office.pbx.call_group(office.call(CALLERS[5]), office.group)
    office.media_plug()
    if isinstance(text, str):
        for number, uuid in zip(NUMBERS, list(office.pbx.channels), strict=False):
            text = text.replace(f"#{number}", uuid)
    before, count = office.pbx.snapshot(), office.event_count()
    try:
        office.send_text(text)
    except NotPossibleError:
        assert office.pbx.snapshot() == before
        assert office.event_count() == count
    else:
        assert office.event_count() > count
    office.client.assert_in_sync()
    office.timeline.advance(200)
    office.client.assert_in_sync()
