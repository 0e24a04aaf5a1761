"""Examination of the connection to a feed, step by step.

The network steps (``network``) use their own connections and send no credentials. From the HTTP
handshake on, the steps observe one connection made by the library's own ``connect``. Each step
is a coroutine that returns a ``Finding`` or raises ``StepFailedError``; after a failure, the
remaining steps are skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator
from typing import Any

from attrs import evolve

from basix_ws_cti import Connection, FieldSpec, InitialInfo, Message, SystemMsg, connect
from basix_ws_cti.client.sync_deadline import SyncDeadline
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    HandshakeError,
    ProtocolError,
    printable,
)
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.transport.address import ServerAddress

from .findings import STEPS, Finding, Mark, StepFailedError
from .network import NetworkProbe

# Pings sent, and the average round trip, in seconds, from which on a wallboard visibly lags.
PINGS = 3
SLOW_PING = 0.5

_NO_FEED_ADVICE = "the server speaks WebSocket but no feed of a known version: check --server"
_ENDED_ADVICE = "ask the administrators of the PBX, and of proxies in between, why connections end"


class Examination:
    """One examination of one PBX.

    - ``arguments``: keyword arguments of ``connect``.
    - ``timeout``: maximum time, in seconds, that a step waits for anything to arrive.
    - ``slow_ping``: average round trip, in seconds, from which pings give a warning.

    Raises ``UsageError`` for arguments that cannot work.
    """

    def __init__(
        self, arguments: dict[str, Any], *, timeout: float = 10, slow_ping: float = SLOW_PING
    ) -> None:
        self.timeout: float = timeout
        self._slow_ping = slow_ping
        # The examination sends and counts pings itself.
        self._connect = connect(**arguments, open_timeout=timeout, ping_interval=None)
        self._server = ServerAddress.parse(arguments["server"])
        self._network = NetworkProbe(self._server, arguments.get("ssl"))
        self._domain = arguments.get("domain")
        self._app_name = printable(arguments["app_name"], 60)
        self._connection: Connection  # set by the HTTP step
        self._login_error: AuthenticationError | None = None
        # First message of the feed, or the error in its place; None if nothing arrived in time.
        self._first: Message | BasixError | None = None
        self._first_seconds = 0.0

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Yield the finding of each step after ``options``, as soon as it is made.

        Close the generator (``contextlib.aclosing``) if it is not iterated to its end.
        """
        steps = {
            "dns": lambda: self._network.resolve(self.timeout),
            "tcp": lambda: self._network.connect(self.timeout),
            "tls": lambda: self._network.check_tls(self.timeout),
            "http": self._check_http,
            "login": self._check_login,
            "limit": self._check_limit,
            "field_spec": self._check_field_spec,
            "snapshot": self._check_snapshot,
            "pings": self._check_pings,
        }
        failed = False
        async with contextlib.AsyncExitStack() as self._stack:
            self._stack.callback(self._network.close)
            for name in STEPS[1:]:
                if failed:
                    yield Finding(step=name, mark=Mark.SKIPPED, found="not examined")
                    continue
                began = time.perf_counter()
                try:
                    finding = await steps[name]()
                except StepFailedError as error:
                    failed = True
                    finding = evolve(error.finding, seconds=time.perf_counter() - began)
                yield evolve(finding, step=name)

    async def _check_http(self) -> Finding:
        """Make the WebSocket handshake. A refused login is left to the next step."""
        began = time.perf_counter()
        status = 101
        try:
            self._connection = await self._stack.enter_async_context(self._connect)
        except AuthenticationError as error:
            self._login_error = error
            status = error.status
        except HandshakeError as error:
            raise StepFailedError(
                str(error), _http_advice(error.status, error.retry_after), status=error.status
            ) from None
        except ConnectFailed as error:
            raise StepFailedError(
                error.reason,
                "the port may not speak WebSocket, the server may be too busy, or a proxy cut "
                "the connection"
                + ("" if self._server.is_secure else "; a TLS port needs wss:// in --server"),
            ) from None
        return Finding(
            found="HTTP 101: WebSocket open" if status == 101 else f"HTTP {status}",
            seconds=time.perf_counter() - began,
            details={"status": status},
        )

    async def _check_login(self) -> Finding:
        if self._login_error is not None:
            raise StepFailedError(
                str(self._login_error),
                "check that --domain and the token belong together, and that the token has not "
                "been revoked"
                if self._login_error.status == 401
                else "this domain and token lack the right, or this network address is not allowed",
            )
        return Finding(found=f"logged in as {self._domain}")

    async def _check_limit(self) -> Finding:
        """Receive the first message, which may report the connection limit.

        Any other problem with that message is left to the next step.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout):
                self._first = await anext(self._connection)
        except StopAsyncIteration:
            self._first = ConnectionLost(1000)
        except TimeoutError:
            self._first = None
        except BasixError as error:
            self._first = error
        self._first_seconds = time.perf_counter() - began
        if self._first == SystemMsg("connection_limit_reached"):
            raise StepFailedError(
                f"the PBX allows no further connection for the app_name {self._app_name!r}",
                "close one, use another --app-name, or replace the oldest with --force",
            )
        if self._first is None or isinstance(self._first, BasixError):
            return Finding(found=f"no limit reported for the app_name {self._app_name!r}")
        return Finding(found=f"connection allowed for the app_name {self._app_name!r}")

    async def _check_field_spec(self) -> Finding:
        """Check that the first message is a field_spec, as in every feed."""
        match self._first:
            case FieldSpec(kind, fields):
                return Finding(
                    found=f"feed found: {printable(kind, 60)} has {len(fields)} fields",
                    seconds=self._first_seconds,
                )
            case None:
                raise StepFailedError(
                    f"nothing received within {self.timeout:g} s",
                    "the login succeeded but no feed arrives: the PBX has a problem, or the "
                    "server is not a PBX",
                )
            case BasixError() as error:
                raise _feed_failed(error)
            case SystemMsg(text):
                raise StepFailedError(
                    f"the PBX sent the message {printable(text, 60)!r} instead", _ENDED_ADVICE
                )
            case message:
                raise StepFailedError(
                    f"the first message is {type(message).__name__}, expected FieldSpec",
                    _NO_FEED_ADVICE,
                )

    async def _check_snapshot(self) -> Finding:
        """Wait for the initial_info of every announced kind, then for the client's quiet time.

        As for the client, a long frame that arrives slowly is progress.
        """
        kinds: dict[str, int | None] = {}
        loop = asyncio.get_running_loop()
        began = last = time.perf_counter()
        connection = self._connection
        deadline = SyncDeadline(self.timeout)
        deadline.start(loop.time(), connection.bytes_received)
        quiet_at = math.inf
        message = self._first
        try:
            while True:
                match message:
                    case FieldSpec(kind, _):
                        kinds.setdefault(kind, None)
                    case InitialInfo(kind, elements):
                        kinds[kind] = len(elements)
                        last = time.perf_counter()
                if isinstance(message, FieldSpec | InitialInfo):
                    deadline.received(message, loop.time(), connection.bytes_received)
                    is_complete = None not in kinds.values()
                    quiet_at = loop.time() + QUIET_TIME if is_complete else math.inf
                now = loop.time()
                if now >= quiet_at or deadline.has_passed(
                    now, connection.bytes_received, connection.partial_bytes
                ):
                    break
                message = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(quiet_at, deadline.at)):
                        message = await anext(connection)
        except StopAsyncIteration:
            raise _feed_failed(ConnectionLost(1000)) from None
        except BasixError as error:
            raise _feed_failed(error) from None
        missing = [printable(kind, 60) for kind, count in kinds.items() if count is None]
        if missing:
            raise StepFailedError(
                f"no initial_info of {', '.join(missing)} arrived in time",
                "the PBX is slow or has a problem: a longer --timeout shows which",
                missing=missing,
            )
        counts = {printable(kind, 60): count for kind, count in kinds.items()}
        return Finding(
            found=", ".join(f"{kind} {count}" for kind, count in counts.items()),
            seconds=last - began,
            details={"elements": counts},
        )

    async def _check_pings(self) -> Finding:
        reading = asyncio.create_task(self._discard_messages(), name="basix_ws_cti doctor")
        times = []
        try:
            for _ in range(PINGS):
                began = time.perf_counter()
                async with asyncio.timeout(self.timeout):
                    await self._connection.ping()
                times.append(time.perf_counter() - began)
        except TimeoutError:
            raise StepFailedError(
                f"no pong within {self.timeout:g} s",
                "a client would treat the connection as lost; a proxy in between may drop pings",
            ) from None
        except ConnectionLost as error:
            raise _feed_failed(error) from None
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        best, average = min(times), sum(times) / PINGS
        is_slow = average >= self._slow_ping
        return Finding(
            mark=Mark.WARNING if is_slow else Mark.OK,
            found=f"{PINGS} round trips: best {best * 1000:.1f} ms, "
            f"average {average * 1000:.1f} ms",
            advice="the connection is slow or busy: displayed data lags behind"
            if is_slow
            else None,
            seconds=sum(times),
            details={"min": best, "average": average},
        )

    async def _discard_messages(self) -> None:
        """Read the feed until it ends, because a pong is behind the messages before it."""
        while True:
            try:
                async for _ in self._connection:
                    pass
            except (DecodeError, ProtocolError):
                continue  # this step is about pings only
            except BasixError:
                return
            return


def _feed_failed(error: BasixError) -> StepFailedError:
    """Return the failure for an unreadable frame or the end of the connection."""
    if isinstance(error, DecodeError | ProtocolError):
        return StepFailedError(f"cannot read a frame: {error}", _NO_FEED_ADVICE)
    return StepFailedError(str(error), _ENDED_ADVICE)


def _http_advice(status: int, retry_after: str | None) -> str:
    """Return what to do about an HTTP status that refuses the WebSocket."""
    after = f" after {retry_after} s" if retry_after and retry_after.isdecimal() else ""
    if status < 300:
        return "this is a web server without a feed: check --server; or a proxy blocks WebSockets"
    if status < 400:
        return "redirects are not followed: pass the final server as --server"
    if status == 400:
        return "the PBX rejects the request: check --app-name and the --user options"
    if status == 407:
        return "a proxy in between requires a login"
    if status in {408, 429}:
        return f"too many requests: retry later{after}"
    if status < 500:
        return "the server has no feed: check --server"
    return f"the PBX, or a proxy in front of it, is down or overloaded: retry later{after}"
