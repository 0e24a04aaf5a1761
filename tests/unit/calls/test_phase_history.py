"""Phases of an active call: they tile its life, and their number is bounded."""

from __future__ import annotations

import pytest

from basix_ws_cti.calls import phase_history
from basix_ws_cti.calls.model import Party, Phase
from basix_ws_cti.calls.phase_history import PhaseHistory


def spans(history):
    return [(phase.kind, phase.started, phase.ended) for phase in history.as_tuple()]


@pytest.fixture
def history():
    """A call that was in a menu from 10 to 20 and has been ringing since then."""
    made = PhaseHistory(Phase(kind="ivr", started=10))
    made.begin(Phase(kind="ringing", started=20))
    return made


def test_next_phase_ends_the_current_one(history):
    ended = history.begin(Phase(kind="talking", started=30))
    assert (ended.kind, ended.started, ended.ended) == ("ringing", 20, 30)
    assert spans(history) == [("ivr", 10, 20), ("ringing", 20, 30), ("talking", 30, None)]


def test_phase_never_begins_before_its_predecessor(history):
    history.begin(Phase(kind="talking", started=5))
    assert spans(history) == [("ivr", 10, 20), ("ringing", 20, 20), ("talking", 20, None)]


def test_earlier_start_moves_the_first_phase_only(history):
    history.start_earlier(3)
    assert spans(history) == [("ivr", 3, 20), ("ringing", 20, None)]


def test_earlier_start_moves_an_only_phase():
    history = PhaseHistory(Phase(kind="ivr", started=10))
    history.start_earlier(3)
    assert spans(history) == [("ivr", 3, None)]


def test_party_of_the_current_phase_is_replaced(history):
    party = Party(number="1001")
    history.set_party(party)
    assert history.current.party == party
    assert history.as_tuple()[0].party != party
    assert spans(history) == [("ivr", 10, 20), ("ringing", 20, None)]


def test_close_ends_the_current_phase(history):
    closed = history.close(40)
    assert closed is history.current
    assert spans(history) == [("ivr", 10, 20), ("ringing", 20, 40)]


def test_oldest_phases_are_merged_beyond_the_limit(monkeypatch):
    """The merged phase is of unknown kind and covers both; the phases still tile the call."""
    monkeypatch.setattr(phase_history, "MAX_PHASES", 3)
    history = PhaseHistory(Phase(kind="ivr", started=0))
    for started in (10, 20):
        history.begin(Phase(kind="ringing", started=started))
    assert not history.is_truncated
    history.begin(Phase(kind="talking", started=30))
    assert history.is_truncated
    assert spans(history) == [("unknown", 0, 20), ("ringing", 20, 30), ("talking", 30, None)]
