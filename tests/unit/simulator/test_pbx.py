"""Operations of the simulated PBX, and the changes that a client receives."""

from __future__ import annotations

import pytest
from support.feed_follower import FeedFollower, Office

from basix_ws_cti import BasixError
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.errors import NotPossibleError
from basix_ws_cti.simulator.model import SECOND, Person, feed_kinds
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS

YAMADA = CALLERS[0]
CREATED = ("added", "CHANNEL_CREATE")
ANSWERED = ("updated", "CHANNEL_ANSWER")
MOVED = ("updated", "STATE_CHANGE")
HUNG_UP = [("updated", "CHANNEL_HANGUP"), ("removed", "CHANNEL_HANGUP")]


@pytest.fixture
def office():
    """Yield a small company, whose client must be in sync with the PBX at the end of each test."""
    office = Office()
    yield office
    office.client.assert_in_sync()


@pytest.fixture
def pbx(office):
    return office.pbx


def assert_refused(office, match, operation, *args, **details):
    """Assert that an operation is not possible and changes nothing."""
    before, count = office.pbx.snapshot(), office.event_count()
    with pytest.raises(NotPossibleError, match=match) as caught:
        operation(*args, **details)
    assert isinstance(caught.value, BasixError)
    assert office.pbx.snapshot() == before
    assert office.event_count() == count


# The company


def test_new_pbx_has_only_its_domain():
    """An older PBX does not even have a domain."""
    newer, older = Pbx(), Pbx(older=True)
    assert newer.kinds == feed_kinds(older=False)
    assert older.kinds == feed_kinds(older=True)
    assert [kind for kind, elements in newer.snapshot().items() if elements] == ["domain"]
    assert not any(older.snapshot().values())
    (domain,) = newer.snapshot()["domain"].values()
    assert (domain["name"], domain["label"]) == ("demo", "株式会社デモ")


def test_add_and_remove_user(office, pbx):
    """Removing a user removes the phone, the group membership and the calls too."""
    user = pbx.add_user("新人")
    assert office.client.kinds["user"][user.id]["label"] == "新人"
    phone = pbx.terminals_of(user)[0]
    assert office.client.kinds["terminal"][phone.id]["assoc_user_id"] == user.id
    member = pbx.add_member(user, office.group)
    assert pbx.members_of(office.group)[-1] is user
    lead = office.call()
    leg = pbx.call_user(lead, user)
    pbx.connect(leg)
    pbx.remove_user(user)
    assert pbx.channels == {}
    for kind, key in (("user", user.id), ("terminal", phone.id), ("group_member", member.id)):
        assert key not in office.client.kinds[kind]
    assert user not in pbx.members_of(office.group)
    assert office.client.endings()[leg.uuid] == "send_bye,NORMAL_CLEARING"


def test_user_without_phone(office, pbx):
    """The user is never available, and can be removed while both legs of a call are theirs."""
    user = pbx.add_user("内勤", terminal=False)
    assert not pbx.terminals_of(user)
    assert pbx.available([user]) == []
    lead = pbx.receive(user, user.main_extension)
    pbx.set_state(lead, "ivr", ivr_id="m")
    assert lead.address == ""
    leg = pbx.call_user(lead, user)
    assert lead.other_info["address"] == ""
    assert pbx.channels_of(user) == [lead, leg]
    pbx.remove_user(user)
    assert pbx.channels == {}


def test_extensions_are_unique():
    pbx = Pbx()
    owners = [pbx.add_user("x", terminal=False) for _ in range(900)]
    owners += [pbx.create_group("g") for _ in range(120)]
    numbers = [one.main_extension for one in owners]
    assert len(set(numbers)) == len(numbers)
    assert numbers[0] == "1001"
    for one in (owners[0], owners[850], owners[-1]):
        assert pbx.find_extension(one.main_extension) is one
    assert pbx.find_extension("unknown") is None


