"""Normal forms of Erlang's terms, their values for ``terms.decode``, and calls of Erlang.

``erlang/terms.escript`` prints the normal form of a term; the table of normal forms is at the start
of the script. ``value_of`` returns the value that decode must return. It follows the table in the
docstring of ``terms``, and shares no code with it.
"""

from __future__ import annotations

import codecs
import json
import struct
import subprocess
from datetime import UTC, datetime, timedelta

from basix_ws_cti.terms import Regex

from .paths import ERLANG

ESCRIPT = ERLANG / "terms.escript"


# Reasons for intended differences between decode and Erlang.

TRAILING = "A frame is one term. Erlang stops reading where the term ends."
OVERREAD = "Erlang reads beyond the 31 bytes of the text, up to the next NUL that memory holds."
IMPROPER = "No feed has improper lists with such a tail, and Python no value for them."
SPLIT = "A proper list in pieces: no encoder writes one, so it is refused like a dotted one."
FOREIGN = "The feed has none of these, and Python no value for them."
OWN_ATOMS = "The number of an atom in Erlang's own memory: it means nothing elsewhere."
KEYS = "Erlang holds these keys apart and Python does not: refused, so that no value is lost."
KEY_KINDS = "A key that Python cannot hash, or that no feed has."
COMPOUND = "A tuple led by the atom bert is one of the compounds of BERT, or nothing."
LIMIT = "A limit of decode, against frames made to take time or memory."
BY_TAG = "To Erlang, a charlist is a list of bytes. decode goes by the tag: 107 text, 108 a list."


class NoValueError(Exception):
    """Term without a value in decode, for one of the reasons above."""


def value_of(normal):  # noqa: C901 - one case for each kind
    """Return the value that decode must return for the term of this normal form.

    Raises ``NoValueError`` if decode must refuse the term.
    """
    kind, *rest = normal
    match kind:
        case "a":
            name = bytes.fromhex(rest[0]).decode("utf-8")
            return {"undefined": None, "true": True, "false": False}.get(name, name)
        case "b" | "s":
            return text_of(bytes.fromhex(rest[0]))
        case "nil":
            return []
        case "l":
            return [value_of(element) for element in rest[0]]
        case "t" if rest[0][:1] == [["a", b"bert".hex()]]:
            return compound_of(rest[0][1:])
        case "t":
            return tuple(value_of(element) for element in rest[0])
        case "m":
            return dict_of(rest[0])
        case "i":
            return int(rest[0])
        case "f":
            return struct.unpack(">d", bytes.fromhex(rest[0]))[0]
        case "dotted" if rest[0] and rest[1][0] == "b":
            return [value_of(element) for element in (*rest[0], rest[1])]
        case "dotted":
            raise NoValueError(IMPROPER)
        case "other":
            raise NoValueError(FOREIGN)
    raise AssertionError(f"no normal form: {normal!r:.200}")


def text_of(raw):
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(raw)
    except UnicodeDecodeError:
        return str(raw, "latin-1")
    incomplete, _ = decoder.getstate()
    is_letter = len(incomplete) == 1 and text.isascii()
    if incomplete and (not text or is_letter):
        return str(raw, "latin-1")
    return text


def dict_of(pairs):
    made = {}
    numeric = 0
    for key, item in pairs:
        name = value_of(key)
        if not isinstance(name, str | int | float | None):
            raise NoValueError(KEY_KINDS)
        numeric += not isinstance(name, str)
        if numeric > 128:
            raise NoValueError(LIMIT)
        made[name] = value_of(item)
    if len(made) != len(pairs):
        raise NoValueError(KEYS)
    return made


def compound_of(parts):
    match parts:
        case [["a", name]]:
            constants = {b"nil": None, b"true": True, b"false": False}
            if bytes.fromhex(name) in constants:
                return constants[bytes.fromhex(name)]
        case [["a", name], *arguments]:
            match bytes.fromhex(name), arguments:
                # Libraries for BERT write an empty list as {bert,nil}, also in a dict.
                case b"dict", [["nil"] | ["t", [["a", "62657274"], ["a", "6E696C"]]]]:
                    return {}
                case b"dict", [["l", pairs]] if all(map(is_pair, pairs)):
                    return dict_of([pair for _, pair in pairs])
                case b"time", [["i", mega], ["i", seconds], ["i", micro]]:
                    return time_of((int(mega) * 1_000_000 + int(seconds)) * 1_000_000 + int(micro))
                case b"string", [["a" | "b" | "s", encoding], ["b" | "s", raw]]:
                    return declared_text_of(text_of(bytes.fromhex(encoding)), bytes.fromhex(raw))
                case b"regex", [source, options]:
                    return Regex(value_of(source), value_of(options))
    raise NoValueError(COMPOUND)


def is_pair(normal):
    """Return True for a tuple of two parts that is no compound."""
    return normal[0] == "t" and len(normal[1]) == 2 and normal[1][0] != ["a", b"bert".hex()]


def time_of(microseconds):
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        raise NoValueError(COMPOUND) from None


def declared_text_of(encoding, raw):
    names = {"utf8": "utf-8", "latin1": "latin-1", "iso88591": "latin-1"}
    try:
        return str(raw, names[encoding.lower().replace("-", "").replace("_", "")])
    except (KeyError, UnicodeDecodeError):
        raise NoValueError(COMPOUND) from None


def exact(value):
    """Return a form of ``value`` that is equal only if types and the bits of floats are equal."""
    kind = type(value)
    if kind is float:
        return "float", struct.pack(">d", value)
    if kind in {list, tuple}:
        return kind.__name__, tuple(map(exact, value))
    if kind is dict:
        return "dict", frozenset((exact(key), exact(item)) for key, item in value.items())
    if kind is Regex:
        return "regex", exact(value.source), exact(value.options)
    if kind is datetime:
        return "datetime", value.isoformat(), value.tzinfo is UTC
    assert kind in {str, int, bool, type(None)}, f"a value of {kind}"
    return kind.__name__, value


def ordered(normal):
    """Return a normal form with sorted maps: Erlang does not guarantee an order."""
    if not isinstance(normal, list):
        return normal
    parts = [ordered(part) for part in normal]
    return ["m", sorted(parts[1], key=json.dumps)] if parts[:1] == ["m"] else parts


def ask_erlang(mode, frames):
    """Return the output of the escript for each frame, in the mode ``verdicts`` or ``readings``."""
    run = subprocess.run(
        ["escript", ESCRIPT, mode],
        input="".join(f"{frame.hex()}\n" for frame in frames),
        stdout=subprocess.PIPE,
        encoding="ascii",
        check=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(frames)
    return answers
