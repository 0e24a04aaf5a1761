"""A record tuple + its field spec -> an element (PROTOCOL, "From terms to values").

Nothing here raises for what a PBX may send: a value without the expected shape is kept as
it is.
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

# A text that lists people without end; longer lists stay raw. The PBX lists a few.
MAX_LISTED_END_USERS: Final = 1000

# Texts of parts that fill a frame: a million parts, or one escape that takes fifty times its
# size to look at. Longer ones stay raw. A thousand people with long names are shorter.
MAX_PARTED_TEXT: Final = 262_144

# Readers kept for specs met before, on this connection or an earlier one: making one takes
# as long as reading twenty records.
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

_MANY: Final = "_MANY_:"

# One character of Japanese.
FEW_ESCAPES: Final = 3

# Runs of escapes. Led by a literal, which the engine finds several times faster.
_ESCAPES: Final = re.compile("%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")


class RecordPlan(NamedTuple):
    """Where an element's fields come from: see ``record_constructor``, whose words these are."""

    cls: type[Any]
    positions: dict[str, int]
    readers: dict[str, Callable[[Any], Any]]
    computed: dict[str, Callable[[tuple[Any, ...]], Any]]
    constants: dict[str, Any]


@lru_cache(maxsize=MAX_READERS)
def record_reader(
    spec: FieldSpec, base_url: str | None = None
) -> Callable[[tuple[Any, ...]], Element]:
    """A function that turns a record, as ``spec`` describes them, into its element.

    A shorter record leaves the missing fields out, a longer one's surplus is ignored.
    ``base_url`` is where relative avatars live; without one, avatars stay as they are sent.
    """
    plan = record_plan(spec, base_url)
    return record_constructor(
        plan.cls,
        len(spec.fields),
        positions=plan.positions,
        readers=plan.readers,
        read_list=_scalar,
        computed=plan.computed,
        constants=plan.constants,
    )


def record_plan(spec: FieldSpec, base_url: str | None) -> RecordPlan:
    """How an element is made of a record as ``spec`` describes them."""
    kind = spec.element_name
    cls = ELEMENTS.get(kind, OtherElement)
    own = {attribute.name for attribute in attrs.fields(cls)} - {"extra", "element_name"}
    # A name that comes twice counts where it comes last.
    positions = {name: at for at, name in enumerate(spec.fields)}
    readers = field_readers(cls, base_url)
    unknown = [
        (name, at, readers.get(name, _plain)) for name, at in positions.items() if name not in own
    ]
    computed: dict[str, Callable[[tuple[Any, ...]], Any]] = {}
    constants: dict[str, Any] = {}
    if unknown:
        computed["extra"] = partial(_extra, unknown)
    else:
        constants["extra"] = NO_EXTRA
    if cls is OtherElement:
        constants["element_name"] = kind
    if cls is User and base_url:
        read = _avatar_reader(base_url, "users", "user")
        at = positions.get("avatar")
        computed["avatar"] = lambda record: read(
            None if at is None or at >= len(record) else _scalar(record[at])
        )
    return RecordPlan(
        cls,
        {name: at for name, at in positions.items() if name in own},
        readers,
        computed,
        constants,
    )


def _extra(unknown: list[tuple[str, int, Callable[[Any], Any]]], record: tuple[Any, ...]) -> Extra:
    """The fields that the class does not know, and the record reaches."""
    values = {}
    for name, at, read in unknown:
        if at < len(record):
            value = record[at]
            values[name] = None if value is None else read(value)
    return Extra(values)


def _plain(value: Any) -> Any:
    """A value whose meaning is not known: the empty list is no value."""
    return None if type(value) is list and not value else value


def field_readers(element: type[Any], base_url: str | None) -> dict[str, Callable[[Any], Any]]:
    """The structured fields of a class, and how each is read."""
    avatar = _avatar_reader(base_url, "end_users", "end_user") if base_url else None
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
    """A part of a structure: an empty list is no value, a list of characters is text."""
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
    """A structured field of another shape: an empty text is no value, all else stays raw."""
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


def _tuple_reader(cls: type[Any], *parts: str | None) -> Callable[[tuple[Any, ...]], Any]:
    """A function that makes a ``cls`` of a tuple whose parts are its fields of those names."""
    return record_constructor(
        cls,
        len(parts),
        positions={name: at for at, name in enumerate(parts) if name is not None},
        readers={},
        read_list=_scalar,
        computed={},
    )


