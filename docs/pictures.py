"""``python docs/pictures.py``: the pictures of the README and the docs, from the program itself.

They are of the simulator's world, at a fixed moment of a fixed day: the same bytes each time.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any, cast

from rich.cells import cell_len
from textual.pilot import Pilot

from basix_ws_cti import (
    Call,
    CallEvent,
    CallTracker,
    ClientState,
    ConnectionLost,
    Gap,
    MessageParser,
    Mirror,
    Synced,
)
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.cli.wallboard.app import Wallboard
from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.session_frames import initial_frames
from basix_ws_cti.simulator.timeline import Timeline

HERE = Path(__file__).parent

SIZE = (140, 34)

CELL = 12.2
"""The width of a column in rich's SVG."""


class Staged:
    """A ``Source`` without a connection, whose time passes only in ``advance``."""

    def __init__(self, *, seed: int = 1, users: int = 5, rate: float = 9) -> None:
        self.mirror = Mirror()
        self.state: ClientState = Synced()
        self.pbx = Pbx(seed)
        scenarios.populate(self.pbx, users)
        self._tracker = CallTracker()
        self._parser, self._writer = MessageParser(), Writer()
        self.events: asyncio.Queue[CallEvent | Exception | None] = asyncio.Queue()
        records = {
            kind: [self._writer.record(kind, one) for one in elements.values()]
            for kind, elements in self.pbx.snapshot().items()
        }
        for frame in initial_frames(self._writer, records):
            self._take(frame)
        self.pbx.listeners.append(
            lambda kind, _, picture, name: self._take(
                self._writer.info_event(kind, self._writer.record(kind, picture), name)
            )
        )
        self.timeline = Timeline(self.pbx)
        if rate:
            self.timeline.start(scenarios.day(self.pbx, self.timeline, rate))

    def _take(self, frame: bytes) -> None:
        for event in self._tracker.apply(self.mirror.apply(self._parser.parse(frame))):
            self.events.put_nowait(event)

    def advance(self, seconds: float) -> None:
        """Let time pass, and happen what falls into it."""
        self.timeline.advance(seconds)

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls that go on."""
        return self._tracker.calls

    def now(self) -> datetime:
        """The simulated PBX's time."""
        return datetime.fromtimestamp(self.pbx.now / 1_000_000, UTC)

    async def messages(self) -> AsyncIterator[tuple[datetime, object]]:
        """None: the picture is all there is."""
        for never in ():
            yield never

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent]]:
        """What happens to calls, until ``None`` or an error is put into ``events``."""
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield self.now(), event

    async def synced(self) -> Mirror:
        """It always is."""
        return self.mirror


def busy() -> Staged:
    """Return a PBX that is about to have a busy time: ``pass_time`` leads to it."""
    return Staged(seed=8, users=24, rate=24)


async def pass_time(pilot: Pilot[Any], staged: Staged, seconds: int = 360) -> None:
    """Let time pass while a wallboard is open, so that it counts calls and has sparklines.

    The wallboard draws once for each step, and never by its own timer: it is paused in between.
    """
    step = 30
    app = cast("Wallboard", pilot.app)
    await pilot.pause()
    app.tick()
    for _step in range(seconds // step):
        app.is_paused = True
        staged.advance(step)
        while not staged.events.empty():
            await pilot.pause()
        app.is_paused = False
        app.tick()
    await pilot.pause()


async def _top() -> str:
    staged = busy()
    history = FeedHistory(staged.now)
    history(Synced())
    app = Wallboard(staged, history, UTC)
    async with app.run_test(size=SIZE) as pilot:
        await pass_time(pilot, staged)
        now = staged.now()
        started, ended = now - timedelta(seconds=95), now - timedelta(seconds=91.4)
        history(Gap(started, ended, ConnectionLost(1006)))
        app.tick()
        await pilot.pause()
        return app.export_screenshot(title="basix-ws-cti top")


def top() -> str:
    """The wallboard."""
    return asyncio.run(_top())


# What is to be drawn: the file's name, and what makes its text.
PICTURES: dict[str, Callable[[], str]] = {
    "top.svg": top,
}


def stable(svg: str) -> str:
    """A picture whose names don't change from run to run, and whose wide characters are wide.

    Rich measures a text in characters where it means columns.
    """

    def measured(text: re.Match[str]) -> str:
        return f'textLength="{CELL * cell_len(unescape(text["text"])):g}"{text["rest"]}'

    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return re.sub(r'textLength="[\d.]+"(?P<rest>[^>]*>(?P<text>[^<]*))', measured, svg)


def main(folder: Path = HERE / "_static") -> None:
    """Draw all pictures."""
    folder.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (folder / name).write_text(stable(draw()), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
