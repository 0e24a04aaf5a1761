"""Backlog of changes that subscribers share who are behind."""

from __future__ import annotations

import gc
import itertools
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basix_ws_cti import User
from basix_ws_cti.client.change_backlog import SEARCH_INTERVAL
from basix_ws_cti.client.subscriptions import Selection, SubscriberSet, Subscription
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed


def subscribe(subscribers, size=4, **selection):
    """Return a new subscription of a set."""
    wants = Selection(**selection) if selection else None
    subscription = Subscription("latest", size, wants, subscribers.discard)
    subscribers.add(subscription)
    return subscription


def offer(subscribers, *items):
    for item in items:
        subscribers.offer(item, report_nothing)


def report_nothing(error, function):
    raise AssertionError(f"{function}: {error}")


def drain(subscription, count=None):
    """Return the next ``count`` items, or all that wait."""
    items = []
    while count is None or len(items) < count:
        step = subscription.__anext__()
        try:
            while step.send(None) is None:
                pass  # the iterator has yielded to the event loop
        except StopIteration as stop:
            items.append(stop.value)
        else:
            step.close()
            break
    return items


def batches_of(subscription):
    """Return the sizes of the batches that a subscription has to read."""
    sizes, batch = [], subscription.batch
    while batch is not None:
        sizes.append(len(batch.entries))
        batch = batch.following
    return sizes


class Pbx:
    """Users of a PBX, and the changes that edits of them cause."""

    def __init__(self):
        self.users = {}
        self.numbers = itertools.count()

    def set(self, key):
        """Add or change a user."""
        old, new = self.users.get(key), User(id=key, label=str(next(self.numbers)))
        self.users[key] = new
        return Added("user", new) if old is None else Changed("user", new, old)

    def remove(self, key):
        return Removed("user", self.users.pop(key))


class Copy:
    """Copy of the users, kept by applying changes."""

    def __init__(self, pbx):
        self.users = dict(pbx.users)

    def apply(self, items):
        for item in items:
            assert (item.key in self.users) is not isinstance(item, Added)
            if isinstance(item, Changed):
                assert item.old == self.users[item.key]
            if isinstance(item, Removed):
                del self.users[item.key]
            else:
                self.users[item.key] = item.element


async def test_subscribers_that_fall_behind_together_share_their_changes():
    """The changes after the overflow are the same objects for all."""
    pbx, subscribers = Pbx(), SubscriberSet()
    subscriptions = [subscribe(subscribers) for _ in range(5)]
    offer(subscribers, *(pbx.set(key) for key in range(100)))
    assert len({id(one.batch) for one in subscriptions}) == 1
    first, *others = (drain(one) for one in subscriptions)
    assert [item.key for item in first] == [*range(100)]
    for items in others:
        assert all(a is b for a, b in zip(items, first, strict=True))


async def test_reader_that_has_caught_up_gets_items_directly_again():
    pbx, subscribers = Pbx(), SubscriberSet()
    one, other = subscribe(subscribers), subscribe(subscribers)
    offer(subscribers, *(pbx.set(key) for key in range(10)))
    assert len(drain(one)) == 10
    assert one.batch is None
    assert other.batch is not None
    item = pbx.set(3)
    offer(subscribers, item)
    assert drain(one) == [item]
    assert len(drain(other)) == 10


async def test_kind_and_key_select_from_shared_changes():
    pbx, subscribers = Pbx(), SubscriberSet()
    subscriptions = [
        subscribe(subscribers, 1, key=3),
        subscribe(subscribers, 1, kind="user"),
        subscribe(subscribers, 1, kind="channel"),
        subscribe(subscribers, 1, where=lambda change: change.key > 3),
    ]
    offer(subscribers, *(pbx.set(key % 6) for key in range(18)))
    keys = [[item.key for item in drain(one)] for one in subscriptions]
    assert keys == [[3], [*range(6)], [], [4, 5]]


@pytest.mark.slow
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["set", "set", "set", "remove", "read"]),
            st.integers(0, 4),
            st.integers(1, 6),
        ),
        max_size=80,
    )
)
async def test_every_reader_ends_with_the_current_state(steps):
    """Subscribers of one set fall behind, read and catch up at different times."""
    pbx, subscribers = Pbx(), SubscriberSet()
    readers = [(subscribe(subscribers, size), Copy(pbx)) for size in (1, 1, 2, 3, 5)]
    for step, key, count in steps:
        if step == "set":
            offer(subscribers, pbx.set(key))
        elif step == "remove" and key in pbx.users:
            offer(subscribers, pbx.remove(key))
        elif step == "read":
            subscription, copy = readers[key]
            copy.apply(drain(subscription, count))
    for subscription, copy in readers:
        copy.apply(drain(subscription))
        assert copy.users == pbx.users


@pytest.mark.slow
async def test_batches_without_a_reader_between_them_merge():
    """A subscriber that never reads does not keep the batches that others have read."""
    pbx, subscribers, rng = Pbx(), SubscriberSet(), random.Random(1)
    sleeper, sleeping = subscribe(subscribers, 1), Copy(pbx)
    late, copy = subscribe(subscribers, 1), Copy(pbx)
    for _ in range(10 * SEARCH_INTERVAL):
        offer(subscribers, pbx.set(rng.randrange(50)))
        if rng.random() < 0.2:
            copy.apply(drain(late, rng.randrange(20)))
    # Until the next search for batches to merge, each read may leave a batch behind.
    assert len(batches_of(sleeper)) < SEARCH_INTERVAL
    assert sum(batches_of(sleeper)) < 3 * SEARCH_INTERVAL
    for subscription, held in ((late, copy), (sleeper, sleeping)):
        held.apply(drain(subscription))
        assert held.users == pbx.users


