"""Functions that are called back: sync ones at once, async ones by a task of their own."""

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

# A synchronous callback that takes so many seconds keeps pings from being answered.
SLOW_CALLBACK = 1.0

# Seconds that callbacks have at the end, and once more after they were cancelled.
PATIENCE = 0.2


class Callbacks:
    """What is called at each event; an event has a name and one item to tell.

    Whatever a callback raises is an ``"error"`` event itself, and harms nobody.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, dict[object, Callable[[Any], None]]] = {}
        # Those who await asynchronous callbacks, and what they are given.
        self._workers: dict[asyncio.Task[None], Subscription[Any]] = {}

    @property
    def queues(self) -> Iterable[Subscription[Any]]:
        """What waits for asynchronous callbacks."""
        return self._workers.values()

    def add(
        self,
        event: str,
        callback: Callable[..., object],
        subscription: Subscription[Any],
        *,
        told_elsewhere: bool = False,
    ) -> Callable[[], None]:
        """Call ``callback(item)`` at an event; returns the function that ends it.

        ``subscription`` is its queue if it is asynchronous, otherwise of that the filter
        alone is used; ``told_elsewhere``: somebody else offers it the items, and the callback
        is given a ``Lagged`` as well. To others that is an error event, for they know nothing
        but the items.
        """
        sort = callback_kind("a callback", callback)
        if sort == "generator":
            raise UsageError("a callback is an async generator, which nobody would iterate over")
        callbacks, token = self._callbacks.setdefault(event, {}), object()
        if sort == "sync":
            subscription.close()
            callbacks[token] = _filtered(callback, subscription.wants)
            return lambda: callbacks.pop(token, None) and None
        if not told_elsewhere:
            callbacks[token] = subscription.offer
        worker = asyncio.get_running_loop().create_task(
            self._serve(event, subscription, callback, takes_lagged=told_elsewhere),
            name="basix_ws_cti callback",
        )
        self._workers[worker] = subscription
        worker.add_done_callback(lambda worker: self._workers.pop(worker, None) and None)

        def end() -> None:
            callbacks.pop(token, None)
            subscription.close()
            if worker is not asyncio.current_task():  # a callback may end itself
                worker.cancel()

        return end

    def call(self, event: str, item: object) -> None:
        """Tell of an event."""
        if callbacks := self._callbacks.get(event):
            for callback in tuple(callbacks.values()):
                self._call(event, callback, item)

    def current(self, event: str) -> Callable[[object], None]:
        """A ``call`` for those who are registered now, as long as they are."""
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
            if event != "error":  # or it would go round for ever
                self.report(error, callback)
        if (took := clock() - began) > SLOW_CALLBACK:
            _logger.warning(
                "the callback %s for %ss kept the client from reading for %.1f s: make it async",
                name_of(callback),
                event,
                took,
            )

    def report(self, error: BaseException, callback: object = None) -> None:
        """Tell of an error; ``callback`` is what raised it, if one did."""
        if callback is not None:
            # Not its text: a user's exception may quote whom the call is from.
            _logger.error("a callback raised %s", type(error).__name__)
        self.call("error", error)

    async def finish(self) -> None:
        """Let callbacks finish what they are at, then cancel them, and wait for neither long."""
        me = asyncio.current_task()  # a callback may leave the block
        workers = {worker for worker in self._workers if worker is not me}
        if not workers:
            return
        try:
            _, workers = await asyncio.wait(workers, timeout=PATIENCE)
        finally:  # who is cancelled here, and waits no longer, leaves none behind either
            for worker in workers:
                worker.cancel()
        if workers:
            _, workers = await asyncio.wait(workers, timeout=PATIENCE)
        for _ in workers:
            _logger.warning("a callback does not end though it was cancelled")

    async def _serve(
        self,
        event: str,
        items: Subscription[Any],
        callback: Callable[..., Any],
        *,
        takes_lagged: bool,
    ) -> None:
        try:
            async for item in items:
                if isinstance(item, Lagged) and not takes_lagged:
                    if event != "error":
                        self.report(SubscriberLagged(items.size))
                    continue
                try:
                    await callback(item)
                except (Exception, asyncio.CancelledError) as error:
                    # A callback's error harms nobody else.
                    if is_cancelled(error):
                        raise
                    if event != "error":  # or it would go round for ever
                        self.report(error, callback)
                if is_cancelled():
                    return  # though the callback kept that to itself
        except SubscriberLagged as error:
            self.report(error)
        except Exception:  # noqa: BLE001, S110 - what ended the client is told elsewhere
            pass


def is_cancelled(error: BaseException | None = None) -> bool:
    """Whether this task itself is to end, not something that a user's function waited for."""
    task = asyncio.current_task()
    mine = error is None or isinstance(error, asyncio.CancelledError)
    return mine and task is not None and task.cancelling() > 0


def name_of(callback: object) -> str:
    """What a function is called in a log line."""
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def _filtered(
    callback: Callable[[Any], object], wants: Callable[[Any], bool] | None
) -> Callable[[Any], None]:
    def tell(item: Any) -> None:
        if wants is None or wants(item):
            callback(item)

    tell.__qualname__ = name_of(callback)
    return tell
