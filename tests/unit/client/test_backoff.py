"""Backoff: delays between attempts, and final errors."""

from __future__ import annotations

import copy
import os
import pickle
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import for_each

from basix_ws_cti import (
    AuthenticationError,
    CertificateError,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    HandshakeError,
    HttpApiAuthenticationError,
    HttpApiError,
    UsageError,
)
from basix_ws_cti.client.backoff import (
    LIMIT_RETRIES,
    MAX_RETRY_AFTER,
    Backoff,
    is_final,
    minimum_delay,
)
from basix_ws_cti.client.reconnect import ReconnectPolicy
from basix_ws_cti.exceptions import LoggedOut, ResyncRequired, SyncTimeout

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


class Extreme(random.Random):
    """Random numbers at the lower or the upper end of each range."""

    def __init__(self, *, upper: bool) -> None:
        super().__init__()
        self.upper = upper

    def uniform(self, a, b):
        return b if self.upper else a


@given(
    first=st.floats(0.001, 100),
    longest=st.floats(0.001, 1000),
    seed=st.integers(0, 2**32),
    attempts=st.integers(1, 80),
)
def test_each_delay_is_in_the_upper_half_of_its_range(first, longest, seed, attempts):
    """Delay n is between half of min(longest, first * 2**n) and all of it."""
    longest = max(first, longest)
    backoff = Backoff(first, longest, random.Random(seed))
    for attempt in range(attempts):
        ceiling = min(longest, first * 2**attempt)
        assert ceiling / 2 <= backoff.delay() <= ceiling


@for_each(
    "upper, delays",
    [
        (True, [1, 2, 4, 8, 16, 32, 60, 60, 60]),
        (False, [0.5, 1, 2, 4, 8, 16, 30, 30, 30]),
    ],
)
def test_delays_double_from_one_second_to_sixty(upper, delays):
    """The default ranges double from 1 s to 60 s and stay there."""
    backoff = Backoff(rng=Extreme(upper=upper))
    assert [backoff.delay() for _ in delays] == delays


def test_delays_of_two_clients_differ():
    """Without a random generator argument, two backoffs draw different delays."""
    one, other = Backoff(), Backoff()
    assert [one.delay() for _ in range(8)] != [other.delay() for _ in range(8)]


def test_delays_are_spread_over_their_range():
    """The delays of many clients fill all ten parts of the upper half of the range."""
    drawn = [Backoff(1, 60, random.Random(seed)).delay() for seed in range(1000)]
    assert {int((delay - 0.5) * 20) for delay in drawn} >= set(range(10))


def test_reset_restarts_the_series():
    backoff = Backoff(rng=Extreme(upper=True))
    assert [backoff.delay() for _ in range(3)] == [1, 2, 4]
    backoff.reset()
    assert [backoff.delay() for _ in range(3)] == [1, 2, 4]


def test_at_least_is_a_minimum_and_part_of_the_series():
    backoff = Backoff(rng=Extreme(upper=True))
    assert backoff.delay(at_least=300) == 301
    assert backoff.delay(at_least=0.1) == 2.1
    assert backoff.delay() == 4


def test_delay_after_thousands_of_attempts_is_the_longest():
    backoff = Backoff(rng=Extreme(upper=True))
    assert [backoff.delay() for _ in range(5000)][-1] == 60


TRANSIENT = [
    ConnectFailed("no route"),
    ConnectionLost(1000),
    ConnectionLost(1006),
    ConnectionLost(1011, "keepalive ping timeout"),
    HandshakeError(408),
    HandshakeError(429, "slow down", "3"),
    HandshakeError(500),
    HandshakeError(503),
    HandshakeError(599),
    SyncTimeout(60),
    HttpApiError(200, 7, "busy"),
    HttpApiError(429),
    HttpApiError(503),
    ResyncRequired(DecodeError(0, "x")),
    OSError("of the credentials function"),
    RuntimeError("x"),
]
# Errors that only stop a client that was never synced.
FINAL_AT_FIRST = [
    CertificateError("expired"),
    AuthenticationError(403),
    HandshakeError(100),
    HandshakeError(103),
    HandshakeError(200),
    HandshakeError(204),
    HandshakeError(301),
    HandshakeError(302),
    HandshakeError(400),
    HandshakeError(404),
    HandshakeError(407),
    HandshakeError(410),
    HandshakeError(499),
    HttpApiError(302),
    HttpApiError(404),
    HttpApiAuthenticationError(403),
]
FINAL = [
    UsageError("x"),
    ConnectionReplaced(),
    LoggedOut(),
    HttpApiAuthenticationError(200, 1, "authentication_required"),
    HttpApiAuthenticationError(401),
]


