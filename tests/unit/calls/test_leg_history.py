"""Tests of ``leg_history``; most of it is tested through the tracker."""

from __future__ import annotations

from basix_ws_cti.calls import Interval
from basix_ws_cti.calls.leg_history import LegHistory


def test_talk_of_zero_length_does_not_become_a_hold():
    """The talk after it does: the user was busy elsewhere before both of them."""
    short, talk = Interval(started=20, ended=20), Interval(started=30, ended=50)
    leg = LegHistory("a", None, 7, talks=(short, talk))
    leg.hold_from(10)
    assert leg.talks == (short, Interval(started=30, ended=30))
    assert leg.holds == (talk,)
