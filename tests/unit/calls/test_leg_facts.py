"""Facts of legs: rings, groups, roles, talks and holds, and the purpose of their calls."""

from __future__ import annotations

import itertools

import attrs
from support.call_transcripts import CALLERS, Office
from support.cases import for_each

from basix_ws_cti import Channel
from basix_ws_cti.calls import CallEnded, CallTracker, ended_legs, leg_history
from basix_ws_cti.elements import OtherInfo
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    Ivr,
    Park,
    Ringing,
    SystemOperation,
)

YAMADA = CALLERS[0]


class Feed:
    """Channels that are written by hand, and the calls that a tracker makes of them.

    Times are in microseconds and small; 1 is the start of the call.
    """

    def __init__(self):
        self.tracker = CallTracker()
        self.channels = {}
        self.events = []

    def add(self, uuid, at, state=None, **fields):
        """Add a leg that is offered at ``at``."""
        channel = Channel(uuid=uuid, offer_timestamp=at, state=state, **fields)
        self.channels[uuid] = channel
        self.events += self.tracker.apply([Added("channel", channel)])

    def change(self, uuid, **fields):
        old = self.channels[uuid]
        self.channels[uuid] = new = attrs.evolve(old, **fields)
        self.events += self.tracker.apply([Changed("channel", new, old)])

    def end(self, uuid, at, hangup="send_bye,NORMAL_CLEARING"):
        channel = attrs.evolve(
            self.channels.pop(uuid),
            hangup_timestamp=at,
            last_event="CHANNEL_HANGUP",
            last_event_data=hangup,
        )
        self.events += self.tracker.apply([Removed("channel", channel)])

    # -- what PBXs do often ---------------------------------------------------------------

    def caller(self, uuid="caller", at=1, state=None, **fields):
        fields = {"peer_location": "external", "calling_number": "0312345678", **fields}
        self.add(uuid, at, state or Ivr(ts=at), direction="inbound", **fields)

    def dial(self, uuid, user, at, state=None, called="102", **fields):
        fields = {"peer_location": "internal", "called_number": called, **fields}
        self.add(uuid, at, state or Calling(ts=at), direction="inbound", user_id=user, **fields)

    def ring(self, uuid, user, at, lead="caller", **fields):
        fields = {"peer_location": "internal", "other_uuid": lead, **fields}
        self.add(uuid, at, Ringing(ts=at), direction="outbound", user_id=user, **fields)

    def connect(self, lead, leg, at):
        answered = self.channels[leg].answer_timestamp or at
        self.change(lead, state=Bridged(ts=at), other_uuid=leg)
        self.change(leg, state=Bridged(ts=at), other_uuid=lead, answer_timestamp=answered)

    def talk(self, user=1, at=10):
        """Let a caller, who called at 1, talk to a user; their legs are "caller" and "agent"."""
        self.caller()
        self.ring("agent", user, 5)
        self.connect("caller", "agent", at)

    def consult(self, at, answered=None, user=1, colleague=2):
        """Let a user call a colleague; their legs are "asking" and "asked"."""
        self.dial("asking", user, at)
        self.ring("asked", colleague, at, lead="asking")
        if answered is not None:
            self.connect("asking", "asked", answered)

    @property
    def calls(self):
        """All calls by id, in their last state."""
        ended = {event.call.id: event.call for event in self.events if isinstance(event, CallEnded)}
        return ended | {**self.tracker.calls}

    def leg(self, uuid):
        """Return the last state of a leg, in the call in which it is, or was last."""
        legs = [
            leg
            for call in self.calls.values()
            if call.joined is None
            for leg in call.legs
            if leg.uuid == uuid
        ]
        assert len(legs) == 1, legs
        return legs[0]

    def talks(self, uuid):
        return periods(self.leg(uuid).talks)

    def holds(self, uuid):
        return periods(self.leg(uuid).holds)


def periods(intervals):
    return [(one.started, one.ended) for one in intervals]


# -- rings ----------------------------------------------------------------------------


