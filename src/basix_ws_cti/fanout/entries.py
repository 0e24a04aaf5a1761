"""Entries of the stream: their format, encoding and decoding. No I/O, no clock.

Each entry of the Redis stream has these fields, all of them bytes. A reader ignores other fields.

============  ==========================================================================
``prev``      as ``stream`` describes it
``snapshot``  as ``stream`` describes it
``v``         version of the format: ``1``
``at``        time at which the publisher appended it, in microseconds since the epoch (UTC)
``type``      one of the types below
``data``      JSON object in UTF-8, without NaN and infinity
============  ==========================================================================

The types, with the keys of ``data``:

``epoch``
    The marker, the first entry of an epoch: another publisher leads from here on. ``publisher``:
    its name.

``snapshot``, ``snapshot_elements``, ``snapshot_calls``, ``snapshot_end``
    The complete state after the entry before it. The entries of a snapshot follow each other; any
    other entry in between means that the snapshot stays incomplete. ``snapshot`` has no keys.
    ``snapshot_elements``: ``kind``, and ``elements``, an array of ``[key, element]``. A kind may
    have several of these entries. ``snapshot_calls``: ``calls``, an array. ``snapshot_end``:
    ``parts``, the number of entries between the first and the last one.

    A reader whose state is current skips a snapshot, unless ``state`` has reported a loss before.

``element``
    A change. ``kind``, ``event`` (``added``, ``updated`` or ``removed``), ``key`` and ``element``,
    the element after the change with all its fields.

``elements``
    The PBX has sent all elements of a kind again. ``kind``, ``elements`` as above, ``part`` and
    ``parts``: the number of this entry, from 1 on, and of all entries of this kind. The entries
    follow each other. Elements that are in none of them are gone.

``call``
    A call event, for readers that do not derive call events themselves. ``event`` (``started``,
    ``ringing``, ``answered``, ``parked``, ``retrieved``, ``transferred``, ``updated`` or
    ``ended``), ``call``, the other attributes of the event's class, and ``key``, which
    ``call_event_key`` computes.

``system_msg``, ``msg``, ``unknown``
    A message of the PBX. ``text``; of ``unknown``: ``name`` and ``term``.

``state``
    State of the publisher's connection to the PBX. ``state``: ``connecting``, ``syncing``,
    ``synced``, ``disconnected`` or ``stopped``; ``reason``: ``null``, or ``error`` (a class name)
    and ``text``; ``last_heard``: time in microseconds since the epoch, or ``null``; ``retry_in``:
    seconds until the next attempt, or ``null``; ``attempt``: number of the attempt, or ``null``.
    After ``disconnected`` and ``stopped``, the state in the stream is stale until the next complete
    snapshot.

``gap``
    Changes of the PBX may have been missed between ``started`` and ``ended``, in microseconds since
    the epoch. ``reason`` as above. The entries of a complete snapshot follow.

Elements have the shape of ``element_json``, calls that of the lines of ``listen --json``. Times are
integers in microseconds since the epoch, UTC. Readers ignore keys and types that they do not know:
a version that adds some keeps the number 1. Any other change of the format has a new number.

``data`` of all types except ``epoch``, ``state`` and ``gap`` is computed from data of the PBX only:
two publishers with the same feed make equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NoReturn

import attrs
from attrs import frozen

from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call, Party
from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import BasixError, FeedError
from basix_ws_cti.messages import InfoEvent, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .element_json import element_from_json, element_to_json, term_from_json, term_to_json
from .stream import DATA, PREVIOUS, SNAPSHOT, EntryId

VERSION: Final = 1
"""Version of the format."""

_VERSION_FIELD: Final = b"v"
_AT: Final = b"at"
_TYPE: Final = b"type"

# Bytes of JSON after which an entry of a snapshot ends. Redis serves nobody else while it appends
# or sends one entry; at this size that takes less than a millisecond.
PART_SIZE: Final = 256 * 1024

_EVENTS: Final[dict[type[Change], str]] = {Added: "added", Changed: "updated", Removed: "removed"}
_STATES: Final[dict[type[ClientState], str]] = {
    Connecting: "connecting",
    Syncing: "syncing",
    Synced: "synced",
    Disconnected: "disconnected",
    Stopped: "stopped",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Bytes of the hash in the key of a call event: with 10**9 events, a collision has a chance of 3 in
# 10**11.
_HASH_SIZE: Final = 16


class EntryError(FeedError, ValueError):
    """An entry cannot be read. The text says why, without any content of the entry."""


class NewerVersionError(EntryError):
    """An entry has another version of the format, so that nothing of it can be read."""


class RelayedError(FeedError):
    """Error that the publisher reported: the reason of a loss or a gap."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(error, text)
        self.error: str = error
        """Class name of the original error."""
        self.text: str = text
        """Text of the original error."""

    def __str__(self) -> str:
        return self.text or self.error


