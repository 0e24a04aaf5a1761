"""The simulated PBX's frames: pictures of elements as records, written by the ``bert`` package.

Faithful to what the production server sends: kinds and event names are charlists, field
names and enumerations atoms, texts binaries in UTF-8, the empty list ``{bert,nil}``.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from bert import Atom, BERTEncoder
from erlastic import ErlangTermEncoder

from .model import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .pbx import Picture

_UNDEFINED = Atom("undefined")

# Fields, and parts of structured ones, whose values are atoms; other texts are binaries.
_ATOMS = frozenset({"direction", "peer_location", "type", "target_type", "target_location"})

# Where a state's parts stand after {Ts, Name, …; None: nobody knows what.
_STATE_PARTS: dict[str, tuple[str | None, ...]] = {
    "voicemail": ("target_type", "target_id", "target_name"),
    "checking_voicemail": ("target_name",),
    "calling_siptermination": ("url",),
    "ivr": ("ivr_id",),
    "system_operation": ("operation",),
    "conference": ("room_id",),
    "park": ("slot", None, "parker_id", "parker_name"),
    "eavesdrop": ("uuid", "eavesdrop_state"),
}


class Charlist(bytes):
    """Text that goes out as an Erlang string: STRING_EXT (format, section 9)."""

    __slots__ = ()


class Written(bytes):
    """A term that is written already."""

    __slots__ = ()


class _TermEncoder(ErlangTermEncoder):  # type: ignore[misc]
    """erlastic's, with charlists, terms written before, and OTP 26's atoms."""

    def __init__(self, otp: int) -> None:
        super().__init__()
        self._utf8_atoms = otp >= 26

    def encode_part(self, obj: Any) -> Any:
        if isinstance(obj, Written):
            return [obj]
        if isinstance(obj, Charlist):
            return [b"k", len(obj).to_bytes(2, "big"), obj]
        if self._utf8_atoms and isinstance(obj, Atom):
            text = obj.encode()
            return [b"w", len(text).to_bytes(1, "big"), text]  # SMALL_ATOM_UTF8_EXT
        return super().encode_part(obj)


class Writer:
    """Writes frames as a server on that OTP release does, compressed if that is shorter."""

    def __init__(self, *, otp: int = 25, compressed: bool = False) -> None:
        if otp not in {25, 26}:
            raise ValueError(f"otp is 25 (atoms in Latin-1) or 26 (in UTF-8), not {otp!r}")
        self.compressed = compressed
        # The order in which each kind's are sent.
        self.fields: dict[str, tuple[str, ...]] = dict(FIELDS)
        self._encoder = BERTEncoder()
        self._encoder.erlang_encoder = _TermEncoder(otp)

    def field_spec(self, kind: str) -> bytes:
        """The frame that names the fields of a kind."""
        names = [Atom(name) for name in self.fields[kind]]
        return self.message("field_spec", charlist(kind), names)

    def initial_info(self, kind: str, records: Iterable[Any]) -> bytes:
        """The frame that holds all elements of a kind; the records as ``record()`` writes them."""
        return self.message("initial_info", charlist(kind), list(records) or None)

    def info_event(self, kind: str, record: Any, event_name: str) -> bytes:
        """The frame that tells of a change."""
        return self.message("info_event", charlist(kind), record, charlist(event_name))

    def system_msg(self, text: str) -> bytes:
        """The frame that carries a word from the PBX itself: an atom, of at most 255 bytes."""
        if len(text.encode()) > 255:
            raise ValueError("a system_msg is an atom, of at most 255 bytes")
        return self.message("system_msg", Atom(text))

    def msg(self, text: str) -> bytes:
        """The frame that carries a word to the user."""
        return self.message("msg", text.encode())

    def message(self, name: str, *rest: Any) -> bytes:
        """A frame of any sort; ``None`` becomes ``{bert,nil}``, bytes become a binary."""
        frame: bytes = self._encoder.encode((Atom(name), *rest))
        if self.compressed:
            term = frame[1:]
            packed = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
            return min(frame, packed, key=len)
        return frame

    def record(self, kind: str, picture: Picture) -> Written:
        """A picture as a record, which many frames can hold."""
        values = tuple(_field(name, picture[name]) for name in self.fields[kind])
        return Written(self._encoder.encode(values)[1:])


def charlist(text: str) -> Charlist:
    """Text as the PBX sends the names of kinds and events."""
    return Charlist(text.encode())


def _field(name: str, value: Any) -> Any:
    match name, value:
        case _, None:
            return _UNDEFINED
        case "state", _:
            return _state(value)
        case "target", _:
            return tuple(_term(part, value[part]) for part in ("type", "id", "name", "address"))
        case "end_user", _:
            return _end_user(value).encode()
        case "other_info", _:
            return _other_info(value)
        case "origination", _:
            return "*".join(quote(part) for part in value).encode()
        case "tags", _:
            return ";".join(value).encode()
        case "type", int():
            return value
    return _term(name, value)


def _term(name: str, value: Any) -> Any:
    """A scalar: text is a binary, or an atom where the PBX has one."""
    if value is None:
        return _UNDEFINED
    if isinstance(value, str):
        # To the encoder bytes are a binary; it would make {bert,string,…} of a str.
        return Atom(value) if name in _ATOMS else value.encode()
    return value


def _state(state: Picture) -> tuple[Any, ...]:
    data = state["data"]
    head = (state["ts"], Atom(state["name"]))
    if state["name"] == "calling":
        where = (_term(name, data[name]) for name in ("target_location", "target_type"))
        return (*head, *where, _called(data))
    parts = _STATE_PARTS.get(state["name"], ()) if data else ()
    return (*head, *(_term(name, data.get(name)) if name else _UNDEFINED for name in parts))


def _called(data: Picture) -> tuple[Any, ...]:
    """The last part of ``calling``: whom, by the sort of target."""
    match data["target_type"]:
        case "user":
            return (data["user_id"],)
        case "group":
            queue = _term("group_queue_id", data.get("group_queue_id"))
            return (Atom(data["group_type"]), data["group_id"], _UNDEFINED, _UNDEFINED, queue)
        case "bridged_endpoint":
            user, _, host = data["address"].partition("@")
            return (user.encode(), host.encode())
    return (data["address"].encode(),)


def _other_info(info: Picture) -> tuple[Any, ...]:
    person = info["end_user"]
    who = _term("user_id", info["user_id"]) if person is None else _end_user(person).encode()
    rest = ("direction", "peer_location", "address", "offer_timestamp", "group_id", "whoscall")
    return (Atom(info["type"]), who, *(_term(name, info[name]) for name in rest))


def _end_user(found: Picture) -> str:
    people = ["*".join(quote_plus(part) for part in item.values()) for item in found["items"]]
    if found["count"] == 1:
        return people[0]
    return f"_MANY_:{found['count']}|{'|'.join(people)}"
