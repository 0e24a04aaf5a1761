"""Encodes the frames of the simulated PBX with the ``bert`` package.

The frames have the production server's form: kinds and event names are charlists, field
names and enumerations are atoms, texts are UTF-8 binaries, and the empty list is
``{bert,nil}``.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from bert import Atom, BERTEncoder
from erlastic import ErlangTermEncoder

from basix_ws_cti._internal.arguments import check_bool, check_choice
from basix_ws_cti.exceptions import UsageError

from .model import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Fields

_UNDEFINED = Atom("undefined")

# Fields, and parts of structured fields, with atoms as values; other texts are binaries.
_ATOMS = frozenset({"direction", "peer_location", "type", "target_type", "target_location"})

# Parts of each state, in the order after {Ts, Name, …; None: a position without a known meaning.
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
    """Text to be encoded as an Erlang string, STRING_EXT."""

    __slots__ = ()


class EncodedTerm(bytes):
    """A term that is encoded already."""

    __slots__ = ()


class _TermEncoder(ErlangTermEncoder):  # type: ignore[misc]
    """erlastic's encoder, extended by charlists, encoded terms and the atoms of OTP 26."""

    def __init__(self, otp: int) -> None:
        super().__init__()
        self._utf8_atoms = otp >= 26

    def encode_part(self, obj: Any) -> Any:
        if isinstance(obj, EncodedTerm):
            return [obj]
        if isinstance(obj, Charlist):
            return [b"k", len(obj).to_bytes(2, "big"), obj]
        if self._utf8_atoms and isinstance(obj, Atom):
            text = obj.encode()
            return [b"w", len(text).to_bytes(1, "big"), text]  # SMALL_ATOM_UTF8_EXT
        return super().encode_part(obj)


class Writer:
    """Encoder for the frames of a server on one OTP release.

    Attributes:
        compressed: ``True``: send a frame as a compressed term if that is shorter.
        fields: the field names of each kind, in the order in which they are sent.
    """

    def __init__(self, *, otp: int = 25, compressed: bool = False) -> None:
        check_choice("otp", otp, (25, 26))
        check_bool("compressed", compressed)
        self.compressed = compressed
        self.fields: dict[str, tuple[str, ...]] = dict(FIELDS)
        self._encoder = BERTEncoder()
        self._encoder.erlang_encoder = _TermEncoder(otp)

    def field_spec(self, kind: str) -> bytes:
        """Return the frame that names the fields of a kind."""
        names = [Atom(name) for name in self.fields[kind]]
        return self.message("field_spec", charlist(kind), names)

    def initial_info(self, kind: str, records: Iterable[Any]) -> bytes:
        """Return the frame with all elements of a kind, encoded by ``record()``."""
        return self.message("initial_info", charlist(kind), list(records) or None)

    def info_event(self, kind: str, record: Any, event_name: str) -> bytes:
        """Return the frame for one change."""
        return self.message("info_event", charlist(kind), record, charlist(event_name))

    def system_msg(self, text: str) -> bytes:
        """Return the frame for a message of the PBX: an atom of at most 255 bytes."""
        if len(text.encode()) > 255:
            raise UsageError(
                f"a system_msg is an atom of at most 255 bytes, got {len(text.encode())} bytes"
            )
        return self.message("system_msg", Atom(text))

    def msg(self, text: str) -> bytes:
        """Return the frame for a message to the user."""
        return self.message("msg", text.encode())

    def message(self, name: str, *rest: Any) -> bytes:
        """Return a frame of any type; ``None`` becomes ``{bert,nil}``, bytes a binary."""
        frame: bytes = self._encoder.encode((Atom(name), *rest))
        if self.compressed:
            term = frame[1:]
            packed = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
            return min(frame, packed, key=len)
        return frame

    def record(self, kind: str, element: Fields) -> EncodedTerm:
        """Encode the fields of an element as a record, which can go into several frames."""
        values = tuple(_field(name, element[name]) for name in self.fields[kind])
        return EncodedTerm(self._encoder.encode(values)[1:])


def charlist(text: str) -> Charlist:
    """Return a text in the form in which the PBX sends names of kinds and events."""
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
    """Return the term for a scalar: a text is a binary, or an atom where the PBX sends one."""
    if value is None:
        return _UNDEFINED
    if isinstance(value, str):
        # The encoder turns bytes into a binary; it would turn a str into {bert,string,…}.
        return Atom(value) if name in _ATOMS else value.encode()
    return value


def _state(state: Fields) -> tuple[Any, ...]:
    data = state["data"]
    head = (state["ts"], Atom(state["name"]))
    if state["name"] == "calling":
        target = (_term(name, data[name]) for name in ("target_location", "target_type"))
        return (*head, *target, _called(data))
    parts = _STATE_PARTS.get(state["name"], ()) if data else ()
    return (*head, *(_term(name, data.get(name)) if name else _UNDEFINED for name in parts))


def _called(data: Fields) -> tuple[Any, ...]:
    """Return the last part of the state ``calling``, which depends on the type of target."""
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


def _other_info(info: Fields) -> tuple[Any, ...]:
    person = info["end_user"]
    peer = _term("user_id", info["user_id"]) if person is None else _end_user(person).encode()
    rest = ("direction", "peer_location", "address", "offer_timestamp", "group_id", "whoscall")
    return (Atom(info["type"]), peer, *(_term(name, info[name]) for name in rest))


def _end_user(matches: Fields) -> str:
    people = ["*".join(quote_plus(part) for part in item.values()) for item in matches["items"]]
    if matches["count"] == 1:
        return people[0]
    return f"_MANY_:{matches['count']}|{'|'.join(people)}"
