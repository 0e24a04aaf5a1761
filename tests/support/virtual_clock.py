"""Event loop with a virtual clock: months pass in milliseconds."""

from __future__ import annotations

import asyncio
import functools
import math
import selectors


class _Selector(selectors.DefaultSelector):
    """Selector that advances the clock instead of waiting."""

    loop = None

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: all tasks wait and no timer is set")
            self.loop.now += timeout
            if self.loop.now > 1e6:
                raise RuntimeError("the test does not end")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock is the attribute ``now``, in seconds.

    ``now`` jumps to the next timer when no task can run. A test may advance it to imitate work
    that takes time. ``defects`` holds what reached the exception handler. The functions in
    ``on_iteration`` are called at the start of each iteration.
    """

    now = 0.0

    def __init__(self):
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.defects = []
        self.on_iteration = []
        self.set_exception_handler(lambda _, context: self.defects.append(context))

    def time(self):
        return self.now

    @property
    def _clock_resolution(self):
        """Time by which asyncio lets timers run early: here, only a timer of this moment runs.

        With asyncio's own value, a task that waits for a moment could be woken shortly before it,
        and would wait again: forever, since the clock advances only when no task can run.
        """
        return math.ulp(self.now)

    @_clock_resolution.setter
    def _clock_resolution(self, _):
        pass  # set by asyncio

    def _run_once(self):
        for function in self.on_iteration:
            function()
        super()._run_once()


def run(coroutine):
    """Run a coroutine on a virtual clock and return its result.

    Fails if a task is left over, or if the loop's exception handler was called.
    """

    async def main():
        result = await coroutine
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        result = runner.run(main())
        assert loop.defects == []
        return result


def on_virtual_clock(test):
    """Run an async test on a virtual clock, as ``run`` does."""

    @functools.wraps(test)
    def run_test(*arguments, **options):
        run(test(*arguments, **options))

    return run_test


def now():
    """Return the running loop's time in seconds."""
    return asyncio.get_running_loop().time()


class VirtualUnixTime:
    """Clock of a machine on a virtual clock: seconds since the epoch; ``shift`` sets it."""

    START = 1_800_000_000.0

    def __init__(self):
        self.shift = 0.0

    def __call__(self):
        return self.START + now() + self.shift


class IterationLog:
    """Items that a test receives, grouped by the iteration of the event loop.

    - ``seconds``: time that the clock advances with each item.
    - ``observe``: called with this log at the start of each iteration.
    """

    def __init__(self, seconds=0.0, observe=None):
        self.iterations = [[]]
        self._seconds = seconds
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._loop.on_iteration.append(self._iterate)

    def _iterate(self):
        if self._observe is not None:
            self._observe(self)
        if self.iterations[-1]:
            self.iterations.append([])

    def append(self, item):
        """Record an item."""
        self.iterations[-1].append(item)
        self._loop.now += self._seconds

    @property
    def items(self):
        """All items, oldest first."""
        return [item for iteration in self.iterations for item in iteration]
