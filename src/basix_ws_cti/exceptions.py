"""Exceptions of this package.

::

    BasixError
    ├── UsageError (also a ValueError)   a call that can never succeed as written
    ├── DecodeError                      bytes that are not one well-formed term
    ├── ProtocolError                    a well-formed term that is not a message of the feed
    ├── RecordingError                   a file that is not a recording, or is damaged
    ├── CallLogError                     a call log cannot be opened, read or written
    ├── SpoolError                       the spool of a webhook cannot be opened or written
    ├── HttpApiError                     the HTTP API reported an error, or its response is invalid
    │   └── HttpApiAuthenticationError (also an AuthenticationError)     it refused the login
    └── FeedError                        an error of the connection
        ├── ConnectFailed                the connection could not be opened: DNS, TCP, TLS, timeout
        │   ├── CertificateError         the server's certificate was not accepted
        │   └── ProxyError               the proxy refused the connection to the server
        ├── HandshakeError               the server refused the WebSocket handshake
        │   └── AuthenticationError      … with 401 or 403
        ├── ConnectionLost               an open connection ended without a proper close
        ├── RedisFeedError               Redis, which carries the feed, cannot be used at the moment
        ├── ConnectionLimitReached       the PBX allows no further connection for this app_name
        ├── ConnectionReplaced           another connection with ``force`` replaced this one
        ├── LoggedOut                    the PBX ended the session
        ├── SyncTimeout                  the PBX did not send a complete snapshot in time
        ├── ResyncRequired               a frame could not be read: a new snapshot is needed
        ├── NotConnectedError            a command without a connection to send it on
        ├── CommandTimeout (also a TimeoutError)   a command's effect was not seen in time
        ├── CommandRefused               a follower's command was not executed, or failed
        ├── EavesdropError               no phone became a media plug, or the target ended
        ├── ClickToCallError             the destination did not answer, or the call is not shown
        ├── WaitTimeout (also a TimeoutError)      a condition was not met in time
        ├── ClientClosed                 a wait for a client whose block has been left
        └── SubscriberLagged             a subscriber was too slow for its queue

Instances have the details as attributes and render them in ``__str__``. No text contains a
token, and none quotes the contents of a frame, which has people's names and numbers in it.
"""

from __future__ import annotations


class BasixError(Exception):
    """Base class of all exceptions that this package raises."""


class UsageError(BasixError, ValueError):
    """A call that can never succeed as written; the text says what to change."""


class DecodeError(BasixError):
    """Bytes that are not exactly one well-formed term within the limits.

    - ``offset``: position of the byte at fault, from the start of the frame. If ``inflated`` is
      true, from the start of the inflated term.
    - ``reason``: what is wrong there.
    - ``inflated``: the frame is compressed, and the error is in the inflated term.
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
    """A well-formed term that is not a message of the feed.

    - ``problem``: what is wrong.
    - ``element_name``: kind of the elements in the message; ``None`` if unknown.
    - ``field``: part of the message that is wrong; ``None`` if unknown.
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
    """A recording that is unreadable from a line on; the frames before it have been delivered.

    - ``name``: name of the file.
    - ``line``: number of the line, from 1.
    - ``problem``: what is wrong.
    """

    def __init__(self, name: str, line: int, problem: str) -> None:
        super().__init__(name, line, problem)
        self.name = name
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}: {self.problem}"


class CallLogError(BasixError):
    """A call log that cannot be opened, read or written.

    - ``name``: path of the file, or URL of the database without the password.
    - ``problem``: what is wrong, and the remedy.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"call log {self.name}: {self.problem}"


class SpoolError(BasixError):
    """The spool of a webhook cannot be opened or written.

    - ``name``: path of the file.
    - ``problem``: what is wrong, and the remedy.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"spool {self.name}: {self.problem}"


class FeedError(BasixError):
    """The connection to the PBX could not be opened, or ended."""


