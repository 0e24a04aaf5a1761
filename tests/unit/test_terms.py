"""The decoder by itself: values, refusals, limits, and bytes that nobody wrote on purpose.

The frames in the tables are written out by hand from the Erlang external term format
specification; none is made by the code under test.
"""

from __future__ import annotations

import functools
import gzip
import json
import math
import re
import struct
import tracemalloc
import zlib
from array import array
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.paths import DATA, DOCS
from support.sizes import NIGHTLY

import basix_ws_cti
from basix_ws_cti import terms
from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.terms import Limits, Regex, as_text, decode, inflated_size

random_runs = settings(
    max_examples=500 * (20 if NIGHTLY else 1),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def _own_atom_cache(monkeypatch):
    """Every test starts with no atom remembered and leaves none behind."""
    monkeypatch.setattr(terms, "atom_cache", dict(terms.PREDEFINED_ATOMS))


def u32(number):
    return number.to_bytes(4, "big")


def list_of(unit, count):
    """A frame that holds a list of ``count`` times the same term."""
    return b"\x83l" + u32(count) + unit * count + b"j"


def packed(term, size=None):
    """A compressed frame of ``term``, which declares ``size`` bytes or as many as there are."""
    return b"\x83P" + u32(len(term) if size is None else size) + zlib.compress(term)


def refusal(frame, limits=terms.DEFAULT_LIMITS):
    """The DecodeError that the frame ends in."""
    with pytest.raises(DecodeError) as caught:
        decode(frame, limits)
    # What it came of could hold a piece of the frame, and that people's names.
    assert type(caught.value.__context__) in {type(None), MemoryError}
    return caught.value


def outcome(frame):
    """What the frame decodes to, and the DecodeError that it ends in: one of both is None.

    Without pytest.raises, which is too dear for loops.
    """
    try:
        return decode(frame), None
    except DecodeError as error:
        return None, error


def check_place(frame, error):
    """The offset of an error lies within the frame."""
    assert error.offset >= 0
    assert error.inflated or error.offset <= len(frame)


def is_refused(frame):
    """Whether the frame is a DecodeError, with an offset that lies within it."""
    error = outcome(frame)[1]
    if error is not None:
        check_place(frame, error)
    return error is not None


@functools.cache
def committed_frames():
    """Every frame of tests/data/conformance.jsonl, in all its forms, once."""
    lines = (DATA / "conformance.jsonl").read_text(encoding="utf-8").splitlines()
    frames = {
        bytes.fromhex(text)
        for line in lines
        for wire in json.loads(line)["wire"].values()
        for text in wire
    }
    return sorted(frames)


@functools.cache
def bench_frames(count):
    """The first ``count`` frames of tests/data/bench.frames.gz."""
    frames = []
    with gzip.open(DATA / "bench.frames.gz") as file:
        for _ in range(count):
            (size,) = struct.unpack(">I", file.read(4))
            frames.append(file.read(size))
    return frames


# ---------------------------------------------------------------------------- the values

BERT = (b"d\0\4bert", b"s\4bert", b"v\0\4bert", b"w\4bert")

GOOD = {
    # 97 SMALL_INTEGER_EXT, 98 INTEGER_EXT
    "small 0": (b"\x83a\x00", 0),
    "small 255": (b"\x83a\xff", 255),
    "int 256": (b"\x83b\x00\x00\x01\x00", 256),
    "int -1": (b"\x83b\xff\xff\xff\xff", -1),
    "int max": (b"\x83b\x7f\xff\xff\xff", 2147483647),
    "int min": (b"\x83b\x80\x00\x00\x00", -2147483648),
    "int that a byte would hold": (b"\x83b\x00\x00\x00\x07", 7),
    # 110 SMALL_BIG_EXT, 111 LARGE_BIG_EXT
    "big 2**31": (b"\x83n\x04\x00\x00\x00\x00\x80", 2147483648),
    "big -2**31-1": (b"\x83n\x04\x01\x01\x00\x00\x80", -2147483649),
    "big timestamp": (b"\x83n\x07\x00\x07\x5e\x81\x87\xd7\x7e\x05", 1546839040024071),
    "big of no bytes": (b"\x83n\x00\x00", 0),
    "big minus zero": (b"\x83n\x01\x01\x00", 0),
    "big of 255 bytes": (b"\x83n\xff\x00" + b"\xff" * 255, 2**2040 - 1),
    "large big": (b"\x83o\x00\x00\x00\x02\x00\x01\x02", 513),
    "large big, negative": (b"\x83o\x00\x00\x00\x02\x01\x01\x02", -513),
    "large big of 256 bytes": (b"\x83o\x00\x00\x01\x00\x00" + b"\0" * 255 + b"\1", 2**2040),
    # 70 NEW_FLOAT_EXT, 99 FLOAT_EXT
    "float 1.5": (b"\x83F\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),
    "float -0.0": (b"\x83F\x80\x00\x00\x00\x00\x00\x00\x00", -0.0),
    "float max": (b"\x83F\x7f\xef\xff\xff\xff\xff\xff\xff", 1.7976931348623157e308),
    "float least": (b"\x83F\x00\x00\x00\x00\x00\x00\x00\x01", 5e-324),
    "old float": (b"\x83c1.50000000000000000000e+00\0\0\0\0\0", 1.5),
    "old float, negative": (b"\x83c-2.50000000000000000000e-03\0\0\0\0", -0.0025),
    "old float with a plus": (b"\x83c+2.5" + b"\0" * 27, 2.5),
    "old float with a comma": (b"\x83c2,5" + b"\0" * 28, 2.5),
    "old float of 30 characters": (b"\x83c" + b"1." + b"0" * 28 + b"\0", 1.0),
    "old float, bytes after NUL": (b"\x83c0.1\0" + b"x" * 27, 0.1),
    # 100 ATOM_EXT, 115 SMALL_ATOM_EXT, 118 ATOM_UTF8_EXT, 119 SMALL_ATOM_UTF8_EXT
    "100": (b"\x83d\x00\x05hello", "hello"),
    "100 empty": (b"\x83d\x00\x00", ""),
    "100 latin1": (b"\x83d\x00\x01\xe9", "é"),
    "100 of 255": (b"\x83d\x00\xff" + b"a" * 255, "a" * 255),
    "100 undefined": (b"\x83d\x00\x09undefined", None),
    "100 true": (b"\x83d\x00\x04true", True),
    "100 false": (b"\x83d\x00\x05false", False),
    "100 bert": (b"\x83d\x00\x04bert", "bert"),
    "115": (b"\x83s\x05hello", "hello"),
    "115 empty": (b"\x83s\x00", ""),
    "115 latin1": (b"\x83s\x02\xc3\xa9", "Ã©"),
    "115 of 255": (b"\x83s\xff" + b"\xe9" * 255, "é" * 255),
    "115 undefined": (b"\x83s\x09undefined", None),
    "115 true": (b"\x83s\x04true", True),
    "115 false": (b"\x83s\x05false", False),
    "115 bert": (b"\x83s\x04bert", "bert"),
    "118": (b"\x83v\x00\x02\xc3\xa9", "é"),
    "118 empty": (b"\x83v\x00\x00", ""),
    "118 of 255": (b"\x83v\x03\xfc" + b"\xf0\x9f\x98\x80" * 255, "\U0001f600" * 255),
    "118 undefined": (b"\x83v\x00\x09undefined", None),
    "118 true": (b"\x83v\x00\x04true", True),
    "118 false": (b"\x83v\x00\x05false", False),
    "118 bert": (b"\x83v\x00\x04bert", "bert"),
    "119": (b"\x83w\x03\xe5\xb1\xb1", "山"),
    "119 empty": (b"\x83w\x00", ""),
    "119 of 255": (b"\x83w\xff" + b"z" * 255, "z" * 255),
    "119 undefined": (b"\x83w\x09undefined", None),
    "119 true": (b"\x83w\x04true", True),
    "119 false": (b"\x83w\x05false", False),
    "119 bert": (b"\x83w\x04bert", "bert"),
    "atoms that only look special": (
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
    "large tuple, empty, not last": (b"\x83h\x02i\x00\x00\x00\x00a\x01", ((), 1)),
    "large tuple of one": (b"\x83i\x00\x00\x00\x01a\x01", (1,)),
    "large tuple of 256": (b"\x83i\x00\x00\x01\x00" + b"a\x07" * 256, (7,) * 256),
    # 106 NIL_EXT, 108 LIST_EXT
    "nil": (b"\x83j", []),
    "list": (b"\x83l\x00\x00\x00\x02a\x01a\x02j", [1, 2]),
    "list of 300": (b"\x83l\x00\x00\x01\x2c" + b"a\x01" * 300 + b"j", [1] * 300),
    "list, empty, the long way": (b"\x83l\x00\x00\x00\x00j", []),
    "list of lists": (b"\x83l\x00\x00\x00\x02jl\x00\x00\x00\x01jjj", [[], [[]]]),
    "list led by bert": (b"\x83l\x00\x00\x00\x02d\x00\x04bertd\x00\x03nilj", ["bert", "nil"]),
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
    "map in a map": (
        b"\x83t\x00\x00\x00\x01w\x01at\x00\x00\x00\x01w\x01bh\x00",
        {"a": {"b": ()}},
    ),
    # the compounds of BERT
    "bert nil": (b"\x83h\x02d\x00\x04bertd\x00\x03nil", None),
    "bert true": (b"\x83h\x02d\x00\x04bertd\x00\x04true", True),
    "bert false": (b"\x83h\x02d\x00\x04bertd\x00\x05false", False),
    "bert nil in a large tuple": (b"\x83i\x00\x00\x00\x02w\x04berts\x03nil", None),
    "bert true of mixed atoms": (b"\x83h\x02v\x00\x04bertw\x04true", True),
    "bert nil among others": (b"\x83h\x02a\x01h\x02w\x04bertw\x03nil", (1, None)),
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
    "bert string, a charlist": (b"\x83h\x04w\x04bertw\x06stringw\x06latin1k\x00\x01\xe9", "é"),
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
    "bert string that says bert": (
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


@pytest.mark.parametrize(("frame", "value"), GOOD.values(), ids=GOOD)
def test_value(frame, value):
    """Every tag and every compound gives the value that the module's table promises."""
    # The repr tells 1 from True and 1.0, 0.0 from -0.0, and a tuple from a list.
    assert repr(decode(frame)) == repr(value)
    # Met a second time, the atoms come from memory.
    assert repr(decode(frame)) == repr(value)


@pytest.mark.parametrize("frame", [frame for frame, _ in GOOD.values()], ids=GOOD)
def test_value_cut_or_longer(frame):
    """No strict prefix of a good frame is one, nor is a good frame with a byte more."""
    # A long frame is a short one with more of the same in its middle.
    ends = range(len(frame)) if len(frame) < 2000 else [*range(1000), *range(-1000, 0)]
    for end in ends:
        assert is_refused(frame[:end]), end
    assert is_refused(frame + b"\0")
    assert is_refused(frame + b"j")


# A compressed term is a whole frame, never a part of one.
PARTS = {name: frame for name, (frame, _) in GOOD.items() if frame[1] != 80}


@pytest.mark.parametrize("frame", PARTS.values(), ids=PARTS)
def test_value_inside_others(frame):
    """A term reads the same as an element of a tuple, a list and a map."""
    value = decode(frame)
    term = frame[1:]
    assert repr(decode(b"\x83h\3a\1" + term + b"a\1")) == repr((1, value, 1))
    assert repr(decode(b"\x83l\0\0\0\2" + term + term + b"j")) == repr([value, value])
    assert repr(decode(b"\x83t\0\0\0\1a\1" + term)) == repr({1: value})


def test_float_signs():
    """A negative zero keeps its sign, in both kinds of float."""
    assert math.copysign(1, decode(b"\x83F\x80\0\0\0\0\0\0\0")) == -1
    assert math.copysign(1, decode(b"\x83c-0.0" + b"\0" * 27)) == -1


def test_regex_is_inert():
    """A regex keeps the peer's pattern as data: it can be compared, not changed."""
    regex = decode(b"\x83h\4w\4bertw\5regexk\0\2(aj")
    assert regex == Regex("(a", [])
    with pytest.raises(AttributeError):
        regex.source = "b"


@pytest.mark.parametrize("mark", BERT)
@pytest.mark.parametrize("head", [b"h\2", b"i\0\0\0\2"])
def test_bert_atom_marks_a_compound(head, mark):
    """The atom ``bert`` makes a tuple a compound in all four atom tags, remembered or not."""
    names = (b"d\0\3nil", b"s\3nil", b"v\0\3nil", b"w\3nil")
    for name in names:
        for _ in range(2):
            assert decode(b"\x83" + head + mark + name) is None
    assert "unknown" in refusal(b"\x83" + head + mark + b"w\4nope").reason
    assert "without a name" in refusal(b"\x83" + head + mark + b"a\1").reason


@pytest.mark.parametrize("text", [b"m\0\0\0\4bert", b"k\0\4bert"])
@pytest.mark.parametrize("head", [b"h\2", b"i\0\0\0\2"])
def test_bert_text_is_just_text(head, text):
    """A tuple led by a binary or charlist "bert" is a tuple like any other."""
    decode(b"\x83w\4bert")  # the atom being remembered changes nothing
    assert decode(b"\x83" + head + text + b"w\3nil") == ("bert", "nil")
    assert decode(b"\x83" + head + text + b"a\1") == ("bert", 1)


def test_bert_atom_elsewhere_is_text():
    """The atom ``bert`` marks nothing unless it leads a tuple."""
    assert decode(b"\x83h\2a\1w\4bert") == (1, "bert")
    assert decode(b"\x83l\0\0\0\1w\4bertj") == ["bert"]
    assert decode(b"\x83t\0\0\0\1w\4bertw\4bert") == {"bert": "bert"}


# -------------------------------------------------------------------------- the refusals

FOREIGN = {
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
KNOWN = {70, *range(97, 101), *range(104, 112), 115, 116, 118, 119}

# The frame, the offset of the error, part of its reason.
BAD = {
    # the frame
    "no bytes": (b"", 0, "the frame is empty"),
    "version only": (b"\x83", 1, "ends after the version byte"),
    "other version": (b"\x82a\x01", 0, "expected version byte 131, got 130"),
    "other version only": (b"a", 0, "expected version byte 131, got 97"),
    "text": (b"[1,2]", 0, "expected version byte 131, got 91"),
    "two terms": (b"\x83a\x01a\x02", 3, "2 unexpected bytes after the term"),
    "one byte more": (b"\x83h\x00\x00", 3, "1 unexpected bytes after the term"),
    # cut
    "97 cut": (b"\x83a", 2, "ends before its term is complete"),
    "98 cut": (b"\x83b\x00\x00\x00", 5, "ends before its term is complete"),
    "110 without a size": (b"\x83n", 2, "ends before its term is complete"),
    "110 without a sign": (b"\x83n\x01", 3, "ends before its term is complete"),
    "110 cut": (b"\x83n\x02\x00\x01", 5, "ends before its term is complete"),
    "111 without a sign": (b"\x83o\x00\x00\x00\x01", 6, "ends before its term is complete"),
    "111 cut": (b"\x83o\x00\x00\x00\x02\x00\x01", 8, "ends before its term is complete"),
    "70 cut": (b"\x83F\x3f\xf8\x00\x00\x00\x00\x00", 9, "ends before its term is complete"),
    "99 cut": (b"\x83c1.5" + b"\0" * 27, 32, "ends before its term is complete"),
    "99 cut amid the number": (b"\x83c1.5", 5, "ends before its term is complete"),
    "100 cut": (b"\x83d\x00\x02a", 5, "ends before its term is complete"),
    "115 cut": (b"\x83s\x02a", 4, "ends before its term is complete"),
    "118 cut": (b"\x83v\x00\x02a", 5, "ends before its term is complete"),
    "119 cut": (b"\x83w\x02a", 4, "ends before its term is complete"),
    "109 cut": (b"\x83m\x00\x00\x00\x02a", 7, "ends before its term is complete"),
    "109 cut amid a character": (
        b"\x83m\x00\x00\x00\x03\xe5\xb1",
        8,
        "ends before its term is complete",
    ),
    "107 cut": (b"\x83k\x00\x02a", 5, "ends before its term is complete"),
    "104 cut": (b"\x83h\x02a\x01", 5, "ends before its term is complete"),
    "104 with a cut last": (b"\x83h\x01m\x00\x00\x00\x02a", 9, "ends before its term is complete"),
    "105 with too few": (b"\x83i\x00\x00\x00\x02j", 7, "ends before its term is complete"),
    "108 without a tail": (b"\x83l\x00\x00\x00\x01a\x01", 8, "ends before its term is complete"),
    "108 with a cut last": (b"\x83l\0\0\0\x01m\0\0\0\x02a", 12, "ends before its term is complete"),
    "116 cut": (b"\x83t\0\0\0\x01a\x01k\x00\x02a", 12, "ends before its term is complete"),
    # a size that no frame could hold; 4 GiB are refused unread
    "109 of 4 GiB": (b"\x83m\xff\xff\xff\xff", 6, "ends before its term is complete"),
    "111 of 4 GiB": (b"\x83o\xff\xff\xff\xff\x00", 1, "an integer of 4294967295 bytes"),
    "108 of 1,000": (b"\x83l\x00\x00\x03\xe8j", 7, "ends before its term is complete"),
    "105 of 1,000": (b"\x83i\x00\x00\x03\xe8j", 7, "ends before its term is complete"),
    "116 of 1,000": (b"\x83t\x00\x00\x03\xe8j", 7, "ends before its term is complete"),
    "108 of one too many": (b"\x83l\0\0\0\2\xff", 7, "ends before its term is complete"),
    "105 of one too many": (b"\x83i\0\0\0\2\xff", 7, "ends before its term is complete"),
    "116 of one too many": (b"\x83t\0\0\0\1\xff", 7, "ends before its term is complete"),
    "108 of 4 GiB": (b"\x83l\xff\xff\xff\xff", 1, "more terms than the limits"),
    "105 of 4 GiB": (b"\x83i\xff\xff\xff\xff", 1, "more terms than the limits"),
    "116 of 4 GiB": (b"\x83t\xff\xff\xff\xff", 1, "more terms than the limits"),
    # atoms
    "100 of 256": (b"\x83d\x01\x00" + b"a" * 256, 1, "an atom of 256 characters"),
    "118 of 256": (b"\x83v\x02\x00" + b"\xc3\xa9" * 256, 1, "an atom of 256 characters"),
    "118 not UTF-8": (b"\x83v\x00\x01\xe9", 1, "an atom that is not valid UTF-8"),
    "119 not UTF-8": (b"\x83w\x01\xe9", 1, "an atom that is not valid UTF-8"),
    "119 surrogate": (b"\x83w\x03\xed\xa0\x80", 1, "an atom that is not valid UTF-8"),
    "119 not UTF-8, deeper": (b"\x83h\x02a\x01w\x01\xe9", 5, "an atom that is not valid UTF-8"),
    # floats
    "70 infinity": (b"\x83F\x7f\xf0\x00\x00\x00\x00\x00\x00", 1, "not finite"),
    "70 -infinity": (b"\x83F\xff\xf0\x00\x00\x00\x00\x00\x00", 1, "not finite"),
    "70 NaN": (b"\x83F\x7f\xf8\x00\x00\x00\x00\x00\x00", 1, "not finite"),
    "99 too great": (b"\x83c1.0e999" + b"\0" * 24, 1, "not finite"),
    "99 empty": (b"\x83c" + b"\0" * 31, 1, "not a number terminated by NUL"),
    "99 no NUL": (b"\x83c" + b"1." + b"0" * 29, 1, "not a number terminated by NUL"),
    "99 NUL just after it": (
        b"\x83c" + b"1." + b"0" * 29 + b"\0",
        1,
        "not a number terminated by NUL",
    ),
    "99 inf": (b"\x83cinf" + b"\0" * 28, 1, "not a number terminated by NUL"),
    "99 nan": (b"\x83cnan" + b"\0" * 28, 1, "not a number terminated by NUL"),
    "99 space before": (b"\x83c 1.5" + b"\0" * 27, 1, "not a number terminated by NUL"),
    "99 space after": (b"\x83c1.5 " + b"\0" * 27, 1, "not a number terminated by NUL"),
    "99 underscore": (b"\x83c1_0.5" + b"\0" * 26, 1, "not a number terminated by NUL"),
    "99 no fraction": (b"\x83c15" + b"\0" * 29, 1, "not a number terminated by NUL"),
    "99 no exponent": (b"\x83c1.5e" + b"\0" * 27, 1, "not a number terminated by NUL"),
    "99 hexadecimal": (b"\x83c0x1.8p1" + b"\0" * 24, 1, "not a number terminated by NUL"),
    # lists and maps
    "improper list": (b"\x83l\x00\x00\x00\x01a\x01a\x02", 8, "its tail is not nil"),
    "improper empty list": (b"\x83l\x00\x00\x00\x00a\x02", 6, "its tail is not nil"),
    "list with an empty tail": (b"\x83l\0\0\0\x01a\x01l\0\0\0\0j", 8, "its tail is not nil"),
    "map key list": (b"\x83t\x00\x00\x00\x01ja\x01", 1, "neither text nor a number"),
    "map key tuple": (b"\x83t\x00\x00\x00\x01h\x00a\x01", 1, "neither text nor a number"),
    "map key map": (b"\x83t\0\0\0\x01t\0\0\0\0a\x01", 1, "neither text nor a number"),
    "map key time": (
        b"\x83t\x00\x00\x00\x01h\x05w\x04bertw\x04timea\x00a\x00a\x00a\x01",
        1,
        "neither text nor a number",
    ),
    "map key twice": (b"\x83t\0\0\0\x02w\x01aa\x01w\x01aa\x02", 1, "duplicate keys"),
    "map keys atom and binary": (
        b"\x83t\x00\x00\x00\x02w\x01aa\x01m\x00\x00\x00\x01aa\x02",
        1,
        "duplicate keys",
    ),
    "map keys 1 and true": (b"\x83t\0\0\0\x02a\x01jw\x04truej", 1, "duplicate keys"),
    "map keys 1 and 1.0": (
        b"\x83t\x00\x00\x00\x02a\x01jF\x3f\xf0\x00\x00\x00\x00\x00\x00j",
        1,
        "duplicate keys",
    ),
    "map keys nil twice": (
        b"\x83t\x00\x00\x00\x02w\x09undefinedjh\x02w\x04bertw\x03nilj",
        1,
        "duplicate keys",
    ),
    "map deeper": (b"\x83h\x02a\x01t\x00\x00\x00\x01jj", 5, "neither text nor a number"),
    # the compounds
    "bert alone": (b"\x83h\x01w\x04bert", 1, "without a name"),
    "bert alone, large": (b"\x83i\x00\x00\x00\x01w\x04bert", 1, "without a name"),
    "bert a text": (b"\x83h\x02w\x04bertm\x00\x00\x00\x03nil", 1, "without a name"),
    "bert a charlist": (b"\x83h\x02w\x04bertk\x00\x03nil", 1, "without a name"),
    "bert a list": (b"\x83h\x02w\x04bertj", 1, "without a name"),
    "bert unknown": (b"\x83h\x02w\x04bertw\x04nope", 1, "unknown or malformed"),
    "bert undefined": (b"\x83h\x02w\x04bertw\x09undefined", 1, "unknown or malformed"),
    "bert bert": (b"\x83h\x02w\x04bertw\x04bert", 1, "unknown or malformed"),
    "bert nil and more": (b"\x83h\x03w\x04bertw\x03nila\x01", 1, "unknown or malformed"),
    "bert true and more": (b"\x83h\x03w\x04bertw\x04truea\x01", 1, "unknown or malformed"),
    "bert deeper": (b"\x83h\x02a\x01h\x02w\x04bertw\x04nope", 5, "unknown or malformed"),
    "dict of nothing": (b"\x83h\x02w\x04bertw\x04dict", 1, "unknown or malformed"),
    "dict of a number": (b"\x83h\x03w\x04bertw\x04dicta\x01", 1, "unknown or malformed"),
    "dict of a text": (b"\x83h\x03w\x04bertw\x04dictk\x00\x01a", 1, "unknown or malformed"),
    "dict of a tuple": (b"\x83h\x03w\x04bertw\x04dicth\x00", 1, "unknown or malformed"),
    "dict of undefined": (
        b"\x83h\x03w\x04bertw\x04dictw\x09undefined",
        1,
        "unknown or malformed",
    ),
    "dict of false": (b"\x83h\x03w\x04bertw\x04dictw\x05false", 1, "unknown or malformed"),
    "dict of two lists": (b"\x83h\x04w\x04bertw\x04dictjj", 1, "unknown or malformed"),
    "dict of no pairs": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01a\x01j",
        1,
        "an item that is not a pair",
    ),
    "dict of a triple": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01h\x03a\x01a\x01a\x01j",
        1,
        "an item that is not a pair",
    ),
    "dict of a list of two": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01l\x00\x00\x00\x02a\x01a\x01jj",
        1,
        "an item that is not a pair",
    ),
    "dict with a bad key": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x01h\x02ja\x01j",
        1,
        "neither text nor a number",
    ),
    "dict with a key twice": (
        b"\x83h\x03w\x04bertw\x04dictl\x00\x00\x00\x02h\x02a\x01jh\x02a\x01jj",
        1,
        "duplicate keys",
    ),
    "time of two": (b"\x83h\x04w\x04bertw\x04timea\x00a\x00", 1, "unknown or malformed"),
    "time of four": (
        b"\x83h\x06w\x04bertw\x04timea\x00a\x00a\x00a\x00",
        1,
        "unknown or malformed",
    ),
    "time of true": (
        b"\x83h\x05w\x04bertw\x04timea\x00a\x00w\x04true",
        1,
        "unknown or malformed",
    ),
    "time of true, first": (
        b"\x83h\x05w\x04bertw\x04timew\x04truea\x00a\x00",
        1,
        "unknown or malformed",
    ),
    "time of a float": (
        b"\x83h\x05w\x04bertw\x04timea\x00F\x3f\xf0\x00\x00\x00\x00\x00\x00a\x00",
        1,
        "unknown or malformed",
    ),
    "time past 9999": (
        b"\x83h\x05w\x04bertw\x04timeb\x00\x03\xde\x44a\x00a\x00",
        1,
        "outside the years 1 to 9999",
    ),
    "time before 1": (
        b"\x83h\x05w\x04bertw\x04timeb\xff\xff\x0d\x16a\x00a\x00",
        1,
        "outside the years 1 to 9999",
    ),
    "time of a huge part": (
        b"\x83h\x05w\x04bertw\x04timea\x00a\x00o\x00\x00\x04\x00\x00" + b"\xff" * 1024,
        1,
        "outside the years 1 to 9999",
    ),
    "string of one": (b"\x83h\x03w\x04bertw\x06stringw\x04utf8", 1, "unknown or malformed"),
    "string in a number": (
        b"\x83h\x04w\x04bertw\x06stringa\x08m\x00\x00\x00\x00",
        1,
        "unknown or malformed",
    ),
    "string of a number": (
        b"\x83h\x04w\x04bertw\x06stringw\x04utf8a\x01",
        1,
        "unknown or malformed",
    ),
    "string in UTF-16": (
        b"\x83h\x04w\x04bertw\x06stringw\x06utf-16m\x00\x00\x00\x00",
        1,
        "an encoding other than UTF-8 and Latin-1",
    ),
    "string in no encoding": (
        b"\x83h\x04w\x04bertw\x06stringm\x00\x00\x00\x00m\x00\x00\x00\x00",
        1,
        "an encoding other than UTF-8 and Latin-1",
    ),
    "string that is an atom": (
        b"\x83h\x04w\x04bertw\x06stringw\x04utf8w\x01a",
        1,
        "neither a binary nor a charlist",
    ),
    "string that is a string": (
        (
            b"\x83h\x04w\x04bertw\x06stringw\x04utf8"
            b"h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x01a"
        ),
        1,
        "neither a binary nor a charlist",
    ),
    "string in an encoding that is a string": (
        (
            b"\x83h\x04w\x04bertw\x06string"
            b"h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x04utf8m\x00\x00\x00\x01a"
        ),
        1,
        "neither a binary nor a charlist",
    ),
    "string not the UTF-8 it declares": (
        b"\x83h\x04w\x04bertw\x06stringw\x04utf8m\x00\x00\x00\x01\xe9",
        1,
        "not valid utf-8 as declared",
    ),
    "regex of one": (b"\x83h\x03w\x04bertw\x05regexj", 1, "unknown or malformed"),
    "regex of three": (b"\x83h\x05w\x04bertw\x05regexjjj", 1, "unknown or malformed"),
    # tags
    **{
        f"tag {tag}": (
            b"\x83h\1" + bytes([tag]) + b"\0" * 40,
            3,
            f"tag {tag} ({name}) is not supported",
        )
        for tag, name in FOREIGN.items()
    },
    **{
        f"tag {tag}": (b"\x83h\1" + bytes([tag]) + b"\0" * 40, 3, f"unknown tag {tag}")
        for tag in range(256)
        if tag not in KNOWN and tag not in FOREIGN
    },
}


@pytest.mark.parametrize(("frame", "offset", "reason"), BAD.values(), ids=BAD)
def test_refusal(frame, offset, reason):
    """A bad frame is a DecodeError that names the byte at fault and what is wrong there."""
    error = refusal(frame)
    assert error.offset == offset
    assert reason in error.reason
    assert not error.inflated
    # Half remembered, half not: the second time round nothing has changed.
    assert str(refusal(frame)) == str(error)


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
    "an improper list: its tail is not nil",
    "an integer of # bytes; the limit is # (big_integer_bytes)",
    "an unknown or malformed bert compound",
    "more terms than the limits of # (terms) and # per byte (terms_per_byte)",
    "the frame ends before its term is complete",
    "the frame ends after the version byte",
    "unknown tag #",
    "expected version byte #, got #",
    *(f"tag # ({name}) is not supported" for name in FOREIGN.values()),
}


def test_reasons():
    """What is wrong is said in these words, and in no others."""
    said = {refusal(frame).reason for frame, _, _ in BAD.values()}
    assert {re.sub("[0-9]+", "#", reason) for reason in said} == REASONS


@pytest.mark.parametrize("argument", [None, 1, "\x83a\1", [131, 97, 1], object(), array("B")])
def test_not_bytes(argument):
    """An argument that is not bytes is a DecodeError that names its type."""
    error = refusal(argument)
    assert error.offset == 0
    assert error.reason == f"expected bytes, got {type(argument).__name__}"


def test_limits_are_documented():
    """The limits are by default what the documentation promises."""
    page = DOCS / "explanation" / "protocol.md"
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([0-9,]+)( MiB)? \|", text, re.MULTILINE)
    promised = {
        name: int(number.replace(",", "")) * (2**20 if unit else 1) for name, number, unit in rows
    }
    assert promised == attrs.asdict(Limits())


def test_a_long_frame_is_not_copied():
    """A frame over the limit, of a kind that would be copied first, is refused uncopied."""
    frame = bytearray(8 * 1024 * 1024)
    tracemalloc.start()
    refusal(frame, Limits(frame_bytes=100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1024 * 1024


def test_a_frame_at_the_limit_is_not_too_long():
    """What is wrong with a frame as long as is allowed is not its length."""
    assert refusal(b"\x82a\1", Limits(frame_bytes=3)).reason == "expected version byte 131, got 130"


def test_a_bert_true_costs_no_container():
    """A compound without arguments counts its two atoms, once it is read."""
    frame = list_of(b"h\2w\4bertw\4true", 10)
    terms_in_all = (10 + 6) + 10 * 2 + 6  # the list, the atoms, and the last tuple's container
    assert decode(frame, Limits(terms=terms_in_all)) == [True] * 10
    assert "(terms)" in refusal(frame, Limits(terms=terms_in_all - 1)).reason


def test_depth_with_nothing_left():
    """Where the last term allowed is nested too deep, its depth is what is wrong."""
    reason = refusal(b"\x83h\1h\1a\1", Limits(depth=1, terms=14)).reason
    assert reason == "nested deeper than the limit of 1 (depth)"


def test_kinds_of_bytes():
    """All that is bytes decodes alike: bytearrays, subclasses, views with gaps and of words."""
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


def test_frame_is_not_kept():
    """A bytearray can be changed and grown again once it has been decoded."""
    frame = bytearray(b"\x83m\0\0\0\3abc")
    text = decode(frame)
    frame[6:] = b"something else"
    assert text == "abc"


def test_released_view():
    """A view that has been released is a DecodeError, as whatever else is not bytes."""
    view = memoryview(b"\x83a\1")
    view.release()
    assert str(refusal(view)) == "byte 0: the memoryview has been released"


@pytest.mark.skipif(basix_ws_cti.compiled, reason="compiled functions can't be replaced")
def test_no_memory(monkeypatch):
    """A MemoryError on the way is a DecodeError: the caller has one exception to catch."""

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(terms, "read_term", fail)
    assert str(refusal(b"\x83a\1")) == "byte 0: not enough memory for this frame"
    assert str(refusal(packed(b"a\1"))) == "byte 0: not enough memory for this frame"


# ---------------------------------------------------------------------------- the limits


def test_limit_defaults():
    """Each limit defaults to the constant of its name."""
    limits = Limits()
    assert limits.frame_bytes == terms.MAX_FRAME_BYTES
    assert limits.inflated_bytes == terms.MAX_INFLATED_BYTES
    assert limits.depth == terms.MAX_DEPTH
    assert limits.terms == terms.MAX_TERMS
    assert limits.terms_per_byte == terms.MAX_TERMS_PER_BYTE
    assert limits.big_integer_bytes == terms.MAX_BIG_INTEGER_BYTES
    assert limits.numeric_keys == terms.MAX_NUMERIC_KEYS
    assert limits.map_keys == terms.MAX_MAP_KEYS == 10_000
    assert limits.records == terms.MAX_RECORDS == 200_000
    assert limits == terms.DEFAULT_LIMITS


LIMIT_NAMES = [
    "frame_bytes",
    "inflated_bytes",
    "depth",
    "terms",
    "terms_per_byte",
    "big_integer_bytes",
    "numeric_keys",
    "map_keys",
    "records",
]


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_limit_values(name):
    """A limit is an integer of at least one; anything else is an error when it is made."""
    assert getattr(Limits(**{name: 1}), name) == 1
    assert getattr(Limits(**{name: 2**40}), name) == 2**40
    for number in (0, -1):
        with pytest.raises(ValueError, match=name):
            Limits(**{name: number})
    for other in (None, 1.5, "1", math.inf):
        with pytest.raises(TypeError, match=name):
            Limits(**{name: other})


def test_limits_of_more_than_64_bits():
    """A limit is any integer, also one that no native integer could hold."""
    limits = Limits(**dict.fromkeys(LIMIT_NAMES, 2**70))
    big = b"n\x0d\0" + bytes(12) + b"\x10"
    term = b"h\3" + big + b"l\0\0\0\1b\xff\xff\xff\xffj" + b"t\0\0\0\1a\1m\0\0\0\1a"
    value = (2**100, [-1], {1: "a"})
    assert decode(b"\x83" + term, limits) == value
    assert decode(packed(term), limits) == value


def test_limits_are_fixed():
    """Limits are named when they are made, and can't be changed afterwards."""
    with pytest.raises(TypeError):
        Limits(1)
    with pytest.raises(AttributeError):
        Limits().depth = 2


def test_frame_bytes():
    """``frame_bytes`` counts the whole frame, whatever kind of bytes holds it."""
    limits = Limits(frame_bytes=3)
    for kind in (bytes, bytearray, memoryview):
        assert decode(kind(b"\x83a\1"), limits) == 1
        error = refusal(kind(b"\x83h\1j"), limits)
        assert error.offset == 0
        assert error.reason == "a frame of 4 bytes; the limit is 3 (frame_bytes)"
    # A view of words is counted in bytes.
    assert "a frame of 4 bytes" in refusal(memoryview(b"\x83h\1j").cast("H"), limits).reason


def test_max_frame_bytes():
    """By default a frame of 64 MiB is read and one of a byte more is not."""
    size = 64 * 1024 * 1024
    assert size == terms.MAX_FRAME_BYTES
    text = size - 6
    assert len(decode(b"\x83m" + u32(text) + bytes(text))) == text
    assert "frame_bytes" in refusal(b"\x83m" + u32(text + 1) + bytes(text + 1)).reason


def test_inflated_bytes():
    """``inflated_bytes`` is checked against the size that the frame declares."""
    limits = Limits(inflated_bytes=2)
    assert decode(packed(b"a\1"), limits) == 1
    error = refusal(packed(b"h\1j"), limits)
    assert error.offset == 2
    assert error.reason.startswith("the compressed term declares 3 bytes; the limit is 2 ")


def test_max_inflated_bytes():
    """By default 64 MiB are inflated and a byte more is not."""
    size = 64 * 1024 * 1024
    assert size == terms.MAX_INFLATED_BYTES
    text = size - 5
    assert len(decode(packed(b"m" + u32(text) + bytes(text)))) == text
    error = refusal(packed(b"m" + u32(text + 1) + bytes(text + 1)))
    assert error.offset == 2
    assert f"declares {size + 1} bytes" in error.reason


NESTINGS = {
    "tuples": (b"h\1", b"a\1", b""),
    "large tuples": (b"i\0\0\0\1", b"a\1", b""),
    "lists": (b"l\0\0\0\1", b"a\1", b"j"),
    "maps": (b"t\0\0\0\1a\1", b"a\1", b""),
    "around empty ones": (b"h\1", b"j", b""),
}


@pytest.mark.parametrize(("head", "inner", "tail"), NESTINGS.values(), ids=NESTINGS)
@pytest.mark.parametrize(("depth", "limits"), [(64, Limits()), (5, Limits(depth=5))])
def test_depth(head, inner, tail, depth, limits):
    """``depth`` containers may hold each other, 64 by default, and not one more."""
    decode(b"\x83" + head * depth + inner + tail * depth, limits)
    error = refusal(b"\x83" + head * (depth + 1) + inner + tail * (depth + 1), limits)
    assert error.offset == 1 + len(head) * depth
    assert error.reason == f"nested deeper than the limit of {depth} (depth)"


def test_depth_is_not_the_interpreters():
    """A caller who allows it gets 300,000 tuples within each other: nothing recurses."""
    count = 300_000
    limits = Limits(depth=count, terms_per_byte=8)
    value = decode(b"\x83" + b"h\1" * count + b"h\0", limits)
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == count


# A term, and what it counts beyond the one that its container counts for it.
COSTS = {
    "tuple": (b"h\2a\1a\1", 2 + 6),
    "large tuple": (b"i\0\0\0\2a\1a\1", 2 + 6),
    "large tuple, empty": (b"i\0\0\0\0", 6),
    "list": (b"l\0\0\0\3a\1a\1a\1j", 3 + 6),
    "list, empty, the long way": (b"l\0\0\0\0j", 6),
    "nil": (b"j", 2),
    "map": (b"t\0\0\0\1a\1a\1", 2 + 6 + 20),
    "new atom 100": (b"d\0\1a", 16),
    "new atom 115": (b"s\1a", 16),
    "new atom 118": (b"v\0\1a", 16),
    "new atom 119": (b"w\1a", 16),
    "Latin-1 binary": (b"m\0\0\0\1\xff", 10),
    "Latin-1 charlist": (b"k\0\1\xff", 10),
    "regex": (b"h\4w\4bertw\5regexa\1a\1", 4 + 6 + 16 + 50),
}


@pytest.mark.parametrize(("term", "cost"), COSTS.values(), ids=COSTS)
def test_terms(term, cost):
    """``terms`` is spent to the last one: a term passes at its cost and not at one less."""
    decode(b"\x83" + term, Limits(terms=cost))
    terms.atom_cache.clear()
    terms.atom_cache.update(terms.PREDEFINED_ATOMS)
    error = refusal(b"\x83" + term, Limits(terms=cost - 1))
    assert error.reason == (
        f"more terms than the limits of {cost - 1} (terms) and 1 per byte (terms_per_byte)"
    )
    assert 1 <= error.offset <= 1 + len(term)


@pytest.mark.parametrize("head", [b"m\xff\xff\xff\xff", b"k\xff\xff"])
def test_terms_place(head):
    """The limit names a byte of the frame even where a text declares more than there is."""
    frame = b"\x83" + head + b"\xff"
    error = refusal(frame, Limits(terms=1))
    assert "(terms)" in error.reason
    check_place(frame, error)


FREE = {
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


@pytest.mark.parametrize("term", FREE.values(), ids=FREE)
def test_terms_plain(term):
    """A plain term counts one, in the container that holds it."""
    frame = b"\x83h\3" + term * 3
    decode(frame, Limits(terms=3 + 6))
    assert "(terms)" in refusal(frame, Limits(terms=3 + 5)).reason


@pytest.mark.parametrize("atom", [b"d\0\4true", b"s\4true", b"v\0\4true", b"w\4true"])
def test_terms_known_atom(atom):
    """An atom that is remembered counts one, in all four tags."""
    frame = b"\x83h\2" + atom + atom
    decode(frame, Limits(terms=2 + 6 + 16))
    decode(frame, Limits(terms=2 + 6))


def test_max_terms():
    """By default a frame may hold 4,000,000 terms, its list included, and not one more."""
    assert terms.MAX_TERMS == 4_000_000
    assert len(decode(list_of(b"a\1", 4_000_000 - 6))) == 4_000_000 - 6
    error = refusal(list_of(b"a\1", 4_000_000 - 5))
    assert error.offset == 1
    assert error.reason == (
        "more terms than the limits of 4000000 (terms) and 1 per byte (terms_per_byte)"
    )


@pytest.mark.parametrize(("per_byte", "most"), [(1, 50_000), (2, 100_008)])
def test_terms_per_byte(per_byte, most):
    """A frame may spend 100,000 terms and ``terms_per_byte`` for each of its bytes."""
    # A list of n nils counts n + 6 + 2n; it has n + 7 bytes.
    limits = Limits(terms_per_byte=per_byte)
    assert 3 * most + 6 <= 100_000 + per_byte * (most + 7)
    assert 3 * (most + 1) + 6 > 100_000 + per_byte * (most + 8)
    assert decode(list_of(b"j", most), limits) == [[]] * most
    assert (
        f"{per_byte} per byte (terms_per_byte)" in refusal(list_of(b"j", most + 1), limits).reason
    )


def test_terms_per_byte_of_inflated():
    """In a compressed frame the bytes that count are the inflated ones."""
    # Without the version byte: n + 6 bytes.
    assert decode(packed(b"l" + u32(50_000) + b"j" * 50_001)) == [[]] * 50_000
    error = refusal(packed(b"l" + u32(50_001) + b"j" * 50_002))
    assert "(terms_per_byte)" in error.reason
    assert error.inflated


@pytest.mark.parametrize(
    ("size", "limits"), [(1024, Limits()), (255, Limits(big_integer_bytes=255))]
)
def test_big_integer_bytes(size, limits):
    """An integer may have ``big_integer_bytes`` bytes, 1,024 by default, and not one more."""
    assert decode(b"\x83o" + u32(size) + b"\0" + b"\xff" * size, limits) == 256**size - 1
    size += 1
    error = refusal(b"\x83o" + u32(size) + b"\0" + b"\xff" * size, limits)
    assert error.offset == 1
    assert f"an integer of {size} bytes" in error.reason
    assert "(big_integer_bytes)" in error.reason


def test_big_integer_bytes_small():
    """The limit also holds for the integers whose size is one byte."""
    limits = Limits(big_integer_bytes=2)
    assert decode(b"\x83n\2\0\1\1", limits) == 257
    assert "(big_integer_bytes)" in refusal(b"\x83n\3\0\1\1\1", limits).reason


def test_longest_integer_prints():
    """The longest integer that passes by default can be printed: it has under 4,300 digits."""
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


@pytest.mark.parametrize("build", [map_of, dict_of])
@pytest.mark.parametrize("keys", [integer_keys, float_keys, mixed_keys])
@pytest.mark.parametrize(("most", "limits"), [(128, Limits()), (9, Limits(numeric_keys=9))])
def test_numeric_keys(build, keys, most, limits):
    """A map may have ``numeric_keys`` keys that are no text, 128 by default, and not one more."""
    assert len(decode(build(keys(most)), limits)) == most
    error = refusal(build(keys(most + 1)), limits)
    assert error.offset == 1
    assert error.reason == f"a map with more than {most} keys that are not text (numeric_keys)"


@pytest.mark.parametrize("build", [map_of, dict_of])
def test_numeric_keys_spare_text(build):
    """Keys that are text count for nothing there: their hash holds a secret."""
    names = [b"m\0\0\0\4%04d" % number for number in range(1000)]
    assert len(decode(build(names + integer_keys(128)))) == 1128


@pytest.mark.parametrize("build", [map_of, dict_of])
@pytest.mark.parametrize(("most", "limits"), [(10_000, Limits()), (9, Limits(map_keys=9))])
def test_map_keys(build, most, limits):
    """A map may have ``map_keys`` keys, 10,000 by default, and not one more."""
    names = [b"m\0\0\0\5%05d" % number for number in range(most + 1)]
    assert len(decode(build(names[:-1]), limits)) == most
    error = refusal(build(names), limits)
    assert error.offset == 1
    assert error.reason == f"a map with more than {most} keys (map_keys)"


# -------------------------------------------------------------------------- the memory of atoms


def atoms_frame(tag, numbers):
    """A list of atoms with made-up names, of the given tag."""
    head = {100: b"d\0\6", 115: b"s\6", 118: b"v\0\6", 119: b"w\6"}[tag]
    units = [head + b"%06d" % number for number in numbers]
    return b"\x83l" + u32(len(units)) + b"".join(units) + b"j"


@pytest.mark.parametrize("tag", [100, 115, 118, 119])
def test_max_remembered_atoms(tag):
    """1,024 atoms are remembered, never more, and the next ones are read all the same."""
    assert terms.MAX_REMEMBERED_ATOMS == 1024
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        assert decode(atoms_frame(tag, numbers)) == [f"{number:06d}" for number in numbers]
        assert len(terms.atom_cache) == min(len(terms.PREDEFINED_ATOMS) + start + 100, 1024)
    assert decode(atoms_frame(tag, range(2900, 3000))) == [
        str(n).zfill(6) for n in range(2900, 3000)
    ]


def test_full_memory_changes_no_value(monkeypatch):
    """With no room left every frame of the table above still gives its value."""
    monkeypatch.setattr(terms, "MAX_REMEMBERED_ATOMS", 0)
    for frame, value in GOOD.values():
        assert repr(decode(frame)) == repr(value)
    assert terms.atom_cache == terms.PREDEFINED_ATOMS


def test_both_sides_of_the_memory(monkeypatch):
    """The last atom that fits is remembered and the first that does not is not."""
    monkeypatch.setattr(terms, "MAX_REMEMBERED_ATOMS", len(terms.PREDEFINED_ATOMS) + 2)
    assert decode(b"\x83h\3w\1aw\1bw\1c") == ("a", "b", "c")
    assert terms.atom_cache == {**terms.PREDEFINED_ATOMS, b"w\1a": "a", b"w\1b": "b"}


def test_bad_atoms_are_not_remembered():
    """An atom that is refused, or cut, leaves nothing behind."""
    for frame in (b"\x83w\1\xff", b"\x83w\2a", b"\x83d\1\0" + b"a" * 256, b"\x83d\0\5a"):
        refusal(frame)
    assert terms.atom_cache == terms.PREDEFINED_ATOMS


def test_remembered_header_is_whole():
    """A remembered atom is not taken for one of another length that starts alike."""
    assert decode(b"\x83d\0\1a") == "a"
    # Its length has the same low byte, so the first four bytes of both are nearly the same.
    assert "an atom of 257 characters" in refusal(b"\x83d\1\1" + b"a" * 257).reason
    assert decode(b"\x83s\1a") == "a"
    assert decode(b"\x83s\2ab") == "ab"
    assert refusal(b"\x83s\2a").offset == 4


# ------------------------------------------------------------------------ compressed frames


class Recorder:
    """zlib's inflater, which keeps how many bytes came out."""

    made = 0
    out = 0

    def __init__(self):
        Recorder.made += 1
        self._inner = zlib_decompressobj()

    def decompress(self, data, max_length=0):
        out = self._inner.decompress(data, max_length)
        Recorder.out += len(out)
        return out

    def __getattr__(self, name):
        return getattr(self._inner, name)


zlib_decompressobj = zlib.decompressobj


@pytest.fixture
def recorder(monkeypatch):
    """Put the recording inflater in the place of zlib's own."""
    monkeypatch.setattr(Recorder, "made", 0)
    monkeypatch.setattr(Recorder, "out", 0)
    monkeypatch.setattr(zlib, "decompressobj", Recorder)
    return Recorder


TERM = b"m\0\0\0\x64" + b"abcdefghij" * 10  # 105 bytes


def test_compressed_exact():
    """A compressed term of exactly the size it declares is read, at every level of zlib."""
    for level in range(10):
        frame = b"\x83P\0\0\0\x69" + zlib.compress(TERM, level)
        assert decode(frame) == "abcdefghij" * 10


INFLATES = "the compressed term inflates to"


@pytest.mark.parametrize(
    ("frame", "offset", "reason"),
    [
        (b"\x83P", 1, "the frame ends inside a compressed term's header"),
        (b"\x83P\0\0\0", 1, "the frame ends inside a compressed term's header"),
        (b"\x83P\0\0\0\1", 6, "the compressed data ends early"),
        (b"\x83P\0\0\0\0", 2, "a compressed term with a declared size of 0 bytes"),
        (packed(TERM, 0), 2, "a compressed term with a declared size of 0 bytes"),
        (packed(b""), 2, "a compressed term with a declared size of 0 bytes"),
        (
            packed(TERM, 104),
            2,
            f"{INFLATES} more than the 104 bytes it declares",
        ),
        (packed(TERM, 1), 2, f"{INFLATES} more than the 1 bytes it declares"),
        (
            packed(TERM, 106),
            2,
            f"{INFLATES} 105 bytes, not the 106 it declares",
        ),
        (packed(b"", 5), 2, f"{INFLATES} 0 bytes, not the 5 it declares"),
        (b"\x83P\0\0\0\2not zlib", 6, "not zlib data"),
        (packed(b"a\1")[:-1] + b"\xff", 6, "not zlib data"),
        (b"\x83P\0\0\0\2" + zlib.compress(b"a\1", wbits=-15), 6, "not zlib data"),
        (b"\x83P\0\0\0\2" + zlib.compress(b"a\1", wbits=31), 6, "not zlib data"),
        (b"\x83P\0\0\0\2\x78\xbb\0\0\0\1" + b"\0" * 9, 6, "not zlib data"),  # asks a dictionary
    ],
)
def test_compressed_refused(frame, offset, reason):
    """A compressed frame that is not exactly what it declares is refused."""
    error = refusal(frame)
    assert error.offset == offset
    assert error.reason.split(": Error ")[0] == reason  # zlib's own words differ
    assert not error.inflated  # the fault is in the frame, not in what is inside it


def test_compressed_cut():
    """Compressed data that is cut anywhere, be it within the checksum, is refused."""
    frame = packed(TERM)
    for end in range(len(frame)):
        error = refusal(frame[:end])
        assert error.offset == (end if end >= 6 else min(end, 1))  # a header is a whole
        assert "end" in error.reason or not end


def test_compressed_and_more():
    """Bytes after the compressed data are refused, at the first of them."""
    frame = packed(TERM)
    for more in (b"\0", b"a\1", zlib.compress(TERM), bytes(100_000)):
        error = refusal(frame + more)
        assert error.offset == len(frame)
        assert error.reason == "unexpected bytes after the compressed data"


def test_compressed_inside():
    """An error inside the compressed term counts from the start of what it inflates to."""
    nested = "tag 80 (compressed term inside a term) is not supported"
    for term, offset, reason in (
        (b"a\1\0", 2, "1 unexpected bytes after the term"),
        (b"h\1", 2, "the frame ends before its term is complete"),
        (b"h\1\0", 2, "unknown tag 0"),
        (b"\x83a\1", 0, "unknown tag 131"),
        (b"P\0\0\0\2" + zlib.compress(b"a\1"), 0, nested),
        (b"h\1P\0\0\0\2" + zlib.compress(b"a\1"), 2, nested),
    ):
        error = refusal(packed(term))
        assert (error.offset, error.reason, error.inflated) == (offset, reason, True)
    assert str(refusal(packed(b"\0"))) == "byte 0 of the inflated term: unknown tag 0"


def test_empty_blocks_after_the_data():
    """Empty blocks of zlib after the last byte are part of the data, not more of it."""
    deflater = zlib.compressobj()
    data = deflater.compress(b"a\1")
    for _ in range(50):
        data += deflater.flush(zlib.Z_FULL_FLUSH)
        data += deflater.compress(b"")
    data += deflater.flush()
    assert decode(b"\x83P\0\0\0\2" + data) == 1


def test_declared_4_gib(recorder):
    """A size over the limit is refused before zlib is asked at all."""
    error = refusal(packed(TERM, 0xFFFFFFFF))
    assert error.offset == 2
    assert (
        error.reason
        == "the compressed term declares 4294967295 bytes; the limit is 67108864 (inflated_bytes)"
    )
    assert "declares 67108865 bytes" in refusal(packed(TERM, 67_108_865)).reason
    assert "declares 106" in refusal(packed(TERM, 106), Limits(inflated_bytes=105)).reason
    assert "declared size of 0 bytes" in refusal(packed(TERM, 0)).reason
    assert recorder.made == 0


@pytest.mark.parametrize("declared", [1, 1000, 16_384, 1_000_000])
def test_never_inflates_past_the_declared_size(recorder, declared):
    """However much there is, no more comes out than declared and the one byte that tells."""
    bomb = zlib.compress(bytes(10_000_000), 9)
    assert "the compressed term inflates to more" in refusal(b"\x83P" + u32(declared) + bomb).reason
    assert recorder.made == 1
    assert recorder.out == declared + 1


def test_inflates_what_is_declared(recorder):
    """A good compressed frame comes out once, whole."""
    decode(packed(TERM))
    assert (recorder.made, recorder.out) == (1, 105)


def test_twenty_million_nils():
    """20 million nils in 19 kB are refused at the head of their list."""
    count = 20_000_000
    frame = packed(b"l" + u32(count) + b"j" * (count + 1))
    assert len(frame) < 20_000
    error = refusal(frame)
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
# The leanest there is: texts of one character, numbers of one byte.
LEAN_USER = b"h\x10a\1" + b"k\0\1u" + b"a\0" * 7 + b"w\x09undefined" * 3 + b"k\0\1x" * 4
# The call of the protocol's own example: for the most part undefined.
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
# The same atoms in the other three tags.
RETAGGED = {100: b"d\0%c", 115: b"s%c", 118: b"v\0%c", 119: b"w%c"}
NAMES = (b"undefined", b"inbound", b"external", b"calling", b"int", b"group", b"ring")


def retagged(record, tag):
    """The record with each of its atoms under another tag."""
    for name in NAMES:
        for old in (100, 119):
            record = record.replace(
                RETAGGED[old] % len(name) + name, RETAGGED[tag] % len(name) + name
            )
    return record


def snapshot(record, count):
    return b"\x83h\3w\x0cinitial_infow\4userl" + u32(count) + record * count + b"j"


def test_snapshot_of_50_000_users():
    """50,000 users of 16 fields are read under the default limits."""
    kind, name, users = decode(snapshot(USER, 50_000))
    assert (kind, name, len(users)) == ("initial_info", "user", 50_000)
    assert users[0] == users[-1] == USER_VALUE


@pytest.mark.parametrize("record", [USER, LEAN_USER, CHANNEL], ids=["user", "lean", "channel"])
@pytest.mark.parametrize("tag", [100, 115, 118, 119])
def test_snapshot_in_every_atom_tag(record, tag):
    """A long snapshot is read whichever of the four tags its atoms come in."""
    records = decode(snapshot(retagged(record, tag), 5000))[2]
    assert records == [decode(b"\x83" + record)] * 5000


@pytest.mark.parametrize("record", [USER, LEAN_USER, CHANNEL], ids=["user", "lean", "channel"])
def test_snapshot_when_the_memory_is_full(record):
    """A long snapshot is read after a peer has filled the memory of atoms with its own."""
    for start in range(0, 1100, 100):
        decode(atoms_frame(119, range(start, start + 100)))
    assert len(terms.atom_cache) == 1024
    records = decode(snapshot(record, 5000))[2]
    assert records == [decode(b"\x83" + record)] * 5000


# ----------------------------------------------------------------------------------- as_text


@pytest.mark.parametrize(
    ("value", "text"),
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
        ([97, "b"], None),
        ([[]], None),
        ((97,), None),
        (b"a", None),
        (97, None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_as_text(value, text):
    """Texts and charlists have a text; everything else has none."""
    assert as_text(value) == text


def test_as_text_of_long_charlists():
    """A charlist too long for STRING_EXT arrives as a list and is text all the same."""
    value = decode(b"\x83l\0\1\0\0" + b"ax" * 65_536 + b"j")
    assert isinstance(value, list)
    assert as_text(value) == "x" * 65_536


# -------------------------------------------------------------------- frames that are not whole


def cuts(size):
    """Where to cut a frame of that size: everywhere, or all over it if it is large."""
    if size <= 2000:
        return range(size)
    return sorted({*range(64), *range(0, size, size // 200), *range(size - 64, size)})


def test_committed_frames_are_good():
    """Every committed frame is one term."""
    for frame in committed_frames() + bench_frames(20):
        decode(frame)


def test_prefixes_of_committed_frames():
    """Every strict prefix of every committed frame, in every form, is a DecodeError."""
    for frame in committed_frames() + bench_frames(20):
        for end in cuts(len(frame)):
            assert is_refused(frame[:end]), (frame, end)


def test_committed_frames_with_a_byte_more():
    """Every committed frame with a byte appended is a DecodeError, compressed ones too."""
    frames = committed_frames() + bench_frames(20)
    assert any(frame[1] == 80 for frame in frames)
    for frame in frames:
        for more in (b"\0", b"j", b"\x83", b"\xff", frame[-1:]):
            assert is_refused(frame + more), frame


def test_prefixes_inside_compressed_frames():
    """A compressed prefix of a term, or a term and a byte, is a DecodeError."""
    for frame in committed_frames():
        if frame[1] == 80:
            term = zlib.decompress(frame[6:])
            assert repr(decode(packed(term))) == repr(decode(frame))
            assert is_refused(packed(term[:-1]))
            assert is_refused(packed(term + b"j"))


# ------------------------------------------------------------------------- frames by chance


def check_outcome(frame):
    """The outcome is a value or a DecodeError, and the same a second time."""
    value, error = outcome(frame)
    again, same_error = outcome(frame)
    assert repr(again) == repr(value)
    assert str(same_error) == str(error)
    if error is not None:
        check_place(frame, error)


@st.composite
def mutated(draw, frames):
    """A frame of ``frames`` with up to five bytes or runs of bytes changed."""
    frame = bytearray(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(frame)))
        length = draw(st.integers(1, 8))
        match draw(st.sampled_from(["flip", "set", "insert", "delete", "duplicate"])):
            case "flip" if at < len(frame):
                frame[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(frame):
                # Tags and small counts are worth more than any byte.
                frame[at] = draw(st.integers(0, 3) | st.sampled_from(sorted(KNOWN)))
            case "insert":
                frame[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del frame[at : at + length]
            case "duplicate":
                frame[at:at] = frame[at : at + length]
    return bytes(frame)


@random_runs
@given(st.binary(max_size=200))
def test_random_bytes(frame):
    """Any bytes at all are a value or a DecodeError."""
    check_outcome(frame)
    check_outcome(b"\x83" + frame)


@random_runs
@given(st.lists(st.sampled_from(sorted(KNOWN | {0, 1, 2, 3, 4, 255})), max_size=60))
def test_random_tags(numbers):
    """Any run of tags and small counts is a value or a DecodeError."""
    check_outcome(b"\x83" + bytes(numbers))


@random_runs
@given(st.data())
def test_random_terms_in_compressed_frames(data):
    """Any bytes under any declared size, compressed, are a value or a DecodeError."""
    term = data.draw(st.binary(max_size=100))
    check_outcome(packed(term, data.draw(st.just(len(term)) | st.integers(0, 200))))


@random_runs
@given(st.data())
def test_mutated_frames(data):
    """A committed frame with bytes changed is a value or a DecodeError, the same each time."""
    check_outcome(data.draw(mutated(committed_frames())))


@random_runs
@given(st.data())
def test_mutated_table_frames(data):
    """So is a frame of the tables above: it reaches tags that the feed has none of."""
    frames = [frame for frame, *_ in (*GOOD.values(), *BAD.values()) if 0 < len(frame) < 400]
    check_outcome(data.draw(mutated(frames)))


@random_runs
@given(st.data())
def test_mutated_inside_compressed_frames(data):
    """So is what a compressed frame holds, changed and compressed again."""
    frames = [frame[1:] for frame in committed_frames() if frame[1] != 80]
    check_outcome(packed(data.draw(mutated(frames))))


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (b"\x83P\x00\x01\x00\x00", 65_536),
        (b"\x83P\x00\x01", 1),
        (b"\x83P", 0),
        (b"\x83h\x02", 0),
        (b"", 0),
        ("text", 0),
    ],
)
def test_inflated_size(frame, size):
    """A compressed frame says how long it is, in four bytes; any other, or half a one, says 0."""
    assert inflated_size(frame) == size
