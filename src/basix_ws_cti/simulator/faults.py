"""Faults that a simulated PBX can show, for ``Simulator.inject``.

A fault of a connection applies to all current connections, or to the given one. A fault of
the handshake applies to the next ``times`` clients that connect.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen, validators

from basix_ws_cti._internal.arguments import check_instance, check_integer, check_number
from basix_ws_cti.exceptions import UsageError

from .company import DID
from .frame_writer import charlist
from .scenarios import CALLERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .feed_connection import Feed
    from .frame_writer import Writer
    from .pbx import Pbx


class FaultTarget(Protocol):
    """Parts of ``Simulator`` on which faults operate."""

    @property
    def pbx(self) -> Pbx:
        """The simulated PBX."""

    @property
    def writer(self) -> Writer:
        """The encoder of the frames that clients receive."""

    def arm_fault(self, fault: Fault, times: int) -> None:
        """Apply a fault to the next ``times`` clients that connect."""

    def change_fields(self, kind: str, fields: tuple[str, ...]) -> None:
        """Send the fields of a kind in another order."""

    def flood(self, events: int) -> None:
        """Send ``events`` events as fast as possible."""

    def restart(self, pbx: Pbx | None = None, *, down_for: float = 0) -> None:
        """Close all connections, and come back after ``down_for`` seconds."""

    def set_linger(self, seconds: float) -> None:
        """Count lost connections towards the limit for ``seconds`` seconds."""


def _number(at_least: float) -> Any:
    """Return a validator for a finite number; it raises ``UsageError``."""
    return lambda _, attribute, value: check_number(attribute.name, value, at_least=at_least)


def _count(at_least: int) -> Any:
    """Return a validator for an integer; it raises ``UsageError``."""
    return lambda _, attribute, value: check_integer(attribute.name, value, at_least=at_least)


def _check_status(_: object, __: object, value: HTTPStatus) -> None:
    check_integer("status", value)
    if value < 300:
        raise UsageError(f"status must be 300 or higher to refuse a client, not {value}")


def _check_header(_: object, attribute: Any, value: str | None) -> None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise UsageError(f"{attribute.name} must be printable ASCII, not {value!r}")


def _check_frame(_: object, __: object, value: object) -> None:
    check_instance("frame", value, (bytes, str), "bytes or str")


@frozen
class Fault:
    """Base class of all faults."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        """Apply the fault now, to these connections."""
        raise NotImplementedError


# -- the network ----------------------------------------------------------------------


@frozen
class Drop(Fault):
    """The TCP connection ends without a closing handshake."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.drop()


@frozen
class Reset(Fault):
    """The TCP connection ends with an RST."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.reset()


@frozen
class HalfClose(Fault):
    """The PBX closes its side of the TCP connection, and still reads the other side."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.half_close()


@frozen
class Silence(Fault):
    """The PBX sends nothing any more, not even a pong; the connection stays open."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.go_silent()


@frozen
class Stall(Fault):
    """Data is held back for a time, and then sent at once."""

    seconds: float = field(validator=_number(0.001))
    """Duration in seconds, at least 0.001."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.stall(self.seconds)


@frozen
class Split(Fault):
    """Data is sent in small pieces from now on."""

    size: int = field(default=1, validator=_count(0))
    """Maximum size of a piece in bytes; 0: no limit any more."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.split(self.size)


@frozen
class Coalesce(Fault):
    """Data is collected and sent at intervals from now on."""

    seconds: float = field(default=0.1, validator=_number(0))
    """Interval in seconds; 0: not collected any more."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.transport.coalesce(self.seconds)


# -- the handshake --------------------------------------------------------------------


@frozen
class Refuse(Fault):
    """The next clients are refused with an HTTP status, such as 401, 403, 429, 500 or 503."""

    status: HTTPStatus = field(
        default=HTTPStatus.SERVICE_UNAVAILABLE, converter=HTTPStatus, validator=_check_status
    )
    """HTTP status, 300 or higher, as ``HTTPStatus`` or ``int``."""
    retry_after: int | None = field(default=None, validator=validators.optional(_count(0)))
    """Value of the header Retry-After, in seconds; ``None``: no such header."""
    location: str | None = field(default=None, validator=_check_header)
    """Value of the header Location, the target of a redirect; ``None``: no such header."""
    times: int = field(default=1, validator=_count(1))
    """Number of clients, at least 1."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.arm_fault(self, self.times)


@frozen
class DelayHandshake(Fault):
    """The next clients wait for the response to their handshake."""

    seconds: float = field(validator=_number(0.001))
    """Delay in seconds, at least 0.001."""
    times: int = field(default=1, validator=_count(1))
    """Number of clients, at least 1."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.arm_fault(self, self.times)


