"""One frame's bytes -> Python values, strictly and within limits.

A frame is one term in Erlang's external term format ("format" below; the numbers are its
tags), with the conventions of BERT on top. ``decode`` reads it:

============================  =====================================================
on the wire                   in Python
============================  =====================================================
integers, 97 98 110 111       ``int``
floats, 70 99                 ``float``, always finite
atoms, 100 115 118 119        ``str``; ``undefined`` is ``None``, ``true`` and
                              ``false`` are ``bool``
binaries 109, charlists 107   ``str``: UTF-8, or Latin-1 where it is not valid UTF-8
tuples, 104 105               ``tuple``
lists, 106 108                ``list``
maps, 116                     ``dict``
``{bert,nil}``                ``None``
``{bert,true|false}``         ``bool``
``{bert,dict,Pairs}``         ``dict``; Pairs is a list, or ``{bert,nil}``
``{bert,time,Mega,S,Micro}``  ``datetime.datetime``, aware, UTC
``{bert,string,Enc,Bin}``     ``str``; Enc is UTF-8 or Latin-1
``{bert,regex,Src,Options}``  ``Regex``: kept, never compiled
a zlib-compressed term, 80    what it inflates to
============================  =====================================================

Anything else is a ``DecodeError``, whatever the bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attrs import define, field, validators

from basix_ws_cti._internal.native_ints import COMPILED, i32_after_tag, integer, u32_after_tag

from .exceptions import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_extensions import i64  # where this is compiled, a native integer

# An endless frame. 50,000 users are 8 MB; the rest is room.
MAX_FRAME_BYTES = 64 * 1024 * 1024

# A zip bomb: 576 bytes can inflate to half a gigabyte. Checked against the size the frame
# declares, before a single byte is inflated.
MAX_INFLATED_BYTES = 64 * 1024 * 1024

# Containers within containers without end. The feed nests five deep.
MAX_DEPTH = 64

# A list of 20 million nils inflated from 19 kB. A term counts one, and more where it costs
# more than its bytes let expect (see _CONTAINER_COST and the others). 50,000 users of 16
# fields are 1.15 million.
MAX_TERMS = 4_000_000

# A frame made of nothing but the dearest terms, so that a megabyte takes seconds. The feed
# has a tenth of a term to the byte.
MAX_TERMS_PER_BYTE = 1

# Integers that take quadratic time to print. The feed's longest, a timestamp, has 8 bytes;
# 1,024 bytes still print below Python's own limit of 4,300 digits.
MAX_BIG_INTEGER_BYTES = 1024

# Numbers crafted to share a hash make a dict quadratic. (Text is hashed with a secret.)
MAX_NUMERIC_KEYS = 128

# A dict as large as a frame outgrows the processor's cache, and twice the keys take more than
# twice the time. No map is sent today.
MAX_MAP_KEYS = 10_000

# Empty tuples: two bytes each, and an element with all its fields for each. 50,000 users are
# 50,000 records. Checked by who makes elements of them: ``decode`` knows no records.
MAX_RECORDS = 200_000

# Atoms met are remembered, undecoded bytes -> value, up to this many, process-wide: a feed
# uses a few dozen, and a peer that makes them up must not fill the memory. Those of
# _VALUES are known from the start, so that nobody can crowd them out.
MAX_REMEMBERED_ATOMS = 1024

# What a term counts beyond one, from measured time and memory: a plain term takes 0.1 µs.
_CONTAINER_COST: Final = 6
_EMPTY_LIST_COST: Final = 2  # one byte on the wire, 64 in memory
_MAP_COST: Final = 20  # 5 bytes on the wire, 232 in memory
_COMPOUND_COST: Final = 50
_NEW_ATOM_COST: Final = 16
_LATIN1_COST: Final = 10  # finding out that it is not UTF-8

# What every frame may spend, however small.
BASE_TERM_BUDGET: Final = 100_000

_VERSION: Final = 131
_COMPRESSED: Final = 80
ATOM_TAGS = frozenset({100, 115, 118, 119})

# Tags the format knows and this feed never carries: named, so that the error says what came.
_FOREIGN_TAGS = {
    68: "distribution header",
    77: "bit binary",
    80: "compressed term inside a term",
    82: "atom cache reference",
    88: "pid",
    89: "port",
    90: "reference",
    101: "reference",
    102: "port",
    103: "pid",
    112: "fun",
    113: "export",
    114: "reference",
    117: "fun",
    120: "port",
    121: "local term",
}

unpack_u16 = struct.Struct(">H").unpack_from
_read_u32 = struct.Struct(">I").unpack_from
# Given the position of a tag, these skip it and read what follows.
_f64_after_tag = struct.Struct(">xd").unpack_from
if not COMPILED:  # to the interpreter the library's are quicker
    u32_after_tag = struct.Struct(">xI").unpack_from  # type: ignore[assignment]
    i32_after_tag = struct.Struct(">xi").unpack_from  # type: ignore[assignment]
    integer = int.from_bytes  # type: ignore[assignment]

# Format section FLOAT_EXT: 31 bytes of text as printed with "%.20e", ended by NUL. What
# Erlang accepts there, no less (a comma) and no more (no spaces, no "inf", no "1_0").
_FLOAT_TEXT = re.compile(rb"[+-]?[0-9]+[.,][0-9]+(?:[eE][+-]?[0-9]+)?(?=\0)")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_ENCODINGS = {
    "utf8": "utf-8",
    "latin1": "latin-1",
    "iso88591": "latin-1",
}


def encode_atom(tag: int, name: bytes) -> bytes:
    """Encode an atom: its tag, its length in one or two bytes as the tag demands, its name."""
    return bytes([tag]) + len(name).to_bytes(2 if tag in {100, 118} else 1, "big") + name


# The atom `bert` is a string of its own identity: a text "bert" that leads a tuple is
# somebody's name, not the mark of a compound.
BERT_ATOM: Final = b"bert".decode()

_VALUES = {"undefined": None, "true": True, "false": False, "bert": BERT_ATOM}

PREDEFINED_ATOMS = {
    encode_atom(tag, name.encode()): value for tag in ATOM_TAGS for name, value in _VALUES.items()
}
atom_cache: dict[bytes, str | bool | None] = dict(PREDEFINED_ATOMS)

# The compounds without arguments, in all their encodings: the feed may hold one in any field.
BERT_CONSTANTS: Final[dict[bytes, bool | None]] = {
    head + encode_atom(first, b"bert") + encode_atom(second, name): value
    for head in (b"h\2", b"i\0\0\0\2")
    for first in b"dsvw"
    for second in b"dsvw"
    for name, value in ((b"nil", None), (b"true", True), (b"false", False))
}


def _positive(name: str) -> Any:
    return field(default=globals()[name], validator=[validators.instance_of(int), validators.ge(1)])


@define(frozen=True, kw_only=True)
class Limits:
    """How much a frame may ask for; each field defaults to the constant of that name.

    Raises ``TypeError`` or ``ValueError`` for a limit that is no integer of at least one.
    """

    frame_bytes: int = _positive("MAX_FRAME_BYTES")
    inflated_bytes: int = _positive("MAX_INFLATED_BYTES")
    depth: int = _positive("MAX_DEPTH")
    terms: int = _positive("MAX_TERMS")
    terms_per_byte: int = _positive("MAX_TERMS_PER_BYTE")
    big_integer_bytes: int = _positive("MAX_BIG_INTEGER_BYTES")
    numeric_keys: int = _positive("MAX_NUMERIC_KEYS")
    map_keys: int = _positive("MAX_MAP_KEYS")
    records: int = _positive("MAX_RECORDS")


DEFAULT_LIMITS = Limits()


@define(frozen=True)
class Regex:
    """A ``{bert,regex,Source,Options}``, as inert data: a peer's pattern is never compiled."""

    source: Any
    options: Any


