"""What commands share: ``--log-level``, and how to connect.

A command is a plain function with ``Annotated`` parameters, as typer has them. A parameter may
be a group of options: an attrs class with such annotations, as ``ConnectionOptions`` is.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from getpass import getpass
from itertools import chain
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import attrs
import typer
from attrs import field, frozen

from basix_ws_cti.exceptions import BasixError, UsageError

from .exit_codes import exit_code, told
from .output import leave_nothing, nobody_reads, prepare, reader_is_gone, say
from .signals import at_once

if TYPE_CHECKING:
    from datetime import tzinfo

_PANEL = "Connection"

_FILTERS = ("user_id", "user_name", "user_label", "user_extension", "user_did", "user_email")


class LogLevel(StrEnum):
    """What is logged on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def _option(*names: str, text: str, env: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, help=text, envvar=env, rich_help_panel=_PANEL, **more)


def _no_argument(value: str | None) -> None:
    """Refuse a token that everybody can read in the list of processes."""
    if value is not None:
        raise typer.BadParameter(
            "a token is no argument, where others can read it: "
            "set BASIX_TOKEN, name a --token-file, or be asked for it"
        )


@frozen(kw_only=True)
class ConnectionOptions:
    """How a command comes to its feed. ``None`` and ``False``: not asked for."""

    server: Annotated[
        str | None,
        _option("--server", text="host, host:port or wss://host:port", env="BASIX_SERVER"),
    ] = None
    domain: Annotated[str | None, _option("--domain", text="of the PBX", env="BASIX_DOMAIN")] = None
    app_name: Annotated[
        str, _option("--app-name", text="to connect under", env="BASIX_APP_NAME")
    ] = "basix-ws-cti"
    token: Annotated[str | None, typer.Option("--token", hidden=True, callback=_no_argument)] = (
        field(default=None, repr=False)
    )
    token_file: Annotated[
        Path | None,
        # Not typer's envvar: an argument counts more than BASIX_TOKEN, the variable less.
        _option("--token-file", text="holds the token; else BASIX_TOKEN, or BASIX_TOKEN_FILE"),
    ] = None
    full_events: Annotated[
        bool,
        _option(
            "--full-events/--no-full-events",
            text="every channel of the PBX",
            env="BASIX_FULL_EVENTS",
        ),
    ] = False
    user_id: Annotated[
        str | None, _option("--user-id", text="one user's channels", env="BASIX_USER_ID")
    ] = None
    user_name: Annotated[
        str | None, _option("--user-name", text="the same, by name", env="BASIX_USER_NAME")
    ] = None
    user_label: Annotated[
        str | None, _option("--user-label", text="by label", env="BASIX_USER_LABEL")
    ] = None
    user_extension: Annotated[
        str | None, _option("--user-extension", text="by extension", env="BASIX_USER_EXTENSION")
    ] = None
    user_did: Annotated[
        str | None, _option("--user-did", text="by direct number", env="BASIX_USER_DID")
    ] = None
    user_email: Annotated[
        str | None, _option("--user-email", text="by e-mail address", env="BASIX_USER_EMAIL")
    ] = None
    force: Annotated[
        bool,
        _option("--force/--no-force", text="replace the oldest connection", env="BASIX_FORCE"),
    ] = False
    ca_file: Annotated[
        Path | None, _option("--ca-file", text="a private CA's certificate", env="BASIX_CA_FILE")
    ] = None
    simulate: Annotated[bool, _option("--simulate", text="a PBX simulated for this command")] = (
        False
    )
    simulate_speed: Annotated[
        float, _option("--simulate-speed", text="of its time", min=0.01, max=1000)
    ] = 4.0
    simulate_seed: Annotated[
        int, _option("--simulate-seed", text="a day of its own for each number")
    ] = 1

    def client_arguments(self) -> dict[str, Any]:
        """What ``connect`` and ``Client`` take, for a real PBX.

        Raises ``UsageError`` for what is missing, or a file that can't be read.
        """
        if not self.server:
            raise UsageError("say where to connect: --server, or --simulate to try it out")
        if not self.domain:
            raise UsageError("say which domain: --domain (or BASIX_DOMAIN)")
        given = {
            "server": self.server,
            "domain": self.domain,
            "token": self._token(),
            "app_name": self.app_name,
            "full_events": self.full_events,
            "force": self.force,
            **{name: getattr(self, name) for name in _FILTERS},
        }
        if self.ca_file is not None:
            given["ssl"] = self._trust()
        return given

    @property
    def token_source(self) -> str:
        """Where the token is from, in words."""
        if self.simulate:
            return "the simulator"
        if self._token_variable:
            return "BASIX_TOKEN"
        file = self._token_path
        return "a prompt" if file is None else f"the file {file}"

    @property
    def _token_variable(self) -> str | None:
        """The token, if the environment has it; a file that is an argument counts more."""
        return os.environ.get("BASIX_TOKEN") if self.token_file is None else None

    @property
    def _token_path(self) -> Path | None:
        """The file that is to hold the token."""
        named = os.environ.get("BASIX_TOKEN_FILE")
        return self.token_file or (Path(named) if named else None)

    def _token(self) -> str:
        if token := self._token_variable:
            return token
        file = self._token_path
        if file is not None:
            try:
                token = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"the token's file can't be read: {_why(error)}") from None
            if not token:
                raise UsageError("the token's file is empty")
            return token
        if not sys.stdin.isatty():
            raise UsageError("the token comes from BASIX_TOKEN or --token-file; neither is there")
        if not (token := _asked()):
            raise UsageError("without a token nothing goes")
        return token

    def _trust(self) -> Any:
        import ssl

        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"--ca-file {self.ca_file} can't be used: {_why(error)}") from None


