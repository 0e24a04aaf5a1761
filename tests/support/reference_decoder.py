"""Reference decoder of Erlang's external term format, for comparison with ``terms.decode``.

It is recursive, simple and slow, follows the description of the format and the behaviour of Erlang,
and shares no code with ``terms``. It predicts the verdict and the normal form of Erlang, which the
tests compare with Erlang itself. It also returns facts that a term in Erlang no longer shows: the
tag of a list, and the offset of each part that ``terms.decode`` must refuse.
"""

from __future__ import annotations

import json
import re
import struct
import zlib

from .normal_forms import (
    FOREIGN,
    IMPROPER,
    KEYS,
    LIMIT,
    OVERREAD,
    OWN_ATOMS,
    SPLIT,
    TRAILING,
    NoValueError,
    ordered,
    value_of,
)

# Reasons why Erlang refuses a frame.

VERSION = "the version byte is not 131"
CUT = "the frame ends before its term does"
NO_TAG = "no such tag"
NESTED = "a compressed term inside a term"
BAD_ATOM = "an atom too long, or not UTF-8"
BAD_FLOAT = "a float that is not finite, or whose text is no number"
BAD_ZLIB = "not the zlib data that the header declares"
KEY_TWICE = "a map with a key twice"

MAX_DEPTH = 64
MAX_BIG_BYTES = 1024

# Pids, ports, references, funs, exports, bit strings
FOREIGN_TAGS = {77, 88, 89, 90, 101, 102, 103, 112, 113, 114, 117, 120, 121}
OWN_ATOM_TAGS = {73, 75}

FLOAT_TEXT = re.compile(rb"[-+]?\d+[.,]\d+([eE][-+]?\d+)?")


class Malformed(Exception):  # noqa: N818 - an internal signal
    """Erlang refuses the frame."""


class Unpredictable(Exception):  # noqa: N818 - an internal signal
    """Only Erlang can judge the rest of the frame; decode refuses it for a recorded reason."""


class Reading:
    """Content of a frame, as the reference decoder reads it.

    - ``frame``: the frame.
    - ``data``: its uncompressed bytes.
    - ``malformed``: the reason why Erlang refuses the frame, or None.
    - ``is_certain``: False if only Erlang can give the verdict.
    - ``normal``: the normal form. A list with tag 107 is ``s`` and one with tag 108 is ``l``,
      whatever their elements are.
    - ``used``: the number of bytes that Erlang uses.
    - ``reasons``: the parts that decode must refuse, in the order of a reader, each as (reason,
      True if it is inside the inflated term, offset).
    - ``terms``: the position of each term in ``data`` as (start, end).
    """

    def __init__(self, frame):
        self.frame = self.data = frame
        self.malformed = self.normal = self.used = None
        self.is_certain = True
        self.inflated = False
        self.reasons = []
        self.terms = []
        try:
            self._frame(frame)
        except Malformed as error:
            (self.malformed,) = error.args
        except Unpredictable:
            self.is_certain = False

    def note(self, reason, offset):
        self.reasons.append((reason, self.inflated, offset))

    # The frame

    def _frame(self, frame):
        if self._byte(0) != 131:
            raise Malformed(VERSION)
        begin = 1
        if self._byte(1) == 80:
            self._inflate(frame)
            begin = 0
        self.normal, end = self._term(begin, 0)
        if end < len(self.data):
            self.note(TRAILING, end)
        if not self.inflated:
            self.used = end

    def _inflate(self, frame):
        declared = self._number(2, 4)
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(frame[6:])
        except zlib.error:
            raise Malformed(BAD_ZLIB) from None
        if not inflater.eof or len(data) != declared:
            raise Malformed(BAD_ZLIB)
        self.used = len(frame) - len(inflater.unused_data)
        if inflater.unused_data:
            self.note(TRAILING, self.used)
        self.data, self.inflated = data, True

    # Bytes

    def _byte(self, pos):
        if pos >= len(self.data):
            raise Malformed(CUT)
        return self.data[pos]

    def _number(self, pos, size):
        return int.from_bytes(self._bytes(pos, size), "big")

    def _bytes(self, pos, size):
        if pos + size > len(self.data):
            raise Malformed(CUT)
        return self.data[pos : pos + size]

    # Terms: each rule takes the position of a tag, and returns the normal form and the end

    def _term(self, pos, depth):
        tag = self._byte(pos)
        if tag in FOREIGN_TAGS | OWN_ATOM_TAGS:
            self.note(OWN_ATOMS if tag in OWN_ATOM_TAGS else FOREIGN, pos)
            raise Unpredictable
        if tag not in RULES:
            raise Malformed(NESTED if tag == 80 else NO_TAG)
        normal, end = RULES[tag](self, pos, depth)
        self.terms.append((pos, end))
        return normal, end

    def _sequence(self, pos, count, depth):
        normals = []
        while len(normals) < count:
            normal, pos = self._term(pos, depth + 1)
            normals.append(normal)
        return normals, pos

    def read_small_integer(self, pos, _):
        return ["i", str(self._byte(pos + 1))], pos + 2

    def read_integer(self, pos, _):
        number = int.from_bytes(self._bytes(pos + 1, 4), "big", signed=True)
        return ["i", str(number)], pos + 5

    def read_big(self, pos, _):
        width = LENGTHS[self._byte(pos)]
        size = self._number(pos + 1, width)
        sign = pos + 1 + width
        number = int.from_bytes(self._bytes(sign + 1, size), "little")
        if size > MAX_BIG_BYTES:
            self.note(LIMIT, pos)
        return ["i", str(-number if self._byte(sign) else number)], sign + 1 + size

    def read_float(self, pos, _):
        return self._finite(struct.unpack(">d", self._bytes(pos + 1, 8))[0]), pos + 9

    def read_float_text(self, pos, _):
        text, nul, _ = self._bytes(pos + 1, 31).partition(b"\0")
        if not nul:
            self.note(OVERREAD, pos)
            raise Unpredictable
        if not FLOAT_TEXT.fullmatch(text):
            raise Malformed(BAD_FLOAT)
        return self._finite(float(text.replace(b",", b"."))), pos + 32

    def _finite(self, number):
        if number in {float("inf"), float("-inf")} or number != number:  # noqa: PLR0124 - NaN
            raise Malformed(BAD_FLOAT)
        return ["f", struct.pack(">d", number).hex().upper()]

    def read_atom(self, pos, _):
        tag = self._byte(pos)
        raw, end = self._counted(pos)
        try:
            name = str(raw, "latin-1" if tag in {100, 115} else "utf-8")
        except UnicodeDecodeError:
            raise Malformed(BAD_ATOM) from None
        if len(name) > 255:
            raise Malformed(BAD_ATOM)
        return ["a", name.encode().hex().upper()], end

    def read_binary(self, pos, _):
        raw, end = self._counted(pos)
        return ["b", raw.hex().upper()], end

    def read_charlist(self, pos, _):
        raw, end = self._counted(pos)
        return ["s", raw.hex().upper()], end

    def _counted(self, pos):
        width = LENGTHS[self._byte(pos)]
        size = self._number(pos + 1, width)
        begin = pos + 1 + width
        return self._bytes(begin, size), begin + size

    def read_nil(self, pos, _):
        return ["nil"], pos + 1

    def read_tuple(self, pos, depth):
        width = LENGTHS[self._byte(pos)]
        count = self._number(pos + 1, width)
        self._enter(pos, depth, count)
        normals, end = self._sequence(pos + 1 + width, count, depth)
        normal = ["t", normals]
        if normals[:1] == [["a", b"bert".hex()]]:
            self._check_value(normal, pos)
        return normal, end

    def read_list(self, pos, depth):
        self._enter(pos, depth)
        normals, tail = self._sequence(pos + 5, self._number(pos + 1, 4), depth)
        tag = self._byte(tail)
        if tag != 106 and not (tag == 109 and normals):
            self.note(SPLIT if tag in {107, 108} else IMPROPER, tail)
        rest, end = self._term(tail, depth + 1)
        if tag == 106:
            return (["l", normals] if normals else ["nil"]), end
        return ["dotted", normals, rest], end

    def read_map(self, pos, depth):
        self._enter(pos, depth)
        flat, end = self._sequence(pos + 5, 2 * self._number(pos + 1, 4), depth)
        normal = ["m", [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]]
        keys = {json.dumps(ordered(erlang_normal_form(key))) for key in flat[::2]}
        if len(keys) < len(normal[1]):
            raise Malformed(KEY_TWICE)
        if {'["f", "0000000000000000"]', '["f", "8000000000000000"]'} <= keys:
            # These are one key or two, depending on the release of Erlang.
            self.note(KEYS, pos)
            raise Unpredictable
        self._check_value(normal, pos)
        return normal, end

    def _enter(self, pos, depth, count=1):
        # An empty tuple is not a container.
        if count and depth >= MAX_DEPTH:
            self.note(LIMIT, pos)

    def _check_value(self, normal, pos):
        """Record why decode has no value for this container, unless a reason is known."""
        if not self.reasons:
            try:
                value_of(normal)
            except NoValueError as error:
                self.note(error.args[0], pos)


