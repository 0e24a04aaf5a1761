"""Options that several commands share: connection, token, time zone.

A group of options is an attrs class whose fields are ``Annotated`` as typer parameters;
``command_wrapper`` adds them to a command.
"""

from __future__ import annotations

import functools
import os
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.stream_defaults import DEFAULT_NAME
from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .completion import complete_kinds, complete_timezones
from .files import load_ca, read_error_reason
from .help import panels
from .signals import interrupt_blocking_call
from .suggestions import unknown_name

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# A decimal number with fewer digits than this is an id; a longer one exceeds 64 bits.
MAX_ID_DIGITS = 20

# Options of which one selects the user whose channels the PBX sends.
_USER_OPTIONS = (
    "user_id",
    "user_name",
    "user_label",
    "user_extension",
    "user_did",
    "user_email",
)


def _option(
    name: str, text: str, *, env: str | None = None, panel: str = panels.CONNECTION, **more: Any
) -> Any:
    return typer.Option(name, help=text, envvar=env, rich_help_panel=panel, **more)


# An option that only ``basix-ws-cti help connection`` describes.
_further_option = functools.partial(_option, panel=panels.MORE_CONNECTION)


def _reject_token_argument(value: str | None) -> None:
    """Reject a token on the command line, where the list of processes shows it to everyone."""
    if value is not None:
        raise typer.BadParameter(
            _(
                "a token on the command line is visible to other users: set BASIX_TOKEN, pass "
                "--token-file, or enter it when prompted"
            )
        )


def followed_stream_option(panel: str) -> Any:
    """Return the option that selects a publisher's stream, in this panel of the help text."""
    text = _("Name of the publisher's stream in Redis.")
    return _option("--redis-stream", text, metavar="NAME", panel=panel)


