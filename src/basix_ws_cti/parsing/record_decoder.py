"""Record decoder: from a record tuple and its field spec to an element.

The rules are in docs/explanation/protocol.md, "Values". Nothing here raises an exception for a
value that a PBX may send, and no value is lost:

- A *scalar* is text, a number, a boolean or ``None``. A scalar field whose value is none of them,
  such as a tuple, is ``None``; its decoded term is in ``extra``, under the field's name.
- A structured field without the expected shape holds the decoded term as it is (below: "stays
  raw"). The expected shape includes that its parts are scalars. A state keeps its time and name:
  it becomes an ``OtherState``.

The usual record has none of these values, so they are detected, not looked for: ``_scalar`` raises
``_NotScalarError``, and whatever reads the record or the structure starts anew on a slower way.
"""

from __future__ import annotations

import re
from codecs import unicode_escape_decode
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from basix_ws_cti._internal.codegen import constructor, record_constructor
from basix_ws_cti.elements import (
    NO_EXTRA,
    AnyChannel,
    Channel,
    Domain,
    EndUser,
    EndUsers,
    Extra,
    Group,
    GroupMember,
    OtherElement,
    OtherInfo,
    ParkedChannel,
    QueuedChannel,
    Target,
    Terminal,
    User,
    WaitingChannel,
)
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    Ivr,
    OtherState,
    Park,
    Ringing,
    SystemOperation,
    Voicemail,
    XmlIvr,
)
from basix_ws_cti.terms import as_text, decode_truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from basix_ws_cti.elements import Element
    from basix_ws_cti.messages import FieldSpec

# People listed in one end_user field. The PBX lists a few; a longer list, which a hostile peer
# might send, stays raw.
MAX_LISTED_END_USERS: Final = 1000

# Characters of a text that is split into parts. A text as long as a frame could have a million
# parts, and one long run of percent-escapes takes fifty times its size to match. Longer texts
# stay raw; a thousand people with long names fit.
MAX_PARTED_TEXT: Final = 262_144

# Record readers kept in the process, for field specs seen before on any connection. Making one
# takes as long as reading 20 records.
MAX_READERS = 64

ELEMENTS: dict[str, type[Any]] = {
    cls.element_name: cls
    for cls in (
        Channel,
        WaitingChannel,
        QueuedChannel,
        ParkedChannel,
        User,
        Group,
        GroupMember,
        Terminal,
        Domain,
    )
}

# Parts of the text that describes one end user. Parts beyond them are ignored.
_END_USER_PARTS: Final = 5

# Start of an end_user text that lists several customers.
_MANY: Final = "_MANY_:"

# Percent-escapes up to which decoding them one by one is faster than with Python's codecs: one
# Japanese character in UTF-8.
FEW_ESCAPES: Final = 3

# A run of percent-escapes. A pattern that starts with a literal is found several times faster.
_ESCAPES: Final = re.compile("%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")


# Types of the values that a scalar field holds as they are.
_SCALAR_TYPES: Final = frozenset({str, int, float, bool, type(None)})


class _NotScalarError(Exception):
    """A scalar field, or a part of a structured field, holds a term that is no scalar."""


class RecordPlan(NamedTuple):
    """Sources of an element's fields: the parameters of ``codegen.record_constructor``."""

    cls: type[Any]
    positions: dict[str, int]
    decoders: dict[str, Callable[[Any], Any]]
    computed: dict[str, Callable[[tuple[Any, ...]], Any]]
    constants: dict[str, Any]


@lru_cache(maxsize=MAX_READERS)
def record_reader(
    spec: FieldSpec, base_url: str | None = None
) -> Callable[[tuple[Any, ...]], Element]:
    """Return a function that turns a record with the fields of ``spec`` into its element.

    Fields that a short record does not reach are ``None``; surplus parts of a long one are
    ignored. ``base_url`` turns relative avatars into URLs. If it is ``None``, avatars stay as
    they were sent.
    """
    plan = record_plan(spec, base_url)
    scalars = {at: name for name, at in plan.positions.items() if name not in plan.decoders}

    def read_with_raw(record: tuple[Any, ...]) -> Element:
        """Read a record that has a scalar field without a scalar."""
        raw = {
            name: record[at]
            for at, name in scalars.items()
            if at < len(record) and not _is_scalar(record[at])
        }
        element = make(
            tuple([None if scalars.get(at) in raw else part for at, part in enumerate(record)])
        )
        # The class is frozen; nobody else has this instance yet.
        object.__setattr__(element, "extra", Extra(element.extra | raw))
        return element

    make: Callable[[tuple[Any, ...]], Element] = record_constructor(
        plan.cls,
        len(spec.fields),
        positions=plan.positions,
        decoders=plan.decoders,
        decode_scalar=_scalar,
        computed=plan.computed,
        constants=plan.constants,
        fallback=(_NotScalarError, read_with_raw),
    )
    return make