def _asked() -> str:
    """The token, as it is typed at the terminal; empty: none."""
    with at_once():
        try:
            return getpass("Token: ")
        except EOFError:
            return ""


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


Timezone = Annotated[str | None, typer.Option("--timezone", help="of times, such as Asia/Tokyo")]


def zone(name: str | None) -> tzinfo | None:
    """The time zone that is asked for, if any; ``UsageError``: there is none of that name."""
    if name is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not available_timezones():
            raise UsageError("this system has no time zones: pip install tzdata") from None
        raise UsageError(f"there is no time zone {name!r}; one is Asia/Tokyo") from None


_LOG_LEVEL = inspect.Parameter(
    "log_level",
    inspect.Parameter.KEYWORD_ONLY,
    default=LogLevel.CRITICAL,
    annotation=Annotated[LogLevel, typer.Option("--log-level", help="of what is logged on stderr")],
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A function as a command: typer's parameters, the shared ones, and an exit code for all.

    Nothing escapes but ``typer.Exit``: an error is told in one line on stderr.
    """
    hints = get_type_hints(function, include_extras=True)
    del hints["return"]
    groups = {name: hint for name, hint in hints.items() if attrs.has(hint)}
    members = {name: _parameters(group) for name, group in groups.items()}
    parameters = [
        *(
            one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in inspect.signature(function).parameters.items()
            if name not in groups
        ),
        *chain.from_iterable(members.values()),
        _LOG_LEVEL,
    ]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        prepare()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
        _log(given.pop("log_level"))
        try:
            _no_nan(given)
            for name, group in groups.items():
                given[name] = group(**{one.name: given.pop(one.name) for one in members[name]})
            function(**given)
            sys.stdout.flush()
        except (BasixError, OSError, KeyboardInterrupt) as error:
            if reader_is_gone(error):
                nobody_reads()
                return
            if not isinstance(error, KeyboardInterrupt):
                say(told(error))
            leave_nothing()
            raise typer.Exit(exit_code(error)) from None

    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _no_nan(given: dict[str, Any]) -> None:
    """Older releases of typer let it through, as it is on no side of a limit."""
    for name, value in given.items():
        if isinstance(value, float) and isnan(value):
            raise UsageError(f"--{name.replace('_', '-')} must be a number")


def _parameters(group: type) -> list[inspect.Parameter]:
    """A group's fields as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=one.default,
            annotation=hints[one.name],
        )
        for one in attrs.fields(group)
    ]


def _log(level: LogLevel) -> None:
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Ours, and what the WebSocket library says through us, which masks what is secret.
    for name in ("basix_ws_cti", "websockets.client"):
        logging.getLogger(name).setLevel(level.name)
