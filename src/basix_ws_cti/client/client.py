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
from typing import Any, ParamSpec, Self, TypeVar, Unpack, cast

from attrs import field, frozen

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_filled_text,
    check_instance,
    check_seconds,
    check_timeout,
)
from basix_ws_cti._internal.callables import (
    PlainFunction,
    callback_kind,
    check_function,
    refuse_awaitable,
)
from basix_ws_cti._internal.owner_loop import OwnerLoop
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import UsageError, printable
from basix_ws_cti.messages import InfoEvent, InitialInfo, Message, Msg, SystemMsg
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import ClientState, Connecting, Stats, Synced
from basix_ws_cti.transport.connection import Connection
from basix_ws_cti.transport.connector import ConnectOptions, connect
from basix_ws_cti.transport.credentials import await_credentials
from basix_ws_cti.transport.keepalive import check_pings
from basix_ws_cti.transport.redaction import NotPicklable, scrub_traceback

from . import commands
from .backoff import Backoff
from .call_following import CallFollower, LegFollower, make_call_filter
from .callbacks import is_cancelled
from .change_filter import make_change_filter
from .click_to_call import ClickToCall, ClickToCallApi, check_api
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
P = ParamSpec("P")
S = TypeVar("S", bound=Subscription[Any])

Connector = Callable[..., AbstractAsyncContextManager[Connection]]
"""Opens connections as ``connect`` does; called for each attempt with the server and options."""

# Seconds without progress after which a snapshot has failed.
SYNC_TIMEOUT = 60.0

# In seconds. A peer that sends no byte is detected after at most two intervals, the time-out and
# the closing, 13.5 s in total.
LIVENESS: dict[str, Any] = {"ping_interval": 4.0, "ping_timeout": 5.0, "close_timeout": 0.5}