def test_ring_lasts_until_the_answer():
    feed = Feed()
    feed.caller()
    feed.ring("agent", 1, 5)
    leg = feed.leg("agent")
    assert (leg.rings, leg.rang_us, leg.role) == (1, 0, "offered")
    feed.connect("caller", "agent", 12)
    leg = feed.leg("agent")
    assert (leg.rings, leg.rang_us, leg.timed_out) == (1, 7, False)
    assert feed.leg("caller").rings == 0


@for_each(
    "hangup, timed_out",
    [
        ("send_cancel,NO_ANSWER", True),
        ("send_cancel,ALLOTTED_TIMEOUT", True),
        ("send_cancel,ORIGINATOR_CANCEL", False),
        ("send_cancel,LOSE_RACE", False),
        ("recv_refuse,USER_BUSY", False),
        (None, False),
    ],
)
def test_ring_that_times_out_is_marked(hangup, timed_out):
    feed = Feed()
    feed.caller()
    feed.ring("agent", 1, 5)
    feed.end("agent", 25, hangup)
    leg = feed.leg("agent")
    assert (leg.rings, leg.rang_us, leg.timed_out) == (1, 20, timed_out)


def test_answered_leg_that_is_hung_up_for_no_answer_did_not_time_out():
    feed = Feed()
    feed.talk()
    feed.end("agent", 20, "send_bye,ALLOTTED_TIMEOUT")
    assert not feed.leg("agent").timed_out


def test_ring_that_the_feed_did_not_show_follows_from_the_answer():
    feed = Feed()
    feed.caller()
    fields = {"direction": "outbound", "user_id": 1, "other_uuid": "caller"}
    feed.add("agent", 5, Bridged(ts=9), answer_timestamp=9, **fields)
    assert (feed.leg("agent").rings, feed.leg("agent").rang_us) == (1, 4)


def test_caller_in_a_ringing_state_has_no_phone_that_rings():
    feed = Feed()
    feed.caller(state=Ringing(ts=1))
    assert [type(event).__name__ for event in feed.events] == ["CallStarted"]
    assert feed.leg("caller").rings == 0


# -- groups ---------------------------------------------------------------------------


def queue(ts, group=9):
    return Calling(ts=ts, target_type="group", group_id=group)


def test_leg_knows_the_group_whose_queue_offered_it():
    """A leg that is offered to one user has none, even if the caller was in a queue before."""
    feed = Feed()
    feed.caller(state=queue(1))
    feed.ring("member", 1, 2, other_info=OtherInfo(type="end_user", group_id=8))
    feed.end("member", 3)
    feed.change("caller", state=Calling(ts=4, target_type="user", user_id=2))
    feed.ring("user", 2, 4, other_info=OtherInfo(type="end_user", group_id=9))
    assert feed.leg("member").group_id == 9
    assert feed.leg("user").group_id is None


def test_group_of_a_leg_follows_from_its_other_info_if_the_caller_is_in_no_queue():
    feed = Feed()
    feed.caller(state=Bridged(ts=1))  # an announcement
    feed.ring("member", 1, 2, other_info=OtherInfo(type="end_user", group_id=8))
    assert feed.leg("member").group_id == 8


# -- talks and holds ------------------------------------------------------------------


def test_talk_lasts_while_two_legs_are_connected():
    feed = Feed()
    feed.talk(at=10)
    assert feed.leg("caller").talking_since == feed.leg("agent").talking_since == 10
    assert feed.talks("caller") == []
    feed.end("agent", 30)
    feed.end("caller", 31)
    assert feed.talks("caller") == feed.talks("agent") == [(10, 30)]
    assert feed.leg("caller").talking_since is None


def test_talk_of_no_length_is_kept():
    feed = Feed()
    feed.talk(at=10)
    feed.end("agent", 10)
    feed.end("caller", 10)
    assert feed.talks("caller") == feed.talks("agent") == [(10, 10)]


