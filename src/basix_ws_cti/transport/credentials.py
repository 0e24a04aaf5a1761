"""Credentials of a connection, and the forms in which their secret may turn up in a text."""

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
    cls.__init__ = scrub_traceback(cls.__init__)  # type: ignore[method-assign]
    return cls


class _Credentials(NotPicklable):
    """As it can't change, a copy of it is itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self


@_with_scrubbed_init
@frozen
class Basic(_Credentials):
    """A domain and its API token, sent as HTTP Basic credentials."""

    domain: str
    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_text("domain", self.domain)
        _check_text("token", self.token)
        if not self.domain or not self.token:
            raise UsageError("domain and token must not be empty")
        if ":" in self.domain:
            raise UsageError("a domain has no colon: HTTP Basic ends the name there")

    @property
    def pair(self) -> tuple[str, str]:
        """Name and password."""
        return self.domain, self.token


@_with_scrubbed_init
@frozen
class Ticket(_Credentials):
    """A ticket from ``gen_ws_ticket``: good for one connection, for seconds."""

    ticket: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_text("ticket", self.ticket)
        if not self.ticket:
            raise UsageError("the ticket must not be empty")

    @property
    def pair(self) -> tuple[str, str]:
        """Name and password."""
        return "ws_ticket", self.ticket


def _check_text(name: str, value: object) -> None:
    """Raise ``UsageError`` for what is no text that UTF-8 can carry, without showing it."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is a str, not {type(value).__name__}")
    if any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise UsageError(f"{name} holds half a surrogate pair, which is no character")


def basic_header(credentials: Basic | Ticket) -> str:
    """The value of the Authorization header (RFC 7617, in UTF-8)."""
    return "Basic " + base64.b64encode(":".join(credentials.pair).encode()).decode()


def secret_forms(credentials: Basic | Ticket) -> tuple[str, ...]:
    """All the forms in which the secret may turn up in a text, the longest first."""
    secret = credentials.pair[1]
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
"""Who connects: a value, or an async function from the request target to one."""