class ConnectFailed(FeedError):  # noqa: N818 - reads as what happened
    """The connection could not be opened: DNS, TCP, TLS, a proxy or a timeout.

    ``reason`` is the cause as text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot connect: {self.reason}"


class CertificateError(ConnectFailed):
    """The server's TLS certificate was not accepted; pass a private CA with ``ssl=``."""


class ProxyError(ConnectFailed):
    """The proxy refused the connection to the server: a status other than 2xx for CONNECT.

    - ``status``: HTTP status code of the proxy's response.
    - ``retry_after``: the Retry-After header as sent; ``None`` if there is none.
    """

    def __init__(self, status: int, retry_after: str | None = None) -> None:
        login = " (it requires a login: use http://user:password@host:port)"
        super().__init__(
            f"the proxy refused the connection to the server with HTTP {status}"
            f"{login if status == 407 else ''}"
        )
        self.args: tuple[object, ...] = (status, retry_after)
        self.status = status
        self.retry_after = retry_after


class HandshakeError(FeedError):
    """The server answered the WebSocket handshake with a status other than 101.

    - ``status``: HTTP status code.
    - ``reason``: text of the response, printable and truncated; ``None`` if it has none, or
      if it contains the secret and that may be an ordinary word.
    - ``retry_after``: the Retry-After header as sent, repeated ones joined by commas; ``None`` if
      there is none.
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


class HttpApiError(BasixError):
    """The HTTP API reported an error, or its response is not valid.

    - ``status``: HTTP status code. The PBX reports errors with status 200 too.
    - ``result_code``: number of the error in the response; ``None`` if it has none.
    - ``error_id``: name of the error, such as ``authentication_required``, printable and
      truncated; ``None`` if the response has none.
    - ``reason``: what is wrong with a response that is not valid; ``None`` for a valid one.
    - ``retry_after``: the Retry-After header as sent; ``None`` if there is none.
    """

    def __init__(
        self,
        status: int,
        result_code: int | None = None,
        error_id: str | None = None,
        reason: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        # Not super(): the next class of HttpApiAuthenticationError takes other arguments.
        Exception.__init__(self, status, result_code, error_id, reason, retry_after)
        self.status = status
        self.result_code = result_code
        self.error_id = error_id
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [f"HTTP {self.status}"]
        if self.result_code:
            parts.append(f"result_code {self.result_code}")
        if self.error_id:
            parts.append(self.error_id)
        if self.reason:
            parts.append(self.reason)
        if 300 <= self.status < 400:
            parts.append("redirects are not followed: name the final server")
        return f"the HTTP API reported an error: {', '.join(parts)}"


class HttpApiAuthenticationError(HttpApiError, AuthenticationError):
    """The HTTP API refused the login: 401, 403 or ``authentication_required``."""

    def __str__(self) -> str:
        name = f", {self.error_id}" if self.error_id else ""
        return f"the HTTP API refused the login: HTTP {self.status}{name}"


class ConnectionLost(FeedError):  # noqa: N818
    """An open connection ended without a proper close.

    - ``code``: WebSocket close code (RFC 6455, section 7.4); 1006 if the connection broke.
    - ``reason``: text from the server; empty if it sent none.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        text = f"the connection was lost (close code {self.code})"
        return f"{text}: {self.reason}" if self.reason else text


class RedisFeedError(FeedError):
    """Redis, which carries the feed to other machines, cannot be used at the moment.

    - ``server``: address of the server, without user name and password.
    - ``cause``: ``"unreachable"``, ``"timeout"``, ``"loading"``, ``"read_only"``,
      ``"out_of_memory"``, ``"no_permission"``, ``"login"`` or ``"other"``. A ``Follower`` also
      reports ``"no_publisher"``, and ``"missed"``: entries were removed before it read them.
    - ``problem``: what is wrong, and the remedy.
    """

    def __init__(self, server: str, cause: str, problem: str) -> None:
        super().__init__(server, cause, problem)
        self.server = server
        self.cause = cause
        self.problem = problem

    def __str__(self) -> str:
        return f"Redis at {self.server}: {self.problem}"


