"""What can be done with the simulated PBX, and what a client is told of it."""

from __future__ import annotations

import pytest
from support.feed_follower import Follower, Office

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
    """A small company, whose client must hold the right picture at the end of each test."""
    office = Office()
    yield office
    office.client.check()


@pytest.fixture
def pbx(office):
    return office.pbx


def refuses(office, match, operation, *args, **details):
    """An operation that is not possible, and changes nothing."""
    before, told = office.pbx.snapshot(), office.told()
    with pytest.raises(NotPossibleError, match=match) as caught:
        operation(*args, **details)
    assert isinstance(caught.value, BasixError)
    assert office.pbx.snapshot() == before
    assert office.told() == told


# The company


def test_a_new_pbx_has_its_domain_alone():
    """A newer PBX has a domain and nothing else; an older one has not even that."""
    newer, older = Pbx(), Pbx(older=True)
    assert newer.kinds == feed_kinds(older=False)
    assert older.kinds == feed_kinds(older=True)
    assert [kind for kind, elements in newer.snapshot().items() if elements] == ["domain"]
    assert not any(older.snapshot().values())
    (domain,) = newer.snapshot()["domain"].values()
    assert (domain["name"], domain["label"]) == ("demo", "株式会社デモ")


def test_hire_and_dismiss(office, pbx):
    """A new user has an extension and a telephone; who leaves takes everything along."""
    user = pbx.add_user("新人")
    assert office.client.kinds["user"][user.id]["label"] == "新人"
    phone = pbx.terminals[user.id]
    assert office.client.kinds["terminal"][phone.id]["assoc_user_id"] == user.id
    member = pbx.add_member(user, office.group)
    assert pbx.members_of(office.group)[-1] is user
    line = office.call()
    leg = pbx.call_user(line, user)
    pbx.connect(leg)
    pbx.remove_user(user)
    assert pbx.channels == {}
    for kind, key in (("user", user.id), ("terminal", phone.id), ("group_member", member.id)):
        assert key not in office.client.kinds[kind]
    assert user not in pbx.members_of(office.group)
    assert office.client.endings()[leg.uuid] == "send_bye,NORMAL_CLEARING"


def test_who_has_no_telephone(office, pbx):
    """A user without a telephone is never free, and can be dismissed, with calls that are joint."""
    user = pbx.add_user("内勤", terminal=False)
    assert user.id not in pbx.terminals
    assert pbx.available([user]) == []
    asking = pbx.receive(user, user.main_extension)
    pbx.set_state(asking, "ivr", ivr_id="m")
    assert asking.address == ""
    leg = pbx.call_user(asking, user)
    assert asking.other_info["address"] == ""
    assert pbx.channels_of(user) == [asking, leg]
    pbx.remove_user(user)
    assert pbx.channels == {}


def test_extensions_are_all_different():
    """However many users and groups there are, each extension is somebody's own."""
    pbx = Pbx()
    everybody = [pbx.add_user("x", terminal=False) for _ in range(900)]
    everybody += [pbx.create_group("g") for _ in range(120)]
    numbers = [one.main_extension for one in everybody]
    assert len(set(numbers)) == len(numbers)
    assert numbers[0] == "1001"
    for one in (everybody[0], everybody[850], everybody[-1]):
        assert pbx.find_extension(one.main_extension) is one
    assert pbx.find_extension("nobody's") is None


