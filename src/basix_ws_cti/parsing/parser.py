"""Message parser: from a frame to a message, and on to callbacks.

This is the port of the reference library's ``message_parser``. It does no I/O: the owner of
the socket passes in the frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from basix_ws_cti._internal.arguments import check_instance, check_text
from basix_ws_cti._internal.callables import check_function, refuse_awaitable
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

from .fast_path import FastPath
from .record_decoder import record_reader

# Kinds with a field spec, in one connection. Bounds the memory that a peer can take by announcing
# ever more kinds; the feed has nine.
MAX_KINDS = 1000

# Fields in one field spec. Every record, even an empty one, makes an element with all of them;
# the longest known field spec has 23.
MAX_FIELDS = 256

# Fields in all field specs of one connection. Bounds the memory of many long field specs; the
# feed has 200 fields in all.
MAX_ALL_FIELDS = 10_000

# Characters in the name of a kind or field, which is kept as long as the connection. No atom is
# longer.
MAX_NAME = 255

# Names of unknown messages that are logged, each once.
MAX_LOGGED_NAMES = 100

# Names of the callbacks, and of their arguments.
_CALLBACKS = {
    "on_initial_info": ("element_name", "elements"),
    "on_info_event": ("element_name", "element", "event_name"),
    "on_system_msg": ("text",),
    "on_msg": ("text",),
}

Frame = bytes | bytearray | memoryview | str
"""Frame as a WebSocket library may deliver it. The feed has no text frames (``str``)."""

_logger = logging.getLogger(__name__)


class MessageParser:
    """Parser of the frames of one connection, in the order of their arrival.

    Pass the callbacks either as keywords or as methods of one object, ``handler``:

    - ``on_initial_info(element_name, elements)``: all elements of a kind, a dict by key;
    - ``on_info_event(element_name, element, event_name)``: one element was added, updated or
      removed;
    - ``on_system_msg(text)``: a message from the PBX;
    - ``on_msg(text)``: a message from a user or an administrator.

    A callback that is ``None``, or that ``handler`` does not have, is not called.

    - ``base_url``, such as ``"https://xyz.com"``, turns relative avatars into URLs. Without it
      they stay as they were sent.
    - ``limits`` bound the size and complexity of a frame.

    Field specs are valid within one connection: use a new parser for a new connection.

    Raises ``UsageError`` if a callback is not callable with its arguments or is a coroutine
    function, if another argument has the wrong type, if ``handler`` has none of the methods, or if
    both forms are used at once. A dict of callbacks has no such methods: pass it as keywords,
    ``MessageParser(**callbacks)``.
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
                raise UsageError("pass the callbacks as a handler or as keywords, not both")
            given = tuple(getattr(handler, name, None) for name in _CALLBACKS)  # type: ignore[assignment]
            if not any(callback is not None for callback in given):
                if isinstance(handler, Mapping):
                    raise UsageError(
                        f"the handler is a {type(handler).__name__}: pass a dict of callbacks as "
                        "keywords, MessageParser(**callbacks)"
                    )
                raise UsageError(
                    f"the handler, a {type(handler).__name__}, has none of the methods "
                    f"{', '.join(_CALLBACKS)}"
                )
        for (name, arguments), callback in zip(_CALLBACKS.items(), given, strict=True):
            check_function(name, callback, *arguments, optional=True)
        self._on_initial_info, self._on_info_event, self._on_system_msg, self._on_msg = given
        check_text("base_url", base_url, optional=True)
        check_instance("limits", limits, Limits, "a Limits object")
        self._base_url = base_url or None
        self._limits = limits
        self._specs: dict[str, FieldSpec] = {}
        self._readers: dict[str, Callable[[tuple[Any, ...]], Element]] = {}
        self._field_count = 0  # in all specs
        self._fast_path = FastPath(limits, self._base_url)
        self._read_fast = self._fast_path.read  # cached for speed: called for every frame
        self._logged: set[str] = set()
        self._message_readers: dict[str, Callable[[tuple[Any, ...]], Message]] = {
            "info_event": self._info_event,
            "initial_info": self._initial_info,
            "field_spec": self._field_spec,
            "system_msg": self._system_msg,
            "msg": self._msg,
        }

    def __repr__(self) -> str:
        return f"<MessageParser {', '.join(self._specs) or 'without field specs'}>"

    def handle_message(self, frame: Frame) -> None:
        """Read one frame and call the callback for its message.

        Raises the exceptions of ``parse``, ``UsageError`` if a callback returns something to await,
        and whatever the callback raises. After an exception the parser can read the next frame as
        if this one had not arrived.
        """
        event = self._read_fast(frame)
        if event is None:
            result = self._call_back(self._read_slow(frame))
        elif self._on_info_event is not None:
            result = self._on_info_event(*event)
        else:
            return
        if result is not None:
            refuse_awaitable("a callback", result)

    def _call_back(self, message: Message) -> object:
        """Call the callback for a message, and return its result."""
        if type(message) is InfoEvent:
            if self._on_info_event is not None:
                return self._on_info_event(
                    message.element_name, message.element, message.event_name
                )
        elif type(message) is InitialInfo:
            if self._on_initial_info is not None:
                return self._on_initial_info(message.element_name, message.elements)
        elif type(message) is SystemMsg:
            if self._on_system_msg is not None:
                return self._on_system_msg(message.text)
        elif type(message) is Msg and self._on_msg is not None:
            return self._on_msg(message.text)
        return None

    def parse(self, frame: Frame) -> Message:
        """Read one frame and return its message, without calling callbacks.

        Raises ``DecodeError`` for bytes that are not one well-formed term within the limits,
        and ``ProtocolError`` for a text frame (a ``str``), a term that is not a message of the
        expected form, and a kind whose field_spec has not arrived.
        """
        event = self._read_fast(frame)
        if event is not None:
            return _make_info_event(*event)
        return self._read_slow(frame)

    def takes_fast_path(self, frame: Frame) -> bool:
        """Return True if this frame is an event that ``parse`` would read on its fast path.

        The message is the same on either path. For tests and measurements.
        """
        return self._read_fast(frame) is not None

    def _read_slow(self, frame: Frame) -> Message:
        """Read one frame of any kind: decode its term, then turn that into a message."""
        if isinstance(frame, str):
            raise ProtocolError("expected a binary frame, got a text frame")
        records = self._fast_path.read_records(frame, self._specs)
        if records is not None:
            return _initial_info_of(*records)
        term = decode(frame, self._limits)
        if type(term) is not tuple or not term or type(term[0]) is not str:
            raise ProtocolError(
                f"expected a tuple that starts with the message name, got {_describe(term)}"
            )
        read = self._message_readers.get(term[0])
        if read is None:
            return self._unknown(term)
        message = read(term)
        if type(message) is InfoEvent:
            self._fast_path.observe(frame, self._specs[message.element_name])
        return message

    def _info_event(self, term: tuple[Any, ...]) -> InfoEvent:
        _, kind, record, event_name = term if len(term) == 4 else self._sized(term, 4)
        reader = self._readers.get(kind) if type(kind) is str else None
        if reader is None:
            kind, reader = self._reader(kind, "info_event")
        if type(record) is not tuple:
            raise ProtocolError(
                f"expected a tuple as record, got {_describe(record)}", kind, "info_event"
            )
        if type(event_name) is not str:
            event_name = _name(event_name, "event name", kind, "info_event")
        return _make_info_event(kind, reader(record), event_name)

    def _initial_info(self, term: tuple[Any, ...]) -> InitialInfo:
        _, kind, records = self._sized(term, 3)
        kind, reader = self._reader(kind, "initial_info")
        records = _list(records, "records", kind, "initial_info")
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
                    f"expected a tuple as record, got {_describe(record)}",
                    kind,
                    f"initial_info record {position}",
                )
            elements.append(reader(record))
        return _initial_info_of(kind, elements)

    def _field_spec(self, term: tuple[Any, ...]) -> FieldSpec:
        _, kind, names = self._sized(term, 3)
        kind = _name(kind, "kind", None, "field_spec")
        if len(kind) > MAX_NAME:
            raise ProtocolError(
                f"the kind is longer than {MAX_NAME} characters (MAX_NAME)", None, "field_spec"
            )
        names = _list(names, "field names", kind, "field_spec")
        if len(names) > MAX_FIELDS:
            raise ProtocolError(f"more than {MAX_FIELDS} fields (MAX_FIELDS)", kind, "field_spec")
        fields = []
        for position, name in enumerate(names):
            text = as_text(name)
            if not text:
                raise ProtocolError(
                    f"expected text as field name {position}, got {_describe(name)}",
                    kind,
                    "field_spec",
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
                f"more than {MAX_KINDS} kinds on one connection (MAX_KINDS)", None, "field_spec"
            )
        added = len(fields) - (0 if old is None else len(old.fields))
        if self._field_count + added > MAX_ALL_FIELDS:
            raise ProtocolError(
                f"more than {MAX_ALL_FIELDS} fields on one connection (MAX_ALL_FIELDS)",
                kind,
                "field_spec",
            )
        self._field_count += added
        spec = FieldSpec(kind, tuple(fields))
        self._specs[kind] = spec
        self._readers.pop(kind, None)
        self._fast_path.forget(kind)
        return spec

    def _system_msg(self, term: tuple[Any, ...]) -> SystemMsg | UnknownMessage:
        text = self._msg_text(term)
        return self._unknown(term) if text is None else SystemMsg(text)

    def _msg(self, term: tuple[Any, ...]) -> Msg | UnknownMessage:
        text = self._msg_text(term)
        return self._unknown(term) if text is None else Msg(text)

    def _msg_text(self, term: tuple[Any, ...]) -> str | None:
        _, value = self._sized(term, 2)
        return "" if value is None else as_text(value)  # {bert,nil} is the empty charlist

    def _sized(self, term: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        """Return the first ``size`` parts of a message; further ones are ignored."""
        if len(term) < size:
            raise ProtocolError(f"expected {size} parts, got {len(term)}", None, term[0])
        return term[:size]

    def _reader(self, kind: Any, message: str) -> tuple[str, Callable[[tuple[Any, ...]], Element]]:
        """Return a kind as text and the reader of its records, making the reader if needed."""
        kind = _name(kind, "kind", None, message)
        reader = self._readers.get(kind)
        if reader is None:
            spec = self._specs.get(kind)
            if spec is None:
                raise ProtocolError("no field_spec received for this kind", kind, message)
            reader = self._readers[kind] = record_reader(spec, self._base_url)
        return kind, reader

    def _unknown(self, term: tuple[Any, ...]) -> UnknownMessage:
        """Return a message of an unknown name or form; log its name the first time."""
        shown = printable(term[0], 60)
        if shown not in self._logged and len(self._logged) < MAX_LOGGED_NAMES:
            self._logged.add(shown)
            form = "message without text" if term[0] in self._message_readers else "unknown message"
            _logger.warning("%s %s: delivered as UnknownMessage", form, shown)
        return UnknownMessage(term[0], term)


_make_info_event = constructor(InfoEvent)


def _initial_info_of(kind: str, elements: list[Element]) -> InitialInfo:
    """Return the message with these elements."""
    keys = _replace_missing_keys([element.key for element in elements])
    return InitialInfo(kind, dict(zip(keys, elements, strict=True)))


def _replace_missing_keys(keys: list[int | str | None]) -> list[int | str]:
    """Return the keys with a number in place of each ``None``.

    The number is the key's position in the list, counted from 0. If another element has that number
    as its key, the next unused number above it is taken, so that both elements fit into one dict.
    """
    if None not in keys:
        return keys  # type: ignore[return-value]
    taken = {*keys}
    free = 0  # no number below it may be used for a missing key
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
    """Return a name as text; PBXs send names as atoms, charlists or binaries."""
    text = as_text(value)
    if text is None or value == []:
        raise ProtocolError(f"expected text as {what}, got {_describe(value)}", kind, message)
    return text


def _list(value: Any, what: str, kind: str, message: str) -> list[Any]:
    """Return a list; a PBX may send an empty one as ``{bert,nil}``."""
    if value is None:
        return []
    if type(value) is not list:
        raise ProtocolError(f"expected a list of {what}, got {_describe(value)}", kind, message)
    return value


def _describe(value: Any) -> str:
    """Return a term's type and size, never its contents, which may be personal data."""
    if value is None:
        return "no value"
    if type(value) in {str, tuple, list, dict}:
        return f"{type(value).__name__} of length {len(value)}"
    return type(value).__name__
