"""Live feed without a connection: its runner gets the messages from a test."""

from __future__ import annotations

import asyncio

from basix_ws_cti import InitialInfo, Stopped, Synced, Syncing
from basix_ws_cti.client.live_feed import FeedCore, LiveFeed
from basix_ws_cti.elements import User


class Runner:
    """Applies the messages that a test passes to ``receive``."""

    traffic = None

    def __init__(self, core):
        self._core = core
        self._deliver = {
            **core.dispatcher.deliveries(),
            Syncing: core.state.enter,
            Synced: core.state.enter,
        }

    async def run(self):
        self._process(self._core.session.connected())
        self.receive(InitialInfo("user", {1: User(id=1)}))
        self._process(self._core.session.idle(1))
        await asyncio.Event().wait()

    def receive(self, message):
        self._process(self._core.session.receive(message, 0))

    def _process(self, notifications):
        for item in notifications:
            if item is not None:
                self._deliver[type(item)](item)
            self._core.state.wake()

    def stop(self, reason):
        self._core.state.enter(Stopped(reason))
        self._core.dispatcher.end(reason)


def make_feed():
    """Return a live feed and its runner."""
    core = FeedCore("feed", "async with feed:")
    runner = Runner(core)
    return LiveFeed(core, runner), runner
