"""``python docs/pictures.py``: the images of the README and the docs, from the program itself.

They show the simulated PBX. The SVG files are of a fixed moment of a fixed day, and have the same
bytes each time. Chromium draws the others, which need playwright: the social card, and the
wallboard in the browser after some minutes of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
from basix_ws_cti.simulator import Pbx, Simulator, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.session_frames import initial_frames
from basix_ws_cti.simulator.timeline import Timeline

if TYPE_CHECKING:
    from playwright.async_api import Page

HERE = Path(__file__).parent

SIZE = (140, 34)

CELL = 12.2
"""The width of a column in rich's SVG."""


class Staged:
    """A ``Source`` without a connection; its time passes only in ``advance``."""

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
        """Let simulated time pass, with its events."""
        self.timeline.advance(seconds)

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id."""
        return self._tracker.calls

    def now(self) -> datetime:
        """Return the time of the simulated PBX."""
        return datetime.fromtimestamp(self.pbx.now / 1_000_000, UTC)

    async def messages(self) -> AsyncIterator[tuple[datetime, object]]:
        """Yield nothing: the image shows the state and the calls only."""
        for never in ():
            yield never

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent]]:
        """Yield call events, until ``None`` or an error is put into ``events``."""
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield self.now(), event

    async def synced(self) -> Mirror:
        """Return the mirror, which is always complete."""
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
    """Return the terminal wallboard as SVG."""
    return asyncio.run(_top())


# Names of the SVG files, and the functions that return their text.
PICTURES: dict[str, Callable[[], str]] = {
    "top.svg": top,
}


def stable(svg: str) -> str:
    """Return an image with names that do not differ between runs, and wide characters.

    Rich measures a text in characters instead of columns.
    """

    def measured(text: re.Match[str]) -> str:
        return f'textLength="{CELL * cell_len(unescape(text["text"])):g}"{text["rest"]}'

    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return re.sub(r'textLength="[\d.]+"(?P<rest>[^>]*>(?P<text>[^<]*))', measured, svg)


CARD = """<!doctype html>
<style>
  * {{ box-sizing: border-box; margin: 0 }}
  body {{ width: 1200px; height: 630px; overflow: hidden; background: #0b2038; color: #fff;
         font: 30px/1.35 "Noto Sans CJK JP", "DejaVu Sans", sans-serif; padding: 48px 56px 0 }}
  h1 {{ font-size: 64px; line-height: 1.1; display: flex; align-items: center; gap: 28px }}
  h1 svg {{ width: 72px; height: 72px }}
  p {{ margin: 18px 0 30px; color: #c7dbf2 }}
  div {{ border-radius: 12px; overflow: hidden }}
  div svg {{ display: block; width: 1088px; height: auto }}
</style>
<h1>{logo}basix_ws_cti</h1>
<p>Python client for the live CTI feed of Basix, Brastel's cloud PBX</p>
<div>{board}</div>
"""
"""Page of the social card; 1200 × 630 pixels is the size that social networks show in full."""


@contextlib.asynccontextmanager
async def _open_page(width: int, height: int) -> AsyncIterator[Page]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - tests import this module

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            # The sandbox does not work for root, who draws the images in containers.
            args=[] if os.getuid() else ["--no-sandbox"],
        )
        try:
            yield await browser.new_page(viewport={"width": width, "height": height})
        finally:
            await browser.close()


async def _draw_card(path: Path, board: str) -> None:
    logo = (HERE / "_static" / "favicon.svg").read_text(encoding="utf-8")
    async with _open_page(1200, 630) as page:
        await page.set_content(CARD.format(logo=logo, board=board))
        await page.screenshot(path=path)


async def _draw_web(path: Path, seconds: float = 60) -> None:
    with Simulator(seed=8, users=20, rate=15, speed=20) as pbx:
        login = pbx.connect_args
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "basix_ws_cti", "web", "--listen", "127.0.0.1:0"),
            *("--server", pbx.url, "--domain", login["domain"], "--full-events", "--site", "acme"),
            env={**os.environ, "BASIX_TOKEN": login["token"], "LANGUAGE": "en", "TZ": "Asia/Tokyo"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            line = (await process.stdout.readline()).decode()
            async with _open_page(1280, 745) as page:
                await page.goto(line[line.index("http") :].strip())
                await page.wait_for_timeout(seconds * 1000)
                await page.screenshot(path=path)
        finally:
            process.terminate()
            await process.wait()


def main(folder: Path = HERE / "_static") -> None:
    """Draw all images."""
    folder.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (folder / name).write_text(stable(draw()), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{folder / name}\n")
    asyncio.run(_draw_card(folder / "card.png", (folder / "top.svg").read_text(encoding="utf-8")))
    asyncio.run(_draw_web(folder / "web.png"))


if __name__ == "__main__":
    main()
