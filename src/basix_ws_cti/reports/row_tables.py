"""Tables of the typed rows of reports: columns, headings, and the values of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from attrs import frozen

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.call_lines import DIRECTIONS
from basix_ws_cti.board.endings import DISPOSITIONS

from .intervals import By
from .rows import (
    AgentRow,
    CallbackRow,
    FirstContactRow,
    NumberRow,
    OutboundRow,
    QueueRow,
    RepeatCallerRow,
    VolumeRow,
)
from .tables import Column, Kind, Table, Value

R = TypeVar("R")

# Intervals whose edges are shown as dates.
_DAYS = frozenset({"day", "week", "month"})

# Key, heading, kind, and True for a column that tables for reading have, too.
_Figures = tuple[tuple[str, str, Kind, bool], ...]

_QUEUE_FIGURES: _Figures = (
    ("offered", N_("Offered"), "integer", True),
    ("answered", N_("Answered"), "integer", True),
    ("abandoned", N_("Abandoned"), "integer", True),
    ("service_level_of_offered", N_("Service level"), "rate", True),
    ("average_answer", N_("ASA"), "duration", True),
    ("maximum_wait", N_("Longest wait"), "duration", True),
    ("average_handle", N_("AHT"), "duration", True),
    ("abandon_rate", N_("Abandon rate"), "rate", True),
    ("short_abandons", N_("Short abandons"), "integer", True),
    ("average_abandon", N_("Time to abandon"), "duration", True),
    ("overflowed_out", N_("Overflowed"), "integer", True),
    ("voicemail", N_("Voicemail"), "integer", True),
    ("overflowed_in", N_("Overflowed from other queues"), "integer", False),
    ("transferred_in", N_("Transferred to the queue"), "integer", False),
    ("transferred_out", N_("Transferred by its agents"), "integer", False),
    ("ended", N_("Ended by the PBX"), "integer", False),
    ("unknown", N_("End not observed"), "integer", False),
    ("waiting", N_("Still waiting"), "integer", False),
    ("service_level_of_answered", N_("Service level of answered calls"), "rate", False),
    ("service_level_less_short_abandons", N_("Service level less short abandons"), "rate", False),
    ("service_level_abandons_met", N_("Service level, quick abandons met"), "rate", False),
    ("maximum_answer", N_("Longest wait of answered calls"), "duration", False),
    ("average_wait", N_("Average wait"), "duration", False),
    ("median_abandon", N_("Median time to abandon"), "duration", False),
    ("p90_abandon", N_("90th percentile of the time to abandon"), "duration", False),
    ("handled", N_("Handled"), "integer", False),
    ("talked", N_("Talk time"), "duration", False),
    ("held", N_("Hold time"), "duration", False),
    ("handle_time", N_("Handle time"), "duration", False),
)

_AGENT_FIGURES: _Figures = (
    ("offered", N_("Offered"), "integer", True),
    ("answered", N_("Answered"), "integer", True),
    ("missed", N_("Missed"), "integer", True),
    ("handled", N_("Handled"), "integer", True),
    ("talked", N_("Talk time"), "duration", True),
    ("average_handle", N_("AHT"), "duration", True),
    ("placed", N_("Placed"), "integer", True),
    ("placed_answered", N_("Placed and answered"), "integer", True),
    ("transfers_out", N_("Transfers made"), "integer", True),
    ("transfers_in", N_("Transfers received"), "integer", True),
    ("picked_up", N_("Picked up"), "integer", True),
    ("abandoned", N_("Abandoned while ringing"), "integer", False),
    ("picked_up_elsewhere", N_("Picked up elsewhere"), "integer", False),
    ("refused", N_("Refused"), "integer", False),
    ("failed", N_("Failed"), "integer", False),
    ("rang", N_("Ring time"), "duration", False),
    ("retrieved", N_("Retrieved from parking"), "integer", False),
    ("consulted", N_("Consulted"), "integer", False),
    ("placed_unanswered", N_("Placed without answer"), "integer", False),
    ("internal_offered", N_("Internal calls offered"), "integer", False),
    ("internal_placed", N_("Internal calls placed"), "integer", False),
    ("longest_talk", N_("Longest talk"), "duration", False),
    ("held", N_("Hold time"), "duration", False),
    ("handle_time", N_("Handle time"), "duration", False),
)

_VOLUMES: _Figures = (
    ("calls", N_("Calls"), "integer", True),
    ("answered", N_("Answered"), "integer", True),
    ("abandoned", N_("Abandoned"), "integer", True),
    ("missed", N_("Missed"), "integer", True),
    ("voicemail", N_("Voicemail"), "integer", True),
    ("no_message", N_("Voicemail without message"), "integer", True),
    ("ended_in_menu", N_("Ended in the menu"), "integer", True),
    ("unanswered", N_("Not answered"), "integer", True),
    ("busy", N_("Busy"), "integer", True),
    ("rejected", N_("Rejected"), "integer", True),
    ("unreachable", N_("Unreachable"), "integer", False),
    ("picked_up_elsewhere", N_("Picked up elsewhere"), "integer", False),
    ("failed", N_("Failed"), "integer", False),
    ("unknown", N_("End not observed"), "integer", False),
    ("active", N_("Active"), "integer", False),
)

_OUTBOUND: _Figures = (
    ("calls", N_("Calls"), "integer", True),
    ("answered", N_("Answered"), "integer", True),
    ("unanswered", N_("Not answered"), "integer", True),
    ("refused", N_("Refused"), "integer", True),
    ("unreachable", N_("Unreachable"), "integer", True),
    ("failed", N_("Failed"), "integer", True),
    ("click_to_call", N_("Click-to-call"), "integer", True),
    ("talked", N_("Talk time"), "duration", True),
    ("active", N_("Active"), "integer", False),
)

_NUMBERS: _Figures = (
    ("calls", N_("Calls"), "integer", True),
    ("answered", N_("Answered"), "integer", True),
    ("abandoned", N_("Abandoned"), "integer", True),
    ("voicemail", N_("Voicemail"), "integer", True),
    ("other", N_("Other results"), "integer", True),
    ("active", N_("Active"), "integer", False),
)


@frozen
class Cell(Generic[R]):
    """Column of a table, and the function that returns its value for a row."""

    column: Column
    """The column."""

    value: Callable[[R], Value]
    """Function that returns the value of the column."""


def make_table(
    name: str, title: str, timezone: ZoneInfo, cells: Iterable[Cell[R]], rows: Iterable[R]
) -> Table:
    """Return the table of rows; ``rows`` is iterated over when the table is."""
    cells = tuple(cells)
    return Table(
        name=name,
        title=title,
        timezone=timezone,
        columns=tuple(cell.column for cell in cells),
        rows=(tuple(cell.value(row) for cell in cells) for row in rows),
    )


def queue_table(
    rows: Iterable[QueueRow], timezone: ZoneInfo, by: By | None = None, *, target: float = 0.8
) -> Table:
    """Return the table of the report on queues.

    ``target``: service level to reach, 0 to 1.
    """

    def is_reached(row: QueueRow) -> bool | None:
        level = row.figures.service_level_of_offered
        return None if level is None else level >= target

    cells: list[Cell[QueueRow]] = [
        *_interval_cells(by),
        _cell("total", _("Total"), lambda row: row.group_id is None, "boolean", is_detail=True),
        _cell("group_id", _("Queue id"), lambda row: row.group_id, "id", is_detail=True),
        Cell(
            Column(key="group_name", heading=_("Queue"), empty=_("All queues")),
            lambda row: _label(row.group_name, row.group_id),
        ),
        *_figure_cells(_QUEUE_FIGURES),
        _cell("target_reached", _("Target reached"), is_reached, "boolean", is_detail=True),
    ]
    rows = list(rows)
    if rows:
        cells += [
            cell for index in range(len(rows[0].figures.bands)) for cell in _band_cells(index, rows)
        ]
    return make_table("queues", _("Queues"), timezone, cells, rows)


def agent_table(
    rows: Iterable[AgentRow], timezone: ZoneInfo, by: By | None = None, *, by_group: bool = False
) -> Table:
    """Return the table of the report on agents.

    ``by_group``: the rows have the figures of each agent by queue.
    """
    cells: list[Cell[AgentRow]] = [
        *_interval_cells(by),
        _cell("total", _("Total"), lambda row: row.user_id is None, "boolean", is_detail=True),
        *_user_cells(),
    ]
    if by_group:
        cells += [
            _cell("group_id", _("Queue id"), lambda row: row.group_id, "id", is_detail=True),
            Cell(
                Column(key="group_name", heading=_("Queue"), empty=_("no queue")),
                lambda row: _label(row.group_name, row.group_id) if row.user_id else "",
            ),
        ]
    cells += _figure_cells(_AGENT_FIGURES)
    name, title = ("agents_by_queue", _("Agents by queue")) if by_group else ("agents", _("Agents"))
    return make_table(name, title, timezone, cells, rows)


def volume_table(rows: Iterable[VolumeRow], timezone: ZoneInfo, by: By | None = None) -> Table:
    """Return the table of the report on volumes: a row for each interval and direction."""
    cells: list[Cell[VolumeRow]] = [
        *_interval_cells(by),
        _cell("total", _("Total"), lambda row: row.direction is None, "boolean", is_detail=True),
        Cell(
            Column(
                key="direction",
                heading=_("Direction"),
                words=translated(DIRECTIONS),
                empty=_("All directions"),
            ),
            lambda row: row.direction,
        ),
        *_number_cells(_VOLUMES),
    ]
    return make_table("volumes", _("Calls by result"), timezone, cells, rows)


def callback_table(rows: Iterable[CallbackRow], timezone: ZoneInfo) -> Table:
    """Return the table of callers who were not answered and not called back."""
    cells: list[Cell[CallbackRow]] = [
        *_caller_cells(),
        _cell("calls", _("Calls"), lambda row: row.calls, "integer"),
        _cell("last", _("Last call"), lambda row: row.last, "time"),
        Cell(
            Column(key="disposition", heading=_("Result"), words=disposition_words()),
            lambda row: row.disposition,
        ),
        _cell("group_name", _("Queue"), lambda row: _label(row.group_name, row.group_id)),
        _cell("queued", _("Wait"), lambda row: row.queued_us, "duration"),
        _cell("attempts", _("Attempts to call back"), lambda row: row.attempts, "integer"),
        _cell("first", _("First call"), lambda row: row.first, "time"),
        _cell("group_id", _("Queue id"), lambda row: row.group_id, "id", is_detail=True),
    ]
    return make_table("callbacks", _("Callback list"), timezone, cells, rows)


def repeat_caller_table(rows: Iterable[RepeatCallerRow], timezone: ZoneInfo) -> Table:
    """Return the table of callers who called several times."""
    cells: list[Cell[RepeatCallerRow]] = [
        *_caller_cells(),
        _cell("calls", _("Calls"), lambda row: row.calls, "integer"),
        _cell("answered", _("Answered"), lambda row: row.answered, "integer"),
        _cell("first", _("First call"), lambda row: row.first, "time"),
        _cell("last", _("Last call"), lambda row: row.last, "time"),
    ]
    return make_table("repeat_callers", _("Repeat callers"), timezone, cells, rows)


def first_contact_table(row: FirstContactRow, timezone: ZoneInfo) -> Table:
    """Return the table, of one row, of callers who did not call again after an answer."""
    cells: list[Cell[FirstContactRow]] = [
        _cell("callers", _("Callers answered"), lambda row: row.callers, "integer"),
        _cell("resolved", _("Did not call again"), lambda row: row.resolved, "integer"),
        _cell("rate", _("First-contact resolution"), lambda row: row.rate, "rate"),
    ]
    return make_table("first_contact", _("First-contact resolution"), timezone, cells, [row])


def outbound_table(rows: Iterable[OutboundRow], timezone: ZoneInfo) -> Table:
    """Return the table of results of outgoing calls."""
    cells: list[Cell[OutboundRow]] = [
        _cell("total", _("Total"), lambda row: row.user_id is None, "boolean", is_detail=True),
        *_user_cells(),
        *_number_cells(_OUTBOUND),
    ]
    return make_table("outbound", _("Outbound calls"), timezone, cells, rows)


def number_table(rows: Iterable[NumberRow], timezone: ZoneInfo) -> Table:
    """Return the table of calls to the company's numbers (DIDs)."""
    cells: list[Cell[NumberRow]] = [
        _cell("total", _("Total"), lambda row: row.number is None, "boolean", is_detail=True),
        Cell(
            Column(key="number", heading=_("Number"), empty=_("All numbers")),
            lambda row: row.number,
        ),
        *_number_cells(_NUMBERS),
    ]
    return make_table("numbers", _("Numbers dialled"), timezone, cells, rows)


