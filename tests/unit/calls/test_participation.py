"""Participations, derived from the legs of a call.

Times are microseconds; ``u7`` is user 7, other words are numbers outside.
"""

from __future__ import annotations

import itertools

import attrs
from support.call_builders import CUSTOMER, call, leg
from support.cases import for_each

from basix_ws_cti.calls import Leg, Participation, Party
from basix_ws_cti.elements import Hangup


def rows(*legs, text="0 ringing u7", ended=100, **fields):
    """Return the participations of an ended call, by the party's name."""
    if ended is not None:
        fields = {"by": "caller"} | fields
    made = Participation.of(call(text, ended, legs=legs, **fields))
    return {f"u{row.user_id}" if row.number is None else row.number: row for row in made}


def row(*legs, **fields):
    """Return the only participation of an ended call."""
    (only,) = rows(*legs, **fields).values()
    return only


RANG = {"group_id": 1, "rings": 1}
MISSED = RANG | {"outcome": "missed", "timed_out": True}


@for_each(
    "legs, result",
    [
        # one ring
        ([leg("u7", 0, 9, **MISSED)], "missed"),
        ([leg("u7", 0, 9, **RANG, outcome="abandoned")], "abandoned"),
        ([leg("u7", 0, 9, **RANG, outcome="busy")], "busy"),
        ([leg("u7", 0, 9, **RANG, outcome="rejected")], "rejected"),
        ([leg("u7", 0, 9, **RANG, outcome="picked_up_elsewhere")], "picked_up_elsewhere"),
        ([leg("u7", 0, 9, **RANG, outcome="failed")], "failed"),
        ([leg("u7", 0, 9, **RANG, outcome="unreachable")], "failed"),
        ([leg("u7", 0, 9, **RANG, outcome="unknown")], "unknown"),
        ([leg("u7", 0, 9, **RANG)], "unknown"),
        # several rounds: a talk comes before a miss, a miss before the last ring
        ([leg("u7", 0, 9, **MISSED), leg("u7", 20, 29, **MISSED)], "missed"),
        ([leg("u7", 0, 9, **MISSED), leg("u7", 20, 90, **RANG, talks=[(30, 90)])], "answered"),
        ([leg("u7", 0, 9, **MISSED), leg("u7", 20, 29, **RANG, outcome="abandoned")], "missed"),
        (
            [leg("u7", 0, 9, **MISSED), leg("u7", 20, 29, **RANG, outcome="picked_up_elsewhere")],
            "missed",
        ),
        (
            [
                leg("u7", 0, 9, **RANG, outcome="rejected"),
                leg("u7", 20, 29, **RANG, outcome="abandoned"),
            ],
            "abandoned",
        ),
        # merged legs, one of whose rings timed out
        ([leg("u7", 0, 9, rings=40, outcome="picked_up_elsewhere", timed_out=True)], "missed"),
        # two phones at once: the one that rang on decides
        (
            [
                leg("u7", 0, 40, uuid="a", **RANG, outcome="abandoned"),
                leg("u7", 1, 3, uuid="b", **RANG, outcome="rejected"),
            ],
            "abandoned",
        ),
        (
            [
                leg("u7", 0, 40, uuid="a", **RANG, answered=5, talks=[(5, 40)]),
                leg("u7", 0, 5, uuid="b", **RANG, outcome="picked_up_elsewhere"),
            ],
            "answered",
        ),
        # answered, and over at once
        ([leg("u7", 0, 9, **RANG, answered=9, outcome="answered", talks=[(9, 9)])], "answered"),
        # consulted, picked up
        ([leg("u7", 0, 90, role="consulted", rings=1, talks=[(5, 90)])], "answered"),
        ([leg("u7", 0, 90, role="picked_up", answered=1, talks=[(2, 90)])], "answered"),
        ([leg("u7", 0, 90, role="retrieved", answered=1, talks=[(2, 90)])], "answered"),
        ([leg("u7", 0, 5, role="picked_up", answered=1, outcome="answered")], "failed"),
        ([leg("u7", 0, 5, role="retrieved", outcome="failed")], "failed"),
        # placed
        ([leg("u7", 0, 90, role="placed", answered=5, talks=[(5, 90)])], "answered"),
        ([leg("u7", 0, 90, role="placed", outcome="unanswered")], "unanswered"),
        ([leg("u7", 0, 90, role="placed", answered=1, outcome="answered")], "unanswered"),
        ([leg("u7", 0, 90, role="placed", outcome="busy")], "unanswered"),
        # placed, and called back afterwards: the ring counts
        (
            [leg("u7", 0, 5, role="placed", outcome="unanswered"), leg("u7", 6, 9, **MISSED)],
            "missed",
        ),
        # services and eavesdropping
        ([leg("u7", 0, 90, role="service", answered=3, outcome="answered")], "answered"),
        ([leg("u7", 0, 90, role="service", outcome="failed")], "unanswered"),
        ([leg("u7", 0, 90, role="monitored", answered=3, outcome="answered")], "answered"),
        ([leg("u7", 0, 90, role="monitored", rings=1, outcome="missed")], "unanswered"),
    ],
)
def test_result_of_a_party(legs, result):
    """The order in which the call lists its legs does not matter."""
    for order in itertools.permutations(legs):
        assert row(*order).result == result


