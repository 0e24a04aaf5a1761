"""Plain calls, as tables of events and rows: scenarios 1 to 9.

``support.call_script`` explains the events, ``support.call_tables`` the rows. Each test runs once
for each kind of feed in ``support.call_feeds``.
"""

from __future__ import annotations

import pytest

# -- 1: internal calls ----------------------------------------------------------------


def test_internal_call_names_both_users(check):
    check(
        """
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        30  A1 hangs up
        """,
        """
        call  direction  caller  called  requested  started  answered  ended  waited  talking
        A1    internal   A       202     B          0        5         30     5       25

        wait  group

        party  role     result    rings  rang  talked  held  offered  answered  left
        A      placed   answered  0      0     25      0     0        5         30
        B      offered  answered  1      5     25      0     0        5         30
        """,
    )


def test_internal_call_that_the_caller_abandons_names_the_callee(check):
    check(
        """
        0  A1 dials B
        0  A1 calls B
        0  B1 rings for A1
        5  A1 hangs up
        """,
        """
        call  direction  caller  requested  answered  disposition  abandoned_in  ended_by  handlers
        A1    internal   A       B          -         abandoned    ringing       caller    -

        party  role     result      rings  rang  talked  answered  left
        A      placed   unanswered  0      0     0       -         5
        B      offered  abandoned   1      5     0       -         5
        """,
    )


@pytest.mark.parametrize(
    ("end", "disposition", "result"),
    [
        ("hangs up USER_BUSY", "busy", "busy"),
        ("hangs up CALL_REJECTED", "rejected", "rejected"),
        ("hangs up NO_USER_RESPONSE", "unreachable", "failed"),
        ("is ended NO_ANSWER", "missed", "missed"),
    ],
)
def test_internal_call_that_nobody_answers_is_missed_by_the_callee_only(
    check, end, disposition, result
):
    check(
        f"""
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        20  B1 {end}
        """,
        f"""
        call  caller  requested  answered  disposition    abandoned_in
        A1    A       B          -         {disposition}  -

        party  role     result      rings  rang  talked
        A      placed   unanswered  0      0     0
        B      offered  {result}    1      20    0
        """,
    )


# -- 2: inbound calls -----------------------------------------------------------------


def test_inbound_call_waits_until_somebody_talks(check):
    """The PBX answers the line long before."""
    check(
        """
        0    X1 dials 0501234567
        0.5  X1 answered
        0.5  X1 menu main
        5    X1 queued G
        5    B1 rings for X1
        12   B1 answers
        60   X1 hangs up
        """,
        """
        call  direction  caller  called      group  menu  waited  ivr  queued  talking  other  total
        X1    inbound    X       0501234567  G      main  12      4.5  7       48       0.5    60

        call  disposition  abandoned_in  ended_by  handlers  answered_by  last_phase  purpose
        X1    answered     -             caller    B         B            talking     call

        wait  group  entered  left  waited  result    next  by  rings  purpose  complete
        X1    G      5        12    7       answered  -     B   1      call     yes

        party  role     group  result    rings  rang  talked  held  offered  answered  left
        B      offered  G      answered  1      7     48      0     5        12        60
        X      placed   -      answered  0      0     48      0     0        12        60
        """,
    )


@pytest.mark.parametrize(
    ("state", "waited_in"),
    [
        ("dials 0501234567", "ringing"),
        ("dials 0501234567 and waits for routing", "ringing"),
        ("service routing", "ringing"),
        ("menu main", "ivr"),
        ("remote menu", "ivr"),
        ("queued G", "queue"),
        ("calls B", "ringing"),
    ],
)
def test_caller_who_leaves_at_once_has_abandoned_the_call(check, state, waited_in):
    first = "0 X1 dials 0501234567" if "dials" not in state else ""
    check(
        f"""
        {first}
        0     X1 {state}
        0.06  X1 hangs up
        """,
        f"""
        call  direction  caller  called      disposition  abandoned_in  ended_by  total
        X1    inbound    X       0501234567  abandoned    {waited_in}   caller    0.06

        party  role    result
        X      placed  unanswered
        """,
    )


# -- 3: lines that the PBX never answered ---------------------------------------------


