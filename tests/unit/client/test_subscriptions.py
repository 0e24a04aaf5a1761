from __future__ import annotations

import asyncio
import gc
import itertools
from collections import OrderedDict, deque
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.client_schedules import (
    connected,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import run
from support.waiting import eventually

from basix_ws_cti import (
    Channel,
    UsageError,
    User,
)
from basix_ws_cti._internal import time_slice
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import QUEUE_SIZE, SubscriberSet, Subscription
from basix_ws_cti.exceptions import ConnectionLost, SubscriberLagged
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed
from basix_ws_cti.simulator import Simulator

POLICIES = ("latest", "drop_oldest", "fail")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GAP = Gap(NOON, NOON, None)
LATER = Gap(NOON + timedelta(1), NOON + timedelta(2), ConnectionLost(1006))


def subscription(policy="latest", size=4, wants=None):
    left = []
    made = Subscription(policy, size, wants, left.append)
    made.left = left
    return made


def user(key, label="a"):
    return User(id=key, label=label)


def added(key, label="a", **more):
    return Added("user", user(key, label), **more)


def changed(key, label, old="a", **more):
    return Changed("user", user(key, label), user(key, old), **more)


def removed(key, label="a", **more):
    return Removed("user", user(key, label), **more)


class Idle:
    """Stands in for the event that an iterator waits for, where there is no event loop."""

    set = clear = lambda self: None

    def wait(self):
        return self

    def __await__(self):
        yield self


def at_once(items):
    """What the next step of an iterator gives without waiting; ``None``: it would wait."""
    items._ready, ready = Idle(), items._ready
    step = items.__anext__()
    try:
        while step.send(None) is None:
            pass  # it let others have their turn
    except StopIteration as stop:
        return stop.value
    finally:
        step.close()
        items._ready = ready
    return None


def drain(items):
    """All that there is without waiting."""
    return list(iter(lambda: at_once(items), None))


def fold(held, item):
    """Take a change into what a subscriber holds, if that can follow on what it holds."""
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
def test_what_fits_comes_as_it_was_offered(policy):
    """Up to the size of the queue, every policy gives exactly what was offered, in order."""
    items = [added(1), changed(1, "b"), removed(1, "b"), GAP]
    one = subscription(policy)
    for item in items:
        one.offer(item)
    assert one.waiting == 4
    assert drain(one) == items
    assert one.waiting == 0


@pytest.mark.parametrize("policy", POLICIES)
async def test_it_waits_for_what_is_offered(policy):
    """An iteration with nothing to give waits, and goes on with the next item."""
    one = subscription(policy)
    waiting = asyncio.create_task(anext(one))
    await asyncio.sleep(0)
    assert not waiting.done()
    one.offer(added(1))
    assert await waiting == added(1)


@pytest.mark.parametrize("policy", POLICIES)
async def test_cancelling_the_wait_loses_nothing(policy):
    """A wait that is cancelled, even at the moment an item comes, leaves the item for the next."""
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


async def test_wait_for_loses_nothing():
    """However often asyncio.wait_for gives up on it, every item comes once, in order."""
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


# -- the ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
async def test_an_end_comes_after_what_waits(policy):
    """What waits at the end is given still, then the iteration stops, and stays stopped."""
    one = subscription(policy)
    one.offer(added(1))
    one.end(None)
    one.offer(added(2))
    assert [item async for item in one] == [added(1)]
    assert [item async for item in one] == []


async def test_an_end_with_an_error():
    """An end with an error raises it after what waits, each time; the first end counts."""
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
async def test_an_end_wakes_who_waits(ending):
    """Who waits when the end comes is told of it."""
    one = subscription()

    async def read():
        return [item async for item in one]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    one.end(ending)
    (outcome,) = await asyncio.gather(reading, return_exceptions=True)
    assert outcome == ([] if ending is None else ending)


async def test_closing():
    """A closed subscription leaves its client, forgets what waits, and ends; twice is harmless."""
    one = subscription()
    one.offer(added(1))
    one.close()
    one.close()
    one.offer(added(2))
    assert set(one.left) == {one}
    assert one.waiting == 0
    assert [item async for item in one] == []


async def test_the_with_block_closes():
    """Leaving its with block closes a subscription."""
    with subscription() as one:
        assert one.left == []
        one.offer(added(1))
        async for item in one:
            assert item == added(1)
            break
    assert one.left == [one]
    one.offer(added(2))
    assert [item async for item in one] == []


def test_what_is_not_wanted_does_not_wait():
    """Only what the filter is true for waits, and counts."""
    one = subscription("drop_oldest", 1, lambda item: item.key == 2)
    for key in (1, 2, 1, 2, 1):
        one.offer(added(key))
    assert drain(one) == [Lagged(1), added(2)]


@pytest.mark.parametrize("policy", ["newest", "", None, "LATEST"])
def test_the_policy_is_one_of_three(policy):
    """Another policy is a UsageError that names the three."""
    with pytest.raises(UsageError, match="'latest', 'drop_oldest' or 'fail'"):
        subscription(policy)


@pytest.mark.parametrize("size", [0, -1])
def test_a_queue_holds_something(size):
    """A queue for no item is a UsageError."""
    with pytest.raises(UsageError, match="size must be at least 1"):
        subscription("latest", size)


def test_the_default_size():
    """The size that the issue names."""
    assert QUEUE_SIZE == 1024


# -- drop_oldest ----------------------------------------------------------------------------


def test_drop_oldest():
    """The oldest are lost beyond the size, and one Lagged in their place says how many."""
    one = subscription("drop_oldest", 3)
    for key in range(10):
        one.offer(added(key))
    assert one.waiting == 3
    assert drain(one) == [Lagged(7), added(7), added(8), added(9)]
    one.offer(added(10))
    assert drain(one) == [added(10)]


@given(size=st.integers(1, 5), steps=st.lists(st.integers(-3, 4), max_size=40))
def test_drop_oldest_counts_exactly(size, steps):
    """Each item comes, in order, or is counted by the one Lagged before the next that comes."""
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
            item = at_once(one)
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


async def test_fail():
    """One item too many ends the iteration with SubscriberLagged, and leaves the client."""
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


def test_fail_goes_on_with_who_keeps_up():
    """Who is never more than the size behind never fails."""
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
        ([removed(1), added(1, "b"), removed(1, "b")], [removed(1, "b")]),
        ([added(1), added(2), changed(1, "b")], [added(2), added(1, "b")]),
        ([added(1), GAP, changed(1, "b", synthetic=True)], [GAP, added(1, "b", synthetic=True)]),
        ([GAP, GAP], [GAP]),
        ([GAP, added(1), LATER], [added(1), Gap(NOON, LATER.ended, LATER.reason)]),
    ],
)
def test_latest_says_the_net_change(items, net):
    """Beyond the size, what waits for an element is one change from the known to the last."""
    one = subscription("latest", 1)
    for item in items:
        one.offer(item)
    assert drain(one) == net


