"""Text lines that ``listen`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo

from attrs import define, frozen

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.alerts.rule import Alert
from basix_ws_cti.board.alert_texts import describe_alert
from basix_ws_cti.board.call_lines import (
    DIRECTIONS,
    describe_call_ends,
    describe_call_event,
    describe_ringing,
)
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.calls.event_json import event_name
from basix_ws_cti.cli.feed_names import INITIAL
from basix_ws_cti.cli.filters import Filters
from basix_ws_cti.cli.output import fit_text
from basix_ws_cti.messages import (
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Msg,
    SystemMsg,
    UnknownMessage,
)
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror

from .json_lines import Item
from .kind_words import CALL_EVENTS, ELEMENT_EVENTS, KINDS, kind_word, widest
from .ringing import PhonesRinging

# SGR codes (ECMA-48) by event: the eight colours that every terminal has, 1 bold, 2 faint.
_COLOURS = {
    "added": 32,
    "started": 32,
    "answered": 36,
    "retrieved": 36,
    "ringing": 33,
    "parked": 35,
    "transferred": 35,
    "removed": 31,
    "ended": 31,
    "initial": 2,
    "message": 1,
    "lagged": 1,
    "alert_raised": 31,
    "alert_ended": 32,
}
_FAINT = 2

_DATE_AND_TIME, _TIME = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"
_TIMES = {_DATE_AND_TIME: 19, _TIME: 8}  # widths in columns

# Terminal widths, in columns, from which lines show the date and the numbers of parties with a
# name, and from which lines about calls show event and direction in columns of their own.
_WIDE = 120
_WITH_CALL_COLUMNS = 100

# Share of the parties in the width that they and the description fill: at 80 columns, most names
# and numbers are complete.
_CALL_SHARE, _ELEMENT_SHARE = 0.36, 0.47

# Width of the column with the parties, in columns, where lines may have any length.
_PARTIES = 50


@frozen
class _Line:
    """Cells of a line. ``event`` is the event's name, which determines the colour."""

    event: str
    kind: str
    subject: str
    description: str = ""


@frozen
class _Layout:
    """Widths of the columns of a line, in terminal columns. 0: the column is left out."""

    width: int | None
    """Width of the line; ``None``: it may have any length."""
    time_format: str
    event: int
    kind: int
    subject: int
    description: int | None
    """``None``: the text has any length."""


@define
class TextLines:
    """Converter from items of a feed to text lines."""

    mirror: Mirror
    """Mirror in which names are looked up."""

    filters: Filters
    """Selection of items."""

    colourise: Callable[[str, int], str]
    """Function that returns a text in the colour of an SGR code."""

    zone: tzinfo | None = None
    """Time zone of printed times; ``None`` is local time."""

    of_calls: bool = False
    """True if the items are call events."""

    width: Callable[[], int | None] = lambda: None
    """Function that returns the width that lines must fit, in terminal columns; ``None``: none."""

    # Layout for the width of the last line.
    _layout: _Layout | None = None

    def __call__(self, at: datetime, item: Item | PhonesRinging) -> Iterator[str]:
        """Yield the line of one item, or nothing if the filters reject it."""
        width = self.width()
        if self._layout is None or self._layout.width != width:
            self._layout = self._new_layout(width)
        labels = Labels(self.mirror, with_numbers=width is None or width >= _WIDE)
        line = self._line(item, labels)
        if line is not None:
            yield self._format(at, line, self._layout)

    def _format(self, at: datetime, line: _Line, layout: _Layout) -> str:
        colour = _COLOURS.get(line.event, 0)
        parts = [self.colourise(f"{at.astimezone(self.zone):{layout.time_format}}", _FAINT)]
        if layout.event:
            words = CALL_EVENTS if self.of_calls else ELEMENT_EVENTS
            word = _(words[line.event]) if line.event in words else line.event
            parts.append(self.colourise(fit_text(word, layout.event), colour))
        if layout.kind:
            parts.append(fit_text(line.kind, layout.kind))
        if not line.description:
            rest = layout.description
            width = None if rest is None else layout.subject + 1 + rest
            return " ".join((*parts, fit_text(line.subject, width))).rstrip() + "\n"
        is_limited = layout.description is not None
        parts.append(fit_text(line.subject, layout.subject, cut=is_limited))
        description = fit_text(line.description, layout.description).rstrip()
        parts.append(description if layout.event else self.colourise(description, colour))
        return " ".join(parts) + "\n"

    def _new_layout(self, width: int | None) -> _Layout:
        time_format = _DATE_AND_TIME if width is None or width >= _WIDE else _TIME
        event = kind = 0
        if not self.of_calls:
            event = widest(ELEMENT_EVENTS.values())
            kind = widest(word for word, _heading in KINDS.values())
        elif width is None or width >= _WITH_CALL_COLUMNS:
            event, kind = widest(CALL_EVENTS.values()), widest(DIRECTIONS.values())
        if width is None:
            return _Layout(width, time_format, event, kind, _PARTIES, None)
        used = _TIMES[time_format] + 1 + sum(n + 1 for n in (event, kind) if n)
        rest = width - used - 1
        subject = round(rest * (_CALL_SHARE if self.of_calls else _ELEMENT_SHARE))
        return _Layout(width, time_format, event, kind, subject, rest - subject)

    def _line(self, item: Item | PhonesRinging, labels: Labels) -> _Line | None:
        """Return the cells of an item; ``None`` if the filters reject it."""
        match item:
            case InfoEvent(kind, element, name):
                if self.filters.match_element(kind, element, name, self.mirror):
                    activity = labels.activity(element)
                    return _Line(name, kind_word(kind), labels.element(element), activity)
                return None
            case InitialInfo():
                return self._snapshot_line(item)
            case Alert():
                name = f"alert_{item.state}"
                return _Line(name, _("alert"), str(item.rule), describe_alert(item))
            case Lagged(missed):
                return _Line("lagged", "", _describe_lagged(missed))
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                return None if self.filters.is_active else _message_line(item)
            case PhonesRinging(call, parties):
                name, description = "ringing", describe_ringing(parties, labels)
            case event:
                call, name = event.call, event_name(type(event))
                description = describe_call_event(event, labels)
        if not self.filters.match_call(call, name, self.mirror):
            return None
        direction = _(DIRECTIONS[call.direction])
        return _Line(name, direction, describe_call_ends(call, labels), description)

    def _snapshot_line(self, message: InitialInfo) -> _Line | None:
        count = sum(
            self.filters.match_element(message.element_name, element, INITIAL, self.mirror)
            for element in message.elements.values()
        )
        if not count and self.filters.is_active:
            return None
        text = ngettext("{count} element", "{count} elements", count).format(count=count)
        return _Line(INITIAL, kind_word(message.element_name), text)


def _message_line(message: FieldSpec | SystemMsg | Msg | UnknownMessage) -> _Line | None:
    match message:
        case SystemMsg(text) | Msg(text):
            return _Line("message", "", text)
        case UnknownMessage(name, _term):
            return _Line("unknown", "", name)
    return None


def _describe_lagged(missed: int) -> str:
    text = ngettext(
        "{count} item dropped: output is too slow",
        "{count} items dropped: output is too slow",
        missed,
    )
    return text.format(count=missed)