@pytest.mark.parametrize(
    ("caller", "cause", "disposition"),
    [
        ("A", "CALL_REJECTED", "rejected"),
        ("A", "UNALLOCATED_NUMBER", "failed"),
        ("A", "NORMAL_TEMPORARY_FAILURE", "failed"),
        ("X", "CALL_REJECTED", "rejected"),
        ("X", "UNALLOCATED_NUMBER", "failed"),
        ("X", "NORMAL_TEMPORARY_FAILURE", "failed"),
    ],
)
@pytest.mark.parametrize("state", ["service routing", "conference 8000"])
def test_line_that_the_pbx_refuses_is_no_answered_call(check, caller, state, cause, disposition):
    """Nobody was called, so that nobody was unreachable."""
    check(
        f"""
        0    {caller}1 dials 8000
        0    {caller}1 {state}
        0.2  {caller}1 is ended {cause}
        """,
        f"""
        call       answered  disposition    abandoned_in  ended_by  handlers
        {caller}1  -         {disposition}  -             pbx       -

        party     result      talked  answered
        {caller}  unanswered  0       -
        """,
    )


def test_pickup_with_nothing_to_take_is_a_failed_pickup(check):
    check(
        """
        0    A1 dials pickup_uuid.B9
        0    A1 service pickup
        0.2  A1 is ended NO_PICKUP
        """,
        """
        call  purpose  called  answered  disposition  handlers
        A1    pickup   -       -         failed       -

        party  role       result  talked  answered
        A      picked_up  failed  0       -
        """,
    )


@pytest.mark.parametrize("caller", ["A", "X"])
@pytest.mark.parametrize("state", ["service routing", "conference 8000"])
def test_caller_who_leaves_an_unanswered_service_has_abandoned_the_call(check, caller, state):
    check(
        f"""
        0  {caller}1 dials 8000
        0  {caller}1 {state}
        4  {caller}1 hangs up
        """,
        f"""
        call       answered  disposition  ended_by
        {caller}1  -         abandoned    caller
        """,
    )


@pytest.mark.parametrize(
    ("number", "state", "purpose"),
    [("*97", "messages", "service"), ("8000", "conference 8000", "call")],
)
def test_service_is_reached_when_the_line_is_answered(check, number, state, purpose):
    check(
        f"""
        0  A1 dials {number}
        0  A1 {state}
        0  A1 answered
        9  A1 hangs up
        """,
        f"""
        call  purpose    disposition  abandoned_in  handlers  total
        A1    {purpose}  answered     -             -         9

        party  role     result    rings  talked  left
        A      service  answered  0      0       9
        """,
    )


# -- 4: outbound calls ----------------------------------------------------------------


def test_outbound_call_names_the_party_outside(check):
    check(
        """
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        8   X1 answers
        50  X1 hangs up
        """,
        """
        call  direction  caller  called  answered_by  disposition  ended_by  waited  talking
        A1    outbound   A       X       X            answered     callee    8       42

        party  role     result    rings  rang  talked  answered
        A      placed   answered  0      0     42      8
        X      offered  answered  1      8     42      8
        """,
    )


@pytest.mark.parametrize(
    ("end", "disposition", "result"),
    [
        ("X1 is ended NO_ANSWER", "unanswered", "missed"),
        ("X1 hangs up NO_ANSWER", "unanswered", "missed"),
        ("A1 hangs up", "unanswered", "abandoned"),
        ("X1 hangs up USER_BUSY", "busy", "busy"),
        ("X1 hangs up CALL_REJECTED", "rejected", "rejected"),
        ("X1 hangs up NO_USER_RESPONSE", "unreachable", "failed"),
        ("X1 hangs up SUBSCRIBER_ABSENT", "unreachable", "failed"),
        ("X1 hangs up USER_NOT_REGISTERED", "unreachable", "failed"),
        ("X1 hangs up DESTINATION_OUT_OF_ORDER", "unreachable", "failed"),
        ("X1 hangs up NO_ROUTE_DESTINATION", "unreachable", "failed"),
        ("X1 hangs up UNALLOCATED_NUMBER", "unreachable", "failed"),
        ("X1 hangs up NORMAL_TEMPORARY_FAILURE", "failed", "failed"),
    ],
)
def test_outbound_call_without_an_answer_is_never_missed_by_the_user(
    check, end, disposition, result
):
    check(
        f"""
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        25  {end}
        """,
        f"""
        call  direction  answered  disposition    abandoned_in  handlers
        A1    outbound   -         {disposition}  -             -

        party  role     result      rings  rang  talked
        A      placed   unanswered  0      0     0
        X      offered  {result}    1      25    0
        """,
    )


