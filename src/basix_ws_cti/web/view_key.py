"""Parameters of a view: which part of the call centre, in which language, with which rights."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

# Ids that a filter may name. A team has a few; the bound keeps addresses and memory small.
MAX_IDS = 200

LONGEST_ID = 100
"""Characters of the longest id that a filter may name."""


@frozen
class Selection:
    """Queues and users of a view, by id as text.

    Of queues without users, their members are shown. Of users without queues, the queues that they
    are members of are shown.
    """

    queues: frozenset[str] | None = None
    """Ids of groups; ``None``: no filter."""

    users: frozenset[str] | None = None
    """Ids of users; ``None``: no filter."""

    @classmethod
    def of(cls, queues: Iterable[str], users: Iterable[str]) -> Selection:
        """Return the selection with these ids; no ids at all mean no filter."""
        return cls(frozenset(queues) or None, frozenset(users) or None)

    @property
    def is_everything(self) -> bool:
        """True if nothing is filtered."""
        return self.queues is None and self.users is None

    def within(self, bound: Selection) -> Selection:
        """Return the part of this selection that lies in ``bound``.

        What ``bound`` filters, and this selection does not name, is that of ``bound``. A name
        outside of ``bound`` selects nothing.
        """
        return Selection(_within(self.queues, bound.queues), _within(self.users, bound.users))


EVERYTHING = Selection()
"""Selection without filters."""


@frozen
class ViewKey:
    """Parameters that determine the documents of a view; equal ones share their frames."""

    selection: Selection = EVERYTHING
    """Queues and users that are shown."""

    bound: Selection = EVERYTHING
    """Queues and users that may be shown at all: the filter of a display link."""

    language: str = "en"
    """Language of texts."""

    is_masked: bool = False
    """True: telephone numbers are masked."""

    with_commands: bool = False
    """True: the reader may send commands to the PBX."""


def _within(ids: frozenset[str] | None, bound: frozenset[str] | None) -> frozenset[str] | None:
    if bound is None or ids is None:
        return bound if ids is None else ids
    return ids & bound
