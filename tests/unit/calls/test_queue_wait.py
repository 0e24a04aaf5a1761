"""Waits in queues, derived from the phases and legs of a call.

A row of a table is a call (its phases, its end, who ended it) and its waits. Times are
microseconds; ``g1`` is group 1, ``u7`` user 7.
"""

from __future__ import annotations

import itertools

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.call_builders import call, leg, party
from support.cases import for_each
from support.row_checks import check_sums, check_waits

from basix_ws_cti.calls import QueueWait
from basix_ws_cti.calls.model import UNKNOWN_PARTY


def summaries(one):
    """Return the waits of a call as texts, such as ``"g1 5-20 answered by u7"``."""
    texts = []
    for wait in QueueWait.of(one):
        words = [f"g{wait.group_id}", f"{wait.entered}-{'' if wait.left is None else wait.left}"]
        words.append(wait.result or "waiting")
        if wait.next_group_id is not None:
            words.append(f"to g{wait.next_group_id}")
        if wait.answered_by_user_id is not None:
            words.append(f"by u{wait.answered_by_user_id}")
        assert wait.waited_us == (None if wait.left is None else wait.left - wait.entered)
        texts.append(" ".join(words))
    return texts


@for_each(
    "text, expected",
    {
        # no queue
        "0 ivr, 5 ringing u7, 9 talking u7": [],
        # an answer, also by somebody who is no user
        "0 ivr, 5 queued g1, 20 talking u7": ["g1 5-20 answered by u7"],
        "0 queued g1, 20 talking 0661112222": ["g1 0-20 answered"],
        # the next phase takes the call out of the queue
        "0 queued g1, 20 queued g2, 30 talking u7": [
            "g1 0-20 overflowed to g2",
            "g2 20-30 answered by u7",
        ],
        "0 queued g1, 20 ringing u7, 30 talking u7": ["g1 0-20 overflowed"],
        "0 queued g1, 20 ringing 0661112222": ["g1 0-20 overflowed"],
        "0 queued g1, 20 parked, 30 talking u7": ["g1 0-20 overflowed"],
        "0 queued g1, 20 voicemail g1": ["g1 0-20 voicemail"],
        "0 queued g1, 20 conference": ["g1 0-20 ended"],
        # phases that a gap in the feed hides
        "0 queued g1, 20 unknown, 30 talking u7": ["g1 0-20 unknown"],
        "0 unknown, 10 queued g1, 20 talking u7": ["g1 10-20 answered by u7"],
        # a return to the same group
        "0 queued g1, 20 other, 25 queued g1, 45 talking u7": ["g1 0-45 answered by u7"],
        "0 queued g1, 20 ivr, 25 other, 30 queued g1, 45 voicemail": ["g1 0-45 voicemail"],
        "0 queued g1, 20 queued g1, 45 talking u7": ["g1 0-45 answered by u7"],
        "0 queued g1, 20 talking u7, 30 queued g1, 45 talking u7": [
            "g1 0-20 answered by u7",
            "g1 30-45 answered by u7",
        ],
        "0 queued g1, 20 queued g2, 30 queued g1, 45 talking u7": [
            "g1 0-20 overflowed to g2",
            "g2 20-30 overflowed to g1",
            "g1 30-45 answered by u7",
        ],
        "0 queued g1, 20 ringing u7, 30 queued g1, 45 talking u7": [
            "g1 0-20 overflowed",
            "g1 30-45 answered by u7",
        ],
        "0 queued g1, 20 parked, 30 queued g1, 45 talking u7": [
            "g1 0-20 overflowed",
            "g1 30-45 answered by u7",
        ],
        # a menu or an announcement, and then something else
        "0 queued g1, 20 other, 25 talking u7": ["g1 0-25 answered by u7"],
        "0 queued g1, 20 ivr, 25 queued g2, 30 talking u7": [
            "g1 0-20 overflowed to g2",
            "g2 25-30 answered by u7",
        ],
        "0 queued g1, 20 ivr, 25 ringing u7, 30 talking u7": ["g1 0-20 overflowed"],
        "0 queued g1, 20 ivr, 25 voicemail": ["g1 0-20 voicemail"],
        "0 queued g1, 20 ivr, 25 unknown, 30 talking u7": ["g1 0-20 unknown"],
        # a group that the PBX does not name
        "0 queued, 20 talking u7": [],
        "0 queued g1, 20 queued, 30 queued g1, 40 talking u7": [
            "g1 0-20 overflowed",
            "g1 30-40 answered by u7",
        ],
        # no time at all
        "5 queued g1, 5 talking u7": ["g1 5-5 answered by u7"],
        "0 queued g1, 5 ivr, 5 queued g1, 5 queued g2": [
            "g1 0-5 overflowed to g2",
            "g2 5-60 abandoned",
        ],
    }.items(),
)
def test_next_phase_decides_how_a_wait_ended(text, expected):
    """The call ends at 60: if it still waits then, the caller hung up."""
    last = call(text).phase
    abandoned_in = "queue" if last.kind == "queued" else None
    assert summaries(call(text, 60, by="caller", abandoned_in=abandoned_in)) == expected


