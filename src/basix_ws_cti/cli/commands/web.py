"""Command ``web``: serves the wallboard to browsers."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import evolve, field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.database_argument import reject_password
from basix_ws_cti.cli.files import file_access, file_error_reason
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.listen_address import cannot_listen, parse_listen_address
from basix_ws_cti.cli.options import SourceOptions, TimezoneOption, parse_named_timezone
from basix_ws_cti.cli.package_errors import missing_package
from basix_ws_cti.cli.wait_limits import LimitOptions
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.transport.address import ServerAddress

if TYPE_CHECKING:
    from basix_ws_cti.cli.background_log import BackgroundLog
    from basix_ws_cti.web.app import WebApp
    from basix_ws_cti.web.server import WebServer

DEFAULT_ADDRESS = "127.0.0.1:8080"


def _server_option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panels.SERVER)


def _access_option(name: str, **more: Any) -> Any:
    return typer.Option(name, rich_help_panel=panels.ACCESS, **more)


@frozen(kw_only=True)
class ServerAddressOptions:
    """Options for the address of the server, and for who may use it."""

    listen: Annotated[
        str,
        _server_option(
            "--listen", "HOST:PORT", _("Address on which to serve; port 0 is any free one.")
        ),
    ] = DEFAULT_ADDRESS
    host: Annotated[
        list[str],
        _server_option(
            "--host",
            "NAME",
            _("Name under which browsers address the server, besides localhost (repeatable)."),
        ),
    ] = field(default=(), converter=list)
    behind_proxy: Annotated[
        list[str],
        _server_option(
            "--behind-proxy",
            "NETWORK",
            _("Network of the proxies in front, such as 127.0.0.1/32 (repeatable)."),
        ),
    ] = field(default=(), converter=list)
    tls_certificate: Annotated[
        Path | None,
        _server_option("--tls-certificate", "FILE", _("PEM file with the server's certificate.")),
    ] = None
    tls_key: Annotated[
        Path | None,
        _server_option("--tls-key", "FILE", _("PEM file with the certificate's private key.")),
    ] = None
    password_file: Annotated[
        Path | None,
        _access_option(
            "--password-file",
            metavar="FILE",
            help=_(
                "File with accounts and display links, from web-access; without it, everybody who "
                "reaches the server may read."
            ),
        ),
    ] = None
    allow_commands: Annotated[
        bool,
        _access_option(
            "--allow-commands",
            help=_(
                "Allow pages to hang up, park, transfer and start calls. To start calls, --server "
                "and --simulate need the extra http."
            ),
        ),
    ] = False
    mask_numbers: Annotated[
        bool,
        _access_option(
            "--mask-numbers",
            help=_("Show only the last three digits of outside telephone numbers."),
        ),
    ] = False

    @property
    def address(self) -> ServerAddress:
        """Address on which to serve. Raises ``UsageError`` for any other text."""
        host, port = parse_listen_address("--listen", self.listen, DEFAULT_ADDRESS)
        return ServerAddress("http" if self.tls_certificate is None else "https", host, port)

    def check(self) -> None:
        """Raise ``UsageError`` for options that are unsafe or cannot work together.

        Raises ``FileAccessError`` for a TLS file that cannot be found.
        """
        if self.password_file is None and not self.address.is_loopback:
            raise UsageError(
                _(
                    "--listen {host}: other machines can reach this address, so that "
                    "--password-file is needed; web-access makes that file"
                ).format(host=self.address.host)
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError(_("--tls-certificate and --tls-key need each other"))
        for file in (self.tls_certificate, self.tls_key):
            if file is not None:
                with file_access("read", file):
                    file.stat()  # without opening it: it may be a pipe, which the server reads
        for network in self.behind_proxy:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise UsageError(
                    _("--behind-proxy: expected a network such as 10.0.0.0/8, got {text}").format(
                        text=repr(network)
                    )
                ) from None

    @property
    def is_readable(self) -> bool:
        """True if passwords and calls cross a network without encryption."""
        is_protected = self.address.is_secure or self.behind_proxy
        return not (self.address.is_loopback or is_protected)


def serve_wallboard(
    connection: SourceOptions,
    limits: LimitOptions,
    server: ServerAddressOptions,
    *,
    limit_file: Annotated[
        Path | None,
        typer.Option(
            "--limits",
            metavar="FILE",
            help=_("TOML file with limits of figures, for all queues and for single ones."),
            rich_help_panel=panels.WALLBOARD,
        ),
    ] = None,
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
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="DATABASE",
            help=_(
                "Call log for the figures of today across restarts, and for reports: SQLite file "
                "or URL. Calls are logged there, too, unless another process does so."
            ),
            rich_help_panel=panels.WALLBOARD,
        ),
    ] = None,
    timezone: TimezoneOption = None,
) -> None:
    """Serve the wallboard to browsers, until Ctrl-C."""
    from basix_ws_cti.cli.commanded_source import open_commanded_source
    from basix_ws_cti.cli.open_source import open_shown_source
    from basix_ws_cti.cli.signals import run_interruptible

    try:
        from basix_ws_cti.web.access_file import AccessFile
        from basix_ws_cti.web.app import create_app
        from basix_ws_cti.web.limit_file import read_limits
        from basix_ws_cti.web.limit_set import LimitSet
    except ModuleNotFoundError as error:
        raise missing_package(error, "web") from None

    server.check()
    if server.password_file is not None:
        with file_access("read", server.password_file):
            AccessFile.read(server.password_file)
    if server.allow_commands:
        # An audit log that depends on --log-level would be none.
        logging.getLogger("basix_ws_cti.web.commands").setLevel(logging.INFO)
    zone = parse_named_timezone(timezone)
    limit_set = LimitSet(limits.board_limits())
    if limit_file is not None:
        with file_access("read", limit_file):
            limit_set = read_limits(limit_file, limit_set.general)

    day_log = None if log is None else _make_log(log, connection)

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            if day_log is not None:
                await stack.enter_async_context(day_log.opened())
            on_notice = None if day_log is None else day_log.on_notice
            commands = caller = None
            if server.allow_commands:
                commanded = await stack.enter_async_context(
                    open_commanded_source(connection, on_notice)
                )
                source = commanded.source
                commands, caller = commanded.target, commanded.caller
            else:
                source = await stack.enter_async_context(open_shown_source(connection, on_notice))
            app = create_app(
                source,
                zone=zone,
                limits=limit_set,
                site=site,
                speed=_speed(connection),
                with_sound=sound,
                mask_numbers=server.mask_numbers,
                hosts=[socket.gethostname(), *server.host],
                any_address=True,
                access_file=server.password_file,
                commands=commands,
                caller=caller,
                log=log,
            )
            # The application and the log subscribe before the first event can arrive.
            await stack.enter_async_context(app)
            if log is not None and day_log is not None:
                day_log.record(source)
                await _restore_day(log, app)
            await _run(app, server)

    run_interruptible(serve())


def _make_log(database: str, connection: SourceOptions) -> BackgroundLog:
    if connection.recording is not None:
        raise UsageError(_("--log and --recording cannot be combined: use log --recording"))
    try:
        import basix_ws_cti.reports.page  # noqa: F401 - needed for the page of reports
        from basix_ws_cti.cli.background_log import BackgroundLog
    except ModuleNotFoundError as error:
        raise missing_package(error, "reports") from None
    reject_password(database)
    return BackgroundLog(database)


async def _restore_day(database: str, app: WebApp) -> None:
    from basix_ws_cti.web.day_log import restore_day

    board = app.wallboard
    board.counting_from = await restore_day(database, board.model.stats, board.source.now())


async def _run(app: WebApp, options: ServerAddressOptions) -> None:
    """Serve a started application until a signal arrives. Raises the error that ended the feed."""
    import asyncio

    from basix_ws_cti.cli.output import report
    from basix_ws_cti.web.server import WebServer, listen

    address = options.address
    server = WebServer(
        app,
        proxies=options.behind_proxy,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    _load_certificate(server, options)
    try:
        listener = listen(address.host, address.port or 0)
    except OSError as error:
        raise cannot_listen("--listen", options.listen, error) from None
    if options.is_readable:
        report(
            _(
                "warning: passwords and calls cross the network unencrypted: pass "
                "--tls-certificate, or use a proxy"
            )
        )
    address = evolve(address, port=listener.getsockname()[1])
    report(_("wallboard: {url}").format(url=f"{address}/"))
    feed = asyncio.create_task(app.wallboard.ended())
    feed.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        await server.serve(sockets=[listener])
    finally:
        has_ended = feed.done()
        feed.cancel()
    if has_ended:
        await feed


def _load_certificate(server: WebServer, options: ServerAddressOptions) -> None:
    """Load certificate and key, before the server is announced. Raises ``UsageError``.

    The server loads them once: a key may have a passphrase, which is asked for, or be a pipe.
    """
    import ssl

    try:
        server.config.load()
    except OSError as error:
        reason = file_error_reason(error)
        if isinstance(error, ssl.SSLError) and not error.reason:
            reason = _("expected PEM files with a certificate and its private key")
        raise UsageError(
            _("cannot load --tls-certificate {certificate} with --tls-key {key}: {reason}").format(
                certificate=options.tls_certificate,
                key=options.tls_key,
                reason=reason,
            )
        ) from None


def _speed(options: SourceOptions) -> float:
    if options.recording is not None:
        return options.recording_speed or 1
    return options.simulate_speed if options.simulate else 1
