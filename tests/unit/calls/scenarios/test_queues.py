"""Groups and queues, as tables of events and rows: scenarios 10 to 17.

``support.call_script`` explains the events, ``support.call_tables`` the rows. Each test runs once
for each kind of feed in ``support.call_feeds``.
"""

from __future__ import annotations

import pytest

# -- 10: ring-all ---------------------------------------------------------------------


def test_call_of_a_ring_group_is_answered_by_one_and_missed_by_none(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        0   D1 rings for X1
        12  C1 answers
        60  X1 hangs up
        """,
        """
        call  requested  group  answered_by  handlers  disposition
        X1    G          G      C            C         answered

        wait  group  entered  left  result    by  rings
        X1    G      0        12    answered  C   3

        party  role     group  result               rings  rang  talked  left
        B      offered  G      picked_up_elsewhere  1      12    0       12
        C      offered  G      answered             1      12    48      60
        D      offered  G      picked_up_elsewhere  1      12    0       12
        X      placed   -      answered             0      0     48      60
        """,
    )


def test_call_of_a_ring_group_that_nobody_answers_is_missed_once_by_each_member(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        20  B1 stops ringing
        20  C1 stops ringing
        20  X1 is ended
        """,
        """
        call  requested  group  answered_by  handlers  disposition  abandoned_in  ended_by
        X1    G          G      -            -         missed       -             pbx

        wait  group  entered  left  result  next  by  rings
        X1    G      0        20    ended   -     -   2

        party  role     group  result      rings  rang
        B      offered  G      missed      1      20
        C      offered  G      missed      1      20
        X      placed   -      unanswered  0      0
        """,
    )


def test_member_who_is_busy_or_rejects_does_not_end_the_wait(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        0   D1 rings for X1
        1   B1 refuses USER_BUSY
        3   C1 refuses CALL_REJECTED
        10  D1 answers
        30  D1 hangs up
        """,
        """
        call  answered_by  disposition  ended_by
        X1    D            answered     callee

        wait  group  left  result    by  rings
        X1    G      10    answered  D   3

        party  role     group  result    rings  rang  talked
        B      offered  G      busy      1      1     0
        C      offered  G      rejected  1      3     0
        D      offered  G      answered  1      10    20
        X      placed   -      answered  0      0     20
        """,
    )


def test_caller_who_abandons_a_queue_was_missed_by_nobody(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        15  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  last_phase
        X1    abandoned    queue         queued

        wait  group  entered  left  waited  result     by
        X1    G      0        15    15      abandoned  -

        party  role     group  result      rings  rang
        B      offered  G      abandoned   1      15
        C      offered  G      abandoned   1      15
        X      placed   -      unanswered  0      0
        """,
    )


# -- 11: one member, several rings ----------------------------------------------------


def test_three_rounds_are_one_miss_with_three_rings(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        15  B1 stops ringing
        20  B2 rings for X1
        35  B2 stops ringing
        40  B3 rings for X1
        55  B3 stops ringing
        60  X1 hangs up
        """,
        """
        wait  group  entered  left  result     rings
        X1    G      0        60    abandoned  3

        party  role     group  result      rings  rang  talked  offered  answered  left
        B      offered  G      missed      3      45    0       0        -         55
        X      placed   -      unanswered  0      0     0       0        -         60
        """,
    )


def test_caller_who_hangs_up_in_a_later_round_was_missed_in_the_first(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        15  B1 stops ringing
        15  C1 refuses USER_BUSY
        20  B2 rings for X1
        20  C2 rings for X1
        30  X1 hangs up
        """,
        """
        party  result      rings  rang
        B      missed      2      25
        C      abandoned   2      25
        X      unanswered  0      0
        """,
    )