def test_group_changes_are_published(office, pbx):
    """Creating, joining, leaving and removing a group are events."""
    ring, hunt = pbx.create_group("鳴"), pbx.create_group("順", hunt=True)
    assert (ring.type, hunt.type) == (0, 1)
    first, second = (pbx.add_member(user, hunt) for user in office.users[:2])
    pbx.remove_member(first)
    assert pbx.members_of(hunt) == [office.users[1]]
    pbx.remove_group(hunt)
    assert second.id not in pbx.members
    observed = [(one.kind, one.event_name) for one in office.client.events]
    assert observed == [
        ("group", "added"),
        ("group", "added"),
        ("group_member", "added"),
        ("group_member", "added"),
        ("group_member", "removed"),
        ("group_member", "removed"),
        ("group", "removed"),
    ]
    assert ring.id in office.client.kinds["group"]


def test_edit_changes_fields_by_name(office, pbx):
    """Each kind of element can be edited; an unknown field is a ValueError."""
    user = office.users[0]
    member = next(iter(pbx.members.values()))
    phone = pbx.terminals_of(user)[0]
    for kind, element, changes in (
        ("user", user, {"presence": 3, "label": "別名"}),
        ("group", office.group, {"flags": 7}),
        ("group_member", member, {"priority": 2}),
        ("terminal", phone, {"registered": 0}),
    ):
        pbx.edit(element, **changes)
        assert changes.items() <= office.client.kinds[kind][element.id].items()
        assert (office.client.events[-1].kind, office.client.events[-1].event_name) == (
            kind,
            "updated",
        )
    count = office.event_count()
    with pytest.raises(ValueError, match="a user has no field 'colour'"):
        pbx.edit(user, presence=4, colour="red")
    assert office.event_count() == count
    assert user.presence == 3


def test_removed_element_cannot_be_edited(office, pbx):
    """An update would add the element to every client again."""
    removed = office.users[0]
    member = next(one for one in pbx.members.values() if one.user_id == removed.id)
    phone = pbx.terminals_of(removed)[0]
    group = pbx.create_group("臨時")
    pbx.remove_group(group)
    pbx.remove_user(removed)
    for element, name in ((removed, "flags"), (member, "role"), (phone, "type"), (group, "flags")):
        assert_refused(office, ".", pbx.edit, element, **{name: 1})


def test_removed_element_cannot_be_removed_again(office, pbx):
    removed = office.users[0]
    member = next(one for one in pbx.members.values() if one.user_id == removed.id)
    group = pbx.create_group("臨時")
    pbx.remove_group(group)
    pbx.remove_user(removed)
    assert_refused(office, ".", pbx.remove_user, removed)
    assert_refused(office, ".", pbx.remove_member, member)
    assert_refused(office, ".", pbx.remove_group, group)


def test_available_users_have_a_registered_phone_and_no_call(office, pbx):
    """Removed users are not available."""
    one, two, three, four, five = office.users
    office.talk(0)
    pbx.edit(pbx.terminals_of(two)[0], registered=0)
    pbx.remove_user(three)
    assert pbx.available(office.users) == [four, five]
    office.ring(3)
    assert pbx.available(office.users) == [five]
    assert pbx.channels_of(one)[0].user is one


# Channels


def test_inbound_call_from_offer_to_hangup(office, pbx):
    """A call is offered, answered, rings at a user, is connected, and hung up by the caller."""
    start = pbx.now
    lead = pbx.receive(YAMADA, DID)
    assert office.event_count() == 0
    pbx.set_state(lead, "ivr", ivr_id="main_menu")
    pbx.now += SECOND
    pbx.answer(lead)
    pbx.answer(lead)
    leg = pbx.call_user(lead, office.users[0])
    assert leg.other_info["end_user"]["items"][0]["name"] == "山田 太郎"
    assert (leg.calling_name, leg.calling_number) == ("山田 太郎", "0312341234")
    assert lead.other_info["offer_timestamp"] is None
    assert lead.target == {
        "type": "user",
        "id": office.users[0].id,
        "name": "user1",
        "address": DID,
    }
    pbx.now += SECOND
    pbx.connect(leg)
    assert pbx.partner(lead) is leg
    assert pbx.partner(leg) is lead
    assert lead.last_bridged_user_id == office.users[0].id
    assert leg.last_bridged_user_id is None
    assert lead.other_info["user_id"] == office.users[0].id
    assert lead.other_info["offer_timestamp"] == leg.offer_timestamp == start + SECOND
    pbx.now += SECOND
    pbx.hang_up(lead)
    assert office.client.events_of(lead) == [CREATED, ANSWERED, MOVED, MOVED, *HUNG_UP]
    assert office.client.events_of(leg) == [CREATED, ANSWERED, MOVED, *HUNG_UP]
    times = (lead.offer_timestamp, lead.answer_timestamp, lead.hangup_timestamp)
    assert times == (start, start + SECOND, start + 3 * SECOND)
    assert office.client.endings() == {
        lead.uuid: "recv_bye,NORMAL_CLEARING",
        leg.uuid: "send_bye,NORMAL_CLEARING",
    }


