"""Ids, names and keys of the stream."""

from __future__ import annotations

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.fanout.stream import (
    NO_ENTRY,
    EntryId,
    check_name,
    follows,
    leader_key,
    standby_key,
)


def test_ids_are_ordered_and_written_as_redis_does():
    one, two = EntryId.parse(b"1700000000000000-9"), EntryId.parse(b"1700000000000000-10")
    assert one < two < EntryId(1700000000000001, 0)
    assert (one.encode(), str(two)) == (b"1700000000000000-9", "1700000000000000-10")


@pytest.mark.parametrize("raw", [b"", b"1", b"1-", b"-1-2", b"1-2-3", b"a-1", b"1" * 21 + b"-0"])
def test_other_texts_are_no_ids(raw):
    with pytest.raises(ValueError, match="not the id of an entry"):
        EntryId.parse(raw)


@pytest.mark.parametrize(
    ("entry", "previous", "last", "expected"),
    [
        (EntryId(7, 1), EntryId(7, 0), EntryId(7, 0), True),
        (EntryId(8, 0), EntryId(7, 4), EntryId(7, 4), True),
        (EntryId(8, 0), NO_ENTRY, NO_ENTRY, True),
        (EntryId(7, 2), EntryId(7, 1), EntryId(7, 0), False),
        (EntryId(7, 2), EntryId(7, 0), EntryId(7, 0), False),
        (EntryId(8, 1), EntryId(7, 4), EntryId(7, 4), False),
        (EntryId(6, 0), EntryId(7, 4), EntryId(7, 4), False),
    ],
)
def test_next_entry_names_the_last_one(entry, previous, last, expected):
    assert follows(entry, previous, last) is expected


def test_all_keys_are_in_one_slot_of_a_cluster():
    """A cluster computes the slot from the text in the first braces, if there are any."""
    assert (leader_key("basix"), standby_key("basix")) == ("{basix}:leader", "{basix}:standby")


@pytest.mark.parametrize("name", ["", "a{b", "a}b", "a\nb", "x" * 201, 5, None])
def test_names_that_cannot_be_used(name):
    with pytest.raises(UsageError, match="^stream must"):
        check_name(name)
