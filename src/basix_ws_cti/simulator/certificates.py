"""A certificate made on the spot, for a simulated PBX that speaks TLS."""

from __future__ import annotations

import ssl


def make_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts for a server on this machine, and for clients that are to trust it.

    Needs the ``trustme`` package (``pip install 'basix_ws_cti[simulator]'``); without it,
    ``ImportError``.
    """
    try:
        import trustme  # noqa: PLC0415 - nobody needs it for ws://
    except ImportError:
        raise ImportError(
            "a certificate of its own needs trustme: pip install 'basix_ws_cti[simulator]', "
            "or hand in an SSLContext as tls="
        ) from None
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
