"""Facts that a single channel states about its call."""

from __future__ import annotations

from support.cases import for_each

from basix_ws_cti import Channel
from basix_ws_cti.calls import Party, Phase
from basix_ws_cti.calls.channel_facts import (
    has_external_callee,
    is_b_leg,
    last_known_alive,
    other_party,
    other_whoscall,
    own_party,
    phase_of,
    state_entered,
)
from basix_ws_cti.elements import EndUser, EndUsers, OtherInfo
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    Ivr,
    OtherState,
    Park,
    Ringing,
    SystemOperation,
    Voicemail,
    XmlIvr,
)

TARO = EndUser(id="1", name="Taro")
NAMELESS = EndUser(id="2")


def end_users(*items):
    return EndUsers(count=len(items), items=items)


@for_each(
    "fields, party",
    [
        (
            {"direction": "inbound", "calling_number": "5", "end_user": end_users(TARO, NAMELESS)},
            Party(number="5", name="Taro", end_user=TARO),
        ),
        (
            {"direction": "inbound", "calling_number": "5", "calling_name": "Ann"},
            Party(number="5", name="Ann"),
        ),
        (
            {"direction": "inbound", "calling_number": "5", "calling_name": "5"},
            Party(number="5"),
        ),
        (
            {
                "direction": "inbound",
                "calling_number": "5",
                "calling_name": "Ann",
                "end_user": end_users(NAMELESS),
            },
            Party(number="5", name="Ann", end_user=NAMELESS),
        ),
        (
            {"direction": "outbound", "calling_number": "5", "called_number": "6"},
            Party(number="6"),
        ),
        (
            {"direction": "inbound", "user_id": 7, "calling_name": "Bo"},
            Party(user_id=7, name="Bo"),
        ),
        ({"direction": "outbound", "user_id": 7, "calling_name": "Ann"}, Party(user_id=7)),
        ({"end_user": "raw"}, Party()),
        ({"extra": {"whoscall": "%7B"}}, Party(whoscall="%7B")),
        ({"extra": {"whoscall": 5}}, Party()),
    ],
)
def test_own_party_is_user_or_outside_number(fields, party):
    """The own party is the user, or the number outside with its end user in the CRM."""
    assert own_party(Channel(uuid="a", **fields)) == party


@for_each(
    "info, party",
    [
        (None, Party()),
        ("raw", Party()),
        (OtherInfo(type="user", user_id=7, address="term1"), Party(user_id=7)),
        (OtherInfo(type="end_user", address="5", whoscall="w"), Party(number="5", whoscall="w")),
        (
            OtherInfo(type="end_user", address="5", end_user=end_users(TARO)),
            Party(number="5", name="Taro", end_user=TARO),
        ),
    ],
)
def test_other_party_comes_from_other_info(info, party):
    """The other party is the one that ``other_info`` names."""
    assert other_party(Channel(uuid="a", other_info=info)) == party


@for_each(
    "info, whoscall",
    [
        (None, None),
        ("raw", None),
        (OtherInfo(type="user", whoscall="w"), None),
        (OtherInfo(type="end_user", whoscall="w"), "w"),
    ],
)
def test_other_whoscall_is_that_of_an_outside_party(info, whoscall):
    """Only an outside party has a caller directory entry: the one that ``other_party`` has."""
    leg = Channel(uuid="a", other_info=info)
    assert other_whoscall(leg) == other_party(leg).whoscall == whoscall


@for_each(
    "fields, external",
    [
        ({"peer_location": "external", "direction": "outbound"}, True),
        ({"peer_location": "external", "direction": "inbound"}, False),
        ({"peer_location": "external", "direction": "outbound", "user_id": 7}, False),  # a mobile
        ({"peer_location": "internal", "state": Ringing()}, False),
        ({"state": CallingSipTermination(url="sip:x")}, True),
        ({"state": Calling(target_location="ext")}, True),
        ({"state": Calling(target_location="int")}, False),
    ],
)
def test_channel_that_calls_outside_has_an_external_callee(fields, external):
    """A channel that calls outside, or is about to, has an external callee."""
    assert has_external_callee(Channel(uuid="a", **fields)) is external


