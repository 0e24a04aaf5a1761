"""Figures of queues and agents, calculated by hand from tables of rows."""

from __future__ import annotations

import math
import random

import attrs
import pytest
from attrs import asdict, evolve
from support.call_rows import SECOND, participation, queue_wait

from basix_ws_cti import UsageError
from basix_ws_cti.calls.figures import (
    AgentFigures,
    Band,
    QueueFigures,
    Thresholds,
    rows_in_period,
    time_of,
)
from basix_ws_cti.calls.tallies import AgentTally, QueueTally

# Ten waits of group 1, one of group 2: two that last, and one of each result that is not a talk.
DAY = [
    queue_wait("answered after 5 s", 0, 5),
    queue_wait("answered after 20 s", 100, 20),
    queue_wait("answered after 50 s", 200, 50),
    queue_wait("short abandon", 300, 5, "abandoned"),
    queue_wait("abandoned after 15 s", 400, 15, "abandoned"),
    queue_wait("abandoned after 100 s", 500, 100, "abandoned"),
    queue_wait("overflow", 600, 30, "overflowed", next_group_id=2),
    queue_wait("overflow", 630, 10, group_id=2),
    queue_wait("voicemail", 700, 60, "voicemail"),
    queue_wait("closed", 800, 120, "ended"),
    queue_wait("gap", 900, result="unknown", left=None, waited_us=None),
    queue_wait("waits", 1000, result=None),
    queue_wait("waits longer", 950, result=None),
]

NO_QUEUE_FIGURES = {
    "waiting": 0,
    "longest_wait": 0,
    "offered": 0,
    "answered": 0,
    "abandoned": 0,
    "overflowed_out": 0,
    "voicemail": 0,
    "ended": 0,
    "unknown": 0,
    "overflowed_in": 0,
    "transferred_in": 0,
    "short_abandons": 0,
    "abandon_rate": None,
    "service_level_of_answered": None,
    "service_level_of_offered": None,
    "service_level_less_short_abandons": None,
    "service_level_abandons_met": None,
    "average_answer": None,
    "maximum_answer": None,
    "average_wait": None,
    "maximum_wait": None,
    "average_abandon": None,
    "median_abandon": None,
    "p90_abandon": None,
    "handled": 0,
    "talked": 0,
    "held": 0,
    "handle_time": 0,
    "average_handle": None,
    "transferred_out": 0,
}

NO_AGENT_FIGURES = {
    "offered": 0,
    "answered": 0,
    "missed": 0,
    "abandoned": 0,
    "picked_up_elsewhere": 0,
    "refused": 0,
    "failed": 0,
    "rang": 0,
    "picked_up": 0,
    "retrieved": 0,
    "consulted": 0,
    "placed": 0,
    "placed_answered": 0,
    "placed_unanswered": 0,
    "internal_offered": 0,
    "internal_placed": 0,
    "handled": 0,
    "talked": 0,
    "longest_talk": 0,
    "held": 0,
    "handle_time": 0,
    "average_handle": None,
    "transfers_out": 0,
    "transfers_in": 0,
}


def queue_values(waits, participations=(), **options):
    """Return the figures of a queue that differ from those of no rows, without the bands."""
    figures = asdict(QueueFigures.of(waits, participations, **options))
    del figures["bands"]
    assert figures.keys() == NO_QUEUE_FIGURES.keys()
    return {key: value for key, value in figures.items() if value != NO_QUEUE_FIGURES[key]}


def agent_values(participations, **options):
    """Return the figures of an agent that differ from those of no rows."""
    figures = asdict(AgentFigures.of(participations, **options))
    assert figures.keys() == NO_AGENT_FIGURES.keys()
    return {key: value for key, value in figures.items() if value != NO_AGENT_FIGURES[key]}


# -- queues -----------------------------------------------------------------------------


def test_no_rows_give_zeros_and_empty_rates():
    assert queue_values([]) == {}
    assert agent_values([]) == {}
    assert [(band.answered, band.abandoned) for band in QueueFigures.of([]).bands] == [(0, 0)] * 6
    assert QueueFigures.by_group([]) == AgentFigures.by_agent([]) == {}
    assert AgentFigures.by_agent_and_group([]) == {}


