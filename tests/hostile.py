"""Frames that cost as much as their bytes can buy: one builder for each family.

``python tests/hostile.py`` prints what one decode of each family costs. The tests assert
sizes only: a time depends on the machine, and on what else it does.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

from basix_ws_cti import terms
from basix_ws_cti.exceptions import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MIB = 1024 * 1024

Builder = "Callable[[int], bytes]"


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


# ---------------------------------------------------------------------------- the builders


def repeated(term: bytes) -> Builder:
    """A list of the same term over and over."""

    def build(size: int) -> bytes:
        count = (size - 7) // len(term)
        return b"\x83l" + u32(count) + term * count + b"j"

    return build


def different(head: bytes) -> Builder:
    """A list of atoms or texts with names of three bytes, no two alike."""

    def build(size: int) -> bytes:
        count = (size - 7) // (len(head) + 3)
        # Base 128, so that each name is ASCII.
        units = (
            head + bytes((number >> 14 & 127, number >> 7 & 127, number & 127))
            for number in range(count)
        )
        return b"\x83l" + u32(count) + b"".join(units) + b"j"

    return build


def deep(head: bytes, inner: bytes) -> Builder:
    """Containers within each other to the end of the frame: over 300,000 of them in 1 MiB."""

    def build(size: int) -> bytes:
        return b"\x83" + head * ((size - 1 - len(inner)) // len(head)) + inner

    return build


def declared(head: bytes) -> Builder:
    """A head that declares 4 GiB or 2**32 elements, then as many bytes as there may be."""

    def build(size: int) -> bytes:
        return (b"\x83" + head + b"j" * size)[:size]

    return build


def one_map(pairs: Callable[[int], Iterable[bytes]], pair_bytes: int) -> Builder:
    """One map of as many pairs as fit."""

    def build(size: int) -> bytes:
        count = (size - 6) // pair_bytes
        return b"\x83t" + u32(count) + b"".join(pairs(count))

    return build


def one_dict(pairs: Callable[[int], Iterable[bytes]], pair_bytes: int) -> Builder:
    """One bert dict of as many pairs as fit."""

    def build(size: int) -> bytes:
        count = (size - 20) // (pair_bytes + 2)
        items = b"".join(b"h\2" + pair for pair in pairs(count))
        return b"\x83h\3w\4bertw\4dictl" + u32(count) + items + b"j"

    return build


def text_pairs(count: int) -> Iterable[bytes]:
    """Different texts as keys."""
    return (b"m\0\0\0\6%06xa\0" % number for number in range(count))


def colliding_pairs(count: int) -> Iterable[bytes]:
    """Multiples of 2**61 - 1, whose hash is 0, as keys."""
    modulus = 2**61 - 1
    return (
        b"n\x0a\0" + (modulus * number).to_bytes(10, "little") + b"a\0" for number in range(count)
    )


TEXT_PAIR = 13
COLLIDING_PAIR = 15


def colliding_maps(size: int) -> bytes:
    """Many maps of 128 keys each that share a hash: as many as a map may have."""
    return repeated(b"t" + u32(128) + b"".join(colliding_pairs(128)))(size)


def one_binary(data: bytes) -> Builder:
    """One binary that fills the frame and ends in ``data``."""

    def build(size: int) -> bytes:
        length = size - 6
        return b"\x83m" + u32(length) + b"a" * (length - len(data)) + data

    return build


def nested_regexes(size: int) -> bytes:
    """Compounds within each other up to the depth allowed, around one long binary."""
    head = b"h\4w\4bertw\5regexj"
    length = size - 6 - 64 * len(head)
    return b"\x83" + head * 64 + b"m" + u32(length) + b"a" * length


def big_integer(size: int) -> bytes:
    return b"\x83o" + u32(size - 7) + b"\0" + b"\xff" * (size - 7)


ONE = b"\x3f\xf0\0\0\0\0\0\0"  # 1.0

# What every run measures: the dearest of each kind.
FAMILIES: dict[str, Builder] = {
    "nils": repeated(b"j"),
    "empty tuples": repeated(b"h\0"),
    "one-tuples": repeated(b"h\1a\0"),
    "one-tuples of nil": repeated(b"h\1j"),
    "nested one-tuples": repeated(b"h\1" * 62 + b"a\0"),
    "lists of one": repeated(b"l\0\0\0\1a\0j"),
    "empty lists, LIST_EXT 0": repeated(b"l\0\0\0\0j"),
    "one-pair maps": repeated(b"t\0\0\0\1a\0a\0"),
    "maps with nil values": repeated(b"t\0\0\0\1a\0j"),
    "empty maps": repeated(b"t\0\0\0\0"),
    "3-byte atoms, 100, all different": different(b"d\0\3"),
    "3-byte atoms, 119, all different": different(b"w\3"),
    "invalid UTF-8 binaries": repeated(b"m\0\0\0\1\xff"),
    "invalid UTF-8 charlists": repeated(b"k\0\1\xff"),
    "bert nils": repeated(b"h\2w\4bertw\3nil"),
    "bert times": repeated(b"h\5w\4bertw\4timea\0a\0a\0"),
    "bert dicts": repeated(b"h\3w\4bertw\4dictl\0\0\0\1h\2a\0a\0j"),
    "bigs of 8 bytes": repeated(b"n\x08\0" + b"\xff" * 8),
    "floats, 70": repeated(b"F" + ONE),
    "floats, 99": repeated(b"c1." + b"0" * 20 + b"e-01" + b"\0" * 5),
    "small integers": repeated(b"a\0"),
    "deep tuples": deep(b"h\1", b"j"),
    "deep lists": deep(b"l\0\0\0\1", b"j"),
    "binary of 4 GiB": declared(b"m\xff\xff\xff\xff"),
    "list of 2**32-1": declared(b"l\xff\xff\xff\xff"),
    "large tuple of 2**32-1": declared(b"i\xff\xff\xff\xff"),
    "map of 2**32-1": declared(b"t\xff\xff\xff\xff"),
    "big of 4 GiB": declared(b"o\xff\xff\xff\xff\0"),
    "one big integer": big_integer,
    "colliding keys, one map": one_map(colliding_pairs, COLLIDING_PAIR),
    "colliding keys, maps of 128": colliding_maps,
}

# What the nightly run measures on top.
MORE_FAMILIES: dict[str, Builder] = {
    "large tuples of none": repeated(b"i\0\0\0\0"),
    "large tuples of one": repeated(b"i\0\0\0\1a\0"),
    "tuples of 255": repeated(b"h\xff" + b"a\0" * 255),
    "tuples of 2 nils": repeated(b"h\2jj"),
    "nested lists": repeated(b"l\0\0\0\1" * 62 + b"j" * 63),
    "nested maps": repeated(b"t\0\0\0\1a\0" * 62 + b"j"),
    "maps of one atom": repeated(b"t\0\0\0\1s\0a\0"),
    "3-byte atoms, 115, all different": different(b"s\3"),
    "3-byte atoms, 118, all different": different(b"v\0\3"),
    "one atom, 100": repeated(b"d\0\1a"),
    "one atom, 118": repeated(b"v\0\1a"),
    "one atom, 119": repeated(b"w\1a"),
    "3-byte binaries, all different": different(b"m\0\0\0\3"),
    "binaries of one kana": repeated(b"m\0\0\0\3\xe3\x83\xa6"),
    "charlists of one kana": repeated(b"k\0\3\xe3\x83\xa6"),
    "charlists of 65,535, Latin-1 at the end": repeated(b"k\xff\xff" + b"a" * 65_534 + b"\xff"),
    "one binary": one_binary(b""),
    "one binary, Latin-1 at the end": one_binary(b"\xff"),
    "one binary, one emoji at the end": one_binary("\U0001f600".encode()),
    "bert nils, 100": repeated(b"h\2d\0\4bertd\0\3nil"),
    "bert trues, large": repeated(b"i\0\0\0\2w\4bertw\4true"),
    "bert dicts, empty": repeated(b"h\3w\4bertw\4dictj"),
    "bert strings": repeated(b"h\4w\4bertw\6stringw\4utf8m\0\0\0\1a"),
    "bert regexes": repeated(b"h\4w\4bertw\5regexa\0a\0"),
    "bert times of 1,024-byte parts": repeated(
        b"h\5w\4bertw\4time" + (b"o\0\0\4\0\1" + b"\xff" * 1024) * 3
    ),
    "bert regexes of bert regexes": nested_regexes,
    "bigs of no bytes": repeated(b"n\0\0"),
    "bigs of 2 bytes": repeated(b"n\2\0\xff\xff"),
    "bigs of 255 bytes": repeated(b"n\xff\1" + b"\xff" * 255),
    "bigs of 1,024 bytes": repeated(b"o\0\0\4\0\1" + b"\xff" * 1024),
    "large bigs of 2 bytes": repeated(b"o\0\0\0\2\0\xff\xff"),
    "floats, 99, short": repeated(b"c1.5" + b"\0" * 28),
    "integers": repeated(b"b\x7f\xff\xff\xff"),
    "deep large tuples": deep(b"i\0\0\0\1", b"j"),
    "deep maps": deep(b"t\0\0\0\1a\0", b"j"),
    "deep bert regexes": deep(b"h\4w\4bertw\5regexa\0", b"j"),
    "text keys, one map": one_map(text_pairs, TEXT_PAIR),
    "text keys, one bert dict": one_dict(text_pairs, TEXT_PAIR),
    "colliding keys, one bert dict": one_dict(colliding_pairs, COLLIDING_PAIR),
}


def compressed(build: Builder) -> Builder:
    """The same frame in a compressed one."""

    def build_compressed(size: int) -> bytes:
        term = build(size)[1:]
        return b"\x83P" + u32(len(term)) + zlib.compress(term, 9)

    return build_compressed


# -------------------------------------------------------------------------- the measuring


def verdict_of(frame: bytes) -> tuple[Any, str]:
    """The value and what became of the frame; any exception but DecodeError passes."""
    try:
        return terms.decode(frame), "value"
    except DecodeError as error:
        return None, str(error)


def measure_memory(frame: bytes) -> tuple[int, str]:
    """The peak of what one decode allocates, in bytes, and what became of the frame."""
    terms._atoms.clear()
    terms._atoms.update(terms._KNOWN_ATOMS)
    tracemalloc.start()
    try:
        value, verdict = verdict_of(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del value
    return peak, verdict


def measure_times(frames: Sequence[bytes], rounds: int = 5) -> list[float]:
    """The least CPU time of one decode of each frame, in seconds; all in turn, round by round."""
    best = [float("inf")] * len(frames)
    for _ in range(rounds):
        for number, frame in enumerate(frames):
            terms._atoms.clear()
            terms._atoms.update(terms._KNOWN_ATOMS)
            start = time.process_time()
            verdict_of(frame)
            best[number] = min(best[number], time.process_time() - start)
    return best


def main() -> None:
    write = sys.stdout.write
    write(f"{'family':<42}{'bytes':>9}{'CPU ms':>9}{'ratio':>7}{'MiB':>7}  verdict\n")
    for name, build in {**FAMILIES, **MORE_FAMILIES}.items():
        frame = build(MIB)
        half, whole = measure_times([build(MIB // 2), frame])
        peak, verdict = measure_memory(frame)
        # Below half a millisecond a ratio says nothing.
        ratio = f"{whole / half:.2f}" if half > 5e-4 else "-"
        write(
            f"{name:<42}{len(frame):>9}{whole * 1000:>9.2f}{ratio:>7}{peak / MIB:>7.1f}"
            f"  {verdict[:90]}\n"
        )


if __name__ == "__main__":
    main()
