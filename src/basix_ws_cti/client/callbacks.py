"""Callbacks: synchronous ones are called at once, asynchronous ones by one task each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define

from basix_ws_cti._internal.callables import callback_kind, refuse_awaitable
from basix_ws_cti._internal.callback_errors import CallbackErrors, name_of
from basix_ws_cti.exceptions import SubscriberLagged, UsageError
from basix_ws_cti.mirror.changes import Lagged

if TYPE_CHECKING:
    from .subscriptions import Subscription

_logger = logging.getLogger(__name__)

# Seconds. A synchronous callback that takes longer delays the answers to the PBX's pings.
SLOW_CALLBACK = 1.0

# Seconds that asynchronous callbacks have to finish when the client stops, and once more after they
# were cancelled.
FINISH_TIMEOUT = 0.2

# Start of the names of tasks that await asynchronous callbacks; the callback's name follows.
_TASK_NAME = "basix_ws_cti callback "


class _Registration:
    """One registered callback; compared by identity."""

    __slots__ = ("callback", "deliver", "is_active", "wants")

    def __init__(
        self,
        callback: Callable[..., object],
        deliver: Callable[[Any], object],
        wants: Callable[[Any], bool] | None,
    ) -> None:
        self.callback = callback
        """The function that the user registered."""
        self.deliver = deliver
        """Called with each item: the callback itself, or one that queues the item for it."""
        self.wants = wants
        """Filter of the items; ``None``: all."""
        self.is_active = True
        """False once the callback is unregistered: it is not called from then on."""

    def refuse_awaitable(self, result: object) -> None:
        """Raise ``UsageError`` for a result to be awaited, and do not call the function again."""
        try:
            name = f"the callback {name_of(self.callback)}"
            refuse_awaitable(name, result, "pass the async function itself")
        except UsageError:
            self.is_active = False
            raise


@define(eq=False)
class _Worker:
    """Task that awaits an asynchronous callback, and its queue."""

    name: str
    queue: Subscription[Any]
    serve: Callable[[], Coroutine[Any, Any, None]]
    task: asyncio.Task[None] | None = None  # None before it is started


class Callbacks:
    """Registry of callbacks by event name; each event carries one item.

    An exception in a callback is logged (see ``CallbackErrors``) and becomes an ``"error"`` event.
    It affects no other callback. A callback is not called any more once it is unregistered, not
    even for an item that other callbacks are receiving.

    ``clock`` returns seconds, to measure how long a callback takes. It is not that of the event
    loop, because looking up the running loop is a system call, and there are many items.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # A dict as an ordered set.
        self._callbacks: dict[str, dict[_Registration, None]] = {}
        self._errors = CallbackErrors(_logger)
        # Tasks that await asynchronous callbacks, with their queues.
        self._workers: dict[asyncio.Task[None], Subscription[Any]] = {}
        # Asynchronous callbacks without a task yet; ``None``: tasks start at once.
        self._held: dict[_Registration, _Worker] | None = None

    @property
    def queues(self) -> Iterable[Subscription[Any]]:
        """Queues of the asynchronous callbacks."""
        return [*self._workers.values(), *(held.queue for held in (self._held or {}).values())]

    def hold(self) -> None:
        """Start no task before ``start``: there may be no event loop yet, or another one."""
        self._held = {}

    def start(self) -> None:
        """Start the tasks of asynchronous callbacks in the running event loop."""
        held, self._held = self._held or {}, None
        for worker in held.values():
            self._start_task(worker)

    def add(
        self,
        event: str,
        callback: Callable[..., object],
        subscription: Subscription[Any],
        *,
        wants: Callable[[Any], bool] | None = None,
        is_fed: bool = False,
    ) -> Callable[[], None]:
        """Register ``callback(item)`` for an event; return a function that unregisters it.

        - ``subscription``: the queue of an asynchronous callback; not used for a synchronous one.
        - ``wants``: returns true for the items that are passed to the callback; ``None``: all.
        - ``is_fed``: somebody else offers items to the queue, which has the filter itself. The
          callback then also receives ``Lagged``; otherwise lost items become an ``"error"`` event.
        """
        kind = callback_kind("a callback", callback)
        if kind == "generator":
            raise UsageError(
                "a callback must not be an async generator: use a function or a coroutine function"
            )
        callbacks = self._callbacks.setdefault(event, {})
        deliver: Callable[[Any], object] = callback if kind == "sync" else subscription.offer
        registration = _Registration(callback, deliver, wants)

        def remove() -> None:
            registration.is_active = False
            callbacks.pop(registration, None)

        if kind == "sync" or not is_fed:
            callbacks[registration] = None
        if kind == "sync":
            subscription.close()
            return remove
        worker = _Worker(
            _TASK_NAME + name_of(callback),
            subscription,
            partial(self._serve, event, subscription, callback, takes_lagged=is_fed),
        )
        if self._held is None:
            self._start_task(worker)
        else:
            self._held[registration] = worker

        def unregister() -> None:
            remove()
            subscription.close()
            if self._held is not None:
                self._held.pop(registration, None)
            if worker.task is not None:
                _cancel(worker.task)

        return unregister

    def _start_task(self, worker: _Worker) -> None:
        worker.task = task = asyncio.get_running_loop().create_task(
            worker.serve(), name=worker.name
        )
        self._workers[task] = worker.queue
        task.add_done_callback(lambda task: self._workers.pop(task, None) and None)

    def call(self, event: str, item: object) -> None:
        """Call all callbacks of an event."""
        if callbacks := self._callbacks.get(event):
            self._call(event, tuple(callbacks), item)

    def forget(self, event: str) -> None:
        """Remove an event to which no callback will be added again, and its callbacks."""
        self._callbacks.pop(event, None)

    def has(self, event: str) -> bool:
        """Return True if an event has callbacks."""
        return bool(self._callbacks.get(event))

    def frozen(self, event: str) -> Callable[[object], None]:
        """Return a ``call`` for the present callbacks of an event, while they are registered."""
        callbacks = tuple(self._callbacks.get(event, ()))
        return lambda item: self._call(event, callbacks, item)

    def _call(self, event: str, registrations: tuple[_Registration, ...], item: object) -> None:
        if not registrations:
            return
        clock = self._clock
        for registration in registrations:
            if not registration.is_active:
                continue  # unregistered by a callback before it
            began = clock()
            wants = registration.wants
            try:
                if wants is None or wants(item):
                    wants = None
                    result = registration.deliver(item)
                    if result is not None:
                        registration.refuse_awaitable(result)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
                # The filter raised the error if the item has not passed it.
                function = registration.callback if wants is None else wants
                self._report_callback(event, error, function)
            if (took := clock() - began) > SLOW_CALLBACK:
                _logger.warning(
                    "slow callback: %s for %s blocked the client for %.1f s; make it async",
                    name_of(registration.callback),
                    event,
                    took,
                )

    def report(self, error: BaseException, callback: object = None) -> None:
        """Call the ``"error"`` callbacks; ``callback`` is the function that raised, if one did."""
        if callback is not None:
            self._errors.log(error, callback)
        self.call("error", error)

    def _report_callback(self, event: str, error: BaseException, callback: object) -> None:
        """Report the error of a callback for an event."""
        if event == "error":  # an error callback that raises would be called forever
            self._errors.log(error, callback)
        else:
            self.report(error, callback)

    async def finish(self) -> None:
        """Wait for asynchronous callbacks, then cancel them; ``FINISH_TIMEOUT`` bounds both."""
        try:
            await self._finish()
        finally:
            self._errors.log_counts()

    async def _finish(self) -> None:
        this_task = asyncio.current_task()  # a callback may leave the client's block
        workers = {worker for worker in self._workers if worker is not this_task}
        if not workers:
            return
        try:
            _, workers = await asyncio.wait(workers, timeout=FINISH_TIMEOUT)
        finally:  # if this task is cancelled, the workers must end all the same
            for worker in workers:
                worker.cancel()
        if workers:
            _, workers = await asyncio.wait(workers, timeout=FINISH_TIMEOUT)
        for worker in workers:
            name = worker.get_name().removeprefix(_TASK_NAME)
            _logger.warning("callback does not end after its cancellation: %s", name)

    async def _serve(
        self,
        event: str,
        items: Subscription[Any],
        callback: Callable[..., Any],
        *,
        takes_lagged: bool,
    ) -> None:
        """Await an asynchronous callback for one item after another."""
        try:
            async for item in items:
                if isinstance(item, Lagged) and not takes_lagged:
                    if event != "error":
                        self.report(SubscriberLagged(items.size))
                    continue
                try:
                    await callback(item)
                except (Exception, asyncio.CancelledError) as error:
                    if is_cancelled(error):
                        raise
                    self._report_callback(event, error, callback)
                if is_cancelled():
                    return  # the callback swallowed the cancellation
        except SubscriberLagged as error:
            self.report(error)
        except Exception:  # noqa: BLE001, S110 - the error that stopped the client is in its state
            pass


def is_cancelled(error: BaseException | None = None) -> bool:
    """Return True if this task is being cancelled, and not just something it awaited."""
    task = asyncio.current_task()
    is_cancellation = error is None or isinstance(error, asyncio.CancelledError)
    return is_cancellation and task is not None and task.cancelling() > 0


def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task, from any thread; not the current one: a callback may unregister itself."""
    if task.done():
        return
    loop = task.get_loop()
    if asyncio._get_running_loop() is not loop:  # noqa: SLF001 - the other one raises without a loop
        loop.call_soon_threadsafe(task.cancel)
    elif task is not asyncio.current_task():
        task.cancel()