def test_latest_ends_at_the_truth_after_a_removal():
    """What was removed as another than the subscriber knew, and is back as such, is told.

    The subscriber holds a; it is removed as b and comes back as b: there is news.
    """
    one = subscription("latest", 1)
    one.offer(removed(1, "b"))
    one.offer(added(1, "b"))
    (told,) = drain(one)
    assert isinstance(told, Changed)
    assert told.element == user(1, "b")


def test_latest_of_kinds_with_the_same_key():
    """Two kinds may use the same keys, and are not mixed up."""
    one = subscription("latest", 1)
    terminal = Added("terminal", user(1))
    one.offer(added(1))
    one.offer(terminal)
    one.offer(changed(1, "b"))
    assert drain(one) == [terminal, added(1, "b")]


def test_latest_of_what_has_no_key():
    """Elements without a key are merged each with itself, by their positions."""
    items = subscription(size=1)
    for position in (0, 1):
        items.offer(Added("user", user(None, "a"), position=position))
        items.offer(Changed("user", user(None, "b"), user(None, "a"), position=position))
    first = at_once(items), at_once(items)
    assert first == tuple(Added("user", user(None, "b"), position=at) for at in (0, 1))
    for position in (0, 1):
        items.offer(Changed("user", user(None, "c"), user(None, "b"), position=position))
        items.offer(Changed("user", user(None, "d"), user(None, "c"), position=position))
    second = at_once(items), at_once(items)
    assert second == tuple(
        Changed("user", user(None, "d"), user(None, "b"), position=at) for at in (0, 1)
    )


