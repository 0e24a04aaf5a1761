"""Dialling: opens a TCP connection to a host, whichever of its addresses answers first.

Neither the event loop nor the end of the process waits for a name server (``SharedCalls``), and an
address that drops packets does not use up the time for the others (happy eyeballs, RFC 8305).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti._internal.shared_calls import SharedCalls

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""Address as ``socket.getaddrinfo`` returns it: family, type, protocol, name, socket address."""

# Seconds after which the next address is tried beside those that have not answered yet; the
# Connection Attempt Delay that RFC 8305, section 5, recommends.
ATTEMPT_DELAY = 0.25

# Addresses of one host that are tried at most: a name server can return thousands, and each open
# attempt takes a file descriptor.
MAX_ADDRESSES = 32

# Look-ups at a time, of all clients in the process. Each takes a thread.
MAX_LOOK_UPS = 16

_look_ups: SharedCalls[list[AddressInfo]] = SharedCalls(
    "basix_ws_cti resolver", max_threads=MAX_LOOK_UPS
)


class UnreachableHostError(OSError):
    """A host has no address, or none that answers. The text is this package's own."""


async def resolve(host: str, port: int) -> list[AddressInfo]:
    """Return the addresses of ``host``, at least one; an IP address needs no look-up.

    Raises ``OSError`` if it has none, and ``UnicodeError`` for a host that is not a valid name.
    """
    try:
        # An address with a scope id (fe80::1%eth0) needs the names of the network interfaces.
        address = None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None:
        look_up = partial(_get_address_info, host, port)
        return await _look_ups.run((host, port), look_up)
    return [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
        if address.version == 4
        else (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))
    ]


def _get_address_info(host: str, port: int) -> list[AddressInfo]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not found:
        raise UnreachableHostError("the look-up found no address")
    return [*found[:MAX_ADDRESSES]]


class AddressRace:
    """Race of a host's addresses: the first one that answers wins (RFC 8305).

    The addresses are tried in the order given, but with alternating address families. The next
    one is tried as soon as an attempt fails, or after ``delay`` seconds without an answer.

    - ``host``: what error texts call the host.
    - ``connect_socket(sock, address)``: connects a socket; ``None``: the event loop's.
    """

    def __init__(
        self,
        host: str,
        addresses: Iterable[AddressInfo],
        *,
        delay: float = ATTEMPT_DELAY,
        connect_socket: Callable[[socket.socket, Any], Awaitable[None]] | None = None,
    ) -> None:
        self.addresses: tuple[AddressInfo, ...] = _alternate_families(addresses)
        """The addresses in the order in which they are tried."""
        self.failures: dict[str, Exception] = {}
        """Error of each address that failed, by the address as text."""
        self.unanswered: list[str] = []
        """Addresses without an answer when the race ended, as text."""
        self._winner: AddressInfo | None = None
        self._host = host
        self._delay = delay
        self._connect_socket = connect_socket

    @property
    def winner(self) -> AddressInfo:
        """The address that answered; only after ``run`` has returned a socket."""
        if self._winner is None:
            raise RuntimeError("no address has answered")
        return self._winner

    async def run(self) -> socket.socket:
        """Return a connected, non-blocking socket; raise an error if all addresses fail.

        With several addresses it is an ``UnreachableHostError`` that names their number and the
        reasons.
        There is no time limit. Cancelling it closes all sockets.
        """
        waiting = deque(self.addresses)
        attempts: dict[asyncio.Task[socket.socket | None], AddressInfo] = {}
        try:
            while waiting or attempts:
                if waiting:
                    info = waiting.popleft()
                    attempts[asyncio.create_task(self._attempt(info))] = info
                done, _ = await asyncio.wait(
                    attempts,
                    timeout=self._delay if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    if (sock := attempt.result()) is not None:
                        self._winner = attempts.pop(attempt)
                        return sock
                    del attempts[attempt]
        finally:
            tried = [str(info[4][0]) for info in attempts.values()]
            self.unanswered = [address for address in tried if address not in self.failures]
            for attempt in attempts:  # no await here: if cancelled, it would lose the socket
                attempt.add_done_callback(_close_result)
                attempt.cancel()
        raise self._all_failed()

    async def _attempt(self, info: AddressInfo) -> socket.socket | None:
        """Return a socket connected to an address; ``None`` if that fails."""
        family, kind, protocol, _, address = info
        sock = None
        connect = self._connect_socket or asyncio.get_running_loop().sock_connect
        try:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(0)
            await connect(sock, address)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, Exception):
                raise
            self.failures[str(address[0])] = error.with_traceback(None)
            return None
        return sock

    def _all_failed(self) -> Exception:
        """Return the error of the only address, or one about all of them."""
        reasons = [f"{address}: {_reason(error)}" for address, error in self.failures.items()]
        if len(self.addresses) == 1:
            return next(iter(self.failures.values()))
        return UnreachableHostError(
            f"none of {len(self.addresses)} addresses of {self._host} can be reached; "
            f"{'; '.join(reasons)}"
        )


