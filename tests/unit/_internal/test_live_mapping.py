"""LiveMapping: a read-only mapping that changes while others read it."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from basix_ws_cti import User
from basix_ws_cti._internal.live_mapping import LiveMapping


class Numbers(LiveMapping[str, int]):
    def __init__(self, **numbers):
        self.numbers = numbers

    def __getitem__(self, key):
        return self.numbers[key]

    def __len__(self):
        return len(self.numbers)

    def copy(self):
        return self.numbers.copy()


@pytest.fixture
def numbers():
    return Numbers(a=1, b=2)


ITERATIONS = [iter, lambda mapping: iter(mapping.keys()), lambda mapping: iter(mapping.values())]


@pytest.mark.parametrize("iterate", [*ITERATIONS, lambda mapping: iter(mapping.items())])
def test_iteration_runs_over_the_items_of_its_start(numbers, iterate):
    """An item that is added or removed meanwhile changes and raises nothing."""
    expected = [*iterate(numbers)]
    iterator = iterate(numbers)
    items = [next(iterator)]
    numbers.numbers["c"] = 3
    del numbers.numbers["a"]
    assert [*items, *iterator] == expected


def test_views_show_the_current_items(numbers):
    """Views that were made before the contents were replaced are not stale."""
    keys, values, items = numbers.keys(), numbers.values(), numbers.items()
    numbers.numbers = {"c": 3, "d": 4}
    assert (len(keys), len(values), len(items)) == (2, 2, 2)
    assert ([*keys], [*values], [*items]) == (["c", "d"], [3, 4], [("c", 3), ("d", 4)])
    assert ("c" in keys, 3 in values, ("c", 3) in items) == (True, True, True)
    assert ("a" in keys, 1 in values, ("a", 1) in items) == (False, False, False)


def test_mapping_and_views_can_be_reversed(numbers):
    reverse = [*reversed(numbers)], [*reversed(numbers.keys())]
    assert reverse == (["b", "a"], ["b", "a"])
    assert [*reversed(numbers.values())] == [2, 1]
    assert [*reversed(numbers.items())] == [("b", 2), ("a", 1)]


def test_equality_compares_the_items(numbers):
    assert numbers == {"a": 1, "b": 2} == numbers
    assert numbers == Numbers(b=2, a=1)
    assert numbers != Numbers(a=1)
    assert numbers != [("a", 1), ("b", 2)]
    with pytest.raises(TypeError, match="unhashable"):
        hash(numbers)


@pytest.mark.parametrize(
    "make_copy", [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy]
)
def test_copies_and_pickles_are_dicts_of_the_present_items(numbers, make_copy):
    copied = make_copy(numbers)
    numbers.numbers.clear()
    assert (type(copied), copied) == (dict, {"a": 1, "b": 2})


def test_notebooks_show_the_items_as_a_table():
    html = Numbers(a=User(id=7, label="Sato"), b=User(id=8))._repr_html_()
    assert re.findall("<t[hd][^>]*>(.*?)</t[hd]>", html) == ["id", "label", "7", "Sato", "8", ""]
