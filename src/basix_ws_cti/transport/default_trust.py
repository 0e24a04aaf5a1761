"""Default TLS context: loaded off the event loop, and shared by all connections of the process.

Loading the certificates of all authorities that a machine trusts takes 30 ms and more, and most
connections differ in nothing else.
"""

from __future__ import annotations

import os
import ssl as tls
import time
from collections.abc import Callable

from basix_ws_cti._internal.shared_calls import SharedCalls

# Seconds after which the certificates are loaded again: a process may run longer than the
# authorities of its machine stay the same.
MAX_AGE = 600.0


class DefaultTrust:
    """Cache of the default TLS context.

    - ``load``: loads a context; ``None``: ``ssl.create_default_context``.
    - ``max_age``: seconds for which a context is used.
    """

    def __init__(
        self, load: Callable[[], tls.SSLContext] | None = None, *, max_age: float = MAX_AGE
    ) -> None:
        self._load = load
        self._max_age = max_age
        self._calls: SharedCalls[tls.SSLContext] = SharedCalls(
            "basix_ws_cti TLS context", max_threads=2
        )
        self._context: tls.SSLContext | None = None
        self._source: tuple[object, ...] = ()  # what the context was loaded from
        self._loaded = 0.0

    async def context(self) -> tls.SSLContext:
        """Return a context that verifies servers by the authorities that this machine trusts.

        Do not change it: other connections use it, too. Raises ``ssl.SSLError`` or ``OSError`` if
        the certificates cannot be loaded.
        """
        load = self._load or tls.create_default_context
        # A change of OpenSSL's variables takes effect at once, and so does a library that replaces
        # the module's functions or classes, such as truststore.
        variables = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        source = (load, tls.SSLContext, *variables)
        is_current = source == self._source and time.monotonic() - self._loaded < self._max_age
        if self._context is None or not is_current:
            context = await self._calls.run(source, load)
            self._context, self._source, self._loaded = context, source, time.monotonic()
        return self._context


default_trust: DefaultTrust = DefaultTrust()
"""The cache that all connections of this process share."""