HUNG_UP = Hangup("recv_cancel", "ORIGINATOR_CANCEL")
CLEARED = Hangup("send_bye", "NORMAL_CLEARING")


@for_each(
    "callers, result",
    [
        # the caller hung up, an instant before or after the PBX cancelled the ring
        ([leg("0312341234", 0, 99_000, role="placed", hangup=HUNG_UP)], "abandoned"),
        ([leg("0312341234", 0, 1, role="placed", hangup=HUNG_UP)], "abandoned"),
        # the party that waited was called, and talked before
        ([leg("0312341234", 0, 9, talks=[(2, 4)], hangup=HUNG_UP)], "abandoned"),
        # the caller stayed: the call went to somebody else
        ([leg("0312341234", 0, 200_000, role="placed", hangup=HUNG_UP)], "missed"),
        ([leg("0312341234", 0, role="placed")], "missed"),
        # the PBX ended the call
        ([leg("0312341234", 0, 9, role="placed", hangup=CLEARED)], "missed"),
        # another phone that rang refused the call
        (
            [
                leg("0312341234", 0, 200_000, role="placed", hangup=HUNG_UP),
                leg("u8", 0, 9, hangup=Hangup("recv_refuse", "USER_BUSY")),
            ],
            "missed",
        ),
        # an agent hung up, the caller went back to the queue, and from there to somebody else
        (
            [
                leg("0312341234", 0, 200_000, role="placed", hangup=HUNG_UP),
                leg("u8", -9, 0, talks=[(-5, 0)], hangup=HUNG_UP),
            ],
            "missed",
        ),
        # the feed does not show the leg of the caller
        ([], "abandoned"),
        ([leg("u8", 0, 9, **RANG, outcome="abandoned")], "abandoned"),
    ],
)
def test_cancelled_ring_is_abandoned_if_the_caller_hung_up_then(callers, result):
    cancelled = leg("u7", 0, 9, **RANG, rang_us=9, outcome="abandoned")
    assert rows(*callers, cancelled)["u7"].result == result


def test_ring_of_zero_length_is_abandoned_if_the_caller_hung_up_then():
    caller = leg("0312341234", 0, 9, role="placed", hangup=HUNG_UP)
    cancelled = leg("u7", 9, 9, **RANG, outcome="abandoned")
    assert rows(caller, cancelled)["u7"].result == "abandoned"


@for_each("ended, result", [(9, "abandoned"), (200_000, "failed")])
def test_phone_that_is_answered_without_a_talk_has_not_answered(ended, result):
    """The caller hung up at the same moment, or the PBX could not connect them."""
    caller = leg("0312341234", 0, ended, role="placed", hangup=HUNG_UP)
    made = rows(caller, leg("u7", 0, 9, **RANG, answered=9, outcome="answered"))["u7"]
    assert (made.result, made.answered) == (result, None)