def translated(words: Mapping[str, str]) -> dict[str, str]:
    """Return words in the reader's language."""
    return {value: _(word) for value, word in words.items()}


def disposition_words() -> dict[str, str]:
    """Return the words for dispositions of a ``CallRecord``, in the reader's language."""
    return {**translated(DISPOSITIONS), "no_message": _("voicemail without message")}


def _cell(
    key: str,
    heading: str,
    value: Callable[[R], Value],
    kind: Kind = "text",
    *,
    is_detail: bool = False,
) -> Cell[R]:
    return Cell(Column(key=key, heading=heading, kind=kind, is_detail=is_detail), value)


def _interval_cells(by: By | None) -> Iterator[Cell[Any]]:
    yield _cell(
        "start",
        _("Start"),
        lambda row: row.start,
        "date" if by in _DAYS else "minute",
        is_detail=by is None,
    )
    # The end of a day is the first moment of the next one, which a date would hide.
    yield _cell("end", _("End"), lambda row: row.end, "minute", is_detail=True)


def _user_cells() -> Iterator[Cell[Any]]:
    yield _cell("user_id", _("User id"), lambda row: row.user_id, "id", is_detail=True)
    yield Cell(
        Column(key="user_name", heading=_("Agent"), empty=_("All agents")),
        lambda row: _label(row.user_name, row.user_id),
    )
    yield _cell("extension", _("Extension"), lambda row: row.extension)


