"""Mutated frames: valid frames with random changes, determined by a seed."""

from __future__ import annotations

import gzip
import json
import random
import struct
import zlib
from functools import cache

from .erlang_terms import DIFFERENCES, EDGES, foreign_terms
from .paths import DATA
from .reference_decoder import LENGTHS, Reading

# Longer frames are slow and find no further defects.
MAX_SEED_BYTES = 2000

TAGS = [70, 73, 75, 77, 80, 88, 89, 90, *range(97, 122)]
BYTES = [0, 1, 2, 127, 128, 131, 254, 255, *TAGS]

FOREIGN_TERMS = [term for _, term, _ in foreign_terms()]
# Most of them are refused, such as an infinity or an atom of 256 characters.
EDGE_TERMS = [frame[1:] for frame in EDGES.values() if 1 < len(frame) < 1500]

# Tags whose terms have the same layout: a frame may stay valid when they are exchanged.
SAME_LAYOUT = [
    {100, 107, 118},
    {115, 119},
    {105, 108},
    {109, 112},
    {88, 90, 103},
    {97, 106},
    {70, 120},
]


@cache
def pools():
    """Return valid frames as ``Seed`` objects, one list per source."""
    with (DATA / "conformance.jsonl").open(encoding="utf-8") as file:
        wires = [json.loads(line)["wire"].values() for line in file]
    with gzip.open(DATA / "erlang_terms.tsv.gz", "rt", encoding="ascii") as file:
        terms = [line.split("\t")[0] for line in file]
    frames = (
        {bytes.fromhex(frame) for wire in wires for frames in wire for frame in frames},
        set(bench_frames()),
        set(map(bytes.fromhex, terms)),
        {*EDGES.values(), *(entry[1] for entry in DIFFERENCES.values())},
    )
    # Sorted, because the order of a set differs between runs.
    seeds = [[Seed(frame) for frame in sorted(pool)] for pool in frames]
    return [[seed for seed in pool if seed.is_usable] for pool in seeds]


def bench_frames():
    """Yield the frames of the benchmark."""
    data = gzip.decompress((DATA / "bench.frames.gz").read_bytes())
    pos = 0
    while pos < len(data):
        end = pos + 4 + int.from_bytes(data[pos : pos + 4], "big")
        yield data[pos + 4 : end]
        pos = end


