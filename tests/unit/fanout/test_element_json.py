"""Elements as JSON and back: nothing is lost."""

import json

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.etf_encoder import any_term, field_spec, initial_info

from basix_ws_cti import MessageParser
from basix_ws_cti.elements import Channel, Extra, OtherElement, QueuedChannel, Target, User
from basix_ws_cti.fanout.element_json import element_from_json, element_to_json
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.parsing.record_decoder import ELEMENTS
from basix_ws_cti.states import Calling, OtherState, Park, Ringing
from basix_ws_cti.terms import Regex

KINDS = {
    kind: [one.name for one in attrs.fields(cls) if one.name != "extra"]
    for kind, cls in ELEMENTS.items()
} | {"robot": ["id"]}
UNDECLARED = ["other_info", "target", "state", "tags", "extra", "colour", "$list"]


def through_json(element):
    text = json.dumps(element_to_json(element), ensure_ascii=False, allow_nan=False)
    return element_from_json(element.element_name, json.loads(text))


@st.composite
def element(draw):
    """Return an element that a parser made from arbitrary terms."""
    kind = draw(st.sampled_from([*KINDS]))
    names = draw(st.lists(st.sampled_from([*KINDS[kind], *UNDECLARED]), max_size=8, unique=True))
    record = tuple(draw(any_term()) for _ in names)
    parser = MessageParser()
    parser.parse(field_spec(kind, *names))
    message = parser.parse(initial_info(kind, record))
    assert isinstance(message, InitialInfo)
    (one,) = message.elements.values()
    return one


@pytest.mark.slow
@settings(max_examples=50)
@given(element())
def test_any_element_of_a_parser_returns_unchanged(one):
    again = through_json(one)
    assert again == one
    assert repr(again) == repr(one)  # True is not 1, and a list is no tuple


@pytest.mark.parametrize(
    ("one", "values"),
    [
        (
            User(id=7, name="ann", do_not_disturb_status=0),
            {"id": 7, "name": "ann", "do_not_disturb_status": 0},
        ),
        (
            Channel(uuid="u", state=Ringing(ts=5), tags=("a", "b")),
            {"uuid": "u", "state": {"ts": 5, "name": "ringing", "data": {}}, "tags": ["a", "b"]},
        ),
        (
            Channel(state=Calling(target_type="user", user_id=3, data=(3, "x"))),
            {
                "state": {
                    "ts": None,
                    "name": "calling",
                    "data": {"target_type": "user", "user_id": 3, "data": [3, "x"]},
                }
            },
        ),
        (
            Channel(state=OtherState(ts=1, name="park", data=((1, 2), [3]))),
            {"state": {"ts": 1, "name": "park", "data": [[1, 2], {"$list": [3]}]}},
        ),
        (
            QueuedChannel(uuid="u", extra=Extra(target=Target(type="user", id=1))),
            {"uuid": "u", "target": {"type": "user", "id": 1}},
        ),
        (
            OtherElement(element_name="robot", extra=Extra(id=1, arms={"left": Regex("^a", [])})),
            {"id": 1, "arms": {"$map": [["left", {"$regex": ["^a", {"$list": []}]}]]}},
        ),
    ],
)
def test_shape_of_the_json_values(one, values):
    assert element_to_json(one) == values
    assert through_json(one) == one


def test_fields_and_states_of_a_newer_version_are_kept():
    again = element_from_json(
        "user", {"id": 7, "mood": "good", "name": [1], "label": {"$list": [2]}}
    )
    assert again == User(id=7, extra=Extra(mood="good", name=(1,), label=[2]))
    state = {"ts": 1, "name": "dreaming", "data": {"of": "sheep"}}
    assert element_from_json("channel", {"state": state}) == Channel(
        state=OtherState(ts=1, name="dreaming", data=("sheep",))
    )
    park = {"ts": 1, "name": "park", "data": {"slot": 901, "colour": "red"}}
    assert element_from_json("channel", {"state": park}) == Channel(state=Park(ts=1, slot=901))


@pytest.mark.parametrize(
    "values",
    [
        {"state": {"ts": 1}},
        {"state": {"ts": 1, "name": 5, "data": {}}},
        {"state": {"ts": [1], "name": "ringing", "data": {}}},
        {"state": {"ts": 1, "name": "park", "data": {"slot": [1]}}},
        {"target": {"id": {"$list": [1]}}},
        {"end_user": {"count": 1, "items": {}}},
        {"tags": {"a": 1, "b": 2}},
        {"colour": {}},
        {"colour": {"$time": "yesterday"}},
    ],
)
def test_values_that_no_element_has_are_refused(values):
    with pytest.raises((ValueError, TypeError, KeyError)):
        element_from_json("channel", values)
