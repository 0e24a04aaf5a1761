"""Parties of a call: caller, dialled number, direction, requested party and labels.

The tests give channels to a ``CallTracker`` and read the call. Times are in microseconds.
"""

from __future__ import annotations

import itertools

import attrs
from support.cases import for_each

from basix_ws_cti import Channel
from basix_ws_cti.calls import CallEnded, CallTracker, CallUpdated, Party, call_parties
from basix_ws_cti.elements import OtherInfo, Target
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Eavesdrop,
    Ivr,
    Park,
    Ringing,
    SystemOperation,
)

CUSTOMER = {"direction": "inbound", "peer_location": "external", "calling_number": "0312341234"}
USER = {"direction": "inbound", "peer_location": "internal", "user_id": 1}
API_USER = {**USER, "direction": "outbound"}  # click-to-call: the PBX rings the user first


def first_leg(fields, **more):
    routing = {"state": SystemOperation(ts=1)}
    return Channel(uuid="first", offer_timestamp=1, **{**routing, **fields, **more})


def phone(uuid="phone", at=2, **fields):
    """Return a leg that rings for the first leg: a colleague's phone, unless stated."""
    colleague = {"user_id": 2, "peer_location": "internal", "state": Ringing(ts=at)}
    defaults = {**colleague, "direction": "outbound", "other_uuid": "first"}
    return Channel(uuid=uuid, offer_timestamp=at, **{**defaults, **fields})


def phone_outside(uuid="outside", at=2, **fields):
    return phone(uuid, at, **{"user_id": None, "peer_location": "external", **fields})


def calling(at, to):
    """Return the state of a leg that calls a user, a group or somebody outside."""
    match to:
        case "user":
            return Calling(ts=at, target_location="int", target_type="user", user_id=2)
        case "group":
            return Calling(ts=at, target_location="int", target_type="group", group_id=9)
        case "sip":
            return CallingSipTermination(ts=at, url="sip:night@voice.example.com")
    return Calling(ts=at, target_location="ext", target_type="pstn", address="0667890123")


def call_after(*channels):
    """Return the call after its channels were shown in this order."""
    tracker, shown = CallTracker(), {}
    for channel in channels:
        before = shown.get(channel.uuid)
        change = Changed("channel", channel, before) if before else Added("channel", channel)
        tracker.apply([change])
        shown[channel.uuid] = channel
    (call,) = tracker.calls.values()
    return call


# -- numbers --------------------------------------------------------------------------

MARKERS = [
    *("pickup_uuid.6b1d", "assimilate.6b1d", "media_plug"),
    *("RINGING_PARK", "RINGING_PARK.6b1d", "LOCAL_PARK", "LOCAL_PARK.6b1d"),
]


@for_each("marker", MARKERS)
def test_marker_is_never_shown_as_a_number(marker):
    caller = first_leg({**CUSTOMER, "calling_number": marker}, called_number=marker)
    call = call_after(caller, phone_outside(called_number=marker))
    assert (call.called_number, call.caller.number) == (None, None)
    assert [leg.party.number for leg in call.legs] == [None, None]


@for_each("marker", MARKERS)
def test_other_party_of_a_leg_has_no_marker_as_number(marker):
    """The caller's leg is not shown."""
    info = OtherInfo(type="end_user", address=marker, offer_timestamp=1, direction="inbound")
    assert call_after(phone(other_info=info)).caller.number is None
    assert call_after(first_leg(USER, state=Calling(ts=1, address=marker))).phase.party == Party()


@for_each("number", ["*97", "sip:1001@pbx.example", "media_plugs", "pickup_uuid", "anonymous"])
def test_other_texts_are_numbers(number):
    assert call_after(first_leg(USER, called_number=number)).called_number == number


@for_each("lost", [None, "", "RINGING_PARK.6b1d"])
def test_last_real_number_counts(lost):
    numbers = ["0501111111", "0502222222", lost]
    legs = [first_leg(CUSTOMER, called_number=number) for number in numbers]
    assert call_after(*legs).called_number == "0502222222"
    legs = [first_leg({**CUSTOMER, "calling_number": number}) for number in numbers]
    assert call_after(*legs).caller.number == "0502222222"


