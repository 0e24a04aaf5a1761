"""Pickup, transfer and forward, as tables of events and rows: scenarios 18 to 24.

``support.call_script`` explains the events, ``support.call_tables`` the rows. Each test runs once
for each kind of feed in ``support.call_feeds``.
"""

from __future__ import annotations

import pytest
from support.call_feeds import Watcher
from support.call_script import SECOND, messages_of

from basix_ws_cti.calls import CallAnswered

# -- 18: pickup -----------------------------------------------------------------------


@pytest.mark.parametrize("number", ["pickup_uuid.B1", "pickup_uuid.X1", "assimilate.u7"])
def test_call_that_is_picked_up_is_one_call_and_missed_by_nobody(check, number):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1 as RINGING_PARK.u7
        8   C1 dials {number}
        8   C1 service pickup
        9   C1 takes X1
        30  X1 hangs up
        """,
        """
        call  caller  called      requested  answered_by  handlers  disposition  purpose  talking
        X1    X       0501234567  B          C            C         answered     call     21

        wait  group

        party  role       result               rings  rang  talked  answered
        B      offered    picked_up_elsewhere  1      9     0       -
        C      picked_up  answered             0      0     21      9
        X      placed     answered             0      0     21      9
        """,
    )


def test_pickup_of_a_queued_call_answers_the_wait(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   D1 rings for X1
        8   C1 dials pickup_uuid.B1
        8   C1 service pickup
        9   C1 takes X1
        30  C1 hangs up
        """,
        """
        call  answered_by  disposition  ended_by
        X1    C            answered     callee

        wait  group  entered  left  result    by  rings
        X1    G      0        9     answered  C   2

        party  role       group  result               talked
        B      offered    G      picked_up_elsewhere  0
        C      picked_up  -      answered             21
        D      offered    G      picked_up_elsewhere  0
        X      placed     -      answered             21
        """,
    )


def test_pickup_without_a_state_in_between_is_a_pickup(check):
    """The leg of the user who picks up is shown for the first time when it is dialled."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        8   C1 dials pickup_uuid.B1
        9   C1 takes X1
        30  X1 hangs up
        """,
        """
        call  answered_by  handlers  purpose
        X1    C            C         call

        party  role       result
        B      offered    picked_up_elsewhere
        C      picked_up  answered
        X      placed     answered
        """,
    )


def test_attempt_to_pick_up_a_call_whose_caller_has_gone_is_no_answered_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        8   C1 dials pickup_uuid.B1
        8   C1 service pickup
        9   X1 hangs up
        10  C1 is ended NO_PICKUP
        """,
        """
        call  purpose  disposition  abandoned_in  called      handlers
        C1    pickup   failed       -             -           -
        X1    call     abandoned    ringing       0501234567  -

        party  call  result      talked
        B      X1    abandoned   0
        C      C1    failed      0
        X      X1    unanswered  0
        """,
    )


def test_attempt_to_retrieve_a_call_whose_caller_has_gone_is_no_answered_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  X1 parked on 901 by B
        20  B1 leaves
        28  C1 dials 901
        28  C1 service unpark
        29  X1 hangs up
        30  C1 is ended NO_PICKUP
        """,
        """
        call  purpose  disposition  abandoned_in  handlers
        C1    pickup   failed       -             -
        X1    call     answered     parked        B
        """,
    )


def test_two_users_who_pick_up_one_call_make_one_answer(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        8   C1 dials pickup_uuid.B1
        8   C1 service pickup
        8   D1 dials pickup_uuid.B1
        8   D1 service pickup
        9   C1 takes X1
        10  D1 is ended NO_PICKUP
        30  X1 hangs up
        """,
        """
        call  answered_by  handlers  disposition
        X1    C            C         answered

        wait  group  result    by
        X1    G      answered  C
        """,
    )


# -- 19: blind transfer ---------------------------------------------------------------


def test_talk_of_a_blind_transfer_is_split_between_both_agents(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 calls B
        30  B1 rings for X1
        40  B1 answers
        70  X1 hangs up
        """,
        """
        call  handlers  last_handler  transfers  blind  attended  talking  ringing  waited
        X1    A,B       B             1          1      0         55       15       5

        call  requested  answered_by  disposition  last_phase  went_outside
        X1    A          A            answered     talking     no

        party  role     result    rings  rang  talked  held  out  in  offered  answered  left
        A      offered  answered  1      5     25      0     1    0   0        5         30
        B      offered  answered  1      10    30      0     0    1   30       40        70
        X      placed   answered  0      0     55      0     0    0   0        5         70
        """,
    )