@frozen
class Entry:
    """Type and data of an entry, as the publisher appends them."""

    type: str
    """Type of the entry."""

    data: bytes = attrs.field(repr=False)
    """JSON in UTF-8."""

    def fields(self, *, at: int, previous: EntryId, snapshot: EntryId) -> dict[bytes, bytes]:
        """Return all fields of the entry.

        - ``at``: time in microseconds since the epoch.
        - ``previous``, ``snapshot``: the fields ``prev`` and ``snapshot``.
        """
        return {
            PREVIOUS: previous.encode(),
            SNAPSHOT: snapshot.encode(),
            _VERSION_FIELD: b"%d" % VERSION,
            _AT: b"%d" % at,
            _TYPE: self.type.encode(),
            DATA: self.data,
        }


@frozen
class ReceivedEntry:
    """Entry as it was read from the stream; ``data`` is not decoded yet."""

    id: EntryId
    """Id in the stream."""

    previous: EntryId
    """Id of the entry before it, or ``NO_ENTRY``."""

    snapshot: EntryId
    """Id of the first entry of the newest complete snapshot, or ``NO_ENTRY``."""

    at: int
    """Time at which it was appended, in microseconds since the epoch."""

    type: str
    """Type of the entry."""

    data: bytes = attrs.field(repr=False)
    """JSON in UTF-8."""


# -- decoded entries ----------------------------------------------------------------------


@frozen
class EpochBegan:
    """Another publisher leads from here on."""

    publisher: str
    """Name of the publisher."""


@frozen
class SnapshotBegan:
    """The entries of a snapshot follow."""


@frozen
class SnapshotElements:
    """Elements of one kind in a snapshot."""

    kind: str
    """Kind of the elements."""

    elements: dict[int | str, Element] = attrs.field(repr=False)
    """Elements by key."""


@frozen
class SnapshotCalls:
    """Calls in a snapshot. They are not decoded: a follower derives them from the channels."""


@frozen
class SnapshotEnded:
    """The snapshot is complete."""

    parts: int
    """Number of entries between the first and the last entry of the snapshot."""


@frozen
class ElementsPart:
    """Elements of a kind that the PBX has sent again."""

    kind: str
    """Kind of the elements."""

    part: int
    """Number of this part, from 1 on."""

    parts: int
    """Number of all parts."""

    elements: dict[int | str, Element] = attrs.field(repr=False)
    """Elements by key."""


@frozen
class CallReported:
    """A call event. The call is not decoded: a follower derives it from the channels."""

    key: str
    """Key of the event, equal for all publishers of the same feed."""


@frozen
class UnknownEntry:
    """Entry of a type that this version does not know."""


Decoded = (
    EpochBegan
    | SnapshotBegan
    | SnapshotElements
    | SnapshotCalls
    | SnapshotEnded
    | ElementsPart
    | CallReported
    | UnknownEntry
    | InfoEvent
    | SystemMsg
    | Msg
    | UnknownMessage
    | ClientState
    | Gap
)
"""Contents of an entry."""


# -- encoding -----------------------------------------------------------------------------


def encode_epoch(publisher: str) -> Entry:
    """Return the first entry of an epoch; ``publisher`` is the name of its publisher."""
    return _entry("epoch", {"publisher": publisher})


def encode(
    item: Change | CallEvent | Gap | ClientState | SystemMsg | Msg | UnknownMessage,
) -> Entry:
    """Return the entry of a notification.

    A change of an element without a key cannot be published alone: use ``encode_elements`` for its
    kind.
    """
    match item:
        case Added() | Changed() | Removed():
            return _entry(
                "element",
                {
                    "kind": item.element_name,
                    "event": _EVENTS[type(item)],
                    "key": item.element.key,
                    "element": element_to_json(item.element),
                },
            )
        case SystemMsg(text):
            return _entry("system_msg", {"text": text})
        case Msg(text):
            return _entry("msg", {"text": text})
        case UnknownMessage(name, term):
            return _entry("unknown", {"name": name, "term": term_to_json(term)})
        case Gap(started, ended, reason):
            times = {"started": _microseconds(started), "ended": _microseconds(ended)}
            return _entry("gap", {**times, "reason": _reason_to_json(reason)})
        case Connecting() | Syncing() | Synced() | Disconnected() | Stopped():
            return _entry("state", _state_to_json(item))
    key = call_event_key(item)
    return _entry("call", {"event": event_name(type(item)), "key": key, **attrs.asdict(item)})


