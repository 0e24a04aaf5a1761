"""MessageParser: frame -> message -> callbacks.

The port of the reference library's ``message_parser``, and the one thing everything else
is built upon. It does no I/O: frames come from whoever owns the socket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import ProtocolError, UsageError, printable
from basix_ws_cti.messages import (
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Message,
    Msg,
    SystemMsg,
    UnknownMessage,
)
from basix_ws_cti.terms import DEFAULT_LIMITS, Limits, as_text, decode

from .fast_path import (
    HEAD_BYTES,
    MAX_FAST_BYTES,
    REFUSALS,
    event_head,
    event_reader,
    fast_path_fits,
)
from .record_decoder import record_reader

# A peer that announces kinds without end; the feed has nine.
MAX_KINDS = 1000

# A field_spec so long that every empty record takes a thousand fields to fill. The longest
# known has 23.
MAX_FIELDS = 256

# The same over and over: a thousand kinds of 256 fields with long names. The feed has two
# hundred in all.
MAX_ALL_FIELDS = 10_000

# Names as long as a frame, which a session would hold as long as it lasts. No atom is longer.
MAX_NAME = 255

# A field_spec for every few events: to make the function that the next ones go straight
# through takes as long as to read a hundred of them, three hundred with the longest spec.
FAST_AFTER = 500

# Names of unknown messages that are logged, each once.
MAX_LOGGED_NAMES = 100

_CALLBACKS = ("on_initial_info", "on_info_event", "on_system_msg", "on_msg")

Frame = bytes | bytearray | memoryview | str
"""What a WebSocket may hand over; of text frames the feed has none."""

_logger = logging.getLogger(__name__)


class MessageParser:
    """Reads the frames of one connection, in their order.

    Either an object with methods of these names, or keywords:

    - ``on_initial_info(element_name, elements)``: all elements of a kind, a dict by key;
    - ``on_info_event(element_name, element, event_name)``: one changed;
    - ``on_system_msg(text)``, ``on_msg(text)``.

    What is ``None``, or a method the object has not got, is not called. With ``base_url``
    (``"https://xyz.com"``) relative avatars become URLs under it. ``limits`` bound what a
    frame may ask for.

    Field specs belong to the connection: use a new parser for a new connection. Raises
    ``UsageError`` for callbacks that can't work: not callable, a coroutine function
    (nobody would await it), an object with none of the methods, or both forms at once.
    """

    def __init__(
        self,
        handler: object | None = None,
        *,
        on_initial_info: Callable[[str, dict[int | str, Element]], object] | None = None,
        on_info_event: Callable[[str, Element, str], object] | None = None,
        on_system_msg: Callable[[str], object] | None = None,
        on_msg: Callable[[str], object] | None = None,
        base_url: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        given = (on_initial_info, on_info_event, on_system_msg, on_msg)
        if handler is not None:
            if any(callback is not None for callback in given):
                raise UsageError("give either an object with the callbacks or keywords, not both")
            given = tuple(getattr(handler, name, None) for name in _CALLBACKS)  # type: ignore[assignment]
            if not any(callback is not None for callback in given):
                raise UsageError(
                    f"a {type(handler).__name__} has none of the methods {', '.join(_CALLBACKS)}"
                )
        for name, callback in zip(_CALLBACKS, given, strict=True):
            if callback is not None and callback_kind(name, callback) != "sync":
                raise UsageError(f"{name} is a coroutine function, and a parser does not await")
        self._on_initial_info, self._on_info_event, self._on_system_msg, self._on_msg = given
        if not (base_url is None or isinstance(base_url, str)):
            raise UsageError(f"base_url is a str, not {type(base_url).__name__}")
        if not isinstance(limits, Limits):
            raise UsageError(f"limits is a Limits(…), not {type(limits).__name__}")
        self._base_url = base_url or None
        self._limits = limits
        self._specs: dict[str, FieldSpec] = {}
        self._readers: dict[str, Callable[[tuple[Any, ...]], Element]] = {}
        self._may_go_straight = fast_path_fits(limits)
        self._straight: dict[bytes, Callable[[bytes], tuple[str, Element, str]]] = {}
        self._heads: dict[str, bytes] = {}
        self._events_read: dict[str, int] = {}
        self._all_fields = 0
        self._logged: set[str] = set()
        self._read: dict[str, Callable[[tuple[Any, ...]], Message]] = {
            "info_event": self._info_event,
            "initial_info": self._initial_info,
            "field_spec": self._field_spec,
            "system_msg": self._system_msg,
            "msg": self._msg,
        }

    def handle_message(self, frame: Frame) -> None:
        """Read one frame and call back.

        Raises what ``parse`` raises; whatever a callback raises passes through
        unchanged. After any of them the next frame is read as if this one had not come.
        """
        event = self._straight_event(frame)
        if event is not None:
            if self._on_info_event is not None:
                self._on_info_event(*event)
            return
        message = self._parse(frame)
        if type(message) is InfoEvent:
            if self._on_info_event is not None:
                self._on_info_event(message.element_name, message.element, message.event_name)
        elif type(message) is InitialInfo:
            if self._on_initial_info is not None:
                self._on_initial_info(message.element_name, message.elements)
        elif type(message) is SystemMsg:
            if self._on_system_msg is not None:
                self._on_system_msg(message.text)
        elif type(message) is Msg and self._on_msg is not None:
            self._on_msg(message.text)

    def parse(self, frame: Frame) -> Message:
        """Read one frame, without callbacks.

        Raises ``DecodeError`` for bytes that are no term, and ``ProtocolError``
        for a text frame (a ``str``), a term that is no message, an event or initial_info
        before its field_spec, a record that is no tuple.
        """
        event = self._straight_event(frame)
        if event is not None:
            return _make_info_event(*event)
        return self._parse(frame)

    def _straight_event(self, frame: Frame) -> tuple[str, Element, str] | None:
        """The kind, element and name of an event that goes straight; any other is ``None``."""
        if type(frame) is not bytes or len(frame) > MAX_FAST_BYTES:
            return None
        read = self._straight.get(frame[:HEAD_BYTES])
        if read is None:
            return None
        try:
            return read(frame)
        except REFUSALS:
            return None

    def _go_straight(self, frame: bytes, kind: str) -> None:
        """Have the kind's next events go straight, if they come in the form of this one."""
        spec = self._specs[kind]
        head = event_head(frame, spec)
        if head is not None and frame[:HEAD_BYTES] not in self._straight:
            self._heads[kind] = frame[:HEAD_BYTES]
            self._straight[frame[:HEAD_BYTES]] = event_reader(spec, self._base_url, head)

    def _parse(self, frame: Frame) -> Message:
        """Read one frame the plain way."""
        if isinstance(frame, str):
            raise ProtocolError("a text frame; the feed sends binary ones only")
        term = decode(frame, self._limits)
        if type(term) is not tuple or not term or type(term[0]) is not str:
            raise ProtocolError(f"{_describe(term)} is no message: that is a tuple led by its name")
        read = self._read.get(term[0])
        if read is None:
            self._log_unknown(term[0])
            return UnknownMessage(term[0], term)
        message = read(term)
        if type(message) is InfoEvent and self._may_go_straight and type(frame) is bytes:
            kind = message.element_name
            count = self._events_read.get(kind, 0) + 1
            self._events_read[kind] = count
            if count == FAST_AFTER:
                self._go_straight(frame, kind)
        return message

    def _info_event(self, term: tuple[Any, ...]) -> InfoEvent:
        _, kind, record, event_name = term if len(term) == 4 else self._sized(term, 4)
        reader = self._readers.get(kind) if type(kind) is str else None
        if reader is None:
            kind, reader = self._reader(kind, "info_event")
        if type(record) is not tuple:
            raise ProtocolError(f"a record is a tuple, not {_describe(record)}", kind, "info_event")
        if type(event_name) is not str:
            event_name = _name(event_name, "an event's name", kind, "info_event")
        return _make_info_event(kind, reader(record), event_name)

    def _initial_info(self, term: tuple[Any, ...]) -> InitialInfo:
        _, kind, records = self._sized(term, 3)
        kind, reader = self._reader(kind, "initial_info")
        records = _list(records, "the records", kind, "initial_info")
        if len(records) > self._limits.records:
            raise ProtocolError(
                f"{len(records)} records; the limit is {self._limits.records} (records)",
                kind,
                "initial_info",
            )
        elements = []
        for position, record in enumerate(records):
            if type(record) is not tuple:
                raise ProtocolError(
                    f"a record is a tuple, not {_describe(record)}",
                    kind,
                    f"initial_info record {position}",
                )
            elements.append(reader(record))
        keys = _all_keyed([element.key for element in elements])
        return InitialInfo(kind, dict(zip(keys, elements, strict=True)))

    def _field_spec(self, term: tuple[Any, ...]) -> FieldSpec:
        _, kind, names = self._sized(term, 3)
        kind = _name(kind, "a kind", None, "field_spec")
        if len(kind) > MAX_NAME:
            raise ProtocolError(
                f"a kind is longer than {MAX_NAME} characters (MAX_NAME)", None, "field_spec"
            )
        names = _list(names, "the field names", kind, "field_spec")
        if len(names) > MAX_FIELDS:
            raise ProtocolError(f"more than {MAX_FIELDS} fields", kind, "field_spec")
        fields = []
        for position, name in enumerate(names):
            text = as_text(name)
            if not text:
                raise ProtocolError(
                    f"field name {position} is text, not {_describe(name)}", kind, "field_spec"
                )
            if len(text) > MAX_NAME:
                raise ProtocolError(
                    f"field name {position} is longer than {MAX_NAME} characters (MAX_NAME)",
                    kind,
                    "field_spec",
                )
            fields.append(text)
        old = self._specs.get(kind)
        if old is None and len(self._specs) >= MAX_KINDS:
            raise ProtocolError(
                f"more than {MAX_KINDS} kinds on one connection", None, "field_spec"
            )
        more = len(fields) - (0 if old is None else len(old.fields))
        if self._all_fields + more > MAX_ALL_FIELDS:
            raise ProtocolError(
                f"more than {MAX_ALL_FIELDS} fields on one connection (MAX_ALL_FIELDS)",
                kind,
                "field_spec",
            )
        self._all_fields += more
        spec = FieldSpec(kind, tuple(fields))
        self._specs[kind] = spec
        self._readers.pop(kind, None)
        self._events_read.pop(kind, None)
        self._straight.pop(self._heads.pop(kind, b""), None)
        return spec

    def _system_msg(self, term: tuple[Any, ...]) -> SystemMsg:
        return SystemMsg(self._msg_text(term))

    def _msg(self, term: tuple[Any, ...]) -> Msg:
        return Msg(self._msg_text(term))

    def _msg_text(self, term: tuple[Any, ...]) -> str:
        _, value = self._sized(term, 2)
        text = "" if value is None else as_text(value)  # {bert,nil} is the empty charlist
        if text is None:
            raise ProtocolError(f"the message is text, not {_describe(value)}", None, term[0])
        return text

    def _sized(self, term: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        """The message, which has ``size`` parts; more are ignored."""
        if len(term) < size:
            raise ProtocolError(f"{len(term)} parts of {size}", None, term[0])
        return term[:size]

    def _reader(self, kind: Any, message: str) -> tuple[str, Callable[[tuple[Any, ...]], Element]]:
        """A kind as text, and the reader of its records, made when the first of them comes."""
        kind = _name(kind, "a kind", None, message)
        reader = self._readers.get(kind)
        if reader is None:
            spec = self._specs.get(kind)
            if spec is None:
                raise ProtocolError("no field_spec has come for this kind", kind, message)
            reader = self._readers[kind] = record_reader(spec, self._base_url)
        return kind, reader

    def _log_unknown(self, name: str) -> None:
        shown = printable(name, 60)
        if shown not in self._logged and len(self._logged) < MAX_LOGGED_NAMES:
            self._logged.add(shown)
            _logger.warning("unknown message %s: passed on as UnknownMessage", shown)


_make_info_event = constructor(InfoEvent)


def _all_keyed(keys: list[int | str | None]) -> list[int | str]:
    """The keys, each ``None`` among them replaced by its position.

    Or by the next number that is nobody's: no element is to be lost.
    """
    if None not in keys:
        return keys  # type: ignore[return-value]
    taken = {*keys}
    free = 0
    filled: list[int | str] = []
    for position, key in enumerate(keys):
        if key is None:
            free = max(free, position)
            while free in taken:
                free += 1
            filled.append(free)
            free += 1
        else:
            filled.append(key)
    return filled


def _name(value: Any, what: str, kind: str | None, message: str) -> str:
    """A name as text, whichever way it was sent."""
    text = as_text(value)
    if text is None or value == []:
        raise ProtocolError(f"{what} is text, not {_describe(value)}", kind, message)
    return text


def _list(value: Any, what: str, kind: str, message: str) -> list[Any]:
    """A list; an empty one may come as ``{bert,nil}``."""
    if value is None:
        return []
    if type(value) is not list:
        raise ProtocolError(f"{what} are a list, not {_describe(value)}", kind, message)
    return value


def _describe(value: Any) -> str:
    """What a term is, without what it says: an error's text holds no one's data."""
    if value is None:
        return "no value"
    if type(value) in {tuple, list, dict}:
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
