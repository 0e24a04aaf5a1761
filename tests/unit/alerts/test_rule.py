"""Alert rules: texts, defaults and errors."""

from __future__ import annotations

import pytest

from basix_ws_cti import Alert, AlertRule, UsageError

FIGURES = "use longest-wait, waiting, service-level or feed-lost"


@pytest.mark.parametrize(
    ("text", "rule", "canonical"),
    [
        ("longest-wait>60", AlertRule("longest_wait", 60), "longest-wait>60s"),
        ("longest-wait>1.5m", AlertRule("longest_wait", 90), "longest-wait>90s"),
        (
            " longest-wait > 1h , end = 30m @ 3 ",
            AlertRule("longest_wait", 3600, end=1800, queue="3"),
            "longest-wait>3600s,end=1800s@3",
        ),
        ("waiting>5@sales", AlertRule("waiting", 5, queue="sales"), "waiting>5@sales"),
        ("waiting>0,end=0", AlertRule("waiting", 0, end=0), "waiting>0,end=0"),
        (
            "waiting>1@a@b, c",
            AlertRule("waiting", 1, queue="a@b, c"),
            "waiting>1@a@b, c",
        ),
        ("service-level<80%", AlertRule("service_level", 0.8), "service-level<80%"),
        (
            "service-level<57.5%,end=60%,within=30,window=30m,calls=10@営業",
            AlertRule(
                "service_level",
                0.575,
                end=0.6,
                within=30,
                window=1800,
                min_calls=10,
                queue="営業",
            ),
            "service-level<57.5%,end=60%,within=30s,window=1800s,calls=10@営業",
        ),
        ("feed-lost>30s", AlertRule("feed_lost", 30), "feed-lost>30s"),
    ],
)
def test_text_of_a_rule_is_read_and_written(text, rule, canonical):
    assert AlertRule.parse(text) == rule
    assert str(rule) == canonical
    assert AlertRule.parse(canonical) == rule


def test_queue_given_by_id_is_written_as_its_id():
    assert str(AlertRule("waiting", 5, queue=3)) == "waiting>5@3"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("longest-wiat>60", f", column 1: unknown figure 'longest-wiat': {FIGURES}"),
        ("", f", column 1: unknown figure '': {FIGURES}"),
        ("waiting", ", column 1: waiting needs '>' and a limit, such as waiting>5"),
        ("waiting<5", ", column 1: waiting needs '>' and a limit, such as waiting>5"),
        (
            "service-level>80%",
            ", column 1: service-level needs '<' and a limit, such as service-level<80%",
        ),
        ("waiting> x", ", column 10: expected a number of calls, such as waiting>5"),
        ("waiting>-1", ", column 9: expected a number of calls, such as waiting>5"),
        (
            "longest-wait>60 sec",
            ", column 14: expected a time in s, m or h, such as longest-wait>60s",
        ),
        ("service-level<80", ", column 15: expected a percentage, such as service-level<80%"),
        (
            "waiting>5, limit=3",
            ", column 12: unknown option 'limit=3': use end=…, within=…, window=… or calls=…",
        ),
        (
            "waiting>5,end",
            ", column 11: unknown option 'end': use end=…, within=…, window=… or calls=…",
        ),
        ("waiting>5,end=2s", ", column 15: expected a number of calls, such as end=5"),
        ("waiting>5,end=2,end=1", ", column 17: end is given twice: leave one out"),
        (
            "waiting>5@ ",
            ", column 11: no queue after '@': write its id or name, or leave out '@'",
        ),
        ("waiting>5,end=6", ": end must not exceed the limit, got 6"),
        ("waiting>5,calls=6", ": min_calls has no meaning for waiting: leave it out"),
        ("feed-lost>9@1", ": queue must be None for feed_lost: the feed is that of all queues"),
        (
            "feed-lost>9,end=3",
            ": end must be None for feed_lost: the alert ends when the feed is back",
        ),
        ("longest-wait>0", ": limit must be a positive number of seconds, got 0.0"),
        ("service-level<101%", ": limit must be a share from 0 to 1, got 1.01"),
        ("service-level<80%,end=70%", ": end must lie between the limit and 1, got 0.7"),
    ],
)
def test_error_names_the_rule_the_place_and_the_remedy(text, problem):
    with pytest.raises(UsageError) as error:
        AlertRule.parse(text)
    assert str(error.value) == f"alert rule {text!r}{problem}"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"figure": "waits", "limit": 1}, "figure must be 'longest_wait', 'waiting',"),
        ({"figure": "waiting", "limit": 1.5}, "limit must be an int of 0 or more, got 1.5"),
        ({"figure": "waiting", "limit": 1, "queue": ""}, "queue must not be empty"),
        ({"figure": "waiting", "limit": 1, "queue": 1.5}, "queue must be a group's id or name"),
        ({"figure": "service_level", "limit": 0.8, "min_calls": 0}, "min_calls must be an int"),
    ],
)
def test_value_that_cannot_work_is_refused(arguments, problem):
    with pytest.raises(UsageError, match=problem):
        AlertRule(**arguments)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("longest-wait>60", 48),
        ("waiting>5", 4),
        ("waiting>1", 0),
        ("waiting>0", 0),
        ("service-level<80%", 0.85),
        ("service-level<100%", 1),
        ("service-level<80%,end=81%", 0.81),
        ("feed-lost>30", 0),
    ],
)
def test_value_at_which_an_alert_ends(text, end):
    assert AlertRule.parse(text).end_value == end


def test_alert_as_json_values():
    rule = AlertRule.parse("waiting>5@sales")
    alert = Alert(rule=rule, state="ended", value=4, group_id=3, at=2_000_000, raised_at=1_000_000)
    assert alert.to_dict() == {
        "rule": "waiting>5@sales",
        "figure": "waiting",
        "limit": 5,
        "end": 4,
        "state": "ended",
        "value": 4,
        "group_id": 3,
        "time": 2_000_000,
        "raised": 1_000_000,
    }
