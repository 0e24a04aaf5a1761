"""Readers of the fast path: functions that read an info_event's frame into its element.

For each kind a function is generated from the field spec. It knows which field comes next, and
reads the frame's bytes into the element's attributes.

Invariant: for every frame a reader returns exactly what the slow path would return, or it raises
one of ``FALLBACK_ERRORS``. It follows that

- what is accepted is checked as strictly as on the slow path: each tag and each length. The frame
  must end with the event's name: the rest of the frame is looked up in ``_EVENT_NAMES``. A length
  that points beyond the end therefore fails there at the latest;
- no limit can be exceeded: see ``FAST_PATH_LIMITS``;
- an atom is looked up in ``atom_cache`` by its encoded bytes. A hit proves that it is well-formed.
  The slow path adds the atoms that are not there yet.

A package compiled with mypyc generates nothing: there ``terms`` and ``record_decoder``, which are
compiled, are faster than a generated function, which never is.
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
    field_decoders,
    record_plan,
    record_reader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from basix_ws_cti.elements import Element
    from basix_ws_cti.messages import FieldSpec

    EventReader = Callable[[bytes], tuple[str, Element, str]]
    RecordsReader = Callable[[bytes, int, int], list[Element]]
    # Given the buffer and a position, returns the value there and the position after it.
    ValueReader = Callable[[bytes, int], tuple[Any, int]]

# Bytes. A frame this short can't exceed a limit, whatever it contains: see ``fast_path_fits``.
# The feed's events have about 500 bytes.
MAX_FAST_BYTES = 4096

# Generated functions kept in the process, for field specs seen before on any connection.
MAX_FAST_READERS = 64

# A reader raises one of these for a frame that it leaves to the slow path.
FALLBACK_ERRORS = (LookupError, UnicodeDecodeError, struct.error, MemoryError)

_MICROSECONDS = 2**56 - 1  # the low seven bytes
# Not those of ``terms``, which may be compiled: generated code is always interpreted.
_u32_after_tag = struct.Struct(">xI").unpack_from
_i32_after_tag = struct.Struct(">xi").unpack_from
# Given the position of a SMALL_BIG_EXT's tag, reads the eight bytes after its header.
_u64_after_header = struct.Struct("<xxxQ").unpack_from
_integer = int.from_bytes

# Iterating over a ready-made range is 10 % faster than making one for every tuple.
_RANGES = [range(arity) for arity in range(256)]


class _AtomFormat(NamedTuple):
    """Encoding of a PBX's atoms: tag 100 up to OTP 25, tag 119 from OTP 26 on."""

    tag: int
    length_offset: int  # of the byte that holds the name's length, from the tag
    undefined: bytes

    @property
    def size_expression(self) -> str:
        """Source code of the encoded size of the atom at ``_at``."""
        return f"{self.length_offset + 1} + _buf[_at + {self.length_offset}]"


ATOM_FORMATS = {
    100: _AtomFormat(100, 2, encode_atom(100, b"undefined")),
    119: _AtomFormat(119, 1, encode_atom(119, b"undefined")),
}

# Fields with one of a few words as their value, which a PBX sends as an atom.
_ATOM_FIELDS = {"direction", "peer_location"}

_EVENT_NAMES = {
    head + bytes([len(name)]) + name: name.decode()
    for head in (b"k\0", b"m\0\0\0", b"d\0", b"w")
    for name in (b"added", b"updated", b"removed")
}

# Templates of the code that reads the value at ``_at`` into the variable ``{part}`` and moves
# ``_at`` behind it. They differ in the tags that are tried first, the most frequent ones of a
# field of that type; the function ``{value}`` reads all others.
_READ_ATOM = """
_tag = _buf[_at]
if _tag == {tag}:
    _begin = _at
    _at += {atom_size}
    {part} = _atoms[_buf[_begin:_at]]
elif _tag == 109:
    _begin = _at + 5
    _at = _begin + _u32(_buf, _at)[0]
    {part} = _buf[_begin:_at].decode()
else:
    {part}, _at = {value}(_buf, _at)
"""
_READ_TEXT = """
if _buf[_at] == 109:
    _begin = _at + 5
    _at = _begin + _u32(_buf, _at)[0]
    {part} = _buf[_begin:_at].decode()
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {undefined_size}
elif _buf[_at] == {tag}:
    _begin = _at
    _at += {atom_size}
    {part} = _atoms[_buf[_begin:_at]]
else:
    {part}, _at = {value}(_buf, _at)
"""
_READ_INTEGER = """
_tag = _buf[_at]
if _tag == 98:
    ({part},) = _i32(_buf, _at)
    _at += 5
elif _tag == 97:
    {part} = _buf[_at + 1]
    _at += 2
elif _tag == 110 and _buf[_at + 1] == 7 and not _buf[_at + 2]:
    {part} = _u64(_buf, _at)[0] & _microseconds
    _at += 10
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {undefined_size}
else:
    {part}, _at = {value}(_buf, _at)
"""
# ``_fast_…`` reads a structured field's tuple, ``_decode_…`` is the slow path's decoder.
_READ_TUPLE = """
if _buf[_at] == 104:
    {part}, _at = _fast_{name}(_buf, _at)
elif _buf.startswith(_undefined, _at):
    {part} = None
    _at += {undefined_size}
else:
    {part}, _at = _value(_buf, _at)
    if {part} is not None:
        {part} = _decode_{name}({part})
"""

