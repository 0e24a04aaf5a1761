"""Phones that ring at the same time, combined into one item."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from basix_ws_cti import CallEnded, CallRinging
from basix_ws_cti.calls.model import Call, Party
from basix_ws_cti.cli.render.ringing import PhonesRinging, combine_ringing

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_call(name="u", **more):
    return Call(
        **{"id": name, "direction": "inbound", "caller": Party(), "called_number": "1", **more},
        started=0,
    )


def ring(user, call=None, seconds=0.0):
    return AT + timedelta(seconds=seconds), CallRinging(call or a_call(), Party(user_id=user))


async def all_at_once(entries):
    for entry in entries:
        yield entry


async def combined(events):
    """Return the items without their times; users in place of ringing phones."""
    shown = []
    async for _at, item in combine_ringing(events):
        match item:
            case PhonesRinging(_call, parties):
                shown.append([party.user_id for party in parties])
            case CallRinging(_call, party):
                shown.append(party.user_id)
            case _:
                shown.append("other")
    return shown


END = (AT, CallEnded(a_call()))


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([ring(1), ring(2), ring(3), END], [[1, 2, 3], "other"]),
        ([ring(1), END], [1, "other"]),
        ([ring(1)], [1]),
        ([], []),
        ([ring(1), ring(2, a_call("v")), ring(3, a_call("v"))], [1, [2, 3]]),
        ([ring(1), END, ring(2)], [1, "other", 2]),
        ([ring(1), ring(2, seconds=0.9), ring(3, seconds=5)], [[1, 2], 3]),
    ],
)
async def test_consecutive_ringing_of_one_call_is_combined(entries, shown):
    """Phones that ring one after the other in a recording are not combined."""
    assert await combined(all_at_once(entries)) == shown


async def test_combined_item_has_the_last_call():
    last = a_call(direction="internal")
    [(at, item)] = [
        entry async for entry in combine_ringing(all_at_once([ring(1), ring(2, last, seconds=0.5)]))
    ]
    assert (at, item.call) == (AT, last)


async def test_event_is_not_delayed():
    """A phone that rings alone is reported while the next event is awaited."""
    queue = asyncio.Queue()

    async def events():
        while True:
            yield await queue.get()

    items = combine_ringing(events())
    queue.put_nowait(ring(1))
    assert (await anext(items))[1].party.user_id == 1
    queue.put_nowait(ring(2))
    queue.put_nowait(ring(3))
    assert [party.user_id for party in (await anext(items))[1].parties] == [2, 3]
    await items.aclose()


async def test_error_of_the_feed_comes_after_the_events_before_it():
    async def events():
        yield ring(1)
        yield ring(2)
        raise ValueError("broken")

    items = combine_ringing(events())
    assert len((await anext(items))[1].parties) == 2
    with pytest.raises(ValueError, match="broken"):
        await anext(items)


async def test_closing_ends_the_feed_and_leaves_no_task():
    closed = []

    async def events():
        try:
            yield ring(1)
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async with contextlib.aclosing(combine_ringing(events())) as items:
        await anext(items)
    assert closed == [True]
    assert len(asyncio.all_tasks()) == 1
