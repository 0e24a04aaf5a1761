"""Client: stays connected to a PBX, keeps its picture, and tells who wants to know.

One task does it all: it connects, reads, and waits between attempts. The picture is built
aside until it is whole, and then swapped in. Reading never waits for a subscriber. What takes
long is done in time slices, between which others go on, and the next message is read when it is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import attrs
from attrs import field, frozen

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti._internal.time_slice import TimeSlice
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.calls.tracker import CallTracker
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    CommandTimeout,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    FeedError,
    LoggedOut,
    NotConnectedError,
    ProtocolError,
    ResyncRequired,
    SyncTimeout,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.messages import InfoEvent, InitialInfo, Message, Msg, SystemMsg
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME, SnapshotBuilder
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stats,
    Stopped,
    Synced,
    Syncing,
)
from basix_ws_cti.transport.connection import Connection
from basix_ws_cti.transport.connector import ConnectOptions, connect
from basix_ws_cti.transport.redaction import NotPicklable, scrub_traceback

from . import commands
from .backoff import Backoff, is_final, wait_at_least
from .callbacks import is_cancelled, name_of
from .commands import Command
from .dispatch import ChangeWaiter, Dispatcher
from .subscriptions import QUEUE_SIZE, Policy, SubscriberSet, Subscription

_logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# Seconds that the PBX has to say what there is.
SYNC_TIMEOUT = 60.0

# A picture that lasted so many seconds ends the series of failures before it.
STEADY_TIME = 30.0

# Rebuilding the picture is prompt so many times in a minute; then it waits as any failure does.
PROMPT_REBUILDS = 3

# Sorts of bad frames that are reported, once each; a peer could make up names without end.
MAX_REPORTED = 100

# A silent peer is found after at most two intervals, the time-out and the closing: 13.5 s.
LIVENESS: dict[str, Any] = {"ping_interval": 4.0, "ping_timeout": 5.0, "close_timeout": 0.5}


class _Signal:
    """Wakes all who wait for it; costs nothing while nobody does."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def give(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class Client(NotPicklable):
    """``async with Client(…) as client``: connected to the PBX, for as long as the block.

    ``server`` and the keywords are those of ``connect`` (which raises ``UsageError`` here for
    what can't work); what it has for ping and close times is shorter, so that a silent peer
    is found within 15 seconds. Beyond them: ``backoff`` says how long to wait between
    attempts; ``classify(error, is_final)`` may say otherwise whether an error ends it all;
    ``quiet_time`` and ``sync_timeout`` are in seconds; ``country_code`` is the mirror's. What
    ``on_frame`` raises goes to ``on_error``; its first frame of a connection comes after the
    state ``Syncing``.

    ``mirror`` is the picture: empty before the first one is whole, and the last one that
    was whole while there is none (``is_synced`` is false then). Entering the block does not
    wait; leaving it closes the connection within a second.
    """

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
        **options: Unpack[ConnectOptions],
    ) -> None:
        given: dict[str, Any] = {**LIVENESS, **options}
        # Ours, not the WebSocket's: under a flood a pong can be late that stands behind what
        # there is to read, and what is read is sign of life enough.
        self._ping_interval: float | None = given["ping_interval"]
        self._ping_timeout: float | None = given["ping_timeout"]
        # Of a connection given up as silent, the seconds since its last sign of life.
        self._silence: float | None = None
        given["ping_interval"] = None
        headers = given.get("additional_headers")
        if headers is not None and not isinstance(headers, dict):
            given["additional_headers"] = list(headers)  # to be read for each attempt
        try:
            self._name = repr(connect(server, **given)).removeprefix("<connect ").rstrip(">")
        except TypeError as error:
            raise UsageError(str(error).replace("connect.__init__()", "Client()")) from None
        on_frame = given.get("on_frame")
        if on_frame is not None:
            given["on_frame"] = partial(self._show_frame, on_frame)
        credentials = given.get("credentials")
        self._fresh_credentials = callable(credentials)
        if callable(credentials):
            given["credentials"] = partial(_fetch, credentials)
        self._connect = _Connector(server, given)
        # A copy: two clients that are given the same one have each its own series.
        self._backoff = Backoff() if backoff is None else attrs.evolve(backoff)
        self._classify = classify
        self._quiet_time = quiet_time
        self._sync_timeout = sync_timeout
        self.mirror: Mirror = Mirror(country_code=country_code)
        self._state: ClientState = Stopped(None)
        self._task: asyncio.Task[None] | None = None
        self._used = False
        self._connection: Connection | None = None
        self._snapshot: SnapshotBuilder | None = None
        self._time_slice: TimeSlice
        self._dispatcher = Dispatcher()
        self._tracker: CallTracker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state_changed = _Signal()  # given at each change of state or picture
        self._was_synced = False
        self._synced_at: float | None = None
        self._gap_started: datetime | None = None
        self._gap_reason: Exception | None = None
        self._rebuilds: deque[float] = deque(maxlen=PROMPT_REBUILDS)
        self._refusals = 0
        self._attempts = 0
        self._counts: Counter[str] = Counter()
        self._sorts: Counter[type[Message]] = Counter()
        self._reported: set[str] = set()
        self._last_frame: float | None = None

    def __repr__(self) -> str:
        return f"<Client {self._name} {type(self._state).__name__.lower()}>"

    # -- where things stand -----------------------------------------------------------

    @property
    def state(self) -> ClientState:
        """``Connecting``, ``Syncing``, ``Synced``, ``Disconnected`` or ``Stopped``."""
        return self._state

    @property
    def is_synced(self) -> bool:
        """Whether the mirror shows what is; false from the first moment of doubt."""
        return isinstance(self._state, Synced)

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls that go on, by id: read-only and live, as true as the mirror is.

        Calls are followed from the first time on that they are asked for, here, by
        ``call_events`` or by ``on_call``: ask before the block is entered for calls that are
        seen whole.
        """
        return self._followed().calls

    def _followed(self) -> CallTracker:
        if self._tracker is None:
            self._tracker = CallTracker(self.mirror.channels.values())
        return self._tracker

    @property
    def stats(self) -> Stats:
        """What has been done so far."""
        frames, size = self._counts["frames"], self._counts["bytes"]
        if self._connection is not None:
            frames += self._connection.frames_read
            size += self._connection.bytes_read
        age = None
        if self._last_frame is not None and self._loop is not None:
            age = self._loop.time() - self._last_frame
        return Stats(
            frames=frames,
            bytes=size,
            messages={sort.__name__: count for sort, count in self._sorts.items()},
            connects=self._counts["connects"],
            reconnects=max(0, self._counts["connects"] - 1),
            gaps=self._counts["gaps"],
            bad_frames=self._counts["bad_frames"],
            missed=self._counts["missed"],
            lag=self._dispatcher.lag,
            last_frame_age=age,
        )

    async def synced(self, timeout: float | None = None) -> Mirror:  # noqa: ASYNC109 - seconds, as everywhere
        """Wait until the picture is whole, and return it.

        Raises ``WaitTimeout`` after ``timeout`` seconds, and what stopped the client.
        """
        await self._until(lambda: self.is_synced, "the whole picture", timeout)
        return self.mirror

    async def wait_for(
        self,
        predicate: Callable[[Mirror], R],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> R:
        """Wait until the picture is whole and ``predicate(mirror)`` is true; what it returned.

        It is asked again at each change. Raises ``WaitTimeout`` after ``timeout`` seconds, what
        stopped the client, and what the predicate raises.
        """
        return await self._until(
            lambda: predicate(self.mirror) if self.is_synced else None,  # type: ignore[arg-type,return-value]
            "what was waited for",
            timeout,
        )

    async def _until(self, ask: Callable[[], R], what: str, seconds: float | None) -> R:
        result: R
        timed = asyncio.timeout(seconds)
        try:
            async with timed:
                while not (result := ask()):
                    self._must_live()
                    await self._state_changed.wait()
        except TimeoutError:
            if not timed.expired():
                raise  # the predicate's own
            raise WaitTimeout(what, seconds or 0) from None
        return result

    def _must_live(self) -> None:
        if isinstance(self._state, Stopped):
            reason = self._state.reason or UsageError("the client works inside its block only")
            # Or it would hold all frames that it ever went through.
            raise reason.with_traceback(None)

    # -- subscribers ------------------------------------------------------------------

    def changes(
        self,
        *,
        kind: str | None = None,
        key: int | str | None = None,
        where: Callable[[Change], bool] | None = None,
        policy: Policy = "latest",
        size: int = QUEUE_SIZE,
    ) -> Subscription[Added | Changed | Removed | Gap]:
        """``async for change in client.changes()``: what changes from now on.

        Of one kind, of one element, or what ``where`` is true for; a ``Gap`` always. See
        ``Subscription`` for the policies. Ends with the client: with its error, if it stopped
        for one. What is there already is in ``mirror``.
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
        """``async for message in client.messages()``: every message as it comes, from now on."""
        if policy == "latest":
            raise UsageError("messages can't be merged: policy is 'drop_oldest' or 'fail'")
        return self._subscribe(self._dispatcher.messages, policy, size, None)

    def call_events(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[CallEvent]:
        """``async for event in client.call_events()``: what happens to calls, from now on.

        What goes on already is in ``calls``.
        """
        if policy == "latest":
            raise UsageError("call events can't be merged: policy is 'drop_oldest' or 'fail'")
        self._followed()
        return self._subscribe(self._dispatcher.calls, policy, size, None)

    def _subscribe(
        self,
        subscribers: SubscriberSet[Any],
        policy: Policy,
        size: int,
        wants: Callable[[Any], bool] | None,
    ) -> Subscription[Any]:
        subscription: Subscription[Any] = Subscription(
            policy, size, wants, subscribers.discard, self._counts
        )
        if self._used and isinstance(self._state, Stopped):
            subscription.end(self._state.reason)
        else:
            subscribers.add(subscription)
        return subscription

    def on_change(
        self,
        callback: Callable[[Added | Changed | Removed | Gap | Lagged], object],
        **what: Any,
    ) -> Callable[[], None]:
        """Call ``callback(change)``, sync or async, at each change; ``what`` as for ``changes``.

        A synchronous callback is called at once, and keeps the client from reading until it
        returns. An asynchronous one has a queue of its own, and is awaited for one item after
        another. Returns a function that ends it.
        """
        return self._register("change", callback, lambda: self.changes(**what))

    def on_call(self, callback: Callable[[CallEvent], object]) -> Callable[[], None]:
        """Call ``callback(event)``, sync or async, at whatever happens to a call."""
        self._followed()
        return self._register("call", callback)

    def on_state(self, callback: Callable[[ClientState], object]) -> Callable[[], None]:
        """Call ``callback(state)``, sync or async, at each change of state."""
        return self._register("state", callback)

    def on_error(self, callback: Callable[[Exception], object]) -> Callable[[], None]:
        """Call ``callback(error)``, sync or async, for what goes wrong without ending the client.

        That is what a callback raised, a bad frame (once for each sort), a failed attempt.
        """
        return self._register("error", callback)

    def on_initial_info(
        self, callback: Callable[[str, dict[Any, Any]], object]
    ) -> Callable[[], None]:
        """Call ``callback(element_name, elements)`` as the parser does."""
        return self._on(InitialInfo, callback, lambda m: (m.element_name, m.elements))

    def on_info_event(self, callback: Callable[[str, Any, str], object]) -> Callable[[], None]:
        """Call ``callback(element_name, element, event_name)`` as the parser does."""
        return self._on(InfoEvent, callback, lambda m: (m.element_name, m.element, m.event_name))

    def on_system_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as the parser does."""
        return self._on(SystemMsg, callback, lambda m: (m.text,))

    def on_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call ``callback(text)`` as the parser does."""
        return self._on(Msg, callback, lambda m: (m.text,))

    def _on(
        self,
        sort: type[T],
        callback: Callable[..., object],
        arguments: Callable[[T], tuple[Any, ...]],
    ) -> Callable[[], None]:
        if callback_kind("a callback", callback) == "async":

            async def called(message: Any) -> None:
                await callback(*arguments(message))  # type: ignore[misc]

        else:

            def called(message: Any) -> None:  # type: ignore[misc]
                callback(*arguments(message))

        called.__qualname__ = name_of(callback)
        return self._register(sort.__name__, called)

    def _register(
        self,
        event: str,
        callback: Callable[..., object],
        subscribe: Callable[[], Subscription[Any]] | None = None,
    ) -> Callable[[], None]:
        callback_kind("a callback", callback)
        if self._used and isinstance(self._state, Stopped):
            return lambda: None  # there will be nothing to tell
        if subscribe is not None:
            return self._dispatcher.callbacks.add(event, callback, subscribe(), told_elsewhere=True)
        queue: Subscription[Any] = Subscription(
            "drop_oldest", QUEUE_SIZE, None, lambda _: None, self._counts
        )
        return self._dispatcher.callbacks.add(event, callback, queue)

    # -- commands ---------------------------------------------------------------------

    async def hangup(self, uuid: str, *, confirm: bool = False, confirm_timeout: float = 5) -> None:
        """End a channel. With ``confirm``, wait until it is gone.

        Commands raise ``NotConnectedError`` at once when there is no connection, and
        ``ConnectionLost`` when it breaks under them; none is ever sent twice. After
        ``confirm_timeout`` seconds without the effect it is a ``CommandTimeout``.
        """
        await self._send(commands.hangup(uuid), confirm_timeout if confirm else None)

    async def park(
        self,
        uuid: str,
        park_timeout: int | None = None,
        *,
        confirm: bool = False,
        confirm_timeout: float = 5,
    ) -> None:
        """Park a channel, for ``park_timeout`` seconds. With ``confirm``, wait until it is."""
        leg = self.mirror.channels.get(uuid)
        command = commands.park(uuid, park_timeout, None if leg is None else leg.other_uuid)
        await self._send(command, confirm_timeout if confirm else None)

    async def transfer(
        self,
        uuid: str,
        *,
        user_id: int | None = None,
        user_name: str | None = None,
        destination: str | None = None,
    ) -> None:
        """Send a channel on: for a user who talks it is the *other* leg, the caller's."""
        await self._send(
            commands.transfer(uuid, user_id=user_id, user_name=user_name, destination=destination)
        )

    async def eavesdrop(self, plug_uuid: str, uuid: str, subcommand: str) -> None:
        """Listen in on a channel, through a media plug of one's own."""
        await self._send(commands.eavesdrop(plug_uuid, uuid, subcommand))

    async def _send(self, command: Command, confirm_timeout: float | None = None) -> None:
        if self._connection is None:
            raise NotConnectedError
        if command.shown_by is None or confirm_timeout is None:
            await self._connection.send(command.sent)
            return
        watch = ChangeWaiter(command.shown_by)
        self._dispatcher.waiters.add(watch)
        timed = asyncio.timeout(confirm_timeout)
        try:
            async with timed:
                await self._connection.send(command.sent)
                await watch.seen
        except TimeoutError:
            if not timed.expired():
                raise
            raise CommandTimeout(command.name, confirm_timeout) from None
        finally:
            self._dispatcher.waiters.discard(watch)

    # -- running ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._used:
            raise UsageError("this client was used already: make another one")
        self._used = True
        self._loop = asyncio.get_running_loop()
        self._time_slice = TimeSlice()
        self._state = Connecting(1)
        self._task = asyncio.create_task(self._run(), name="basix_ws_cti client")
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
            self._stop(None)
            await self._dispatcher.callbacks.finish()

    async def _run(self) -> None:
        reason: Exception | None = None
        try:
            while True:
                self._attempts += 1
                self._enter(Connecting(self._attempts))
                reason = await self._attempt()
                delay = self._delay_after(reason)
                if delay is None:
                    break
                self._enter(Disconnected(reason, delay))
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self._stop(None)  # by whoever cancels all tasks, too
            raise
        except Exception as error:  # a defect must not end in silence
            reason = error
            _logger.exception("the client has a defect")
        self._stop(reason)

    def _delay_after(self, reason: Exception) -> float | None:
        """Seconds until the next attempt; ``None``: there is none."""
        loop = asyncio.get_running_loop()
        refused = isinstance(reason, AuthenticationError) and reason.status == 401
        self._refusals = self._refusals + 1 if refused else 0
        final = is_final(
            reason,
            was_synced=self._was_synced,
            fresh_credentials=self._fresh_credentials,
            refusals=self._refusals,
        )
        if self._classify is not None:
            final = self._classify(reason, final)
        if final:
            return None
        if self._synced_at is not None:
            if loop.time() - self._synced_at >= STEADY_TIME:
                self._backoff.reset()
            self._synced_at = None
        _logger.warning("no feed from %s: %s", self._name, _shown(reason))
        self._dispatcher.callbacks.report(reason)
        if isinstance(reason, ResyncRequired):
            now = loop.time()
            prompt = len(self._rebuilds) < PROMPT_REBUILDS or now - self._rebuilds[0] > 60
            if prompt:
                self._rebuilds.append(now)
                return 0.0
        at_least = wait_at_least(reason, self._backoff.maximum, datetime.now(UTC))
        return self._backoff.delay(at_least=at_least)

    async def _attempt(self) -> Exception:
        """Connect and read, until it ends; why it did."""
        if self._snapshot is not None:
            # What was not whole by now never will be. To free it takes its time as well.
            await self._run_sliced(self._snapshot.mirror.swap(Mirror()))
        self._snapshot = SnapshotBuilder(self._quiet_time)
        reason: Exception
        try:
            async with self._connect() as connection:
                self._counts["connects"] += 1
                self._connection = connection
                self._enter(Syncing())
                self._silence = None
                watch = asyncio.create_task(self._watch(connection), name="basix_ws_cti watch")
                try:
                    reason = await self._read(connection)
                finally:
                    watch.cancel()
        except asyncio.CancelledError as error:
            if is_cancelled(error):
                raise
            reason = ConnectFailed("the credentials function was cancelled")
        except Exception as error:  # noqa: BLE001 - credentials functions raise what they like
            reason = error
        finally:
            self._disconnected()
        return reason

    def _disconnected(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._counts["frames"] += connection.frames_read
            self._counts["bytes"] += connection.bytes_read

    async def _watch(self, connection: Connection) -> None:
        """End a connection on which nothing comes, not even the answer to a ping."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while self._ping_interval is not None:
            frames = connection.frames_read
            await asyncio.sleep(self._ping_interval)
            if connection.frames_read != frames:
                continue
            try:
                async with asyncio.timeout(self._ping_timeout):
                    await connection.ping()
                heard = loop.time()
            except TimeoutError:
                if connection.frames_read == frames and not connection.holds_back:
                    self._silence = loop.time() - max(heard, self._last_frame or heard)
                    connection.abort()
                    return
            except FeedError:
                return  # who reads is told

    async def _read(self, connection: Connection) -> Exception:
        timed = asyncio.timeout(self._sync_timeout)
        self._sync_deadline = timed
        try:
            async with timed:
                return self._doubt(await self._follow(connection))
        except StopAsyncIteration:
            return self._doubt(ConnectionLost(1000))
        except TimeoutError:
            return SyncTimeout(self._sync_timeout)
        except BasixError as error:
            if self._silence is not None:
                return self._doubt(
                    ConnectionLost(1006, f"no answer to a ping within {self._ping_timeout:g} s")
                )
            return self._doubt(error)

    def _show_frame(self, on_frame: Callable[[bytes | str], object], frame: bytes | str) -> None:
        try:
            on_frame(frame)
        except Exception as error:  # noqa: BLE001 - it harms nobody else, as with any callback
            self._dispatcher.callbacks.report(error, on_frame)

    async def _follow(self, connection: Connection) -> Exception:
        """Take in what comes until it says that this is the end."""
        time_slice = self._time_slice
        while True:
            if time_slice.expired():
                await time_slice.yield_to_loop()
            try:
                message = connection.waiting()
                if message is None:
                    message = await self._next(connection)
                    time_slice.resumed()
            except (DecodeError, ProtocolError) as error:
                self._last_frame = time_slice.now
                if self._is_doubtful(error):
                    return ResyncRequired(error)
                continue
            if self._snapshot is not None and self._snapshot.is_complete(message):
                await self._show(self._snapshot.mirror)
            if message is None:
                continue
            self._last_frame = time_slice.now
            self._sorts[type(message)] += 1
            await self._take(message)
            if type(message) is SystemMsg and message.text == "logout":
                return LoggedOut()

    async def _next(self, connection: Connection) -> Message | None:
        """Wait for a message; ``None``: nothing came for so long that the picture is whole."""
        if self._snapshot is None:
            return await anext(connection)
        try:
            async with asyncio.timeout_at(self._snapshot.quiet_at):
                return await anext(connection)
        except TimeoutError:
            # It was not quiet if the loop was kept from seeing what has come.
            return connection.waiting()

    async def _run_sliced(self, steps: Generator[object, None, T]) -> T:
        """Take all steps, and let others have their turn in between; what that returns."""
        time_slice = self._time_slice
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast("T", end.value)
            if time_slice.expired():
                await time_slice.yield_to_loop()

    def _doubt(self, reason: Exception) -> Exception:
        """The picture is not to be trusted from now on."""
        if self.is_synced:
            # What was sent after the last sign of life may be lost.
            self._gap_started = datetime.now(UTC) - timedelta(seconds=self._silence or 0)
            self._gap_reason = reason
            self._disconnected()  # no command goes out on it any more
            self._enter(Disconnected(reason, None))
        return reason

    def _is_doubtful(self, error: DecodeError | ProtocolError) -> bool:
        self._counts["bad_frames"] += 1
        sort = f"{type(error).__name__} {getattr(error, 'problem', None) or error.reason}"  # type: ignore[union-attr]
        if sort not in self._reported and len(self._reported) < MAX_REPORTED:
            self._reported.add(sort)
            _logger.warning("a frame could not be read: %s", error)
            self._dispatcher.callbacks.report(error)
        # A system_msg or msg that is none takes nothing from the picture.
        return not (isinstance(error, ProtocolError) and error.field in {"system_msg", "msg"})

    async def _take(self, message: Message) -> None:
        if self._snapshot is not None:
            await self._run_sliced(self._snapshot.add(message, self._time_slice.now))
        elif type(message) is InfoEvent:
            if changes := self.mirror.apply(message):
                # First of all: who is told of a change finds its call as it is.
                events = self._tracker.apply(changes) if self._tracker is not None else ()
                self._dispatcher.publish(changes, events)
                self._state_changed.give()
        elif type(message) is InitialInfo:
            elements = message.elements
            differences = await self._run_sliced(self.mirror.fill(message.element_name, elements))
            await self._publish(await self._gather(differences))
            self._state_changed.give()
        # After the picture: who is told of a message finds it there.
        self._dispatcher.publish_message(message)

    async def _show(self, picture: Mirror) -> None:
        """The picture that was built aside is whole: it is the mirror's from now on."""
        self._sync_deadline.reschedule(None)
        self._snapshot = None
        differences = self.mirror.swap(picture)
        self._synced_at = self._time_slice.now
        self._was_synced = True
        self._attempts = 0
        self._refusals = 0
        gap = None
        if self._gap_started is not None:
            gap = Gap(self._gap_started, datetime.now(UTC), self._gap_reason)
            self._gap_started = self._gap_reason = None
            self._counts["gaps"] += 1
        news = await self._gather(differences, gap)
        self._enter(Synced())
        await self._publish(news)
        self._state_changed.give()

    async def _gather(
        self, differences: Iterator[Change | None], gap: Gap | None = None
    ) -> deque[Callable[[], None]]:
        """What tells of all that differs, and of what it means for the calls, once they are so.

        Those of now: the mirror is so already, and of the calls each when it is.
        """
        tracker, time_slice = self._tracker, self._time_slice
        change_publisher = self._dispatcher.change_publisher()
        legs: list[Change | Gap] = [] if gap is None else [gap]
        news: deque[Callable[[], None]] = deque(partial(change_publisher, one) for one in legs)
        for change in differences:
            if change is not None:
                news.append(partial(change_publisher, change))
                if change.element_name == "channel":
                    legs.append(change)
            if time_slice.expired():
                await time_slice.yield_to_loop()
        if tracker is not None:
            for events in tracker.apply_stepwise(legs):
                if events:
                    call_publisher = self._dispatcher.call_publisher()
                    news.extend(partial(call_publisher, event) for event in events)
                if time_slice.expired():
                    await time_slice.yield_to_loop()
        return news

    async def _publish(self, news: deque[Callable[[], None]]) -> None:
        while news:  # and frees them one by one
            news.popleft()()
            if self._time_slice.expired():
                await self._time_slice.yield_to_loop()

    def _enter(self, state: ClientState) -> None:
        self._state = state
        self._state_changed.give()
        self._dispatcher.callbacks.call("state", state)

    def _stop(self, reason: Exception | None) -> None:
        if isinstance(self._state, Stopped):
            return
        if reason is not None:
            _logger.error("the client of %s stops: %s", self._name, _shown(reason))
        self._enter(Stopped(reason))
        self._dispatcher.end(reason)


async def _fetch(credentials: Callable[[str], Awaitable[Any]], target: str) -> object:
    """What a user's function returns or raises; it can't keep from us that the block is left."""
    try:
        return await credentials(target)
    finally:
        if is_cancelled():
            raise asyncio.CancelledError


@frozen
class _Connector(NotPicklable):
    """Makes a ``connect`` for each attempt. No repr shows what with: a token is in there."""

    server: str
    options: dict[str, Any] = field(repr=False)

    def __call__(self) -> connect:
        return connect(self.server, **self.options)


def _shown(reason: Exception) -> str:
    """An error fit for a log: ours are made for it, of others the name alone."""
    return str(reason) if isinstance(reason, BasixError) else type(reason).__name__
