"""Transcripts of the simulator's scenarios: events, phases and times of their calls.

A line of a transcript has a moment, the call's number if there are several, and the event. Moments
are counted as the scenario's clock moves on, so that a time is right to the microsecond or wrong.
Users are A, B, …, in order of appearance. After its end a call's phases follow, with their moments.
A scenario that can go several ways has several transcripts.
"""

from __future__ import annotations

import functools

import pytest
from support.call_transcripts import SCENARIOS, Office, Transcriber, unindented
from support.random_pbx import shared_columns

from basix_ws_cti.calls import CallRecord

SEEDS = 12

_IN_THE_QUEUE = """
    0 starts: inbound from customer, ivr main_menu
    1 now queued group
    1 rings at 5 phones
"""

_RETRIEVED = """
    2 answered by A, waited since 0
    3 parked by A
    5 retrieved by {0}, parked since 3
    6 ends: answered by caller, NORMAL_CLEARING
      ivr main_menu 0-1, queued group 1-2, talking A 2-3, parked by A 3-5, talking {0} 5-6
"""

_TALK = """
    0 starts: inbound from customer, ringing A
    0 rings at A
    1 answered by A, waited since 0
"""


def _hunt(tries):
    """Return the transcript of a hunt group whose phone number ``tries`` answers."""
    rings = "".join(f"{number + 1} rings at {'ABCDEFGHIJ'[number]}\n" for number in range(tries))
    last = "ABCDEFGHIJ"[tries - 1]
    return f"""
        0 starts: inbound from customer, ivr main_menu
        1 now queued group
        {rings}{tries + 1} answered by {last}, waited since 0
        {tries + 2} ends: answered by caller, NORMAL_CLEARING
        ivr main_menu 0-1, queued group 1-{tries + 1}, talking {last} {tries + 1}-{tries + 2}
    """


