"""The messages: what they hold, how they are taken apart."""

from __future__ import annotations

import typing

import attrs
import pytest

from basix_ws_cti import messages
from basix_ws_cti.elements import User
from basix_ws_cti.messages import (
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Message,
    Msg,
    SystemMsg,
    UnknownMessage,
)

USER = User(id=1)

# Every class, its fields in order, and an instance.
EVERY = [
    (FieldSpec, {"element_name": "user", "fields": ("id", "name")}),
    (InitialInfo, {"element_name": "user", "elements": {1: USER}}),
    (InfoEvent, {"element_name": "user", "element": USER, "event_name": "added"}),
    (SystemMsg, {"text": "logout"}),
    (Msg, {"text": "hello"}),
    (UnknownMessage, {"name": "ping", "term": ("ping", 1)}),
]

every = pytest.mark.parametrize(("cls", "parts"), EVERY)


@every
def test_parts_by_position_and_by_name(cls, parts):
    """A message is made and matched by position, and its parts have names."""
    message = cls(*parts.values())
    assert message == cls(**parts)
    assert cls.__match_args__ == tuple(parts)
    assert {name: getattr(message, name) for name in parts} == parts


@every
def test_frozen(cls, parts):
    """A message's parts can't be set or deleted, and nothing can be added."""
    message = cls(**parts)
    name = next(iter(parts))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(message, name, "other")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(message, name)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.more = 1


@every
def test_equality(cls, parts):
    """Messages are equal when class and parts are: a SystemMsg is not a Msg."""
    assert cls(**parts) == cls(**parts)
    assert cls(**parts) != cls(**dict.fromkeys(parts, "other"))
    assert not any(cls(**parts) == other(**given) for other, given in EVERY if other is not cls)


def test_message_is_any_of_them():
    """``Message`` names all the messages of the module, and nothing else."""
    named = vars(messages).values()
    classes = {one for one in named if getattr(one, "__module__", "") == messages.__name__}
    assert set(typing.get_args(Message)) == classes == {cls for cls, _ in EVERY}


def test_hash():
    """Messages whose parts can be hashed can be; the elements' dict can't."""
    assert hash(FieldSpec("user", ("id",))) == hash(FieldSpec("user", ("id",)))
    assert len({Msg("a"), Msg("a"), SystemMsg("a"), InfoEvent("user", USER, "added")}) == 3
    with pytest.raises(TypeError):
        hash(InitialInfo("user", {1: USER}))
