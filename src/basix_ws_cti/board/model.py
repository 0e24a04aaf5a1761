"""What the wallboard shows, as rows of cells: made from a source's picture, without a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from basix_ws_cti.calls import Call, CallEnded, CallEvent, Party, Phase, QueueStats
from basix_ws_cti.calls.channel_facts import other_party, own_party
from basix_ws_cti.cli.output import harmless
from basix_ws_cti.elements import AnyChannel, Channel, User
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState
from basix_ws_cti.sources.source import Source
from basix_ws_cti.states import Bridged, Calling, Park, Ringing, State

from .feed_history import History, words
from .labels import Labels, duration, microseconds

SECOND = 1_000_000

# Calls that ended and are kept, for whoever looks at the details of one.
MAX_ENDED = 200

# Characters of a text that are looked at: names can be as long as a frame, lines can't.
MAX_TEXT = 200


@frozen
class Column:
    """A column: ``width`` 0 takes what is left; ``least``: left out of tables narrower than it."""

    name: str
    width: int = 0
    right: bool = False
    least: int = 0


@frozen
class Cell:
    """A text that can harm no terminal, and what it is sorted by."""

    text: str
    style: str = ""
    order: Any = field(default=None, eq=False)


@frozen(eq=False)
class Row:
    """A line of a table. ``about`` are names and numbers, by which it is found."""

    key: str
    cells: tuple[Cell, ...]
    about: tuple[str, ...] = ()
    call: str | None = None


_TIME = 8

TABLES: dict[str, tuple[Column, ...]] = {
    "calls": (
        Column("Dir", 3),
        Column("State", 10),
        Column("For", _TIME, right=True),
        Column("Caller"),
        Column("With"),
        Column("Dialled", 11, least=100),
        Column("Total", _TIME, right=True, least=84),
    ),
    "queues": (
        Column("Queue"),
        Column("Waiting", 7, right=True),
        Column("Longest", _TIME, right=True),
        Column("Answered", 8, right=True, least=52),
        Column("Gave up", 7, right=True, least=52),
    ),
    "users": (
        Column("User"),
        Column("Ext", 5),
        Column("Doing"),
        Column("For", _TIME, right=True),
    ),
    "parked": (
        Column("Slot", 4),
        Column("Caller"),
        Column("By"),
        Column("For", _TIME, right=True),
    ),
    "feed": (Column("Time", 8), Column("Feed")),
}

STATES: dict[str, tuple[str, str]] = {
    "ivr": ("menu", "#78dce8"),
    "queued": ("waiting", "bold #fc9867"),
    "ringing": ("ringing", "#ffd866"),
    "talking": ("talking", "#a9dc76"),
    "parked": ("parked", "#c5a5ff"),
    "voicemail": ("voicemail", "#8ab4f8"),
    "conference": ("conference", "#a9dc76"),
    "other": ("service", "#78dce8"),
    "unknown": ("unknown", "dim"),
}
"""What a call is doing, in a word, and its colour."""

_DIRECTIONS = {"inbound": "in", "outbound": "out", "internal": "int"}

_LATE = "bold #ff6188"
FAINT = "#9a9a9a"


@frozen
class Board:
    """The picture of one moment. ``now`` is in microseconds."""

    now: int
    at: datetime
    state: ClientState
    rows: Mapping[str, tuple[Row, ...]]
    calls: Mapping[str, Call]
    gaps: int

    @property
    def summary(self) -> str:
        """How many of what, in a line."""
        kinds = [call.phase.kind for call in self.calls.values()]
        parts = [_number(len(kinds), "call"), f"{kinds.count('talking')} talking"]
        waits = [row.cells[2].order for row in self.rows["queues"] if row.cells[1].order]
        waiting = sum(row.cells[1].order for row in self.rows["queues"])
        if waiting:
            parts.append(f"{waiting} waiting {duration(max(waits))}")
        if parked := len(self.rows["parked"]):
            parts.append(f"{parked} parked")
        if self.gaps:
            parts.append(_number(self.gaps, "gap"))
        return ", ".join(parts)


@define
class BoardModel:
    """Makes board_model of a source, and keeps what only events tell."""

    source: Source
    history: History
    zone: tzinfo | None = None
    missed: int = 0
    ended: dict[str, Call] = Factory(dict)
    _stats: QueueStats = Factory(QueueStats)

    def take(self, event: CallEvent | Lagged) -> None:
        """Take in what happened to a call."""
        if isinstance(event, Lagged):
            self.missed += event.missed
            return
        self._stats.apply([event])
        if isinstance(event, CallEnded):
            if len(self.ended) >= MAX_ENDED:
                del self.ended[next(iter(self.ended))]
            self.ended[event.call.id] = event.call

    def board(self) -> Board:
        """The board of this moment."""
        at = self.source.now()
        now = microseconds(at)
        mirror = self.source.mirror
        calls = dict(self.source.calls)
        labels = Labels(mirror)
        return Board(
            now=now,
            at=at,
            state=self.source.state,
            rows={
                "calls": tuple(call_rows(calls.values(), labels, now)),
                "queues": tuple(queue_rows(labels, self._stats, now)),
                "users": tuple(user_rows(calls.values(), labels, now)),
                "parked": tuple(parked_rows(calls, labels, now)),
                "feed": tuple(feed_rows(self.history, self.zone)),
            },
            calls=calls,
            gaps=self.history.gaps,
        )


# -- rows -----------------------------------------------------------------------------


def call_rows(calls: Iterable[Call], labels: Labels, now: int) -> Iterator[Row]:
    """A row for each call, the oldest first."""
    for call in sorted(calls, key=lambda call: (call.started, call.id)):
        phase = call.phase
        state, style = STATES[phase.kind]
        yield Row(
            key=call.id,
            cells=(
                _text(_DIRECTIONS[call.direction], FAINT),
                _text(state, style),
                _time(now - phase.started, style),
                _text(labels.party(call.caller)),
                _text(_with(labels, call)),
                _text(call.called_number or "", FAINT),
                _time(now - call.started, FAINT),
            ),
            about=(
                *_about(labels, call.caller),
                *(word for leg in call.legs for word in _about(labels, leg.party)),
                *_about(labels, phase.party),
                str(call.called_number or ""),
            ),
            call=call.id,
        )


def queue_rows(labels: Labels, stats: QueueStats, now: int) -> Iterator[Row]:
    """A row for each group, the longest wait first."""
    waits: dict[int | str, list[int]] = {group: [] for group in labels.mirror.groups}
    for channel in _waiting(labels.mirror):
        group_id = _id(getattr(channel.state, "group_id", None))
        if isinstance(channel.state, Calling) and group_id is not None:
            waits.setdefault(group_id, []).append(_since(channel, now))
    rows = []
    for group, times in waits.items():
        longest = now - min(times) if times else 0
        figures = stats.group(group, now)  # type: ignore[arg-type]  # as the PBX has it
        late = longest > stats.service_level * SECOND
        style = _LATE if late else STATES["queued"][1] if times else FAINT
        found = labels.mirror["group"].get(group)
        rows.append(
            Row(
                key=repr(group),
                cells=(
                    _text(labels.group(group)),
                    _count(len(times), style),
                    _time(longest, style) if times else _text("", order=0),
                    _count(figures.answered, FAINT),
                    _count(figures.abandoned, FAINT),
                ),
                about=(labels.group(group), str(getattr(found, "main_extension", ""))),
            )
        )
    yield from sorted(rows, key=lambda row: (-row.cells[2].order, row.cells[0].order))


def user_rows(calls: Iterable[Call], labels: Labels, now: int) -> Iterator[Row]:
    """A row for each user: those with a telephone in use first, the longest of them on top."""
    mirror = labels.mirror
    reachable = {_id(one.assoc_user_id) for one in mirror.terminals.values() if one.registered}
    call_of = {leg.uuid: call.id for call in calls for leg in call.legs}
    legs: dict[Any, list[Channel]] = {}
    for channel in mirror.channels.values():
        legs.setdefault(_id(channel.user_id), []).append(channel)
    busy, idle = [], []
    for key, user in mirror.users.items():
        extension = _text(str(user.main_extension or ""), FAINT)
        name = labels.element(user)
        about = _words_of(user)
        own = sorted(legs.get(key, ()), key=lambda leg: (_rank(leg), _since(leg, now)))
        if own:
            doing, style = _doing(own[0], labels)
            more = f" +{len(own) - 1}" if len(own) > 1 else ""
            cells = (
                _text(name),
                extension,
                _text(doing + more, style),
                _time(now - _since(own[0], now), style),
            )
            others = [word for leg in own for word in _about(labels, other_party(leg))]
            call = call_of.get(str(own[0].key))
            busy.append(Row(repr(key), cells, (*about, *others), call))
        else:
            doing = "" if key in reachable else "no telephone"
            cells = (
                _text(name, FAINT),
                extension,
                _text(doing, FAINT),
                _text("", order=-1),
            )
            idle.append(Row(repr(key), cells, about))
    busy.sort(key=lambda row: (-row.cells[3].order, row.key))
    idle.sort(key=lambda row: (row.cells[1].order, row.key))
    yield from (*busy, *idle)


def parked_rows(calls: Mapping[str, Call], labels: Labels, now: int) -> Iterator[Row]:
    """A row for each call on a park slot, by slot."""
    call_of = {leg.uuid: call.id for call in calls.values() for leg in call.legs}
    rows = []
    for channel in _waiting(labels.mirror):
        state = channel.state
        if not isinstance(state, Park):
            continue
        known = labels.mirror.channels.get(str(channel.key))
        who = labels.party(own_party(known)) if known is not None else labels.element(channel)
        by = labels.user(state.parker_id) if state.parker_id is not None else ""
        rows.append(
            Row(
                key=str(channel.key),
                cells=(
                    _text(str(state.slot), STATES["parked"][1]),
                    _text(who),
                    _text(by or str(state.parker_name or "")),
                    _time(now - _since(channel, now), STATES["parked"][1]),
                ),
                about=(str(state.slot), who, by),
                call=call_of.get(str(channel.key)),
            )
        )
    yield from sorted(rows, key=lambda row: (row.cells[0].order, row.key))


def feed_rows(history: History, zone: tzinfo | None) -> Iterator[Row]:
    """A row for each thing that happened to the feed, the newest first."""
    for entry in history:
        text = words(entry.notice, zone)
        yield Row(
            key=str(entry.number),
            cells=(
                _text(f"{entry.at.astimezone(zone):%H:%M:%S}", FAINT, order=entry.number),
                _text(text, STATES["queued"][1] if entry.bad else ""),
            ),
            about=(text,),
        )


# -- which rows, in which order -------------------------------------------------------


def arranged(
    rows: Iterable[Row], sought: str = "", column: int | None = None, *, reverse: bool = False
) -> list[Row]:
    """The rows that a text is found in, ordered by a column; ``None``: as they are."""
    needle = _plain(sought)
    digits = "".join(char for char in needle if char not in " -+().")
    found = [row for row in rows if _is_found(row, needle, digits)]
    if column is None:
        return found[::-1] if reverse else found
    return sorted(found, key=lambda row: (row.cells[column].order, row.key), reverse=reverse)


def _is_found(row: Row, needle: str, digits: str) -> bool:
    if not needle:
        return True
    texts = [_plain(text) for text in row.about]
    # A telephone number may be typed with separators.
    if digits.isdecimal() and any(digits in text for text in texts):
        return True
    return any(needle in text for text in texts)


def _plain(text: str) -> str:
    """Without differences that nobody means: of case, and of full and half width."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


