"""A client of a simulated PBX, without a connection: for the tests of its pure rooms."""

from __future__ import annotations

from typing import Any, NamedTuple

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, MessageParser, to_dict
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.session_frames import initial_frames


class Seen(NamedTuple):
    """One info_event, and the PBX's clock when it came."""

    now: int
    kind: str
    event_name: str
    values: dict[str, Any]


class Picture:
    """What the library's parser makes of frames: every element as a dict, by kind and key."""

    def __init__(self, frames=()):
        self._parser = MessageParser()
        self.specs = {}
        self.kinds = {}
        for frame in frames:
            self.read(frame)

    def read(self, frame):
        """Take in a frame; the message that it held."""
        match message := self._parser.parse(frame):
            case FieldSpec(kind, fields):
                self.specs[kind] = fields
            case InitialInfo(kind, elements):
                assert kind not in self.kinds
                assert all(key == element.key for key, element in elements.items())
                self.kinds[kind] = {key: to_dict(element) for key, element in elements.items()}
            case InfoEvent(kind, element, event_name):
                # The feed is consistent: nothing is added twice, or changed before it is there.
                assert (element.key in self.kinds[kind]) is (event_name != "added"), message
                if event_name == "removed":
                    del self.kinds[kind][element.key]
                else:
                    self.kinds[kind][element.key] = to_dict(element)
            case _:
                raise AssertionError(f"the model sends no {message!r}")
        return message


def written(writer, pbx):
    """The records of everything that there is, by kind."""
    return {
        kind: [writer.record(kind, picture) for picture in elements.values()]
        for kind, elements in pbx.snapshot().items()
    }


class Follower(Picture):
    """A client that hears of every change in a PBX from the moment it is made."""

    def __init__(self, pbx, *, specs_first=True, **options):
        self.pbx = pbx
        self.writer = Writer(**options)
        super().__init__(
            initial_frames(self.writer, written(self.writer, pbx), specs_first=specs_first)
        )
        self.seen: list[Seen] = []
        pbx.listeners.append(self._hear)

    def _hear(self, kind, key, picture, event_name):
        record = self.writer.record(kind, picture)
        message = self.read(self.writer.info_event(kind, record, event_name))
        values = to_dict(message.element)
        assert values == picture
        assert (message.element_name, message.event_name) == (kind, event_name)
        assert message.element.key == key
        self.seen.append(Seen(self.pbx.now, kind, event_name, values))

    def of(self, channel, kind="channel"):
        """What was told of a channel: event names, each with the last_event."""
        return [
            (one.event_name, one.values.get("last_event"))
            for one in self.seen
            if one.kind == kind and one.values["uuid"] == channel.uuid
        ]

    def endings(self):
        """The last_event_data of what was removed, by uuid."""
        return {
            one.values["uuid"]: one.values["last_event_data"]
            for one in self.seen
            if (one.kind, one.event_name) == ("channel", "removed")
        }

    def check(self):
        """What the client holds is what the PBX says it must hold."""
        assert self.kinds == self.pbx.snapshot()


class Office:
    """A PBX with some people, of whom the tests speak by number, and a client."""

    def __init__(self, users=5, *, seed=1, older=False, **options):
        self.pbx = Pbx(seed, older=older)
        scenarios.populate(self.pbx, users)
        self.users = list(self.pbx.users.values())
        self.group = next(iter(self.pbx.groups.values()))
        self.client = Follower(self.pbx, **options)

    def call(self, who=scenarios.CALLERS[0]):
        """Somebody calls, and is in the menu."""
        line = self.pbx.receive(who, DID)
        self.pbx.set_state(line, "ivr", ivr_id="main_menu")
        return line

    def ring(self, number=0, who=scenarios.CALLERS[0]):
        """Somebody calls a user, whose telephone rings: both legs."""
        line = self.call(who)
        return line, self.pbx.call_user(line, self.users[number])

    def talk(self, number=0, who=scenarios.CALLERS[0]):
        """Somebody and a user talk: both legs."""
        line, leg = self.ring(number, who)
        self.pbx.connect(leg)
        return line, leg

    def told(self):
        """How many changes the client was told of."""
        return len(self.client.seen)