def test_all_figures_of_a_queue():
    """Of ten waits that ended, nine have a duration: 5, 20, 50, 5, 15, 100, 30, 60, 120 s."""
    assert queue_values(DAY, group_id=1, now=1010 * SECOND) == {
        "waiting": 2,
        "longest_wait": 60 * SECOND,
        "offered": 12,
        "answered": 3,
        "abandoned": 3,
        "overflowed_out": 1,
        "voicemail": 1,
        "ended": 1,
        "unknown": 1,
        "short_abandons": 1,
        "abandon_rate": 3 / 10,
        "service_level_of_answered": 2 / 3,
        "service_level_of_offered": 2 / 10,
        "service_level_less_short_abandons": 2 / 9,
        "service_level_abandons_met": 4 / 10,
        "average_answer": 25 * SECOND,
        "maximum_answer": 50 * SECOND,
        "average_wait": 45 * SECOND,
        "maximum_wait": 120 * SECOND,
        "average_abandon": 40 * SECOND,
        "median_abandon": 15 * SECOND,
        "p90_abandon": 83 * SECOND,
    }


def test_overflow_counts_in_both_queues_and_nothing_else_does():
    """The second queue's figures contain only its own wait."""
    assert queue_values(DAY, group_id=2) == {
        "offered": 1,
        "answered": 1,
        "overflowed_in": 1,
        "abandon_rate": 0.0,
        "service_level_of_answered": 1.0,
        "service_level_of_offered": 1.0,
        "service_level_less_short_abandons": 1.0,
        "service_level_abandons_met": 1.0,
        "average_answer": 10 * SECOND,
        "maximum_answer": 10 * SECOND,
        "average_wait": 10 * SECOND,
        "maximum_wait": 10 * SECOND,
    }


def test_overflow_to_a_user_enters_no_queue():
    waits = [queue_wait(result="overflowed")]
    figures = QueueFigures.of(waits)
    assert (figures.overflowed_out, figures.overflowed_in) == (1, 0)


def test_longest_wait_needs_the_present_time():
    assert QueueFigures.of(DAY).longest_wait is None
    assert QueueFigures.of(DAY, now=0).longest_wait == 0


@pytest.mark.parametrize("purpose", ["consult", "pickup", "monitor", "service"])
def test_only_waits_of_calls_count_in_queues(purpose):
    waits = [queue_wait(purpose=purpose), queue_wait(result=None, purpose=purpose)]
    assert queue_values(waits) == {}


@pytest.mark.parametrize(
    ("waited", "service_level", "in_time"),
    [(20, 20, 1.0), (21, 20, 0.0), (0, 0, 1.0), (1, 0.5, 0.0), (1, 1.5, 1.0)],
)
def test_wait_as_long_as_the_threshold_is_within_the_service_level(waited, service_level, in_time):
    thresholds = Thresholds(service_level=service_level)
    figures = QueueFigures.of([queue_wait(waited=waited)], thresholds=thresholds)
    assert figures.service_level_of_offered == in_time


@pytest.mark.parametrize(("waited", "short"), [(2, 1), (3, 0)])
def test_short_abandon_is_as_long_as_the_threshold_at_most(waited, short):
    waits = [queue_wait(waited=waited, result="abandoned")]
    figures = QueueFigures.of(waits, thresholds=Thresholds(short_abandon=2))
    assert (figures.abandoned, figures.short_abandons) == (1, short)


def test_service_level_without_short_abandons_needs_other_waits():
    """A queue with short abandons only has nothing to divide by."""
    figures = QueueFigures.of([queue_wait(waited=1, result="abandoned")])
    assert figures.service_level_less_short_abandons is None
    assert figures.service_level_of_answered is None
    assert figures.service_level_of_offered == 0.0
    assert figures.service_level_abandons_met == 1.0