@for_each(
    "state, expected",
    [
        (Ivr(ivr_id="menu"), {"kind": "ivr", "place": "menu"}),
        (XmlIvr(), {"kind": "ivr"}),
        (Calling(target_type="group", group_id=9), {"kind": "queued", "party": Party(group_id=9)}),
        (Calling(target_type="user", user_id=7), {"kind": "ringing", "party": Party(user_id=7)}),
        (
            Calling(target_type="pstn", address="5"),
            {"kind": "ringing", "party": Party(number="5")},
        ),
        (CallingSipTermination(url="u"), {"kind": "ringing", "party": Party(number="u")}),
        (Ringing(), {"kind": "ringing", "party": Party(number="6")}),
        (Bridged(), {"kind": "talking", "party": Party(user_id=3)}),
        (Park(slot=901, parker_id=7), {"kind": "parked", "place": 901, "by": 7}),
        (
            Voicemail(target_type="group", target_id=9, target_name="g"),
            {"kind": "voicemail", "party": Party(group_id=9), "place": "g"},
        ),
        (
            Voicemail(target_type="user", target_id=7, target_name="u"),
            {"kind": "voicemail", "party": Party(user_id=7), "place": "u"},
        ),
        (Conference(room_id="8000"), {"kind": "conference", "place": "8000"}),
        (SystemOperation(operation="unpark"), {"kind": "other", "place": "unpark"}),
        (CheckingVoicemail(target_name="u"), {"kind": "other", "place": "checking_voicemail"}),
        (Eavesdrop(uuid="x"), {"kind": "other", "place": "eavesdrop"}),
        (OtherState(name="dancing"), {"kind": "other", "place": "dancing"}),
        (None, {"kind": "unknown"}),
        ("raw", {"kind": "unknown"}),
    ],
)
def test_phase_of_each_state(state, expected):
    """Every state of a channel is a phase of its call."""
    info = OtherInfo(type="user", user_id=3)
    channel = Channel(uuid="a", state=state, other_info=info, called_number="6")
    assert phase_of(channel, None, 5) == Phase(started=5, **expected)


@for_each(
    "fields, expected",
    [
        # Nobody is at the other end: an announcement, or music on hold.
        ({"state": Bridged()}, {"kind": "other", "place": "bridged"}),
        ({"state": Bridged(), "other_uuid": ""}, {"kind": "other", "place": "bridged"}),
        ({"state": Bridged(), "other_uuid": "b"}, {"kind": "talking"}),
        # The caller hears a ringing tone; no phone of theirs rings.
        (
            {"state": Ringing(), "direction": "inbound", "user_id": 7},
            {"kind": "other", "place": "ringing"},
        ),
        (
            {
                "state": Ringing(),
                "direction": "inbound",
                "user_id": 7,
                "other_info": OtherInfo(type="user", user_id=3),
            },
            {"kind": "ringing", "party": Party(user_id=3)},
        ),
        (
            {"state": Ringing(), "direction": "outbound", "user_id": 7},
            {"kind": "ringing", "party": Party(user_id=7)},
        ),
    ],
)
def test_phase_of_a_state_without_another_party(fields, expected):
    assert phase_of(Channel(uuid="a", **fields), None, 5) == Phase(started=5, **expected)


def test_party_of_a_talking_phase_is_the_partner():
    """The party is completed by the caller directory entry in ``other_info``."""
    info = OtherInfo(type="end_user", address="9", whoscall="w")
    channel = Channel(uuid="a", state=Bridged(), other_info=info, user_id=7)
    other = Channel(uuid="b", calling_number="5", direction="inbound")
    own_entry = Channel(
        uuid="b", calling_number="5", direction="inbound", extra={"whoscall": "own"}
    )
    assert phase_of(channel, other, 5).party == Party(number="5", whoscall="w")
    assert phase_of(channel, own_entry, 5).party == Party(number="5", whoscall="own")
    assert phase_of(channel, channel, 5).party == Party(user_id=7)
    assert phase_of(channel, None, 5).party == Party(number="9", whoscall="w")


@for_each(
    "fields, expected",
    [
        ({"state": Ringing(), "direction": "outbound"}, True),
        ({"state": Ringing(), "direction": "inbound"}, False),
        ({"state": Bridged()}, False),
        ({"offer_timestamp": 5, "other_info": OtherInfo(offer_timestamp=4)}, True),
        ({"offer_timestamp": 5, "other_info": OtherInfo(offer_timestamp=6)}, False),
        (
            {
                "offer_timestamp": 5,
                "direction": "outbound",
                "other_info": OtherInfo(offer_timestamp=5, direction="inbound"),
            },
            True,
        ),
        (
            {
                "offer_timestamp": 5,
                "direction": "inbound",
                "other_info": OtherInfo(offer_timestamp=5, direction="outbound"),
            },
            False,
        ),
        ({"offer_timestamp": "5", "other_info": OtherInfo(offer_timestamp=4)}, False),
    ],
)
def test_b_leg_is_recognised_by_state_offer_time_and_direction(fields, expected):
    """A B leg rings for another leg, was offered after it, or at the same time and outbound."""
    assert is_b_leg(Channel(uuid="a", **fields)) is expected


def test_only_integers_count_as_times():
    """This applies to the state's start and to the last sign of life."""
    assert state_entered(Channel(uuid="a", state=Ringing(ts=5))) == 5
    assert state_entered(Channel(uuid="a", state=Ringing(ts="5"))) is None
    assert state_entered(Channel(uuid="a", state="raw")) is None
    full = Channel(uuid="a", state=Ringing(ts=5), offer_timestamp=3, answer_timestamp=9)
    assert last_known_alive(full) == 9
    assert last_known_alive(Channel(uuid="a", state=Ringing(ts=5), offer_timestamp="9")) == 5
    assert last_known_alive(Channel(uuid="a")) == 0
