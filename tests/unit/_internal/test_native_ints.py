"""Numbers read byte by byte: the same as those of the standard library."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import basix_ws_cti
from basix_ws_cti._internal import native_ints
from basix_ws_cti._internal.native_ints import COMPILED, i32_after_tag, integer, u32_after_tag


@given(st.binary(min_size=5, max_size=9), st.integers(0, 4))
@pytest.mark.parametrize(
    ("read", "form"), [(u32_after_tag, ">I"), (i32_after_tag, ">i")], ids=["unsigned", "signed"]
)
def test_after_a_tag(read, form, buf, pos):
    """Four bytes are the number that they are to ``struct``; of fewer there is none."""
    if pos + 5 <= len(buf):
        assert read(buf, pos) == struct.unpack_from(form, buf, pos + 1)
    else:
        with pytest.raises(IndexError):
            read(buf, pos)


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_the_ends_of_32_bits(number):
    """The largest numbers and the smallest, with and without a sign."""
    buf = b"b" + number.to_bytes(4, "big")
    assert u32_after_tag(buf, 0) == (number,)
    assert i32_after_tag(buf, 0) == (number - 2**32 if number >= 2**31 else number,)


@given(st.binary(max_size=20))
def test_integers(raw):
    """An integer of any number of bytes, none included, is what ``int`` makes of them."""
    assert integer(raw, "little") == int.from_bytes(raw, "little")


@pytest.mark.parametrize("size", [7, 8, 9])
def test_integers_that_fill_a_word(size):
    """No bit is lost where a native integer is full."""
    assert integer(b"\xff" * size, "little") == 2 ** (8 * size) - 1


def test_who_is_compiled():
    """It tells of itself, and so of the package."""
    assert COMPILED is basix_ws_cti.compiled is (Path(native_ints.__file__).suffix != ".py")