def test_latest_forgets_what_came_and_went():
    """For a subscriber that hangs, calls that came and went meanwhile take no memory."""
    one = subscription("latest", 2)
    for key in range(500):
        call = Channel(uuid=str(key))
        one.offer(Added("channel", call))
        one.offer(Removed("channel", call))
    assert one.waiting <= 4
    assert drain(one) in ([], [Added("channel", Channel(uuid="0")), Removed("channel", call)])


def test_latest_is_exact_again_once_drained():
    """After merged items are drained, what fits the queue comes as offered."""
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


def covers(told, offered):
    """Whether each gap is within one that was told, and each of those is from one to another."""
    return (
        [gap.started for gap in told] == sorted({gap.started for gap in told})
        and {gap.started for gap in told} <= {gap.started for gap in offered}
        and {gap.ended for gap in told} <= {gap.ended for gap in offered}
        and all(
            sum(one.started <= gap.started and gap.ended <= one.ended for one in told) == 1
            for gap in offered
        )
    )


@settings(max_examples=400)
@given(size=st.integers(1, 4), steps=STEPS, known=st.sets(st.integers(1, 3)))
@pytest.mark.slow
def test_latest_always_ends_at_the_truth(size, steps, known):
    """Whatever happens and however slow it is, what a `latest` subscriber folds is the truth."""
    one = subscription("latest", size)
    truth = {("user", key): user(key) for key in known}
    held = dict(truth)
    offered, told = [], []

    def take(count):
        for item in itertools.takewhile(bool, (at_once(one) for _ in range(count))):
            fold(held, item)
            if isinstance(item, Gap):
                told.append(item)

    for step in steps:
        match step:
            case ("set", key, label) if truth.get(("user", key)) != user(key, label):
                old, new = truth.get(("user", key)), user(key, label)
                truth["user", key] = new
                one.offer(Added("user", new) if old is None else Changed("user", new, old))
            case ("remove", key, label):
                if truth.pop(("user", key), None):
                    one.offer(removed(key, label))
            case ("gap",):
                began = NOON + timedelta(seconds=len(offered))
                offered.append(Gap(began, began + timedelta(milliseconds=1), None))
                one.offer(offered[-1])
            case ("take", count):
                take(count)
    take(100)
    assert held == truth
    assert covers(told, offered)


@given(
    size=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 3)), max_size=60),
)
@pytest.mark.slow
def test_latest_keeps_the_order_for_each_key(size, steps):
    """What comes for a key is an ordered part of what was offered for it, and ends with its last.

    Versions only grow here, so that order can be told from the elements alone.
    """
    one = subscription("latest", size)
    truth, seen, numbers = {}, {}, itertools.count(1)

    def take(item):
        version = int(item.element.label)
        assert version > seen.get(item.key, 0)
        assert not isinstance(item, Changed) or item.old != item.element
        seen[item.key] = version

    for key, remove, takes in steps:
        old, new = truth.get(key), user(key, str(next(numbers)))
        if remove and old is not None:
            del truth[key]
            one.offer(Removed("user", new))
        elif not remove:
            truth[key] = new
            one.offer(Added("user", new) if old is None else Changed("user", new, old))
        for item in itertools.takewhile(bool, (at_once(one) for _ in range(takes))):
            take(item)
    for item in drain(one):
        take(item)
    for key, element in truth.items():
        assert seen[key] == int(element.label)


# -- many of them -------------------------------------------------------------------------


def report_nothing(error, subscription):
    raise AssertionError(f"{subscription}: {error}")