def test_bridged_leg_without_another_party_does_not_talk():
    """An announcement is no answer; the agent who follows is."""
    feed = Feed()
    feed.caller()
    feed.change("caller", state=Bridged(ts=3))
    assert feed.leg("caller").talking_since is None
    assert feed.tracker.calls["caller"].phase.kind == "other"
    feed.ring("agent", 1, 5)
    feed.connect("caller", "agent", 9)
    assert feed.tracker.calls["caller"].answered == feed.leg("caller").talking_since == 9


def test_parked_party_is_on_hold():
    feed = Feed()
    feed.talk(at=10)
    feed.change("caller", state=Park(ts=20, slot=901, parker_id=1), other_uuid=None)
    feed.end("agent", 20)
    feed.dial("taker", 2, 40, SystemOperation(ts=40), called="901")
    feed.connect("caller", "taker", 41)
    feed.end("caller", 60)
    assert feed.talks("caller") == [(10, 20), (41, 60)]
    assert feed.holds("caller") == [(20, 41)]
    assert feed.talks("agent") == [(10, 20)]
    assert feed.leg("taker").role == "retrieved"


def test_call_that_is_parked_before_any_talk_is_not_on_hold():
    feed = Feed()
    feed.caller(state=Park(ts=1, slot=901))
    feed.end("caller", 5)
    assert feed.holds("caller") == []


@for_each("answered", [None, 30])
def test_talk_is_on_hold_during_a_consult_call(answered):
    """Both parties of the first talk wait, from the time at which the user dialled."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20, answered)
    assert feed.leg("caller").talking_since is feed.leg("agent").talking_since is None
    assert feed.calls["asking"].purpose == "consult"
    feed.end("asked", 50)
    feed.end("asking", 50)
    assert feed.leg("caller").talking_since == feed.leg("agent").talking_since == 50
    feed.end("caller", 60)
    feed.end("agent", 60)
    for uuid in ("caller", "agent"):
        assert feed.talks(uuid) == [(10, 20), (50, 60)]
        assert feed.holds(uuid) == [(20, 50)]
    talk = [] if answered is None else [(30, 50)]
    assert feed.talks("asking") == feed.talks("asked") == talk
    assert feed.leg("asked").role == ("offered" if answered is None else "consulted")
    assert [call.purpose for call in feed.calls.values()] == ["consult", "call"]


def complete_transfer(feed, at, order=("caller", "asked", "agent", "asking")):
    """Connect the caller with the colleague; the order of the events is free."""
    for uuid in order:
        if uuid == "caller":
            feed.change("caller", state=Bridged(ts=at), other_uuid="asked")
        elif uuid == "asked":
            feed.change("asked", state=Bridged(ts=at), other_uuid="caller")
        else:
            feed.end(uuid, at, "recv_bye,NORMAL_CLEARING")


# The consult call ends after an event that shows the transfer.
TRANSFER_ORDERS = [
    order
    for order in itertools.permutations(["caller", "asked", "agent", "asking"])
    if order.index("asking") > min(order.index("caller"), order.index("asked"))
]


@for_each("order", TRANSFER_ORDERS)
def test_attended_transfer_carries_the_consult_over_in_any_order(order):
    """A user never talks twice at the same time."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20, 30)
    complete_transfer(feed, 50, order)
    feed.end("caller", 90)
    feed.end("asked", 90)
    consult, call = feed.calls.values()
    assert (consult.joined, consult.purpose, consult.disposition) == (
        "caller",
        "consult",
        "answered",
    )
    assert (call.purpose, call.transfers, call.attended_transfers) == ("call", 1, 1)
    facts = {leg.uuid: (leg.role, periods(leg.talks), periods(leg.holds)) for leg in call.legs}
    assert facts == {
        "agent": ("offered", [(10, 20)], [(20, 50)]),
        "asking": ("placed", [(30, 50)], []),
        "caller": ("placed", [(10, 20), (50, 90)], [(20, 50)]),
        "asked": ("consulted", [(30, 90)], []),
    }


