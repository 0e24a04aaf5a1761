"""CallTracker: a mirror's changes in, what happens to calls out.

Pure: no I/O, no clock; all times are the PBX's own. What is inferred here, rather than said
by the PBX, is listed in docs/explanation/calls.md.

A call is led by its *line*: the first leg while it lives, then the oldest that is left. What
the line does is what the call does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from basix_ws_cti.elements import Channel
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Removed

from .active_call import ActiveCall, ActiveLeg
from .channel_facts import is_second, latest_of, leg_of, since, until, uuid_of
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
from .model import NOBODY, Call, Party, Phase
from .outcome import decisive, disposition_of, leg_outcome, who_ended_it

# Calls of which others' legs are not shown, and whose ids are not given again.
MAX_ENDED_UNSEEN = 1000

_PICKUP = "pickup_uuid."


class _Calls(Mapping[str, Call]):
    """The calls that go on, by id: read-only and live."""

    def __init__(self, calls: dict[str, ActiveCall]) -> None:
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
        self._live: dict[str, ActiveCall] = {}
        # By the uuid of each leg, and of legs that others only name.
        self._call_of: dict[str, ActiveCall] = {}
        # Calls that ended, and whose first leg was not shown: others may be made for it yet.
        self._ended_unseen: dict[str, None] = {}
        # Those that stand on a slot, by id.
        self._parked: dict[str, ActiveCall] = {}
        self._gap_started: int | None = None
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
            self._take(change)
        self._gap_started = None
        return self._events

    def apply_stepwise(self, changes: Iterable[Change | Gap]) -> Iterator[list[CallEvent]]:
        """The same a step at a time: what came of one change after another."""
        for change in _in_order(changes):
            self._events = []
            self._take(change)
            yield self._events
        self._gap_started = None

    def _take(self, change: Change | Gap) -> None:
        if isinstance(change, Gap):
            self._gap_started = int(change.started.timestamp() * 1_000_000)
            for live in self._live.values():
                live.complete = False
        elif change.element_name == "channel":
            channel: Channel = change.element  # type: ignore[assignment]
            if channel.key is None:  # it goes by its position, as in the mirror
                if change.key is None:
                    return
                channel = evolve(channel, uuid=str(change.key))
            if isinstance(change, Removed):
                self._ends(channel, synthetic=change.synthetic)
            else:
                self._is(ActiveLeg.of(channel), synthetic=change.synthetic)

    # -- a leg is there ---------------------------------------------------------------

    def _is(self, leg: ActiveLeg, *, synthetic: bool) -> None:
        uuid = leg.uuid
        live = self._call_with(leg, synthetic=synthetic)
        live.complete = live.complete and not synthetic
        before = live.legs.get(uuid)
        begins = before is leg  # and is described as it is
        live.take(leg)
        if before is None:
            self._name(uuid, live)
        if leg.other is not None and leg.other not in self._call_of:
            self._name(leg.other, live)
        told = len(self._events)
        described = not begins and live.describe()
        if not begins:
            self._move(live)
        if leg.rings and (begins or before is None or not before.rings):
            self._events.append(CallRinging(live.picture(), leg.picture.party))
        if described and len(self._events) == told:
            self._events.append(CallUpdated(live.picture()))

    def _call_with(self, leg: ActiveLeg, *, synthetic: bool) -> ActiveCall:
        """The call that a leg belongs to; a new one, if it names none."""
        uuid = leg.uuid
        named = self._call_of.get(leg.other or "")
        live = self._call_of.get(uuid) or named
        if live is None:
            live = self._fetched_by(leg.channel)
            if live is None:
                return self._begins(leg, synthetic=synthetic)
            live.pending_pickups.add(uuid)
        elif named is not None and named is not live and leg.talks:
            return self._join(live, named, since(leg.channel))
        return live

    def _fetched_by(self, channel: Channel) -> ActiveCall | None:
        """The call that a new leg wants: who dials it picks it up, or dials its park slot."""
        called = channel.called_number
        comes = channel.peer_location == "internal" and channel.answer_timestamp is None
        if not isinstance(called, str) or not comes:
            return None
        if called.startswith(_PICKUP):
            return self._call_of.get(called.removeprefix(_PICKUP))
        for live in self._parked.values() if called.isdecimal() else ():
            if str(live.phases[-1].place) == called:
                return live
        return None

    def _begins(self, leg: ActiveLeg, *, synthetic: bool) -> ActiveCall:
        uuid = leg.uuid
        entered = since(leg.channel)
        started = leg.picture.offered or entered or 0
        # A leg that the PBX offers on behalf of another names the first: that one may not be
        # shown to us, or come later.
        first = (leg.other if is_second(leg.channel) else None) or uuid
        live = ActiveCall(
            id=uuid if first in self._ended_unseen else first,
            first=first,
            started=started,
            complete=not synthetic,
        )
        live.take(leg)
        live.describe()
        phase = live.doing(started)
        if synthetic and entered is not None and entered > started:
            # What it did before is not known.
            live.phases.append(Phase(kind="unknown", started=started, ended=entered))
        elif phase.started != started:
            phase = evolve(phase, started=started)
        live.phases.append(phase)
        self._note_slot(live)
        live.followed, live.led_by = leg, uuid
        self._live[live.id] = live
        self._name(live.first, live)
        self._name(uuid, live)
        self._events.append(CallStarted(live.picture()))
        self._note_talk(live)
        return live

    def _join(self, one: ActiveCall, other: ActiveCall, at: int | None) -> ActiveCall:
        """Two calls have become one: the older goes on, the other ends in it."""
        older, younger = sorted((one, other), key=lambda live: (live.started, live.id))
        call = younger.picture()
        last = younger.phases[-1]
        end = max(last.started, at or 0)
        self._events.append(
            CallEnded(
                evolve(
                    call,
                    phases=(*call.phases[:-1], until(last, end)),
                    ended=end,
                    disposition="answered",
                    joined=older.id,
                )
            )
        )
        del self._live[younger.id]
        self._parked.pop(younger.id, None)
        older.legs |= younger.legs
        older.pending_pickups |= younger.pending_pickups
        older.complete = older.complete and younger.complete
        for uuid in younger.names:
            self._name(uuid, older)
        return older

    def _name(self, uuid: str, live: ActiveCall) -> None:
        live.names.add(uuid)
        self._call_of[uuid] = live

    def _unname(self, uuid: str, live: ActiveCall) -> None:
        live.names.discard(uuid)
        self._call_of.pop(uuid, None)

    def _move(self, live: ActiveCall, at: int = 0) -> None:
        """The line may be doing something else now; since ``at`` at the earliest."""
        before = live.enter(at)
        if before is None:
            self._note_talk(live)
            return
        now, lead_leg = live.phases[-1], live.followed
        self._note_slot(live)
        here = {lead_leg.uuid, lead_leg.other}
        gone = [live.talkers[uuid] for uuid in live.talkers if uuid not in here]
        self._note_talk(live)
        self._events.append(self._event(live, before, now, gone[0] if gone else NOBODY))

    def _note_slot(self, live: ActiveCall) -> None:
        if live.phases[-1].kind == "parked":
            self._parked[live.id] = live
        else:
            self._parked.pop(live.id, None)

    def _note_talk(self, live: ActiveCall) -> None:
        lead_leg, phase = live.followed, live.phases[-1]
        if phase.kind == "talking":
            other = lead_leg.other
            behind = live.caller if other == live.first else phase.party
            before = live.talkers.keys()
            live.talkers = {lead_leg.uuid: lead_leg.picture.party, other: behind}
            # At the same answer again more may be known of who it is.
            again = not live.transfers and before == live.talkers.keys()
            if live.answered is None or (again and live.answered == phase.started):
                live.answered, live.answered_by = phase.started, phase.party

    def _event(self, live: ActiveCall, before: Phase, now: Phase, source: Party) -> CallEvent:
        """What a new phase means, coming after another."""
        if now.kind == "parked":
            return CallParked(live.picture(), now.place, now.by)
        if now.kind == "talking" and before.kind == "parked":
            return CallRetrieved(live.picture(), now.party, before.duration)
        if before.kind == "talking" and now.kind in {"queued", "ringing", "talking", "voicemail"}:
            live.transfers += 1
            live.asked_again = now.started
            return CallTransferred(live.picture(), source, now.party)
        if now.kind == "talking" and before.kind != "conference":
            asked = live.started if live.asked_again is None else live.asked_again
            return CallAnswered(live.picture(), now.party, now.started - asked)
        if before.kind == "parked":  # it rings back, mostly
            live.asked_again = now.started
        return CallUpdated(live.picture())

    # -- a leg ends -------------------------------------------------------------------

    def _ends(self, channel: Channel, *, synthetic: bool) -> None:
        uuid = uuid_of(channel)
        live = self._call_of.get(uuid)
        if live is None or uuid not in live.legs:
            return
        led = live.lead_leg.uuid == uuid
        last_seen = live.legs.pop(uuid).channel
        unseen = synthetic and channel.hangup is None
        ended = channel.hangup_timestamp
        if not isinstance(ended, int):
            ended = self._gap_started if self._gap_started is not None else latest_of(last_seen)
        live.keep(leg_of(channel, ended, "unknown" if unseen else leg_outcome(channel)))
        live.pending_pickups.discard(uuid)
        live.complete = live.complete and not synthetic
        if uuid != live.first:
            self._unname(uuid, live)
        if live.legs.keys() <= live.pending_pickups:
            pending_pickups = [*live.legs.values()]
            live.legs.clear()
            self._finish(live, ended, unseen=unseen)
            for leg in pending_pickups:  # there is nothing to fetch any more
                self._is(leg, synthetic=not live.complete)
        elif led:
            heir = live.lead_leg
            alone = heir.talks and heir.other not in live.legs
            # Telephones that rang for who is gone fall silent in a moment; who talked to them
            # alone is sent on, or ends.
            if not (alone or heir.rings or heir.uuid in live.pending_pickups):
                self._move(live, ended)

    def _finish(self, live: ActiveCall, ended: int, *, unseen: bool) -> None:
        last = live.phases[-1]
        ended = max(ended, last.started)
        live.phases[-1] = last = until(last, ended)
        legs = live.finals
        if last.kind == "talking":
            legs = [leg for leg in legs if leg.uuid in live.talkers]
        leg = None if unseen else decisive(last, legs, live.led_by)
        hangup = None if leg is None else leg.hangup
        by_caller = leg is not None and leg.uuid == live.first
        ended_by = who_ended_it(last, hangup, by_caller=by_caller, alone=len(legs) == 1)
        disposition, where = disposition_of(live.phases, hangup, ended_by)
        call = live.picture(ended, disposition, where, ended_by, hangup)
        del self._live[live.id]
        self._parked.pop(live.id, None)
        if not any(leg.uuid == live.first for leg in live.ended_legs):
            self._ended_unseen[live.id] = None
            if len(self._ended_unseen) > MAX_ENDED_UNSEEN:
                del self._ended_unseen[next(iter(self._ended_unseen))]
        for uuid in tuple(live.names):
            self._unname(uuid, live)
        self._events.append(CallEnded(call, unseen))


def _in_order(changes: Iterable[Change | Gap]) -> list[Change | Gap]:
    """The changes as they came; of synthetic ones, which tell of no order, a useful one.

    Who came is needed by who is changed, and both by who is gone.
    """
    items = list(changes)
    for one in items:
        if not isinstance(one, Gap) and one.synthetic:
            break
    else:
        return items

    def place(item: Change | Gap) -> tuple[int, int]:
        match item:
            case Gap():
                return 0, 0
            case Added():
                began = getattr(item.element, "offer_timestamp", None)
                return 1, began if isinstance(began, int) else 0
            case Changed():
                return 2, 0
        return 3, 0

    return sorted(items, key=place)
