"""``cd tests && python -m support.report_image``: the image of a report in the README and docs.

It is the upper part of the page of a month, with random calls, in Chromium.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from support.browser import open_browser, open_view
from support.paths import ROOT
from support.report_pages import MONTH, call_centre_page

IMAGE = ROOT / "docs" / "_static" / "report.png"

# Pixels: up to the end of the first chart.
HEIGHT = 960


async def main():
    """Write the image."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "report.html"
        path.write_text(call_centre_page(Path(name), MONTH, gaps=0), encoding="utf-8")
        async with open_browser() as browser:
            view = await open_view(browser, path, "wide")
            clip = {"x": 0, "y": 0, "width": 1280, "height": HEIGHT}
            await view.page.screenshot(path=IMAGE, clip=clip, full_page=True)


if __name__ == "__main__":
    asyncio.run(main())