# -- cells ----------------------------------------------------------------------------


def shown(text: str) -> str:
    """A text of others as it is shown: harmless, and not longer than any line."""
    return harmless(text[:MAX_TEXT])


def _text(text: str, style: str = "", order: Any = None) -> Cell:
    text = shown(text)
    return Cell(text, style, _plain(text) if order is None else order)


def _time(length: int, style: str = "") -> Cell:
    return Cell(duration(length), style, length)


def _count(number: int, style: str = "") -> Cell:
    return Cell(str(number), style, number)


# -- words ----------------------------------------------------------------------------


def _number(count: int, of: str) -> str:
    return f"{count} {of}" if count == 1 else f"{count} {of}s"


def _with(labels: Labels, call: Call) -> str:
    """Whom a call is with, or where it is."""
    phase: Phase = call.phase
    if phase.party != Party():
        return labels.party(phase.party)
    if phase.kind == "parked" and phase.by is not None:
        return f"{phase.place} by {labels.user(phase.by)}"
    return "" if phase.place is None else str(phase.place).replace("_", " ")


def _about(labels: Labels, party: Party) -> tuple[str, ...]:
    """Labels and numbers of somebody."""
    user: User | None = None
    if isinstance(party.user_id, int):
        user = labels.mirror.users.get(party.user_id)
    return (labels.party(party),) if user is None else _words_of(user)


