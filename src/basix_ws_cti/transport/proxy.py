"""URLs of proxies, which may contain a password: no error repeats any part of one."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

PROXY_ADVICE = "proxy is not a valid URL: use http://host:port"

_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


def split_proxy(url: str) -> SplitResult | None:
    """Return the parts of a proxy's URL; ``None`` for a URL that the library would refuse.

    Checked here as well, so that a name is looked up only for a proxy that can be used.
    """
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # not passed on: its text may quote a password
        return None
    is_valid = is_valid and parts.scheme in _SCHEMES and parts.path in {"", "/"}
    has_login = parts.username is None or parts.password is not None
    return parts if is_valid and has_login and not (parts.query or parts.fragment) else None


def with_host(parts: SplitResult, host: str) -> str:
    """Return a URL with another host, and with the same user, password and port."""
    userinfo, separator, _ = parts.netloc.rpartition("@")
    port = "" if parts.port is None else f":{parts.port}"
    bracketed = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{userinfo}{separator}{bracketed}{port}").geturl()
