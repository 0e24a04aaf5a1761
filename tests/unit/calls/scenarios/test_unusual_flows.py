"""Long, repeated and unusual flows, as tables of events and rows.

``support.call_script`` explains the events, ``support.call_tables`` the rows.
"""

from __future__ import annotations

import pytest
from support.call_feeds import Watcher, calls_of
from support.call_script import SECOND, messages_of
from support.call_tables import assert_rows

from basix_ws_cti.calls import CallRecord
from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait

# -- very long calls ------------------------------------------------------------------


def _rounds_of_ring_all(rounds):
    """Return a script in which three phones ring for 8 s, every 10 s; one of them is busy."""
    lines = ["0 X1 dials 0501234567", "0 X1 queued G"]
    for number in range(rounds):
        start = 10 * number
        lines += [f"{start} {user}{number} rings for X1" for user in "BCD"]
        lines.append(f"{start + 1} D{number} refuses USER_BUSY")
        lines += [f"{start + 8} {user}{number} stops ringing" for user in "BC"]
    return lines


@pytest.mark.slow
def test_hundred_rounds_of_ring_all_are_counted():
    """The call has more legs than it keeps."""
    lines = _rounds_of_ring_all(120)
    lines += ["1200 C999 rings for X1", "1205 C999 answers", "1300 X1 hangs up"]
    calls = calls_of("\n".join(lines))
    assert_rows(
        calls,
        """
        call  disposition  answered_by  handlers  waited  complete
        X1    answered     C            C         1205    yes

        wait  group  entered  left  result    by  rings
        X1    G      0        1205  answered  C   361

        party  role     group  result    rings  rang  talked  offered  left
        B      offered  G      missed    120    960   0       0        1198
        C      offered  G      answered  121    965   95      0        1300
        D      offered  G      busy      120    120   0       0        1191
        X      placed   -      answered  0      0     95      0        1300
        """,
    )
    assert all(len(call.legs) <= 250 for call in calls)


@pytest.mark.slow
def test_permanent_line_that_takes_a_call_very_often_has_one_row():
    """The agent puts the caller back into the queue each time; the call keeps 200 ended legs."""
    lines = ["0 B1 rings by API to dial media_plug", "1 B1 answered", "5 X1 dials 0501234567"]
    for start in range(10, 2510, 10):
        lines += [
            f"{start} X1 queued G",
            f"{start + 2} X1 bridged with B1",
            f"{start + 8} B1 announcement",
        ]
    calls = calls_of("\n".join([*lines, "2508 X1 hangs up", "2600 B1 hangs up"]))
    (call,) = [one for one in calls if one.id == "X1"]
    assert len(call.legs) <= 201
    (row,) = [one for one in Participation.of(call) if one.user_id is not None]
    assert (row.result, row.talked_us) == ("answered", 250 * 6 * SECOND)


@pytest.mark.slow
def test_abandoned_after_a_hundred_rounds_is_one_miss_for_each_member():
    lines = [*_rounds_of_ring_all(120), "1200 X1 hangs up"]
    calls = calls_of("\n".join(lines))
    assert_rows(
        calls,
        """
        call  disposition  abandoned_in
        X1    abandoned    queue

        wait  group  waited  result     rings
        X1    G      1200    abandoned  360

        party  result      rings  rang
        B      missed      120    960
        C      missed      120    960
        D      busy        120    120
        X      unanswered  0      0
        """,
    )


@pytest.mark.slow
def test_wait_with_hundreds_of_announcements_is_one_wait():
    lines = ["0 X1 dials 0501234567", "0 X1 answered"]
    for number in range(600):
        lines += [f"{2 * number} X1 queued G", f"{2 * number + 1} X1 announcement"]
    lines += ["1200 X1 queued G", "1200 B1 rings for X1", "1210 B1 answers", "1300 X1 hangs up"]
    calls = calls_of("\n".join(lines))
    (call,) = calls
    assert len(call.phases) <= 1000
    assert_rows(
        calls,
        """
        call  disposition  answered_by  group  answered  total
        X1    answered     B            G      1210      1300

        wait  group  entered  left  result    by  rings
        X1    G      0        1210  answered  B   1

        party  group  result    talked
        B      G      answered  90
        X      -      answered  90
        """,
    )


