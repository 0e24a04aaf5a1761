"""HTTP server of the command ``web``: uvicorn, which ends open streams when it stops."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from .app import WebApp

USER_TIMEOUT = 30
"""Time after which a connection ends whose peer acknowledges nothing, in seconds."""

# Seconds without traffic after which the system asks if the peer is still there, the seconds
# between two such probes, and the number of probes.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

# Seconds for which the server waits for requests when it stops.
_GRACE = 1


class WebServer(uvicorn.Server):
    """Server of one application, whose streams end before it waits for open connections.

    - ``proxies``: networks of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` count;
      from all others, these headers have no meaning.
    - ``options``: further options of uvicorn, such as ``ssl_certfile``.
    """

    def __init__(self, app: WebApp, *, proxies: Sequence[str] = (), **options: Any) -> None:
        self._web_app = app
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",  # the wallboard has no WebSockets
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=[*proxies],
                timeout_graceful_shutdown=_GRACE,
                **options,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all streams, then stop the server."""
        self._web_app.wallboard.end_streams()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, whose connections notice that a browser has vanished.

    Linux copies these options to each connection. Raises ``OSError``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": USER_TIMEOUT * 1000}
    for name, value in options.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listener