def decide(error, *, was_synced, fresh_credentials=False, refusals=0, limit_refusals=0):
    return is_final(
        error,
        was_synced=was_synced,
        fresh_credentials=fresh_credentials,
        refusals=refusals,
        limit_refusals=limit_refusals,
    )


@for_each("error", TRANSIENT)
@for_each("was_synced", [False, True])
@for_each("fresh", [False, True])
def test_transient_error_is_never_final(error, was_synced, fresh):
    assert not decide(error, was_synced=was_synced, fresh_credentials=fresh, refusals=9)


@for_each("error", FINAL)
@for_each("was_synced", [False, True])
@for_each("fresh", [False, True])
def test_final_error_is_always_final(error, was_synced, fresh):
    assert decide(error, was_synced=was_synced, fresh_credentials=fresh)


@for_each("error", FINAL_AT_FIRST)
@for_each("fresh", [False, True])
def test_refused_request_is_final_before_the_first_sync_only(error, fresh):
    """After a sync it comes from a captive portal, a restarting proxy or a clock that is wrong."""
    assert decide(error, was_synced=False, fresh_credentials=fresh)
    assert not decide(error, was_synced=True, fresh_credentials=fresh)


@for_each("error", FINAL_AT_FIRST)
def test_refused_request_is_retried_with_the_longest_delay(error):
    assert minimum_delay(error, 60, NOW) == 60


def test_longer_of_retry_after_and_the_longest_delay_counts():
    assert minimum_delay(HandshakeError(404, None, "7"), 60, NOW) == 60
    assert minimum_delay(HandshakeError(404, None, "90"), 60, NOW) == 90


@for_each("was_synced", [False, True])
def test_refusal_of_a_fixed_credential_is_final(was_synced):
    assert decide(AuthenticationError(401), was_synced=was_synced, refusals=1)


@for_each("refusals, final", [(1, False), (2, False), (3, True), (4, True)])
@for_each("was_synced", [False, True])
def test_third_refusal_of_fresh_credentials_is_final(refusals, final, was_synced):
    error = AuthenticationError(401)
    decision = decide(error, was_synced=was_synced, fresh_credentials=True, refusals=refusals)
    assert decision is final


def test_fresh_credentials_are_tried_after_the_usual_delay():
    assert minimum_delay(AuthenticationError(401), 60, NOW) == 0


@for_each("count", [1, 2, LIMIT_RETRIES, LIMIT_RETRIES + 1, 100])
def test_connection_limit_is_final_after_some_retries_before_the_first_sync(count):
    """After a crash, the PBX counts the lost connections of the previous process."""
    error = ConnectionLimitReached()
    assert decide(error, was_synced=False, limit_refusals=count) is (count > LIMIT_RETRIES)
    assert not decide(error, was_synced=True, limit_refusals=count)


def test_retries_at_the_connection_limit_take_several_minutes():
    """A dead connection may count for three minutes; nobody wants to wait for hours."""
    minimum = minimum_delay(ConnectionLimitReached(), Backoff().maximum, NOW)
    assert 180 < LIMIT_RETRIES * minimum < 900