def test_calling_name_comes_from_the_crm_or_the_label(office, pbx):
    """It is None for an unknown number."""
    _, leg = office.ring(0, CALLERS[3])
    assert leg.calling_name is None
    internal_lead = pbx.receive(office.users[1], "1003")
    ringing = pbx.call_user(internal_lead, office.users[2])
    assert ringing.calling_name == office.users[1].label
    assert ringing.calling_number == "1002"
    assert ringing.called_number == "1003"


def test_ring_group_rings_all_available_members(office, pbx):
    """The caller is queued; one member answers, the other legs end with LOSE_RACE."""
    office.talk(4)
    lead = office.call()
    ringing = pbx.call_group(lead, office.group)
    assert [leg.user for leg in ringing] == office.users[:4]
    assert {leg.group_id for leg in ringing} == {office.group.id}
    assert lead.state.data["group_queue_id"] == office.group.name
    assert list(office.client.kinds["channel_waiting"]) == [lead.uuid]
    assert lead.target["type"] == "group"
    pbx.connect(ringing[2])
    endings = office.client.endings()
    assert endings == {
        leg.uuid: "send_cancel,LOSE_RACE" for leg in ringing if leg is not ringing[2]
    }
    assert office.client.kinds["channel_waiting"] == {}
    names = [name for name, _ in office.client.events_of(lead, "channel_waiting")]
    assert names == ["added", "updated", "removed"]


def test_hunt_group_rings_the_first_available_member(office, pbx):
    """It rings no phone if it has no members."""
    group = pbx.create_group("順", hunt=True)
    lead = office.call()
    assert pbx.call_group(lead, group) == []
    for user in office.users[1:3]:
        pbx.add_member(user, group)
    other = office.call()
    (leg,) = pbx.call_group(other, group)
    assert leg.user is office.users[1]
    assert other.state.data["group_type"] == "hunt"
    assert "group_queue_id" not in other.state.data
    assert set(office.client.kinds["channel_waiting"]) == {lead.uuid, other.uuid}


def test_group_without_queue_has_no_waiting_channel(office, pbx):
    pbx.edit(office.group, queue=0)
    lead = office.call()
    ringing = pbx.call_group(lead, office.group)
    assert len(ringing) == 5
    assert office.client.kinds["channel_waiting"] == {}
    for leg in ringing:
        assert lead.uuid in pbx.channels
        pbx.hang_up(leg)
    assert lead.uuid not in pbx.channels


def test_call_directly_to_a_group_waits_at_once(office, pbx):
    lead = pbx.receive(YAMADA, DID)
    pbx.call_group(lead, office.group)
    assert list(office.client.kinds["channel_waiting"]) == [lead.uuid]


def test_member_with_two_memberships_rings_once(office, pbx):
    pbx.add_member(office.users[0], office.group)
    ringing = pbx.call_group(office.call(), office.group)
    assert [leg.user for leg in ringing] == office.users


def test_older_server_has_queued_and_parked_channels():
    """It has no channel_waiting."""
    office = Office(older=True)
    pbx, client = office.pbx, office.client
    lead = office.call()
    (leg, *_) = pbx.call_group(lead, office.group)
    assert list(client.kinds["queued_channel"]) == [lead.uuid]
    pbx.connect(leg)
    assert client.kinds["queued_channel"] == client.kinds["parked_channel"] == {}
    pbx.park(lead)
    assert client.kinds["queued_channel"] == {}
    (observed,) = client.kinds["parked_channel"].values()
    assert observed["peer_number"] == "0312341234"
    assert observed["state"]["name"] == "park"
    pbx.transfer(lead, office.group)
    assert list(client.kinds["queued_channel"]) == [lead.uuid]
    assert client.kinds["parked_channel"] == {}
    pbx.hang_up(lead)
    assert client.kinds["queued_channel"] == {}
    client.assert_in_sync()


