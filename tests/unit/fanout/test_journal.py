"""Journal: matching with the stream, bounds, and what is put back."""

from __future__ import annotations

import pytest

from basix_ws_cti import Mirror
from basix_ws_cti.fanout.entries import Entry
from basix_ws_cti.fanout.journal import AHEAD_TIME, Journal, PendingSnapshot


def change(text):
    return Entry("element", text.encode())


def call(key, details=""):
    return Entry("call", f'{{"event":"updated","key":"{key}","x":"{details}"}}'.encode())


STATE = Entry("state", b'{"state":"synced"}')
GAP = Entry("gap", b"{}")
SNAPSHOT = PendingSnapshot(Mirror(), ())


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def journal(clock):
    return Journal(clock, max_items=5, max_bytes=100)


def contents(journal):
    return [entry.data.decode() for entry in journal.pop(100, 10**6)]


def match(journal, *entries):
    for entry in entries:
        journal.match(entry.type, entry.data)


def test_items_of_the_stream_are_dropped_one_by_one(journal):
    """Equal items are different events: each entry of the stream stands for one of them."""
    for text in "abab":
        journal.add(change(text))
    match(journal, change("a"), change("b"))
    assert journal.has_matched
    assert contents(journal) == ["a", "b"]


def test_entry_that_comes_before_its_item_drops_that_item_only(journal):
    match(journal, change("a"))
    assert (journal.ahead, journal.has_matched) == (1, False)
    journal.add(change("a"))
    assert (journal.ahead, journal.has_matched, len(journal)) == (0, True, 0)
    journal.add(change("a"))
    assert contents(journal) == ["a"]


def test_entry_without_an_item_is_forgotten_after_a_time(journal, clock):
    match(journal, change("a"))
    clock.now = AHEAD_TIME + 1
    journal.add(change("a"))
    assert contents(journal) == ["a"]


def test_call_events_are_matched_by_their_keys(journal):
    journal.add(call("1:updated:abc", "seen from its start"))
    match(journal, call("1:updated:abc", "seen later"))
    assert len(journal) == 0


def test_call_event_without_a_key_matches_nothing(journal):
    journal.add(call("1"))
    match(journal, Entry("call", b"{}"), Entry("call", b'{"key":}'))
    assert len(journal) == 1


def test_states_and_gaps_are_not_matched(journal):
    journal.add(STATE)
    match(journal, STATE)
    assert contents(journal) == ['{"state":"synced"}']


def test_entries_are_taken_up_to_the_bounds_and_the_next_snapshot(journal):
    for item in (change("12345"), change("6"), SNAPSHOT, change("7")):
        journal.add(item)
    assert journal.pop_snapshot() is None
    assert [one.data for one in journal.pop(10, 5)] == [b"12345"]
    assert [one.data for one in journal.pop(10, 5)] == [b"6"]
    assert journal.pop(10, 5) == []
    assert journal.pop_snapshot() is SNAPSHOT
    assert [one.data for one in journal.pop(1, 0)] == [b"7"]  # at least one
    assert (len(journal), journal.size) == (0, 0)


@pytest.mark.parametrize("texts", [["1", "2", "3", "4", "5", "6"], ["x" * 60, "y" * 60]])
def test_journal_over_its_bounds_drops_everything_until_it_is_cleared(journal, texts):
    for text in texts:
        journal.add(change(text))
    assert journal.has_overflowed
    journal.add(change("later"))
    assert (len(journal), journal.size) == (0, 0)
    journal.clear()
    journal.add(change("again"))
    assert contents(journal) == ["again"]


@pytest.mark.parametrize(("count", "size"), [(16, 2**20), (6000, 4096)])
def test_journal_has_room_for_all_items_of_a_usual_size(clock, count, size):
    journal, state = Journal(clock, max_items=count), Entry("state", bytes(size))
    for _ in range(count):
        journal.add(state)
    assert (len(journal), journal.size) == (count, count * size)
    journal.add(state)
    assert journal.has_overflowed


@pytest.mark.parametrize("is_taken", [True, False])
def test_gap_that_is_dropped_when_entries_are_put_back_is_reported(journal, is_taken):
    for item in (change("a"), STATE, SNAPSHOT):
        journal.add(item)
    assert journal.restore(journal.pop(2, 100)) is False
    journal.add(GAP)
    assert journal.restore(journal.pop(2, 100) if is_taken else []) is True
    assert journal.restore([]) is False
    assert contents(journal) == ["a"]


def test_taken_entries_are_put_back_before_the_others(journal):
    """States and snapshots belong to the epoch that has ended."""
    for item in (change("a"), STATE, change("b"), SNAPSHOT, change("c")):
        journal.add(item)
    taken = journal.pop(2, 100)
    journal.restore(taken)
    match(journal, change("b"))
    assert contents(journal) == ["a", "c"]


def test_overflow_survives_when_entries_are_put_back(journal):
    for text in "1234567":
        journal.add(change(text))
    journal.restore([change("0")])
    assert journal.has_overflowed


def test_items_that_a_leader_must_have_appended_are_dropped_after_a_time(journal, clock):
    journal.add(change("old"))
    clock.now = 50.0
    journal.add(change("new"))
    clock.now = 61.0
    journal.drop_older(60)
    assert contents(journal) == ["new"]
    journal.drop_older(60)


@pytest.mark.parametrize(
    ("event", "matches"), [("started", True), ("ended", True), ("updated", False)]
)
def test_start_and_end_of_a_call_match_whatever_is_known_about_it(journal, event, matches):
    journal.add(call(f"1:{event}:abc"))
    match(journal, call(f"1:{event}:def"))
    assert (len(journal) == 0) is matches