@pytest.mark.slow
def test_answer_before_a_thousand_phases_is_kept():
    """A caller talks, and then spends hours in menus."""
    lines = ["0 X1 dials 0501234567", "0 X1 queued G", "0 B1 rings for X1", "10 B1 answers"]
    lines += ["40 B1 leaves"]
    lines += [f"{40 + number} X1 menu {'ab'[number % 2]}" for number in range(1500)]
    lines += ["1540 X1 hangs up"]
    calls = calls_of("\n".join(lines))
    assert_rows(
        calls,
        """
        call  disposition  answered_by  handlers  answered  waited  abandoned_in  total  group
        X1    answered     B            B         10        10      ivr           1540   G

        wait  group  entered  left  result    by
        X1    G      0        10    answered  B

        party  group  result    talked
        B      G      answered  30
        X      -      answered  30
        """,
    )


@pytest.mark.slow
def test_hundreds_of_transfers_between_two_agents_keep_their_talk():
    """Memory is bounded: the legs are fewer than the transfers."""
    lines = ["0 X1 dials 0501234567"]
    for number in range(400):
        user = "AB"[number % 2]
        start = 10 * number
        lines += [
            f"{start} X1 calls {user}",
            f"{start} {user}{number} rings for X1",
            f"{start + 4} {user}{number} answers",
            f"{start + 10} {user}{number} leaves",
        ]
    lines += ["4000 X1 hangs up"]
    calls = calls_of("\n".join(lines))
    (call,) = calls
    rows = {row.user_id: row for row in Participation.of(call) if row.user_id}
    assert len(rows) == 2
    assert [row.result for row in rows.values()] == ["answered", "answered"]
    assert sum(row.talked_us for row in rows.values()) == 2400 * SECOND
    assert [row.rings for row in rows.values()] == [200, 200]
    record = CallRecord.of(call)
    assert (record.disposition, record.total_us) == ("answered", 4000 * SECOND)


# -- several transfers ----------------------------------------------------------------


def test_two_blind_transfers_in_a_row(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 calls B
        20  B1 rings for X1
        25  B1 answers
        40  B1 leaves
        40  X1 calls C
        40  C1 rings for X1
        45  C1 answers
        60  X1 hangs up
        """,
        """
        call  handlers  answered_by  last_handler  transfers  blind  attended  talking
        X1    A,B,C     A            C             2          2      0         45

        party  role     result    talked
        A      offered  answered  15
        B      offered  answered  15
        C      offered  answered  15
        X      placed   answered  45
        """,
    )


def test_transfer_that_is_transferred_before_the_answer_counts_twice(check):
    """The second transfer is a forward of the phone that rings: it is none."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 calls B
        20  B1 rings for X1
        30  B1 stops ringing
        30  X1 calls C
        30  C1 rings for X1
        45  C1 answers
        60  X1 hangs up
        """,
        """
        call  handlers  blind  requested
        X1    A,C       1      A

        party  result    rang  talked
        A      answered  5     15
        B      missed    10    0
        C      answered  15    15
        X      answered  0     30
        """,
    )


def test_transfer_back_to_the_first_agent_is_one_call_handled_by_each(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 calls B
        20  B1 rings for X1
        25  B1 answers
        40  B1 leaves
        40  X1 calls A
        40  A2 rings for X1
        50  A2 answers
        60  X1 hangs up
        """,
        """
        call  answered_by  last_handler  blind  talking
        X1    A            A             2      40

        party  role     group  result    rings  rang  talked  offered  answered  left
        A      offered  G      answered  2      15    25      0        5         60
        B      offered  -      answered  1      5     15      20       25        40
        X      placed   -      answered  0      0     40      0        5         60
        """,
    )


