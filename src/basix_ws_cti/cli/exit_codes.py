"""Exit codes of the commands, and error messages with advice for the command line."""

from __future__ import annotations

from enum import IntEnum

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.error_texts import error_text
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    CertificateError,
    CommandRefused,
    CommandTimeout,
    ConnectionLimitReached,
    FeedError,
    LoggedOut,
    UsageError,
    WaitTimeout,
)

from .files import describe_file_error


class ExitCode(IntEnum):
    """Exit code of a command; docs/cli.md documents them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    AUTHENTICATION = 3
    CONNECTION = 4
    INTERRUPTED = 130


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case UsageError():
            return ExitCode.USAGE
        case AuthenticationError() | LoggedOut():
            return ExitCode.AUTHENTICATION
        case CommandRefused() | CommandTimeout() | WaitTimeout():
            return ExitCode.FAILURE
        case FeedError():
            return ExitCode.CONNECTION
    return ExitCode.FAILURE


def error_message(error: BaseException) -> str:
    """Return an error's text, with advice in terms of the command line's options."""
    match error:
        case ConnectionLimitReached():
            return _(
                "the PBX allows no further connection for this user and app_name: close one, "
                "use another --app-name, or replace the oldest with --force"
            )
        case CertificateError():
            return _("{error} (for advice run doctor; --ca-file trusts a private CA)").format(
                error=error_text(error)
            )
        case AuthenticationError():
            return _("{error}: check --domain and the token").format(error=error_text(error))
        case BasixError():
            return error_text(error)
        case OSError():
            return describe_file_error(error)
    return str(error)
