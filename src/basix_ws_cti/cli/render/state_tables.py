"""State of a PBX for the command ``state``: as tables, or as one JSON document."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from rich.table import Table

from basix_ws_cti.board.durations import format_duration, to_microseconds
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.text import MAX_LINE_TEXT, escape_unprintable
from basix_ws_cti.elements import AnyChannel, Element, to_dict
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import State

from .json_lines import with_envelope

# Kinds of elements in the order in which they are shown; other kinds follow by name.
_KINDS = (
    "channel",
    "channel_waiting",
    "queued_channel",
    "parked_channel",
    "user",
    "group",
    "group_member",
    "terminal",
    "domain",
)

# Kinds without a table unless they are asked for: other tables contain the same facts.
_HIDDEN_KINDS = frozenset({"group_member", "domain"})


def state_document(mirror: Mirror, at: datetime, kinds: Collection[str]) -> dict[str, Any]:
    """Return the state as one JSON-ready object, which the schema of ``schema`` describes.

    ``kinds`` selects kinds of elements; an empty collection selects all that exist.
    """
    elements = {
        kind: [to_dict(element) for element in mirror[kind].values()]
        for kind in _selected_kinds(mirror, kinds)
    }
    return with_envelope(at, None, {"type": "state", "elements": elements})


def element_tables(mirror: Mirror, at: datetime, kinds: Collection[str]) -> Iterator[Table]:
    """Yield a Rich table for each kind of element.

    - ``at``: current time of the PBX's clock (aware); durations in the tables end there.
    - ``kinds``: kinds of elements to show; empty: all that exist, except those that are no use to
      people (``_HIDDEN_KINDS``).
    """
    selected = _selected_kinds(mirror, kinds)
    if not kinds:
        selected = [kind for kind in selected if kind not in _HIDDEN_KINDS]
    labels, now = Labels(mirror), to_microseconds(at)
    for kind in selected:
        elements = mirror[kind]
        table = Table(title=escape_unprintable(f"{kind}: {len(elements)}"), title_justify="left")
        columns, row = _COLUMNS.get(kind, (("element", ""), _other_row))
        for name in columns:
            table.add_column(name, overflow="fold")
        for element in elements.values():
            texts = ("" if cell is None else str(cell) for cell in row(element, labels, now))
            table.add_row(*(escape_unprintable(text[:MAX_LINE_TEXT]) for text in texts))
        yield table


def _selected_kinds(mirror: Mirror, kinds: Collection[str]) -> list[str]:
    if kinds:
        return [*dict.fromkeys(kinds)]
    existing = {*mirror}
    return [kind for kind in _KINDS if kind in existing] + sorted(existing - {*_KINDS})


def _channel_row(element: Any, labels: Labels, now: int) -> tuple[Any, ...]:
    state = element.state
    since = state.ts if isinstance(state, State) else None
    return (
        labels.element(element),
        labels.activity(element),
        format_duration(now - since) if isinstance(since, int) else None,
        element.uuid,
    )


def _user_row(element: Any, labels: Labels, _: int) -> tuple[Any, ...]:
    channels = labels.mirror.channels_of_user(element.id)
    return (
        labels.element(element),
        element.main_extension,
        element.presence,
        "; ".join(labels.activity(channel) for channel in channels),
        element.id,
    )


def _group_row(element: Any, labels: Labels, now: int) -> tuple[Any, ...]:
    mirror = labels.mirror
    waiting = [
        since
        for channel in mirror.channels_of_group(element.id)
        if (since := _queued_since(channel)) is not None
    ]
    return (
        labels.element(element),
        element.main_extension,
        ", ".join(labels.element(user) for user in mirror.members_of_group(element.id)),
        len(waiting),
        format_duration(now - min(waiting)) if waiting else None,
        element.id,
    )


def _queued_since(channel: AnyChannel) -> int | None:
    """Return the time since which a channel is queued; ``None`` if it is not."""
    state = channel.state
    is_queued = getattr(state, "target_type", None) == "group"
    return state.ts if is_queued and isinstance(state.ts, int) else None


def _terminal_row(element: Any, labels: Labels, _: int) -> tuple[Any, ...]:
    owner = element.assoc_user_id
    return (
        element.name,
        None if owner is None else labels.user(owner),
        "yes" if element.registered else "no",
        element.user_agent,
        element.id,
    )


def _other_row(element: Element, labels: Labels, _: int) -> tuple[Any, ...]:
    return labels.element(element), labels.activity(element)


_CHANNEL_COLUMNS = ("parties", "activity", "for", "uuid"), _channel_row
_COLUMNS: dict[str, tuple[tuple[str, ...], Any]] = {
    "channel": _CHANNEL_COLUMNS,
    "channel_waiting": _CHANNEL_COLUMNS,
    "queued_channel": _CHANNEL_COLUMNS,
    "parked_channel": _CHANNEL_COLUMNS,
    "user": (("user", "extension", "presence", "activity", "id"), _user_row),
    "group": (("group", "extension", "members", "waiting", "longest", "id"), _group_row),
    "terminal": (("terminal", "user", "registered", "user agent", "id"), _terminal_row),
}
