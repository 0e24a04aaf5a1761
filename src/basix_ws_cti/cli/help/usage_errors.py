"""Errors about the syntax of a command line, in the language of the reader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import printable

# Base class of the errors of typer's parser, which has no public name.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


@contextlib.contextmanager
def translated_usage_errors(width: int) -> Iterator[None]:
    """Report an error of typer's parser in the block on stderr, and raise ``typer.Exit``.

    ``width`` is the number of columns for the usage text.
    """
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # typer shows the help
            raise
        typer.echo("\n".join(_error_lines(error, width)), err=True)
        raise typer.Exit(2) from None


def _error_lines(error: Any, width: int) -> Iterator[str]:
    context = error.ctx
    if context is not None:
        yield from context.command.usage_lines(context, width)
        command = f"{context.command_path} {context.help_option_names[0]}"
        yield _("Help: {command}").format(command=command)
        yield ""
    yield _("error: {message}").format(message=_message(error))


def _message(error: Any) -> str:
    """Return the text of an error; the reason why a value is not valid is typer's."""
    kind = type(error).__name__
    if kind == "NoSuchOption":
        fields = {"option": printable(error.option_name, 80)}
        if not error.possibilities:
            return _("no such option: {option}").format(**fields)
        similar = ", ".join(sorted(error.possibilities))
        return _("no such option: {option}; did you mean {similar}?").format(
            similar=similar, **fields
        )
    if getattr(error, "param", None) is None:
        return str(error.format_message())
    name = error.param_hint or _parameter_name(error.param)
    if kind == "MissingParameter":  # every option has a default
        return _("missing argument {name}").format(name=name)
    return _("invalid value for {name}: {reason}").format(name=name, reason=error.message)


def _parameter_name(parameter: Any) -> str:
    """Return the name of an argument, or the names of an option and its variable, in quotes.

    Typer's own function changed its parameters in 0.29.
    """
    if parameter.param_type_name == "argument":
        return f"'{parameter.metavar or parameter.name.upper()}'"
    names = " / ".join(f"'{name}'" for name in parameter.opts)
    return f"{names} (env var: '{parameter.envvar}')" if parameter.envvar else names
