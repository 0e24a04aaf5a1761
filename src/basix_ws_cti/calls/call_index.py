"""Index of the active calls: by call id, by uuid of a leg, and by park slot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from basix_ws_cti._internal.live_mapping import LiveMapping

from .active_call import ActiveCall
from .model import Call

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class CallIndex:
    """Look-up of the active call that a leg belongs to.

    A call is found by the slot on which it is parked, and by the uuids of its living legs, of
    its first leg, and of all legs that its legs named as their other end, even if the feed has
    not shown them yet.
    """

    def __init__(self) -> None:
        self._calls: dict[str, ActiveCall] = {}
        self._by_uuid: dict[str | None, ActiveCall] = {}
        self.find: Callable[[str | None], ActiveCall | None] = self._by_uuid.get
        """Return the call that a uuid leads to; ``None`` if it leads to no call."""
        # For each call, the uuids in `_by_uuid` that lead to it.
        self._uuids: dict[ActiveCall, set[str]] = {}
        # Calls that are parked, by call id, in the order in which they were parked.
        self._parked: dict[str, ActiveCall] = {}
        # Calls for which the PBX rings the phones of a user first (click-to-call), by key.
        self._own_calls: dict[Hashable, ActiveCall] = {}
        self.lock: AbstractContextManager[object] = threading.RLock()
        """Must be held while a call changes: ``snapshots`` may be read in another thread."""
        self.snapshots: Mapping[str, Call] = _Snapshots(self._calls, self.lock)
        """Snapshots of the calls by id: a read-only mapping that shows the current state."""

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[ActiveCall]:
        return iter(self._calls.values())

    @property
    def is_empty(self) -> bool:
        """True if the index holds no call and no uuid."""
        return not (self._calls or self._by_uuid or self._uuids or self._parked or self._own_calls)

    def has_id(self, call_id: str) -> bool:
        """Return True if an active call has this id."""
        return call_id in self._calls

    def find_parked(self, slot: str, dialled: int | None) -> ActiveCall | None:
        """Return the call that is parked on a slot; ``None`` if there is none.

        ``dialled``: time at which a party dialled the slot. A call that was parked later is not
        the one that they wanted. ``None``: the time is not known.
        """
        for call in self._parked.values():
            phase = call.phases.current
            if str(phase.place) == slot and (dialled is None or phase.started <= dialled):
                return call
        return None

    def find_own_call(self, key: Hashable) -> ActiveCall | None:
        """Return the last call that was added with this ``own_call_key``; ``None``: none was."""
        return self._own_calls.get(key)

    def add(self, call: ActiveCall) -> None:
        """Add a call. The uuid of its first leg leads to it, and so does its ``own_call_key``."""
        if call.own_call_key is not None:
            self._own_calls[call.own_call_key] = call
        self._calls[call.id] = call
        self._uuids[call] = set()
        self.link(call.legs.first_uuid, call)

    def link(self, uuid: str, call: ActiveCall) -> None:
        """Make a uuid lead to a call."""
        self._by_uuid[uuid] = call
        self._uuids[call].add(uuid)

    def unlink(self, uuid: str, call: ActiveCall) -> None:
        """Remove one of the uuids that lead to a call."""
        self._uuids[call].discard(uuid)
        self._by_uuid.pop(uuid, None)

    def update_parked(self, call: ActiveCall) -> None:
        """Record if a call is parked now. Must be called after each event of the call."""
        if call.phases.current.kind == "parked":
            self._parked[call.id] = call
        else:
            self._parked.pop(call.id, None)

    def replace(self, call: ActiveCall, successor: ActiveCall) -> None:
        """Remove a call and make its uuids lead to the call that absorbed it."""
        for uuid in self._remove(call):
            self.link(uuid, successor)

    def remove(self, call: ActiveCall) -> None:
        """Remove a call and all uuids that lead to it."""
        for uuid in self._remove(call):
            self._by_uuid.pop(uuid, None)

    def _remove(self, call: ActiveCall) -> set[str]:
        del self._calls[call.id]
        self._parked.pop(call.id, None)
        if self._own_calls.get(call.own_call_key) is call:
            del self._own_calls[call.own_call_key]
        return self._uuids.pop(call)


class _Snapshots(LiveMapping[str, Call]):
    """Snapshots of the active calls by id: a read-only, live mapping."""

    __slots__ = ("_calls", "_lock")

    def __init__(self, calls: dict[str, ActiveCall], lock: AbstractContextManager[object]) -> None:
        self._calls = calls
        self._lock = lock

    def __getitem__(self, key: str) -> Call:
        with self._lock:
            return self._calls[key].snapshot()

    def __contains__(self, key: object) -> bool:
        return key in self._calls

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return f"<{len(self)} calls>"

    def copy(self) -> dict[str, Call]:
        with self._lock:
            return {call_id: call.snapshot() for call_id, call in self._calls.items()}
