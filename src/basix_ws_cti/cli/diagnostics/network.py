"""Network steps of an examination: name resolution, TCP connection and TLS handshake.

Each step opens its own connections and sends no credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from typing import Any

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import printable
from basix_ws_cti.transport.address import ServerAddress
from basix_ws_cti.transport.default_trust import default_trust
from basix_ws_cti.transport.dialling import AddressInfo, AddressRace, resolve

from .certificate import certificate_advice, certificate_details, describe_certificate
from .findings import Finding, Mark, StepFailedError, describe_network_error

# A certificate that expires within this many days gives a warning.
EXPIRES_SOON = 14

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: accept an expired certificate or one not valid yet.
_NO_CHECK_TIME = 0x200000


class NetworkProbe:
    """Network steps for one server; call ``resolve``, ``connect``, ``check_tls`` in this order.

    ``close`` must be called at the end. ``trust`` is the SSL context of ``--ca-file``, or
    ``None``. ``timeout_s`` of each step is in seconds.
    """

    def __init__(self, server: ServerAddress, trust: ssl.SSLContext | None) -> None:
        self._server = server
        self._port = server.effective_port
        self._trust = trust
        # After ``connect``, only the one that answered.
        self._addresses: list[AddressInfo] = []
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection that ``connect`` left open."""
        if self._socket is not None:
            self._socket.close()

    async def resolve(self, timeout_s: float) -> Finding:
        """Resolve the server's name."""
        host = self._server.host
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                self._addresses = await resolve(host, self._port)
        except TimeoutError:
            raise StepFailedError(
                _("no answer for {host} within {seconds:g} s").format(host=host, seconds=timeout_s),
                _("the name servers do not answer: check the network connection"),
            ) from None
        except (OSError, UnicodeError) as error:
            raise StepFailedError(
                _("{host} has no address: {reason}").format(
                    host=host, reason=describe_network_error(error)
                ),
                _("check the spelling of --server, and that this network resolves names"),
            ) from None
        texts = [str(info[4][0]) for info in self._addresses]
        return Finding(
            found=f"{host}: {', '.join(texts)}",
            seconds=time.perf_counter() - began,
            details={"addresses": texts},
        )

    async def connect(self, timeout_s: float) -> Finding:
        """Connect to the first address that answers, as the library does (``AddressRace``)."""
        race = AddressRace(self._server.host, self._addresses)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                self._socket = await race.run()
        except Exception:  # noqa: BLE001 - the race has the error of each address
            raise self._unreachable(race, timeout_s) from None
        seconds = time.perf_counter() - began
        winner = race.winner
        self._addresses = [winner]
        host = str(winner[4][0])
        missed = _missed(race, _("no answer so far"))
        answer = _("{host} port {port} answers").format(host=host, port=self._port)
        advice = _(
            "some of the server's addresses cannot be reached, or answer late: each connection "
            "may take longer"
        )
        return Finding(
            mark=Mark.WARNING if missed else Mark.OK,
            found="; ".join([answer, *map(": ".join, missed.items())]),
            advice=advice if missed else None,
            seconds=seconds,
            details={"address": host, "port": self._port, "missed": missed},
        )

    def _unreachable(self, race: AddressRace, timeout_s: float) -> StepFailedError:
        missed = _missed(race, describe_network_error(TimeoutError(), timeout_s))
        errors = [getattr(error, "errno", None) for error in race.failures.values()]
        advice = (
            _("nothing listens on this port: check the port in --server; or the server is down")
            if errors[-1:] == [errno.ECONNREFUSED]
            else _(
                "a firewall may block the connection, the server may be down, or the address may "
                "be wrong"
            )
        )
        return StepFailedError(
            _("port {port}: {errors}").format(
                port=self._port, errors="; ".join(map(": ".join, missed.items()))
            ),
            advice,
            port=self._port,
            missed=missed,
        )

    async def check_tls(self, timeout_s: float) -> Finding:
        """Make a TLS handshake and examine the certificate."""
        if not self._server.is_secure:
            self.close()
            return Finding(found=_("not used: plain ws://"))
        began = time.perf_counter()
        try:
            context = self._trust or await default_trust.context()
            protocol, accepted = await self._shake_hands(context, timeout_s, self._socket)
        except ssl.SSLCertVerificationError as error:
            raise await self._certificate_rejected(error, timeout_s) from None
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                found = _("the port does not speak TLS: {reason}")
                advice = _("check the port in --server; plain ws:// is only for this machine")
            else:
                found = _("the TLS handshake failed: {reason}")
                advice = _("the port may not speak TLS, or a proxy or firewall cut the connection")
            reason = describe_network_error(error, timeout_s)
            raise StepFailedError(found.format(reason=reason), advice) from None
        details = certificate_details(accepted)
        expires_soon = details["days_left"] < EXPIRES_SOON
        authority = "--ca-file" if self._trust else _("a CA that this machine trusts")
        return Finding(
            mark=Mark.WARNING if expires_soon else Mark.OK,
            found=_(
                "{protocol}; certificate {certificate}; it matches the host name, and its chain "
                "leads to {authority}"
            ).format(
                protocol=protocol, certificate=describe_certificate(details), authority=authority
            ),
            advice=_("renew the server's certificate") if expires_soon else None,
            seconds=time.perf_counter() - began,
            details={"protocol": protocol, **details},
        )

    async def _shake_hands(
        self,
        context: ssl.SSLContext,
        timeout_s: float,
        sock: socket.socket | None = None,
    ) -> tuple[str, Any]:
        """Make a TLS handshake; return the protocol and the certificate.

        The certificate is a dict as from ``getpeercert``, or DER bytes if the context does not
        verify it. ``sock`` ``None`` opens a new connection.
        """
        if sock is None:
            async with asyncio.timeout(timeout_s):
                sock = await AddressRace(self._server.host, self._addresses).run()
        async with asyncio.timeout(timeout_s):
            _reader, writer = await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=self._server.host
            )
        session = writer.get_extra_info("ssl_object")
        received = session.getpeercert(binary_form=context.verify_mode is ssl.CERT_NONE)
        writer.transport.abort()
        return session.version(), received

    async def _certificate_rejected(
        self,
        error: ssl.SSLCertVerificationError,
        timeout_s: float,
    ) -> StepFailedError:
        found = _("the certificate is rejected: {reason}")
        certificate = ""
        details: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            details = certificate_details(await self._unverified_certificate(timeout_s))
            found = _("the certificate is rejected: {reason}; certificate {certificate}")
            certificate = describe_certificate(details)
        found = found.format(reason=printable(error.verify_message), certificate=certificate)
        return StepFailedError(found, certificate_advice(error.verify_code), **details)

    async def _unverified_certificate(self, timeout_s: float) -> Any:
        """Return the server's certificate without verification; nothing is sent to the server.

        Python parses only certificates that it has verified. So a second handshake trusts the
        certificate received in the first one, at any time of validity.
        """
        unverifying = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverifying.check_hostname = False
        unverifying.verify_mode = ssl.CERT_NONE
        _protocol, der = await self._shake_hands(unverifying, timeout_s)
        self_trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self_trusting.check_hostname = False
        self_trusting.load_verify_locations(cadata=der)
        self_trusting.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        self_trusting.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
        _protocol, received = await self._shake_hands(self_trusting, timeout_s)
        return received


def _missed(race: AddressRace, unanswered: str) -> dict[str, str]:
    """Return each address that could not be reached, with the reason.

    ``unanswered`` is the reason for those that did not answer while the race lasted.
    """
    missed = {address: describe_network_error(error) for address, error in race.failures.items()}
    return missed | dict.fromkeys(race.unanswered, unanswered)
