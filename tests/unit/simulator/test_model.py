"""Elements of the simulated PBX, as the feed sends them: every field, in the library's form."""

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

ELEMENT_CLASSES = {
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


def channel(**changes):
    """Return a channel with the required values alone."""
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
    return Channel(**{**values, **changes})


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_are_those_of_the_library(kind):
    """Each kind has every field of the library's class once, and no other."""
    known = {field.name for field in attrs.fields(ELEMENT_CLASSES[kind])} - {
        "extra",
        "element_name",
    }
    assert sorted(FIELDS[kind]) == sorted(known)


def test_kinds_of_newer_and_older_servers():
    """Together they have all kinds; only older servers have the two deprecated ones."""
    newer, older = feed_kinds(older=False), feed_kinds(older=True)
    assert {*newer, *older} == set(FIELDS)
    assert set(older) - set(newer) == {"queued_channel", "parked_channel"}
    assert set(newer) - set(older) == {"channel_waiting", "domain"}
    assert newer[0] == older[0] == "channel"


def test_element_dict_has_the_fields_in_wire_order():
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
        values = element_to_dict(kind, element)
        assert tuple(values) == FIELDS[kind]
        assert values == {name: getattr(element, name) for name in FIELDS[kind]}


def test_channel_dict_has_none_for_absent_values():
    """A minimal channel has no user, no empty texts, and no state parts that are None."""
    values = element_to_dict("channel", channel(tags=(), origination=()))
    assert tuple(values) == FIELDS["channel"]
    assert values["state"] == {"ts": 2, "name": "ivr", "data": {"ivr_id": "main"}}
    present = {name for name, value in values.items() if value is not None}
    assert present == {
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


def test_channel_dict_of_a_users_leg():
    """It has the user's id; tags and origination are lists."""
    user = Office().users[2]
    values = element_to_dict("channel", channel(user=user, tags=("a", "b"), origination=("x", "y")))
    assert values["user_id"] == user.id
    assert values["tags"] == ["a", "b"]
    assert values["origination"] == ["x", "y"]
    assert values["end_user"] is None


def test_channel_dict_of_a_waiting_channel():
    """channel_waiting adds whoscall; the older kinds have four fields, with peer_number."""
    waiting = channel(person=Person("05", whoscall="%7B%7D"))
    assert element_to_dict("channel_waiting", waiting)["whoscall"] == "%7B%7D"
    assert element_to_dict("channel_waiting", channel(user=Office().users[0]))["whoscall"] is None
    for kind in ("queued_channel", "parked_channel"):
        values = element_to_dict(kind, waiting)
        assert tuple(values) == ("uuid", "state", "peer_number", "end_user")
        assert values["peer_number"] == "03"


def test_channel_dict_is_a_copy():
    """Later changes of the channel do not change it."""
    leg = channel(tags=("a",))
    values = element_to_dict("channel", leg)
    leg.state = State(3, "bridged")
    leg.tags = ("b",)
    leg.called_number = "9"
    assert values["state"]["name"] == "ivr"
    assert values["tags"] == ["a"]
    assert values["called_number"] == "050"


def test_end_user_counts_unlisted_matches():
    """An unknown number has none; otherwise the matches are listed and the rest is counted."""
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


def test_other_info_identifies_users_and_outside_parties():
    """A user has an id; an outside party has the data of the CRM and the phone directory."""
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
    of_user = other_info(user, **parts)
    assert (of_user["type"], of_user["user_id"]) == ("user", user.id)
    assert of_user["end_user"] is of_user["whoscall"] is None
    unknown = other_info(None, **parts)
    assert unknown["type"] == "end_user"
    assert unknown["user_id"] is unknown["end_user"] is unknown["whoscall"] is None


def test_summary_describes_its_own_channel():
    """The other leg shows this channel's direction, location and time."""
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


def test_channels_compare_by_identity():
    assert channel() != channel()
    assert Person("03") == Person("03")