def test_answer_in_the_second_round_is_an_answer_and_no_miss(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        15  B1 stops ringing
        20  B2 rings for X1
        25  B2 answers
        60  X1 hangs up
        """,
        """
        wait  group  entered  left  result    by  rings
        X1    G      0        25    answered  B   2

        party  role     group  result    rings  rang  talked  offered  answered
        B      offered  G      answered  2      20    35      0        25
        X      placed   -      answered  0      0     35      0        25
        """,
    )


@pytest.mark.parametrize(
    ("end", "result"),
    [
        ("12 B2 answers\n20 X1 hangs up", "answered"),
        ("12 B1 stops ringing\n12 B2 stops ringing\n12 X1 is ended", "missed"),
        ("12 X1 hangs up", "abandoned"),
    ],
)
def test_two_phones_of_a_member_are_one_participation(check, end, result):
    """The time in which both ring counts once."""
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   B2 rings for X1
        {end}
        """,
        f"""
        party  role     group  result    rings  rang
        B      offered  G      {result}  2      12
        X      placed   -      {"answered" if result == "answered" else "unanswered"}  0  0
        """,
    )


def test_phones_that_ring_one_after_the_other_add_their_times(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B2 rings for X1
        8   B1 refuses
        15  B2 answers
        20  X1 hangs up
        """,
        """
        party  role     result    rings  rang  talked
        B      offered  answered  2      15    5
        X      placed   answered  0      0     5
        """,
    )


# -- 12: linear groups ----------------------------------------------------------------


def test_member_of_a_hunt_group_who_does_not_answer_has_missed_the_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G hunting
        0   A1 rings for X1
        10  A1 stops ringing
        10  B1 rings for X1
        15  B1 answers
        40  X1 hangs up
        """,
        """
        call  requested  answered_by  handlers  disposition
        X1    G          B            B         answered

        wait  group  entered  left  result    by  rings
        X1    G      0        15    answered  B   2

        party  role     group  result    rings  rang  talked
        A      offered  G      missed    1      10    0
        B      offered  G      answered  1      5     25
        X      placed   -      answered  0      0     25
        """,
    )


def test_rounds_of_a_hunt_group_without_an_answer_are_one_row_for_each_member(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G hunting
        0   A1 rings for X1
        10  A1 stops ringing
        10  B1 rings for X1
        20  B1 stops ringing
        20  A2 rings for X1
        30  A2 stops ringing
        30  B2 rings for X1
        40  B2 stops ringing
        40  X1 is ended
        """,
        """
        call  disposition  answered_by  requested
        X1    missed       -            G

        wait  group  entered  left  result  rings
        X1    G      0        40    ended   4

        party  role     group  result      rings  rang
        A      offered  G      missed      2      20
        B      offered  G      missed      2      20
        X      placed   -      unanswered  0      0
        """,
    )


# -- 13: a user calls a queue ---------------------------------------------------------


def test_user_who_calls_a_queue_requested_the_queue(check):
    check(
        """
        0   A1 dials G
        0   A1 queued G
        0   B1 rings for A1
        8   B1 answers
        20  A1 hangs up
        """,
        """
        call  direction  caller  requested  group  answered_by  purpose
        A1    internal   A       G          G      B            call

        wait  group  entered  left  result    by  purpose
        A1    G      0        8     answered  B   call

        party  role     group  result    talked
        A      placed   -      answered  12
        B      offered  G      answered  12
        """,
    )


def test_user_who_abandons_a_queue_has_missed_nothing(check):
    check(
        """
        0  A1 dials G
        0  A1 queued G
        0  B1 rings for A1
        8  A1 hangs up
        """,
        """
        call  direction  disposition  abandoned_in
        A1    internal   abandoned    queue

        wait  group  result
        A1    G      abandoned

        party  role     result
        A      placed   unanswered
        B      offered  abandoned
        """,
    )


# -- 14: overflow ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "wait", "disposition"),
    [
        ("40 C1 answers\n60 X1 hangs up", "40 10 answered - C", "answered"),
        ("50 X1 hangs up", "50 20 abandoned - -", "abandoned"),
        ("50 C1 stops ringing\n50 X1 is ended", "50 20 ended - -", "missed"),
    ],
)
def test_wait_that_overflows_is_booked_to_the_first_queue_only(check, end, wait, disposition):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        30  B1 stops ringing
        30  X1 queued H
        30  C1 rings for X1
        {end}
        """,
        f"""
        call  requested  group  disposition
        X1    G          G      {disposition}

        wait  rings  group  entered  left  waited  result      next  by
        X1    1      G      0        30    30      overflowed  H     -
        X1    1      H      30       {wait}
        """,
    )


