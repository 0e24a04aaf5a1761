"""``cd tests && python -m support.web_image``: the image of a screen on the wall in the docs."""

from __future__ import annotations

import asyncio

from support.browser import open_browser
from support.paths import ROOT
from support.web_documents import document
from support.web_page import open_web_page

IMAGE = ROOT / "docs" / "_static" / "web-tv.png"

SIZE = {"width": 1200, "height": 675}


async def main():
    """Write the image."""
    async with open_browser() as browser, open_web_page(browser, **SIZE) as web:
        await web.show(document(alarms=[3], warnings=[1]), "?mode=tv")
        await web.page.screenshot(path=IMAGE)


if __name__ == "__main__":
    asyncio.run(main())