def test_user_who_answers_a_second_call_puts_the_first_talk_on_hold():
    feed = Feed()
    feed.talk(at=10)
    feed.caller("other", at=20)
    feed.ring("phone", 1, 21, lead="other")
    assert feed.leg("agent").talking_since == 10
    feed.connect("other", "phone", 30)
    assert feed.leg("agent").talking_since is None
    feed.end("other", 40)
    feed.end("phone", 40)
    assert feed.holds("caller") == feed.holds("agent") == [(30, 40)]
    assert feed.leg("agent").talking_since == 40
    assert {call.purpose for call in feed.calls.values()} == {"call"}


@for_each("moved", [False, True])
def test_talk_of_a_user_who_is_in_a_consult_call_is_found_late(moved):
    """In any order of the legs; ``moved``: the transfer is completed, but no leg has ended yet."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20, 30)
    if moved:
        complete_transfer(feed, 50, order=("caller", "asked"))
    for order in itertools.permutations(feed.channels.values()):
        late = CallTracker(order)
        legs = {leg.uuid: leg for call in late.calls.values() for leg in call.legs}
        asking, agent = legs["asking"], legs["agent"]
        assert asking.talking_since == (None if moved else 30)
        assert periods(asking.talks) == ([(30, 50)] if moved else [])
        assert agent.talking_since is None
        assert periods(agent.talks) == [(10, 20)]
        assert periods(agent.holds) == ([(20, 50)] if moved else [])


@for_each(
    "state, ended",
    [
        (Bridged(ts=50), 80),  # music on hold, until the end
        (Ivr(ts=50), 50),
    ],
)
def test_holds_that_are_found_late_are_one_hold(state, ended):
    """The legs for which the user left the talk are shown late, and the later one first."""
    feed = Feed()
    feed.talk(at=10)
    feed.change("agent", state=state, other_uuid=None)
    feed.dial("second", 1, 40)
    feed.dial("first", 1, 20)
    feed.end("agent", 80)
    assert feed.talks("agent") == [(10, 20)]
    assert feed.holds("agent") == [(20, ended)]


def test_talk_stays_a_talk_if_an_earlier_leg_of_the_user_is_shown_late():
    """The user had left the first talk for this one, and was connected there again later."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20, 30)
    feed.caller("other", at=35)
    feed.connect("other", "agent", 40)
    assert (feed.talks("asking"), feed.holds("asking")) == ([(30, 40)], [])
    feed.dial("earlier", 1, 5)
    feed.end("asking", 50)
    assert (feed.talks("asking"), feed.holds("asking")) == ([(30, 40)], [(40, 50)])


def test_talk_with_a_leg_that_is_not_shown():
    feed = Feed()
    info = OtherInfo(type="user", user_id=7)
    feed.caller(state=Bridged(ts=5), other_uuid="unseen", other_info=info)
    feed.change("caller", state=Ivr(ts=9), other_uuid=None, other_info=None)
    assert feed.talks("caller") == [(5, 9)]


def test_talk_ends_when_the_other_leg_moves_on_even_if_its_end_is_missing():
    feed = Feed()
    feed.talk(at=10)
    feed.change("caller", state=Ivr(ts=30), other_uuid=None)
    assert feed.talks("agent") == [(10, 30)]
    feed.change("agent", tags=("vip",))  # the state is sent again
    assert feed.leg("agent").talking_since is None


def test_clock_that_is_set_back_gives_no_negative_durations():
    feed = Feed()
    feed.talk(at=10)
    feed.end("agent", 4)
    feed.end("caller", 4)
    assert feed.talks("agent") == [(10, 10)]
    assert feed.calls["caller"].clock_adjusted


def test_number_of_periods_of_a_leg_is_limited(monkeypatch):
    """The oldest are merged; their total length stays."""
    monkeypatch.setattr(leg_history, "MAX_PERIODS", 3)
    feed = Feed()
    feed.talk(at=10)
    for at in range(20, 100, 10):
        feed.change("caller", state=Ivr(ts=at), other_uuid=None)
        feed.change("caller", state=Bridged(ts=at + 4), other_uuid="agent")
    assert feed.talks("caller") == [(30, 70), (74, 80), (84, 90)]
    assert len(feed.talks("agent")) == 3


# -- joined calls ---------------------------------------------------------------------