def _words_of(user: User) -> tuple[str, ...]:
    return tuple(str(word) for word in (user.label, user.name, user.main_extension) if word)


def _doing(leg: Channel, labels: Labels) -> tuple[str, str]:
    """What a user does on a leg of theirs, and its colour."""
    other = other_party(leg)
    who = labels.party(evolve(other, number=None) if other.name else other)
    match leg.state:
        case Ringing():
            return f"rings: {who}", STATES["ringing"][1]
        case Bridged():
            return f"with {who}", STATES["talking"][1]
        case Calling():
            return f"calls {who}", STATES["ringing"][1]
    return labels.doing(leg), STATES["other"][1]


def _rank(leg: Channel) -> int:
    """Of several legs of a user, what is shown: talk before telephones that ring."""
    name = getattr(leg.state, "name", None)
    return 0 if name in {"bridged", "conference"} else 2 if isinstance(leg.state, Ringing) else 1


def _waiting(mirror: Mirror) -> Iterable[AnyChannel]:
    """Who is in a queue or on a park slot: however the PBX tells it, and each once.

    A connection that is shown one user's channels is told of all that wait.
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
            in_queue = isinstance(state, Calling) and state.target_type == "group"
            if in_queue or isinstance(state, Park):
                found[str(channel.key)] = channel
    return found.values()


def _since(channel: AnyChannel, now: int) -> int:
    """When a channel entered its state; now, where it does not say."""
    state = channel.state
    return state.ts if isinstance(state, State) and isinstance(state.ts, int) else now


def _id(value: object) -> int | str | None:
    """What can be somebody's id; the PBX's values come as they were sent."""
    return value if isinstance(value, int | str) else None