class Mutator:
    """Endless source of frames, each made of one or two valid ones by a few changes."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pools = pools()

    def frame(self):
        """Return the next frame."""
        chance = self.random.random()
        plain = self.changed(self.seed())
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 2))):
            plain = self.changed(Seed(plain))
        if chance < 0.85:
            return plain
        if chance < 0.93:
            return self.compressed(plain)
        # Change the header or the compressed data.
        packed = self.compressed(self.seed().frame)
        if self.random.random() < 0.3:
            return packed[:2] + self.number(int.from_bytes(packed[2:6], "big"), 4) + packed[6:]
        return self.in_bytes(packed)

    def seed(self):
        return self.random.choice(self.random.choice(self.pools))

    def term(self):
        """Return the bytes of a random term."""
        seed = self.seed()
        begin, end = self.random.choice(seed.terms or [(0, 0)])
        return seed.frame[begin:end] if 0 < end - begin < 400 else b"j"

    def changed(self, seed):
        if not seed.terms or self.random.random() < 0.2:
            return self.in_bytes(seed.frame)
        return self.in_terms(seed.frame, self.random.choice(seed.terms))

    def in_bytes(self, frame):
        """Return ``frame`` with a change of bytes, regardless of its terms."""
        draw = self.random
        if not frame:
            return draw.randbytes(3)
        where = draw.randrange(len(frame))
        head, tail = frame[:where], frame[where:]
        match draw.randrange(7):
            case 0:
                return head + bytes([tail[0] ^ 1 << draw.randrange(8)]) + tail[1:]
            case 1:
                return head + bytes([draw.choice(BYTES)]) + tail[1:]
            case 2:
                return head + draw.randbytes(draw.randint(1, 4)) + tail
            case 3:
                return head + tail[draw.randint(1, 4) :]
            case 4:
                return head
            case 5:
                return frame + draw.choice((draw.randbytes(1), self.term(), frame))
            case _:
                other = self.seed().frame
                return head + other[draw.randrange(len(other) + 1) :]

    def in_terms(self, frame, place):
        """Return ``frame`` with a change of the term at ``place``."""
        draw = self.random
        begin, end = place
        head, term, tail = frame[:begin], frame[begin:end], frame[end:]
        tag = term[0]
        match draw.randrange(12):
            case 0:
                term = self.term()
            case 1:
                term = draw.choice(draw.choice((FOREIGN_TERMS, EDGE_TERMS)))
            case 2 | 3 | 4:
                term = self.enclosed(term)
            case 5:
                term += term
            case 6:
                term = b""
            case 7:
                term = self.twin(term)
            case 8:
                alike = [other for group in SAME_LAYOUT if tag in group for other in group]
                term = bytes([draw.choice(draw.choice((alike, TAGS)) or TAGS)]) + term[1:]
            case 9 if tag in LENGTHS:
                width = LENGTHS[tag]
                length = self.number(int.from_bytes(term[1 : 1 + width], "big"), width)
                term = term[:1] + length + term[1 + width :]
            case 9 | 10 if end - begin > 1:
                # Change a byte that is usually not part of a length.
                where = draw.randrange(min(1 + LENGTHS.get(tag, 0), len(term) - 1), len(term))
                term = term[:where] + draw.randbytes(1) + term[where + 1 :]
            case _:
                term = self.in_bytes(term)
        return head + term + tail

    def twin(self, term):
        """Return a term with another tag for the same text, number or tuple, or another term."""
        draw = self.random
        tag = term[0]
        if tag in {97, 98}:
            number = int.from_bytes(term[1:], "big", signed=tag == 98)
            size = draw.choice((4, 8))
            same = number.to_bytes(8, "little", signed=True)[:size] if number >= 0 else b"\1"
            return draw.choice(
                (b"F" + struct.pack(">d", number), bytes([110, len(same), 0]) + same)
            )
        if tag == 104:
            return b"i\0\0\0" + term[1:]
        if tag not in {100, 107, 109, 115, 118, 119}:
            return draw.choice((b"w\4true", b"w\11undefined", b"h\2w\4bertw\3nil"))
        raw = term[1 + LENGTHS[tag] :]
        if tag == 107 and raw and draw.random() < 0.3:
            return (
                b"l" + len(raw).to_bytes(4, "big") + b"".join(b"a%c" % byte for byte in raw) + b"j"
            )
        other = draw.choice([100, 107, 109, 118, *([115, 119] if len(raw) < 256 else [])])
        return bytes([other]) + len(raw).to_bytes(LENGTHS[other], "big") + raw

    def number(self, number, width):
        """Return a replacement for a number, often close to it."""
        draw = self.random
        top = 1 << 8 * width
        other = draw.choice((number + 1, number - 1, number * 2, 0, top - 1, draw.randrange(top)))
        return (other % top).to_bytes(width, "big")

    def enclosed(self, term):
        """Return one or two containers that hold ``term``."""
        draw = self.random
        other = draw.choice((term, self.twin(term), self.term(), self.term()))
        match draw.randrange(9):
            case 0:
                return b"h\2" + term + other
            case 1:
                return b"l\0\0\0\2" + term + other + b"j"
            case 2:
                return b"l\0\0\0\1" + term + other
            case 3:
                return b"t\0\0\0\1" + term + other
            case 4:
                return b"t\0\0\0\2" + term + other + other + term
            case 5:
                name = draw.choice((b"nil", b"true", b"dict", b"time", b"string", b"regex"))
                parts = [term, other, b"a\1"][: draw.randrange(4)]
                head = bytes([104, 2 + len(parts)]) + b"w\4bert"
                return head + b"w" + bytes([len(name)]) + name + b"".join(parts)
            case 6 if draw.random() < 0.3:
                return self.beyond_limits(term)
            case 6:
                return b"h\4" + other + term + b"j" + other
            case 7:
                return b"i\0\0\0\2" + other + term
            case _:
                pair = b"l\0\0\0\1h\2" + term + other + b"j"
                return b"h\3d\0\4bertd\0\4dict" + pair

    def beyond_limits(self, term):
        """Return a term near a limit of decode: depth, bytes of an integer, keys of a map."""
        draw = self.random
        match draw.randrange(3):
            case 0:
                return b"h\1" * draw.randint(55, 66) + term
            case 1:
                size = draw.randint(1022, 1026)
                return b"o" + size.to_bytes(4, "big") + b"\0" + draw.randbytes(size)
            case _:
                count = draw.randint(126, 131)
                keys = (bytes([97, key]) + b"j" for key in range(count))
                return b"t" + count.to_bytes(4, "big") + b"".join(keys)

    def compressed(self, frame):
        """Return the frame compressed; in 5 % of the cases inside a tuple, which is invalid."""
        term = frame[1:]
        packed = b"P" + len(term).to_bytes(4, "big")
        packed += zlib.compress(term, self.random.choice((0, 1, 6, 9)))
        return b"\x83" + (b"h\1" + packed if self.random.random() < 0.05 else packed)


class Seed:
    """A frame, inflated if it was compressed, with the positions of its terms."""

    def __init__(self, frame):
        reading = Reading(frame)
        shift = int(reading.inflated)
        self.frame = b"\x83" * shift + reading.data
        self.terms = [(begin + shift, end + shift) for begin, end in reading.terms]
        self.is_usable = reading.malformed is None and len(self.frame) <= MAX_SEED_BYTES