def test_consult_call_that_is_older_than_the_call_does_not_absorb_it():
    """The call whose caller is outside goes on."""
    feed = Feed()
    feed.consult(1, 2)
    feed.caller(at=10)
    feed.ring("agent", 1, 11)
    feed.connect("caller", "agent", 12)
    complete_transfer(feed, 20)
    feed.end("caller", 30)
    feed.end("asked", 30)
    consult, call = feed.calls.values()
    assert (consult.id, consult.joined, consult.purpose) == ("asking", "caller", "consult")
    assert (call.id, call.direction, call.started, call.ended) == ("caller", "inbound", 1 + 9, 30)
    assert (call.purpose, call.attended_transfers) == ("call", 1)
    assert {leg.uuid for leg in call.legs} == {"caller", "agent", "asking", "asked"}
    assert feed.talks("asked") == [(2, 12), (20, 30)]
    assert feed.holds("asked") == [(12, 20)]


def test_internal_call_is_absorbed_by_an_outbound_one():
    """A user who talks to a colleague calls a customer and connects the two."""
    feed = Feed()
    feed.dial("internal", 1, 1)
    feed.ring("colleague", 2, 1, lead="internal")
    feed.connect("internal", "colleague", 5)
    feed.dial("outbound", 1, 10, Calling(ts=10, target_location="ext"), called="0901111")
    fields = {"direction": "outbound", "peer_location": "external", "other_uuid": "outbound"}
    feed.add("customer", 11, Ringing(ts=11), **fields)
    feed.connect("outbound", "customer", 15)
    assert feed.calls["outbound"].purpose == "consult"
    feed.change("colleague", state=Bridged(ts=20), other_uuid="customer")
    feed.change("customer", state=Bridged(ts=20), other_uuid="colleague")
    feed.end("internal", 20)
    feed.end("outbound", 20)
    feed.end("customer", 30)
    feed.end("colleague", 30)
    internal, outbound = feed.calls.values()
    assert (internal.joined, internal.purpose) == ("outbound", "consult")
    assert (outbound.purpose, outbound.direction) == ("call", "outbound")


