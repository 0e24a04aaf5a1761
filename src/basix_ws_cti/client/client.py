"""Client: stays connected to a PBX, mirrors its state and publishes what changes.

This class is a facade. ``FeedLoop`` runs the connections, ``Session`` turns messages into changes,
call events and gaps, ``Dispatcher`` delivers them, ``CommandSender`` sends commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from attrs import field, frozen

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.messages import InfoEvent, InitialInfo, Message, Msg, SystemMsg
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import ClientState, Connecting, Stats, Synced
from basix_ws_cti.transport.connection import Connection
from basix_ws_cti.transport.connector import ConnectOptions, connect
from basix_ws_cti.transport.redaction import NotPicklable, scrub_traceback

from . import commands
from .backoff import Backoff
from .callbacks import is_cancelled, name_of
from .command_sender import CommandSender
from .dispatch import Dispatcher
from .eavesdropping import CallUserApi, Eavesdropping
from .feed_loop import FeedLoop
from .reconnect import ReconnectPolicy
from .state_holder import StateHolder
from .statistics import Statistics
from .subscriptions import QUEUE_SIZE, Policy, SubscriberSet, Subscription

T = TypeVar("T")
R = TypeVar("R")

Connector = Callable[..., AbstractAsyncContextManager[Connection]]
"""Opens connections as ``connect`` does; called for each attempt with the server and options."""

# Seconds that the PBX has for sending its snapshot.
SYNC_TIMEOUT = 60.0

# In seconds. A silent peer is detected after at most two intervals, the time-out and the closing,
# 13.5 s in total.
LIVENESS: dict[str, Any] = {"ping_interval": 4.0, "ping_timeout": 5.0, "close_timeout": 0.5}


class Client(NotPicklable):
    """``async with Client(…) as client``: connected to the PBX for the duration of the block.

    ``server`` and the other keywords are those of ``connect``, which raises ``UsageError`` here for
    arguments that cannot work. Ping and close times are shorter than those of ``connect``, so that
    a silent peer is detected within 15 seconds. Further parameters:

    - ``backoff``: delays between attempts; the default grows from 1 to 60 seconds.
    - ``classify(error, is_final)``: returns True if ``error`` stops the client; ``is_final`` is the
      client's own decision.
    - ``quiet_time``: seconds without a message after which the snapshot is complete.
    - ``sync_timeout``: seconds that the PBX has for the snapshot.
    - ``country_code``: country of numbers written without one, for the mirror.
    - ``connector``: opens each connection; for tests, or for a transport of your own.

    Exceptions of ``on_frame`` are reported to ``on_error`` callbacks. The first frame of a
    connection reaches ``on_frame`` after the state ``Syncing``.

    Entering the block does not wait for the connection. Leaving it closes the connection within a
    second.
    """

    mirror: Mirror
    """State of the PBX: empty before the first snapshot is complete; while ``is_synced`` is False,
    the last state that was current."""

    @scrub_traceback
    def __init__(
        self,
        server: str,
        *,
        backoff: Backoff | None = None,
        classify: Callable[[Exception, bool], bool] | None = None,
        quiet_time: float = QUIET_TIME,
        sync_timeout: float = SYNC_TIMEOUT,
        country_code: str = "81",
        connector: Connector = connect,
        **options: Unpack[ConnectOptions],
    ) -> None:
        given: dict[str, Any] = {**LIVENESS, **options}
        ping_interval, ping_timeout = given["ping_interval"], given["ping_timeout"]
        given["ping_interval"] = None  # see Keepalive
        headers = given.get("additional_headers")
        if headers is not None and not isinstance(headers, dict):
            given["additional_headers"] = list(headers)  # an iterator would serve one attempt only
        try:
            self._name = repr(connector(server, **given)).removeprefix("<connect ").rstrip(">")
        except TypeError as error:
            raise UsageError(str(error).replace("connect.__init__()", "Client()")) from None
        on_frame = given.get("on_frame")
        if on_frame is not None:
            given["on_frame"] = partial(self._call_on_frame, on_frame)
        credentials = given.get("credentials")
        if callable(credentials):
            given["credentials"] = partial(_fetch_credentials, credentials)
        self._dispatcher = Dispatcher()
        self._state = StateHolder(self._dispatcher.callbacks)
        self._statistics = Statistics()
        self._session = Session(
            quiet_time=quiet_time, country_code=country_code, bind=self._dispatcher.bind
        )
        self.mirror = self._session.mirror
        self._feed_loop = FeedLoop(
            self._name,
            _ConnectionFactory(connector, server, given),
            session=self._session,
            dispatcher=self._dispatcher,
            state=self._state,
            statistics=self._statistics,
            reconnect=ReconnectPolicy(
                Backoff() if backoff is None else backoff,
                classify,
                fresh_credentials=callable(credentials),
            ),
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            sync_timeout=sync_timeout,
        )
        self._commands = CommandSender(lambda: self._feed_loop.connection, self._dispatcher)
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entered = False

    def __repr__(self) -> str:
        return f"<Client {self._name} {type(self.state).__name__.lower()}>"

    # -- state ------------------------------------------------------------------------

    @property
    def state(self) -> ClientState:
        """``Connecting``, ``Syncing``, ``Synced``, ``Disconnected`` or ``Stopped``."""
        return self._state.current

    @property
    def is_synced(self) -> bool:
        """True while the mirror shows the current state of the PBX."""
        return isinstance(self.state, Synced)

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id: read-only, live, and as current as the mirror.

        The client follows calls from the first use of ``calls``, ``call_events`` or ``on_call`` on.
        Use one of them before you enter the block to see every call from its start.
        """
        return self._session.calls

    @property
    def stats(self) -> Stats:
        """Statistics since the client was created."""
        return self._statistics.snapshot(
            self._feed_loop.connection,
            gaps=self._session.gaps,
            lag=self._dispatcher.lag,
            now=None if self._loop is None else self._loop.time(),
        )

    async def synced(self, timeout: float | None = None) -> Mirror:  # noqa: ASYNC109 - seconds, as everywhere
        """Wait until the mirror is current, and return it.

        Raises ``WaitTimeout`` after ``timeout`` seconds (``None``: no limit), and the error that
        stopped the client.
        """
        await self._state.wait_until(lambda: self.is_synced, "a complete snapshot", timeout)
        return self.mirror

    async def wait_for(
        self,
        predicate: Callable[[Mirror], R],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> R:
        """Wait until the mirror is current and ``predicate(mirror)`` is true; return its value.

        The predicate is called again after each change. Raises ``WaitTimeout`` after ``timeout``
        seconds (``None``: no limit), the error that stopped the client, and whatever the predicate
        raises.
        """
        return await self._state.wait_until(
            lambda: predicate(self.mirror) if self.is_synced else None,  # type: ignore[arg-type,return-value]
            "the condition of wait_for",
            timeout,
        )

    # -- subscriptions ----------------------------------------------------------------

    def changes(
        self,
        *,
        kind: str | None = None,
        key: int | str | None = None,
        where: Callable[[Change], bool] | None = None,
        policy: Policy = "latest",
        size: int = QUEUE_SIZE,
    ) -> Subscription[Added | Changed | Removed | Gap]:
        """Subscribe to changes from now on: ``async for change in client.changes()``.

        ``kind``, ``key`` and ``where`` select changes; a ``Gap`` is always delivered. ``policy``
        and ``size`` are those of ``Subscription``. The iteration ends when the client stops, with
        the error that stopped it, if any. The present state is in ``mirror``.
        """
        wants = None
        if kind is not None or key is not None or where is not None:

            def wants(item: Change | Gap) -> bool:
                if isinstance(item, Gap):
                    return True
                return (
                    (kind is None or item.element_name == kind)
                    and (key is None or item.key == key)
                    and (where is None or bool(where(item)))
                )

        return self._subscribe(self._dispatcher.changes, policy, size, wants)

    def messages(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[Message]:
        """Subscribe to all messages from now on: ``async for message in client.messages()``."""
        if policy == "latest":
            raise UsageError("messages cannot be merged: use policy 'drop_oldest' or 'fail'")
        return self._subscribe(self._dispatcher.messages, policy, size, None)

    def call_events(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[CallEvent]:
        """Subscribe to call events from now on: ``async for event in client.call_events()``.

        The calls in progress are in ``calls``.
        """
        if policy == "latest":
            raise UsageError("call events cannot be merged: use policy 'drop_oldest' or 'fail'")
        self._session.follow_calls()
        return self._subscribe(self._dispatcher.calls, policy, size, None)

    def _subscribe(
        self,
        subscribers: SubscriberSet[Any],
        policy: Policy,
        size: int,
        wants: Callable[[Any], bool] | None,
    ) -> Subscription[Any]:
        subscription: Subscription[Any] = Subscription(
            policy, size, wants, subscribers.discard, self._statistics.counts
        )
        if self._has_ended:
            subscription.end(self._state.current.reason)  # type: ignore[union-attr]
        else:
            subscribers.add(subscription)
        return subscription

    @property
    def _has_ended(self) -> bool:
        return self._entered and self._state.has_stopped

    # -- callbacks --------------------------------------------------------------------

    def on_change(
        self,
        callback: Callable[[Added | Changed | Removed | Gap | Lagged], object],
        **selection: Any,
    ) -> Callable[[], None]:
        """Call ``callback(change)`` for each change.

        ``selection`` takes the keywords of ``changes``. A synchronous callback runs at once, and
        the client reads nothing until it returns. An asynchronous callback has a queue and is
        awaited for one item after another. Returns a function that unregisters the callback.
        """
        return self._register("change", callback, lambda: self.changes(**selection))

    def on_call(self, callback: Callable[[CallEvent], object]) -> Callable[[], None]:
        """Call ``callback(event)``, sync or async, for each call event; see ``on_change``."""
        self._session.follow_calls()
        return self._register("call", callback)

    def on_state(self, callback: Callable[[ClientState], object]) -> Callable[[], None]:
        """Call ``callback(state)``, sync or async, for each change of state; see ``on_change``."""
        return self._register("state", callback)

    def on_error(self, callback: Callable[[Exception], object]) -> Callable[[], None]:
        """Call ``callback(error)``, sync or async, for errors that do not stop the client.

        These are exceptions of callbacks, unreadable frames (once per kind), and failed attempts.
        """
        return self._register("error", callback)

    def on_initial_info(
        self, callback: Callable[[str, dict[Any, Any]], object]
    ) -> Callable[[], None]:
        """Call ``callback(element_name, elements)`` as ``MessageParser`` does."""
        return self._on_message(InitialInfo, callback, lambda m: (m.element_name, m.elements))

    def on_info_event(self, callback: Callable[[str, Any, str], object]) -> Callable[[], None]:
        """Call ``callback(element_name, element, event_name)`` as ``MessageParser`` does."""
        return self._on_message(
            InfoEvent, callback, lambda m: (m.element_name, m.element, m.event_name)
        )

    def on_system_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(SystemMsg, callback, lambda m: (m.text,))

    def on_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(Msg, callback, lambda m: (m.text,))

    def _on_message(
        self,
        message_type: type[T],
        callback: Callable[..., object],
        arguments: Callable[[T], tuple[Any, ...]],
    ) -> Callable[[], None]:
        """Register a callback that takes the parts of a message instead of the message."""
        if callback_kind("a callback", callback) == "async":

            async def unpacked(message: Any) -> None:
                await callback(*arguments(message))  # type: ignore[misc]

        else:

            def unpacked(message: Any) -> None:  # type: ignore[misc]
                callback(*arguments(message))

        unpacked.__qualname__ = name_of(callback)  # for log lines
        return self._register(message_type.__name__, unpacked)

    def _register(
        self,
        event: str,
        callback: Callable[..., object],
        subscribe: Callable[[], Subscription[Any]] | None = None,
    ) -> Callable[[], None]:
        callback_kind("a callback", callback)
        if self._has_ended:
            return lambda: None
        callbacks = self._dispatcher.callbacks
        if subscribe is not None:
            return callbacks.add(event, callback, subscribe(), is_fed=True)
        queue: Subscription[Any] = Subscription(
            "drop_oldest", QUEUE_SIZE, None, lambda _: None, self._statistics.counts
        )
        return callbacks.add(event, callback, queue)

    def _call_on_frame(self, on_frame: Callable[[bytes | str], object], frame: bytes | str) -> None:
        try:
            on_frame(frame)
        except Exception as error:  # noqa: BLE001 - reported like the error of any callback
            self._dispatcher.callbacks.report(error, on_frame)

    # -- commands ---------------------------------------------------------------------

    async def hangup(self, uuid: str, *, confirm: bool = False, confirm_timeout: float = 5) -> None:
        """Hang up a channel. With ``confirm``, wait until it is gone.

        All commands raise ``NotConnectedError`` at once if there is no connection, and
        ``ConnectionLost`` if it breaks while sending; no command is sent twice. With ``confirm``
        they raise ``CommandTimeout`` if the effect does not show within ``confirm_timeout``
        seconds.
        """
        await self._commands.send(commands.hangup(uuid), confirm_timeout if confirm else None)

    async def park(
        self,
        uuid: str,
        park_timeout: int | None = None,
        *,
        confirm: bool = False,
        confirm_timeout: float = 5,
    ) -> None:
        """Park a channel for ``park_timeout`` seconds (``None``: the PBX's default).

        With ``confirm``, wait until it is parked. Raises what ``hangup`` raises.
        """
        leg = self.mirror.channels.get(uuid)
        command = commands.park(uuid, park_timeout, None if leg is None else leg.other_uuid)
        await self._commands.send(command, confirm_timeout if confirm else None)

    async def transfer(
        self,
        uuid: str,
        destination: str,
        *,
        user_id: int | None = None,
        user_name: str | None = None,
    ) -> None:
        """Transfer a channel to ``destination``, a number or an extension.

        For a user in a call, ``uuid`` is the *other* leg, the caller's: it is connected to the
        destination, and the user's leg ends. ``user_id`` and ``user_name`` name the user on whose
        behalf the call is transferred; ``None``: not sent.

        Raises ``UsageError`` if the destination is empty, and what ``hangup`` raises.
        """
        command = commands.transfer(uuid, destination, user_id=user_id, user_name=user_name)
        await self._commands.send(command)

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
        await self._commands.send(command, confirm_timeout if confirm else None)

    # -- running ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("this client has been used already: create another one")
        self._entered = True
        self._loop = asyncio.get_running_loop()
        self._state.current = Connecting(1)
        self._task = asyncio.create_task(self._feed_loop.run(), name="basix_ws_cti client")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            self._feed_loop.stop(None)
            await self._dispatcher.callbacks.finish()


async def _fetch_credentials(credentials: Callable[[str], Awaitable[Any]], target: str) -> object:
    """Await a user's credentials function; leaving the client's block cancels it in any case."""
    try:
        return await credentials(target)
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
