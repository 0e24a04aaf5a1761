"""HTTP API of the simulated PBX, on a separate port: tickets and click-to-call.

``POST /basix/api/gen_ws_ticket`` takes ``{"uri": "/basix/api/ws_cti?app_name=…"}`` and
answers ``{"result_code": 0, "ticket": "…"}``; ``POST /basix/api/call_user`` takes
``{"user_id": …, "destination": "media_plug"}`` and answers ``{"result_code": 0, "uuids":
["…"]}``. Both need HTTP Basic authentication with the domain and its token.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .errors import NotPossibleError, RefusedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

_logger = logging.getLogger(__name__)

_PREFIX = "/basix/api/"
_MAX_BODY = 1 << 16  # bytes: far more than any request needs
_TIMEOUT = 10  # seconds for a client to send its request


class ApiBackend(Protocol):
    """Parts of ``Simulator`` that the HTTP API calls, from the API's threads."""

    def authenticate(self, headers: Iterable[str]) -> None:
        """Check the Authorization headers; raise ``RefusedError`` if they are not valid."""

    def ticket(self, target: str) -> str:
        """Return a ticket for a request target."""

    def call_user(self, user_id: int, destination: str) -> str:
        """Call a user; return the uuid of the user's channel."""


class Api:
    """HTTP server of the API. It runs in a thread, and each request in another one.

    ``context`` is the TLS context; ``None``: no TLS.
    """

    def __init__(self, backend: ApiBackend, context: ssl.SSLContext | None) -> None:
        handler = type("RequestHandler", (RequestHandler,), {"backend": backend})
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
        """Return the port on which the server listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop the server. Blocks for a moment, so do not call it in the event loop's thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.shut_down_connections()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Threading HTTP server that can end its connections, so that closing waits for none."""

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

    def shut_down_connections(self) -> None:
        """End all connections, so that no thread waits for a client that sends nothing."""
        for request in tuple(self._sockets):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class RequestHandler(BaseHTTPRequestHandler):
    """Handler of one request; a subclass sets ``backend``."""

    backend: ApiBackend
    timeout: ClassVar[float | None] = _TIMEOUT

    def do_POST(self) -> None:
        """Answer a POST request with JSON."""
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
            raise RefusedError(
                HTTPStatus.BAD_REQUEST,
                f"Content-Length must be a number from 0 to {_MAX_BODY} (bytes)",
            )
        body = self.rfile.read(size)
        self.backend.authenticate(self.headers.get_all("Authorization", ()))
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
        return request

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        match self.path.removeprefix(_PREFIX), request:
            case "gen_ws_ticket", {"uri": str(target)}:
                return {"ticket": self.backend.ticket(target)}
            case "gen_ws_ticket", _:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "the request needs uri as a string")
            case "call_user", {"user_id": int(user_id), "destination": str(destination)}:
                return {"uuids": [self.backend.call_user(user_id, destination)]}
            case "call_user", _:
                raise RefusedError(
                    HTTPStatus.BAD_REQUEST,
                    "the request needs user_id as a number and destination as a string",
                )
        raise RefusedError(HTTPStatus.NOT_FOUND, "unknown path: use gen_ws_ticket or call_user")

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
        """Log the status of a response."""
        _logger.debug("API request answered: status %s", code)

    def log_message(self, *_: Any) -> None:
        """Do nothing: the base class would log text that the client sent."""
