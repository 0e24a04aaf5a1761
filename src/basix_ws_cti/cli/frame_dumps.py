"""Bytes as people paste them, and as they are shown.

A frame begins with the byte 131: in hex with ``83``, in base64 with ``g``, which is no hex
digit. So a line of hex digits alone is hex, and any other base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from basix_ws_cti.exceptions import BasixError

# Bytes in a line of a dump, and lines before and after the one that matters.
_WIDTH = 16
_AROUND = 2


class Form(StrEnum):
    """How bytes are written."""

    HEX = "hex"
    BASE64 = "base64"
    BINARY = "binary"


class UnreadableError(BasixError):
    """A text that is no frame's bytes in the form that it is in; its text says why."""


# What stands between hex digits, or before them, and means nothing.
_DECORATION = re.compile(r"\\x|0x|[\s:,]", re.IGNORECASE)

# A line of xxd, "00000000: 8368 0362  .h.b", or of hexdump -C, "00000000  83 68  |.h|": where
# it stands, and the bytes. hexdump ends with a line of the length alone.
_XXD = re.compile(r"([0-9a-f]{4,}): ((?:[0-9a-f]{2} ?)+)(?: .*)?", re.IGNORECASE)
_HEXDUMP = re.compile(r"([0-9a-f]{4,})  ((?:[0-9a-f]{2} {0,2})+) *\|.*\|", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)


def frames(lines: Iterable[str], form: Form | None = None) -> Iterator[bytes | UnreadableError]:
    """The frames in a text, one to a line; the lines of a hexdump are one frame together.

    ``form`` ``None``: as it looks. A line may be a JSON object, as in a recording: its
    ``frame`` is taken, in base64, and one without is none. A line that can't be read is
    yielded as its error.
    """
    dump = bytearray()
    for line in map(str.strip, lines):
        columns = None if form is Form.BASE64 else _XXD.fullmatch(line) or _HEXDUMP.fullmatch(line)
        if dump and columns is None and _LENGTH.fullmatch(line) and int(line, 16) == len(dump):
            continue
        if dump and (columns is None or int(columns[1], 16) != len(dump)):
            yield bytes(dump)
            dump.clear()
        if columns is not None:
            dump += bytes.fromhex(columns[2])
        elif line.startswith("{"):
            yield from _recorded(line)
        elif line:
            try:
                yield _from_text(line, form)
            except UnreadableError as error:
                yield error
    if dump:
        yield bytes(dump)


def _recorded(line: str) -> Iterator[bytes | UnreadableError]:
    try:
        frame = json.loads(line).get("frame")
        if frame is not None:
            yield base64.b64decode(frame, validate=True)
    except (ValueError, TypeError, RecursionError):
        yield UnreadableError("a JSON line that can't be read, or its frame is no base64")


def _from_text(text: str, form: Form | None) -> bytes:
    digits = _DECORATION.sub("", text)
    if form is None:
        is_hex = re.fullmatch(r"[0-9a-f]*", digits, re.IGNORECASE)
        form = Form.HEX if is_hex else Form.BASE64
    try:
        if form is Form.HEX:
            return bytes.fromhex(digits)
        plain = text.translate(_STANDARD).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise UnreadableError(f"not {form}: {_problem(digits, form)}") from None


_STANDARD = str.maketrans("-_", "+/", " \t")


def _problem(digits: str, form: Form) -> str:
    if form is Form.BASE64:
        return "a character that is none of it, or too few of them"
    if re.fullmatch(r"[0-9a-f]*", digits, re.IGNORECASE):
        return "an odd number of digits"
    return "a character that is no digit of it"


def hexdump(data: bytes, offset: int) -> str:
    """The lines around the byte at ``offset``, which is marked; at the end, where it would be."""
    first = max(0, offset // _WIDTH - _AROUND)
    lines = []
    for row in range(first, offset // _WIDTH + _AROUND + 1):
        start = row * _WIDTH
        part = data[start : start + _WIDTH]
        if not part and not start <= offset < start + _WIDTH:
            continue
        digits = part.hex(" ").ljust(3 * _WIDTH)
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {digits} |{shown}|")
        if start <= offset < start + _WIDTH:
            lines.append(" " * (10 + 3 * (offset - start)) + "^^")
    return "\n".join(lines)