def test_two_attended_transfers_in_a_row(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        30  X1 bridged with B1
        30  A1 leaves
        30  A2 leaves
        40  B2 dials C
        40  B2 calls C
        40  C1 rings for B2
        45  C1 answers
        50  X1 bridged with C1
        50  B1 leaves
        50  B2 leaves
        60  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  attended
        A2    consult  X1      B         0
        B2    consult  X1      C         0
        X1    call     -       A,B,C     2

        party  call  role       talked  held  out  in
        A      X1    offered    20      5     1    0
        B      X1    consulted  20      5     1    1
        C      X1    consulted  15      0     0    1
        X      X1    placed     35      20    0    0
        """,
    )


def test_consult_call_that_is_transferred_itself(check):
    """The colleague connects the agent to a third user, who then takes the caller."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        30  B2 dials C
        30  B2 calls C
        30  C1 rings for B2
        35  C1 answers
        40  A2 bridged with C1
        40  B1 leaves
        40  B2 leaves
        50  X1 bridged with C1
        50  A1 leaves
        50  A2 leaves
        60  X1 hangs up
        """,
        """
        call  purpose  joined  attended
        A2    consult  X1      1
        B2    consult  A2      0
        X1    call     -       1

        party  call  role       result    talked  out  in
        A      X1    offered    answered  30      1    0
        B      X1    consulted  answered  10      1    0
        C      X1    consulted  answered  25      0    2
        X      X1    placed     answered  25      0    0
        """,
    )


# -- parking --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "abandoned_in", "talked"),
    [("85 A2 answers\n100 X1 hangs up", "-", 30), ("95 X1 hangs up", "ringing", 15)],
)
def test_recall_after_the_park_timeout_rings_the_user_who_parked(check, end, abandoned_in, talked):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  X1 parked on 901 by A
        20  A1 leaves
        80  X1 calls A
        80  A2 rings for X1
        {end}
        """,
        f"""
        call  disposition  abandoned_in    handlers  transfers  parked
        X1    answered     {abandoned_in}  A         0          60

        party  role     result    rings  talked    held
        A      offered  answered  2      {talked}  0
        X      placed   answered  0      {talked}  60
        """,
    )


def test_call_parked_twice_is_held_twice(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  X1 parked on 901 by A
        20  A1 leaves
        30  B1 dials 901
        30  B1 takes X1
        40  X1 parked on 902 by B
        40  B1 leaves
        55  A2 dials 902
        55  A2 takes X1
        60  X1 hangs up
        """,
        """
        call  last_handler  parked  talking  transfers
        X1    A             25      30       0

        wait  group  result    by
        X1    G      answered  A

        party  role       group  result    talked  held
        A      offered    G      answered  20      0
        B      retrieved  -      answered  10      0
        X      placed     -      answered  30      25
        """,
    )


@pytest.mark.parametrize(
    ("end", "abandoned_in", "handlers"),
    [
        ("40 B1 hangs up", "parked", "B"),
        ("40 C1 dials 901\n40 C1 takes B1\n60 C1 hangs up", "-", "B,C"),
    ],
)
def test_user_whom_a_user_called_may_be_parked(check, end, abandoned_in, handlers):
    """The caller parks the party that they called, and leaves."""
    check(
        f"""
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        20  B1 parked on 901 by A
        20  A1 leaves
        {end}
        """,
        f"""
        call  direction  caller  disposition  abandoned_in    parked  handlers
        A1    internal   A       answered     {abandoned_in}  20      {handlers}
        """,
    )


# -- consults -------------------------------------------------------------------------


def test_consult_into_a_queue_that_the_agent_hangs_up_is_a_wait_of_a_consult(check):
    """The figures of the queue leave it out."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials H
        20  A2 queued H
        20  C1 rings for A2
        40  A2 hangs up
        60  X1 hangs up
        """,
        """
        call  purpose  handlers  disposition
        A2    consult  -         abandoned
        X1    call     A         answered

        wait  group  entered  left  result     purpose
        A2    H      20       40    abandoned  consult
        X1    G      0        5     answered   call

        party  call  role     group  result      talked  held
        A      A2    placed   -      unanswered  0       0
        A      X1    offered  G      answered    35      20
        C      A2    offered  H      abandoned   0       0
        X      X1    placed   -      answered    35      20
        """,
    )


def test_consult_into_a_queue_that_is_answered_and_completed(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials H
        20  A2 queued H
        20  C1 rings for A2
        20  D1 rings for A2
        40  C1 answers
        50  X1 bridged with C1
        50  A1 leaves
        50  A2 leaves
        60  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  attended
        A2    consult  X1      C         0
        X1    call     -       A,C       1

        wait  group  entered  left  result    by  purpose
        A2    H      20       40    answered  C   consult
        X1    G      0        5     answered  A   call

        party  call  role       group  result               talked  held
        A      X1    offered    G      answered             25      20
        C      X1    consulted  H      answered             20      0
        D      X1    offered    H      picked_up_elsewhere  0       0
        X      X1    placed     -      answered             25      30
        """,
    )


