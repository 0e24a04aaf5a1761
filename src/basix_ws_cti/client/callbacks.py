"""Callbacks: synchronous ones are called at once, asynchronous ones by one task each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define

from basix_ws_cti._internal.callables import callback_kind, refuse_awaitable
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


@define(eq=False)
class _Worker:
    """Task that awaits an asynchronous callback, and its queue."""

    queue: Subscription[Any]
    serve: Callable[[], Coroutine[Any, Any, None]]
    task: asyncio.Task[None] | None = None  # None before it is started


class Callbacks:
    """Registry of callbacks by event name; each event carries one item.

    An exception in a callback is logged and becomes an ``"error"`` event. It affects no other
    callback.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, dict[object, Callable[[Any], None]]] = {}
        # Tasks that await asynchronous callbacks, with their queues.
        self._workers: dict[asyncio.Task[None], Subscription[Any]] = {}
        # Asynchronous callbacks without a task yet, by token; ``None``: tasks start at once.
        self._held: dict[object, _Worker] | None = None

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
        is_fed: bool = False,
    ) -> Callable[[], None]:
        """Register ``callback(item)`` for an event; return a function that unregisters it.

        ``subscription`` is the queue of an asynchronous callback; of a synchronous one only its
        filter is used. With ``is_fed`` somebody else offers items to the queue, and the callback
        also receives ``Lagged``; otherwise lost items become an ``"error"`` event.
        """
        kind = callback_kind("a callback", callback)
        if kind == "generator":
            raise UsageError(
                "a callback must not be an async generator: use a function or a coroutine function"
            )
        callbacks, token = self._callbacks.setdefault(event, {}), object()
        if kind == "sync":
            subscription.close()
            callbacks[token] = _filtered(callback, subscription.wants)
            return lambda: callbacks.pop(token, None) and None
        if not is_fed:
            callbacks[token] = subscription.offer
        worker = _Worker(
            subscription, partial(self._serve, event, subscription, callback, takes_lagged=is_fed)
        )
        if self._held is None:
            self._start_task(worker)
        else:
            self._held[token] = worker

        def unregister() -> None:
            callbacks.pop(token, None)
            subscription.close()
            if self._held is not None:
                self._held.pop(token, None)
            if worker.task is not None:
                _cancel(worker.task)

        return unregister

    def _start_task(self, worker: _Worker) -> None:
        worker.task = task = asyncio.get_running_loop().create_task(
            worker.serve(), name="basix_ws_cti callback"
        )
        self._workers[task] = worker.queue
        task.add_done_callback(lambda task: self._workers.pop(task, None) and None)

    def call(self, event: str, item: object) -> None:
        """Call all callbacks of an event."""
        if callbacks := self._callbacks.get(event):
            for callback in tuple(callbacks.values()):
                self._call(event, callback, item)

    def frozen(self, event: str) -> Callable[[object], None]:
        """Return a ``call`` for the present callbacks of an event, while they are registered."""
        callbacks = self._callbacks.setdefault(event, {})
        tokens = tuple(callbacks)

        def call(item: object) -> None:
            for token in tokens:
                if token in callbacks:
                    self._call(event, callbacks[token], item)

        return call

    def _call(self, event: str, callback: Callable[[Any], None], item: object) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            callback(item)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            if event != "error":  # an error callback that raises would be called forever
                self.report(error, callback)
        if (took := clock() - began) > SLOW_CALLBACK:
            _logger.warning(
                "slow callback: %s for %s blocked the client for %.1f s; make it async",
                name_of(callback),
                event,
                took,
            )

    def report(self, error: BaseException, callback: object = None) -> None:
        """Call the ``"error"`` callbacks; ``callback`` is the one that raised, if one did."""
        if callback is not None:
            # The text of a foreign error is left out: it may quote a caller's name or number.
            text = f": {error}" if isinstance(error, UsageError) else ""
            _logger.error("a callback raised %s%s", type(error).__name__, text)
        self.call("error", error)

    async def finish(self) -> None:
        """Wait for asynchronous callbacks, then cancel them; ``FINISH_TIMEOUT`` bounds both."""
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
        for _ in workers:
            _logger.warning("a cancelled callback does not end")

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
                    if event != "error":  # an error callback that raises would be called forever
                        self.report(error, callback)
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


def name_of(callback: object) -> str:
    """Return a function's name for log lines."""
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _filtered(
    callback: Callable[[Any], object], wants: Callable[[Any], bool] | None
) -> Callable[[Any], None]:
    is_usable = True

    def call(item: Any) -> None:
        nonlocal is_usable
        if is_usable and (wants is None or wants(item)):
            result = callback(item)
            if result is not None:
                try:
                    refuse_awaitable(
                        f"the callback {name_of(callback)}",
                        result,
                        "pass the async function itself",
                    )
                except UsageError:
                    is_usable = False  # report it once, and not for each item
                    raise

    call.__qualname__ = name_of(callback)
    return call
