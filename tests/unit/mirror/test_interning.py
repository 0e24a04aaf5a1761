"""Interning of texts and end users in channels."""

from __future__ import annotations

import copy
import gc
import tracemalloc

import pytest
from support.etf_encoder import field_spec, initial_info

from basix_ws_cti import Channel, MessageParser, Mirror, User
from basix_ws_cti.elements import EndUser, EndUsers, OtherInfo, QueuedChannel, Target
from basix_ws_cti.mirror import interning
from basix_ws_cti.mirror.interning import Interner


def text(value):
    """Return an equal text that is a new object."""
    return "".join([*value])


def end_users(*names, count=None):
    items = tuple(EndUser(name=text(name)) for name in names)
    return EndUsers(count=len(items) if count is None else count, items=items)


def leg(uuid, **fields):
    return Channel(
        uuid=uuid,
        direction=text("inbound"),
        calling_number=text("0312341234"),
        calling_name=text("0312341234"),
        end_user=end_users("Yamada"),
        target=Target(type=text("user"), id=7, name="taro", address=text("0312341234")),
        other_info=OtherInfo(
            type=text("user"), direction=text("inbound"), end_user=end_users("Yamada")
        ),
        **fields,
    )


def interned(*elements):
    """Intern elements with one interner, and check that they stay equal."""
    interner = Interner()
    before = copy.deepcopy(elements)
    for element in elements:
        interner.intern(element)
    assert elements == before
    return elements


def test_equal_texts_and_end_users_become_one_object():
    """Equal values are one object across channels, fields and nested values."""
    a, b = interned(leg("a1", other_uuid="b1"), leg("b1", other_uuid=text("a1")))
    assert b.other_uuid is a.uuid
    numbers = [a.calling_number, a.calling_name, a.target.address, b.calling_number]
    assert len({id(number) for number in numbers}) == 1
    assert a.direction is a.other_info.direction is b.direction is b.other_info.direction
    assert a.target.type is b.other_info.type
    assert a.end_user is a.other_info.end_user is b.end_user


def test_different_end_users_and_other_types_are_kept():
    """End users with other items or another count stay distinct; values that are no text stay."""
    a, b, c = interned(
        Channel(uuid="a", end_user=end_users("Yamada"), calling_number=123, target="raw"),
        Channel(uuid="b", end_user=end_users("Sato"), calling_number=123, other_info=(1, 2)),
        Channel(uuid="c", end_user=end_users("Yamada", count=9), target=Target(name=[1])),
    )
    assert [one.end_user.count for one in (a, b, c)] == [1, 1, 9]
    assert [one.end_user.items[0].name for one in (a, b, c)] == ["Yamada", "Sato", "Yamada"]


def test_waiting_channels_are_interned_and_users_are_not():
    a, b = interned(
        QueuedChannel(uuid="a", peer_number=text("0312341234")),
        QueuedChannel(uuid="b", peer_number=text("0312341234")),
    )
    assert a.peer_number is b.peer_number
    first, second = interned(User(id=1, name=text("taro")), User(id=2, name=text("taro")))
    assert first.name is not second.name


def test_number_of_remembered_values_is_limited(monkeypatch):
    """Values beyond the limit are not remembered; those remembered are still interned."""
    monkeypatch.setattr(interning, "MAX_INTERNED", 10)
    interner = Interner()
    channels = [Channel(uuid=f"u{number}") for number in range(100)]
    for channel in channels:
        interner.intern(channel)
    assert len(interner) == 10
    early, late = (Channel(uuid="x", other_uuid=text(uuid)) for uuid in ("u3", "u50"))
    for channel in (early, late):
        interner.intern(channel)
    assert early.other_uuid is channels[3].uuid
    assert late.other_uuid is not channels[50].uuid


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "limit"), [("channel", 0.7), ("other", 1.1)])
def test_interning_saves_memory_for_channels(kind, limit):
    """A mirror of channels needs less memory than their message; other kinds need no more."""
    names = ("uuid", "direction", "peer_location", "calling_number", "called_number", "end_user")
    records = [
        (f"u{number}", "inbound", "external", "0312341234", "0501234567", "1*Yamada*Shop**Tokyo")
        for number in range(1000)
    ]

    def memory_of(make):
        parser = MessageParser()
        parser.parse(field_spec(kind, *names))
        frame = initial_info(kind, *records)
        gc.collect()
        tracemalloc.start()
        try:
            held = make(parser.parse(frame))
            gc.collect()
            size = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held
        return size

    def load(message):
        mirror = Mirror()
        mirror.apply(message)
        return mirror[kind]

    assert memory_of(load) < limit * memory_of(lambda message: message.elements)
