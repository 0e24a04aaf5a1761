"""Rows of each table, derived from mirror, calls and feed history.

Values of the PBX are used as they were sent: an id may be missing or have an unexpected type,
so every access tolerates that. ``now`` is the time of the feed in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from attrs import evolve

from basix_ws_cti.calls import Call, Party, QueueStats
from basix_ws_cti.calls.channel_facts import other_party, own_party
from basix_ws_cti.elements import AnyChannel, Channel, User
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Bridged, Calling, Park, Ringing, State

from .feed_history import FeedHistory, describe_notice
from .labels import Labels
from .tables import PHASES, Row, Style, count_cell, duration_cell, text_cell

_MICROSECONDS = 1_000_000  # per second

_DIRECTIONS = {"inbound": "in", "outbound": "out", "internal": "int"}


def call_rows(calls: Iterable[Call], labels: Labels, now: int) -> Iterator[Row]:
    """Yield a row for each call, the oldest first."""
    for call in sorted(calls, key=lambda call: (call.started, call.id)):
        phase = call.phase
        word, style = PHASES[phase.kind]
        yield Row(
            key=call.id,
            cells=(
                text_cell(_DIRECTIONS[call.direction], "faint"),
                text_cell(word, style),
                duration_cell(now - phase.started, style),
                text_cell(labels.party(call.caller)),
                text_cell(_counterpart(labels, call)),
                text_cell(call.called_number or "", "faint"),
                duration_cell(now - call.started, "faint"),
            ),
            search_terms=(
                *_party_terms(labels, call.caller),
                *(term for leg in call.legs for term in _party_terms(labels, leg.party)),
                *_party_terms(labels, phase.party),
                str(call.called_number or ""),
            ),
            call_id=call.id,
        )


def queue_rows(labels: Labels, stats: QueueStats, now: int) -> Iterator[Row]:
    """Yield a row for each group, the longest wait first."""
    waits: dict[int | str, list[int]] = {group: [] for group in labels.mirror.groups}
    for channel in _waiting_channels(labels.mirror):
        group_id = _valid_id(getattr(channel.state, "group_id", None))
        if isinstance(channel.state, Calling) and group_id is not None:
            waits.setdefault(group_id, []).append(_state_since(channel, now))
    rows = []
    for group, times in waits.items():
        longest = now - min(times) if times else 0
        figures = stats.group(group, now)  # type: ignore[arg-type]  # an id as the PBX sent it
        is_late = longest > stats.service_level * _MICROSECONDS
        style: Style = "late" if is_late else "queued" if times else "faint"
        element = labels.mirror["group"].get(group)
        rows.append(
            Row(
                key=repr(group),
                cells=(
                    text_cell(labels.group(group)),
                    count_cell(len(times), style),
                    duration_cell(longest, style) if times else text_cell("", sort_key=0),
                    count_cell(figures.answered, "faint"),
                    count_cell(figures.abandoned, "faint"),
                ),
                search_terms=(labels.group(group), str(getattr(element, "main_extension", ""))),
            )
        )
    yield from sorted(rows, key=lambda row: (-row.cells[2].sort_key, row.cells[0].sort_key))


def user_rows(calls: Iterable[Call], labels: Labels, now: int) -> Iterator[Row]:
    """Yield a row for each user: busy users by time in their state, longest first, then idle."""
    mirror = labels.mirror
    reachable = {
        _valid_id(terminal.assoc_user_id)
        for terminal in mirror.terminals.values()
        if terminal.registered
    }
    call_of_leg = {leg.uuid: call.id for call in calls for leg in call.legs}
    channels_of_user: dict[Any, list[Channel]] = {}
    for channel in mirror.channels.values():
        channels_of_user.setdefault(_valid_id(channel.user_id), []).append(channel)
    busy, idle = [], []
    for key, user in mirror.users.items():
        extension = text_cell(str(user.main_extension or ""), "faint")
        name = labels.element(user)
        terms = _user_terms(user)
        channels = sorted(
            channels_of_user.get(key, ()),
            key=lambda channel: (_display_rank(channel), _state_since(channel, now)),
        )
        if channels:
            shown = channels[0]
            activity, style = _activity(shown, labels)
            more = f" +{len(channels) - 1}" if len(channels) > 1 else ""
            cells = (
                text_cell(name),
                extension,
                text_cell(activity + more, style),
                duration_cell(now - _state_since(shown, now), style),
            )
            others = [
                term for channel in channels for term in _party_terms(labels, other_party(channel))
            ]
            busy.append(Row(repr(key), cells, (*terms, *others), call_of_leg.get(str(shown.key))))
        else:
            cells = (
                text_cell(name, "faint"),
                extension,
                text_cell("" if key in reachable else "no phone", "faint"),
                text_cell("", sort_key=-1),
            )
            idle.append(Row(repr(key), cells, terms))
    busy.sort(key=lambda row: (-row.cells[3].sort_key, row.key))
    idle.sort(key=lambda row: (row.cells[1].sort_key, row.key))
    yield from (*busy, *idle)


def parked_rows(calls: Mapping[str, Call], labels: Labels, now: int) -> Iterator[Row]:
    """Yield a row for each parked call, in order of the park slots."""
    call_of_leg = {leg.uuid: call.id for call in calls.values() for leg in call.legs}
    rows = []
    for channel in _waiting_channels(labels.mirror):
        state = channel.state
        if not isinstance(state, Park):
            continue
        known = labels.mirror.channels.get(str(channel.key))
        caller = labels.party(own_party(known)) if known is not None else labels.element(channel)
        parker = labels.user(state.parker_id) if state.parker_id is not None else ""
        rows.append(
            Row(
                key=str(channel.key),
                cells=(
                    text_cell(str(state.slot), "parked"),
                    text_cell(caller),
                    text_cell(parker or str(state.parker_name or "")),
                    duration_cell(now - _state_since(channel, now), "parked"),
                ),
                search_terms=(str(state.slot), caller, parker),
                call_id=call_of_leg.get(str(channel.key)),
            )
        )
    yield from sorted(rows, key=lambda row: (row.cells[0].sort_key, row.key))


def feed_rows(history: FeedHistory, zone: tzinfo | None) -> Iterator[Row]:
    """Yield a row for each entry of the feed history, the newest first."""
    for entry in history:
        text = describe_notice(entry.notice, zone)
        time = f"{entry.at.astimezone(zone):%H:%M:%S}"
        yield Row(
            key=str(entry.number),
            cells=(
                text_cell(time, "faint", sort_key=entry.number),
                text_cell(text, "warning" if entry.is_problem else "plain"),
            ),
            search_terms=(text,),
        )


def _counterpart(labels: Labels, call: Call) -> str:
    """Return the party that the caller is connected to, or the place where the call is."""
    phase = call.phase
    if phase.party != Party():
        return labels.party(phase.party)
    if phase.kind == "parked" and phase.by is not None:
        return f"{phase.place} by {labels.user(phase.by)}"
    return "" if phase.place is None else str(phase.place).replace("_", " ")


def _party_terms(labels: Labels, party: Party) -> tuple[str, ...]:
    """Return the names and numbers by which a party is found."""
    user: User | None = None
    if isinstance(party.user_id, int):
        user = labels.mirror.users.get(party.user_id)
    return (labels.party(party),) if user is None else _user_terms(user)


def _user_terms(user: User) -> tuple[str, ...]:
    return tuple(str(term) for term in (user.label, user.name, user.main_extension) if term)


def _activity(channel: Channel, labels: Labels) -> tuple[str, Style]:
    """Return what a user's channel is doing, and the style of that text."""
    other = other_party(channel)
    name = labels.party(evolve(other, number=None) if other.name else other)
    match channel.state:
        case Ringing():
            return f"ringing: {name}", "ringing"
        case Bridged():
            return f"with {name}", "talking"
        case Calling():
            return f"calling {name}", "ringing"
    return labels.activity(channel), "other"