def encode_snapshot(
    mirror: Mirror, calls: Iterable[Call] = (), *, part_size: int = PART_SIZE
) -> Iterator[Entry]:
    """Yield the entries of a snapshot, which must follow each other in the stream.

    Each ``next()`` takes a few milliseconds at most. ``mirror`` and ``calls`` must not change in
    the meantime: pass copies. ``part_size`` is the number of bytes after which a part ends.
    """
    yield _entry("snapshot", {})
    parts = 0
    for kind in mirror:
        pairs = (_pair(key, element) for key, element in mirror[kind].items())
        for chunk in _chunks(pairs, part_size):
            parts += 1
            yield Entry("snapshot_elements", _array({"kind": kind}, "elements", chunk))
    for chunk in _chunks((_json(attrs.asdict(call)) for call in calls), part_size):
        parts += 1
        yield Entry("snapshot_calls", _array({}, "calls", chunk))
    yield _entry("snapshot_end", {"parts": parts})


def encode_elements(
    kind: str, elements: Mapping[Any, Element], *, part_size: int = PART_SIZE
) -> list[Entry]:
    """Return the entries for a kind whose elements the PBX has sent again.

    They must follow each other in the stream. ``part_size`` as in ``encode_snapshot``.
    """
    pairs = (_pair(key, element) for key, element in elements.items())
    chunks = [*_chunks(pairs, part_size)] or [[]]
    head = {"kind": kind, "parts": len(chunks)}
    return [
        Entry("elements", _array({**head, "part": number}, "elements", chunk))
        for number, chunk in enumerate(chunks, 1)
    ]


def call_event_key(event: CallEvent) -> str:
    """Return a key of a call event that is computed from data of the PBX only.

    ``CALL_ID:EVENT:HASH``. Two publishers compute the same key for the same event, also if one of
    them has not seen the call from its start.
    """
    call, name = event.call, event_name(type(event))
    details = {
        attribute.name: getattr(event, attribute.name)
        for attribute in attrs.fields(type(event))
        if attribute.name not in {"call", "waited", "parked_for", "synthetic"}
    }
    phase = call.phases[-1] if call.phases else None
    facts = [
        *(_identity(value) for value in details.values()),
        None if phase is None else [phase.kind, phase.started, phase.ended, phase.place],
        None if phase is None else _identity(phase.party),
        [call.direction, call.purpose, call.called_number, _identity(call.caller)],
        [call.ended, call.disposition, call.joined],
        sorted(leg.uuid for leg in call.legs if leg.ended is None),
    ]
    digest = blake2b(_json(facts), digest_size=_HASH_SIZE).hexdigest()
    return f"{call.id}:{name}:{digest}"


def _identity(value: Any) -> Any:
    """Return the part of a value by which all publishers know it."""
    return [value.user_id, value.group_id, value.number] if isinstance(value, Party) else value


def event_name(event: type[CallEvent]) -> str:
    """Return the name of a kind of call event: ``started``, ``ringing`` and so on."""
    return event.__name__.removeprefix("Call").lower()


def _entry(entry_type: str, data: dict[str, Any]) -> Entry:
    return Entry(entry_type, _json(data))


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _pair(key: int | str, element: Element) -> bytes:
    return _json([key, element_to_json(element)])