@for_each("first", ["caller", "asked"])
@for_each("is_answered", [True, False])
def test_transfer_that_is_completed_while_the_phone_rings_is_blind(first, is_answered):
    """The consult call was never talked on. The colleague was offered the call."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20)
    moves = {
        "caller": {"state": Calling(ts=30, target_type="user", user_id=2), "other_uuid": "asked"},
        "asked": {"other_uuid": "caller"},
    }
    for uuid in sorted(moves, key=lambda uuid: uuid != first):
        feed.change(uuid, **moves[uuid])
    feed.end("agent", 30)
    feed.end("asking", 30, "recv_cancel,ORIGINATOR_CANCEL")
    if is_answered:
        feed.connect("caller", "asked", 40)
    feed.end("caller", 60, "recv_bye,NORMAL_CLEARING")
    feed.end("asked", 60, "send_bye,NORMAL_CLEARING")
    consult, call = feed.calls.values()
    assert (consult.joined, consult.disposition) == ("caller", "unanswered")
    assert (call.transfers, call.attended_transfers) == (1, 0)
    assert feed.leg("asked").role == "offered"
    assert feed.talks("asked") == ([(40, 60)] if is_answered else [])
    assert feed.holds("agent") == feed.holds("caller") == [(20, 30)]


def test_transfer_to_a_colleague_who_answers_as_it_is_completed_is_blind():
    """The calls are joined at the answer; nobody talked in the consult call."""
    feed = Feed()
    feed.talk(at=10)
    feed.consult(20)
    complete_transfer(feed, 30)
    consult, call = feed.calls.values()
    assert (consult.disposition, call.transfers, call.attended_transfers) == ("unanswered", 1, 0)
    assert feed.leg("asked").role == "offered"


def test_answer_on_a_permanent_line_is_the_answer_of_the_call():
    """The line is older than the call and outlives it; then it takes the next call."""
    feed = Feed()
    fields = {"direction": "outbound", "user_id": 1, "calling_number": "media_plug"}
    feed.add("line", 1, SystemOperation(ts=1), answer_timestamp=1, **fields)
    assert feed.calls["line"].purpose == "monitor"
    for number, at in enumerate((10, 50)):
        caller = f"caller {number}"
        feed.caller(caller, at, state=queue(at))
        feed.connect(caller, "line", at + 5)
        call = feed.calls[caller]
        assert (call.answered, call.answered_by.user_id) == (at + 5, 1)
        feed.end(caller, at + 20)
    feed.change("line", state=SystemOperation(ts=90), other_uuid=None)
    feed.end("line", 99)
    calls = feed.calls
    assert [calls[f"caller {number}"].ended for number in (0, 1)] == [30, 70]
    for call in calls.values():
        if call.id.startswith("caller"):
            legs = {leg.uuid: leg for leg in call.legs}
            assert (legs["line"].role, legs["line"].group_id) == ("offered", 9)
            assert periods(legs["line"].talks) == [(call.started + 5, call.started + 20)]
            assert (call.purpose, call.disposition, call.joined) == ("call", "answered", None)
        else:
            assert call.purpose == "monitor"
    assert len(calls) == 4  # two of them are the line's own: before the callers and after them
    assert feed.tracker.is_empty


# -- roles and purposes ---------------------------------------------------------------


def test_picked_up_call_names_who_took_it():
    feed = Feed()
    feed.caller()
    feed.ring("agent", 1, 5)
    feed.dial("taker", 2, 8, SystemOperation(ts=8), called="pickup_uuid.agent")
    feed.end("agent", 9, "send_cancel,PICKED_OFF")
    feed.connect("caller", "taker", 9)
    assert feed.leg("taker").role == "picked_up"
    assert feed.leg("agent").outcome == "picked_up_elsewhere"
    assert feed.calls["caller"].purpose == "call"


@for_each("parked, role", [(True, "retrieved"), (False, "picked_up")])
def test_feature_code_takes_a_call(parked, role):
    """The user's own call becomes a part of the call that they take."""
    feed = Feed()
    feed.talk()
    if parked:
        feed.change("caller", state=Park(ts=20, slot=901, parker_id=1), other_uuid=None)
    else:
        feed.change("caller", state=queue(20), other_uuid=None)
    feed.end("agent", 20)
    feed.dial("taker", 2, 30, SystemOperation(ts=30), called="*8")
    feed.connect("caller", "taker", 31)
    assert feed.leg("taker").role == role
    assert feed.calls["taker"].joined == "caller"


def media_plug(**fields):
    return {"direction": "outbound", "calling_number": "media_plug", **fields}


@for_each(
    "purpose, role, state, fields",
    [
        ("pickup", "picked_up", SystemOperation(ts=1), {"called_number": "pickup_uuid.gone"}),
        ("pickup", "picked_up", SystemOperation(ts=1), {"called_number": "assimilate.gone"}),
        ("pickup", "retrieved", SystemOperation(ts=1), {"called_number": "901"}),
        ("call", "placed", Calling(ts=1), {"called_number": "901"}),
        ("call", "placed", SystemOperation(ts=1), {"called_number": "102"}),
        ("service", "service", SystemOperation(ts=1), {"answer_timestamp": 1}),
        ("service", "service", CheckingVoicemail(ts=1), {}),
        ("call", "service", Conference(ts=1, room_id=1), {}),
        ("monitor", "monitored", Eavesdrop(ts=1, uuid="x"), {}),
        ("monitor", "monitored", Ringing(ts=1), media_plug()),
        ("call", "placed", Ringing(ts=1), {"direction": "outbound", "called_number": "0901111"}),
        ("call", "placed", Ivr(ts=1), {"user_id": None, "peer_location": "external"}),
        ("call", "placed", Conference(ts=1), {"user_id": None, "peer_location": "external"}),
    ],
)
def test_purpose_of_a_call_follows_from_its_first_leg(purpose, role, state, fields):
    feed = Feed()
    fields = {"direction": "inbound", "peer_location": "internal", "user_id": 1, **fields}
    feed.add("a", 1, state, **fields)
    assert (feed.calls["a"].purpose, feed.leg("a").role) == (purpose, role)
    feed.end("a", 5)
    assert (feed.calls["a"].purpose, feed.leg("a").role) == (purpose, role)