def test_band_includes_its_lower_bound_and_excludes_its_upper_bound():
    waits = [
        *(queue_wait(waited=seconds) for seconds in (0, 9, 10, 19, 20, 500)),
        *(queue_wait(waited=seconds, result="abandoned") for seconds in (10, 20, 20)),
        queue_wait(waited=5, result="overflowed"),
    ]
    figures = QueueFigures.of(waits, thresholds=Thresholds(bands=[10, 20]))
    assert figures.bands == (
        Band(lower=0, upper=10 * SECOND, answered=2, abandoned=0),
        Band(lower=10 * SECOND, upper=20 * SECOND, answered=2, abandoned=1),
        Band(lower=20 * SECOND, upper=None, answered=2, abandoned=2),
    )


def test_no_bounds_give_one_open_band():
    figures = QueueFigures.of(DAY, thresholds=Thresholds(bands=()))
    assert figures.bands == (Band(lower=0, upper=None, answered=4, abandoned=3),)


@pytest.mark.parametrize(
    ("seconds", "median", "p90"),
    [
        ([7], 7, 7),
        ([10, 40], 25, 37),
        ([1, 2, 3], 2, 2.8),
        (range(11), 5, 9),
        (range(1, 11), 5.5, 9.1),
    ],
)
def test_percentiles_are_interpolated(seconds, median, p90):
    waits = [queue_wait(waited=waited, result="abandoned") for waited in seconds]
    random.Random(1).shuffle(waits)
    figures = QueueFigures.of(waits)
    assert figures.median_abandon == median * SECOND
    assert figures.p90_abandon == p90 * SECOND


def test_handle_time_of_a_queue_comes_from_the_calls_it_offered():
    rows = [
        participation("1", 11, talked=100, held=20, group_id=1),
        participation("1", 12, talked=50, group_id=1),
        participation("2", 11, result="missed", group_id=1),
        participation("3", None, talked=30, group_id=1, number="0312345678"),
        participation("4", 11, talked=1000, group_id=2),
        participation("5", 11, talked=1000),
        participation("6", 11, talked=1000, group_id=1, purpose="service"),
    ]
    assert queue_values([], rows, group_id=1, wrap_up=10) == {
        "handled": 3,
        "talked": 180 * SECOND,
        "held": 20 * SECOND,
        "handle_time": 230 * SECOND,
        "average_handle": 230 * SECOND // 3,
    }
    assert QueueFigures.of([], rows).handled == 4


def test_transfers_of_a_queue_are_those_into_it_and_those_of_its_agents():
    waits = [
        queue_wait("1"),
        queue_wait("2", entered_by_transfer=True),
        queue_wait("3", entered_by_transfer=True, purpose="consult"),
        queue_wait("4", entered_by_transfer=True, group_id=2),
        queue_wait("5", entered_by_transfer=True, group_id=2, next_group_id=1, result="overflowed"),
    ]
    rows = [
        participation("1", 11, group_id=1, transfers_out=2, transfers_in=1),
        participation("2", 12, group_id=1, transfers_out=1),
        participation("3", 12, group_id=2, transfers_out=4),
        participation("4", 12, transfers_out=8),
        participation("5", 12, group_id=1, role="placed", purpose="consult", transfers_out=16),
    ]
    figures = QueueFigures.by_group(waits, rows)
    assert {group: (one.transferred_in, one.transferred_out) for group, one in figures.items()} == {
        1: (1, 3),
        2: (2, 4),
    }


