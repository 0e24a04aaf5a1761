"""Users and groups of a call log, selected by name, extension or id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from basix_ws_cti._internal.translation import _

from .options import MAX_ID_DIGITS
from .suggestions import unknown_name

if TYPE_CHECKING:
    from basix_ws_cti.reports import NameRow


def find_ids(rows: Iterable[NameRow], kind: str, texts: Iterable[str]) -> frozenset[int]:
    """Return the ids of the users or groups that texts name.

    - ``rows``: names in the call log; old names count, too.
    - ``kind``: ``user`` or ``group``.
    - ``texts``: names, extensions or ids. A text may name several users.

    Raises ``UsageError`` for a text that names none. A call log without any names accepts all ids.
    """
    ids: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.kind == kind:
            for text in (row.name, row.extension):
                if text is not None:
                    ids[text.casefold()].add(row.id)
    known = set[int]().union(*ids.values())
    found: set[int] = set()
    for text in texts:
        named = ids.get(text.strip().casefold())
        if named is None and text.isascii() and text.isdecimal() and len(text) < MAX_ID_DIGITS:
            named = {int(text)} if not known or int(text) in known else None
        if named is None:
            raise _unknown(kind, text, rows)
        found |= named
    return frozenset(found)


def _unknown(kind: str, text: str, rows: Iterable[NameRow]) -> Exception:
    names = {row.name for row in rows if row.kind == kind}
    noun = _("user") if kind == "user" else _("group")
    return unknown_name(noun, text, names, _("the call log has no such name, extension or id"))
