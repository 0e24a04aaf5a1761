"""The picture of a connection while the PBX says what there is: not whole yet.

Pure: no I/O, no clock. Who reads a connection, or a recording of one, says what time it is.
"""

from __future__ import annotations

import math
from collections.abc import Generator

from attrs import Factory, define

from basix_ws_cti.messages import FieldSpec, InfoEvent, InitialInfo, Message

from .mirror import Mirror

# Seconds without a message, once every kind is complete, after which the picture is whole.
QUIET_TIME = 0.25


@define
class SnapshotBuilder:
    """A picture that is built aside, from a connection's first message on.

    It is whole when every kind that was announced has come, and then an event has come or
    ``quiet_time`` seconds have passed: until ``quiet_at``, of the clock that ``now`` is of.
    ``mirror`` is what there is so far.
    """

    quiet_time: float = QUIET_TIME
    mirror: Mirror = Factory(Mirror)
    quiet_at: float = math.inf
    _incomplete: set[str] = Factory(set)
    _complete: set[str] = Factory(set)

    @property
    def may_be_complete(self) -> bool:
        """Whether every kind that was announced is there: it is whole, if no other follows."""
        return bool(self._complete) and not self._incomplete

    def is_complete(self, message: Message | None) -> bool:
        """Whether it was, before this message; ``None``: none came until ``quiet_at``."""
        return message is None or (isinstance(message, InfoEvent) and self.may_be_complete)

    def add(self, message: Message, now: float) -> Generator[None, None, None]:
        """Take in a message, a step at a time."""
        match message:
            case FieldSpec(kind, _) if kind not in self._complete:
                self._incomplete.add(kind)
                self.quiet_at = math.inf
            case InitialInfo(kind, elements):
                self._complete.add(kind)
                self._incomplete.discard(kind)
                yield from self.mirror.fill(kind, elements)
                self.quiet_at = math.inf if self._incomplete else now + self.quiet_time
            case _:
                self.mirror.apply(message)