TRANSCRIPTS = {
    "inbound_call": [
        _IN_THE_QUEUE
        + """
        2 answered by A, waited since 0
        3 ends: answered by caller, NORMAL_CLEARING
          ivr main_menu 0-1, queued group 1-2, talking A 2-3
        """,
        _IN_THE_QUEUE + _RETRIEVED.format("A"),
        _IN_THE_QUEUE + _RETRIEVED.format("B"),
    ],
    "parked": [
        _IN_THE_QUEUE + _RETRIEVED.format("A"),
        _IN_THE_QUEUE + _RETRIEVED.format("B"),
    ],
    "hunt": [_hunt(tries) for tries in range(1, 6)],
    "abandoned": [
        _IN_THE_QUEUE
        + """
        2 ends: abandoned in queue by caller, NORMAL_CLEARING
          ivr main_menu 0-1, queued group 1-2
        """
    ],
    "voicemail": [
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 now voicemail A
        2 ends: voicemail by caller, NORMAL_CLEARING
          ringing A 0-1, voicemail A 1-2
        """
    ],
    "direct_call": [
        _TALK
        + f"""
        2 ends: answered by {side}, NORMAL_CLEARING
          ringing A 0-1, talking A 1-2
        """
        for side in ("caller", "callee")
    ],
    "abandoned_ringing": [
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 ends: abandoned in ringing by caller, ORIGINATOR_CANCEL
          ringing A 0-1
        """
    ],
    "no_answer": [
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 ends: missed by pbx, NO_ANSWER 480
          ringing A 0-1
        """
    ],
    "picked_up": [
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        2 answered by B, waited since 0
        3 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-2, talking B 2-3
        """
    ],
    "blind_transfer": [
        _TALK
        + """
        2 transferred by A to B
        2 rings at B
        3 answered by B, waited since 2
        4 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-2, ringing B 2-3, talking B 3-4
        """
    ],
    "attended_transfer": [
        _TALK
        + """
        2 #2 starts: internal from A, ringing B
        2 #2 rings at B
        3 #2 answered by B, waited since 2
        4 #2 ends: answered joined #1
          #2 ringing B 2-3, talking B 3-4
        4 transferred by A to B
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-4, talking B 4-5
        """
    ],
    "after_hours": [
        """
        0 starts: inbound from customer, ivr
        2 now ringing sip:night@voice.example.com
        3 now ringing night@branch.example.com
        4 ends: abandoned in ringing by caller, NORMAL_CLEARING
          ivr 0-2, ringing sip:night@voice.example.com 2-3, ringing night@branch.example.com 3-4
        """
    ],
    "maximum_duration": [
        _TALK
        + """
        3 ends: answered by pbx, ALLOTTED_TIMEOUT
          ringing A 0-1, talking A 1-3
        """
    ],
    "internal_call": [
        f"""
        0 starts: internal from A, ringing B
        0 rings at B
        1 answered by B, waited since 0
        2 ends: answered by {side}, NORMAL_CLEARING
          ringing B 0-1, talking B 1-2
        """
        for side in ("caller", "callee")
    ],
    "outbound_call": [
        f"""
        0 starts: outbound from A, ringing customer
        0 rings at customer
        1 answered by customer, waited since 0
        2 ends: answered by {side}, NORMAL_CLEARING
          ringing customer 0-1, talking customer 1-2
        """
        for side in ("caller", "callee")
    ],
    **{
        scenario: [
            f"""
            0 starts: outbound from A, ringing customer
            0 rings at customer
            1 ends: {ending}
              ringing customer 0-1
            """
        ]
        for scenario, ending in {
            "busy": "busy by callee, USER_BUSY 486",
            "rejected": "rejected by callee, CALL_REJECTED 603",
            "unreachable": "unreachable by callee, NO_USER_RESPONSE 408",
        }.items()
    },
    "click_to_call": [
        """
        0 starts: outbound from A, ringing A
        0 rings at A
        1 now ringing customer
        1 rings at customer
        2 answered by customer, waited since 0
        3 ends: answered by callee, NORMAL_CLEARING
          ringing A 0-1, ringing customer 1-2, talking customer 2-3
        """
    ],
    "checking_voicemail": [
        """
        0 starts: internal from A, other checking_voicemail
        1 ends: answered by caller, NORMAL_CLEARING
          other checking_voicemail 0-1
        """
    ],
    "conference": [
        _TALK
        + """
        2 #2 starts: internal from B, other conference
        3 now conference 8000
        3 #2 now conference 8000
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-3, conference 8000 3-5
        6 #2 ends: answered by caller, NORMAL_CLEARING
          #2 other conference 2-3, conference 8000 3-6
        """
    ],
    "eavesdrop": [
        _TALK
        + """
        2 #2 starts: internal from B, ringing B
        2 #2 rings at B
        3 #2 now other eavesdrop
        4 #2 ends: answered by caller, NORMAL_CLEARING
          #2 ringing B 2-3, other eavesdrop 3-4
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-5
        """
    ],
    "directory_changes": [""],
}


@functools.cache
def play(scenario, seed):
    """Play a scenario in an office of five users; the hunt group needs forty."""
    return Office(seed, users=40 if scenario == "hunt" else 5).play(scenario)


def test_every_scenario_has_a_transcript():
    assert TRANSCRIPTS.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("scenario", TRANSCRIPTS)
def test_scenario_gives_its_transcript(scenario):
    """With any users, a scenario gives one of its transcripts; all of them occur."""
    offices = [play(scenario, seed) for seed in range(SEEDS)]
    expected = {unindented(text) for text in TRANSCRIPTS[scenario]}
    found = {unindented(Transcriber(office).write(office.events)) for office in offices}
    assert found == expected


@pytest.mark.parametrize("scenario", TRANSCRIPTS)
def test_records_of_a_scenario_equal_the_ledger(scenario):
    """Nothing is kept of the calls afterwards."""
    for seed in range(SEEDS):
        office = play(scenario, seed)
        records = [CallRecord.of(call) for call in office.ended]
        assert [shared_columns(record) for record in records] == [
            shared_columns(row) for row in office.pbx.ledger
        ]
        assert all(record.complete for record in records)
        assert not office.tracker.calls
        assert office.tracker.is_empty
