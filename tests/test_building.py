from __future__ import annotations

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, User
from basix_ws_cti.building import Building

USER = User(id=1)


def test_whole_when_every_announced_kind_is_there():
    """A picture may be whole once all kinds that were announced are in, and one at least is."""
    building = Building()
    assert not building.may_be_whole
    assert building.take(FieldSpec("user", ("id",)))
    assert building.take(FieldSpec("group", ("id",)))
    assert building.take(InitialInfo("user", {1: USER}))
    assert not building.may_be_whole
    assert building.take(InitialInfo("group", {}))
    assert building.may_be_whole
    assert building.mirror.users == {1: USER}
    assert building.take(FieldSpec("terminal", ("id",)))
    assert not building.may_be_whole


def test_what_says_nothing_of_kinds():
    """A message, and a field_spec that comes again, leave the quiet time as it is."""
    building = Building()
    building.take(FieldSpec("user", ("id",)))
    building.take(InitialInfo("user", {}))
    assert not building.take(FieldSpec("user", ("id", "name")))
    assert not building.take(Msg("hello"))
    assert building.may_be_whole


def test_an_event_says_that_no_kind_follows():
    """The first event after all kinds comes after the picture; one before belongs into it."""
    event = InfoEvent("user", USER, "updated")
    building = Building()
    building.take(FieldSpec("user", ("id",)))
    assert not building.is_whole_before(event)
    assert not building.take(event)
    assert building.mirror.users == {1: USER}
    building.take(InitialInfo("user", {}))
    assert building.is_whole_before(event)
    assert not building.is_whole_before(Msg("hello"))