def _caller_cells() -> Iterator[Cell[Any]]:
    yield _cell("number", _("Number"), lambda row: row.number)
    yield _cell("name", _("Name"), lambda row: row.name)


def _figure_cells(figures: _Figures) -> Iterator[Cell[Any]]:
    """Yield the cells of numbers in the figures of a row."""
    for key, heading, kind, is_shown in figures:
        yield _cell(key, _(heading), _figure(key), kind, is_detail=not is_shown)


def _number_cells(figures: _Figures) -> Iterator[Cell[Any]]:
    """Yield the cells of numbers in a row itself."""
    for key, heading, kind, is_shown in figures:
        yield _cell(key, _(heading), attrgetter(key), kind, is_detail=not is_shown)


def _band_cells(index: int, rows: list[QueueRow]) -> Iterator[Cell[QueueRow]]:
    """Yield the cells of one band of waits."""
    band = rows[0].figures.bands[index]
    lower = f"{band.lower / 1_000_000:g}"
    upper = "" if band.upper is None else f"{band.upper / 1_000_000:g}"
    suffix = f"{lower}_to_{upper}" if upper else f"from_{lower}"
    range_ = _("{lower}–{upper} s") if upper else _("from {lower} s")
    range_ = range_.format(lower=lower, upper=upper)
    for key, heading in (
        ("answered", _("Answered after {range}")),
        ("abandoned", _("Abandoned after {range}")),
    ):
        yield _cell(
            f"{key}_{suffix}",
            heading.format(range=range_),
            _band_count(index, key),
            "integer",
            is_detail=True,
        )


def _figure(key: str) -> Callable[[Any], Value]:
    return attrgetter(f"figures.{key}")


def _band_count(index: int, key: str) -> Callable[[QueueRow], Value]:
    return lambda row: getattr(row.figures.bands[index], key)


def _label(name: str | None, element_id: int | None) -> str | None:
    """Return the name of a user or group, or its id if no name is known."""
    return str(element_id) if name is None and element_id is not None else name
