"""Compressed files: recognised by their first bytes, whatever their names are."""

from __future__ import annotations

import gzip
import zlib
from typing import Any, cast

# First bytes of gzip data (RFC 1952). No text, and no frame, begins with them.
_GZIP = b"\x1f\x8b"

COMPRESSION_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
"""Exceptions of ``InputStream.readline`` and ``read`` for damaged compressed data."""


class InputStream:
    """Lines of a binary stream, decompressed if the data is compressed with gzip.

    ``source`` is an open binary file with ``readline``, which is not closed. Compressed data is
    read by its ``read1`` or ``read`` if it has them.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._decompressed: gzip.GzipFile | None = None
        self.bytes_read: int = 0
        """Number of bytes read from the source so far."""

    def readline(self, size: int = -1) -> bytes:
        """Return the next line, of ``size`` bytes at most; empty at the end.

        Raises ``OSError``, and one of ``COMPRESSION_ERRORS`` for damaged compressed data.
        """
        if self._decompressed is None:
            is_first = self.bytes_read == 0
            line: bytes = self._source.readline(size)
            self.bytes_read += len(line)
            if not is_first or not line.startswith(_GZIP):
                return line
            compressed = _CompressedBytes(self, self._source, line)
            self._decompressed = gzip.GzipFile(fileobj=cast("Any", compressed))
        return self._decompressed.readline(size)

    def read(self) -> bytes:
        """Return the rest of the stream. Raises like ``readline``."""
        return b"".join(iter(self.readline, b""))


class _CompressedBytes:
    """Bytes of a compressed stream, of which ``start`` has been read already."""

    def __init__(self, owner: InputStream, source: Any, start: bytes) -> None:
        self._owner = owner
        self._start = start
        # A pipe gives what it has; ``read`` would wait until it has ``size`` bytes.
        self._read = (
            getattr(source, "read1", None) or getattr(source, "read", None) or source.readline
        )

    def read(self, size: int) -> bytes:
        if start := self._start:
            self._start = start[size:]
            return start[:size]
        data: bytes = self._read(size)
        self._owner.bytes_read += len(data)
        return data
