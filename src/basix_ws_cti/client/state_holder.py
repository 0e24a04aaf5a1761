"""Current state of a client, and waiting for conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from basix_ws_cti.exceptions import UsageError, WaitTimeout
from basix_ws_cti.session.status import ClientState, Stopped

from .callbacks import Callbacks

R = TypeVar("R")


class StateHolder:
    """Holds the client's state, notifies ``"state"`` callbacks and wakes waiting tasks."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.current: ClientState = Stopped(None)
        self._callbacks = callbacks
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def has_stopped(self) -> bool:
        """True before the client runs and after it has stopped."""
        return isinstance(self.current, Stopped)

    def enter(self, state: ClientState) -> None:
        """Enter a state."""
        self.current = state
        self.wake()
        self._callbacks.call("state", state)

    def wake(self) -> None:
        """Let waiting tasks check their conditions again: the state or the mirror has changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_until(
        self,
        condition: Callable[[], R],
        description: str,
        timeout: float | None,  # noqa: ASYNC109 - part of the client's interface
    ) -> R:
        """Wait until ``condition()`` returns a true value, and return that value.

        The condition is checked after each change. Raises ``WaitTimeout`` with the description
        after ``timeout`` seconds (``None``: no limit), the error that stopped the client, and
        whatever the condition raises.
        """
        result: R
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                while not (result := condition()):
                    self.raise_if_stopped()
                    await self._wait()
        except TimeoutError:
            if not scope.expired():
                raise  # raised by the condition itself
            raise WaitTimeout(description, timeout or 0) from None
        return result

    def raise_if_stopped(self) -> None:
        """Raise the error that stopped the client, or ``UsageError`` outside its block."""
        if isinstance(self.current, Stopped):
            reason = self.current.reason or UsageError(
                "the client is not running: use `async with Client(...) as client:`"
            )
            # Each raise would add its frames to the traceback and keep their variables alive.
            raise reason.with_traceback(None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