# Every frame that the fast path reads stays within these limits: the values have at most four
# levels, integers of at most eight bytes and no maps; MAX_FAST_BYTES of even the most expensive
# terms stay within the budget of terms that every frame has.
FAST_PATH_LIMITS: Final = Limits(
    frame_bytes=MAX_FAST_BYTES,
    terms=BASE_TERM_BUDGET,
    depth=4,
    big_integer_bytes=8,
    map_keys=1,
)


@lru_cache(maxsize=MAX_FAST_READERS)
def event_reader(spec: FieldSpec, base_url: str | None, header: bytes) -> EventReader:
    """Return a function that reads a frame that begins with ``header``.

    It returns the kind, the element and the event's name. It raises one of ``FALLBACK_ERRORS``
    for a frame that the slow path has to read.
    """
    return (compiled_reader if COMPILED else generated_reader)(spec, base_url, header)


def compiled_reader(spec: FieldSpec, base_url: str | None, header: bytes) -> EventReader:
    """Return the reader for a compiled package: ``terms`` and ``record_decoder`` combined.

    If those are compiled, this takes two thirds of the time of a generated function.
    """
    kind = spec.element_name
    read_record = record_reader(spec, base_url)

    def read(frame: bytes) -> tuple[str, Element, str]:
        if not frame.startswith(header):
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


def generated_reader(spec: FieldSpec, base_url: str | None, header: bytes) -> EventReader:
    """Return the reader for an interpreted package: a function generated for this spec."""
    return _generated(
        spec,
        base_url,
        ATOM_FORMATS[header[3]],
        parameters="_buf",
        begin=["if not _buf.startswith(_header):", "    raise _Fallback", f"_at = {len(header)}"],
        end=["_event_name = _event_names[_buf[_at:]]"],
        result="(_kind, _self, _event_name)",
        namespace={"_header": header, "_kind": spec.element_name},
    )


@lru_cache(maxsize=MAX_FAST_READERS)
def records_reader(spec: FieldSpec, base_url: str | None, atom_tag: int) -> RecordsReader:
    """Return a function that reads the records of an ``initial_info``: generated, not compiled.

    It takes the frame, the position of the first record and their number, and returns their
    elements. It raises one of ``FALLBACK_ERRORS`` for a frame that the slow path has to read.
    """
    read_record: ValueReader = _generated(
        spec,
        base_url,
        ATOM_FORMATS[atom_tag],
        parameters="_buf, _at",
        begin=["if not _buf.startswith(_head, _at):", "    raise _Fallback", "_at += 2"],
        end=[],
        result="(_self, _at)",
        namespace={"_head": bytes([104, len(spec.fields)])},
    )

    def read(frame: bytes, at: int, count: int) -> list[Element]:
        elements = []
        for _ in range(count):
            element, at = read_record(frame, at)
            elements.append(element)
        if frame[at:] != b"j":  # the end of the list, which is the last part of the message
            raise LookupError
        return elements

    return read


