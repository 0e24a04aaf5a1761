"""Broken feeds: scenarios 30 and 31.

That each event comes twice, that events of one moment change places, that a hang-up comes without
a removal or the other way round: the fixture ``check`` plays all scripts in this way. Here are the
feeds that need scripts.

Not here: of two loggers at once (31), each writes rows with the same ids; the call log keeps one
of them. A restart is the feed ``joined late`` of all scripts, a replay is ``replayed``.
"""

from __future__ import annotations

import pytest
from support.call_feeds import Watcher, live, replayed
from support.call_script import events_of, messages_of
from support.call_tables import assert_rows

from basix_ws_cti.calls import CallRecord
from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait

# -- 30: events that come late, or not at all -----------------------------------------


def test_phone_that_is_shown_after_it_was_answered_took_part(check):
    """The first event of the phone's leg comes late, with an older time."""
    check(
        """
        0   X1 dials 0501234567
        0   X1 queued G
        12  X1 answered
        0   B1 rings for X1
        12  B1 answers
        60  X1 hangs up
        """,
        """
        call  disposition  answered_by  answered
        X1    answered     B            12

        party  role     result    talked
        B      offered  answered  48
        X      placed   answered  48
        """,
    )


@pytest.mark.parametrize("last_event", ["CHANNEL_CREATE", "CHANNEL_ANSWER"])
def test_callers_leg_may_be_shown_after_the_phone_that_rings(last_event):
    """The first events of the caller's leg are missing, or come late."""
    script = """
        0   X1 dials 0501234567
        0   X1 calls B
        2   B1 rings for X1
        12  B1 answers
        60  X1 hangs up
    """
    pairs = [*zip(events_of(script), messages_of(script), strict=True)]
    names = [(event.uuid, event.last_event) for event, _ in pairs]
    first = max(index for index, name in enumerate(names) if name == ("B1", last_event))
    watcher = Watcher()
    for index, (event, message) in enumerate(pairs):
        if event.uuid != "X1" or index > first:
            watcher.receive(message)
    assert_rows(
        watcher.calls,
        """
        call  direction  caller  started  answered  disposition  answered_by  total  requested
        X1    inbound    X       0        12        answered     B            60     B

        party  role     result    talked
        B      offered  answered  48
        X      placed   answered  48
        """,
    )


@pytest.mark.parametrize("last", ["", "21 B1 stops ringing", "21 B1 disappears"])
def test_late_leg_of_an_ended_call_starts_no_call(last):
    script = f"""
        0   X1 dials 0501234567
        0   X1 calls B
        20  X1 hangs up
        10  B1 rings for X1
        {last}
    """
    (calls,) = live(script)
    (call,) = calls
    record = CallRecord.of(call)
    assert (record.id, record.disposition) == ("X1", "abandoned")
    assert record.abandoned_in == "ringing"


def _with_late(leg, script):
    """Return the calls of a script whose events of one leg come after all others."""
    pairs = [*zip(events_of(script), messages_of(script), strict=True)]
    pairs.sort(key=lambda pair: pair[0].uuid == leg)
    watcher = Watcher()
    for _, message in pairs:
        watcher.receive(message)
    return watcher.calls


def test_phone_that_is_shown_after_the_call_ended_leaves_one_row():
    """The phone rang, and stopped because another one was answered."""
    calls = _with_late(
        "B1",
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        0   C1 rings for X1
        15  C1 answers
        60  X1 hangs up
        """,
    )
    assert_rows(
        calls,
        """
        call  disposition  answered_by  joined
        X1    answered     C            -
        """,
    )


def test_answered_phone_that_is_shown_after_the_call_ended_leaves_one_row():
    calls = _with_late(
        "B1",
        """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        60  X1 hangs up
        """,
    )
    assert [call.id for call in calls] == ["X1"]


def test_late_leg_of_a_joined_call_starts_no_call():
    """The phone that the agent consulted first is shown after all calls ended."""
    calls = _with_late(
        "C1",
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  B2 dials G
        20  B2 queued G
        20  C1 rings for B2
        20  D1 rings for B2
        24  C1 refuses
        25  D1 answers
        30  X1 bridged with D1
        30  B1 leaves
        30  B2 leaves
        60  X1 hangs up
        """,
    )
    assert [(call.id, call.joined) for call in calls] == [("B2", "X1"), ("X1", None)]


def test_phone_that_rings_again_for_a_leg_that_is_never_shown_starts_a_call():
    """The feed does not show the caller: the first call ended with the phone, not with them."""
    script = """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 stops ringing
        10  B2 rings for X1
        15  B2 stops ringing
    """
    watcher = Watcher()
    for event, message in zip(events_of(script), messages_of(script), strict=True):
        if event.uuid != "X1":
            watcher.receive(message)
    assert [call.id for call in watcher.calls] == ["X1", "B2"]


def test_leg_that_is_shown_again_after_its_end_is_no_new_call(check):
    check(
        """
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        20  X1 hangs up
        20  B1 is shown again
        21  X1 is shown again
        """,
        """
        call  disposition
        X1    answered
        """,
    )


@pytest.mark.parametrize("leg", ["X1", "B1"])
@pytest.mark.parametrize("other", ["disappears", "leaves"])
def test_legs_that_are_removed_without_a_hangup_leave_one_row(leg, other):
    """How the call ended may be unknown; that it was answered is not."""
    first, second = leg, "B1" if leg == "X1" else "X1"
    (calls,) = live(f"""
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        30  {first} disappears
        30  {second} {other}
    """)
    (call,) = calls
    assert (call.disposition, call.answered_by.user_id is not None) == ("answered", True)
    assert [wait.result for wait in QueueWait.of(call)] == ["answered"]
    assert {row.result for row in Participation.of(call)} == {"answered"}


def test_ringing_call_that_is_removed_without_a_hangup_is_unknown():
    """It counts as neither abandoned nor missed."""
    (calls,) = live("""
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 disappears
        5   X1 disappears
    """)
    (call,) = calls
    assert (call.disposition, call.abandoned_in) == ("unknown", None)
    assert [wait.result for wait in QueueWait.of(call)] == ["unknown"]
    assert [row.result for row in Participation.of(call)] == ["unknown", "unknown"]


# -- 31: calls that are processed again -----------------------------------------------


def test_replay_gives_rows_with_the_same_ids_and_values():
    """A call log replaces the rows that it has."""
    script = """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        5   B1 answers
        20  B2 dials C
        20  B2 calls C
        20  C1 rings for B2
        25  C1 answers
        30  X1 bridged with C1
        30  B1 leaves
        30  B2 leaves
        60  X1 hangs up
    """
    (first,), (second,) = live(script), replayed(script)
    assert [CallRecord.of(call) for call in first] == [CallRecord.of(call) for call in second]
    assert [QueueWait.of(call) for call in first] == [QueueWait.of(call) for call in second]
    assert [Participation.of(call) for call in first] == [Participation.of(call) for call in second]
