"""Decoder: reads entries of the stream. No I/O, no clock.

``entries`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from basix_ws_cti.elements import Element
from basix_ws_cti.messages import InfoEvent, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .element_json import element_from_json, term_from_json
from .entries import (
    AT,
    TYPE,
    UNIX_EPOCH,
    VERSION,
    VERSION_FIELD,
    CallReported,
    Decoded,
    ElementsPart,
    EntryError,
    EpochBegan,
    NewerVersionError,
    ReceivedEntry,
    RelayedError,
    SnapshotBegan,
    SnapshotCalls,
    SnapshotElements,
    SnapshotEnded,
    UnknownEntry,
)
from .stream import DATA, PREVIOUS, SNAPSHOT, EntryId


def received(entry_id: EntryId, fields: Mapping[bytes, bytes]) -> ReceivedEntry:
    """Return an entry of the stream. Raises ``EntryError`` if the fields are not those of one.

    A newer version raises the error as well: a reader must not guess.
    """
    try:
        version, data = fields[VERSION_FIELD], fields[DATA]
        previous, snapshot = EntryId.parse(fields[PREVIOUS]), EntryId.parse(fields[SNAPSHOT])
        at, entry_type = int(fields[AT]), fields[TYPE].decode()
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
    return UNIX_EPOCH + timedelta(microseconds=value)


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
