"""Options that several commands share: connection, token, time zone.

A group of options is an attrs class whose fields are ``Annotated`` as typer parameters;
``command_wrapper`` adds them to a command.
"""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .files import file_error_reason
from .signals import interrupt_blocking_call

if TYPE_CHECKING:
    from datetime import tzinfo

_PANEL = "Connection"

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


def _option(*names: str, text: str, env: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, help=text, envvar=env, rich_help_panel=_PANEL, **more)


def _reject_token_argument(value: str | None) -> None:
    """Reject a token on the command line, where the list of processes shows it to everyone."""
    if value is not None:
        raise typer.BadParameter(
            _(
                "a token on the command line is visible to other users: set BASIX_TOKEN, pass "
                "--token-file, or enter it when prompted"
            )
        )


@frozen(kw_only=True)
class ServerOptions:
    """Options that select a PBX and log in to it. ``None`` means not given."""

    server: Annotated[
        str | None,
        _option(
            "--server",
            text="Server of the PBX: host, host:port or wss://host:port.",
            env="BASIX_SERVER",
        ),
    ] = None
    domain: Annotated[
        str | None, _option("--domain", text="Domain of the PBX.", env="BASIX_DOMAIN")
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
            text="File with the API token; default: BASIX_TOKEN, BASIX_TOKEN_FILE or a prompt.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        _option(
            "--ca-file",
            text="PEM file with the certificate of a private CA to trust.",
            env="BASIX_CA_FILE",
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
        arguments = {"server": self.server, "domain": self.domain, "token": self._token()}
        if self.ca_file is not None:
            arguments["ssl"] = self._ssl_context()
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
                        file=file, reason=_error_text(error)
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

    def _ssl_context(self) -> Any:
        import ssl

        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                _("cannot load --ca-file {file}: {reason}").format(
                    file=self.ca_file, reason=_error_text(error)
                )
            ) from None


@frozen(kw_only=True)
class ConnectionOptions(ServerOptions):
    """Options that select a PBX and a user. ``None`` and ``False`` mean not given."""

    app_name: Annotated[
        str,
        _option(
            "--app-name",
            text="Name under which to connect; the PBX limits connections per name.",
            env="BASIX_APP_NAME",
        ),
    ] = "basix-ws-cti"
    full_events: Annotated[
        bool,
        _option(
            "--full-events/--no-full-events",
            text="Receive every channel of the PBX.",
            env="BASIX_FULL_EVENTS",
        ),
    ] = False
    user_id: Annotated[
        str | None,
        _option(
            "--user-id",
            text="Receive only the channels of the user with this id.",
            env="BASIX_USER_ID",
        ),
    ] = None
    user_name: Annotated[
        str | None,
        _option(
            "--user-name",
            text="Receive only the channels of the user with this name.",
            env="BASIX_USER_NAME",
        ),
    ] = None
    user_label: Annotated[
        str | None,
        _option(
            "--user-label",
            text="Receive only the channels of the user with this label.",
            env="BASIX_USER_LABEL",
        ),
    ] = None
    user_extension: Annotated[
        str | None,
        _option(
            "--user-extension",
            text="Receive only the channels of the user with this extension.",
            env="BASIX_USER_EXTENSION",
        ),
    ] = None
    user_did: Annotated[
        str | None,
        _option(
            "--user-did",
            text="Receive only the channels of the user with this direct (DID) number.",
            env="BASIX_USER_DID",
        ),
    ] = None
    user_email: Annotated[
        str | None,
        _option(
            "--user-email",
            text="Receive only the channels of the user with this e-mail address.",
            env="BASIX_USER_EMAIL",
        ),
    ] = None
    force: Annotated[
        bool,
        _option(
            "--force/--no-force",
            text="Replace the oldest connection if the PBX allows no further one.",
            env="BASIX_FORCE",
        ),
    ] = False
    simulate: Annotated[
        bool,
        _option(
            "--simulate/--no-simulate", text="Use a simulated PBX that runs as long as the command."
        ),
    ] = False
    simulate_speed: Annotated[
        float,
        _option(
            "--simulate-speed",
            text="Speed of the simulated PBX, in simulated seconds per second.",
            min=0.01,
            max=1000,
        ),
    ] = 4.0
    simulate_seed: Annotated[
        int,
        _option("--simulate-seed", text="Seed of the simulated day; equal seeds give equal days."),
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


def _prompt_for_token() -> str:
    """Return the token typed at the terminal; empty if none was."""
    with interrupt_blocking_call():
        try:
            return getpass(_("Token: "))
        except EOFError:
            return ""


def _error_text(error: Exception) -> str:
    return file_error_reason(error) if isinstance(error, OSError) else str(error)


TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone", help="Time zone of displayed times, such as Asia/Tokyo; default: local time."
    ),
]


def parse_timezone(name: str | None) -> tzinfo | None:
    """Return the time zone of this name; ``None`` for ``None``.

    Raises ``UsageError`` if it does not exist or the system has no time zone database.
    """
    if name is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not available_timezones():
            raise UsageError(_("this system has no time zones: pip install tzdata")) from None
        raise UsageError(
            _("unknown time zone {name!r}: pass an IANA name such as Asia/Tokyo").format(name=name)
        ) from None
