"""Pages in the system's Chromium, and measurements of what is drawn there."""

from __future__ import annotations

import asyncio
import contextlib
import os

from attrs import field, frozen
from playwright.async_api import Page, async_playwright

from support.programs import find_program
from support.waiting import TIMEOUT

A4_WIDTH = 703
"""Width of an A4 page in pixels, less the margins of 12 mm."""

A4_HEIGHT = 1009
"""Height of an A4 page in pixels, less the margins of 14 and 16 mm."""

# Media, width in pixels and colour scheme, by the name of the view.
VIEWS = {
    "wide": ("screen", 1280, "light"),
    "wide dark": ("screen", 1280, "dark"),
    "phone": ("screen", 390, "light"),
    "phone dark": ("screen", 390, "dark"),
    "print": ("print", A4_WIDTH, "dark"),
}


@frozen
class View:
    """A page in the browser, and what happened while it was loaded."""

    page: Page
    requests: list[str] = field(factory=list)
    messages: list[str] = field(factory=list)

    async def boxes(self, selector):
        """Return the visible elements of a selector: text, and edges in pixels of the page."""
        return await self.page.evaluate(_BOXES, selector)

    async def colours(self, selector):
        """Return fill, stroke, text colour and background of each element, as CSS texts."""
        return await self.page.evaluate(_COLOURS, selector)


@contextlib.asynccontextmanager
async def open_browser():
    """Run the system's Chromium for a time."""
    # The sandbox does not work for root, who runs the tests in containers.
    arguments = [] if os.getuid() else ["--no-sandbox"]
    async with async_playwright() as playwright:
        path = find_program("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


async def open_view(browser, path, name):
    """Return a file in the browser; ``name`` is that of a view."""
    media, width, scheme = VIEWS[name]
    page = await browser.new_page(viewport={"width": width, "height": 900})
    await page.emulate_media(media=media, color_scheme=scheme)
    view = View(page)
    page.on("request", lambda request: view.requests.append(request.url))
    page.on("console", lambda message: view.messages.append(message.text))
    page.on("pageerror", lambda error: view.messages.append(str(error)))
    page.on("dialog", lambda dialog: view.messages.append(f"dialog: {dialog.message}"))
    await page.goto(path.as_uri())
    return view


async def until(page, expression, advance=None):
    """Wait until an expression is true in a page; Playwright's own function needs a weaker policy.

    ``advance``: async function that is called between two looks; ``None``: only time passes.
    """
    async with asyncio.timeout(TIMEOUT):
        while not await page.evaluate(expression):
            if advance is not None:
                await advance()
            await asyncio.sleep(0.02)


def overlaps(boxes):
    """Return the pairs of texts that cover each other by more than a pixel."""
    return [
        (one["text"], other["text"])
        for index, one in enumerate(boxes)
        for other in boxes[index + 1 :]
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 1
    ]


def contrast(one, other):
    """Return the contrast of two CSS colours, 1 to 21, as WCAG defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour):
    assert colour.startswith("rgb("), colour
    channels = [int(one) / 255 for one in colour[4:-1].split(",")]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


_BOXES = """selector => [...document.querySelectorAll(selector)].map(element => {
    const box = element.getBoundingClientRect();
    return {
        text: element.textContent, className: element.getAttribute("class"),
        left: box.left + scrollX, right: box.right + scrollX,
        top: box.top + scrollY, bottom: box.bottom + scrollY,
        width: box.width, height: box.height,
        scrollWidth: element.scrollWidth, clientWidth: element.clientWidth,
        scrollHeight: element.scrollHeight, clientHeight: element.clientHeight,
        size: parseFloat(getComputedStyle(element).fontSize),
    };
}).filter(box => box.width && box.height)"""

_COLOURS = """selector => [...document.querySelectorAll(selector)].map(element => {
    const style = getComputedStyle(element);
    const before = element.previousElementSibling;
    return {
        className: element.getAttribute("class"), fill: style.fill, stroke: style.stroke,
        color: style.color, background: style.backgroundColor,
        below: before ? getComputedStyle(before).fill : "",
    };
})"""
