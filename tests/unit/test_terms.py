"""Term decoder: values, errors, limits, the atom cache, compressed frames and random bytes.

The frames in the tables are written out by hand from the Erlang external term format
specification. None is made by the code under test.
"""

from __future__ import annotations

import functools
import json
import math
import re
import struct
import tracemalloc
import zlib
from array import array
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cases import for_each
from support.frame_mutations import bench_frames
from support.paths import DATA, DOCS
from support.sizes import NIGHTLY

import basix_ws_cti
from basix_ws_cti import terms
from basix_ws_cti.exceptions import DecodeError, UsageError
from basix_ws_cti.terms import Limits, Regex, as_text, decode, inflated_size

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("forget_atoms")

random_runs = settings(
    max_examples=500 * (20 if NIGHTLY else 1),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def u32(number):
    return number.to_bytes(4, "big")


def list_of(unit, count):
    """Return a frame with a list of ``count`` equal terms."""
    return b"\x83l" + u32(count) + unit * count + b"j"


def compressed(term, size=None):
    """Return a compressed frame of ``term`` that declares ``size`` bytes or its real size."""
    return b"\x83P" + u32(len(term) if size is None else size) + zlib.compress(term)


def decode_error(frame, limits=terms.DEFAULT_LIMITS):
    """Return the DecodeError that decoding the frame raises."""
    with pytest.raises(DecodeError) as caught:
        decode(frame, limits)
    # Another exception as context could contain a part of the frame, and personal data.
    assert type(caught.value.__context__) in {type(None), MemoryError}
    return caught.value


def outcome(frame):
    """Return the value of the frame and its DecodeError: one of them is None.

    It does not use pytest.raises, which is too slow for loops.
    """
    try:
        return decode(frame), None
    except DecodeError as error:
        return None, error


def assert_offset_in_frame(frame, error):
    """Assert that the offset of an error lies within the frame."""
    assert error.offset >= 0
    assert error.inflated or error.offset <= len(frame)


def is_refused(frame):
    """Return True if the frame raises a DecodeError, whose offset must lie within it."""
    error = outcome(frame)[1]
    if error is not None:
        assert_offset_in_frame(frame, error)
    return error is not None


@functools.cache
def committed_frames():
    """Return all frames of tests/data/conformance.jsonl in all encodings, without duplicates."""
    lines = (DATA / "conformance.jsonl").read_text(encoding="utf-8").splitlines()
    frames = {
        bytes.fromhex(text)
        for line in lines
        for wire in json.loads(line)["wire"].values()
        for text in wire
    }
    return sorted(frames)


@functools.cache
def benchmark_frames():
    """Return the first 20 frames of the benchmark."""
    return [*islice(bench_frames(), 20)]


# ---------------------------------------------------------------------------- the values

# Format of an atom's header, by tag.
ATOM_HEADERS = {100: b"d\0%c", 115: b"s%c", 118: b"v\0%c", 119: b"w%c"}


def atom(tag, name):
    """Return an atom of less than 256 bytes."""
    return ATOM_HEADERS[tag] % len(name) + name


def in_each_tag(name):
    """Return an atom in each of the four tags."""
    return [atom(tag, name) for tag in ATOM_HEADERS]


# The name of the case, the atom and its value, in each of the four tags.
ATOMS = [
    ("ASCII", b"hello", "hello"),
    ("empty", b"", ""),
    ("undefined", b"undefined", None),
    ("true", b"true", True),
    ("false", b"false", False),
    ("bert", b"bert", "bert"),
]

VALUES = {
    # 97 SMALL_INTEGER_EXT, 98 INTEGER_EXT
    "small 0": (b"\x83a\x00", 0),
    "small 255": (b"\x83a\xff", 255),
    "int 256": (b"\x83b\x00\x00\x01\x00", 256),
    "int -1": (b"\x83b\xff\xff\xff\xff", -1),
    "int max": (b"\x83b\x7f\xff\xff\xff", 2147483647),
    "int min": (b"\x83b\x80\x00\x00\x00", -2147483648),
    "int that fits in a byte": (b"\x83b\x00\x00\x00\x07", 7),
    # 110 SMALL_BIG_EXT, 111 LARGE_BIG_EXT
    "big 2**31": (b"\x83n\x04\x00\x00\x00\x00\x80", 2147483648),
    "big -2**31-1": (b"\x83n\x04\x01\x01\x00\x00\x80", -2147483649),
    "big timestamp": (b"\x83n\x07\x00\x07\x5e\x81\x87\xd7\x7e\x05", 1546839040024071),
    "big of zero bytes": (b"\x83n\x00\x00", 0),
    "big minus zero": (b"\x83n\x01\x01\x00", 0),
    "big of 255 bytes": (b"\x83n\xff\x00" + b"\xff" * 255, 2**2040 - 1),
    "large big": (b"\x83o\x00\x00\x00\x02\x00\x01\x02", 513),
    "large big, negative": (b"\x83o\x00\x00\x00\x02\x01\x01\x02", -513),
    "large big of 256 bytes": (b"\x83o\x00\x00\x01\x00\x00" + b"\0" * 255 + b"\1", 2**2040),
    # 70 NEW_FLOAT_EXT, 99 FLOAT_EXT
    "float 1.5": (b"\x83F\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),
    "float -0.0": (b"\x83F\x80\x00\x00\x00\x00\x00\x00\x00", -0.0),
    "float max": (b"\x83F\x7f\xef\xff\xff\xff\xff\xff\xff", 1.7976931348623157e308),
    "float min": (b"\x83F\x00\x00\x00\x00\x00\x00\x00\x01", 5e-324),
    "old float": (b"\x83c1.50000000000000000000e+00\0\0\0\0\0", 1.5),
    "old float, negative": (b"\x83c-2.50000000000000000000e-03\0\0\0\0", -0.0025),
    "old float -0.0": (b"\x83c-0.0" + b"\0" * 27, -0.0),
    "old float with a plus": (b"\x83c+2.5" + b"\0" * 27, 2.5),
    "old float with a comma": (b"\x83c2,5" + b"\0" * 28, 2.5),
    "old float of 30 characters": (b"\x83c" + b"1." + b"0" * 28 + b"\0", 1.0),
    "old float, bytes after NUL": (b"\x83c0.1\0" + b"x" * 27, 0.1),
    # 100 ATOM_EXT, 115 SMALL_ATOM_EXT, 118 ATOM_UTF8_EXT, 119 SMALL_ATOM_UTF8_EXT
    **{
        f"{tag} {name}": (b"\x83" + atom(tag, text), value)
        for tag in ATOM_HEADERS
        for name, text, value in ATOMS
    },
    "100 latin1": (b"\x83d\x00\x01\xe9", "é"),
    "100 of 255": (b"\x83d\x00\xff" + b"a" * 255, "a" * 255),
    "115 latin1": (b"\x83s\x02\xc3\xa9", "Ã©"),
    "115 of 255": (b"\x83s\xff" + b"\xe9" * 255, "é" * 255),
    "118 two bytes": (b"\x83v\x00\x02\xc3\xa9", "é"),
    "118 of 255": (b"\x83v\x03\xfc" + b"\xf0\x9f\x98\x80" * 255, "\U0001f600" * 255),
    "119 three bytes": (b"\x83w\x03\xe5\xb1\xb1", "山"),
    "119 of 255": (b"\x83w\xff" + b"z" * 255, "z" * 255),
    "atoms similar to constants": (
        b"\x83h\x05d\x00\x03nilw\x04nulls\x04Truev\x00\x09Undefinedd\x00\x04none",
        ("nil", "null", "True", "Undefined", "none"),
    ),
    # 109 BINARY_EXT, 107 STRING_EXT
    "binary": (b"\x83m\x00\x00\x00\x03abc", "abc"),
    "binary, empty": (b"\x83m\x00\x00\x00\x00", ""),
    "binary of UTF-8": (b"\x83m\x00\x00\x00\x06\xe5\xb1\xb1\xe7\x94\xb0", "山田"),
    "binary not UTF-8": (b"\x83m\x00\x00\x00\x02\xe9\x41", "éA"),
    "binary of a surrogate": (b"\x83m\x00\x00\x00\x03\xed\xa0\x80", "í\xa0\x80"),
    "binary of NUL": (b"\x83m\x00\x00\x00\x01\x00", "\0"),
    "charlist": (b"\x83k\x00\x03abc", "abc"),
    "charlist, empty": (b"\x83k\x00\x00", ""),
    "charlist of UTF-8": (b"\x83k\x00\x03\xe5\xb1\xb1", "山"),
    "charlist not UTF-8": (b"\x83k\x00\x01\xff", "ÿ"),
    "charlist of 65,535": (b"\x83k\xff\xff" + b"x" * 65_535, "x" * 65_535),
    # 104 SMALL_TUPLE_EXT, 105 LARGE_TUPLE_EXT
    "tuple, empty": (b"\x83h\x00", ()),
    "tuple of one": (b"\x83h\x01a\x01", (1,)),
    "tuple of 255": (b"\x83h\xff" + b"a\x07" * 255, (7,) * 255),
    "tuple of tuples": (b"\x83h\x02h\x00h\x01h\x00", ((), ((),))),
    "large tuple, empty": (b"\x83i\x00\x00\x00\x00", ()),
    "empty large tuple before another element": (b"\x83h\x02i\x00\x00\x00\x00a\x01", ((), 1)),
    "large tuple of one": (b"\x83i\x00\x00\x00\x01a\x01", (1,)),
    "large tuple of 256": (b"\x83i\x00\x00\x01\x00" + b"a\x07" * 256, (7,) * 256),
    # 106 NIL_EXT, 108 LIST_EXT
    "nil": (b"\x83j", []),
    "list": (b"\x83l\x00\x00\x00\x02a\x01a\x02j", [1, 2]),
    "list of 300": (b"\x83l\x00\x00\x01\x2c" + b"a\x01" * 300 + b"j", [1] * 300),
    "empty list as LIST_EXT": (b"\x83l\x00\x00\x00\x00j", []),
    "list of lists": (b"\x83l\x00\x00\x00\x02jl\x00\x00\x00\x01jjj", [[], [[]]]),
    "list that starts with bert": (
        b"\x83l\x00\x00\x00\x02d\x00\x04bertd\x00\x03nilj",
        ["bert", "nil"],
    ),
    # 116 MAP_EXT
    "map, empty": (b"\x83t\x00\x00\x00\x00", {}),
    "map": (
        b"\x83t\x00\x00\x00\x02d\x00\x01aa\x01m\x00\x00\x00\x01bl\x00\x00\x00\x01a\x02j",
        {"a": 1, "b": [2]},
    ),
    "map keys": (
        (
            b"\x83t\x00\x00\x00\x05a\x05a\x00F\x3f\xf8\x00\x00\x00\x00\x00\x00a\x01"
            b"w\x04truea\x02w\x09undefineda\x03k\x00\x01ka\x04"
        ),
        {5: 0, 1.5: 1, True: 2, None: 3, "k": 4},
    ),
    "map in a map": (b"\x83t\x00\x00\x00\x01w\x01at\x00\x00\x00\x01w\x01bh\x00", {"a": {"b": ()}}),
    # the atom bert where it marks no compound
    "bert as a second part": (b"\x83h\2a\1w\4bert", (1, "bert")),
    "bert in a list": (b"\x83l\0\0\0\1w\4bertj", ["bert"]),
    "bert in a map": (b"\x83t\0\0\0\1w\4bertw\4bert", {"bert": "bert"}),
    # the compounds of BERT
    "bert nil": (b"\x83h\x02d\x00\x04bertd\x00\x03nil", None),
    "bert true": (b"\x83h\x02d\x00\x04bertd\x00\x04true", True),
    "bert false": (b"\x83h\x02d\x00\x04bertd\x00\x05false", False),
    "bert nil in a large tuple": (b"\x83i\x00\x00\x00\x02w\x04berts\x03nil", None),
    "bert true of mixed atoms": (b"\x83h\x02v\x00\x04bertw\x04true", True),
    "bert nil in a tuple": (b"\x83h\x02a\x01h\x02w\x04bertw\x03nil", (1, None)),
    "bert dict": (
        (
            b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x02"
            b"h\x02w\x01aa\x01i\x00\x00\x00\x02a\x02m\x00\x00\x00\x01xj"
        ),
        {"a": 1, 2: "x"},
    ),
    "bert dict, empty": (b"\x83h\x03d\x00\x04bertd\x00\x04dictj", {}),
    "bert dict of bert nil": (b"\x83h\x03w\x04bertw\x04dicth\x02w\x04bertw\x03nil", {}),
    "bert dict of bert nil in a large tuple": (
        b"\x83h\x03w\x04bertw\x04dicti\0\0\0\2w\x04bertw\x03nil",
        {},
    ),
    "bert dict in a large tuple": (b"\x83i\x00\x00\x00\x03w\x04bertw\x04dictj", {}),
    "bert time, epoch": (
        b"\x83h\x05w\x04bertw\x04timea\x00a\x00a\x00",
        datetime(1970, 1, 1, tzinfo=UTC),
    ),
    "bert time": (
        b"\x83h\x05d\x00\x04bertd\x00\x04timeb\x00\x00\x04\xe6b\x00\x04\x6e\xb1b\x00\x01\xa4\x85",
        datetime(2009, 9, 30, 6, 1, 21, 107653, tzinfo=UTC),
    ),
    "bert time before the epoch": (
        b"\x83h\x05w\x04bertw\x04timea\x00b\xff\xff\xff\xffa\x01",
        datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    ),
    "bert string, utf8": (b"\x83h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x02\xc3\xa9", "é"),
    "bert string, latin1": (
        b"\x83h\x04d\x00\x04bertd\x00\x06stringd\x00\x06latin1m\x00\x00\x00\x02\xc3\xa9",
        "Ã©",
    ),
    "bert string of a charlist": (b"\x83h\x04w\x04bertw\x06stringw\x06latin1k\x00\x01\xe9", "é"),
    "bert string, encoding as a binary": (
        b"\x83h\x04w\x04bertw\x06stringm\x00\x00\x00\x05UTF-8m\x00\x00\x00\x01a",
        "a",
    ),
    "bert string, encoding as a charlist": (
        b"\x83h\x04w\x04bertw\x06stringk\x00\x0aISO_8859-1m\x00\x00\x00\x01\xe9",
        "é",
    ),
    "bert string in a large tuple": (
        b"\x83i\x00\x00\x00\x04v\x00\x04berts\x06stringv\x00\x05utf-8m\x00\x00\x00\x01a",
        "a",
    ),
    "bert string with the text bert": (
        b"\x83h\x02h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x04berta\x01",
        ("bert", 1),
    ),
    "bert regex": (
        b"\x83h\x04w\x04bertw\x05regexm\x00\x00\x00\x02(al\x00\x00\x00\x01w\x08caselessj",
        Regex("(a", ["caseless"]),
    ),
    # 80, a compressed term: zlib streams written out, of `a 7` and of `h 0`
    "compressed": (b"\x83P\x00\x00\x00\x02\x78\x9c\x4b\x64\x07\x00\x00\xcb\x00\x69", 7),
    "compressed, stored": (
        b"\x83P\x00\x00\x00\x02\x78\x01\x01\x02\x00\xfd\xff\x68\x00\x00\xd2\x00\x69",
        (),
    ),
}


@for_each("frame, value", VALUES.values())
def test_frame_decodes_to_its_value(frame, value):
    """The values follow the table in the docstring of the module."""
    # Their repr distinguishes 1 from True and 1.0, 0.0 from -0.0, and a tuple from a list.
    assert repr(decode(frame)) == repr(value)
    # The second time, the atoms come from the cache.
    assert repr(decode(frame)) == repr(value)


@for_each("frame", [frame for frame, _ in VALUES.values()])
def test_truncated_and_longer_frames_are_refused(frame):
    # The middle of a long frame repeats the same bytes.
    ends = range(len(frame)) if len(frame) < 2000 else [*range(1000), *range(-1000, 0)]
    for end in ends:
        assert is_refused(frame[:end]), end
    assert is_refused(frame + b"\0")
    assert is_refused(frame + b"j")


# A compressed term must be a complete frame.
UNCOMPRESSED = {name: frame for name, (frame, _) in VALUES.items() if frame[1] != 80}


@for_each("frame", UNCOMPRESSED.values())
def test_term_inside_a_container_has_the_same_value(frame):
    """The container is a tuple, a list or a map."""
    value = decode(frame)
    term = frame[1:]
    assert repr(decode(b"\x83h\3a\1" + term + b"a\1")) == repr((1, value, 1))
    assert repr(decode(b"\x83l\0\0\0\2" + term + term + b"j")) == repr([value, value])
    assert repr(decode(b"\x83t\0\0\0\1a\1" + term)) == repr({1: value})


def test_regex_is_immutable_data():
    regex = decode(b"\x83h\4w\4bertw\5regexk\0\2(aj")
    assert regex == Regex("(a", [])
    with pytest.raises(AttributeError):
        regex.source = "b"


@for_each("mark", in_each_tag(b"bert"))
@for_each("head", [b"h\2", b"i\0\0\0\2"])
def test_tuple_that_starts_with_bert_is_a_compound(head, mark):
    """The atom has any of the four tags and is cached or not."""
    for name in in_each_tag(b"nil"):
        for _ in range(2):
            assert decode(b"\x83" + head + mark + name) is None
    assert "unknown" in decode_error(b"\x83" + head + mark + b"w\4nope").reason
    assert "without a name" in decode_error(b"\x83" + head + mark + b"a\1").reason


@for_each("text", [b"m\0\0\0\4bert", b"k\0\4bert"])
@for_each("head", [b"h\2", b"i\0\0\0\2"])
def test_tuple_that_starts_with_the_text_bert_is_no_compound(head, text):
    """The text is a binary or a charlist."""
    decode(b"\x83w\4bert")  # fill the cache, which must not matter
    assert decode(b"\x83" + head + text + b"w\3nil") == ("bert", "nil")
    assert decode(b"\x83" + head + text + b"a\1") == ("bert", 1)


# -------------------------------------------------------------------------- invalid frames

UNSUPPORTED_TAGS = {
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
SUPPORTED_TAGS = {70, *range(97, 101), *range(104, 112), 115, 116, 118, 119}

# Parts of reasons that several frames share.
CUT = "ends before its term is complete"
NOT_A_NUMBER = "not a number terminated by NUL"
MALFORMED = "unknown or malformed"
INVALID_KEY = "neither text nor a number"
DUPLICATE_KEYS = "duplicate keys"
NOT_A_PAIR = "an item that is not a pair"
OUTSIDE_YEARS = "outside the years 1 to 9999"
WITHOUT_NAME = "without a name"
INVALID_ATOM = "an atom that is not valid UTF-8"
IMPROPER_LIST = "its tail is neither nil nor a binary"
NOT_FINITE = "not finite"
NOT_TEXT = "neither a binary nor a charlist"
TOO_MANY_TERMS = "more terms than the limits"
OTHER_ENCODING = "an encoding other than UTF-8 and Latin-1"


def truncated(frames):
    """Return rows of frames whose term would continue after their end."""
    return {name: (frame, len(frame), CUT) for name, frame in frames.items()}


# The frame, the offset of the error, part of its reason.
INVALID_FRAMES = {
    # the frame
    "empty frame": (b"", 0, "the frame is empty"),
    "version only": (b"\x83", 1, "ends after the version byte"),
    "other version": (b"\x82a\x01", 0, "expected version byte 131, got 130"),
    "other version only": (b"a", 0, "expected version byte 131, got 97"),
    "text": (b"[1,2]", 0, "expected version byte 131, got 91"),
    "two terms": (b"\x83a\x01a\x02", 3, "2 unexpected bytes after the term"),
    "extra byte": (b"\x83h\x00\x00", 3, "1 unexpected bytes after the term"),
    # truncated
    **truncated(
        {
            "97 truncated": b"\x83a",
            "98 truncated": b"\x83b\x00\x00\x00",
            "110 without a size": b"\x83n",
            "110 without a sign": b"\x83n\x01",
            "110 truncated": b"\x83n\x02\x00\x01",
            "111 without a sign": b"\x83o\x00\x00\x00\x01",
            "111 truncated": b"\x83o\x00\x00\x00\x02\x00\x01",
            "70 truncated": b"\x83F\x3f\xf8\x00\x00\x00\x00\x00",
            "99 truncated": b"\x83c1.5" + b"\0" * 27,
            "99 truncated inside the number": b"\x83c1.5",
            "100 truncated": b"\x83d\x00\x02a",
            "115 truncated": b"\x83s\x02a",
            "118 truncated": b"\x83v\x00\x02a",
            "119 truncated": b"\x83w\x02a",
            "109 truncated": b"\x83m\x00\x00\x00\x02a",
            "109 truncated inside a character": b"\x83m\x00\x00\x00\x03\xe5\xb1",
            "107 truncated": b"\x83k\x00\x02a",
            "104 truncated": b"\x83h\x02a\x01",
            "104 with a truncated last element": b"\x83h\x01m\x00\x00\x00\x02a",
            "105 with too few elements": b"\x83i\x00\x00\x00\x02j",
            "108 without a tail": b"\x83l\x00\x00\x00\x01a\x01",
            "108 with a truncated last element": b"\x83l\0\0\0\x01m\0\0\0\x02a",
            "116 truncated": b"\x83t\0\0\0\x01a\x01k\x00\x02a",
        },
    ),
    # a size beyond the end of the frame; 4 GiB are refused at the header
    "109 of 4 GiB": (b"\x83m\xff\xff\xff\xff", 6, CUT),
    "111 of 4 GiB": (b"\x83o\xff\xff\xff\xff\x00", 1, "an integer of 4294967295 bytes"),
    **truncated(
        {
            "108 of 1,000": b"\x83l\x00\x00\x03\xe8j",
            "105 of 1,000": b"\x83i\x00\x00\x03\xe8j",
            "116 of 1,000": b"\x83t\x00\x00\x03\xe8j",
            "108 of one too many": b"\x83l\0\0\0\2\xff",
            "105 of one too many": b"\x83i\0\0\0\2\xff",
            "116 of one too many": b"\x83t\0\0\0\1\xff",
        },
    ),
    "108 of 4 GiB": (b"\x83l\xff\xff\xff\xff", 1, TOO_MANY_TERMS),
    "105 of 4 GiB": (b"\x83i\xff\xff\xff\xff", 1, TOO_MANY_TERMS),
    "116 of 4 GiB": (b"\x83t\xff\xff\xff\xff", 1, TOO_MANY_TERMS),
    # atoms
    "100 of 256": (b"\x83d\x01\x00" + b"a" * 256, 1, "an atom of 256 characters"),
    "118 of 256": (b"\x83v\x02\x00" + b"\xc3\xa9" * 256, 1, "an atom of 256 characters"),
    "118 not UTF-8": (b"\x83v\x00\x01\xe9", 1, INVALID_ATOM),
    "119 not UTF-8": (b"\x83w\x01\xe9", 1, INVALID_ATOM),
    "119 surrogate": (b"\x83w\x03\xed\xa0\x80", 1, INVALID_ATOM),
    "119 not UTF-8 in a tuple": (b"\x83h\x02a\x01w\x01\xe9", 5, INVALID_ATOM),
    # floats
    "70 infinity": (b"\x83F\x7f\xf0\x00\x00\x00\x00\x00\x00", 1, NOT_FINITE),
    "70 -infinity": (b"\x83F\xff\xf0\x00\x00\x00\x00\x00\x00", 1, NOT_FINITE),
    "70 NaN": (b"\x83F\x7f\xf8\x00\x00\x00\x00\x00\x00", 1, NOT_FINITE),
    "99 too large": (b"\x83c1.0e999" + b"\0" * 24, 1, NOT_FINITE),
    **{
        f"99 {name}": (b"\x83c" + text.ljust(31, b"\0"), 1, NOT_A_NUMBER)
        for name, text in {
            "empty": b"",
            "no NUL": b"1." + b"0" * 29,
            "NUL just after it": b"1." + b"0" * 29 + b"\0",
            "inf": b"inf",
            "nan": b"nan",
            "space before": b" 1.5",
            "space after": b"1.5 ",
            "underscore": b"1_0.5",
            "no fraction": b"15",
            "no exponent": b"1.5e",
            "hexadecimal": b"0x1.8p1",
        }.items()
    },
    # lists and maps
    "improper list": (b"\x83l\x00\x00\x00\x01a\x01a\x02", 8, IMPROPER_LIST),
    "improper empty list": (b"\x83l\x00\x00\x00\x00a\x02", 6, IMPROPER_LIST),
    "empty list with a binary as tail": (b"\x83l\0\0\0\0m\0\0\0\1x", 6, IMPROPER_LIST),
    "list with a charlist as tail": (b"\x83l\0\0\0\x01a\x01k\0\1x", 8, IMPROPER_LIST),
    "list with an empty tail": (b"\x83l\0\0\0\x01a\x01l\0\0\0\0j", 8, IMPROPER_LIST),
    "map key list": (b"\x83t\x00\x00\x00\x01ja\x01", 1, INVALID_KEY),
    "map key tuple": (b"\x83t\x00\x00\x00\x01h\x00a\x01", 1, INVALID_KEY),
    "map key map": (b"\x83t\0\0\0\x01t\0\0\0\0a\x01", 1, INVALID_KEY),
    "map key time": (
        b"\x83t\x00\x00\x00\x01h\x05w\x04bertw\x04timea\x00a\x00a\x00a\x01",
        1,
        INVALID_KEY,
    ),
    "map key twice": (b"\x83t\0\0\0\x02w\x01aa\x01w\x01aa\x02", 1, DUPLICATE_KEYS),
    "map keys atom and binary": (
        b"\x83t\x00\x00\x00\x02w\x01aa\x01m\x00\x00\x00\x01aa\x02",
        1,
        DUPLICATE_KEYS,
    ),
    "map keys 1 and true": (b"\x83t\0\0\0\x02a\x01jw\x04truej", 1, DUPLICATE_KEYS),
    "map keys 1 and 1.0": (
        b"\x83t\x00\x00\x00\x02a\x01jF\x3f\xf0\x00\x00\x00\x00\x00\x00j",
        1,
        DUPLICATE_KEYS,
    ),
    "map keys nil twice": (
        b"\x83t\x00\x00\x00\x02w\x09undefinedjh\x02w\x04bertw\x03nilj",
        1,
        DUPLICATE_KEYS,
    ),
    "map in a tuple": (b"\x83h\x02a\x01t\x00\x00\x00\x01jj", 5, INVALID_KEY),
    # the compounds
    "bert alone": (b"\x83h\x01w\x04bert", 1, WITHOUT_NAME),
    "bert alone, large": (b"\x83i\x00\x00\x00\x01w\x04bert", 1, WITHOUT_NAME),
    "bert with a text": (b"\x83h\x02w\x04bertm\x00\x00\x00\x03nil", 1, WITHOUT_NAME),
    "bert with a charlist": (b"\x83h\x02w\x04bertk\x00\x03nil", 1, WITHOUT_NAME),
    "bert with a list": (b"\x83h\x02w\x04bertj", 1, WITHOUT_NAME),
    "bert unknown": (b"\x83h\x02w\x04bertw\x04nope", 1, MALFORMED),
    "bert undefined": (b"\x83h\x02w\x04bertw\x09undefined", 1, MALFORMED),
    "bert bert": (b"\x83h\x02w\x04bertw\x04bert", 1, MALFORMED),
    "bert nil with an extra part": (b"\x83h\x03w\x04bertw\x03nila\x01", 1, MALFORMED),
    "bert true with an extra part": (b"\x83h\x03w\x04bertw\x04truea\x01", 1, MALFORMED),
    "bert in a tuple": (b"\x83h\x02a\x01h\x02w\x04bertw\x04nope", 5, MALFORMED),
    "dict without list": (b"\x83h\x02w\x04bertw\x04dict", 1, MALFORMED),
    "dict of a number": (b"\x83h\x03w\x04bertw\x04dicta\x01", 1, MALFORMED),
    "dict of a text": (b"\x83h\x03w\x04bertw\x04dictk\x00\x01a", 1, MALFORMED),
    "dict of a tuple": (b"\x83h\x03w\x04bertw\x04dicth\x00", 1, MALFORMED),
    "dict of undefined": (b"\x83h\x03w\x04bertw\x04dictw\x09undefined", 1, MALFORMED),
    "dict of false": (b"\x83h\x03w\x04bertw\x04dictw\x05false", 1, MALFORMED),
    "dict of two lists": (b"\x83h\x04w\x04bertw\x04dictjj", 1, MALFORMED),
    "dict of integers": (b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01a\x01j", 1, NOT_A_PAIR),
    "dict of a triple": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01h\x03a\x01a\x01a\x01j",
        1,
        NOT_A_PAIR,
    ),
    "dict of a list of two": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01l\x00\x00\x00\x02a\x01a\x01jj",
        1,
        NOT_A_PAIR,
    ),
    "dict with a bad key": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01h\x02ja\x01j",
        1,
        INVALID_KEY,
    ),
    "dict with a key twice": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x02h\x02a\x01jh\x02a\x01jj",
        1,
        DUPLICATE_KEYS,
    ),
    "time of two": (b"\x83h\x04w\x04bertw\x04timea\x00a\x00", 1, MALFORMED),
    "time of four": (b"\x83h\x06w\x04bertw\x04timea\x00a\x00a\x00a\x00", 1, MALFORMED),
    "time of true": (b"\x83h\x05w\x04bertw\x04timea\x00a\x00w\x04true", 1, MALFORMED),
    "time of true, first": (b"\x83h\x05w\x04bertw\x04timew\x04truea\x00a\x00", 1, MALFORMED),
    "time of a float": (
        b"\x83h\x05w\x04bertw\x04timea\x00F\x3f\xf0\x00\x00\x00\x00\x00\x00a\x00",
        1,
        MALFORMED,
    ),
    "time past 9999": (b"\x83h\x05w\x04bertw\x04timeb\x00\x03\xde\x44a\x00a\x00", 1, OUTSIDE_YEARS),
    "time before 1": (b"\x83h\x05w\x04bertw\x04timeb\xff\xff\x0d\x16a\x00a\x00", 1, OUTSIDE_YEARS),
    "time of a huge part": (
        b"\x83h\x05w\x04bertw\x04timea\x00a\x00o\x00\x00\x04\x00\x00" + b"\xff" * 1024,
        1,
        OUTSIDE_YEARS,
    ),
    "string of one": (b"\x83h\x03w\x04bertw\x06stringw\x04utf8", 1, MALFORMED),
    "string with a number as encoding": (
        b"\x83h\x04w\x04bertw\x06stringa\x08m\x00\x00\x00\x00",
        1,
        MALFORMED,
    ),
    "string of a number": (b"\x83h\x04w\x04bertw\x06stringw\x04utf8a\x01", 1, MALFORMED),
    "string in UTF-16": (
        b"\x83h\x04w\x04bertw\x06stringw\x06utf-16m\x00\x00\x00\x00",
        1,
        OTHER_ENCODING,
    ),
    "string with empty encoding": (
        b"\x83h\x04w\x04bertw\x06stringm\x00\x00\x00\x00m\x00\x00\x00\x00",
        1,
        OTHER_ENCODING,
    ),
    "string of an atom": (b"\x83h\x04w\x04bertw\x06stringw\x04utf8w\x01a", 1, NOT_TEXT),
    "string of a bert string": (
        (
            b"\x83h\x04w\x04bertw\x06stringw\x04utf8"
            b"h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x01a"
        ),
        1,
        NOT_TEXT,
    ),
    "string with a bert string as encoding": (
        (
            b"\x83h\x04w\x04bertw\x06string"
            b"h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x04utf8m\x00\x00\x00\x01a"
        ),
        1,
        NOT_TEXT,
    ),
    "string that is not valid UTF-8": (
        b"\x83h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x01\xe9",
        1,
        "not valid utf-8 as declared",
    ),
    "regex of one": (b"\x83h\x03w\x04bertw\x05regexj", 1, MALFORMED),
    "regex of three": (b"\x83h\x05w\x04bertw\x05regexjjj", 1, MALFORMED),
    # tags
    **{
        f"tag {tag}": (
            b"\x83h\1" + bytes([tag]) + b"\0" * 40,
            3,
            f"tag {tag} ({name}) is not supported",
        )
        for tag, name in UNSUPPORTED_TAGS.items()
    },
    **{
        f"tag {tag}": (b"\x83h\1" + bytes([tag]) + b"\0" * 40, 3, f"unknown tag {tag}")
        for tag in range(256)
        if tag not in SUPPORTED_TAGS and tag not in UNSUPPORTED_TAGS
    },
}