@pytest.mark.parametrize("end", ["40 B1 answers\n60 X1 hangs up", "60 X1 hangs up"])
def test_wait_may_overflow_to_a_user(check, end):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 queued G
        30  X1 calls B
        30  B1 rings for X1
        {end}
        """,
        """
        wait  group  entered  left  result      next  by  rings
        X1    G      0        30    overflowed  -     -   0
        """,
    )


def test_agent_who_answers_in_the_second_queue_is_booked_to_it(check):
    check(
        """
        0   X1 dials 0501
        0   X1 queued G
        0   B1 rings for X1
        10  B1 stops ringing
        10  X1 queued H
        10  B2 rings for X1
        15  B2 answers
        20  X1 hangs up
        """,
        """
        party  role     group  result      rings  talked
        B      offered  H      answered    2      5
        X      placed   -      answered    0      5
        """,
    )


def test_agent_who_misses_a_call_in_two_queues_is_booked_to_the_first(check):
    check(
        """
        0   X1 dials 0501
        0   X1 queued G
        0   B1 rings for X1
        10  B1 stops ringing
        10  X1 queued H
        10  B2 rings for X1
        20  B2 stops ringing
        20  X1 is ended
        """,
        """
        party  role     group  result      rings
        B      offered  G      missed      2
        X      placed   -      unanswered  0
        """,
    )


def test_user_who_is_rung_after_the_queue_was_not_offered_the_call_by_it(check):
    """The caller's leg keeps the id of the group."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   C1 rings for X1
        30  C1 stops ringing
        30  X1 calls B
        30  B1 rings for X1
        40  B1 answers
        60  X1 hangs up
        """,
        """
        party  role     group  result    rings  talked
        B      offered  -      answered  1      20
        C      offered  G      missed    1      0
        X      placed   -      answered  0      20
        """,
    )


@pytest.mark.parametrize(
    ("place", "result"),
    [
        ("calls Y", "overflowed"),
        ("calls SIP sip:night@voice.example.com", "overflowed"),
        ("parked on 901", "overflowed"),
        ("mailbox of G", "voicemail"),
        ("is ended", "ended"),
    ],
)
def test_wait_names_where_the_call_went(check, place, result):
    end = "" if place == "is ended" else "60 X1 is ended"
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        0   B1 rings for X1
        30  B1 stops ringing
        30  X1 {place}
        {end}
        """,
        f"""
        wait  group  entered  left  result    next  by  rings
        X1    G      0        30    {result}  -     -   1
        """,
    )


# -- 15: returns to the same queue ----------------------------------------------------

BETWEEN = ["announcement", "menu sorry", "remote menu", "service playback"]


@pytest.mark.parametrize("between", BETWEEN)
def test_return_to_a_queue_without_a_talk_is_the_same_wait(check, between):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        20  X1 {between}
        35  X1 queued G
        35  B1 rings for X1
        45  B1 answers
        60  X1 hangs up
        """,
        """
        call  answered  disposition
        X1    45        answered

        wait  group  entered  left  waited  result    by  rings
        X1    G      0        45    45      answered  B   1
        """,
    )


@pytest.mark.parametrize("between", BETWEEN)
def test_caller_who_hangs_up_in_an_announcement_of_the_queue_abandons_the_wait(check, between):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        20  X1 {between}
        26  X1 hangs up
        """,
        """
        call  answered  disposition
        X1    -         abandoned

        wait  group  entered  left  waited  result
        X1    G      0        26    26      abandoned
        """,
    )


def test_announcement_between_two_queues_ends_the_first_wait(check):
    """The wait ends when the call leaves the queue."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        20  X1 menu choose
        25  X1 queued H
        45  X1 hangs up
        """,
        """
        wait  group  entered  left  result      next
        X1    G      0        20    overflowed  H
        X1    H      25       45    abandoned   -
        """,
    )


