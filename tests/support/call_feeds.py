"""Ways in which a client may receive the events of a call script, and the calls that result.

``COMPLETE_FEEDS`` show everything that happened: the rows must be those of the live feed.
``INTERRUPTED_FEEDS`` miss something: the rows may lack facts, but never contradict themselves.
"""

from __future__ import annotations

import functools
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from basix_ws_cti import InitialInfo, Mirror
from basix_ws_cti.calls import CallEnded, CallRecord, CallTracker
from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.recording import Connected, Frame, Recorder, replay
from basix_ws_cti.simulator.frame_writer import Writer

from .call_script import SECOND, START, USERS, events_of, messages_of, orders_of, snapshot_before
from .followed_calls import FollowedCalls
from .random_pbx import check_phases


class Watcher:
    """A client's mirror and tracker, and the calls that it saw.

    ``channels``: channels that exist when the client connects, by uuid.
    """

    def __init__(self, channels=None):
        self.mirror = Mirror()
        self.mirror.apply(InitialInfo("channel", channels or {}))
        self.tracker = CallTracker(self.mirror.channels.values())
        self.events = []
        self.ended = []
        self._followed = FollowedCalls(self.tracker.calls)

    def receive(self, message):
        """Apply a message, and check the calls that it changes."""
        self._add(self.tracker.apply(self.mirror.apply(message)))

    def resync(self, channels, started, ended):
        """End a gap in the feed, between two times of the script."""
        current = Mirror()
        current.apply(InitialInfo("channel", channels))
        gap = Gap(_datetime(started), _datetime(ended), None)
        self._add(self.tracker.apply([gap, *self.mirror.replace_with(current)]))

    def _add(self, events):
        for event in events:
            check_call(event.call)
            self.events.append(event)
            if isinstance(event, CallEnded):
                self.ended.append(event.call)
        self._followed.apply(events)
        self._followed.check(self.tracker.calls)

    @property
    def calls(self):
        """All calls: those that ended, then those in progress."""
        calls = [*self.ended, *self.tracker.calls.copy().values()]
        check_calls(calls)
        if not self.mirror.channels:
            assert self.tracker.is_empty, "the tracker keeps something of calls that ended"
        return calls


def check_call(call):
    """Check a call by itself: every moment of it has its rows."""
    check_phases(call)
    record = CallRecord.of(call)
    waits, parties = QueueWait.of(call), Participation.of(call)
    if call.joined is not None:
        assert parties == ()
    owners = [(row.user_id, row.number) for row in parties]
    named = [owner for owner in owners if owner != (None, None)]
    assert len(named) == len({*named}), f"two rows of one party in call {call.id}: {owners}"
    for wait in waits:
        assert wait.left is None or wait.left >= wait.entered
    for row in parties:
        assert min(row.rings, row.rang_us, row.talked_us, row.held_us) >= 0
    assert [wait.entered for wait in waits] == sorted(wait.entered for wait in waits)
    if call.ended is not None:
        assert all(wait.result is not None for wait in waits)
        assert all(row.result is not None for row in parties)
    for row in (record, *waits, *parties):
        assert row.complete is (call.complete and call.ended is not None)


def check_calls(calls):
    """Check that each call has one row, and that no user talks twice at the same moment."""
    ids = [call.id for call in calls]
    assert len(ids) == len({*ids}), f"two calls have the same id: {ids}"
    talks = {}
    for call in calls:
        for leg in () if call.joined else call.legs:
            if leg.party.user_id is not None:
                intervals = talks.setdefault(leg.party.user_id, [])
                # A talk of zero length shows that somebody answered.
                times = [(one.started, one.ended, leg.uuid) for one in leg.talks]
                intervals += [one for one in times if one[0] < one[1]]
    for user_id, intervals in talks.items():
        intervals.sort()
        for before, after in pairwise(intervals):
            assert before[1] <= after[0], f"user {user_id} talks twice: {before} and {after}"


def check_agreement(calls):
    """Check that the rows of calls that a client saw completely agree with each other."""
    records = {call.id: CallRecord.of(call) for call in calls}
    talkers = {
        (row.call_id, row.user_id or row.number)
        for call in calls
        for row in Participation.of(call)
        if row.result == "answered"
    }
    for call in calls:
        record = records[call.id]
        # A joined call leaves its parties to the call that it became a part of.
        goes_on_in = record
        while goes_on_in.joined is not None:
            goes_on_in = records[goes_on_in.joined]
        waits = QueueWait.of(call)
        assert sum(wait.waited_us or 0 for wait in waits) >= record.queued_us
        answers = [wait.answered_by_user_id for wait in waits if wait.answered_by_user_id]
        for owner in (*json.loads(record.handlers or "[]"), *answers):
            assert (goes_on_in.id, owner) in talkers, f"{owner} talked, and has no such row"


