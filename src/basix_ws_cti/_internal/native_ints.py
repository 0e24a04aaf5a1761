"""The numbers of a frame, read byte by byte.

For where this is compiled to C, where a call into ``struct`` or ``int`` takes ten times as
long as the bytes themselves. To the interpreter those are quicker: ``terms`` chooses.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mypy_extensions import i64


def u32_after_tag(buf: bytes, pos: i64) -> tuple[i64]:
    """The four bytes after the tag at ``pos``, the highest first."""
    first: i64 = buf[pos + 1]
    second: i64 = buf[pos + 2]
    third: i64 = buf[pos + 3]
    return (first << 24 | second << 16 | third << 8 | buf[pos + 4],)


def i32_after_tag(buf: bytes, pos: i64) -> tuple[i64]:
    """The same as a signed number."""
    (number,) = u32_after_tag(buf, pos)
    return ((number ^ 0x80000000) - 0x80000000,)


def integer(raw: bytes, order: Literal["little"]) -> int:
    """``int.from_bytes``, quicker where a timestamp's seven bytes are all there is."""
    at: i64 = len(raw)
    if at > 7:
        return int.from_bytes(raw, order)
    number: i64 = 0
    while at:
        at -= 1
        number = number << 8 | raw[at]
    return number


COMPILED: bool = not isinstance(u32_after_tag, FunctionType)
"""Whether this, and with it the parse path, was compiled when the package was built."""
