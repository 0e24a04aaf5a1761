"""Hostile frames: families of frames that cost much memory or CPU time for their size.

``python -m support.hostile_frames [FAMILY …]``, started in ``tests``, prints the memory and CPU
time of one frame of each family: to decode it, to decode it compressed, or to build its elements.
Each family is measured in a separate process. Only a nightly test run asserts times, because they
depend on the machine and its load.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from basix_ws_cti import terms
from basix_ws_cti.exceptions import BasixError
from basix_ws_cti.parsing.parser import MAX_FIELDS, MessageParser
from basix_ws_cti.parsing.record_decoder import MAX_PARTED_TEXT

from .atom_cache import forget_atoms
from .etf_encoder import Atom, Charlist, encode, field_spec
from .paths import TESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MIB = 1024 * 1024

Builder = "Callable[[int], bytes]"
Session = "tuple[bytes, Callable[[int], bytes]]"


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


# ---------------------------------------------------------------------------- the builders


def repeated(term: bytes) -> Builder:
    """Return a builder of lists that repeat one term."""

    def build(size: int) -> bytes:
        count = (size - 7) // len(term)
        return b"\x83l" + u32(count) + term * count + b"j"

    return build


def different(head: bytes) -> Builder:
    """Return a builder of lists of atoms or texts: three bytes each, all different."""

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
    """Return a builder of nested containers: over 300,000 levels in 1 MiB."""

    def build(size: int) -> bytes:
        return b"\x83" + head * ((size - 1 - len(inner)) // len(head)) + inner

    return build


def declared(head: bytes) -> Builder:
    """Return a builder of terms whose head declares more bytes or elements than follow."""

    def build(size: int) -> bytes:
        return (b"\x83" + head + b"j" * size)[:size]

    return build


def one_map(pairs: Callable[[int], Iterable[bytes]], pair_bytes: int) -> Builder:
    """Return a builder of single maps with as many pairs as fit."""

    def build(size: int) -> bytes:
        count = (size - 6) // pair_bytes
        return b"\x83t" + u32(count) + b"".join(pairs(count))

    return build


def one_dict(pairs: Callable[[int], Iterable[bytes]], pair_bytes: int) -> Builder:
    """Return a builder of single BERT dicts with as many pairs as fit."""

    def build(size: int) -> bytes:
        count = (size - 20) // (pair_bytes + 2)
        items = b"".join(b"h\2" + pair for pair in pairs(count))
        return b"\x83h\3w\4bertw\4dictl" + u32(count) + items + b"j"

    return build


def text_pairs(count: int) -> Iterable[bytes]:
    """Yield pairs whose keys are different texts."""
    return (b"m\0\0\0\6%06xa\0" % number for number in range(count))


def colliding_pairs(count: int) -> Iterable[bytes]:
    """Yield pairs whose keys are multiples of 2**61 - 1: their hash is 0."""
    modulus = 2**61 - 1
    return (
        b"n\x0a\0" + (modulus * number).to_bytes(10, "little") + b"a\0" for number in range(count)
    )


TEXT_PAIR = 13
COLLIDING_PAIR = 15


def colliding_maps(size: int) -> bytes:
    """Build a list of maps with 128 keys each, the limit; all keys have the same hash."""
    return repeated(b"t" + u32(128) + b"".join(colliding_pairs(128)))(size)


def one_binary(data: bytes) -> Builder:
    """Return a builder of binaries that fill the frame and end in ``data``."""

    def build(size: int) -> bytes:
        length = size - 6
        return b"\x83m" + u32(length) + b"a" * (length - len(data)) + data

    return build


def nested_regexes(size: int) -> bytes:
    """Build one long binary in nested compounds, as deep as the limit allows."""
    head = b"h\4w\4bertw\5regexj"
    length = size - 6 - 64 * len(head)
    return b"\x83" + head * 64 + b"m" + u32(length) + b"a" * length


def big_integer(size: int) -> bytes:
    return b"\x83o" + u32(size - 7) + b"\0" + b"\xff" * (size - 7)


ONE = b"\x3f\xf0\0\0\0\0\0\0"  # 1.0

# The most expensive families of each kind; every test run measures them.
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

# Further families; only the nightly test run measures them.
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
    """Return a builder of the same frames, compressed."""

    def build_compressed(size: int) -> bytes:
        term = build(size)[1:]
        return b"\x83P" + u32(len(term)) + zlib.compress(term, 9)

    return build_compressed


# ------------------------------------------------------------------ frames with elements


def records(kind: str, *names: str, record: bytes) -> Session:
    """Return the field spec and a builder of ``initial_info`` frames that repeat one record."""

    def build(size: int) -> bytes:
        head = b"\x83h\3" + encode(Atom("initial_info")) + encode(Charlist(kind))
        count = (size - len(head) - 6) // len(record)
        return head + b"l" + u32(count) + record * count + b"j"

    return field_spec(kind, *names), build


def long_texts(name: str, text: bytes) -> Session:
    """The same for channels whose text is as long as the record decoder reads."""
    filled = text * (MAX_PARTED_TEXT // 4 // len(text))
    return records("channel", "uuid", name, record=encode(("u", filled)))


def texts(name: str, text: bytes, head: bytes = b"", times: int = 20) -> Session:
    """The same for channels whose text is ``head`` and repetitions of ``text``."""
    return records("channel", "uuid", name, record=encode(("u", head + text * times)))


def user_ids(choose: Callable[[int], Iterable[int]]) -> Session:
    """The same for users with the ids that ``choose`` returns."""

    def build(size: int) -> bytes:
        items = b"".join(encode((number,)) for number in choose(size // 12))
        head = b"\x83h\3" + encode(Atom("initial_info")) + encode(Charlist("user"))
        return head + b"l" + u32(size // 12) + items + b"j"

    return field_spec("user", "id"), build


MANY_FIELDS = [f"field{number}" for number in range(MAX_FIELDS)]

# The field spec to parse first, and the builder of frames with expensive elements.
BUILDING: dict[str, Session] = {
    "empty records": records("channel", "uuid", record=b"h\0"),
    "records of one of 256 fields": records("channel", *MANY_FIELDS, record=b"h\1a\1"),
    "records of an unknown kind": records("robot", *MANY_FIELDS, record=b"h\1a\1"),
    "records of 255 extra fields": records("robot", *MANY_FIELDS, record=b"h\xff" + b"a\1" * 255),
    "one huge record": (
        field_spec("robot", *MANY_FIELDS),
        lambda size: (
            b"\x83h\4"
            + encode(Atom("info_event"))
            + encode(Charlist("robot"))
            + b"i"
            + u32((size - 64) // 2)
            + b"a\1" * ((size - 64) // 2)
            + encode(Charlist("updated"))
        ),
    ),
    "consecutive ids": user_ids(range),
    "ids that are multiples of 2**20": user_ids(lambda count: range(0, count << 20, 1 << 20)),
    "long lists of people": texts("end_user", b"|a", b"_MANY_:5", 1000),
    "long lists of people, bad escapes": texts("end_user", b"|%ff", b"_MANY_:5", 1000),
    "short lists of people": texts("end_user", b"|a", b"_MANY_:5", 5),
    "people, escapes": texts("end_user", b"%41a", times=5),
    "people, bad escapes": texts("end_user", b"%ffa", times=5),
    "long persons, escapes": long_texts("end_user", b"%41a"),
    "long persons, bad escapes": long_texts("end_user", b"%ffa"),
    "long persons, one run of escapes": long_texts("end_user", b"%41"),
    "long persons, asterisks": long_texts("end_user", b"*"),
    "long originations, asterisks": long_texts("origination", b"aa*"),
    "long originations, bad escapes": long_texts("origination", b"%ff*"),
    "originations": texts("origination", b"aa*"),
    "tags": texts("tags", b"aa;"),
    "long tags": long_texts("tags", b"aa;"),
    "unknown states": records("channel", "state", record=encode(((1, "new", 1),))),
    "states": records("channel", "state", record=encode(((1, Atom("ringing")),))),
    "calls to endpoints": records(
        "channel",
        "state",
        record=encode(((1, Atom("calling"), 1, Atom("bridged_endpoint"), ("a", "b")),)),
    ),
    "other_info": records("channel", "other_info", record=encode(((Atom("user"),),))),
    "memberships": records("group_member", "group_id", "user_id", record=b"h\2a\1a\1"),
    "a text of numbers": (
        field_spec("user", "name"),
        lambda size: (
            b"\x83h\4"
            + encode(Atom("info_event"))
            + encode(Charlist("user"))
            + b"h\1l"
            + u32((size - 64) // 2)
            + b"aa" * ((size - 64) // 2)
            + b"j"
            + encode(Charlist("updated"))
        ),
    ),
    "texts of numbers": records("user", "name", record=encode(([300] * 8,))),
}


# ---------------------------------------------------------------------------- measurement

# Number of measurements of a family that seems to grow too fast. The smallest time of all rounds
# counts, because other load on the machine can only add to it.
ATTEMPTS = 4

# Runs per measurement; the fastest one counts.
ROUNDS = 3

# Seconds of CPU below which a ratio means nothing: the clock is coarse, and the allocator returns
# memory to the system at some sizes only. Frames are doubled until they take longer.
NOISE = 0.02

MAX_RATIO = 2.2

# Maximum size of a frame, compressed or not.
LARGEST = terms.MAX_FRAME_BYTES


def verdict_of(frame: bytes, read: Callable[[bytes], Any] = terms.decode) -> tuple[Any, str]:
    """Return the value and ``"value"``, or None and the text of the error."""
    try:
        return read(frame), "value"
    except BasixError as error:
        return None, str(error)


def measure_memory(frame: bytes, read: Callable[[bytes], Any] = terms.decode) -> tuple[int, str]:
    """Return the peak of memory allocated for reading the frame, in bytes, and the verdict."""
    forget_atoms()
    tracemalloc.start()
    try:
        value, verdict = verdict_of(frame, read)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del value
    return peak, verdict


def cpu_seconds(frame: bytes, read: Callable[[bytes], Any]) -> float:
    forget_atoms()
    start = time.process_time()
    verdict_of(frame, read)
    return time.process_time() - start


def least_seconds(frame: bytes, read: Callable[[bytes], Any]) -> float:
    return min(cpu_seconds(frame, read) for _ in range(ROUNDS))


def growth(build: Callable[[int], bytes], read: Callable[[bytes], Any]) -> float:
    """Return the ratio of the CPU times of a frame and one of half its size.

    The result is 0 if even 16 MiB are too fast to be timed. The garbage collector is disabled,
    since its full collections add steps at some sizes. Memory adds steps, too, where the objects
    outgrow the processor's caches or the allocator's arenas. If a family seems to grow too fast,
    larger sizes are measured as well, and the smallest ratio counts: quadratic growth shows at
    every size.
    """
    gc.disable()
    try:
        size, least = MIB, 0.0
        half, full = build(size // 2), build(size)
        one, two = least_seconds(half, read), least_seconds(full, read)
        while True:
            if one >= NOISE:
                for _ in range(ATTEMPTS - 1):
                    if two / one <= MAX_RATIO:
                        break
                    one = min(one, least_seconds(half, read))
                    two = min(two, least_seconds(full, read))
                least = min(least or two / one, two / one)
            if 0 < least <= MAX_RATIO or size >= (LARGEST if least else 16 * MIB):
                return least
            size *= 2
            half, one, full = full, two, build(size)
            two = least_seconds(full, read)
    finally:
        gc.enable()


def all_families() -> dict[str, tuple[Builder, Callable[[], Callable[[bytes], Any]]]]:
    """Return the builder of each family, and a function that makes a reader for its frames."""
    plain = {**FAMILIES, **MORE_FAMILIES}
    return {
        **{name: (build, lambda: terms.decode) for name, build in plain.items()},
        **{
            f"{name}, compressed": (compressed(build), lambda: terms.decode)
            for name, build in plain.items()
        },
        **{
            f"elements: {name}": (build, partial(session_reader, spec))
            for name, (spec, build) in BUILDING.items()
        },
    }


def session_reader(spec: bytes) -> Callable[[bytes], Any]:
    """Return the ``parse`` method of a parser that has parsed this field spec."""
    parser = MessageParser(base_url="https://pbx.example")
    parser.parse(spec)
    return parser.parse


def measure(name: str) -> dict[str, Any]:
    """Measure one family in a separate process."""
    command = [sys.executable, "-m", "support.hostile_frames", "--json", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=TESTS)
    return json.loads(done.stdout)


def measure_here(name: str) -> dict[str, Any]:
    build, reader = all_families()[name]
    read = reader()
    frame = build(MIB)
    peak, verdict = measure_memory(frame, read)
    seconds = least_seconds(frame, read)
    return {
        "mib": peak / MIB,
        "cpu_ms": seconds * 1000,
        "ratio": growth(build, read),
        "verdict": verdict,
    }


def main(names: Sequence[str]) -> None:
    if names[:1] == ["--json"]:
        sys.stdout.write(json.dumps(measure_here(names[1])))
        return
    sys.stdout.write(f"{'family':<54}{'MiB':>7}{'CPU ms':>9}{'ratio':>7}  verdict\n")
    for name in names or all_families():
        figures = measure(name)
        sys.stdout.write(
            f"{name:<54}{figures['mib']:>7.1f}{figures['cpu_ms']:>9.1f}{figures['ratio']:>7.2f}"
            f"  {figures['verdict'][:80]}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
