"""Random days of a simulated PBX, with observers that follow its calls."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from datetime import UTC, datetime

import attrs

from basix_ws_cti import Mirror
from basix_ws_cti.calls import CallEnded, CallRecord, CallStarted, CallTracker, QueueStats
from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.simulator import (
    CallRow,
    NotPossibleError,
    ParticipationRow,
    Pbx,
    WaitRow,
    scenarios,
)
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.model import MEDIA_PLUG
from basix_ws_cti.simulator.scenarios import CALLERS
from basix_ws_cti.simulator.timeline import Timeline

from .followed_calls import FollowedCalls
from .recording_client import RecordingClient
from .row_checks import Rows, check_figures, check_phases, check_rows, check_sums, check_talks

# Columns of each of the library's rows that the rows of the PBX's ledger have too.
_SHARED = {
    library_row: [one.name for one in attrs.fields(ledger_row) if hasattr(library_row, one.name)]
    for library_row, ledger_row in (
        (CallRecord, CallRow),
        (Participation, ParticipationRow),
        (QueueWait, WaitRow),
    )
}
_SHARED |= {
    CallRow: _SHARED[CallRecord],
    ParticipationRow: _SHARED[Participation],
    WaitRow: _SHARED[QueueWait],
}


def shared_columns(row):
    """Return the columns that a row of the library and a row of the PBX's ledger share."""
    return {name: getattr(row, name) for name in _SHARED[type(row)]}


# Two ends within a tenth of a second are taken as one, in seconds.
MOMENT = 0.11

# Only the PBX itself decides the next step of a channel in these states.
_AUTOMATIC = {"ivr", "xml_ivr", "calling_siptermination", "conference", "system_operation"}


def interfere(pbx, rng):  # noqa: C901, PLR0912, PLR0915 - one case for each action
    """Take a random action that no scenario planned, with random channels and users."""
    channels = list(pbx.channels.values())
    one = rng.choice(channels)
    other = rng.choice(channels)
    # No user is connected with themselves.
    lead = pbx.channels.get(one.rings_for or "")
    busy = (one.user, None if lead is None else lead.user)
    user, colleague = rng.sample([u for u in pbx.users.values() if u not in busy], 2)
    match rng.randrange(12):
        case 0 | 1:
            hang_up(pbx, one, rng)
        case 2:
            pbx.park(one, by_peer=rng.random() < 0.5)
        case 3 if one.state.name not in _AUTOMATIC and one.calling_number != MEDIA_PLUG:
            to = rng.choice([user, *pbx.groups.values(), *CALLERS])
            pbx.transfer(one, to, by_peer=rng.random() < 0.5)
        case 4:
            pbx.connect(one)
        case 5:
            cause = rng.choice(["USER_BUSY", "CALL_REJECTED", "NO_USER_RESPONSE"])
            caller_leg = pbx.channels.get(one.rings_for or "")
            if caller_leg is not None and caller_leg.waiting:
                pbx.refuse(one, cause)
            elif caller_leg is not None:  # the only phone that rings for the caller
                pbx.hang_up(one, cause)
        case 6:
            peers = _peers_of_one_user(pbx, rng, [one, other])
            # A phone that rang for one of two calls from outside cannot be told from the other's.
            both_outside = all(leg.person and leg.direction == "inbound" for leg in peers)
            if not both_outside and (peers[0].user is None or peers[0].user is not peers[1].user):
                pbx.attended_transfer(*peers)
        case 7 if one.rings_for:
            leg = pbx.receive(user, f"pickup_uuid.{one.uuid}")
            pbx.set_state(leg, "system_operation", operation="pickup")
            if rng.random() < 0.7:
                pbx.pick_up(leg, pbx.channel(one.rings_for))
        case 8 if one.state.name == "park":
            leg = pbx.receive(user, str(one.state.data["slot"]))
            pbx.set_state(leg, "system_operation", operation="unpark")
            if rng.random() < 0.7:
                pbx.retrieve(leg, one)
        case 9:
            pbx.stop_ringing(one)
        case 10:
            talking = [leg for leg in channels if leg.user is not None and pbx.partner(leg)]
            if talking:
                # A consult call, perhaps for an attended transfer.
                caller = rng.choice(talking).user
                colleague = colleague if user is caller else user
                caller_leg = pbx.receive(caller, colleague.main_extension)
                pbx.connect(pbx.call_user(caller_leg, colleague))
        case 11:
            caller_leg = pbx.receive(rng.choice([*CALLERS, user]), DID)
            pbx.call_user(caller_leg, colleague)