@for_each(
    "text, fields, expected",
    [
        # the caller hangs up, whatever came before
        ("0 queued g1", {"abandoned_in": "queue"}, ["g1 0-60 abandoned"]),
        (
            "0 queued g1, 20 queued g2",
            {"abandoned_in": "queue"},
            ["g1 0-20 overflowed to g2", "g2 20-60 abandoned"],
        ),
        (
            "0 ringing u7, 5 talking u7, 9 queued g1",
            {"abandoned_in": "queue"},
            ["g1 9-60 abandoned"],
        ),
        ("0 queued g1, 20 other", {"abandoned_in": "queue"}, ["g1 0-60 abandoned"]),
        ("0 queued g1, 20 ivr", {"abandoned_in": "ivr"}, ["g1 0-60 abandoned"]),
        ("0 queued g1, 20 ringing u7", {"abandoned_in": "ringing"}, ["g1 0-20 overflowed"]),
        ("0 queued g1, 20 parked", {"abandoned_in": "parked"}, ["g1 0-20 overflowed"]),
        # the PBX ends the call
        ("0 queued g1", {"by": "pbx"}, ["g1 0-60 ended"]),
        ("0 queued g1, 20 ivr", {"by": "pbx"}, ["g1 0-20 ended"]),
        # a phone of the group refuses the call, and the PBX ends it for the same cause
        ("0 queued g1", {"by": "callee", "disposition": "busy"}, ["g1 0-60 ended"]),
        # nobody sees the end
        ("0 queued g1", {"by": None}, ["g1 0-60 unknown"]),
        ("0 ringing u7, 5 talking u7, 9 queued g1", {"by": None}, ["g1 9-60 unknown"]),
        ("0 queued g1, 20 other", {"by": None}, ["g1 0-20 unknown"]),
    ],
)
def test_end_of_the_call_ends_a_wait(text, fields, expected):
    assert summaries(call(text, 60, **{"by": "caller", **fields})) == expected


@for_each(
    "text, fields, expected",
    [
        (
            "5 talking 0661112222, 20 queued g1",
            {"by": "callee", "abandoned_in": "queue"},
            "abandoned",
        ),
        ("5 talking 0661112222, 20 queued g1", {"by": "pbx"}, "ended"),
        # A phone of the group refuses.
        ("5 talking 0661112222, 20 queued g1", {"by": "callee"}, "ended"),
        # The user gives up before an answer: such a call has no ``abandoned_in``.
        ("20 queued g1", {"by": "caller", "disposition": "unanswered"}, "abandoned"),
        ("20 queued g1", {"by": "pbx", "disposition": "unanswered"}, "ended"),
    ],
)
def test_party_that_hangs_up_in_a_queue_abandons_the_wait_of_an_outbound_call(
    text, fields, expected
):
    one = call(f"0 ringing 0661112222, {text}", 60, direction="outbound", **fields)
    assert summaries(one) == [f"g1 20-60 {expected}"]


@for_each(
    "taken_by, expected",
    [
        (party("u7"), "g1 20-60 answered by u7"),
        (party("0661112222"), "g1 20-60 answered"),
        (UNKNOWN_PARTY, "g1 20-60 answered"),
        (None, "g1 20-60 overflowed"),
    ],
)
def test_wait_that_lasts_when_the_call_is_joined_is_answered_by_who_talks(taken_by, expected):
    assert summaries(call("0 ivr, 20 queued g1", 60, joined="other", taken_by=taken_by)) == [
        expected
    ]


def test_waits_before_a_call_is_joined_keep_their_results():
    one = call("0 queued g1, 20 queued g2, 30 talking u7", 60, joined="other")
    assert summaries(one) == ["g1 0-20 overflowed to g2", "g2 20-30 answered by u7"]