def test_refused_pickup_is_no_call():
    feed = Feed()
    feed.dial("a", 1, 1, SystemOperation(ts=1), called="*8")
    feed.end("a", 2, "send_refuse,NO_PICKUP")
    assert (feed.calls["a"].purpose, feed.leg("a").role) == ("pickup", "picked_up")


def test_pickup_of_a_call_that_ended_meanwhile_is_a_pickup():
    feed = Feed()
    feed.caller()
    feed.ring("agent", 1, 5)
    feed.dial("taker", 2, 8, SystemOperation(ts=8), called="pickup_uuid.agent")
    feed.end("agent", 9)
    feed.end("caller", 9, "recv_cancel,ORIGINATOR_CANCEL")
    feed.end("taker", 10)
    assert feed.calls["taker"].purpose == "pickup"
    assert feed.calls["caller"].purpose == "call"


def test_number_like_a_park_slot_that_calls_a_party_is_a_call():
    feed = Feed()
    feed.dial("a", 1, 1, SystemOperation(ts=1), called="901")
    feed.change("a", state=Calling(ts=2, target_type="user", user_id=2))
    assert (feed.calls["a"].purpose, feed.leg("a").role) == ("call", "placed")


def test_user_who_is_moved_into_a_conference_still_placed_the_call():
    feed = Feed()
    feed.consult(1, 5)
    for uuid in ("asking", "asked"):
        feed.change(uuid, state=Conference(ts=9, room_id=1), other_uuid=None)
    assert (feed.leg("asking").role, feed.leg("asked").role) == ("placed", "offered")


def test_number_dialled_during_a_talk_is_a_consult_only_for_that_user():
    feed = Feed()
    feed.talk()
    feed.dial("other", 2, 20)
    assert feed.calls["other"].purpose == "call"


# -- click-to-call --------------------------------------------------------------------


def request(feed, *phones, at=1, **fields):
    """Let the API ring phones of user 1, each as a leg of this uuid."""
    values = {"called_number": "0901111", "origination": ("call_user", "1", "0901111"), **fields}
    for number, uuid in enumerate(phones):
        state = Ringing(ts=at + number)
        fields = {"direction": "outbound", "peer_location": "internal", "user_id": 1, **values}
        feed.add(uuid, at + number, state, **fields)


def call_customer(feed, phone, at):
    """Let the PBX call the customer for a phone that was answered, and connect them."""
    state = Calling(ts=at, target_location="ext", target_type="pstn", address="0901111")
    feed.change(phone, state=state)
    fields = {"direction": "outbound", "peer_location": "external", "other_uuid": phone}
    feed.add("customer", at, Ringing(ts=at), called_number="0901111", **fields)
    feed.connect(phone, "customer", at + 5)


@for_each("answering", ["one", "two"])
@for_each("ends_first", [True, False])
def test_click_to_call_to_several_phones_is_one_call(answering, ends_first):
    """The phone that is answered leads; its answer is not the answer of the call."""
    feed = Feed()
    request(feed, "one", "two")
    losing = "two" if answering == "one" else "one"
    if ends_first:
        feed.end(losing, 9, "send_cancel,LOSE_RACE")
    feed.change(answering, answer_timestamp=9)
    if not ends_first:
        feed.end(losing, 9, "send_cancel,ORIGINATOR_CANCEL")
    (call,) = feed.calls.values()
    assert call.answered is None
    call_customer(feed, answering, 10)
    feed.end("customer", 30, "recv_bye,NORMAL_CLEARING")
    feed.end(answering, 30)
    (call,) = feed.calls.values()
    assert (call.id, call.direction, call.caller.user_id) == ("one", "outbound", 1)
    assert (call.answered, call.answered_by.number, call.ended_by) == (15, "0901111", "callee")
    assert {leg.uuid: (leg.role, leg.outcome) for leg in call.legs} == {
        losing: ("placed", "picked_up_elsewhere"),
        answering: ("placed", "answered"),
        "customer": ("offered", "answered"),
    }
    assert [phase.kind for phase in call.phases] == ["ringing", "ringing", "talking"]
    assert feed.tracker.is_empty


