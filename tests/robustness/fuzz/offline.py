"""Running simulator without network and without waiting."""

from __future__ import annotations

import threading

from basix_ws_cti.simulator import Simulator


class OfflineSimulator(Simulator):
    """Simulator that only acts on method calls and commands, as if its block were entered.

    ``simulate_users``: simulated users act on commands, but there are no scheduled calls.
    """

    def __init__(self, *, users, simulate_users=False):
        super().__init__(calls=False, users=users)
        self._simulate_users = simulate_users
        self._attach_pbx()
        self.loop, self.thread_id = object(), threading.get_ident()

    @property
    def client_handler(self):
        """Handler of the clients, for a client without a network connection."""
        return self._client_handler


def run(coroutine):
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")
