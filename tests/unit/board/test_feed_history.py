"""Feed history: which notices become entries, and their text."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from support.staged_simulator import quiet

from basix_ws_cti import ConnectionLost, Disconnected, Gap, Stopped, Synced, Syncing
from basix_ws_cti.board.feed_history import (
    MAX_ENTRIES,
    FeedHistory,
    describe_error,
    describe_notice,
    describe_state,
)
from basix_ws_cti.session.status import Connecting


def test_disconnection_and_its_retry_are_one_entry():
    """Intermediate states give no entry; gaps are counted."""
    history = FeedHistory(quiet().now)
    lost = ConnectionLost(1006)
    for notice in (
        Syncing(),
        Synced(),
        Disconnected(lost, None),
        Disconnected(lost, 2.0),
        lost,
        Gap(quiet().now(), quiet().now() + timedelta(seconds=8), lost),
        ValueError("text of another package"),
    ):
        history(notice)
    texts = [describe_notice(entry.notice, UTC) for entry in history]
    assert texts == [
        "ValueError",
        f"gap from 00:00:00 to 00:00:08, 8.0 s: {lost}",
        f"disconnected: {lost}; retrying in 2.0 s",
        "live",
    ]
    assert [entry.is_problem for entry in history] == [True, True, True, False]
    assert history.gaps == 1


def test_history_keeps_a_limited_number_of_entries():
    history = FeedHistory()
    for _ in range(MAX_ENTRIES * 2):
        history(Disconnected(ConnectionLost(1006), 1.0))
    assert len([*history]) == MAX_ENTRIES


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (Connecting(1), "connecting"),
        (Connecting(3), "connecting, attempt 3"),
        (Syncing(), "syncing"),
        (Synced(), "live"),
        (Disconnected(ConnectionLost(1006), None), "disconnected"),
        (Stopped(None), "ended"),
        (Stopped(ConnectionLost(1006)), "stopped"),
    ],
)
def test_every_state_has_a_text(state, text):
    assert describe_state(state) == text


def test_notices_are_described_as_text():
    lost = ConnectionLost(1006)
    assert describe_notice(Disconnected(lost, None)) == f"disconnected: {lost}"
    assert describe_notice(Stopped(None)) == "feed ended"
    assert describe_notice(Stopped(lost)) == f"stopped: {lost}"
    assert describe_notice(lost) == str(lost)
    assert describe_notice(Connecting(2)) == "connecting, attempt 2"


def test_errors_of_other_packages_are_named_by_class_only():
    """Their text might contain personal data."""
    assert describe_error(ValueError("0312341234")) == "ValueError"
    assert describe_error(None) == "unknown reason"
    assert describe_error(ConnectionLost(1006), lambda _: "advice") == "advice"