def test_caller_who_leaves_during_a_consult_was_answered(check):
    """The consult call goes on without the caller."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        35  X1 hangs up
        50  A2 hangs up
        """,
        """
        call  purpose  joined  disposition  abandoned_in  ended
        A2    consult  -       answered     -             50
        X1    call     -       answered     -             35

        party  call  role       result    talked  held
        A      A2    placed     answered  25      0
        A      X1    offered    answered  15      15
        B      A2    consulted  answered  25      0
        X      X1    placed     answered  15      15
        """,
    )


def test_two_consults_one_after_the_other(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 hangs up CALL_REJECTED
        30  A3 dials C
        30  A3 calls C
        30  C1 rings for A3
        35  C1 answers
        40  X1 bridged with C1
        40  A1 leaves
        40  A3 leaves
        60  X1 hangs up
        """,
        """
        call  purpose  joined  disposition  attended
        A2    consult  -       rejected     0
        A3    consult  X1      answered     0
        X1    call     -       answered     1

        party  call  role       result      talked  held
        A      A2    placed     unanswered  0       0
        A      X1    offered    answered    25      10
        B      A2    offered    rejected    0       0
        C      X1    consulted  answered    25      0
        X      X1    placed     answered    40      15
        """,
    )


def test_consult_with_somebody_outside_may_be_completed(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials Y
        20  A2 calls Y
        20  Y1 rings for A2
        25  Y1 answers
        35  X1 bridged with Y1
        35  A1 leaves
        35  A2 leaves
        65  X1 hangs up
        """,
        """
        call  direction  purpose  joined  handlers  went_outside  attended
        A2    outbound   consult  X1      Y         no            0
        X1    inbound    call     -       A,Y       yes           1

        party  call  role       talked  held
        A      X1    offered    25      5
        X      X1    placed     45      15
        Y      X1    consulted  40      0
        """,
    )


def test_second_call_that_an_agent_takes_holds_the_first(check):
    """Call waiting: the agent talks to one party at a time."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        15  Y1 dials 0501234567
        15  Y1 calls A
        15  A2 rings for Y1
        20  A2 answers
        30  Y1 hangs up
        60  X1 hangs up
        """,
        """
        call  purpose  handlers  disposition
        X1    call     A         answered
        Y1    call     A         answered

        party  call  role     talked  held
        A      X1    offered  45      10
        A      Y1    offered  10      0
        X      X1    placed   45      10
        Y      Y1    placed   10      0
        """,
    )