def test_result_of_a_placed_call_is_unknown_if_no_hang_up_was_seen():
    assert row(leg("u7", 0, 9, role="placed", outcome="unknown")).result == "unknown"
    two = [leg("u7", 0, 9, role="placed", outcome=word) for word in ("unknown", "unanswered")]
    assert row(*two).result == "unanswered"


def test_every_user_and_every_number_has_one_row():
    """In the order of their first legs; numbers are compared as the PBX sent them."""
    legs = (
        leg("0312341234", 0, 90, role="placed", talks=[(10, 90)]),
        leg("u8", 2, 9, **MISSED),
        leg("u7", 1, 9, **MISSED),
        leg("u8", 11, 90, **RANG, talks=[(20, 90)]),
        leg("03-1234-1234", 12, 15, rings=1, outcome="busy"),
    )
    made = rows(*legs)
    assert [*made] == ["0312341234", "u7", "u8", "03-1234-1234"]
    assert [one.role for one in made.values()] == ["placed", "offered", "offered", "offered"]
    assert [one.result for one in made.values()] == ["answered", "missed", "answered", "busy"]
    assert [*rows(*reversed(legs))] == [*made]


def test_party_without_id_and_number_has_no_row():
    nobody = [Leg(uuid="a", party=Party()), Leg(uuid="b", party=Party(group_id=1))]
    assert rows(*nobody) == {}


def test_user_with_a_number_is_a_user():
    both = Leg(uuid="a", party=Party(user_id=7, number="101"), offered=1, ended=9)
    made = row(both)
    assert (made.user_id, made.number) == (7, None)


@for_each("party", [Party(user_id=["7"]), Party(number=7)])
def test_ids_and_numbers_of_other_types_count_as_absent(party):
    assert rows(Leg(uuid="a", party=party)) == {}


def test_row_sums_up_the_rings_of_a_user():
    """Two phones that ring at once count once in ``rang_us``; merged legs are added."""
    made = row(
        leg("u7", 0, 9, uuid="a", **MISSED, rang_us=9),
        leg("u7", 2, 12, uuid="b", **MISSED, rang_us=10),
        leg("u7", 20, 60, group_id=1, rings=3, rang_us=15, timed_out=True),
        leg("u7", 70, 90, group_id=2, rings=1, rang_us=5, answered=75, talks=[(75, 90)]),
    )
    assert (made.rings, made.rang_us) == (6, 12 + 15 + 5)
    assert (made.first_offered, made.answered, made.left) == (0, 75, 90)
    assert (made.group_id, made.result, made.talked_us) == (2, "answered", 15)


def test_ring_without_a_time_of_offer_ends_with_its_leg():
    made = row(
        leg("u7", None, 12, uuid="a", **MISSED, rang_us=10), leg("u7", 4, 9, **MISSED, rang_us=5)
    )
    assert made.rang_us == 10
    assert made.first_offered == 4


def test_group_is_the_first_one_that_offered_the_call():
    made = row(
        leg("u7", 0, 9, rings=1, outcome="busy"),
        leg("u7", 10, 19, rings=1, group_id=2, outcome="busy"),
        leg("u7", 20, 29, rings=1, group_id=1, outcome="busy"),
    )
    assert (made.group_id, made.rings) == (2, 3)


def test_talk_that_a_consult_shares_with_its_call_counts_once():
    """The rest of the consult, in which neither leg talks, is held time."""
    made = row(
        leg("u7", 0, 60, rings=1, talks=[(5, 20), (50, 60)], holds=[(20, 50)]),
        leg("u7", 20, 52, role="placed", talks=[(30, 52)]),
    )
    assert made.role == "offered"
    assert (made.talked_us, made.held_us) == ((20 - 5) + (60 - 30), 30 - 20)
    assert made.answered == 5


def test_customer_who_is_parked_and_waits_during_a_consult_is_held():
    made = row(
        leg(
            "0312341234",
            0,
            90,
            role="placed",
            talks=[(5, 20), (60, 90)],
            holds=[(20, 30), (30, 60)],
        )
    )
    assert (made.talked_us, made.held_us) == (45, 40)