def test_return_to_a_queue_after_another_queue_is_a_new_wait(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        20  X1 queued H
        40  X1 queued G
        50  X1 hangs up
        """,
        """
        wait  group  entered  left  result      next
        X1    G      0        20    overflowed  H
        X1    H      20       40    overflowed  G
        X1    G      40       50    abandoned   -
        """,
    )


def test_return_to_a_queue_after_a_talk_is_a_second_wait_of_one_handled_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        10  B1 answers
        40  B1 leaves
        40  X1 queued G
        40  B2 rings for X1
        55  B2 answers
        70  X1 hangs up
        """,
        """
        call  answered_by  handlers  blind  talking  queued
        X1    B            B         1      45       25

        wait  group  entered  left  result    by  rings
        X1    G      0        10    answered  B   1
        X1    G      40       55    answered  B   1

        party  role     group  result    rings  rang  talked  answered  left
        B      offered  G      answered  2      25    45      10        70
        X      placed   -      answered  0      0     45      10        70
        """,
    )


# -- 16: unusual answers --------------------------------------------------------------


def test_answer_on_an_older_line_of_the_agent_answers_the_wait(check):
    """The agent's line is kept open for all calls."""
    check(
        """
        0   B1 rings by API to dial media_plug
        1   B1 answered
        10  X1 dials 0501234567
        10  X1 answered
        10  X1 queued G
        30  X1 bridged with B1
        60  X1 hangs up
        """,
        """
        call  direction  joined  answered_by  handlers  group
        B1    internal   X1      -            -         -
        X1    inbound    -       B            B         G

        wait  group  entered  left  result    by
        X1    G      10       30    answered  B

        party  call  result    talked  answered
        B      X1    answered  30      30
        X      X1    answered  30      30
        """,
    )


_OPENINGS = {
    "plug": "0 A1 rings by API to dial media_plug\n1 A1 answered",
    "plug with music": "0 A1 rings by API to dial media_plug\n1 A1 answered\n1 A1 announcement",
    "dialled": "0 A1 dials 700\n1 A1 answered\n1 A1 announcement",
    "dialled without music": "0 A1 dials 700\n1 A1 answered",
}


@pytest.mark.parametrize("between", ["announcement", "service wait"])
@pytest.mark.parametrize("opening", _OPENINGS.values(), ids=_OPENINGS)
def test_line_that_is_kept_open_takes_one_call_after_another(opening, between, check):
    """Between two calls, the line plays music or is in a service of the PBX."""
    lines = opening.splitlines()
    for start, caller in ((100, "X1"), (200, "Y1"), (300, "Z1")):
        lines += [
            f"{start} {caller} dials 0501",
            f"{start} {caller} queued G",
            f"{start + 5} {caller} answered",
            f"{start + 5} {caller} bridged with A1",
            f"{start + 60} {caller} ends recv_bye,NORMAL_CLEARING",
            f"{start + 60} A1 {between}",
        ]
    purpose = "consult" if "dials" in opening else "monitor"
    check(
        "\n".join([*lines, "500 A1 hangs up"]),
        f"""
        call  purpose    joined  ended  ended_by  handlers  waited
        A1    {purpose}  X1      105    -         -         -
        X1    call       -       160    caller    A         5
        A1#1  monitor    Y1      205    -         -         -
        Y1    call       -       260    caller    A         5
        A1#2  monitor    Z1      305    -         -         -
        Z1    call       -       360    caller    A         5
        A1#3  monitor    -       500    caller    -         -

        wait  group  waited  result    by
        X1    G      5       answered  A
        Y1    G      5       answered  A
        Z1    G      5       answered  A

        party  call  role       group  talked
        A      X1    offered    G      55
        X      X1    placed     -      55
        A      Y1    offered    G      55
        Y      Y1    placed     -      55
        A      Z1    offered    G      55
        Z      Z1    placed     -      55
        A      A1#3  monitored  -      0
        """,
    )


