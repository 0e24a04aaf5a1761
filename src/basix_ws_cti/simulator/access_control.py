"""Who may connect to the simulated PBX: credentials, tickets, and what the query asks for.

Pure: a clock is handed in, and nothing is opened. What is asked
for, and how: docs/explanation/protocol.md, Connecting.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from attrs import define, field, frozen

from basix_ws_cti.exceptions import BasixError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .model import User
    from .pbx import Pbx

FEED_PATH = "/basix/api/ws_cti"
TICKET_NAME = "ws_ticket"

# One of these in the query names the user whose channels are wanted.
_USER_FILTERS: dict[str, Callable[[User, str], bool]] = {
    "user_id": lambda user, value: str(user.id) == value,
    "user_name": lambda user, value: user.name == value,
    "user_label": lambda user, value: user.label == value,
    "user_extension": lambda user, value: user.main_extension == value,
    "user_did": lambda user, value: f"050{user.main_extension:0>7}" == value,
    "user_email": lambda user, value: user.email == value,
}


class RefusedError(BasixError):
    """A request that is not granted: an HTTP status, and a sentence that says why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


@frozen
class Wish:
    """What a client asked for. ``user_id``: this user's channels alone; ``None``: all."""

    app_name: str
    user_id: int | None = None
    force: bool = False


def _split(target: str, status: HTTPStatus) -> SplitResult:
    try:
        return urlsplit(target)
    except ValueError:
        raise RefusedError(status, "the target is no URL") from None


def read_target(target: str, pbx: Pbx) -> Wish:
    """What a request target asks for; ``RefusedError`` for one that makes no sense."""
    parts = _split(target, HTTPStatus.NOT_FOUND)
    if parts.path != FEED_PATH:
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is no feed here")
    found = parse_qs(parts.query, keep_blank_values=True)
    query = {name: values[-1] for name, values in found.items()}
    if not query.get("app_name"):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "app_name is missing")
    user_id = None
    if query.get("full_events") != "true":
        for name, fits in _USER_FILTERS.items():
            if name in query:
                user_id = next((u.id for u in pbx.users.values() if fits(u, query[name])), None)
                if user_id is None:
                    raise RefusedError(HTTPStatus.BAD_REQUEST, f"no user has this {name}")
                break
    force = "true" in {query.get("force"), query.get("forced")}
    return Wish(query["app_name"], user_id, force)


@define
class Keys:
    """The domain's token, and the tickets that are out.

    ``clock`` gives seconds; a ticket opens its own request target once, within
    ``ticket_lifetime`` seconds.
    """

    domain: str
    token: str = field(repr=False)
    clock: Callable[[], float]
    ticket_lifetime: float = 10
    _tickets: dict[str, tuple[str | None, float]] = field(factory=dict, init=False, repr=False)

    def issue(self, target: str) -> str:
        """A ticket for a request target; ``RefusedError`` if there is none for that."""
        parts = _split(target, HTTPStatus.BAD_REQUEST)
        if parts.path != FEED_PATH:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"tickets are for {FEED_PATH} alone")
        if "full_events" in parse_qs(parts.query, keep_blank_values=True):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "a ticket can't have full_events")
        now = self.clock()
        self._tickets = {k: v for k, v in self._tickets.items() if v[1] > now}
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = (target, now + self.ticket_lifetime)
        return ticket

    def admit(self, headers: Iterable[str], target: str | None = None) -> None:
        """Let in whose Authorization headers open a target; ``RefusedError`` for all others.

        There must be one: of several, nobody knows which a proxy has gone by.
        """
        try:
            (header,) = headers
            scheme, _, value = header.partition(" ")
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # each of the three lines has one
            scheme = name = secret = ""
        if scheme.lower() != "basic" or not self.open(name, secret, target):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the credentials are wrong, or missing")

    def open(self, name: str, secret: str, target: str | None = None) -> bool:
        """Whether name and secret open a target; ``None``: something no ticket is for.

        A ticket that is shown is used up, whether or not it opens anything.
        """
        if name == TICKET_NAME and target is not None:
            known, expires = self._tickets.pop(secret, (None, 0.0))
            return known == target and self.clock() < expires
        # Encoded: compare_digest() takes no other text than ASCII.
        pairs = ((self.domain, name), (self.token, secret))
        fits = [hmac.compare_digest(_bytes(one), _bytes(other)) for one, other in pairs]
        return all(fits)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
