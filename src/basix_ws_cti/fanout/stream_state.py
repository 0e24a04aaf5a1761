"""State that the stream describes, as a standby needs it: hashes of the elements, and the end.

A standby follows the stream with it. When it takes over, it compares the state with that of its own
mirror: if they differ although its journal was complete, something was lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from basix_ws_cti.elements import Element

from .element_json import element_to_json
from .entries import Entry, EntryError, ReceivedEntry

_Hashes = dict[tuple[str, int | str], bytes]

# Entries of a snapshot between the first and the last one.
_PARTS: Final = frozenset({"snapshot_elements", "snapshot_calls"})


def element_hash(values: dict[str, Any]) -> bytes:
    """Return a hash of an element in its JSON shape."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


class StreamState:
    """Hashes of all elements, by kind and key, after the entries that were passed to ``apply``."""

    def __init__(self) -> None:
        self.is_complete: bool = False
        """True once a snapshot was complete and everything after it was readable."""
        self._hashes: _Hashes = {}
        self._snapshot: _Hashes | None = None  # the snapshot that is arriving
        self._parts = 0

    def reset(self) -> None:
        """Forget everything: the next entry is not the one after the last one."""
        self.__init__()  # type: ignore[misc]

    def apply(self, entry: ReceivedEntry | Entry) -> None:
        """Apply an entry, which must be the one after the last one.

        Raises ``EntryError`` if it is not readable; the state is incomplete then.
        """
        try:
            self._apply(entry.type, entry.data)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.reset()
            raise EntryError(f"the data of {entry.type!r} has another shape") from None

    def _apply(self, entry_type: str, data: bytes) -> None:
        if entry_type in _PARTS or entry_type == "snapshot_end":
            if self._snapshot is not None:
                self._continue_snapshot(self._snapshot, entry_type, data)
            return
        self._snapshot = None  # incomplete, since another entry follows
        match entry_type:
            case "snapshot":
                self._snapshot, self._parts = {}, 0
            case "element":
                self._change_element(json.loads(data))
            case "elements":
                self._replace_kind(json.loads(data))

    def _change_element(self, values: dict[str, Any]) -> None:
        key = values["kind"], values["key"]
        if values["event"] == "removed":
            self._hashes.pop(key, None)
        else:
            self._hashes[key] = element_hash(values["element"])

    def _replace_kind(self, values: dict[str, Any]) -> None:
        kind = values["kind"]
        if values["part"] == 1:
            for key in [one for one in self._hashes if one[0] == kind]:
                del self._hashes[key]
        _add_elements(self._hashes, kind, values["elements"])

    def _continue_snapshot(self, snapshot: _Hashes, entry_type: str, data: bytes) -> None:
        values = json.loads(data)
        if entry_type == "snapshot_end":
            self._snapshot = None
            if values["parts"] == self._parts:
                self._hashes, self.is_complete = snapshot, True
            return
        self._parts += 1
        if entry_type == "snapshot_elements":
            _add_elements(snapshot, values["kind"], values["elements"])

    def differs(self, kind: str, elements: Iterable[tuple[Any, Element]]) -> bool:
        """Return True if one of the elements of a kind, pairs of key and element, differs."""
        return any(
            self._hashes.get((kind, key)) != element_hash(element_to_json(element))
            for key, element in elements
        )

    def __len__(self) -> int:
        return len(self._hashes)


def _add_elements(hashes: _Hashes, kind: str, pairs: list[Any]) -> None:
    for key, element in pairs:
        hashes[kind, key] = element_hash(element)
