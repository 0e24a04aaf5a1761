"""Subscriptions: bounded queues, policies and sets of subscribers."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.client_schedules import (
    connected,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import on_virtual_clock
from support.waiting import eventually

from basix_ws_cti import (
    Channel,
    UsageError,
    User,
)
from basix_ws_cti._internal import time_slice
from basix_ws_cti.client.change_backlog import SEARCH_INTERVAL
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import QUEUE_SIZE, Selection, SubscriberSet, Subscription
from basix_ws_cti.exceptions import ConnectionLost, SubscriberLagged
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed
from basix_ws_cti.simulator import Simulator

POLICIES = ("latest", "drop_oldest", "fail")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GAP = Gap(NOON, NOON, None)
LATER = Gap(NOON + timedelta(1), NOON + timedelta(2), ConnectionLost(1006))


def subscription(policy="latest", size=4, wants=None):
    left = []
    new = Subscription(policy, size, wants, left.append)
    new.left = left
    return new


def user(key, label="a"):
    return User(id=key, label=label)


def added(key, label="a", **more):
    return Added("user", user(key, label), **more)


def changed(key, label, old="a", **more):
    return Changed("user", user(key, label), user(key, old), **more)


def removed(key, label="a", **more):
    return Removed("user", user(key, label), **more)


def next_now(items):
    """Return the next item without waiting; ``None`` if there is none."""
    step = items.__anext__()
    try:
        while step.send(None) is None:
            pass  # the iterator has yielded to the event loop
    except StopIteration as stop:
        return stop.value
    finally:
        step.close()
    return None


def drain(items):
    """Return all items that wait."""
    return list(iter(lambda: next_now(items), None))


def apply_change(held, item):
    """Apply a change to the elements that a subscriber holds."""
    if isinstance(item, Gap):
        return
    place = (item.element_name, item.key)
    if isinstance(item, Added):
        assert place not in held, "added twice"
        held[place] = item.element
    elif isinstance(item, Changed):
        assert place in held, "changed what is not there"
        held[place] = item.element
    else:
        assert place in held, "removed what is not there"
        del held[place]


@pytest.mark.parametrize("policy", POLICIES)
async def test_queue_keeps_items_up_to_its_size(policy):
    """Up to the size of the queue, every policy delivers all items in order."""
    items = [added(1), changed(1, "b"), removed(1, "b"), GAP]
    one = subscription(policy)
    for item in items:
        one.offer(item)
    assert one.waiting == 4
    assert drain(one) == items
    assert one.waiting == 0


@pytest.mark.parametrize("policy", POLICIES)
async def test_iteration_waits_for_the_next_item(policy):
    one = subscription(policy)
    waiting = asyncio.create_task(anext(one))
    await asyncio.sleep(0)
    assert not waiting.done()
    one.offer(added(1))
    assert await waiting == added(1)


@pytest.mark.parametrize("policy", POLICIES)
async def test_cancelled_wait_loses_no_item(policy):
    """A wait that is cancelled while an item arrives leaves the item for the next wait."""
    one = subscription(policy)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await anext(one)
    waiting = asyncio.create_task(anext(one))
    await asyncio.sleep(0)
    one.offer(added(1))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    one.offer(added(2))
    assert drain(one) == [added(1), added(2)]


async def test_wait_for_loses_no_item():
    """However often asyncio.wait_for times out, every item is delivered once, in order."""
    one = subscription("drop_oldest", 1000)
    seen = []

    async def read():
        while len(seen) < 200:
            try:
                seen.append(await asyncio.wait_for(anext(one), 0.0005))
            except TimeoutError:
                continue

    reading = asyncio.create_task(read())
    for number in range(200):
        one.offer(added(number))
        await asyncio.sleep(0.0004)
    await asyncio.wait_for(reading, 10)
    assert seen == [added(number) for number in range(200)]


# -- end of a subscription ----------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
async def test_end_comes_after_waiting_items(policy):
    """After the end, waiting items are delivered; then the iteration stops for good."""
    one = subscription(policy)
    one.offer(added(1))
    one.end(None)
    one.offer(added(2))
    assert [item async for item in one] == [added(1)]
    assert [item async for item in one] == []


async def test_end_with_an_error_raises_it_each_time():
    """The error of the first end is raised after the waiting items."""
    one, error = subscription(), ConnectionLost(1006)
    one.offer(added(1))
    one.end(error)
    one.end(None)
    assert await anext(one) == added(1)
    for _ in range(2):
        with pytest.raises(ConnectionLost) as caught:
            await anext(one)
        assert caught.value is error


@pytest.mark.parametrize("ending", [None, ConnectionLost(1006)])
async def test_end_wakes_a_waiting_reader(ending):
    one = subscription()

    async def read():
        return [item async for item in one]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    one.end(ending)
    (outcome,) = await asyncio.gather(reading, return_exceptions=True)
    assert outcome == ([] if ending is None else ending)


async def test_closed_subscription_drops_its_items_and_ends():
    """A closed subscription leaves its client; closing it twice is allowed."""
    one = subscription()
    one.offer(added(1))
    one.close()
    one.close()
    one.offer(added(2))
    assert set(one.left) == {one}
    assert one.waiting == 0
    assert [item async for item in one] == []


async def test_with_block_closes_the_subscription():
    with subscription() as one:
        assert one.left == []
        one.offer(added(1))
        async for item in one:
            assert item == added(1)
            break
    assert one.left == [one]
    one.offer(added(2))
    assert [item async for item in one] == []


async def test_filtered_items_are_not_queued():
    """Items that the filter rejects neither wait nor count."""
    one = subscription("drop_oldest", 1, lambda item: item.key == 2)
    for key in (1, 2, 1, 2, 1):
        one.offer(added(key))
    assert drain(one) == [Lagged(1), added(2)]


@pytest.mark.parametrize("policy", ["newest", "", None, "LATEST"])
def test_unknown_policy_is_a_usage_error(policy):
    """The error names the three policies."""
    with pytest.raises(UsageError, match="'latest', 'drop_oldest' or 'fail'"):
        subscription(policy)


@pytest.mark.parametrize("size", [0, -1])
def test_queue_size_is_at_least_one(size):
    with pytest.raises(UsageError, match="size must be an int of 1 or more"):
        subscription("latest", size)


def test_default_queue_size_is_1024():
    assert QUEUE_SIZE == 1024


# -- drop_oldest ----------------------------------------------------------------------------


async def test_drop_oldest_reports_missed_items_once():
    """Beyond the size, the oldest items are dropped; one Lagged tells their number."""
    one = subscription("drop_oldest", 3)
    for key in range(10):
        one.offer(added(key))
    assert one.waiting == 3
    assert drain(one) == [Lagged(7), added(7), added(8), added(9)]
    one.offer(added(10))
    assert drain(one) == [added(10)]


@given(size=st.integers(1, 5), steps=st.lists(st.integers(-3, 4), max_size=40))
async def test_drop_oldest_delivers_or_counts_each_item(size, steps):
    """Each item is delivered in order, or counted by the one Lagged before the next item."""
    one, model, missed = subscription("drop_oldest", size), deque(), 0
    numbers = itertools.count()
    for step in steps:
        for _ in range(step):
            number = next(numbers)
            one.offer(added(number))
            model.append(number)
            if len(model) > size:
                model.popleft()
                missed += 1
        for _ in range(-step):
            item = next_now(one)
            if missed:
                assert item == Lagged(missed)
                missed = 0
            elif model:
                assert item == added(model.popleft())
            else:
                assert item is None
    rest = [Lagged(missed)] if missed else []
    assert drain(one) == rest + [added(number) for number in model]


# -- fail -------------------------------------------------------------------------------------


async def test_fail_ends_the_iteration_on_overflow():
    """One item beyond the size ends the iteration with SubscriberLagged."""
    one = subscription("fail", 2)
    one.offer(added(1))
    one.offer(added(2))
    assert one.left == []
    one.offer(added(3))
    assert one.left == [one]
    one.offer(added(4))
    assert one.waiting == 0
    for _ in range(2):
        with pytest.raises(SubscriberLagged) as caught:
            await anext(one)
        assert caught.value.size == 2


async def test_fail_does_not_end_a_fast_reader():
    one = subscription("fail", 2)
    for key in range(0, 100, 2):
        one.offer(added(key))
        one.offer(added(key + 1))
        assert drain(one) == [added(key), added(key + 1)]


# -- latest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "net"),
    [
        ([added(1), changed(1, "b")], [added(1, "b")]),
        ([added(1), changed(1, "b"), removed(1, "b")], []),
        ([added(1), removed(1), added(1, "c")], [added(1, "c")]),
        ([changed(1, "b"), changed(1, "c", "b")], [changed(1, "c")]),
        ([changed(1, "b"), changed(1, "a", "b")], []),
        ([changed(1, "b"), removed(1, "z")], [removed(1, "z")]),
        ([changed(1, "b"), removed(1, "b"), added(1, "c")], [changed(1, "c")]),
        ([changed(1, "b"), removed(1, "b"), added(1, "a")], []),
        ([removed(1), added(1, "b")], [changed(1, "b")]),
        ([removed(1), added(1, "b"), removed(1, "b")], [removed(1)]),
        ([added(1), added(2), changed(1, "b")], [added(2), added(1, "b")]),
        ([added(1), GAP, changed(1, "b", synthetic=True)], [GAP, added(1, "b", synthetic=True)]),
        ([GAP, GAP], [GAP]),
        ([GAP, added(1), LATER], [added(1), Gap(NOON, LATER.ended, LATER.reason)]),
    ],
)
async def test_latest_delivers_the_net_change(items, net):
    """Beyond the size, the changes of an element merge to one, from the known to the last state."""
    one = subscription("latest", 1)
    for item in items:
        one.offer(item)
    assert drain(one) == net


async def test_latest_reports_an_element_that_was_removed_and_came_back_different():
    """The subscriber holds a; the element is removed as b and added as b: that is a change."""
    one = subscription("latest", 1)
    one.offer(removed(1, "b"))
    one.offer(added(1, "b"))
    (change,) = drain(one)
    assert isinstance(change, Changed)
    assert change.element == user(1, "b")


async def test_latest_keeps_kinds_with_equal_keys_apart():
    one = subscription("latest", 1)
    terminal = Added("terminal", user(1))
    one.offer(added(1))
    one.offer(terminal)
    one.offer(changed(1, "b"))
    assert drain(one) == [terminal, added(1, "b")]


async def test_latest_merges_elements_without_key_by_position():
    items = subscription(size=1)
    for position in (0, 1):
        items.offer(Added("user", user(None, "a"), position=position))
        items.offer(Changed("user", user(None, "b"), user(None, "a"), position=position))
    first = next_now(items), next_now(items)
    assert first == tuple(Added("user", user(None, "b"), position=at) for at in (0, 1))
    for position in (0, 1):
        items.offer(Changed("user", user(None, "c"), user(None, "b"), position=position))
        items.offer(Changed("user", user(None, "d"), user(None, "c"), position=position))
    second = next_now(items), next_now(items)
    assert second == tuple(
        Changed("user", user(None, "d"), user(None, "b"), position=at) for at in (0, 1)
    )


async def test_latest_forgets_elements_that_were_added_and_removed():
    """For a blocked subscriber, calls that started and ended meanwhile take no memory."""
    one = subscription("latest", 2)
    for key in range(500):
        call = Channel(uuid=str(key))
        one.offer(Added("channel", call))
        one.offer(Removed("channel", call))
    assert one.waiting <= 4
    assert drain(one) in ([], [Added("channel", Channel(uuid="0")), Removed("channel", call)])


async def test_latest_stops_merging_once_drained():
    one = subscription("latest", 2)
    for label in "bcdef":
        one.offer(changed(1, label))
    assert drain(one) == [changed(1, "f")]
    items = [changed(1, "g", "f"), changed(1, "h", "g")]
    for item in items:
        one.offer(item)
    assert drain(one) == items


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(1, 3), st.sampled_from("abc")),
        st.tuples(st.just("set"), st.integers(1, 3), st.sampled_from("abc")),
        st.tuples(st.just("remove"), st.integers(1, 3), st.sampled_from("abc")),
        st.tuples(st.just("gap")),
        st.tuples(st.just("take"), st.integers(1, 4)),
    ),
    max_size=60,
)


def covers(delivered, offered):
    """Return True if each offered gap lies within exactly one delivered gap.

    Delivered gaps start and end where offered gaps do.
    """
    return (
        [gap.started for gap in delivered] == sorted({gap.started for gap in delivered})
        and {gap.started for gap in delivered} <= {gap.started for gap in offered}
        and {gap.ended for gap in delivered} <= {gap.ended for gap in offered}
        and all(
            sum(one.started <= gap.started and gap.ended <= one.ended for one in delivered) == 1
            for gap in offered
        )
    )


@settings(max_examples=400)
@given(size=st.integers(1, 4), steps=STEPS, known=st.sets(st.integers(1, 3)))
@pytest.mark.slow
async def test_latest_always_ends_with_the_current_state(size, steps, known):
    """However slow it is, a subscriber that applies all merged changes holds the current state."""
    one = subscription("latest", size)
    state = {("user", key): user(key) for key in known}
    held = dict(state)
    offered, delivered = [], []

    def take(count):
        for item in itertools.takewhile(bool, (next_now(one) for _ in range(count))):
            apply_change(held, item)
            if isinstance(item, Gap):
                delivered.append(item)

    for step in steps:
        match step:
            case ("set", key, label) if state.get(("user", key)) != user(key, label):
                old, new = state.get(("user", key)), user(key, label)
                state["user", key] = new
                one.offer(Added("user", new) if old is None else Changed("user", new, old))
            case ("remove", key, label):
                if state.pop(("user", key), None):
                    one.offer(removed(key, label))
            case ("gap",):
                began = NOON + timedelta(seconds=len(offered))
                offered.append(Gap(began, began + timedelta(milliseconds=1), None))
                one.offer(offered[-1])
            case ("take", count):
                take(count)
    take(100)
    assert held == state
    assert covers(delivered, offered)


@given(
    size=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 3)), max_size=60),
)
@pytest.mark.slow
async def test_latest_keeps_the_order_of_each_key(size, steps):
    """The changes delivered for a key are a subsequence of those offered and end with the last.

    Versions only grow here, so that the elements show the order.
    """
    one = subscription("latest", size)
    state, seen, numbers = {}, {}, itertools.count(1)

    def take(item):
        version = int(item.element.label)
        assert version > seen.get(item.key, 0)
        assert not isinstance(item, Changed) or item.old != item.element
        seen[item.key] = version

    for key, remove, takes in steps:
        old, new = state.get(key), user(key, str(next(numbers)))
        if remove and old is not None:
            del state[key]
            one.offer(Removed("user", new))
        elif not remove:
            state[key] = new
            one.offer(Added("user", new) if old is None else Changed("user", new, old))
        for item in itertools.takewhile(bool, (next_now(one) for _ in range(takes))):
            take(item)
    for item in drain(one):
        take(item)
    for key, element in state.items():
        assert seen[key] == int(element.label)


# -- sets of subscribers -------------------------------------------------------------------


def report_nothing(error, subscription):
    raise AssertionError(f"{subscription}: {error}")


async def test_set_offers_items_to_all_its_subscribers():
    """Each subscriber is offered each item until it is discarded."""
    subscribers, one, other = SubscriberSet(), subscription(), subscription()
    subscribers.add(one)
    subscribers.offer(added(1), report_nothing)
    subscribers.add(other)
    subscribers.offer(added(2), report_nothing)
    assert list(subscribers) == [one, other]
    subscribers.discard(one)
    subscribers.discard(one)  # a second time is allowed
    subscribers.offer(added(3), report_nothing)
    assert list(subscribers) == [other]
    assert drain(one) == [added(1), added(2)]
    assert drain(other) == [added(2), added(3)]


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError()])
async def test_error_of_a_filter_affects_no_other_subscriber(error):
    """The error is reported with the filter."""

    def raises(_):
        raise error

    subscribers, reports = SubscriberSet(), []
    one, other = subscription(wants=raises), subscription()
    for each in (one, other):
        subscribers.add(each)
    subscribers.offer(added(1), lambda *report: reports.append(report))
    assert reports == [(error, raises)]
    assert drain(one) == []
    assert drain(other) == [added(1)]


async def test_set_does_not_keep_subscriptions_alive():
    subscribers, kept = SubscriberSet(), subscription()
    subscribers.add(subscription())
    subscribers.add(kept)
    gc.collect()
    assert list(subscribers) == [kept]
    subscribers.offer(added(1), report_nothing)
    assert drain(kept) == [added(1)]


def test_set_forgets_dropped_subscriptions():
    """References to dropped subscriptions are removed when the set has doubled."""
    subscribers, kept = SubscriberSet(), subscription()
    subscribers.add(kept)
    for _ in range(1000):
        subscribers.add(subscription())
        assert len(subscribers) <= 17
    assert list(subscribers) == [kept]
    subscribers.discard(kept)
    assert list(subscribers) == []


async def test_offer_forgets_dropped_subscriptions():
    """Later items do not pay for subscriptions that were dropped without being closed."""
    subscribers, kept = SubscriberSet(), subscription()
    dropped = [subscription() for _ in range(100)]
    for one in [*dropped, kept]:
        subscribers.add(one)
    subscribers.offer(added(1), report_nothing)
    del one
    dropped.clear()
    gc.collect()
    subscribers.offer(added(2), report_nothing)
    assert len(subscribers) == 1
    subscribers.offer(added(3), report_nothing)
    assert drain(kept) == [added(1), added(2), added(3)]


async def test_subscription_may_be_dropped_while_an_item_is_offered():
    subscribers = SubscriberSet()
    others = [subscription()]

    def drops(_):
        others.clear()
        gc.collect()
        return True

    first = subscription(wants=drops)
    subscribers.add(first)
    subscribers.add(others[0])
    subscribers.offer(added(1), report_nothing)
    assert list(subscribers) == [first]
    assert drain(first) == [added(1)]


@pytest.mark.slow
async def test_100_000_merged_changes_are_read_in_order():
    one = subscription("latest", 1)
    for key in range(100_000):
        one.offer(added(key))
    assert [item.key for item in drain(one)] == [*range(100_000)]


@pytest.mark.parametrize("size", [10, 1000])
async def test_reading_many_items_yields_to_the_event_loop(size):
    """A loop over waiting items, merged or not, yields to the event loop regularly."""
    one = subscription("latest", size)
    for key in range(1000):
        one.offer(added(key))
        one.offer(changed(key, "b"))
        one.offer(changed(key, "a", "b"))
    one.end(None)
    taken, counts = 0, []

    def tick():
        counts.append(taken)
        loop.call_soon(tick)

    loop = asyncio.get_running_loop()
    tick()
    async for _ in one:
        taken += 1
    assert taken == 1000
    assert max(b - a for a, b in itertools.pairwise(counts)) <= time_slice.SLICE_STEPS
    assert len(counts) >= 1000 // time_slice.SLICE_STEPS


async def test_skipping_merged_changes_yields_to_the_event_loop():
    """The same holds for changes that cancel each other out."""
    one = subscription("latest", 1)
    for key in range(1000):
        one.offer(changed(key, "b"))
        one.offer(changed(key, "a", "b"))
    seen = []
    asyncio.get_running_loop().call_soon(seen.append, one)
    one.end(None)
    assert [item async for item in one] == []
    assert seen == [one]


async def test_item_of_an_earlier_moment_skips_later_subscribers():
    """It also skips those that have left or are gone."""
    subscribers = SubscriberSet()
    first, second, third, later = (subscription() for _ in range(4))
    for one in (first, second, third):
        subscribers.add(one)
    number = subscribers.last_number
    subscribers.add(later)
    second.close()
    assert list(subscribers) == [first, second, third, later]
    del third
    gc.collect()
    subscribers.offer(added(1), None, number)
    assert drain(first) == [added(1)]
    assert drain(later) == []
    assert second.waiting == 0
    subscribers.offer(added(2), None)
    assert drain(later) == [added(2)]


# -- in a client ----------------------------------------------------------------------------


@on_virtual_clock
async def test_fast_subscriber_loses_nothing_in_a_burst():
    """A subscriber that reads at once loses none of thousands of messages."""
    seen, called = [], []

    async def callback(_, user, __):
        called.append(user.label)

    async def read(changes):
        async for change in changes:
            seen.append(change.element.label)

    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        client.on_info_event(callback)
        reading = asyncio.create_task(read(client.changes(policy="fail")))
        pbx.connections[0].pace = None
        for _ in range(5000):
            pbx.set_user(1)
        await asyncio.sleep(1)
        assert client.stats.missed == 0
    await reading
    assert seen == called == [str(number) for number in range(1, 5001)]


async def test_client_forgets_dropped_subscriptions():
    """A subscription that nothing refers to needs no closing."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        pbx.call()
        changes = client.changes()
        await anext(changes)
        references = [weakref.ref(one) for one in (changes, client.messages())]
        del changes
        gc.collect()
        assert [one() for one in references] == [None, None]