def test_agent_may_leave_a_moment_after_a_blind_transfer(check):
    check(
        """
        0     X1 dials 0501234567
        0     X1 calls A
        0     A1 rings for X1
        5     A1 answers
        30    X1 calls B
        30    B1 rings for X1
        30.2  A1 leaves
        40    B1 answers
        70    X1 hangs up
        """,
        """
        call  handlers  transfers  blind  disposition  abandoned_in
        X1    A,B       1          1      answered     -

        party  role     result    talked  out  in
        A      offered  answered  25      1    0
        B      offered  answered  30      0    1
        X      placed   answered  55      0    0
        """,
    )


@pytest.mark.parametrize(
    ("end", "abandoned_in", "result", "ended_by"),
    [
        ("50 X1 hangs up", "ringing", "abandoned", "caller"),
        ("50 B1 is ended NO_ANSWER", "-", "missed", "pbx"),
        ("50 B1 hangs up USER_BUSY", "-", "busy", "callee"),
    ],
)
def test_blind_transfer_that_nobody_answers_is_an_answered_call(
    check, end, abandoned_in, result, ended_by
):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 calls B
        30  B1 rings for X1
        {end}
        """,
        f"""
        call  disposition  abandoned_in    last_phase  handlers  last_handler  blind  ended_by
        X1    answered     {abandoned_in}  ringing     A         A             1      {ended_by}

        party  role     result    talked  out  in
        A      offered  answered  25      1    0
        B      offered  {result}  0       0    1
        X      placed   answered  25      0    0
        """,
    )


@pytest.mark.parametrize("between", ["service transfer", "announcement", "menu sorry"])
def test_blind_transfer_after_a_routing_step_is_a_transfer(check, between):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        35  B1 leaves
        35  X1 {between}
        36  X1 calls C
        36  C1 rings for X1
        45  C1 answers
        80  X1 hangs up
        """,
        """
        call  handlers  transfers  blind  attended  talking  ringing  waited
        X1    B,C       1          1      0         65       14       5

        party  role     talked  held  out  in
        B      offered  30      0     1    0
        C      offered  35      0     0    1
        X      placed   65      0     0    0
        """,
    )


@pytest.mark.parametrize("between", ["service transfer", "announcement", "menu sorry"])
def test_transfer_to_a_queue_after_a_routing_step_is_a_transfer(check, between):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        35  B1 leaves
        35  X1 {between}
        40  X1 queued H
        40  C1 rings for X1
        45  C1 answers
        80  X1 hangs up
        """,
        """
        call  handlers  transfers  blind
        X1    B,C       1          1

        wait  group  entered  left  result    by  transfer
        X1    G      0        5     answered  B   no
        X1    H      40       45    answered  C   yes

        party  group  talked  out  in
        B      G      30      1    0
        C      H      35      0    0
        X      -      65      0    0
        """,
    )


def test_user_who_placed_the_call_may_transfer_it_with_a_routing_step(check):
    check(
        """
        0   B1 dials X
        0   B1 calls X
        0   X2 rings for B1
        5   X2 answers
        35  B1 leaves
        35  X2 service transfer
        36  X2 calls C
        36  C1 rings for X2
        45  C1 answers
        80  X2 hangs up
        """,
        """
        call  blind  attended
        B1    1      0

        party  out  in
        B      1    0
        C      0    1
        X      0    0
        """,
    )


def test_user_who_is_routed_on_after_the_caller_hung_up_was_not_transferred(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        35  X1 leaves
        35  B1 service redial
        36  B1 calls C
        36  C1 rings for B1
        45  C1 answers
        80  B1 hangs up
        """,
        """
        call  blind  attended
        X1    0      0

        party  out  in
        B      0    0
        C      0    0
        X      0    0
        """,
    )


