"""Values that every database can store.

PostgreSQL's text holds neither NUL nor lone surrogates, and no integer column holds 65 bits. Both
can arrive from a PBX, or from a caller who chooses their own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Characters of a text. A name can be as long as a frame; an index entry of PostgreSQL cannot.
MAX_TEXT = 2000

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose values every database can store.

    Unstorable characters become U+FFFD, a text is cut to ``MAX_TEXT`` characters, and an integer
    outside 64 bits becomes ``None``.
    """
    return {name: _storable(value) for name, value in row.items()}


def _storable(value: Any) -> Any:
    if type(value) is str:
        return storable_text(value)
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        return None
    return value


def storable_text(text: str) -> str:
    """Return a text that every database can store: see ``storable``."""
    text = text[:MAX_TEXT].replace("\0", _REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
