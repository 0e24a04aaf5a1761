"""Parking, conferences, voicemail, click-to-call and monitoring: scenarios 25 to 29.

``support.call_script`` explains the events, ``support.call_tables`` the rows. Each test runs once
for each kind of feed in ``support.call_feeds``.
"""

from __future__ import annotations

import pytest

# -- 25: parking ----------------------------------------------------------------------


def test_parked_time_is_apart_from_the_talks_with_both_users(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  X1 parked on 901 by A
        20  A1 leaves
        50  C1 dials 901
        50  C1 service unpark
        51  C1 takes X1
        80  X1 hangs up
        """,
        """
        call  handlers  last_handler  transfers  talking  parked  disposition  abandoned_in
        X1    A,C       C             0          44       31      answered     -

        party  role       result    rings  talked  held  answered  left
        A      offered    answered  1      15      0     5         20
        C      retrieved  answered  0      29      0     51        80
        X      placed     answered  0      44      31    5         80
        """,
    )


def test_parked_call_that_the_same_user_retrieves_is_handled_once(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  X1 parked on 901 by A
        20  A1 leaves
        30  A2 dials 901
        30  A2 takes X1
        50  X1 hangs up
        """,
        """
        call  handlers  parked  talking
        X1    A         10      35

        party  role     result    talked  left
        A      offered  answered  35      50
        X      placed   answered  35      50
        """,
    )


# -- 26: conferences ------------------------------------------------------------------


def test_conference_room_is_in_the_row(check):
    check(
        """
        0   A1 dials 8000
        0   A1 service conference
        0   A1 answered
        1   A1 conference 8000
        60  A1 hangs up
        """,
        """
        call  direction  purpose  disposition  room  conference  handlers  answered_by
        A1    internal   call     answered     8000  59          -         -

        party  role     result    talked
        A      service  answered  0
        """,
    )


def test_each_caller_of_a_conference_has_a_call(check):
    check(
        """
        0   A1 dials 8000
        0   A1 answered
        0   A1 conference 8000
        5   X1 dials 8000
        5   X1 answered
        5   X1 conference 8000
        20  A1 hangs up
        30  X1 hangs up
        """,
        """
        call  direction  disposition  room
        A1    internal   answered     8000
        X1    inbound    answered     8000
        """,
    )


# -- 27: voicemail --------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["B", "G"])
def test_call_that_goes_straight_to_a_mailbox_is_unanswered(check, owner):
    check(
        f"""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 mailbox of {owner}
        40  X1 hangs up
        """,
        f"""
        call  disposition  answered  mailbox  voicemail  abandoned_in  handlers
        X1    voicemail    -         {owner}  40         -             -

        party  role    result
        X      placed  unanswered
        """,
    )


def test_call_that_goes_to_a_mailbox_after_no_answer_was_missed(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        20  B1 stops ringing
        20  X1 answered
        20  X1 mailbox of G
        60  X1 hangs up
        """,
        """
        call  disposition  answered  requested  mailbox
        X1    voicemail    -         G          G

        wait  group  entered  left  result     by
        X1    G      0        20    voicemail  -

        party  role     result
        B      offered  missed
        X      placed   unanswered
        """,
    )


def test_caller_who_hangs_up_within_the_greeting_left_no_message(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 mailbox of B
        1   X1 hangs up
        """,
        """
        call  disposition  mailbox  voicemail
        X1    no_message   B        1
        """,
    )


def test_user_who_listens_to_messages_uses_a_service(check):
    check(
        """
        0   A1 dials *97
        0   A1 messages
        0   A1 answered
        25  A1 hangs up
        """,
        """
        call  purpose  disposition  mailbox  voicemail  handlers
        A1    service  answered     -        0          -

        party  role     result    talked
        A      service  answered  0
        """,
    )


# -- 28: click-to-call ----------------------------------------------------------------


def test_click_to_call_is_one_outbound_call_of_the_user(check):
    """Two endpoints of the user ring. Picking one up is not the answer."""
    check(
        """
        0   A1 rings by API to dial X
        0.1 A2 rings by API to dial X
        3   A1 answered
        3   A2 ends send_cancel,LOSE_RACE
        3   A1 calls X
        3   X1 rings for A1
        15  X1 answers
        60  X1 hangs up
        """,
        """
        call  direction  caller  called  purpose  disposition  answered  answered_by  handlers
        A1    outbound   A       X       call     answered     15        X            X

        party  role     result    talked  answered
        A      placed   answered  45      15
        X      offered  answered  45      15
        """,
    )


def test_click_to_call_may_be_answered_on_the_second_endpoint(check):
    check(
        """
        0   A1 rings by API to dial X
        0.1 A2 rings by API to dial X
        3   A2 answered
        3   A1 ends send_cancel,LOSE_RACE
        3   A2 calls X
        3   X1 rings for A2
        15  X1 answers
        60  A2 hangs up
        """,
        """
        call  direction  caller  disposition  answered  answered_by  ended_by
        A1    outbound   A       answered     15        X            caller

        party  role     result    talked
        A      placed   answered  45
        X      offered  answered  45
        """,
    )


