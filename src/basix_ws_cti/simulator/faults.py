"""What can go wrong, on demand: hand one of these to ``Simulator.inject``.

Those of a connection strike every connection there is at the moment, or the one that is
named. Those of a handshake lie in wait for the next ``times`` clients.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import field, frozen, validators

from .pbx import DID
from .scenarios import CALLERS
from .wire import charlist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .feed import Feed
    from .pbx import Pbx
    from .server import Simulator

_positive = validators.gt(0)


@frozen
class Fault:
    """What all faults have."""

    def strike(self, simulator: Simulator, feeds: Sequence[Feed]) -> None:
        """Let it happen now, to these connections."""
        raise NotImplementedError


# -- the network ----------------------------------------------------------------------


@frozen
class Drop(Fault):
    """The TCP connection ends, without a closing handshake."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.drop()


@frozen
class Reset(Fault):
    """The TCP connection ends with an RST."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.reset()


@frozen
class HalfClose(Fault):
    """The PBX's side of the TCP connection ends; it would still read."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.half_close()


@frozen
class Silence(Fault):
    """Nothing comes any more, not even a pong, and the connection stays open."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.go_silent()


@frozen
class Stall(Fault):
    """Nothing comes for so many seconds, and then all of it."""

    seconds: float = field(validator=_positive)

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.stall(self.seconds)


@frozen
class Split(Fault):
    """All that is sent from now on comes in pieces of ``size`` bytes; 0: no longer."""

    size: int = field(default=1, validator=validators.ge(0))

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.split(self.size)


@frozen
class Coalesce(Fault):
    """All that is sent from now on comes together, every so many seconds; 0: no longer."""

    seconds: float = field(default=0.1, validator=validators.ge(0))

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.pipe.coalesce(self.seconds)


# -- the handshake --------------------------------------------------------------------


@frozen
class Refuse(Fault):
    """The next clients are answered with an HTTP status, such as 401, 403, 429, 500, 503.

    ``retry_after`` goes out as that header; ``location`` is where a redirect points.
    """

    status: HTTPStatus = field(default=HTTPStatus.SERVICE_UNAVAILABLE, converter=HTTPStatus)
    retry_after: float | None = None
    location: str | None = None
    times: int = field(default=1, validator=_positive)

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class DelayHandshake(Fault):
    """The next clients wait so many seconds for an answer."""

    seconds: float = field(validator=_positive)
    times: int = field(default=1, validator=_positive)

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class DieInSnapshot(Fault):
    """The next clients' connections break after so many frames."""

    frames: int = field(default=8, validator=validators.ge(0))
    times: int = field(default=1, validator=_positive)

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


@frozen
class EventFirst(Fault):
    """The next clients get an event before any field_spec."""

    times: int = field(default=1, validator=_positive)

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.ambush(self, self.times)


# -- what is said ---------------------------------------------------------------------


@frozen
class Say(Fault):
    """A frame of your own: bytes, or str for a text frame. By default, bytes that mean nothing."""

    frame: bytes | str = b"\x83h\x03d\x00\x07garbage"

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            feed.send([self.frame])


@frozen
class Truncate(Fault):
    """The last event that was sent, once more, cut off in the middle."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            if feed.last_event is not None:
                feed.send([feed.last_event[: len(feed.last_event) // 2]])


@frozen
class Repeat(Fault):
    """The last event that was sent, once more."""

    def strike(self, _: Simulator, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            if feed.last_event is not None:
                feed.send([feed.last_event])


@frozen
class Afterlife(Fault):
    """A channel hangs up, is removed, and then updated as if it lived."""

    def strike(self, simulator: Simulator, feeds: Sequence[Feed]) -> None:
        pbx, writer = simulator.pbx, simulator.writer
        channel = next(iter(pbx.channels.values()), None)
        if channel is None:
            channel = pbx.receive(CALLERS[0], DID)
            pbx.enter(channel, "ivr", ivr_id="main_menu")
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

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        first, *rest = simulator.writer.fields[self.kind]
        simulator.change_fields(self.kind, (*rest, first))


@frozen
class UnknownKind(Fault):
    """A kind that nobody has heard of, with all its messages, and a message of its own."""

    def strike(self, simulator: Simulator, feeds: Sequence[Feed]) -> None:
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

    def strike(self, simulator: Simulator, feeds: Sequence[Feed]) -> None:
        frame = simulator.writer.message(
            "info_event", charlist("phantom"), (1, b"x"), charlist("added")
        )
        for feed in feeds:
            feed.send([frame])


# -- the server -----------------------------------------------------------------------


@frozen
class Linger(Fault):
    """A connection that broke counts towards the limit for so many seconds more; 0: no longer."""

    seconds: float = field(validator=validators.ge(0))

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.linger = self.seconds


@frozen
class Restart(Fault):
    """The PBX ends every connection, is down for a while, and comes back at the same address.

    With ``pbx``, as another one; otherwise as itself, but without its channels.
    """

    down_for: float = field(default=0, validator=validators.ge(0))
    pbx: Pbx | None = None

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        simulator.restart(self.pbx, down_for=self.down_for)


@frozen
class Flood(Fault):
    """So many events as fast as they go: users' presence."""

    events: int = field(default=10_000, validator=_positive)

    def strike(self, simulator: Simulator, _: Sequence[Feed]) -> None:
        users = list(simulator.pbx.users.values())
        for number in range(self.events):
            user = users[number % len(users)]
            simulator.pbx.edit(user, presence=(user.presence + 1) % 4)