@for_each("frame, offset, reason", INVALID_FRAMES.values())
def test_invalid_frame_raises_decode_error_with_offset_and_reason(frame, offset, reason):
    error = decode_error(frame)
    assert error.offset == offset
    assert reason in error.reason
    assert not error.inflated
    # The second time, some atoms come from the cache.
    assert str(decode_error(frame)) == str(error)


REASONS = {
    "# unexpected bytes after the term",
    "a bert compound without a name",
    "a bert dict contains an item that is not a pair",
    "a bert string in an encoding other than UTF-# and Latin-#",
    "a bert string that is not valid utf-# as declared",
    "a bert string whose text is neither a binary nor a charlist",
    "a bert time outside the years # to #",
    "a float that is not finite",
    "a float's text is not a number terminated by NUL",
    "a map key that is neither text nor a number",
    "a map with duplicate keys",
    "an atom of # characters; the limit is #",
    "an atom that is not valid UTF-#",
    "the frame is empty",
    "an improper list: its tail is neither nil nor a binary",
    "an integer of # bytes; the limit is # (big_integer_bytes)",
    "an unknown or malformed bert compound",
    "more terms than the limits of # (terms) and # per byte (terms_per_byte)",
    "the frame ends before its term is complete",
    "the frame ends after the version byte",
    "unknown tag #",
    "expected version byte #, got #",
    *(f"tag # ({name}) is not supported" for name in UNSUPPORTED_TAGS.values()),
}


