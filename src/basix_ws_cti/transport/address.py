"""Where the feed is and who asks for it: server, request target, credentials, URL.

Pure text work (docs/explanation/protocol.md, Connecting); nothing here opens anything.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, urlsplit

from attrs import frozen

from basix_ws_cti.exceptions import UsageError

from .credentials import Basic, _check_text
from .redaction import scrub_traceback

FEED_PATH = "/basix/api/ws_cti"

# What a name in the DNS is made of. Nothing else may stand in a host: no name that is shown is
# then one thing to us and another to who looks it up.
_HOST = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)


def _looked_up(host: str) -> str:
    """A host as it is looked up; ``UsageError`` for one that can't be."""
    if not host.isascii():
        # Here, or the WebSocket library quotes the request target a second time.
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise UsageError("the server's host is no valid international name") from None
    if ":" not in host and not _HOST.fullmatch(host):
        raise UsageError("the server's host is no valid name or address")
    return host


@frozen
class Server:
    """A server's address, checked: ``ws`` or ``wss``, host and port."""

    scheme: str
    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read ``host``, ``host:port``, ``wss://host:port`` or ``ws://host:port``.

        Raises ``UsageError`` for anything else; its text never repeats the input,
        which may hold a token.
        """
        if not isinstance(text, str):
            raise UsageError(f"the server is a str, not {type(text).__name__}")
        try:
            parts = urlsplit(text if "://" in text else f"wss://{text}")
            port = parts.port
        except ValueError:
            raise UsageError(
                "the server is no valid address: use host, host:port or wss://host:port"
            ) from None
        if "@" in parts.netloc:
            raise UsageError("the server holds credentials: pass domain= and token= instead")
        if parts.scheme not in {"ws", "wss"}:
            raise UsageError("the server's scheme must be wss (or ws, to this machine)")
        host = parts.hostname or ""
        if not host or any(char.isspace() or not char.isprintable() for char in text):
            raise UsageError("the server has no host: use host, host:port or wss://host:port")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise UsageError(f"the server is a host alone: {FEED_PATH} is added to it")
        if port == 0:
            raise UsageError("the server's port is 0, which nobody listens on")
        return cls(parts.scheme, _looked_up(host), port)

    @property
    def is_secure(self) -> bool:
        """Whether TLS protects what is sent."""
        return self.scheme == "wss"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine by its very name.

        What only leads there when it is looked up (``127.1``, ``localhost.``) is not.
        """
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return False  # any text can stand there
            address = address.ipv4_mapped or address  # not every Python looks into it
        return address.is_loopback

    @property
    def netloc(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def request_target(
    app_name: str,
    *,
    full_events: bool = False,
    force: bool = False,
    **user_filter: str | int | None,
) -> str:
    """Path and query of the feed, percent-encoded.

    ``user_filter`` are the ``user_…`` parameters; those that are ``None`` are left out.
    Raises ``UsageError`` for an empty app_name, for more than one user filter, and for one
    beside ``full_events``, which would make the PBX ignore it.
    """
    _check_text("app_name", app_name)
    if not app_name:
        raise UsageError("app_name must not be empty: the PBX counts connections by it")
    query: dict[str, str | int] = {"app_name": app_name}
    if full_events:
        query["full_events"] = "true"
    if force:  # the reference says one, the API page the other
        query["force"] = query["forced"] = "true"
    filters = {name: value for name, value in user_filter.items() if value is not None}
    if len(filters) > 1:
        raise UsageError(f"one user filter at a time, not {' and '.join(sorted(filters))}")
    if filters and full_events:
        raise UsageError(f"{next(iter(filters))} means nothing with full_events=True: drop one")
    for name, value in filters.items():
        _check_text(name, str(value))
    query |= filters
    pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return f"{FEED_PATH}?{pairs}"


def check_transport(server: Server, *, proxy: str | None = None, allow_insecure: bool) -> None:
    """Raise ``UsageError`` where credentials would cross a network in the clear.

    Plain ``ws://`` is for the loopback interface; a proxy is no part of it.
    """
    if server.is_secure or allow_insecure or (server.is_loopback and proxy is None):
        return
    raise UsageError(
        f"credentials would cross the network unencrypted to {server}: use wss://, "
        "or pass allow_insecure=True if that is what you want"
    )


@scrub_traceback
def feed_url(
    server: str,
    *,
    domain: str,
    token: str,
    app_name: str,
    full_events: bool = False,
    force: bool = False,
    user_id: int | str | None = None,
    user_name: str | None = None,
    user_label: str | None = None,
    user_extension: str | None = None,
    user_did: str | None = None,
    user_email: str | None = None,
    allow_insecure: bool = False,
) -> str:
    """The feed's URL with the credentials in it, for a WebSocket library of your own.

    ``wss://DOMAIN:TOKEN@SERVER/basix/api/ws_cti?app_name=…``, everything percent-encoded.
    It holds the token: do not show or log it. ``server`` is ``host``, ``host:port`` or
    ``wss://host:port``. ``full_events`` asks for every channel of the PBX; otherwise one
    of the ``user_…`` names whose are wanted. ``force`` makes room at the connection limit
    by closing the oldest.

    Raises ``UsageError`` for arguments that can't work, and for ``ws://`` to another
    machine without ``allow_insecure``.
    """
    address = Server.parse(server)
    check_transport(address, allow_insecure=allow_insecure)
    user, password = Basic(domain, token).pair
    target = request_target(
        app_name,
        full_events=full_events,
        force=force,
        user_id=user_id,
        user_name=user_name,
        user_label=user_label,
        user_extension=user_extension,
        user_did=user_did,
        user_email=user_email,
    )
    userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"{address.scheme}://{userinfo}@{address.netloc}{target}"
