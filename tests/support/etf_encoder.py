"""Encoder of Python values in Erlang's external term format, as a PBX writes it.

It follows the description of the format and uses no code of the library. Tags are those of OTP 26
and later.

====================  ==================================================
in a test             on the wire
====================  ==================================================
``str``, ``bytes``    a binary; text in UTF-8
``Atom("x")``         an atom
``Charlist("x")``     a charlist, as Erlang writes it
``None``              the atom ``undefined``
``True``, ``False``   the atoms ``true`` and ``false``
``int``, ``float``    an integer of the shortest form, a float
``tuple``, ``list``   a tuple, a list; the empty list is nil
``dict``              a map
====================  ==================================================
"""

from __future__ import annotations

import struct

from hypothesis import strategies as st


class Atom(str):
    """Name that is encoded as an atom."""

    __slots__ = ()


class Charlist(str):
    """Text that is encoded as a list of characters: an Erlang string."""

    __slots__ = ()


BERT_NIL = (Atom("bert"), Atom("nil"))
"""The empty list, as a BERT encoder writes it."""


def frame(term):
    """Return a frame: the version byte and the term."""
    return b"\x83" + encode(term)


def field_spec(kind, *names):
    """Return a frame with the field spec of a kind, encoded like those of a production PBX."""
    return frame((Atom("field_spec"), Charlist(kind), [Atom(name) for name in names]))


def initial_info(kind, *records):
    """Return a frame with all elements of a kind."""
    return frame((Atom("initial_info"), Charlist(kind), list(records)))


def info_event(kind, record, event_name="updated"):
    """Return a frame that reports a change of one element."""
    return frame((Atom("info_event"), Charlist(kind), record, Charlist(event_name)))


def encode(term):  # noqa: C901 - one case for each type
    """Return an encoded term without the version byte."""
    match term:
        case None:
            return _atom("undefined")
        case bool():
            return _atom("true" if term else "false")
        case Atom():
            return _atom(term)
        case Charlist():
            return _charlist(term)
        case str():
            return encode(term.encode())
        case bytes():
            return b"m" + _u32(len(term)) + term
        case int():
            return _integer(term)
        case float():
            return b"F" + struct.pack(">d", term)
        case tuple():
            head = b"h" + bytes([len(term)]) if len(term) < 256 else b"i" + _u32(len(term))
            return head + _encode_all(term)
        case []:
            return b"j"
        case list():
            return b"l" + _u32(len(term)) + _encode_all(term) + b"j"
        case dict():
            return (
                b"t" + _u32(len(term)) + _encode_all(part for pair in term.items() for part in pair)
            )
    raise AssertionError(f"no term for a {type(term).__name__}")


def encode_otp_25(term):
    """Encode a term as PBXs with OTP 25 or older do: atoms with tag 100."""
    if term is None or isinstance(term, bool | Atom):
        name = {None: "undefined", True: "true", False: "false"}.get(term, term)
        return b"d\0" + bytes([len(name)]) + name.encode()
    if isinstance(term, tuple) and len(term) < 256:
        return b"h" + bytes([len(term)]) + b"".join(map(encode_otp_25, term))
    return encode(term)


ENCODERS = {25: encode_otp_25, 26: encode}
"""Encoders by OTP release."""


def _encode_all(terms):
    return b"".join(encode(term) for term in terms)


def _u32(number):
    return number.to_bytes(4, "big")


def _atom(name):
    raw = name.encode()
    if len(raw) < 256:
        return b"w" + bytes([len(raw)]) + raw
    return b"v" + len(raw).to_bytes(2, "big") + raw


def _charlist(text):
    # A string of characters below 256 has a short form; any other string is a list of integers.
    if text and len(text) < 65536 and all(ord(char) < 256 for char in text):
        return b"k" + len(text).to_bytes(2, "big") + text.encode("latin-1")
    return encode([ord(char) for char in text])


def _integer(number):
    if 0 <= number < 256:
        return b"a" + bytes([number])
    if -(2**31) <= number < 2**31:
        return b"b" + number.to_bytes(4, "big", signed=True)
    size = (abs(number).bit_length() + 7) // 8
    head = b"n" + bytes([size]) if size < 256 else b"o" + _u32(size)
    return head + bytes([number < 0]) + abs(number).to_bytes(size, "little")


def any_term():
    """Return a strategy of all terms that a feed may contain."""
    text = st.text(max_size=8)
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text
        | st.binary(max_size=8)
        | text.map(Charlist)
        | st.sampled_from(["undefined", "true", "user", "group", "calling", "ring"]).map(Atom)
        | st.sampled_from(["", "*", "_MANY_:2|1*a|*", "%E6%9D%B1*%2A+", BERT_NIL])
        | st.just((Atom("bert"), Atom("time"), 1546, 839040, 24071))
        | st.just((Atom("bert"), Atom("regex"), "^a", []))
    )
    keys = text | st.integers() | st.booleans() | st.none()
    return st.recursive(
        scalars,
        lambda terms: (
            st.lists(terms, max_size=6)
            | st.lists(terms, max_size=9).map(tuple)
            | st.dictionaries(keys, terms, max_size=4)
        ),
        max_leaves=12,
    )