def test_all_are_told():
    """Everybody who was added is offered each item, until it is discarded."""
    everybody, one, other = SubscriberSet(), subscription(), subscription()
    everybody.add(one)
    everybody.offer(added(1), report_nothing)
    everybody.add(other)
    everybody.offer(added(2), report_nothing)
    assert list(everybody) == [one, other]
    everybody.discard(one)
    everybody.discard(one)  # it may have gone already
    everybody.offer(added(3), report_nothing)
    assert list(everybody) == [other]
    assert drain(one) == [added(1), added(2)]
    assert drain(other) == [added(2), added(3)]


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError()])
def test_a_filter_that_raises(error):
    """What a filter raises is reported, with whose it is, and harms nobody else."""

    def raises(_):
        raise error

    everybody, reports = SubscriberSet(), []
    one, other = subscription(wants=raises), subscription()
    for each in (one, other):
        everybody.add(each)
    everybody.offer(added(1), lambda *report: reports.append(report))
    assert reports == [(error, one)]
    assert drain(one) == []
    assert drain(other) == [added(1)]


def test_nobody_is_kept_alive():
    """A subscription that nobody holds any more is forgotten."""
    everybody, kept = SubscriberSet(), subscription()
    everybody.add(subscription())
    everybody.add(kept)
    gc.collect()
    assert list(everybody) == [kept]
    everybody.offer(added(1), report_nothing)
    assert drain(kept) == [added(1)]


@pytest.mark.slow
def test_nobody_is_remembered():
    """Of many that come and are dropped nothing is left, though nothing is done as they are."""
    everybody, kept = SubscriberSet(), subscription()
    everybody.add(kept)
    for _ in range(10):
        everybody.add(subscription())
        gc.collect()
    everybody.discard(kept)
    assert everybody._references == ()


def test_leaving_while_told():
    """Who goes while an item is offered, by its own doing or another's, is no error."""
    everybody = SubscriberSet()
    others = [subscription()]

    def drops(_):
        others.clear()
        gc.collect()
        return True

    first = subscription(wants=drops)
    everybody.add(first)
    everybody.add(others[0])
    everybody.offer(added(1), report_nothing)
    assert list(everybody) == [first]
    assert drain(first) == [added(1)]


@pytest.mark.slow
def test_latest_takes_time_in_proportion():
    """Who comes back to 100,000 merged changes is not looking for the first of them each time."""
    one = subscription("latest", 1)
    for key in range(100_000):
        one.offer(added(key))
    assert isinstance(one._merged, OrderedDict)  # a dict steps over all that went before
    assert [item.key for item in drain(one)] == [*range(100_000)]


@pytest.mark.parametrize("size", [10, 1000])
async def test_who_takes_much_lets_others_go_on(size):
    """A loop over what waits already, merged or not, gives others their turn now and then."""
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


async def test_merging_to_nothing_lets_others_go_on():
    """So does looking through changes of which nothing is left."""
    one = subscription("latest", 1)
    for key in range(1000):
        one.offer(changed(key, "b"))
        one.offer(changed(key, "a", "b"))
    seen = []
    asyncio.get_running_loop().call_soon(seen.append, one)
    one.end(None)
    assert [item async for item in one] == []
    assert seen == [one]


def test_those_of_now():
    """Who is told now is, as long as they live and have not left; who comes later is not."""
    subscribers = SubscriberSet()
    first, second, third, later = (subscription() for _ in range(4))
    for one in (first, second, third):
        subscribers.add(one)
    those = subscribers.frozen()
    subscribers.add(later)
    second.close()
    assert list(those) == [first, second, third]
    del third
    gc.collect()
    those.offer(added(1), None)
    assert drain(first) == [added(1)]
    assert drain(later) == []
    assert second.waiting == 0
    subscribers.offer(added(2), None)
    assert drain(later) == [added(2)]


# -- in a client ---


def test_a_burst_does_not_overrun_who_keeps_up():
    """Of thousands of messages that have arrived at once, a prompt subscriber loses none."""
    seen, called = [], []

    async def callback(_, user, __):
        called.append(user.label)

    async def read(changes):
        async for change in changes:
            seen.append(change.element.label)

    async def main():
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

    run(main())
    assert seen == called == [str(number) for number in range(1, 5001)]


async def test_a_subscription_that_is_dropped_is_forgotten():
    """What nobody iterates over any more needs no closing."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        pbx.call()
        async for _ in client.changes():
            break
        client.messages()
        gc.collect()
        assert [*client._dispatcher.changes, *client._dispatcher.messages] == []


@pytest.mark.slow
async def test_a_reader_that_nobody_holds_goes_on():
    """A task that waits for changes, and that nothing else refers to, is not collected."""
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
