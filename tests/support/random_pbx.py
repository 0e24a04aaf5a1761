"""Random lives of a PBX: a busy day, and people who interfere, hang up, and send calls on."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime

import attrs

from basix_ws_cti import Mirror
from basix_ws_cti.calls import CallEnded, CallRecord, CallStarted, CallTracker
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.simulator import NotPossibleError, Pbx, Row, scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.scenarios import CALLERS
from basix_ws_cti.simulator.timeline import Timeline

COLUMNS = [one.name for one in attrs.fields(Row) if one.name != "parks"]


def columns(record):
    """The columns of a record, or of a row, that both have."""
    return {name: getattr(record, name) for name in COLUMNS}


# What a channel in these states does next, nobody but the PBX itself decides.
_PLANNED = {"ivr", "xml_ivr", "calling_siptermination", "conference", "system_operation"}


def interfere(pbx, chance):  # noqa: C901, PLR0912 - what can be done, one after the other
    """Something that nobody planned, with channels that were planned for something else."""
    channels = list(pbx.channels.values())
    one = chance.choice(channels)
    other = chance.choice(channels)
    user = chance.choice(list(pbx.users.values()))
    match chance.randrange(12):
        case 0 | 1:
            pbx.hang_up(one, by_peer=chance.random() < 0.7)
        case 2:
            pbx.park(one)
        case 3 if one.state.name not in _PLANNED:
            pbx.transfer(one, chance.choice([user, *pbx.groups.values(), *CALLERS]))
        case 4:
            pbx.connect(one)
        case 5:
            cause = chance.choice(["USER_BUSY", "CALL_REJECTED", "NO_USER_RESPONSE"])
            line = pbx.channels.get(one.rings_for or "")
            if line is not None and line.waiting:
                pbx.refuse(one, cause)
            elif line is not None:  # the only one who was asked
                pbx.hang_up(one, cause)
        case 6:
            pbx.attended_transfer(one, other)
        case 7 if one.rings_for:
            leg = pbx.receive(user, f"pickup_uuid.{one.uuid}")
            pbx.set_state(leg, "system_operation", operation="pickup")
            if chance.random() < 0.7:
                pbx.pick_up(leg, pbx.channel(one.rings_for))
        case 8 if one.state.name == "park":
            leg = pbx.receive(user, str(one.state.data["slot"]))
            pbx.set_state(leg, "system_operation", operation="unpark")
            if chance.random() < 0.7:
                pbx.retrieve(leg, one)
        case 9:
            pbx.stop_ringing(one)
        case 10:
            partner = pbx.partner(one)
            if one.user is not None and partner is not None:
                # The user asks somebody else, perhaps to hand the call over.
                line = pbx.receive(one.user, user.main_extension)
                pbx.connect(pbx.call_user(line, user))
        case 11:
            line = pbx.receive(chance.choice([*CALLERS, user]), DID)
            pbx.call_user(line, chance.choice(list(pbx.users.values())))


class Watcher:
    """A tracker, and what it told: whole from the beginning, or not."""

    def __init__(self, pbx, reader, user_id=None):
        self.pbx = pbx
        self.reader = reader
        self.user_id = user_id  # whose channels alone it is shown
        self.records = []  # of all calls that ended, before and after it came anew
        self.join()

    def join(self):
        """Come now, as somebody who knows nothing."""
        self.blind_since = None
        self.mirror = Mirror()
        self.mirror.apply(self.reader.snapshot(self.pbx, self.user_id))
        self.tracker = CallTracker(self.mirror.channels.values())
        self.started = dict.fromkeys(self.tracker.calls)
        self.ended = {}

    def hear(self, message):
        if self.blind_since is None and self.user_id in {None, message.element.user_id}:
            self.take(self.tracker.apply(self.mirror.apply(message)))

    def go_blind(self):
        self.blind_since = self.blind_since or self.pbx.now

    def see_again(self):
        if self.blind_since is not None:
            now = Mirror()
            now.apply(self.reader.snapshot(self.pbx, self.user_id))
            gap = Gap(_moment(self.blind_since), _moment(self.pbx.now), None)
            self.blind_since = None
            self.take(self.tracker.apply([gap, *self.mirror.replace_with(now)]))

    def take(self, events):
        """Each call starts once, goes on, and ends once."""
        for event in events:
            call = event.call
            assert call.id not in self.ended, "it has ended"
            if isinstance(event, CallStarted):
                assert call.id not in self.started, "it has started already"
                self.started[call.id] = None
            assert call.id in self.started
            check_phases(call)
            if isinstance(event, CallEnded):
                assert call.disposition is not None
                self.ended[call.id] = CallRecord.of(call)
                self.records.append(self.ended[call.id])

    def check(self):
        """Every channel that lives is in one call, and every call has one."""
        if self.blind_since is not None:
            return
        living = [
            leg.uuid
            for call in self.tracker.calls.values()
            for leg in call.legs
            if leg.ended is None
        ]
        assert sorted(living) == sorted(self.pbx.snapshot(self.user_id)["channel"])
        for call in self.tracker.calls.values():
            assert any(leg.ended is None for leg in call.legs)
        assert set(self.started) - set(self.ended) == set(self.tracker.calls)


def check_phases(call):
    """The phases tile the call's life: no hole, no overlap."""
    assert call.phases[0].started == call.started
    for before, after in zip(call.phases, call.phases[1:], strict=False):
        assert before.ended == after.started
        assert before.started <= before.ended
    assert call.phases[-1].ended == call.ended
    if call.ended is not None:
        assert sum(phase.duration for phase in call.phases) == call.ended - call.started