def test_click_to_calls_of_different_requests_are_different_calls():
    feed = Feed()
    request(feed, "one")
    request(feed, "two", called_number="0902222")
    request(feed, "three", user_id=2)
    request(feed, "four", at=3_000_000)
    assert len(feed.calls) == 4


def test_media_plugs_of_one_request_are_one_call():
    feed = Feed()
    request(feed, "one", "two", calling_number="media_plug", called_number="media_plug")
    (call,) = feed.calls.values()
    assert call.purpose == "monitor"


def test_click_to_call_during_a_talk_is_a_consult_call_once_the_user_answers_it():
    feed = Feed()
    feed.talk(at=10)
    request(feed, "phone", at=20)
    assert (feed.calls["phone"].purpose, feed.leg("agent").talking_since) == ("call", 10)
    feed.change("phone", answer_timestamp=25)
    assert (feed.calls["phone"].purpose, feed.leg("agent").talking_since) == ("consult", None)
    assert feed.talks("caller") == [(10, 25)]


# -- bounded legs ---------------------------------------------------------------------


def test_rings_of_one_party_are_merged_beyond_the_limit(monkeypatch):
    """No ring is lost; legs of other parties, and answered ones, stay as they are."""
    monkeypatch.setattr(ended_legs, "MAX_ENDED_LEGS", 3)
    feed = Feed()
    feed.talk(at=10)
    feed.change("caller", state=queue(20), other_uuid=None)
    feed.end("agent", 20)
    for number in range(20):
        at = 100 * (number + 1)
        feed.ring(f"leg {number}", 2 + number % 2, at)
        hangup = "send_cancel,NO_ANSWER" if number == 4 else "recv_refuse,USER_BUSY"
        feed.end(f"leg {number}", at + 10, hangup)
    legs = [leg for leg in feed.tracker.calls["caller"].legs if leg.ended is not None]
    assert [(leg.party.user_id, leg.rings, leg.rang_us, leg.timed_out) for leg in legs] == [
        (1, 1, 5, False),
        (2, 10, 100, True),
        (3, 10, 100, False),
    ]
    assert [(leg.offered, leg.ended) for leg in legs] == [(5, 20), (100, 1910), (200, 2010)]
    assert [leg.outcome for leg in legs] == ["answered", "busy", "busy"]


def test_ended_legs_of_ever_new_parties_are_limited(monkeypatch):
    monkeypatch.setattr(ended_legs, "MAX_ENDED_LEGS", 3)
    feed = Feed()
    feed.caller()
    for number in range(20):
        feed.ring(f"leg {number}", number, 5)
        feed.end(f"leg {number}", 6)
    assert len(feed.tracker.calls["caller"].legs) == 7


# -- simulated calls ------------------------------------------------------------------


def test_simulated_attended_transfer_shares_out_the_talk():
    office = Office()
    lead = office.pbx.receive(YAMADA, DID)
    agent = office.pbx.call_user(lead, office.users[0])
    office.wait(3)
    office.pbx.connect(agent)
    office.wait(10)
    asking = office.pbx.receive(office.users[0], office.users[1].main_extension)
    asked = office.pbx.call_user(asking, office.users[1])
    office.wait(4)
    office.pbx.connect(asked)
    office.wait(6)
    office.pbx.attended_transfer(lead, asked)
    office.wait(20)
    office.pbx.hang_up(lead)
    call = office.ended[-1]
    seconds = {
        leg.uuid: [
            round(sum(one.ended - one.started for one in intervals) / 1e6)
            for intervals in (leg.talks, leg.holds)
        ]
        for leg in call.legs
    }
    assert seconds == {
        agent.uuid: [10, 10],
        asking.uuid: [6, 0],
        lead.uuid: [30, 10],
        asked.uuid: [26, 0],
    }
