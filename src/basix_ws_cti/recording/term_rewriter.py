"""A frame's term with the places of its parts, so that some can be written anew.

What is written keeps the encoding of what was read: an atom stays an atom, a charlist one, and
the parts that nobody touches are the frame's own bytes. Frames are read here that
``terms.decode`` has accepted: nothing is checked again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from basix_ws_cti.terms import ATOM_TAGS, decode_text

ATOM, BINARY, CHARLIST, NUMBER, FLOAT = "atom", "binary", "charlist", "number", "float"
TUPLE, LIST, MAP = "tuple", "list", "map"

_U32 = struct.Struct(">I").unpack_from


@frozen(eq=False)
class Term:
    """A part of a frame: its ``sort``, its ``value`` or its ``items``, and its own bytes.

    ``value`` of an atom, a binary or a charlist of bytes is a ``str``. A map's keys and values
    are its ``items`` in turns; nil is a list of none.
    """

    sort: str
    raw: bytes
    value: Any = None
    items: tuple[Term, ...] = ()

    @property
    def text(self) -> str | None:
        """The text that this is; ``None``: it is none. A list of code points is one."""
        if isinstance(self.value, str):
            return self.value
        if self.sort != LIST or not self.items:
            return None
        codes = [item.value for item in self.items if item.sort == NUMBER]
        if len(codes) < len(self.items) or not all(_is_character(code) for code in codes):
            return None
        return "".join(map(chr, codes))

    def with_text(self, text: str) -> bytes:
        """The bytes of another text, in the encoding of this one, as far as there is room."""
        tag = self.raw[0]
        if self.sort == LIST:
            codes = [integer(ord(char)) for char in text]
            return b"l" + len(codes).to_bytes(4, "big") + b"".join(codes) + b"j"
        if self.sort == BINARY:
            raw = text.encode()
            return b"m" + len(raw).to_bytes(4, "big") + raw
        if self.sort == CHARLIST:
            raw = _cut(text.encode(), 65535)
            return b"k" + len(raw).to_bytes(2, "big") + raw
        if tag in {100, 115}:
            raw = text[:255].encode("latin-1", "replace")
            return b"d" + len(raw).to_bytes(2, "big") + raw
        raw = text[:255].encode()
        return b"v" + len(raw).to_bytes(2, "big") + raw

    def with_items(self, items: Iterable[bytes]) -> bytes:
        """The bytes of this container with others for its items, as many."""
        head = {TUPLE: 2 if self.raw[0] == 104 else 5, LIST: 5, MAP: 5}[self.sort]
        if not self.items:
            return self.raw
        return self.raw[:head] + b"".join(items) + (b"j" if self.sort == LIST else b"")


def read(frame: bytes) -> Term:
    """The term of a frame, which is valid."""
    buf = zlib.decompress(frame[6:]) if frame[1] == 80 else frame[1:]
    return _term(buf, 0)[0]


def integer(number: int) -> bytes:
    """A whole number's bytes, as Erlang writes them."""
    if 0 <= number < 256:
        return bytes((97, number))
    if -(2**31) <= number < 2**31:
        return b"b" + number.to_bytes(4, "big", signed=True)
    size = (abs(number).bit_length() + 7) // 8
    head = bytes((110, size)) if size < 256 else b"o" + size.to_bytes(4, "big")
    return head + bytes((number < 0,)) + abs(number).to_bytes(size, "little")


def floating(number: float) -> bytes:
    """A float's bytes."""
    return b"F" + struct.pack(">d", number)


def _term(buf: bytes, pos: int) -> tuple[Term, int]:
    tag = buf[pos]
    if tag in {104, 105, 108, 116}:
        count = buf[pos + 1] if tag == 104 else _U32(buf, pos + 1)[0]
        return _container(buf, pos, tag, count)
    value: Any = None
    if tag in ATOM_TAGS:
        begin = pos + (3 if tag in {100, 118} else 2)
        end = begin + int.from_bytes(buf[pos + 1 : begin], "big")
        sort, value = ATOM, buf[begin:end].decode("utf-8" if tag >= 118 else "latin-1")
    elif tag in {107, 109}:
        begin = pos + (3 if tag == 107 else 5)
        end = begin + int.from_bytes(buf[pos + 1 : begin], "big")
        sort, value = (CHARLIST if tag == 107 else BINARY), decode_text(buf[begin:end])
    elif tag == 97:
        sort, end, value = NUMBER, pos + 2, buf[pos + 1]
    elif tag == 98:
        end = pos + 5
        sort, value = NUMBER, int.from_bytes(buf[pos + 1 : end], "big", signed=True)
    elif tag in {110, 111}:
        begin = pos + (3 if tag == 110 else 6)
        end = begin + int.from_bytes(buf[pos + 1 : begin - 1], "big")
        size = int.from_bytes(buf[begin:end], "little")
        sort, value = NUMBER, -size if buf[begin - 1] else size
    elif tag == 70:
        end = pos + 9
        sort, value = FLOAT, struct.unpack_from(">d", buf, pos + 1)[0]
    elif tag == 99:
        end = pos + 32
        text = buf[pos + 1 : end].partition(b"\0")[0]
        sort, value = FLOAT, float(text.replace(b",", b"."))
    else:  # nil
        sort, end = LIST, pos + 1
    return Term(sort, buf[pos:end], value), end


def _container(buf: bytes, start: int, tag: int, count: int) -> tuple[Term, int]:
    sort = {104: TUPLE, 105: TUPLE, 108: LIST, 116: MAP}[tag]
    pos = start + (2 if tag == 104 else 5)
    items = []
    for _ in range(count * 2 if tag == 116 else count):
        item, pos = _term(buf, pos)
        items.append(item)
    if tag == 108:
        pos += 1  # its tail
    return Term(sort, buf[start:pos], None, tuple(items)), pos


def _cut(raw: bytes, size: int) -> bytes:
    return raw if len(raw) <= size else raw[:size].decode(errors="ignore").encode()


def _is_character(code: int) -> bool:
    return 0 <= code < 0xD800 or 0xE000 <= code < 0x110000


Rule = Callable[[Term], bytes]
"""What is written for a term."""