def test_wait_after_a_transfer_counts_from_the_end_of_the_talk():
    watcher = Watcher()
    script = """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        35  B1 leaves
        35  X1 service transfer
        36  X1 calls C
        36  C1 rings for X1
        45  C1 answers
    """
    for message in messages_of(script):
        watcher.receive(message)
    answers = [event for event in watcher.events if isinstance(event, CallAnswered)]
    assert [event.waited // SECOND for event in answers] == [5, 10]


def test_talk_that_goes_on_after_music_is_no_transfer(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        30  X1 announcement
        40  X1 bridged with B1
        70  X1 hangs up
        """,
        """
        call  handlers  transfers
        X1    B         0

        party  talked  held  out  in
        B      55      10    0    0
        X      55      10    0    0
        """,
    )


def test_call_that_is_transferred_on_and_back_counts_for_each_party(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 calls B
        30  B1 rings for X1
        40  B1 answers
        50  B1 leaves
        50  X1 calls A
        50  A2 rings for X1
        55  A2 answers
        60  X1 hangs up
        """,
        """
        call  handlers  blind  attended
        X1    A,B       2      0

        party  talked  out  in
        A      30      1    1
        B      10      1    1
        X      40      0    0
        """,
    )


def test_transfer_to_a_queue_begins_a_wait_and_reaches_no_user(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 queued H
        30  B1 rings for X1
        40  B1 answers
        70  X1 hangs up
        """,
        """
        call  handlers  blind
        X1    A,B       1

        wait  group  entered  left  result    by  transfer
        X1    G      0        5     answered  A   no
        X1    H      30       40    answered  B   yes

        party  group  talked  out  in
        A      G      25      1    0
        B      H      30      0    0
        X      -      55      0    0
        """,
    )


def test_overflow_to_another_queue_is_no_transfer(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        20  X1 queued H
        20  B1 rings for X1
        25  B1 answers
        70  X1 hangs up
        """,
        """
        wait  group  result      transfer
        X1    G      overflowed  no
        X1    H      answered    no

        party  out  in
        B      0    0
        X      0    0
        """,
    )


def test_transfer_to_the_voicemail_box_of_a_user_is_no_transfer_to_the_user(check):
    """The box belongs to the agent who talked first."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 calls B
        30  B1 rings for X1
        40  B1 answers
        50  B1 leaves
        50  X1 mailbox of A
        60  X1 hangs up
        """,
        """
        call  blind
        X1    2

        party  out  in
        A      1    0
        B      1    1
        X      0    0
        """,
    )


# -- 20: attended transfer ------------------------------------------------------------


@pytest.mark.parametrize("cause", ["recv_bye,NORMAL_CLEARING", "send_bye,ATTENDED_TRANSFER"])
def test_attended_transfer_is_one_counted_call_with_all_participants(check, cause):
    """The consult lasts for 15 s, 10 s of which are a talk."""
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        35  X1 bridged with B1
        35  A1 ends {cause}
        35  A2 ends {cause}
        65  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  last_handler  transfers  blind  attended  disposition
        A2    consult  X1      B         B             0          0      0         answered
        X1    call     -       A,B       B             1          0      1         answered

        call  direction  caller  started  answered  ended  total  answered_by
        A2    internal   A       20       25        35     15     B
        X1    inbound    X       0        5         65     65     A

        wait  group

        party  call  role       result    rings  rang  talked  held  offered  answered  left
        A      X1    offered    answered  1      5     25      5     0        5         35
        B      X1    consulted  answered  1      5     40      0     20       25        65
        X      X1    placed     answered  0      0     45      15    0        5         65

        party  out  in
        A      1    0
        B      0    1
        X      0    0
        """,
    )


@pytest.mark.parametrize(("bridged", "left"), [(35, 35.2), (35.2, 35)])
def test_attended_transfer_may_take_a_moment(check, bridged, left):
    """The legs of the agent end shortly after or before the others are connected."""
    transfer = [f"{bridged} X1 bridged with B1", f"{left} A1 leaves", f"{left} A2 leaves"]
    steps = "\n".join(sorted(transfer, key=lambda line: float(line.split()[0])))
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        {steps}
        65  X1 hangs up
        """,
        f"""
        call  purpose  joined  handlers  transfers  attended  disposition
        A2    consult  X1      B         0          0         answered
        X1    call     -       A,B       1          1         answered

        party  call  role       result    talked                           out  in
        A      X1    offered    answered  25                               1    0
        B      X1    consulted  answered  {40 if bridged == 35 else 39.8}  0    1
        X      X1    placed     answered  {45 if bridged == 35 else 44.8}  0    0
        """,
    )