@pytest.mark.parametrize("opening", _OPENINGS.values(), ids=_OPENINGS)
def test_line_that_is_kept_open_takes_calls_of_colleagues(opening, check):
    """A colleague's call goes on, although the line is older and as internal."""
    lines = opening.splitlines()
    for start, caller in ((100, "B1"), (200, "C1")):
        lines += [
            f"{start} {caller} dials G",
            f"{start} {caller} queued G",
            f"{start + 5} {caller} answered",
            f"{start + 5} {caller} bridged with A1",
            f"{start + 60} {caller} ends recv_bye,NORMAL_CLEARING",
            f"{start + 60} A1 announcement",
        ]
    purpose = "consult" if "dials" in opening else "monitor"
    check(
        "\n".join([*lines, "300 A1 hangs up"]),
        f"""
        call  purpose    joined  ended  handlers  waited
        A1    {purpose}  B1      105    -         -
        B1    call       -       160    A         5
        A1#1  monitor    C1      205    -         -
        C1    call       -       260    A         5
        A1#2  monitor    -       300    -         -

        party  call  role       group  talked
        A      B1    offered    G      55
        B      B1    placed     -      55
        A      C1    offered    G      55
        C      C1    placed     -      55
        A      A1#2  monitored  -      0
        """,
    )


def test_colleague_who_hears_an_announcement_in_a_queue_is_no_line(check):
    check(
        """
        0   A1 dials G
        0   A1 answered
        0   A1 queued G
        5   A1 announcement
        10  B1 dials *8
        12  B1 answered
        12  A1 bridged with B1
        60  A1 hangs up
        """,
        """
        call  purpose  joined  disposition
        B1    consult  A1      unanswered
        A1    call     -       answered

        party  call  role       talked
        A      A1    placed     48
        B      A1    picked_up  48
        """,
    )


def test_line_that_takes_a_parked_call_takes_the_next_call_too(check):
    check(
        """
        0    A1 rings by API to dial media_plug
        1    A1 answered
        50   X1 dials 0501
        50   X1 calls B
        50   B1 rings for X1
        60   B1 answers
        80   X1 parked on 901 by B
        80   B1 leaves
        100  X1 bridged with A1
        150  X1 ends recv_bye,NORMAL_CLEARING
        150  A1 announcement
        200  Y1 dials 0501
        200  Y1 queued G
        205  Y1 answered
        205  Y1 bridged with A1
        260  Y1 hangs up
        """,
        """
        call  purpose  joined  ended  handlers
        A1    monitor  X1      100    -
        X1    call     -       150    B,A
        A1#1  monitor  Y1      205    -
        Y1    call     -       260    A

        party  call  role       talked
        B      X1    offered    20
        A      X1    retrieved  50
        X      X1    placed     70
        A      Y1    offered    55
        Y      Y1    placed     55
        """,
    )


@pytest.mark.parametrize("after", ["service park", "calls C"])
@pytest.mark.parametrize("later", ["service wait", "calls B"])
def test_line_that_still_names_the_caller_does_not_take_the_caller_along(after, later, check):
    """The caller goes on in their own call, which ends as they hang up."""
    check(
        f"""
        0    A1 rings by API to dial media_plug
        1    A1 answered
        100  X1 dials 0501
        100  X1 queued G
        105  X1 answered
        105  X1 bridged with A1
        120  A1 {after}, still naming X1
        121  X1 parked on 901 by A
        125  A1 {later}, still naming X1
        130  X1 hangs up
        150  A1 hangs up
        """,
        """
        call  purpose  joined  ended  ended_by  handlers  parked
        A1    monitor  X1      105    -         -         0
        X1    call     -       130    caller    A         9
        A1#1  monitor  -       150    caller    -         0

        wait  group  entered  left  result    by
        X1    G      100      105   answered  A

        party  call  role       talked  left
        A      X1    offered    15      120
        X      X1    placed     15      130
        A      A1#1  monitored  0       150
        """,
    )


