"""Hashes of passwords, by scrypt.

A hash is a text such as ``scrypt$32768$8$3$SALT$KEY``: cost, block size and parallelism of scrypt,
then salt and key in Base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata

from attrs import frozen

from basix_ws_cti.exceptions import UsageError

MIN_LENGTH = 10
"""Characters of the shortest password."""

MAX_LENGTH = 200
"""Characters of the longest password: scrypt reads all of it."""

_PATTERN = re.compile(r"scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([\w+/=]+)\$([\w+/=]+)", re.ASCII)

# Bytes that scrypt may use, beyond the 32 MiB of the default cost.
_MAX_MEMORY = 256 * 2**20


@frozen
class Cost:
    """Cost of a hash, as the parameters of scrypt."""

    n: int = 2**15
    """Cost of time and memory: a power of two."""

    r: int = 8
    """Block size."""

    p: int = 3
    """Number of repetitions."""


DEFAULT_COST = Cost()
"""Cost of 32 MiB and about 0.3 s, as OWASP recommends."""


@frozen
class PasswordHash:
    """Hash of a password, from which the password cannot be computed."""

    cost: Cost
    """Cost of the hash."""

    salt: bytes
    """Random bytes, different for each hash."""

    key: bytes
    """Key that scrypt derives from password and salt."""

    @classmethod
    def of(cls, password: str, cost: Cost = DEFAULT_COST) -> PasswordHash:
        """Return the hash of a new password; raise ``UsageError`` if its length is not allowed."""
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            raise UsageError(f"a password must have {MIN_LENGTH} to {MAX_LENGTH} characters")
        salt = secrets.token_bytes(16)
        return cls(cost, salt, _derive(password, salt, cost))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Return the hash that a text contains. Raises ``ValueError``."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise ValueError("not a hash of a password")
        n, r, p = (int(number) for number in found.groups()[:3])
        is_valid = n > 1 and n & (n - 1) == 0 and r >= 1 and p >= 1
        if not is_valid or 128 * n * r > _MAX_MEMORY // 2:
            raise ValueError("parameters of scrypt that cannot work")
        salt, key = (base64.b64decode(part, validate=True) for part in found.groups()[3:])
        return cls(Cost(n, r, p), salt, key)

    def __str__(self) -> str:
        """Return the hash as text."""
        salt, key = (base64.b64encode(part).decode() for part in (self.salt, self.key))
        return f"scrypt${self.cost.n}${self.cost.r}${self.cost.p}${salt}${key}"

    def __repr__(self) -> str:
        return "<PasswordHash>"

    def matches(self, password: str) -> bool:
        """Return True for the password of this hash. Takes as long as the hash costs."""
        if len(password) > MAX_LENGTH:
            return False
        return hmac.compare_digest(_derive(password, self.salt, self.cost), self.key)


def _derive(password: str, salt: bytes, cost: Cost) -> bytes:
    # The same password typed on another system may have another form of its characters.
    secret = unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
    return hashlib.scrypt(
        secret, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=_MAX_MEMORY, dklen=32
    )