def test_outbound_call(office, pbx):
    """A user dials an outside number; the outside leg has no group and no user."""
    lead = pbx.receive(office.users[0], YAMADA.number)
    leg = pbx.call_out(lead, YAMADA)
    assert office.client.events_of(lead) == [CREATED]
    observed = office.client.kinds["channel"]
    assert observed[lead.uuid]["state"]["data"] == {
        "target_location": "ext",
        "target_type": "pstn",
        "address": YAMADA.number,
    }
    assert (leg.peer_location, leg.called_number) == ("external", YAMADA.number)
    assert observed[leg.uuid]["other_info"]["user_id"] == office.users[0].id
    pbx.connect(leg)
    assert leg.last_bridged_user_id == office.users[0].id


def test_originated_call(office, pbx):
    """The API rings a user's phone; origination describes the request."""
    lead = pbx.originate(office.users[0], "media_plug")
    observed = office.client.kinds["channel"][lead.uuid]
    assert observed["origination"] == ["call_user", str(office.users[0].id), "media_plug"]
    assert observed["tags"] == ["auto_answer"]
    assert observed["state"]["name"] == "ringing"
    assert observed["direction"] == "outbound"


@pytest.mark.parametrize(
    ("which", "by_peer", "answered", "endings"),
    [
        ("line", True, False, ("recv_cancel,ORIGINATOR_CANCEL", "send_cancel,ORIGINATOR_CANCEL")),
        ("line", False, False, ("send_refuse,NO_ANSWER", "send_cancel,ORIGINATOR_CANCEL")),
        ("leg", True, False, ("send_refuse,NO_ANSWER", "recv_refuse,USER_BUSY")),
        ("leg", False, False, ("send_refuse,NO_ANSWER", "send_cancel,ORIGINATOR_CANCEL")),
        ("line", True, True, ("recv_bye,NORMAL_CLEARING", "send_bye,NORMAL_CLEARING")),
        ("line", False, True, ("send_bye,NORMAL_CLEARING", "send_bye,NORMAL_CLEARING")),
        ("leg", True, True, ("send_bye,NORMAL_CLEARING", "recv_bye,NORMAL_CLEARING")),
        ("leg", False, True, ("send_bye,NORMAL_CLEARING", "send_bye,NORMAL_CLEARING")),
    ],
)
def test_endings_of_both_legs(office, which, by_peer, answered, endings):
    """Each leg ends with the disposition of its own side, while ringing or talking."""
    lead, leg = office.talk() if answered else office.ring()
    office.pbx.hang_up({"line": lead, "leg": leg}[which], by_peer=by_peer)
    observed = office.client.endings()
    assert (observed[lead.uuid], observed[leg.uuid]) == endings
    assert office.client.events_of(lead)[-2:] == office.client.events_of(leg)[-2:] == HUNG_UP


def test_named_cause_applies_to_both_legs(office, pbx):
    lead, leg = office.talk()
    pbx.hang_up(lead, "ALLOTTED_TIMEOUT", by_peer=False)
    assert set(office.client.endings().values()) == {"send_bye,ALLOTTED_TIMEOUT"}
    lead, leg = office.ring()
    pbx.hang_up(leg, "NO_USER_RESPONSE")
    assert office.client.endings()[lead.uuid] == "send_refuse,NO_USER_RESPONSE"
    assert office.client.endings()[leg.uuid] == "recv_refuse,NO_USER_RESPONSE"


def test_queued_call_survives_when_phones_stop_ringing(office, pbx):
    lead = office.call()
    ringing = pbx.call_group(lead, office.group)
    pbx.refuse(ringing[0])
    pbx.refuse(ringing[1], "CALL_REJECTED")
    pbx.stop_ringing(ringing[2])
    pbx.stop_ringing(ringing[3], "ORIGINATOR_CANCEL")
    pbx.hang_up(ringing[4])
    endings = office.client.endings()
    assert [endings[leg.uuid] for leg in ringing] == [
        "recv_refuse,USER_BUSY",
        "recv_refuse,CALL_REJECTED",
        "send_cancel,NO_ANSWER",
        "send_cancel,ORIGINATOR_CANCEL",
        "recv_refuse,USER_BUSY",
    ]
    assert list(pbx.channels) == [lead.uuid]


