"""Callbacks: synchronous ones are called at once, asynchronous ones by one task each."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti.exceptions import SubscriberLagged, UsageError
from basix_ws_cti.mirror.changes import Lagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .subscriptions import Subscription

_logger = logging.getLogger(__name__)

# Seconds. A synchronous callback that takes longer delays the answers to the PBX's pings.
SLOW_CALLBACK = 1.0

# Seconds that asynchronous callbacks have to finish when the client stops, and once more after they
# were cancelled.
FINISH_TIMEOUT = 0.2


class Callbacks:
    """Registry of callbacks by event name; each event carries one item.

    An exception in a callback is logged and becomes an ``"error"`` event. It affects no other
    callback.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, dict[object, Callable[[Any], None]]] = {}
        # Tasks that await asynchronous callbacks, with their queues.
        self._workers: dict[asyncio.Task[None], Subscription[Any]] = {}

    @property
    def queues(self) -> Iterable[Subscription[Any]]:
        """Queues of the asynchronous callbacks."""
        return self._workers.values()

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
        worker = asyncio.get_running_loop().create_task(
            self._serve(event, subscription, callback, takes_lagged=is_fed),
            name="basix_ws_cti callback",
        )
        self._workers[worker] = subscription
        worker.add_done_callback(lambda worker: self._workers.pop(worker, None) and None)

        def unregister() -> None:
            callbacks.pop(token, None)
            subscription.close()
            if worker is not asyncio.current_task():  # a callback may unregister itself
                worker.cancel()

        return unregister

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
            # The error's text is left out: it may quote a caller's name or number.
            _logger.error("a callback raised %s", type(error).__name__)
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


def name_of(callback: object) -> str:
    """Return a function's name for log lines."""
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _filtered(
    callback: Callable[[Any], object], wants: Callable[[Any], bool] | None
) -> Callable[[Any], None]:
    def call(item: Any) -> None:
        if wants is None or wants(item):
            callback(item)

    call.__qualname__ = name_of(callback)
    return call
