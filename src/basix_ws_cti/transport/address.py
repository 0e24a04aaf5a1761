"""Address of the feed: server, request target and URL.

Pure text work (docs/explanation/protocol.md, Connecting): nothing here opens a connection. No
error quotes an address that was refused, since users paste URLs that contain a token.
"""

from __future__ import annotations

import ipaddress
import re
import ssl as tls
from urllib.parse import quote, urlsplit

from attrs import frozen

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_instance,
    check_names,
    check_text,
)
from basix_ws_cti.exceptions import UsageError

from .credentials import Basic
from .redaction import scrub_traceback

FEED_PATH = "/basix/api/ws_cti"

# The characters of a DNS name. Any other is refused: URL parsers disagree about them, so that
# the host that was checked could differ from the host that the resolver looks up.
_HOST_NAME = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)


def _ascii_host(host: str) -> str:
    """Return the host in the form that the resolver looks up: IDNA if it is not ASCII.

    Raises ``UsageError`` for a host that is not valid.
    """
    if not host.isascii():
        # Encoded here, since the WebSocket library would also quote the request target again.
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise UsageError("server host is not a valid international domain name") from None
    if ":" not in host and not _HOST_NAME.fullmatch(host):
        raise UsageError("server host is not a valid host name or IP address")
    return host