def test_groups_come_and_go(office, pbx):
    """A group is founded, joined, left and dissolved, and clients hear of each."""
    ring, hunt = pbx.create_group("鳴"), pbx.create_group("順", hunt=True)
    assert (ring.type, hunt.type) == (0, 1)
    first, second = (pbx.add_member(user, hunt) for user in office.users[:2])
    pbx.remove_member(first)
    assert pbx.members_of(hunt) == [office.users[1]]
    pbx.remove_group(hunt)
    assert second.id not in pbx.members
    told = [(one.kind, one.event_name) for one in office.client.seen]
    assert told == [
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
    """Each sort of element can be edited; a field that it has not got is a ValueError."""
    user = office.users[0]
    member = next(iter(pbx.members.values()))
    phone = pbx.terminals[user.id]
    for kind, element, changes in (
        ("user", user, {"presence": 3, "label": "別名"}),
        ("group", office.group, {"flags": 7}),
        ("group_member", member, {"priority": 2}),
        ("terminal", phone, {"registered": 0}),
    ):
        pbx.edit(element, **changes)
        assert changes.items() <= office.client.kinds[kind][element.id].items()
        assert (office.client.seen[-1].kind, office.client.seen[-1].event_name) == (kind, "updated")
    told = office.told()
    with pytest.raises(ValueError, match="a user has no field 'colour'"):
        pbx.edit(user, presence=4, colour="red")
    assert office.told() == told
    assert user.presence == 3


def test_an_edit_is_of_somebody_who_is_there(office, pbx):
    """Who is gone can't be edited: an update would bring them back to every client."""
    gone = office.users[0]
    member = next(one for one in pbx.members.values() if one.user_id == gone.id)
    phone = pbx.terminals[gone.id]
    group = pbx.create_group("臨時")
    pbx.remove_group(group)
    pbx.remove_user(gone)
    for element, name in ((gone, "flags"), (member, "role"), (phone, "type"), (group, "flags")):
        refuses(office, ".", pbx.edit, element, **{name: 1})


def test_somebody_leaves_once(office, pbx):
    """Who is gone can't be dismissed, dissolved or taken out again: it is not possible."""
    gone = office.users[0]
    member = next(one for one in pbx.members.values() if one.user_id == gone.id)
    group = pbx.create_group("臨時")
    pbx.remove_group(group)
    pbx.remove_user(gone)
    refuses(office, ".", pbx.remove_user, gone)
    refuses(office, ".", pbx.remove_member, member)
    refuses(office, ".", pbx.remove_group, group)


def test_who_is_free(office, pbx):
    """Free is who is employed, not on the phone, and registered."""
    one, two, three, four, five = office.users
    office.talk(0)
    pbx.edit(pbx.terminals[two.id], registered=0)
    pbx.remove_user(three)
    assert pbx.available(office.users) == [four, five]
    office.ring(3)
    assert pbx.available(office.users) == [five]
    assert pbx.channels_of(one)[0].user is one


# Channels


def test_a_call_from_outside(office, pbx):
    """A call is offered, answered, rings at a user, is connected, and hung up by the caller."""
    start = pbx.now
    line = pbx.receive(YAMADA, DID)
    assert office.told() == 0
    pbx.set_state(line, "ivr", ivr_id="main_menu")
    pbx.now += SECOND
    pbx.answer(line)
    pbx.answer(line)
    leg = pbx.call_user(line, office.users[0])
    assert leg.other_info["end_user"]["items"][0]["name"] == "山田 太郎"
    assert (leg.calling_name, leg.calling_number) == ("山田 太郎", "0312341234")
    assert line.other_info["offer_timestamp"] is None
    assert line.target == {
        "type": "user",
        "id": office.users[0].id,
        "name": "user1",
        "address": DID,
    }
    pbx.now += SECOND
    pbx.connect(leg)
    assert pbx.partner(line) is leg
    assert pbx.partner(leg) is line
    assert line.last_bridged_user_id == office.users[0].id
    assert leg.last_bridged_user_id is None
    assert line.other_info["user_id"] == office.users[0].id
    assert line.other_info["offer_timestamp"] == leg.offer_timestamp == start + SECOND
    pbx.now += SECOND
    pbx.hang_up(line)
    assert office.client.of(line) == [CREATED, ANSWERED, MOVED, MOVED, *HUNG_UP]
    assert office.client.of(leg) == [CREATED, ANSWERED, MOVED, *HUNG_UP]
    times = (line.offer_timestamp, line.answer_timestamp, line.hangup_timestamp)
    assert times == (start, start + SECOND, start + 3 * SECOND)
    assert office.client.endings() == {
        line.uuid: "recv_bye,NORMAL_CLEARING",
        leg.uuid: "send_bye,NORMAL_CLEARING",
    }


def test_the_callers_name_is_known_or_not(office, pbx):
    """A telephone shows the CRM's name, or none; for a colleague it shows the label."""
    _, leg = office.ring(0, CALLERS[3])
    assert leg.calling_name is None
    inside = pbx.receive(office.users[1], "1003")
    ringing = pbx.call_user(inside, office.users[2])
    assert ringing.calling_name == office.users[1].label
    assert ringing.calling_number == "1002"
    assert ringing.called_number == "1003"


def test_a_ring_group_rings_everybody(office, pbx):
    """All free members ring while the caller is queued; one answers, the others lose the race."""
    office.talk(4)
    line = office.call()
    ringing = pbx.call_group(line, office.group)
    assert [leg.user for leg in ringing] == office.users[:4]
    assert {leg.group_id for leg in ringing} == {office.group.id}
    assert line.state.data["group_queue_id"] == office.group.name
    assert list(office.client.kinds["channel_waiting"]) == [line.uuid]
    assert line.target["type"] == "group"
    pbx.connect(ringing[2])
    endings = office.client.endings()
    assert endings == {
        leg.uuid: "send_cancel,LOSE_RACE" for leg in ringing if leg is not ringing[2]
    }
    assert office.client.kinds["channel_waiting"] == {}
    names = [name for name, _ in office.client.of(line, "channel_waiting")]
    assert names == ["added", "updated", "removed"]


def test_a_hunt_group_rings_the_first(office, pbx):
    """A hunt group rings the first member who is free; one where nobody is rings nobody."""
    group = pbx.create_group("順", hunt=True)
    line = office.call()
    assert pbx.call_group(line, group) == []
    for user in office.users[1:3]:
        pbx.add_member(user, group)
    other = office.call()
    (leg,) = pbx.call_group(other, group)
    assert leg.user is office.users[1]
    assert other.state.data["group_type"] == "hunt"
    assert "group_queue_id" not in other.state.data
    assert set(office.client.kinds["channel_waiting"]) == {line.uuid, other.uuid}


def test_a_group_without_a_queue(office, pbx):
    """Who calls a group that has no queue does not wait in one."""
    pbx.edit(office.group, queue=0)
    line = office.call()
    ringing = pbx.call_group(line, office.group)
    assert len(ringing) == 5
    assert office.client.kinds["channel_waiting"] == {}
    for leg in ringing:
        assert line.uuid in pbx.channels
        pbx.hang_up(leg)
    assert line.uuid not in pbx.channels


def test_a_call_that_goes_straight_to_a_group(office, pbx):
    """Who is put into a queue at once, without a menu, waits there from the first moment."""
    line = pbx.receive(YAMADA, DID)
    pbx.call_group(line, office.group)
    assert list(office.client.kinds["channel_waiting"]) == [line.uuid]


def test_a_member_rings_once(office, pbx):
    """Who is in a group twice has one telephone, which rings once for one call."""
    pbx.add_member(office.users[0], office.group)
    ringing = pbx.call_group(office.call(), office.group)
    assert [leg.user for leg in ringing] == office.users


def test_older_servers_tell_queue_and_park_apart():
    """An older PBX has queued_channel and parked_channel, and no channel_waiting."""
    office = Office(older=True)
    pbx, client = office.pbx, office.client
    line = office.call()
    (leg, *_) = pbx.call_group(line, office.group)
    assert list(client.kinds["queued_channel"]) == [line.uuid]
    pbx.connect(leg)
    assert client.kinds["queued_channel"] == client.kinds["parked_channel"] == {}
    pbx.park(line)
    assert client.kinds["queued_channel"] == {}
    (told,) = client.kinds["parked_channel"].values()
    assert told["peer_number"] == "0312341234"
    assert told["state"]["name"] == "park"
    pbx.transfer(line, office.group)
    assert list(client.kinds["queued_channel"]) == [line.uuid]
    assert client.kinds["parked_channel"] == {}
    pbx.hang_up(line)
    assert client.kinds["queued_channel"] == {}
    client.check()


def test_a_call_to_the_outside(office, pbx):
    """A user dials a number, which rings outside, with no group and no user of its own."""
    line = pbx.receive(office.users[0], YAMADA.number)
    leg = pbx.call_out(line, YAMADA)
    assert office.client.of(line) == [CREATED]
    told = office.client.kinds["channel"]
    assert told[line.uuid]["state"]["data"] == {
        "target_location": "ext",
        "target_type": "pstn",
        "address": YAMADA.number,
    }
    assert (leg.peer_location, leg.called_number) == ("external", YAMADA.number)
    assert told[leg.uuid]["other_info"]["user_id"] == office.users[0].id
    pbx.connect(leg)
    assert leg.last_bridged_user_id == office.users[0].id


def test_a_call_by_the_api(office, pbx):
    """The API rings a user's telephone; how the call came about is its origination."""
    line = pbx.originate(office.users[0], "media_plug")
    told = office.client.kinds["channel"][line.uuid]
    assert told["origination"] == ["call_user", str(office.users[0].id), "media_plug"]
    assert told["tags"] == ["auto_answer"]
    assert told["state"]["name"] == "ringing"
    assert told["direction"] == "outbound"


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
def test_how_a_call_ends(office, which, by_peer, answered, endings):
    """Both legs end with the disposition of their own side, ringing or talking."""
    line, leg = office.talk() if answered else office.ring()
    office.pbx.hang_up({"line": line, "leg": leg}[which], by_peer=by_peer)
    told = office.client.endings()
    assert (told[line.uuid], told[leg.uuid]) == endings
    assert office.client.of(line)[-2:] == office.client.of(leg)[-2:] == HUNG_UP


def test_a_cause_is_that_of_both_legs(office, pbx):
    """A cause that is named stands on both sides of a call."""
    line, leg = office.talk()
    pbx.hang_up(line, "ALLOTTED_TIMEOUT", by_peer=False)
    assert set(office.client.endings().values()) == {"send_bye,ALLOTTED_TIMEOUT"}
    line, leg = office.ring()
    pbx.hang_up(leg, "NO_USER_RESPONSE")
    assert office.client.endings()[line.uuid] == "send_refuse,NO_USER_RESPONSE"
    assert office.client.endings()[leg.uuid] == "recv_refuse,NO_USER_RESPONSE"


def test_a_queue_outlives_a_telephone(office, pbx):
    """A telephone that stops ringing does not end the call of who waits in a queue."""
    line = office.call()
    ringing = pbx.call_group(line, office.group)
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
    assert list(pbx.channels) == [line.uuid]


def test_only_what_rings_can_be_refused(office, pbx):
    """Refusing and giving up are of telephones that ring."""
    line, leg = office.talk()
    refuses(office, "is in state bridged, not ringing", pbx.refuse, leg)
    refuses(office, "is in state bridged, not ringing", pbx.stop_ringing, line)


def test_what_is_gone_does_nothing(office, pbx):
    """No operation works on a channel that has ended."""
    line, leg = office.talk()
    other, other_leg = office.talk(1)
    ringing_line, ringing = office.ring(2)
    pbx.hang_up(line)
    pbx.hang_up(ringing)
    user = office.users[3]
    gone = "has ended|no active channel|talks to no user|no phone rings|needs"
    for operation, *args in (
        (pbx.hang_up, line),
        (pbx.set_state, line, "ivr"),
        (pbx.answer, leg),
        (pbx.ring, line, user),
        (pbx.call_user, line, user),
        (pbx.call_group, line, office.group),
        (pbx.call_out, line, YAMADA),
        (pbx.connect, ringing),
        (pbx.connect, leg),
        (pbx.bridge, line, other),
        (pbx.bridge, other, line),
        (pbx.park, line),
        (pbx.retrieve, other, line),
        (pbx.pick_up, other, ringing_line),
        (pbx.transfer, line, user),
        (pbx.attended_transfer, line, other),
        (pbx.attended_transfer, other, line),
        (pbx.start_conference, [line], "1"),
        (pbx.eavesdrop, line, other),
        (pbx.eavesdrop, other, line),
        (pbx.leave_message, line, user),
        (pbx.refuse, ringing),
        (pbx.stop_ringing, ringing),
        (pbx.channel, line.uuid),
    ):
        refuses(office, gone, operation, *args)
    assert pbx.partner(line) is None
    assert pbx.partner(other) is other_leg
    assert pbx.channel(other.uuid) is other


def test_an_offer_that_is_withdrawn(office, pbx):
    """A leg that was offered and never entered anything can end; nobody ever heard of it."""
    line = pbx.receive(YAMADA, DID)
    refuses(office, ".", pbx.hang_up, line)


@pytest.mark.parametrize("operation", ["leave_message", "retrieve"])
def test_a_channel_is_added_first(operation):
    """Whatever is done first with a new leg, clients hear of it as added, with CHANNEL_CREATE."""
    office = Office()
    pbx = office.pbx
    fresh = pbx.receive(office.users[3], "901")
    if operation == "leave_message":
        pbx.leave_message(fresh, office.group)
    else:
        line, _ = office.talk()
        pbx.park(line)
        pbx.retrieve(fresh, line)
    assert office.client.of(fresh)[0] == CREATED


# What is done with calls


def test_park_slots_are_the_users_own(office, pbx):
    """A user parks on the first free one of three slots, then on shared ones, then not at all."""
    slots, lines = [], []
    for _ in range(6):
        line, _ = office.talk(1)
        slots.append(pbx.park(line))
        lines.append(line)
    assert slots == [904, 905, 906, 997, 998, 999]
    line, leg = office.talk(1)
    refuses(office, "all park slots of user2 are taken", pbx.park, line)
    pbx.hang_up(lines[1])
    assert pbx.park(line) == 905
    assert leg.uuid not in pbx.channels
    assert pbx.parked_channels() == [lines[0], *lines[2:], line]


@pytest.mark.parametrize(("park_group", "slot"), [(0, 901), (31, 994), (32, 901), (33, 904)])
def test_slots_go_round(office, pbx, park_group, slot):
    """The slots of a user are 901 + 3 times the park group, and go round below 997."""
    pbx.edit(office.users[0], park_group=park_group)
    assert pbx.free_slot(office.users[0]) == slot


def test_park_and_retrieve(office, pbx):
    """Who is parked waits alone; who dials the slot talks to them."""
    line, leg = office.talk()
    slot = pbx.park(line)
    told = office.client.kinds["channel"][line.uuid]
    assert told["state"]["data"] == {
        "slot": slot,
        "parker_id": office.users[0].id,
        "parker_name": office.users[0].label,
    }
    assert told["other_uuid"] is told["other_info"] is None
    assert list(office.client.kinds["channel_waiting"]) == [line.uuid]
    assert office.client.endings() == {leg.uuid: "recv_bye,NORMAL_CLEARING"}
    fetching = pbx.receive(office.users[1], str(slot))
    pbx.set_state(fetching, "system_operation", operation="unpark")
    pbx.retrieve(fetching, line)
    assert pbx.partner(line) is fetching
    assert line.last_bridged_user_id == office.users[1].id
    assert office.client.kinds["channel_waiting"] == {}
    refuses(office, "is in state bridged, not park", pbx.retrieve, fetching, line)


def test_only_a_user_can_park(office, pbx):
    """Somebody outside has no park slots, and who talks to nobody can't be parked."""
    _, leg = office.talk()
    refuses(office, "talks to no user", pbx.park, leg)
    refuses(office, "talks to no user", pbx.park, office.call())


def test_pick_up(office, pbx):
    """A colleague answers what rings at another's; without a ringing telephone they can't."""
    line, ringing = office.ring()
    leg = pbx.receive(office.users[1], f"pickup_uuid.{ringing.uuid}")
    pbx.set_state(leg, "system_operation", operation="pickup")
    pbx.pick_up(leg, line)
    assert office.client.endings() == {ringing.uuid: "send_cancel,PICKED_OFF"}
    assert pbx.partner(leg) is line
    refuses(office, "no phone rings for channel", pbx.pick_up, leg, line)


def test_transfer_to_a_user_a_group_and_outside(office, pbx):
    """Who is sent on leaves the one they talked to, what rang for them, and their queue."""
    line, leg = office.talk()
    (ringing,) = pbx.transfer(line, office.users[1])
    assert ringing.user is office.users[1]
    assert office.client.endings() == {leg.uuid: "recv_bye,NORMAL_CLEARING"}
    many = pbx.transfer(line, office.group)
    assert office.client.endings()[ringing.uuid] == "send_cancel,ORIGINATOR_CANCEL"
    assert [one.user for one in many] == office.users
    assert list(office.client.kinds["channel_waiting"]) == [line.uuid]
    (outside,) = pbx.transfer(line, CALLERS[1])
    assert office.client.kinds["channel_waiting"] == {}
    assert set(pbx.channels) == {line.uuid, outside.uuid}
    assert outside.person is CALLERS[1]
    refuses(office, "still rings", pbx.transfer, outside, office.users[0])


def test_join_calls(office, pbx):
    """An announced transfer ends both legs of the user in between, and joins the others."""
    line, leg = office.talk()
    refuses(office, "two calls of one user", pbx.attended_transfer, line, leg)
    refuses(office, "two calls of one user", pbx.attended_transfer, line, office.call())
    asking = pbx.receive(office.users[0], "1002")
    asked = pbx.call_user(asking, office.users[1])
    pbx.connect(asked)
    pbx.attended_transfer(line, asked)
    assert pbx.partner(line) is asked
    assert pbx.partner(asked) is line
    assert line.last_bridged_user_id == office.users[1].id
    endings = office.client.endings()
    assert endings[leg.uuid] == endings[asking.uuid] == "recv_bye,NORMAL_CLEARING"


def test_join_calls_is_of_one_user(office, pbx):
    """Two calls of different users, or a call with itself, can't be joined."""
    line, _ = office.talk(0)
    other, _ = office.talk(1)
    refuses(office, "two calls of one user", pbx.attended_transfer, line, line)
    refuses(office, "two calls of one user", pbx.attended_transfer, line, other)


def test_conference(office, pbx):
    """Who is in a conference room is nobody's partner, and leaves alone."""
    line, leg = office.talk()
    pbx.start_conference([line, leg], "8000")
    told = office.client.kinds["channel"]
    assert {one["state"]["data"]["room_id"] for one in told.values()} == {"8000"}
    assert told[line.uuid]["other_uuid"] is told[leg.uuid]["other_info"] is None
    pbx.hang_up(leg)
    assert list(pbx.channels) == [line.uuid]


def test_a_conference_with_who_is_gone(office, pbx):
    """Where one of those who are to meet is gone, the others stay as they are."""
    line, _ = office.talk()
    other, gone = office.talk(1)
    pbx.hang_up(gone)
    told = office.told()
    for missing in (gone, other):
        with pytest.raises(NotPossibleError):
            pbx.start_conference([line, missing], "8000")
    assert office.told() == told


def test_nothing_rings_for_who_is_in_a_conference(office, pbx):
    """Telephones that ring for somebody fall silent when they go to a conference instead."""
    line, leg = office.ring()
    pbx.start_conference([line], "8000")
    assert list(pbx.channels) == [line.uuid]
    assert office.client.endings() == {leg.uuid: "send_cancel,ORIGINATOR_CANCEL"}


@pytest.mark.parametrize("operation", ["start_conference", "set_state", "eavesdrop"])
def test_who_does_something_else_waits_no_more(office, pbx, operation):
    """A parked channel that goes elsewhere is on its slot, and in channel_waiting, no longer."""
    line, _ = office.talk()
    pbx.park(line)
    if operation == "start_conference":
        pbx.start_conference([line], "8000")
    elif operation == "set_state":
        pbx.set_state(line, "ivr", ivr_id="main_menu")
    else:
        target, _ = office.talk(1)
        try:
            pbx.eavesdrop(line, target)
        except NotPossibleError:
            return  # a caller who waits is no media plug, and stays where they are
    assert office.client.kinds["channel_waiting"] == {}


def test_eavesdrop(office, pbx):
    """A plug listens to a channel until that ends; a channel that talks or rings is no plug."""
    line, leg = office.talk()
    plug = pbx.originate(office.users[1], "media_plug")
    pbx.eavesdrop(plug, line, "whisper")
    told = office.client.kinds["channel"][plug.uuid]
    assert told["state"]["data"] == {"uuid": line.uuid, "eavesdrop_state": "whisper"}
    assert told["answer_timestamp"] == pbx.now
    _, ringing = office.ring(2)
    needs = "cannot listen in"
    refuses(office, needs, pbx.eavesdrop, plug, plug)
    refuses(office, needs, pbx.eavesdrop, leg, plug)
    refuses(office, needs, pbx.eavesdrop, ringing, line)
    pbx.hang_up(leg)
    assert office.client.endings()[plug.uuid] == "send_bye,NORMAL_CLEARING"
    assert office.client.endings()[line.uuid] == "send_bye,NORMAL_CLEARING"


def test_who_listens_hangs_up(office, pbx):
    """A plug that ends leaves the call as it was; two plugs on one channel end together."""
    line, _ = office.talk()
    plugs = [pbx.originate(user, "media_plug") for user in office.users[1:4]]
    for plug in plugs:
        pbx.eavesdrop(plug, line)
    pbx.hang_up(plugs[0])
    assert pbx.partner(line) is not None
    pbx.eavesdrop(plugs[2], plugs[1])
    pbx.hang_up(line)
    assert pbx.channels == {}
    assert office.client.endings()[plugs[0].uuid] == "recv_bye,NORMAL_CLEARING"


@pytest.mark.parametrize("operation", ["hang_up", "transfer"])
def test_who_listens_to_what_rings_for_them(office, pbx, operation):
    """A caller for whom telephones ring is no plug; or else the call ends without an error."""
    line, leg = office.ring()
    try:
        pbx.eavesdrop(line, leg)
    except NotPossibleError:
        return
    if operation == "hang_up":
        pbx.hang_up(leg)
        assert pbx.channels == {}
    else:
        before = office.told()
        try:
            pbx.transfer(line, office.users[1])
        except NotPossibleError:
            assert office.told() == before


def test_voicemail(office, pbx):
    """Who leaves a message is in the box of a user or group, and waits no more."""
    for box, kind in ((office.users[0], "user"), (office.group, "group")):
        line = office.call()
        pbx.call_group(line, office.group)
        for leg in pbx.ringing_for(line):
            pbx.stop_ringing(leg)
        pbx.leave_message(line, box)
        told = office.client.kinds["channel"][line.uuid]
        assert told["state"]["data"] == {
            "target_type": kind,
            "target_id": box.id,
            "target_name": box.name,
        }
        assert office.client.kinds["channel_waiting"] == {}
        pbx.hang_up(line)
    assert set(office.client.endings().values()) == {
        "send_cancel,NO_ANSWER",
        "recv_bye,NORMAL_CLEARING",
    }


def test_voicemail_counters(office, pbx):
    """A box counts new and saved messages, and says nothing when it is empty."""
    seen = []
    for new, saved in ((2, 3), (0, 1), (0, 0)):
        pbx.set_message_counts(office.users[0], new, saved)
        pbx.set_message_counts(office.group, new, saved)
        assert office.users[0].mwi == office.group.mwi
        seen.append(office.users[0].mwi)
    assert seen == ["2/3", "0/1", ""]


def test_bridging_leaves_the_third_alone(office, pbx):
    """Who is bridged to another is no longer the partner of the first."""
    line, leg = office.talk(0)
    other, _ = office.talk(1)
    pbx.bridge(line, other)
    assert pbx.partner(leg) is None
    assert pbx.partner(line) is other
    pbx.hang_up(leg)
    assert pbx.partner(line) is other


@pytest.mark.parametrize("older", [False, True])
def test_a_restart_loses_all_channels(older):
    """A restart tells nobody; what a new client gets is a PBX without calls."""
    office = Office(older=older)
    pbx = office.pbx
    line, leg = office.talk()
    other, _ = office.talk(1)
    pbx.park(other)
    pbx.call_group(office.call(), office.group)
    told = office.told()
    pbx.drop_channels()
    assert office.told() == told
    assert pbx.channels == {}
    snapshot = pbx.snapshot()
    assert all(not elements for kind, elements in snapshot.items() if "channel" in kind)
    assert len(snapshot["user"]) == 5
    refuses(office, "has ended|no active channel", pbx.hang_up, leg)
    assert line.hangup_timestamp == pbx.now
    later = Follower(pbx)
    office.call()
    later.check()


# What is told


def test_snapshots_are_copies(office, pbx):
    """A snapshot stays as it is while the PBX goes on, and may be cut up."""
    line, leg = office.talk()
    snapshot = pbx.snapshot()
    kept = {kind: dict(elements) for kind, elements in snapshot.items()}
    snapshot["channel"][line.uuid]["uuid"] = "changed"
    snapshot["user"].clear()
    assert pbx.snapshot()["channel"][line.uuid]["uuid"] == line.uuid
    pbx.hang_up(leg)
    assert len(kept["channel"]) == 2
    assert pbx.snapshot()["channel"] == {}


def test_a_snapshot_of_one_users_channels(office, pbx):
    """Asked for a user's channels, one gets these alone, and everything that is no channel."""
    line, leg = office.talk(0)
    office.talk(1)
    pbx.call_group(office.call(), office.group)
    own = pbx.snapshot(office.users[0].id)
    assert list(own["channel"]) == [leg.uuid]
    everything = pbx.snapshot()
    assert line.uuid in everything["channel"]
    assert all(own[kind] == everything[kind] for kind in pbx.kinds if kind != "channel")
    assert pbx.snapshot(1)["channel"] == {}


def test_listeners_may_go_while_they_listen(office, pbx):
    """A listener that leaves while it is told disturbs no other."""
    heard = []

    def once(*_):
        pbx.listeners.remove(once)
        heard.append("once")

    pbx.listeners.insert(0, once)
    pbx.listeners.append(lambda *_: heard.append("always"))
    pbx.edit(office.users[0], presence=1)
    pbx.edit(office.users[0], presence=2)
    assert heard == ["once", "always", "always"]


def test_listeners_hear_what_the_snapshot_holds(pbx):
    """What is told is in the snapshot already when it is told, and gone when it is removed."""
    agreed = []

    def hear(kind, key, told, event_name):
        held = pbx.snapshot()[kind].get(key)
        agreed.append(held == (None if event_name == "removed" else told))

    pbx.listeners.append(hear)
    line = pbx.receive(Person("03"), DID)
    pbx.set_state(line, "ivr", ivr_id="m")
    pbx.hang_up(line)
    assert agreed == [True] * 3


def test_uuids_come_from_the_seed():
    """The same seed gives the same uuids in the form of uuids, another one others."""

    def uuids(seed):
        pbx = Pbx(seed)
        return [pbx.receive(Person("03"), DID).uuid for _ in range(3)]

    assert uuids(4) == uuids(4)
    assert len({*uuids(4), *uuids(5)}) == 6
    assert [len(part) for part in uuids(4)[0].split("-")] == [8, 4, 4, 4, 12]
