"""Decoder of Erlang terms: from the bytes of one frame to Python values, within limits.

A frame is one term in Erlang's external term format, which erlang.org documents and which is
called "format" below; the numbers in the table are its tags. Some tuples have a special meaning
in BERT (bert-rpc.org). ``decode`` returns:

============================  =====================================================
on the wire                   in Python
============================  =====================================================
integers, 97 98 110 111       ``int``
floats, 70 99                 ``float``, always finite
atoms, 100 115 118 119        ``str``; ``undefined`` is ``None``, ``true`` and
                              ``false`` are ``bool``
binaries 109, charlists 107   ``str``, as ``decode_text`` returns it: UTF-8, or Latin-1
                              where it is not valid UTF-8
tuples, 104 105               ``tuple``
lists, 106 108                ``list``; the last item of ``[…|Binary]`` is the binary
maps, 116                     ``dict``
``{bert,nil}``                ``None``
``{bert,true|false}``         ``bool``
``{bert,dict,Pairs}``         ``dict``; Pairs is a list, or ``{bert,nil}``
``{bert,time,Mega,S,Micro}``  ``datetime.datetime``, aware, UTC
``{bert,string,Enc,Bin}``     ``str``; Enc is UTF-8 or Latin-1
``{bert,regex,Src,Options}``  ``Regex``, which is never compiled
a zlib-compressed term, 80    the value of the inflated term
============================  =====================================================

All other bytes raise ``DecodeError``, and nothing else is ever raised.

The decoder does not trust the peer: no frame can use memory or time out of proportion to its
size. Each ``MAX_…`` constant below is the default of one limit, and its comment names the
threat.
"""

from __future__ import annotations

import re
import struct
import zlib
from codecs import utf_8_decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attrs import define, field

from basix_ws_cti._internal.arguments import check_integer
from basix_ws_cti._internal.native_ints import COMPILED, i32_after_tag, integer, u32_after_tag

from .exceptions import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_extensions import i64  # where this is compiled, a native integer

# Bytes. Bounds the memory for one frame. The snapshot of 50,000 users has 8 MB.
MAX_FRAME_BYTES = 64 * 1024 * 1024

# Bytes. Stops zip bombs: 576 bytes can inflate to 512 MB. Checked against the size that the frame
# declares, before anything is inflated.
MAX_INFLATED_BYTES = 64 * 1024 * 1024

# Levels of nested containers. Bounds the decoder's stack. The feed nests five levels.
MAX_DEPTH = 64

# Terms, weighted. Bounds the memory of many tiny terms: 19 kB can inflate to a list of 20 million
# nils. A term counts one, and more if it costs more memory or time than its bytes suggest (see
# _CONTAINER_COST and the others). 50,000 users with 16 fields count 1.15 million.
MAX_TERMS = 4_000_000

# Weighted terms per byte of the frame. Without it, a megabyte of the most expensive terms would
# take seconds. The feed has 0.1 terms per byte.
MAX_TERMS_PER_BYTE = 1

# Bytes. Printing a long integer takes quadratic time. 1,024 bytes are still below Python's own
# limit of 4,300 digits. The feed's longest integers, the timestamps, have 8 bytes.
MAX_BIG_INTEGER_BYTES = 1024

# Numeric keys of one map. Numbers can be chosen to have equal hashes, which makes a dict take
# quadratic time; the hashes of texts can't be predicted.
MAX_NUMERIC_KEYS = 128

# Keys of one map. A dict that outgrows the processor's cache takes more than linear time. The feed
# has no maps today.
MAX_MAP_KEYS = 10_000

# Records in one initial_info. An empty record has two bytes, and an element with all its fields is
# made from it. 50,000 users are 50,000 records. The parser checks this limit, not ``decode``.
MAX_RECORDS = 200_000

# Atoms in ``atom_cache``, which all connections of the process share. Bounds its memory against a
# peer that makes up atoms. A feed uses a few dozen.
MAX_REMEMBERED_ATOMS = 1024

# Weights of terms beyond the one that every term counts, from measured time and memory; a term of
# weight one takes 0.1 µs.
_CONTAINER_COST: Final = 6
_EMPTY_LIST_COST: Final = 2  # one byte on the wire, 64 in memory
_MAP_COST: Final = 20  # 5 bytes on the wire, 232 in memory
_COMPOUND_COST: Final = 50
_NEW_ATOM_COST: Final = 16
_LATIN1_COST: Final = 10  # decoding as UTF-8 fails first

