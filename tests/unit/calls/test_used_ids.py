"""UsedIds: memory of call ids."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from basix_ws_cti.calls import used_ids
from basix_ws_cti.calls.used_ids import MAX_USED_IDS, UsedIds


@pytest.fixture
def ids(monkeypatch):
    """Remembers two of three ids; the forgotten call ended at 10."""
    monkeypatch.setattr(used_ids, "MAX_USED_IDS", 2)
    ids = UsedIds()
    for call_id, ended in (("a", 10), ("b", 5), ("c", 20)):
        ids.add(call_id, ended)
    return ids


def test_remembered_ids_are_used():
    ids = UsedIds()
    assert not ids.may_be_used("a", None)
    ids.add("a", 10)
    assert ids.may_be_used("a", 20)
    assert not ids.may_be_used("b", None)


def test_number_of_ids_is_limited(ids):
    assert len(ids) == 2
    assert [call_id in ids for call_id in "abc"] == [False, True, True]


@pytest.mark.parametrize(("offered", "expected"), [(None, True), (10, True), (11, False)])
def test_legs_that_are_older_than_the_memory_may_be_used(ids, offered, expected):
    assert ids.may_be_used("x", offered) is expected
    ids.add("d", 7)  # forgets b, which ended before a
    assert ids.may_be_used("x", offered) is expected


def test_numbers_never_come_twice(ids):
    ids.add("a#2", 30)
    assert ids.numbered("a", lambda _: False) == "a#1"
    assert ids.numbered("a", "a#3".__eq__) == "a#4"
    assert ids.numbered("b", lambda _: False) == "b#5"


@pytest.mark.parametrize(
    ("first_uuid", "offered", "expected"),
    [
        ("c", 20, True),
        ("c", 21, False),
        ("c", None, False),
        ("b", 5, False),  # this leg was never shown to have ended
        ("x", 5, False),
    ],
)
def test_leg_of_an_ended_first_leg_is_late(ids, first_uuid, offered, expected):
    ids.legs_ended(["c", "x"])
    assert ids.is_late(first_uuid, offered) is expected


def test_end_of_a_first_leg_is_forgotten_with_its_call(ids):
    ids.legs_ended(["c"])
    ids.add("d", 30)
    assert ids.is_late("c", 20)
    ids.add("e", 40)
    assert not ids.is_late("c", 20)


@pytest.mark.slow
def test_memory_is_bounded():
    ids = UsedIds()
    tracemalloc.start()
    try:
        for number in range(MAX_USED_IDS + 10_000):
            call_id = f"{number:036}"
            ids.add(call_id, 1_800_000_000_000_000 + number)
            ids.legs_ended([call_id])
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ids) == MAX_USED_IDS
    assert used < 15_000_000


@pytest.mark.slow
def test_forgetting_the_oldest_id_takes_constant_time():
    """With a full memory, an id takes less than ten times as long as with an empty one."""
    ids, names = UsedIds(), [f"uuid-{number}" for number in range(2 * MAX_USED_IDS)]
    times = []
    for part in (names[:MAX_USED_IDS], names[MAX_USED_IDS:]):
        began = time.process_time()
        for number, name in enumerate(part):
            ids.add(name, number)
        times.append(time.process_time() - began)
    assert times[1] < 10 * times[0]
