"""Phones that start to ring for a call at the same time, combined into one item."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta

from attrs import evolve, frozen

from basix_ws_cti.calls import Call, CallEvent, CallRinging, Party
from basix_ws_cti.mirror.changes import Lagged

# Time of the feed within which phones count as ringing at the same time. It matters for a recording
# that is read without waiting.
_SAME_TIME = timedelta(seconds=1)


@frozen
class PhonesRinging:
    """Several phones started to ring for a call at the same time."""

    call: Call
    """The call, after the last of the events."""

    parties: tuple[Party, ...]
    """The parties whose phones ring, in the order of the events."""


CallItem = CallEvent | Lagged | PhonesRinging
"""Item of a feed of calls in which phones are combined."""


async def combine_ringing(
    events: AsyncIterator[tuple[datetime, CallEvent | Lagged]],
) -> AsyncGenerator[tuple[datetime, CallItem]]:
    """Yield call events, with consecutive ``CallRinging`` of one call combined.

    No event is delayed: only those are combined that can be had without waiting. Close the iterator
    if it is not exhausted.
    """
    upcoming: asyncio.Future[tuple[datetime, CallEvent | Lagged] | None] | None = None
    try:
        while True:
            entry = await (anext(events, None) if upcoming is None else upcoming)
            upcoming = None
            if entry is None:
                return
            at, event = entry
            if not isinstance(event, CallRinging):
                yield entry
                continue
            ringing = PhonesRinging(event.call, (event.party,))
            while True:
                upcoming = asyncio.ensure_future(anext(events, None))
                await asyncio.sleep(0)  # lets the event arrive if it is there
                another = _ready_ringing(upcoming, ringing.call.id, at)
                if another is None:
                    break
                ringing = evolve(
                    ringing, call=another.call, parties=(*ringing.parties, another.party)
                )
                upcoming = None
            yield at, event if len(ringing.parties) == 1 else ringing
    finally:
        if upcoming is not None:
            upcoming.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await upcoming


def _ready_ringing(
    upcoming: asyncio.Future[tuple[datetime, CallEvent | Lagged] | None],
    call_id: str,
    since: datetime,
) -> CallRinging | None:
    """Return the next event if it is there and another phone of the call rings, else ``None``."""
    if not upcoming.done() or upcoming.cancelled() or upcoming.exception() is not None:
        return None
    match upcoming.result():
        case (at, CallRinging() as event) if event.call.id == call_id and at - since < _SAME_TIME:
            return event
    return None
