"""Delays of logins after wrong passwords: by account, and by the network of the browser.

Nobody is locked out, so that nobody can lock out others: the right password works at any time, only
later. Delays make guessing slow: with 5 s per attempt, a million guesses take two months.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Iterator

from attrs import Factory, define

FREE_FAILURES = 3
"""Wrong passwords that cause no delay: people mistype."""

FIRST_DELAY = 0.25
"""First delay, in seconds. Each further failure doubles it."""

LONGEST_DELAY = 5.0
"""Longest delay, in seconds."""

MEMORY = 900.0
"""Time after which failures are forgotten, in seconds."""

MAX_KEYS = 10_000
"""Accounts and networks whose failures are kept; the oldest are forgotten first."""

MAX_WAITING = 10
"""Logins of one network that may wait at the same time."""

# Characters of a name that count: an attacker chooses it, and it is kept.
_LONGEST_NAME = 64


@define(eq=False)
class Throttle:
    """Failed logins of the recent past."""

    # Number of failures and time of the last one, by account or network, oldest first.
    _failures: dict[str, tuple[int, float]] = Factory(dict)
    _waiting: Counter[str] = Factory(Counter)

    @contextlib.contextmanager
    def waiting(self, peer: str) -> Iterator[bool]:
        """Count a login of a network in the block; yield False if too many wait already."""
        network = network_of(peer)
        has_room = self._waiting[network] < MAX_WAITING
        self._waiting[network] += 1
        try:
            yield has_room
        finally:
            self._waiting[network] -= 1
            if not self._waiting[network]:
                del self._waiting[network]

    async def delay(self, account: str, peer: str) -> None:
        """Wait as long as the failures of the account and of the network require."""
        now = asyncio.get_running_loop().time()
        seconds = max(self._delay_of(key, now) for key in _keys(account, peer))
        if seconds:
            await asyncio.sleep(seconds)

    def fail(self, account: str, peer: str) -> None:
        """Note a failed login."""
        now = asyncio.get_running_loop().time()
        for key in _keys(account, peer):
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (count + 1 if now - last < MEMORY else 1), now
        while len(self._failures) > MAX_KEYS:
            del self._failures[next(iter(self._failures))]

    def succeed(self, account: str, peer: str) -> None:
        """Forget the failures of an account and a network after a successful login."""
        for key in _keys(account, peer):
            self._failures.pop(key, None)

    def _delay_of(self, key: str, now: float) -> float:
        count, last = self._failures.get(key, (0, now))
        if count < FREE_FAILURES or now - last >= MEMORY:
            return 0
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(count - FREE_FAILURES, 10))


def network_of(peer: str) -> str:
    """Return the network of an address: of IPv6, one customer has at least the first 64 bits."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def _keys(account: str, peer: str) -> tuple[str, str]:
    return f"account {account[:_LONGEST_NAME]}", f"peer {network_of(peer)}"
