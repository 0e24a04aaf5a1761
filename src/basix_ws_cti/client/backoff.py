"""When to try again: how long a client waits between attempts, and when it gives up.

Pure: seconds in, seconds out. docs/explanation/mirror.md has the table of failures.
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
    LoggedOut,
    UsageError,
)

# A fresh credential that is refused may have died on the way; three in a row have not.
FRESH_REFUSALS = 3

# A server that asks for more than an hour is not believed.
MAX_RETRY_AFTER = 3600.0

_TRANSIENT_STATUSES = frozenset({408, 429})  # Request Timeout, Too Many Requests


@define
class Backoff:
    """Delays that double from ``first`` to ``longest`` seconds, each from its range's upper half.

    The lower bound keeps a server that accepts and closes from being hammered, the chance
    keeps a thousand clients from coming back in the same second.
    """

    initial: float = 1.0
    maximum: float = 60.0
    rng: random.Random = Factory(random.Random)
    _attempts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum < math.inf:
            raise UsageError(
                f"delays grow from first to longest, which {self.initial} and {self.maximum} don't"
            )

    def delay(self, *, at_least: float = 0.0) -> float:
        """Seconds until the next attempt: so many that were asked for, and the draw on top.

        On top, lest all who were told the same time come back in the same second.
        """
        ceiling = min(self.maximum, self.initial * 2 ** min(self._attempts, 32))
        self._attempts += 1
        return at_least + self.rng.uniform(ceiling / 2, ceiling)

    def reset(self) -> None:
        """Begin again with the first delay."""
        self._attempts = 0


def is_final(error: Exception, *, was_synced: bool, fresh_credentials: bool, refusals: int) -> bool:
    """Whether trying again can't help.

    ``was_synced``: the client had a picture before; ``fresh_credentials``: each attempt has
    a new one; ``refusals``: logins refused in a row with a 401, this one included.
    """
    match error:
        case UsageError() | CertificateError() | ConnectionReplaced() | LoggedOut():
            return True
        case ConnectionLimitReached():
            # After a picture, it may be our own dead socket that the PBX still counts.
            return not was_synced
        case AuthenticationError(status=401):
            return not fresh_credentials or refusals >= FRESH_REFUSALS
        case HandshakeError(status=status):
            return status < 500 and status not in _TRANSIENT_STATUSES
    return False


def wait_at_least(error: BaseException | None, longest: float, now: datetime) -> float:
    """Seconds that a failure asks for before the next attempt; 0: nothing special.

    ``now``, aware, is what a Retry-After that is a date is told from (RFC 9110, section
    10.2.3). One that can't be read asks for the longest delay.
    """
    if isinstance(error, ConnectionLimitReached):
        return longest
    if not isinstance(error, HandshakeError) or error.retry_after is None:
        return 0.0
    text = error.retry_after.strip()
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to load

        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return longest
        # A date without a zone is none of HTTP's, which are all GMT.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - now).total_seconds()
    return min(MAX_RETRY_AFTER, seconds) if seconds > 0 else 0.0
