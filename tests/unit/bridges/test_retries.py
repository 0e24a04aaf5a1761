"""Retries: delays, refusals, and the breaker of an unavailable receiver."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from support.cases import for_each

from basix_ws_cti.bridges.receiver import Answer
from basix_ws_cti.bridges.retries import (
    Breaker,
    RetryPolicy,
    describe_failure,
    is_delivered,
    is_refused,
)
from basix_ws_cti.exceptions import UsageError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
POLICY = RetryPolicy(rng=random.Random(1))


def test_each_delay_is_in_the_upper_half_of_its_range():
    for attempts, ceiling in ((1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (5000, 300)):
        delays = [POLICY.delay(attempts) for _ in range(200)]
        assert ceiling / 2 <= min(delays) < max(delays) <= ceiling
        assert max(delays) - min(delays) > ceiling / 4


def date(seconds):
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("30", 30),
        ("0", 0),
        ("-5", 0),
        ("100000", 3600),
        ("inf", 3600),
        ("nan", 0),
        (date(90), 90),
        (date(-90), 0),
        (date(10**6), 3600),
        ("soon", 0),
        ("", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_up_to_a_limit(header, seconds):
    answer = Answer(status=429, retry_after=header)
    assert POLICY.demanded_delay(answer, NOW) == seconds


@for_each(
    "status, result",
    [
        *((status, "delivered") for status in (200, 201, 204, 299)),
        *((status, "refused") for status in (400, 401, 403, 404, 409, 410, 422, 451, 499)),
        *((status, "retried") for status in (None, 408, 429, 500, 502, 503, 599)),
        *((status, "retried") for status in (301, 302, 304, 307, 308, 600, 999)),
    ],
)
def test_status_decides(status, result):
    answer = Answer(status=status)
    found = ["delivered"] * is_delivered(answer) + ["refused"] * is_refused(answer)
    assert (found or ["retried"]) == [result]


@for_each(
    "answer, text",
    [
        (Answer(status=503), "HTTP 503"),
        (
            Answer(status=308),
            "HTTP 308 (redirects are not followed: name the final URL)",
        ),
        (Answer(status=None, problem="no answer within 2 s"), "no answer within 2 s"),
    ],
)
def test_failure_as_text(answer, text):
    assert describe_failure(answer) == text


def test_breaker_opens_after_failures_in_a_row():
    breaker = Breaker(POLICY)
    for _ in range(3):
        for _ in range(4):
            breaker.failed(100)
        assert breaker.room(100, 2, 8) == 6
        breaker.succeeded()
    for _ in range(5):
        breaker.failed(100)
    assert not breaker.is_closed
    assert breaker.room(100, 0, 8) == 0
    assert 0.5 <= breaker.wait(100) <= 1


def test_open_breaker_lets_one_request_pass_after_the_pause():
    breaker = Breaker(POLICY)
    for _ in range(5):
        breaker.failed(100)
    assert breaker.room(101, 0, 8) == 1
    assert breaker.room(101, 1, 8) == 0
    breaker.failed(101)
    assert 1 <= breaker.wait(101) <= 2
    breaker.succeeded()
    assert breaker.room(101, 0, 8) == 8


def test_failures_of_requests_that_were_on_their_way_do_not_extend_the_pause():
    breaker = Breaker(POLICY)
    for _ in range(5):
        breaker.failed(100)
    pause = breaker.wait(100)
    for _ in range(20):
        breaker.failed(100)
    assert breaker.wait(100) == pause


def test_pause_grows_to_its_limit_and_is_at_least_what_the_receiver_demands():
    breaker, now, pauses = Breaker(POLICY), 100.0, []
    for _ in range(20):
        breaker.failed(now)
        pauses.append(breaker.wait(now))
        now += pauses[-1]
    assert pauses[:4] == [0, 0, 0, 0]
    assert 30 <= pauses[-1] <= 60
    breaker.failed(now, demanded=900)
    assert breaker.wait(now) == pytest.approx(900)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"first_delay": 0}, "first_delay must be a positive number of seconds, got 0"),
        ({"failures": 0}, "failures must be an int of 1 or more, got 0"),
        ({"first_delay": 500}, "first_delay must not be larger than longest_delay"),
        (
            {"first_delay": 2, "longest_pause": 1},
            "first_delay must not be larger than longest_pause",
        ),
    ],
)
def test_policy_that_cannot_work_is_refused(arguments, text):
    with pytest.raises(UsageError) as caught:
        RetryPolicy(**arguments)
    assert str(caught.value) == text
