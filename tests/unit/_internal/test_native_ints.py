"""Integers read byte by byte: equal to the results of the standard library."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import for_each

import basix_ws_cti
from basix_ws_cti._internal import native_ints
from basix_ws_cti._internal.native_ints import COMPILED, i32_after_tag, integer, u32_after_tag


@given(st.binary(min_size=5, max_size=9), st.integers(0, 4))
@pytest.mark.parametrize(
    ("read", "form"), [(u32_after_tag, ">I"), (i32_after_tag, ">i")], ids=["unsigned", "signed"]
)
def test_integers_after_a_tag_equal_struct(read, form, buf, pos):
    """Fewer than four bytes after the tag raise IndexError."""
    if pos + 5 <= len(buf):
        assert read(buf, pos) == struct.unpack_from(form, buf, pos + 1)
    else:
        with pytest.raises(IndexError):
            read(buf, pos)


@for_each("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_smallest_and_largest_32_bit_integers(number):
    buf = b"b" + number.to_bytes(4, "big")
    assert u32_after_tag(buf, 0) == (number,)
    assert i32_after_tag(buf, 0) == (number - 2**32 if number >= 2**31 else number,)


@given(st.binary(max_size=20))
def test_integers_of_any_size_equal_int_from_bytes(raw):
    """A size of zero bytes is allowed."""
    assert integer(raw, "little") == int.from_bytes(raw, "little")


@for_each("size", [7, 8, 9])
def test_integers_of_a_full_machine_word_keep_all_bits(size):
    assert integer(b"\xff" * size, "little") == 2 ** (8 * size) - 1


def test_compiled_flag_matches_the_module_file():
    assert COMPILED is basix_ws_cti.compiled is (Path(native_ints.__file__).suffix != ".py")
