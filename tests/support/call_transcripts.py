"""Office with a simulated PBX and a call tracker, and transcripts of its call events.

A transcript is a text with one line per event, for comparison with the text in a test. The line of
a ``CallUpdated`` in the same phase says which legs the call has gained, or that it has changed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from basix_ws_cti import FieldSpec, MessageParser, Mirror
from basix_ws_cti.calls import (
    CallAnswered,
    CallEnded,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTracker,
    CallTransferred,
    CallUpdated,
)
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS, SCENARIOS
from basix_ws_cti.simulator.timeline import Timeline


class MessageReader:
    """Converts notifications of a simulated PBX to messages, by writing and parsing frames."""

    def __init__(self):
        self._writer = Writer()
        self._parser = MessageParser()
        assert isinstance(self._parser.parse(self._writer.field_spec("channel")), FieldSpec)

    def event(self, kind, values, event_name):
        """Return the ``InfoEvent`` for a notification of the PBX."""
        return self._parser.parse(self.event_frame(kind, values, event_name))

    def event_frame(self, kind, values, event_name):
        """Return the frame of an ``info_event`` for a notification of the PBX."""
        return self._writer.info_event(kind, self._writer.record(kind, values), event_name)

    def snapshot_frames(self, pbx):
        """Return the frames of the snapshot of all channels."""
        records = [
            self._writer.record("channel", values) for values in pbx.snapshot()["channel"].values()
        ]
        return [self._writer.field_spec("channel"), self._writer.initial_info("channel", records)]

    def snapshot(self, pbx, user_id=None):
        """Return the ``InitialInfo`` of the channels that a user's connection shows.

        ``None``: all channels.
        """
        channels = pbx.snapshot(user_id)["channel"].values()
        records = [self._writer.record("channel", values) for values in channels]
        return self._parser.parse(self._writer.initial_info("channel", records))


class Office:
    """Office of a few users whose calls a tracker follows.

    - ``user``: number of the user whose channels alone the feed shows; ``None``: all channels.
    - ``events``: call events of the tracker so far.
    - ``moments``: times at which something happened, in microseconds.
    """

    def __init__(self, seed=1, users=5, user=None):
        self.pbx = Pbx(seed)
        scenarios.populate(self.pbx, users)
        self.users = list(self.pbx.users.values())
        self.group = next(iter(self.pbx.groups.values()))
        self.visible_user_id = None if user is None else self.users[user].id
        self.start = self.pbx.now
        self.reader = MessageReader()
        self.start_tracking()
        self.is_disconnected = False
        self.pbx.listeners.append(self._on_event)
        self.timeline = Timeline(self.pbx)
        self.moments = [self.start]

    def start_tracking(self):
        """Start a new mirror and tracker from the current channels, and forget all events."""
        self.mirror = Mirror()
        self.mirror.apply(self.reader.snapshot(self.pbx, self.visible_user_id))
        self.tracker = CallTracker(self.mirror.channels.values())
        self.events = []

    def _on_event(self, kind, key, values, event_name):
        is_visible = self.visible_user_id in {None, values.get("user_id")}
        if kind == "channel" and is_visible and not self.is_disconnected:
            message = self.reader.event(kind, values, event_name)
            self.events += self.tracker.apply(self.mirror.apply(message))

    def resync(self, gap=()):
        """End a gap in the feed: apply ``gap`` and the differences to the current channels."""
        current = Mirror()
        current.apply(self.reader.snapshot(self.pbx, self.visible_user_id))
        self.is_disconnected = False
        self.events += self.tracker.apply([*gap, *self.mirror.replace_with(current)])

    def wait(self, seconds=1):
        """Advance the simulated time."""
        self.timeline.advance(seconds)
        self.moments.append(self.pbx.now)

    def play(self, scenario):
        """Play a scenario from beginning to end, and return the office."""
        self.timeline.start(SCENARIOS[scenario](self.pbx))
        while self.timeline.time_to_next is not None:
            self.timeline.step()
            if self.moments[-1] != self.pbx.now:
                self.moments.append(self.pbx.now)
        return self

    @property
    def ended(self):
        """Calls that have ended."""
        return [event.call for event in self.events if isinstance(event, CallEnded)]


class Transcriber:
    """Writes call events as text: times as indexes into ``moments``, users as letters."""

    def __init__(self, office):
        self._moments = office.moments
        self._call_numbers = {}
        self._phases = {}
        self._legs = defaultdict(set)

    def write(self, events):
        """Return the transcript of call events."""
        lines = []
        ringing = Counter()
        for event in events:
            call = event.call
            name = self._call_prefix(call)
            if isinstance(event, CallRinging):
                since = max(leg.offered for leg in call.legs if leg.party == event.party)
                ringing[name, since] += 1
                count = ringing[name, since]
                if count == 1:
                    lines.append(f"{self._at(since)} {name}rings at {self._party(event.party)}")
                else:
                    lines[-1] = f"{self._at(since)} {name}rings at {count} phones"
            elif isinstance(event, CallEnded):
                lines += self._ending(call, name, event.synthetic)
            else:
                now = call.phase.started
                is_new_phase = self._phases.get(call.id) != (now, call.phase.kind)
                if isinstance(event, CallUpdated) and not is_new_phase:
                    legs = self._new_legs(call)
                    description = f"has legs of {legs}" if legs else "has changed"
                else:
                    description = self._description(event, call, now)
                lines.append(f"{self._at(now)} {name}{description}")
            self._note(call)
        return _replace_user_ids("\n".join(lines))

    def _note(self, call):
        """Note the phase and the legs that the last event of a call shows."""
        self._phases[call.id] = call.phase.started, call.phase.kind
        self._legs[call.id].update(leg.uuid for leg in call.legs)

    def _new_legs(self, call):
        """Return the parties of the legs that no event of the call has shown before."""
        new = [leg for leg in call.legs if leg.uuid not in self._legs[call.id]]
        return " and ".join(self._party(leg.party) for leg in new)

    def _at(self, moment):
        return self._moments.index(moment)

    def _since(self, duration, now):
        """Return the index of the moment ``duration`` before ``now``."""
        return self._at(now - duration)

    def _party(self, party):
        if party.user_id is not None:
            return f"<{party.user_id}>"
        if party.group_id is not None:
            return "group"
        if party.number in {person.number for person in CALLERS}:
            return "customer"
        return party.number or "nobody"

    def _phase(self, phase):
        words = [phase.kind]
        if phase.party.number or phase.party.user_id or phase.party.group_id:
            words.append(self._party(phase.party))
        if phase.place is not None and phase.kind != "parked":
            words.append(str(phase.place) if phase.kind != "voicemail" else "")
        if phase.by is not None:
            words.append(f"by <{phase.by}>")
        return " ".join(word for word in words if word)

    def _description(self, event, call, now):
        match event:
            case CallStarted():
                caller = self._party(call.caller)
                return f"starts: {call.direction} from {caller}, {self._phase(call.phase)}"
            case CallAnswered(party=party, waited=waited):
                return f"answered by {self._party(party)}, waited since {self._since(waited, now)}"
            case CallParked(by=by):
                return f"parked by <{by}>"
            case CallRetrieved(party=party, parked_for=parked):
                party = self._party(party)
                return f"retrieved by {party}, parked since {self._since(parked, now)}"
            case CallTransferred(source=source, target=target):
                return f"transferred by {self._party(source)} to {self._party(target)}"
            case CallUpdated():
                return f"now {self._phase(call.phase)}"

    def _call_prefix(self, call):
        """Return the call's number as a prefix, such as ``"#2 "``; empty for the first call."""
        number = self._call_numbers.setdefault(call.id, len(self._call_numbers) + 1)
        return f"#{number} " if number > 1 else ""

    def _ending(self, call, name, synthetic):
        words = [call.disposition]
        if call.abandoned_in:
            before = "" if call.disposition == "abandoned" else "then abandoned "
            words.append(f"{before}in {call.abandoned_in}")
        if call.joined:
            words.append(f"joined #{self._call_numbers[call.joined]}")
        if call.ended_by:
            words.append(f"by {call.ended_by}, {call.cause}")
        if call.sip_status:
            words.append(str(call.sip_status))
        if synthetic:
            words.append("(synthetic)")
        if not call.complete:
            words.append("(incomplete)")
        yield f"{self._at(call.ended)} {name}ends: {' '.join(words)}"
        yield f"  {name}" + ", ".join(
            f"{self._phase(phase)} {self._at(phase.started)}-{self._at(phase.ended)}"
            for phase in call.phases
        )


def _replace_user_ids(text):
    """Replace user ids by letters, in order of appearance."""
    users = dict.fromkeys(re.findall("<[0-9]+>", text))
    for user, letter in zip(users, "ABCDEFGHIJKLMN", strict=False):
        text = text.replace(user, letter)
    return text


def unindented(text):
    """Return a text without its indentation and empty lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
