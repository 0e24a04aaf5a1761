"""Backoff: delays between attempts, and final errors."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from basix_ws_cti.client.backoff import MAX_RETRY_AFTER, Backoff, is_final, minimum_delay
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


@pytest.mark.parametrize(
    ("upper", "delays"),
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
FINAL = [
    UsageError("x"),
    CertificateError("expired"),
    ConnectionReplaced(),
    LoggedOut(),
    AuthenticationError(403),
    HandshakeError(200),
    HandshakeError(301),
    HandshakeError(302),
    HandshakeError(400),
    HandshakeError(404),
    HandshakeError(410),
    HandshakeError(499),
    HttpApiError(302),
    HttpApiError(404),
    HttpApiAuthenticationError(200, 1, "authentication_required"),
    HttpApiAuthenticationError(401),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
@pytest.mark.parametrize("was_synced", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_transient_error_is_never_final(error, was_synced, fresh):
    assert not is_final(error, was_synced=was_synced, fresh_credentials=fresh, refusals=9)


@pytest.mark.parametrize("error", FINAL, ids=repr)
@pytest.mark.parametrize("was_synced", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_final_error_is_always_final(error, was_synced, fresh):
    assert is_final(error, was_synced=was_synced, fresh_credentials=fresh, refusals=0)


@pytest.mark.parametrize("was_synced", [False, True])
def test_refusal_of_a_fixed_credential_is_final(was_synced):
    error = AuthenticationError(401)
    assert is_final(error, was_synced=was_synced, fresh_credentials=False, refusals=1)


@pytest.mark.parametrize(("refusals", "final"), [(1, False), (2, False), (3, True), (4, True)])
def test_third_refusal_of_fresh_credentials_is_final(refusals, final):
    error = AuthenticationError(401)
    assert is_final(error, was_synced=True, fresh_credentials=True, refusals=refusals) is final


@pytest.mark.parametrize("was_synced", [False, True])
def test_connection_limit_is_final_on_the_first_connect_only(was_synced):
    error = ConnectionLimitReached()
    final = is_final(error, was_synced=was_synced, fresh_credentials=False, refusals=0)
    assert final is not was_synced


@pytest.mark.parametrize(
    ("header", "seconds"),
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
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(header, seconds, status):
    """An hour is the maximum; an invalid value means the longest delay."""
    for error in (HandshakeError(status, "x", header), HttpApiError(status, retry_after=header)):
        assert minimum_delay(error, 60, NOW) == seconds


@given(st.text(), st.floats(0, 1000))
def test_any_retry_after_gives_a_delay(header, longest):
    """For any text, the delay is between 0 and an hour."""
    assert 0 <= minimum_delay(HandshakeError(503, None, header), longest, NOW) <= MAX_RETRY_AFTER


def test_connection_limit_waits_the_longest_delay():
    """The PBX may count the client's own dead connection for a while."""
    assert minimum_delay(ConnectionLimitReached(), 60, NOW) == 60


@pytest.mark.parametrize("error", [None, ConnectionLost(1006), ConnectFailed("x"), OSError()])
def test_other_failures_need_no_minimum_delay(error):
    assert minimum_delay(error, 60, NOW) == 0


@pytest.mark.parametrize(
    ("first", "longest"), [(0, 60), (-1, 60), (2, 1), (1, float("inf")), (float("nan"), 60)]
)
def test_invalid_delays_are_usage_errors(first, longest):
    """Delays of zero would hammer a server; infinite delays would never end."""
    with pytest.raises(UsageError, match="invalid backoff"):
        Backoff(first, longest)