def test_consult_about_a_queue_call_is_no_second_answered_call(check):
    """An agent talks for 50 s, consults for 40 s, and the colleague talks for 20 s more."""
    check(
        """
        0    X1 dials 0501234567
        0    X1 queued G
        0    A1 rings for X1
        0    A1 answers
        50   A2 dials B
        50   A2 calls B
        50   B1 rings for A2
        50   B1 answers
        90   X1 bridged with B1
        90   A1 leaves
        90   A2 leaves
        110  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  attended
        A2    consult  X1      B         0
        X1    call     -       A,B       1

        wait  group  result    by  purpose
        X1    G      answered  A   call

        party  call  role       group  talked  held
        A      X1    offered    G      90      0
        B      X1    consulted  -      60      0
        X      X1    placed     -      70      40
        """,
    )


def test_attended_transfer_of_an_outbound_call_keeps_the_outbound_call(check):
    check(
        """
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        5   X1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  B1 answers
        35  X1 bridged with B1
        35  A1 leaves
        35  A2 leaves
        65  X1 hangs up
        """,
        """
        call  direction  caller  purpose  joined  handlers  attended  disposition
        A1    outbound   A       call     -       X,B       1         answered
        A2    internal   A       consult  A1      B         0         answered

        party  call  role       result    talked  held  out  in
        A      A1    placed     answered  25      5     1    0
        B      A1    consulted  answered  40      0     0    1
        X      A1    offered    answered  45      15    0    0
        """,
    )


def test_consult_that_is_older_than_the_customers_call_does_not_absorb_it(check):
    """Two users talk; one of them answers a customer and connects the customer to the other."""
    check(
        """
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        10  X1 dials 0501234567
        10  X1 calls A
        10  A2 rings for X1
        15  A2 answers
        30  X1 bridged with B1
        30  A1 leaves
        30  A2 leaves
        60  X1 hangs up
        """,
        """
        call  direction  caller  purpose  joined  attended  disposition  started
        A1    internal   A       consult  X1      0         answered     0
        X1    inbound    X       call     -       1         answered     10

        call  answered_by  handlers  called
        A1    B            B         202
        X1    A            A,B       0501234567

        party  call  result    talked  out  in
        A      X1    answered  25      1    0
        B      X1    answered  40      0    1
        X      X1    answered  45      0    0
        """,
    )


def test_second_call_of_an_agent_is_connected_with_the_first(check):
    """The call that goes on is the younger one, and its caller leaves."""
    check(
        """
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        20  A2 dials X
        20  A2 calls X
        20  X1 rings for A2
        25  X1 answers
        35  X1 bridged with B1
        35  A2 leaves
        35  A1 leaves
        50  X1 has tags=vip
        60  X1 hangs up
        """,
        """
        call  direction  joined  handlers  last_handler  attended  disposition
        A1    internal   A2      B         B             0         answered
        A2    outbound   -       X,B       B             1         answered

        party  call  result    talked
        A      A2    answered  25
        B      A2    answered  40
        X      A2    answered  35
        """,
    )


