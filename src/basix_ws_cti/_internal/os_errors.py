"""Texts of operating system errors, without numeric codes."""

from __future__ import annotations

import os


def describe_os_error(error: OSError) -> str:
    """Return the reason of an error as text: no number, no file name and no address.

    The text is that of the operating system if the error has a number, such as ``Connection
    refused``, else the error's own text, or the name of its class.
    """
    import socket  # noqa: PLC0415 - it and ssl take long to load, and most programs need neither
    import ssl  # noqa: PLC0415

    match error:
        case socket.gaierror(strerror=str(text)):  # has numbers of its own
            return text
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case OSError(errno=int(number)) if not isinstance(error, ssl.SSLError):
            # asyncio's own text is "Connect call failed ('192.0.2.1', 443)".
            return os.strerror(number)
    return str(error) or type(error).__name__
