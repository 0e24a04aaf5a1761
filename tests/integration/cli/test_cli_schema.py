"""``schema``: the schema of all that is printed as JSON."""

from __future__ import annotations

import json

import attrs
import pytest
from jsonschema import Draft202012Validator
from support.cli_runner import run_here
from support.scripted_source import BEGIN, Scripted, printed, shown

from basix_ws_cti import InfoEvent, Lagged, MessageParser, Msg, SystemMsg, UnknownMessage, states
from basix_ws_cti.cli.commands.listen import FeedOptions
from basix_ws_cti.cli.commands.state import StateOptions, print_source_state
from basix_ws_cti.cli.render.feed_lines import with_envelope
from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    EndUsers,
    Extra,
    OtherElement,
    OtherInfo,
    Target,
    to_dict,
)
from basix_ws_cti.parsing import record_decoder
from basix_ws_cti.simulator import frames
from basix_ws_cti.simulator.scenarios import SCENARIOS
from basix_ws_cti.states import Calling, OtherState, State
from basix_ws_cti.terms import Regex

VALIDATOR = Draft202012Validator(build_schema())

ELEMENTS = sorted(record_decoder.ELEMENTS.values(), key=lambda one: one.element_name)
STATES = sorted(
    (
        one
        for one in vars(states).values()
        if isinstance(one, type) and issubclass(one, State) and one not in {State, OtherState}
    ),
    key=lambda one: one.name,
)


def is_valid(value):
    return VALIDATOR.is_valid(json.loads(json.dumps(value)))


def line(element):
    """The line of an element, as it is printed."""
    told = [InfoEvent(element.element_name, element, "updated")]
    (text,) = shown(told, FeedOptions(json=True))
    return json.loads(text)


def names(sort):
    return [one.name for one in attrs.fields(sort) if one.name not in {"extra", "element_name"}]