_read_target: Final = _tuple_reader(Target, "type", "id", "name", "address")

# All but Calling are tuples of their parts.
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

_read_state: Final[dict[str, Callable[[tuple[Any, ...]], Any]]] = {
    Calling.name: decode_calling,
    **{cls.name: _tuple_reader(cls, "ts", None, *cls.PARTS) for cls in STATES},
}


def decode_state(value: Any) -> Any:
    """Decode ``{Ts, Name, …}`` into a state; return a value of another shape as it is."""
    if type(value) is not tuple or len(value) < 2:
        return _unshaped(value)
    ts = value[0]
    name = value[1]
    if type(name) is not str or not (type(ts) is int or ts is None):
        return value
    read = _read_state.get(name)
    return OtherState(ts=ts, name=name, data=value[2:]) if read is None else read(value)


def _target(value: Any) -> Any:
    if type(value) is not tuple or len(value) < 4:
        return _unshaped(value)
    return _read_target(value)


def _other_info(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    if type(value) is not tuple or not value:
        return _unshaped(value)
    if len(value) != 8:
        value = (value + (None,) * 7)[:8]
    kind, who, direction, location, address, offered, group_id, whoscall = value
    end_users = None
    if kind != "user":
        end_users = None if who is None else _end_users(avatar, who)
        who = None
    return _make_other_info(
        kind, who, end_users, direction, location, address, offered, group_id, whoscall
    )


def _end_users(avatar: Callable[[Any], Any] | None, value: Any) -> Any:
    text = value if type(value) is str else _scalar(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    if text[:1] in "*_":  # or empty: the empty text is "in" every text
        if not text.strip("*"):
            return None
        if text.startswith(_MANY):
            return _many_end_users(avatar, text)
    return _make_end_users(1, (_end_user(avatar, text),))


def _many_end_users(avatar: Callable[[Any], Any] | None, text: str) -> Any:
    """Several people, ``_MANY_:N|one|two|…``: N of them, of whom some are listed."""
    count, *people = text[len(_MANY) :].split("|", MAX_LISTED_END_USERS + 1)
    # isdecimal() alone takes digits of other scripts too, and int() has a limit of its own.
    if not (count.isascii() and count.isdecimal() and len(count) <= 18):
        return text
    if len(people) > MAX_LISTED_END_USERS:
        return text
    items = tuple(_end_user(avatar, person) for person in people if person.strip("*"))
    return _make_end_users(int(count), items)


def _end_user(avatar: Callable[[Any], Any] | None, text: str) -> EndUser:
    """One person, ``id*name*organization*avatar*prefecture``; trailing parts may be missing."""
    text = text.replace("+", " ")
    parts: list[Any]
    if "%" not in text:
        parts = text.split("*", 5)
    else:
        whole = _unquote(text)
        if whole.count("*") == text.count("*"):
            parts = whole.split("*", 5)
        else:  # an escaped asterisk separates nothing
            parts = [_unquote(part) for part in text.split("*", 5)]
    if len(parts) != 5:
        parts = (parts + [None] * 4)[:5]
    id_, name, organization, picture, prefecture = parts
    if avatar is not None:
        picture = avatar(picture)
    return _make_end_user(id_, name, organization, picture, prefecture)


def _origination(value: Any) -> Any:
    text = value if type(value) is str else _scalar(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    if "%" in text:
        return tuple([_unquote(part) for part in text.split("*")])
    return tuple(text.split("*")) if text else None


def _tags(value: Any) -> Any:
    text = value if type(value) is str else _scalar(value)
    if type(text) is not str or len(text) > MAX_PARTED_TEXT:
        return text
    return tuple(text.split(";")) if text else None


def _unquote(text: str) -> str:
    """Percent-decode; a malformed escape, or escapes that are no UTF-8, stay as written."""
    # Python's own escapes, which are decoded in C, differ from these in how they begin: a third
    # of the time, if all is well. Of a few escapes it is no gain, and where it fails a loss.
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


def _avatar_reader(base_url: str, folder: str, icon: str) -> Callable[[Any], Any]:
    """How an avatar becomes a URL: absolute as it is, absent the icon, else in its folder."""
    base = base_url.rstrip("/")
    absent = f"{base}/static/icons/{icon}.png"  # one for all: two bytes list a person

    def read(value: Any) -> Any:
        if value is None or value == "":
            return absent
        if type(value) is not str or value.startswith(("https:", "http:")):
            return value
        return f"{base}/basix/avatars/{folder}/{value}"

    return read
