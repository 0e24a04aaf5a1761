from __future__ import annotations

import random

import pytest
from crafted import crafted_ids, places

from basix_ws_cti.mirror import keys as module
from basix_ws_cti.mirror.keys import FEW_NUMBERS, MAX_STEPS, are_crafted, hidden, shown

MANY = 20_000

# Ids as databases and clocks make them.
HONEST = {
    "in a row": range(1000, 1000 + MANY),
    "from the last": range(MANY, 0, -1),
    "in any order": random.Random(1).sample(range(MANY), MANY),
    "with gaps": range(7, 10 * MANY, 10),
    "with wide gaps": range(0, MANY << 16, 1 << 16),
    "random, 31 bits": random.Random(2).sample(range(2**31), MANY),
    "random, 63 bits": [random.Random(i).getrandbits(63) for i in range(MANY)],
    "negative": range(-1, -MANY, -1),
    "counted in the upper half of 64 bits": range(0, MANY << 32, 1 << 32),
    "microseconds": range(1_700_000_000_000_000, 1_700_000_000_000_000 + MANY * 10**6, 10**6),
    "snowflakes": [(1_600_000_000_000 + i * 977) << 22 | 3 << 12 | i & 1 for i in range(MANY)],
    "round numbers of 64 bits": range(2**63, 2**63 + MANY * 10**6, 10**6),
    "one, over and over": [5] * MANY,
    "texts": [f"{number}" for number in range(MANY)],
    "none": [],
}


@pytest.mark.parametrize("name", HONEST)
def test_honest(name):
    """Whatever ids a PBX counts, draws or reads from a clock, they are not taken for crafted."""
    assert not are_crafted(list(HONEST[name]))


@pytest.mark.parametrize(("count", "bits"), [(1500, 31), (5400, 60), (43_000, 31)])
def test_crafted(count, bits):
    """Numbers chosen to be in each other's way are found out, small ones too."""
    assert are_crafted(crafted_ids(count, bits))


def test_crafted_among_texts():
    """Texts in between hide nothing: they are in the dict as well."""
    ids = crafted_ids(10_000)
    # So many that the dict has the same number of places.
    texts = [f"{number}" for number in range(places(10_000) * 2 // 3 - 10_000)]
    assert len(texts) > 900
    assert are_crafted(texts + ids)


def test_crafted_in_a_small_dict():
    """Numbers that are in each other's way while the dict grows are found out as well."""
    first = crafted_ids(5400)
    assert are_crafted(first + list(range(10**6, 10**6 + 5000)))


def test_crafted_to_come_again():
    """A number that is far from its place may not come over and over."""
    ids = crafted_ids(5400)
    rare = [*ids[: 5400 * 9 // 10], ids[-1]]
    assert not are_crafted(rare + list(range(10**6, 10**6 + 2000)))
    assert are_crafted(rare + [ids[-1]] * 2000)


def test_few():
    """So few numbers that no order of them takes long are not looked at."""
    assert not are_crafted(crafted_ids(FEW_NUMBERS - 1))
    assert FEW_NUMBERS == 1000


def test_in_a_row_is_decided_without_a_model(monkeypatch):
    """Rising ids with few gaps cost no more than a look; of all others a dict is modelled."""
    monkeypatch.setattr(module, "MAX_STEPS", -1)  # the model finds everything crafted
    assert not are_crafted(range(1000, 6000))
    assert not are_crafted([*range(2730), *range(2731, 5000)])
    assert are_crafted([*range(2731), *range(2729, 5000)])
    assert are_crafted(range(-1, 5000))
    assert are_crafted(range(2**61 - 3000, 2**61))
    assert are_crafted([*range(2729), 4096, *range(5000, 9000)])
    assert are_crafted(range(0, 10_000, 2))


def test_steps(monkeypatch):
    """The bound is on the mean: MAX_STEPS for each key are none too many, one more in all is."""
    assert MAX_STEPS == 64
    monkeypatch.setattr(module, "MAX_STEPS", 2)
    # The last one has the hash of 1, and the dict goes on from there to 6 and 31: three steps.
    ids = [*range(1026, 2026), 1, 6, 31, 2**61]
    assert not are_crafted(ids + [2**61] * 2005)
    assert are_crafted(ids + [2**61] * 2006)


def test_steps_of_a_dict_that_grows(monkeypatch):
    """The steps of putting all keys into a larger dict count, and end the count at once."""
    monkeypatch.setattr(module, "FEW_NUMBERS", 1)
    monkeypatch.setattr(module, "MAX_STEPS", 6)
    ids = [number << 20 for number in range(10)]
    assert not are_crafted(ids[:9])
    assert are_crafted(ids)


def test_hidden():
    """What is looked up is told from all else, as a dict would: numbers by value, texts by text."""
    assert hidden(5) == hidden(True + 4) == hidden(5) != hidden("5")
    assert hidden(1) == hidden(True)
    several = [5, -5, "5", "\x005", "\0\x005", "", "\0", 2**64, "a", None, (1,)]
    assert len({hidden(key) for key in several}) == len(several)
    assert hidden("a uuid") == "a uuid"
    assert isinstance(hidden(2**61 - 1), str)
    for key in (*several, None, "a uuid", -(2**63)):
        assert shown(hidden(key)) == key
        assert isinstance(shown(hidden(key)), type(key))