def _generated(
    spec: FieldSpec,
    base_url: str | None,
    atom_format: _AtomFormat,
    *,
    parameters: str,
    begin: list[str],
    end: list[str],
    result: str,
    namespace: dict[str, Any],
) -> Callable[..., Any]:
    """Return a function that reads a record into its element.

    The lines of ``begin`` set ``_at`` to the position of the first field; those of ``end``
    follow the last one. ``namespace`` holds the names that they and ``result`` use.
    """
    plan = record_plan(spec, base_url)
    names = {position: name for name, position in plan.positions.items()}
    types = {attribute.name: str(attribute.type) for attribute in attrs.fields(plan.cls)}
    structures = _structure_readers(atom_format, base_url)
    decoders = dict(plan.decoders)
    namespace = _namespace(atom_format) | namespace
    before = [*begin]
    for position in range(len(spec.fields)):
        name = names.get(position, "")
        if name in structures and name in decoders:
            namespace[f"_fast_{name}"] = structures[name]
            namespace[f"_decode_{name}"] = decoders.pop(name)
            template = _READ_TUPLE
        elif name in _ATOM_FIELDS:
            template = _READ_ATOM
        else:
            template = _READ_INTEGER if types.get(name, "").startswith("int") else _READ_TEXT
        # Only undeclared fields, and those with a decoder, may hold a tuple.
        value = "_scalar" if name and name not in decoders else "_value"
        before += _lines(template, atom_format, position, name, value)
    before += end
    if spec.fields:  # a tuple that starts with the atom bert is a BERT compound, not a record
        before += ["if _0 is _bert:", "    raise _Fallback"]
    if plan.computed:
        before.append(f"_record = ({''.join(f'_{at}, ' for at in range(len(spec.fields)))})")
    values, names_in_values = field_values(
        plan.cls,
        positions=plan.positions,
        decoders=decoders,
        computed=plan.computed,
        constants=plan.constants,
    )
    return generate(
        plan.cls,
        parameters=parameters,
        before=before,
        values=values,
        namespace=namespace | names_in_values,
        result=result,
    )


def _namespace(atom_format: _AtomFormat) -> dict[str, Any]:
    """Return the names that the templates use."""
    return {
        "_u32": _u32_after_tag,
        "_i32": _i32_after_tag,
        "_u64": _u64_after_header,
        "_microseconds": _MICROSECONDS,
        "_undefined": atom_format.undefined,
        "_atoms": atom_cache,
        "_bert": BERT_ATOM,
        "_value": _read_value,
        "_scalar": _read_scalar,
        "_whoscall": _read_whoscall,
        "_event_names": _EVENT_NAMES,
        "_Fallback": LookupError,
    }


def _lines(
    template: str,
    atom_format: _AtomFormat,
    position: int,
    name: str = "",
    value: str = "_scalar",
) -> list[str]:
    """Return the lines that read the value at ``_at`` into the variable of that position.

    ``value`` names the function for values other than the usual ones of the template.
    """
    return template.format(
        part=f"_{position}",
        name=name,
        value=value,
        tag=atom_format.tag,
        atom_size=atom_format.size_expression,
        undefined_size=len(atom_format.undefined),
    ).split("\n")[1:-1]


@lru_cache(maxsize=MAX_FAST_READERS)
def _structure_readers(atom_format: _AtomFormat, base_url: str | None) -> dict[str, ValueReader]:
    """Return the readers of the structured fields' tuples, by the name of the field."""
    decoders = field_decoders(Channel, base_url)
    target = _tuple_reader(
        atom_format,
        Target,
        templates=(_READ_ATOM, _READ_INTEGER, _READ_TEXT, _READ_TEXT),
        values={"type": "_0", "id": "_1", "name": "_2", "address": "_3"},
        namespace={"_rare_shape": partial(_read_rare_shape, decoders["target"])},
    )
    other_info = _tuple_reader(
        atom_format,
        OtherInfo,
        templates=(
            *(_READ_ATOM, _READ_INTEGER, _READ_ATOM, _READ_ATOM),
            *(_READ_TEXT, _READ_INTEGER, _READ_INTEGER, _READ_TEXT),
        ),
        last_value="_whoscall",
        values={
            "type": "_0",
            "user_id": "_1 if _0 == _user else None",
            "end_user": "None if _0 == _user or _1 is None else _decode_end_user(_1)",
            "direction": "_2",
            "peer_location": "_3",
            "address": "_4",
            "offer_timestamp": "_5",
            "group_id": "_6",
            "whoscall": "_7",
        },
        namespace={
            "_rare_shape": partial(_read_rare_shape, decoders["other_info"]),
            "_decode_end_user": decoders["end_user"],
            "_user": "user",
        },
    )
    return {"state": _state_reader(atom_format), "target": target, "other_info": other_info}