def test_wait_that_ends_by_a_transfer_before_the_answer_is_answered_by_who_talks(check):
    """An agent consults a queue and completes the transfer as a phone there is picked up.

    The agent has talked to nobody in the consult call.
    """
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials G
        20  A2 queued G
        20  C1 rings for A2
        30  C1 answered
        30  X1 bridged with C1
        30  A1 ends send_bye,ATTENDED_TRANSFER
        30  A2 ends send_bye,ATTENDED_TRANSFER
        60  X1 hangs up
        """,
        """
        call  joined  purpose  handlers  disposition
        A2    X1      consult  -         unanswered
        X1    -       call     A,C       answered

        wait  group  entered  left  result    by  purpose
        A2    G      20       30    answered  C   consult

        party  call  role     group  result    rings  rang  talked
        A      X1    offered  -      answered  1      5     15
        C      X1    offered  G      answered  1      10    30
        X      X1    placed   -      answered  0      0     45
        """,
    )


# -- 17: callers who give up, whatever came before ------------------------------------


def test_caller_who_hangs_up_in_a_queue_after_a_talk_has_abandoned_it(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  B1 leaves
        20  X1 queued G
        20  C1 rings for X1
        50  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  ended_by  answered_by  last_handler  last_phase  blind
        X1    answered     queue         caller    B            B             queued      1

        wait  group  entered  left  result     by
        X1    G      20       50    abandoned  -

        party  role     group  result     rings  talked
        B      offered  -      answered   1      15
        C      offered  G      abandoned  1      0
        X      placed   -      answered   0      15
        """,
    )


def test_customer_whom_an_agent_called_can_abandon_a_queue(check):
    check(
        """
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        5   X1 answers
        20  A1 leaves
        20  X1 queued G
        20  C1 rings for X1
        50  X1 hangs up
        """,
        """
        call  direction  disposition  abandoned_in  ended_by  answered_by
        A1    outbound   answered     queue         callee    X

        wait  group  entered  left  result     by
        A1    G      20       50    abandoned  -

        party  role     group  result     talked
        A      placed   -      answered   15
        C      offered  G      abandoned  0
        X      offered  -      answered   15
        """,
    )


@pytest.mark.parametrize("start", ["0 A1 dials X", "0 A1 rings by API to dial X\n 0 A1 answered"])
@pytest.mark.parametrize(
    ("steps", "abandoned_in"),
    [
        ("30 X1 parked on 901 by A\n 30 A1 leaves", "parked"),
        ("30 A1 leaves\n 30 X1 calls B\n 30 B1 rings for X1", "ringing"),
        ("30 A1 leaves\n 30 X1 queued G", "queue"),
    ],
)
def test_customer_whom_an_agent_called_and_who_hangs_up_has_abandoned_the_call(
    check, start, steps, abandoned_in
):
    check(
        f"""
        {start}
        0   A1 calls X
        0   X1 rings for A1
        5   X1 answers
        {steps}
        50  X1 hangs up
        """,
        f"""
        call  direction  disposition  abandoned_in    ended_by
        A1    outbound   answered     {abandoned_in}  callee
        """,
    )


def test_caller_who_hangs_up_after_a_transfer_has_abandoned_the_ringing(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        20  B1 leaves
        20  X1 calls C
        20  C1 rings for X1
        30  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  last_phase  handlers
        X1    answered     ringing       ringing     B

        wait  group  result
        X1    G      answered

        party  role     group  result
        B      offered  G      answered
        C      offered  -      abandoned
        X      placed   -      answered
        """,
    )


def test_parked_caller_who_hangs_up_has_abandoned_the_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        20  X1 parked on 901 by B
        20  B1 leaves
        50  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  last_phase  parked  handlers  blind
        X1    answered     parked        parked      30      B         0

        party  result    talked  held
        B      answered  15      0
        X      answered  15      30
        """,
    )


def test_caller_who_hangs_up_while_parked_from_the_queue_has_abandoned_the_call(check):
    """Nobody talked to the caller."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        20  X1 parked on 901
        50  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  answered_by
        X1    abandoned    parked        -

        wait  group  left  result      next
        X1    G      20    overflowed  -
        """,
    )


def test_caller_who_hangs_up_in_a_menu_after_a_talk_has_abandoned_it(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  B1 leaves
        20  X1 menu main
        30  X1 hangs up
        """,
        """
        call  disposition  abandoned_in  menu
        X1    answered     ivr           main
        """,
    )