def test_last_dialled_number_counts_if_the_callers_leg_is_not_shown():
    numbers = ["1001", "1002", "RINGING_PARK"]
    assert call_after(*[phone(called_number=one) for one in numbers]).called_number == "1002"


def test_caller_who_turns_out_to_be_a_user_has_no_number():
    info = OtherInfo(type="end_user", address="0312341234", offer_timestamp=1, direction="inbound")
    call = call_after(phone(other_info=info), first_leg(USER))
    assert call.caller == Party(user_id=1)
    assert call.direction == "internal"


# -- direction ------------------------------------------------------------------------


@for_each(
    "channels, direction, went_outside",
    [
        ([first_leg(CUSTOMER)], "inbound", False),
        ([first_leg(CUSTOMER, state=calling(1, "outside"))], "inbound", True),
        ([first_leg(CUSTOMER), phone()], "inbound", False),
        ([first_leg(CUSTOMER), phone_outside()], "inbound", True),
        ([first_leg(CUSTOMER, state=calling(1, "sip"))], "inbound", True),
        ([first_leg(USER)], "internal", False),
        ([first_leg(USER), phone()], "internal", False),
        ([first_leg(USER), phone(peer_location="external")], "internal", False),  # own mobile
        ([first_leg(USER, state=calling(1, "group"))], "internal", False),
        ([first_leg(USER), phone_outside()], "outbound", False),
        ([first_leg(USER, state=calling(1, "outside"))], "outbound", False),
        ([first_leg(USER, state=calling(1, "sip"))], "outbound", False),
        # A transfer or forward to outside: the colleague or group came first.
        ([first_leg(USER), phone(), phone_outside(at=9)], "internal", True),
        ([first_leg(USER), phone(), phone(state=calling(9, "outside"))], "internal", True),
        (
            [first_leg(USER, state=calling(1, state)) for state in ("user", "outside")],
            "internal",
            True,
        ),
        (
            [
                first_leg(
                    USER, state=calling(1, "outside"), target=Target(type="user", id=2, name="b")
                )
            ],
            "internal",
            True,
        ),
        # A transfer of a customer who was called to a colleague.
        ([first_leg(USER), phone_outside(), phone(at=9)], "outbound", False),
        # The PBX rings the user first, and then the destination.
        ([first_leg(API_USER, state=Ringing(ts=1))], "outbound", False),
        ([first_leg(API_USER, state=Bridged(ts=1))], "outbound", False),  # an announcement
        ([first_leg(API_USER, state=calling(1, "outside"))], "outbound", False),
        ([first_leg(API_USER, state=calling(1, "user"))], "internal", False),
        ([first_leg(API_USER, state=Ringing(ts=1)), phone()], "internal", False),
        ([first_leg(API_USER, state=Ringing(ts=1)), phone_outside()], "outbound", False),
        ([first_leg(API_USER, state=CheckingVoicemail(ts=1))], "internal", False),
        # The second phone of that user is no callee.
        (
            [
                first_leg(API_USER, state=Ringing(ts=1), called_number="110"),
                phone(
                    "second",
                    at=1,
                    user_id=1,
                    other_uuid=None,
                    called_number="110",
                ),
            ],
            "outbound",
            False,
        ),
        # A service of the PBX that a user dialled, and left for somebody outside.
        (
            [first_leg(USER, state=Ivr(ts=1)), first_leg(USER, state=calling(5, "outside"))],
            "internal",
            True,
        ),
        ([first_leg({**API_USER, "peer_location": "external"})], "internal", False),
        # The PBX rings somebody outside first.
        ([first_leg({**CUSTOMER, "direction": "outbound"})], "outbound", False),
        # A media plug listens in and calls nobody.
        (
            [first_leg(API_USER, state=Ringing(ts=1), calling_number="media_plug")],
            "internal",
            False,
        ),
        ([first_leg(API_USER, state=Ringing(ts=1), called_number="media_plug")], "internal", False),
        ([first_leg(API_USER, state=Eavesdrop(ts=1, uuid="x"))], "internal", False),
    ],
)
def test_direction_is_as_dialled(channels, direction, went_outside):
    call = call_after(*channels)
    assert (call.direction, call.went_outside) == (direction, went_outside)


