"""A day of a simulated PBX whose rows are compared with those of its ledger.

The channels reach the tracker as elements, not as frames: encoding and parsing would take most of
the time, and other tests cover them.
"""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from basix_ws_cti import (
    Channel,
    EndUser,
    EndUsers,
    InfoEvent,
    Mirror,
    OtherInfo,
    Participation,
    QueueWait,
    Target,
    states,
)
from basix_ws_cti.calls import CallEnded, CallRecord, CallTracker
from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.timeline import Timeline

from .random_pbx import shared_columns

_STATES = {
    one.name: one
    for one in vars(states).values()
    if isinstance(one, type) and issubclass(one, states.State) and hasattr(one, "name")
}


def event(values, event_name):
    """Return the ``InfoEvent`` for a change of a channel that the PBX published."""
    state = values["state"]
    structured = {
        "state": _STATES[state["name"]](ts=state["ts"], **state["data"]),
        "target": _optional(Target, values["target"]),
        "other_info": _other_info(values["other_info"]),
        "end_user": _end_users(values["end_user"]),
        "origination": _optional(tuple, values["origination"], unpacked=False),
        "tags": _optional(tuple, values["tags"], unpacked=False),
    }
    return InfoEvent("channel", Channel(**{**values, **structured}), event_name)


def _optional(kind, value, *, unpacked=True):
    if value is None:
        return None
    return kind(**value) if unpacked else kind(value)


def _end_users(value):
    if value is None:
        return None
    items = tuple(EndUser(**item) for item in value["items"])
    return EndUsers(count=value["count"], items=items)


def _other_info(value):
    if value is None:
        return None
    return OtherInfo(**{**value, "end_user": _end_users(value["end_user"])})


@define
class Rows:
    """Rows of the library for the calls of a PBX, as the calls end."""

    ended: list = field(factory=list)
    calls: list = field(factory=list)
    waits: list = field(factory=list)
    participations: list = field(factory=list)

    def add(self, call):
        """Add the rows of a call that has ended."""
        self.ended.append(call)
        self.calls.append(CallRecord.of(call))
        self.waits += QueueWait.of(call)
        self.participations += Participation.of(call)


def play_day(seed, calls, *, users=50, rate=9, prepare=None, on_events=None):
    """Play a day until this number of calls has ended, and then all calls to their end.

    - ``prepare``: function that is called with the PBX before the first call.
    - ``on_events``: function that is called with each list of call events.

    Returns the PBX and the library's rows.
    """
    pbx = Pbx(seed)
    pbx.ledger.max_rows = 2 * calls
    scenarios.populate(pbx, users)
    if prepare is not None:
        prepare(pbx)
    mirror, tracker, rows = Mirror(), CallTracker(), Rows()

    def on_event(kind, key, values, event_name):
        if kind == "channel":
            events = tracker.apply(mirror.apply(event(values, event_name)))
            if on_events is not None:
                on_events(events)
            for one in events:
                if isinstance(one, CallEnded):
                    rows.add(one.call)

    pbx.listeners.append(on_event)
    timeline = Timeline(pbx)
    day = scenarios.day(pbx, timeline, rate)
    timeline.start(day)
    while len(pbx.ledger) < calls:
        timeline.step()
    day.close()
    while timeline.time_to_next is not None:
        timeline.step()
    assert not tracker.calls
    assert tracker.is_empty
    assert not pbx.ledger.active_calls
    return pbx, rows


def differences(pbx, rows):
    """Return the rows that the library and the PBX's ledger do not have in common, as text."""
    found = []
    for name, of_library, of_ledger in (
        ("call", rows.calls, pbx.ledger),
        ("wait", rows.waits, pbx.ledger.waits),
        ("participation", rows.participations, pbx.ledger.participations),
    ):
        library, ledger = (Counter(map(_key, one)) for one in (of_library, of_ledger))
        found += [f"{name}, library: {dict(one)}" for one in (library - ledger).elements()]
        found += [f"{name}, ledger: {dict(one)}" for one in (ledger - library).elements()]
    return found


def _key(row):
    return tuple(shared_columns(row).items())
