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
from basix_ws_cti._internal.translation import N_, _, ngettext
from basix_ws_cti.board.error_texts import error_text
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

_NO_FEED_ADVICE = N_("the server speaks WebSocket but no feed of a known version: check --server")
_UNREADABLE_ADVICE = N_("a client skips these frames, and shows stale elements if it needs them")
_ENDED_ADVICE = N_(
    "ask the administrators of the PBX, and of proxies in between, why connections end"
)


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
        # First field_spec. Without one: the first readable message, or else the error in its place;
        # None if nothing arrived in time.
        self._first: Message | BasixError | None = None
        self._first_seconds = 0.0
        self._unreadable_frames = 0
        self._unreadable: DecodeError | ProtocolError | None = None  # error of the first of them

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
                    yield Finding(step=name, mark=Mark.SKIPPED, found=_("not examined"))
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
                error_text(error),
                _http_advice(error.status, error.retry_after),
                status=error.status,
            ) from None
        except ConnectFailed as error:
            advice = _(
                "the port may not speak WebSocket, the server may be too busy, or a proxy cut the "
                "connection"
            )
            if not self._server.is_secure:
                advice = "; ".join([advice, _("a TLS port needs wss:// in --server")])
            raise StepFailedError(error.reason, advice) from None
        return Finding(
            found=_("HTTP 101: WebSocket open") if status == 101 else f"HTTP {status}",
            seconds=time.perf_counter() - began,
            details={"status": status},
        )

    async def _check_login(self) -> Finding:
        if self._login_error is not None:
            advice = (
                _(
                    "check that --domain and the token belong together, and that the token has "
                    "not been revoked"
                )
                if self._login_error.status == 401
                else _(
                    "this domain and token lack the right, or this network address is not allowed"
                )
            )
            raise StepFailedError(error_text(self._login_error), advice)
        return Finding(found=_("logged in as {domain}").format(domain=self._domain))

    async def _check_limit(self) -> Finding:
        """Receive messages until the feed starts; one of them may report the connection limit.

        Any other problem with them is left to the next step.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout):
                while not isinstance(message := await self._receive(), FieldSpec):
                    self._first = self._first or message
                self._first = message
        except StopAsyncIteration:
            self._first = self._first or ConnectionLost(1000)
        except TimeoutError:
            pass
        except BasixError as error:
            self._first = self._first or error
        self._first_seconds = time.perf_counter() - began
        if self._first == SystemMsg("connection_limit_reached"):
            raise StepFailedError(
                _("the PBX allows no further connection for the app_name {app_name!r}").format(
                    app_name=self._app_name
                ),
                _("close one, use another --app-name, or replace the oldest with --force"),
            )
        if self._first is None or isinstance(self._first, BasixError):
            found = _("no limit reported for the app_name {app_name!r}")
        else:
            found = _("connection allowed for the app_name {app_name!r}")
        return Finding(found=found.format(app_name=self._app_name))

    async def _check_field_spec(self) -> Finding:
        """Check that a field_spec has arrived, with which every feed starts."""
        if self._unreadable is not None and isinstance(self._first, BasixError | None):
            raise StepFailedError(
                _("cannot read a frame: {problem}").format(problem=self._unreadable),
                _(_NO_FEED_ADVICE),
            )
        match self._first:
            case FieldSpec(kind, fields):
                found = ngettext(
                    "feed found: {kind} has {count} field",
                    "feed found: {kind} has {count} fields",
                    len(fields),
                ).format(kind=printable(kind, 60), count=len(fields))
                return Finding(found=found, seconds=self._first_seconds)
            case None:
                raise StepFailedError(
                    _("nothing received within {seconds:g} s").format(seconds=self.timeout),
                    _(
                        "the login succeeded but no feed arrives: the PBX has a problem, or the "
                        "server is not a PBX"
                    ),
                )
            case BasixError() as error:
                raise _feed_failed(error)
            case SystemMsg(text):
                raise StepFailedError(
                    _("the PBX sent the message {text!r} instead").format(text=printable(text, 60)),
                    _(_ENDED_ADVICE),
                )
            case message:
                raise StepFailedError(
                    _("the first message is {name}, expected FieldSpec").format(
                        name=type(message).__name__
                    ),
                    _(_NO_FEED_ADVICE),
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
                    case FieldSpec(kind):
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
                        message = await self._receive()
        except StopAsyncIteration:
            raise _feed_failed(ConnectionLost(1000)) from None
        except BasixError as error:
            raise _feed_failed(error) from None
        skipped = ""
        details: dict[str, Any] = {}
        if self._unreadable is not None:
            details["unreadable_frames"] = self._unreadable_frames
            skipped = "; " + _(
                "frames that cannot be read: {count}, the first one: {problem}"
            ).format(count=self._unreadable_frames, problem=self._unreadable)
        missing = [printable(kind, 60) for kind, count in kinds.items() if count is None]
        if missing:
            raise StepFailedError(
                _("no initial_info of {kinds} arrived in time").format(kinds=", ".join(missing))
                + skipped,
                _("the PBX is slow or has a problem: a longer --timeout shows which"),
                missing=missing,
                **details,
            )
        counts = {printable(kind, 60): count for kind, count in kinds.items()}
        return Finding(
            mark=Mark.WARNING if skipped else Mark.OK,
            found=", ".join(f"{kind} {count}" for kind, count in counts.items()) + skipped,
            advice=_(_UNREADABLE_ADVICE) if skipped else None,
            seconds=last - began,
            details={"elements": counts, **details},
        )

    async def _receive(self) -> Message:
        """Return the next readable message; count the frames that the client would skip, too."""
        while True:
            try:
                return await anext(self._connection)
            except (DecodeError, ProtocolError) as error:
                self._unreadable_frames += 1
                self._unreadable = self._unreadable or error

    async def _check_pings(self) -> Finding:
        reading = asyncio.create_task(self._discard_messages(), name="basix_ws_cti doctor")
        times = []
        try:
            for _ping in range(PINGS):
                began = time.perf_counter()
                async with asyncio.timeout(self.timeout):
                    await self._connection.ping()
                times.append(time.perf_counter() - began)
        except TimeoutError:
            raise StepFailedError(
                _("no pong within {seconds:g} s").format(seconds=self.timeout),
                _("a client would treat the connection as lost; a proxy in between may drop pings"),
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
            found=_("{count} round trips: best {best:.1f} ms, average {average:.1f} ms").format(
                count=PINGS, best=best * 1000, average=average * 1000
            ),
            advice=_("the connection is slow or busy: displayed data lags behind")
            if is_slow
            else None,
            seconds=sum(times),
            details={"min": best, "average": average},
        )

    async def _discard_messages(self) -> None:
        """Read the feed until it ends, because a pong is behind the messages before it."""
        while True:
            try:
                async for _message in self._connection:
                    pass
            except (DecodeError, ProtocolError):
                continue  # this step is about pings only
            except BasixError:
                return
            return


def _feed_failed(error: BasixError) -> StepFailedError:
    """Return the failure for the end of the connection."""
    return StepFailedError(error_text(error), _(_ENDED_ADVICE))


def _http_advice(status: int, retry_after: str | None) -> str:
    """Return what to do about an HTTP status that refuses the WebSocket."""
    if status < 300:
        return _(
            "this is a web server without a feed: check --server; or a proxy blocks WebSockets"
        )
    if status < 400:
        return _("redirects are not followed: pass the final server as --server")
    if status == 400:
        return _("the PBX rejects the request: check --app-name and the --user options")
    if status == 407:
        return _("a proxy in between requires a login")
    if status in {408, 429}:
        advice = _("too many requests: retry later")
    elif status < 500:
        return _("the server has no feed: check --server")
    else:
        advice = _("the PBX, or a proxy in front of it, is down or overloaded: retry later")
    if retry_after and retry_after.isdecimal():
        return _("{advice} (after {seconds} s)").format(advice=advice, seconds=retry_after)
    return advice
