"""Client of a simulated PBX without a connection, for tests of the simulator's model."""

from __future__ import annotations

from typing import Any, NamedTuple

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, MessageParser, to_dict
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.session_frames import initial_frames


class ObservedEvent(NamedTuple):
    """One ``info_event``, with the time of the PBX's clock, in microseconds, at its arrival."""

    now: int
    kind: str
    event_name: str
    values: dict[str, Any]


class FeedMirror:
    """State that the library's parser builds from frames: elements as dicts, by kind and key."""

    def __init__(self, frames=()):
        self._parser = MessageParser()
        self.specs = {}
        self.kinds = {}
        for frame in frames:
            self.apply(frame)

    def apply(self, frame):
        """Apply a frame; return its message."""
        match message := self._parser.parse(frame):
            case FieldSpec(kind, fields):
                self.specs[kind] = fields
            case InitialInfo(kind, elements):
                assert kind not in self.kinds
                assert all(key == element.key for key, element in elements.items())
                self.kinds[kind] = {key: to_dict(element) for key, element in elements.items()}
            case InfoEvent(kind, element, event_name):
                # The feed is consistent: nothing is added twice, or changed before it is added.
                assert (element.key in self.kinds[kind]) is (event_name != "added"), message
                if event_name == "removed":
                    del self.kinds[kind][element.key]
                else:
                    self.kinds[kind][element.key] = to_dict(element)
            case _:
                raise AssertionError(f"the model sends no {message!r}")
        return message


def element_records(writer, pbx):
    """Return the records of all elements of a PBX, by kind."""
    return {
        kind: [writer.record(kind, values) for values in elements.values()]
        for kind, elements in pbx.snapshot().items()
    }


class FeedFollower(FeedMirror):
    """Client that receives every change of a PBX from its creation on.

    Each change is written as a frame and parsed again.
    """

    def __init__(self, pbx, *, specs_first=True, **options):
        self.pbx = pbx
        self.writer = Writer(**options)
        records = element_records(self.writer, pbx)
        super().__init__(initial_frames(self.writer, records, specs_first=specs_first))
        self.events: list[ObservedEvent] = []
        pbx.listeners.append(self._receive)

    def _receive(self, kind, key, values, event_name):
        record = self.writer.record(kind, values)
        message = self.apply(self.writer.info_event(kind, record, event_name))
        parsed = to_dict(message.element)
        assert parsed == values
        assert (message.element_name, message.event_name) == (kind, event_name)
        assert message.element.key == key
        self.events.append(ObservedEvent(self.pbx.now, kind, event_name, parsed))

    def events_of(self, channel, kind="channel"):
        """Return pairs of event name and ``last_event``, one for each event of a channel."""
        return [
            (event.event_name, event.values.get("last_event"))
            for event in self.events
            if event.kind == kind and event.values["uuid"] == channel.uuid
        ]

    def endings(self):
        """Return the ``last_event_data`` of each channel that was removed, by uuid."""
        return {
            event.values["uuid"]: event.values["last_event_data"]
            for event in self.events
            if (event.kind, event.event_name) == ("channel", "removed")
        }

    def assert_in_sync(self):
        """Assert that the client's state equals the snapshot of the PBX."""
        assert self.kinds == self.pbx.snapshot()


class Office:
    """PBX with a few users in one group, and a client that follows it.

    The tests refer to a user by the index in ``users``.
    """

    def __init__(self, users=5, *, seed=1, older=False, **options):
        self.pbx = Pbx(seed, older=older)
        scenarios.populate(self.pbx, users)
        self.users = list(self.pbx.users.values())
        self.group = next(iter(self.pbx.groups.values()))
        self.client = FeedFollower(self.pbx, **options)

    def call(self, caller=scenarios.CALLERS[0]):
        """Receive a call and connect it to the menu; return the lead leg."""
        lead = self.pbx.receive(caller, DID)
        self.pbx.set_state(lead, "ivr", ivr_id="main_menu")
        return lead

    def ring(self, number=0, caller=scenarios.CALLERS[0]):
        """Receive a call and ring a user; return the lead leg and the ringing leg."""
        lead = self.call(caller)
        return lead, self.pbx.call_user(lead, self.users[number])

    def media_plug(self, number=1):
        """Return the answered media plug of user ``number``."""
        plug = self.pbx.originate(self.users[number], "media_plug")
        self.pbx.answer(plug)
        return plug

    def talk(self, number=0, caller=scenarios.CALLERS[0]):
        """Receive a call that a user answers; return the lead leg and the user's leg."""
        lead, leg = self.ring(number, caller)
        self.pbx.connect(leg)
        return lead, leg

    def event_count(self):
        """Return the number of changes that the client has received."""
        return len(self.client.events)