def test_queues_add_up_to_all_queues_together():
    """Counts and sums add up; a group that only received an overflow has figures, too."""
    rows = [
        participation("1", 11, group_id=1, transfers_out=2),
        participation("2", 12, group_id=3, transfers_out=1),
        participation("3", 12),
    ]
    waits = [
        *DAY,
        queue_wait(result="overflowed", group_id=2, next_group_id=4, entered_by_transfer=True),
    ]
    by_group = QueueFigures.by_group(waits, rows, wrap_up=5, now=1010 * SECOND)
    assert [*by_group] == [1, 2, 3, 4]
    for group_id, figures in by_group.items():
        expected = QueueFigures.of(waits, rows, group_id=group_id, wrap_up=5, now=1010 * SECOND)
        assert figures == expected
    total = QueueFigures.of(waits, rows, wrap_up=5)
    for name in NO_QUEUE_FIGURES:
        value = getattr(total, name)
        is_sum = not name.startswith(("longest", "maximum", "average", "median", "p90"))
        if is_sum and isinstance(value, int):
            assert value == sum(getattr(figures, name) for figures in by_group.values()), name
    for number, band in enumerate(total.bands):
        bands = [figures.bands[number] for figures in by_group.values()]
        assert band.answered == sum(one.answered for one in bands)
        assert band.abandoned == sum(one.abandoned for one in bands)


# -- agents -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {},
            {
                "offered": 1,
                "answered": 1,
                "rang": 5 * SECOND,
                "handled": 1,
                "talked": 60 * SECOND,
                "longest_talk": 60 * SECOND,
                "handle_time": 60 * SECOND,
                "average_handle": 60 * SECOND,
            },
        ),
        ({"result": "missed", "rings": 3}, {"offered": 1, "missed": 1, "rang": 5 * SECOND}),
        ({"result": "abandoned"}, {"offered": 1, "abandoned": 1, "rang": 5 * SECOND}),
        (
            {"result": "picked_up_elsewhere"},
            {"offered": 1, "picked_up_elsewhere": 1, "rang": 5 * SECOND},
        ),
        ({"result": "busy", "rang": 0}, {"offered": 1, "refused": 1}),
        ({"result": "rejected", "rang": 0}, {"offered": 1, "refused": 1}),
        ({"result": "failed", "rang": 0}, {"offered": 1, "failed": 1}),
        ({"result": "unknown", "rang": 0}, {"offered": 1, "failed": 1}),
        ({"result": None, "rang": 0}, {"offered": 1}),
        ({"result": "missed", "rang": 0, "purpose": "consult"}, {"offered": 1, "missed": 1}),
    ],
)
def test_call_offered_to_an_agent_has_one_result(columns, expected):
    assert agent_values([participation(**columns)]) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"role": "picked_up"}, {"picked_up": 1}),
        ({"role": "retrieved"}, {"retrieved": 1}),
        ({"role": "consulted"}, {"consulted": 1}),
        ({"role": "consulted", "purpose": "consult"}, {"consulted": 1}),
        ({"role": "placed"}, {"placed": 1, "placed_answered": 1}),
        (
            {"role": "placed", "direction": "internal"},
            {"placed": 1, "placed_answered": 1, "internal_placed": 1},
        ),
    ],
)
def test_talk_that_the_pbx_did_not_offer_is_handled_and_not_offered(columns, expected):
    row = participation(talked=60, held=10, **columns)
    assert agent_values([row], wrap_up=5) == expected | {
        "handled": 1,
        "talked": 60 * SECOND,
        "longest_talk": 60 * SECOND,
        "held": 10 * SECOND,
        "handle_time": 75 * SECOND,
        "average_handle": 75 * SECOND,
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"role": "service"},
        {"role": "monitored"},
        {"role": "service", "purpose": "service"},
        {"role": "monitored", "purpose": "monitor"},
        {"role": "placed", "purpose": "consult"},
        {"role": "placed", "purpose": "pickup", "result": "failed"},
        {"role": "picked_up", "purpose": "pickup", "result": "failed"},
        {"user_id": None, "number": "0312345678"},
    ],
)
def test_what_is_no_call_of_an_agent_counts_nowhere(columns):
    assert agent_values([participation(**columns, transfers_out=1, transfers_in=1)]) == {}


@pytest.mark.parametrize("role", ["offered", "placed", "consulted", "picked_up", "retrieved"])
def test_transfers_of_an_agent_count_in_every_role_and_without_an_answer(role):
    rows = [
        participation("1", role=role, transfers_out=1, transfers_in=1),
        participation("2", role=role, transfers_in=1, result="missed"),
        participation("3", user_id=12, transfers_out=3),
    ]
    figures = AgentFigures.by_agent(rows)[11]
    assert (figures.transfers_out, figures.transfers_in) == (1, 2)