def hang_up(pbx, leg, rng):
    """End a leg through its own peer or the PBX, at random."""
    by_peer = rng.random() < 0.7
    # The cause of a cancelled ring says whether the caller stayed.
    stopped = leg.rings_for is not None and not by_peer
    pbx.hang_up(leg, "NORMAL_CLEARING" if stopped else None, by_peer=by_peer)


def _peers_of_one_user(pbx, rng, default):
    """Return two legs that a user talks with on two legs; ``default`` if no user does."""
    peers = {}
    for leg in pbx.channels.values():
        partner = pbx.partner(leg)
        if leg.user is not None and partner is not None:
            peers.setdefault(leg.user.id, []).append(partner)
    several = [legs for legs in peers.values() if len(legs) > 1]
    return rng.sample(rng.choice(several), 2) if several else default


class Observer:
    """Mirror and tracker of one client, and the records of its calls.

    ``user_id``: the only user whose channels the client sees; ``None``: all channels.
    """

    def __init__(self, pbx, reader, user_id=None):
        self.pbx = pbx
        self.reader = reader
        self.user_id = user_id
        self.stats = QueueStats(window=7 * 24 * 3600)
        self.calls = []  # all calls that ended, also before the last ``start``
        self.start()

    def start(self):
        """Start a new mirror and tracker from the current channels."""
        self.disconnected_since = None
        self.mirror = Mirror()
        self.mirror.apply(self.reader.snapshot(self.pbx, self.user_id))
        self.tracker = CallTracker(self.mirror.channels.values())
        self.followed = FollowedCalls(self.tracker.calls)
        self.started = dict.fromkeys(self.tracker.calls)
        self.ended = {}

    def receive(self, message):
        if self.disconnected_since is None and self.user_id in {None, message.element.user_id}:
            self.add(self.tracker.apply(self.mirror.apply(message)))

    def disconnect(self):
        self.disconnected_since = self.disconnected_since or self.pbx.now

    def resync(self):
        if self.disconnected_since is not None:
            current = Mirror()
            current.apply(self.reader.snapshot(self.pbx, self.user_id))
            gap = Gap(_moment(self.disconnected_since), _moment(self.pbx.now), None)
            self.disconnected_since = None
            self.add(self.tracker.apply([gap, *self.mirror.replace_with(current)]))

    def add(self, events):
        """Check that each call starts once and ends once, and keep the records."""
        self.stats.apply(events)
        for event in events:
            call = event.call
            assert call.id not in self.ended, "the call has ended already"
            if isinstance(event, CallStarted):
                assert call.id not in self.started, "the call has started already"
                self.started[call.id] = None
            assert call.id in self.started
            check_phases(call)
            check_rows(call)
            if isinstance(event, CallEnded):
                assert call.disposition is not None
                self.ended[call.id] = CallRecord.of(call)
                self.calls.append(call)
        self.followed.apply(events)
        self.followed.check(self.tracker.calls)

    @property
    def records(self):
        """Records of all calls that ended, also before the last ``start``."""
        return [CallRecord.of(call) for call in self.calls]

    def check(self):
        """Check that every active channel is in exactly one call, and every call has one."""
        if self.disconnected_since is not None:
            return
        active = [
            leg.uuid
            for call in self.tracker.calls.values()
            for leg in call.legs
            if leg.ended is None
        ]
        assert sorted(active) == sorted(self.pbx.snapshot(self.user_id)["channel"])
        for call in self.tracker.calls.values():
            assert any(leg.ended is None for leg in call.legs)
        assert set(self.started) - set(self.ended) == set(self.tracker.calls)


