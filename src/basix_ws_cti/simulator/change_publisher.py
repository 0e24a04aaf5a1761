"""Publishes each change of the simulated PBX to listeners, and keeps the published state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .model import Fields, Key, element_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Element

Listener = Callable[[str, Key, Fields, str], None]  # kind, key, fields, event name


class ChangePublisher:
    """The state of the PBX as its feed shows it, and the listeners to its changes.

    Invariant: a listener that starts with ``snapshot()`` and applies every change holds what
    ``snapshot()`` returns. Each change therefore goes to the published state and to the
    listeners in one call. An element's fields are copied when they are published, so that
    later changes of the element do not show before they are published too.

    Attributes:
        kinds: the kinds in the feed, in the order in which they are sent.
        listeners: functions called with kind, key, fields and event name (``added``,
            ``updated`` or ``removed``) of each change, in this order.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds: tuple[str, ...] = tuple(kinds)
        self.listeners: list[Listener] = []
        self._published: dict[str, dict[Key, Fields]] = {kind: {} for kind in self.kinds}

    def publish(self, kind: str, key: Key, element: Element, event_name: str) -> None:
        """Publish the current fields of an element to all listeners."""
        fields = element_to_dict(kind, element)
        if event_name == "removed":
            self._published[kind].pop(key, None)
        else:
            self._published[kind][key] = fields
        for listener in tuple(self.listeners):
            listener(kind, key, fields, event_name)

    def holds(self, kind: str, key: Key) -> bool:
        """Return True if the feed shows an element of this kind and key."""
        return key in self._published.get(kind, ())

    def forget(self, kinds: Iterable[str]) -> None:
        """Remove all elements of these kinds without publishing a change."""
        for kind in kinds:
            if kind in self._published:
                self._published[kind].clear()

    def snapshot(self, user_id: int | None = None) -> dict[str, dict[Key, Fields]]:
        """Return the published state: fields by kind and key.

        With ``user_id``, of the kind ``channel`` only this user's elements.
        """
        return {
            kind: {
                key: dict(fields)
                for key, fields in elements.items()
                if kind != "channel" or user_id is None or fields["user_id"] == user_id
            }
            for kind, elements in self._published.items()
        }
