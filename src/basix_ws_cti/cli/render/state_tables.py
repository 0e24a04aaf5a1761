"""State of a PBX for the command ``state``: as tables, or as one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.durations import format_duration, to_microseconds
from basix_ws_cti.board.labels import GROUP_TYPES, Labels, join_phrases
from basix_ws_cti.board.queues import waiting_channels
from basix_ws_cti.board.users import state_since, valid_id
from basix_ws_cti.calls.channel_facts import other_party
from basix_ws_cti.calls.event_json import with_envelope
from basix_ws_cti.calls.model import UNKNOWN_PARTY
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    Element,
    FullChannel,
    Group,
    GroupMember,
    Terminal,
    User,
    to_dict,
)
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Bridged, Calling, Park, Ringing, State

from .kind_words import KINDS, kind_heading
from .text_table import TableColumn, TextTable

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


def element_tables(
    mirror: Mirror, at: datetime, kinds: Collection[str], *, with_numbers: bool = True
) -> Iterator[TextTable]:
    """Yield a table for each kind of element.

    - ``at``: current time of the PBX's clock (aware); durations in the tables end there.
    - ``kinds``: kinds of elements to show; empty: all that exist, except those that are no use to
      people (``_HIDDEN_KINDS``).
    - ``with_numbers``: True to show the number of an outside party after its name.
    """
    selected = _selected_kinds(mirror, kinds)
    if not kinds:
        selected = [kind for kind in selected if kind not in _HIDDEN_KINDS]
    view = _View(Labels(mirror, with_numbers), to_microseconds(at))
    for kind in selected:
        elements = mirror[kind].values()
        columns, row = _TABLES.get(kind, _other_table)()
        rows = sorted((row(element, view) for element in elements), key=lambda entry: entry[0])
        texts = [["" if cell is None else str(cell) for cell in cells] for _key, cells in rows]
        yield TextTable(kind_heading(kind, len(elements)), columns, texts)


def _selected_kinds(mirror: Mirror, kinds: Collection[str]) -> list[str]:
    if kinds:
        return [*dict.fromkeys(kinds)]
    existing = {*mirror}
    return [kind for kind in KINDS if kind in existing] + sorted(existing - {*KINDS})


class _View:
    """Mirror at one moment, with what several rows need."""

    def __init__(self, labels: Labels, now: int) -> None:
        self.labels = labels
        self.mirror = mirror = labels.mirror
        self.now = now  # in microseconds since the epoch
        # Waiting channels of each group, and channels of each user, by id.
        self.waits: dict[Any, list[int]] = {}
        self.channels: dict[Any, list[FullChannel]] = {}
        for channel in mirror.channels.values():
            if (user_id := valid_id(channel.user_id)) is not None:
                self.channels.setdefault(user_id, []).append(channel)
        for waiting in waiting_channels(mirror):
            group_id = valid_id(getattr(waiting.state, "group_id", None))
            if isinstance(waiting.state, Calling) and group_id is not None:
                self.waits.setdefault(group_id, []).append(state_since(waiting, now))

    def since(self, channel: AnyChannel) -> int | None:
        """Return the time at which a channel entered its state; ``None`` if it is unknown."""
        since = channel.state.ts if isinstance(channel.state, State) else None
        return since if isinstance(since, int) else None

    def time_since(self, since: int | None) -> str:
        return "" if since is None else format_duration(self.now - since)


# A row, preceded by its sort key. A table's function returns its columns, with headings in the
# reader's language, and the function that makes a row of an element.
_Row = tuple[Any, tuple[Any, ...]]
_Table = tuple[Sequence[TableColumn], Callable[[Any, _View], _Row]]


def _channel_table() -> _Table:
    columns = (
        TableColumn(_("Parties"), is_flexible=True),
        TableColumn(_("Activity"), is_flexible=True),
        TableColumn(_("For"), align_right=True),
        TableColumn(_("UUID"), is_optional=True),
    )
    return columns, _channel_row


def _channel_row(channel: AnyChannel, view: _View) -> _Row:
    labels, since = view.labels, view.since(channel)
    order = _channel_rank(channel), state_since(channel, view.now), str(channel.key)
    return order, (
        labels.element(channel),
        labels.activity(channel),
        view.time_since(since),
        channel.uuid,
    )


def _channel_rank(channel: AnyChannel) -> int:
    """Return the position of a channel's state among others: those that need somebody first."""
    match channel.state:
        case Calling(target_type="group"):
            return 0
        case Ringing():
            return 1
        case Park():
            return 2
        case Bridged():
            return 3
    return 4


