"""What a TLS certificate says, and what to do about one that is not accepted."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import Any

from basix_ws_cti.exceptions import printable

_DAY = 86400

# OpenSSL's verification codes (X509_V_ERR_…).
_ADVICE = {
    9: "its time has not begun: check this machine's clock",
    10: "the server needs a new certificate; or this machine's clock is wrong",
    18: "it vouches for itself: if it is to be trusted, hand it in as --ca-file",
    62: "name the server as its certificate does, in --server",
    64: "name the server as its certificate does, in --server",
}
_UNKNOWN_CA = (
    "nobody whom this machine trusts vouches for it: hand in a private CA as --ca-file; or the "
    "server does not send its chain, or something in between opens the encryption"
)


def advice(verify_code: int) -> str:
    """What to do about a certificate that OpenSSL refused for this reason."""
    return _ADVICE.get(verify_code, _UNKNOWN_CA)


def details(certificate: dict[str, Any], now: float | None = None) -> dict[str, Any]:
    """A certificate, as ``getpeercert`` gives it: for whom, by whom, until when.

    ``days_left`` are whole days from ``now``, in seconds since the epoch; ``None``: the clock's.
    """
    expires = ssl.cert_time_to_seconds(certificate["notAfter"])
    return {
        "subject": _name(certificate["subject"]),
        "names": [printable(value) for _, value in certificate.get("subjectAltName", ())],
        "issuer": _name(certificate["issuer"]),
        "expires": datetime.fromtimestamp(expires, UTC).isoformat(),
        "days_left": int((expires - (time.time() if now is None else now)) // _DAY),
    }


def in_words(details: dict[str, Any]) -> str:
    """The same for people."""
    days = details["days_left"]
    date = details["expires"][:10]
    until = f"until {date}, {days} days left" if days >= 0 else f"expired on {date}"
    names = ", ".join(details["names"]) or "nobody"
    return f"for {names} ({details['subject']}); by {details['issuer']}; {until}"


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A distinguished name."""
    return printable(", ".join(f"{key}={value}" for part in parts for key, value in part))