async def test_subscriber_that_reads_a_batch_keeps_it_as_it_is():
    """Batches merge before and after the one that is being read, and not with it."""
    pbx, subscribers = Pbx(), SubscriberSet()
    for key in range(50):
        pbx.set(key)
    readers = [(subscribe(subscribers, 1), Copy(pbx)) for _ in range(4)]
    rng = random.Random(2)
    for number in range(6 * SEARCH_INTERVAL):
        offer(subscribers, pbx.set(rng.randrange(50)))
        if number % 97 == 0:  # one item at a time: it stays within a batch
            subscription, copy = rng.choice(readers[:3])
            copy.apply(drain(subscription, 1))
    for subscription, copy in readers:
        copy.apply(drain(subscription))
        assert copy.users == pbx.users


@pytest.mark.slow
async def test_backlog_is_freed_when_no_subscriber_is_behind():
    """Closed, dropped and caught-up subscribers keep no changes."""
    pbx, subscribers = Pbx(), SubscriberSet()
    closed, dropped, caught_up = (subscribe(subscribers, 1) for _ in range(3))
    offer(subscribers, *(pbx.set(key) for key in range(100)))
    closed.close()
    assert closed.waiting == 0
    assert len(drain(caught_up)) == 100
    del dropped
    gc.collect()
    for _ in range(SEARCH_INTERVAL + 2):
        offer(subscribers, pbx.set(1))
        drain(caught_up)
    pbx.users.clear()
    gc.collect()
    labels = {one.label for one in gc.get_objects() if type(one) is User}
    assert "50" not in labels


@pytest.mark.slow
async def test_memory_of_many_slow_subscribers_is_bounded():
    """It is what the module ``subscriptions`` states: 8 bytes per item, and shared entries."""
    count, elements, size = 500, 5000, 64
    pbx, subscribers = Pbx(), SubscriberSet()
    subscriptions = [subscribe(subscribers, size) for _ in range(count)]
    changes = [pbx.set(key) for key in range(elements)]
    tracemalloc.start()
    offer(subscribers, *changes)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < count * (8 * size + 1000) + 400 * elements
    assert {one.waiting for one in subscriptions} == {elements}


@pytest.mark.slow
async def test_overflow_of_many_subscribers_costs_no_more_than_other_items():
    """At an overflow nothing is merged at once; later items cost the same for any number."""
    pbx, subscribers = Pbx(), SubscriberSet()
    subscriptions = [subscribe(subscribers, 64) for _ in range(200)]
    offer(subscribers, *(pbx.set(key) for key in range(65)))
    merged = [len(one.batch.entries) for one in subscriptions]
    assert merged == [1] * 200
    offer(subscribers, *(pbx.set(key) for key in range(1000)))
    assert batches_of(subscriptions[0]) == [1000]


async def test_gaps_merge_from_the_start_of_the_first_to_the_end_of_the_last():
    noon, subscribers = datetime(2026, 1, 1, 12, tzinfo=UTC), SubscriberSet()
    subscription, pbx = subscribe(subscribers, 1), Pbx()
    first = Gap(noon, noon + timedelta(1), None)
    last = Gap(noon + timedelta(2), noon + timedelta(3), None)
    offer(subscribers, pbx.set(1), first, last)
    assert len(drain(subscription, 1)) == 1
    assert drain(subscription) == [Gap(noon, noon + timedelta(3), None)]


async def test_element_that_is_as_before_is_not_reported():
    """It was changed and changed back."""
    subscribers = SubscriberSet()
    subscription, old, new = subscribe(subscribers, 1), User(id=1), User(id=1, label="new")
    other = Added("user", User(id=2))
    offer(subscribers, other, Changed("user", new, old), Changed("user", old, new))
    assert drain(subscription) == [other]


async def test_removal_of_an_element_that_the_reader_knows_is_reported():
    """An element that was added and removed meanwhile is not."""
    subscribers = SubscriberSet()
    subscription, known, changed = subscribe(subscribers, 1), User(id=1), User(id=1, label="new")
    other, removed = Added("user", User(id=2)), Removed("user", changed)
    offer(subscribers, other, Changed("user", changed, known), removed)
    offer(subscribers, Added("user", User(id=3)), Removed("user", User(id=3)))
    assert drain(subscription) == [other, removed]


async def test_reading_stops_the_merging_of_its_batch():
    """The batch and the next one stay as they are, and no change is lost."""
    pbx, subscribers = Pbx(), SubscriberSet()
    sleeper, copy = subscribe(subscribers, 1), Copy(pbx)
    other = subscribe(subscribers, 1)
    offer(subscribers, *(pbx.set(key) for key in range(20)))
    drain(other, 1)
    offer(subscribers, *(pbx.set(key) for key in range(20)))
    drain(other)
    assert batches_of(sleeper) == [19, 20, 0]
    for _ in range(SEARCH_INTERVAL):
        if batches_of(sleeper)[1] == 20:
            offer(subscribers, pbx.set(0))
    assert batches_of(sleeper)[:2] == [20, 16]
    copy.apply(drain(sleeper, 1))
    offer(subscribers, *(pbx.set(0) for _ in range(10)))
    assert batches_of(sleeper)[:2] == [20, 16]
    copy.apply(drain(sleeper))
    assert copy.users == pbx.users