def run(seed, reader, *, seconds=60.0, rate=40.0, users=12, interference=0.3):
    """Run a PBX until all calls have ended, and check four observers on the way.

    The first observer misses nothing. The second one loses its connection and starts anew at random
    times. The third one sees the channels of one user. The fourth one loses its connection at
    random times and records what it receives; its recording is replayed. Returns the PBX and the
    first two. ``interference`` is the share of steps after which something
    happens that no scenario planned.
    """
    rng = random.Random(seed)
    pbx = Pbx(seed)
    scenarios.populate(pbx, users)
    timeline = Timeline(pbx)
    complete, interrupted = Observer(pbx, reader), Observer(pbx, reader)
    observers = (complete, interrupted, Observer(pbx, reader, next(iter(pbx.users))))
    recording = RecordingClient(pbx, reader)

    def on_event(kind, key, values, event_name):
        if kind == "channel":
            message = reader.event(kind, values, event_name)
            for observer in observers:
                observer.receive(message)
            recording.receive(reader.event_frame(kind, values, event_name))

    pbx.listeners.append(on_event)
    timeline.start(scenarios.day(pbx, timeline, rate))
    mean_steps = rng.choice([40, 200, 1000])  # between two losses of the connection
    end = pbx.now + round(seconds * 1e6)
    while pbx.now < end:
        timeline.step()
        # Not at the moment of a step: the ledger knows the cause of each end, the feed does not.
        next_step = timeline.time_to_next or 0.0
        if next_step > 2 * MOMENT and pbx.channels and rng.random() < interference:
            pbx.now += round(MOMENT * 1e6)
            with contextlib.suppress(NotPossibleError):
                interfere(pbx, rng)
        interrupt(interrupted, rng, mean_steps)
        interrupt_recording(recording, rng, mean_steps)
        if rng.random() < 0.2:
            for observer in observers:
                observer.check()
    end_all_calls(pbx, observers, rng)
    check_talks(complete.calls)
    check_sums(complete.calls)
    check_figures(complete.stats, complete.calls, pbx.now)
    compare_rows(complete, interrupted)
    if not recording.is_connected:
        recording.connect()
    assert recording.close() == recording.rows, seed
    return pbx, complete, interrupted


def interrupt(observer, rng, mean_steps):
    """Disconnect, resync or restart an observer at random."""
    if rng.randrange(mean_steps) == 0:
        observer.disconnect()
    elif rng.random() < 0.1:
        observer.resync()
    elif rng.randrange(5 * mean_steps) == 0:
        observer.start()


def interrupt_recording(client, rng, mean_steps):
    """Cut or open the connection of a recording client at random."""
    if rng.randrange(mean_steps) == 0:
        client.lose_connection()
    elif not client.is_connected and rng.random() < 0.1:
        client.connect()


def compare_rows(complete, interrupted):
    """Check that what the interrupted observer calls complete equals what the other one saw."""
    expected = {call.id: Rows.of(call) for call in complete.calls}
    for call in interrupted.calls:
        if call.complete:
            assert Rows.of(call) == expected[call.id]


def end_all_calls(pbx, observers, rng):
    """End all calls, and check that neither trackers nor ledger keep state of them."""
    for observer in observers:
        if rng.random() < 0.5:
            observer.resync()
    while pbx.channels:
        pbx.now += round(rng.uniform(0, 2) * 1e6)
        hang_up(pbx, rng.choice(list(pbx.channels.values())), rng)
        for observer in observers:
            observer.check()
    for observer in observers:
        observer.resync()
        observer.check()
        assert set(observer.started) == set(observer.ended)
        assert not observer.tracker.calls
        assert observer.tracker.is_empty
    assert not pbx.ledger.active_calls


def compare_with_ledger(pbx, complete, interrupted):
    """Check that the records of both observers equal the PBX's own, or are marked incomplete.

    Returns the numbers of calls, of records of the interrupted observer, and of incomplete ones.
    """
    waits, participations = _by_call(pbx.ledger.waits), _by_call(pbx.ledger.participations)
    expected = {
        row.id: (shared_columns(row), waits[row.id], participations[row.id]) for row in pbx.ledger
    }
    assert complete.ended.keys() == expected.keys()
    assert all(record.complete for record in complete.ended.values())
    for observer in (complete, interrupted):
        for call in observer.calls:
            if call.complete:
                assert _rows_of(call) == expected[call.id], (pbx.seed, call.id)
    incomplete = sum(not record.complete for record in interrupted.records)
    return len(expected), len(interrupted.records), incomplete


def _rows_of(call):
    """Return the columns of a call's rows that the ledger has too."""
    rows = Rows.of(call)
    waits, participations = _by_call(rows.waits), _by_call(rows.participations)
    return shared_columns(rows.record), waits[call.id], participations[call.id]


def _by_call(rows):
    """Return the shared columns of rows by the id of their call, in an order of their own."""
    by_call = defaultdict(list)
    for row in rows:
        by_call[row.call_id].append(shared_columns(row))
    for items in by_call.values():
        items.sort(key=str)
    return by_call


def _moment(microseconds):
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
