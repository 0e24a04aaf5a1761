"""Opening of a WebSocket: TCP connection, proxy, TLS context and handshake.

The WebSocket library would look names up in the event loop's executor, try a host's addresses one
after the other, and load the default TLS context in the event loop. This module does all three
itself (``dialling``, ``default_trust``) and passes the results to the library.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Any, cast

from basix_ws_cti.exceptions import UsageError

from .address import ServerAddress
from .default_trust import default_trust
from .dialling import Dial
from .frame_reader import FeedSocket
from .handshake import Handshake, RedactingLogger
from .proxy import PROXY_ADVICE, split_proxy, with_host
from .redaction import NotPicklable, Redactor, SecretValue


class WebSocketOpening(NotPicklable):
    """One attempt to open a WebSocket to a server.

    - ``target``: the request's path and query.
    - ``options``: keyword arguments of the WebSocket library's ``connect``, among them ``proxy``
      and ``create_connection``. Without ``ssl``, a secure server is verified with the default
      context.
    """

    def __init__(self, server: ServerAddress, target: str, options: Mapping[str, Any]) -> None:
        self._server = server
        self._target = target
        self._options = SecretValue(dict(options))
        self._dial: Dial | None = None
        self.shown_host: str = server.host if options["proxy"] is None else "the proxy"
        """What error texts call the host that is dialled: a proxy's URL may hold a password."""

    @property
    def waits_for(self) -> str | None:
        """Present step of dialling, as a text; ``None`` once the TCP connection is open."""
        return None if self._dial is None else self._dial.waits_for

    async def run(self, headers: list[tuple[str, str]], redactor: Redactor) -> FeedSocket:
        """Open the WebSocket; raise any exception of the WebSocket library and of ``Dial``.

        There is no time limit.
        """
        options = self._options.value
        if self._server.is_secure and "ssl" not in options:
            options["ssl"] = await default_trust.context()
        unused_socket: socket.socket | None = None
        if options["proxy"] is None:
            self._dial = Dial(self._server.host, self._server.effective_port, self.shown_host)
            options["sock"] = unused_socket = await self._dial.open()
        else:
            options |= await self._proxy_options(options["proxy"])
        create_connection = options.pop("create_connection")

        def take_over(*args: Any, **keywords: Any) -> Any:
            """Create the connection; from here on, the event loop closes the socket."""
            nonlocal unused_socket
            created = create_connection(*args, **keywords)
            unused_socket = None
            return created

        try:
            websocket = await Handshake(
                f"{self._server}{self._target}",
                additional_headers=headers,
                logger=RedactingLogger(logging.getLogger("websockets.client"), redactor),
                create_connection=cast("Any", take_over),
                **options,
            )
        finally:
            if unused_socket is not None:
                unused_socket.close()
        return cast("FeedSocket", websocket)

    async def _proxy_options(self, url: str) -> dict[str, Any]:
        """Return the library's options for a proxy, with its IP address in place of its name.

        The library can be given no open socket for a proxy. So if the proxy has several addresses,
        one that answers is found with a connection of its own.
        """
        parts = split_proxy(url)
        if parts is None:
            raise UsageError(PROXY_ADVICE)
        host = cast("str", parts.hostname)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        self._dial = Dial(host, port, self.shown_host)
        options: dict[str, Any] = {"proxy": with_host(parts, await self._dial.find_address())}
        if secure:
            options["proxy_ssl"] = await default_trust.context()
            options["proxy_server_hostname"] = host
        return options
