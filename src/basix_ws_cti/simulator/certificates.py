"""TLS certificate for a simulated PBX."""

from __future__ import annotations

import ssl


def make_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return TLS contexts for a server on this machine, and for clients that trust it.

    Raises ``ImportError`` without the ``trustme`` package, which the extra ``simulator``
    installs.
    """
    try:
        import trustme  # noqa: PLC0415 - not needed for ws://
    except ImportError:
        raise ImportError(
            "tls=True needs the trustme package: pip install 'basix_ws_cti[simulator]', "
            "or pass an SSLContext as tls="
        ) from None
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
