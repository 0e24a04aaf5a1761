"""Check of the host that a request names.

A page of an attacker can make a browser send requests to this server under the attacker's own name
(DNS rebinding), also if the server listens on loopback only. Such a request names a host that is
not ours. See https://en.wikipedia.org/wiki/DNS_rebinding.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from attrs import field, frozen

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine that are always accepted."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::\d{1,5})?")


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower().rstrip(".") for name in names)


@frozen
class HostCheck:
    """Names under which the server may be addressed, besides those of loopback."""

    names: frozenset[str] = field(default=frozenset(), converter=_names)
    """Names, such as ``wallboard.example.com``, without ports."""

    any_address: bool = False
    """True: IP addresses are accepted, too. A browser does not resolve them, so that they are safe
    from rebinding."""

    def accepts(self, hosts: list[str]) -> bool:
        """Return True if a request has one ``Host`` header, and it names this server."""
        if len(hosts) != 1:
            return False
        found = _HOST.fullmatch(hosts[0])
        if found is None:
            return False
        name = (found[1] or found[2]).lower().rstrip(".")
        return (
            name in LOOPBACK_NAMES or name in self.names or (self.any_address and _is_address(name))
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
