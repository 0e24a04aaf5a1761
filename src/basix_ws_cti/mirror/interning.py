"""Interning of the texts in channels: equal texts become one object.

Every frame creates its own text objects, and the texts of channels repeat: of a thousand channels
nine hundred are ``"inbound"`` and come from the same few callers. Interning saves a third of the
memory of a mirror full of channels.

Invariant: a value is only ever replaced by an equal one, so no holder of an element sees a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from basix_ws_cti.elements import AnyChannel, EndUsers, OtherInfo, Target

if TYPE_CHECKING:
    from basix_ws_cti.elements import Element

# Values remembered by one interner. A PBX whose texts all differ gains nothing from interning, and
# must not fill the memory.
MAX_INTERNED = 20_000

_NESTED_TEXTS: dict[type[Any], tuple[str, ...]] = {
    Target: ("type", "name", "address"),
    OtherInfo: ("type", "direction", "peer_location", "address"),
}
_CHANNEL_TEXTS = (
    *("uuid", "other_uuid", "direction", "peer_location", "last_event"),
    *("calling_name", "calling_number", "called_number", "peer_number"),
)


class Interner:
    """Replaces equal texts and end users of channels by the first one it has seen.

    Use one interner for one ``initial_info``: it keeps every value it remembers alive.
    """

    def __init__(self) -> None:
        self._seen: dict[object, Any] = {}

    def __len__(self) -> int:
        """Return the number of values remembered."""
        return len(self._seen)

    def intern(self, element: Element) -> None:
        """Intern the values of a channel; elements of other kinds repeat little and are skipped."""
        if not isinstance(element, AnyChannel):
            return
        self._intern_texts(element, _CHANNEL_TEXTS)
        self._intern_end_users(element)
        for name in ("target", "other_info"):
            value = getattr(element, name, None)
            if type(value) in _NESTED_TEXTS:
                self._intern_texts(value, _NESTED_TEXTS[type(value)])
                self._intern_end_users(value)

    def _intern_texts(self, owner: object, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(owner, name, None)
            if type(value) is str:
                self._intern(owner, name, value, value)

    def _intern_end_users(self, owner: object) -> None:
        end_users = getattr(owner, "end_user", None)
        if isinstance(end_users, EndUsers):
            self._intern(owner, "end_user", end_users, end_users.items)

    def _intern(self, owner: object, name: str, value: object, key: object) -> None:
        seen = self._seen.get(key)
        if seen == value:
            object.__setattr__(owner, name, seen)  # elements are frozen
        elif seen is None and len(self._seen) < MAX_INTERNED:
            self._seen[key] = value
