"""What can go wrong, on demand: hand one of these to ``Simulator.inject``.

Those of a connection strike every connection there is at the moment, or the one that is
named. Those of a handshake lie in wait for the next ``times`` clients.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen, validators

from .frame_writer import charlist
from .pbx import DID
from .scenarios import CALLERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .feed_connection import Feed
    from .frame_writer import Writer
    from .pbx import Pbx


class FaultTarget(Protocol):
    """Parts of ``Simulator`` that faults act on."""

    @property
    def pbx(self) -> Pbx:
        """The simulated PBX."""

    @property
    def writer(self) -> Writer:
        """The encoder of the frames that clients receive."""

    def ambush(self, fault: Fault, times: int) -> None:
        """Apply a fault to the next ``times`` clients that connect."""

    def change_fields(self, kind: str, fields: tuple[str, ...]) -> None:
        """Send the fields of a kind in another order."""

    def flood(self, events: int) -> None:
        """Send ``events`` events as fast as possible."""

    def restart(self, pbx: Pbx | None = None, *, down_for: float = 0) -> None:
        """Close all connections and come back after ``down_for`` seconds."""

    def set_linger(self, seconds: float) -> None:
        """Count a lost connection towards the limit for ``seconds``."""


def _number(at_least: float) -> Any:
    """A validator: a finite number, ``ValueError`` for anything else."""

    def check(_: object, attribute: Any, value: object) -> None:
        if not (isinstance(value, int | float) and at_least <= value < math.inf):
            raise ValueError(f"{attribute.name} is a number from {at_least:g}, not {value!r}")

    return check


def _count(at_least: int) -> Any:
    """A validator: a whole number, ``ValueError`` for anything else."""

    def check(_: object, attribute: Any, value: object) -> None:
        if not (isinstance(value, int) and value >= at_least):
            raise ValueError(f"{attribute.name} is a whole number from {at_least}, not {value!r}")

    return check


def _check_status(_: object, __: object, value: HTTPStatus) -> None:
    if value < 300:
        raise ValueError(f"a refusal has a status from 300, not {value}")


def _check_header(_: object, attribute: Any, value: str | None) -> None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise ValueError(f"{attribute.name} is printable ASCII, not {value!r}")


def _check_frame(_: object, __: object, value: object) -> None:
    if not isinstance(value, bytes | str):
        raise ValueError(f"a frame is bytes or str, not {type(value).__name__}")  # noqa: TRY004


@frozen
class Fault:
    """What all faults have."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        """Let it happen now, to these connections."""
        raise NotImplementedError


# -- the network ----------------------------------------------------------------------


@frozen
class Drop(Fault):
    """The TCP connection ends, without a closing handshake."""

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.drop()


@frozen
class Reset(Fault):
    """The TCP connection ends with an RST."""

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.reset()


@frozen
class HalfClose(Fault):
    """The PBX's side of the TCP connection ends; it would still read."""

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.half_close()


@frozen
class Silence(Fault):
    """Nothing comes any more, not even a pong, and the connection stays open."""

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.go_silent()


@frozen
class Stall(Fault):
    """Nothing comes for so many seconds, and then all of it."""

    seconds: float = field(validator=_number(0.001))

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.stall(self.seconds)


@frozen
class Split(Fault):
    """All that is sent from now on comes in pieces of ``size`` bytes; 0: no longer."""

    size: int = field(default=1, validator=_count(0))

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.split(self.size)


@frozen
class Coalesce(Fault):
    """All that is sent from now on comes together, every so many seconds; 0: no longer."""

    seconds: float = field(default=0.1, validator=_number(0))

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.coalesce(self.seconds)


# -- the handshake --------------------------------------------------------------------


@frozen
class Refuse(Fault):
    """The next clients are answered with an HTTP status, such as 401, 403, 429, 500, 503.

    ``retry_after`` goes out as that header; ``location`` is where a redirect points.
    """

    status: HTTPStatus = field(
        default=HTTPStatus.SERVICE_UNAVAILABLE, converter=HTTPStatus, validator=_check_status
    )
    retry_after: int | None = field(default=None, validator=validators.optional(_count(0)))
    location: str | None = field(default=None, validator=_check_header)
    times: int = field(default=1, validator=_count(1))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class DelayHandshake(Fault):
    """The next clients wait so many seconds for an answer."""

    seconds: float = field(validator=_number(0.001))
    times: int = field(default=1, validator=_count(1))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class DieInSnapshot(Fault):
    """The next clients' connections break after so many frames."""

    frames: int = field(default=8, validator=_count(0))
    times: int = field(default=1, validator=_count(1))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class EventFirst(Fault):
    """The next clients get an event before any field_spec."""

    times: int = field(default=1, validator=_count(1))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


# -- what is said ---------------------------------------------------------------------


@frozen
class Say(Fault):
    """A frame of your own: bytes, or str for a text frame. By default, bytes that mean nothing."""

    frame: bytes | str = field(default=b"\x83h\x03d\x00\x07garbage", validator=_check_frame)

    def strike(self, _: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.send([self.frame])


@frozen
class Truncate(Fault):
    """The last event that was sent, once more, cut off in the middle."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            frame = _last_event(simulator, feed)
            if frame is not None:
                feed.send([frame[: len(frame) // 2]])


@frozen
class Repeat(Fault):
    """The last event that was sent, once more."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            frame = _last_event(simulator, feed)
            if frame is not None:
                feed.send([frame])


def _last_event(simulator: FaultTarget, feed: Feed) -> bytes | None:
    """The frame of the last event that was sent, in today's order of fields."""
    if feed.last_event is None:
        return None
    kind, picture, event_name = feed.last_event
    writer = simulator.writer
    return writer.info_event(kind, writer.record(kind, picture), event_name)


@frozen
class Afterlife(Fault):
    """A channel hangs up, is removed, and then updated as if it lived."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
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
    """The fields of a kind come in another order from now on, for everybody."""

    kind: str = "channel"

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        if self.kind not in simulator.pbx.kinds:
            raise ValueError(f"this PBX has no kind {self.kind!r}")
        first, *rest = simulator.writer.fields[self.kind]
        simulator.change_fields(self.kind, (*rest, first))


@frozen
class UnknownKind(Fault):
    """A kind that nobody has heard of, with all its messages, and a message of its own."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
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
    """An event of a kind whose field_spec never came."""

    def strike(self, simulator: FaultTarget, feeds: Sequence[Feed]) -> None:
        frame = simulator.writer.message(
            "info_event", charlist("phantom"), (1, b"x"), charlist("added")
        )
        for feed in feeds:
            feed.send([frame])


# -- the server -----------------------------------------------------------------------


@frozen
class Linger(Fault):
    """A connection that broke counts towards the limit for so many seconds more; 0: no longer."""

    seconds: float = field(validator=_number(0))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.set_linger(self.seconds)


@frozen
class Restart(Fault):
    """The PBX ends every connection, is down for a while, and comes back at the same address.

    With ``pbx``, as another one; otherwise as itself, but without its channels.
    """

    down_for: float = field(default=0, validator=_number(0))
    pbx: Pbx | None = None

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.restart(self.pbx, down_for=self.down_for)


@frozen
class Flood(Fault):
    """So many events as fast as they go: users' presence."""

    events: int = field(default=10_000, validator=_count(1))

    def strike(self, simulator: FaultTarget, _: Sequence[Feed]) -> None:
        simulator.flood(self.events)
