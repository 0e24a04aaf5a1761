"""Delays between connection attempts, and errors that a retry cannot fix. No clock.

docs/explanation/mirror.md lists all failures and how the client reacts to them.
"""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

from attrs import Factory, define, field

from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    ConnectionLimitReached,
    ConnectionReplaced,
    HandshakeError,
    HttpApiAuthenticationError,
    HttpApiError,
    LoggedOut,
    UsageError,
)

# Refusals in a row after which fresh credentials count as wrong. A single ticket can expire on the
# way to the PBX.
FRESH_REFUSALS = 3

# Seconds. A longer pause that a server demands is cut: the client would seem dead.
MAX_RETRY_AFTER = 3600.0

_TRANSIENT_STATUSES = frozenset({408, 429})  # Request Timeout, Too Many Requests


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

    rng: random.Random = Factory(random.Random)
    """Source of the jitter."""

    _attempts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum < math.inf:
            raise UsageError(
                f"invalid backoff: initial={self.initial}, maximum={self.maximum}; "
                "both must be finite, and 0 < initial <= maximum"
            )

    def delay(self, *, at_least: float = 0.0) -> float:
        """Return the seconds until the next attempt: ``at_least`` plus the drawn delay.

        The draw is added so that clients with the same ``at_least`` do not reconnect together.
        """
        ceiling = min(self.maximum, self.initial * 2 ** min(self._attempts, 32))
        self._attempts += 1
        return at_least + self.rng.uniform(ceiling / 2, ceiling)

    def reset(self) -> None:
        """Start again with the initial delay."""
        self._attempts = 0


def is_final(error: Exception, *, was_synced: bool, fresh_credentials: bool, refusals: int) -> bool:
    """Return True if a retry cannot fix the error.

    - ``was_synced``: the client's state was current at least once.
    - ``fresh_credentials``: each attempt uses new credentials.
    - ``refusals``: logins refused in a row with HTTP 401, this one included.
    """
    match error:
        case UsageError() | CertificateError() | ConnectionReplaced() | LoggedOut():
            return True
        case ConnectionLimitReached():
            # The PBX may still count this client's own lost connection.
            return not was_synced
        case HttpApiAuthenticationError():
            return True  # a ticket can expire, but the token that tickets are made with cannot
        case AuthenticationError(status=401):
            return not fresh_credentials or refusals >= FRESH_REFUSALS
        case HandshakeError(status=status):
            return status < 500 and status not in _TRANSIENT_STATUSES
        case HttpApiError(status=status):
            # With status 200, the meaning of a result_code is not documented: it may pass.
            return 300 <= status < 500 and status not in _TRANSIENT_STATUSES
    return False


def minimum_delay(error: BaseException | None, maximum: float, now: datetime) -> float:
    """Return the seconds that a failure demands before the next attempt; usually 0.

    - At the connection limit: ``maximum``.
    - With a Retry-After header (RFC 9110, section 10.2.3): its seconds, or the time from ``now``
      (aware) until its date; ``maximum`` if it is unreadable.
    """
    if isinstance(error, ConnectionLimitReached):
        return maximum
    if not isinstance(error, HandshakeError | HttpApiError) or error.retry_after is None:
        return 0.0
    text = error.retry_after.strip()
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to load

        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return maximum
        # HTTP dates are always GMT; a date without a zone is read as GMT.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - now).total_seconds()
    return min(MAX_RETRY_AFTER, seconds) if seconds > 0 else 0.0