def record_plan(spec: FieldSpec, base_url: str | None) -> RecordPlan:
    """Return the sources of the element's fields for records with the fields of ``spec``."""
    kind = spec.element_name
    cls = ELEMENTS.get(kind, OtherElement)
    declared = {attribute.name for attribute in attrs.fields(cls)} - {"extra", "element_name"}
    # If a field name occurs twice, its last position counts.
    positions = {name: at for at, name in enumerate(spec.fields)}
    decoders = field_decoders(cls, base_url)
    undeclared = [
        (name, at, decoders.get(name, _undeclared))
        for name, at in positions.items()
        if name not in declared
    ]
    computed: dict[str, Callable[[tuple[Any, ...]], Any]] = {}
    constants: dict[str, Any] = {}
    if undeclared:
        computed["extra"] = partial(_extra, undeclared)
    else:
        constants["extra"] = NO_EXTRA
    if cls is OtherElement:
        constants["element_name"] = kind
    if cls is User and base_url:
        # Computed, since a user without an avatar gets the default icon.
        decode = _avatar_decoder(base_url, "users", "user")
        at = positions.get("avatar")
        computed["avatar"] = lambda record: decode(
            None if at is None or at >= len(record) else _scalar(record[at])
        )
    return RecordPlan(
        cls,
        {name: at for name, at in positions.items() if name in declared},
        decoders,
        computed,
        constants,
    )


def _extra(
    undeclared: list[tuple[str, int, Callable[[Any], Any]]], record: tuple[Any, ...]
) -> Extra:
    """Return the fields that the class does not declare, as far as the record reaches."""
    values = {}
    for name, at, decode in undeclared:
        if at < len(record):
            value = record[at]
            values[name] = None if value is None else decode(value)
    return Extra(values)


def _undeclared(value: Any) -> Any:
    """Return the value of an undeclared field: ``None`` for an empty list, else the term."""
    return None if type(value) is list and not value else value


def field_decoders(element: type[Any], base_url: str | None) -> dict[str, Callable[[Any], Any]]:
    """Return the decoders of the structured fields of an element's class, by field name."""
    avatar = _avatar_decoder(base_url, "end_users", "end_user") if base_url else None
    other_info = partial(_other_info, avatar)
    if not issubclass(element, AnyChannel):
        return {"other_info": other_info}
    return {
        "state": decode_state,
        "target": _target,
        "end_user": partial(_end_users, avatar),
        "other_info": other_info,
        "origination": _origination,
        "tags": _tags,
    }


def _scalar(value: Any) -> Any:
    """Return a scalar: ``None`` for an empty list, text for chardata.

    Raise ``_NotScalarError`` for a term that is no scalar.
    """
    if type(value) in _SCALAR_TYPES:
        return value
    if type(value) is list:
        if not value:
            return None
        text = as_text(value)
        if text is not None:
            return text
    raise _NotScalarError


def _is_scalar(value: Any) -> bool:
    """Return True for a value that ``_scalar`` accepts."""
    return type(value) in _SCALAR_TYPES or as_text(value) is not None


def _scalar_or_raw(value: Any) -> Any:
    """Return a scalar like ``_scalar``, but ``""`` for an empty list; another term as it is."""
    if type(value) is not list:
        return value
    text = as_text(value)
    return value if text is None else text


_make_calling: Final = constructor(Calling, _scalar, raw=("data",))
_make_other_info: Final = constructor(OtherInfo, _scalar, raw=("end_user",))
_make_end_users: Final = constructor(EndUsers)
_make_end_user: Final = constructor(EndUser)


def _unshaped(value: Any) -> Any:
    """Return a structured field of an unexpected shape: ``None`` if it is empty, else raw."""
    return None if value in ("", []) else value


