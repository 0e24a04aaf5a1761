"""File with the accounts and display links of a wallboard.

Each line is an account or a link; lines that are empty or start with ``#`` have no meaning::

    account NAME scrypt$32768$8$3$SALT$KEY
    link NAME sha256$HASH queue=ID user=ID …

The file has hashes only: neither passwords nor links can be computed from it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from attrs import Factory, define, frozen

from basix_ws_cti.exceptions import UsageError

from .passwords import PasswordHash
from .view_key import EVERYTHING, LONGEST_ID, Selection

_NAME = re.compile(r"[\w.@-]{1,64}")
_TOKEN_HASH = re.compile(r"sha256\$([0-9a-f]{64})")


@frozen
class Account:
    """Person who logs in with a password."""

    name: str
    """Name of the account."""

    password: PasswordHash
    """Hash of the password."""

    def __str__(self) -> str:
        """Return the line of the file."""
        return f"account {self.name} {self.password}"


@frozen
class DisplayLink:
    """Address that opens the wallboard for reading, without a login."""

    name: str
    """Name of the link, such as the place of the screen."""

    token_hash: str
    """SHA-256 of the token in the address, in hexadecimal digits."""

    bound: Selection = EVERYTHING
    """Queues and users that the link shows."""

    def __str__(self) -> str:
        """Return the line of the file."""
        return " ".join(["link", self.name, f"sha256${self.token_hash}", *self.filters])

    @property
    def filters(self) -> list[str]:
        """Filters of the link, such as ``queue=1900``."""
        queues = [f"queue={one}" for one in sorted(self.bound.queues or ())]
        return queues + [f"user={one}" for one in sorted(self.bound.users or ())]


Entry = Account | DisplayLink


@define
class AccessFile:
    """Accounts and display links of a file."""

    path: Path
    """Path of the file."""

    accounts: dict[str, Account] = Factory(dict)
    """Accounts by name."""

    links: dict[str, DisplayLink] = Factory(dict)
    """Display links by name."""

    @classmethod
    def read(cls, path: Path) -> AccessFile:
        """Return the content of a file.

        Raises ``UsageError`` for a line that is no entry, and ``OSError``.
        """
        file = cls(path)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"{path} is no text in UTF-8") from None
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                file.add(_parse(line))
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
        return file

    def add(self, entry: Entry) -> None:
        """Add an entry. Raises ``UsageError`` for a name that an entry of the kind has already."""
        check_name(entry.name)
        entries: dict[str, Account] | dict[str, DisplayLink] = (
            self.accounts if isinstance(entry, Account) else self.links
        )
        if entry.name in entries:
            raise UsageError(f"the name {entry.name} is there twice")
        entries[entry.name] = entry  # type: ignore[assignment]

    def remove(self, name: str) -> bool:
        """Remove the account and the link of a name; return True if there was one."""
        entries = [self.accounts.pop(name, None), self.links.pop(name, None)]
        return any(entry is not None for entry in entries)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        yield "# Accounts and display links of basix-ws-cti web; web-access changes them."
        yield from map(str, self.accounts.values())
        yield from map(str, self.links.values())

    def link_of(self, token: str) -> DisplayLink | None:
        """Return the display link with this token; ``None``: there is none."""
        # The hash of a random token of 256 bits: a comparison in variable time reveals nothing.
        wanted = hash_token(token)
        return next((one for one in self.links.values() if one.token_hash == wanted), None)


def new_token() -> str:
    """Return a new random token for a link or a session."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return the hash of a token, in hexadecimal digits."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def check_name(name: str) -> None:
    """Raise ``UsageError`` unless a name has letters, digits and ``. _ @ -`` only."""
    if not _NAME.fullmatch(name):
        raise UsageError("a name has 1 to 64 letters, digits, and the signs . _ @ -")


def check_id(text: str) -> None:
    """Raise ``UsageError`` for a text that is no id of a queue or user."""
    if not text or len(text) > LONGEST_ID or not text.isprintable() or " " in text:
        raise UsageError("an id of a queue or user is a text without spaces")


def _parse(line: str) -> Entry:
    """Return the entry of a line. Raises ``ValueError``."""
    match line.split():
        case ["account", name, password]:
            return Account(name, PasswordHash.parse(password))
        case ["link", name, token, *ids]:
            found = _TOKEN_HASH.fullmatch(token)
            if found is None:
                raise ValueError("expected sha256$ and 64 hexadecimal digits behind the name")
            return DisplayLink(name, found[1], _parse_bound(ids))
    raise ValueError("expected account NAME HASH, or link NAME HASH queue=ID user=ID …")


def _parse_bound(ids: list[str]) -> Selection:
    found: dict[str, list[str]] = {"queue": [], "user": []}
    for text in ids:
        kind, separator, value = text.partition("=")
        if kind not in found or not separator or not value:
            raise ValueError(f"expected queue=ID or user=ID, got {text!r}")
        found[kind].append(value)
    return Selection.of(found["queue"], found["user"])
