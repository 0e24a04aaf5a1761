"""Lease: a key in Redis that one publisher holds for a short time and renews.

The holder counts the time from before it sent the command: Redis cannot count a shorter one. So the
holder stops before the lease expires in Redis, unless the process itself is stopped; the script of
``stream_writer`` covers that case.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from basix_ws_cti.exceptions import RedisFeedError

from .redis_connection import RedisConnection

TTL: Final = 2.0
"""Time after which a lease expires that is not renewed, in seconds."""

RENEW_INTERVAL: Final = 0.5
"""Time between two renewals, in seconds."""

# Seconds to wait for an answer: short enough for a second attempt before the lease expires.
REPLY_TIMEOUT: Final = 0.7

# Key: lease. Arguments: old value, new value, milliseconds. Returns 1 if the old value was there.
# PEXPIRE works even if Redis is out of memory, and SET does not.
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[1] ~= ARGV[2] then redis.call('SET', KEYS[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

# Keys: lease to take, lease to give up. Arguments: value, milliseconds, start of the value to give
# up. One step: nobody ever sees the same publisher as leader and as its own standby.
_EXCHANGE: Final = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local old = redis.call('GET', KEYS[2])
if old and string.find(old, ARGV[3], 1, true) == 1 then redis.call('DEL', KEYS[2]) end
return 1
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

READY: Final = ":ready"
"""End of the value of a standby's lease while its state of the PBX is current."""


class Lease:
    """Lease on one key, held by at most one publisher at a time.

    - ``connection``: used by this lease only, or by leases that take turns.
    - ``owner``: name of the publisher, for people who look at the key.
    - ``ttl``: time after which the lease expires, in seconds.
    - ``clock``: returns seconds that never go back; for tests.
    """

    def __init__(
        self,
        connection: RedisConnection,
        key: str,
        *,
        owner: str,
        ttl: float = TTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._key = key
        self._owner = owner
        self._ttl = ttl
        self._clock = clock
        self._deadline = -1.0
        self.token: str = ""
        """Value of the key while this publisher holds the lease; another one each time, so that
        a late append of an earlier term is refused."""

    @property
    def is_held(self) -> bool:
        """True until the lease may have expired."""
        return self._clock() < self._deadline

    async def acquire(self, suffix: str = "") -> bool:
        """Take the lease if nobody holds it; return True if it is held now.

        ``suffix`` is appended to the value. Raises ``RedisFeedError``.
        """
        token = self._new_token() + suffix
        command = ("SET", self._key, token, "NX", "PX", round(self._ttl * 1000))
        return await self._take(token, *command) and self.is_held

    async def exchange(self, other: Lease) -> bool:
        """Take this lease as ``acquire`` does, and give up another one in the same step.

        If somebody holds this lease, nothing changes and the result is False. Raises
        ``RedisFeedError``.
        """
        if not other.token:
            return await self.acquire()
        token = self._new_token()
        is_taken = await self._take(
            token,
            *("EVAL", _EXCHANGE, 2, self._key, other._key),
            *(token, round(self._ttl * 1000), other.token.removesuffix(READY)),
        )
        if is_taken:  # even if the answer came too late to hold it
            other.token, other._deadline = "", -1.0
        return is_taken and self.is_held

    def _new_token(self) -> str:
        return f"{self._owner}:{secrets.token_hex(8)}"

    async def _take(self, token: str, *command: str | int) -> bool:
        """Send a command that takes the lease with a token; return True if Redis has executed it.

        The lease is not held if the answer came after its expiry.
        """
        asked = self._clock()
        if not await self._connection.execute(*command):
            return False
        self.token = token
        self._deadline = asked + self._ttl
        return True

    async def renew(self, suffix: str | None = None) -> bool:
        """Extend the lease; return False if it was lost.

        ``suffix`` replaces the one of ``acquire``; ``None`` keeps it. After a ``RedisFeedError``
        the lease may have been extended or not, and is held until the old deadline.
        """
        token = self.token
        if suffix is not None:
            token = token.removesuffix(READY) + suffix
        asked = self._clock()
        try:
            answer = await self._connection.execute(
                "EVAL", _RENEW, 1, self._key, self.token, token, round(self._ttl * 1000)
            )
        except RedisFeedError:
            if token != self.token:  # the value may be either one: let it expire
                self._deadline = -1.0
            raise
        if answer != 1:
            self._deadline = -1.0
            return False
        self.token = token
        self._deadline = asked + self._ttl
        return True

    async def release(self) -> None:
        """Give the lease up, if it is held. Raises ``RedisFeedError``; it expires then."""
        token, self._deadline = self.token, -1.0
        if token:
            self.token = ""
            await self._connection.execute("EVAL", _RELEASE, 1, self._key, token)

    async def holder(self) -> str | None:
        """Return the value of the key; ``None``: nobody holds the lease."""
        answer = await self._connection.execute("GET", self._key)
        return None if answer is None else answer.decode(errors="replace")