def test_only_ringing_legs_can_be_refused_or_stopped(office, pbx):
    lead, leg = office.talk()
    assert_refused(office, "is in state bridged, not ringing", pbx.refuse, leg)
    assert_refused(office, "is in state bridged, not ringing", pbx.stop_ringing, lead)


def test_no_operation_works_on_an_ended_channel(office, pbx):
    lead, leg = office.talk()
    other, other_leg = office.talk(1)
    ringing_line, ringing = office.ring(2)
    pbx.hang_up(lead)
    pbx.hang_up(ringing)
    user = office.users[3]
    message = "has ended|no active channel|talks to no user|no phone rings|needs"
    for operation, *args in (
        (pbx.hang_up, lead),
        (pbx.set_state, lead, "ivr"),
        (pbx.answer, leg),
        (pbx.ring, lead, user),
        (pbx.call_user, lead, user),
        (pbx.call_group, lead, office.group),
        (pbx.call_out, lead, YAMADA),
        (pbx.connect, ringing),
        (pbx.connect, leg),
        (pbx.bridge, lead, other),
        (pbx.bridge, other, lead),
        (pbx.park, lead),
        (pbx.retrieve, other, lead),
        (pbx.pick_up, other, ringing_line),
        (pbx.transfer, lead, user),
        (pbx.attended_transfer, lead, other),
        (pbx.attended_transfer, other, lead),
        (pbx.start_conference, [lead], "1"),
        (pbx.eavesdrop, lead, other),
        (pbx.eavesdrop, other, lead),
        (pbx.leave_message, lead, user),
        (pbx.refuse, ringing),
        (pbx.stop_ringing, ringing),
        (pbx.channel, lead.uuid),
    ):
        assert_refused(office, message, operation, *args)
    assert pbx.partner(lead) is None
    assert pbx.partner(other) is other_leg
    assert pbx.channel(other.uuid) is other


def test_offered_channel_without_state_cannot_hang_up(office, pbx):
    """No client has received the channel."""
    lead = pbx.receive(YAMADA, DID)
    assert_refused(office, ".", pbx.hang_up, lead)


@pytest.mark.parametrize("operation", ["leave_message", "retrieve"])
def test_first_event_of_a_channel_is_added(operation):
    """Its last_event is CHANNEL_CREATE, whatever the first operation is."""
    office = Office()
    pbx = office.pbx
    fresh = pbx.receive(office.users[3], "901")
    if operation == "leave_message":
        pbx.leave_message(fresh, office.group)
    else:
        lead, _ = office.talk()
        pbx.park(lead)
        pbx.retrieve(fresh, lead)
    assert office.client.events_of(fresh)[0] == CREATED


# Operations on calls


def test_park_uses_own_slots_before_shared_ones(office, pbx):
    """A user has three slots; when the shared ones are taken too, parking is refused."""
    slots, leads = [], []
    for _ in range(6):
        lead, _ = office.talk(1)
        slots.append(pbx.park(lead))
        leads.append(lead)
    assert slots == [904, 905, 906, 997, 998, 999]
    lead, leg = office.talk(1)
    assert_refused(office, "all park slots of user2 are taken", pbx.park, lead)
    pbx.hang_up(leads[1])
    assert pbx.park(lead) == 905
    assert leg.uuid not in pbx.channels
    assert pbx.parked_channels() == [leads[0], *leads[2:], lead]


@pytest.mark.parametrize(("park_group", "slot"), [(0, 901), (31, 994), (32, 901), (33, 904)])
def test_park_slots_wrap_around(office, pbx, park_group, slot):
    """The slots of a user begin at 901 + 3 times the park group, and wrap around below 997."""
    pbx.edit(office.users[0], park_group=park_group)
    assert pbx.free_slot(office.users[0]) == slot


