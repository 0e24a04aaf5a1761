"""Layout of the stream: keys, ids, and the fields that link the entries.

**Keys.** For the name ``basix``, all in one slot of a cluster:

===================  ================================================================
``basix``            the stream
``{basix}:leader``   lease of the publisher that may append: a token, with an expiry
``{basix}:standby``  lease of the publisher that is next: a token, with an expiry
===================  ================================================================

**Ids** are ``EPOCH-SEQ``, chosen by the publisher. Each term of a leader is one epoch. ``EPOCH`` is
the larger one of the clock in microseconds since 1970 and the last epoch plus 1, so that the ids of
a stream that was deleted never start again with lower ones. ``SEQ`` counts the entries of an epoch
from 0 without a gap. The entry ``EPOCH-0`` is a *marker*: it starts the epoch, and nothing of
an earlier epoch follows it.

**Fields** of every entry, all of them bytes:

============  ========================================================================
``prev``      id of the entry before this one; ``0-0``: there is none
``snapshot``  id of the first chunk of the newest snapshot whose last chunk is this entry
              or an earlier one; ``0-0``: there is none
``data``      JSON object in UTF-8: the contents, as ``entries`` describes them
============  ========================================================================

A reader that has read the entry ``A`` continues with the entry whose ``prev`` is ``A``. If the next
entry has another ``prev``, entries in between are lost: they were trimmed, deleted, or the stream
was replaced. ``SEQ`` of entries of one epoch follows from ``prev``; it is checked as well.

A reader starts with the newest entry (``XREVRANGE NAME + - COUNT 1``), reads ``snapshot`` in it,
and reads forward from that id. All chunks of a snapshot have consecutive ids, nothing else is
between them, and the snapshot shows the state right before its first chunk.

The stream has about ``max_entries`` entries. A new snapshot is appended at the latest after a tenth
of them, so the newest snapshot and everything after it is always there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from basix_ws_cti.exceptions import UsageError

MAX_NAME_LENGTH = 200
"""Longest name of a stream, in characters. Longer keys are legal and never useful."""

PREVIOUS = b"prev"
"""Field with the id of the entry before."""

SNAPSHOT = b"snapshot"
"""Field with the id of the first chunk of the newest snapshot."""

DATA = b"data"
"""Field with the contents as JSON."""

_ID = re.compile(rb"(\d{1,20})-(\d{1,20})")


class EntryId(NamedTuple):
    """Id of an entry; ids are ordered as the entries are."""

    epoch: int
    """Term of the leader: microseconds since 1970, or a little more."""

    seq: int
    """Number of the entry in its epoch, from 0."""

    @classmethod
    def parse(cls, raw: bytes) -> EntryId:
        """Return the id in ``raw``; raise ``ValueError`` if it is none."""
        match = _ID.fullmatch(raw)
        if match is None:
            raise ValueError("not the id of an entry")
        return cls(int(match[1]), int(match[2]))

    def encode(self) -> bytes:
        """Return the id as Redis takes it."""
        return b"%d-%d" % self

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


NO_ENTRY = EntryId(0, 0)
"""Id in place of one that does not exist."""


def follows(entry: EntryId, previous: EntryId, last: EntryId) -> bool:
    """Return True if the entry, whose field ``prev`` is ``previous``, is the one after ``last``."""
    if previous != last:
        return False
    if entry.epoch == last.epoch:
        return entry.seq == last.seq + 1
    return entry.epoch > last.epoch and entry.seq == 0


def fields_of(pairs: Sequence[Any]) -> dict[bytes, Any]:
    """Return fields as a dict; Redis sends names and values alternately, in one list."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def check_name(name: object) -> str:
    """Return the name of a stream; raise ``UsageError`` if it is none."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME_LENGTH:
        raise UsageError(f"stream must be a name of 1 to {MAX_NAME_LENGTH} characters")
    if not name.isprintable() or "{" in name or "}" in name:
        raise UsageError("stream must not contain braces or control characters")
    return name


def leader_key(name: str) -> str:
    """Return the key of the lease of the publisher that may append."""
    return f"{{{name}}}:leader"


def standby_key(name: str) -> str:
    """Return the key of the lease of the publisher that is next."""
    return f"{{{name}}}:standby"