def decode(frame: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Read one frame: the version byte 131, then exactly one term (format, section 1).

    Returns the value in the table above. A compressed term inflates to exactly the size it
    declares. Raises ``DecodeError`` for everything else, an argument that is not bytes
    included, and no other exception.
    """
    try:
        buf = frame if type(frame) is bytes else _as_bytes(frame, limits)
        if not 2 <= len(buf) <= limits.frame_bytes or buf[0] != _VERSION:
            _refuse_frame(buf, limits)
        if buf[1] != _COMPRESSED:
            return read_term(buf, 1, limits)
        inflated = _inflate(buf, limits)
        try:
            return read_term(inflated, 0, limits)
        except DecodeError as error:
            raise DecodeError(error.offset, error.reason, inflated=True) from None
    except DecodeError as error:
        # What it came of, a key that was not found or bytes that are no text, is the frame's.
        error.__context__ = None
        raise
    except MemoryError:
        raise DecodeError(0, "not enough memory for this frame") from None


def inflated_size(frame: bytes | str) -> int:
    """How many bytes a compressed frame says that it is; 0: it is not compressed."""
    if type(frame) is not bytes or frame[1:2] != b"P":
        return 0
    return int.from_bytes(frame[2:6], "big")


def as_text(value: Any) -> str | None:
    """The text that a term stands for, or ``None`` if it is not text.

    A charlist with a code point above 255, or of 65,536 characters and more, is a list of
    integers on the wire (format, STRING_EXT); the empty one is the empty list.
    """
    if isinstance(value, str):
        return value
    if type(value) is not list:
        return None
    if not all(type(char) is int and 0 <= char < 0x110000 for char in value):
        return None
    if all(char < 256 for char in value):
        return decode_text(bytes(value))
    if any(0xD800 <= char < 0xE000 for char in value):
        return None  # half a surrogate pair is no character
    return "".join(map(chr, value))


def _as_bytes(frame: Any, limits: Limits) -> bytes:
    if not isinstance(frame, bytes | bytearray | memoryview):
        raise DecodeError(0, f"a frame is bytes, not {type(frame).__name__}")
    try:
        size = memoryview(frame).nbytes
    except ValueError:
        raise DecodeError(0, "a memoryview that has been released") from None
    if size > limits.frame_bytes:  # before it is copied
        _refuse_size(size, limits)
    return bytes(frame)


def _refuse_frame(buf: bytes, limits: Limits) -> NoReturn:
    if len(buf) > limits.frame_bytes:
        _refuse_size(len(buf), limits)
    if not buf:
        raise DecodeError(0, "an empty frame")
    if buf[0] != _VERSION:
        raise DecodeError(0, f"version byte {buf[0]}, expected {_VERSION}")
    raise DecodeError(1, "the frame ends where a term is due")


def _refuse_size(size: int, limits: Limits) -> NoReturn:
    raise DecodeError(
        0, f"a frame of {size} bytes; the limit is {limits.frame_bytes} (frame_bytes)"
    )


def _inflate(frame: bytes, limits: Limits) -> bytes:
    """Inflate ``131, 80, Size:32, zlib data`` to exactly Size bytes (format, section 1)."""
    if len(frame) < 6:
        raise DecodeError(1, "the frame ends inside a compressed term's header")
    (size,) = _read_u32(frame, 2)
    if size > limits.inflated_bytes:
        raise DecodeError(
            2, f"declares {size} inflated bytes; the limit is {limits.inflated_bytes}"
        )
    if size == 0:  # also: to zlib a maximum of 0 means "no maximum"
        raise DecodeError(2, "a compressed term of no bytes")
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(memoryview(frame)[6:], size)
        # When all is out, one more call reads the checksum, or shows that there is more.
        inflated += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise DecodeError(6, f"not zlib data: {error}") from None
    if len(inflated) > size:
        raise DecodeError(2, f"inflates to more than the {size} bytes it declares")
    if not inflater.eof:
        raise DecodeError(len(frame), "the compressed data ends early")
    if len(inflated) < size:
        raise DecodeError(2, f"inflates to {len(inflated)} bytes, not the {size} it declares")
    if inflater.unused_data:
        raise DecodeError(len(frame) - len(inflater.unused_data), "bytes after the compressed data")
    return inflated


def read_term(buf: bytes, pos: i64, limits: Limits) -> Any:  # noqa: C901, PLR0912, PLR0915
    """Read the one term at ``pos``, which must end where ``buf`` ends.

    One flat loop, with the same few lines at each of the atoms' tags and of the texts', on
    purpose: a call for each term would take half as long again, and a recursion could be
    driven into the interpreter's limit. ``left`` counts the elements
    still due in the innermost container, ``items`` collects them; a container met on the
    way suspends both on ``stack``. The tags are tried in the order of how often the feed
    uses them.
    """
    # Places in a frame are native integers; limits, and what is held against them, need not fit.
    size: i64 = len(buf)
    atoms = atom_cache
    terms_left = limits.terms
    most = BASE_TERM_BUDGET + limits.terms_per_byte * len(buf)
    if terms_left > most:  # noqa: PLR1730 - to call min() takes a hundredth of a frame's time
        terms_left = most
    max_depth = limits.depth
    max_big = limits.big_integer_bytes
    stack: list[tuple[list[Any], i64, i64, i64]] = []
    items: list[Any] = []
    left: i64 = 1
    kind: i64 = 0
    start: i64 = 0
    tag: i64
    begin: i64
    count: int
    value: Any
    try:
        while True:
            while left:
                left -= 1
                tag = buf[pos]
                if tag == 100:  # ATOM_EXT: Len:16, Latin-1
                    begin = pos
                    pos += 3 + buf[pos + 2]
                    try:
                        # The key holds the header, so a hit is whole and well-formed.
                        items.append(atoms[buf[begin:pos]])
                    except KeyError:
                        value, pos = _atom(buf, begin)
                        items.append(value)
                        terms_left -= _NEW_ATOM_COST
                        if terms_left < 0:
                            _refuse_terms(pos, limits)
                elif tag == 109:  # BINARY_EXT: Len:32
                    begin = pos + 5
                    pos = begin + u32_after_tag(buf, pos)[0]
                    try:
                        items.append(buf[begin:pos].decode())
                    except UnicodeDecodeError:
                        items.append(buf[begin:pos].decode("latin-1"))
                        terms_left -= _LATIN1_COST
                        if terms_left < 0:
                            _refuse_terms(begin, limits)
                elif tag == 104:  # SMALL_TUPLE_EXT: Arity:8
                    count = buf[pos + 1]
                    if count:
                        terms_left -= count + _CONTAINER_COST
                        stack.append((items, left, kind, start))
                        items = []
                        left = count
                        kind = tag
                        start = pos
                        pos += 2
                        break
                    items.append(())
                    pos += 2
                elif tag == 98:  # INTEGER_EXT: signed, 32 bit
                    items.append(i32_after_tag(buf, pos)[0])
                    pos += 5
                elif tag == 97:  # SMALL_INTEGER_EXT
                    items.append(buf[pos + 1])
                    pos += 2
                elif tag == 119 or tag == 115:  # noqa: PLR1714 - SMALL_ATOM_UTF8_EXT, SMALL_ATOM_EXT
                    begin = pos
                    pos += 2 + buf[pos + 1]
                    try:
                        items.append(atoms[buf[begin:pos]])
                    except KeyError:
                        value, pos = _atom(buf, begin)
                        items.append(value)
                        terms_left -= _NEW_ATOM_COST
                        if terms_left < 0:
                            _refuse_terms(pos, limits)
                elif tag == 110:  # SMALL_BIG_EXT: N:8, Sign:8, little-endian magnitude
                    count = buf[pos + 1]
                    if count > max_big:
                        _refuse_big(pos, count, limits)
                    begin = pos + 3
                    pos = begin + count
                    value = integer(buf[begin:pos], "little")
                    items.append(-value if buf[begin - 1] else value)
                elif tag == 107:  # STRING_EXT: Len:16, a charlist of bytes
                    begin = pos + 3
                    pos = begin + (buf[pos + 1] << 8 | buf[pos + 2])
                    try:
                        items.append(buf[begin:pos].decode())
                    except UnicodeDecodeError:
                        items.append(buf[begin:pos].decode("latin-1"))
                        terms_left -= _LATIN1_COST
                        if terms_left < 0:
                            _refuse_terms(begin, limits)
                elif tag == 106:  # NIL_EXT
                    items.append([])
                    pos += 1
                    terms_left -= _EMPTY_LIST_COST
                    if terms_left < 0:
                        _refuse_terms(pos, limits)
                elif tag in {108, 105, 116}:  # LIST_EXT, LARGE_TUPLE_EXT, MAP_EXT: Count:32
                    (count,) = u32_after_tag(buf, pos)
                    if tag == 116:
                        count *= 2
                        terms_left -= _MAP_COST
                    terms_left -= count + _CONTAINER_COST
                    if terms_left < 0:
                        _refuse_terms(pos, limits)
                    if count > size - pos - 5:  # every element has at least one byte
                        raise IndexError  # noqa: TRY301 - as the reads do
                    if tag == 105 and not count:
                        items.append(())
                        pos += 5
                        continue
                    stack.append((items, left, kind, start))
                    items = []
                    left = count
                    kind = tag
                    start = pos
                    pos += 5
                    break
                elif tag == 70:  # NEW_FLOAT_EXT: IEEE 754, big-endian
                    (value,) = _f64_after_tag(buf, pos)
                    items.append(_finite(value, pos))
                    pos += 9
                elif tag == 118:  # ATOM_UTF8_EXT: Len:16
                    begin = pos
                    pos += 3 + unpack_u16(buf, pos + 1)[0]
                    try:
                        items.append(atoms[buf[begin:pos]])
                    except KeyError:
                        value, pos = _atom(buf, begin)
                        items.append(value)
                        terms_left -= _NEW_ATOM_COST
                        if terms_left < 0:
                            _refuse_terms(pos, limits)
                elif tag == 111:  # LARGE_BIG_EXT: N:32, Sign:8, little-endian magnitude
                    (count,) = u32_after_tag(buf, pos)
                    if count > max_big:
                        _refuse_big(pos, count, limits)
                    begin = pos + 6
                    pos = begin + count
                    value = integer(buf[begin:pos], "little")
                    items.append(-value if buf[begin - 1] else value)
                elif tag == 99:  # FLOAT_EXT: 31 bytes of text
                    if pos + 32 > size:
                        raise IndexError  # noqa: TRY301 - as the reads do
                    match = _FLOAT_TEXT.match(buf, pos + 1, pos + 32)
                    if match is None:
                        raise DecodeError(pos, "a float's text is not a number ended by NUL")
                    items.append(_finite(float(match[0].replace(b",", b".")), pos))
                    pos += 32
                else:
                    name = _FOREIGN_TAGS.get(tag)
                    raise DecodeError(
                        pos,
                        f"tag {tag} ({name}) is never part of this feed"
                        if name
                        else f"unknown tag {tag}",
                    )
            else:  # the innermost container is complete
                if not stack:
                    if pos > size:
                        raise IndexError  # noqa: TRY301 - as the reads do
                    if pos < size:
                        raise DecodeError(pos, f"{size - pos} bytes after the term")
                    return items[0]
                if kind <= 105:  # a tuple of either size
                    value = tuple(items)
                    if items[0] is BERT_ATOM:
                        try:
                            value = BERT_CONSTANTS[buf[start:pos]]
                            terms_left += _CONTAINER_COST  # it is none
                        except KeyError:
                            value = _compound(buf, start, value, limits)
                            terms_left -= _COMPOUND_COST
                            if terms_left < 0:
                                _refuse_terms(start, limits)
                elif kind == 108:
                    # A tail other than nil is an improper list: no feed has one.
                    if buf[pos] != 106:
                        raise DecodeError(pos, "an improper list: its tail is not nil")
                    pos += 1
                    value = items
                else:
                    value = _mapping(zip(items[::2], items[1::2], strict=True), start, limits)
                items, left, kind, start = stack.pop()
                items.append(value)
                continue
            # A container has just been opened.
            if terms_left < 0 or len(stack) > max_depth:
                if terms_left < 0:
                    _refuse_terms(start, limits)
                raise DecodeError(start, f"nested deeper than the limit of {max_depth} (depth)")
    except (IndexError, struct.error):
        raise DecodeError(size, "the frame ends before its term does") from None


def decode_text(raw: bytes) -> str:
    """UTF-8, or Latin-1 where it is not valid UTF-8, so that nothing is lost."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _atom(buf: bytes, pos: int) -> tuple[str | bool | None, int]:
    """Read an atom of any tag: at most 255 characters, Latin-1 (100, 115) or UTF-8 (118, 119).

    Raises DecodeError, or IndexError or struct.error where the frame is cut.
    """
    tag = buf[pos]
    if tag in {100, 118}:
        begin = pos + 3
        end = begin + unpack_u16(buf, pos + 1)[0]
    else:
        begin = pos + 2
        end = begin + buf[pos + 1]
    if end > len(buf):
        raise IndexError
    try:
        name = buf[begin:end].decode("utf-8" if tag >= 118 else "latin-1")
    except UnicodeDecodeError:
        raise DecodeError(pos, "an atom that is not UTF-8") from None
    if len(name) > 255:
        raise DecodeError(pos, f"an atom of {len(name)} characters; the most is 255")
    value = _VALUES.get(name, name)
    if len(atom_cache) < MAX_REMEMBERED_ATOMS:
        atom_cache[buf[pos:end]] = value
    return value, end


def _compound(buf: bytes, start: int, term: tuple[Any, ...], limits: Limits) -> Any:
    """Turn ``{bert, Name, …}``, read already, into what it stands for (bert-rpc.org).

    ``start`` is where its tuple begins in ``buf``, the only place where atoms can be told
    from texts, and a text's own bytes be had.
    """
    pos = _atom(buf, start + (2 if buf[start] == 104 else 5))[1]
    if len(term) < 2 or buf[pos] not in ATOM_TAGS:
        raise DecodeError(start, "a bert compound without a name")
    name, pos = _atom(buf, pos)
    match (name, *term[2:]):
        # No pairs at all may be written as {bert,nil}; the atom undefined is something else.
        case ["dict", pairs] if type(pairs) is list or (pairs is None and buf[pos] in {104, 105}):
            pairs = pairs or []
            if not all(type(pair) is tuple and len(pair) == 2 for pair in pairs):
                raise DecodeError(start, "a bert dict holds something other than pairs")
            return _mapping(pairs, start, limits)
        case ["time", mega, seconds, micro] if all(type(part) is int for part in term[2:]):
            try:
                return _EPOCH + timedelta(seconds=mega * 1_000_000 + seconds, microseconds=micro)
            except OverflowError:
                raise DecodeError(start, "a bert time outside the years 1 to 9999") from None
        case ["string", str() as encoding, str()]:
            return _declared_text(buf, start, pos, encoding)
        case ["regex", source, options]:
            return Regex(source, options)
    raise DecodeError(start, "an unknown or malformed bert compound")


def _declared_text(buf: bytes, start: int, pos: int, encoding: str) -> str:
    """Read the text of a ``{bert,string,Encoding,Binary}`` whose Encoding is at ``pos``."""
    codec = _TEXT_ENCODINGS.get(encoding.lower().replace("-", "").replace("_", ""))
    if codec is None:
        raise DecodeError(start, "a bert string in an encoding other than UTF-8 and Latin-1")
    if buf[pos] in ATOM_TAGS:
        pos = _atom(buf, pos)[1]
    else:
        pos += len(_plain_text(buf, pos, start))
    raw = _plain_text(buf, pos, start)[5 if buf[pos] == 109 else 3 :]
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        raise DecodeError(start, f"a bert string that is not the {codec} it declares") from None


def _plain_text(buf: bytes, pos: int, start: int) -> bytes:
    """The whole encoding, header included, of the binary or charlist at ``pos``."""
    if buf[pos] == 109:
        return buf[pos : pos + 5 + u32_after_tag(buf, pos)[0]]
    if buf[pos] == 107:
        return buf[pos : pos + 3 + unpack_u16(buf, pos + 1)[0]]
    raise DecodeError(start, "a bert string whose text is neither a binary nor a charlist")


def _mapping(pairs: Iterable[tuple[Any, Any]], start: int, limits: Limits) -> dict[Any, Any]:
    """Make a dict of a map's pairs.

    Its keys are text, numbers, booleans or None; what Erlang holds apart and Python does
    not (1, 1.0 and true; an atom and a binary of the same text) is refused rather than
    dropped.
    """
    mapping: dict[Any, Any] = {}
    count = numeric = 0
    for key, value in pairs:
        if type(key) is not str:
            if not isinstance(key, int | float | None):
                raise DecodeError(start, "a map key that is neither text nor a number")
            numeric += 1
            if numeric > limits.numeric_keys:
                raise DecodeError(
                    start,
                    f"a map with over {limits.numeric_keys} keys that are not text (numeric_keys)",
                )
        mapping[key] = value
        count += 1
        if count > limits.map_keys:
            raise DecodeError(start, f"a map with over {limits.map_keys} keys (map_keys)")
    if len(mapping) != count:
        raise DecodeError(start, "a map with two keys of one value")
    return mapping


def _finite(value: float, pos: int) -> float:
    if value - value != 0:  # infinities and NaN
        raise DecodeError(pos, "a float that is not finite")
    return value


def _refuse_big(pos: int, size: int, limits: Limits) -> NoReturn:
    raise DecodeError(
        pos,
        f"an integer of {size} bytes; the limit is {limits.big_integer_bytes} (big_integer_bytes)",
    )


def _refuse_terms(pos: int, limits: Limits) -> NoReturn:
    raise DecodeError(
        pos,
        f"more terms than the limits of {limits.terms} (terms) and "
        f"{limits.terms_per_byte} a byte (terms_per_byte)",
    )
