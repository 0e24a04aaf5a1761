"""What the feed says of the simulated PBX's elements: every field, in the library's shape."""

from __future__ import annotations

import attrs
import pytest
from support.feed_follower import Office

from basix_ws_cti import elements
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.model import (
    FIELDS,
    Channel,
    Domain,
    GroupMember,
    Person,
    State,
    Terminal,
    element_to_dict,
    end_user,
    feed_kinds,
    other_info,
)

CLASSES = {
    "channel": elements.Channel,
    "channel_waiting": elements.WaitingChannel,
    "queued_channel": elements.QueuedChannel,
    "parked_channel": elements.ParkedChannel,
    "user": elements.User,
    "group": elements.Group,
    "group_member": elements.GroupMember,
    "terminal": elements.Terminal,
    "domain": elements.Domain,
}


def channel(**details):
    """A channel that is offered and nothing else."""
    values = {
        "uuid": "u",
        "direction": "inbound",
        "peer_location": "external",
        "calling_name": None,
        "calling_number": "03",
        "called_number": "050",
        "offer_timestamp": 1,
        "state": State(2, "ivr", {"ivr_id": "main", "nothing": None}),
        "address": "03",
        "call_id": "c",
    }
    return Channel(**{**values, **details})


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_are_the_librarys(kind):
    """The simulator sends every field of a kind that the library knows, once, and no other."""
    known = {field.name for field in attrs.fields(CLASSES[kind])} - {"extra", "element_name"}
    assert sorted(FIELDS[kind]) == sorted(known)


def test_every_kind_is_announced_by_some_server():
    """Newer and older servers together have all kinds, the older ones the deprecated two."""
    newer, older = feed_kinds(older=False), feed_kinds(older=True)
    assert {*newer, *older} == set(FIELDS)
    assert set(older) - set(newer) == {"queued_channel", "parked_channel"}
    assert set(newer) - set(older) == {"channel_waiting", "domain"}
    assert newer[0] == older[0] == "channel"


def test_a_picture_of_an_element_has_its_values():
    """Elements other than channels are told field by field, in the order of the wire."""
    assert element_to_dict("domain", Domain(1, "demo", "デモ", 4)) == {
        "id": 1,
        "name": "demo",
        "label": "デモ",
        "flags": 4,
    }
    office = Office()
    pairs = [
        ("user", office.users[0]),
        ("group", office.group),
        ("group_member", GroupMember(1, 2, 3, role=9)),
        ("terminal", Terminal(1, "term", 3)),
    ]
    for kind, element in pairs:
        told = element_to_dict(kind, element)
        assert tuple(told) == FIELDS[kind]
        assert told == {name: getattr(element, name) for name in FIELDS[kind]}


def test_a_picture_of_a_channel_holds_what_is_there():
    """A bare channel has no user, no texts made of nothing, and a state without empty parts."""
    told = element_to_dict("channel", channel(tags=(), origination=()))
    assert tuple(told) == FIELDS["channel"]
    assert told["state"] == {"ts": 2, "name": "ivr", "data": {"ivr_id": "main"}}
    there = {name for name, value in told.items() if value is not None}
    assert there == {
        "uuid",
        "direction",
        "peer_location",
        "calling_number",
        "called_number",
        "offer_timestamp",
        "state",
        "last_event",
        "call_id",
    }


def test_a_picture_of_a_users_channel():
    """A user's leg has their id; tags and origination are lists."""
    user = Office().users[2]
    told = element_to_dict("channel", channel(user=user, tags=("a", "b"), origination=("x", "y")))
    assert told["user_id"] == user.id
    assert told["tags"] == ["a", "b"]
    assert told["origination"] == ["x", "y"]
    assert told["end_user"] is None


def test_a_picture_of_who_waits():
    """channel_waiting adds whoscall; the older kinds have four fields, one of them peer_number."""
    waits = channel(person=Person("05", whoscall="%7B%7D"))
    assert element_to_dict("channel_waiting", waits)["whoscall"] == "%7B%7D"
    assert element_to_dict("channel_waiting", channel(user=Office().users[0]))["whoscall"] is None
    for kind in ("queued_channel", "parked_channel"):
        told = element_to_dict(kind, waits)
        assert tuple(told) == ("uuid", "state", "peer_number", "end_user")
        assert told["peer_number"] == "03"


def test_a_picture_stays_as_it_was():
    """A picture is a copy: what the channel does later does not change it."""
    leg = channel(tags=("a",))
    told = element_to_dict("channel", leg)
    leg.state = State(3, "bridged")
    leg.tags = ("b",)
    leg.called_number = "9"
    assert told["state"]["name"] == "ivr"
    assert told["tags"] == ["a"]
    assert told["called_number"] == "050"


def test_end_user_counts_those_who_are_not_listed():
    """Nobody for an unknown number; else all namesakes are listed, and the others counted."""
    assert end_user(None) is None
    assert end_user(Person("03")) is None
    one = end_user(scenarios.CALLERS[0])
    assert one["count"] == 1
    assert one["items"] == [
        {
            "id": "12345",
            "name": "山田 太郎",
            "organization": "株式会社山田商店",
            "avatar": "",
            "prefecture": "東京都",
        }
    ]
    many = end_user(
        Person("1", "7", "A", other_matches=(Person("1", "8", "B"),), unlisted_matches=3)
    )
    assert many["count"] == 5
    assert [item["id"] for item in many["items"]] == ["7", "8"]


def test_other_info_tells_inside_from_outside():
    """A summary names a user by id, and somebody outside by what the CRM and directory know."""
    parts = {
        "direction": "inbound",
        "peer_location": "external",
        "address": "03",
        "offer_timestamp": 5,
        "group_id": 6,
    }
    known = Person("03", "7", "A", whoscall="w")
    assert other_info(known, **parts) == {
        "type": "end_user",
        "user_id": None,
        "end_user": end_user(known),
        "whoscall": "w",
        **parts,
    }
    user = Office().users[0]
    inside = other_info(user, **parts)
    assert (inside["type"], inside["user_id"]) == ("user", user.id)
    assert inside["end_user"] is inside["whoscall"] is None
    nobody = other_info(None, **parts)
    assert nobody["type"] == "end_user"
    assert nobody["user_id"] is nobody["end_user"] is nobody["whoscall"] is None


def test_summary_is_the_channels_own():
    """What the other end says of a channel is the channel's own direction, place and time."""
    user = Office().users[0]
    leg = channel(user=user, group_id=4, address="term1", peer_location="internal")
    assert leg.summary == other_info(
        user,
        direction="inbound",
        peer_location="internal",
        address="term1",
        offer_timestamp=1,
        group_id=4,
    )
    assert channel(person=Person("03", "7")).summary["end_user"]["items"][0]["id"] == "7"


def test_channels_are_themselves():
    """Two channels with the same values are still two."""
    assert channel() != channel()
    assert Person("03") == Person("03")