def test_command_prints_the_schema():
    """The output is a valid JSON Schema 2020-12."""
    done = run_here("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == build_schema()
    Draft202012Validator.check_schema(build_schema())
    assert build_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("story", SCENARIOS)
def test_output_of_every_scenario_is_valid(story, older):
    """Lines of messages, lines of calls and the state document match the schema."""
    told = frames(story, seed=3, older=older)
    messages = shown(told, FeedOptions(json=True))
    calls = shown(told, FeedOptions(json=True, calls=True))
    document = printed(
        print_source_state(Scripted(told[: len(told) * 2 // 3]), StateOptions(json=True))
    )
    events = [info for info in map(MessageParser().parse, told) if isinstance(info, InfoEvent)]
    initial = sum('"event":"initial"' in text for text in messages)
    assert len(messages) - initial == len(events) > 0
    assert calls or story == "directory_changes"
    assert len(document) == 1
    for text in messages + calls + document:
        VALIDATOR.validate(json.loads(text))


def test_messages_without_elements_are_valid():
    term = ("news", {"a": 1, 2: (None, 1.5)}, Regex("a.*", ()), BEGIN)
    told = [SystemMsg("hello"), Msg("there"), UnknownMessage("news", term), Lagged(3)]
    lines = [json.loads(text) for text in shown(told, FeedOptions(json=True))]
    assert [one["type"] for one in lines] == ["system_msg", "msg", "unknown", "lagged"]
    for one in lines:
        VALIDATOR.validate(one)


@pytest.mark.parametrize("sort", ELEMENTS)
def test_fields_of_elements_have_types(sort):
    """A wrong type, a missing field or a missing element is invalid; an extra field is valid."""
    whole = line(sort())
    assert is_valid(whole)
    assert {*whole["element"]} == {*names(sort)}
    for name in names(sort):
        for wrong in ({"a": 1}, [{"a": 1}]) if name == "state" else ({"a": 1},):
            value = {**whole, "element": {**whole["element"], name: wrong}}
            if wrong != [{"a": 1}]:  # raw, as a structured field may be
                assert not is_valid(value), name
        fewer = {key: value for key, value in whole["element"].items() if key != name}
        assert not is_valid({**whole, "element": fewer}), name
    assert not is_valid({**whole, "element": None})
    assert is_valid(line(sort(extra=Extra({"new": {"of": ["any", "shape", 1]}}))))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("user_id", "7"), ("calling_number", 312341234), ("offer_timestamp", 1.5), ("uuid", True)],
)
def test_scalars_have_one_type(field, wrong):
    """Ids are numbers, telephone numbers are texts, times are integers."""
    whole = line(Channel(uuid="u"))
    assert not is_valid({**whole, "element": {**whole["element"], field: wrong}})


def filled(sort):
    """A state all whose parts are there."""
    values = {}
    for one in attrs.fields(sort):
        if one.name not in {"ts", "name", "data"}:
            values[one.name] = 7 if "int" in one.type and "str" not in one.type else "x"
    return sort(ts=1, **values)


@pytest.mark.parametrize("sort", STATES)
def test_states_have_exactly_their_own_fields(sort):
    state = filled(sort)
    whole = line(Channel(uuid="u", state=state))
    assert is_valid(whole)
    data = whole["element"]["state"]["data"]
    assert {*data} == {*names(sort)} - {"ts", "name", "data"}
    for name in data:
        data[name], before = [1], data[name]
        assert not is_valid(whole), name
        data[name] = before
    data["nonsense"] = 1
    assert not is_valid(whole)


def test_unknown_state():
    """Its name and its time are there, and no parts; a known name does not hide among them."""
    whole = line(Channel(uuid="u", state=OtherState(ts=1, name="dreaming", data=("of", "it"))))
    assert whole["element"]["state"] == {"ts": 1, "name": "dreaming", "data": {}}
    assert is_valid(whole)
    whole["element"]["state"] = {"ts": 1, "name": "ivr", "data": {"ivr_id": ["no"]}}
    assert not is_valid(whole)


def test_raw_values():
    """A structured field of another shape is valid as anything but an object."""
    raw = ("what", 1)
    element = Channel(
        uuid="u", state=raw, end_user="x", target=7, other_info=raw, origination=8, tags=True
    )
    assert is_valid(line(element))
    whole = line(Channel(uuid="u", target=Target(type="user"), end_user=EndUsers(count=1)))
    assert is_valid(whole)
    del whole["element"]["target"]["name"]
    assert not is_valid(whole)


def test_other_end_summary():
    """Structures within structures are checked too."""
    whole = line(Channel(uuid="u", other_info=OtherInfo(end_user=EndUsers(count=1))))
    assert is_valid(whole)
    whole["element"]["other_info"]["end_user"]["count"] = "1"
    assert not is_valid(whole)


def test_element_of_an_unknown_kind_is_any_object():
    element = OtherElement(element_name="moon", extra=Extra({"id": 1, "phase": 0.5}))
    whole = line(element)
    assert is_valid(whole)
    assert not is_valid({**whole, "element": [1]})


@pytest.mark.parametrize("missing", ["v", "type", "at", "kind", "event", "key", "element"])
def test_envelope_requires_every_key(missing):
    """A line has all keys of the envelope and no others."""
    whole = line(Channel(uuid="u"))
    assert not is_valid({name: value for name, value in whole.items() if name != missing})
    assert not is_valid({**whole, "more": 1})


@pytest.mark.parametrize(
    "at",
    ["2026-01-02T03:04:05.678901", "2026-01-02 03:04:05.678901+00:00", "noon", 1767323045],
)
def test_times_have_a_time_zone(at):
    """``at`` is ISO 8601 with a time zone and microseconds."""
    whole = line(Channel(uuid="u"))
    assert whole["at"] == "2026-01-02T03:04:05.678901+00:00"
    assert not is_valid({**whole, "at": at})
    assert not is_valid({**whole, "v": 2})


def test_state_document_contains_elements():
    """Elements of known kinds match their schema; other kinds contain objects."""
    document = with_envelope(
        BEGIN, None, {"type": "state", "elements": {"channel": [to_dict(Channel())], "moon": [{}]}}
    )
    assert is_valid(document)
    document["elements"]["channel"][0]["user_id"] = "7"
    assert not is_valid(document)
    document["elements"] = {"moon": [1]}
    assert not is_valid(document)


def test_schema_covers_every_element_and_state():
    defs = build_schema()["$defs"]
    assert {sort.__name__ for sort in ELEMENTS} <= {*defs}
    found = [one["properties"]["name"].get("const") for one in defs["State"]["oneOf"]]
    assert {*found} == {sort.name for sort in STATES} | {None}
    assert {sort.name for sort in STATES} == {*record_decoder._STATE_DECODERS}
    assert issubclass(Calling, State)
    assert all(issubclass(one, AnyChannel) for one in ELEMENTS if "state" in names(one))