def decode_calling(value: tuple[Any, ...]) -> Calling:
    """Decode ``{Ts, calling, Location, TargetType, Data}``; missing parts count as ``None``.

    A part of Data that is no scalar counts as ``None`` too: ``data`` has all parts. Raise
    ``_NotScalarError`` if Location or TargetType is no scalar.
    """
    if len(value) != 5:
        value = (value + (None,) * 3)[:5]
    ts, _, location, target_type, data = value
    user_id = group_type = group_id = queue_id = address = None
    if type(data) is tuple and data:
        if target_type == "group":
            parts = data if len(data) == 5 else (data + (None,) * 4)[:5]
            group_type, group_id, _, _, queue_id = parts
            if group_type != "ring":
                queue_id = None
        elif target_type == "user":
            user_id = data[0]
        elif target_type == "pstn":
            address = data[0]
        elif target_type == "bridged_endpoint":
            user, host = map(_scalar_or_none, (*data, None)[:2])
            address = f"{user}@{host}" if type(user) is type(host) is str else None
    elif data == []:
        data = None
    try:
        return _make_calling(
            ts, location, target_type, user_id, group_type, group_id, queue_id, address, data
        )
    except _NotScalarError:
        found = map(_scalar_or_none, (user_id, group_type, group_id, queue_id, address))
        return _make_calling(ts, location, target_type, *found, data)


def _scalar_or_none(value: Any) -> Any:
    """Return a scalar like ``_scalar``, and ``None`` for a term that is no scalar."""
    try:
        return _scalar(value)
    except _NotScalarError:
        return None


def _tuple_decoder(cls: type[Any], *parts: str | None) -> Callable[[tuple[Any, ...]], Any]:
    """Return a function that makes a ``cls`` from a tuple with these fields; None: ignored."""
    return record_constructor(
        cls,
        len(parts),
        positions={name: at for at, name in enumerate(parts) if name is not None},
        decoders={},
        decode_scalar=_scalar,
        computed={},
    )


_make_target: Final = _tuple_decoder(Target, "type", "id", "name", "address")

# The states that are plain tuples of their parts: all but Calling, which ``decode_calling`` reads.
STATES = (
    CallingSipTermination,
    Ringing,
    Bridged,
    Voicemail,
    CheckingVoicemail,
    Ivr,
    XmlIvr,
    SystemOperation,
    Conference,
    Park,
    Eavesdrop,
)

_STATE_DECODERS: Final[dict[str, Callable[[tuple[Any, ...]], Any]]] = {
    Calling.name: decode_calling,
    **{cls.name: _tuple_decoder(cls, "ts", None, *cls.PARTS) for cls in STATES},
}


def decode_state(value: Any) -> Any:
    """Decode ``{Ts, Name, …}`` into a state; return a value of another shape as it is.

    A known state with a part that is no scalar becomes an ``OtherState``.
    """
    if type(value) is not tuple or len(value) < 2:
        return _unshaped(value)
    ts = value[0]
    name = value[1]
    if type(name) is not str or not (type(ts) is int or ts is None or ts == []):
        return value
    decode = _STATE_DECODERS.get(name)
    if decode is not None:
        try:
            return decode(value)
        except _NotScalarError:
            pass
    return OtherState(ts=None if ts == [] else ts, name=name, data=value[2:])


def _target(value: Any) -> Any:
    """Decode ``{Type, Id, Name, Address}``."""
    if type(value) is not tuple or len(value) < 4:
        return _unshaped(value)
    try:
        return _make_target(value)
    except _NotScalarError:
        return value


