"""Access to the simulated PBX: credentials, tickets, and the query of a feed request.

Pure: the clock is a parameter, and there is no I/O. The rules are in
docs/explanation/protocol.md, section Connecting.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from attrs import define, field, frozen

from .errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .model import Group, User
    from .pbx import Pbx

FEED_PATH = "/basix/api/ws_cti"
TICKET_NAME = "ws_ticket"

# Parameters that name a user, each with the test that a user must pass.
USER_FILTERS: dict[str, Callable[[User, str], bool]] = {
    "user_id": lambda user, value: str(user.id) == value,
    "user_name": lambda user, value: user.name == value,
    "user_label": lambda user, value: user.label == value,
    "user_extension": lambda user, value: user.main_extension == value,
    "user_did": lambda user, value: did_of(user) == value,
    "user_email": lambda user, value: user.email == value,
}


def did_of(element: User | Group) -> str:
    """Return the direct (DID) number of a user or group."""
    return f"050{element.main_extension:0>7}"


@frozen
class FeedRequest:
    """The parsed query of a request for the feed.

    Attributes:
        app_name: name under which the client connects, as ``str``.
        user_id: the client gets the channels of this user only; ``None``: all channels.
        force: ``True``: at the connection limit, close an older connection.
    """

    app_name: str
    user_id: int | None = None
    force: bool = False


def _split(target: str, status: HTTPStatus) -> SplitResult:
    try:
        return urlsplit(target)
    except ValueError:
        raise RefusedError(status, "the request target is not a valid URL") from None


def parse_target(target: str, pbx: Pbx) -> FeedRequest:
    """Parse the request target of a handshake; raise ``RefusedError`` if it is not valid."""
    parts = _split(target, HTTPStatus.NOT_FOUND)
    if parts.path != FEED_PATH:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"no feed at this path: use {FEED_PATH}")
    parameters = parse_qs(parts.query, keep_blank_values=True)
    query = {name: values[-1] for name, values in parameters.items()}
    if not query.get("app_name"):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "query parameter app_name is missing")
    user_id = None
    if query.get("full_events") != "true":
        for name, matches in USER_FILTERS.items():
            if name in query:
                user_id = next((u.id for u in pbx.users.values() if matches(u, query[name])), None)
                if user_id is None:
                    raise RefusedError(HTTPStatus.BAD_REQUEST, f"no user has this {name}")
                break
    force = "true" in {query.get("force"), query.get("forced")}
    return FeedRequest(query["app_name"], user_id, force)


@define
class AccessControl:
    """The credentials of the domain, and the tickets that have been issued.

    A ticket is valid for one connection, to the request target for which it was issued.

    Attributes:
        domain: user name for HTTP Basic authentication, as ``str``.
        token: password for HTTP Basic authentication, as ``str``.
        clock: function that returns the time in seconds.
        ticket_lifetime: validity of a ticket, in seconds.
    """

    domain: str
    token: str = field(repr=False)
    clock: Callable[[], float]
    ticket_lifetime: float = 10
    # Request target and expiry of each ticket.
    _tickets: dict[str, tuple[str | None, float]] = field(factory=dict, init=False, repr=False)

    @property
    def ticket_count(self) -> int:
        """Number of tickets kept, some of which may have expired."""
        return len(self._tickets)

    def issue_ticket(self, target: str) -> str:
        """Return a ticket for a request target.

        Raises ``RefusedError`` for a target for which there are no tickets.
        """
        parts = _split(target, HTTPStatus.BAD_REQUEST)
        if parts.path != FEED_PATH:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"a ticket is only valid for {FEED_PATH}")
        if "full_events" in parse_qs(parts.query, keep_blank_values=True):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "a ticket cannot have full_events")
        now = self.clock()
        self._tickets = {k: v for k, v in self._tickets.items() if v[1] > now}
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = (target, now + self.ticket_lifetime)
        return ticket

    def authenticate(self, headers: Iterable[str], target: str | None = None) -> None:
        """Check the Authorization headers of a request; raise ``RefusedError`` if not valid.

        There must be exactly one header: if there are more, a proxy before the PBX may have
        checked another one. ``target``: as for ``accepts()``.
        """
        try:
            (header,) = headers
            scheme, _, value = header.partition(" ")
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # raised by each of the three lines
            scheme = name = secret = ""
        if scheme.lower() != "basic" or not self.accepts(name, secret, target):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "wrong or missing credentials")

    def accepts(self, name: str, secret: str, target: str | None = None) -> bool:
        """Return True if name and secret give access to a request target.

        ``target``: ``None`` for a request that does not take tickets. A ticket can be
        presented once, even for the wrong target.
        """
        if name == TICKET_NAME and target is not None:
            issued_for, expires = self._tickets.pop(secret, (None, 0.0))
            return issued_for == target and self.clock() < expires
        # Encoded, because compare_digest() takes no str but ASCII. Both are always compared,
        # so that the time does not tell which one is wrong.
        pairs = ((self.domain, name), (self.token, secret))
        equal = [hmac.compare_digest(_bytes(one), _bytes(other)) for one, other in pairs]
        return all(equal)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
