"""Months in milliseconds: an event loop whose clock jumps, and a PBX without a socket in it."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections import deque

import attrs

from basix_ws_cti import Channel, FieldSpec, InfoEvent, InitialInfo, User
from basix_ws_cti.exceptions import ConnectFailed, ConnectionLost


class _Selector(selectors.DefaultSelector):
    """Where nothing is ready, time passes at once."""

    loop = None

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self.loop.now += timeout
            if self.loop.now > 1e6:
                raise RuntimeError("it goes on and on")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    now = 0.0

    def __init__(self):
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.defects = []
        self.set_exception_handler(lambda _, context: self.defects.append(context))

    def time(self):
        return self.now


def run(coroutine):
    """Run on a virtual clock; nothing may go to the loop's exception handler, nor be left."""

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


def now():
    return asyncio.get_running_loop().time()


class Pbx:
    """Stands in for ``connect``, with a world of users and calls behind it.

    ``plan`` says what the next attempts meet, ``always`` what all others do: an exception to
    raise, a dict of a ``Line``'s settings, or a function of no arguments to one of them.
    ``history`` holds every state of the world there was, ``past`` every line.
    """

    def __init__(self, always=None):
        self.plan = deque()
        self.always = always
        self.world = {"user": {}, "channel": {}}
        self.history = [self.world]
        self.attempts = []
        self.lines = []
        self.past = []
        self.close_time = 0.0  # None: without a pause
        self.numbers = itertools.count(1)

    def __call__(self, server="fake", **options):
        return _Attempt(self)

    def say(self, *items):
        for line in self.lines:
            line.put(*items)

    def _become(self, kind, elements, *events):
        self.world = {**self.world, kind: elements}
        self.history.append(self.world)
        self.say(*(InfoEvent(kind, element, name) for element, name in events))

    def set_user(self, key):
        user, users = User(id=key, label=str(next(self.numbers))), self.world["user"]
        self._become("user", {**users, key: user}, (user, "updated" if key in users else "added"))

    def remove_user(self, key):
        users = dict(self.world["user"])
        user = users.pop(key, None)
        if user is not None:
            self._become("user", users, (user, "removed"))

    def call(self):
        leg = Channel(uuid=f"u{next(self.numbers)}", last_event="CHANNEL_CREATE")
        self._become("channel", {**self.world["channel"], leg.uuid: leg}, (leg, "added"))

    def hang_up(self, uuid=None):
        """End a call, the oldest if not told which; nothing, if it is over already."""
        legs = dict(self.world["channel"])
        leg = legs.pop(next(iter(legs), None) if uuid is None else uuid, None)
        if leg is not None:
            ended = attrs.evolve(leg, last_event="CHANNEL_HANGUP")
            self._become("channel", legs, (ended, "updated"), (ended, "removed"))

    def lose(self, error=None, *, cut=False):
        """Every line ends; what was not read yet is lost with ``cut``."""
        for line in self.lines:
            if cut:
                line.items.clear()
            line.put(ConnectionLost(1006) if error is None else error)


class _Attempt:
    def __init__(self, pbx):
        self.pbx = pbx

    def __repr__(self):
        return "<connect fake>"

    async def __aenter__(self):
        pbx = self.pbx
        assert not pbx.lines, "two sockets at once"
        pbx.attempts.append(now())
        await asyncio.sleep(0)
        fate = pbx.plan.popleft() if pbx.plan else pbx.always
        if callable(fate):
            fate = fate()
        if isinstance(fate, BaseException):
            raise fate
        self.line = Line(pbx.world, **(fate or {}))
        self.line.start = len(pbx.history) - 1
        pbx.lines.append(self.line)
        pbx.past.append(self.line)
        return self.line

    async def __aexit__(self, *_):
        try:
            if self.pbx.close_time is not None:
                await asyncio.sleep(self.pbx.close_time)
        finally:
            self.pbx.lines.remove(self.line)


class Line:
    """A connection: the picture first, at a pace in seconds a frame; it may end early.

    ``start`` is the moment in the history that the picture shows, ``read`` what was read of
    it so far (errors too), ``silent`` since when it says nothing at all.
    """

    start = 0
    silent = None
    is_paused = False

    def __init__(self, world, *, pace=0.0, frames=None, ending=None, first=()):
        self.pace = pace
        self.items = deque(first)
        self.ready = asyncio.Event()
        self.frames_read = self.bytes_read = 0
        self.sent = []
        self.read = []
        items = [
            *(FieldSpec(kind, ("id",)) for kind in world),
            *(InitialInfo(kind, dict(elements)) for kind, elements in world.items()),
        ]
        self.put(*items[:frames])
        if frames is not None:
            self.put(ConnectionLost(1006) if ending is None else ending)
            self.put = lambda *_: None

    def put(self, *items):
        self.items.extend(items)
        self.ready.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.pace is not None:  # else: without a pause while there is something
            await asyncio.sleep(self.pace)
        while self.silent is not None or not self.items:
            self.ready.clear()
            await self.ready.wait()
        return self._take()

    def _take(self):
        item = self.items.popleft()
        self.read.append(item)
        if isinstance(item, BaseException):
            raise item
        self.frames_read += 1
        self.bytes_read += 10
        return item

    def receive_nowait(self):
        if self.pace is not None or self.silent is not None or not self.items:
            return None
        return self._take()

    async def ping(self):
        if self.silent is not None:
            await asyncio.Event().wait()

    def abort(self):
        self.silent = None
        self.items = deque([ConnectionLost(1006)])
        self.ready.set()

    async def send(self, command):
        self.sent.append(command)


def picture(mirror):
    """What a mirror shows, to be compared with a ``Pbx.world``."""
    return {"user": dict(mirror.users), "channel": dict(mirror.channels)}


def down_until(moment):
    """What an attempt meets while the network is down."""
    return lambda: ConnectFailed("no route to host") if now() < moment else None
