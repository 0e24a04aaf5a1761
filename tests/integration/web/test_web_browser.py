"""The page of the browser wallboard with its real server: updates, first paint, a frozen server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from zoneinfo import ZoneInfo

import pytest
from support.browser import open_browser, until
from support.staged_simulator import quiet, talk
from support.web_server import serve

from basix_ws_cti.web import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STALE = "document.documentElement.dataset.stale"


def watch(page):
    """Return the list of the page's messages and of its requests to other servers."""
    found = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request",
        lambda request: None if "://127.0.0.1:" in request.url else found.append(request.url),
    )
    return found


async def test_calls_of_the_feed_appear_and_the_first_paint_needs_under_150_kb():
    staged = quiet()
    app = create_app(staged, zone=ZoneInfo("Asia/Tokyo"))
    async with serve(app) as port, open_browser() as browser:
        page = await browser.new_page()
        messages = watch(page)
        await page.goto(f"http://127.0.0.1:{port}/?mode=desk&lang=en")
        await until(page, f"{STALE} === 'false'")
        assert await page.locator(".call").count() == 0
        talk(staged)
        await until(page, "document.querySelectorAll('.call').length === 1")
        assert "talking with" in await page.inner_text(".call")
        size = await page.evaluate(
            "performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)"
        )
        assert 10_000 < size < 150_000
        for mode in ("tv", "phone"):
            await page.goto(f"http://127.0.0.1:{port}/?mode={mode}&lang=ja")
            await until(page, f"{STALE} === 'false'")
        assert not messages
        await page.close()


@pytest.mark.timing
async def test_first_paint_comes_within_1_s():
    async with serve(create_app(quiet(), zone=ZoneInfo("UTC"))) as port, open_browser() as browser:
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        await until(page, paint)
        assert await page.evaluate(paint) < 3_000
        await page.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
async def test_frozen_server_makes_the_page_stale_until_it_goes_on():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "basix_ws_cti", "web", "--simulate", "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        line = (await process.stdout.readline()).decode()
        async with open_browser() as browser:
            page = await browser.new_page(locale="en")
            await page.goto(line[line.index("http") :].strip())
            await until(page, f"{STALE} === 'false'")
            os.kill(process.pid, signal.SIGSTOP)
            await until(page, f"{STALE} === 'true'")
            assert "no data since" in await page.inner_text(".stale-notice")
            assert await page.locator(".tile .digits").count() == 6
            os.kill(process.pid, signal.SIGCONT)
            await until(page, f"{STALE} === 'false'")
            assert await page.locator(".stale-notice").is_hidden()
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.kill()
        await process.wait()