def test_consult_during_the_second_of_two_calls_holds_both(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        15  Y1 dials 0501234567
        15  Y1 calls A
        15  A2 rings for Y1
        20  A2 answers
        26  A3 dials C
        26  A3 calls C
        26  C1 rings for A3
        30  C1 answers
        40  A3 hangs up
        50  Y1 hangs up
        60  X1 hangs up
        """,
        """
        call  purpose  handlers
        A3    consult  C
        X1    call     A
        Y1    call     A

        party  call  role       talked  held
        A      A3    placed     10      0
        A      X1    offered    25      30
        A      Y1    offered    16      14
        C      A3    consulted  10      0
        X      X1    placed     25      30
        Y      Y1    placed     16      14
        """,
    )


def test_party_of_a_consult_may_be_sent_to_a_queue(check):
    """The agent returns to the caller."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        10  A2 dials Y
        10  A2 calls Y
        10  Y1 rings for A2
        15  Y1 answers
        22  Z1 dials 0501234567
        22  Z1 queued H
        30  A2 leaves
        30  Y1 queued G
        40  X1 hangs up
        50  Y1 hangs up
        60  Z1 hangs up
        """,
        """
        call  purpose  disposition
        A2    consult  answered
        X1    call     answered
        Z1    call     abandoned

        wait  group  entered  left  result
        A2    G      30       50    abandoned
        Z1    H      22       60    abandoned

        party  call  role       talked  held
        A      A2    placed     15      0
        A      X1    offered    15      20
        X      X1    placed     15      20
        Y      A2    consulted  15      0
        Z      Z1    placed     0       0
        """,
    )


@pytest.mark.parametrize("phone", ["A2", "A3"])
def test_click_to_call_during_a_talk_is_a_consult(check, phone):
    """The user takes it on any of their phones."""
    other = "A2" if phone == "A3" else "A3"
    check(
        f"""
        0    X1 dials 0501234567
        0    X1 calls A
        0    A1 rings for X1
        5    A1 answers
        20   A2 rings by API to dial Y
        20.1 A3 rings by API to dial Y
        25   {phone} answered
        25   {other} ends send_cancel,LOSE_RACE
        25   {phone} calls Y
        25   Y1 rings for {phone}
        30   Y1 answers
        40   {phone} hangs up
        50   X1 hangs up
        """,
        """
        call  purpose  direction  handlers
        A2    consult  outbound   Y
        X1    call     inbound    A

        party  call  role       talked  held
        A      A2    placed     10      0
        A      X1    offered    30      15
        X      X1    placed     30      15
        Y      A2    consulted  10      0
        """,
    )


# -- transfers elsewhere --------------------------------------------------------------


def test_blind_transfer_into_a_mailbox_is_an_answered_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 mailbox of B
        60  X1 hangs up
        """,
        """
        call  disposition  blind  mailbox  last_handler  voicemail  abandoned_in
        X1    answered     1      B        A             40         -

        party  role     group  result    talked
        A      offered  G      answered  15
        X      placed   -      answered  15
        """,
    )


