"""The picture of a PBX, for ``state``: as tables, or as a JSON document."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from rich.table import Table

from basix_ws_cti.board.labels import Labels, duration, microseconds
from basix_ws_cti.cli.output import MAX_TEXT, harmless
from basix_ws_cti.elements import AnyChannel, Element, to_dict
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import State

from .feed_lines import stamped

# In the order in which people look for them.
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


def document(mirror: Mirror, at: datetime, kinds: Collection[str]) -> dict[str, Any]:
    """The picture as JSON-ready values, for the schema that ``schema`` prints."""
    shown = {
        kind: [to_dict(element) for element in mirror[kind].values()]
        for kind in _kinds(mirror, kinds)
    }
    return stamped(at, None, {"type": "state", "elements": shown})


def _kinds(mirror: Mirror, kinds: Collection[str]) -> list[str]:
    """The kinds that are shown: those asked for, or all that there is anything of."""
    if kinds:
        return [*dict.fromkeys(kinds)]
    there = {*mirror}
    return [kind for kind in _KINDS if kind in there] + sorted(there - {*_KINDS})


def tables(mirror: Mirror, at: datetime, kinds: Collection[str]) -> Iterator[Table]:
    """The picture as tables, one for each kind."""
    # Memberships and the domain are seen in the others.
    told = _kinds(mirror, kinds)
    if not kinds:
        told = [kind for kind in told if kind not in {"group_member", "domain"}]
    for kind in told:
        elements = mirror[kind]
        table = Table(title=harmless(f"{kind}: {len(elements)}"), title_justify="left")
        columns, row = _COLUMNS.get(kind, (("what", ""), _other))
        for name in columns:
            table.add_column(name, overflow="fold")
        for element in elements.values():
            cells = row(element, mirror, Labels(mirror), microseconds(at))
            table.add_row(
                *(harmless(str("" if cell is None else cell)[:MAX_TEXT]) for cell in cells)
            )
        yield table


def _channel(element: Any, _: Mirror, labels: Labels, now: int) -> tuple[Any, ...]:
    state = element.state
    since = state.ts if isinstance(state, State) else None
    return (
        labels.element(element),
        labels.doing(element),
        duration(now - since) if isinstance(since, int) else None,
        element.uuid,
    )


def _user(element: Any, mirror: Mirror, labels: Labels, _: int) -> tuple[Any, ...]:
    legs = mirror.channels_of_user(element.id)
    return (
        labels.element(element),
        element.main_extension,
        element.presence,
        "; ".join(labels.doing(leg) for leg in legs),
        element.id,
    )


def _group(element: Any, mirror: Mirror, labels: Labels, now: int) -> tuple[Any, ...]:
    waiting = [
        since
        for leg in mirror.channels_of_group(element.id)
        if (since := _waits_since(leg)) is not None
    ]
    return (
        labels.element(element),
        element.main_extension,
        ", ".join(labels.element(one) for one in mirror.members_of_group(element.id)),
        len(waiting),
        duration(now - min(waiting)) if waiting else None,
        element.id,
    )


def _waits_since(leg: AnyChannel) -> int | None:
    """Since when a leg waits in its group's queue; ``None``: it does not."""
    state = leg.state
    queued = getattr(state, "target_type", None) == "group"
    return state.ts if queued and isinstance(state.ts, int) else None


def _terminal(element: Any, _: Mirror, labels: Labels, __: int) -> tuple[Any, ...]:
    owner = element.assoc_user_id
    return (
        element.name,
        None if owner is None else labels.user(owner),
        "yes" if element.registered else "no",
        element.user_agent,
        element.id,
    )


def _other(element: Element, _: Mirror, labels: Labels, __: int) -> tuple[Any, ...]:
    return labels.element(element), labels.doing(element)


_WAITING = ("who", "doing", "for", "uuid"), _channel
_COLUMNS: dict[str, tuple[tuple[str, ...], Any]] = {
    "channel": _WAITING,
    "channel_waiting": _WAITING,
    "queued_channel": _WAITING,
    "parked_channel": _WAITING,
    "user": (("user", "extension", "presence", "doing", "id"), _user),
    "group": (("group", "extension", "members", "waiting", "longest", "id"), _group),
    "terminal": (("terminal", "user", "registered", "user agent", "id"), _terminal),
}