# Weighted terms that every frame may contain, however short it is.
BASE_TERM_BUDGET: Final = 100_000

_VERSION: Final = 131
_COMPRESSED: Final = 80
ATOM_TAGS = frozenset({100, 115, 118, 119})

# Tags of the format that the feed never uses, with their names for error messages.
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

unpack_u16: Callable[..., tuple[Any, ...]] = struct.Struct(">H").unpack_from
_read_u32 = struct.Struct(">I").unpack_from
# Functions named ``…_after_tag`` take the position of a tag and read the number that follows it.
_f64_after_tag = struct.Struct(">xd").unpack_from
if not COMPILED:  # for the interpreter, those of the standard library are faster
    u32_after_tag = struct.Struct(">xI").unpack_from  # type: ignore[assignment]
    i32_after_tag = struct.Struct(">xi").unpack_from  # type: ignore[assignment]
    integer = int.from_bytes  # type: ignore[assignment]

# Format section FLOAT_EXT: 31 bytes of text as printed with "%.20e", terminated by NUL. The pattern
# accepts exactly what Erlang accepts: a comma too, but no spaces, no "inf" and no "1_0".
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


# Value of the atom ``bert``, which marks a tuple as a BERT compound. It is recognised by identity,
# since a tuple may also start with the text "bert".
BERT_ATOM: Final = b"bert".decode()

_VALUES: dict[str, str | bool | None] = {
    "undefined": None,
    "true": True,
    "false": False,
    "bert": BERT_ATOM,
}

# Initial content of ``atom_cache``: the atoms whose value is not their name. They are in the cache
# however many atoms a peer makes up.
PREDEFINED_ATOMS: dict[bytes, str | bool | None] = {
    encode_atom(tag, name.encode()): value for tag in ATOM_TAGS for name, value in _VALUES.items()
}
# From the encoded bytes of an atom, header included, to its value. A key is always a complete,
# well-formed atom, so that a hit needs no further check.
atom_cache: dict[bytes, str | bool | None] = dict(PREDEFINED_ATOMS)

# Values of the BERT compounds without arguments, by their encoded bytes in every encoding. Any
# field of the feed may contain one.
BERT_CONSTANTS: Final[dict[bytes, bool | None]] = {
    head + encode_atom(first, b"bert") + encode_atom(second, name): value
    for head in (b"h\2", b"i\0\0\0\2")
    for first in b"dsvw"
    for second in b"dsvw"
    for name, value in ((b"nil", None), (b"true", True), (b"false", False))
}


def _positive(name: str) -> Any:
    return field(
        default=globals()[name],
        validator=lambda _, attribute, value: check_integer(attribute.name, value),
    )


@define(frozen=True, kw_only=True)
class Limits:
    """Limits on the size and complexity of one frame.

    Each attribute defaults to the ``MAX_…`` constant of its name. Raises ``UsageError`` for a limit
    that is not an ``int`` of 1 or more.
    """

    frame_bytes: int = _positive("MAX_FRAME_BYTES")
    """Size of a frame, in bytes."""
    inflated_bytes: int = _positive("MAX_INFLATED_BYTES")
    """Size of a compressed term after inflation, in bytes."""
    depth: int = _positive("MAX_DEPTH")
    """Levels of nested containers."""
    terms: int = _positive("MAX_TERMS")
    """Terms in a frame; terms that cost much memory or time count more than one."""
    terms_per_byte: int = _positive("MAX_TERMS_PER_BYTE")
    """Terms for each byte of the frame, in addition to 100,000 that every frame may contain."""
    big_integer_bytes: int = _positive("MAX_BIG_INTEGER_BYTES")
    """Size of one integer, in bytes."""
    numeric_keys: int = _positive("MAX_NUMERIC_KEYS")
    """Keys of one map that are not text."""
    map_keys: int = _positive("MAX_MAP_KEYS")
    """Keys of one map."""
    records: int = _positive("MAX_RECORDS")
    """Records in one ``initial_info``."""


DEFAULT_LIMITS = Limits()


@define(frozen=True)
class Regex:
    """Value of ``{bert,regex,Source,Options}``: inert data, which is never compiled."""

    source: Any
    """Pattern, as the peer sent it: a decoded term."""
    options: Any
    """Options, as the peer sent them: a decoded term."""


