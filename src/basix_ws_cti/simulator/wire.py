"""The simulated PBX's frames: its elements as records, written by the ``bert`` package.

Faithful to what the production server sends: kinds and event names are charlists, field
names and enumerations atoms, texts binaries in UTF-8, the empty list ``{bert,nil}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from bert import Atom, BERTEncoder
from erlastic import ErlangTermEncoder

from .pbx import Channel, Group, GroupMember, Person, Terminal, User

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .pbx import Element, State

_UNDEFINED = Atom("undefined")

_CHANNEL_FIELDS = (
    "uuid",
    "direction",
    "peer_location",
    "calling_name",
    "calling_number",
    "called_number",
    "offer_timestamp",
    "answer_timestamp",
    "hangup_timestamp",
    "other_uuid",
    "user_id",
    "state",
    "group_id",
    "target",
    "origination",
    "end_user",
    "tags",
    "last_bridged_user_id",
    "last_event",
    "last_event_data",
    "other_info",
    "call_id",
)

FIELDS: dict[str, tuple[str, ...]] = {
    "channel": _CHANNEL_FIELDS,
    "channel_waiting": (*_CHANNEL_FIELDS, "whoscall"),
    "user": (
        "id",
        "name",
        "fwd_always_status",
        "do_not_disturb_status",
        "language",
        "main_extension",
        "presence",
        "role",
        "park_group",
        "mwi_target",
        "flags",
        "followme",
        "email",
        "avatar",
        "label",
        "mwi",
    ),
    "group": (
        "id",
        "name",
        "type",
        "language",
        "main_extension",
        "queue",
        "label",
        "flags",
        "check_login_status",
        "mwi",
    ),
    "group_member": ("id", "group_id", "user_id", "priority", "login_status", "role"),
    "terminal": ("id", "name", "assoc_user_id", "type", "user_agent", "registered"),
}


class Charlist(bytes):
    """Text that goes out as an Erlang string: STRING_EXT (format, section 9)."""


class _TermEncoder(ErlangTermEncoder):  # type: ignore[misc]
    def encode_part(self, obj: Any) -> Any:
        if isinstance(obj, Charlist):
            return [b"k", len(obj).to_bytes(2, "big"), obj]
        return super().encode_part(obj)


_encoder = BERTEncoder()
_encoder.erlang_encoder = _TermEncoder()


def field_spec(kind: str) -> bytes:
    """The frame that names the fields of a kind."""
    return _frame("field_spec", kind, [Atom(name) for name in FIELDS[kind]])


def initial_info(kind: str, elements: Iterable[Element]) -> bytes:
    """The frame that holds all elements of a kind."""
    records = [_record(kind, element) for element in elements]
    return _frame("initial_info", kind, records or None)  # None becomes {bert,nil}


def info_event(kind: str, element: Element, event_name: str) -> bytes:
    """The frame that tells of a change."""
    return _frame("info_event", kind, _record(kind, element), Charlist(event_name.encode()))


def system_msg(text: str) -> bytes:
    """The frame that carries a word from the PBX itself."""
    return bytes(_encoder.encode((Atom("system_msg"), Atom(text))))


def _frame(name: str, kind: str, *rest: Any) -> bytes:
    return bytes(_encoder.encode((Atom(name), Charlist(kind.encode()), *rest)))


def _record(kind: str, element: Element) -> tuple[Any, ...]:
    values = _values(element)
    return tuple(_UNDEFINED if values.get(name) is None else values[name] for name in FIELDS[kind])


def _values(element: Element) -> dict[str, Any]:
    """The fields of an element as terms; what is missing or ``None`` is ``undefined``."""
    match element:
        case Channel():
            return _channel(element)
        case User():
            return {
                "id": element.id,
                "name": _text(element.name),
                "fwd_always_status": 0,
                "do_not_disturb_status": 0,
                "language": 0,
                "main_extension": _text(element.extension),
                "presence": element.presence,
                "role": 0,
                "park_group": element.park_group,
                "flags": 0,
                "email": _text(f"{element.name}@example.com"),
                "label": _text(element.label),
                "mwi": b"",
            }
        case Group():
            return {
                "id": element.id,
                "name": _text(element.name),
                "type": 0,
                "language": 0,
                "main_extension": _text(element.extension),
                "queue": 1,
                "label": _text(element.label),
                "flags": 0,
                "check_login_status": 0,
                "mwi": b"",
            }
        case GroupMember():
            return {
                "id": element.id,
                "group_id": element.group_id,
                "user_id": element.user_id,
                "priority": 0,
                "login_status": 0,
                "role": 0,
            }
        case Terminal():
            return {
                "id": element.id,
                "name": _text(element.name),
                "assoc_user_id": element.user_id,
                "type": 0,
                "user_agent": _text(element.user_agent),
                "registered": int(element.registered),
            }


def _channel(channel: Channel) -> dict[str, Any]:
    group = channel.group
    return {
        "uuid": _text(channel.uuid),
        "direction": Atom(channel.direction),
        "peer_location": Atom(channel.peer_location),
        "calling_name": _text(channel.calling_name),
        "calling_number": _text(channel.calling_number),
        "called_number": _text(channel.called_number),
        "offer_timestamp": channel.offer_timestamp,
        "answer_timestamp": channel.answer_timestamp,
        "hangup_timestamp": channel.hangup_timestamp,
        "other_uuid": _text(channel.other.uuid) if channel.other else None,
        "user_id": channel.user.id if channel.user else None,
        "state": _state(channel.state),
        "group_id": group.id if group else None,
        "target": (Atom("group"), group.id, _text(group.name), _text(channel.did))
        if group and channel.did
        else None,
        "end_user": _end_user(channel.person),
        "last_event": _text(channel.last_event),
        "last_event_data": _text(channel.last_event_data),
        "other_info": _other_info(channel.other) if channel.other else None,
        "call_id": _text(channel.call_id),
    }


def _state(state: State) -> tuple[Any, ...]:
    parts = state.parts
    if state.name == "calling":
        location, target_type, (group_type, *rest) = parts
        data = (Atom(group_type), *(_scalar(part) for part in rest))
        return (state.ts, Atom("calling"), Atom(location), Atom(target_type), data)
    return (state.ts, Atom(state.name), *(_scalar(part) for part in parts))


def _other_info(other: Channel) -> tuple[Any, ...]:
    who: Any
    if other.user is not None:
        kind, who = Atom("user"), other.user.id
    else:
        kind, who = Atom("end_user"), _end_user(other.person)
    return (
        kind,
        _scalar(who),
        Atom(other.direction),
        Atom(other.peer_location),
        _text(other.address),
        other.offer_timestamp,
        other.group.id if other.group else _UNDEFINED,
        _UNDEFINED,
    )


def _end_user(person: Person | None) -> bytes | None:
    if person is None or not person.id:
        return None
    parts = (person.id, person.name, person.organization, person.avatar, person.prefecture)
    return "*".join(quote_plus(part) for part in parts).encode()


def _text(value: str | None) -> bytes | None:
    """A binary: to the encoder, bytes are text and str would be a ``{bert,string,…}``."""
    return None if value is None else value.encode()


def _scalar(value: Any) -> Any:
    if value is None:
        return _UNDEFINED
    return value.encode() if isinstance(value, str) else value
