"""Memory of the call ids that were used, so that no id is used twice.

The ids of the last ``MAX_USED_IDS`` ended calls are kept. For all earlier calls, one time is kept:
the end of the last of them. The uuid of a leg that was offered after that time is unused. The uuid
of an older leg, or of a leg that the feed has not shown, may be used: it gets a number as a suffix,
and no number is used twice. So all ids are unique, in bounded memory.

Most ids are the uuid of the call's first leg. As long as an id is kept, so is the fact that this
leg ended: other legs may have been created for it that the feed shows later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

# Ids of ended calls that are remembered; together they take up to 15 MB. Late legs of a call come
# within seconds; these ids last for hours in the largest call centre.
MAX_USED_IDS = 50_000


class UsedIds:
    """Ids of ended calls. Times are in microseconds since the epoch, as the PBX sends them."""

    def __init__(self) -> None:
        # End of the call by id, oldest first. An OrderedDict removes its first entry in constant
        # time; a dict skips the places of all entries that were removed before.
        self._ended: OrderedDict[str, int] = OrderedDict()
        # The ids in `_ended` that are uuids of legs that ended.
        self._ended_legs: set[str] = set()
        self._forgotten_until: int | None = None  # None: no id has been forgotten
        self._last_number = 0

    def __len__(self) -> int:
        """Return the number of ids remembered."""
        return len(self._ended)

    def __contains__(self, call_id: str) -> bool:
        """Return True if this id is remembered."""
        return call_id in self._ended

    def add(self, call_id: str, ended: int) -> None:
        """Remember the id of a call that ended at this time."""
        self._ended[call_id] = ended
        if len(self._ended) > MAX_USED_IDS:
            forgotten_id, forgotten = self._ended.popitem(last=False)
            self._ended_legs.discard(forgotten_id)
            self._forgotten_until = max(forgotten, self._forgotten_until or 0)

    def legs_ended(self, uuids: Iterable[str]) -> None:
        """Note that the legs with these uuids ended. Only remembered ids count."""
        self._ended_legs.update(uuid for uuid in uuids if uuid in self._ended)

    def is_late(self, first_uuid: str, offered: int | None) -> bool:
        """Return True if a leg was created for the first leg of an ended call, while it lasted.

        ``offered``: time at which the leg was created; ``None``: unknown. The result is False
        if the call is forgotten, or if its first leg was never shown to have ended.
        """
        if first_uuid not in self._ended_legs or offered is None:
            return False
        return offered <= self._ended[first_uuid]

    def ended_after(self, call_id: str, time: int | None) -> bool:
        """Return True if a call with this id ended after a time; ``None``: an unknown time."""
        ended = self._ended.get(call_id)
        return ended is not None and time is not None and time < ended

    def may_be_used(self, call_id: str, offered: int | None) -> bool:
        """Return True unless the id is unused for sure.

        ``offered``: time at which the leg with this uuid was created; ``None``: unknown.
        """
        if call_id in self._ended:
            return True
        until = self._forgotten_until
        return until is not None and (offered is None or offered <= until)

    def numbered(self, call_id: str, is_active: Callable[[str], bool]) -> str:
        """Return an id that starts with ``call_id`` and was never used before.

        ``is_active(call_id)`` returns True for the id of a call that has not ended.
        """
        while True:
            self._last_number += 1
            new = f"{call_id}#{self._last_number}"
            if new not in self._ended and not is_active(new):  # a PBX may send such a uuid
                return new