def test_of_two_inbound_calls_the_older_goes_on(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        10  Y1 dials 0501234567
        10  Y1 calls A
        10  A2 rings for Y1
        15  A2 answers
        30  X1 bridged with Y1
        30  A1 leaves
        30  A2 leaves
        60  X1 hangs up
        """,
        """
        call  direction  caller  joined
        X1    inbound    X       -
        Y1    inbound    Y       X1

        party  call  result    talked  out  in
        A      X1    answered  25      1    0
        X      X1    answered  40      0    0
        Y      X1    answered  45      0    1
        """,
    )


MUSIC = [
    ("40 X1 announcement", ""),
    ("40 B1 announcement", ""),
    ("40 X1 announcement", "40 B1 announcement"),
]
"""Music on hold that the legs of a talk hear: one or both of them."""


@pytest.mark.parametrize(("music", "more"), MUSIC)
def test_attended_transfer_of_a_caller_who_hears_music_is_a_hold_and_a_transfer(check, music, more):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        {music}
        {more}
        45  B2 dials C
        45  B2 calls C
        45  C1 rings for B2
        55  C1 answers
        80  X1 bridged with C1
        80  B1 leaves
        80  B2 leaves
        95  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  blind  attended  disposition
        B2    consult  X1      C         0      0         answered
        X1    call     -       B,C       0      1         answered

        party  call  role       talked  held  out  in
        B      X1    offered    60      15    1    0
        C      X1    consulted  40      0     0    1
        X      X1    placed     50      40    0    0
        """,
    )


@pytest.mark.parametrize(("music", "more"), MUSIC)
def test_consult_that_ends_returns_the_agent_to_the_caller_who_hears_music(check, music, more):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        {music}
        {more}
        45  B2 dials C
        45  B2 calls C
        45  C1 rings for B2
        55  C1 answers
        65  B2 hangs up
        70  X1 bridged with B1
        95  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  transfers
        B2    consult  -       C         0
        X1    call     -       B         0

        party  call  talked  held
        B      B2    10      0
        B      X1    60      30
        C      B2    10      0
        X      X1    60      30
        """,
    )


@pytest.mark.parametrize(
    ("music", "end", "held"),
    [
        ("40 X1 announcement", "60 X1 hangs up", 20),
        ("40 X1 announcement", "60 B1 hangs up", 20),
        ("40 B1 announcement", "60 X1 hangs up", 20),
        ("40 X1 announcement", "60 X1 queued G", 20),
    ],
)
def test_hold_with_music_ends_with_the_connection(check, music, end, held):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        {music}
        {end}
        """,
        f"""
        party  talked  held
        B      35      {held}
        X      35      {held}
        """,
    )


def test_consult_that_ends_is_a_call_of_its_own_and_the_wait_is_a_hold(check):
    """The agent returns to the caller."""
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
        35  A2 hangs up
        65  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  attended  disposition
        A2    consult  -       B         0         answered
        X1    call     -       A         0         answered

        party  call  role       result    talked  held  out  in
        A      A2    placed     answered  10      0     0    0
        A      X1    offered    answered  45      15    0    0
        B      A2    consulted  answered  10      0     0    0
        X      X1    placed     answered  45      15    0    0
        """,
    )


@pytest.mark.parametrize(
    ("end", "result"),
    [
        ("35 A2 hangs up", "abandoned"),
        ("35 B1 is ended NO_ANSWER", "missed"),
        ("35 B1 hangs up USER_BUSY", "busy"),
    ],
)
def test_consult_that_nobody_answers_is_no_answered_call(check, end, result):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        {end}
        65  X1 hangs up
        """,
        f"""
        call  purpose  joined  handlers  answered
        A2    consult  -       -         -
        X1    call     -       A         5

        party  call  role     result      talked  held
        A      A2    placed   unanswered  0       0
        A      X1    offered  answered    45      15
        B      A2    offered  {result}    0       0
        X      X1    placed   answered    45      15
        """,
    )


# -- 21: semi-attended transfer -------------------------------------------------------

