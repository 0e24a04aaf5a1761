"""A port for whoever must name one before anybody listens there."""

from __future__ import annotations

import contextlib
import random
import socket

# Not of those that the system gives to all who ask for any port: another test may, meanwhile.
PORTS = range(20_000, 30_000)


def free_port():
    """A port of this machine at which nobody listens."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