@frozen
class DropDuringSnapshot(Fault):
    """The connections of the next clients end during the snapshot."""

    frames: int = field(default=8, validator=_count(0))
    """Number of frames sent before the connection ends."""
    times: int = field(default=1, validator=_count(1))
    """Number of clients, at least 1."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.arm_fault(self, self.times)


@frozen
class EventFirst(Fault):
    """The next clients receive an event before any field_spec."""

    times: int = field(default=1, validator=_count(1))
    """Number of clients, at least 1."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.arm_fault(self, self.times)


# -- the frames -----------------------------------------------------------------------


@frozen
class SendFrame(Fault):
    """The PBX sends a frame of your choice."""

    frame: bytes | str = field(default=b"\x83h\x03d\x00\x07garbage", validator=_check_frame)
    """The frame: ``bytes`` for a binary frame, ``str`` for a text frame. By default, an
    invalid term."""

    def apply(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.send([self.frame])


@frozen
class Truncate(Fault):
    """The PBX sends the first half of its last event again."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            frame = _last_event(simulator, feed)
            if frame is not None:
                feed.send([frame[: len(frame) // 2]])


@frozen
class Repeat(Fault):
    """The PBX sends its last event again."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            frame = _last_event(simulator, feed)
            if frame is not None:
                feed.send([frame])


def _last_event(simulator: FaultTarget, feed: Feed) -> bytes | None:
    """Return the frame of the last event sent, with the current order of fields."""
    if feed.last_event is None:
        return None
    kind, fields, event_name = feed.last_event
    writer = simulator.writer
    return writer.info_event(kind, writer.record(kind, fields), event_name)


@frozen
class UpdateAfterRemoval(Fault):
    """A channel is hung up and removed, and then updated as if it still existed."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        pbx, writer = simulator.pbx, simulator.writer
        channel = next(iter(pbx.channels.values()), None)
        if channel is None:
            channel = pbx.receive(CALLERS[0], DID)
            pbx.set_state(channel, "ivr", ivr_id="main_menu")
        before = pbx.snapshot()["channel"][channel.uuid]
        pbx.hang_up(channel)
        frame = writer.info_event("channel", writer.record("channel", before), "updated")
        for feed in feeds:
            if feed.user_id in {None, before["user_id"]}:
                feed.send([frame])


@frozen
class ChangeSpec(Fault):
    """All clients receive the fields of a kind in another order, after a new field_spec."""

    kind: str = "channel"
    """The kind."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        if self.kind not in simulator.pbx.kinds:
            known = ", ".join(simulator.pbx.kinds)
            raise UsageError(f"this PBX has no kind {self.kind!r}; it has: {known}")
        first, *rest = simulator.writer.fields[self.kind]
        simulator.change_fields(self.kind, (*rest, first))


@frozen
class UnknownKind(Fault):
    """The PBX sends all messages of an unknown kind, and an unknown message."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        writer = simulator.writer
        kind, record = charlist("robot"), (7, b"R2", 1)
        frames = [
            writer.message("field_spec", kind, [b"id", b"label", b"arms"]),
            writer.message("initial_info", kind, [record]),
            writer.message("info_event", kind, record, charlist("updated")),
            writer.message("robot_msg", b"beep"),
        ]
        for feed in feeds:
            feed.send(frames)


@frozen
class UnspecifiedKind(Fault):
    """The PBX sends an event of a kind without having sent its field_spec."""

    def apply(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        frame = simulator.writer.message(
            "info_event", charlist("phantom"), (1, b"x"), charlist("added")
        )
        for feed in feeds:
            feed.send([frame])


# -- the server -----------------------------------------------------------------------


@frozen
class Linger(Fault):
    """Lost connections still count towards the connection limit for a time."""

    seconds: float = field(validator=_number(0))
    """Duration in seconds; 0: not any more."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.set_linger(self.seconds)


@frozen
class Restart(Fault):
    """The PBX ends all connections, is down for a time, and comes back at the same address."""

    down_for: float = field(default=0, validator=_number(0))
    """Downtime in seconds."""
    pbx: Pbx | None = None
    """The ``Pbx`` that comes back; ``None``: the same one without its channels."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.restart(self.pbx, down_for=self.down_for)


@frozen
class Flood(Fault):
    """The PBX sends many events as fast as possible: changes of presence."""

    events: int = field(default=10_000, validator=_count(1))
    """Number of events, at least 1."""

    def apply(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.flood(self.events)
