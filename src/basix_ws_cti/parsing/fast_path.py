"""The straight way: an info_event's frame -> its element, in one pass.

What a PBX sends all day are events of the same few kinds in the same form. For each, a
function is generated that knows from the field spec what to expect where, and reads the
frame's bytes into the element's fields, with no list of terms, no record and no message in
between: it takes two thirds of the time of ``terms.decode`` and ``records`` together.

It knows no errors and no rare terms. What it does not expect, it refuses to read with one of
``REFUSALS``, and the frame goes the plain way from its start: so both ways give the same
elements, and all errors are the plain way's own. What it does read, it reads as strictly:
each tag, each length, the frame's end.

In a package that was compiled nothing is generated: ``terms`` and ``records`` are quicker.
"""

from __future__ import annotations

import struct
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from basix_ws_cti._internal.codegen import field_values, function, generate
from basix_ws_cti._internal.native_ints import COMPILED
from basix_ws_cti.elements import Channel, OtherInfo, Target
from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.states import Calling
from basix_ws_cti.terms import (
    BASE_TERM_BUDGET,
    BERT_ATOM,
    BERT_CONSTANTS,
    Limits,
    atom_cache,
    encode_atom,
    read_term,
    unpack_u16,
)

from .record_decoder import (
    STATES,
    decode_calling,
    decode_state,
    field_readers,
    record_plan,
    record_reader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from basix_ws_cti.elements import Element
    from basix_ws_cti.messages import FieldSpec

    Part = Callable[[bytes, int], tuple[Any, int]]

# Frames short enough not to be over a limit, whatever is in them: see ``fast_path_fits``.
# The feed's events have about 500 bytes.
MAX_FAST_BYTES = 4096

# A field_spec of hundreds of fields, whose function takes a hundredth of a second to generate.
# The longest known has 23.
MAX_FAST_FIELDS = 64

# Functions kept, for specs met before, on this connection or an earlier one.
MAX_FAST_READERS = 64

# By so many first bytes frames are told from one another: they reach into the kind, whatever
# form it has, and are no more than the shortest known head has. Of two kinds that are alike
# so far, one goes straight.
HEAD_BYTES = 23

# How a frame is refused that is to go the plain way.
REFUSALS = (LookupError, UnicodeDecodeError, struct.error, MemoryError)

_MICROSECONDS = 2**56 - 1
# Not those of ``terms``, which may be compiled: what is generated here never is.
_u32_after_tag = struct.Struct(">xI").unpack_from
_i32_after_tag = struct.Struct(">xi").unpack_from
# Given the position of a SMALL_BIG_EXT's tag: the eight bytes after its header.
_u64_after_header = struct.Struct("<xxxQ").unpack_from
_integer = int.from_bytes

# Iterating a ready-made range is a tenth cheaper than making one for every tuple.
_RANGES = [range(arity) for arity in range(256)]


class _Form(NamedTuple):
    """How a PBX writes its atoms: as OTP 25 does, with tag 100, or as OTP 26, with 119."""

    tag: int
    length_at: int
    undefined: bytes

    @property
    def atom(self) -> str:
        """The size of an atom at ``_at``, as an expression."""
        return f"{self.length_at + 1} + _buf[_at + {self.length_at}]"


_FORMS = {
    100: _Form(100, 2, encode_atom(100, b"undefined")),
    119: _Form(119, 1, encode_atom(119, b"undefined")),
}

# The fields that hold one of a few words, which a PBX writes as an atom.
_WORDS = {"direction", "peer_location"}

_EVENT_NAMES = {
    head + bytes([len(name)]) + name: name.decode()
    for head in (b"k\0", b"m\0\0\0", b"d\0", b"w")
    for name in (b"added", b"updated", b"removed")
}

# The sorts of fields, by what is tried first.
_WORD = """
_tag = _buf[_at]
if _tag == {tag}:
    _begin = _at
    _at += {atom}
    {part} = _atoms[_buf[_begin:_at]]
elif _tag == 109:
    _begin = _at + 5
    _at = _begin + _u32(_buf, _at)[0]
    {part} = _buf[_begin:_at].decode()
else:
    {part}, _at = _other(_buf, _at)
"""
_TEXT = """
if _buf[_at] == 109:
    _begin = _at + 5
    _at = _begin + _u32(_buf, _at)[0]
    {part} = _buf[_begin:_at].decode()
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {size}
elif _buf[_at] == {tag}:
    _begin = _at
    _at += {atom}
    {part} = _atoms[_buf[_begin:_at]]
else:
    {part}, _at = _other(_buf, _at)
"""
_INTEGER = """
_tag = _buf[_at]
if _tag == 98:
    ({part},) = _i32(_buf, _at)
    _at += 5
elif _tag == 110 and _buf[_at + 1] == 7 and not _buf[_at + 2]:
    {part} = _u64(_buf, _at)[0] & _microseconds
    _at += 10
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {size}
else:
    {part}, _at = _other(_buf, _at)
"""
_TUPLE = """
if _buf[_at] == 104:
    {part}, _at = _straight_{name}(_buf, _at)
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {size}
else:
    {part}, _at = _other(_buf, _at)
    if {part} is not None:
        {part} = _read_{name}({part})
"""


# The least that a frame needs to go straight: what is read has four levels, integers of eight
# bytes, and no maps; of a short frame's terms even the dearest are for nothing.
FAST_PATH_LIMITS: Final = Limits(
    frame_bytes=MAX_FAST_BYTES,
    terms=BASE_TERM_BUDGET,
    depth=4,
    big_integer_bytes=8,
    map_keys=1,
)


def fast_path_fits(limits: Limits) -> bool:
    """Whether these limits can't be passed on the straight way."""
    return (
        limits.terms >= FAST_PATH_LIMITS.terms
        and limits.depth >= FAST_PATH_LIMITS.depth
        and limits.big_integer_bytes >= FAST_PATH_LIMITS.big_integer_bytes
        and limits.frame_bytes >= FAST_PATH_LIMITS.frame_bytes
    )


def event_head(frame: bytes, spec: FieldSpec) -> bytes | None:
    """The bytes before an event's first field; ``None`` if it can't go straight."""
    size = len(spec.fields)
    if size > MAX_FAST_FIELDS:
        return None
    try:
        kind = spec.element_name.encode("ascii")
    except UnicodeEncodeError:
        return None
    for tag in _FORMS:
        start = b"\x83h\4" + encode_atom(tag, b"info_event")
        for written in (
            b"k" + len(kind).to_bytes(2, "big") + kind,
            b"m" + len(kind).to_bytes(4, "big") + kind,
            encode_atom(tag, kind),
        ):
            head = start + written + b"h" + bytes([size])
            if frame.startswith(head) and len(head) >= HEAD_BYTES:
                return head
    return None


@lru_cache(maxsize=MAX_FAST_READERS)
def event_reader(
    spec: FieldSpec, base_url: str | None, head: bytes
) -> Callable[[bytes], tuple[str, Element, str]]:
    """A function that reads the frames that begin with ``head``: kind, element, event's name.

    It raises one of ``REFUSALS`` for a frame that has to go the plain way.
    """
    return (compiled_reader if COMPILED else generated_reader)(spec, base_url, head)


def compiled_reader(
    spec: FieldSpec, base_url: str | None, head: bytes
) -> Callable[[bytes], tuple[str, Element, str]]:
    """What ``event_reader`` says, by ``terms`` and ``records``.

    Where they are compiled, they take two thirds of the time that the interpreter takes for a
    function generated here.
    """
    kind = spec.element_name
    read_record = record_reader(spec, base_url)

    def read(frame: bytes) -> tuple[str, Element, str]:
        if not frame.startswith(head):
            raise LookupError
        try:
            term: tuple[Any, ...] = read_term(frame, 1, FAST_PATH_LIMITS)
        except DecodeError:
            raise LookupError from None
        record, event_name = term[2], term[3]
        if type(record) is not tuple or type(event_name) is not str:
            raise LookupError
        return kind, read_record(record), event_name

    return read


def generated_reader(
    spec: FieldSpec, base_url: str | None, head: bytes
) -> Callable[[bytes], tuple[str, Element, str]]:
    """What ``event_reader`` says, by a function that is generated."""
    form = _FORMS[head[3]]
    plan = record_plan(spec, base_url)
    names = {at: name for name, at in plan.positions.items()}
    types = {attribute.name: str(attribute.type) for attribute in attrs.fields(plan.cls)}
    structures = _structures(form, base_url)
    readers = dict(plan.readers)
    namespace = _namespace(form) | {"_head": head, "_kind": spec.element_name}
    before = ["if not _buf.startswith(_head):", "    raise _Refusal", f"_at = {len(head)}"]
    for at in range(len(spec.fields)):
        name = names.get(at, "")
        if name in structures and name in readers:
            namespace[f"_straight_{name}"] = structures[name]
            namespace[f"_read_{name}"] = readers.pop(name)
            sort = _TUPLE
        elif name in _WORDS:
            sort = _WORD
        else:
            sort = _INTEGER if types.get(name, "").startswith("int") else _TEXT
        before += _lines(sort, form, at, name)
    before.append("_event_name = _event_names[_buf[_at:]]")
    if spec.fields:
        before += ["if _0 is _bert:", "    raise _Refusal"]
    if plan.computed:
        before.append(f"_record = ({''.join(f'_{at}, ' for at in range(len(spec.fields)))})")
    values, meanings = field_values(
        plan.cls,
        positions=plan.positions,
        readers=readers,
        computed=plan.computed,
        constants=plan.constants,
    )
    return generate(
        plan.cls,
        parameters="_buf",
        before=before,
        values=values,
        namespace=namespace | meanings,
        result="(_kind, _self, _event_name)",
    )


def _namespace(form: _Form) -> dict[str, Any]:
    return {
        "_u32": _u32_after_tag,
        "_i32": _i32_after_tag,
        "_u64": _u64_after_header,
        "_microseconds": _MICROSECONDS,
        "_undefined": form.undefined,
        "_atoms": atom_cache,
        "_bert": BERT_ATOM,
        "_other": _other,
        "_event_names": _EVENT_NAMES,
        "_Refusal": LookupError,
    }


def _lines(template: str, form: _Form, at: int, name: str = "") -> list[str]:
    """The lines that read the term at ``_at`` into a variable of that number."""
    return template.format(
        part=f"_{at}", name=name, tag=form.tag, atom=form.atom, size=len(form.undefined)
    ).split("\n")[1:-1]


@lru_cache(maxsize=MAX_FAST_READERS)
def _structures(form: _Form, base_url: str | None) -> dict[str, Part]:
    """What reads the tuples of the structured fields."""
    readers = field_readers(Channel, base_url)
    target = _tuple_reader(
        form,
        Target,
        sorts=(_WORD, _INTEGER, _TEXT, _TEXT),
        values={"type": "_0", "id": "_1", "name": "_2", "address": "_3"},
        namespace={"_rare": partial(_rare, readers["target"])},
    )
    other_info = _tuple_reader(
        form,
        OtherInfo,
        sorts=(_WORD, _INTEGER, _WORD, _WORD, _TEXT, _INTEGER, _INTEGER, _TEXT),
        values={
            "type": "_0",
            "user_id": "_1 if _0 == _user else None",
            "end_user": "None if _0 == _user or _1 is None else _read_end_user(_1)",
            "direction": "_2",
            "peer_location": "_3",
            "address": "_4",
            "offer_timestamp": "_5",
            "group_id": "_6",
            "whoscall": "_7",
        },
        namespace={
            "_rare": partial(_rare, readers["other_info"]),
            "_read_end_user": readers["end_user"],
            "_user": "user",
        },
    )
    return {"state": _state_reader(form), "target": target, "other_info": other_info}


def _tuple_reader(
    form: _Form,
    cls: type[Any],
    *,
    sorts: tuple[str, ...],
    values: dict[str, str],
    namespace: dict[str, Any],
) -> Part:
    """What reads a tuple of parts of these sorts, ``_0``, ``_1``, …, into a ``cls``."""
    before = [f"if _buf[_at + 1] != {len(sorts)}:", "    return _rare(_buf, _at)", "_at += 2"]
    for at, sort in enumerate(sorts):
        before += _lines(sort, form, at)
    before += ["if _0 is _bert:", "    raise _Refusal"]
    return generate(
        cls,
        parameters="_buf, _at",
        before=before,
        values=values,
        namespace=_namespace(form) | namespace,
        result="(_self, _at)",
    )


def _state_reader(form: _Form) -> Part:
    """What reads the tuple of a state, ``{Ts, Name, …``."""
    length_at = form.length_at
    readers: dict[bytes, tuple[int, Callable[[bytes, int, int], tuple[Any, int]]]] = {}
    for cls in STATES:
        before: list[str] = []
        values = {"ts": "_ts"}
        for at, name in enumerate(cls.PARTS):
            before += _lines(_TEXT, form, at)
            if name is not None:
                values[name] = f"_{at}"
        readers[encode_atom(form.tag, cls.name.encode())] = (
            2 + len(cls.PARTS),
            generate(
                cls,
                parameters="_buf, _at, _ts",
                before=before,
                values=values,
                namespace=_namespace(form),
                result="(_self, _at)",
            ),
        )

    calling = function(
        "_buf, _at, _ts",
        [
            *_lines(_WORD, form, 0),
            *_lines(_WORD, form, 1),
            "_2, _at = _other(_buf, _at) if _buf[_at] != 104 else _tuple(_buf, _at)",
            "return _calling((_ts, None, _0, _1, _2)), _at",
        ],
        _namespace(form) | {"_calling": decode_calling, "_tuple": _tuple},
    )
    readers[encode_atom(form.tag, Calling.name.encode())] = (5, calling)

    def read(buf: bytes, at: int) -> tuple[Any, int]:
        if buf[at + 2] == 110 and buf[at + 3] == 7 and not buf[at + 4]:
            begin = at + 12
            end = begin + length_at + 1 + buf[begin + length_at]
            known = readers.get(buf[begin:end])
            if known is not None and known[0] == buf[at + 1]:
                return known[1](buf, end, _u64_after_header(buf, at + 2)[0] & _MICROSECONDS)
        return _rare(decode_state, buf, at)

    return read


def _rare(read: Callable[[Any], Any], buf: bytes, at: int) -> tuple[Any, int]:
    """A structured field of a rare shape, read by what reads it on the plain way."""
    value, at = _other(buf, at)
    return None if value is None else read(value), at


def _other(buf: bytes, at: int) -> tuple[Any, int]:
    """Any term of a field that goes straight, and where it ends."""
    tag = buf[at]
    if tag == 100:
        end = at + 3 + buf[at + 2]
        return atom_cache[buf[at:end]], end
    if tag == 109:
        begin = at + 5
        end = begin + _u32_after_tag(buf, at)[0]
        return buf[begin:end].decode(), end
    if tag in {119, 115}:
        end = at + 2 + buf[at + 1]
        return atom_cache[buf[at:end]], end
    if tag == 104:
        return _tuple(buf, at)
    if tag == 106:  # the empty list is no value
        return None, at + 1
    if tag == 97:
        return buf[at + 1], at + 2
    if tag == 98:
        return _i32_after_tag(buf, at)[0], at + 5
    if tag == 110 and buf[at + 1] <= 8:
        begin = at + 3
        end = begin + buf[at + 1]
        value = _integer(buf[begin:end], "little")
        return -value if buf[at + 2] else value, end
    if tag == 107:
        begin = at + 3
        end = begin + unpack_u16(buf, at + 1)[0]
        return buf[begin:end].decode(), end
    raise LookupError


def _tuple(buf: bytes, at: int) -> tuple[Any, int]:
    """A tuple of scalars, or one of the compounds that stand for a constant."""
    items: list[Any] = []
    end = at + 2
    for _ in _RANGES[buf[at + 1]]:
        tag = buf[end]
        if tag == 98:
            items.append(_i32_after_tag(buf, end)[0])
            end += 5
        elif tag == 100:
            begin = end
            end += 3 + buf[end + 2]
            items.append(atom_cache[buf[begin:end]])
        elif tag == 109:
            begin = end + 5
            end = begin + _u32_after_tag(buf, end)[0]
            items.append(buf[begin:end].decode())
        elif tag == 119:
            begin = end
            end += 2 + buf[end + 1]
            items.append(atom_cache[buf[begin:end]])
        elif tag == 106:  # on the plain way it is as it was sent, until somebody asks for it
            items.append([])
            end += 1
        elif tag == 104:
            raise LookupError
        else:
            value, end = _other(buf, end)
            items.append(value)
    if items and items[0] is BERT_ATOM:
        return BERT_CONSTANTS[buf[at:end]], end
    return tuple(items), end
