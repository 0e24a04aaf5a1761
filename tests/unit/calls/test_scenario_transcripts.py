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
    3 has legs of {0}
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


def _rounds(number, *, answered):
    """Return the transcript of a ring group whose phones ring in this number of rounds."""
    rings = "".join(f"{2 * round_ + 1} rings at 5 phones\n" for round_ in range(number))
    end = 2 * number
    if answered:
        ending = f"""
            {end} answered by A, waited since 0
            {end + 1} ends: answered by caller, NORMAL_CLEARING
            ivr main_menu 0-1, queued group 1-{end}, talking A {end}-{end + 1}
        """
    else:
        ending = f"""
            {end} ends: missed by pbx, NORMAL_CLEARING
            ivr main_menu 0-1, queued group 1-{end}
        """
    return f"""
        0 starts: inbound from customer, ivr main_menu
        1 now queued group
        {rings}{ending}
    """


def _announcements(number, ending):
    """Return the transcript of a wait with announcements, which ends at moment ``{0}``."""
    text = "0 starts: inbound from customer, ivr main_menu\n"
    phases = ["ivr main_menu 0-1"]
    for begin in range(1, 2 * number, 2):
        text += f"{begin} now queued group\n{begin} rings at 5 phones\n"
        text += f"{begin + 1} now other playback\n"
        phases += [f"queued group {begin}-{begin + 1}", f"other playback {begin + 1}-{begin + 2}"]
    end = 2 * number + 1
    if ending != "left":
        text += f"{end} now queued group\n{end} rings at 5 phones\n"
        phases.append(f"queued group {end}-{end + 1}")
        end += 1
    if ending == "answered":
        text += f"{end} answered by A, waited since 0\n"
        text += f"{end + 1} ends: answered by caller, NORMAL_CLEARING\n"
        phases.append(f"talking A {end}-{end + 1}")
    else:
        text += f"{end} ends: abandoned in queue by caller, NORMAL_CLEARING\n"
    return text + ", ".join(phases)


def _overflow(phones, ending):
    return f"""
        0 starts: inbound from customer, ivr main_menu
        1 now queued group
        1 rings at 10 phones
        2 now queued group
        2 rings at {phones}
        {ending}
    """


def _forwarded(*parties, voicemail=None):
    """Return the transcript of a call that rings at these parties; the last one answers."""
    text = f"0 starts: inbound from customer, ringing {parties[0]}\n0 rings at {parties[0]}\n"
    phases = []
    for number, party in enumerate(parties):
        if number:
            text += f"{number} now ringing {party}\n{number} rings at {party}\n"
        phases.append(f"ringing {party} {number}-{number + 1}")
    end = len(parties)
    if voicemail:
        text += f"{end} now voicemail {voicemail}\n"
        text += f"{end + 1} ends: voicemail by caller, NORMAL_CLEARING\n"
        phases.append(f"voicemail {voicemail} {end}-{end + 1}")
    else:
        text += f"{end} answered by {parties[-1]}, waited since 0\n"
        text += f"{end + 1} ends: answered by caller, NORMAL_CLEARING\n"
        phases.append(f"talking {parties[-1]} {end}-{end + 1}")
    return text + ", ".join(phases)


_CONSULT = (
    _TALK
    + """
    2 #2 starts: internal from A, ringing B
    2 #2 rings at B
"""
)

_CONSULT_IN_QUEUE = (
    _TALK
    + """
    2 #2 starts: internal from A, queued group
    2 #2 rings at 4 phones
"""
)