def decode(frame: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Decode one frame: the version byte 131, then exactly one term.

    Returns the value that the table at the top of the module gives. Raises ``DecodeError`` for
    all other bytes, for an argument of another type and when memory runs out, and no other
    exception.
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
        # The exception it was raised in, such as a KeyError, may contain bytes of the frame.
        error.__context__ = None
        raise
    except MemoryError:
        raise DecodeError(0, "not enough memory for this frame") from None


def inflated_size(frame: bytes | str) -> int:
    """Return the size in bytes that a compressed frame declares; 0: it is not compressed."""
    if type(frame) is not bytes or frame[1:2] != b"P":
        return 0
    return int.from_bytes(frame[2:6], "big")


def as_text(value: Any) -> str | None:
    """Return the text that a decoded term represents; ``None`` if it is not text.

    Text in Erlang is a binary, a charlist or *chardata*, a list of both (often called iolist):
    ``[<<"Yamada">>, 32, ["Taro" | <<"!">>]]``. Lists are read as by Erlang's
    ``unicode:characters_to_binary``: an integer is a code point, a binary is UTF-8, and lists may
    be nested. A character that is split between two binaries is not put together.

    A list of nothing but integers below 256 is read like a charlist of up to 65,535 characters,
    which arrives as ``str``: its integers are bytes (see ``decode_text``).
    """
    if isinstance(value, str):
        return value
    if type(value) is not list:
        return None
    if all(type(char) is int and 0 <= char < 256 for char in value):
        return decode_text(bytes(value))
    parts: list[str] = []
    pending: list[Iterator[Any]] = [iter(value)]  # the lists around the current item
    while pending:
        for item in pending[-1]:
            if isinstance(item, str):
                parts.append(item)
            elif type(item) is int and _is_character(item):
                parts.append(chr(item))
            elif type(item) is list:
                pending.append(iter(item))
                break
            else:
                return None
        else:
            pending.pop()
    return "".join(parts)


def _is_character(code: int) -> bool:
    """Return True for a code point of Unicode that is not half of a surrogate pair."""
    return 0 <= code < 0xD800 or 0xE000 <= code < 0x110000


def _as_bytes(frame: Any, limits: Limits) -> bytes:
    if not isinstance(frame, bytes | bytearray | memoryview):
        raise DecodeError(0, f"expected bytes, got {type(frame).__name__}")
    try:
        size = memoryview(frame).nbytes
    except ValueError:
        raise DecodeError(0, "the memoryview has been released") from None
    if size > limits.frame_bytes:  # before it is copied
        _refuse_size(size, limits)
    return bytes(frame)


def _refuse_frame(buf: bytes, limits: Limits) -> NoReturn:
    if len(buf) > limits.frame_bytes:
        _refuse_size(len(buf), limits)
    if not buf:
        raise DecodeError(0, "the frame is empty")
    if buf[0] != _VERSION:
        raise DecodeError(0, f"expected version byte {_VERSION}, got {buf[0]}")
    raise DecodeError(1, "the frame ends after the version byte")


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
            2,
            f"the compressed term declares {size} bytes; "
            f"the limit is {limits.inflated_bytes} (inflated_bytes)",
        )
    if size == 0:  # to zlib, a maximum of 0 would mean "no maximum"
        raise DecodeError(2, "a compressed term with a declared size of 0 bytes")
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(memoryview(frame)[6:], size)
        # After the last byte of output, one more call reads the checksum, or yields surplus output.
        inflated += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise DecodeError(6, f"not zlib data: {error}") from None
    if len(inflated) > size:
        raise DecodeError(
            2, f"the compressed term inflates to more than the {size} bytes it declares"
        )
    if not inflater.eof:
        raise DecodeError(len(frame), "the compressed data ends early")
    if len(inflated) < size:
        raise DecodeError(
            2, f"the compressed term inflates to {len(inflated)} bytes, not the {size} it declares"
        )
    if inflater.unused_data:
        raise DecodeError(
            len(frame) - len(inflater.unused_data), "unexpected bytes after the compressed data"
        )
    return inflated