def test_park_and_retrieve(office, pbx):
    """A parked caller waits; a user who dials the slot is bridged to the caller."""
    lead, leg = office.talk()
    slot = pbx.park(lead)
    observed = office.client.kinds["channel"][lead.uuid]
    assert observed["state"]["data"] == {
        "slot": slot,
        "parker_id": office.users[0].id,
        "parker_name": office.users[0].name,
    }
    assert observed["other_uuid"] is observed["other_info"] is None
    assert list(office.client.kinds["channel_waiting"]) == [lead.uuid]
    assert office.client.endings() == {leg.uuid: "recv_bye,NORMAL_CLEARING"}
    retrieving = pbx.receive(office.users[1], str(slot))
    pbx.set_state(retrieving, "system_operation", operation="unpark")
    pbx.retrieve(retrieving, lead)
    assert pbx.partner(lead) is retrieving
    assert lead.last_bridged_user_id == office.users[1].id
    assert office.client.kinds["channel_waiting"] == {}
    assert_refused(office, "is in state bridged, not park", pbx.retrieve, retrieving, lead)


def test_park_needs_a_call_with_a_user(office, pbx):
    _, leg = office.talk()
    assert_refused(office, "talks to no user", pbx.park, leg)
    assert_refused(office, "talks to no user", pbx.park, office.call())


def test_pickup_of_a_ringing_call(office, pbx):
    """The pickup is refused if no phone rings for the channel."""
    lead, ringing = office.ring()
    leg = pbx.receive(office.users[1], f"pickup_uuid.{ringing.uuid}")
    pbx.set_state(leg, "system_operation", operation="pickup")
    pbx.pick_up(leg, lead)
    assert office.client.endings() == {ringing.uuid: "send_cancel,PICKED_OFF"}
    assert pbx.partner(leg) is lead
    assert_refused(office, "no phone rings for channel", pbx.pick_up, leg, lead)


def test_transfer_to_a_user_a_group_and_outside(office, pbx):
    """A transfer ends the bridged leg, the ringing legs and the wait in the queue."""
    lead, leg = office.talk()
    (ringing,) = pbx.transfer(lead, office.users[1])
    assert ringing.user is office.users[1]
    assert office.client.endings() == {leg.uuid: "recv_bye,NORMAL_CLEARING"}
    many = pbx.transfer(lead, office.group)
    assert office.client.endings()[ringing.uuid] == "send_cancel,ORIGINATOR_CANCEL"
    assert [one.user for one in many] == office.users
    assert list(office.client.kinds["channel_waiting"]) == [lead.uuid]
    (outside,) = pbx.transfer(lead, CALLERS[1])
    assert office.client.kinds["channel_waiting"] == {}
    assert set(pbx.channels) == {lead.uuid, outside.uuid}
    assert outside.person is CALLERS[1]
    assert_refused(office, "still rings", pbx.transfer, outside, office.users[0])


def test_attended_transfer_joins_the_other_legs(office, pbx):
    """Both legs of the transferring user end."""
    lead, leg = office.talk()
    assert_refused(office, "two calls of one user", pbx.attended_transfer, lead, leg)
    assert_refused(office, "two calls of one user", pbx.attended_transfer, lead, office.call())
    consult_lead = pbx.receive(office.users[0], "1002")
    consult_leg = pbx.call_user(consult_lead, office.users[1])
    pbx.connect(consult_leg)
    pbx.attended_transfer(lead, consult_leg)
    assert pbx.partner(lead) is consult_leg
    assert pbx.partner(consult_leg) is lead
    assert lead.last_bridged_user_id == office.users[1].id
    endings = office.client.endings()
    assert endings[leg.uuid] == endings[consult_lead.uuid] == "recv_bye,NORMAL_CLEARING"


def test_attended_transfer_needs_two_calls_of_one_user(office, pbx):
    lead, _ = office.talk(0)
    other, _ = office.talk(1)
    assert_refused(office, "two calls of one user", pbx.attended_transfer, lead, lead)
    assert_refused(office, "two calls of one user", pbx.attended_transfer, lead, other)


def test_conference_members_have_no_partner(office, pbx):
    """A member leaves without ending the other legs."""
    lead, leg = office.talk()
    pbx.start_conference([lead, leg], "8000")
    observed = office.client.kinds["channel"]
    assert {one["state"]["data"]["room_id"] for one in observed.values()} == {"8000"}
    assert observed[lead.uuid]["other_uuid"] is observed[leg.uuid]["other_info"] is None
    pbx.hang_up(leg)
    assert list(pbx.channels) == [lead.uuid]