@pytest.mark.slow
async def test_reading_task_without_references_is_not_collected():
    """The client keeps a task alive that waits for changes."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        seen = []

        async def read():
            async for change in client.changes():
                seen.append(change)

        asyncio.create_task(read())  # noqa: RUF006 - the point of it
        await asyncio.sleep(0.01)
        for count in (1, 2):
            gc.collect()
            pbx.call()
            await eventually(lambda count=count: len(seen) > count)
    gc.collect()


@on_virtual_clock
async def test_filter_that_can_never_work_ends_the_subscription():
    left = []

    def wants(item):
        raise UsageError("where is async")

    changes = Subscription("latest", 8, wants, left.append)
    with pytest.raises(UsageError):
        changes.offer(added(1))
    assert left == [changes]
    changes.offer(added(2))
    with pytest.raises(UsageError, match="where is async"):
        await anext(changes)


# == sets with subscribers that are behind =================================================


def offer_all(subscribers, *items):
    for item in items:
        subscribers.offer(item, report_nothing)


@pytest.mark.parametrize(
    ("selection", "keys"),
    [
        (Selection(), [2, 1, 3]),
        (Selection(kind="user"), [2, 1, 3]),
        (Selection(key=2), [2]),
        (Selection(kind="channel"), []),
        (Selection(where=lambda change: change.key < 2), [1]),
    ],
)
@pytest.mark.parametrize("size", [1, 10])
async def test_selection_applies_to_direct_and_to_merged_changes(selection, keys, size):
    """A gap passes every selection."""
    subscribers, one = SubscriberSet(), subscription(size=size, wants=selection)
    subscribers.add(one)
    offer_all(subscribers, added(2), added(1), GAP, added(3))
    items = drain(one)
    assert [item.key for item in items if item != GAP] == keys
    assert items.count(GAP) == 1


async def test_finished_subscription_takes_no_more_items():
    one = subscription()
    one.offer(added(1))
    one.finish()
    one.offer(added(2))
    assert one.left == [one]
    assert [item async for item in one] == [added(1)]


async def test_change_that_the_next_batch_changes_again_is_merged_with_it():
    """A reader stays at the start of the first batch while another one has read on."""
    subscribers, one, other = SubscriberSet(), subscription(size=1), subscription(size=1)
    subscribers.add(one)
    subscribers.add(other)
    offer_all(subscribers, added(1), added(2), added(3))
    assert next_now(other) == added(1)
    offer_all(subscribers, changed(1, "b"), changed(2, "b"))
    assert one.waiting == 5
    assert drain(one) == [added(3), added(1, "b"), added(2, "b")]
    assert drain(other) == [added(2), added(3), changed(1, "b"), changed(2, "b")]


async def test_changes_without_an_effect_are_left_out_of_a_merge():
    subscribers, one = SubscriberSet(), subscription(size=2)
    subscribers.add(one)
    offer_all(subscribers, changed(1, "b"), changed(1, "a", "b"), added(2))
    assert drain(one) == [added(2)]


async def test_discarded_subscriber_that_is_behind_needs_no_changes():
    subscribers = SubscriberSet()
    one = Subscription("latest", 1, None, subscribers.discard)
    subscribers.add(one)
    offer_all(subscribers, added(1), added(2))
    assert one.waiting == 2
    one.close()
    offer_all(subscribers, added(3))
    assert one.waiting == 0


async def test_dropped_subscriber_that_is_behind_is_forgotten():
    """The others get their changes, also after the next searches for batches to merge."""
    subscribers, kept, dropped = SubscriberSet(), subscription(size=1), subscription(size=1)
    subscribers.add(kept)
    subscribers.add(dropped)
    offer_all(subscribers, added(1), added(2))
    reference = weakref.ref(dropped)
    del dropped
    gc.collect()
    for _ in range(2 * SEARCH_INTERVAL):
        offer_all(subscribers, changed(1, "b"))
    assert reference() is None
    assert drain(kept) == [added(2), added(1, "b")]
    assert list(subscribers) == [kept]


async def test_repr_shows_the_queue():
    subscription = Subscription("fail", 5, None, lambda _: None)
    assert repr(subscription) == "<Subscription open, 0 of 5 items queued>"
    subscription.offer(1)
    assert repr(subscription) == "<Subscription open, 1 of 5 items queued>"
    subscription.end(None)
    assert repr(subscription) == "<Subscription ended, 1 of 5 items queued>"
