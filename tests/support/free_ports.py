"""Free TCP ports, for tests that must name a port before a server listens on it."""

from __future__ import annotations

import contextlib
import random
import socket

# Outside the range of ephemeral ports, which another test may get meanwhile.
PORTS = range(20_000, 30_000)


def free_port():
    """Return a local port on which nothing listens."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
