"""The simulated PBX's HTTP API, on a port of its own: tickets, and calls by request.

``POST /basix/api/gen_ws_ticket`` takes ``{"uri": "/basix/api/ws_cti?app_name=…"}`` and
answers ``{"result_code": 0, "ticket": "…"}``; ``POST /basix/api/call_user`` takes
``{"user_id": …, "destination": "media_plug"}`` and answers ``{"result_code": 0, "uuids":
["…"]}``. Credentials are the domain and its token.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

from .access_control import RefusedError
from .pbx import NotPossibleError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

_logger = logging.getLogger(__name__)

_PREFIX = "/basix/api/"
_MAX_BODY = 1 << 16  # bytes: nobody needs more to ask for a ticket
_TIMEOUT = 10  # seconds for a request to come


class ApiBackend(Protocol):
    """Parts of ``Simulator`` that the HTTP API calls, from the API's threads."""

    def admit(self, headers: Iterable[str]) -> None:
        """Check the Authorization headers; raise ``RefusedError`` if they are wrong."""

    def ticket(self, target: str) -> str:
        """Return a ticket for a request target."""

    def call_user(self, user_id: int, destination: str) -> str:
        """Call a user; return the uuid of the user's channel."""


class Api:
    """The API's HTTP server, in threads of its own."""

    def __init__(self, simulator: ApiBackend, context: ssl.SSLContext | None) -> None:
        handler = type("_Handler", (_Handler,), {"simulator": simulator})
        self._server = _Server(("127.0.0.1", 0), handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="basix simulator API", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """End it. Blocks for a moment: not for the event loop's thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Waits for its threads when it closes, and knows how to make them end."""

    daemon_threads = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sockets: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._sockets.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections: nobody waits for a client that says nothing."""
        for request in tuple(self._sockets):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    simulator: ApiBackend
    timeout = _TIMEOUT

    def do_POST(self) -> None:
        try:
            self._answer(HTTPStatus.OK, {"result_code": 0, **self._result(self._request())})
        except RefusedError as error:
            self._answer(error.status, {"result_code": 1, "reason": error.reason})
        except NotPossibleError as error:
            self._answer(HTTPStatus.CONFLICT, {"result_code": 1, "reason": str(error)})

    def _request(self) -> dict[str, Any]:
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if not 0 <= size <= _MAX_BODY:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"a body of at most {_MAX_BODY} bytes")
        body = self.rfile.read(size)
        self.simulator.admit(self.headers.get_all("Authorization", ()))
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        return request

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        match self.path.removeprefix(_PREFIX), request:
            case "gen_ws_ticket", {"uri": str(target)}:
                return {"ticket": self.simulator.ticket(target)}
            case "gen_ws_ticket", _:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "uri is missing")
            case "call_user", {"user_id": int(user_id), "destination": str(destination)}:
                return {"uuids": [self.simulator.call_user(user_id, destination)]}
            case "call_user", _:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "user_id or destination is missing")
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such request")

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.close_connection = True
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="Basix", charset="UTF-8"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", _: object = "-") -> None:
        _logger.debug("an API request was answered with %s", code)

    def log_message(self, *_: Any) -> None:
        """Nothing: what the base class would say holds the client's own text."""