def read_term(buf: bytes, pos: i64, limits: Limits) -> Any:  # noqa: C901, PLR0912, PLR0915
    """Decode the one term at ``pos``, which must end at the end of ``buf``.

    The inner loop reads the terms of the innermost container: ``items`` collects their values
    and ``left`` counts those still missing; ``kind`` and ``start`` are the tag and position of
    the container. A nested container pushes these four on ``stack`` and starts anew; when it is
    complete, they are popped, and its value is appended to the outer ``items``. At the bottom
    of the stack is a list for the one term of the frame.

    Invariant: a length that is too large moves ``pos`` beyond the end of ``buf``. The next access
    then raises IndexError or struct.error, or the final comparison of ``pos`` with the size does.
    So the bytes of a text or atom can be sliced out without a check of their length.

    One flat loop that repeats a few lines for each kind of atom and text is deliberate: a call
    for each term would take 50 % longer, and a peer could drive a recursive decoder into the
    interpreter's recursion limit. Tags are tested in the order of their frequency in the feed.

    ``terms_left`` is the remaining budget of weighted terms.
    """
    # Positions are native integers in a compiled package. Limits, and counts that are compared
    # with them, are not: they may exceed 64 bits.
    size: i64 = len(buf)
    atoms = atom_cache
    terms_left = limits.terms
    most = BASE_TERM_BUDGET + limits.terms_per_byte * len(buf)
    if terms_left > most:  # noqa: PLR1730 - min() would take 1 % of a frame's time
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
                        # The key includes the header: a hit is complete and well-formed.
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
                    except UnicodeDecodeError as error:
                        items.append(_decode_invalid(error))
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
                    except UnicodeDecodeError as error:
                        items.append(_decode_invalid(error))
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
                        raise IndexError  # noqa: TRY301 - as reading beyond the end does
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
                        raise IndexError  # noqa: TRY301 - as reading beyond the end does
                    match = _FLOAT_TEXT.match(buf, pos + 1, pos + 32)
                    if match is None:
                        raise DecodeError(pos, "a float's text is not a number terminated by NUL")
                    items.append(_finite(float(match[0].replace(b",", b".")), pos))
                    pos += 32
                else:
                    name = _FOREIGN_TAGS.get(tag)
                    raise DecodeError(
                        pos,
                        f"tag {tag} ({name}) is not supported" if name else f"unknown tag {tag}",
                    )
            else:  # the innermost container is complete
                if not stack:
                    if pos > size:
                        raise IndexError  # noqa: TRY301 - as reading beyond the end does
                    if pos < size:
                        raise DecodeError(pos, f"{size - pos} unexpected bytes after the term")
                    return items[0]
                if kind <= 105:  # a tuple of either size
                    value = tuple(items)
                    if items[0] is BERT_ATOM:
                        try:
                            value = BERT_CONSTANTS[buf[start:pos]]
                            terms_left += _CONTAINER_COST  # the value is not a container
                        except KeyError:
                            value = _compound(buf, start, value, limits)
                            terms_left -= _COMPOUND_COST
                            if terms_left < 0:
                                _refuse_terms(start, limits)
                elif kind == 108:
                    if buf[pos] == 106:
                        pos += 1
                    else:
                        value, pos = _binary_tail(buf, pos, start)
                        items.append(value)
                        terms_left -= 1 + _LATIN1_COST
                        if terms_left < 0:
                            _refuse_terms(pos, limits)
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
        raise DecodeError(size, "the frame ends before its term is complete") from None


# Reason of Python for UTF-8 that ends inside a character.
_INCOMPLETE: Final = "unexpected end of data"


