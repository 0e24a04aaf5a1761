"""Texts that repeat themselves are one object; what is held stays what it was."""

from __future__ import annotations

import copy
import gc
import tracemalloc

import pytest
from support.etf_encoder import field_spec, initial_info

from basix_ws_cti import Channel, MessageParser, Mirror, User
from basix_ws_cti.elements import EndUser, EndUsers, OtherInfo, QueuedChannel, Target
from basix_ws_cti.mirror import interning as module
from basix_ws_cti.mirror.interning import Interner


def text(value):
    """An equal text that is an object of its own."""
    return "".join([*value])


def people(*names, count=None):
    items = tuple(EndUser(name=text(name)) for name in names)
    return EndUsers(count=len(items) if count is None else count, items=items)


def leg(uuid, **fields):
    return Channel(
        uuid=uuid,
        direction=text("inbound"),
        calling_number=text("0312341234"),
        calling_name=text("0312341234"),
        end_user=people("Yamada"),
        target=Target(type=text("user"), id=7, name="taro", address=text("0312341234")),
        other_info=OtherInfo(
            type=text("user"), direction=text("inbound"), end_user=people("Yamada")
        ),
        **fields,
    )


def shared(*elements):
    interner = Interner()
    before = copy.deepcopy(elements)
    for element in elements:
        interner.intern(element)
    assert elements == before
    return elements


def test_what_is_equal_is_one():
    """Equal texts and people are one object, across fields and channels, and what is in them."""
    a, b = shared(leg("a1", other_uuid="b1"), leg("b1", other_uuid=text("a1")))
    assert b.other_uuid is a.uuid
    numbers = [a.calling_number, a.calling_name, a.target.address, b.calling_number]
    assert len({id(number) for number in numbers}) == 1
    assert a.direction is a.other_info.direction is b.direction is b.other_info.direction
    assert a.target.type is b.other_info.type
    assert a.end_user is a.other_info.end_user is b.end_user


def test_what_differs_stays():
    """People of whom others are listed, or others counted, stay; so does what is no text."""
    a, b, c = shared(
        Channel(uuid="a", end_user=people("Yamada"), calling_number=123, target="raw"),
        Channel(uuid="b", end_user=people("Sato"), calling_number=123, other_info=(1, 2)),
        Channel(uuid="c", end_user=people("Yamada", count=9), target=Target(name=[1])),
    )
    assert [one.end_user.count for one in (a, b, c)] == [1, 1, 9]
    assert [one.end_user.items[0].name for one in (a, b, c)] == ["Yamada", "Sato", "Yamada"]


def test_other_kinds():
    """Channels that wait are shared too; users are left alone."""
    a, b = shared(
        QueuedChannel(uuid="a", peer_number=text("0312341234")),
        QueuedChannel(uuid="b", peer_number=text("0312341234")),
    )
    assert a.peer_number is b.peer_number
    first, second = shared(User(id=1, name=text("taro")), User(id=2, name=text("taro")))
    assert first.name is not second.name


def test_it_has_a_bound(monkeypatch):
    """Of texts that all differ no more are remembered than there may be; those are shared."""
    monkeypatch.setattr(module, "MAX_INTERNED", 10)
    interner = Interner()
    for number in range(100):
        interner.intern(Channel(uuid=f"u{number}"))
    assert len(interner._seen) == 10
    early, late = (Channel(uuid="x", other_uuid=text(uuid)) for uuid in ("u3", "u50"))
    for one in (early, late):
        interner.intern(one)
    assert early.other_uuid in interner._seen
    assert late.other_uuid not in interner._seen
    assert early.other_uuid is next(one for one in interner._seen if one == "u3")


@pytest.mark.parametrize(("kind", "most"), [("channel", 0.7), ("other", 1.1)])
def test_a_mirror_weighs_less(kind, most):
    """A picture of channels weighs less than the message that it came of; nothing else does."""
    names = ("uuid", "direction", "peer_location", "calling_number", "called_number", "end_user")
    records = [
        (f"u{number}", "inbound", "external", "0312341234", "0501234567", "1*Yamada*Shop**Tokyo")
        for number in range(1000)
    ]

    def weigh(make):
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

    def mirror(message):
        made = Mirror()
        made.apply(message)
        return made[kind]

    assert weigh(mirror) < most * weigh(lambda message: message.elements)