def test_conference_with_an_ended_channel_is_refused(office, pbx):
    """The other channels stay as they are."""
    lead, _ = office.talk()
    other, ended = office.talk(1)
    pbx.hang_up(ended)
    count = office.event_count()
    for channel in (ended, other):
        with pytest.raises(NotPossibleError):
            pbx.start_conference([lead, channel], "8000")
    assert office.event_count() == count


def test_conference_stops_ringing_phones(office, pbx):
    lead, leg = office.ring()
    pbx.start_conference([lead], "8000")
    assert list(pbx.channels) == [lead.uuid]
    assert office.client.endings() == {leg.uuid: "send_cancel,ORIGINATOR_CANCEL"}


@pytest.mark.parametrize("operation", ["start_conference", "set_state"])
def test_leaving_a_park_slot_ends_the_wait(office, pbx, operation):
    """A parked channel that enters another state is no longer in channel_waiting."""
    lead, _ = office.talk()
    pbx.park(lead)
    if operation == "start_conference":
        pbx.start_conference([lead], "8000")
    else:
        pbx.set_state(lead, "ivr", ivr_id="main_menu")
    assert office.client.kinds["channel_waiting"] == {}


def test_eavesdrop_ends_with_its_target(office, pbx):
    """A channel that is no answered media plug cannot listen in, and no plug to itself."""
    lead, leg = office.talk()
    plug = office.media_plug()
    pbx.eavesdrop(plug, lead, "whisper")
    observed = office.client.kinds["channel"][plug.uuid]
    assert observed["state"]["data"] == {"uuid": lead.uuid, "eavesdrop_state": "whisper"}
    assert observed["answer_timestamp"] == pbx.now
    _, ringing = office.ring(2)
    assert_refused(office, "cannot listen in", pbx.eavesdrop, plug, plug)
    unanswered = pbx.originate(office.users[3], "media_plug")
    for channel in (leg, ringing, unanswered):
        assert_refused(office, "is no answered media plug", pbx.eavesdrop, channel, lead)
    pbx.hang_up(unanswered)
    pbx.hang_up(leg)
    assert office.client.endings()[plug.uuid] == "send_bye,NORMAL_CLEARING"
    assert office.client.endings()[lead.uuid] == "send_bye,NORMAL_CLEARING"


def test_end_of_an_eavesdrop_leaves_the_call(office, pbx):
    """Two media plugs on one channel end with it."""
    lead, _ = office.talk()
    plugs = [office.media_plug(number) for number in (1, 2, 3)]
    for plug in plugs:
        pbx.eavesdrop(plug, lead)
    pbx.hang_up(plugs[0])
    assert pbx.partner(lead) is not None
    pbx.eavesdrop(plugs[2], plugs[1])
    pbx.hang_up(lead)
    assert pbx.channels == {}
    assert office.client.endings()[plugs[0].uuid] == "recv_bye,NORMAL_CLEARING"


def test_media_plug_that_was_transferred_cannot_listen_in(office, pbx):
    """It has a call of its own then."""
    target, _ = office.talk()
    plug = office.media_plug()
    (ringing,) = pbx.transfer(plug, office.users[2])
    assert_refused(office, "part of another call", pbx.eavesdrop, plug, target)
    assert_refused(office, "part of another call", pbx.eavesdrop, plug, ringing)
    pbx.connect(ringing)
    assert_refused(office, "part of another call", pbx.eavesdrop, plug, target)


def test_leaving_a_message_ends_the_wait(office, pbx):
    """The mailbox is that of a user or a group."""
    for box, kind in ((office.users[0], "user"), (office.group, "group")):
        lead = office.call()
        pbx.call_group(lead, office.group)
        for leg in pbx.ringing_for(lead):
            pbx.stop_ringing(leg)
        pbx.leave_message(lead, box)
        observed = office.client.kinds["channel"][lead.uuid]
        assert observed["state"]["data"] == {
            "target_type": kind,
            "target_id": box.id,
            "target_name": box.name,
        }
        assert office.client.kinds["channel_waiting"] == {}
        pbx.hang_up(lead)
    assert set(office.client.endings().values()) == {
        "send_cancel,NO_ANSWER",
        "recv_bye,NORMAL_CLEARING",
    }