@pytest.mark.parametrize("cause", ["UNALLOCATED_NUMBER", "NO_ROUTE_DESTINATION"])
def test_number_that_the_pbx_refuses_before_routing_is_not_unreachable(check, cause):
    check(
        f"""
        0  A1 dials 0999
        0  A1 is ended {cause}
        """,
        """
        call  answered  disposition  ended_by
        A1    -         failed       pbx

        party  role    result
        A      placed  unanswered
        """,
    )


def test_number_outside_that_never_rings_is_unreachable(check):
    """The PBX makes no leg for it."""
    check(
        """
        0  A1 dials X
        0  A1 calls X
        1  A1 is ended NO_ROUTE_DESTINATION
        """,
        """
        call  direction  disposition  ended_by
        A1    outbound   unreachable  pbx

        party  role    result
        A      placed  unanswered
        """,
    )


# -- 5: numbers that change -----------------------------------------------------------


def test_last_real_number_counts(check):
    check(
        """
        0    X1 dials 0501234567
        0.1  X1 has calling_number=08099998888
        0.2  X1 has called_number=0501234568
        0.3  X1 calls B
        0.3  B1 rings for X1
        5    B1 answers
        9    X1 has called_number=RINGING_PARK.X1
        20   X1 hangs up
        """,
        """
        call  caller       called
        X1    08099998888  0501234568

        party        role
        08099998888  placed
        B            offered
        """,
    )


@pytest.mark.parametrize(
    "marker",
    ["pickup_uuid.B9", "assimilate.B9", "media_plug", "RINGING_PARK", "RINGING_PARK.B9"],
)
def test_marker_is_no_dialled_number(check, marker):
    check(
        f"""
        0  A1 dials {marker}
        0  A1 service something
        2  A1 is ended NO_PICKUP
        """,
        """
        call  called  called_number_normalised
        A1    -       -
        """,
    )


def test_media_plug_is_no_number_of_a_caller(check):
    check(
        """
        0  A1 rings by API to dial media_plug
        1  A1 answered
        9  A1 hangs up
        """,
        """
        call  caller  caller_number  called
        A1    A       -              -
        """,
    )


def test_marker_on_a_ringing_phone_is_no_number(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        0   B1 has called_number=RINGING_PARK.B1
        20  B1 is ended
        """,
        """
        call  caller  called      disposition
        X1    X       0501234567  missed

        party  role     result
        B      offered  missed
        X      placed   unanswered
        """,
    )


# -- 6: instants and clocks -----------------------------------------------------------


def test_answer_and_end_in_one_instant_is_an_answered_call(check):
    check(
        """
        0  X1 dials 0501234567
        0  X1 calls B
        0  B1 rings for X1
        5  B1 answers
        5  X1 hangs up
        """,
        """
        call  answered  disposition  answered_by  talking  total  clock_adjusted
        X1    5         answered     B            0        5      no

        party  result    rang  talked  answered  clock_adjusted
        B      answered  5     0       5         no
        X      answered  0     0       5         no
        """,
    )


def test_clock_set_back_during_a_talk_gives_a_talk_of_zero(check):
    check(
        """
        10  X1 dials 0501234567
        10  X1 calls B
        10  B1 rings for X1
        15  B1 answers
        12  X1 hangs up
        """,
        """
        call  answered  disposition  waited  talking  clock_adjusted
        X1    15        answered     5       0        yes

        party  result    talked  clock_adjusted
        B      answered  0       yes
        X      answered  0       yes
        """,
    )


def test_clock_set_back_during_a_wait_gives_a_wait_of_zero(check):
    check(
        """
        10  X1 dials 0501234567
        10  X1 queued G
        10  B1 rings for X1
        8   X1 hangs up
        """,
        """
        call  disposition  abandoned_in  queued  total  clock_adjusted
        X1    abandoned    queue         0       0      yes

        wait  entered  left  waited  result
        X1    10       10    0       abandoned

        party  result      rings  rang  clock_adjusted
        B      abandoned   1      0     yes
        X      unanswered  0      0     yes
        """,
    )


# -- 7: calls at the same time --------------------------------------------------------


def test_two_calls_of_one_caller_are_two_rows(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        1   X2 dials 0501234567
        1   X2 calls C
        1   C1 rings for X2
        5   B1 answers
        7   C1 answers
        20  X1 hangs up
        30  X2 hangs up
        """,
        """
        call  caller  answered_by  talking  total
        X1    X       B            15       20
        X2    X       C            23       29

        party  call  role     result    talked
        B      X1    offered  answered  15
        C      X2    offered  answered  23
        X      X1    placed   answered  15
        X      X2    placed   answered  23
        """,
    )


