"""Rows of each table, derived from mirror, calls and feed history.

Values of the PBX are used as they were sent: an id may be missing or have an unexpected type,
so every access tolerates that. ``now`` is the time of the feed in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo

from basix_ws_cti._internal.translation import _
from basix_ws_cti.calls import AgentFigures, Call, Party, QueueStats
from basix_ws_cti.calls.channel_facts import other_party
from basix_ws_cti.elements import Channel, User
from basix_ws_cti.states import Bridged, Calling, Ringing

from .feed_history import FeedHistory, describe_notice
from .labels import Labels
from .limits import Limits
from .parked import parked_calls
from .queues import QueueState, last_queue
from .tables import (
    PHASES,
    SHORT_DIRECTIONS,
    Cell,
    Row,
    Style,
    count_cell,
    duration_cell,
    text_cell,
    wait_style,
)
from .users import UserState, state_since


def call_rows(calls: Iterable[Call], labels: Labels, now: int, limits: Limits) -> Iterator[Row]:
    """Yield a row for each call, the oldest first; ``limits`` are those of a wait in a queue."""
    for call in sorted(calls, key=lambda call: (call.started, call.id)):
        phase = call.phase
        word, style = PHASES[phase.kind]
        if phase.kind == "queued":
            style = wait_style(limits.level(now - phase.started))
        yield Row(
            key=call.id,
            cells=(
                text_cell(_(SHORT_DIRECTIONS[call.direction]), "faint"),
                text_cell(_(word), style),
                duration_cell(now - phase.started, style),
                text_cell(labels.party(call.caller)),
                text_cell(_counterpart(labels, call)),
                text_cell(_last_queue(labels, call), "faint"),
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


def queue_rows(
    queues: Mapping[int | str, QueueState], labels: Labels, limits: Limits
) -> Iterator[Row]:
    """Yield a row for each group, the longest wait first; ``limits`` are those of a wait."""
    rows = []
    for group, queue in queues.items():
        figures = queue.figures
        level = limits.level(queue.longest_wait)
        style: Style = wait_style(level) if queue.waiting else "faint"
        element = labels.mirror["group"].get(group)
        rows.append(
            Row(
                key=repr(group),
                cells=(
                    text_cell(labels.group(group)),
                    count_cell(queue.waiting, style),
                    duration_cell(queue.longest_wait, style)
                    if queue.waiting
                    else text_cell("", sort_key=-1),
                    count_cell(figures.offered, "faint"),
                    count_cell(figures.answered, "faint"),
                    count_cell(figures.abandoned, "faint"),
                    _share_cell(figures.service_level_of_offered),
                    _average_cell(figures.average_answer),
                ),
                search_terms=(labels.group(group), str(getattr(element, "main_extension", ""))),
            )
        )
    yield from sorted(rows, key=lambda row: (-row.cells[2].sort_key, row.cells[0].sort_key))


def user_rows(
    users: Iterable[UserState],
    call_of_leg: Mapping[str, str],
    labels: Labels,
    stats: QueueStats,
    now: int,
) -> Iterator[Row]:
    """Yield a row for each user: busy users by time in their state, longest first, then idle.

    ``call_of_leg`` has the id of the call of each leg, by the leg's uuid.
    """
    busy, idle = [], []
    for state in users:
        user, channels = state.user, state.channels
        name, terms = labels.element(user), _user_terms(user)
        figures = stats.user(state.key, now)  # type: ignore[arg-type]  # an id as the PBX sent it
        first = (text_cell(name), text_cell(str(user.main_extension or ""), "faint"))
        if channels:
            shown = channels[0]
            activity, style = _activity(shown, labels)
            more = f" +{len(channels) - 1}" if len(channels) > 1 else ""
            other = other_party(shown)
            cells = (
                *first,
                text_cell(activity + more, style),
                duration_cell(now - state_since(shown, now), style),
                *_agent_cells(figures),
            )
            terms = (*terms, *_party_terms(labels, other), str(other.number or ""))
            busy.append(Row(repr(state.key), cells, terms, call_of_leg.get(str(shown.uuid))))
        else:
            note = "" if state.is_registered else _("no phone")
            cells = (
                *first,
                text_cell(note, "faint"),
                text_cell("", sort_key=-1),
                *_agent_cells(figures),
            )
            idle.append(Row(repr(state.key), cells, terms))
    busy.sort(key=lambda row: (-row.cells[3].sort_key, row.key))
    idle.sort(key=lambda row: (row.cells[1].sort_key, row.key))
    yield from (*busy, *idle)


def parked_rows(
    call_of_leg: Mapping[str, str], labels: Labels, now: int, limits: Limits
) -> Iterator[Row]:
    """Yield a row for each parked call, in order of the park slots.

    ``call_of_leg`` has the id of the call of each leg, by the leg's uuid. ``limits`` are those of
    a parked call.
    """
    rows = []
    for parked in parked_calls(labels, now):
        slot, parked_for = str(parked.state.slot), now - parked.since
        style = wait_style(limits.level(parked_for), ok="parked")
        rows.append(
            Row(
                key=parked.key,
                cells=(
                    text_cell(slot, style),
                    text_cell(parked.caller),
                    text_cell(parked.parked_by),
                    duration_cell(parked_for, style),
                ),
                search_terms=(slot, parked.caller, parked.parker),
                call_id=call_of_leg.get(parked.key),
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
        return _("{slot} by {name}").format(
            slot=labels.park_slot(phase.place, phase.by), name=labels.user(phase.by)
        )
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
    name = labels.short_party(other)
    match channel.state:
        case Ringing():
            return _("ringing: {name}").format(name=name), "ringing"
        case Bridged():
            return _("with {name}").format(name=name), "talking"
        case Calling():
            return _("calling {name}").format(name=name), "ringing"
    return labels.activity(channel), "other"


def _last_queue(labels: Labels, call: Call) -> str:
    """Return the group that the call waited for last; empty if it waited for none."""
    group_id = last_queue(call)
    return "" if group_id is None else labels.group(group_id)


def _agent_cells(figures: AgentFigures) -> tuple[Cell, Cell]:
    return count_cell(figures.handled, "faint"), count_cell(figures.missed, "faint")


def _average_cell(average: int | None) -> Cell:
    if average is None:
        return text_cell("", sort_key=-1)
    return duration_cell(average, "faint")


def _share_cell(share: float | None) -> Cell:
    if share is None:
        return text_cell("", sort_key=-1)
    return text_cell(f"{share:.0%}", "faint", sort_key=share)
