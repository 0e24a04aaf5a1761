"""Current state of a client, and waiting for conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from basix_ws_cti.exceptions import ClientClosed, UsageError, WaitTimeout
from basix_ws_cti.session.status import ClientState, Stopped

from .callbacks import Callbacks

R = TypeVar("R")


class _Waiter(Generic[R]):
    """Condition that a task waits for, and its result once it is met."""

    def __init__(self, condition: Callable[[], R]) -> None:
        self.woken = asyncio.get_running_loop().create_future()
        """Done once the task has nothing more to wait for."""
        self.result: R | None = None
        """First true value of the condition; ``None``: it is not met."""
        self.error: BaseException | None = None
        """Exception that the condition raised."""
        self._condition = condition

    def check(self) -> bool:
        """Call the condition; return True if it is met, or if it raised an exception."""
        try:
            self.result = self._condition() or None
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised by the task
            self.error = error
        return self.is_settled

    @property
    def is_settled(self) -> bool:
        """True if the condition is met, or if it raised an exception."""
        return self.result is not None or self.error is not None


class StateHolder:
    """Holds the client's state, notifies ``"state"`` callbacks and wakes waiting tasks.

    ``subject`` names the client in an error, ``usage`` is the code that runs it.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        subject: str = "client",
        usage: str = "async with Client(...) as client:",
    ) -> None:
        self.current: ClientState = Stopped(None)
        self._callbacks = callbacks
        self._misuse = f"the {subject} is not running: use `{usage}`"
        self._waiters: set[_Waiter[object]] = set()
        self._was_entered = False
        self._watchers: list[Callable[[], None]] = []

    @property
    def has_stopped(self) -> bool:
        """True before the client runs and after it has stopped."""
        return isinstance(self.current, Stopped)

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` whenever the state or the mirror may have changed.

        Everything that follows from the change has been delivered by then, except for a change of
        state, of which the callbacks are notified afterwards. It must not raise an exception.
        """
        self._watchers.append(callback)

    def enter(self, state: ClientState) -> None:
        """Enter a state."""
        self.current = state
        self._was_entered = True
        self.wake()
        self._callbacks.call("state", state)

    def wake(self) -> None:
        """Check the conditions of waiting tasks: the state or the mirror has changed.

        They are checked here and not by the tasks: before those run, the next message may make a
        condition false again.
        """
        if self._waiters:
            for waiter in tuple(self._waiters):
                if not waiter.woken.done() and (waiter.check() or self.has_stopped):
                    waiter.woken.set_result(None)
        for watcher in self._watchers:
            watcher()

    async def wait_until(
        self,
        condition: Callable[[], R],
        description: str,
        timeout: float | None,  # noqa: ASYNC109 - part of the client's interface
    ) -> R:
        """Wait until ``condition()`` returns a true value, and return that value.

        The condition is checked after each change. Raises ``WaitTimeout`` with the description
        after ``timeout`` seconds (``None``: no limit), the error that stopped the client,
        ``ClientClosed`` if its block is left, and whatever the condition raises.
        """
        waiter = _Waiter(condition)
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                if not waiter.check():
                    self.raise_if_stopped()
                    await self._wait(waiter)
        except TimeoutError:
            if not scope.expired():
                raise  # the error that stopped the client
            if not waiter.is_settled:  # it may be met in the moment of the time-out
                raise WaitTimeout(description, timeout or 0) from None
        if waiter.error is not None:
            raise waiter.error
        if waiter.result is None:
            self.raise_if_stopped()
        return cast("R", waiter.result)

    def raise_if_stopped(self) -> None:
        """Raise the error that stopped the client.

        Raises ``ClientClosed`` after its block was left, and ``UsageError`` before it was entered.
        """
        if isinstance(self.current, Stopped):
            reason: Exception | None = self.current.reason
            if reason is None and self._was_entered:
                reason = ClientClosed()
            elif reason is None:
                reason = UsageError(self._misuse)
            # Each raise would add its frames to the traceback and keep their variables alive.
            raise reason.with_traceback(None)

    async def _wait(self, waiter: _Waiter[R]) -> None:
        self._waiters.add(waiter)  # type: ignore[arg-type]
        try:
            await waiter.woken
        finally:
            self._waiters.discard(waiter)
