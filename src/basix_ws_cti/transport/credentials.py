"""Credentials for the feed, and every form in which their secret may appear in a text.

Leaks that this module prevents:

- The repr of credentials, which logs and debuggers show, leaves out the token and the ticket.
- Refused credentials raise errors that do not quote them, with a traceback that does not hold
  them (``scrub_traceback``).
- Credentials cannot be pickled (``NotPicklable``).
- ``secret_forms`` lists what to redact: a server or proxy may repeat the secret encoded.
"""

from __future__ import annotations

import base64
import html
import inspect
import json
import re
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from basix_ws_cti._internal.arguments import check_filled_text
from basix_ws_cti.exceptions import UsageError

from .redaction import NotPicklable, scrub_traceback

T = TypeVar("T")

# Unicode categories: control and format characters (a byte order mark is one), line and paragraph
# separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


def _with_scrubbed_init(cls: type[T]) -> type[T]:
    """Keep the secret out of the traceback of a failing ``__init__`` (class decorator)."""
    cls.__init__ = scrub_traceback(cls.__init__)  # type: ignore[method-assign]
    return cls


class _Credentials(NotPicklable):
    """Base class of credentials: immutable, so that a copy is the object itself.

    ``copy.deepcopy`` of a program's settings therefore works although pickling does not.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self


@_with_scrubbed_init
@frozen
class Basic(_Credentials):
    """A domain and its API token, sent as HTTP Basic credentials.

    - ``domain``: name of the PBX domain, a ``str`` without a colon.
    - ``token``: API token of the domain, a ``str``. The repr does not show it.

    Raises ``UsageError`` for an empty value, outer white space, line breaks and other invisible
    characters, a colon in ``domain``, or text that UTF-8 cannot encode. The error does not quote
    the values.
    """

    domain: str
    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_login_text("domain", self.domain)
        _check_login_text("token", self.token)
        if ":" in self.domain:
            raise UsageError(
                "domain must not contain a colon: HTTP Basic ends the user name at the first one"
            )

    @property
    def user_and_password(self) -> tuple[str, str]:
        """User name and password of the HTTP Basic credentials."""
        return self.domain, self.token


@_with_scrubbed_init
@frozen
class Ticket(_Credentials):
    """A ticket from ``gen_ws_ticket``, valid for one connection and a few seconds.

    - ``ticket``: the ticket, a ``str``. The repr does not show it.

    Raises ``UsageError`` for an empty ticket, outer white space, invisible characters, or text that
    UTF-8 cannot encode. The error does not quote the value.
    """

    ticket: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_login_text("ticket", self.ticket)

    @property
    def user_and_password(self) -> tuple[str, str]:
        """User name and password of the HTTP Basic credentials."""
        return "ws_ticket", self.ticket


def _check_login_text(name: str, value: object) -> None:
    """Raise ``UsageError`` unless ``value`` can be a domain, token or ticket.

    Copying one from a file or web page adds characters that nobody sees: line breaks, spaces, a
    byte order mark. The server would only answer that the login is wrong.
    """
    check_filled_text(name, value)
    text = str(value)
    if text != text.strip():
        raise UsageError(f"{name} begins or ends with white space: remove it, or the line break")
    for char in text:
        if unicodedata.category(char) in _INVISIBLE:
            raise UsageError(
                f"{name} contains the invisible character U+{ord(char):04X}: remove it"
            )


async def await_credentials(credentials: Callable[[str], Awaitable[object]], target: str) -> object:
    """Await a user's credentials function, and return what it returns.

    Raises ``UsageError`` if it is not an async function, and whatever it raises.
    """
    result: object = credentials(target)
    if inspect.isawaitable(result):
        return await result
    kind = type(result).__name__
    del result  # it may hold the secret, and the traceback keeps this frame
    raise UsageError(f"credentials must be an async function (async def), but it returned a {kind}")


def basic_header(credentials: Basic | Ticket) -> str:
    """Return the value of the Authorization header (RFC 7617, in UTF-8)."""
    return "Basic " + base64.b64encode(":".join(credentials.user_and_password).encode()).decode()


def secret_forms(credentials: Basic | Ticket) -> tuple[str, ...]:
    """Return every form in which the secret may appear in a text, longest first.

    The forms are: raw, escaped for HTML and JSON, percent-encoded in upper and lower case, and
    base64 of the secret and of the whole Basic credentials, with and without padding.
    """
    secret = credentials.user_and_password[1]
    encoded = {
        base64.b64encode(secret.encode()).decode(),
        basic_header(credentials).removeprefix("Basic "),
    }
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    forms = {
        secret,
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *quoted,
        *(re.sub("%..", lambda escape: escape[0].lower(), text) for text in quoted),
        *encoded,
        *(text.rstrip("=") for text in encoded),
    }
    return tuple(sorted(forms, key=len, reverse=True))


Credentials = Basic | Ticket | Callable[[str], Awaitable[Basic | Ticket]]
"""Credentials of a connection.

Either a value, or an async function that takes the request target and returns a value.
"""
