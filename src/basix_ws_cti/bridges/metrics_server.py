"""HTTP server for the metrics: ``/metrics`` for Prometheus, ``/healthy`` for supervisors.

Each request has a thread; the event loop serves none.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from basix_ws_cti.transport.address import ServerAddress

from .exposition import Exposition

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MAX_CONNECTIONS = 64
"""Connections that are served at the same time."""

CLIENT_TIMEOUT = 10.0
"""Time for which a connection may be silent, in seconds."""

_TEXT = "text/plain; charset=utf-8"


class MetricsApp:
    """WSGI application with the routes of the server."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._routes: dict[str, Callable[[WSGIEnvironment], _Response]] = {
            "/metrics": self._metrics,
            "/healthy": self._health,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        status, headers, body = self._answer(environ)
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> _Response:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _text("405 Method Not Allowed", "use GET", ("Allow", "GET, HEAD"))
        answer = self._routes.get(environ["PATH_INFO"])
        if answer is None:
            return _text("404 Not Found", f"the paths are {' and '.join(self._routes)}")
        return answer(environ)

    def _metrics(self, environ: WSGIEnvironment) -> _Response:
        try:
            text = self._exposition.render(environ.get("HTTP_ACCEPT", ""))
        except TimeoutError:
            return _text("503 Service Unavailable", "the event loop does not answer")
        headers = [("Content-Type", text.content_type), ("Vary", "Accept, Accept-Encoding")]
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            return "200 OK", [*headers, ("Content-Encoding", "gzip")], text.compressed
        return "200 OK", headers, text.body

    def _health(self, _environ: WSGIEnvironment) -> _Response:
        figures = self._exposition.figures
        status = "200 OK" if figures.is_synced else "503 Service Unavailable"
        return _text(status, f"feed: {figures.state}")


_Response = tuple[str, list[tuple[str, str]], bytes]


def _text(status: str, text: str, *headers: tuple[str, str]) -> _Response:
    return status, [("Content-Type", _TEXT), *headers], f"{text}\n".encode()


class MetricsServer:
    """Server of metrics. It listens from its creation on, and answers within its block.

    - ``exposition``: the metrics.
    - ``host``, ``port``: address to listen on; port 0: any free one.
    - ``max_connections``: further connections are closed at once.
    - ``client_timeout``: time after which a silent client is cut off, in seconds.

    Raises ``OSError`` if the address cannot be used.
    """

    def __init__(
        self,
        exposition: Exposition,
        host: str,
        port: int,
        *,
        max_connections: int = MAX_CONNECTIONS,
        client_timeout: float = CLIENT_TIMEOUT,
    ) -> None:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self._server = _Server(
            family, (str(address[0]), int(address[1])), max_connections, client_timeout
        )
        self._server.set_app(MetricsApp(exposition))

    @property
    def url(self) -> str:
        """Address of the metrics."""
        address = ServerAddress("http", self._server.server_name, self._server.server_port)
        return f"{address}/metrics"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # one that a client keeps busy does not keep the program from ending

    def __init__(
        self, family: int, address: tuple[str, int], max_connections: int, client_timeout: float
    ) -> None:
        self.address_family = family
        self._client_timeout = client_timeout
        self._room = threading.BoundedSemaphore(max_connections)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The base class would look up the host's name, which can take seconds.
        socket_address: Any = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(self._client_timeout)
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()  # no thread has started that would release it
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error of a connection: the client has gone, or was cut off."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: Prometheus requests the metrics all day."""