_ABANDONED = """
    0 starts: inbound from customer, ivr main_menu
    1 now queued group
    1 rings at 5 phones
    2 ends: abandoned in queue by caller, NORMAL_CLEARING
      ivr main_menu 0-1, queued group 1-2
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
        0 has legs of B
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
        2 #2 has changed
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
    "ring_rounds": [
        *(_rounds(number, answered=True) for number in (2, 3, 4)),
        *(_rounds(number, answered=False) for number in (2, 3)),
    ],
    "overflow": [
        *(
            _overflow(
                phones,
                """
                3 ends: abandoned in queue by caller, NORMAL_CLEARING
                  ivr main_menu 0-1, queued group 1-2, queued group 2-3
                """,
            )
            for phones in ("A", "10 phones")
        ),
        *(
            _overflow(
                phones,
                """
                3 now voicemail group
                4 ends: voicemail by caller, NORMAL_CLEARING
                  ivr main_menu 0-1, queued group 1-2, queued group 2-3, voicemail group 3-4
                """,
            )
            for phones in ("A", "10 phones")
        ),
        _overflow(
            "10 phones",
            """
            3 answered by A, waited since 0
            4 ends: answered by caller, NORMAL_CLEARING
              ivr main_menu 0-1, queued group 1-2, queued group 2-3, talking A 3-4
            """,
        ),
    ],
    "announcement": [
        _announcements(1, "answered"),
        _announcements(2, "answered"),
        _announcements(1, "abandoned"),
        _announcements(2, "abandoned"),
        _announcements(1, "left"),
        _announcements(1, "left").replace("abandoned in queue by caller", "missed by pbx"),
    ],
    "callback": [
        _ABANDONED
        + """
        3 #2 starts: outbound from A, ringing customer
        3 #2 rings at customer
        4 #2 answered by customer, waited since 3
        5 #2 ends: answered by caller, NORMAL_CLEARING
          #2 ringing customer 3-4, talking customer 4-5
        """,
        _ABANDONED
        + """
        3 #2 starts: outbound from A, ringing customer
        3 #2 rings at customer
        4 #2 ends: unanswered by caller, ORIGINATOR_CANCEL
          #2 ringing customer 3-4
        """,
    ],
    "two_phones_ring": [
        """
        0 starts: inbound from customer, ringing A
        0 rings at 2 phones
        1 answered by A, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-2
        """,
        """
        0 starts: inbound from customer, ringing A
        0 rings at 2 phones
        1 ends: missed by pbx, NO_ANSWER 480
          ringing A 0-1
        """,
    ],
    "closed": [
        """
        0 starts: inbound from customer, ivr main_menu
        1 ends: ended_in_menu by pbx, NORMAL_CLEARING
          ivr main_menu 0-1
        """
    ],
    "short_voicemail": [_forwarded("A", voicemail="A")],
    "not_routed": [
        f"""
        0 starts: inbound from customer, other route
        1 ends: {ending}
          other route 0-1
        """
        for ending in (
            "abandoned in ringing by caller, ORIGINATOR_CANCEL",
            "rejected by pbx, CALL_REJECTED 603",
            "failed by pbx, UNALLOCATED_NUMBER 404",
        )
    ],
    "forwarded": [
        _forwarded(
            "A", voicemail="A"
        ),  # the user called forwards always, and no phone of theirs rings
        _forwarded("A", "B", voicemail="B"),
        _forwarded("A", "B"),
        _forwarded("A", "customer"),
        _forwarded("A", "B", "A"),
        _forwarded("A", "B", "C"),
        _forwarded("A", "B", "customer"),
    ],
    "returned_to_queue": [
        _IN_THE_QUEUE
        + f"""
        2 answered by A, waited since 0
        3 transferred by A to group
        3 rings at 5 phones
        4 answered by {user}, waited since 3
        5 ends: answered by caller, NORMAL_CLEARING
          ivr main_menu 0-1, queued group 1-2, talking A 2-3, queued group 3-4, talking {user} 4-5
        """
        for user in "AB"
    ],
    "transferred_and_abandoned": [
        _TALK
        + """
        2 transferred by A to group
        2 rings at 5 phones
        3 ends: answered then abandoned in queue by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-2, queued group 2-3
        """
    ],
    "transferred_outside": [
        *(
            _TALK
            + f"""
            2 transferred by A to customer
            2 rings at customer
            3 answered by customer, waited since 2
            4 ends: answered by {side}, NORMAL_CLEARING
              ringing A 0-1, talking A 1-2, ringing customer 2-3, talking customer 3-4
            """
            for side in ("caller", "callee")
        ),
        _TALK
        + """
        2 transferred by A to customer
        2 rings at customer
        3 ends: answered by pbx, NO_ANSWER
          ringing A 0-1, talking A 1-2, ringing customer 2-3
        """,
    ],
    "abandoned_while_parked": [
        _TALK
        + """
        2 parked by A
        3 ends: answered then abandoned in parked by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-2, parked by A 2-3
        """
    ],
    "pickup_without_call": [
        f"""
        0 starts: internal from A, other {operation}
        1 ends: failed by pbx, NO_PICKUP 480
          other {operation} 0-1
        """
        for operation in ("pickup", "unpark")
    ],
    "semi_attended_transfer": [
        _CONSULT
        + """
        3 transferred by A to B
        3 #2 ends: unanswered joined #1
          #2 ringing B 2-3
        3 has legs of A and B
        """
        + ending
        for ending in (
            """
            4 answered by B, waited since 3
            5 ends: answered by caller, NORMAL_CLEARING
              ringing A 0-1, talking A 1-3, ringing B 3-4, talking B 4-5
            """,
            """
            4 ends: answered then abandoned in ringing by caller, NORMAL_CLEARING
              ringing A 0-1, talking A 1-3, ringing B 3-4
            """,
        )
    ],
    "consult_returned": [
        *(
            _CONSULT
            + f"""
            3 #2 answered by B, waited since 2
            4 #2 ends: answered by {side}, NORMAL_CLEARING
              #2 ringing B 2-3, talking B 3-4
            5 ends: answered by caller, NORMAL_CLEARING
              ringing A 0-1, talking A 1-5
            """
            for side in ("caller", "callee")
        ),
        _CONSULT
        + """
        3 #2 ends: busy by callee, USER_BUSY 486
          #2 ringing B 2-3
        4 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-4
        """,
    ],
    "consult_in_queue": [
        _CONSULT_IN_QUEUE
        + """
        3 #2 answered by B, waited since 2
        4 #2 ends: answered joined #1
          #2 queued group 2-3, talking B 3-4
        4 transferred by A to B
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-4, talking B 4-5
        """,
        _CONSULT_IN_QUEUE
        + """
        3 #2 answered by B, waited since 2
        4 #2 ends: answered by caller, NORMAL_CLEARING
          #2 queued group 2-3, talking B 3-4
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-5
        """,
        _CONSULT_IN_QUEUE
        + """
        3 #2 ends: abandoned in queue by caller, ORIGINATOR_CANCEL
          #2 queued group 2-3
        4 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-4
        """,
        _CONSULT_IN_QUEUE
        + """
        3 transferred by A to B
        3 #2 ends: unanswered joined #1
          #2 queued group 2-3
        3 has legs of C and D and E and A and B
        4 answered by B, waited since 3
        5 ends: answered by caller, NORMAL_CLEARING
          ringing A 0-1, talking A 1-3, ringing B 3-4, talking B 4-5
        """,
    ],
    "older_consult": [
        """
        0 starts: internal from A, ringing B
        0 rings at B
        1 answered by B, waited since 0
        2 #2 starts: inbound from customer, ringing A
        2 #2 rings at A
        3 #2 answered by A, waited since 2
        4 ends: answered joined #2
          ringing B 0-1, talking B 1-4
        4 #2 transferred by A to B
        5 #2 ends: answered by caller, NORMAL_CLEARING
          #2 ringing A 2-3, talking A 3-4, talking B 4-5
        """
    ],
    "click_to_call_endpoints": [
        *(
            f"""
            0 starts: outbound from A, ringing A
            0 rings at 2 phones
            1 now ringing customer
            1 rings at customer
            2 answered by customer, waited since 0
            3 ends: answered by {side}, NORMAL_CLEARING
              ringing A 0-1, ringing customer 1-2, talking customer 2-3
            """
            for side in ("caller", "callee")
        ),
        """
        0 starts: outbound from A, ringing A
        0 rings at 2 phones
        1 ends: unanswered by pbx, NO_ANSWER
          ringing A 0-1
        """,
    ],
    "queue_call": [
        """
        0 starts: internal from A, queued group
        0 rings at 4 phones
        1 answered by B, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING
          queued group 0-1, talking B 1-2
        """,
        """
        0 starts: internal from A, queued group
        0 rings at 4 phones
        1 ends: abandoned in queue by caller, ORIGINATOR_CANCEL
          queued group 0-1
        """,
    ],
    "conference_call": [
        """
        0 starts: internal from A, conference 8000
        1 #2 starts: internal from B, conference 8000
        2 ends: answered by caller, NORMAL_CLEARING
          conference 8000 0-2
        3 #2 ends: answered by caller, NORMAL_CLEARING
          #2 conference 8000 1-3
        """,
        """
        0 starts: internal from A, conference 8000
        1 ends: rejected by pbx, CALL_REJECTED 603
          conference 8000 0-1
        """,
    ],
    "directory_changes": [""],
}


@functools.cache
def play(scenario, seed):
    """Play a scenario in an office of five users; some need groups that only forty have."""
    return Office(seed, users=40 if scenario in {"hunt", "overflow"} else 5).play(scenario)


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