def decode_text(raw: bytes) -> str:
    """Decode UTF-8, or Latin-1 if the bytes are not valid UTF-8.

    Bytes that are valid UTF-8 up to a last, incomplete character give the text before that
    character: see ``decode_truncated``.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        return _decode_invalid(error)


def _decode_invalid(error: UnicodeDecodeError) -> str:
    """Return the text of bytes that are not valid UTF-8: see ``decode_text``."""
    raw = error.object
    # Decoding again takes as long as the error did, and is left out where it cannot succeed. The
    # first two bytes of a surrogate are incomplete as well, with another reason.
    is_incomplete = error.reason == _INCOMPLETE or raw[error.start] == 0xED
    text = decode_truncated(raw) if is_incomplete else None
    return raw.decode("latin-1") if text is None else text


def decode_truncated(raw: bytes) -> str | None:
    r"""Decode UTF-8 that ends inside a character; return the text before that character.

    Programs that limit a name to a number of bytes truncate it so. Return ``None`` for bytes that
    are invalid elsewhere, and where Latin-1 is the more probable encoding: without a character
    before the incomplete one, and if a single byte follows nothing but ASCII (``b"caf\xe9"``).
    """
    try:
        text, size = utf_8_decode(raw)  # leaves an incomplete character at the end
    except UnicodeDecodeError:
        return None
    if not text or (len(raw) - size == 1 and text.isascii()):
        return None
    return text


def _binary_tail(buf: bytes, pos: int, start: int) -> tuple[str, int]:
    """Return the text of a list's tail, and the position after it; ``start``: of the list.

    Iolists may be improper lists, ``[… | Binary]``. No other improper list has a meaning in the
    feed: it raises DecodeError.
    """
    if buf[pos] != 109 or not u32_after_tag(buf, start)[0]:
        raise DecodeError(pos, "an improper list: its tail is neither nil nor a binary")
    begin = pos + 5
    end = begin + u32_after_tag(buf, pos)[0]
    return decode_text(buf[begin:end]), end


def _atom(buf: bytes, pos: int) -> tuple[str | bool | None, int]:
    """Decode an atom that is not in the cache; return its value and the position after it.

    Its name has at most 255 characters, in Latin-1 (tags 100, 115) or UTF-8 (118, 119). Raises
    DecodeError, and IndexError or struct.error if the frame is truncated.
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
        raise DecodeError(pos, "an atom that is not valid UTF-8") from None
    if len(name) > 255:
        raise DecodeError(pos, f"an atom of {len(name)} characters; the limit is 255")
    value = _VALUES.get(name, name)
    if len(atom_cache) < MAX_REMEMBERED_ATOMS:
        atom_cache[buf[pos:end]] = value
    return value, end


def _compound(buf: bytes, start: int, term: tuple[Any, ...], limits: Limits) -> Any:
    """Return the value of the BERT compound ``{bert, Name, …}`` (bert-rpc.org).

    ``term`` is the decoded tuple, and ``start`` its position in ``buf``. Only the bytes there
    distinguish atoms from texts, and preserve the original bytes of a text.
    """
    pos = _atom(buf, start + (2 if buf[start] == 104 else 5))[1]
    if len(term) < 2 or buf[pos] not in ATOM_TAGS:
        raise DecodeError(start, "a bert compound without a name")
    name, pos = _atom(buf, pos)
    match (name, *term[2:]):
        # An empty list of pairs may be sent as {bert,nil}. The atom undefined, whose value is None
        # too, is not accepted.
        case ["dict", pairs] if type(pairs) is list or (pairs is None and buf[pos] in {104, 105}):
            pairs = pairs or []
            if not all(type(pair) is tuple and len(pair) == 2 for pair in pairs):
                raise DecodeError(start, "a bert dict contains an item that is not a pair")
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
    """Decode the text of a ``{bert,string,Encoding,Binary}`` whose Encoding is at ``pos``."""
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
        raise DecodeError(start, f"a bert string that is not valid {codec} as declared") from None


def _plain_text(buf: bytes, pos: int, start: int) -> bytes:
    """Return the bytes, header included, of the binary or charlist at ``pos``."""
    if buf[pos] == 109:
        return buf[pos : pos + 5 + u32_after_tag(buf, pos)[0]]
    if buf[pos] == 107:
        return buf[pos : pos + 3 + unpack_u16(buf, pos + 1)[0]]
    raise DecodeError(start, "a bert string whose text is neither a binary nor a charlist")


def _mapping(pairs: Iterable[tuple[Any, Any]], start: int, limits: Limits) -> dict[Any, Any]:
    """Return the dict of a map's pairs; keys are text, numbers, booleans or None.

    Keys that differ in Erlang and are equal in Python (1, 1.0 and true; an atom and a binary of
    the same text) raise DecodeError: a dict would drop all but one.
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
                    f"a map with more than {limits.numeric_keys} keys that are not text "
                    "(numeric_keys)",
                )
        mapping[key] = value
        count += 1
        if count > limits.map_keys:
            raise DecodeError(start, f"a map with more than {limits.map_keys} keys (map_keys)")
    if len(mapping) != count:
        raise DecodeError(start, "a map with duplicate keys")
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
        f"{limits.terms_per_byte} per byte (terms_per_byte)",
    )