@frozen(kw_only=True)
class ServerOptions:
    """Options that select a PBX and log in to it. ``None`` means not given."""

    server: Annotated[
        str | None,
        _option(
            "--server",
            _("Server of the PBX: host, host:port or wss://host:port."),
            env="BASIX_SERVER",
            metavar="SERVER",
        ),
    ] = None
    domain: Annotated[
        str | None,
        _option("--domain", _("Domain of the PBX."), env="BASIX_DOMAIN", metavar="DOMAIN"),
    ] = None
    token: Annotated[
        str | None, typer.Option("--token", hidden=True, callback=_reject_token_argument)
    ] = field(default=None, repr=False)
    token_file: Annotated[
        Path | None,
        # Without typer's envvar: the option overrides BASIX_TOKEN, which overrides
        # BASIX_TOKEN_FILE.
        _option(
            "--token-file",
            _("File with the API token; default: BASIX_TOKEN, BASIX_TOKEN_FILE or a prompt."),
            metavar="FILE",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        _further_option(
            "--ca-file",
            _("PEM file with the certificate of a private CA to trust."),
            env="BASIX_CA_FILE",
            metavar="FILE",
        ),
    ] = None

    def api_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``HttpApi``.

        Prompts for the token if no option or variable provides it and stdin is a terminal.
        Raises ``UsageError`` for a missing option or an unreadable file.
        """
        return self._server_arguments(_("no server: pass --server or set BASIX_SERVER"))

    def _server_arguments(self, without_server: str) -> dict[str, Any]:
        """Return server, credentials and TLS context; ``without_server`` is an error's text."""
        if not self.server:
            raise UsageError(without_server)
        if not self.domain:
            raise UsageError(_("no domain: pass --domain or set BASIX_DOMAIN"))
        arguments: dict[str, Any] = {
            "server": self.server,
            "domain": self.domain,
            "token": self._token(),
        }
        if self.ca_file is not None:
            arguments["ssl"] = load_ca("--ca-file", self.ca_file)
        return arguments

    @property
    def _token_variable(self) -> str | None:
        """Token in the environment, unless ``--token-file`` overrides it."""
        return os.environ.get("BASIX_TOKEN") if self.token_file is None else None

    @property
    def _token_path(self) -> Path | None:
        """File that contains the token."""
        variable = os.environ.get("BASIX_TOKEN_FILE")
        return self.token_file or (Path(variable) if variable else None)

    def _token(self) -> str:
        if token := self._token_variable:
            return token
        file = self._token_path
        if file is not None:
            try:
                token = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(
                    _("cannot read the token file {file}: {reason}").format(
                        file=file, reason=read_error_reason(error)
                    )
                ) from None
            if not token:
                raise UsageError(_("the token file is empty"))
            return token
        if not sys.stdin.isatty():
            raise UsageError(_("no token: set BASIX_TOKEN or pass --token-file"))
        if not (token := _prompt_for_token()):
            raise UsageError(_("no token entered"))
        return token


@frozen(kw_only=True)
class ConnectionOptions(ServerOptions):
    """Options that select a PBX and a user. ``None`` and ``False`` mean not given."""

    app_name: Annotated[
        str,
        _further_option(
            "--app-name",
            _("Name under which to connect; the PBX limits connections per name."),
            env="BASIX_APP_NAME",
            metavar="NAME",
        ),
    ] = "basix-ws-cti"
    full_events: Annotated[
        bool,
        _option(
            "--full-events/--no-full-events",
            _("Receive every channel of the PBX, not only those of one user."),
            env="BASIX_FULL_EVENTS",
        ),
    ] = False
    user_id: Annotated[
        str | None,
        _further_option(
            "--user-id",
            _("Receive only the channels of the user with this id."),
            env="BASIX_USER_ID",
            metavar="ID",
        ),
    ] = None
    user_name: Annotated[
        str | None,
        _further_option(
            "--user-name",
            _("Receive only the channels of the user with this name."),
            env="BASIX_USER_NAME",
            metavar="NAME",
        ),
    ] = None
    user_label: Annotated[
        str | None,
        _further_option(
            "--user-label",
            _("Receive only the channels of the user with this label."),
            env="BASIX_USER_LABEL",
            metavar="LABEL",
        ),
    ] = None
    user_extension: Annotated[
        str | None,
        _further_option(
            "--user-extension",
            _("Receive only the channels of the user with this extension."),
            env="BASIX_USER_EXTENSION",
            metavar="EXTENSION",
        ),
    ] = None
    user_did: Annotated[
        str | None,
        _further_option(
            "--user-did",
            _("Receive only the channels of the user with this direct (DID) number."),
            env="BASIX_USER_DID",
            metavar="NUMBER",
        ),
    ] = None
    user_email: Annotated[
        str | None,
        _further_option(
            "--user-email",
            _("Receive only the channels of the user with this e-mail address."),
            env="BASIX_USER_EMAIL",
            metavar="ADDRESS",
        ),
    ] = None
    force: Annotated[
        bool,
        _further_option(
            "--force/--no-force",
            _("Replace the oldest connection if the PBX allows no further one."),
            env="BASIX_FORCE",
        ),
    ] = False
    simulate: Annotated[
        bool,
        _option(
            "--simulate/--no-simulate",
            _("Use a simulated PBX that runs as long as the command."),
        ),
    ] = False
    simulate_speed: Annotated[
        float,
        _further_option(
            "--simulate-speed",
            _("Speed of the simulated PBX, in simulated seconds per second."),
            min=0.01,
            max=1000,
            metavar="FACTOR",
        ),
    ] = 4.0
    simulate_seed: Annotated[
        int,
        _further_option(
            "--simulate-seed",
            _("Seed of the simulated day; equal seeds give equal days."),
            metavar="N",
        ),
    ] = 1

    def client_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``connect`` and ``Client`` for a real PBX.

        Prompts for the token if no option or variable provides it and stdin is a terminal.
        Raises ``UsageError`` for a missing option or an unreadable file.
        """
        return {
            **self._server_arguments(
                _("no server: pass --server, or --simulate to try it without a PBX")
            ),
            "app_name": self.app_name,
            "full_events": self.full_events,
            "force": self.force,
            **{name: getattr(self, name) for name in _USER_OPTIONS},
        }

    @property
    def token_source(self) -> str:
        """Origin of the token, such as ``BASIX_TOKEN`` or ``the file PATH``."""
        if self.simulate:
            return _("the simulator")
        if self._token_variable:
            return "BASIX_TOKEN"
        file = self._token_path
        return _("a prompt") if file is None else _("the file {file}").format(file=file)


@frozen(kw_only=True)
class FeedSourceOptions(ConnectionOptions):
    """Options that select a feed to follow: of a PBX, a simulated one, or Redis."""

    redis: Annotated[
        str | None,
        _option(
            "--redis",
            _("Redis server with the feed of a publisher, to use instead of a PBX."),
            metavar="URL",
        ),
    ] = None
    redis_stream: Annotated[str, followed_stream_option(panels.MORE_CONNECTION)] = DEFAULT_NAME

    def __attrs_post_init__(self) -> None:
        _check_single({"--redis": self.redis is not None, "--simulate": self.simulate})


@frozen(kw_only=True)
class SourceOptions(FeedSourceOptions):
    """Options that select a feed to show: of a PBX, a simulated one, a recording, or Redis."""

    recording: Annotated[
        Path | None,
        _option(
            "--recording", _("Recording to show instead of a PBX; - is stdin."), metavar="FILE"
        ),
    ] = None
    recording_speed: Annotated[
        float,
        _further_option(
            "--recording-speed",
            _("Speed of the recording, in recorded seconds per second; 0 does not wait."),
            metavar="FACTOR",
            min=0,
            max=1_000_000,
        ),
    ] = 1.0

    def __attrs_post_init__(self) -> None:
        _check_single(
            {
                "--recording": self.recording is not None,
                "--redis": self.redis is not None,
                "--simulate": self.simulate,
            }
        )


def _check_single(given: dict[str, bool]) -> None:
    """Raise ``UsageError`` if several of these options are given."""
    first, *others = [*(name for name, is_given in given.items() if is_given), ""]
    if others and others[0]:
        raise UsageError(
            _("{one} and {other} cannot be combined").format(one=first, other=others[0])
        )


def _prompt_for_token() -> str:
    """Return the token typed at the terminal; empty if none was."""
    with interrupt_blocking_call():
        try:
            return getpass(_("Token: "))
        except EOFError:
            return ""


KindOption = Annotated[
    list[str],
    typer.Option(
        "--kind",
        metavar="KIND",
        help=_("Print only elements of this kind, such as channel or user (repeatable)."),
        autocompletion=complete_kinds,
        rich_help_panel=panels.SELECTION,
    ),
]

AllowUnknownOption = Annotated[
    bool,
    typer.Option(
        "--allow-unknown",
        help=_("Accept names that are not known, such as kinds of a newer PBX."),
        rich_help_panel=panels.SELECTION,
    ),
]

DEFAULT_COUNTRY_CODE = "81"
"""Default of ``--country-code``: Japan."""

CountryCodeOption = Annotated[
    str,
    typer.Option(
        "--country-code",
        metavar="DIGITS",
        help=_("Calling code of the country of telephone numbers that have none."),
        rich_help_panel=panels.SELECTION,
    ),
]

TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help=_("Time zone of displayed times, such as Asia/Tokyo; default: local time."),
        autocompletion=complete_timezones,
        rich_help_panel=panels.OUTPUT,
    ),
]


def parse_timezone(name: str | None) -> ZoneInfo | None:
    """Return the time zone of this name; ``None`` for ``None``.

    Raises ``UsageError`` if it does not exist or the system has no time zone database.
    """
    if name is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        if not known:
            raise UsageError(_("this system has no time zones: pip install tzdata")) from None
        advice = _("pass an IANA name such as Asia/Tokyo")
        raise unknown_name(_("time zone"), name, known, advice) from None


def parse_named_timezone(name: str | None) -> ZoneInfo:
    """Return the time zone of this name, and for ``None`` that of the system.

    Raises ``UsageError`` like ``parse_timezone``.
    """
    from .local_timezone import find_local_timezone

    zone = parse_timezone(name)
    return find_local_timezone() if zone is None else zone
