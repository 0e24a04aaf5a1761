"""The simulator: the PBX's world behind a real WebSocket server on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from websockets.asyncio.server import serve
from websockets.exceptions import WebSocketException

from basix_ws_cti._internal.log_sanitising import SanitisingLogger

from . import scenarios
from .access_control import Keys
from .certificates import make_contexts
from .client_handler import Reception
from .commands import read_command
from .control import Control, in_the_loop
from .faults import Fault
from .feed_connection import Feed, PipedConnection
from .frame_writer import Writer
from .pbx import SECOND, NotPossibleError, Pbx
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from websockets.asyncio.server import Server

    from .http_api import Api
    from .model import User

_logger = logging.getLogger(__name__)

R = TypeVar("R")

# Scenarios' steps that are made in one go, when time has run ahead of them.
_STEPS_AT_ONCE = 50

# A flood's events between which those who send them have their turn.
_EVENTS_AT_ONCE = 500


class Simulator(Control):
    """A PBX with calls going on, for as long as the block.

    ``async with Simulator() as pbx`` runs in the event loop that is there, ``with
    Simulator() as pbx`` in a thread of its own; either way its methods can be called from
    any thread. It listens on 127.0.0.1, at ``port`` or one that the system chooses, and lets
    in who shows ``domain`` and ``token``, or a ticket, and names an app_name.

    Its time begins to pass when the first client is there, ``speed`` times as fast as ours.
    ``seed`` makes a day repeat itself; ``rate`` things begin in a minute of its time; with
    ``calls=False`` nothing happens by itself, and nobody answers what rings. It has
    ``users`` users, or is the ``pbx`` that is given. On the wire, ``otp`` 25 or 26 says how
    atoms are written, ``compressed`` lets frames be compressed, ``specs_first`` puts all
    field_specs before the first initial_info, and ``older`` is a server that knows queued
    and parked channels apart, and no domain. ``tls=True`` makes a certificate, and an
    ``SSLContext`` brings one. ``api=True`` opens the HTTP API at ``api_url``.
    ``max_connections`` is what each user and app_name may have; ``ticket_lifetime`` is in
    seconds. ``faults`` are pairs of seconds after the start, and what goes wrong then.

    A parameter out of its range is a ``ValueError``, ``tls=True`` without the ``trustme``
    package an ``ImportError``, a port that is taken an ``OSError``.
    """

    def __init__(
        self,
        *,
        domain: str = "demo",
        token: str = "simulated",  # noqa: S107 - opens nothing but this
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
        api: bool = False,
        max_connections: int = 2,
        ticket_lifetime: float = 10,
        faults: Iterable[tuple[float, Fault]] = (),
    ) -> None:
        for name, value in (("speed", speed), ("rate", rate)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} is a positive number, not {value}")
        if users < 1:
            raise ValueError(f"a PBX has at least one user, not {users}")
        if pbx is None:
            pbx = Pbx(seed, older=older)
            scenarios.company(pbx, users)
        self._schedule = [*faults]
        for pair in self._schedule:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Fault)):
                raise ValueError("faults are pairs of seconds and a fault")
            if not 0 <= pair[0] < math.inf:
                raise ValueError(f"a fault happens after some seconds, not after {pair[0]}")
        self.writer: Writer = Writer(otp=otp, compressed=compressed)
        self.speed = speed
        self._rate = rate
        self._lively = calls
        self._settle(pbx)
        self._keys = Keys(domain, token, time.monotonic, ticket_lifetime)
        self._reception = Reception(
            self.writer,
            self._keys,
            specs_first=specs_first,
            max_connections=max_connections,
            begin=self._begin,
            command=self._command,
        )
        self._port = port
        self._tls = tls
        self._client_context: ssl.SSLContext | None = None
        self._wants_api = api
        self._api: Api | None = None
        self._away: asyncio.Task[None] | None = None
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<Simulator {self.url if self._server else 'not running'}>"

    # -- where it is ------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address to connect to, ``ws://127.0.0.1:PORT``, or ``wss://`` with TLS."""
        self._must_run()
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """The address of the HTTP API, ``http://127.0.0.1:PORT``, or ``https://`` with TLS."""
        if self._api is None:
            raise RuntimeError("the simulator has an HTTP API with api=True, inside its block only")
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._api.port}"

    @property
    def connect_args(self) -> dict[str, Any]:
        """Keyword arguments for ``connect`` (and, without TLS, for ``feed_url``)."""
        args: dict[str, Any] = {
            "server": self.url,
            "domain": self._keys.domain,
            "token": self._keys.token,
            "app_name": "simulator",
        }
        if self._client_context is not None:
            args["ssl"] = self._client_context
        return args

    @property
    def now(self) -> int:
        """The PBX's time: microseconds since the epoch, UTC, as in what it sends."""
        return self.pbx.now + round(self._behind() * SECOND)

    @property
    def connections(self) -> tuple[Feed, ...]:
        """The connections there are, the oldest first."""
        return tuple(self._reception.feeds)

    # -- what goes wrong, and what is said ----------------------------------------------

    @in_the_loop
    def inject(self, fault: Fault, *, after: float = 0, to: Feed | None = None) -> None:
        """Let a fault happen, now or in ``after`` seconds, to one connection or to all."""
        if not 0 <= after < math.inf:
            raise ValueError(f"a fault happens now or later, not after {after} s")
        if after:
            self._start(self._inject_later(fault, after, to), "basix simulator fault")
        else:
            fault.strike(self, self.connections if to is None else (to,))

    @in_the_loop
    def set_linger(self, seconds: float) -> None:
        """Count connections that break for so many seconds more; 0 forgets those of before too."""
        self._reception.set_linger(seconds)

    @in_the_loop
    def ambush(self, fault: Fault, times: int) -> None:
        """Let a fault lie in wait for the next clients."""
        self._reception.ambushes.append([fault, times])

    @in_the_loop
    def flood(self, events: int) -> None:
        """Begin to tell of so many changes of users' presence, as fast as they go."""
        if not self.pbx.users:
            raise NotPossibleError("a flood needs a user")
        self._start(self._flood(events), "basix simulator flood")

    @in_the_loop
    def restart(self, pbx: Pbx | None = None, *, down_for: float = 0) -> None:
        """End every connection, be away for ``down_for`` seconds, and come back.

        As another PBX, or as the same without its channels. The address stays.
        """
        if not isinstance(pbx, Pbx | None):
            raise TypeError("pbx is another Pbx; how long it is away is down_for=")
        self._reception.lose_all()
        if pbx is None:
            self.pbx.lose_channels()
        else:
            self._reception.leave()
            self._settle(pbx)
            self._enter()
        self._reception.write_anew()
        if down_for and self._server is not None:
            self._server.server.close()  # at once, while close() below takes a turn of the loop
            if self._away is not None:
                self._away.cancel()
            self._away = self._start(self._be_away(down_for), "basix simulator restart")

    @in_the_loop
    def change_fields(self, kind: str, fields: tuple[str, ...]) -> None:
        """Send a kind's fields in another order from now on, and say so."""
        if kind not in self.pbx.kinds or sorted(fields) != sorted(self.writer.fields[kind]):
            raise ValueError(f"these are not the fields of {kind}")
        self.writer.fields[kind] = fields
        self._reception.write_anew()
        self._reception.broadcast(self.writer.field_spec(kind))

    @in_the_loop
    def system_msg(self, text: str) -> None:
        """Say something to every client, as the PBX: ``logout``, for one."""
        self._reception.broadcast(self.writer.system_msg(text))

    @in_the_loop
    def msg(self, text: str) -> None:
        """Say something to every client, as a person."""
        self._reception.broadcast(self.writer.msg(text))

    @in_the_loop
    def ticket(self, target: str) -> str:
        """A ticket for one connection to a request target; ``RefusedError`` if there is none."""
        return self._keys.issue(target)

    @in_the_loop
    def call_user(self, user_id: int, destination: str) -> str:
        """What the API's ``call_user`` does; the uuid of the user's channel, which is answered."""
        user = self.pbx.users.get(user_id)
        if user is None:
            raise NotPossibleError(f"there is no user {user_id}")
        return self.originate(user.main_extension, destination)

    def admit(self, headers: Iterable[str]) -> None:
        """Let in whose Authorization headers show domain and token, or ``RefusedError``."""
        self._keys.admit(headers)

    # -- running ----------------------------------------------------------------------

    def act(self, action: Callable[[], R]) -> R:
        """Do something at this moment of the PBX's time, in the event loop's thread."""
        pause = self.timeline.pause
        behind = self._behind()
        self.pbx.now += round((behind if pause is None else max(0, min(behind, pause))) * SECOND)
        pbx, now = self.pbx, self.pbx.now
        try:
            return action()
        finally:
            if self.pbx is pbx:
                self._start_of_time += pbx.now - now  # what was skipped need not pass again
            self._changed.set()

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("this simulator is running already: make another one")
        self.loop = asyncio.get_running_loop()
        self.thread_id = threading.get_ident()
        self._changed = asyncio.Event()
        self._began: float | None = None
        self._failed = None
        try:
            self._context = self._tls if isinstance(self._tls, ssl.SSLContext) else None
            if self._tls is True:
                self._context, self._client_context = make_contexts()
            await self._listen()
            if self._wants_api:
                from .http_api import Api  # noqa: PLC0415 - brings in an HTTP server

                self._api = Api(self, self._context)
        except BaseException:
            await self._unlisten()
            raise
        self._enter()
        self._start(self._play(), "basix simulator")
        for after, fault in self._schedule:
            self._start(self._inject_later(fault, after, None), "basix simulator fault")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reception.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._api is not None:
            await asyncio.to_thread(self._api.close)
            self._api = None
        await self._unlisten()
        if self._failed is not None:
            raise self._failed  # an error in the world does not pass unnoticed

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("this simulator is running already: make another one")
        ready = threading.Event()
        self._thread_error: BaseException | None = None

        async def live() -> None:
            async with self:
                self._stop = asyncio.Event()
                ready.set()
                await self._stop.wait()

        def run() -> None:
            try:
                asyncio.run(live())
            except BaseException as error:  # noqa: BLE001 - raised where the block is
                self._thread_error = error
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="basix simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if self._stop is None:
            self.__exit__(None, None, None)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        if self._stop is not None and self.loop is not None:
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._stop = None
        if self._thread_error is not None:
            raise self._thread_error

    def _must_run(self) -> None:
        if self.loop is None:
            raise RuntimeError("the simulator has an address inside its with block only")

    def _start(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed = self._failed or task.exception()
            _logger.error("the simulated PBX goes no further", exc_info=task.exception())

    async def _listen(self) -> None:
        self._server = await serve(
            self._reception.serve,
            "127.0.0.1",
            self._port,
            process_request=self._reception.admit,
            create_connection=PipedConnection,
            compression=None,
            logger=ServerLogger(logging.getLogger("websockets.server")),
            ssl=self._context,
            ping_interval=None,  # a client that is silent is its own business
            open_timeout=None,  # so that a delayed handshake is delayed
            close_timeout=1,  # a client that does not read holds up nobody's exit
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            self._reception.abort_delayed()
            server.close()
            await server.wait_closed()
        self.loop = self.thread_id = None

    async def _be_away(self, seconds: float) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            await asyncio.sleep(seconds)
            await self._listen()

    async def _flood(self, events: int) -> None:
        users: list[User] = []
        for number in range(events):
            if number % _EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)
                users = list(self.pbx.users.values())  # as they are for the next so many events
                if not users:
                    return
            user = users[number % len(users)]
            self.pbx.edit(user, presence=(user.presence + 1) % 4)

    async def _inject_later(self, fault: Fault, after: float, to: Feed | None) -> None:
        await asyncio.sleep(after)
        self.inject(fault, to=to)

    # -- its world --------------------------------------------------------------------

    def _settle(self, pbx: Pbx) -> None:
        """Become this PBX."""
        self.pbx = pbx
        self.timeline: Timeline = Timeline(pbx)
        if self._lively:
            self.timeline.start(scenarios.day(pbx, self.timeline, self._rate))

    def _enter(self) -> None:
        self._reception.enter(self.pbx)
        self._start_of_time = self.pbx.now
        if self._began is not None:
            self._began = time.monotonic()

    def _begin(self) -> None:
        """Somebody is there to see it: let time pass."""
        if self._began is None:
            self._began = time.monotonic()
            self._changed.set()

    def _behind(self) -> float:
        """Seconds of the PBX's time by which its clock is behind ours."""
        if self._began is None:
            return 0
        passed = (time.monotonic() - self._began) * self.speed
        return max(0, passed - (self.pbx.now - self._start_of_time) / SECOND)

    async def _play(self) -> None:
        """Let the world's time pass, ``speed`` times as fast as ours."""
        while True:
            self._changed.clear()
            steps = 0
            pause = self.timeline.pause if self._began is not None else None
            while pause is not None and pause <= self._behind():
                self.timeline.step()
                pause = self.timeline.pause
                steps += 1
                if steps % _STEPS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            wait = None if pause is None else max(0, pause - self._behind()) / self.speed
            # Not wait_for(): before Python 3.12 it loses a cancellation that comes too soon.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    @in_the_loop
    def _command(self, text: str | bytes) -> None:
        self.timeline.begin(read_command(self.pbx, text, lively=self._lively))


class ServerLogger(SanitisingLogger):
    """For the server: a client that goes in the middle of its handshake is no error of ours.

    Before websockets 17 it is one, with a traceback.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log as any logger does."""
        if isinstance(sys.exception(), WebSocketException):
            level = min(level, logging.INFO)
        super().log(level, msg, *args, **kwargs)
