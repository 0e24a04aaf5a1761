"""Addresses on which a command listens, as values of an option."""

from __future__ import annotations

import errno
import re

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", re.ASCII)

_MAX_PORT = 65_535


def parse_listen_address(option: str, text: str, example: str) -> tuple[str, int]:
    """Return host and port of a text such as ``127.0.0.1:9850`` or ``[::1]:9850``.

    ``example``: address that an error suggests. Raises ``UsageError`` that names the option.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > _MAX_PORT:
        raise UsageError(
            _("{option}: expected HOST:PORT, such as {example}, got {text!r}").format(
                option=option, example=example, text=text
            )
        )
    return found[1] or found[2], int(found[3])


def cannot_listen(option: str, address: str, error: OSError) -> OSError:
    """Return the error for an address that cannot be used, with advice."""
    if error.errno == errno.EADDRINUSE:
        text = _("{address} is already in use: choose another address with {option}")
        return OSError(text.format(address=address, option=option))
    text = _("cannot listen on {address}: {reason}")
    return OSError(text.format(address=address, reason=describe_os_error(error)))
