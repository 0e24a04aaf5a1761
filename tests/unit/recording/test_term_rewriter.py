"""Term rewriter: terms with their bytes, and changed terms in the same encoding."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from support import etf_encoder
from support.cases import for_each
from support.etf_encoder import Atom, Charlist, any_term, encode

from basix_ws_cti.recording.term_rewriter import (
    ATOM,
    BINARY,
    CHARLIST,
    FLOAT,
    INTEGER,
    LIST,
    MAP,
    TUPLE,
    encode_float,
    encode_integer,
    read_term,
)


def raw(hexadecimal):
    return bytes.fromhex(hexadecimal)


@for_each(
    "encoded, term_type, value",
    [
        (raw("640002c3a9"), ATOM, "Ã©"),  # ATOM_EXT: Latin-1
        (raw("7301e9"), ATOM, "é"),
        (raw("760002c3a9"), ATOM, "é"),
        (raw("7702c3a9"), ATOM, "é"),
        (raw("6d00000002c3a9"), BINARY, "é"),
        (raw("6d00000001e9"), BINARY, "é"),  # not UTF-8: Latin-1
        (raw("6b0002c3a9"), CHARLIST, "é"),
        (raw("61ff"), INTEGER, 255),
        (raw("62ffffffff"), INTEGER, -1),
        (raw("6e020001ff"), INTEGER, 0xFF01),
        (raw("6e020101ff"), INTEGER, -0xFF01),
        (raw("6f000000020101ff"), INTEGER, -0xFF01),
        (raw("463ff8000000000000"), FLOAT, 1.5),
        (b"c1.50000000000000000000e+00\0\0\0\0\0", FLOAT, 1.5),
        (b"c1,50000000000000000000e+00\0\0\0\0\0", FLOAT, 1.5),
        (raw("6a"), LIST, None),
    ],
)
def test_term_has_type_value_and_bytes(encoded, term_type, value):
    """Each encoding of a term without items is read alone, in containers and in a map."""
    term = read_term(b"\x83" + encoded)
    assert (term.type, term.value, term.raw, term.items) == (term_type, value, encoded, ())
    for head, tail, count in (
        (b"h\x03", b"", 3),
        (b"i\0\0\0\x03", b"", 3),
        (b"l\0\0\0\x03", b"j", 3),
    ):
        container = read_term(b"\x83" + head + encoded * 3 + tail)
        assert [item.raw for item in container.items] == [encoded] * count
        assert container.type == (LIST if tail else TUPLE)
        assert container.with_items(item.raw for item in container.items) == container.raw
    mapping = read_term(b"\x83t\0\0\0\x01" + encoded * 2)
    assert (mapping.type, [item.raw for item in mapping.items]) == (MAP, [encoded] * 2)
    assert mapping.with_items([encoded, encoded]) == mapping.raw


def test_empty_container_keeps_its_bytes():
    """Nil, the empty tuple and the empty map are written as they are."""
    for encoded in (b"j", b"h\0", b"i\0\0\0\0", b"t\0\0\0\0"):
        assert read_term(b"\x83" + encoded).with_items([]) == encoded


def test_compressed_frame_is_inflated():
    """The bytes of a term in a compressed frame are those of the inflated term."""
    term = encode("a" * 100)
    frame = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
    assert read_term(frame).raw == term


@for_each(
    "encoded, text, written",
    [
        (raw("64000178"), "é\u3042", b"d\0\x02\xe9?"),
        (raw("730178"), "é" * 256, b"d\0\xff" + b"\xe9" * 255),
        (raw("76000178"), "é", raw("760002c3a9")),
        (raw("770178"), "é" * 256, b"v\x01\xfe" + "é".encode() * 255),
        (raw("6d0000000178"), "é", raw("6d00000002c3a9")),
        (raw("6b000178"), "é", raw("6b0002c3a9")),
        (raw("6b000178"), "a" * 65535, b"k\xff\xff" + b"a" * 65535),
        (raw("6b000178"), "a" * 65534 + "é", b"k\xff\xfe" + b"a" * 65534),
        (b"l\0\0\0\x01a\x78j", "é\u3042", b"l\0\0\0\x02a\xe9b\0\0\x30\x42j"),
    ],
)
def test_new_text_keeps_the_encoding(encoded, text, written):
    """The new text is cut to the length that the encoding can hold."""
    term = read_term(b"\x83" + encoded)
    assert term.text == "x"
    assert term.with_text(text) == written


@for_each(
    "items, text",
    [
        (b"a\x41b\0\0\x30\x42", "A\u3042"),
        (b"b\0\0\xd7\xffb\0\0\xe0\0", "\ud7ff\ue000"),
        (b"a\x41b\0\0\xd8\0", None),
        (b"a\x41b\0\0\xdf\xff", None),
        (b"a\x41b\0\x10\xff\xff", "A\U0010ffff"),
        (b"a\x41b\0\x11\0\0", None),
        (b"a\x41b\xff\xff\xff\xff", None),
        (b"a\x41d\0\x01x", None),
    ],
)
def test_list_of_characters_is_a_text(items, text):
    """A list is a text if all its items are code points of characters."""
    assert read_term(b"\x83l\0\0\0\x02" + items + b"j").text == text


def test_new_text_of_a_list_with_texts_is_a_list_of_one_binary():
    term = read_term(b"\x83l\0\0\0\2d\0\1xm\0\0\0\1yj")
    assert term.text is None
    assert term.with_text("\u00e9") == b"l\0\0\0\1m\0\0\0\2\xc3\xa9j"


def test_containers_and_numbers_are_no_text():
    for encoded in (b"j", b"h\x01a\x41", b"a\x41"):
        assert read_term(b"\x83" + encoded).text is None


@for_each(
    "number, encoded",
    [
        (0, "6100"),
        (255, "61ff"),
        (256, "6200000100"),
        (-1, "62ffffffff"),
        (2**31 - 1, "627fffffff"),
        (-(2**31), "6280000000"),
        (2**31, "6e040000000080"),
        (-(2**31) - 1, "6e040101000080"),
        (256**255 - 1, "6eff00" + "ff" * 255),
        (256**255, "6f0000010000" + "00" * 255 + "01"),
    ],
)
def test_integers_have_the_shortest_encoding(number, encoded):
    """Erlang writes the same bytes on both sides of each limit."""
    assert encode_integer(number).hex() == encoded


def test_floats_are_encoded():
    """A float is written as NEW_FLOAT_EXT."""
    assert encode_float(1.5) == raw("463ff8000000000000")


@pytest.mark.slow
@given(any_term())
def test_unchanged_term_keeps_its_bytes(term):
    """A term that is written item by item, without a change, has the same bytes."""

    def copy(part):
        return part.with_items(map(copy, part.items)) if part.items else part.raw

    encoded = encode(term)
    assert copy(read_term(b"\x83" + encoded)) == encoded


@for_each(
    "term, text",
    [
        ("山田", "山田"),
        (["山田", 32, [Charlist("Taro"), ["!"]], []], "山田 Taro!"),
        ([0x5C71, "田"], "山田"),
        ([[], []], ""),
        ([], None),
        (["x", -1], None),
        (["x", 0xD800], None),
        (["x", 1.5], None),
        (["x", Atom("y")], None),
        (["x", ("y",)], None),
        (("x",), None),
        (5, None),
    ],
)
def test_chardata_is_the_text_of_a_list_of_texts(term, text):
    """An atom is text alone, but not in a list; an empty list is no text alone."""
    assert read_term(etf_encoder.frame(term)).chardata == text


def test_chardata_has_the_binary_tail_of_a_list():
    assert read_term(raw("836c000000016d00000001416d0000000142")).chardata == "AB"
