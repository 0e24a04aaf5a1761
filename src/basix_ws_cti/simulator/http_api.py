"""HTTP API of the simulated PBX, on the port of the feed: tickets and calls.

``POST /basix/api/gen_ws_ticket`` takes ``{"uri": "/basix/api/ws_cti?app_name=…"}`` and answers
``{"result_code": 0, "ticket": "…"}``. ``call_user`` and ``call_group`` take the parameters of
docs/explanation/protocol.md and answer ``{"result_code": 0, "uuids": ["…"]}``. All of them need
HTTP Basic authentication with the domain and its token.

An error of the API has the status 200 and the body ``{"result_code": 1, "error": {"id": "…",
"reason": "…"}}``. Errors of HTTP, such as an unknown path, have the same body and their own
status.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, parse_headers
from typing import TYPE_CHECKING, Any, Protocol

from .errors import ApiError, NotPossibleError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_logger = logging.getLogger(__name__)

_PREFIX = "/basix/api/"
_METHODS = ("gen_ws_ticket", "call_user", "call_group")
_MAX_HEAD = 1 << 16  # bytes
_MAX_BODY = 1 << 16  # bytes: far more than any request needs
_TIMEOUT = 10  # seconds for a client to send its request


class ApiBackend(Protocol):
    """Parts of ``Simulator`` that the HTTP API calls."""

    def authenticate(self, headers: Iterable[str]) -> None:
        """Check the Authorization headers; raise ``RefusedError`` if they are not valid."""

    def ticket(self, target: str) -> str:
        """Return a ticket for a request target."""

    def start_call(self, method: str, request: Mapping[str, Any]) -> tuple[str, ...]:
        """Start a call; return the uuids of the channels that will ring."""


class Api:
    """Server of the API, for connections whose first bytes are those of a POST request."""

    def __init__(self, backend: ApiBackend) -> None:
        self._backend = backend
        self._tasks: dict[asyncio.Task[None], asyncio.Transport] = {}

    def adopt(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve a connection that has received ``data`` so far."""
        reader = asyncio.StreamReader(limit=_MAX_HEAD)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        task = asyncio.create_task(self._serve(reader, writer), name="basix simulator API")
        self._tasks[task] = transport
        task.add_done_callback(self._tasks.pop)

    def close(self) -> None:
        """End all connections."""
        for task, transport in tuple(self._tasks.items()):
            task.cancel()
            transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                await serve_request(reader, writer, self._backend)
        writer.close()


async def serve_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backend: ApiBackend
) -> None:
    """Read a request, and write the response. A request that is cut off gets none."""
    status, answer = HTTPStatus.OK, {"result_code": 0}
    try:
        answer |= _result(backend, *await _read_request(reader, writer))
    except asyncio.IncompleteReadError:
        return
    except RefusedError as error:
        status = error.status
        answer = _error("bad_request", error.reason)
    except ApiError as error:
        answer = _error(error.error_id, error.reason)
    except NotPossibleError as error:
        answer = _error("not_possible", str(error))
    _logger.debug("API request answered: status %d", status)
    body = json.dumps(answer).encode()
    writer.write(
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, HTTPMessage, bytes]:
    """Read a request; return path, headers and body."""
    path, headers = await _read_head(reader)
    try:
        size = int(headers.get("Content-Length", ""))
    except ValueError:
        size = -1
    if not 0 <= size <= _MAX_BODY:
        raise RefusedError(
            HTTPStatus.BAD_REQUEST,
            f"Content-Length must be a number from 0 to {_MAX_BODY} (bytes)",
        )
    if headers.get("Expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return path, headers, await reader.readexactly(size)


def _result(backend: ApiBackend, path: str, headers: HTTPMessage, body: bytes) -> dict[str, Any]:
    """Carry out a request; return the fields of the response."""
    try:
        backend.authenticate(headers.get_all("Authorization", ()))
    except RefusedError as error:
        raise ApiError("authentication_required", error.reason) from None
    method = path.removeprefix(_PREFIX)
    if not path.startswith(_PREFIX) or method not in _METHODS:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"unknown path: use {', '.join(_METHODS)}")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise ApiError("invalid_parameter", "the body must be a JSON object")
    if method != "gen_ws_ticket":
        return {"uuids": backend.start_call(method, request)}
    target = request.get("uri")
    if not isinstance(target, str):
        raise ApiError("invalid_parameter", "the request needs uri as a string")
    try:
        return {"ticket": backend.ticket(target)}
    except RefusedError as error:
        raise ApiError("invalid_parameter", error.reason) from None


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, HTTPMessage]:
    """Read the request line and the headers; return path and headers."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise RefusedError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head exceeds {_MAX_HEAD} bytes"
        ) from None
    line, _, fields = head.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or words[0] != "POST" or not words[2].startswith("HTTP/1."):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "expected a request line of HTTP/1.1")
    try:
        return words[1], parse_headers(io.BytesIO(fields))
    except HTTPException:
        raise RefusedError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many or too long headers"
        ) from None


def _error(error_id: str, reason: str) -> dict[str, Any]:
    return {"result_code": 1, "error": {"id": error_id, "reason": reason}}