class Client(NotPicklable):
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

    Exceptions of ``on_frame`` and ``classify`` are reported to ``on_error`` callbacks. The first
    frame of a connection reaches ``on_frame`` after the state ``Syncing``.

    Entering the block does not wait for the connection. Leaving it closes the connection within a
    second.

    A client belongs to the event loop in which its block is entered. Callbacks and subscriptions
    may be added before, without a loop or in another one. After that, methods that are awaited, and
    iterations, raise ``UsageError`` in another event loop, and ``changes``, ``messages``,
    ``call_events``, ``follow`` and the ``on_…`` methods raise it in another thread.
    """

    mirror: Mirror
    """State of the PBX: empty before the first snapshot is complete; while ``is_synced`` is False,
    the last state that was current. Events that arrived before the loss of a connection are applied
    even if the loss was noticed first."""

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
        given["ping_interval"] = None  # the feed loop watches the connection of any connector
        headers = given.get("additional_headers")
        if headers is not None and not isinstance(headers, dict):
            given["additional_headers"] = list(headers)  # an iterator would serve one attempt only
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
        self._owner = OwnerLoop("the client")
        self._dispatcher = Dispatcher()
        self._dispatcher.callbacks.hold()
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
        self._commands = CommandSender(self._usable_connection, self._dispatcher)
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
        """True while the mirror shows the current state of the PBX and follows each event.

        It stays True after an unreadable frame, as long as ``resync_pending`` is True.
        """
        return isinstance(self.state, Synced)

    @property
    def resync_pending(self) -> bool:
        """True once a frame could not be read that may have changed the state of the PBX.

        An element, or after a reconnect all elements of a kind, may be stale then. The client
        requests a new snapshot at once, or within 30 seconds if it has just done so.
        """
        return self._session.resync_pending

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id: read-only, live, and as current as the mirror.

        The client follows calls from the first use of ``calls``, ``call_events``, ``on_call`` or
        ``call_user`` on. Use one of the first three before you enter the block to see every call
        from its start.
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

        Raises ``WaitTimeout`` after ``timeout`` seconds (``None``: no limit), the error that
        stopped the client, and ``ClientClosed`` if its block is left.
        """
        check_timeout("timeout", timeout)
        self._owner.check()
        await self._state.wait_until(lambda: self.is_synced, "a complete snapshot", timeout)
        return self.mirror

    async def wait_for(
        self,
        predicate: Callable[[Mirror], R],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> R:
        """Wait until the mirror is current and ``predicate(mirror)`` is true; return its value.

        The predicate, a plain function, is called after each message that changed the mirror, even
        if the next message follows at once; so a condition that is true only briefly is not missed.
        Raises ``WaitTimeout`` after ``timeout`` seconds (``None``: no limit), the error that
        stopped the client, ``ClientClosed`` if its block is left, ``UsageError`` for an async
        predicate, and whatever the predicate raises.
        """
        check_function("predicate", predicate, "mirror")
        check_timeout("timeout", timeout)
        self._owner.check()

        def condition() -> R | None:
            result = predicate(self.mirror) if self.is_synced else None
            refuse_awaitable("predicate", result)
            return result

        result = await self._state.wait_until(condition, "the condition of wait_for", timeout)
        return cast("R", result)

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

        - ``kind``, ``key``: only changes of elements of this kind, with this key.
        - ``where``: only changes for which this function returns true. It must not be async.
        - ``policy``, ``size``: those of ``Subscription``.

        A ``Gap`` is always delivered. The iteration ends when the client stops, with the error that
        stopped it, if any. The present state is in ``mirror``.

        Raises ``UsageError`` for a key that elements of the kind cannot have; warns about a kind
        that this version does not know.
        """
        wants = make_change_filter(kind, key, where)
        return self._subscribe(self._dispatcher.changes, Subscription, policy, size, wants)

    def messages(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[Message]:
        """Subscribe to all messages from now on: ``async for message in client.messages()``."""
        if policy == "latest":
            raise UsageError("messages cannot be merged: use policy 'drop_oldest' or 'fail'")
        return self._subscribe(self._dispatcher.messages, Subscription, policy, size, None)

    def call_events(
        self,
        *,
        where: Callable[[CallEvent], bool] | None = None,
        policy: Policy = "drop_oldest",
        size: int = QUEUE_SIZE,
    ) -> Subscription[CallEvent]:
        """Subscribe to call events from now on: ``async for event in client.call_events()``.

        - ``where``: only events for which this function returns true. It must not be async.
        - ``policy``, ``size``: those of ``Subscription``.

        A ``Lagged`` is always delivered. The calls in progress are in ``calls``.
        """
        wants = make_call_filter(where)
        return self._subscribe_to_calls(policy, size, Subscription, wants)

    def follow(
        self, call_id: str, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[CallEvent]:
        """Subscribe to the events of one active call, until it ends.

        The first event is a ``CallStarted`` that holds the present state of the call, the last one
        its ``CallEnded``. If the call becomes a part of another one (``Call.joined``), the events
        of that call follow, up to its ``CallEnded``. A call that ends in a gap of the feed has a
        ``CallEnded`` too, with ``synthetic``.

        - ``call_id``: key of the call in ``calls``.
        - ``policy``, ``size``: those of ``call_events``.

        Raises ``UsageError`` if no active call has this id: it never had, or the call has ended.
        """
        check_filled_text("call_id", call_id)
        self._owner.check_thread()
        call = self.calls.get(call_id)
        if call is None:
            raise UsageError(
                f"no active call has the id {printable(call_id, 60)!r}: it has ended, or the feed "
                "never showed it"
            )
        follower = self._subscribe_to_calls(policy, size, CallFollower)
        follower.begin_with(call)
        return follower

    def _subscribe_to_calls(
        self,
        policy: Policy,
        size: int,
        make: Callable[..., S],
        wants: Callable[[CallEvent], bool] | None = None,
    ) -> S:
        if policy == "latest":
            raise UsageError("call events cannot be merged: use policy 'drop_oldest' or 'fail'")
        self._session.follow_calls()
        return self._subscribe(self._dispatcher.calls, make, policy, size, wants)

    def _subscribe(
        self,
        subscribers: SubscriberSet[Any],
        make: Callable[..., S],
        policy: Policy,
        size: int,
        wants: Callable[[Any], bool] | None,
    ) -> S:
        """Return a new member of ``subscribers``; ``make`` takes the arguments of its class."""
        self._owner.check_thread()
        subscription = make(
            policy,
            size,
            wants,
            subscribers.discard,
            self._statistics.counts,
            wake_queue=self._dispatcher.wake_queue,
            check_loop=self._owner.check,
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
        return self._register(
            "change", callback, "change", subscribe=lambda: self.changes(**selection)
        )

    def on_call(
        self,
        callback: Callable[[CallEvent], object],
        *,
        where: Callable[[CallEvent], bool] | None = None,
    ) -> Callable[[], None]:
        """Call ``callback(event)``, sync or async, for each call event; see ``on_change``.

        ``where``: as for ``call_events``.
        """
        wants = make_call_filter(where)
        self._session.follow_calls()
        return self._register("call", callback, "event", wants=wants)

    def on_state(self, callback: Callable[[ClientState], object]) -> Callable[[], None]:
        """Call ``callback(state)``, sync or async, for each change of state; see ``on_change``."""
        return self._register("state", callback, "state")

    def on_error(self, callback: Callable[[Exception], object]) -> Callable[[], None]:
        """Call ``callback(error)``, sync or async, for errors that do not stop the client.

        These are exceptions of callbacks and filters, unreadable frames (once per kind), and failed
        attempts. Exceptions are also logged, once per function, exception class and line, with the
        line of your code; later ones are counted.
        """
        return self._register("error", callback, "error")

    def on_initial_info(
        self, callback: Callable[[str, dict[Any, Any]], object]
    ) -> Callable[[], None]:
        """Call ``callback(element_name, elements)`` as ``MessageParser`` does."""
        return self._on_message(
            InitialInfo, callback, lambda m: (m.element_name, m.elements), "element_name, elements"
        )

    def on_info_event(self, callback: Callable[[str, Any, str], object]) -> Callable[[], None]:
        """Call ``callback(element_name, element, event_name)`` as ``MessageParser`` does."""
        return self._on_message(
            InfoEvent,
            callback,
            lambda m: (m.element_name, m.element, m.event_name),
            "element_name, element, event_name",
        )

    def on_system_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(SystemMsg, callback, lambda m: (m.text,), "text")

    def on_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(Msg, callback, lambda m: (m.text,), "text")

    def _on_message(
        self,
        message_type: type[T],
        callback: Callable[..., object],
        arguments: Callable[[T], tuple[Any, ...]],
        names: str,
    ) -> Callable[[], None]:
        """Register a callback that takes the parts of a message, ``names``, instead of it."""
        if callback_kind("a callback", callback, *names.split(", ")) == "async":

            async def unpacked(message: Any) -> None:
                await callback(*arguments(message))  # type: ignore[misc]

        else:

            def unpacked(message: Any) -> object:  # type: ignore[misc]
                return callback(*arguments(message))

        unpacked.__wrapped__ = callback  # type: ignore[attr-defined]  # for log lines
        return self._register(message_type.__name__, unpacked)

    def _register(
        self,
        event: str,
        callback: Callable[..., object],
        *arguments: str,
        wants: Callable[[Any], bool] | None = None,
        subscribe: Callable[[], Subscription[Any]] | None = None,
    ) -> Callable[[], None]:
        callback_kind("a callback", callback, *arguments)
        self._owner.check_thread()
        if self._has_ended:
            return lambda: None
        callbacks = self._dispatcher.callbacks
        if subscribe is not None:
            fed = subscribe()
            return callbacks.add(event, callback, fed, wants=fed.wants, is_fed=True)
        queue: Subscription[Any] = Subscription(
            "drop_oldest",
            QUEUE_SIZE,
            None,
            lambda _: None,
            self._statistics.counts,
            wake_queue=self._dispatcher.wake_queue,
        )
        return callbacks.add(event, callback, queue, wants=wants)

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
            self._dispatcher.callbacks.report(raised, classify)
            return is_final
        return bool(result) if classify.is_usable else is_final

    def _call_on_frame(self, on_frame: Callable[[bytes | str], object], frame: bytes | str) -> None:
        try:
            on_frame(frame)
        except Exception as error:  # noqa: BLE001 - reported like the error of any callback
            self._dispatcher.callbacks.report(error, on_frame)

    # -- commands ---------------------------------------------------------------------

    def _usable_connection(self) -> Connection | None:
        """Return the connection for a command, if there is one."""
        self._owner.check()
        return self._feed_loop.usable_connection

    async def hangup(self, uuid: str, *, confirm: bool = False, confirm_timeout: float = 5) -> None:
        """Hang up a channel. With ``confirm``, wait until it is gone.

        All commands raise ``UsageError`` for invalid arguments, ``NotConnectedError`` at once if
        there is no connection, and ``ConnectionLost`` if it breaks while sending; no command is
        sent twice. With ``confirm`` they raise ``CommandTimeout`` if the effect does not show
        within ``confirm_timeout`` seconds.
        """
        timeout = _effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._commands.send(commands.hangup(uuid), timeout)

    async def park(
        self,
        uuid: str,
        park_timeout: float | None = None,
        *,
        confirm: bool = False,
        confirm_timeout: float = 5,
    ) -> None:
        """Park a channel for ``park_timeout`` seconds (``None``: the PBX's default).

        With ``confirm``, wait until it is parked. Raises what ``hangup`` raises.
        """
        leg = self.mirror.channels.get(uuid) if isinstance(uuid, str) else None
        command = commands.park(uuid, park_timeout, None if leg is None else leg.other_uuid)
        timeout = _effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._commands.send(command, timeout)

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

    async def call_user(
        self, api: ClickToCallApi[P], *arguments: P.args, **options: P.kwargs
    ) -> ClickToCall:
        """Ring a user's phones, and once one is answered, call a destination (click-to-call).

        - ``api``: the HTTP API that starts the call: an ``HttpApi``.
        - ``arguments``, ``options``: those of ``HttpApi.call_user``: the destination and the user.

        Returns once the API has replied; the phones ring after that. The result waits for answer
        and end of the call, and iterates over its events. None is missed, even if the feed shows
        the call before the reply, or the connection breaks. The feed must contain the channels of
        that user.

        Raises the errors of ``api``, and before anything is sent the error that stopped the client,
        ``ClientClosed`` after its block was left, and ``UsageError`` before it was entered.
        """
        check_api(api)
        self._owner.check()
        self._state.raise_if_stopped()
        make = partial(LegFollower, self.calls)
        follower = self._subscribe_to_calls("drop_oldest", QUEUE_SIZE, make)
        call = ClickToCall(follower, self._session, self._state, self._owner)
        await call.start(api.call_user(*arguments, **options))
        return call

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
        timeout = _effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._commands.send(command, timeout)

    # -- running ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("this client has been used already: create another one")
        self._entered = True
        self._owner.bind()
        self._loop = asyncio.get_running_loop()
        self._dispatcher.callbacks.start()
        self._state.current = Connecting(1)
        self._task = asyncio.create_task(self._feed_loop.run(), name="basix_ws_cti client")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._owner.check()
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            self._feed_loop.stop(None)
            await self._dispatcher.callbacks.finish()
            self._owner.release()


def _effect_timeout(*, confirm: bool, confirm_timeout: float) -> float | None:
    """Return the seconds to wait for a command's effect; ``None``: do not wait."""
    check_bool("confirm", confirm)
    check_seconds("confirm_timeout", confirm_timeout)
    return confirm_timeout if confirm else None


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