# -- 8: tags, origination and ringing -------------------------------------------------


def test_tags_of_all_legs_reach_the_row(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 has tags=monitoring_required
        1   X1 calls B
        1   B1 rings for X1
        1   B1 has tags=auto_answer
        5   B1 answers
        9   X1 has tags=monitoring_required,vip
        20  X1 hangs up
        """,
        """
        call  tags
        X1    monitoring_required,auto_answer,vip
        """,
    )


def test_origination_reaches_the_row(check):
    check(
        """
        0   A1 rings by API to dial X
        2   A1 answered
        2   A1 calls X
        2   X1 rings for A1
        9   X1 answers
        20  A1 hangs up
        """,
        """
        call  origination                  tags
        A1    call_user,A,X                auto_answer
        """,
    )


def test_ringing_state_of_a_caller_is_no_phone_that_rings(check):
    check(
        """
        0    X1 dials 0501234567 and waits for routing
        0.5  X1 calls B
        0.5  B1 rings for X1
        5.5  B1 answers
        20   X1 hangs up
        """,
        """
        party  role     rings  rang
        B      offered  1      5
        X      placed   0      0
        """,
    )


def test_user_whose_own_line_is_ringing_does_not_miss_the_call(check):
    check(
        """
        0  A1 dials X and waits for routing
        9  A1 is ended NO_ANSWER
        """,
        """
        party  role    result      rings  rang
        A      placed  unanswered  0      0
        """,
    )


# -- 9: bridged to nobody -------------------------------------------------------------


def test_announcement_is_no_talk(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 announcement
        30  X1 hangs up
        """,
        """
        call  answered  disposition  ended_by  handlers  talking
        X1    -         abandoned    caller    -         0

        party  result      talked
        X      unanswered  0
        """,
    )


def test_agent_who_follows_an_announcement_is_the_answer(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 announcement
        10  X1 queued G
        10  B1 rings for X1
        15  X1 announcement
        20  B1 answers
        50  X1 hangs up
        """,
        """
        call  answered  disposition  answered_by  transfers  waited  talking
        X1    20        answered     B            0          20      30

        wait  group  entered  left  result    by  rings
        X1    G      10       20    answered  B   1

        party  role     group  result    rang  talked
        B      offered  G      answered  10    30
        X      placed   -      answered  0     30
        """,
    )


def test_music_between_two_talks_is_no_talk(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  X1 announcement
        30  X1 bridged with B1
        50  X1 hangs up
        """,
        """
        call  answered_by  handlers  transfers
        X1    B            B         0
        """,
    )


# -- two phones of one user -----------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "result"), [("CALL_REJECTED", "rejected"), ("USER_BUSY", "busy")]
)
def test_refusal_that_stops_the_other_phone_is_no_pickup_elsewhere(check, cause, result):
    check(
        f"""
        0  X1 dials 0501
        0  X1 calls B
        0  B1 rings for X1
        0  B2 rings for X1
        4  B1 refuses {cause}
        4  B2 stops ringing LOSE_RACE
        4  X1 is ended {cause}
        """,
        f"""
        call  disposition
        X1    {result}

        party  role     result      rings
        B      offered  {result}    2
        X      placed   unanswered  0
        """,
    )


def test_refusal_on_one_phone_as_a_colleague_answers_is_a_pickup_elsewhere(check):
    check(
        """
        0  X1 dials 0501
        0  X1 queued G
        0  B1 rings for X1
        0  B2 rings for X1
        0  C1 rings for X1
        4  B1 refuses CALL_REJECTED
        4  C1 answers
        9  X1 hangs up
        """,
        """
        party  role     result
        B      offered  picked_up_elsewhere
        C      offered  answered
        X      placed   answered
        """,
    )
