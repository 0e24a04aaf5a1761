"""Phases of an active call: they tile its life, and their number is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.call_builders import call, party

from basix_ws_cti.calls import CallRecord, QueueWait, phase_history
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
    assert history.merged is None
    history.begin(Phase(kind="talking", started=30))
    assert history.merged is not None
    assert spans(history) == [("unknown", 0, 20), ("ringing", 20, 30), ("talking", 30, None)]


def test_sums_and_waits_of_merged_phases_are_kept(monkeypatch):
    """A sum starts with its first phase, and has the duration of all."""
    monkeypatch.setattr(phase_history, "MAX_PHASES", 3)
    history = PhaseHistory(Phase(kind="ivr", started=0))
    for started, kind, who in (
        (10, "queued", "g1"),
        (30, "talking", "u7"),
        (60, "ivr", None),
        (70, "queued", "g2"),
        (90, "ivr", None),
        (95, "queued", "g2"),
    ):
        history.begin(Phase(kind=kind, started=started, party=party(who) if who else Party()))
    assert spans(history) == [("unknown", 0, 90), ("ivr", 90, 95), ("queued", 95, None)]
    sums = [(one.kind, one.party, one.started, one.ended) for one in history.merged.phases]
    assert sums == [
        ("ivr", Party(), 0, 20),
        ("queued", party("g1"), 10, 30),
        ("talking", party("u7"), 30, 60),
        ("queued", party("g2"), 70, 90),
    ]
    assert history.summed() == (*history.merged.phases, *history.as_tuple()[1:])
    answered, lasting = history.merged.waits
    assert (answered.group_id, answered.entered, answered.left) == (1, 10, 30)
    assert (answered.result, answered.answered_by_user_id) == ("answered", 7)
    assert (lasting.group_id, lasting.entered, lasting.left) == (2, 70, 90)
    assert lasting.result is None
    assert not history.is_truncated


PHASES = st.tuples(
    st.sampled_from(
        ["queued g1", "queued g1", "queued g2", "queued", "ivr", "other", "talking u7"]
    ),
    st.integers(0, 5),
)


@settings(max_examples=30)
@given(st.lists(PHASES, min_size=1, max_size=12), st.integers(2, 6))
def test_merged_phases_change_neither_times_nor_waits_nor_parties(steps, limit):
    """Neither do waits that go on after the merged phases."""
    calls = []
    for maximum in (limit, 1000):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(phase_history, "MAX_PHASES", maximum)
            history = PhaseHistory(Phase(kind="ivr", started=0))
            now = 1
            for words, duration in steps:
                kind, *who = words.split()
                history.begin(Phase(kind=kind, started=now, party=party(*who) if who else Party()))
                now += duration
        shown = call("0 ivr", phases=history.as_tuple(), merged=history.merged)
        history.close(now)
        ended = call("0 ivr", now, by="pbx", phases=history.as_tuple(), merged=history.merged)
        calls.append((shown, ended))
    for merged, complete in zip(*calls, strict=True):
        assert QueueWait.of(merged) == QueueWait.of(complete)
        for kind in ("queued", "ivr", "other", "talking", "unknown"):
            assert merged.time_in(kind) == complete.time_in(kind)
        assert CallRecord.of(merged).handlers == CallRecord.of(complete).handlers
        assert CallRecord.of(merged).group_id == CallRecord.of(complete).group_id


def test_earlier_start_counts_as_unknown_time_once_phases_were_merged(monkeypatch):
    monkeypatch.setattr(phase_history, "MAX_PHASES", 2)
    history = PhaseHistory(Phase(kind="ivr", started=10))
    for started in (20, 30):
        history.begin(Phase(kind="ringing", started=started))
    history.start_earlier(3)
    times = {one.kind: one.duration for one in history.merged.phases}
    assert times == {"ivr": 10, "ringing": 10, "unknown": 7}
    assert spans(history) == [("unknown", 3, 30), ("ringing", 30, None)]


def test_number_of_waits_of_merged_phases_is_limited(monkeypatch):
    """The last ones are kept."""
    monkeypatch.setattr(phase_history, "MAX_PHASES", 2)
    monkeypatch.setattr(phase_history, "MAX_MERGED_WAITS", 3)
    history = PhaseHistory(Phase(kind="ivr", started=0))
    for started in range(1, 10):
        group = party(f"g{started % 2}")
        history.begin(Phase(kind="queued", started=started, party=group))
    assert history.is_truncated
    assert [wait.entered for wait in history.merged.waits] == [6, 7, 8]
    ended = call("0 ivr", 20, by="pbx", phases=history.as_tuple(), merged=history.merged)
    assert [wait.entered for wait in QueueWait.of(ended)] == [6, 7, 8, 9]


def test_number_of_sums_of_merged_phases_is_limited(monkeypatch):
    """Further ones count with the first of their kind; each kind has at least one."""
    monkeypatch.setattr(phase_history, "MAX_PHASES", 2)
    monkeypatch.setattr(phase_history, "MAX_SUMS", 2)
    history = PhaseHistory(Phase(kind="ivr", started=0, place="a"))
    for started, place in ((1, "b"), (3, "c"), (7, "b"), (8, "a")):
        history.begin(Phase(kind="ivr", started=started, place=place))
    history.begin(Phase(kind="other", started=20))
    history.begin(Phase(kind="ivr", started=25))
    sums = [(one.kind, one.place, one.duration) for one in history.merged.phases]
    assert sums == [("ivr", "a", 1 + 4 + 12), ("ivr", "b", 2 + 1), ("other", None, 5)]
    assert history.is_truncated