@for_each(
    "legs, direction",
    [
        ([phone(at=2), phone_outside(at=2)], "internal"),
        ([phone(at=3), phone_outside(at=2)], "outbound"),
        ([phone(at=2), phone_outside(at=3)], "internal"),
    ],
)
def test_direction_does_not_depend_on_the_order_of_events(legs, direction):
    """The party that was called first counts; at the same time, the colleague."""
    for order in itertools.permutations(legs):
        call = call_after(first_leg(USER), *order)
        assert (call.direction, call.went_outside) == (direction, direction == "internal")


def test_direction_stays_after_the_end_of_the_callers_leg():
    for fields, direction in ((USER, "outbound"), (CUSTOMER, "inbound")):
        caller, callee = first_leg(fields), phone_outside()
        tracker = CallTracker([caller, callee])
        tracker.apply([Removed("channel", caller)])
        tracker.apply([Changed("channel", attrs.evolve(callee, state=Park(ts=9)), callee)])
        (call,) = tracker.calls.values()
        assert call.direction == direction


def test_attempt_that_ends_at_the_own_phone_is_outbound():
    leg = first_leg(API_USER, state=Ringing(ts=1), called_number="0667890123")
    refused = attrs.evolve(
        leg, last_event="CHANNEL_HANGUP", last_event_data="recv_refuse,USER_BUSY"
    )
    (ended,) = CallTracker([leg]).apply([Removed("channel", refused)])
    call = ended.call
    assert (call.direction, call.disposition, call.abandoned_in) == ("outbound", "unanswered", None)
    assert [leg.outcome for leg in call.legs] == ["unanswered"]


# -- requested party, origination, tags -----------------------------------------------


@for_each(
    "target, requested",
    [
        (Target(type="user", id=2, name="sato"), Party(user_id=2, name="sato")),
        (Target(type="group", id=9, name="sales"), Party(group_id=9, name="sales")),
        (Target(type="trunk", id=9), Party()),
        (Target(type="user"), Party()),
        (("user", 2), Party()),
        (None, Party()),
    ],
)
def test_target_of_the_first_leg_is_the_requested_party(target, requested):
    assert call_after(first_leg(CUSTOMER, target=target)).requested == requested
    assert call_after(first_leg(CUSTOMER), phone(target=target)).requested == Party()


def test_first_target_stays_the_requested_party():
    """A queue that was asked for stays it, whoever answers; so does a user who forwards."""
    targets = [None, Target(type="group", id=9), Target(type="user", id=2), None]
    call = call_after(*[first_leg(CUSTOMER, target=target) for target in targets])
    assert call.requested == Party(group_id=9)


def test_origination_of_the_first_leg_is_kept():
    request = ("call_user", "1", "0667890123")
    legs = [first_leg(API_USER, origination=one) for one in (request, None, "raw", ("", 7))]
    assert call_after(*legs[:3]).origination == request
    assert call_after(*legs).origination == ("",)
    assert call_after(first_leg(USER), phone(origination=request)).origination == ()


def test_tags_of_all_legs_are_kept_in_the_order_of_their_appearance():
    legs = [
        first_leg(CUSTOMER, tags=("b", "a")),
        phone(tags=("auto_answer", "a")),
        first_leg(CUSTOMER, tags=None, state=Ivr(ts=5)),
        first_leg(CUSTOMER, tags=("vip", 7, "b"), state=Ivr(ts=5)),
        phone(tags="raw"),
    ]
    assert call_after(*legs).tags == ("b", "a", "auto_answer", "vip")


def test_tags_do_not_depend_on_the_order_of_simultaneous_events():
    legs = [first_leg(CUSTOMER, tags=("b",), state=Ivr(ts=2)), phone(tags=("a",))]
    found = {call_after(first_leg(CUSTOMER), *order).tags for order in (legs, legs[::-1])}
    assert found == {("b", "a")}


