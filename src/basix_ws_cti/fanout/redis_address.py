"""Address of the Redis or Valkey server that carries the feed.

Pure text work. No error quotes an address that was refused: it may contain a password.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from basix_ws_cti._internal.arguments import check_bool, check_text
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.transport.address import ServerAddress
from basix_ws_cti.transport.redaction import NotPicklable, SecretValue, scrub_traceback

DEFAULT_PORT = 6379
"""TCP port of a URL without one."""

_FORM = "use redis://host:port/db or rediss://host:port/db"


@frozen(kw_only=True)
class RedisAddress(NotPicklable):
    """Validated address of a server. Neither ``repr`` nor ``str`` shows user name or password."""

    host: str
    """ASCII host name or IP address; an IPv6 address without brackets."""

    port: int
    """TCP port."""

    database: int
    """Number of the database."""

    is_secure: bool
    """True if the connection is encrypted with TLS (``rediss://``)."""

    username: SecretValue[str | None] = field(repr=False)
    """User name; ``None``: the default user."""

    password: SecretValue[str | None] = field(repr=False)
    """Password; ``None``: no login."""

    @classmethod
    @scrub_traceback
    def parse(cls, url: str, *, allow_insecure: bool = False) -> RedisAddress:
        """Parse ``redis[s]://[[user]:password@]host[:port][/database]``.

        Raises ``UsageError`` for anything else, and for ``redis://``, which is not encrypted, to
        another machine: the feed and the password would be readable on the way. ``allow_insecure``
        accepts that.
        """
        check_text("redis", url)
        check_bool("allow_insecure", allow_insecure)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError(f"redis is not a valid URL: {_FORM}") from None
        if parts.scheme not in {"redis", "rediss"}:
            raise UsageError(f"redis must be a URL: {_FORM}")
        if parts.query or parts.fragment:
            raise UsageError(f"the URL of redis must have no parameters: {_FORM}")
        database = parts.path.strip("/") or "0"
        if not database.isascii() or not database.isdigit() or len(database) > 5:
            raise UsageError(f"the database in the URL of redis must be a number: {_FORM}")
        is_secure = parts.scheme == "rediss"
        server = _parse_host(parts.hostname, port, is_secure=is_secure)
        if not (is_secure or server.is_loopback or allow_insecure):
            raise UsageError(
                f"the feed would be sent unencrypted to {server.netloc}: use rediss://, or pass "
                "allow_insecure=True to accept that"
            )
        return cls(
            host=server.host,
            port=server.port or DEFAULT_PORT,
            database=int(database),
            is_secure=is_secure,
            username=SecretValue(_unquoted(parts.username)),
            password=SecretValue(_unquoted(parts.password)),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _parse_host(host: str | None, port: int | None, *, is_secure: bool) -> ServerAddress:
    """Check host and port by the rules of the PBX's address."""
    if not host:
        raise UsageError(f"the URL of redis has no host: {_FORM}")
    netloc = f"[{host}]" if ":" in host else host
    scheme = "wss" if is_secure else "ws"
    try:
        return ServerAddress.parse(f"{scheme}://{netloc}{'' if port is None else f':{port}'}")
    except UsageError:
        raise UsageError(f"the URL of redis has no valid host and port: {_FORM}") from None


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None