# Bytes of the length after each tag
LENGTHS = {
    104: 1, 110: 1, 115: 1, 119: 1, 100: 2, 107: 2, 118: 2,
    105: 4, 108: 4, 109: 4, 111: 4, 116: 4,
}  # fmt: skip

RULES = {
    70: Reading.read_float,
    97: Reading.read_small_integer,
    98: Reading.read_integer,
    99: Reading.read_float_text,
    104: Reading.read_tuple,
    105: Reading.read_tuple,
    106: Reading.read_nil,
    107: Reading.read_charlist,
    108: Reading.read_list,
    109: Reading.read_binary,
    110: Reading.read_big,
    111: Reading.read_big,
    116: Reading.read_map,
    **dict.fromkeys((100, 115, 118, 119), Reading.read_atom),
}


def erlang_normal_form(normal):
    """Return the normal form of Erlang, which does not show the tags of lists."""
    match normal:
        case ["s", ""]:
            return ["nil"]
        case ["t", elements]:
            return ["t", [erlang_normal_form(element) for element in elements]]
        case ["m", pairs]:
            return [
                "m",
                [[erlang_normal_form(key), erlang_normal_form(item)] for key, item in pairs],
            ]
        case ["l", elements]:
            return list_of([erlang_normal_form(element) for element in elements], ["nil"])
        case ["dotted", elements, tail]:
            return list_of(
                [erlang_normal_form(element) for element in elements], erlang_normal_form(tail)
            )
    return normal


def list_of(elements, tail):
    """Return the normal form of a list with these elements and those of its tail."""
    match tail:
        case ["s", raw]:
            elements = elements + [["i", str(byte)] for byte in bytes.fromhex(raw)]
        case ["l", more]:
            elements = elements + more
        case ["dotted", more, last]:
            return ["dotted", elements + more, last]
        case ["nil"]:
            pass
        case _:
            return ["dotted", elements, tail] if elements else tail
    if not elements:
        return ["nil"]
    numbers = [int(text) for kind, *rest in elements if kind == "i" for text in rest]
    if len(numbers) == len(elements) <= 65535 and all(0 <= number < 256 for number in numbers):
        return ["s", bytes(numbers).hex().upper()]
    return ["l", elements]
