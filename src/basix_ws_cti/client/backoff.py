"""Delays between connection attempts, and errors that a retry cannot fix. No clock.

docs/explanation/mirror.md lists all failures and how the client reacts to them.
"""

from __future__ import annotations

import os
import random
from copy import copy
from datetime import UTC, datetime

from attrs import define, field

from basix_ws_cti._internal.arguments import check_instance, check_seconds
from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    ConnectionLimitReached,
    ConnectionReplaced,
    HandshakeError,
    HttpApiAuthenticationError,
    HttpApiError,
    LoggedOut,
    ProxyError,
    UsageError,
)

# Refusals in a row after which fresh credentials count as wrong. A single ticket can expire on the
# way to the PBX.
FRESH_REFUSALS = 3

# Refusals because of the connection limit, before the first snapshot, that are retried. After a
# crash the PBX may count the lost connections of the previous process for some minutes; with the
# default delays these retries take five to ten minutes.
LIMIT_RETRIES = 5

# Seconds. A longer pause that a server demands is cut: the client would seem dead.
MAX_RETRY_AFTER = 3600.0

# Unauthorized (new credentials may help at once), Request Timeout, Too Many Requests.
_TRANSIENT_STATUSES = frozenset({401, 408, 429})

SYSTEM_RANDOM = random.SystemRandom()
"""Randomness of the operating system: it has no state that forked processes could share."""


def jittered_delay(failures: int, initial: float, maximum: float, rng: random.Random) -> float:
    """Return the delay after a number of failures, in seconds.

    Its upper bound doubles from ``initial``, after one failure or none, to ``maximum``. The delay
    is drawn from the upper half of its range.
    """
    ceiling = min(maximum, initial * 2.0 ** min(max(failures - 1, 0), 32))
    return rng.uniform(ceiling / 2, ceiling)


@define
class Backoff:
    """Exponential backoff with jitter.

    The upper bound of the delay doubles with each attempt from ``initial`` to ``maximum``; each
    delay is drawn from the upper half of its range. The lower bound protects a server that accepts
    and closes connections; the jitter keeps a thousand clients from reconnecting in one second.
    """

    initial: float = 1.0
    """Upper bound of the first delay, in seconds."""

    maximum: float = 60.0
    """Upper bound of all delays, in seconds."""

    rng: random.Random | None = None
    """Source of the jitter; ``None``: the operating system's. A forked process always uses the
    latter: the copied state of this one would give all processes the same delays."""

    _attempts: int = field(default=0, init=False)
    _process: int = field(factory=os.getpid, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_seconds("initial", self.initial)
        check_seconds("maximum", self.maximum)
        check_instance("rng", self.rng, random.Random, "a random.Random", optional=True)
        if self.initial > self.maximum:
            raise UsageError(
                f"initial must not be larger than maximum, got {self.initial} and {self.maximum}"
            )

    def delay(self, *, at_least: float = 0.0) -> float:
        """Return the seconds until the next attempt: ``at_least`` plus the drawn delay.

        The draw is added so that clients with the same ``at_least`` do not reconnect together.
        """
        self._attempts += 1
        is_forked = self._process != os.getpid()
        rng = SYSTEM_RANDOM if self.rng is None or is_forked else self.rng
        return at_least + jittered_delay(self._attempts, self.initial, self.maximum, rng)

    def copy(self) -> Backoff:
        """Return a copy that starts with the initial delay."""
        duplicate = copy(self)
        duplicate.reset()
        return duplicate

    def reset(self) -> None:
        """Start again with the initial delay."""
        self._attempts = 0


def is_final(
    error: Exception,
    *,
    was_synced: bool,
    fresh_credentials: bool,
    refusals: int,
    limit_refusals: int,
) -> bool:
    """Return True if a retry cannot fix the error. Never raises.

    Once the client was synced, its arguments are known to be right. A response or a certificate
    that does not fit then comes from something temporary: a captive portal, a proxy that restarts,
    a clock that is not set yet.

    - ``was_synced``: the client's state was current at least once.
    - ``fresh_credentials``: each attempt uses new credentials.
    - ``refusals``: logins refused in a row with HTTP 401, this one included.
    - ``limit_refusals``: refusals because of the connection limit so far, this one included.
    """
    match error:
        case UsageError() | ConnectionReplaced() | LoggedOut():
            return True
        case HttpApiAuthenticationError(status=status) if status != 403:
            return True  # a ticket can expire, but the token that tickets are made with cannot
        case AuthenticationError(status=401):
            return not fresh_credentials or refusals >= FRESH_REFUSALS
        case _ if was_synced:
            return False
        case ConnectionLimitReached():
            return limit_refusals > LIMIT_RETRIES
    return _is_permanent(error)


def minimum_delay(error: BaseException | None, maximum: float, now: datetime) -> float:
    """Return the seconds that a failure demands before the next attempt; usually 0. Never raises.

    - At the connection limit, and after an error that time rarely fixes (a certificate, a
      response that refuses the client): ``maximum``.
    - With a Retry-After header (RFC 9110, section 10.2.3): its seconds, or the time from ``now``
      (aware) until its date, at most ``MAX_RETRY_AFTER``; ``maximum`` if it is unreadable.
    - With both, the longer one.
    """
    needs_time = isinstance(error, ConnectionLimitReached) or _is_permanent(error)
    at_least = maximum if needs_time else 0.0
    if not isinstance(error, HandshakeError | HttpApiError | ProxyError):
        return at_least
    if error.retry_after is None:
        return at_least
    seconds = retry_after_seconds(error.retry_after, now)
    return max(at_least, maximum if seconds is None else seconds)


def _is_permanent(error: BaseException | None) -> bool:
    """Return True for a certificate or an HTTP response that rarely changes by itself."""
    match error:
        case CertificateError():
            return True
        case HandshakeError(status=int(status)):
            return not (status >= 500 or status in _TRANSIENT_STATUSES)
        case HttpApiError(status=int(status)):
            # With status 200, the meaning of a result_code is not documented: it may pass.
            return 300 <= status < 500 and status not in _TRANSIENT_STATUSES
    return False


def retry_after_seconds(
    header: object, now: datetime, longest: float = MAX_RETRY_AFTER
) -> float | None:
    """Return the seconds from 0 to ``longest`` that a Retry-After header asks for.

    ``now`` is an aware time. Returns ``None`` for a header that is unreadable. Never raises.
    """
    text = str(header).strip()
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to load

        try:
            date = parsedate_to_datetime(text)
            # HTTP dates are always GMT; a date without a zone is read as GMT.
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            seconds = (date - now).total_seconds()
        except Exception:  # noqa: BLE001 - a peer's text may make the parser raise anything
            return None
    return min(longest, seconds) if seconds > 0 else 0.0
