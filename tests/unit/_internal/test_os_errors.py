"""Texts of operating system errors."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from support.cases import for_each

from basix_ws_cti._internal.os_errors import describe_os_error


def tls_error(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] wrong version number (_ssl.c:1006)")
    error.reason = reason
    return error


@for_each(
    "error, text",
    [
        (FileNotFoundError(errno.ENOENT, "any text", "day.rec"), os.strerror(errno.ENOENT)),
        (OSError(errno.ECONNREFUSED, "Connect call failed"), os.strerror(errno.ECONNREFUSED)),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (tls_error("WRONG_VERSION_NUMBER"), "wrong version number"),
        (OSError("the look-up found no address"), "the look-up found no address"),
        (OSError(), "OSError"),
    ],
)
def test_reason_has_no_number_name_or_address(error, text):
    assert describe_os_error(error) == text
