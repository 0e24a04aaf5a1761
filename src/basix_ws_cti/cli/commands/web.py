"""Command ``web``: serves the wallboard to browsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.database_argument import missing_package
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import SourceOptions, TimezoneOption, parse_timezone
from basix_ws_cti.cli.wait_limits import LimitOptions
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from basix_ws_cti.web.app import WebApp

_ADDRESS = re.compile(r"(?:\[(?P<ip6>[0-9a-fA-F:]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")


def serve_wallboard(
    connection: SourceOptions,
    limits: LimitOptions,
    *,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help=_("Address on which to serve; port 0 is any free one."),
            rich_help_panel=panels.SERVER,
        ),
    ] = "127.0.0.1:8080",
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="NAME",
            help=_("Name of the call centre in the page's bar; default: the PBX's domain."),
            rich_help_panel=panels.WALLBOARD,
        ),
    ] = None,
    sound: Annotated[
        bool,
        typer.Option(
            "--sound",
            help=_("Allow pages to sound an alarm."),
            rich_help_panel=panels.WALLBOARD,
        ),
    ] = False,
    mask_numbers: Annotated[
        bool,
        typer.Option(
            "--mask-numbers",
            help=_("Show only the last three digits of outside telephone numbers."),
            rich_help_panel=panels.WALLBOARD,
        ),
    ] = False,
    timezone: TimezoneOption = None,
) -> None:
    """Serve the wallboard to browsers, until Ctrl-C."""
    from basix_ws_cti.cli.open_source import open_shown_source
    from basix_ws_cti.cli.signals import run_interruptible

    try:
        from basix_ws_cti.web.app import create_app
        from basix_ws_cti.web.limit_set import LimitSet
    except ModuleNotFoundError as error:
        raise missing_package(error, "web") from None

    host, port = parse_address(listen)
    zone = _zone(timezone)
    limit_set = LimitSet(limits.board_limits())

    async def serve() -> None:
        async with open_shown_source(connection) as source:
            app = create_app(
                source,
                zone=zone,
                limits=limit_set,
                site=site,
                speed=_speed(connection),
                with_sound=sound,
                mask_numbers=mask_numbers,
            )
            await _run(app, host, port)

    run_interruptible(serve())


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of an address such as ``127.0.0.1:8080`` or ``[::1]:8080``.

    Raises ``UsageError``.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise UsageError(
            _("--listen: expected HOST:PORT, such as 127.0.0.1:8080, got {text}").format(
                text=repr(text)
            )
        )
    return found["ip6"] or found["host"], int(found["port"])


async def _run(app: WebApp, host: str, port: int) -> None:
    """Serve until a signal arrives. Raises the error that ended the feed."""
    import asyncio

    from basix_ws_cti.cli.output import report
    from basix_ws_cti.web.server import WebServer, listen

    try:
        listener = listen(host, port)
    except OSError as error:
        raise UsageError(
            _("cannot listen on {host}:{port}: {reason}").format(
                host=host, port=port, reason=error.strerror or error
            )
        ) from None
    shown = f"[{host}]" if ":" in host else host
    report(_("wallboard: {url}").format(url=f"http://{shown}:{listener.getsockname()[1]}/"))
    server = WebServer(app)
    async with app:
        feed = asyncio.create_task(app.wallboard.ended())
        feed.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve(sockets=[listener])
        finally:
            has_ended = feed.done()
            feed.cancel()
        if has_ended:
            await feed


def _speed(options: SourceOptions) -> float:
    if options.recording is not None:
        return options.recording_speed or 1
    return options.simulate_speed if options.simulate else 1


def _zone(name: str | None) -> ZoneInfo:
    from typing import cast

    from basix_ws_cti.cli.local_timezone import find_local_timezone

    zone = parse_timezone(name)
    return find_local_timezone() if zone is None else cast("ZoneInfo", zone)
