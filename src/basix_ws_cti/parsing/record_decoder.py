"""Record decoder: from a record tuple and its field spec to an element.

The rules are in docs/explanation/protocol.md, "From terms to values". Nothing here raises an
exception for a value that a PBX may send: a structured field without the expected shape holds
the decoded term as it is (below: "stays raw").
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
from basix_ws_cti.terms import as_text

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

# Start of an end_user text that lists several customers.
_MANY: Final = "_MANY_:"

# Percent-escapes up to which decoding them one by one is faster than with Python's codecs: one
# Japanese character in UTF-8.
FEW_ESCAPES: Final = 3

# A run of percent-escapes. A pattern that starts with a literal is found several times faster.
_ESCAPES: Final = re.compile("%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")


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
    return record_constructor(
        plan.cls,
        len(spec.fields),
        positions=plan.positions,
        decoders=plan.decoders,
        decode_list=_scalar,
        computed=plan.computed,
        constants=plan.constants,
    )


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
    """Return a scalar: ``None`` for an empty list, text for a list of characters."""
    if type(value) is not list:
        return value
    if not value:
        return None
    text = as_text(value)
    return value if text is None else text


_make_calling: Final = constructor(Calling, _scalar)
_make_other_info: Final = constructor(OtherInfo, _scalar)
_make_end_users: Final = constructor(EndUsers)
_make_end_user: Final = constructor(EndUser)


def _unshaped(value: Any) -> Any:
    """Return a structured field of an unexpected shape: ``None`` if it is empty, else raw."""
    value = _scalar(value)
    return None if value == "" else value


def decode_calling(value: tuple[Any, ...]) -> Calling:
    """Decode ``{Ts, calling, Location, TargetType, Data}``; missing parts count as ``None``."""
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
            user, host = map(_scalar, (*data, None)[:2])
            address = f"{user}@{host}" if type(user) is type(host) is str else None
    return _make_calling(
        ts, location, target_type, user_id, group_type, group_id, queue_id, address, data
    )


def _tuple_decoder(cls: type[Any], *parts: str | None) -> Callable[[tuple[Any, ...]], Any]:
    """Return a function that makes a ``cls`` from a tuple with these fields; None: ignored."""
    return record_constructor(
        cls,
        len(parts),
        positions={name: at for at, name in enumerate(parts) if name is not None},
        decoders={},
        decode_list=_scalar,
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
    """Decode ``{Ts, Name, …}`` into a state; return a value of another shape as it is."""
    if type(value) is not tuple or len(value) < 2:
        return _unshaped(value)
    ts = value[0]
    name = value[1]
    if type(name) is not str or not (type(ts) is int or ts is None):
        return value
    decode = _STATE_DECODERS.get(name)
    return OtherState(ts=ts, name=name, data=value[2:]) if decode is None else decode(value)


def _target(value: Any) -> Any:
    """Decode ``{Type, Id, Name, Address}``."""
    if type(value) is not tuple or len(value) < 4:
        return _unshaped(value)
    return _make_target(value)


def _other_info(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    """Decode the tuple of eight parts; missing parts count as ``None``."""
    if type(value) is not tuple or not value:
        return _unshaped(value)
    if len(value) != 8:
        value = (value + (None,) * 7)[:8]
    kind, party, direction, location, address, offered, group_id, whoscall = value
    user_id, end_users = (party, None) if kind == "user" else (None, party)
    if end_users is not None:
        end_users = _end_users(avatar, end_users)
    return _make_other_info(
        kind, user_id, end_users, direction, location, address, offered, group_id, whoscall
    )


def _end_users(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    """Decode the text that lists one or several customers; asterisks alone mean none."""
    text = value if type(value) is str else _scalar(value)
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
        parts = text.split("*", 5)
    else:
        unquoted = _unquote(text)
        if unquoted.count("*") == text.count("*"):
            parts = unquoted.split("*", 5)
        else:  # an escaped asterisk belongs to its part
            parts = [_unquote(part) for part in text.split("*", 5)]
    if len(parts) != 5:
        parts = (parts + [None] * 4)[:5]
    id_, name, organization, picture, prefecture = parts
    if avatar is not None:
        picture = avatar(picture)
    return _make_end_user(id_, name, organization, picture, prefecture)


def _origination(value: Any) -> Any:
    """Decode ``part*part*…``, each part percent-encoded, into a tuple of texts."""
    text = value if type(value) is str else _scalar(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    if "%" in text:
        return tuple([_unquote(part) for part in text.split("*")])
    return tuple(text.split("*")) if text else None


def _tags(value: Any) -> Any:
    """Decode ``tag;tag;…`` into a tuple of texts."""
    text = value if type(value) is str else _scalar(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    return tuple(text.split(";")) if text else None


def _unquote(text: str) -> str:
    r"""Percent-decode a text; malformed escapes, and escapes that are not UTF-8, stay as sent.

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
    try:
        return bytes.fromhex(escapes[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return escapes[0]


def _avatar_decoder(base_url: str, folder: str, icon: str) -> Callable[[Any], Any]:
    """Return a function that turns an avatar into a URL.

    An absolute URL stays as it is. A relative one is in ``folder`` under ``base_url``. Without
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
