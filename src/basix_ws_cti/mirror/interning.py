"""One text for all that say the same: what a PBX tells of its channels repeats itself.

Each text of a frame is an object of its own, and of a thousand channels nine hundred are
``"inbound"`` ones by the same few callers. A third of what a picture of them weighs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from basix_ws_cti.elements import AnyChannel, EndUsers, OtherInfo, Target

if TYPE_CHECKING:
    from basix_ws_cti.elements import Element

# Texts that differ throughout: then there is nothing to share.
MAX_INTERNED = 20_000

_TEXTS: dict[type[Any], tuple[str, ...]] = {
    Target: ("type", "name", "address"),
    OtherInfo: ("type", "direction", "peer_location", "address"),
}
_CHANNEL_TEXTS = (
    *("uuid", "other_uuid", "direction", "peer_location", "last_event"),
    *("calling_name", "calling_number", "called_number", "peer_number"),
)


class Interner:
    """Remembers what it has seen, texts and people; for as long as a picture takes to be made."""

    def __init__(self) -> None:
        self._seen: dict[object, Any] = {}

    def intern(self, element: Element) -> None:
        """Let a channel hold what others hold already, where that is equal."""
        if not isinstance(element, AnyChannel):
            return  # of all else little repeats itself
        self._intern_texts(element, _CHANNEL_TEXTS)
        self._intern_people(element)
        for name in ("target", "other_info"):
            value = getattr(element, name, None)
            if type(value) in _TEXTS:
                self._intern_texts(value, _TEXTS[type(value)])
                self._intern_people(value)

    def _intern_texts(self, owner: object, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(owner, name, None)
            if type(value) is str:  # whose hash nobody can foresee
                self._intern(owner, name, value, value)

    def _intern_people(self, owner: object) -> None:
        people = getattr(owner, "end_user", None)
        if isinstance(people, EndUsers):
            self._intern(owner, "end_user", people, people.items)  # all text

    def _intern(self, owner: object, name: str, value: object, at: object) -> None:
        seen = self._seen.get(at)
        if seen == value:  # so that nothing changes for who holds the owner
            object.__setattr__(owner, name, seen)
        elif seen is None and len(self._seen) < MAX_INTERNED:
            self._seen[at] = value