def _other_info(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    """Decode the tuple of eight parts; missing parts count as ``None``."""
    if type(value) is not tuple or not value:
        return _unshaped(value)
    parts = value if len(value) == 8 else (value + (None,) * 7)[:8]
    kind, party, direction, location, address, offered, group_id, whoscall = parts
    user_id, end_users = (party, None) if kind == "user" else (None, party)
    if end_users is not None:
        end_users = _end_users(avatar, end_users)
    if type(whoscall) is int:  # the time of the answer, from servers of 2021 to 2024
        whoscall = None
    try:
        return _make_other_info(
            kind, user_id, end_users, direction, location, address, offered, group_id, whoscall
        )
    except _NotScalarError:
        return value


def _end_users(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    """Decode the text that lists one or several customers; asterisks alone mean none."""
    text = value if type(value) is str else _scalar_or_raw(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    if text[:1] in "*_":  # true for the empty text too
        if not text.strip("*"):
            return None
        if text.startswith(_MANY):
            return _many_end_users(avatar, text)
    return _make_end_users(1, (_end_user(avatar, text),))


def _many_end_users(avatar: Callable[[Any], Any] | None, text: str) -> Any:
    """Decode ``_MANY_:N|one|two|…``: N customers, some of whom are listed."""
    count, *people = text[len(_MANY) :].split("|", MAX_LISTED_END_USERS + 1)
    # isdecimal() alone also accepts digits of other scripts, and int() fails for long texts.
    if not (count.isascii() and count.isdecimal() and len(count) <= 18):
        return text
    if len(people) > MAX_LISTED_END_USERS:
        return text
    items = tuple(_end_user(avatar, person) for person in people if person.strip("*"))
    return _make_end_users(int(count), items)


def _end_user(avatar: Callable[[Any], Any] | None, text: str) -> EndUser:
    """Decode ``id*name*organization*avatar*prefecture``; trailing parts may be missing."""
    text = text.replace("+", " ")
    parts: list[Any]
    if "%" not in text:
        parts = text.split("*", _END_USER_PARTS)
    else:
        unquoted = _unquote(text)
        if unquoted.count("*") == text.count("*"):
            parts = unquoted.split("*", _END_USER_PARTS)
        else:  # an escaped asterisk belongs to its part
            parts = [_unquote(part) for part in text.split("*", _END_USER_PARTS)]
    if len(parts) != _END_USER_PARTS:
        parts = (parts + [None] * _END_USER_PARTS)[:_END_USER_PARTS]
    id_, name, organization, picture, prefecture = parts
    if avatar is not None:
        picture = avatar(picture)
    return _make_end_user(id_, name, organization, picture, prefecture)


def _origination(value: Any) -> Any:
    """Decode ``part*part*…``, each part percent-encoded, into a tuple of texts."""
    text = value if type(value) is str else _scalar_or_raw(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    if "%" in text:
        return tuple([_unquote(part) for part in text.split("*")])
    return tuple(text.split("*")) if text else None


def _tags(value: Any) -> Any:
    """Decode ``tag;tag;…`` into a tuple of texts; a list of several tags stays raw."""
    text = value if type(value) is str else _scalar_or_raw(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    # Joined, as chardata is, the tags of a list would become one tag.
    if (
        type(value) is list
        and len(value) > 1
        and ";" not in text
        and not any(type(item) is int for item in value)
    ):
        return value
    return tuple(text.split(";")) if text else None


def _unquote(text: str) -> str:
    r"""Percent-decode a text; malformed escapes, and escapes that are not UTF-8, stay as sent.

    Escapes that end inside a UTF-8 character give the text before it: see ``decode_truncated``.

    Many escapes are decoded in C, as Python's own ``\x…`` escapes, in a third of the time. If
    that fails, it has cost time for nothing, and for few escapes it saves none.
    """
    if text.count("%") > FEW_ESCAPES and "\\" not in text:
        try:
            return unicode_escape_decode(text.replace("%", "\\x"))[0].encode("latin-1").decode()
        except UnicodeError:
            pass
    return _ESCAPES.sub(_unescape, text)


def _unescape(escapes: re.Match[str]) -> str:
    raw = bytes.fromhex(escapes[0].replace("%", ""))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = decode_truncated(raw)
        return escapes[0] if text is None else text


def _avatar_decoder(base_url: str, folder: str, icon: str) -> Callable[[Any], Any]:
    """Return a function that turns an avatar into a URL.

    An absolute URL stays as it is: as in the reference, a text that starts with ``https:`` or
    ``http://``, in upper or lower case. A relative one is in ``folder`` under ``base_url``. Without
    an avatar the URL is that of the default ``icon``.
    """
    base = base_url.rstrip("/")
    # One string for all: a peer can list a person in two bytes.
    default = f"{base}/static/icons/{icon}.png"

    def decode(value: Any) -> Any:
        if value is None or value == "":
            return default
        if type(value) is not str:
            return value
        if value[0] in "hH" and value[:7].lower().startswith(("https:", "http://")):
            return value
        return f"{base}/basix/avatars/{folder}/{value}"

    return decode
