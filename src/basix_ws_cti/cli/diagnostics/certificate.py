"""Contents of a TLS certificate, and advice for one that is rejected."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import Any

from basix_ws_cti._internal.translation import N_, _, ngettext
from basix_ws_cti.exceptions import printable

_SECONDS_PER_DAY = 86400

# Advice by OpenSSL's verification code (X509_V_ERR_…).
_ADVICE = {
    9: N_("the certificate is not valid yet: check this machine's clock"),
    10: N_("renew the server's certificate, or check this machine's clock"),
    18: N_("the certificate is self-signed: to trust it, pass it as --ca-file"),
    62: N_("pass the name in the certificate as --server"),
    64: N_("pass the name in the certificate as --server"),
}
_UNKNOWN_CA_ADVICE = N_(
    "no CA that this machine trusts has issued it: pass a private CA as --ca-file; otherwise the "
    "server sends an incomplete chain, or a proxy in between decrypts the traffic"
)


def certificate_advice(verify_code: int) -> str:
    """Return what to do about a certificate that OpenSSL rejected with this code."""
    advice = _ADVICE.get(verify_code, _UNKNOWN_CA_ADVICE)
    return _(advice)


def certificate_details(certificate: dict[str, Any], now: float | None = None) -> dict[str, Any]:
    """Return subject, names, issuer and expiry of a certificate, as JSON-ready values.

    - ``certificate``: result of ``SSLSocket.getpeercert``.
    - ``now``: seconds since the epoch from which ``days_left`` counts; ``None`` is the present.

    ``days_left`` is a number of whole days, negative for an expired certificate.
    """
    expires = ssl.cert_time_to_seconds(certificate["notAfter"])
    return {
        "subject": _distinguished_name(certificate["subject"]),
        "names": [printable(value) for _type, value in certificate.get("subjectAltName", ())],
        "issuer": _distinguished_name(certificate["issuer"]),
        "expires": datetime.fromtimestamp(expires, UTC).isoformat(),
        "days_left": int((expires - (time.time() if now is None else now)) // _SECONDS_PER_DAY),
    }


def describe_certificate(details: dict[str, Any]) -> str:
    """Return the result of ``certificate_details`` as text."""
    days = details["days_left"]
    date = details["expires"][:10]
    validity = _("expired on {date}")
    if days >= 0:
        validity = ngettext(
            "valid until {date}, {days} day left", "valid until {date}, {days} days left", days
        )
    return _("for {names} ({subject}); issued by {issuer}; {validity}").format(
        names=", ".join(details["names"]) or _("no name"),
        subject=details["subject"],
        issuer=details["issuer"],
        validity=validity.format(date=date, days=days),
    )


def _distinguished_name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    return printable(", ".join(f"{key}={value}" for part in parts for key, value in part))
