"""Wake queue: many waiting subscribers, a few at a time."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from support.virtual_clock import IterationLog, on_virtual_clock

from basix_ws_cti._internal.time_slice import SLICE_SECONDS
from basix_ws_cti.client.subscriptions import SubscriberSet, Subscription
from basix_ws_cti.client.wake_queue import WAKES_PER_ITERATION, WakeQueue

COUNT = 3 * WAKES_PER_ITERATION + 5


@on_virtual_clock
async def test_events_are_set_in_order_a_limited_number_per_iteration():
    queue, log = WakeQueue(), IterationLog()

    async def wait(number, event):
        await event.wait()
        log.append(number)

    events = [asyncio.Event() for _ in range(COUNT)]
    tasks = [asyncio.create_task(wait(*one)) for one in enumerate(events)]
    await asyncio.sleep(0)
    for event in events:
        queue.wake(event)
    await asyncio.gather(*tasks)
    assert log.items == [*range(COUNT)]
    assert max(map(len, log.iterations)) <= WAKES_PER_ITERATION


@on_virtual_clock
async def test_drained_waits_for_the_events_before_it():
    queue = WakeQueue()
    await queue.drained()  # returns at once
    events = [asyncio.Event() for _ in range(COUNT)]
    for event in events:
        queue.wake(event)
    assert not events[-1].is_set()
    await queue.drained()
    assert all(event.is_set() for event in events)


def test_event_is_set_without_a_running_loop():
    """A subscription may be closed after its event loop has ended."""
    queue = WakeQueue()
    for _ in range(COUNT):
        event = asyncio.Event()
        queue.wake(event)
        assert event.is_set()


@on_virtual_clock
async def test_subscribers_share_one_time_slice_per_iteration():
    """However many items wait and however many subscribers read them, one iteration is short."""
    loop = asyncio.get_running_loop()
    queue, subscribers, ends = WakeQueue(), SubscriberSet(), []
    loop.on_iteration.append(lambda: ends.append(loop.now))

    async def read(subscription):
        async for _ in subscription:
            loop.now += SLICE_SECONDS / 10

    subscriptions = [
        Subscription("drop_oldest", 100, None, subscribers.discard, wake_queue=queue)
        for _ in range(50)
    ]
    tasks = [asyncio.create_task(read(one)) for one in subscriptions]
    for subscription in subscriptions:
        subscribers.add(subscription)
        for number in range(20):
            subscription.offer(number)
        subscription.end(None)
    await asyncio.gather(*tasks)
    assert loop.now == pytest.approx(50 * 20 * SLICE_SECONDS / 10)
    longest = max(b - a for a, b in itertools.pairwise(ends))
    assert longest <= 1.2 * SLICE_SECONDS


async def test_coroutine_driven_by_hand_waits_for_one_step_only():
    """The event loop does not run between its steps; it leaves nothing in the queue."""
    queue = WakeQueue()
    step = queue.next_slice(in_pace=True)
    assert step.send(None) is None
    with pytest.raises(StopIteration):
        step.send(None)
    with pytest.raises(StopIteration):
        queue.drained().send(None)
