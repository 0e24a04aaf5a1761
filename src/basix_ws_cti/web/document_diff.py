"""Difference between two state documents: the content of an ``update`` frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .document import TABLES, Document


def difference(old: Document, new: Document) -> Document:
    """Return what changed from one document to the next; empty if nothing did.

    A table that changed is ``{"set": {KEY: ROW}, "gone": [KEY]}`` with whole rows. Every other
    field that changed is whole.
    """
    changed: Document = {}
    for name, value in new.items():
        if name in TABLES:
            if table := _table_difference(old[name], value):
                changed[name] = table
        elif value != old[name]:
            changed[name] = value
    return changed


def _table_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    rows = {key: row for key, row in new.items() if old.get(key) != row}
    gone = [key for key in old if key not in new]
    return {"set": rows, "gone": gone} if rows or gone else {}
