"""Decisions about failed attempts: retry when, or give up. No I/O and no clock."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from attrs import field, frozen

from basix_ws_cti._internal.arguments import check_integer, check_seconds
from basix_ws_cti.client.backoff import SYSTEM_RANDOM, jittered_delay, retry_after_seconds
from basix_ws_cti.exceptions import UsageError

from .receiver import Answer

# Request Timeout and Too Many Requests: the same request may succeed later.
_TRANSIENT_STATUSES = frozenset({408, 429})


@frozen(kw_only=True)
class RetryPolicy:
    """Delays between attempts to send an event.

    The upper bound of the delay doubles with each attempt; each delay is drawn from the upper half
    of its range, so that the events of many calls are not sent at the same moment.
    """

    first_delay: float = 1.0
    """Upper bound of the first delay, in seconds."""

    longest_delay: float = 300.0
    """Upper bound of all delays, in seconds."""

    longest_retry_after: float = 3600.0
    """Longest delay that a receiver can demand with Retry-After, in seconds."""

    failures: int = 5
    """Failed attempts in a row after which the receiver counts as unavailable: then it gets one
    request at a time."""

    longest_pause: float = 60.0
    """Upper bound of the pauses between these requests, in seconds."""

    rng: random.Random = field(default=SYSTEM_RANDOM, repr=False, eq=False)
    """Source of the jitter; by default the operating system's."""

    def __attrs_post_init__(self) -> None:
        for name in ("first_delay", "longest_delay", "longest_retry_after", "longest_pause"):
            check_seconds(name, getattr(self, name))
        check_integer("failures", self.failures)
        for name in ("longest_delay", "longest_pause"):
            if self.first_delay > getattr(self, name):
                raise UsageError(f"first_delay must not be larger than {name}")

    def delay(self, attempts: int) -> float:
        """Return the seconds before the next attempt after this number of failed ones."""
        return jittered_delay(attempts, self.first_delay, self.longest_delay, self.rng)

    def pause(self, failures: int) -> float:
        """Return the seconds for which an unavailable receiver gets no request."""
        attempts = failures - self.failures + 1
        return jittered_delay(attempts, self.first_delay, self.longest_pause, self.rng)

    def demanded_delay(self, answer: Answer, now: float) -> float:
        """Return the seconds that a Retry-After header demands, at most the longest; else 0."""
        if answer.retry_after is None:
            return 0.0
        moment = datetime.fromtimestamp(now, UTC)
        return retry_after_seconds(answer.retry_after, moment, self.longest_retry_after) or 0.0


def is_delivered(answer: Answer) -> bool:
    """Return True if the receiver has accepted the event."""
    return answer.status is not None and 200 <= answer.status < 300


def is_refused(answer: Answer) -> bool:
    """Return True if the receiver will refuse the same request at each attempt.

    A redirect is no refusal: it means that the URL is out of date, for all events.
    """
    status = answer.status
    return status is not None and 400 <= status < 500 and status not in _TRANSIENT_STATUSES


def describe_failure(answer: Answer) -> str:
    """Return the reason of a failed attempt, without personal data and without the URL."""
    if answer.status is None:
        return answer.problem or "no answer"
    if 300 <= answer.status < 400:
        return f"HTTP {answer.status} (redirects are not followed: name the final URL)"
    return f"HTTP {answer.status}"


class Breaker:
    """Circuit breaker of a receiver: it spares one that is unavailable.

    - Closed, as at the start: events are sent, several at a time.
    - Open, after a number of failures in a row: nothing is sent until a pause has passed.
    - Half-open, after the pause: one event is sent. Success closes the breaker; failure opens it
      for a longer pause.

    Times are seconds of any one clock.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._opens_until = 0.0

    @property
    def is_closed(self) -> bool:
        """True if the receiver counts as available."""
        return self._failures < self._policy.failures

    def wait(self, now: float) -> float:
        """Return the seconds until something may be sent; 0: now."""
        return 0.0 if self.is_closed else max(0.0, self._opens_until - now)

    def room(self, now: float, in_flight: int, most: int) -> int:
        """Return the number of further events that may be sent now."""
        if self.wait(now):
            return 0
        return max(0, (most if self.is_closed else 1) - in_flight)

    def succeeded(self) -> None:
        """Note an answer of a receiver that is available, also a refusal of one event."""
        self._failures = 0

    def failed(self, now: float, demanded: float = 0.0) -> None:
        """Note a failed attempt; ``demanded`` seconds are the least pause, if it opens."""
        if self.wait(now):
            return  # a request that was sent before the breaker opened
        self._failures += 1
        if not self.is_closed:
            pause = max(demanded, self._policy.pause(self._failures))
            self._opens_until = now + pause
