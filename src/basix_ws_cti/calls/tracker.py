"""CallTracker: a mirror's changes in, what happens to calls out.

Pure: no I/O, no clock; all times are the PBX's own. What is inferred here, rather than said
by the PBX, is listed in docs/calls.md.

A call is led by its *line*: the first leg while it lives, then the oldest that is left. What
the line does is what the call does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import Factory, define, evolve

from basix_ws_cti.mirror import Added, Changed, Removed
from basix_ws_cti.states import Bridged, Ringing
from basix_ws_cti.status import Gap

from .endings import decisive, disposition_of, leg_outcome, who_ended_it
from .events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTransferred,
    CallUpdated,
)
from .model import NOBODY, Call, Leg, Party, Phase
from .reading import calls_outside, party_behind, party_of, phase_of, since

if TYPE_CHECKING:
    from collections.abc import Iterable

    from basix_ws_cti.elements import Channel
    from basix_ws_cti.mirror import Change

    from .model import Direction

# Legs of a call that ended and are kept; a queue that rings the same telephones for hours
# has thousands. Of those beyond it the oldest that never answered go.
MAX_ENDED_LEGS = 200

# Phases of a call that are kept; the oldest two become one beyond it.
MAX_PHASES = 1000

_PICKUP = "pickup_uuid."


@define(eq=False)
class _Live:
    """A call that goes on."""

    id: str
    started: int
    complete: bool
    waiting_since: int
    caller: Party = NOBODY
    called_number: str | None = None
    direction: Direction = "internal"
    legs: dict[str, Channel] = Factory(dict)
    ended_legs: list[Leg] = Factory(list)
    phases: list[Phase] = Factory(list)
    rung: set[str] = Factory(set)
    # Legs that want to fetch the call, and do not talk yet.
    guests: set[str] = Factory(set)
    # Whose phase the last one is.
    led_by: str = ""
    # Who talks, or talked last, by their legs' uuids: the line first.
    talkers: dict[str | None, Party] = Factory(dict)
    # Uuids of its legs, and of those that they name.
    names: set[str] = Factory(set)
    # Legs that ended since the last phase began.
    finals: list[Leg] = Factory(list)
    answered: int | None = None
    answered_by: Party | None = None
    transfers: int = 0

    @property
    def line(self) -> Channel:
        first = self.legs.get(self.id)
        if first is not None:
            return first

        def place(leg: Channel) -> tuple[bool, bool, int]:
            idle = isinstance(leg.state, Ringing) or leg.uuid in self.guests
            return idle, leg.uuid not in self.talkers, leg.offer_timestamp or 0

        return min(self.legs.values(), key=place)

    def picture(self) -> Call:
        """The call as it is now."""
        living = [_leg(channel) for channel in self.legs.values()]
        return Call(
            id=self.id,
            direction=self.direction,
            caller=self.caller,
            called_number=self.called_number,
            started=self.started,
            phases=tuple(self.phases),
            legs=(*self.ended_legs, *living),
            answered=self.answered,
            answered_by=self.answered_by,
            transfers=self.transfers,
            complete=self.complete,
        )

    def describe(self) -> bool:
        """Read again who calls, whom, and which way; whether any of that is new."""
        first = self.legs.get(self.id)
        before = (self.caller, self.called_number, self.direction)
        if first is not None:
            self.caller = party_of(first)
            self.called_number = first.called_number
            outside = first.peer_location == "external"
        elif not any(leg.uuid == self.id for leg in self.ended_legs):  # it is not shown to us
            line = self.line
            self.caller = party_behind(line)
            self.called_number = line.called_number
            outside = self.caller.user_id is None
        else:
            outside = self.direction == "inbound"
        if outside:
            self.direction = "inbound"
        elif any(calls_outside(leg) for leg in self.legs.values()):
            self.direction = "outbound"
        return (self.caller, self.called_number, self.direction) != before

    def keep(self, leg: Leg) -> None:
        """Remember a leg that ended, within bounds."""
        self.finals.append(leg)
        self.ended_legs.append(leg)
        if len(self.ended_legs) > MAX_ENDED_LEGS:
            idle = (at for at, one in enumerate(self.ended_legs) if one.answered is None)
            del self.ended_legs[next(idle, 0)]
            del self.finals[:-MAX_ENDED_LEGS]

    def enter(self, phase: Phase) -> Phase | None:
        """Take in what the line does; the phase before, if this is one of its own."""
        last = self.phases[-1]
        line = self.line
        same = (phase.kind, phase.place, phase.by) == (last.kind, last.place, last.by)
        if phase.kind == "talking" and same:
            same = {line.uuid, line.other_uuid} == self.talkers.keys()
        elif phase.party != last.party:
            same = same and phase.started <= last.started
        if same:
            self.phases[-1] = evolve(last, party=phase.party)
            return None
        self.led_by = line.uuid or ""
        start = max(phase.started, last.started)
        self.phases[-1] = closed = evolve(last, ended=start)
        self.phases.append(evolve(phase, started=start))
        self.finals.clear()
        if len(self.phases) > MAX_PHASES:
            first, second, *_ = self.phases
            self.phases[:2] = [Phase(kind="unknown", started=first.started, ended=second.ended)]
            self.complete = False
        return closed


class _Calls(Mapping[str, Call]):
    """The calls that go on, by id: read-only and live."""

    def __init__(self, calls: dict[str, _Live]) -> None:
        self._calls = calls

    def __getitem__(self, key: str) -> Call:
        return self._calls[key].picture()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return f"<{len(self)} calls>"


class CallTracker:
    """Makes calls out of the changes of channels.

    ``channels`` are those that are there already. All changes of one mirror go to ``apply``,
    in their order, and none may be missing: with a ``Client`` use its ``call_events()``.
    ``calls`` are those that go on, by id: a read-only live mapping.
    """

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self._live: dict[str, _Live] = {}
        # By the uuid of each leg, and of legs that others only name.
        self._call_of: dict[str, _Live] = {}
        self._blind_since: int | None = None
        self._events: list[CallEvent] = []
        self.calls: Mapping[str, Call] = _Calls(self._live)
        self.apply([Added("channel", channel, synthetic=True) for channel in channels])

    def __repr__(self) -> str:
        return f"<CallTracker of {len(self._live)} calls>"

    def apply(self, changes: Iterable[Change | Gap]) -> list[CallEvent]:
        """Take in changes, and say what happened to calls.

        A ``Gap`` before synthetic changes says when the client went blind: that is when calls
        that are gone since then are taken to have ended.
        """
        self._events = []
        for change in _in_order(changes):
            if isinstance(change, Gap):
                self._blind_since = int(change.started.timestamp() * 1_000_000)
                for live in self._live.values():
                    live.complete = False
            elif change.element_name == "channel" and change.key is not None:
                channel: Channel = change.element  # type: ignore[assignment]
                if isinstance(change, Removed):
                    self._ends(channel, synthetic=change.synthetic)
                else:
                    self._is(channel, synthetic=change.synthetic)
        self._blind_since = None
        return self._events

    # -- a leg is there ---------------------------------------------------------------

    def _is(self, channel: Channel, *, synthetic: bool) -> None:
        uuid = str(channel.key)
        live = self._call_of.get(uuid) or self._call_of.get(channel.other_uuid or "")
        if live is None:
            live = self._fetched_by(channel)
            if live is not None:
                live.guests.add(uuid)
        if live is None:
            live = self._begins(channel, synthetic=synthetic)
        elif isinstance(channel.state, Bridged) and channel.other_uuid:
            other = self._call_of.get(channel.other_uuid)
            if other is not None and other is not live:
                live = self._join(live, other, since(channel))
        live.complete = live.complete and not synthetic
        live.legs[uuid] = channel
        if isinstance(channel.state, Bridged):
            live.guests.discard(uuid)
        self._name(uuid, live)
        if channel.other_uuid and channel.other_uuid not in self._call_of:
            self._name(channel.other_uuid, live)
        told = len(self._events)
        described = live.describe()
        self._move(live)
        if not isinstance(channel.state, Ringing):
            live.rung.discard(uuid)
        elif uuid not in live.rung:
            live.rung.add(uuid)
            self._events.append(CallRinging(live.picture(), party_of(channel)))
        if described and len(self._events) == told:
            self._events.append(CallUpdated(live.picture()))

    def _fetched_by(self, channel: Channel) -> _Live | None:
        """The call that a new leg wants: who dials it picks it up, or dials its park slot."""
        called = channel.called_number
        comes = channel.peer_location == "internal" and channel.answer_timestamp is None
        if not isinstance(called, str) or not comes:
            return None
        if called.startswith(_PICKUP):
            return self._call_of.get(called.removeprefix(_PICKUP))
        for live in self._live.values() if called.isdecimal() else ():
            phase = live.phases[-1]
            if phase.kind == "parked" and str(phase.place) == called:
                return live
        return None

    def _begins(self, channel: Channel, *, synthetic: bool) -> _Live:
        uuid = str(channel.key)
        entered = since(channel)
        offered = channel.offer_timestamp if isinstance(channel.offer_timestamp, int) else entered
        started = offered or 0
        live = _Live(
            # A leg that the PBX offers on behalf of another names the first: that one may not
            # be shown to us, or come later.
            id=channel.other_uuid if channel.other_uuid and _is_second(channel) else uuid,
            started=started,
            complete=not synthetic,
            waiting_since=started,
        )
        live.legs[uuid] = channel
        live.describe()
        phase = phase_of(channel, None, started)
        if synthetic and entered is not None and entered > started:
            # What it did before is not known.
            live.phases.append(Phase(kind="unknown", started=started, ended=entered))
            phase = evolve(phase, started=entered)
        live.phases.append(phase)
        live.led_by = uuid
        self._live[live.id] = live
        self._name(live.id, live)
        self._events.append(CallStarted(live.picture()))
        self._note_talk(live, live.line)
        return live

    def _join(self, one: _Live, other: _Live, at: int | None) -> _Live:
        """Two calls have become one: the older goes on, the other ends in it."""
        older, younger = sorted((one, other), key=lambda live: (live.started, live.id))
        call = younger.picture()
        last = younger.phases[-1]
        end = max(last.started, at or 0)
        self._events.append(
            CallEnded(
                evolve(
                    call,
                    phases=(*call.phases[:-1], evolve(last, ended=end)),
                    ended=end,
                    disposition="answered",
                    joined=older.id,
                )
            )
        )
        del self._live[younger.id]
        older.legs |= younger.legs
        older.rung |= younger.rung
        older.guests |= younger.guests
        older.complete = older.complete and younger.complete
        for uuid in younger.names:
            self._name(uuid, older)
        return older

    def _name(self, uuid: str, live: _Live) -> None:
        live.names.add(uuid)
        self._call_of[uuid] = live

    def _unname(self, uuid: str, live: _Live) -> None:
        live.names.discard(uuid)
        self._call_of.pop(uuid, None)

    def _move(self, live: _Live, at: int = 0) -> None:
        """The line may be doing something else now; since ``at`` at the earliest."""
        line = live.line
        partner = live.legs.get(line.other_uuid or "")
        entered = since(line)
        start = live.phases[-1].started if entered is None else entered
        before = live.enter(phase_of(line, partner, max(start, at)))
        now = live.phases[-1]
        gone = [
            live.talkers[uuid] for uuid in live.talkers if uuid not in {line.uuid, line.other_uuid}
        ]
        self._note_talk(live, line)
        if before is not None:
            self._events.append(self._event(live, before, now, gone[0] if gone else NOBODY))

    def _note_talk(self, live: _Live, line: Channel) -> None:
        phase = live.phases[-1]
        if phase.kind == "talking":
            live.talkers = {line.uuid: party_of(line), line.other_uuid: phase.party}
            if live.answered is None:
                live.answered, live.answered_by = phase.started, phase.party

    def _event(self, live: _Live, before: Phase, now: Phase, source: Party) -> CallEvent:
        """What a new phase means, coming after another."""
        if now.kind == "parked":
            return CallParked(live.picture(), now.place, now.by)
        if now.kind == "talking" and before.kind == "parked":
            return CallRetrieved(live.picture(), now.party, before.duration)
        if before.kind == "talking" and now.kind in {"queued", "ringing", "talking", "voicemail"}:
            live.transfers += 1
            live.waiting_since = now.started
            return CallTransferred(live.picture(), source, now.party)
        if now.kind == "talking" and before.kind != "conference":
            return CallAnswered(live.picture(), now.party, now.started - live.waiting_since)
        if before.kind == "parked":  # it rings back, mostly
            live.waiting_since = now.started
        return CallUpdated(live.picture())

    # -- a leg ends -------------------------------------------------------------------

    def _ends(self, channel: Channel, *, synthetic: bool) -> None:
        uuid = str(channel.key)
        live = self._call_of.get(uuid)
        if live is None or uuid not in live.legs:
            return
        led = live.line.uuid == uuid
        last_seen = live.legs.pop(uuid)
        unseen = synthetic and channel.hangup is None
        ended = channel.hangup_timestamp
        if not isinstance(ended, int):
            ended = self._blind_since if self._blind_since is not None else _latest(last_seen)
        live.keep(
            evolve(
                _leg(channel),
                ended=ended,
                outcome="unknown" if unseen else leg_outcome(channel),
            )
        )
        live.rung.discard(uuid)
        live.guests.discard(uuid)
        live.complete = live.complete and not synthetic
        if uuid != live.id:
            self._unname(uuid, live)
        if live.legs.keys() <= live.guests:
            guests = [*live.legs.values()]
            live.legs.clear()
            self._finish(live, ended, unseen=unseen)
            for guest in guests:  # there is nothing to fetch any more
                self._is(guest, synthetic=not live.complete)
        elif led:
            heir = live.line
            alone = isinstance(heir.state, Bridged) and heir.other_uuid not in live.legs
            # Telephones that rang for who is gone fall silent in a moment; who talked to them
            # alone is sent on, or ends.
            if not (alone or isinstance(heir.state, Ringing) or heir.uuid in live.guests):
                self._move(live, ended)

    def _finish(self, live: _Live, ended: int, *, unseen: bool) -> None:
        last = live.phases[-1]
        ended = max(ended, last.started)
        live.phases[-1] = last = evolve(last, ended=ended)
        legs = live.finals
        if last.kind == "talking":
            legs = [leg for leg in legs if leg.uuid in live.talkers]
        leg = None if unseen else decisive(last, legs, live.led_by)
        hangup = None if leg is None else leg.hangup
        by_caller = leg is not None and leg.uuid == live.id
        ended_by = who_ended_it(last, hangup, by_caller=by_caller, alone=len(legs) == 1)
        disposition, where = disposition_of(live.phases, hangup, ended_by)
        call = evolve(
            live.picture(),
            ended=ended,
            disposition=disposition,
            abandoned_in=where,
            ended_by=ended_by,
            hangup=hangup,
        )
        del self._live[live.id]
        for uuid in tuple(live.names):
            self._unname(uuid, live)
        self._events.append(CallEnded(call, unseen))


def _in_order(changes: Iterable[Change | Gap]) -> list[Change | Gap]:
    """The changes as they came; of synthetic ones, which tell of no order, a useful one.

    Who came is needed by who is changed, and both by who is gone.
    """
    items = list(changes)
    if not any(not isinstance(one, Gap) and one.synthetic for one in items):
        return items

    def place(item: Change | Gap) -> tuple[int, int]:
        match item:
            case Gap():
                return 0, 0
            case Added():
                offered = getattr(item.element, "offer_timestamp", None)
                return 1, offered if isinstance(offered, int) else 0
            case Changed():
                return 2, 0
        return 3, 0

    return sorted(items, key=place)


def _is_second(channel: Channel) -> bool:
    """Whether a channel was made for another, or by what it says came after it."""
    if isinstance(channel.state, Ringing):
        return channel.direction == "outbound"
    offered = getattr(channel.other_info, "offer_timestamp", None)
    if isinstance(offered, int) and isinstance(channel.offer_timestamp, int):
        return offered < channel.offer_timestamp
    return False


def _leg(channel: Channel) -> Leg:
    return Leg(
        uuid=channel.uuid or "",
        party=party_of(channel),
        direction=channel.direction,
        offered=channel.offer_timestamp,
        answered=channel.answer_timestamp,
        hangup=channel.hangup,
    )


def _latest(channel: Channel) -> int:
    """The last moment at which a channel is known to have lived."""
    times = (channel.offer_timestamp, channel.answer_timestamp, since(channel))
    return max((time for time in times if isinstance(time, int)), default=0)