def test_message_counts_become_mwi(office, pbx):
    """The text is empty for an empty mailbox."""
    counters = []
    for new, saved in ((2, 3), (0, 1), (0, 0)):
        pbx.set_message_counts(office.users[0], new, saved)
        pbx.set_message_counts(office.group, new, saved)
        assert office.users[0].mwi == office.group.mwi
        counters.append(office.users[0].mwi)
    assert counters == ["2/3", "0/1", ""]


def test_bridging_to_another_leg_ends_the_first_partnership(office, pbx):
    lead, leg = office.talk(0)
    other, _ = office.talk(1)
    pbx.bridge(lead, other)
    assert pbx.partner(leg) is None
    assert pbx.partner(lead) is other
    pbx.hang_up(leg)
    assert pbx.partner(lead) is other


@pytest.mark.parametrize("older", [False, True])
def test_restart_drops_all_channels_without_events(older):
    """A new client receives a PBX without calls."""
    office = Office(older=older)
    pbx = office.pbx
    lead, leg = office.talk()
    other, _ = office.talk(1)
    pbx.park(other)
    pbx.call_group(office.call(), office.group)
    count = office.event_count()
    pbx.drop_channels()
    assert office.event_count() == count
    assert pbx.channels == {}
    snapshot = pbx.snapshot()
    assert all(not elements for kind, elements in snapshot.items() if "channel" in kind)
    assert len(snapshot["user"]) == 5
    assert_refused(office, "has ended|no active channel", pbx.hang_up, leg)
    assert lead.hangup_timestamp == pbx.now
    later = FeedFollower(pbx)
    office.call()
    later.assert_in_sync()


# Snapshots and listeners


def test_snapshots_are_copies(office, pbx):
    lead, leg = office.talk()
    snapshot = pbx.snapshot()
    kept = {kind: dict(elements) for kind, elements in snapshot.items()}
    snapshot["channel"][lead.uuid]["uuid"] = "changed"
    snapshot["user"].clear()
    assert pbx.snapshot()["channel"][lead.uuid]["uuid"] == lead.uuid
    pbx.hang_up(leg)
    assert len(kept["channel"]) == 2
    assert pbx.snapshot()["channel"] == {}


def test_snapshot_of_one_users_channels(office, pbx):
    """It has this user's channels alone, and all elements of the other kinds."""
    lead, leg = office.talk(0)
    office.talk(1)
    pbx.call_group(office.call(), office.group)
    own = pbx.snapshot(office.users[0].id)
    assert list(own["channel"]) == [leg.uuid]
    everything = pbx.snapshot()
    assert lead.uuid in everything["channel"]
    assert all(own[kind] == everything[kind] for kind in pbx.kinds if kind != "channel")
    assert pbx.snapshot(1)["channel"] == {}


def test_listener_can_remove_itself_while_notified(office, pbx):
    """The other listeners are still notified."""
    calls = []

    def once(*_):
        pbx.listeners.remove(once)
        calls.append("once")

    pbx.listeners.insert(0, once)
    pbx.listeners.append(lambda *_: calls.append("always"))
    pbx.edit(office.users[0], presence=1)
    pbx.edit(office.users[0], presence=2)
    assert calls == ["once", "always", "always"]


def test_snapshot_is_current_when_listeners_are_notified(pbx):
    comparisons = []

    def compare(kind, key, values, event_name):
        current = pbx.snapshot()[kind].get(key)
        comparisons.append(current == (None if event_name == "removed" else values))

    pbx.listeners.append(compare)
    lead = pbx.receive(Person("03"), DID)
    pbx.set_state(lead, "ivr", ivr_id="m")
    pbx.hang_up(lead)
    assert comparisons == [True] * 3


def test_uuids_come_from_the_seed():

    def uuids(seed):
        pbx = Pbx(seed)
        return [pbx.receive(Person("03"), DID).uuid for _ in range(3)]

    assert uuids(4) == uuids(4)
    assert len({*uuids(4), *uuids(5)}) == 6
    assert [len(part) for part in uuids(4)[0].split("-")] == [8, 4, 4, 4, 12]