@frozen
class ServerAddress:
    """Validated address of a server."""

    scheme: str
    """``ws`` or ``wss`` for the feed, ``http`` or ``https`` for the HTTP API."""
    host: str
    """ASCII host name or IP address; an IPv6 address without brackets."""
    port: int | None = None
    """TCP port; ``None``: the default of the scheme, 80 or 443."""

    @classmethod
    def parse_http(cls, text: str) -> ServerAddress:
        """Parse an address of the HTTP API: ``host``, ``host:port``, ``https://host:port``.

        ``http://``, ``wss://`` and ``ws://`` are valid too: the API is on the port of the feed.
        Raises ``UsageError`` like ``parse()``.
        """
        if isinstance(text, str):
            scheme, mark, rest = text.partition("://")
            as_feed = {"https": "wss", "http": "ws"}.get(scheme.lower()) if mark else None
            text = text if as_feed is None else f"{as_feed}://{rest}"
        address = cls.parse(text)
        return cls("https" if address.is_secure else "http", address.host, address.port)

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Parse ``host``, ``host:port``, ``wss://host:port`` or ``ws://host:port``.

        Raises ``UsageError`` for anything else. The error never quotes the input, which may
        contain a token.
        """
        check_text("server", text)
        try:
            parts = urlsplit(text if "://" in text else f"wss://{text}")
            port = parts.port
        except ValueError:
            raise UsageError(
                "server is not a valid address: use host, host:port or wss://host:port"
            ) from None
        if "@" in parts.netloc:
            raise UsageError("server contains credentials: pass domain= and token= instead")
        if parts.scheme not in {"ws", "wss"}:
            raise UsageError("server must start with wss:// (or ws:// for this machine)")
        host = parts.hostname or ""
        if not host or any(char.isspace() or not char.isprintable() for char in text):
            raise UsageError("server has no valid host: use host, host:port or wss://host:port")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise UsageError(f"server must not contain a path or query: {FEED_PATH} is added to it")
        if port == 0:
            raise UsageError("server port must not be 0")
        return cls(parts.scheme, _ascii_host(host), port)

    @property
    def is_secure(self) -> bool:
        """True if the connection is encrypted with TLS."""
        return self.scheme in {"wss", "https"}

    @property
    def secure_scheme(self) -> str:
        """Scheme of the encrypted counterpart of this address: ``wss`` or ``https``."""
        return "wss" if self.scheme.startswith("ws") else "https"

    @property
    def effective_port(self) -> int:
        """TCP port that is connected to."""
        return self.port or (443 if self.is_secure else 80)

    @property
    def is_loopback(self) -> bool:
        """True if the host is ``localhost`` or an IP address of the loopback interface.

        False for a name that only resolves to loopback (``127.1``, ``localhost.``): another
        resolver may resolve it to another machine, to which credentials would go unencrypted.
        """
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return False  # a scope id may be any text
            # Older Python versions do not count a mapped address as loopback.
            address = address.ipv4_mapped or address
        return address.is_loopback

    @property
    def netloc(self) -> str:
        """Host and port as they appear in a URL."""
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
    """Return path and query of the feed, percent-encoded.

    ``user_filter`` takes the ``user_…`` parameters; those that are ``None`` are left out.
    Raises ``UsageError`` for an empty ``app_name``, arguments of another type, more than one user
    filter, an empty one, and a user filter together with ``full_events``, since the PBX would
    ignore it.
    """
    check_text("app_name", app_name)
    check_bool("full_events", full_events)
    check_bool("force", force)
    if not app_name:
        raise UsageError("app_name must not be empty: the PBX counts connections per app_name")
    query: dict[str, str | int] = {"app_name": app_name}
    if full_events:
        query["full_events"] = "true"
    if force:  # the PBX's documents disagree about the name: send both
        query["force"] = query["forced"] = "true"
    filters = {name: value for name, value in user_filter.items() if value is not None}
    if len(filters) > 1:
        raise UsageError(f"expected at most one user filter, got {' and '.join(sorted(filters))}")
    if filters and full_events:
        raise UsageError(
            f"{next(iter(filters))} has no effect with full_events=True: remove one of them"
        )
    check_names(filters)
    query |= filters
    pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return f"{FEED_PATH}?{pairs}"


def check_encryption(
    server: ServerAddress, *, proxy: str | None = None, allow_insecure: bool
) -> None:
    """Raise ``UsageError`` if credentials would cross a network unencrypted.

    Plain ``ws://`` is allowed to the loopback interface only, and not through a proxy, which
    may run on another machine. ``allow_insecure`` turns the check off.
    """
    if server.is_secure or allow_insecure or (server.is_loopback and proxy is None):
        return
    raise UsageError(
        f"credentials would be sent unencrypted to {server}: "
        f"use {server.secure_scheme}://, or pass allow_insecure=True to accept that"
    )


def check_tls(
    server: ServerAddress, context: tls.SSLContext | None, *, allow_insecure: bool
) -> None:
    """Raise ``UsageError`` for an ``ssl=`` argument that does not fit the server.

    It must be an ``ssl.SSLContext`` for an encrypted connection, and must verify the server unless
    ``allow_insecure`` is set. ``None`` is always valid.
    """
    if context is None:
        return
    check_instance("ssl", context, tls.SSLContext, "an ssl.SSLContext")
    if not server.is_secure:
        raise UsageError(
            f"ssl= requires a {server.secure_scheme}:// server, got {server.scheme}://"
        )
    verifies = context.verify_mode is tls.CERT_REQUIRED and context.check_hostname
    if not verifies and not allow_insecure:
        raise UsageError(
            "the SSL context does not verify the server: load its CA with "
            "ssl.create_default_context(cafile=…), or pass allow_insecure=True"
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
    """Return the feed's URL including the credentials, for use with other WebSocket libraries.

    The result is ``wss://DOMAIN:TOKEN@SERVER/basix/api/ws_cti?app_name=…``, percent-encoded.
    **It contains the token: do not show or log it.**

    - ``server``: ``host``, ``host:port``, ``wss://host:port`` or ``ws://host:port``.
    - ``domain``, ``token``: name of the PBX domain, and its API token.
    - ``app_name``: name of the application; the PBX limits connections per user and app_name.
    - ``full_events``: subscribe to every channel of the PBX.
    - ``force``: at the connection limit, replace the oldest connection.
    - ``user_id``, ``user_name``, ``user_label``, ``user_extension``, ``user_did``,
      ``user_email``: without ``full_events``, subscribe to the channels of this user. At most
      one of them; ``None``: not used.
    - ``allow_insecure``: allow ``ws://``, which is unencrypted, to another machine.

    Raises ``UsageError`` for invalid or contradictory arguments, and for ``ws://`` to another
    machine without ``allow_insecure``.
    """
    address = ServerAddress.parse(server)
    check_bool("allow_insecure", allow_insecure)
    check_encryption(address, allow_insecure=allow_insecure)
    user, password = Basic(domain, token).user_and_password
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