@for_each(
    "text, expected",
    [
        ("0 ivr, 5 queued g1", ["g1 5- waiting"]),
        ("0 queued g1, 20 queued g2", ["g1 0-20 overflowed to g2", "g2 20- waiting"]),
        ("0 queued g1, 20 other", ["g1 0- waiting"]),
        ("0 queued g1, 20 talking u7", ["g1 0-20 answered by u7"]),
    ],
)
def test_call_in_progress_has_waits_that_last(text, expected):
    """During an announcement the call may still return to the queue."""
    one = call(text)
    assert summaries(one) == expected
    assert not any(wait.complete for wait in QueueWait.of(one))


@for_each("complete", [False, True])
def test_waits_of_an_ended_call_are_as_complete_as_the_call(complete):
    one = call("0 queued g1, 20 queued g2, 30 talking u7", 60, complete=complete)
    assert [wait.complete for wait in QueueWait.of(one)] == [complete, complete]


KINDS = ["queued g1", "queued g2", "ivr", "other", "talking u7", "ringing u7", "parked", "unknown"]
PHASES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), min_size=1, max_size=12)
ENDS = st.sampled_from(
    [
        {"by": None},
        {"by": "pbx"},
        {"by": "caller", "abandoned_in": "queue"},
        {"joined": "other"},
        {"joined": "other", "taken_by": party("u9")},
        {"by": "callee", "direction": "outbound", "abandoned_in": "queue"},
        {"by": "caller", "direction": "outbound", "disposition": "unanswered"},
    ]
)


@settings(max_examples=30)
@given(PHASES, ENDS)
def test_waits_of_any_phases_are_those_that_a_pattern_finds(steps, fields):
    """They lie within the call, and do not overlap."""
    starts = itertools.accumulate([duration for _, duration in steps], initial=0)
    text = ", ".join(f"{start} {kind}" for (kind, _), start in zip(steps, starts, strict=False))
    one = call(text, sum(duration for _, duration in steps), **fields)
    check_waits(one)
    check_sums([one])


def test_rings_are_counted_in_the_wait_in_which_they_began():
    """A leg counts for the queue of its group only; of waits that touch, for the later one."""
    text = "0 queued g1, 20 talking u7, 30 queued g1, 40 queued g2, 50 queued g1"
    legs = (
        leg("u7", 0, 20, group_id=1, rings=1),
        leg("u8", 0, 9, group_id=1, rings=1),
        leg("u8", 15, 20, group_id=1, rings=3),  # merged legs
        leg("u9", 15, 20, rings=1),  # another phone, which no queue rang
        leg("u7", 25, 26, group_id=1, rings=1),  # between the waits
        leg("u8", 30, 35, group_id=1, rings=1),
        leg("u9", 40, 45, group_id=2, rings=1),
        leg("u9", 50, 55, group_id=1, rings=2),
        leg("u6", None, 55, group_id=1, rings=1),  # nobody knows when it rang
    )
    one = call(text, 60, by="caller", abandoned_in="queue", legs=legs)
    waits = [(wait.group_id, wait.entered, wait.rings) for wait in QueueWait.of(one)]
    assert waits == [(1, 0, 5), (1, 30, 1), (2, 40, 1), (1, 50, 2)]


def test_rings_of_waits_that_touch_count_for_the_later_one():
    legs = [leg("u7", 20, 25, group_id=1, rings=1)]
    one = call("0 queued g1, 20 parked, 20 queued g1", legs=tuple(legs))
    assert [wait.rings for wait in QueueWait.of(one)] == [0, 1]


def test_ring_during_an_announcement_counts_for_the_wait():
    legs = (leg("u7", 22, 30, group_id=1, rings=1),)
    one = call("0 queued g1, 20 other, 25 queued g1, 30 talking u7", 60, by="caller", legs=legs)
    assert [wait.rings for wait in QueueWait.of(one)] == [1]


def test_ring_in_a_wait_that_lasts_is_counted():
    one = call("0 queued g1", legs=(leg("u7", 500, group_id=1, rings=1),))
    assert [wait.rings for wait in QueueWait.of(one)] == [1]


def test_row_is_a_dict_of_json_values():
    one = call("0 queued g1, 20 queued g2", 60, by="pbx", purpose="consult")
    rows = [wait.to_dict() for wait in QueueWait.of(one)]
    assert rows[0] == {
        "call_id": "call",
        "group_id": 1,
        "entered": 0,
        "left": 20,
        "waited_us": 20,
        "result": "overflowed",
        "next_group_id": 2,
        "answered_by_user_id": None,
        "rings": 0,
        "entered_by_transfer": False,
        "purpose": "consult",
        "complete": True,
    }
    assert [*rows[1]] == [attribute.name for attribute in attrs.fields(QueueWait)]