def _tuple_reader(
    atom_format: _AtomFormat,
    cls: type[Any],
    *,
    templates: tuple[str, ...],
    values: dict[str, str],
    namespace: dict[str, Any],
    last_value: str = "_scalar",
) -> ValueReader:
    """Return a function that reads a tuple into a ``cls``.

    One template for each part of the tuple reads it into ``_0``, ``_1``, …, which the
    expressions in ``values`` use; the function ``last_value`` reads rare values of the last part.
    A tuple of another size is left to ``_rare_shape``.
    """
    before = [
        f"if _buf[_at + 1] != {len(templates)}:",
        "    return _rare_shape(_buf, _at)",
        "_at += 2",
    ]
    last = len(templates) - 1
    for position, template in enumerate(templates):
        value = last_value if position == last else "_scalar"
        before += _lines(template, atom_format, position, value=value)
    before += ["if _0 is _bert:", "    raise _Fallback"]
    return generate(
        cls,
        parameters="_buf, _at",
        before=before,
        values=values,
        namespace=_namespace(atom_format) | namespace,
        result="(_self, _at)",
    )


def _state_reader(atom_format: _AtomFormat) -> ValueReader:
    """Return a function that reads the tuple of a state, ``{Ts, Name, …}``."""
    length_offset = atom_format.length_offset
    # By the encoded name: the tuple's size, and a function that reads the parts after the name.
    readers: dict[bytes, tuple[int, Callable[[bytes, int, int], tuple[Any, int]]]] = {}
    for cls in STATES:
        before: list[str] = []
        values = {"ts": "_ts"}
        for position, name in enumerate(cls.PARTS):
            before += _lines(_READ_TEXT, atom_format, position)
            if name is not None:
                values[name] = f"_{position}"
        readers[encode_atom(atom_format.tag, cls.name.encode())] = (
            2 + len(cls.PARTS),
            generate(
                cls,
                parameters="_buf, _at, _ts",
                before=before,
                values=values,
                namespace=_namespace(atom_format),
                result="(_self, _at)",
            ),
        )

    calling = function(
        Calling.__name__,
        "_buf, _at, _ts",
        [
            *_lines(_READ_ATOM, atom_format, 0),
            *_lines(_READ_ATOM, atom_format, 1),
            "_2, _at = _value(_buf, _at) if _buf[_at] != 104 else _tuple(_buf, _at)",
            "return _calling((_ts, None, _0, _1, _2)), _at",
        ],
        _namespace(atom_format) | {"_calling": decode_calling, "_tuple": _read_tuple},
    )
    readers[encode_atom(atom_format.tag, Calling.name.encode())] = (5, calling)

    def read(buf: bytes, at: int) -> tuple[Any, int]:
        # A positive integer of seven bytes, as timestamps of our time are.
        if buf[at + 2] == 110 and buf[at + 3] == 7 and not buf[at + 4]:
            begin = at + 12
            end = begin + length_offset + 1 + buf[begin + length_offset]
            known = readers.get(buf[begin:end])
            if known is not None and known[0] == buf[at + 1]:
                return known[1](buf, end, _u64_after_header(buf, at + 2)[0] & _MICROSECONDS)
        return _read_rare_shape(decode_state, buf, at)

    return read


def _read_rare_shape(decode: Callable[[Any], Any], buf: bytes, at: int) -> tuple[Any, int]:
    """Read a structured field of a rare shape with the slow path's decoder."""
    value, at = _read_value(buf, at)
    return None if value is None else decode(value), at


def _read_value(buf: bytes, at: int) -> tuple[Any, int]:
    """Return the value of the term at ``at`` and the position after it.

    Raises ``LookupError`` for a term that the slow path has to read.
    """
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
        return _read_tuple(buf, at)
    if tag == 106:  # an empty list means: no value
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


def _read_scalar(buf: bytes, at: int) -> tuple[Any, int]:
    """Read a value like ``_read_value``, but leave a tuple to the slow path.

    A tuple is no scalar, unless it is a BERT constant.
    """
    value, end = _read_value(buf, at)
    if type(value) is tuple:
        raise LookupError
    return value, end


def _read_whoscall(buf: bytes, at: int) -> tuple[Any, int]:
    """Read the last part of ``other_info``, where an integer means: no value."""
    value, end = _read_scalar(buf, at)
    return None if type(value) is int else value, end


def _read_tuple(buf: bytes, at: int) -> tuple[Any, int]:
    """Read a tuple of scalars, or a BERT compound that stands for a constant."""
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
        elif tag == 106:  # a list here, as in the slow path's tuples; decoders turn it into None
            items.append([])
            end += 1
        elif tag == 104:
            raise LookupError
        else:
            value, end = _read_value(buf, end)
            items.append(value)
    if items and items[0] is BERT_ATOM:
        return BERT_CONSTANTS[buf[at:end]], end
    return tuple(items), end
