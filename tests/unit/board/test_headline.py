"""Headline figures: values, levels and histories."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from support.staged_simulator import PICTURES, quiet, talk

from basix_ws_cti import ConnectionLost, Disconnected, QueueFigures, QueueStats, Stopped, Synced
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.feed_status import describe_outage
from basix_ws_cti.board.headline import FIGURES
from basix_ws_cti.board.limits import BoardLimits, Limits
from basix_ws_cti.board.model import BoardModel
from basix_ws_cti.board.queues import QueueState, QueueTotals
from basix_ws_cti.board.trend import MAX_SAMPLES
from basix_ws_cti.simulator import Person


def deliver(staged, model):
    """Apply the call events so far."""
    while not staged.events.empty():
        model.apply(staged.events.get_nowait())


def wait_in_queue(staged, number="0611110000"):
    """Let a call wait in the first queue, and return the caller's channel."""
    caller = staged.pbx.receive(Person(number), "0501234567")
    staged.pbx.call_group(caller, next(iter(staged.pbx.groups.values())))
    return caller


def texts(model):
    """Return the texts of the headline figures by name."""
    return {figure.name: figure.text for figure in model.build_board().figures}


def figure(model, name):
    """Return one headline figure."""
    return next(one for one in model.build_board().figures if one.name == name)


def test_figures_without_calls_claim_nothing():
    model = BoardModel(quiet(users=3), FeedHistory())
    assert texts(model) == {
        "waiting": "0",
        "longest_wait": "-",
        "talking": "0",
        "free": "3",
        "service_level": "-",
        "answered": "0/0",
        "abandoned": "0",
        "average_answer": "-",
    }
    assert [*texts(model)] == [*FIGURES]


def test_figures_of_waits_answers_and_abandons():
    """One call is answered after 10 s, one after 30 s, one abandoned after 5 s, one waits."""
    staged = quiet(users=3)
    model = BoardModel(staged, FeedHistory(staged.now))
    for seconds in (10, 30):
        caller = wait_in_queue(staged)
        deliver(staged, model)
        staged.advance(seconds)
        staged.pbx.connect(staged.pbx.ringing_for(caller)[0])
        staged.pbx.hang_up(caller)
        deliver(staged, model)
    caller = wait_in_queue(staged)
    deliver(staged, model)
    staged.advance(5)
    staged.pbx.hang_up(caller)
    wait_in_queue(staged)
    deliver(staged, model)
    staged.advance(65)
    shown = texts(model)
    assert shown["waiting"] == "1"
    assert shown["longest_wait"] == "1:05"
    assert shown["service_level"] == "33%"  # one of three within 20 s
    assert shown["answered"] == "2/4"
    assert shown["abandoned"] == "1 (33%)"
    assert shown["average_answer"] == "0:20"
    assert figure(model, "answered").share == 0.5


@pytest.mark.slow
def test_totals_equal_the_figures_of_all_rows():
    """The sums over queues equal the figures of all queues together, in a busy time."""
    staged = PICTURES.busy()
    stats = QueueStats(calls=staged.calls.values())
    staged.advance(900)
    waits = []
    while not staged.events.empty():
        stats.apply([staged.events.get_nowait()])
    now = staged.pbx.now
    states = {
        group: QueueState(one.waiting, one.longest_wait or 0, one)
        for group in stats.groups
        for one in [stats.group(group, now)]
    }
    totals = QueueTotals.of(states)
    figures = [state.figures for state in states.values()]
    waits = sum(one.service_level_of_offered * finished(one) for one in figures)
    assert totals.offered == sum(one.offered for one in figures) > 50
    assert totals.service_level == pytest.approx(waits / sum(map(finished, figures)))
    assert 0 < totals.service_level < 1
    lowest = min(one.average_answer for one in figures)
    highest = max(one.average_answer for one in figures)
    assert lowest <= totals.average_answer <= highest


def finished(figures: QueueFigures):
    """Return the number of waits that ended."""
    return round(figures.abandoned / figures.abandon_rate) if figures.abandoned else 0


def test_free_users_have_a_registered_phone_and_no_channel():
    staged = quiet(users=4)
    talk(staged)
    pbx = staged.pbx
    pbx.call_user(pbx.receive(Person("0688880000"), "0501234567"), list(pbx.users.values())[1])
    terminal = next(
        one for one in pbx.terminals.values() if one.assoc_user_id == list(pbx.users)[2]
    )
    pbx.edit(terminal, registered=0)
    shown = texts(BoardModel(staged, FeedHistory()))
    assert (shown["talking"], shown["free"]) == ("1", "1")