def run(seed, reader, *, seconds=60.0, rate=40.0, users=12, peaceful=False):
    """A life of a PBX with three watchers: one sees all of it, one comes late and goes blind.

    The third is shown one user's channels. Returns the PBX and the first two, when all calls
    have ended.
    """
    chance = random.Random(seed)
    pbx = Pbx(seed)
    scenarios.populate(pbx, users)
    timeline = Timeline(pbx)
    whole, partly = Watcher(pbx, reader), Watcher(pbx, reader)
    watchers = (whole, partly, Watcher(pbx, reader, next(iter(pbx.users))))

    def hear(kind, key, picture, event_name):
        if kind == "channel":
            message = reader.event(kind, picture, event_name)
            for watcher in watchers:
                watcher.hear(message)

    pbx.listeners.append(hear)
    timeline.start(scenarios.day(pbx, timeline, rate))
    blindness = chance.choice([40, 200, 1000])
    end = pbx.now + round(seconds * 1e6)
    while pbx.now < end:
        timeline.step()
        if not peaceful and pbx.channels and chance.random() < 0.3:
            with contextlib.suppress(NotPossibleError):
                interfere(pbx, chance)
        disturb(partly, chance, blindness)
        if chance.random() < 0.2:
            for watcher in watchers:
                watcher.check()
    wind_up(pbx, watchers, chance)
    return pbx, whole, partly


def disturb(watcher, chance, blindness):
    """Perhaps a watcher goes blind, sees again, or goes and another comes."""
    if chance.randrange(blindness) == 0:
        watcher.go_blind()
    elif chance.random() < 0.1:
        watcher.see_again()
    elif chance.randrange(5 * blindness) == 0:
        watcher.join()


def wind_up(pbx, watchers, chance):
    """All calls end, and then nothing is kept of them."""
    for watcher in watchers:
        if chance.random() < 0.5:
            watcher.see_again()
    while pbx.channels:
        pbx.now += round(chance.uniform(0, 2) * 1e6)
        pbx.hang_up(chance.choice(list(pbx.channels.values())), by_peer=chance.random() < 0.7)
        for watcher in watchers:
            watcher.check()
    for watcher in watchers:
        watcher.see_again()
        watcher.check()
        assert set(watcher.started) == set(watcher.ended)
        assert not watcher.tracker.calls
        assert watcher.tracker._index.is_empty
    assert not pbx.ledger._call_of


def compare(pbx, whole, partly):
    """What both watchers recorded, and what the PBX's own book says; how many were incomplete."""
    book = {row.id: columns(row) for row in pbx.ledger}
    assert whole.ended.keys() == book.keys()
    assert all(record.complete for record in whole.ended.values())
    for watcher in (whole, partly):
        for record in watcher.records:
            assert not record.complete or columns(record) == book[record.id], (pbx.seed, record.id)
    return len(book), len(partly.records), sum(not one.complete for one in partly.records)


def _moment(microseconds):
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
