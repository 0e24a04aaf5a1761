"""What hostile frames of a megabyte cost: never more memory than a fixed amount.

Sizes and counts only, and times of the CPU in the nightly run. ``python -m support.hostile_frames``
prints them.
"""

from __future__ import annotations

import pytest
from support import hostile_frames
from support.sizes import NIGHTLY

from basix_ws_cti import terms
from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.terms import Limits, decode

FAMILIES = {**hostile_frames.FAMILIES, **(hostile_frames.MORE_FAMILIES if NIGHTLY else {})}

# Of many small objects: to trace a megabyte of each takes minutes in all, so that a run which
# is not nightly takes an eighth of a megabyte and of the memory.
HEAVY = {
    "empty tuples",
    "one-tuples",
    "one-tuples of nil",
    "nested one-tuples",
    "lists of one",
    "empty lists, LIST_EXT 0",
    "one-pair maps",
    "maps with nil values",
    "empty maps",
    "3-byte atoms, 100, all different",
    "3-byte atoms, 119, all different",
    "invalid UTF-8 binaries",
    "invalid UTF-8 charlists",
    "bert nils",
    "bert times",
    "bert dicts",
    "bigs of 8 bytes",
    "floats, 70",
    "floats, 99",
    "small integers",
    "colliding keys, maps of 128",
}


@pytest.fixture(autouse=True)
def _own_atom_cache(monkeypatch):
    """Every test starts with no atom remembered and leaves none behind."""
    monkeypatch.setattr(terms, "atom_cache", dict(terms.PREDEFINED_ATOMS))


@pytest.mark.parametrize("name", FAMILIES)
def test_memory(name):
    """A hostile frame is a value or a DecodeError, and takes under 32 MiB for each MiB it has."""
    size = hostile_frames.MIB // 8 if name in HEAVY and not NIGHTLY else hostile_frames.MIB
    frame = FAMILIES[name](size)
    # The term repeated may be too long to fill the frame to the last byte.
    assert size - 66_000 < len(frame) <= size
    peak, verdict = hostile_frames.measure_memory(frame)
    assert verdict
    # What every frame may spend for nothing weighs more in a small one.
    assert peak < (32 if size == hostile_frames.MIB else 10) * hostile_frames.MIB
    assert len(terms.atom_cache) <= terms.MAX_REMEMBERED_ATOMS


@pytest.mark.nightly
@pytest.mark.parametrize("name", FAMILIES)
def test_memory_compressed(name):
    """The same frame, compressed, takes no more, what it inflates to included."""
    frame = hostile_frames.compressed(FAMILIES[name])(hostile_frames.MIB)
    peak, verdict = hostile_frames.measure_memory(frame)
    assert verdict
    assert peak < 32 * hostile_frames.MIB


# The families that a megabyte of is over some limit.
REFUSED = {
    "nils": "(terms_per_byte)",
    "one-tuples": "(terms_per_byte)",
    "nested one-tuples": "(terms_per_byte)",
    "one-pair maps": "(terms_per_byte)",
    "empty maps": "(terms_per_byte)",
    "3-byte atoms, 100, all different": "(terms_per_byte)",
    "3-byte atoms, 119, all different": "(terms_per_byte)",
    "invalid UTF-8 binaries": "(terms_per_byte)",
    "invalid UTF-8 charlists": "(terms_per_byte)",
    "bert times": "(terms_per_byte)",
    "bert dicts": "(terms_per_byte)",
    "deep tuples": "(depth)",
    "deep lists": "(depth)",
    "binary of 4 GiB": "the frame ends before its term is complete",
    "list of 2**32-1": "(terms)",
    "large tuple of 2**32-1": "(terms)",
    "map of 2**32-1": "(terms)",
    "big of 4 GiB": "(big_integer_bytes)",
    "one big integer": "(big_integer_bytes)",
    "colliding keys, one map": "(numeric_keys)",
    "text keys, one map": "(map_keys)",
}
ACCEPTED = {
    "small integers": 524_284,
    "floats, 70": 116_507,
    "floats, 99": 32_767,
    "bigs of 8 bytes": 95_324,
    "bert nils": 80_659,
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.items(), ids=REFUSED)
def test_refused(name, reason):
    """What costs more than its bytes let expect is refused, by the limit meant for it."""
    build = {**hostile_frames.FAMILIES, **hostile_frames.MORE_FAMILIES}[name]
    with pytest.raises(DecodeError) as caught:
        decode(build(hostile_frames.MIB))
    assert reason in caught.value.reason


@pytest.mark.parametrize(("name", "count"), ACCEPTED.items(), ids=ACCEPTED)
def test_accepted(name, count):
    """A megabyte of what the feed itself is made of is no attack."""
    assert len(decode(hostile_frames.FAMILIES[name](hostile_frames.MIB))) == count