def test_transfer_to_outside_that_nobody_answers(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 calls Y
        20  Y1 rings for X1
        50  Y1 is ended NO_ANSWER
        """,
        """
        call  direction  disposition  went_outside  last_phase  handlers  blind
        X1    inbound    answered     yes           ringing     A         1

        party  role     group  result    rings  talked
        A      offered  G      answered  1      15
        X      placed   -      answered  0      15
        Y      offered  -      missed    1      0
        """,
    )


def test_outbound_call_that_is_transferred_to_a_colleague(check):
    check(
        """
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        5   X1 answers
        20  A1 leaves
        20  X1 calls B
        20  B1 rings for X1
        30  B1 answers
        50  X1 hangs up
        """,
        """
        call  direction  caller  answered_by  last_handler  blind  disposition  talking
        A1    outbound   A       X            B             1      answered     35

        party  role     result    rings  talked
        A      placed   answered  0      15
        B      offered  answered  1      20
        X      offered  answered  1      35
        """,
    )


def test_click_to_call_that_is_transferred(check):
    check(
        """
        0   A1 rings by API to dial X
        0.1 A2 rings by API to dial X
        2   A1 answered
        2   A2 ends send_cancel,LOSE_RACE
        2   A1 calls X
        2   X1 rings for A1
        5   X1 answers
        20  A1 leaves
        20  X1 queued G
        20  B1 rings for X1
        30  B1 answers
        50  X1 hangs up
        """,
        """
        call  direction  caller  answered_by  blind
        A1    outbound   A       X            1

        wait  group  entered  left  result    by
        A1    G      20       30    answered  B

        party  role     group  result    talked
        A      placed   -      answered  15
        B      offered  G      answered  20
        X      offered  -      answered  35
        """,
    )


def test_talk_that_becomes_a_conference_is_answered(check):
    """The agent brings a colleague."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  C1 dials 8000
        20  C1 answered
        20  C1 conference 8000
        25  X1 conference 8000
        25  A1 conference 8000
        50  A1 hangs up
        55  X1 hangs up
        60  C1 hangs up
        """,
        """
        call  purpose  disposition  room  handlers  talking  transfers
        C1    call     answered     8000  -         0        0
        X1    call     answered     8000  A         20       0

        party  call  role     result    talked
        A      X1    offered  answered  20
        C      C1    service  answered  0
        X      X1    placed   answered  20
        """,
    )


def test_caller_who_leaves_a_mailbox_for_a_queue_is_answered_there(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 mailbox of G
        10  X1 queued G
        10  B1 rings for X1
        20  B1 answers
        60  X1 hangs up
        """,
        """
        call  disposition  mailbox  answered_by  waited
        X1    answered     G        B            20

        wait  group  entered  left  result    by
        X1    G      10       20    answered  B
        """,
    )


# -- queues ---------------------------------------------------------------------------


def test_member_of_a_queue_outside_answers_the_wait(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   Y1 rings for X1
        0   B1 rings for X1
        10  Y1 answers
        30  X1 hangs up
        """,
        """
        call  direction  answered_by  handlers  disposition
        X1    inbound    Y            Y         answered

        wait  group  left  result    by  rings
        X1    G      10    answered  -   2

        party  role     group  result               talked
        B      offered  G      picked_up_elsewhere  0
        X      placed   -      answered             20
        Y      offered  G      answered             20
        """,
    )


def test_three_queues_one_after_the_other(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        10  A1 stops ringing
        10  X1 queued H
        10  A2 rings for X1
        20  A2 stops ringing
        20  X1 queued K
        20  A3 rings for X1
        25  A3 answers
        60  X1 hangs up
        """,
        """
        call  requested  group  queued  answered_by
        X1    G          G      25      A

        wait  group  entered  left  result      next  by  rings
        X1    G      0        10    overflowed  H     -   1
        X1    H      10       20    overflowed  K     -   1
        X1    K      20       25    answered    -     A   1

        party  role     result    rings  rang  talked
        A      offered  answered  3      25    35
        X      placed   answered  0      0     35
        """,
    )


def test_call_that_is_returned_to_an_abandoned_caller_is_another_call(check):
    check(
        """
        0    X1 dials 0501234567
        0    X1 queued G
        0    A1 rings for X1
        20   X1 hangs up
        100  A2 dials X
        100  A2 calls X
        100  X2 rings for A2
        110  X2 answers
        150  A2 hangs up
        """,
        """
        call  direction  caller  disposition  abandoned_in  answered_by
        A2    outbound   A       answered     -             X
        X1    inbound    X       abandoned    queue         -

        party  call  role     result      talked
        A      A2    placed   answered    40
        A      X1    offered  abandoned   0
        X      A2    offered  answered    40
        X      X1    placed   unanswered  0
        """,
    )