SEMI_ATTENDED = """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials B
        20  A2 calls B
        20  B1 rings for A2
        25  A1 leaves
        25  X1 calls B
        25  B1 rings on for X1
        25  A2 ends send_refuse,ATTENDED_TRANSFER
"""


def test_transfer_completed_while_the_phone_rings_is_a_blind_transfer(check):
    check(
        f"""
        {SEMI_ATTENDED}
        35  B1 answers
        65  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  blind  attended  disposition
        X1    call     -       A,B       1      0         answered
        A2    consult  X1      -         0      0         unanswered

        party  call  role     result    rings  rang  talked  held  out  in
        A      X1    offered  answered  1      5     15      5     1    0
        B      X1    offered  answered  1      15    30      0     0    1
        X      X1    placed   answered  0      0     45      5     0    0
        """,
    )


def test_transfer_completed_while_the_phone_rings_may_be_abandoned(check):
    check(
        f"""
        {SEMI_ATTENDED}
        33  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  blind  attended  disposition  abandoned_in
        X1    call     -       A         1      0         answered     ringing
        A2    consult  X1      -         0      0         unanswered   -

        party  call  role     result     rings  rang  talked  held
        A      X1    offered  answered   1      5     15      5
        B      X1    offered  abandoned  1      13    0       0
        X      X1    placed   answered   0      0     15      5
        """,
    )


def test_transfer_completed_while_a_phone_of_a_queue_rings_answers_no_wait(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 dials G
        20  A2 queued G
        20  B1 rings for A2
        25  A1 leaves
        25  X1 calls B
        25  B1 rings on for X1
        25  A2 ends send_refuse,ATTENDED_TRANSFER
        33  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  blind  disposition  abandoned_in
        A2    consult  X1      -         0      unanswered   -
        X1    call     -       A         1      answered     ringing

        wait  group  entered  result      by  rings  purpose
        A2    G      20       overflowed  -   1      consult

        party  role     result     rings  talked
        A      offered  answered   1      15
        B      offered  abandoned  1      0
        X      placed   answered   0      15
        """,
    )


# -- 22: calls sent outside -----------------------------------------------------------


def test_inbound_call_sent_outside_stays_inbound(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 calls Y
        30  Y1 rings for X1
        40  Y1 answers
        70  X1 hangs up
        """,
        """
        call  direction  went_outside  handlers  last_handler  blind
        X1    inbound    yes           A,Y       Y             1

        party  role     result    talked  out  in
        A      offered  answered  25      1    0
        X      placed   answered  55      0    0
        Y      offered  answered  30      0    1
        """,
    )


def test_internal_call_sent_outside_stays_internal(check):
    check(
        """
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        30  B1 leaves
        30  A1 calls Y
        30  Y1 rings for A1
        40  Y1 answers
        70  A1 hangs up
        """,
        """
        call  direction  went_outside  handlers  called
        A1    internal   yes           B,Y       202
        """,
    )


def test_internal_call_that_is_forwarded_outside_stays_internal(check):
    check(
        """
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        15  B1 stops ringing
        15  A1 calls Y
        15  Y1 rings for A1
        20  Y1 answers
        70  A1 hangs up
        """,
        """
        call  direction  went_outside  requested  answered_by  transfers
        A1    internal   yes           B          Y            0
        """,
    )


def test_call_that_stays_inside_did_not_go_outside(check):
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
        35  A2 hangs up
        65  X1 hangs up
        """,
        """
        call  direction  went_outside  purpose
        X1    inbound    no            call
        A2    outbound   no            consult
        """,
    )


# -- 23: forwards ---------------------------------------------------------------------


def test_unconditional_forward_names_who_was_asked_for(check):
    """The phone of the user who forwards does not ring: they took no part."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   X1 calls C
        0   C1 rings for X1
        8   C1 answers
        30  X1 hangs up
        """,
        """
        call  requested  answered_by  handlers  transfers
        X1    B          C            C         0

        party  role     result
        C      offered  answered
        X      placed   answered
        """,
    )


@pytest.mark.parametrize(
    ("end", "result"),
    [("B1 refuses USER_BUSY", "busy"), ("B1 stops ringing", "missed")],
)
def test_forward_of_a_busy_or_unanswered_phone_keeps_its_result(check, end, result):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        15  {end}
        15  X1 calls C
        15  C1 rings for X1
        20  C1 answers
        30  X1 hangs up
        """,
        f"""
        call  requested  answered_by  disposition  transfers  waited
        X1    B          C            answered     0          20

        party  role     result    rings  rang  talked
        B      offered  {result}  1      15    0
        C      offered  answered  1      5     10
        X      placed   answered  0      0     10
        """,
    )


