"""What stands between here and a feed, looked at step by step.

``Examination`` has the steps, each a plain coroutine that returns its ``Finding``; the first
that fails is the last. Name, address and certificate are looked at by hand, with nothing
secret sent; from the handshake on it is the library's own ``connect`` that is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Any

from attrs import Factory, evolve, frozen

from basix_ws_cti import Connection, FieldSpec, InitialInfo, Message, SystemMsg, connect
from basix_ws_cti.client.client import SYNC_TIMEOUT
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

from . import certificate

STEPS = (
    "options",
    "dns",
    "tcp",
    "tls",
    "http",
    "login",
    "limit",
    "field_spec",
    "snapshot",
    "pings",
)

# A certificate with fewer days left is to be renewed.
EXPIRES_SOON = 14

# Round trips, and the seconds from which on they are slow: a wallboard is seen to lag.
PINGS = 3
SLOW_PING = 0.5

# To OpenSSL: whatever the time is (X509_V_FLAG_NO_CHECK_TIME).
_ANY_TIME = 0x200000

_NO_FEED = "this is a WebSocket, but not a feed that this version can read: check --server"
_ENDED = "ask who runs the PBX, or what is in between, why connections end"


class Mark(StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class Finding:
    """What a step found, in words and as ``details`` for programs, and what to do about it.

    ``seconds`` is how long it took, ``None`` where nothing was waited for.
    """

    step: str = ""
    mark: Mark = Mark.OK
    found: str
    advice: str | None = None
    seconds: float | None = None
    details: dict[str, Any] = Factory(dict)


class StepFailedError(Exception):
    """Ends a step: what was found, and what to do about it."""

    def __init__(self, found: str, advice: str, **details: Any) -> None:
        super().__init__(found, advice)
        self.finding: Finding = Finding(
            mark=Mark.FAILED, found=found, advice=advice, details=details
        )


class Examination:
    """One look at one PBX. ``arguments`` are those of ``connect``.

    No step waits for longer than ``timeout`` seconds for anything to come. Raises
    ``UsageError`` for arguments that can't work.
    """

    def __init__(self, arguments: dict[str, Any], *, timeout: float = 10) -> None:
        self._timeout = timeout
        # Pings are sent, and counted, by hand.
        self._connect = connect(**arguments, open_timeout=timeout, ping_interval=None)
        self._server = ServerAddress.parse(arguments["server"])
        self._port = self._server.port or (443 if self._server.is_secure else 80)
        self._trust: ssl.SSLContext | None = arguments.get("ssl")
        self._domain = arguments.get("domain")
        self._app_name = printable(arguments["app_name"], 60)
        self._addresses: list[tuple[int, Any]] = []
        self._socket: socket.socket  # each of the two is there once its step is done
        self._connection: Connection
        self._refused: AuthenticationError | None = None
        self._first: Message | BasixError | None = None
        self._waited = 0.0

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """The findings after the options', one for each step, as they are made.

        To be closed (``contextlib.aclosing``) by whoever does not iterate to the end.
        """
        failed = False
        async with contextlib.AsyncExitStack() as self._stack:
            for name in STEPS[1:]:
                if failed:
                    yield Finding(step=name, mark=Mark.SKIPPED, found="not looked at")
                    continue
                began = time.perf_counter()
                try:
                    finding: Finding = await getattr(self, f"_{name}")()
                except StepFailedError as error:
                    failed = True
                    finding = evolve(error.finding, seconds=time.perf_counter() - began)
                yield evolve(finding, step=name)

    # -- the way there, by hand -------------------------------------------------------

    async def _dns(self) -> Finding:
        host = self._server.host
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, self._port, type=socket.SOCK_STREAM
                )
        except TimeoutError:
            raise StepFailedError(
                f"no answer about {host} within {self._timeout:g} s",
                "name servers don't answer: check the connection to the network",
            ) from None
        except (OSError, UnicodeError) as error:
            raise StepFailedError(
                f"{host} has no address: {_why(error)}",
                "check the spelling of --server, and that this network resolves names",
            ) from None
        self._addresses = [(entry[0], entry[4]) for entry in found]
        shown = [str(address[0]) for _, address in self._addresses]
        return Finding(
            found=f"{host}: {', '.join(shown)}",
            seconds=time.perf_counter() - began,
            details={"addresses": shown},
        )

    async def _tcp(self) -> Finding:
        missed: dict[str, str] = {}
        is_refused = False
        for family, address in self._addresses:
            host = str(address[0])
            began = time.perf_counter()
            try:
                self._socket = await self._reach(family, address)
            except OSError as error:
                missed[host] = self._slow_or(error)
                is_refused = error.errno == errno.ECONNREFUSED
                continue
            self._stack.callback(self._socket.close)
            self._addresses = [(family, address)]
            seconds = time.perf_counter() - began
            return Finding(
                mark=Mark.WARNING if missed else Mark.OK,
                found="; ".join(
                    [f"{host} port {self._port} answers", *map(": ".join, missed.items())]
                ),
                advice="not all of the server's addresses can be reached" if missed else None,
                seconds=seconds,
                details={"address": host, "port": self._port, "missed": missed},
            )
        raise StepFailedError(
            f"port {self._port}: {'; '.join(map(': '.join, missed.items()))}",
            "nothing listens there: check the port in --server; or the server is down"
            if is_refused
            else "a firewall may be in the way, the server down, or the address wrong",
            port=self._port,
            missed=missed,
        )

    async def _reach(self, family: int, address: Any) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(0)
            async with asyncio.timeout(self._timeout):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _tls(self) -> Finding:
        if not self._server.is_secure:
            self._socket.close()
            return Finding(found="not used: plain ws://")
        began = time.perf_counter()
        try:
            context = self._trust or ssl.create_default_context()
            protocol, accepted = await self._shake_hands(context, self._socket)
        except ssl.SSLCertVerificationError as error:
            raise await self._distrusted(error) from None
        except OSError as error:
            found = self._slow_or(error)
            if isinstance(error, ssl.SSLError):
                found = f"no TLS is spoken there: {found}"
                advice = "check the port in --server; plain ws:// is for this machine alone"
            else:
                found = f"the TLS handshake came to nothing: {found}"
                advice = "it may be no TLS port, or a proxy or firewall in between cuts it"
            raise StepFailedError(found, advice) from None
        details = certificate.details(accepted)
        is_old = details["days_left"] < EXPIRES_SOON
        authority = "--ca-file" if self._trust else "a CA that this machine trusts"
        return Finding(
            mark=Mark.WARNING if is_old else Mark.OK,
            found=f"{protocol}; the certificate is {certificate.in_words(details)}; "
            f"the host's name is right, the chain leads to {authority}",
            advice="the certificate is to be renewed" if is_old else None,
            seconds=time.perf_counter() - began,
            details={"protocol": protocol, **details},
        )

    async def _shake_hands(
        self, context: ssl.SSLContext, sock: socket.socket | None = None
    ) -> tuple[str, Any]:
        """Speak TLS: the protocol, and the certificate, as bytes where nobody verified it."""
        if sock is None:
            sock = await self._reach(*self._addresses[0])
        async with asyncio.timeout(self._timeout):
            _, writer = await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=self._server.host
            )
        session = writer.get_extra_info("ssl_object")
        given = session.getpeercert(binary_form=context.verify_mode is ssl.CERT_NONE)
        writer.transport.abort()
        return session.version(), given

    async def _distrusted(self, error: ssl.SSLCertVerificationError) -> StepFailedError:
        """What to say of a certificate that is not accepted."""
        found = f"the certificate is not accepted: {printable(error.verify_message)}"
        details: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            details = certificate.details(await self._unverified())
            found += f"; it is {certificate.in_words(details)}"
        return StepFailedError(found, certificate.advice(error.verify_code), **details)

    async def _unverified(self) -> Any:
        """The certificate, whoever vouches for it; to be looked at, nothing is sent."""
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        _, binary = await self._shake_hands(blind)
        # Python takes apart what was verified alone: so let it vouch for itself, at any time.
        itself = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        itself.check_hostname = False
        itself.load_verify_locations(cadata=binary)
        itself.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        itself.verify_flags |= ssl.VerifyFlags(_ANY_TIME)
        _, given = await self._shake_hands(itself)
        return given

    # -- the handshake, by the library ------------------------------------------------

    async def _http(self) -> Finding:
        began = time.perf_counter()
        status = 101
        try:
            self._connection = await self._stack.enter_async_context(self._connect)
        except AuthenticationError as error:
            self._refused = error
            status = error.status
        except HandshakeError as error:
            raise StepFailedError(
                str(error), _what_to_do(error.status, error.retry_after), status=error.status
            ) from None
        except ConnectFailed as error:
            raise StepFailedError(
                error.reason,
                "no WebSocket server speaks there, it is too busy, or something in between cuts it"
                + ("" if self._server.is_secure else "; a TLS port wants wss:// in --server"),
            ) from None
        return Finding(
            found="HTTP 101: a WebSocket is open" if status == 101 else f"HTTP {status}",
            seconds=time.perf_counter() - began,
            details={"status": status},
        )

    async def _login(self) -> Finding:
        if self._refused is not None:
            raise StepFailedError(
                str(self._refused),
                "check --domain and the token: they go together, and a token can be withdrawn"
                if self._refused.status == 401
                else "this domain and token lack the right to it, or this address is not let in",
            )
        return Finding(found=f"let in as {self._domain}")

    async def _limit(self) -> Finding:
        """The first message says whether there is room; what else it is, is for the next step."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                self._first = await anext(self._connection)
        except StopAsyncIteration:
            self._first = ConnectionLost(1000)
        except TimeoutError:
            self._first = None
        except BasixError as error:
            self._first = error
        self._waited = time.perf_counter() - began
        if self._first == SystemMsg("connection_limit_reached"):
            raise StepFailedError(
                f"the PBX allows no further connection for the app_name {self._app_name!r}",
                "close one, use another --app-name, or --force to replace the oldest",
            )
        if self._first is None or isinstance(self._first, BasixError):
            return Finding(found=f"nothing is said against the app_name {self._app_name!r}")
        return Finding(found=f"there is room for the app_name {self._app_name!r}")

    async def _field_spec(self) -> Finding:
        match self._first:
            case FieldSpec(kind, fields):
                return Finding(
                    found=f"the feed speaks: {printable(kind, 60)} has {len(fields)} fields",
                    seconds=self._waited,
                )
            case None:
                raise StepFailedError(
                    f"nothing came within {self._timeout:g} s",
                    "the login was accepted and no feed comes: the PBX is in trouble, or none",
                )
            case BasixError() as error:
                raise _spoiled(error)
            case SystemMsg(text):
                raise StepFailedError(f"the PBX says {printable(text, 60)!r} instead", _ENDED)
            case message:
                raise StepFailedError(f"{type(message).__name__} comes first", _NO_FEED)

    async def _snapshot(self) -> Finding:
        """Wait until all that was announced has come, and then as long as a client does."""
        kinds: dict[str, int | None] = {}
        loop = asyncio.get_running_loop()
        began = last = time.perf_counter()
        end = loop.time() + SYNC_TIMEOUT
        message = self._first
        try:
            async with asyncio.timeout_at(end) as patience:
                while True:
                    match message:
                        case FieldSpec(kind, _):
                            kinds.setdefault(kind, None)
                        case InitialInfo(kind, elements):
                            kinds[kind] = len(elements)
                            last = time.perf_counter()
                    if isinstance(message, FieldSpec | InitialInfo):
                        is_whole = None not in kinds.values()
                        wait = QUIET_TIME if is_whole else self._timeout
                        patience.reschedule(min(end, loop.time() + wait))
                    message = await anext(self._connection)
        except TimeoutError:
            missing = [printable(kind, 60) for kind, count in kinds.items() if count is None]
            if missing:
                raise StepFailedError(
                    f"no initial_info of {', '.join(missing)} came in time",
                    "the PBX is slow or in trouble: a longer --timeout tells which",
                    missing=missing,
                ) from None
        except StopAsyncIteration:
            raise _spoiled(ConnectionLost(1000)) from None
        except BasixError as error:
            raise _spoiled(error) from None
        counts = {printable(kind, 60): count for kind, count in kinds.items()}
        return Finding(
            found=", ".join(f"{kind} {count}" for kind, count in counts.items()),
            seconds=last - began,
            details={"elements": counts},
        )

    async def _pings(self) -> Finding:
        reading = asyncio.create_task(self._read_on(), name="basix_ws_cti doctor")
        times = []
        try:
            for _ in range(PINGS):
                began = time.perf_counter()
                async with asyncio.timeout(self._timeout):
                    await self._connection.ping()
                times.append(time.perf_counter() - began)
        except TimeoutError:
            raise StepFailedError(
                f"no answer to a ping within {self._timeout:g} s",
                "a client would take the PBX for dead; a proxy in between may swallow pings",
            ) from None
        except ConnectionLost as error:
            raise _spoiled(error) from None
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        best, average = min(times), sum(times) / PINGS
        is_slow = average >= SLOW_PING
        return Finding(
            mark=Mark.WARNING if is_slow else Mark.OK,
            found=f"{PINGS} round trips: at best {best * 1000:.1f} ms, "
            f"{average * 1000:.1f} ms on average",
            advice="the way is slow or the line busy: what is shown lags behind"
            if is_slow
            else None,
            seconds=sum(times),
            details={"min": best, "average": average},
        )

    async def _read_on(self) -> None:
        """Read whatever comes: pongs stand behind it."""
        while True:
            try:
                async for _ in self._connection:
                    pass
            except (DecodeError, ProtocolError):
                continue  # told by who reads frames for a living
            except BasixError:
                return
            return

    def _slow_or(self, error: OSError) -> str:
        """What an error says, and of one that stands for our own time-out that it was that."""
        is_ours = isinstance(error, TimeoutError) and error.errno is None
        return f"no answer within {self._timeout:g} s" if is_ours else _why(error)


