"""Fuzzing ``terms.decode``: a value of the documented types, or a DecodeError; nothing else.

And nothing else happens: no import, no compilation, no file is opened (see ``inert``).
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
    """Every frame there is that is short enough."""
    return (frame for frame in corpus.frames() if len(frame) <= MAX_LEN)


def check(data):
    """One frame, and what must be so of it whatever it is."""
    outcome = decide(data)
    if isinstance(outcome, DecodeError):
        check_error(outcome, data)
    else:
        check_value(outcome)
        assert isinstance(decide(data + b"\0"), DecodeError), "a byte after the term"
    # One in eight, and for the same input always the same: these take time.
    draw = zlib.crc32(data)
    if draw % 8 == 0:
        check_other_ways(data, outcome)
        cut = draw // 8 % (len(data) + 1)
        if not isinstance(outcome, DecodeError) and cut < len(data):
            assert isinstance(decide(data[:cut]), DecodeError), "a term cut short"


def decide(frame):
    try:
        with inert.only(inert.nothing):
            return decode(frame)
    except DecodeError as error:
        return error


def check_error(error, frame):
    """An error points into what was read, and its text is fit for a log."""
    assert 0 <= error.offset <= (math.inf if error.inflated else len(frame))
    assert len(str(error)) < 200
    assert str(error).isprintable()


def check_value(value):
    """A value is made of the documented types alone, and its texts are text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        sort = type(one)
        if sort is str:
            one.encode()
        elif sort is tuple or sort is list:
            waiting += one
        elif sort is dict:
            assert all(isinstance(key, str | int | float | None) for key in one)
            waiting += [*one.keys(), *one.values()]
        elif sort is float:
            assert math.isfinite(one)
        elif sort is datetime:
            assert one.tzinfo is UTC
        elif sort is Regex:
            waiting += [one.source, one.options]
        else:
            assert sort in SCALARS, sort


def check_other_ways(frame, outcome):
    """The outcome is the same again, of any sort of bytes, and compressed."""
    expected = shown(outcome)
    for form in (bytes, bytearray, memoryview):
        assert shown(decide(form(frame))) == expected
    if len(frame) > 1 and frame[0] == 131 and frame[1] != 80:
        size = (len(frame) - 1).to_bytes(4, "big")
        packed = decide(b"\x83P" + size + zlib.compress(frame[1:], 1))
        if isinstance(packed, DecodeError) and packed.inflated:
            packed = DecodeError(packed.offset + 1, packed.reason)
        assert shown(packed) == expected


def shown(outcome):
    """A text that differs where outcomes do: ``==`` alone takes 1 for true."""
    return str(outcome) if isinstance(outcome, DecodeError) else repr(outcome)