def _chunks(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Yield the items in lists of at most ``size`` bytes, or of one item."""
    chunk: list[bytes] = []
    total = 0
    for item in items:
        if chunk and total + len(item) > size:
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += len(item) + 1  # its comma
    if chunk:
        yield chunk


def _array(head: dict[str, Any], name: str, items: list[bytes]) -> bytes:
    """Return a JSON object with an array of items that are encoded already."""
    last = _json({**head, name: []})
    return last[:-2] + b",".join(items) + b"]}"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _reason_to_json(reason: Exception | None) -> dict[str, str] | None:
    if reason is None:
        return None
    if isinstance(reason, RelayedError):
        return {"error": reason.error, "text": reason.text}
    # Texts of this package's errors hold no secrets; those of others may quote some.
    text = str(reason) if isinstance(reason, BasixError) else ""
    return {"error": type(reason).__name__, "text": text}


def _state_to_json(state: ClientState) -> dict[str, Any]:
    reason = state.reason if isinstance(state, Disconnected | Stopped) else None
    last_heard = state.last_heard if isinstance(state, Disconnected) else None
    return {
        "state": _STATES[type(state)],
        "reason": _reason_to_json(reason),
        "last_heard": None if last_heard is None else _microseconds(last_heard),
        "retry_in": state.retry_in if isinstance(state, Disconnected) else None,
        "attempt": state.attempt if isinstance(state, Connecting) else None,
    }


# -- decoding -----------------------------------------------------------------------------


def received(entry_id: EntryId, fields: Mapping[bytes, bytes]) -> ReceivedEntry:
    """Return an entry of the stream. Raises ``EntryError`` if the fields are not those of one.

    A newer version raises the error as well: a reader must not guess.
    """
    try:
        version, data = fields[_VERSION_FIELD], fields[DATA]
        previous, snapshot = EntryId.parse(fields[PREVIOUS]), EntryId.parse(fields[SNAPSHOT])
        at, entry_type = int(fields[_AT]), fields[_TYPE].decode()
    except KeyError as error:
        raise EntryError(f"the field {error.args[0].decode()} is missing") from None
    except ValueError:
        raise EntryError("a field has an unreadable value") from None
    if version != b"%d" % VERSION:
        raise NewerVersionError(f"the version of the format is not {VERSION}: upgrade this package")
    return ReceivedEntry(entry_id, previous, snapshot, at, entry_type, data)


def decode(entry_type: str, data: bytes) -> Decoded:
    """Return the contents of an entry. Raises ``EntryError`` if it cannot be read."""
    decoder = _DECODERS.get(entry_type)
    if decoder is None:
        return UnknownEntry()
    try:
        values = _from_json(data)
        item: Decoded = decoder(values)
    except UnicodeError:
        raise EntryError(f"the data of {entry_type!r} is not UTF-8") from None
    except json.JSONDecodeError:
        raise EntryError(f"the data of {entry_type!r} is not JSON") from None
    except RecursionError:
        raise EntryError(f"the data of {entry_type!r} is nested too deeply") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise EntryError(f"the data of {entry_type!r} has another shape") from None
    return item


def _from_json(data: bytes) -> dict[str, Any]:
    text = data.decode()  # strictly; json.loads would accept surrogates
    values = _DECODER.decode(text)
    if type(values) is not dict:
        raise TypeError("expected an object")
    if "\\ud" in text or "\\uD" in text:  # a surrogate without its pair is no text
        json.dumps(values, ensure_ascii=False).encode()
    return values


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and infinity are no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("expected text")
    return value


def _count(value: Any, at_least: int = 0) -> int:
    if type(value) is not int or value < at_least:
        raise TypeError("expected a count")
    return value


def _info_event(values: dict[str, Any]) -> InfoEvent:
    kind, event = _text(values["kind"]), values["event"]
    if event not in {"added", "updated", "removed"}:
        raise ValueError("unknown event")
    return InfoEvent(kind, element_from_json(kind, values["element"]), event)


def _elements(values: dict[str, Any]) -> tuple[str, dict[int | str, Element]]:
    kind = _text(values["kind"])
    elements: dict[int | str, Element] = {}
    for key, element in values["elements"]:
        if type(key) is not int and type(key) is not str:
            raise TypeError("a key must be text or an integer")
        elements[key] = element_from_json(kind, element)
    return kind, elements


def _elements_part(values: dict[str, Any]) -> ElementsPart:
    kind, elements = _elements(values)
    part, parts = _count(values["part"], 1), _count(values["parts"], 1)
    return ElementsPart(kind, part, parts, elements)


def _reason_from_json(value: Any) -> RelayedError | None:
    if value is None:
        return None
    return RelayedError(_text(value["error"]), _text(value["text"]))


def _moment(value: Any) -> datetime:
    if type(value) is not int:
        raise TypeError("expected a time")
    return _EPOCH + timedelta(microseconds=value)


def _gap(values: dict[str, Any]) -> Gap:
    reason = _reason_from_json(values["reason"])
    return Gap(_moment(values["started"]), _moment(values["ended"]), reason)


def _state(values: dict[str, Any]) -> ClientState | UnknownEntry:
    reason = _reason_from_json(values["reason"])
    match values["state"]:
        case "connecting":
            return Connecting(_count(values.get("attempt") or 1))
        case "syncing":
            return Syncing()
        case "synced":
            return Synced()
        case "disconnected":
            heard, delay = values["last_heard"], values.get("retry_in")
            return Disconnected(
                reason or RelayedError("Exception", ""),
                None if delay is None else float(delay),
                last_heard=None if heard is None else _moment(heard),
            )
        case "stopped":
            return Stopped(reason)
    return UnknownEntry()


_DECODERS: Final[dict[str, Any]] = {
    "epoch": lambda values: EpochBegan(_text(values["publisher"])),
    "snapshot": lambda _: SnapshotBegan(),
    "snapshot_elements": lambda values: SnapshotElements(*_elements(values)),
    "snapshot_calls": lambda _: SnapshotCalls(),
    "snapshot_end": lambda values: SnapshotEnded(_count(values["parts"])),
    "element": _info_event,
    "elements": _elements_part,
    "call": lambda values: CallReported(_text(values["key"])),
    "system_msg": lambda values: SystemMsg(_text(values["text"])),
    "msg": lambda values: Msg(_text(values["text"])),
    "unknown": lambda values: UnknownMessage(_text(values["name"]), term_from_json(values["term"])),
    "state": _state,
    "gap": _gap,
}

TYPES: Final = frozenset(_DECODERS)
"""All types of entries."""
