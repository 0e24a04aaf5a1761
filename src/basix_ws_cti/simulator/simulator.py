"""The simulator: a simulated PBX behind a WebSocket server on the loopback interface."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_instance,
    check_integer,
    check_number,
    check_seconds,
    check_text,
    type_name,
)
from basix_ws_cti.exceptions import UsageError

from . import scenarios
from .access_control import AccessControl
from .api_methods import accept_call
from .client_handler import ClientHandler
from .commands import parse_command
from .control import Control, in_event_loop
from .errors import NotPossibleError
from .faults import Fault
from .feed_server import FeedServer
from .frame_writer import Writer
from .http_api import Api
from .model import SECOND
from .pacer import Pacer
from .pbx import Pbx
from .thread_runner import ThreadRunner
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from .feed_connection import Feed
    from .model import User

_logger = logging.getLogger(__name__)

R = TypeVar("R")

# Events of a flood made before other tasks of the event loop, such as the senders, get their turn.
_EVENTS_PER_SLICE = 500


class Simulator(Control):
    """A simulated PBX with a real WebSocket server, running inside its ``with`` block.

    ``async with Simulator() as pbx`` runs it in the current event loop, ``with Simulator() as
    pbx`` in a separate thread. Its methods can be called from any thread. It listens on
    127.0.0.1, and accepts clients with an app_name and either the credentials or a ticket. The
    time of the PBX starts to pass when the first client has connected.

    Raises ``UsageError`` for an invalid parameter. Entering the block raises
    ``ImportError`` for ``tls=True`` without the ``trustme`` package, and ``OSError`` for a port
    in use.

    :param str domain: domain that clients must give as user name.
    :param str token: token that clients must give as password.
    :param int port: TCP port; 0: the operating system chooses one.
    :param float speed: speed of the PBX's time; 1 is real time.
    :param int seed: seed of all random decisions; the same seed gives the same calls.
    :param float rate: number of scenarios started per minute of PBX time.
    :param bool calls: run scenarios, and let users answer transferred calls. ``False``: nothing
        happens but what you call for.
    :param int users: number of users, at least 1.
    :param Pbx pbx: a PBX to serve instead of a new one; ``seed``, ``users`` and ``older`` then
        have no effect. ``None``: a new one.
    :param int otp: Erlang/OTP release of the server: 25 (Latin-1 atoms) or 26 (UTF-8 atoms).
    :param bool compressed: send a frame as a compressed term if that is shorter.
    :param bool specs_first: send all field_specs before the first initial_info; ``False``:
        each just before the initial_info of its kind.
    :param bool older: simulate an older server, with ``queued_channel`` and ``parked_channel``
        instead of ``channel_waiting``, and without ``domain``.
    :param tls: ``True``: use TLS with a new certificate; an ``ssl.SSLContext``: use TLS with
        that; ``False``: no TLS.
    :param int max_connections: connection limit for each user and app_name.
    :param float ticket_lifetime: validity of a ticket, in seconds.
    :param faults: faults to inject, as pairs of seconds after the start and a fault.
    """

    def __init__(
        self,
        *,
        domain: str = "demo",
        token: str = "simulated",  # noqa: S107 - gives access to nothing but this simulator
        port: int = 0,
        speed: float = 1,
        seed: int = 0,
        rate: float = 9,
        calls: bool = True,
        users: int = len(scenarios.STAFF),
        pbx: Pbx | None = None,
        otp: int = 25,
        compressed: bool = False,
        specs_first: bool = True,
        older: bool = False,
        tls: bool | ssl.SSLContext = False,
        max_connections: int = 2,
        ticket_lifetime: float = 10,
        faults: Iterable[tuple[float, Fault]] = (),
    ) -> None:
        check_text("domain", domain)
        check_text("token", token)
        check_integer("port", port, at_least=0, at_most=65535)
        check_number("rate", rate)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UsageError(f"seed must be an int, got {type_name(seed)}")
        check_bool("calls", calls)
        check_integer("users", users)
        check_instance("pbx", pbx, Pbx, "a Pbx", optional=True)
        check_bool("specs_first", specs_first)
        check_instance("tls", tls, (bool, ssl.SSLContext), "True, False or an ssl.SSLContext")
        check_integer("max_connections", max_connections)
        check_seconds("ticket_lifetime", ticket_lifetime)
        if pbx is None:
            pbx = Pbx(seed, older=older)
            scenarios.populate(pbx, users)
        if not isinstance(faults, Iterable):
            raise UsageError(f"faults must be (seconds, fault) pairs, got {type_name(faults)}")
        self._schedule = [*faults]
        for pair in self._schedule:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Fault)):
                raise UsageError(f"faults must be (seconds, fault) pairs, got {type_name(pair)}")
            check_seconds("the time of a fault", pair[0], at_least=0)
        self.writer: Writer = Writer(otp=otp, compressed=compressed)
        self._rate = rate
        self._simulate_users = calls
        self._set_pbx(pbx)
        self._pacer = Pacer(speed)
        self._access = AccessControl(domain, token, time.monotonic, ticket_lifetime)
        self._client_handler = ClientHandler(
            self.writer,
            self._access,
            specs_first=specs_first,
            max_connections=max_connections,
            on_client=self._pacer.start,
            on_command=self._run_command,
        )
        self._feed_server = FeedServer(self._client_handler, Api(self), port=port, tls=tls)
        self._restart_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._thread: ThreadRunner | None = None

    def __repr__(self) -> str:
        return f"<Simulator {self.url if self._feed_server.is_started else 'not running'}>"

    # -- addresses and state ------------------------------------------------------------

    @property
    def url(self) -> str:
        """Address to connect to: ``ws://127.0.0.1:PORT``, or ``wss://…`` with TLS."""
        if self.loop is None:
            raise UsageError("the simulator is not running: use url inside its with block")
        return self._feed_server.url

    @property
    def api_url(self) -> str:
        """Address of the HTTP API: ``http://127.0.0.1:PORT``, or ``https://…`` with TLS.

        The port is that of the feed.
        """
        return "http" + self.url.removeprefix("ws")

    @property
    def connect_args(self) -> dict[str, Any]:
        """Keyword arguments for ``connect`` and ``Client`` (without TLS, also ``feed_url``)."""
        args: dict[str, Any] = {
            "server": self.url,
            "domain": self._access.domain,
            "token": self._access.token,
            "app_name": "simulator",
        }
        if self._feed_server.client_context is not None:
            args["ssl"] = self._feed_server.client_context
        return args

    @property
    def now(self) -> int:
        """The PBX's time in microseconds since the epoch, as in the timestamps of its feed."""
        return self.pbx.now + round(self._pacer.lag() * SECOND)

    @property
    def speed(self) -> float:
        """Speed of the PBX's time; 1 is real time.

        It counts from the first client on: a higher value makes the PBX catch up at once, and a
        value near 0 stops its time.
        """
        return self._pacer.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._pacer.speed = speed

    @property
    def connections(self) -> tuple[Feed, ...]:
        """The current connections, as ``Feed``, the oldest first."""
        return tuple(self._client_handler.feeds)

    # -- faults -------------------------------------------------------------------------

    @in_event_loop
    def inject(self, fault: Fault, *, after: float = 0, to: Feed | None = None) -> None:
        """Inject a fault.

        :param basix_ws_cti.simulator.faults.Fault fault: the fault.
        :param after: delay in seconds.
        :param to: the connection; ``None``: all connections at that time.
        """
        check_instance("fault", fault, Fault, "a fault")
        check_seconds("after", after, at_least=0)
        if after:
            self._start_task(self._inject_later(fault, after, to), "basix simulator fault")
        else:
            fault.apply(self, self.connections if to is None else (to,))

    @in_event_loop
    def arm_fault(self, fault: Fault, times: int) -> None:
        """Apply a fault of the handshake to the next ``times`` clients."""
        self._client_handler.armed_faults.append([fault, times])

    @property
    def armed_faults(self) -> tuple[tuple[Fault, int], ...]:
        """Faults that wait for the next clients, each with their number, the oldest first."""
        return tuple((fault, times) for fault, times in self._client_handler.armed_faults)

    @in_event_loop
    def disarm_faults(self) -> None:
        """Cancel all faults that wait for the next clients."""
        self._client_handler.armed_faults.clear()

    @in_event_loop
    def set_linger(self, seconds: float) -> None:
        """Count lost connections towards the limit for ``seconds`` more.

        0 also stops counting those that were lost before.
        """
        check_seconds("seconds", seconds, at_least=0)
        self._client_handler.set_linger(seconds)

    @in_event_loop
    def flood(self, events: int) -> None:
        """Start to send ``events`` changes of users' presence as fast as possible."""
        check_integer("events", events)
        if not self.pbx.users:
            raise NotPossibleError("a flood needs at least one user")
        self._start_task(self._flood(events), "basix simulator flood")

    @in_event_loop
    def restart(self, pbx: Pbx | None = None, *, down_for: float = 0) -> None:
        """End all connections, and come back at the same address.

        :param pbx: the PBX that comes back; ``None``: the same one without its channels.
        :param down_for: downtime in seconds.
        """
        check_instance("pbx (the downtime is down_for=)", pbx, Pbx, "a Pbx", optional=True)
        check_seconds("down_for", down_for, at_least=0)
        self._client_handler.drop_all()
        if pbx is None:
            self.pbx.drop_channels()
        else:
            self._client_handler.detach()
            self._set_pbx(pbx)
            self._attach_pbx()
        self._client_handler.clear_records()
        if down_for and self._feed_server.is_started:
            self._feed_server.refuse_connections()
            if self._restart_task is not None:
                self._restart_task.cancel()
            self._restart_task = self._start_task(
                self._feed_server.restart(down_for), "basix simulator restart"
            )

    @in_event_loop
    def change_fields(self, kind: str, fields: tuple[str, ...]) -> None:
        """Send the fields of a kind in another order, after a new field_spec for all clients.

        Raises ``UsageError`` if these are not the kind's fields.
        """
        if kind not in self.pbx.kinds or sorted(fields) != sorted(self.writer.fields[kind]):
            raise UsageError(f"fields must be the fields of {kind} in any order, got {fields!r}")
        self.writer.fields[kind] = fields
        self._client_handler.clear_records()
        self._client_handler.broadcast(self.writer.field_spec(kind))

    # -- messages, tickets, calls through the API ---------------------------------------

    @in_event_loop
    def system_msg(self, text: str) -> None:
        """Send a message of the PBX, such as ``logout``, to all clients."""
        self._client_handler.broadcast(self.writer.system_msg(text))

    @in_event_loop
    def msg(self, text: str) -> None:
        """Send a message to the user, to all clients."""
        self._client_handler.broadcast(self.writer.msg(text))

    @in_event_loop
    def ticket(self, target: str) -> str:
        """Return a ticket for one connection to a request target.

        Raises ``RefusedError`` for a target for which there are no tickets.
        """
        return self._access.issue_ticket(target)

    @in_event_loop
    def start_call(self, method: str, request: Mapping[str, Any]) -> tuple[str, ...]:
        """Do what the HTTP API does; return the uuids of the channels that will ring.

        :param method: ``call_user`` or ``call_group``.
        :param request: the parameters, as in the JSON body of a request.

        Raises ``ApiError`` if the request cannot be carried out. The phones ring a moment later,
        in the PBX's time. With ``auto_answer`` or the destination ``media_plug``, one of them is
        answered by itself; others ring until ``answer()``, or until simulated users answer.
        """
        call = accept_call(self.pbx, method, request)
        self.timeline.start_now(call.run(self.pbx, simulate_users=self._simulate_users))
        return tuple(call.uuids)

    def authenticate(self, headers: Iterable[str]) -> None:
        """Check the Authorization headers of an API request.

        Raises ``RefusedError`` if they do not give domain and token.
        """
        self._access.authenticate(headers)

    # -- running ------------------------------------------------------------------------

    def run_now(self, action: Callable[[], R]) -> R:
        """Run an action at the PBX's current time; call it in the event loop's thread."""
        return self._pacer.run_now(action)

    async def __aenter__(self) -> Self:
        if self._feed_server.is_started:
            raise UsageError("this simulator is already running: create another one")
        self.loop = asyncio.get_running_loop()
        self.thread_id = threading.get_ident()
        self._pacer.reset()
        self._failure = None
        try:
            await self._feed_server.start()
        except BaseException:
            await self._stop_server()
            raise
        self._attach_pbx()
        self._start_task(self._pacer.run(), "basix simulator")
        for after, fault in self._schedule:
            self._start_task(self._inject_later(fault, after, None), "basix simulator fault")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client_handler.detach()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stop_server()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise UsageError("this simulator is already running: create another one")
        self._thread = ThreadRunner(self, "basix simulator")
        try:
            self._thread.start()
        except BaseException:
            self._thread = None
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            try:
                self._thread.stop()
            finally:
                self._thread = None

    async def _stop_server(self) -> None:
        await self._feed_server.stop()
        self.loop = self.thread_id = None

    def _set_pbx(self, pbx: Pbx) -> None:
        """Use this PBX with a new timeline."""
        self.pbx = pbx
        self.timeline: Timeline = Timeline(pbx)
        if self._simulate_users:
            self.timeline.start(scenarios.day(pbx, self.timeline, self._rate))

    def _attach_pbx(self) -> None:
        """Let clients see the current PBX, and let its time pass."""
        self._client_handler.attach(self.pbx)
        self._pacer.attach(self.pbx, self.timeline)

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        """Keep the first error of a task, for the end of the block to raise.

        A ``SystemExit``, as signal handlers raise it, ends the event loop and is no error.
        """
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failure = self._failure or error
            _logger.error("simulated PBX stopped: unexpected error", exc_info=error)

    async def _flood(self, events: int) -> None:
        users: list[User] = []
        for number in range(events):
            if number % _EVENTS_PER_SLICE == 0:
                await asyncio.sleep(0)
                users = list(self.pbx.users.values())  # users may have come and gone
                if not users:
                    return
            user = users[number % len(users)]
            self.pbx.edit(user, presence=(user.presence + 1) % 4)

    async def _inject_later(self, fault: Fault, after: float, to: Feed | None) -> None:
        await asyncio.sleep(after)
        self.inject(fault, to=to)

    @in_event_loop
    def _run_command(self, text: str | bytes) -> None:
        command = parse_command(self.pbx, text, simulate_users=self._simulate_users)
        self.timeline.start_now(command)