def test_all_reasons_are_listed():
    reasons = {decode_error(frame).reason for frame, _, _ in INVALID_FRAMES.values()}
    assert {re.sub("[0-9]+", "#", reason) for reason in reasons} == REASONS


@for_each("argument", [None, 1, "\x83a\1", [131, 97, 1], object(), array("B")])
def test_argument_of_another_type_raises_decode_error(argument):
    """The error names the type."""
    error = decode_error(argument)
    assert error.offset == 0
    assert error.reason == f"expected bytes, got {type(argument).__name__}"


def test_documented_limits_equal_the_defaults():
    page = DOCS / "explanation" / "protocol.md"
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([0-9,]+)( MiB)? \|", text, re.MULTILINE)
    documented = {
        name: int(number.replace(",", "")) * (2**20 if unit else 1) for name, number, unit in rows
    }
    assert documented == attrs.asdict(Limits())


def test_frame_over_the_limit_is_not_copied():
    """A bytearray within the limit is copied."""
    frame = bytearray(8 * 1024 * 1024)
    tracemalloc.start()
    decode_error(frame, Limits(frame_bytes=100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1024 * 1024


def test_frame_at_the_limit_is_not_too_long():
    assert (
        decode_error(b"\x82a\1", Limits(frame_bytes=3)).reason
        == "expected version byte 131, got 130"
    )


def test_compound_without_arguments_costs_its_two_atoms():
    frame = list_of(b"h\2w\4bertw\4true", 10)
    terms_in_all = (10 + 6) + 10 * 2 + 6  # the list, the atoms and the container of the last tuple
    assert decode(frame, Limits(terms=terms_in_all)) == [True] * 10
    assert "(terms)" in decode_error(frame, Limits(terms=terms_in_all - 1)).reason


def test_depth_error_wins_over_terms_error():
    """The last allowed term is nested too deep."""
    reason = decode_error(b"\x83h\1h\1a\1", Limits(depth=1, terms=14)).reason
    assert reason == "nested deeper than the limit of 1 (depth)"


def test_all_bytes_types_decode_alike():
    """Bytearrays, subclasses of bytes, and views with gaps and of words are allowed."""
    frame = b"\x83h\2a\1a\2"

    class Named(bytes):
        __slots__ = ()

    with_gaps = memoryview(bytes(byte for pair in zip(frame, frame, strict=True) for byte in pair))
    kinds = [
        frame,
        Named(frame),
        bytearray(frame),
        memoryview(frame),
        memoryview(bytearray(frame)),
        memoryview(b"xx" + frame + b"xx")[2:-2],
        with_gaps[::2],
        memoryview(frame[::-1])[::-1],
        memoryview(b"\x83h\2a\1a\2j"[:-1] + b"").cast("c"),
    ]
    assert not with_gaps[::2].contiguous
    for kind in kinds:
        assert decode(kind) == (1, 2)
    assert decode(memoryview(b"\x83h\1j").cast("H")) == ([],)  # 2 items of 2 bytes


def test_decoder_keeps_no_reference_to_a_bytearray():
    """The bytearray can be changed and resized after decoding."""
    frame = bytearray(b"\x83m\0\0\0\3abc")
    text = decode(frame)
    frame[6:] = b"something else"
    assert text == "abc"


def test_released_memoryview_raises_decode_error():
    view = memoryview(b"\x83a\1")
    view.release()
    assert str(decode_error(view)) == "byte 0: the memoryview has been released"


@pytest.mark.skipif(basix_ws_cti.compiled, reason="compiled functions can't be replaced")
def test_memory_error_becomes_decode_error(monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(terms, "read_term", fail)
    assert str(decode_error(b"\x83a\1")) == "byte 0: not enough memory for this frame"
    assert str(decode_error(compressed(b"a\1"))) == "byte 0: not enough memory for this frame"


# ---------------------------------------------------------------------------- the limits


LIMIT_NAMES = [field.name for field in attrs.fields(Limits)]


def test_limits_default_to_their_constants():
    constants = {name: getattr(terms, f"MAX_{name.upper()}") for name in LIMIT_NAMES}
    assert len(LIMIT_NAMES) == 9
    assert attrs.asdict(Limits()) == constants
    assert (terms.MAX_MAP_KEYS, terms.MAX_RECORDS) == (10_000, 200_000)
    assert Limits() == terms.DEFAULT_LIMITS


@for_each("name", LIMIT_NAMES)
def test_limit_must_be_a_positive_integer(name):
    assert getattr(Limits(**{name: 1}), name) == 1
    assert getattr(Limits(**{name: 2**40}), name) == 2**40
    for other in (0, -1, None, 1.5, "1", math.inf, True):
        with pytest.raises(UsageError, match=f"^{name} must be an int of 1 or more, got "):
            Limits(**{name: other})


def test_limits_may_have_more_than_64_bits():
    limits = Limits(**dict.fromkeys(LIMIT_NAMES, 2**70))
    big = b"n\x0d\0" + bytes(12) + b"\x10"
    term = b"h\3" + big + b"l\0\0\0\1b\xff\xff\xff\xffj" + b"t\0\0\0\1a\1m\0\0\0\1a"
    value = (2**100, [-1], {1: "a"})
    assert decode(b"\x83" + term, limits) == value
    assert decode(compressed(term), limits) == value


def test_limits_are_keyword_only_and_frozen():
    with pytest.raises(TypeError):
        Limits(1)
    with pytest.raises(AttributeError):
        Limits().depth = 2


@for_each("kind", [bytes, bytearray, memoryview])
def test_frame_bytes_counts_any_bytes_type(kind):
    limits = Limits(frame_bytes=3)
    assert decode(kind(b"\x83a\1"), limits) == 1
    error = decode_error(kind(b"\x83h\1j"), limits)
    assert error.offset == 0
    assert error.reason == "a frame of 4 bytes; the limit is 3 (frame_bytes)"


def test_frame_bytes_counts_the_bytes_of_a_view_of_words():
    words = memoryview(b"\x83h\1j").cast("H")
    assert "a frame of 4 bytes" in decode_error(words, Limits(frame_bytes=3)).reason


MIB_64 = 64 * 1024 * 1024


def binary(size):
    return b"m" + u32(size) + bytes(size)


def large_integer(size):
    return b"\x83o" + u32(size) + b"\0" + b"\xff" * size


class SizeLimit(NamedTuple):
    """Limits, the size that they allow, and the error for a size of one more."""

    limits: Limits
    size: int
    make_frame: Callable[[int], bytes]
    value: Any
    offset: int
    reason: str


DECLARES_TOO_MUCH = "the compressed term declares {} bytes; the limit is {} (inflated_bytes)"

SIZE_LIMITS = {
    "frame_bytes by default": SizeLimit(
        *(Limits(), MIB_64, lambda size: b"\x83" + binary(size - 6)),
        *(
            "\0" * (MIB_64 - 6),
            0,
            f"a frame of {MIB_64 + 1} bytes; the limit is {MIB_64} (frame_bytes)",
        ),
    ),
    "inflated_bytes by default": SizeLimit(
        *(Limits(), MIB_64, lambda size: compressed(binary(size - 5))),
        *("\0" * (MIB_64 - 5), 2, DECLARES_TOO_MUCH.format(MIB_64 + 1, MIB_64)),
    ),
    "inflated_bytes": SizeLimit(
        *(Limits(inflated_bytes=2), 2, lambda size: compressed({2: b"a\1", 3: b"h\1j"}[size])),
        *(1, 2, DECLARES_TOO_MUCH.format(3, 2)),
    ),
    "big_integer_bytes by default": SizeLimit(
        *(Limits(), 1024, large_integer),
        *(256**1024 - 1, 1, "an integer of 1025 bytes; the limit is 1024 (big_integer_bytes)"),
    ),
    "big_integer_bytes": SizeLimit(
        *(Limits(big_integer_bytes=255), 255, large_integer),
        *(256**255 - 1, 1, "an integer of 256 bytes; the limit is 255 (big_integer_bytes)"),
    ),
    "big_integer_bytes of SMALL_BIG_EXT": SizeLimit(
        *(Limits(big_integer_bytes=2), 2, lambda size: b"\x83n" + bytes([size, 0]) + b"\1" * size),
        *(257, 1, "an integer of 3 bytes; the limit is 2 (big_integer_bytes)"),
    ),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if case.size == MIB_64 else [])
        for name, case in SIZE_LIMITS.items()
    ],
)
def test_size_limit_allows_its_value_and_no_more(case):
    is_equal = decode(case.make_frame(case.size), case.limits) == case.value
    assert is_equal  # pytest would compare 64 MiB character by character
    error = decode_error(case.make_frame(case.size + 1), case.limits)
    assert error.offset == case.offset
    assert error.reason == case.reason


def test_default_size_limits_are_64_mib():
    assert terms.MAX_FRAME_BYTES == terms.MAX_INFLATED_BYTES == MIB_64


NESTINGS = {
    "tuples": (b"h\1", b"a\1", b""),
    "large tuples": (b"i\0\0\0\1", b"a\1", b""),
    "lists": (b"l\0\0\0\1", b"a\1", b"j"),
    "maps": (b"t\0\0\0\1a\1", b"a\1", b""),
    "around empty ones": (b"h\1", b"j", b""),
}


@for_each("head, inner, tail", NESTINGS.values())
@for_each("depth, limits", [(64, Limits()), (5, Limits(depth=5))])
def test_depth_limits_nested_containers(head, inner, tail, depth, limits):
    """The default is 64."""
    decode(b"\x83" + head * depth + inner + tail * depth, limits)
    error = decode_error(b"\x83" + head * (depth + 1) + inner + tail * (depth + 1), limits)
    assert error.offset == 1 + len(head) * depth
    assert error.reason == f"nested deeper than the limit of {depth} (depth)"


@pytest.mark.slow
def test_depth_is_independent_of_the_recursion_limit():
    """The decoder reads 300,000 nested tuples without recursion."""
    count = 300_000
    limits = Limits(depth=count, terms_per_byte=8)
    value = decode(b"\x83" + b"h\1" * count + b"h\0", limits)
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == count


PLAIN = {
    "small integer": b"a\1",
    "integer": b"b\0\0\0\1",
    "big": b"n\1\0\1",
    "large big": b"o\0\0\0\1\0\1",
    "float": b"F\0\0\0\0\0\0\0\0",
    "old float": b"c1.5" + b"\0" * 28,
    "binary": b"m\0\0\0\1a",
    "charlist": b"k\0\1a",
    "empty tuple": b"h\0",
}

# A term, and its cost beyond the one that its container counts for it.
COSTS = {
    "tuple": (b"h\2a\1a\1", 2 + 6),
    "large tuple": (b"i\0\0\0\2a\1a\1", 2 + 6),
    "large tuple, empty": (b"i\0\0\0\0", 6),
    "list": (b"l\0\0\0\3a\1a\1a\1j", 3 + 6),
    "empty list as LIST_EXT": (b"l\0\0\0\0j", 6),
    "nil": (b"j", 2),
    "map": (b"t\0\0\0\1a\1a\1", 2 + 6 + 20),
    **{f"new atom {tag}": (atom(tag, b"a"), 16) for tag in ATOM_HEADERS},
    "Latin-1 binary": (b"m\0\0\0\1\xff", 10),
    "Latin-1 charlist": (b"k\0\1\xff", 10),
    "regex": (b"h\4w\4bertw\5regexa\1a\1", 4 + 6 + 16 + 50),
    # A plain term counts one, in the container that holds it.
    **{f"three of {name}": (b"h\3" + term * 3, 3 + 6) for name, term in PLAIN.items()},
}


@for_each("term, cost", COSTS.values())
def test_term_needs_its_cost_in_terms(term, cost, forget_atoms):
    """A term is read with its cost as the limit, and refused with one less."""
    decode(b"\x83" + term, Limits(terms=cost))
    forget_atoms()
    error = decode_error(b"\x83" + term, Limits(terms=cost - 1))
    assert error.reason == (
        f"more terms than the limits of {cost - 1} (terms) and 1 per byte (terms_per_byte)"
    )
    assert 1 <= error.offset <= 1 + len(term)


@for_each("head", [b"m\xff\xff\xff\xff", b"k\xff\xff"])
def test_offset_of_a_terms_error_is_inside_the_frame(head):
    """The text declares more bytes than the frame has."""
    frame = b"\x83" + head + b"\xff"
    error = decode_error(frame, Limits(terms=1))
    assert "(terms)" in error.reason
    assert_offset_in_frame(frame, error)


@for_each("encoded", in_each_tag(b"true"))
def test_cached_atom_costs_one_term(encoded):
    frame = b"\x83h\2" + encoded + encoded
    decode(frame, Limits(terms=2 + 6 + 16))
    decode(frame, Limits(terms=2 + 6))


@pytest.mark.slow
def test_default_limit_is_4_000_000_terms():
    """The list counts as well."""
    assert terms.MAX_TERMS == 4_000_000
    assert len(decode(list_of(b"a\1", 4_000_000 - 6))) == 4_000_000 - 6
    error = decode_error(list_of(b"a\1", 4_000_000 - 5))
    assert error.offset == 1
    assert error.reason == (
        "more terms than the limits of 4000000 (terms) and 1 per byte (terms_per_byte)"
    )


@pytest.mark.slow
@for_each("per_byte, maximum", [(1, 50_000), (2, 100_008)])
def test_terms_per_byte_adds_to_the_base_budget(per_byte, maximum):
    """A frame may have 100,000 terms, and ``terms_per_byte`` for each of its bytes."""
    # A list of n nils counts n + 6 + 2n; it has n + 7 bytes.
    limits = Limits(terms_per_byte=per_byte)
    assert 3 * maximum + 6 <= 100_000 + per_byte * (maximum + 7)
    assert 3 * (maximum + 1) + 6 > 100_000 + per_byte * (maximum + 8)
    assert decode(list_of(b"j", maximum), limits) == [[]] * maximum
    assert (
        f"{per_byte} per byte (terms_per_byte)"
        in decode_error(list_of(b"j", maximum + 1), limits).reason
    )


def test_terms_per_byte_counts_inflated_bytes():
    # Without the version byte: n + 6 bytes.
    assert decode(compressed(b"l" + u32(50_000) + b"j" * 50_001)) == [[]] * 50_000
    error = decode_error(compressed(b"l" + u32(50_001) + b"j" * 50_002))
    assert "(terms_per_byte)" in error.reason
    assert error.inflated


def test_longest_integer_can_be_printed():
    """It has less than 4,300 digits, the limit of the interpreter."""
    value = decode(b"\x83o\0\0\4\0\1" + b"\xff" * 1024)
    assert str(value).startswith("-")


def map_of(keys):
    return b"\x83t" + u32(len(keys)) + b"".join(key + b"a\0" for key in keys)


def dict_of(keys):
    pairs = b"".join(b"h\2" + key + b"a\0" for key in keys)
    return b"\x83h\3w\4bertw\4dictl" + u32(len(keys)) + pairs + b"j"


def integer_keys(count):
    return [b"b" + u32(number) for number in range(count)]


def float_keys(count):
    return [b"F" + struct.pack(">d", number + 0.5) for number in range(count)]


def mixed_keys(count):
    return [b"w\4true", b"w\5false", b"w\x09undefined", *float_keys(count - 3)]


def text_keys(count):
    return [b"m\0\0\0\5%05d" % number for number in range(count)]


NUMERIC = "a map with more than {} keys that are not text (numeric_keys)"

KEY_LIMITS = [
    *((keys, 128, Limits(), NUMERIC) for keys in (integer_keys, float_keys, mixed_keys)),
    *(
        (keys, 9, Limits(numeric_keys=9), NUMERIC)
        for keys in (integer_keys, float_keys, mixed_keys)
    ),
    (text_keys, 10_000, Limits(), "a map with more than {} keys (map_keys)"),
    (text_keys, 9, Limits(map_keys=9), "a map with more than {} keys (map_keys)"),
]


@for_each("build", [map_of, dict_of])
@for_each("keys, maximum, limits, reason", KEY_LIMITS)
def test_number_of_map_keys_is_bounded(build, keys, maximum, limits, reason):
    """``numeric_keys`` counts keys that are not text, and ``map_keys`` counts all keys."""
    assert len(decode(build(keys(maximum)), limits)) == maximum
    error = decode_error(build(keys(maximum + 1)), limits)
    assert error.offset == 1
    assert error.reason == reason.format(maximum)


@for_each("build", [map_of, dict_of])
def test_text_keys_do_not_count_as_numeric_keys(build):
    """The hash of a text contains a secret of the process."""
    names = [b"m\0\0\0\4%04d" % number for number in range(1000)]
    assert len(decode(build(names + integer_keys(128)))) == 1128


# -------------------------------------------------------------------------- the atom cache


def atoms_frame(tag, numbers):
    """Return a frame with a list of atoms with generated names."""
    units = b"".join(atom(tag, b"%06d" % number) for number in numbers)
    return b"\x83l" + u32(len(numbers)) + units + b"j"


@pytest.mark.parametrize("tag", ATOM_HEADERS)
def test_atom_cache_is_bounded(tag):
    """Atoms beyond 1,024 are read and not cached."""
    assert terms.MAX_REMEMBERED_ATOMS == 1024
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        assert decode(atoms_frame(tag, numbers)) == [f"{number:06d}" for number in numbers]
        assert len(terms.atom_cache) == min(len(terms.PREDEFINED_ATOMS) + start + 100, 1024)
    assert decode(atoms_frame(tag, range(2900, 3000))) == [
        str(n).zfill(6) for n in range(2900, 3000)
    ]


def test_full_atom_cache_changes_no_value(monkeypatch):
    monkeypatch.setattr(terms, "MAX_REMEMBERED_ATOMS", 0)
    for frame, value in VALUES.values():
        assert repr(decode(frame)) == repr(value)
    assert terms.atom_cache == terms.PREDEFINED_ATOMS


def test_atom_cache_takes_the_last_atom_that_fits(monkeypatch):
    monkeypatch.setattr(terms, "MAX_REMEMBERED_ATOMS", len(terms.PREDEFINED_ATOMS) + 2)
    assert decode(b"\x83h\3w\1aw\1bw\1c") == ("a", "b", "c")
    assert terms.atom_cache == {**terms.PREDEFINED_ATOMS, b"w\1a": "a", b"w\1b": "b"}


def test_invalid_atoms_are_not_cached():
    for frame in (b"\x83w\1\xff", b"\x83w\2a", b"\x83d\1\0" + b"a" * 256, b"\x83d\0\5a"):
        decode_error(frame)
    assert terms.atom_cache == terms.PREDEFINED_ATOMS


def test_cached_atom_does_not_match_an_atom_of_another_length():
    """The first four bytes of both are nearly the same."""
    assert decode(b"\x83d\0\1a") == "a"
    # Its length has the same low byte, so the first four bytes of both are nearly the same.
    assert "an atom of 257 characters" in decode_error(b"\x83d\1\1" + b"a" * 257).reason
    assert decode(b"\x83s\1a") == "a"
    assert decode(b"\x83s\2ab") == "ab"
    assert decode_error(b"\x83s\2a").offset == 4


# ------------------------------------------------------------------------ compressed frames


class CountingInflater:
    """Inflater of zlib that counts its output."""

    made = 0
    out = 0

    def __init__(self):
        CountingInflater.made += 1
        self._inner = zlib_decompressobj()

    def decompress(self, data, max_length=0):
        out = self._inner.decompress(data, max_length)
        CountingInflater.out += len(out)
        return out

    def __getattr__(self, name):
        return getattr(self._inner, name)


zlib_decompressobj = zlib.decompressobj


@pytest.fixture
def inflater(monkeypatch):
    """Replace the inflater of zlib with one that counts its output."""
    monkeypatch.setattr(CountingInflater, "made", 0)
    monkeypatch.setattr(CountingInflater, "out", 0)
    monkeypatch.setattr(zlib, "decompressobj", CountingInflater)
    return CountingInflater


TERM = b"m\0\0\0\x64" + b"abcdefghij" * 10  # 105 bytes


def test_compressed_term_of_the_declared_size_is_read():
    """This holds at every level of zlib."""
    for level in range(10):
        frame = b"\x83P\0\0\0\x69" + zlib.compress(TERM, level)
        assert decode(frame) == "abcdefghij" * 10


INFLATES = "the compressed term inflates to"


@for_each(
    "frame, offset, reason",
    [
        (b"\x83P", 1, "the frame ends inside a compressed term's header"),
        (b"\x83P\0\0\0", 1, "the frame ends inside a compressed term's header"),
        (b"\x83P\0\0\0\1", 6, "the compressed data ends early"),
        (b"\x83P\0\0\0\0", 2, "a compressed term with a declared size of 0 bytes"),
        (compressed(TERM, 0), 2, "a compressed term with a declared size of 0 bytes"),
        (compressed(b""), 2, "a compressed term with a declared size of 0 bytes"),
        (compressed(TERM, 104), 2, f"{INFLATES} more than the 104 bytes it declares"),
        (compressed(TERM, 1), 2, f"{INFLATES} more than the 1 bytes it declares"),
        (compressed(TERM, 106), 2, f"{INFLATES} 105 bytes, not the 106 it declares"),
        (compressed(b"", 5), 2, f"{INFLATES} 0 bytes, not the 5 it declares"),
        (b"\x83P\0\0\0\2not zlib", 6, "not zlib data"),
        (compressed(b"a\1")[:-1] + b"\xff", 6, "not zlib data"),
        (b"\x83P\0\0\0\2" + zlib.compress(b"a\1", wbits=-15), 6, "not zlib data"),
        (b"\x83P\0\0\0\2" + zlib.compress(b"a\1", wbits=31), 6, "not zlib data"),
        (b"\x83P\0\0\0\2\x78\xbb\0\0\0\1" + b"\0" * 9, 6, "not zlib data"),  # needs a dictionary
    ],
)
def test_invalid_compressed_frames_are_refused(frame, offset, reason):
    """The data must be exactly as declared."""
    error = decode_error(frame)
    assert error.offset == offset
    assert error.reason.split(": Error ")[0] == reason  # the text of zlib differs by version
    assert not error.inflated  # the error is in the frame, not in the inflated term


def test_truncated_compressed_data_is_refused():
    """The cut may be inside the checksum."""
    frame = compressed(TERM)
    for end in range(len(frame)):
        error = decode_error(frame[:end])
        assert error.offset == (
            end if end >= 6 else min(end, 1)
        )  # an incomplete header has offset 1
        assert "end" in error.reason or not end


def test_bytes_after_compressed_data_are_refused():
    """The offset is that of the first such byte."""
    frame = compressed(TERM)
    for more in (b"\0", b"a\1", zlib.compress(TERM), bytes(100_000)):
        error = decode_error(frame + more)
        assert error.offset == len(frame)
        assert error.reason == "unexpected bytes after the compressed data"


NESTED = "tag 80 (compressed term inside a term) is not supported"


@for_each(
    "term, offset, reason",
    [
        (b"a\1\0", 2, "1 unexpected bytes after the term"),
        (b"h\1", 2, "the frame ends before its term is complete"),
        (b"h\1\0", 2, "unknown tag 0"),
        (b"\x83a\1", 0, "unknown tag 131"),
        (b"P\0\0\0\2" + zlib.compress(b"a\1"), 0, NESTED),
        (b"h\1P\0\0\0\2" + zlib.compress(b"a\1"), 2, NESTED),
    ],
)
def test_offset_inside_compressed_data_counts_inflated_bytes(term, offset, reason):
    error = decode_error(compressed(term))
    assert (error.offset, error.reason, error.inflated) == (offset, reason, True)


def test_text_of_an_error_inside_compressed_data():
    assert str(decode_error(compressed(b"\0"))) == "byte 0 of the inflated term: unknown tag 0"


def test_empty_zlib_blocks_belong_to_the_data():
    deflater = zlib.compressobj()
    data = deflater.compress(b"a\1")
    for _ in range(50):
        data += deflater.flush(zlib.Z_FULL_FLUSH)
        data += deflater.compress(b"")
    data += deflater.flush()
    assert decode(b"\x83P\0\0\0\2" + data) == 1


def test_declared_size_over_the_limit_is_refused_before_inflating(inflater):
    error = decode_error(compressed(TERM, 0xFFFFFFFF))
    assert error.offset == 2
    assert (
        error.reason
        == "the compressed term declares 4294967295 bytes; the limit is 67108864 (inflated_bytes)"
    )
    assert "declares 67108865 bytes" in decode_error(compressed(TERM, 67_108_865)).reason
    assert "declares 106" in decode_error(compressed(TERM, 106), Limits(inflated_bytes=105)).reason
    assert "declared size of 0 bytes" in decode_error(compressed(TERM, 0)).reason
    assert inflater.made == 0


@pytest.mark.parametrize("declared", [1, 1000, 16_384, 1_000_000])
def test_inflating_stops_one_byte_after_the_declared_size(inflater, declared):
    bomb = zlib.compress(bytes(10_000_000), 9)
    assert (
        "the compressed term inflates to more"
        in decode_error(b"\x83P" + u32(declared) + bomb).reason
    )
    assert inflater.made == 1
    assert inflater.out == declared + 1


def test_valid_compressed_frame_is_inflated_once(inflater):
    decode(compressed(TERM))
    assert (inflater.made, inflater.out) == (1, 105)


def test_list_of_20_million_nils_is_refused_at_its_header():
    """The compressed frame has less than 20 kB."""
    count = 20_000_000
    frame = compressed(b"l" + u32(count) + b"j" * (count + 1))
    assert len(frame) < 20_000
    error = decode_error(frame)
    assert error.inflated
    assert error.offset == 0
    assert "(terms)" in error.reason


# ------------------------------------------------------------------------ the largest frames

USER = (
    b"h\x10b\0\x98\x9aim\0\0\0\x0cuser10001001a\1a\0a\0m\0\0\0\x0810001001a\1a\x0aa\x10"
    b"d\0\x09undefinedb\0\0\3\x5dd\0\x09undefinedm\0\0\0\x16user10001001@test1.com"
    b"d\0\x09undefinedm\0\0\0\x14\xe3\x83\xa6\xe3\x83\xbc\xe3\x82\xb6\xe3\x83\xbb10001001"
    b"m\0\0\0\0"
)
USER_VALUE = (
    *(10001001, "user10001001", 1, 0, 0, "10001001", 1, 10, 16, None, 861, None),
    *("user10001001@test1.com", None, "ユーザ・10001001", ""),
)
# The smallest record: texts of one character, numbers of one byte.
SMALL_USER = b"h\x10a\1" + b"k\0\1u" + b"a\0" * 7 + b"w\x09undefined" * 3 + b"k\0\1x" * 4
# The example of a call in the protocol: most fields are undefined.
CHANNEL = (
    b"h\x16m\0\0\0\x245714495a-b8a1-4fff-8420-78648863ecd1d\0\7inboundd\0\x08external"
    b"m\0\0\0\x0a0312341234m\0\0\0\x0a0312341234m\0\0\0\x0810001111n\7\0\7\x5e\x81\x87\xd7\x7e\5"
    + b"d\0\x09undefined"
    * 4
    + b"h\5n\7\0\x35\x89\x81\x87\xd7\x7e\5d\0\7callingd\0\3intd\0\5group"
    b"h\5d\0\4ringb\0\x98\x9a\xd7d\0\x09undefinedd\0\x09undefinedm\0\0\0\6group1"
    + b"d\0\x09undefined" * 6
    + b"m\0\0\0\x0cSTATE_CHANGE"
    + b"d\0\x09undefined" * 3
)
# Names of its atoms, which are also written in the other three tags.
NAMES = (b"undefined", b"inbound", b"external", b"calling", b"int", b"group", b"ring")


def with_atom_tag(record, tag):
    """Return the record with another tag for each of its atoms."""
    for name in NAMES:
        for old in (100, 119):
            record = record.replace(atom(old, name), atom(tag, name))
    return record


def snapshot(record, count):
    return b"\x83h\3w\x0cinitial_infow\4userl" + u32(count) + record * count + b"j"


@pytest.mark.slow
def test_snapshot_of_50_000_users_is_read():
    """The default limits allow it."""
    kind, name, users = decode(snapshot(USER, 50_000))
    assert (kind, name, len(users)) == ("initial_info", "user", 50_000)
    assert users[0] == users[-1] == USER_VALUE


@pytest.mark.slow
@for_each("record", [USER, SMALL_USER, CHANNEL])
@for_each("tag", ATOM_HEADERS)
def test_long_snapshot_is_read_in_every_atom_tag(record, tag):
    records = decode(snapshot(with_atom_tag(record, tag), 5000))[2]
    assert records == [decode(b"\x83" + record)] * 5000


@pytest.mark.slow
@for_each("record", [USER, SMALL_USER, CHANNEL])
def test_long_snapshot_is_read_with_a_full_atom_cache(record):
    """A peer can fill the cache with its own atoms."""
    for start in range(0, 1100, 100):
        decode(atoms_frame(119, range(start, start + 100)))
    assert len(terms.atom_cache) == 1024
    records = decode(snapshot(record, 5000))[2]
    assert records == [decode(b"\x83" + record)] * 5000


# ----------------------------------------------------------------------------------- as_text


@for_each(
    "value, text",
    [
        ("", ""),
        ("山", "山"),
        ([], ""),
        ([104, 105], "hi"),
        ([0xC3, 0xA9], "é"),  # bytes of UTF-8
        ([0xE9], "é"),  # not UTF-8: Latin-1
        ([255], "ÿ"),
        ([256], "Ā"),
        ([0x5C71, 0x7530], "山田"),
        ([0xC3, 0xA9, 0x5C71], "Ã©山"),  # one code point above 255: all are code points
        ([0x10FFFF], "\U0010ffff"),
        ([0, 256], "\0Ā"),
        ([0xD7FF, 0xE000], "\ud7ff\ue000"),
        ([0x110000], None),
        ([0xD800], None),
        ([0xDFFF], None),
        ([97, 0xD83D, 0xDE00], None),
        ([-1], None),
        ([97, -1], None),
        ([True], None),
        ([97, False], None),
        ([97.0], None),
        ([97, "b"], "ab"),  # chardata: a list of characters, texts and such lists
        (["山田", 32, "太郎"], "山田 太郎"),
        (["caf", 0xE9], "café"),  # beside a text, an integer is a code point, not a byte
        (["", 0xC3, 0xA9], "Ã©"),
        (["a", [98, ["c", []], "d"], 0x5C71], "abcd山"),
        ([[97], [98]], "ab"),
        ([[]], ""),
        (["", []], ""),
        (["a", 0xD7FF, 0xE000, 0x10FFFF, 0], "a\ud7ff\ue000\U0010ffff\0"),
        (["a", 0xD800], None),
        (["a", 0xDFFF], None),
        (["a", 0x110000], None),
        (["a", -1], None),
        ([0, *"東".encode(), 0], "\0東\0"),
        (["a", True], None),
        (["a", 1.0], None),
        (["a", None], None),
        (["a", ("b",)], None),
        (["a", ["b", [None]]], None),
        (["a", {}], None),
        ((97,), None),
        (b"a", None),
        (97, None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_as_text_accepts_texts_and_charlists(value, text):
    """It returns None for all other values."""
    assert as_text(value) == text


def test_as_text_reads_deeply_nested_chardata():
    """The depth of a frame is limited; that of other lists is not."""
    value = ["a"]
    for _ in range(10_000):
        value = ["b", value, 99]
    assert as_text(value) == "b" * 10_000 + "a" + "c" * 10_000


# ------------------------------------------------------------------- chardata and truncated text


@for_each(
    "tail, text",
    [(b"", ""), (b"b", "b"), ("山".encode(), "山"), (b"\xe9", "é"), (b"x" * 300, "x" * 300)],
)
def test_binary_tail_is_the_last_item_of_a_list(tail, text):
    """Iolists may be improper lists, ``[… | Binary]``."""
    binary = b"m" + len(tail).to_bytes(4, "big") + tail
    assert decode(b"\x83l\0\0\0\1a\1" + binary) == [1, text]
    # inside another list, and with a term behind it
    assert decode(b"\x83h\2l\0\0\0\1m\0\0\0\1a" + binary + b"a\7") == (["a", text], 7)
    assert as_text(decode(b"\x83l\0\0\0\1aA" + binary)) == "A" + text


def test_truncated_binary_tail_is_an_error():
    frame = b"\x83h\1l\0\0\0\1a\1m\0\0\0\2xy"
    assert decode(frame) == ([1, "xy"],)
    for size in range(len(frame)):
        with pytest.raises(DecodeError):
            decode(frame[:size])


def test_binary_tails_count_towards_the_limit_of_terms():
    """A tail that is no UTF-8 costs as much as any other such text."""
    one = b"l\0\0\0\1jm\0\0\0\0"  # weighs 1 + 6 + 2 for the lists, and 11 for the tail
    frame = b"\x83h\7" + one * 7
    needed = 7 + 6 + 7 * (1 + 6 + 2 + 11)
    decode(frame, Limits(terms=needed))
    with pytest.raises(DecodeError, match="more terms"):
        decode(frame, Limits(terms=needed - 1))


TRUNCATED = [
    ("山田太郎".encode()[:-1], "山田太"),
    ("山田太郎".encode()[:-2], "山田太"),
    ("Müller ö".encode()[:-1], "Müller "),
    ("ü😀".encode()[:-1], "ü"),
    ("ü😀".encode()[:-2], "ü"),
    ("ü😀".encode()[:-3], "ü"),
    (("a" * 253 + "山").encode()[:255], "a" * 253),
    ("山".encode() + b"\xed\xa0", "山"),  # the first two bytes of a surrogate
    ("山".encode()[:-1], "å±"),  # nothing is left but the incomplete character
    (b"caf\xe9", "café"),  # a single byte after ASCII is a letter of Latin-1
    (b"\xe9", "é"),
    (b"caf\xe9s", "cafés"),
    ("山".encode() + b"\xe5\xb1x", "å±±å±x"),  # invalid before the end
    ("山".encode() + b"\xff", "å±±ÿ"),
    ("山".encode() + b"\xb1", "å±±±"),
    ("山".encode() + b"\xc0", "å±±À"),  # no character starts with this byte
    ("山".encode() + b"\xe0\x80", "å±±à\x80"),  # nor with these two
]


@for_each("raw, text", TRUNCATED)
def test_truncated_utf8_keeps_its_valid_part(raw, text):
    """Bytes that are invalid elsewhere are Latin-1, and so is a last letter after ASCII."""
    size = len(raw).to_bytes(4, "big")
    assert decode(b"\x83m" + size + raw) == text
    assert decode(b"\x83k" + size[2:] + raw) == text
    assert decode(b"\x83l\0\0\0\1jm" + size + raw) == [[], text]
    assert as_text([*raw]) == text


def test_as_text_accepts_charlists_of_65_536_characters():
    """A charlist that is too long for STRING_EXT is a list on the wire."""
    value = decode(b"\x83l\0\1\0\0" + b"ax" * 65_536 + b"j")
    assert isinstance(value, list)
    assert as_text(value) == "x" * 65_536


# -------------------------------------------------------------------- incomplete frames


def cuts(size):
    """Return the positions at which to cut a frame: all, or about 300 of a large one."""
    if size <= 2000:
        return range(size)
    return sorted({*range(64), *range(0, size, size // 200), *range(size - 64, size)})


def test_committed_frames_are_valid():
    for frame in committed_frames() + benchmark_frames():
        decode(frame)


@pytest.mark.slow
def test_prefixes_of_committed_frames_are_refused():
    for frame in committed_frames() + benchmark_frames():
        for end in cuts(len(frame)):
            assert is_refused(frame[:end]), (frame, end)


@pytest.mark.slow
def test_committed_frames_with_an_extra_byte_are_refused():
    frames = committed_frames() + benchmark_frames()
    assert any(frame[1] == 80 for frame in frames)
    for frame in frames:
        for more in (b"\0", b"j", b"\x83", b"\xff", frame[-1:]):
            assert is_refused(frame + more), frame


def test_truncated_and_longer_terms_in_compressed_frames_are_refused():
    for frame in committed_frames():
        if frame[1] == 80:
            term = zlib.decompress(frame[6:])
            assert repr(decode(compressed(term))) == repr(decode(frame))
            assert is_refused(compressed(term[:-1]))
            assert is_refused(compressed(term + b"j"))


# ------------------------------------------------------------------------- random frames


def assert_value_or_error(frame):
    """Assert that the outcome is a value or a DecodeError, and equal a second time."""
    value, error = outcome(frame)
    again, same_error = outcome(frame)
    assert repr(again) == repr(value)
    assert str(same_error) == str(error)
    if error is not None:
        assert_offset_in_frame(frame, error)


@st.composite
def mutated(draw, frames):
    """Draw a frame of ``frames`` and change up to five bytes or runs of bytes."""
    frame = bytearray(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(frame)))
        length = draw(st.integers(1, 8))
        match draw(st.sampled_from(["flip", "set", "insert", "delete", "duplicate"])):
            case "flip" if at < len(frame):
                frame[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(frame):
                # Tags and small counts find more than random bytes.
                frame[at] = draw(st.integers(0, 3) | st.sampled_from(sorted(SUPPORTED_TAGS)))
            case "insert":
                frame[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del frame[at : at + length]
            case "duplicate":
                frame[at:at] = frame[at : at + length]
    return bytes(frame)


@pytest.mark.slow
@random_runs
@given(st.binary(max_size=200))
def test_random_bytes_give_a_value_or_decode_error(frame):
    assert_value_or_error(frame)
    assert_value_or_error(b"\x83" + frame)


@pytest.mark.slow
@random_runs
@given(st.lists(st.sampled_from(sorted(SUPPORTED_TAGS | {0, 1, 2, 3, 4, 255})), max_size=60))
def test_random_tags_give_a_value_or_decode_error(numbers):
    assert_value_or_error(b"\x83" + bytes(numbers))


@pytest.mark.slow
@random_runs
@given(st.data())
def test_random_compressed_bytes_give_a_value_or_decode_error(data):
    term = data.draw(st.binary(max_size=100))
    assert_value_or_error(compressed(term, data.draw(st.just(len(term)) | st.integers(0, 200))))


@pytest.mark.slow
@random_runs
@given(st.data())
def test_mutated_frames_give_a_value_or_decode_error(data):
    assert_value_or_error(data.draw(mutated(committed_frames())))


@pytest.mark.slow
@random_runs
@given(st.data())
def test_mutated_table_frames_give_a_value_or_decode_error(data):
    """The tables contain tags that the feed does not use."""
    frames = [
        frame for frame, *_ in (*VALUES.values(), *INVALID_FRAMES.values()) if 0 < len(frame) < 400
    ]
    assert_value_or_error(data.draw(mutated(frames)))


@pytest.mark.slow
@random_runs
@given(st.data())
def test_mutated_compressed_terms_give_a_value_or_decode_error(data):
    frames = [frame[1:] for frame in committed_frames() if frame[1] != 80]
    assert_value_or_error(compressed(data.draw(mutated(frames))))


@for_each(
    "frame, size",
    [
        (b"\x83P\x01\x02\x03\x04x\x9c", 0x01020304),
        (b"\x83P\x00\x01", 1),
        (b"\x83P", 0),
        (b"\x83h\x02", 0),
        (b"", 0),
        ("text", 0),
    ],
)
def test_inflated_size_is_read_from_the_header(frame, size):
    """It is 0 for an uncompressed or incomplete frame."""
    assert inflated_size(frame) == size
