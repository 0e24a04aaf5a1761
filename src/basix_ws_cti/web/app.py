"""The wallboard as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from attrs import define, field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.sources.source import Source

from .commands import CallStarter, Commands, CommandTarget
from .gatekeeper import Gatekeeper
from .host_check import HostCheck
from .json_requests import RefusedRequestError, json_response
from .limit_set import LimitSet
from .login import Login
from .report_page import ReportPage
from .security_headers import HEADERS, NO_STORE, STREAM_HEADERS
from .sessions import Session
from .static_files import StaticFiles, page_files
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
    zone: ZoneInfo,
    limits: LimitSet | None = None,
    site: str | None = None,
    speed: float = 1,
    with_sound: bool = False,
    mask_numbers: bool = False,
    hosts: Iterable[str] = (),
    any_address: bool = False,
    access_file: Path | None = None,
    commands: CommandTarget | None = None,
    caller: CallStarter | None = None,
    log: str | Path | None = None,
) -> WebApp:
    """Return the wallboard of a source as an ASGI application, to serve or to mount.

    - ``source``: feed to show. The application consumes its call events.
    - ``zone``: time zone of the call centre, in which days begin.
    - ``limits``: limits of the figures; ``None``: the default ones.
    - ``site``: name of the call centre; ``None``: the PBX's domain.
    - ``speed``: seconds of the feed's time per second, for a recording or a simulated PBX.
    - ``with_sound``: pages may sound an alarm.
    - ``mask_numbers``: only the last digits of outside numbers are sent.
    - ``hosts``: names, without ports, under which browsers may address the server, besides
      ``localhost`` and its addresses. ``any_address``: IP addresses, too.
    - ``access_file``: file with accounts and display links; ``None``: everybody who reaches the
      server may read.
    - ``commands``: object that sends commands of pages to the PBX, such as a ``Client``; ``None``:
      pages are for reading. ``caller``: object that starts calls, such as an ``HttpApi``.
    - ``log``: call log for the page of reports: path of an SQLite file, or a URL; ``None``: there
      is no such page. It needs the extra ``reports``.

    Raises ``UsageError`` for an access file with a mistake, and ``OSError`` for one that cannot be
    read.
    """
    wallboard = Wallboard(
        source=source,
        zone=zone,
        limits=limits or LimitSet(),
        site=site,
        speed=speed,
        with_sound=with_sound,
        has_caller=caller is not None,
        has_report=log is not None,
    )
    return WebApp(
        wallboard=wallboard,
        gatekeeper=Gatekeeper(path=access_file, allow_commands=commands is not None),
        host_check=HostCheck(hosts, any_address=any_address),
        commands=None if commands is None else Commands(commands, caller),
        mask_numbers=mask_numbers,
        report=None if log is None else ReportPage(log, zone, source.now),
    )


@define(eq=False, kw_only=True)
class WebApp:
    """ASGI application with the page, its files, and the documents of its views."""

    wallboard: Wallboard
    """Feed and views."""

    gatekeeper: Gatekeeper
    """Accounts, display links and sessions."""

    host_check: HostCheck
    """Names under which the server may be addressed."""

    commands: Commands | None = None
    """Commands to the PBX; ``None``: pages are for reading."""

    mask_numbers: bool = False
    """True: telephone numbers of outside parties are masked."""

    report: ReportPage | None = None
    """Page of reports; ``None``: there is none."""

    files: StaticFiles = field(factory=page_files)
    """Files of the page."""

    _app: ASGIApp = field(init=False)

    def __attrs_post_init__(self) -> None:
        login = Login(self.gatekeeper)
        post = ["POST"]
        self._app = Starlette(
            routes=[
                Route("/", self.files.page),
                Route("/static/{name:path}", self.files.file),
                Route("/texts", _texts),
                Route("/status", login.status),
                Route("/login", login.log_in, methods=post),
                Route("/logout", login.log_out, methods=post),
                Route("/display/{token}", login.open_link),
                Route("/state", self._state),
                Route("/stream", self._stream),
                Route("/report", self._report),
                Route("/commands/{name}", self._command, methods=post),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _answer_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            self.wallboard.start(self.gatekeeper.watch)
            if not self.host_check.accepts(Request(scope).headers.getlist("host")):
                await json_response({"error": "unknown host"}, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def __aenter__(self) -> Self:
        """Start to follow the source. Without this, the first request does."""
        self.wallboard.start(self.gatekeeper.watch)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all streams."""
        await self.wallboard.stop()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self:
            yield

    # -- data ----------------------------------------------------------------------------

    async def _state(self, request: Request) -> ASGIApp:
        view = self._view(request, self._session(request))
        body = view.snapshot(self.wallboard.time())
        return Response(body, 200, _DATA_HEADERS, "application/json")

    async def _stream(self, request: Request) -> ASGIApp:
        session = self._session(request)
        if request.method == "HEAD":
            return Response(b"", 200, dict(STREAM_HEADERS))
        view = self._view(request, session)
        if self.wallboard.streams >= MAX_STREAMS:
            raise RefusedRequestError(503, "too many streams")
        return EventStream(view, session, self.wallboard.time())

    async def _report(self, request: Request) -> ASGIApp:
        session = self._session(request)
        if self.report is None:
            raise RefusedRequestError(404, "there is no call log")
        if not session.access.bound.is_everything:
            raise RefusedRequestError(403, "the report is about all queues")
        return await self.report.show(request)

    async def _command(self, request: Request) -> ASGIApp:
        session = self._session(request)
        if self.commands is None:
            raise RefusedRequestError(403, "commands are not allowed")
        return await self.commands.run(request, session.access)

    def _session(self, request: Request) -> Session:
        session = self.gatekeeper.session(request.cookies)
        if session is None:
            raise RefusedRequestError(401, "a login is needed")
        return session

    def _view(self, request: Request, session: Session) -> View:
        try:
            key = view_key(request, session.access, is_masked=self.mask_numbers)
        except UsageError as error:
            raise RefusedRequestError(400, str(error)) from None
        view = self.wallboard.view(key)
        if view is None:
            raise RefusedRequestError(503, "too many different filters, or the server stops")
        return view


async def _answer_error(_request: Request, error: Exception) -> Response:
    """Return the answer for a refused request, or an address or method that does not exist."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return json_response({"error": error.detail}, error.status_code)


async def _texts(request: Request) -> Response:
    """Return the texts of the page in the language of the request."""
    use_language(language_of(request))
    response = json_response(page_texts())
    response.headers["Cache-Control"] = "no-cache"
    return response