def _close_result(attempt: asyncio.Task[socket.socket | None]) -> None:
    """Close the socket of an attempt that succeeded although it is not needed any more."""
    if not attempt.cancelled() and (sock := attempt.result()) is not None:
        sock.close()


def _alternate_families(addresses: Iterable[AddressInfo]) -> tuple[AddressInfo, ...]:
    """Return the addresses with alternating families, beginning with the first one's."""
    by_family: dict[int, list[AddressInfo]] = {}
    for info in addresses:
        by_family.setdefault(info[0], []).append(info)
    return tuple(info for info in chain(*zip_longest(*by_family.values())) if info is not None)


def _reason(error: Exception) -> str:
    """Return an error's text without numeric code and address."""
    if isinstance(error, OSError):
        return describe_os_error(error)
    return str(error) or type(error).__name__


class Dial:
    """One attempt to open a TCP connection to a host.

    - ``host``, ``port``: where to connect.
    - ``shown``: what error texts call the host.
    """

    def __init__(self, host: str, port: int, shown: str) -> None:
        self._host = host
        self._port = port
        self._shown = shown
        self.waits_for: str | None = None
        """What the attempt waits for at present; completes the sentence "no answer from …"."""

    async def open(self) -> socket.socket:
        """Look the host up and return a connected, non-blocking socket.

        Raises any exception of ``resolve``, and ``UnreachableHostError`` if no address answers.
        There is no time limit.
        """
        return await self._race(await self._resolve())

    async def find_address(self) -> str:
        """Look the host up and return its IP address; of several, one that answers.

        Raises like ``open``.
        """
        addresses = await self._resolve()
        if len(addresses) == 1:
            return str(addresses[0][4][0])
        with await self._race(addresses) as sock:
            return str(sock.getpeername()[0])

    async def _resolve(self) -> list[AddressInfo]:
        self.waits_for = f"the name servers for {self._shown}"
        addresses = await resolve(self._host, self._port)
        self.waits_for = None
        return addresses

    async def _race(self, addresses: list[AddressInfo]) -> socket.socket:
        count = len(addresses)
        self.waits_for = self._shown if count == 1 else f"any of {count} addresses of {self._shown}"
        try:
            sock = await AddressRace(self._shown, addresses).run()
        except UnreachableHostError:
            raise
        except OSError as error:
            raise self._unreachable(str(addresses[0][4][0]), error) from None
        self.waits_for = None
        return sock

    def _unreachable(self, address: str, error: OSError) -> UnreachableHostError:
        """Return the error for the only address, which does not answer."""
        place = f"{address}, port {self._port}"
        if self._shown != address:
            place = f"{self._shown} ({place})"
        return UnreachableHostError(f"{place}: {describe_os_error(error)}")
