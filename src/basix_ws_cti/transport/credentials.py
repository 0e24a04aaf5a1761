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
import json
import re
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from basix_ws_cti.exceptions import UsageError

from .redaction import NotPicklable, scrub_traceback

T = TypeVar("T")


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

    Raises ``UsageError`` for an empty value, a colon in ``domain``, or text that UTF-8 cannot
    encode. The error does not quote the values.
    """

    domain: str
    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        check_text("domain", self.domain)
        check_text("token", self.token)
        if not self.domain or not self.token:
            raise UsageError("domain and token must not be empty")
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

    Raises ``UsageError`` for an empty ticket or text that UTF-8 cannot encode. The error does
    not quote the value.
    """

    ticket: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        check_text("ticket", self.ticket)
        if not self.ticket:
            raise UsageError("ticket must not be empty")

    @property
    def user_and_password(self) -> tuple[str, str]:
        """User name and password of the HTTP Basic credentials."""
        return "ws_ticket", self.ticket


def check_text(name: str, value: object) -> None:
    """Raise ``UsageError`` unless ``value`` is a ``str`` that UTF-8 can encode.

    The error shows ``name`` and never the value, which may be a secret.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name}: expected a str, got {type(value).__name__}")
    if any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise UsageError(f"{name} contains a lone surrogate, which UTF-8 cannot encode")


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
