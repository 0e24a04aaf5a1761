"""Signatures of Standard Webhooks: how a receiver recognises requests that are genuine.

A signature is the HMAC-SHA256 of ``ID.TIMESTAMP.BODY`` with a secret that sender and receiver share
(https://github.com/standard-webhooks/standard-webhooks, version 1). With two secrets a request has
two signatures, so that receivers can change the secret at any time during a rotation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.transport.redaction import NotPicklable, SecretValue, scrub_traceback

PREFIX = "whsec_"
"""Start of each secret as text; base64 of its bytes follows."""

# Bytes of a secret, as the specification demands.
_SHORTEST, _LONGEST = 24, 64

# More secrets than two are no rotation, but a list that nobody clears.
_MOST_SECRETS = 4

SECRET_ADVICE = (
    f"a secret is {PREFIX} and base64 of {_SHORTEST} to {_LONGEST} random bytes, such as the "
    f'output of: echo "{PREFIX}$(openssl rand -base64 32)"'
)
"""Remedy for a secret that is refused."""


class Signer(NotPicklable):
    """Signs requests with one or more secrets.

    ``secrets`` are texts that start with ``whsec_``. Raises ``UsageError``, which quotes no secret.
    """

    @scrub_traceback
    def __init__(self, secrets: Iterable[str]) -> None:
        if isinstance(secrets, str):
            secrets = [secrets]
        keys = [_key(secret) for secret in secrets]
        if not keys:
            raise UsageError(f"no secret: {SECRET_ADVICE}")
        if len(keys) > _MOST_SECRETS:
            raise UsageError(f"expected at most {_MOST_SECRETS} secrets, got {len(keys)}")
        self._keys = SecretValue(tuple(keys))

    def __repr__(self) -> str:
        return f"<Signer with {len(self._keys.value)} secret(s)>"

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers of one attempt to send a body.

        - ``event_id``: id of the event, the same in each attempt.
        - ``timestamp``: time of the attempt, in seconds since the epoch.
        """
        signed = b"%b.%d.%b" % (event_id.encode(), timestamp, body)
        digests = (hmac.digest(key, signed, hashlib.sha256) for key in self._keys.value)
        signatures = (f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }


def _key(secret: object) -> bytes:
    """Return the bytes of a secret."""
    if not isinstance(secret, str) or not secret.startswith(PREFIX):
        raise UsageError(f"a secret does not start with {PREFIX}: {SECRET_ADVICE}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"a secret is not valid base64: {SECRET_ADVICE}") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise UsageError(f"a secret has {len(key)} bytes: {SECRET_ADVICE}")
    return key