# -- feeds that show everything ---------------------------------------------------------------


def live(script):
    yield _watch(messages_of(script))


def calls_of(script):
    """Return the calls of a live feed, checked at their end only: for very long scripts."""
    watcher = Watcher()
    for message in messages_of(script):
        changes = watcher.mirror.apply(message)
        for event in watcher.tracker.apply(changes):
            if isinstance(event, CallEnded):
                check_call(event.call)
                watcher.ended.append(event.call)
    check_agreement(watcher.calls)
    return watcher.calls


def in_other_orders(script):
    """Events of the same time come in other orders."""
    for messages in orders_of(script):
        yield _watch(messages)


def twice(script):
    """Each event comes twice."""
    yield _watch([message for message in messages_of(script) for _ in range(2)])


def without_removals(script):
    """Each leg that hung up is not removed as well."""
    pairs = zip(events_of(script), messages_of(script), strict=True)
    yield _watch(
        message
        for event, message in pairs
        if event.name != "removed" or event.last_event != "CHANNEL_HANGUP"
    )


def without_hangups(script):
    """Each leg that hung up is only removed; the removal names the hang-up."""
    pairs = zip(events_of(script), messages_of(script), strict=True)
    yield _watch(
        message
        for event, message in pairs
        if event.name == "removed" or event.last_event != "CHANNEL_HANGUP"
    )


def replayed(script):
    """The events are recorded, and replayed from the recording."""
    ended = []
    with replay(io.BytesIO(_recording(script)), quiet_time=0) as player:
        for _, item in player:
            if isinstance(item, CallEnded):
                ended.append(item.call)
        calls = [*ended, *player.calls.values()]
    check_calls(calls)
    yield calls


COMPLETE_FEEDS = {
    "live": live,
    "in other orders": in_other_orders,
    "every event twice": twice,
    "no removals": without_removals,
    "no hang-ups": without_hangups,
    "replayed": replayed,
}


def _watch(messages):
    watcher = Watcher()
    for message in messages:
        watcher.receive(message)
    check_agreement(watcher.calls)
    return watcher.calls


@functools.lru_cache(maxsize=50)
def _recording(script):
    """Return the bytes of a recording of a client that connects before the script begins."""
    writer = Writer()
    frames = [Frame(0, writer.field_spec("channel")), Frame(0, writer.initial_info("channel", []))]
    seconds = 1.0
    for event in events_of(script):
        record = writer.record("channel", event.values)
        seconds = max(seconds, 1 + (event.at - START) / SECOND)
        frames.append(Frame(seconds, writer.info_event("channel", record, event.name)))
    file = io.StringIO()
    with Recorder(file, started=_datetime(START), clock=lambda: 0.0) as recorder:
        for entry in (Connected(0), *frames):
            recorder.write(entry)
    return file.getvalue().encode()


# -- feeds that miss something ----------------------------------------------------------------


def joined_late(script):
    """A client connects after each event."""
    messages = messages_of(script)
    for count in range(1, len(messages)):
        channels = snapshot_before(script, count)
        watcher = Watcher(channels)
        found = {*watcher.tracker.calls}
        for message in messages[count:]:
            watcher.receive(message)
        calls = watcher.calls
        assert not any(call.complete for call in calls if call.id in found)
        yield calls


def interrupted(script, length=4):
    """A client misses some events, beginning with each event."""
    events, messages = events_of(script), messages_of(script)
    for first in range(len(messages)):
        watcher = Watcher()
        for message in messages[:first]:
            watcher.receive(message)
        after = min(first + length, len(messages))
        watcher.resync(snapshot_before(script, after), events[first].at, events[after - 1].at)
        for message in messages[after:]:
            watcher.receive(message)
        yield watcher.calls


def of_one_user(script):
    """A client sees the legs of one user, for each user of the script."""
    pairs = [*zip(events_of(script), messages_of(script), strict=True)]
    for user in sorted({event.uuid[0] for event, _ in pairs} & {*USERS}):
        watcher = Watcher()
        for event, message in pairs:
            if event.uuid[0] == user:
                watcher.receive(message)
        yield watcher.calls


INTERRUPTED_FEEDS = {
    "joined late": joined_late,
    "interrupted": interrupted,
    "one user's legs": of_one_user,
}


def _datetime(microseconds):
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