class ConnectionLimitReached(FeedError):  # noqa: N818
    """The PBX allows two connections for a user and app_name, and both are in use."""

    def __str__(self) -> str:
        return (
            "the PBX already has as many connections for this user and app_name as it allows: "
            "close one, use another app_name, or pass force=True to replace the oldest"
        )


class ConnectionReplaced(FeedError):  # noqa: N818
    """The PBX closed this connection in favour of another one with ``force=True``."""

    def __str__(self) -> str:
        return "another connection with the same app_name and force=True replaced this one"


class LoggedOut(FeedError):  # noqa: N818
    """The PBX ended the session with the system message ``logout``."""

    def __str__(self) -> str:
        return "the PBX ended the session: log in again"


class SyncTimeout(FeedError):  # noqa: N818
    """The PBX did not send a complete snapshot within ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the PBX did not send a complete snapshot within {self.seconds:g} s"


class ResyncRequired(FeedError):  # noqa: N818
    """A frame could not be read, so the state may lack an event: a new snapshot is needed.

    The client reconnects at once to get one. This does not count as a failed connection.

    ``problem`` is the frame's ``DecodeError`` or ``ProtocolError``.
    """

    def __init__(self, problem: BasixError) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"a new snapshot is needed, since a frame could not be read: {self.problem}"


class NotConnectedError(FeedError):
    """A command was not sent, since there is no connection."""

    def __str__(self) -> str:
        return "not connected to the PBX: the command was not sent"


class CommandTimeout(FeedError, TimeoutError):  # noqa: N818
    """A command was sent, but its effect was not seen in time: its outcome is unknown.

    - ``command``: name of the command.
    - ``seconds``: time waited.
    """

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(command, seconds)
        self.command = command
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            f"no effect of {self.command} was seen within {self.seconds:g} s: "
            "its outcome is unknown"
        )


class CommandRefused(FeedError):  # noqa: N818 - reads as what happened
    """A command of a ``Follower`` was not executed, or has failed.

    - ``command``: name of the command.
    - ``cause``: ``"not_allowed"``: the publisher executes no commands. ``"not_taken"``: no
      publisher took it before its deadline, and none will. ``"failed"``: a publisher tried to
      execute it, without success.
    - ``problem``: what is wrong, and the remedy.
    """

    def __init__(self, command: str, cause: str, problem: str) -> None:
        super().__init__(command, cause, problem)
        self.command = command
        self.cause = cause
        self.problem = problem

    def __str__(self) -> str:
        what = "failed" if self.cause == "failed" else "was not executed"
        return f"{self.command} {what}: {self.problem}"


class EavesdropError(FeedError):
    """Nobody listens to the channel: no phone became a media plug, or the target ended first.

    ``reason`` is the cause as text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen to the channel: {self.reason}"


class ClickToCallError(FeedError):
    """The destination of a click-to-call did not answer, or the feed does not show the call.

    ``reason`` is the cause as text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"click-to-call failed: {self.reason}"


class WaitTimeout(FeedError, TimeoutError):  # noqa: N818
    """A condition was not met in time.

    - ``what``: description of the condition.
    - ``seconds``: time waited.
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.what = what
        self.seconds = seconds

    def __str__(self) -> str:
        return f"timed out after {self.seconds:g} s waiting for {self.what}"


class ClientClosed(FeedError):  # noqa: N818
    """The client's block was left while something waited for the client, or before."""

    def __str__(self) -> str:
        return "the client was closed: its `async with` block has ended"


class SubscriberLagged(FeedError):  # noqa: N818
    """A subscriber with ``policy="fail"``, or an async callback, was too slow for its queue.

    ``size`` is the number of items that the queue can hold.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"a subscriber was too slow: more than {self.size} items waited in its queue"


def printable(text: str, limit: int = 256) -> str:
    """Return a peer's text as printable characters for a log line, ``limit`` at most.

    Every other character becomes a replacement character; a cut text ends in an ellipsis.
    """
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
