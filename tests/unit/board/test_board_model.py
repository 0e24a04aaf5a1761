"""Board model: figures and calls that it keeps between boards."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from support.staged_simulator import quiet, talk

from basix_ws_cti import ConnectionLost, Gap, Lagged
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.model import BoardModel
from basix_ws_cti.simulator import Person


def test_latest_ended_calls_and_missed_events_are_kept():
    staged = quiet()
    board_model = BoardModel(staged, FeedHistory(), max_ended_calls=3)
    caller_legs = []
    for _ in range(5):
        caller_legs.append(talk(staged))
        staged.pbx.hang_up(caller_legs[-1])
    while not staged.events.empty():
        board_model.apply(staged.events.get_nowait())
    board_model.apply(Lagged(7))
    assert [*board_model.ended_calls] == [caller_leg.uuid for caller_leg in caller_legs[-3:]]
    assert board_model.missed_events == 7


def test_queue_figures_include_talks_whose_events_the_board_did_not_see():
    """One call was answered before the model was made, one while it lost events."""
    staged = quiet()
    group = next(iter(staged.pbx.groups.values()))

    def answer_unseen():
        caller_leg = staged.pbx.receive(Person("0611110000"), "0501234567")
        staged.pbx.call_group(caller_leg, group)
        staged.pbx.connect(staged.pbx.ringing_for(caller_leg)[0])
        while not staged.events.empty():
            staged.events.get_nowait()

    def answered():
        rows = model.build_board().rows["queues"]
        return next(row.cells[4].text for row in rows if row.key == repr(group.id))

    answer_unseen()
    model = BoardModel(staged, FeedHistory(staged.now))
    seen = [answered()]
    answer_unseen()
    model.apply(Lagged(3))
    assert [*seen, answered()] == ["1", "2"]


def test_remarks_give_the_period_that_is_counted_and_the_gaps():
    staged = quiet()
    history = FeedHistory(staged.now)
    model = BoardModel(staged, history)
    assert model.build_board().remarks(UTC) == "counting since 00:00"
    staged.advance(3599)
    history(Gap(staged.now(), staged.now(), ConnectionLost(1006)))
    assert model.build_board().remarks(UTC) == "counting since 00:00, 1 gap"
    staged.advance(1)
    assert model.build_board().remarks(UTC) == "counts of the last 60 minutes, 1 gap"


class SkewedSource:
    """Staged source of a PBX whose clock differs from this machine's by ``seconds``."""

    def __init__(self, staged, seconds):
        self._staged = staged
        self._seconds = seconds

    def __getattr__(self, name):
        return getattr(self._staged, name)

    def now(self):
        return self._staged.now() - timedelta(seconds=self._seconds)


@pytest.mark.parametrize("seconds", [-7200, 7200])
def test_durations_follow_the_clock_of_the_pbx(seconds):
    """The remarks mention that the clocks differ; the board's own time is this machine's."""
    staged = quiet()
    source = SkewedSource(staged, seconds)
    model = BoardModel(source, FeedHistory(source.now))
    caller_leg = talk(staged)
    staged.advance(3)
    staged.pbx.park(caller_leg)
    while not staged.events.empty():
        model.apply(staged.events.get_nowait())
    staged.advance(7)
    board = model.build_board()
    assert [row.cells[2].text for row in board.rows["calls"]] == ["0:07"]
    direction = "ahead" if seconds > 0 else "behind"
    assert board.remarks(UTC).endswith(f", PBX clock 2:00:00 {direction}")
    assert board.clock_offset == seconds * 1_000_000
    assert board.at == source.now()
