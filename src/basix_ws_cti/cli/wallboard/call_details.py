"""Details of a call as a Rich renderable: parties, times, phases and legs.

Phases and legs have a bar each, on one time axis that is as wide as the space allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from attrs import frozen
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.call_lines import DIRECTIONS
from basix_ws_cti.board.durations import format_duration
from basix_ws_cti.board.endings import call_end_phrases, describe_disposition
from basix_ws_cti.board.labels import Labels, join_phrases
from basix_ws_cti.board.limits import Limits
from basix_ws_cti.board.tables import PHASES, Style, wait_style
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.calls import Call, Leg, Phase
from basix_ws_cti.states import moment

from .styles import Palette

# Width, in characters, of the narrowest and the widest time axis.
_MIN_AXIS = 16
_MAX_AXIS = 120

# Width of the other columns of a table: a time of day, a duration and three gaps.
_OTHER_COLUMNS = 24


@frozen(eq=False, kw_only=True)
class CallDetails:
    """Rich renderable with the details of a call at one moment."""

    call: Call
    """The call."""

    labels: Labels
    """Names of users and groups."""

    now: int
    """Present time of the PBX's clock, in microseconds since the epoch."""

    zone: tzinfo | None
    """Time zone of times of day; ``None`` is local time."""

    palette: Palette
    """Colours."""

    limits: Limits
    """Limits of a wait in a queue."""

    stale: bool = False
    """True if there is no live feed."""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the facts, the phases and the legs."""
        axis = (options.max_width - _OTHER_COLUMNS) * 3 // 8
        axis = max(_MIN_AXIS, min(_MAX_AXIS, axis))
        yield self._facts_table()
        yield Text()
        yield self._phases_table(axis)
        yield Text()
        yield self._legs_table(axis)

    @property
    def _end(self) -> int:
        """End of the call or, while it goes on, the present."""
        call = self.call
        return call.ended if call.ended is not None else max(self.now, call.phase.started)

    def _style(self, style: Style) -> str:
        return self.palette.stale if self.stale else self.palette.cells[style]

    def _text(self, text: str, style: Style = "plain") -> Text:
        """Return a text that may come from the feed."""
        return Text(cell_text(text), style=self._style(style))

    def _facts_table(self) -> Table:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in self._facts():
            table.add_row(self._text(name, "faint"), self._text(text))
        return table

    def _facts(self) -> Iterator[tuple[str, str]]:
        call, labels = self.call, self.labels
        text = _("{direction}, from {caller}")
        if call.called_number:
            text = _("{direction}, from {caller}, dialled {number}")
        yield (
            _("Call"),
            text.format(
                direction=_(DIRECTIONS[call.direction]),
                caller=labels.party(call.caller),
                number=call.called_number,
            ),
        )
        yield _("Started"), _format_time(call.started, self.zone)
        yield _("Duration"), format_duration(self._end - call.started)
        if call.answered is not None and call.answered_by is not None:
            yield (
                _("Answered"),
                _("by {name} after {duration}").format(
                    name=labels.party(call.answered_by),
                    duration=format_duration(call.answered - call.started),
                ),
            )
        if call.transfers:
            yield _("Transfers"), str(call.transfers)
        if not call.complete:
            yield _("Note"), _("incomplete: part of the call was not observed")
        if call.ended is not None:
            ended = _format_time(call.ended, self.zone)
            yield _("Ended"), join_phrases([ended, *call_end_phrases(call, synthetic=False)])

    def _phases_table(self, axis: int) -> Table:
        table = self._new_table(_("Phase"), axis)
        for phase in self.call.phases:
            until = self._end if phase.ended is None else phase.ended
            style = self._phase_style(phase, until)
            table.add_row(
                self._text(_format_time(phase.started, self.zone)),
                self._text(format_duration(until - phase.started)),
                Text(self._bar(axis, (phase.started, until, "=")), style=self._style(style)),
                self._text(self.labels.phase(phase) or _(PHASES[phase.kind][0]), style),
            )
        return table

    def _phase_style(self, phase: Phase, until: int) -> Style:
        if phase.kind == "queued":
            return wait_style(self.limits.level(until - phase.started))
        return PHASES[phase.kind][1]

    def _legs_table(self, axis: int) -> Table:
        table = self._new_table(_("Leg"), axis)
        for leg in sorted(
            self.call.legs, key=lambda leg: (leg.offered or 0, leg.uuid != self.call.id)
        ):
            until = leg.ended if leg.ended is not None else self._end
            start = leg.offered
            if start is None:
                start = until if leg.answered is None else leg.answered
            talk = until if leg.answered is None else leg.answered
            bar = self._bar(axis, (start, talk, "-"), (talk, until, "="))
            table.add_row(
                self._text(_format_time(leg.offered, self.zone)),
                self._text("" if leg.offered is None else format_duration(until - leg.offered)),
                Text(bar, style=self._style("faint")),
                self._text(self._leg_text(leg)),
            )
        return table

    def _leg_text(self, leg: Leg) -> str:
        name = self.labels.party(leg.party)
        text = _("from {name}") if leg.direction == "inbound" else _("to {name}")
        parts = [text.format(name=name)]
        if leg.answered is None:
            parts.append(_("not answered"))
        elif leg.offered is not None:
            duration = format_duration(leg.answered - leg.offered)
            parts.append(_("answered in {duration}").format(duration=duration))
        else:
            parts.append(_("answered"))
        text = join_phrases(parts)
        if leg.outcome in {None, "answered"}:
            return text
        return f"{text}: {describe_disposition(leg.outcome)}"

    def _bar(self, axis: int, *parts: tuple[int, int, str]) -> str:
        """Return a bar on the time axis; a part has a start, an end and the character to draw."""
        start = self.call.started
        total = max(1, self._end - start)
        cells = [" "] * axis
        for begin, end, char in parts:
            left = min(axis - 1, max(0, (begin - start) * axis // total))
            right = min(axis, max(left, (end - start) * axis // total))
            if end > begin:
                right = max(left + 1, right)
            cells[left:right] = char * (right - left)
        return "".join(cells)

    def _new_table(self, last_heading: str, axis: int) -> Table:
        """Return a table with a time of day, a duration, a bar, and a column with this heading."""
        table = Table(
            box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=self._style("faint")
        )
        for heading, width in ((_("Since"), 8), (_("For"), 7)):
            table.add_column(
                heading,
                no_wrap=True,
                min_width=max(width, cell_len(heading)),
                justify="right" if width == 7 else "left",
            )
        ends = [_format_time(moment, self.zone) for moment in (self.call.started, self._end)]
        table.add_column(ends[0] + ends[1].rjust(axis - len(ends[0])), no_wrap=True, min_width=axis)
        table.add_column(last_heading, overflow="fold")
        return table


def _format_time(microseconds: int | None, zone: tzinfo | None) -> str:
    at = moment(microseconds)
    return "" if at is None else f"{at.astimezone(zone):%H:%M:%S}"
