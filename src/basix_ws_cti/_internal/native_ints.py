"""Integers from a frame, read byte by byte.

These functions are for a package compiled with mypyc. There, a call into ``struct`` or ``int``
takes ten times as long as reading the bytes. In the interpreter the standard library is
faster; ``terms`` chooses.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mypy_extensions import i64


def u32_after_tag(buf: bytes, pos: i64) -> tuple[i64]:
    """Return the unsigned big-endian integer in the four bytes after the tag at ``pos``."""
    first: i64 = buf[pos + 1]
    second: i64 = buf[pos + 2]
    third: i64 = buf[pos + 3]
    return (first << 24 | second << 16 | third << 8 | buf[pos + 4],)


def i32_after_tag(buf: bytes, pos: i64) -> tuple[i64]:
    """Return the signed big-endian integer in the four bytes after the tag at ``pos``."""
    (number,) = u32_after_tag(buf, pos)
    return ((number ^ 0x80000000) - 0x80000000,)


def integer(raw: bytes, order: Literal["little"]) -> int:
    """Return ``int.from_bytes(raw, order)``, faster for at most seven bytes, as in timestamps."""
    at: i64 = len(raw)
    if at > 7:
        return int.from_bytes(raw, order)
    number: i64 = 0
    while at:
        at -= 1
        number = number << 8 | raw[at]
    return number


COMPILED: bool = not isinstance(u32_after_tag, FunctionType)
"""True if this module, and with it all parsing, was compiled with mypyc."""