def test_number_of_tags_is_limited(monkeypatch):
    monkeypatch.setattr(call_parties, "MAX_TAGS", 3)
    legs = [first_leg(CUSTOMER, tags=("a", f"b{number}")) for number in range(5)]
    assert call_after(*legs).tags == ("a", "b0", "b1")


def test_labels_that_change_cause_an_event():
    leg = first_leg(CUSTOMER)
    for fields in ({"tags": ("a",)}, {"target": Target(type="user", id=2)}):
        tracker = CallTracker([leg])
        changed = attrs.evolve(leg, **fields)
        (event,) = tracker.apply([Changed("channel", changed, leg)])
        assert isinstance(event, CallUpdated)
        assert tracker.apply([Changed("channel", attrs.evolve(changed), changed)]) == []


# -- calls that become one ------------------------------------------------------------


def test_joined_call_brings_its_tags_and_parties_outside():
    """A user transfers a customer to somebody outside whom they asked before."""
    caller = first_leg(CUSTOMER, tags=("a",))
    consulting = Channel(uuid="consulting", offer_timestamp=5, **USER, state=calling(5, "outside"))
    consulted = phone_outside("consulted", 6, other_uuid="consulting", tags=("b",))
    tracker = CallTracker([caller, consulting, consulted])
    assert [call.direction for call in tracker.calls.values()] == ["inbound", "outbound"]
    bridged = attrs.evolve(consulted, other_uuid="first", state=Bridged(ts=9))
    events = tracker.apply([Changed("channel", bridged, consulted)])
    (ended,) = (event.call for event in events if isinstance(event, CallEnded))
    assert (ended.id, ended.joined, ended.disposition) == ("consulting", "first", "unanswered")
    (call,) = tracker.calls.values()
    assert (call.direction, call.went_outside, call.tags) == ("inbound", True, ("a", "b"))


# -- clocks ---------------------------------------------------------------------------


def ended_call(*channels):
    """Return the call after its channels were shown, and ended as the last of each says."""
    tracker, shown, ended = CallTracker(), {}, []
    for channel in channels:
        before = shown.get(channel.uuid)
        change = Changed("channel", channel, before) if before else Added("channel", channel)
        tracker.apply([change])
        shown[channel.uuid] = channel
    for channel in shown.values():
        hung_up = attrs.evolve(
            channel, last_event="CHANNEL_HANGUP", last_event_data="recv_bye,NORMAL_CLEARING"
        )
        events = tracker.apply([Removed("channel", hung_up)])
        ended += [event.call for event in events if isinstance(event, CallEnded)]
    (call,) = ended
    return call


@for_each(
    "states, hangup, durations, is_adjusted",
    [
        ([Ivr(ts=10), Park(ts=20)], 30, [10, 10], False),
        ([Ivr(ts=10), Park(ts=20)], 20, [10, 0], False),
        ([Ivr(ts=10), Park(ts=20)], 15, [10, 0], True),
        ([Ivr(ts=10), Park(ts=5), SystemOperation(ts=12)], 30, [0, 2, 18], True),
        ([Ivr(ts=10), Park(ts=None)], 30, [0, 20], False),
        ([Ivr(ts=10), Park(ts=20)], None, [10, 0], False),
    ],
)
def test_clock_that_is_set_back_gives_durations_of_zero(states, hangup, durations, is_adjusted):
    call = ended_call(
        *[
            attrs.evolve(
                first_leg(CUSTOMER, state=state), offer_timestamp=10, hangup_timestamp=hangup
            )
            for state in states
        ]
    )
    assert [phase.duration for phase in call.phases] == durations
    assert call.clock_adjusted is is_adjusted


def test_call_ends_with_the_leg_that_ended_last_in_any_order():
    """The feed may show the end of a later leg first."""
    legs = [
        attrs.evolve(first_leg(CUSTOMER), hangup_timestamp=30),
        attrs.evolve(phone(), hangup_timestamp=20),
    ]
    for order in (legs, legs[::-1]):
        call = ended_call(*order)
        assert (call.ended, call.clock_adjusted) == (30, False)
