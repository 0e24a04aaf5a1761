"""Messages: parts, equality, hashes and immutability."""

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

# Each class with its fields in order.
CLASSES = [
    (FieldSpec, {"element_name": "user", "fields": ("id", "name")}),
    (InitialInfo, {"element_name": "user", "elements": {1: USER}}),
    (InfoEvent, {"element_name": "user", "element": USER, "event_name": "added"}),
    (SystemMsg, {"text": "logout"}),
    (Msg, {"text": "hello"}),
    (UnknownMessage, {"name": "ping", "term": ("ping", 1)}),
]

each_class = pytest.mark.parametrize(("cls", "parts"), CLASSES)


@each_class
def test_messages_have_positional_and_named_parts(cls, parts):
    message = cls(*parts.values())
    assert message == cls(**parts)
    assert cls.__match_args__ == tuple(parts)
    assert {name: getattr(message, name) for name in parts} == parts


@each_class
def test_messages_are_frozen(cls, parts):
    message = cls(**parts)
    name = next(iter(parts))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(message, name, "other")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(message, name)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.more = 1


@each_class
def test_messages_are_equal_if_class_and_parts_are(cls, parts):
    """A SystemMsg does not equal a Msg."""
    assert cls(**parts) == cls(**parts)
    assert cls(**parts) != cls(**dict.fromkeys(parts, "other"))
    assert not any(cls(**parts) == other(**values) for other, values in CLASSES if other is not cls)


def test_message_is_the_union_of_all_classes():
    named = vars(messages).values()
    classes = {one for one in named if getattr(one, "__module__", "") == messages.__name__}
    assert set(typing.get_args(Message)) == classes == {cls for cls, _ in CLASSES}


def test_messages_with_hashable_parts_have_a_hash():
    """An InitialInfo contains a dict and has none."""
    assert hash(FieldSpec("user", ("id",))) == hash(FieldSpec("user", ("id",)))
    assert len({Msg("a"), Msg("a"), SystemMsg("a"), InfoEvent("user", USER, "added")}) == 3
    with pytest.raises(TypeError):
        hash(InitialInfo("user", {1: USER}))
