"""Source of given messages, for tests of the output."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from datetime import UTC, datetime, timedelta

from basix_ws_cti import MessageParser, Mirror, Synced
from basix_ws_cti.calls import CallTracker
from basix_ws_cti.cli.commands.listen import print_source

BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class ScriptedSource:
    """Source of messages, or of frames that it parses, one per second."""

    def __init__(self, items):
        self._script = items
        self._parser = MessageParser()
        self.mirror = Mirror()
        self.state = Synced()
        self.tracker = CallTracker()
        self._now = BEGIN

    @property
    def calls(self):
        return self.tracker.calls

    def now(self):
        return self._now

    async def _items(self):
        for one in self._script:
            message = self._parser.parse(one) if isinstance(one, bytes) else one
            changes = self.mirror.apply(message)
            yield message, self.tracker.apply(changes)
            self._now += timedelta(seconds=1)

    async def messages(self):
        async for message, _ in self._items():
            yield self._now, message

    async def call_events(self):
        async for _, events in self._items():
            for event in events:
                yield self._now, event

    async def synced(self):
        async for _ in self._items():
            pass
        return self.mirror


def printed_lines(items, options):
    """Return the lines that ``print_source`` prints for messages or frames."""
    return capture_lines(print_source(ScriptedSource(items), options))


def capture_lines(coroutine):
    """Run a coroutine and return the lines that it prints; stdout has no file descriptor."""
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        asyncio.run(coroutine)
        sys.stdout.flush()
        text = sys.stdout.buffer.getvalue().decode()
    return text.splitlines()
