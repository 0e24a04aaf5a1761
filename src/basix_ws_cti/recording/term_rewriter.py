"""Term rewriter: parses a frame into terms that know their bytes, and encodes changed ones.

A changed term keeps the encoding of the original: an atom stays an atom, a charlist stays a
charlist. Unchanged parts are copied byte by byte. The input must be a frame that
``terms.decode`` has accepted: nothing is checked again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from basix_ws_cti.terms import ATOM_TAGS, decode_text

# Types of terms.
ATOM, BINARY, CHARLIST, INTEGER, FLOAT = "atom", "binary", "charlist", "integer", "float"
TUPLE, LIST, MAP = "tuple", "list", "map"

# Tags of the external term format. The tail of a LIST_EXT is nil or a binary, see ``decode``.
_NEW_FLOAT, _SMALL_INTEGER, _INTEGER, _FLOAT = 70, 97, 98, 99
_ATOM, _SMALL_ATOM, _ATOM_UTF8 = 100, 115, 118  # SMALL_ATOM_UTF8 is 119
_SMALL_TUPLE, _LARGE_TUPLE = 104, 105
_STRING, _LIST, _BINARY = 107, 108, 109
_SMALL_BIG, _LARGE_BIG = 110, 111
_MAP = 116

_COMPRESSED = 80

_read_u32 = struct.Struct(">I").unpack_from


@frozen(eq=False)
class Term:
    """A term of a frame together with its bytes."""

    type: str
    """One of the constants ``ATOM`` … ``MAP``."""
    raw: bytes
    """The bytes of the term in the (inflated) frame."""
    value: Any = None
    """A ``str`` (atom, binary, charlist) or a number; ``None``: a container."""
    items: tuple[Term, ...] = ()
    """Items of a container. A map has its keys and values alternately; nil is an empty list. The
    last item of a list ``[…|Binary]`` is the binary."""

    @property
    def text(self) -> str | None:
        """Text of an atom, a binary, a charlist or a list of code points; ``None``: not a text."""
        if isinstance(self.value, str):
            return self.value
        if self.type != LIST or not self.items:
            return None
        codes = [item.value for item in self.items if item.type == INTEGER]
        if len(codes) < len(self.items) or not all(_is_character(code) for code in codes):
            return None
        return "".join(map(chr, codes))

    @property
    def chardata(self) -> str | None:
        """Like ``text``, but also the text of a list of characters, texts and such lists.

        ``terms.as_text`` explains these lists.
        """
        if self.text is not None or self.type != LIST or not self.items:
            return self.text
        parts = [_chardata_part(item) for item in self.items]
        return None if None in parts else "".join(part for part in parts if part is not None)

    def with_text(self, text: str) -> bytes:
        """Return the bytes of ``text`` in the encoding of this term.

        The text is cut to what the encoding can hold: 65,535 bytes as a charlist, 255 characters
        as an atom. In place of a list that contains texts stands a list of one binary.
        """
        tag = self.raw[0]
        if self.type == LIST and self.text is None:
            raw = text.encode()
            return b"l\0\0\0\1m" + len(raw).to_bytes(4, "big") + raw + b"j"
        if self.type == LIST:
            codes = [encode_integer(ord(char)) for char in text]
            return b"l" + len(codes).to_bytes(4, "big") + b"".join(codes) + b"j"
        if self.type == BINARY:
            raw = text.encode()
            return b"m" + len(raw).to_bytes(4, "big") + raw
        if self.type == CHARLIST:
            raw = _cut_utf8(text.encode(), 65535)
            return b"k" + len(raw).to_bytes(2, "big") + raw
        if tag in {_ATOM, _SMALL_ATOM}:  # Latin-1
            raw = text[:255].encode("latin-1", "replace")
            return b"d" + len(raw).to_bytes(2, "big") + raw
        raw = text[:255].encode()
        return b"v" + len(raw).to_bytes(2, "big") + raw

    def with_items(self, items: Iterable[bytes]) -> bytes:
        """Return the bytes of this container with other items, of the same number."""
        if not self.items:
            return self.raw
        if self.type == LIST:  # a tail becomes an item, with the same meaning in chardata
            return b"l" + len(self.items).to_bytes(4, "big") + b"".join(items) + b"j"
        header_size = 2 if self.raw[0] == _SMALL_TUPLE else 5
        return self.raw[:header_size] + b"".join(items)


def read_term(frame: bytes) -> Term:
    """Return the term of a valid frame, compressed or not."""
    buf = zlib.decompress(frame[6:]) if frame[1] == _COMPRESSED else frame[1:]
    return _term(buf, 0)[0]


def encode_integer(number: int) -> bytes:
    """Return the bytes of an integer, as Erlang encodes it."""
    if 0 <= number < 256:
        return bytes((97, number))
    if -(2**31) <= number < 2**31:
        return b"b" + number.to_bytes(4, "big", signed=True)
    size = (abs(number).bit_length() + 7) // 8
    head = bytes((110, size)) if size < 256 else b"o" + size.to_bytes(4, "big")
    return head + bytes((number < 0,)) + abs(number).to_bytes(size, "little")


def encode_float(number: float) -> bytes:
    """Return the bytes of a float."""
    return b"F" + struct.pack(">d", number)


def _term(buf: bytes, pos: int) -> tuple[Term, int]:
    """Return the term at ``pos``, and the position after it."""
    tag = buf[pos]
    if tag in {_SMALL_TUPLE, _LARGE_TUPLE, _LIST, _MAP}:
        count = buf[pos + 1] if tag == _SMALL_TUPLE else _read_u32(buf, pos + 1)[0]
        return _container(buf, pos, tag, count)
    value: Any = None
    if tag in ATOM_TAGS:
        begin = pos + (3 if tag in {_ATOM, _ATOM_UTF8} else 2)
        end = begin + int.from_bytes(buf[pos + 1 : begin], "big")
        encoding = "utf-8" if tag >= _ATOM_UTF8 else "latin-1"
        term_type, value = ATOM, buf[begin:end].decode(encoding)
    elif tag in {_STRING, _BINARY}:
        begin = pos + (3 if tag == _STRING else 5)
        end = begin + int.from_bytes(buf[pos + 1 : begin], "big")
        term_type = CHARLIST if tag == _STRING else BINARY
        value = decode_text(buf[begin:end])
    elif tag == _SMALL_INTEGER:
        term_type, end, value = INTEGER, pos + 2, buf[pos + 1]
    elif tag == _INTEGER:
        end = pos + 5
        term_type, value = INTEGER, int.from_bytes(buf[pos + 1 : end], "big", signed=True)
    elif tag in {_SMALL_BIG, _LARGE_BIG}:
        begin = pos + (3 if tag == _SMALL_BIG else 6)
        end = begin + int.from_bytes(buf[pos + 1 : begin - 1], "big")
        size = int.from_bytes(buf[begin:end], "little")
        term_type, value = INTEGER, -size if buf[begin - 1] else size
    elif tag == _NEW_FLOAT:
        end = pos + 9
        term_type, value = FLOAT, struct.unpack_from(">d", buf, pos + 1)[0]
    elif tag == _FLOAT:
        end = pos + 32
        text = buf[pos + 1 : end].partition(b"\0")[0]
        term_type, value = FLOAT, float(text.replace(b",", b"."))
    else:  # nil
        term_type, end = LIST, pos + 1
    return Term(term_type, buf[pos:end], value), end


def _container(buf: bytes, start: int, tag: int, count: int) -> tuple[Term, int]:
    term_type = {_SMALL_TUPLE: TUPLE, _LARGE_TUPLE: TUPLE, _LIST: LIST, _MAP: MAP}[tag]
    pos = start + (2 if tag == _SMALL_TUPLE else 5)
    items = []
    for _ in range(count * 2 if tag == _MAP else count):
        item, pos = _term(buf, pos)
        items.append(item)
    if tag == _LIST:
        tail, pos = _term(buf, pos)
        if tail.type == BINARY:
            items.append(tail)
    return Term(term_type, buf[start:pos], None, tuple(items)), pos


def _cut_utf8(raw: bytes, size: int) -> bytes:
    """Return at most ``size`` bytes, without a part of a character at the end."""
    return raw if len(raw) <= size else raw[:size].decode(errors="ignore").encode()


def _chardata_part(item: Term) -> str | None:
    """Return the text of an item of a list, if the list is text; ``None``: it is not."""
    if item.type == INTEGER:
        return chr(item.value) if _is_character(item.value) else None
    if item.type == LIST and not item.items:
        return ""
    return None if item.type == ATOM else item.chardata


def _is_character(code: int) -> bool:
    return 0 <= code < 0xD800 or 0xE000 <= code < 0x110000


Rule = Callable[[Term], bytes]
"""Function that returns the bytes to write for a term."""
