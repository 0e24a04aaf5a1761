"""Fuzzing target: ``terms.decode`` returns a value of the documented types or raises DecodeError.

Side effects such as imports, compilation or opening a file are defects, too (see ``inert``).
"""

from __future__ import annotations

import math
import zlib
from datetime import UTC, datetime

import inert
import seeds as corpus

from basix_ws_cti import DecodeError
from basix_ws_cti.terms import Regex, decode

MAX_LEN = 1024
SCALARS = {type(None), bool, int}


def seeds():
    """Return all frames of the corpus that are short enough."""
    return (frame for frame in corpus.frames() if len(frame) <= MAX_LEN)


def check(data):
    """Decode a frame, and check what must be true for any frame."""
    outcome = try_decode(data)
    if isinstance(outcome, DecodeError):
        check_error(outcome, data)
    else:
        check_value(outcome)
        assert isinstance(try_decode(data + b"\0"), DecodeError), "a byte after the term"
    # Only for one input in eight, because this is slow. The choice depends on the input alone.
    draw = zlib.crc32(data)
    if draw % 8 == 0:
        check_other_forms(data, outcome)
        cut = draw // 8 % (len(data) + 1)
        if not isinstance(outcome, DecodeError) and cut < len(data):
            assert isinstance(try_decode(data[:cut]), DecodeError), "a term cut short"


def try_decode(frame):
    try:
        with inert.only(inert.nothing):
            return decode(frame)
    except DecodeError as error:
        return error


def check_error(error, frame):
    """Check that the offset is inside the frame, and the text short and printable."""
    assert 0 <= error.offset <= (math.inf if error.inflated else len(frame))
    assert len(str(error)) < 200
    assert str(error).isprintable()


def check_value(value):
    """Check that a value consists of the documented types, and its texts are valid."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is str:
            one.encode()
        elif kind is tuple or kind is list:
            waiting += one
        elif kind is dict:
            assert all(isinstance(key, str | int | float | None) for key in one)
            waiting += [*one.keys(), *one.values()]
        elif kind is float:
            assert math.isfinite(one)
        elif kind is datetime:
            assert one.tzinfo is UTC
        elif kind is Regex:
            waiting += [one.source, one.options]
        else:
            assert kind in SCALARS, kind


def check_other_forms(frame, outcome):
    """Check that the outcome is the same for each bytes-like type, and compressed."""
    expected = shown(outcome)
    for form in (bytes, bytearray, memoryview):
        assert shown(try_decode(form(frame))) == expected
    if len(frame) > 1 and frame[0] == 131 and frame[1] != 80:
        size = (len(frame) - 1).to_bytes(4, "big")
        packed = try_decode(b"\x83P" + size + zlib.compress(frame[1:], 1))
        if isinstance(packed, DecodeError) and packed.inflated:
            packed = DecodeError(packed.offset + 1, packed.reason)
        assert shown(packed) == expected


def shown(outcome):
    """Return a text to compare outcomes: with ``==`` alone, 1 would equal True."""
    return str(outcome) if isinstance(outcome, DecodeError) else repr(outcome)
