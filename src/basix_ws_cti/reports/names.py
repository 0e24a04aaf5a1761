"""Names that users and groups had at some time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from attrs import Factory, define
from sqlalchemy import Connection, select

from basix_ws_cti.calllog.schema import NAMES


@define(eq=False)
class Names:
    """Names of users and groups, each with the time from which it was known."""

    # Times in ascending order, and names with extensions in the same order, by kind and id.
    _since: defaultdict[tuple[str, int], list[int]] = Factory(lambda: defaultdict(list))
    _named: defaultdict[tuple[str, int], list[tuple[str, str | None]]] = Factory(
        lambda: defaultdict(list)
    )

    @classmethod
    def read(cls, connection: Connection) -> Names:
        """Return all names of a call log."""
        names = cls()
        for row in connection.execute(select(NAMES).order_by(NAMES.c.since)):
            key = row.kind, row.id
            names._since[key].append(row.since)
            names._named[key].append((row.name, row.extension))
        return names

    def group(self, group_id: int | None, until: int) -> str | None:
        """Return the last name that a group had before a time in microseconds.

        If there was none, it is the first one after. ``None``: no name is known.
        """
        return self._find("group", group_id, until)[0]

    def user(self, user_id: int | None, until: int) -> tuple[str | None, str | None]:
        """Return the last name and extension that a user had before a time in microseconds.

        If there was none, it is the first one after. ``None``: it is not known.
        """
        return self._find("user", user_id, until)

    def _find(self, kind: str, id_: int | None, until: int) -> tuple[str | None, str | None]:
        if id_ is None or (kind, id_) not in self._since:
            return None, None
        index = bisect_right(self._since[kind, id_], until - 1)
        return self._named[kind, id_][max(0, index - 1)]
