"""Encoder: makes entries of the stream from notifications. No I/O, no clock.

``entries`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import attrs

from basix_ws_cti.calls.event_json import event_name
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call, Party
from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import BasixError
from basix_ws_cti.messages import Msg, SystemMsg, UnknownMessage
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

from .element_json import element_to_json, term_to_json
from .entries import UNIX_EPOCH, Entry, RelayedError

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
# Bytes of the hash in the key of a call event: with 10**9 events, a collision has a chance of 3 in
# 10**11.
_HASH_SIZE: Final = 16


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
    return (moment - UNIX_EPOCH) // timedelta(microseconds=1)


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