def _spoiled(error: BasixError) -> StepFailedError:
    """What was to come and could not be read, or no longer."""
    if isinstance(error, DecodeError | ProtocolError):
        return StepFailedError(f"a frame can't be read: {error}", _NO_FEED)
    return StepFailedError(str(error), _ENDED)


def _why(error: Exception) -> str:
    """The cause in words, without numbers that nobody knows by heart."""
    match error:
        case socket.gaierror():
            return error.strerror or str(error)
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case OSError(errno=int(number)):
            return os.strerror(number)
    return printable(str(error)) or type(error).__name__


def _what_to_do(status: int, retry_after: str | None) -> str:
    """What to do about an HTTP answer that is no WebSocket."""
    later = f", after {retry_after} s" if retry_after and retry_after.isdecimal() else ""
    if status < 300:
        return "a web server, but no feed: check --server; a proxy may not let WebSockets through"
    if status < 400:
        return "redirects are not followed: name the final server in --server"
    if status == 400:
        return "the PBX can't do what is asked: check --app-name and the --user options"
    if status == 407:
        return "a proxy in between wants a login of its own"
    if status in {408, 429}:
        return f"too much is asked of the PBX: try again later{later}"
    if status < 500:
        return "no feed there: check --server"
    return f"the PBX, or a proxy in front of it, is down or overloaded: try again later{later}"
