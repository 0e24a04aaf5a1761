"""Other readers of Erlang's terms, each as a pair of functions.

``read(frame)`` gives what the reader makes of a frame, or raises anything at all.
``difference(found, reading)`` says why that is not what the frame holds: None where it is,
UNLISTED where no reason is known. The reader has to be right about the frame for that.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime

import bert
from erlastic import Atom

from basix_ws_cti.terms import Regex

from .normal_forms import exact, ordered, text_of, value_of

try:
    # The name is also that of a folder here, which has none of this.
    from erlang import (
        OtpErlangAtom,
        OtpErlangBinary,
        OtpErlangList,
        binary_to_term,
    )
except ImportError:
    binary_to_term = None

UNLISTED = "unlisted"

# Where the value of another reader is not Erlang's, though all read the frame

NONE_ATOM = "to bert, the atom none is no value"
BERT_LIST = "to bert, a list led by the atom bert is a compound"
SIGN_BYTE = "to erlang_py, only the sign byte 1 is a minus"


def bert_difference(found, reading):
    """bert has bytes for texts, naive times, compiled patterns: see from_bert."""
    same = exact(from_bert(found)) == exact(without_options(value_of(reading.normal)))
    return None if same else bert_deviation(reading.normal) or UNLISTED


def from_bert(value):
    match value:
        case Atom():
            return None if value == "undefined" else str(value)
        case bytes():
            return text_of(value)
        case list():
            return [from_bert(element) for element in value]
        case tuple():
            return tuple(from_bert(element) for element in value)
        case dict():
            return {from_bert(key): from_bert(item) for key, item in value.items()}
        case datetime():
            return value.replace(tzinfo=UTC)
        case re.Pattern():
            return Regex(from_bert(value.pattern), None)
    return value


def without_options(value):
    """decode's value, less the options of patterns, of which bert keeps what it knows."""
    match value:
        case list():
            return [without_options(element) for element in value]
        case tuple():
            return tuple(without_options(element) for element in value)
        case dict():
            return {key: without_options(item) for key, item in value.items()}
        case Regex():
            return Regex(without_options(value.source), None)
    return value


def bert_deviation(normal):
    """Why bert may have another value for the term of this normal form, or None."""
    match normal:
        case ["a", "6E6F6E65"]:
            return NONE_ATOM
        case ["l", [["a", "62657274"], *_]]:
            return BERT_LIST
    parts = (part for part in normal if isinstance(part, list))
    return next(filter(None, map(bert_deviation, parts)), None)


def erlang_py_difference(found, reading):
    """erlang_py tells atoms, binaries and charlists apart: its values have a normal form."""
    found = from_erlang_py(found)
    if ordered(found) == ordered(reading.normal):
        return None
    same = ordered(unsigned(found)) == ordered(unsigned(reading.normal))
    return SIGN_BYTE if same else UNLISTED


def unsigned(normal):
    if not isinstance(normal, list):
        return normal.lstrip("-")
    return [unsigned(part) for part in normal]


def a_(name):
    return ["a", name.encode().hex().upper()]


def from_erlang_py(value):  # noqa: C901 - one case for each type
    match value:
        case None:
            return a_("undefined")
        case bool():
            return a_(str(value).lower())
        case OtpErlangAtom(value=bytes()):
            return a_(str(value.value, "latin-1"))
        case OtpErlangAtom():
            return a_(value.value)
        case OtpErlangBinary():
            return ["b", value.value.hex().upper()]
        case bytes():
            return ["s", value.hex().upper()]
        case OtpErlangList():  # as a map's key
            return from_erlang_py(value.value)
        case list():
            return ["l", [from_erlang_py(element) for element in value]] if value else ["nil"]
        case tuple():
            return ["t", [from_erlang_py(element) for element in value]]
        case dict():
            return ["m", [[from_erlang_py(part) for part in pair] for pair in value.items()]]
        case int():
            return ["i", str(value)]
        case float():
            return ["f", struct.pack(">d", value).hex().upper()]
    raise AssertionError(f"a value of {type(value)}")


OTHERS = {"bert": (bert.decode, bert_difference)}
if binary_to_term:
    OTHERS["erlang_py"] = (binary_to_term, erlang_py_difference)