@pytest.mark.parametrize("result", ["unanswered", "busy", "rejected", "failed", "unknown"])
def test_call_placed_without_an_answer_is_never_missed(result):
    row = participation(role="placed", result=result)
    assert agent_values([row]) == {"placed": 1, "placed_unanswered": 1}


def test_call_placed_that_lasts_is_neither_answered_nor_unanswered():
    assert agent_values([participation(role="placed", result=None)]) == {"placed": 1}


def test_internal_call_is_placed_by_one_agent_and_answered_by_the_other():
    rows = [
        participation(user_id=11, role="placed", direction="internal"),
        participation(user_id=12, direction="internal"),
    ]
    caller, callee = AgentFigures.by_agent(rows).values()
    assert (caller.placed_answered, caller.internal_placed, caller.answered) == (1, 1, 0)
    assert (callee.answered, callee.internal_offered, callee.placed) == (1, 1, 0)


def test_agent_and_queue_at_once():
    rows = [
        participation("1", 11, group_id=1, talked=10, transfers_out=1),
        participation("2", 11, group_id=2, talked=20),
        participation("3", 11, group_id=1, result="missed", transfers_in=1),
        participation("4", 11, talked=40),
        participation("5", 12, group_id=1, talked=80),
    ]
    figures = AgentFigures.by_agent_and_group(rows)
    assert {pair: (one.offered, one.missed, one.talked) for pair, one in figures.items()} == {
        (11, None): (1, 0, 40 * SECOND),
        (11, 1): (2, 1, 10 * SECOND),
        (11, 2): (1, 0, 20 * SECOND),
        (12, 1): (1, 0, 80 * SECOND),
    }
    assert [*figures] == [(11, None), (11, 1), (11, 2), (12, 1)]
    assert AgentFigures.of(rows, user_id=11, group_id=1) == figures[11, 1]
    assert AgentFigures.of(rows, group_id=1).offered == 3
    total = AgentFigures.of(rows)
    for name in NO_AGENT_FIGURES.keys() - {"longest_talk", "average_handle"}:
        assert getattr(total, name) == sum(getattr(one, name) for one in figures.values()), name


def test_durations_of_more_than_a_day_stay_durations():
    rows = [participation(str(number), talked=10 * 3600) for number in range(3)]
    assert AgentFigures.of(rows).talked == 30 * 3600 * SECOND


# -- periods ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "expected"), [("start", ["10–20", "19–40"]), ("end", ["5–10", "8–19"])]
)
def test_period_includes_its_start_and_excludes_its_end(by, expected):
    waits = [
        queue_wait(f"{entered}–{left}", entered, left - entered)
        for entered, left in ((5, 10), (8, 19), (10, 20), (19, 40), (20, 21))
    ]
    rows = rows_in_period(waits, 10 * SECOND, 20 * SECOND, by=by)
    assert [row.call_id for row in rows] == expected


def test_period_without_bounds_includes_all_rows_that_have_a_time():
    waits = [queue_wait(), queue_wait(result=None)]
    assert [*rows_in_period(waits, None, None)] == waits
    assert [*rows_in_period(waits, None, None, by="end")] == waits[:1]


def test_adjacent_periods_share_no_row():
    """Each row lies in exactly one quarter of an hour."""
    rng = random.Random(1)
    waits = [queue_wait(str(number), rng.randrange(3600)) for number in range(500)]
    quarters = [
        QueueFigures.of(rows_in_period(waits, start * SECOND, (start + 900) * SECOND))
        for start in range(0, 3600, 900)
    ]
    assert sum(figures.offered for figures in quarters) == 500


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ({}, 3),
        ({"first_offered": None}, 8),
        ({"first_offered": None, "answered": None}, 68),
        ({"first_offered": None, "answered": None, "left": None}, None),
    ],
)
def test_time_of_a_participation_is_the_first_that_is_known(columns, time):
    row = evolve(participation(offered=3, rang=5, talked=60), **columns)
    assert time_of(row) == (None if time is None else time * SECOND)


