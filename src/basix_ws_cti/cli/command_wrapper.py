"""Conversion of plain functions to typer commands, with shared options and exit codes."""

from __future__ import annotations

import functools
import inspect
import logging
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from itertools import chain
from math import isnan
from typing import Annotated, Any, get_type_hints

import attrs
import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import BasixError, UsageError

from .exit_codes import error_message, exit_code
from .help import panels
from .output import (
    discard_output,
    flush_or_discard_output,
    is_broken_pipe,
    prepare_streams,
    report,
)
from .profile_options import PROFILE_PARAMETERS, use_precedence


class LogLevel(StrEnum):
    """Minimum level of log records that are written to stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


_LOG_LEVEL = inspect.Parameter(
    "log_level",
    inspect.Parameter.KEYWORD_ONLY,
    default=LogLevel.CRITICAL,
    annotation=Annotated[
        LogLevel,
        typer.Option(
            "--log-level",
            metavar="LEVEL",
            help=_(
                "Lowest level of log messages to write to stderr: debug, info, warning, error or "
                "critical."
            ),
            rich_help_panel=panels.OTHER,
        ),
    ],
)

_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

# Parameters of which a command has one if it takes values from a profile.
_PROFILE_USERS = frozenset({"server", "timezone", "spool"})


def wrap_command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function as a typer command.

    - A parameter whose type is an attrs class is expanded to that class's options.
    - ``--profile`` and ``--config`` are added if a profile can provide one of the options.
    - ``--log-level`` is added.
    - SIGTERM is handled like Ctrl-C.
    - An error is reported in one line on stderr and becomes an exit code; the command raises
      nothing but ``typer.Exit``.
    """
    hints = get_type_hints(function, include_extras=True)
    del hints["return"]
    groups = {name: hint for name, hint in hints.items() if attrs.has(hint)}
    members = {name: _group_parameters(group) for name, group in groups.items()}
    parameters = [
        *(
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in groups
        ),
        *chain.from_iterable(members.values()),
    ]
    uses_profile = not _PROFILE_USERS.isdisjoint(parameter.name for parameter in parameters)
    wants_context = typer.Context in hints.values()
    if uses_profile:
        parameters += PROFILE_PARAMETERS
        if not wants_context:
            parameters.append(_CONTEXT)
    parameters.append(_LOG_LEVEL)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        prepare_streams()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _configure_logging(values.pop("log_level"))
        try:
            _reject_nan(values)
            if uses_profile:
                _complete_values(values)
                if not wants_context:
                    del values["context"]
            for name, group in groups.items():
                values[name] = group(
                    **{member.name: values.pop(member.name) for member in members[name]}
                )
            function(**values)
            sys.stdout.flush()
        except (BasixError, OSError, KeyboardInterrupt) as error:
            if is_broken_pipe(error):
                discard_output()
                return
            if not isinstance(error, KeyboardInterrupt):
                report(error_message(error))
            flush_or_discard_output()
            raise typer.Exit(exit_code(error)) from None

    # typer reads the signature; functools.wraps would make it follow __wrapped__ instead.
    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _complete_values(values: dict[str, Any]) -> None:
    """Remove the options that select a profile, and apply the precedence to the others."""
    for parameter in PROFILE_PARAMETERS:
        del values[parameter.name]
    use_precedence(values["context"], values)


def _reject_nan(values: dict[str, Any]) -> None:
    """Raise ``UsageError`` for NaN, which older typer releases accept despite min and max."""
    for name, value in values.items():
        if isinstance(value, float) and isnan(value):
            message = _("{option}: expected a number, got nan")
            raise UsageError(message.format(option=f"--{name.replace('_', '-')}"))


@functools.cache  # evaluating annotations is slow
def _group_parameters(group: type) -> tuple[inspect.Parameter, ...]:
    """Return the fields of an option group as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    return tuple(
        inspect.Parameter(
            attribute.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=attribute.default,
            annotation=hints[attribute.name],
        )
        for attribute in attrs.fields(group)
    )


def _configure_logging(level: LogLevel) -> None:
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The library's own records, and those of the WebSocket library, in which the connector
    # masks secrets.
    for name in ("basix_ws_cti", "websockets.client"):
        logging.getLogger(name).setLevel(level.name)
