"""A simulated PBX, followed by a mirror and a tracker; and calls written down to be read."""

from __future__ import annotations

import re
from collections import Counter

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


class Reader:
    """Makes the library's messages of what a PBX tells, over real frames."""

    def __init__(self):
        self._writer = Writer()
        self._parser = MessageParser()
        assert isinstance(self._parser.parse(self._writer.field_spec("channel")), FieldSpec)

    def event(self, kind, picture, event_name):
        record = self._writer.record(kind, picture)
        return self._parser.parse(self._writer.info_event(kind, record, event_name))

    def snapshot(self, pbx, user_id=None):
        told = pbx.snapshot(user_id)["channel"]
        records = [self._writer.record("channel", picture) for picture in told.values()]
        return self._parser.parse(self._writer.initial_info("channel", records))


class World:
    """A company of whom the tests speak by number, and a tracker that sees all channels.

    ``user`` shows it this user's channels alone, by the user's number.
    """

    def __init__(self, seed=1, users=5, user=None):
        self.pbx = Pbx(seed)
        scenarios.populate(self.pbx, users)
        self.users = list(self.pbx.users.values())
        self.group = next(iter(self.pbx.groups.values()))
        self.shown = None if user is None else self.users[user].id
        self.start = self.pbx.now
        self.reader = Reader()
        self.join()
        self.blind = False
        self.pbx.listeners.append(self._hear)
        self.timeline = Timeline(self.pbx)
        self.moments = [self.start]

    def join(self):
        """A client comes now, and sees what there is."""
        self.mirror = Mirror()
        self.mirror.apply(self.reader.snapshot(self.pbx, self.shown))
        self.tracker = CallTracker(self.mirror.channels.values())
        self.events = []

    def _hear(self, kind, key, picture, event_name):
        if kind == "channel" and not self.blind and self.shown in {None, picture["user_id"]}:
            message = self.reader.event(kind, picture, event_name)
            self.events += self.tracker.apply(self.mirror.apply(message))

    def see_again(self, gap=()):
        """The end of a gap: the picture is whole again."""
        other = Mirror()
        other.apply(self.reader.snapshot(self.pbx, self.shown))
        self.blind = False
        self.events += self.tracker.apply([*gap, *self.mirror.replace_with(other)])

    def wait(self, seconds=1):
        self.timeline.advance(seconds)
        self.moments.append(self.pbx.now)

    def play(self, story):
        """A story from beginning to end; ``moments`` are when something happened."""
        self.timeline.start(SCENARIOS[story](self.pbx))
        while self.timeline.time_to_next is not None:
            self.timeline.step()
            if self.moments[-1] != self.pbx.now:
                self.moments.append(self.pbx.now)
        return self

    @property
    def ended(self):
        return [event.call for event in self.events if isinstance(event, CallEnded)]


class Scribe:
    """Writes down what happened: times as the numbers of the moments, people as letters."""

    def __init__(self, world):
        self._moments = world.moments
        self._calls = {}

    def at(self, moment):
        return self._moments.index(moment)

    def since(self, duration, now):
        """The moment since which something lasted."""
        return self.at(now - duration)

    def who(self, party):
        if party.user_id is not None:
            return f"<{party.user_id}>"
        if party.group_id is not None:
            return "group"
        if party.number in {person.number for person in CALLERS}:
            return "customer"
        return party.number or "nobody"

    def phase(self, phase):
        words = [phase.kind]
        if phase.party.number or phase.party.user_id or phase.party.group_id:
            words.append(self.who(phase.party))
        if phase.place is not None and phase.kind != "parked":
            words.append(str(phase.place) if phase.kind != "voicemail" else "")
        if phase.by is not None:
            words.append(f"by <{phase.by}>")
        return " ".join(word for word in words if word)

    def write(self, events):
        lines = []
        ringing = Counter()
        for event in events:
            call = event.call
            name = self._call(call)
            if isinstance(event, CallRinging):
                since = max(leg.offered for leg in call.legs if leg.party == event.party)
                ringing[name, since] += 1
                if ringing[name, since] == 1:
                    lines.append(f"{self.at(since)} {name}rings at {self.who(event.party)}")
                else:
                    together = ringing[name, since]
                    lines[-1] = f"{self.at(since)} {name}rings at {together} telephones"
            elif isinstance(event, CallEnded):
                lines += self._ending(call, name, event.synthetic)
            else:
                now = call.phase.started
                lines.append(f"{self.at(now)} {name}{self._words(event, call, now)}")
        return _lettered("\n".join(lines))

    def _words(self, event, call, now):
        match event:
            case CallStarted():
                return f"starts: {call.direction} from {self.who(call.caller)}, " + self.phase(
                    call.phase
                )
            case CallAnswered(party=party, waited=waited):
                return f"answered by {self.who(party)}, waited since {self.since(waited, now)}"
            case CallParked(by=by):
                return f"parked by <{by}>"
            case CallRetrieved(party=party, parked_for=parked):
                return f"fetched by {self.who(party)}, parked since {self.since(parked, now)}"
            case CallTransferred(source=source, target=target):
                return f"sent on by {self.who(source)} to {self.who(target)}"
            case CallUpdated():
                return f"now {self.phase(call.phase)}"

    def _call(self, call):
        """The call's number, from the second on."""
        number = self._calls.setdefault(call.id, len(self._calls) + 1)
        return f"#{number} " if number > 1 else ""

    def _ending(self, call, name, synthetic):
        words = [call.disposition]
        if call.abandoned_in:
            words.append(f"in {call.abandoned_in}")
        if call.joined:
            words.append(f"joined #{self._calls[call.joined]}")
        if call.ended_by:
            words.append(f"by {call.ended_by}, {call.cause}")
        if call.sip_status:
            words.append(str(call.sip_status))
        if synthetic:
            words.append("(synthetic)")
        if not call.complete:
            words.append("(incomplete)")
        yield f"{self.at(call.ended)} {name}ends: {' '.join(words)}"
        yield f"  {name}" + ", ".join(
            f"{self.phase(phase)} {self.at(phase.started)}-{self.at(phase.ended)}"
            for phase in call.phases
        )


def _lettered(text):
    """Users as letters, in the order in which they are read."""
    users = dict.fromkeys(re.findall("<[0-9]+>", text))
    for user, letter in zip(users, "ABCDEFGHIJKLMN", strict=False):
        text = text.replace(user, letter)
    return text


def tidy(text):
    """A text as it is written in a test, without its indentation."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
