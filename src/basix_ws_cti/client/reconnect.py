"""Reconnect policy: whether and when a client connects again after a failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from basix_ws_cti.exceptions import (
    AuthenticationError,
    ConnectionLimitReached,
    ResyncRequired,
)

from .backoff import Backoff, is_final, minimum_delay

# Seconds for which the state must have been current before a failure starts a new series of delays.
# Shorter connections count as failures in a row.
STEADY_TIME = 30.0


class ReconnectPolicy:
    """Decides after each failure how long to wait, or that retrying is pointless. No clock.

    - ``backoff``: delays between attempts; the policy works on a copy.
    - ``classify(error, is_final)``: may overrule whether an error is final.
    - ``fresh_credentials``: True if each attempt gets new credentials.

    ``now`` is in seconds on a steady clock.
    """

    def __init__(
        self,
        backoff: Backoff,
        classify: Callable[[Exception, bool], bool] | None,
        *,
        fresh_credentials: bool,
    ) -> None:
        # Two clients that share a Backoff must not share its series of delays.
        self._backoff = backoff.copy()
        self._classify = classify
        self._fresh_credentials = fresh_credentials
        self._refusals = 0  # logins refused in a row
        self._limit_refusals = 0  # by the connection limit, since the state was last current
        self._synced_at: float | None = None

    def synced(self, now: float) -> None:
        """Note that the state is current."""
        self._synced_at = now
        self._refusals = self._limit_refusals = 0

    def is_final(self, reason: Exception, *, was_synced: bool) -> bool:
        """Return True if retrying cannot help. Call it once for each failure."""
        refused = isinstance(reason, AuthenticationError) and reason.status == 401
        self._refusals = self._refusals + 1 if refused else 0
        self._limit_refusals += isinstance(reason, ConnectionLimitReached)
        final = is_final(
            reason,
            was_synced=was_synced,
            fresh_credentials=self._fresh_credentials,
            refusals=self._refusals,
            limit_refusals=self._limit_refusals,
        )
        return final if self._classify is None else self._classify(reason, final)

    def delay_after(self, reason: Exception, now: float, utc_now: datetime) -> float:
        """Return the seconds until the next attempt.

        A resync is no failure: it follows at once, and the session limits how often.
        ``utc_now`` (aware) is compared with a Retry-After header that holds a date.
        """
        if self._synced_at is not None:
            if now - self._synced_at >= STEADY_TIME:
                self._backoff.reset()
            self._synced_at = None
        if isinstance(reason, ResyncRequired):
            return 0.0
        at_least = minimum_delay(reason, self._backoff.maximum, utc_now)
        return self._backoff.delay(at_least=at_least)
