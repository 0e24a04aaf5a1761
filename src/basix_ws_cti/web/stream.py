"""Server-sent events: the response that carries the frames of a view to one browser.

The stream ends, and the page connects again, when the browser has left, when it is too slow, when
its access ends, when the server stops, or after ``MAX_DURATION``. The last bound is for a server
that is not ours: it waits for open responses before it stops, and nothing announces that.

See https://html.spec.whatwg.org/multipage/server-sent-events.html for the format.
"""

from __future__ import annotations

import asyncio
import random

from starlette.types import Receive, Scope, Send

from .mailbox import Mailbox
from .security_headers import STREAM_HEADERS

MAX_DURATION = 600.0
"""Time after which a stream ends, in seconds; up to a tenth less, so that pages do not reconnect at
the same time."""


class EventStream:
    """ASGI response with the frames of a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the stream ends."""
        duration = MAX_DURATION * random.uniform(0.9, 1)  # noqa: S311 - no secret
        departure = asyncio.create_task(self._wait_for_departure(receive))
        try:
            async with asyncio.timeout(duration) as timeout:
                self._mailbox.end_by(timeout)
                await send(
                    {"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS}
                )
                while True:
                    frames = await self._mailbox.take()
                    await send({"type": "http.response.body", "body": frames, "more_body": True})
        except TimeoutError:
            await self._finish(send)
        finally:
            departure.cancel()

    async def _wait_for_departure(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._mailbox.close()

    async def _finish(self, send: Send) -> None:
        """End the response properly, unless the browser reads too slowly for that.

        Then the server closes the connection, because the response is incomplete.
        """
        try:
            async with asyncio.timeout(1):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            pass
