"""Server-sent events: the response that carries the frames of a view to one browser.

The stream ends, and the page connects again, when the browser has left, when it is too slow, when
its access ends, when the server stops, or after ``MAX_DURATION``. The last bound is for a server
that is not ours: it waits for open responses before it stops, and nothing announces that.

See https://html.spec.whatwg.org/multipage/server-sent-events.html for the format.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

from attrs import frozen
from starlette.types import Receive, Scope, Send

from .mailbox import Mailbox
from .security_headers import STREAM_HEADERS
from .sessions import Session
from .view import View

MAX_DURATION = 600.0
"""Time after which a stream ends, in seconds; up to a tenth less, so that pages do not reconnect at
the same time."""

_HEADERS = [(name.lower().encode(), value.encode()) for name, value in STREAM_HEADERS.items()]


@frozen(eq=False)
class EventStream:
    """ASGI response that follows a view for as long as the browser listens."""

    view: View
    """View to follow."""

    session: Session
    """Session of the browser; its end ends the stream."""

    time: int
    """The PBX's time in milliseconds since the epoch."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the stream ends."""
        mailbox = self.view.follow(self.time)
        self.session.mailboxes.add(mailbox)
        try:
            await _send_frames(mailbox, receive, send)
        finally:
            self.view.leave(mailbox)
            self.session.mailboxes.discard(mailbox)


async def _send_frames(mailbox: Mailbox, receive: Receive, send: Send) -> None:
    """Send the frames of a mailbox until it is closed, or for the longest duration."""
    duration = MAX_DURATION * random.uniform(0.9, 1)  # noqa: S311 - no secret
    departure = asyncio.create_task(_wait_for_departure(mailbox, receive))
    try:
        async with asyncio.timeout(duration) as timeout:
            mailbox.end_by(timeout)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            while True:
                frames = await mailbox.take()
                await send({"type": "http.response.body", "body": frames, "more_body": True})
    except TimeoutError:
        await _finish(send)
    finally:
        departure.cancel()


async def _wait_for_departure(mailbox: Mailbox, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    mailbox.close()


async def _finish(send: Send) -> None:
    """End the response properly, unless the browser reads too slowly for that.

    Then the server closes the connection, because the response is incomplete.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
