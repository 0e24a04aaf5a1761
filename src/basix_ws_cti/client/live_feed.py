"""Live feed: what a client of a PBX and a follower of its stream have in common.

State, waiting, subscriptions, callbacks and the life of the block. ``Client`` and ``Follower`` are
subclasses that add a *runner*: it drives the session and delivers what the session yields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from basix_ws_cti._internal.arguments import check_filled_text, check_timeout
from basix_ws_cti._internal.callables import callback_kind, check_function, refuse_awaitable
from basix_ws_cti._internal.owner_loop import OwnerLoop
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import UsageError, printable
from basix_ws_cti.messages import (
    InfoEvent,
    InitialInfo,
    Message,
    Msg,
    SystemMsg,
    UnknownMessage,
)
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import ClientState, Connecting, Stats, Synced
from basix_ws_cti.transport.redaction import NotPicklable

from .alert_watch import AlertWatch
from .call_following import CallFollower, make_call_filter
from .change_filter import make_change_filter
from .dispatch import Dispatcher
from .pbx_time import PbxTime
from .state_holder import StateHolder
from .statistics import Statistics, Traffic
from .subscriptions import QUEUE_SIZE, Policy, SubscriberSet, Subscription

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=Subscription[Any])


class FeedCore:
    """Objects that a live feed and its runner share.

    - ``subject``: the feed's name in errors, such as ``client``.
    - ``usage``: code that runs the feed, for an error.
    - ``quiet_time``, ``country_code``: those of ``Session``.
    - ``pbx_time``: present time of the PBX; ``None``: estimated by the machine's clock.
    """

    def __init__(
        self,
        subject: str,
        usage: str,
        *,
        quiet_time: float = QUIET_TIME,
        country_code: str = "81",
        pbx_time: PbxTime | None = None,
    ) -> None:
        self.subject: str = subject
        self.owner: OwnerLoop = OwnerLoop(f"the {subject}")
        self.dispatcher: Dispatcher = Dispatcher()
        self.dispatcher.callbacks.hold()
        self.state: StateHolder = StateHolder(self.dispatcher.callbacks, subject, usage)
        self.statistics: Statistics = Statistics()
        self.session: Session = Session(
            quiet_time=quiet_time, country_code=country_code, bind=self.dispatcher.bind
        )
        self.pbx_time: PbxTime = PbxTime() if pbx_time is None else pbx_time


class FeedRunner(Protocol):
    """Drives the session of a live feed and delivers what the session yields."""

    @property
    def traffic(self) -> Traffic | None:
        """Counters of the open connection; ``None``: there is none."""

    async def run(self) -> None:
        """Run until an error is final or the task is cancelled."""

    def stop(self, reason: Exception | None) -> None:
        """Enter the state ``Stopped`` and end all subscriptions."""


class LiveFeed(NotPicklable):
    """Base class of ``Client`` and ``Follower``; in the following, *client* means both."""

    mirror: Mirror
    """State of the PBX: empty before the first snapshot is complete; while ``is_synced`` is False,
    the last state that was current. Events that arrived before the loss of a connection are applied
    even if the loss was noticed first."""

    def __init__(self, core: FeedCore, runner: FeedRunner) -> None:
        self._core = core
        self._runner = runner
        self.mirror = core.session.mirror
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entered = False
        self._alerts = AlertWatch(core, self._register)

    # -- state ------------------------------------------------------------------------

    @property
    def state(self) -> ClientState:
        """``Connecting``, ``Syncing``, ``Synced``, ``Disconnected`` or ``Stopped``."""
        return self._core.state.current

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
        return self._core.session.resync_pending

    @property
    def is_settled(self) -> bool:
        """False while the changes and call events that lead to a new snapshot are delivered.

        They may have happened long ago, and ``mirror`` and ``calls`` show the new state already.
        """
        return self._core.session.is_settled

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id: read-only, live, and as current as the mirror.

        The client follows calls from the first use of ``calls``, ``call_events``, ``on_call`` or
        ``call_user`` on. Use one of the first three before you enter the block to see every call
        from its start.
        """
        return self._core.session.calls

    @property
    def stats(self) -> Stats:
        """Statistics since the client was created."""
        return self._core.statistics.snapshot(
            self._runner.traffic,
            gaps=self._core.session.gaps,
            lag=self._core.dispatcher.lag,
            now=None if self._loop is None else self._loop.time(),
        )

    async def synced(self, timeout: float | None = None) -> Mirror:  # noqa: ASYNC109 - seconds, as everywhere
        """Wait until the mirror is current, and return it.

        Raises ``WaitTimeout`` after ``timeout`` seconds (``None``: no limit), the error that
        stopped the client, and ``ClientClosed`` if its block is left.
        """
        check_timeout("timeout", timeout)
        self._core.owner.check()
        await self._core.state.wait_until(lambda: self.is_synced, "a complete snapshot", timeout)
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
        self._core.owner.check()

        def condition() -> R | None:
            result = predicate(self.mirror) if self.is_synced else None
            refuse_awaitable("predicate", result)
            return result

        result = await self._core.state.wait_until(condition, "the condition of wait_for", timeout)
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
        return self._subscribe(self._core.dispatcher.changes, Subscription, policy, size, wants)

    def messages(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[Message]:
        """Subscribe to all messages from now on: ``async for message in client.messages()``."""
        if policy == "latest":
            raise UsageError("messages cannot be merged: use policy 'drop_oldest' or 'fail'")
        return self._subscribe(self._core.dispatcher.messages, Subscription, policy, size, None)

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
        self._core.owner.check_thread()
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
        self._core.session.follow_calls()
        return self._subscribe(self._core.dispatcher.calls, make, policy, size, wants)

    def _subscribe(
        self,
        subscribers: SubscriberSet[Any],
        make: Callable[..., S],
        policy: Policy,
        size: int,
        wants: Callable[[Any], bool] | None,
    ) -> S:
        """Return a new member of ``subscribers``; ``make`` takes the arguments of its class."""
        self._core.owner.check_thread()
        subscription = make(
            policy,
            size,
            wants,
            subscribers.discard,
            self._core.statistics.counts,
            wake_queue=self._core.dispatcher.wake_queue,
            check_loop=self._core.owner.check,
        )
        if self._has_ended:
            subscription.end(self._core.state.current.reason)  # type: ignore[union-attr]
        else:
            subscribers.add(subscription)
        return subscription

    @property
    def _has_ended(self) -> bool:
        return self._entered and self._core.state.has_stopped

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
        self._core.session.follow_calls()
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

    def on_alert(
        self, rule: AlertRule | str, callback: Callable[[Alert], object]
    ) -> Callable[[], None]:
        """Call ``callback(alert)``, sync or async, when a rule's alert begins and when it ends.

        ``rule`` is an ``AlertRule`` or its text, such as ``"longest-wait>60@sales"``. The alert
        begins when the figure goes beyond the rule's limit, also if that takes no event, as for a
        wait that goes on. It ends at the rule's ``end_value``, so that each crossing is reported
        once. While the mirror is not current, only alerts of ``feed_lost`` are reported; after
        that, what has changed compared with the last report. A callback for an alert that holds
        already receives it soon. When the client stops, no alert ends.

        A queue that the PBX does not have is reported to ``on_error`` callbacks as ``UsageError``.
        Returns a function that unregisters the callback. Raises ``UsageError`` for a rule that
        cannot work. See also ``on_change``.
        """
        if not isinstance(rule, AlertRule):
            rule = AlertRule.parse(rule)
        if self._has_ended:
            return self._register("alert", callback, "alert")  # only checks the callback
        return self._alerts.add(rule, callback)

    def on_initial_info(
        self, callback: Callable[[str, dict[Any, Any]], object]
    ) -> Callable[[], None]:
        """Call ``callback(element_name, elements)`` as ``MessageParser`` does."""
        return self._on_message(
            InitialInfo,
            callback,
            attrgetter("element_name", "elements"),
            "element_name, elements",
        )

    def on_info_event(self, callback: Callable[[str, Any, str], object]) -> Callable[[], None]:
        """Call ``callback(element_name, element, event_name)`` as ``MessageParser`` does."""
        return self._on_message(
            InfoEvent,
            callback,
            attrgetter("element_name", "element", "event_name"),
            "element_name, element, event_name",
        )

    def on_system_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(SystemMsg, callback, lambda m: (m.text,), "text")

    def on_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as ``MessageParser`` does."""
        return self._on_message(Msg, callback, lambda m: (m.text,), "text")

    def on_unknown_message(
        self, callback: Callable[[UnknownMessage], object]
    ) -> Callable[[], None]:
        """Call ``callback(message)`` for each message that this version does not know."""
        return self._on_message(UnknownMessage, callback, lambda m: (m,), "message")

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
        self._core.owner.check_thread()
        if self._has_ended:
            return lambda: None
        callbacks = self._core.dispatcher.callbacks
        if subscribe is not None:
            fed = subscribe()
            return callbacks.add(event, callback, fed, wants=fed.wants, is_fed=True)
        queue: Subscription[Any] = Subscription(
            "drop_oldest",
            QUEUE_SIZE,
            None,
            lambda _: None,
            self._core.statistics.counts,
            wake_queue=self._core.dispatcher.wake_queue,
        )
        return callbacks.add(event, callback, queue, wants=wants)

    # -- running ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError(f"this {self._core.subject} has been used already: create another one")
        self._entered = True
        self._core.owner.bind()
        self._loop = asyncio.get_running_loop()
        self._core.dispatcher.callbacks.start()
        self._core.state.current = Connecting(1)
        self._alerts.start()
        self._task = asyncio.create_task(
            self._runner.run(), name=f"basix_ws_cti {self._core.subject}"
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._core.owner.check()
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            self._runner.stop(None)
            self._alerts.stop()
            await self._core.dispatcher.callbacks.finish()
            self._core.owner.release()
