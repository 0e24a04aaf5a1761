"""Networks with defects: addresses that drop packets, and name servers that do not answer."""

from __future__ import annotations

import contextlib
import socket
import threading


def resolve_to(monkeypatch, *addresses, host="localhost"):
    """Let a host have these IP addresses; return the list of look-ups of it, which grows."""
    resolve = socket.getaddrinfo
    looked_up = []

    def getaddrinfo(name, port, *rest, **named):
        if name not in {host, host.encode()}:
            return resolve(name, port, *rest, **named)
        looked_up.append(host)
        return [found for one in addresses for found in resolve(one, port, *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


@contextlib.contextmanager
def black_hole(address, port=0):
    """Let an address accept no connections, like one whose packets are dropped; yield its port.

    A full backlog makes Linux drop the first packet of each further connection.
    """
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filling.connect(listening.getsockname())
        yield listening.getsockname()[1]


@contextlib.contextmanager
def hanging_look_ups(monkeypatch, host="pbx.example"):
    """Let look-ups of a host hang until the end of the block; yield the list of them."""
    resolve = socket.getaddrinfo
    looked_up = []
    end = threading.Event()

    def getaddrinfo(name, *rest, **named):
        if name != host:
            return resolve(name, *rest, **named)
        looked_up.append(name)
        end.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        yield looked_up
    finally:
        end.set()
