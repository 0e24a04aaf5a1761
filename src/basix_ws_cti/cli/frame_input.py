"""Text forms of frames: parsing of hex, base64, hexdumps and recordings; excerpts of bytes.

A frame begins with the byte 131: ``83`` in hex, and in base64 ``g``, which is not a hex digit.
A line that consists of hex digits only is therefore hex, any other text is base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from basix_ws_cti.exceptions import BasixError

# Bytes in a line of an excerpt, and lines before and after the marked one.
_WIDTH = 16
_CONTEXT_LINES = 2


class Form(StrEnum):
    """Form in which bytes are given."""

    HEX = "hex"
    BASE64 = "base64"
    BINARY = "binary"


class UnreadableFrameError(BasixError):
    """A text that cannot be converted to the bytes of a frame."""


# Characters before and between hex digits that have no meaning.
_DECORATION = re.compile(r"\\x|0x|[\s:,]", re.IGNORECASE)

# A line of xxd, "00000000: 8368 0362  .h.b", or of hexdump -C, "00000000  83 68  |.h|": the
# offset, then the bytes. The last line of hexdump is the total length alone.
_XXD = re.compile(r"([0-9a-f]{4,}): ((?:[0-9a-f]{2} ?)+)(?: .*)?", re.IGNORECASE)
_HEXDUMP = re.compile(r"([0-9a-f]{4,})  ((?:[0-9a-f]{2} {0,2})+) *\|.*\|", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)


def parse_frames(
    lines: Iterable[str], form: Form | None = None
) -> Iterator[bytes | UnreadableFrameError]:
    """Yield the frames in a text, one per line; the lines of a hexdump form one frame.

    - ``form``: form of the lines; ``None`` recognises it line by line.

    A JSON object is a line of a recording: its ``frame`` (base64) is used, and a line without
    one is skipped. An unreadable line is yielded as an exception object in its place.
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
            yield from _parse_recording_line(line)
        elif line:
            try:
                yield _parse_text(line, form)
            except UnreadableFrameError as error:
                yield error
    if dump:
        yield bytes(dump)


def _parse_recording_line(line: str) -> Iterator[bytes | UnreadableFrameError]:
    try:
        frame = json.loads(line).get("frame")
        if frame is not None:
            yield base64.b64decode(frame, validate=True)
    except (ValueError, TypeError, RecursionError):
        yield UnreadableFrameError("invalid JSON line, or its frame is not base64")


def _parse_text(text: str, form: Form | None) -> bytes:
    digits = _DECORATION.sub("", text)
    if form is None:
        is_hex = re.fullmatch(r"[0-9a-f]*", digits, re.IGNORECASE)
        form = Form.HEX if is_hex else Form.BASE64
    try:
        if form is Form.HEX:
            return bytes.fromhex(digits)
        plain = text.translate(_STANDARD_ALPHABET).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise UnreadableFrameError(f"not {form}: {_describe_problem(digits, form)}") from None


# URL-safe base64 to the standard alphabet, without spaces and tabs.
_STANDARD_ALPHABET = str.maketrans("-_", "+/", " \t")


def _describe_problem(digits: str, form: Form) -> str:
    if form is Form.BASE64:
        return "invalid character, or the text is incomplete"
    if re.fullmatch(r"[0-9a-f]*", digits, re.IGNORECASE):
        return "odd number of digits"
    return "invalid character"


def hexdump(data: bytes, offset: int) -> str:
    """Return the lines around the byte at ``offset``, with ``^^`` below that byte.

    An offset at the end of the data marks the position after the last byte.
    """
    first = max(0, offset // _WIDTH - _CONTEXT_LINES)
    lines = []
    for row in range(first, offset // _WIDTH + _CONTEXT_LINES + 1):
        start = row * _WIDTH
        part = data[start : start + _WIDTH]
        if not part and not start <= offset < start + _WIDTH:
            continue
        digits = part.hex(" ").ljust(3 * _WIDTH)
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {digits} |{text}|")
        if start <= offset < start + _WIDTH:
            lines.append(" " * (10 + 3 * (offset - start)) + "^^")
    return "\n".join(lines)