def test_click_to_call_to_a_user_is_an_internal_call(check):
    check(
        """
        0   A1 rings by API to dial B
        3   A1 answered
        3   A1 calls B
        3   B1 rings for A1
        9   B1 answers
        30  A1 hangs up
        """,
        """
        call  direction  caller  requested  answered_by  disposition
        A1    internal   A       B          B            answered

        party  role     result    talked
        B      offered  answered  21
        A      placed   answered  21
        """,
    )


@pytest.mark.parametrize(
    "end",
    [
        "20 A1 ends recv_refuse,USER_BUSY\n20 A2 ends send_cancel,ORIGINATOR_CANCEL",
        "20 A1 ends send_cancel,NO_ANSWER\n20 A2 ends send_cancel,NO_ANSWER",
    ],
)
def test_click_to_call_that_the_user_does_not_take_is_an_attempted_outbound_call(check, end):
    """Nobody misses it."""
    check(
        f"""
        0   A1 rings by API to dial X
        0.1 A2 rings by API to dial X
        {end}
        """,
        """
        call  direction  caller  called  purpose  answered  abandoned_in  handlers
        A1    outbound   A       X       call     -         -             -

        party  role    result      talked
        A      placed  unanswered  0
        """,
    )


def test_click_to_call_that_the_party_outside_does_not_take_is_unanswered(check):
    check(
        """
        0   A1 rings by API to dial X
        3   A1 answered
        3   A1 calls X
        3   X1 rings for A1
        30  X1 is ended NO_ANSWER
        """,
        """
        call  direction  disposition  answered
        A1    outbound   unanswered   -

        party  role     result      talked
        A      placed   unanswered  0
        X      offered  missed      0
        """,
    )


def test_click_to_call_may_end_in_a_mailbox(check):
    check(
        """
        0   A1 rings by API to dial B
        3   A1 answered
        3   A1 calls B
        3   B1 rings for A1
        20  B1 stops ringing
        20  A1 mailbox of B
        50  A1 hangs up
        """,
        """
        call  direction  disposition  mailbox  answered
        A1    internal   voicemail    B        -

        party  role     result
        A      placed   unanswered
        B      offered  missed
        """,
    )


# -- 29: monitoring -------------------------------------------------------------------


def test_monitoring_a_call_is_in_no_figure_of_calls(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        10  A1 rings by API to dial media_plug
        11  A1 answered
        11  A1 listens to X1
        30  A1 hangs up
        60  X1 hangs up
        """,
        """
        call  purpose  joined  handlers  direction
        A1    monitor  -       -         internal
        X1    call     -       B         inbound

        wait  group  by
        X1    G      B

        party  call  role       result    talked
        A      A1    monitored  answered  0
        B      X1    offered    answered  55
        X      X1    placed     answered  55
        """,
    )


def test_media_plug_that_listens_to_nobody_monitors(check):
    check(
        """
        0   A1 rings by API to dial media_plug
        1   A1 answered
        30  A1 hangs up
        """,
        """
        call  purpose  handlers
        A1    monitor  -

        party  role       talked
        A      monitored  0
        """,
    )


# -- users whom the PBX calls into a conference ----------------------------------------


def test_user_who_is_called_into_a_conference_has_answered(check):
    check(
        """
        0   X1 dials 0501
        0   X1 answered
        0   X1 conference 9
        5   A1 rings for X1
        5   B1 rings for X1
        10  A1 answered
        10  A1 conference 9
        20  B1 stops ringing
        40  A1 ends recv_bye,NORMAL_CLEARING
        41  X1 ends recv_bye,NORMAL_CLEARING
        """,
        """
        party  role     result    offered  answered  left  talked
        A      offered  answered  5        10        40    0
        B      offered  missed    5        -         20    0
        X      placed   answered  0        0         41    0
        """,
    )


# -- attempts to take a call ----------------------------------------------------------


@pytest.mark.parametrize("cause", ["NO_PICKUP", "NORMAL_CLEARING"])
def test_pickup_of_a_call_that_is_over_fails_although_the_line_was_answered(check, cause):
    check(
        f"""
        0    X1 dials 0501
        0    X1 calls B
        0    B1 rings for X1
        3    A2 dials pickup_uuid.B1
        3    A2 answered
        3.5  X1 hangs up
        4    A2 is ended {cause}
        """,
        """
        call  purpose  disposition  ended_by
        X1    call     abandoned    caller
        A2    pickup   failed       pbx

        party  call  role       result      answered
        B      X1    offered    abandoned   -
        X      X1    placed     unanswered  -
        A      A2    picked_up  failed      -
        """,
    )


def test_retrieval_from_an_empty_slot_fails_although_the_line_was_answered(check):
    check(
        """
        0  A1 dials 999
        0  A1 answered
        1  A1 is ended NO_PICKUP
        """,
        """
        call  purpose  disposition  ended_by
        A1    pickup   failed       pbx

        party  role       result  answered
        A      retrieved  failed  -
        """,
    )
