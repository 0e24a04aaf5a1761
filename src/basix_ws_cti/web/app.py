"""The wallboard as an ASGI application."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import tzinfo
from typing import Any, Self

from attrs import define, field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.sources.source import Source

from .access import Access
from .limit_set import LimitSet
from .security_headers import HEADERS, NO_STORE
from .static_files import StaticFiles
from .stream import EventStream
from .texts import page_texts
from .view import View
from .view_request import language_of, view_key
from .wallboard import Wallboard

MAX_STREAMS = 1000
"""Streams at once. Each takes a connection and about 100 kB."""

_DATA_HEADERS = {**HEADERS, **NO_STORE}


def create_app(
    source: Source,
    *,
    zone: tzinfo,
    limits: LimitSet | None = None,
    site: str | None = None,
    speed: float = 1,
    with_sound: bool = False,
    mask_numbers: bool = False,
) -> WebApp:
    """Return the wallboard of a source as an ASGI application."""
    wallboard = Wallboard(
        source=source,
        zone=zone,
        limits=limits or LimitSet(),
        site=site,
        speed=speed,
        with_sound=with_sound,
    )
    return WebApp(wallboard, mask_numbers=mask_numbers)


@define(eq=False)
class WebApp:
    """ASGI application with the page, its files, and the documents of its views."""

    wallboard: Wallboard
    """Feed and views."""

    mask_numbers: bool = False
    """True: telephone numbers of outside parties are masked."""

    files: StaticFiles = field(factory=StaticFiles)
    """Files of the page."""

    _app: ASGIApp = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._app = Starlette(
            routes=[
                Route("/", self.files.page),
                Route("/static/{name:path}", self.files.file),
                Route("/texts", self._texts),
                Route("/status", self._status),
                Route("/state", self._state),
                Route("/stream", self._stream),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            self.wallboard.start()
        await self._app(scope, receive, send)

    async def __aenter__(self) -> Self:
        """Start to follow the source. Without this, the first request does."""
        self.wallboard.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all streams."""
        await self.wallboard.stop()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self:
            yield

    async def _texts(self, request: Request) -> Response:
        use_language(language_of(request))
        headers = {**HEADERS, "Cache-Control": "no-cache", "Vary": "Accept-Language"}
        body = json.dumps(page_texts(), ensure_ascii=False).encode()
        return Response(body, 200, headers, "application/json")

    async def _status(self, _request: Request) -> Response:
        return _json({"state": "ok", "streams": self.wallboard.streams})

    async def _state(self, request: Request) -> Response:
        view = self._view(request)
        if isinstance(view, Response):
            return view
        body = view.snapshot(self.wallboard.time())
        return Response(body, 200, _DATA_HEADERS, "application/json")

    async def _stream(self, request: Request) -> Response | EventStreamResponse:
        view = self._view(request)
        if isinstance(view, Response):
            return view
        if self.wallboard.streams >= MAX_STREAMS:
            return _error(503, "too many streams")
        return EventStreamResponse(view, self.wallboard.time())

    def _view(self, request: Request) -> View | Response:
        try:
            key = view_key(request, Access(), is_masked=self.mask_numbers)
        except UsageError as error:
            return _error(400, str(error))
        view = self.wallboard.view(key)
        return _error(503, "too many different filters at once") if view is None else view


@define(eq=False)
class EventStreamResponse:
    """Response that follows a view for as long as the browser listens."""

    view: View
    """View to follow."""

    time: int
    """The PBX's time in milliseconds since the epoch."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames of the view."""
        mailbox = self.view.follow(self.time)
        try:
            await EventStream(mailbox)(scope, receive, send)
        finally:
            self.view.leave(mailbox)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status, _DATA_HEADERS, "application/json")


def _error(status: int, text: str) -> Response:
    return _json({"error": text}, status)