@for_each(
    "header, seconds",
    [
        (None, 0),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("2.5", 2.5),
        ("-5", 0),
        ("-inf", 0),
        ("nan", 0),
        ("3600", 3600),
        ("86400", MAX_RETRY_AFTER),
        ("1e400", MAX_RETRY_AFTER),
        ("inf", MAX_RETRY_AFTER),
        ("", 60),
        ("soon", 60),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2026 07:29:30 GMT", 90),
        ("Wed, 21 Oct 2026 07:29:30 -0000", 90),
        ("Fri, 21 Oct 2033 07:28:00 GMT", MAX_RETRY_AFTER),
        ("Wed, 99 Oct 2026 07:28:00 GMT", 60),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2026 07:28:00 +9999999999", 60),
        ("Sat, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", MAX_RETRY_AFTER),
        ("9" * 5000, MAX_RETRY_AFTER),
        (5, 5),
        (b"5", 60),
    ],
)
@for_each("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(header, seconds, status):
    """An hour is the maximum; an invalid value means the longest delay."""
    for error in (HandshakeError(status, "x", header), HttpApiError(status, retry_after=header)):
        assert minimum_delay(error, 60, NOW) == seconds


# Texts made of the parts of dates and numbers reach deeper into the parser than random ones.
DATE_PARTS = st.lists(
    st.sampled_from(
        [*"0123456789+-:,. eE_", "Wed", "Oct", "GMT", "UTC", "99999999999999", "-2359", "inf"]
    ),
    max_size=20,
).map("".join)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    header=st.one_of(st.text(), DATE_PARTS, st.integers(), st.none(), st.binary()),
    status=st.one_of(st.integers(), st.none(), st.text()),
    longest=st.floats(0, 1000),
    now=st.one_of(st.datetimes(timezones=st.just(UTC)), st.datetimes()),
)
def test_any_response_gives_a_decision_and_a_delay(header, status, longest, now):
    """For any status and header, the delay is between 0 and an hour, and nothing raises."""
    error = HandshakeError(status, None, header)
    assert 0 <= minimum_delay(error, longest, now) <= MAX_RETRY_AFTER
    for was_synced in (False, True):
        assert isinstance(decide(error, was_synced=was_synced), bool)


def test_connection_limit_waits_the_longest_delay():
    """The PBX may count the client's own dead connection for a while."""
    assert minimum_delay(ConnectionLimitReached(), 60, NOW) == 60


@for_each("error", [None, ConnectionLost(1006), ConnectFailed("x"), OSError()])
def test_other_failures_need_no_minimum_delay(error):
    assert minimum_delay(error, 60, NOW) == 0


@for_each(
    "first, longest",
    [(0, 60), (-1, 60), (2, 1), (1, float("inf")), (float("nan"), 60), (1, 10**400)],
)
def test_invalid_delays_are_usage_errors(first, longest):
    """Delays of zero would hammer a server; infinite delays would never end."""
    with pytest.raises(UsageError, match="^(initial|maximum) must"):
        Backoff(first, longest)


def delays_of_forked_processes(backoff, count=3):
    """Return the first delays that policies in forked processes draw."""

    def report(writer):
        policy = ReconnectPolicy(backoff, None, fresh_credentials=False)
        delays = [policy.delay_after(ConnectFailed("x"), 0, NOW) for _ in range(3)]
        os.write(writer, pickle.dumps(delays))

    drawn = []
    for _ in range(count):
        reader, writer = os.pipe()
        process = os.fork()
        if not process:
            try:
                report(writer)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            drawn.append(pickle.loads(pipe.read()))
        os.waitpid(process, 0)
    return drawn


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@for_each("rng", [None, random.Random(7)])
def test_forked_processes_with_one_backoff_draw_different_delays(rng):
    """Workers that fork after the Backoff was created do not reconnect in the same moment."""
    drawn = delays_of_forked_processes(Backoff(rng=rng))
    assert len({tuple(delays) for delays in drawn}) == len(drawn)
    for delays in drawn:
        for number, delay in enumerate(delays):
            assert 2**number / 2 <= delay <= 2**number


def test_backoff_can_be_copied_and_pickled():
    """multiprocessing pickles what it passes to a worker."""
    backoff = Backoff(2, 30)
    backoff.delay()
    assert pickle.loads(pickle.dumps(backoff)) == copy.deepcopy(backoff) == backoff
    assert backoff.copy() == Backoff(2, 30)