# -- tallies and options ----------------------------------------------------------------


def test_tally_from_which_rows_were_removed_equals_a_tally_of_the_rest():
    """Rows leave a live window in an order that has nothing to do with their durations."""
    rng = random.Random(7)
    waits = [
        queue_wait(
            str(number),
            waited=rng.choice([1, 5, 20, 70]),
            result=rng.choice(["answered", "abandoned", "overflowed", "voicemail", None]),
            group_id=rng.choice([1, 2]),
            next_group_id=rng.choice([None, 1, 2]),
            entered_by_transfer=rng.choice([False, True]),
        )
        for number in range(300)
    ]
    rows = [
        participation(
            str(number),
            talked=rng.randrange(50),
            held=rng.randrange(5),
            rang=rng.randrange(5),
            result=rng.choice(["answered", "missed"]),
            role=rng.choice(["offered", "placed", "service"]),
            direction=rng.choice(["inbound", "internal"]),
            transfers_out=rng.randrange(3),
            transfers_in=rng.randrange(3),
        )
        for number in range(300)
    ]
    for all_rows, new_tally in ((waits, lambda: QueueTally(1)), (rows, AgentTally)):
        removed = rng.sample(all_rows, 200)
        kept = [row for row in all_rows if row not in removed]
        tally, expected = new_tally(), new_tally()
        expected.extend(kept)
        for row in all_rows:
            tally.add(row)
        for row in removed:
            tally.remove(row)
        for attribute in attrs.fields(type(tally)):
            # Counters are equal if they differ in counts of zero only.
            assert getattr(tally, attribute.name) == getattr(expected, attribute.name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"service_level": -1},
            "service_level must be a number of seconds, 0 or more, got -1",
        ),
        (
            {"short_abandon": math.nan},
            "short_abandon must be a number of seconds, 0 or more, got nan",
        ),
        ({"bands": [10, "20"]}, "bands must be a positive number of seconds, got str"),
        ({"bands": [0]}, "bands must be a positive number of seconds, got 0"),
        ({"bands": 10}, "bands must be a sequence of seconds, got int"),
        ({"bands": [10, 10]}, "bands must ascend, got (10, 10)"),
        ({"bands": [20, 10]}, "bands must ascend, got (20, 10)"),
    ],
)
def test_thresholds_out_of_range_raise_usage_error(options, message):
    with pytest.raises(UsageError) as caught:
        Thresholds(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize("figures", [QueueFigures, AgentFigures])
def test_negative_wrap_up_raises_usage_error(figures):
    with pytest.raises(UsageError, match="wrap_up must be a number of seconds, 0 or more, got -1"):
        figures.of([], wrap_up=-1)


def test_unknown_time_of_a_period_raises_usage_error():
    with pytest.raises(UsageError, match="by must be 'start' or 'end', got 'entered'"):
        rows_in_period([], None, None, by="entered")


def test_figures_convert_to_json_values():
    figures = QueueFigures.of(DAY, thresholds=Thresholds(bands=[60]))
    assert figures.to_dict()["bands"] == (
        {"lower": 0, "upper": 60 * SECOND, "answered": 4, "abandoned": 2},
        {"lower": 60 * SECOND, "upper": None, "answered": 0, "abandoned": 1},
    )
    assert AgentFigures.of([participation()]).to_dict()["talked"] == 60 * SECOND


def test_rows_without_a_user_belong_to_no_agent():
    rows = [participation(user_id=None), participation(user_id=7, group_id=3)]
    assert [*AgentFigures.by_agent(rows)] == [7]
    assert [*AgentFigures.by_agent_and_group(rows)] == [(7, 3)]


def test_user_without_a_call_that_counts_has_no_figures():
    rows = [participation(role="service", purpose="service"), participation(user_id=7)]
    assert [*AgentFigures.by_agent(rows)] == [7]
    assert [*AgentFigures.by_agent_and_group(rows)] == [(7, None)]
