"""Defaults of the stream in Redis, for a command line that works without redis-py."""

from __future__ import annotations

from typing import Final

DEFAULT_NAME: Final = "basix"
"""Default name of the stream."""

DEFAULT_MAX_ENTRIES: Final = 50_000
"""Default number of entries that the stream keeps."""

MIN_ENTRIES: Final = 1000
"""Smallest number of entries that a stream can be set to keep."""
