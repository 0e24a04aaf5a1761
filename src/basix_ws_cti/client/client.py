"""Client: stays connected to a PBX, mirrors its state and publishes what changes.

This class is a facade. ``FeedLoop`` runs the connections, ``Session`` turns messages into changes,
call events and gaps, ``Dispatcher`` delivers them, ``CommandSender`` sends commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Unpack

from attrs import field, frozen

from basix_ws_cti._internal.arguments import (
    check_instance,
    check_seconds,
)
from basix_ws_cti._internal.callables import (
    PlainFunction,
    check_function,
)
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.transport.connection import Connection
from basix_ws_cti.transport.connector import ConnectOptions, connect
from basix_ws_cti.transport.credentials import await_credentials
from basix_ws_cti.transport.keepalive import check_pings
from basix_ws_cti.transport.redaction import NotPicklable, scrub_traceback

from . import commands
from .backoff import Backoff
from .callbacks import is_cancelled
from .command_sender import CommandSender
from .commanded_feed import CommandedFeed, effect_timeout
from .eavesdropping import CallUserApi, Eavesdropping
from .feed_loop import FeedLoop
from .live_feed import FeedCore
from .pbx_time import PbxTime
from .reconnect import ReconnectPolicy

Connector = Callable[..., AbstractAsyncContextManager[Connection]]
"""Opens connections as ``connect`` does; called for each attempt with the server and options."""

# Seconds without progress after which a snapshot has failed.
SYNC_TIMEOUT = 60.0

# In seconds. A peer that sends no byte is detected after at most two intervals, the time-out and
# the closing, 13.5 s in total.
LIVENESS: dict[str, Any] = {"ping_interval": 4.0, "ping_timeout": 5.0, "close_timeout": 0.5}


class Client(CommandedFeed):
    """``async with Client(…) as client``: connected to the PBX for the duration of the block.

    ``server`` and the other keywords are those of ``connect``, which raises ``UsageError`` here for
    arguments that cannot work. Ping and close times are shorter than those of ``connect``, so that
    a silent peer is detected within 15 seconds. Further parameters:

    - ``backoff``: delays between attempts; the default grows from 1 to 60 seconds.
    - ``classify(error, is_final)``: returns True if ``error`` stops the client; ``is_final`` is the
      client's own decision, which also counts if ``classify`` raises an exception.
    - ``quiet_time``: seconds without a new kind after which the snapshot is complete.
    - ``sync_timeout``: seconds without progress after which the snapshot has failed; ``None``: no
      limit. A long frame that arrives at 1,000 bytes per second or more is progress. With any
      progress, an hour is the limit.
    - ``country_code``: country of numbers written without one, for the mirror.
    - ``connector``: opens each connection; for tests, or for a transport of your own.
    - ``unix_time``: returns the seconds since the Unix epoch; for tests. ``None``: the machine's
      clock.
    - ``pbx_time``: returns the seconds since the Unix epoch by the PBX's clock, for the waits of
      alerts; for a simulated PBX whose time passes faster. ``None``: estimated from the calls.

    Exceptions of ``on_frame`` and ``classify`` are reported to ``on_error`` callbacks. The first
    frame of a connection reaches ``on_frame`` after the state ``Syncing``.

    Entering the block does not wait for the connection. Leaving it closes the connection within a
    second.

    A client belongs to the event loop in which its block is entered. Callbacks and subscriptions
    may be added before, without a loop or in another one. After that, methods that are awaited, and
    iterations, raise ``UsageError`` in another event loop, and ``changes``, ``messages``,
    ``call_events``, ``follow`` and the ``on_…`` methods raise it in another thread.
    """

    @scrub_traceback
    def __init__(
        self,
        server: str,
        *,
        backoff: Backoff | None = None,
        classify: Callable[[Exception, bool], bool] | None = None,
        quiet_time: float = QUIET_TIME,
        sync_timeout: float | None = SYNC_TIMEOUT,
        country_code: str = "81",
        connector: Connector = connect,
        unix_time: Callable[[], float] | None = None,
        pbx_time: Callable[[], float] | None = None,
        **options: Unpack[ConnectOptions],
    ) -> None:
        check_instance("backoff", backoff, Backoff, "a Backoff", optional=True)
        check_function("classify", classify, "error", "is_final", optional=True)
        check_seconds("sync_timeout", sync_timeout, optional=True)
        if not callable(connector):
            raise UsageError(f"connector must be callable, got {type(connector).__name__}")
        given: dict[str, Any] = {**LIVENESS, **options}
        ping_interval, ping_timeout = given["ping_interval"], given["ping_timeout"]
        check_pings(ping_interval, ping_timeout)
        check_function("unix_time", unix_time, optional=True)
        check_function("pbx_time", pbx_time, optional=True)
        given["ping_interval"] = None  # the feed loop watches the connection of any connector
        if "additional_headers" in given:
            given["additional_headers"] = _reusable_headers(given["additional_headers"])
        try:
            self._name = repr(connector(server, **given)).removeprefix("<connect ").rstrip(">")
        except TypeError as error:
            raise UsageError(str(error).replace("connect.__init__()", "Client()")) from None
        on_frame = given.get("on_frame")
        if on_frame is not None:
            on_frame = PlainFunction("on_frame", on_frame)
            given["on_frame"] = partial(self._call_on_frame, on_frame)
        credentials = given.get("credentials")
        if callable(credentials):
            given["credentials"] = partial(_fetch_credentials, credentials)
        core = FeedCore(
            "client",
            "async with Client(...) as client:",
            quiet_time=quiet_time,
            country_code=country_code,
            pbx_time=PbxTime(unix_time, pbx_time),
        )
        self._feed_loop = FeedLoop(
            self._name,
            _ConnectionFactory(connector, server, given),
            session=core.session,
            dispatcher=core.dispatcher,
            state=core.state,
            statistics=core.statistics,
            reconnect=ReconnectPolicy(
                Backoff() if backoff is None else backoff,
                None
                if classify is None
                else partial(self._call_classify, PlainFunction("classify", classify)),
                fresh_credentials=callable(credentials),
            ),
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            sync_timeout=sync_timeout,
            unix_time=unix_time,
        )
        self._commands = CommandSender(self._usable_connection, core.dispatcher)
        super().__init__(core, self._feed_loop)

    def __repr__(self) -> str:
        return f"<Client {self._name} {type(self.state).__name__.lower()}>"

    def _call_classify(
        self,
        classify: PlainFunction,
        error: Exception,
        is_final: bool,  # noqa: FBT001 - as the user's function takes it
    ) -> bool:
        """Return what ``classify`` decides; without it, if it fails: that is reported."""
        try:
            result = classify(error, is_final)
        except Exception as raised:  # noqa: BLE001 - reported like the error of any callback
            self._core.dispatcher.callbacks.report(raised, classify)
            return is_final
        return bool(result) if classify.is_usable else is_final

    def _call_on_frame(self, on_frame: Callable[[bytes | str], object], frame: bytes | str) -> None:
        try:
            on_frame(frame)
        except Exception as error:  # noqa: BLE001 - reported like the error of any callback
            self._core.dispatcher.callbacks.report(error, on_frame)

    # -- commands ---------------------------------------------------------------------

    def _usable_connection(self) -> Connection | None:
        """Return the connection for a command, if there is one."""
        self._core.owner.check()
        return self._feed_loop.usable_connection

    async def _send(self, command: commands.Command, confirm_timeout: float | None = None) -> None:
        await self._commands.send(command, confirm_timeout)

    async def eavesdrop(
        self,
        target_uuid: str,
        *,
        api: CallUserApi,
        user_id: int | None = None,
        user_name: str | None = None,
        subcommand: str | None = None,
        timeout: float = 30,  # noqa: ASYNC109 - seconds, as everywhere
        confirm: bool = False,
    ) -> str:
        """Let a user listen to channel ``target_uuid``; return the uuid of the media plug.

        The phones of the user ring; the one that is answered becomes the plug. ``hangup`` of the
        plug ends the eavesdropping. The feed must contain the channels of that user.

        - ``api``: the HTTP API that rings the phones: an ``HttpApi``.
        - ``user_id``, ``user_name``: the user who listens; exactly one is needed.
        - ``subcommand``: passed to the PBX, which does not document its values; ``None``: not sent.
        - ``timeout``: maximum time for everything, in seconds. Phones ring no longer than this.
        - ``confirm``: also wait until the plug is in the state ``eavesdrop``.

        The plug is hung up if the attempt fails or is cancelled. Raises ``UsageError`` for
        arguments that cannot work, ``EavesdropError`` if no phone answers or the target ends first,
        ``WaitTimeout`` if there is no answer within ``timeout``, ``CommandTimeout`` if the effect
        does not show in that time, the errors of ``api``, the error that stopped the client, and
        what ``hangup`` raises.
        """
        attempt = Eavesdropping(self, target_uuid, subcommand)
        return await attempt.run(
            api, user_id=user_id, user_name=user_name, timeout=timeout, confirm=confirm
        )

    async def eavesdrop_with_plug(
        self,
        plug_uuid: str,
        target_uuid: str,
        subcommand: str | None = None,
        *,
        confirm: bool = False,
        confirm_timeout: float = 5,
    ) -> None:
        """Let an answered media plug listen to channel ``target_uuid``.

        This is the PBX's command; ``eavesdrop`` also requests the plug. With ``confirm``, wait
        until the plug is in the state ``eavesdrop``. Raises what ``hangup`` raises.
        """
        command = commands.eavesdrop(plug_uuid, target_uuid, subcommand)
        timeout = effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._send(command, timeout)


def _reusable_headers(headers: Any) -> Any:
    """Return headers that each attempt can read: an iterator would serve the first one only.

    Anything that cannot be read is returned as it is: the connector refuses it.
    """
    if isinstance(headers, Mapping):
        return headers if isinstance(headers, dict) else list(headers.items())
    return list(headers) if isinstance(headers, Iterable) else headers


async def _fetch_credentials(credentials: Callable[[str], Awaitable[Any]], target: str) -> object:
    """Await a user's credentials function; leaving the client's block cancels it in any case."""
    try:
        return await await_credentials(credentials, target)
    finally:
        if is_cancelled():
            raise asyncio.CancelledError


@frozen
class _ConnectionFactory(NotPicklable):
    """Opens a connection for each attempt. Its repr hides the options, which hold a token."""

    connector: Connector
    server: str
    options: dict[str, Any] = field(repr=False)

    def __call__(self) -> AbstractAsyncContextManager[Connection]:
        return self.connector(self.server, **self.options)
