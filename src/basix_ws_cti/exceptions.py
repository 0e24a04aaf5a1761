"""Everything this package raises.

::

    BasixError
    ├── UsageError (also a ValueError)   a call that can never work as written
    ├── DecodeError                      bytes that are not one well-formed term
    ├── ProtocolError                    a well-formed term that is not a message of the feed
    ├── RecordingError                   a file that is no recording, or a damaged one
    └── FeedError                        the connection
        ├── ConnectFailed                no WebSocket came about: DNS, TCP, TLS, time-out
        │   └── CertificateError         the server's certificate was not accepted
        ├── HandshakeError               the server answered the handshake with something else
        │   └── AuthenticationError      … with 401 or 403
        ├── ConnectionLost               an open connection ended without a proper close
        ├── ConnectionLimitReached       the PBX allows no further connection for this app_name
        ├── ConnectionReplaced           another connection with ``force`` took this one's place
        ├── LoggedOut                    the PBX ended the session
        ├── SyncTimeout                  the PBX did not say in time what there is
        ├── ResyncRequired              an event could not be read: the picture is rebuilt
        ├── NotConnectedError            a command, and no connection to send it on
        ├── CommandTimeout (also a TimeoutError)   a command's effect was not seen in time
        ├── WaitTimeout (also a TimeoutError)      what was waited for did not come
        └── SubscriberLagged             a subscriber was too slow for its queue

Instances keep their parts as attributes and render them in ``__str__``. No text ever
holds a token, and none quotes the contents of a frame: a frame holds people's names
and numbers.
"""

from __future__ import annotations


class BasixError(Exception):
    """The root: whatever this package raises on its own account is one of these."""


class UsageError(BasixError, ValueError):
    """A call that can never work as written; the text says what to change."""


class DecodeError(BasixError):
    """Bytes that are not exactly one well-formed term within the limits.

    ``offset`` is the byte at fault, counted from the start of the frame, or, where
    ``inflated`` is true, from the start of what the compressed frame inflates to.
    ``reason`` says what is wrong there.
    """

    def __init__(self, offset: int, reason: str, inflated: bool = False) -> None:  # noqa: FBT001, FBT002
        super().__init__(offset, reason, inflated)
        self.offset = offset
        self.reason = reason
        self.inflated = inflated

    def __str__(self) -> str:
        place = " of the inflated term" if self.inflated else ""
        return f"byte {self.offset}{place}: {self.reason}"


class ProtocolError(BasixError):
    """A term that was read well but can't be understood as a message of the feed.

    ``problem`` says what is wrong. ``element_name`` is the kind concerned and ``field``
    the part of the message, each ``None`` where it does not apply or is not known.
    """

    def __init__(
        self, problem: str, element_name: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(problem, element_name, field)
        self.problem = problem
        self.element_name = element_name
        self.field = field

    def __str__(self) -> str:
        parts = (self.element_name, self.field)
        where = [printable(part, 60) for part in parts if part is not None]
        return f"{', '.join(where)}: {self.problem}" if where else self.problem


class RecordingError(BasixError):
    """A recording that can't be read on from ``line``, counted from 1; ``problem`` says why.

    ``name`` is the file's. What stands before that line has been given out.
    """

    def __init__(self, name: str, line: int, problem: str) -> None:
        super().__init__(name, line, problem)
        self.name = name
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}: {self.problem}"


class FeedError(BasixError):
    """The connection to the PBX could not be opened, or ended."""


class ConnectFailed(FeedError):  # noqa: N818 - reads as what happened
    """No WebSocket came about: DNS, TCP, TLS, a proxy, or the time to open ran out.

    ``reason`` is the cause in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot connect: {self.reason}"


class CertificateError(ConnectFailed):
    """The server's TLS certificate was not accepted; ``ssl=`` takes a private CA."""


class HandshakeError(FeedError):
    """The server answered the WebSocket handshake with something other than 101.

    ``status`` is the HTTP status. ``reason`` is the answer's own text, printable and
    shortened, or ``None``. ``retry_after`` is the Retry-After header as sent, or ``None``.
    """

    def __init__(
        self, status: int, reason: str | None = None, retry_after: str | None = None
    ) -> None:
        super().__init__(status, reason, retry_after)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"the server answered the handshake with HTTP {self.status}"
        if 300 <= self.status < 400:
            text += " (redirects are not followed: name the final server)"
        return f"{text}: {self.reason}" if self.reason else text


class AuthenticationError(HandshakeError):
    """The server refused the login (401 or 403)."""

    def __str__(self) -> str:
        text = f"the server refused the login with HTTP {self.status}"
        return f"{text}: {self.reason}" if self.reason else text


class ConnectionLost(FeedError):  # noqa: N818
    """An open connection ended without a proper close.

    ``code`` is the WebSocket close code (RFC 6455, section 7.4), 1006 when the
    connection just broke; ``reason`` is the peer's text, possibly empty.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        text = f"the connection was lost (close code {self.code})"
        return f"{text}: {self.reason}" if self.reason else text


class ConnectionLimitReached(FeedError):  # noqa: N818
    """The PBX allows two connections per user and app_name, and both are in use."""

    def __str__(self) -> str:
        return (
            "the PBX already has as many connections for this user and app_name as it allows: "
            "close one, use another app_name, or pass force=True to replace the oldest"
        )


class ConnectionReplaced(FeedError):  # noqa: N818
    """The PBX closed this connection because another one was forced in its place."""

    def __str__(self) -> str:
        return "another connection with the same app_name and force=True took this one's place"


class LoggedOut(FeedError):  # noqa: N818
    """The PBX ended the session: ``logout``."""

    def __str__(self) -> str:
        return "the PBX ended the session: log in again"


class SyncTimeout(FeedError):  # noqa: N818
    """The PBX did not say in time what there is; ``seconds`` is how long it had."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the PBX did not say within {self.seconds:g} s what there is"


class ResyncRequired(FeedError):  # noqa: N818
    """A frame could not be read, so the picture may lack an event; ``problem`` is its error."""

    def __init__(self, problem: BasixError) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the picture is rebuilt, since a frame could not be read: {self.problem}"


class NotConnectedError(FeedError):
    """There is no connection to send a command on; it was not sent."""

    def __str__(self) -> str:
        return "not connected to the PBX: the command was not sent"


class CommandTimeout(FeedError, TimeoutError):  # noqa: N818
    """A command was sent, and its effect was not seen in time: whether it had one is unknown."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(command, seconds)
        self.command = command
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            f"the effect of {self.command} was not seen within {self.seconds:g} s: "
            "whether it had one is unknown"
        )


class WaitTimeout(FeedError, TimeoutError):  # noqa: N818
    """What was waited for did not come within ``seconds``."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what = what
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.what} did not come within {self.seconds:g} s"


class SubscriberLagged(FeedError):  # noqa: N818
    """A subscriber with ``policy="fail"`` was too slow: more than ``size`` items waited for it."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"more than {self.size} items waited for a slow subscriber"


def printable(text: str, limit: int = 256) -> str:
    """A peer's text made fit for a log line: printable characters, at most ``limit``."""
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
