"""Texts of exceptions in the language of the reader.

The text of an exception itself (``str``) is English, for logs and programs.
"""

from __future__ import annotations

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    HandshakeError,
    HttpApiError,
    LoggedOut,
    ProxyError,
    RecordingError,
    ResyncRequired,
    SyncTimeout,
)

# Texts without details.
_FIXED_TEXTS: dict[type[BasixError], str] = {
    ConnectionLimitReached: N_(
        "the PBX already has as many connections for this user and app_name as it allows: close "
        "one, use another app_name, or pass force=True to replace the oldest"
    ),
    ConnectionReplaced: N_(
        "another connection with the same app_name and force=True replaced this one"
    ),
    LoggedOut: N_("the PBX ended the session: log in again"),
}


def error_text(error: BasixError) -> str:
    """Return an exception's text, with the cause as the system or the server names it.

    In English it equals ``str(error)``. An exception that concerns programmers only is in English
    in every language.
    """
    if type(error) in _FIXED_TEXTS:
        return _(_FIXED_TEXTS[type(error)])
    match error:
        case HttpApiError():
            return str(error)
        case HandshakeError():
            return _handshake_text(error)
        case ConnectFailed():
            return _("cannot connect: {reason}").format(reason=_connect_reason(error))
        case ConnectionLost(code=code, reason=reason):
            text = _("the connection was lost (close code {code})").format(code=code)
            return _with_reason(text, reason)
        case SyncTimeout(seconds=seconds):
            text = _("the PBX did not send a complete snapshot within {seconds:g} s")
            return text.format(seconds=seconds)
        case ResyncRequired(problem=problem):
            text = _("a new snapshot is needed, since a frame could not be read: {problem}")
            return text.format(problem=problem)
        case RecordingError(name=name, line=line, problem=reason):
            return _("{file}, line {line}: {problem}").format(file=name, line=line, problem=reason)
    return str(error)


def _connect_reason(error: ConnectFailed) -> str:
    """Return the cause of a failed connection."""
    if not isinstance(error, ProxyError):
        return error.reason
    if error.status == 407:
        text = _(
            "the proxy refused the connection to the server with HTTP {status} (it requires a "
            "login: use http://user:password@host:port)"
        )
    else:
        text = _("the proxy refused the connection to the server with HTTP {status}")
    return text.format(status=error.status)


def _handshake_text(error: HandshakeError) -> str:
    if isinstance(error, AuthenticationError):
        text = _("the server refused the login with HTTP {status}")
    elif 300 <= error.status < 400:
        text = _(
            "the server answered the handshake with HTTP {status} (redirects are not followed: "
            "name the final server)"
        )
    else:
        text = _("the server answered the handshake with HTTP {status}")
    return _with_reason(text.format(status=error.status), error.reason)


def _with_reason(text: str, reason: str | None) -> str:
    """Append a text of the server to the description of an error."""
    return _("{error}: {reason}").format(error=text, reason=reason) if reason else text
