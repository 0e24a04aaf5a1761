"""Exit codes, and what becomes which (docs/cli.md)."""

from __future__ import annotations

from enum import IntEnum

from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    CommandTimeout,
    ConnectionLimitReached,
    FeedError,
    LoggedOut,
    UsageError,
    WaitTimeout,
)


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    AUTHENTICATION = 3
    CONNECTION = 4
    INTERRUPTED = 130


def exit_code(error: BaseException) -> Exit:
    """The code for an error that ended a command."""
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case UsageError():
            return Exit.USAGE
        case AuthenticationError() | LoggedOut():
            return Exit.AUTHENTICATION
        case CommandTimeout() | WaitTimeout():
            return Exit.FAILURE
        case FeedError():
            return Exit.CONNECTION
    return Exit.FAILURE


def told(error: BaseException) -> str:
    """An error in words, with what to do about it at the command line."""
    match error:
        case ConnectionLimitReached():
            return (
                "the PBX already has as many connections for this user and app_name as it allows: "
                "close one, use another --app-name, or --force to replace the oldest"
            )
        case CertificateError():
            return f"{error} (doctor says what to do; --ca-file names a private CA's)"
        case AuthenticationError():
            return f"{error}: check --domain and the token"
    return str(error)
