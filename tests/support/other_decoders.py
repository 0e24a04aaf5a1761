"""Other decoders of Erlang's terms, each as a pair of functions.

``read(frame)`` returns the value of a frame, or raises any exception.
``difference(found, reading)`` returns the reason why that value differs from the frame: None if it
does not differ, UNLISTED if no reason is known. It assumes that ``reading`` is correct.
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
    # A folder of the tests has the same name and none of these names.
    from erlang import (
        OtpErlangAtom,
        OtpErlangBinary,
        OtpErlangList,
        binary_to_term,
    )
except ImportError:
    binary_to_term = None

UNLISTED = "unlisted"

# Reasons why the value of another decoder differs from Erlang's

NONE_ATOM = "to bert, the atom none is no value"
BERT_LIST = "to bert, a list led by the atom bert is a compound"
SIGN_BYTE = "to erlang_py, only the sign byte 1 is a minus"


def bert_difference(found, reading):
    """Compare with bert, which returns texts as bytes, naive times and compiled patterns."""
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
    """Return a value of decode without options of patterns: bert keeps only known options."""
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
    """Return the reason why bert may have another value for this normal form, or None."""
    match normal:
        case ["a", "6E6F6E65"]:
            return NONE_ATOM
        case ["l", [["a", "62657274"], *_]]:
            return BERT_LIST
    parts = (part for part in normal if isinstance(part, list))
    return next(filter(None, map(bert_deviation, parts)), None)


def erlang_py_difference(found, reading):
    """Compare normal forms: erlang_py distinguishes atoms, binaries and charlists."""
    found = from_erlang_py(found)
    if ordered(found) == ordered(reading.normal):
        return None
    if has_keys_of_both_signs(reading.normal):  # one key without signs, with either of the values
        return SIGN_BYTE
    same = ordered(unsigned(found)) == ordered(unsigned(reading.normal))
    return SIGN_BYTE if same else UNLISTED


def has_keys_of_both_signs(normal):
    """Return True if a map has two keys that differ only in the signs of integers."""
    if not isinstance(normal, list):
        return False
    if normal[:1] == ["m"]:
        keys = [repr(ordered(unsigned(key))) for key, _ in normal[1]]
        if len({*keys}) < len(keys):
            return True
    return any(map(has_keys_of_both_signs, normal))


def unsigned(normal):
    if not isinstance(normal, list):
        return normal.lstrip("-")
    return [unsigned(part) for part in normal]


def a_(name):
    return ["a", name.encode().hex().upper()]


def from_erlang_py(value):  # noqa: C901, PLR0912 - one case for each type
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
        case OtpErlangList(improper=True):
            *elements, tail = map(from_erlang_py, value.value)
            return ["dotted", elements, tail]
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