@pytest.mark.parametrize(
    ("seconds", "level", "style"),
    [(9, "ok", "queued"), (10, "warning", "wait_warning"), (30, "alarm", "wait_alarm")],
)
def test_waits_have_the_level_of_their_limits(seconds, level, style):
    """Headline, queue, call and parked call follow the limits."""
    staged = quiet()
    limits = BoardLimits(wait=Limits(10, 30), parked=Limits(10, 30))
    model = BoardModel(staged, FeedHistory(), limits=limits)
    wait_in_queue(staged)
    staged.pbx.park(talk(staged))
    deliver(staged, model)
    staged.advance(seconds)
    board = model.build_board()
    assert [one.level for one in board.figures[:2]] == [level, level]
    assert board.rows["queues"][0].cells[1].style == style
    waiting = next(row for row in board.rows["calls"] if row.cells[1].text == "waiting")
    assert waiting.cells[2].style == style
    assert board.rows["parked"][0].cells[3].style == ("parked" if level == "ok" else style)


def test_history_has_one_sample_per_30_seconds_and_the_present_value():
    staged = quiet()
    model = BoardModel(staged, FeedHistory())
    for number in range(4):
        talk(staged, by=number)
        model.build_board()
        staged.advance(10)
    assert figure(model, "talking").history == (1, 4, 4)
    for _ in range(MAX_SAMPLES + 10):
        staged.advance(30)
        model.build_board()
    assert len(figure(model, "talking").history) == MAX_SAMPLES


def test_history_has_a_gap_while_there_is_no_live_feed():
    staged = quiet()
    model = BoardModel(staged, FeedHistory())
    model.build_board()
    staged.state = Disconnected(ConnectionLost(1006), 2.0)
    model.build_board()
    staged.advance(120)
    staged.state = Synced()
    model.build_board()
    assert figure(model, "talking").history == (0, None, None, None, 0)


# -- without a live feed ----------------------------------------------------------------


def test_stale_board_stays_as_it_was():
    """Durations and waits end when the feed was lost; afterwards they are current again."""
    staged = quiet()
    model = BoardModel(staged, FeedHistory())
    talk(staged)
    staged.advance(20)
    model.build_board()
    staged.state = Disconnected(ConnectionLost(1006), 2.0)
    for _ in range(3):
        board = model.build_board()
        assert board.rows["calls"][0].cells[2].text == "0:20"
        assert not board.status.is_live
        staged.advance(100)
    staged.state = Synced()
    assert model.build_board().rows["calls"][0].cells[2].text == "5:20"


@pytest.mark.parametrize(
    ("delay", "since"), [(3, "00:00:57"), (600, "00:01:00"), (-5, "00:01:00"), (None, "00:01:00")]
)
def test_outage_starts_with_the_last_sign_of_life(delay, since):
    """The time that a disconnection carries is used if it can be one of the feed's clock."""
    staged = quiet()
    model = BoardModel(staged, FeedHistory())
    model.feed_status()
    staged.advance(60)
    heard = None if delay is None else staged.now() - timedelta(seconds=delay)
    staged.state = Disconnected(ConnectionLost(1006), 2.0, last_heard=heard)
    assert f"{model.feed_status().since:%H:%M:%S}" == since


def test_outage_is_described_with_its_state_and_duration():
    staged = quiet()
    model = BoardModel(staged, FeedHistory())
    assert describe_outage(model.feed_status(), staged.now(), UTC) == ""
    staged.state = Disconnected(ConnectionLost(1006), 2.0)
    model.feed_status()
    staged.advance(23)
    text = describe_outage(model.feed_status(), staged.now(), UTC)
    assert text.startswith("Stale since 00:00:00 (0:23): disconnected: ")
    assert text.endswith("; retrying in 2.0 s")
    staged.state = Stopped(None)
    text = describe_outage(model.feed_status(), staged.now(), UTC)
    assert text == "Stale since 00:00:00 (0:23): feed ended"


def test_board_without_a_snapshot_yet_has_no_data():
    staged = quiet()
    staged.state = Disconnected(ConnectionLost(1006), None)
    model = BoardModel(staged, FeedHistory())
    board = model.build_board()
    assert describe_outage(board.status, staged.now(), UTC).startswith(
        "No data yet, since 00:00:00"
    )
    assert board.remarks(UTC) == ""
