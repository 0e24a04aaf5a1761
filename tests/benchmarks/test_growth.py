"""Growth of the work with the number of elements, subscribers, rows and entries.

Twice as many take at most 2.2 times the work. It is counted in bytecodes, not timed, and so the
same on every machine; work within one call into C code counts once.
"""

from __future__ import annotations

import asyncio

import keeping
import pytest
import workload
from support.call_rows import participation, queue_wait
from support.work_counts import count_work

from basix_ws_cti import QueueStats, Session, rows_in_period
from basix_ws_cti.calls import AgentFigures, CallTracker, QueueFigures
from basix_ws_cti.client.change_filter import make_change_filter
from basix_ws_cti.client.dispatch import Dispatcher
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.elements import Channel, Group, GroupMember, Terminal, User
from basix_ws_cti.fanout.entries import ReceivedEntry
from basix_ws_cti.fanout.entry_encoder import encode, encode_snapshot
from basix_ws_cti.fanout.entry_player import EntryPlayer
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.mirror.changes import Added, Changed
from basix_ws_cti.mirror.mirror import Mirror

MOST = 2.2
COUNT = 64

FILTERS = {
    "kind": {"kind": "user"},
    "key": {"kind": "user", "key": 1},
    "where": {"kind": "user", "where": lambda change: change.element.label == "x"},
}


def full_mirror(count):
    """Return a mirror in which one user, group or number has all of the channels."""
    mirror = Mirror()
    for message in (
        InitialInfo("user", {at: User(id=at, main_extension=str(at)) for at in range(count)}),
        InitialInfo("group", {at: Group(id=at) for at in range(count)}),
        InitialInfo("terminal", {at: Terminal(id=at, assoc_user_id=1) for at in range(count)}),
        InitialInfo(
            "group_member",
            {at: GroupMember(id=at, user_id=at, group_id=1) for at in range(count)},
        ),
        InitialInfo(
            "channel",
            {
                str(at): Channel(uuid=str(at), user_id=1, group_id=1, calling_number="0312345678")
                for at in range(count)
            },
        ),
    ):
        mirror.apply(message)
    return mirror


def look_up(name, *arguments):
    def prepare(count):
        method = getattr(full_mirror(count), name)
        return lambda: method(*arguments)

    return prepare


def run_session(count):
    opening, events = keeping.parsed(workload.rush(count))
    session = Session(quiet_time=0)
    session.follow_calls()

    def run():
        session.connected()
        for number, message in enumerate([*opening, *events]):
            for _ in session.receive(message, float(number)):
                pass

    return run


def track_calls(count):
    opening, events = keeping.parsed(workload.rush(count))
    mirror = keeping.mirror_of(opening)
    changes = [mirror.apply(event) for event in events]
    tracker = CallTracker()
    return lambda: [tracker.apply(one) for one in changes]


def call_events(count):
    """Return the events of that many calls."""
    opening, events = keeping.parsed(workload.rush(count))
    mirror, tracker = keeping.mirror_of(opening), CallTracker()
    return [event for one in events for event in tracker.apply(mirror.apply(one))]


def apply_to_stats(count):
    events, stats = call_events(count), QueueStats()
    return lambda: stats.apply(events)


def ask_stats(count):
    stats = QueueStats()
    stats.apply(call_events(count))
    user = min(stats.users)
    return lambda: stats.user(user, 2**52)


def subscriptions(count, size=1000):
    dispatcher = Dispatcher()
    queue = dispatcher.wake_queue
    kept = [
        Subscription("latest", size, None, lambda _: None, wake_queue=queue) for _ in range(count)
    ]
    return dispatcher, kept


def subscribe(count):
    dispatcher, kept = subscriptions(count)

    def run():
        for one in kept:
            dispatcher.changes.add(one)
        for one in kept:
            dispatcher.changes.discard(one)

    return run


def publish_to_many(count):
    """Publish a change to ``count`` subscribers."""
    dispatcher, kept = subscriptions(count)
    for one in kept:
        dispatcher.changes.add(one)
    return lambda: (dispatcher.publish_change(Added("user", User(id=1))), kept)


def publish_many(count):
    """Publish ``count`` changes to a subscriber that falls behind."""
    dispatcher, (one,) = subscriptions(1, size=2)
    dispatcher.changes.add(one)
    changes = [Added("user", User(id=at)) for at in range(count)]
    return lambda: ([dispatcher.publish_change(change) for change in changes], one)


def filter_changes(name):
    def prepare(count):
        wants = make_change_filter(**{"key": None, "where": None} | FILTERS[name])
        changes = [Changed("user", User(id=at), User(id=at, label="x")) for at in range(count)]
        return lambda: [wants(change) for change in changes]

    return prepare


def figures_of_queues(count):
    rows = [queue_wait(call_id=str(at), entered=at) for at in range(count)]
    return lambda: QueueFigures.of(rows_in_period(rows, None, None))


def figures_of_agents(count):
    rows = [participation(call_id=str(at)) for at in range(count)]
    return lambda: AgentFigures.of(rows_in_period(rows, None, None))


def received(entries, before=0):
    """Return entries as they are read from a stream, after ``before`` others."""
    return [
        ReceivedEntry(EntryId(5, at), EntryId(5, at - 1), NO_ENTRY, at * 1000, one.type, one.data)
        for at, one in enumerate(entries, before + 1)
    ]


def follow_changes(count):
    player = EntryPlayer(Session())
    snapshot = received(encode_snapshot(full_mirror(1)))
    for entry in snapshot:
        list(player.receive(entry))
    list(player.caught_up())
    changes = [encode(Added("user", User(id=at))) for at in range(1, count + 1)]
    entries = received(changes, len(snapshot))
    return lambda: [[*player.receive(entry)] for entry in entries]


OPERATIONS = {
    "Mirror.channels_of_user": look_up("channels_of_user", 1),
    "Mirror.channels_of_group": look_up("channels_of_group", 1),
    "Mirror.channels_by_number": look_up("channels_by_number", "0312345678"),
    "Mirror.members_of_group": look_up("members_of_group", 1),
    "Mirror.groups_of_user": look_up("groups_of_user", 1),
    "Mirror.terminals_of_user": look_up("terminals_of_user", 1),
    "Mirror.user_by_extension": look_up("user_by_extension", "none"),
    "Session.receive": run_session,
    "CallTracker.apply": track_calls,
    "QueueStats.apply": apply_to_stats,
    "QueueStats.user": ask_stats,
    "subscribing and closing": subscribe,
    "a change for many subscribers": publish_to_many,
    "many changes for a slow subscriber": publish_many,
    **{f"filter by {name}": filter_changes(name) for name in FILTERS},
    "QueueFigures.of": figures_of_queues,
    "AgentFigures.of": figures_of_agents,
    "a follower's entries": follow_changes,
}


@pytest.mark.slow
@pytest.mark.parametrize("prepare", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_twice_as_many_take_at_most_2_2_times_the_work(prepare):
    async def work(count):
        run = prepare(count)
        return count_work(run)

    asyncio.run(work(COUNT))  # imports, caches and generated code
    once, twice = asyncio.run(work(COUNT)), asyncio.run(work(2 * COUNT))
    assert COUNT < once < twice <= MOST * once
