"""Web server that receives webhooks, whose every byte a test controls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import time
from datetime import UTC, datetime, timedelta

from attrs import field, frozen
from standardwebhooks import Webhook as Verifier

from basix_ws_cti import CallEnded, CallStarted, Synced
from basix_ws_cti.mirror.mirror import Mirror

from . import call_builders

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@frozen
class Request:
    """Request as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes
    at: float = field(factory=time.monotonic)

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def value(self):
        return json.loads(self.body)

    @property
    def call(self):
        """Id of the call; ``None`` for another event."""
        return self.value["data"].get("call", {}).get("id")

    @property
    def type(self):
        return self.value["type"]

    def verify(self, secret=SECRET):
        """Check the signature with an independent implementation; it raises an error."""
        return Verifier(secret).verify(self.body, self.headers)


def response(status=204, body=b"", **headers):
    """Return the bytes of a response; ``_`` in the name of a header stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class WebhookReceiver:
    """Web server on the loopback interface.

    ``answer(request)`` returns a status, the bytes of a response, or ``None`` to close the
    connection without one. It may be async, and then also take the connection's ``writer``.
    """

    def __init__(self, answer=lambda _request: 204, *, ssl=None, port=0):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self._ssl, self.port = ssl, port
        self._tasks = set()

    @property
    def url(self):
        scheme = "http" if self._ssl is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/hook?key=part-of-the-url"

    def of_call(self, call_id):
        """Return the requests about a call."""
        return [one for one in self.requests if one.call == call_id]

    async def __aenter__(self):
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._ssl
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(task := asyncio.current_task())
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._respond(await read_request(reader), writer):
                    pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _respond(self, request, writer):
        self.requests.append(request)
        if inspect.iscoroutinefunction(self.answer):
            answer = await self.answer(request, writer)
        else:
            answer = self.answer(request)
        if answer is None:
            return False
        writer.write(answer if isinstance(answer, bytes) else response(answer))
        await writer.drain()
        return True


async def read_request(reader):
    """Read a request from a stream."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Request(first.split(" ")[1], headers, body)


class EventSource:
    """Source of call events that a test provides with ``put``."""

    def __init__(self, *events):
        self.mirror = Mirror()
        self.state = Synced()
        self.calls = {}
        self.alerts = {}
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._queue = asyncio.Queue()
        for event in events:
            self.put(event)

    def now(self):
        return self._now

    def put(self, event):
        self._now += timedelta(seconds=1)
        self._queue.put_nowait((self._now, event))

    def end(self, error=None):
        self._queue.put_nowait((self._now, error or StopAsyncIteration()))

    async def call_events(self):
        while True:
            at, item = await self._queue.get()
            if isinstance(item, StopAsyncIteration):
                return
            if isinstance(item, Exception):
                raise item
            yield at, item

    def on_alert(self, rule, callback):
        self.alerts[str(rule)] = callback
        return lambda: self.alerts.pop(str(rule))

    async def messages(self):
        for nothing in ():
            yield nothing

    async def synced(self):
        return self.mirror


def started(call_id):
    """Return the event that a call began."""
    return CallStarted(call_builders.call("0 ivr", id=call_id))


def ended(call_id):
    """Return the event that a call ended."""
    return CallEnded(call_builders.call("0 ivr, 5 talking u7", 20_000_000, by="caller", id=call_id))