@pytest.mark.parametrize(
    ("end", "disposition"),
    [("12 X1 is ended", "ended_in_menu"), ("12 X1 hangs up", "abandoned")],
)
def test_menu_that_is_closed_is_no_missed_call(check, end, disposition):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 menu closed
        {end}
        """,
        f"""
        call  disposition    menu    answered
        X1    {disposition}  closed  -
        """,
    )


def test_agent_who_answers_as_the_caller_leaves_has_not_talked(check):
    """The phone is picked up, and nobody is connected to it."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        12  B1 answered
        12  X1 ends recv_cancel,ORIGINATOR_CANCEL
        12  B1 ends send_bye,ORIGINATOR_CANCEL
        """,
        """
        call  disposition  abandoned_in  answered  handlers
        X1    abandoned    queue         -         -

        wait  group  entered  left  result     by
        X1    G      0        12    abandoned  -

        party  role     group  result      rings  rang  talked
        B      offered  G      abandoned   1      12    0
        X      placed   -      unanswered  0      0     0
        """,
    )


def test_phone_that_is_connected_a_moment_after_it_is_picked_up(check):
    """The other phones stop ringing in between."""
    check(
        """
        0     X1 dials 0501234567
        0     X1 answered
        0     X1 queued G
        0     B1 rings for X1
        0     C1 rings for X1
        12    B1 answered
        12.2  C1 stops ringing LOSE_RACE
        12.4  X1 bridged with B1
        60    X1 hangs up
        """,
        """
        call  answered  handlers  disposition
        X1    12.4      B         answered

        wait  group  left  result    by
        X1    G      12.4  answered  B

        party  role     group  result               talked
        B      offered  G      answered             47.6
        C      offered  G      picked_up_elsewhere  0
        X      placed   -      answered             47.6
        """,
    )


def test_caller_of_a_lost_agent_returns_to_the_queue(check):
    """The phone of the agent loses its network."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        20  A1 ends send_bye,MEDIA_TIMEOUT
        20  X1 queued G
        20  B1 rings for X1
        30  B1 answers
        60  X1 hangs up
        """,
        """
        call  handlers  disposition  abandoned_in
        X1    A,B       answered     -

        wait  group  entered  left  result    by
        X1    G      0        5     answered  A
        X1    G      20       30    answered  B

        party  role     group  result    talked
        A      offered  G      answered  15
        B      offered  G      answered  30
        X      placed   -      answered  45
        """,
    )


# -- clocks and late events -----------------------------------------------------------


def test_clock_set_back_between_answer_and_transfer(check):
    """No duration is negative. The caller's second talk counts from the start of the first."""
    check(
        """
        100  X1 dials 0501234567
        100  X1 calls A
        100  A1 rings for X1
        110  A1 answers
        90   A1 leaves
        90   X1 calls B
        90   B1 rings for X1
        95   B1 answers
        150  X1 hangs up
        """,
        """
        call  disposition  clock_adjusted  handlers  answered
        X1    answered     yes             A,B       110

        party  result    talked
        A      answered  0
        B      answered  55
        X      answered  40
        """,
    )


def test_phone_that_rings_before_its_caller_is_shown_belongs_to_the_call(check):
    """Both legs appear at the same moment: the feed may show them in either order."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        1   B1 answers
        9   X1 hangs up
        """,
        """
        call  caller  answered_by  disposition  waited
        X1    X       B            answered     1

        wait  group  entered  left  result    by  rings
        X1    G      0        1     answered  B   2

        party  role     result               talked
        B      offered  answered             8
        C      offered  picked_up_elsewhere  0
        X      placed   answered             8
        """,
    )


# -- calls in progress ----------------------------------------------------------------


def test_call_in_progress_has_incomplete_rows():
    watcher = Watcher()
    script = """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        20  X1 queued H
        20  C1 rings for X1
    """
    for message in messages_of(script):
        watcher.receive(message)
    (call,) = watcher.calls
    assert_rows(
        [call],
        """
        wait  group  entered  left  waited  result      complete
        X1    G      0        20    20      overflowed  no
        X1    H      20       -     -       -           no
        """,
    )
    assert all(not row.complete for row in (*QueueWait.of(call), *Participation.of(call)))