def _user_table() -> _Table:
    columns = (
        TableColumn(_("User"), is_flexible=True),
        TableColumn(_("Extension")),
        TableColumn(_("Activity"), is_flexible=True),
        TableColumn(_("For"), align_right=True),
        TableColumn(_("Presence"), align_right=True, is_optional=True),
        TableColumn(_("ID"), is_optional=True),
    )
    return columns, _user_row


def _user_row(user: User, view: _View) -> _Row:
    labels = view.labels
    channels = sorted(view.channels.get(user.id, ()), key=_channel_rank)
    times = [since for channel in channels if (since := view.since(channel)) is not None]
    extension = str(user.main_extension or "")
    order = not channels, len(extension), extension, labels.element(user)
    return order, (
        labels.element(user),
        extension,
        join_phrases(_user_activity(channel, labels) for channel in channels),
        view.time_since(min(times) if times else None),
        user.presence,
        user.id,
    )


def _user_activity(channel: FullChannel, labels: Labels) -> str:
    if isinstance(channel.state, Ringing) and channel.direction == "outbound":
        other = other_party(cast("Channel", channel))
        if other != UNKNOWN_PARTY:
            return _("call from {party}").format(party=labels.party(other))
    return labels.activity(channel)


def _group_table() -> _Table:
    columns = (
        TableColumn(_("Group"), is_flexible=True),
        TableColumn(_("Extension")),
        TableColumn(_("Waiting"), align_right=True),
        TableColumn(_("Longest"), align_right=True),
        TableColumn(_("Members"), is_flexible=True),
        TableColumn(_("Type"), is_optional=True),
        TableColumn(_("ID"), is_optional=True),
    )
    return columns, _group_row


def _group_row(group: Group, view: _View) -> _Row:
    labels = view.labels
    waits = view.waits.get(group.id, ())
    members = view.mirror.members_of_group(group.id) if group.id is not None else ()
    extension = str(group.main_extension or "")
    order = min(waits, default=view.now), len(extension), extension, labels.element(group)
    known_type = GROUP_TYPES.get(group.type) if isinstance(group.type, int) else None
    return order, (
        labels.element(group),
        extension,
        len(waits),
        view.time_since(min(waits, default=None)),
        join_phrases(labels.element(user) for user in members),
        group.type if known_type is None else _(known_type),
        group.id,
    )


def _member_table() -> _Table:
    columns = (
        TableColumn(_("Group"), is_flexible=True),
        TableColumn(_("User"), is_flexible=True),
        TableColumn(_("Priority"), align_right=True),
        TableColumn(_("Login status"), align_right=True),
        TableColumn(_("ID"), is_optional=True),
    )
    return columns, _member_row


def _member_row(member: GroupMember, view: _View) -> _Row:
    group, user = view.labels.group(member.group_id), view.labels.user(member.user_id)
    priority = member.priority if isinstance(member.priority, int) else 0
    return (group, priority, user), (group, user, member.priority, member.login_status, member.id)


def _terminal_table() -> _Table:
    columns = (
        TableColumn(_("Phone"), is_flexible=True),
        TableColumn(_("User"), is_flexible=True),
        TableColumn(_("Registered")),
        TableColumn(_("User agent"), is_flexible=True),
        TableColumn(_("ID"), is_optional=True),
    )
    return columns, _terminal_row


def _terminal_row(terminal: Terminal, view: _View) -> _Row:
    owner = terminal.assoc_user_id
    name = str(terminal.name or "")
    # Phones that cannot be reached come first.
    return (bool(terminal.registered), len(name), name), (
        name,
        None if owner is None else view.labels.user(owner),
        _("yes") if terminal.registered else _("no"),
        terminal.user_agent,
        terminal.id,
    )


def _other_table() -> _Table:
    columns = (
        TableColumn(_("Name"), is_flexible=True),
        TableColumn(_("Properties"), is_flexible=True),
        TableColumn(_("ID"), is_optional=True),
    )
    return columns, _other_row


def _other_row(element: Element, view: _View) -> _Row:
    name = view.labels.element(element)
    return name, (name, view.labels.activity(element), element.key)


_TABLES: dict[str, Callable[[], _Table]] = {
    "channel": _channel_table,
    "channel_waiting": _channel_table,
    "queued_channel": _channel_table,
    "parked_channel": _channel_table,
    "user": _user_table,
    "group": _group_table,
    "group_member": _member_table,
    "terminal": _terminal_table,
}