@pytest.mark.parametrize(
    "name",
    [
        "deep tuples",
        "deep lists",
        "list of 2**32-1",
        "large tuple of 2**32-1",
        "map of 2**32-1",
        "big of 4 GiB",
        "one big integer",
    ],
)
def test_refused_at_once(name):
    """What a head gives away is refused at the head: a megabyte takes no memory to speak of."""
    peak, _ = hostile_frames.measure_memory(hostile_frames.FAMILIES[name](hostile_frames.MIB))
    assert peak < 64 * 1024


@pytest.mark.parametrize("name", FAMILIES if NIGHTLY else ["lists of one", "empty maps"])
def test_memory_grows_no_faster_than_the_frame(name):
    """Twice the frame takes at most twice the memory, and what any frame takes."""
    build = FAMILIES[name]
    half, _ = hostile_frames.measure_memory(build(hostile_frames.MIB // 16))
    whole, _ = hostile_frames.measure_memory(build(hostile_frames.MIB // 8))
    # A list grows in steps of an eighth.
    assert whole <= 2 * half * 9 / 8 + 256 * 1024


def test_one_big_integer_if_allowed():
    """An integer of 1 MB is read in linear memory by a caller who asks for it."""
    frame = hostile_frames.big_integer(hostile_frames.MIB)
    assert (
        decode(frame, Limits(big_integer_bytes=hostile_frames.MIB)).bit_length()
        == 8 * len(frame) - 56
    )


def test_colliding_keys_collide():
    """The keys meant to share a hash do, or the families above would show nothing."""
    (mapping, *_) = decode(hostile_frames.colliding_maps(4096))
    assert len(mapping) == 128
    assert {hash(key) for key in mapping} == {0}


def test_different_atoms_are_different():
    """The atoms meant to be all different are."""
    names = decode(hostile_frames.different(b"w\3")(4096))
    assert len(names) == len(set(names)) > 800


# ---------------------------------------------------------- figures, from a process for each


@pytest.mark.nightly
@pytest.mark.parametrize("name", hostile_frames.everything())
def test_cost(name):
    """A frame of 1 MiB is decoded in 32 MiB and 250 ms, and twice the frame takes twice that."""
    got = hostile_frames.measure(name)
    assert got["ratio"] <= hostile_frames.MAX_RATIO
    if not name.startswith("elements: "):
        assert got["mib"] <= 32
        assert got["cpu_ms"] <= 250


@pytest.mark.parametrize("name", ["deep tuples", "elements: long persons, asterisks"])
def test_figures(name):
    """What a process measures is what became of the frame, and figures that can be true."""
    got = hostile_frames.measure(name)
    assert 0 < got["mib"] < 32
    assert got["cpu_ms"] > 0
    assert ("(depth)" if name == "deep tuples" else "value") in got["verdict"]


def test_growth_tells_square_from_line(monkeypatch):
    """The ratio of a reader that takes the square of the size is no ratio of an honest one."""
    monkeypatch.setattr(hostile_frames, "LARGEST", 2 * hostile_frames.MIB)

    def square(frame):
        for _ in range((len(frame) // 2**16) ** 2):
            sum(frame[:4096])

    assert 1.5 < hostile_frames.growth(bytes, lambda frame: sum(map(int, frame))) < 2.5
    assert hostile_frames.growth(bytes, square) > 3


def test_growth_looks_beyond_a_step():
    """What takes more once, from some size on, grows as it should at the next."""

    def step(frame):
        for _ in range(len(frame) // 2**10 * (1 if len(frame) <= hostile_frames.MIB else 3)):
            sum(frame[:4096])

    assert hostile_frames.growth(bytes, step) <= hostile_frames.MAX_RATIO


# What each session's frame is refused for; all others are read.
BUILDING_REFUSED = {
    "empty records": "(records)",
    "records of one of 256 fields": "(terms_per_byte)",
    "records of a kind nobody knows": "(terms_per_byte)",
}


@pytest.mark.parametrize("name", hostile_frames.BUILDING)
def test_building(name):
    """Elements take as much memory as their frame lets expect, or a named limit refuses them."""
    spec, build = hostile_frames.BUILDING[name]
    size = hostile_frames.MIB // 8
    if name == "empty records":
        size = hostile_frames.MIB // 2
    frame = build(size)
    assert size - 66_000 < len(frame) <= size
    peak, verdict = hostile_frames.measure_memory(frame, hostile_frames.told(spec))
    assert peak < (80 * size if verdict == "value" else 32 * hostile_frames.MIB)
    if size == hostile_frames.MIB // 8 and "records of" in name:
        return  # what every frame may spend for nothing is enough for so few
    assert BUILDING_REFUSED.get(name, "value") in verdict