def test_party_that_talks_now_has_answered():
    """Only ended talk counts in ``talked_us``."""
    made = row(leg("u7", 0, answered=5, rings=1, talks=[(5, 20)], talking_since=30), ended=None)
    assert (made.result, made.answered, made.talked_us, made.left) == ("answered", 5, 15, None)
    made = row(leg("u7", 0, answered=5, rings=1, talking_since=6), ended=None)
    assert (made.result, made.answered, made.talked_us) == ("answered", 6, 0)


@for_each(
    "legs, result, left",
    [
        ([leg("u7", 0, rings=1)], None, None),
        ([leg("u7", 0, 9, **MISSED), leg("u7", 20, **RANG)], None, None),
        ([leg("u7", 0, role="placed", answered=1)], None, None),
        ([leg("u7", 0, 9, **MISSED)], "missed", 9),
        ([leg("u7", 0, role="service", answered=3)], "answered", None),
    ],
)
def test_party_of_a_call_in_progress(legs, result, left):
    """The result is None while one of the party's legs lives, and the party has not talked."""
    made = row(*legs, ended=None)
    assert (made.result, made.left, made.complete) == (result, left, False)


@for_each("complete", [False, True])
def test_row_of_an_ended_call_is_as_complete_as_the_call(complete):
    assert row(leg("u7", 0, 9, **MISSED), complete=complete).complete is complete


def test_joined_call_has_no_rows():
    assert rows(leg("u7", 0, 9, **MISSED), joined="other") == {}


@for_each(
    "caller, disposition, result",
    [
        (CUSTOMER, "answered", ("answered", 7)),
        (CUSTOMER, "abandoned", ("unanswered", None)),
        (Party(user_id=7), "answered", ("unanswered", None)),
    ],
)
def test_caller_who_reached_a_conference_has_answered(caller, disposition, result):
    """Nobody talked to them; the call counts as answered, from the start of the conference."""
    placed = leg("0312341234", 0, 90, role="placed", answered=2, outcome="answered")
    made = row(placed, text="0 ivr, 7 conference", caller=caller, disposition=disposition)
    assert (made.result, made.answered) == result


@for_each(
    "one",
    [
        leg("u7", 10, 5, **MISSED, rang_us=-5),
        leg("u7", 10, 5, **MISSED),
        leg("u7", 10, 20, rings=1, answered=25, talks=[(25, 20)], outcome="answered"),
        leg("u7", 10, 60, rings=1, answered=20, talks=[(20, 15)], holds=[(50, 40)]),
    ],
)
def test_durations_that_a_clock_step_made_negative_are_zero(one):
    made = row(one, clock_adjusted=True)
    assert made.clock_adjusted
    assert (made.rang_us, made.talked_us, made.held_us) == (0, 0, 0)
    assert not row(leg("u7", 10, 60, rings=1, answered=20, talks=[(20, 60)])).clock_adjusted


@for_each(
    "text, results",
    [
        ("0 queued g1, 9 talking u7", ["answered", "answered", None]),
        ("0 queued g1", [None, None, None]),
        ("0 queued g1, 9 talking u9", ["answered", None, None]),
    ],
)
def test_talk_of_a_call_in_progress_shows_on_one_leg_first(text, results):
    """The call talks already, and the agent's own leg still rings."""
    legs = [
        leg(CUSTOMER.number, role="placed"),
        leg("u7", 5, **RANG),
        leg("u8", 5, **RANG),
    ]
    made = Participation.of(call(text, legs=legs))
    assert [one.result for one in made] == results
    assert {one.answered for one in made if one.result} <= {9}


def test_row_is_a_dict_of_json_values():
    made = row(leg("u7", 0, 9, **MISSED, rang_us=9)).to_dict()
    assert made == {
        "call_id": "call",
        "user_id": 7,
        "number": None,
        "role": "offered",
        "group_id": 1,
        "result": "missed",
        "rings": 1,
        "rang_us": 9,
        "talked_us": 0,
        "held_us": 0,
        "transfers_out": 0,
        "transfers_in": 0,
        "first_offered": 0,
        "answered": None,
        "left": 9,
        "complete": True,
        "clock_adjusted": False,
        "direction": "inbound",
        "purpose": "call",
    }
    assert [*made] == [attribute.name for attribute in attrs.fields(Participation)]