def _display_rank(channel: Channel) -> int:
    """Return 0 for a leg that talks, 2 for one that rings, 1 for all others.

    The wallboard shows a user's leg with the lowest rank.
    """
    name = getattr(channel.state, "name", None)
    if name in {"bridged", "conference"}:
        return 0
    return 2 if isinstance(channel.state, Ringing) else 1


def _waiting_channels(mirror: Mirror) -> Iterable[AnyChannel]:
    """Return each channel that is queued or parked, once, whatever its kind of element.

    Older and newer servers use different kinds. A connection that is limited to one user's
    channels receives these kinds for every queued or parked channel of the PBX.
    """
    found: dict[str, AnyChannel] = {}
    for channels in (
        mirror.queued_channels,
        mirror.parked_channels,
        mirror.waiting_channels,
        mirror.channels,
    ):
        for channel in channels.values():
            state = channel.state
            is_queued = isinstance(state, Calling) and state.target_type == "group"
            if is_queued or isinstance(state, Park):
                found[str(channel.key)] = channel
    return found.values()


def _state_since(channel: AnyChannel, now: int) -> int:
    """Return the time at which a channel entered its state, or ``now`` if that is unknown."""
    state = channel.state
    return state.ts if isinstance(state, State) and isinstance(state.ts, int) else now


def _valid_id(value: object) -> int | str | None:
    """Return the value if it can be an id (and a dictionary key), else ``None``."""
    return value if isinstance(value, int | str) else None