def test_chain_of_forwards_into_a_mailbox_names_all_stations(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        15  B1 stops ringing
        15  X1 calls C
        15  C1 rings for X1
        16  C1 refuses USER_BUSY
        16  X1 calls D
        16  D1 rings for X1
        30  D1 stops ringing
        30  X1 answered
        30  X1 mailbox of D
        60  X1 hangs up
        """,
        """
        call  requested  mailbox  disposition  answered  handlers  voicemail  abandoned_in
        X1    B          D        voicemail    -         -         30         -

        party  role     result      rings  rang
        B      offered  missed      1      15
        C      offered  busy        1      1
        D      offered  missed      1      14
        X      placed   unanswered  0      0
        """,
    )


def test_forward_from_a_queue_to_outside_names_the_queue(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        20  X1 calls Y
        20  Y1 rings for X1
        25  Y1 answers
        60  X1 hangs up
        """,
        """
        call  direction  requested  answered_by  went_outside  transfers
        X1    inbound    G          Y            yes           0

        wait  group  entered  left  result      next  by
        X1    G      0        20    overflowed  -     -

        party  role     result    talked
        X      placed   answered  35
        Y      offered  answered  35
        """,
    )


# -- 24: a talk, and something else ---------------------------------------------------


@pytest.mark.parametrize(
    ("place", "phase", "box", "room", "transfers"),
    [
        ("mailbox of B", "voicemail", "B", "-", 1),
        ("conference 8000", "conference", "-", "8000", 0),
    ],
)
def test_talk_before_voicemail_or_conference_makes_an_answered_call(
    check, *, place, phase, box, room, transfers
):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A1 leaves
        20  X1 {place}
        50  X1 hangs up
        """,
        f"""
        call  disposition  last_phase  mailbox  room    answered_by  {phase}  talking  abandoned_in
        X1    answered     {phase}     {box}    {room}  A            30       15       -

        party  role     result    talked  out
        A      offered  answered  15      {transfers}
        X      placed   answered  15      0
        """,
    )


# -- consult calls that are older than the call they become a part of -----------------


def test_older_consult_does_not_change_how_the_agent_was_offered_the_call(check):
    check(
        """
        0    A1 dials B
        0    A1 calls B
        0    B1 rings for A1
        5    B1 answers
        20   X1 dials 0501
        20   X1 queued G
        20   A2 rings for X1
        25   A2 answers
        60   X1 bridged with B1
        60   A1 leaves
        60   A2 leaves
        100  X1 hangs up
        """,
        """
        party  role       group  result    offered  answered  left  talked
        A      offered    G      answered  20       25        60    55
        B      consulted  -      answered  0        5         100   60
        X      placed     -      answered  20       25        100   75
        """,
    )


def test_colleague_of_an_older_consult_who_missed_the_call_in_the_queue_was_offered_it(check):
    check(
        """
        0    A1 dials B
        0    A1 calls B
        0    B1 rings for A1
        5    B1 answers
        20   X1 dials 0501
        20   X1 queued G
        20   A2 rings for X1
        20   B2 rings for X1
        25   A2 answers
        60   X1 bridged with B1
        60   A1 leaves
        60   A2 leaves
        100  X1 hangs up
        """,
        """
        party  role     group  result    offered  answered  left  talked
        A      offered  G      answered  20       25        60    55
        B      offered  G      answered  20       60        100   60
        X      placed   -      answered  20       25        100   75
        """,
    )
