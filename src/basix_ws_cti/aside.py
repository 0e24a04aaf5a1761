"""The picture while it is not whole: built aside, where nobody sees half of it."""

from __future__ import annotations

import math
from collections.abc import Generator

from .messages import FieldSpec, InfoEvent, InitialInfo, Message
from .mirror import Mirror


class Aside:
    """What a PBX has told of itself since the connection was made.

    It is whole when every kind that was announced has come, and then an event has come or
    ``quiet_time`` seconds have passed: until ``quiet_at``, of the clock that ``now`` is of.
    """

    def __init__(self, quiet_time: float) -> None:
        self.mirror = Mirror()
        self.quiet_at = math.inf
        self._quiet_time = quiet_time
        self._incomplete: set[str] = set()
        self._complete: set[str] = set()

    def is_whole(self, now: float, message: Message | None) -> bool:
        """Whether it is, now that this message comes, or none that was waited for."""
        event = isinstance(message, InfoEvent) and self._complete and not self._incomplete
        return message is None or bool(event) or now >= self.quiet_at

    def take(self, message: Message, now: float) -> Generator[None, None, None]:
        """Take in a message, a step at a time."""
        match message:
            case FieldSpec(kind, _) if kind not in self._complete:
                self._incomplete.add(kind)
                self.quiet_at = math.inf
            case InitialInfo(kind, elements):
                self._complete.add(kind)
                self._incomplete.discard(kind)
                yield from self.mirror.fill(kind, elements)
                self.quiet_at = math.inf if self._incomplete else now + self._quiet_time
            case _:
                self.mirror.apply(message)
