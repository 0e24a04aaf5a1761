"""The picture of a connection while the PBX says what there is: not whole yet.

Pure: no I/O, no clock. Who reads a connection, or a recording of one, measures the quiet time.
"""

from __future__ import annotations

from attrs import Factory, define

from .messages import FieldSpec, InfoEvent, InitialInfo, Message
from .mirror import Mirror

# Seconds without a message, once every kind is complete, after which the picture is whole.
QUIET_TIME = 0.25


@define
class Building:
    """A picture that is built aside, from a connection's first message on.

    Kinds that were announced are awaited. ``mirror`` is what there is so far.
    """

    mirror: Mirror = Factory(Mirror)
    _incomplete: set[str] = Factory(set)
    _complete: set[str] = Factory(set)

    @property
    def may_be_whole(self) -> bool:
        """Whether every kind that was announced is there: it is whole, if no other follows."""
        return bool(self._complete) and not self._incomplete

    def is_whole_before(self, message: Message) -> bool:
        """Whether ``message`` shows that no other kind follows: then it is not to be taken in."""
        return isinstance(message, InfoEvent) and self.may_be_whole

    def take(self, message: Message) -> bool:
        """Take in a message; whether the quiet time begins anew, or ends, for it."""
        self.mirror.apply(message)
        match message:
            case FieldSpec(kind, _) if kind not in self._complete:
                self._incomplete.add(kind)
                return True
            case InitialInfo(kind, _):
                self._complete.add(kind)
                self._incomplete.discard(kind)
                return True
        return False
