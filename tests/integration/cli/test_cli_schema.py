"""JSON Schema of the output, and the command ``schema``."""

from __future__ import annotations

import json

import attrs
import pytest
from jsonschema import Draft202012Validator
from support.cli_runner import run_in_process
from support.scripted_source import BEGIN, ScriptedSource, capture_lines, printed_lines

from basix_ws_cti import InfoEvent, Lagged, MessageParser, Msg, SystemMsg, UnknownMessage, states
from basix_ws_cti.calls.event_json import with_envelope
from basix_ws_cti.cli.commands.listen import FeedOptions
from basix_ws_cti.cli.commands.state import StateOptions, print_source_state
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

# Scenarios with short output. That of all takes seconds to validate.
QUICK_SCENARIOS = ("inbound_call", "voicemail", "directory_changes")

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


def json_line(element):
    """Return the JSON line of an element as an object."""
    messages = [InfoEvent(element.element_name, element, "updated")]
    (text,) = printed_lines(messages, FeedOptions(json=True))
    return json.loads(text)


def field_names(cls):
    return [one.name for one in attrs.fields(cls) if one.name not in {"extra", "element_name"}]


@pytest.mark.slow
def test_command_prints_the_schema():
    """The output is a valid JSON Schema 2020-12."""
    done = run_in_process("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == build_schema()
    Draft202012Validator.check_schema(build_schema())
    assert build_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    "scenario",
    [
        name if name in QUICK_SCENARIOS else pytest.param(name, marks=pytest.mark.slow)
        for name in SCENARIOS
    ],
)
def test_output_of_every_scenario_is_valid(scenario, older):
    """Lines of messages, lines of calls and the state document match the schema."""
    messages = frames(scenario, seed=3, older=older)
    lines = printed_lines(messages, FeedOptions(json=True))
    calls = printed_lines(messages, FeedOptions(json=True, calls=True))
    document = capture_lines(
        print_source_state(
            ScriptedSource(messages[: len(messages) * 2 // 3]), StateOptions(json=True)
        )
    )
    events = [info for info in map(MessageParser().parse, messages) if isinstance(info, InfoEvent)]
    initial = sum('"event":"initial"' in text for text in lines)
    assert len(lines) - initial == len(events) > 0
    assert calls or scenario == "directory_changes"
    assert len(document) == 1
    for text in lines + calls + document:
        VALIDATOR.validate(json.loads(text))


def test_messages_without_elements_are_valid():
    term = ("news", {"a": 1, 2: (None, 1.5)}, Regex("a.*", ()), BEGIN)
    messages = [SystemMsg("hello"), Msg("there"), UnknownMessage("news", term), Lagged(3)]
    lines = [json.loads(text) for text in printed_lines(messages, FeedOptions(json=True))]
    assert [one["type"] for one in lines] == ["system_msg", "msg", "unknown", "lagged"]
    for one in lines:
        VALIDATOR.validate(one)


@pytest.mark.parametrize("cls", ELEMENTS)
def test_fields_of_elements_have_types(cls):
    """A wrong type, a missing field or a missing element is invalid; an extra field is valid."""
    valid = json_line(cls())
    assert is_valid(valid)
    assert {*valid["element"]} == {*field_names(cls)}
    for name in field_names(cls):
        for wrong in ({"a": 1}, [{"a": 1}]) if name == "state" else ({"a": 1},):
            value = {**valid, "element": {**valid["element"], name: wrong}}
            if wrong != [{"a": 1}]:  # raw, as a structured field may be
                assert not is_valid(value), name
        fewer = {key: value for key, value in valid["element"].items() if key != name}
        assert not is_valid({**valid, "element": fewer}), name
    assert not is_valid({**valid, "element": None})
    assert is_valid(json_line(cls(extra=Extra({"new": {"of": ["any", "shape", 1]}}))))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("user_id", "7"), ("calling_number", 312341234), ("offer_timestamp", 1.5), ("uuid", True)],
)
def test_scalars_have_one_type(field, wrong):
    """Ids are numbers, telephone numbers are texts, times are integers."""
    valid = json_line(Channel(uuid="u"))
    assert not is_valid({**valid, "element": {**valid["element"], field: wrong}})


def filled(cls):
    """Return a state with a value in each field."""
    values = {}
    for one in attrs.fields(cls):
        if one.name not in {"ts", "name", "data"}:
            values[one.name] = 7 if "int" in one.type and "str" not in one.type else "x"
    return cls(ts=1, **values)


@pytest.mark.parametrize("cls", STATES)
def test_states_have_exactly_their_own_fields(cls):
    state = filled(cls)
    valid = json_line(Channel(uuid="u", state=state))
    assert is_valid(valid)
    data = valid["element"]["state"]["data"]
    assert {*data} == {*field_names(cls)} - {"ts", "name", "data"}
    for name in data:
        data[name], before = [1], data[name]
        assert not is_valid(valid), name
        data[name] = before
    data["nonsense"] = 1
    assert not is_valid(valid)


def test_unknown_state_has_no_data():
    """It has a name and a time, but no data; a known name requires its own fields."""
    valid = json_line(Channel(uuid="u", state=OtherState(ts=1, name="dreaming", data=("of", "it"))))
    assert valid["element"]["state"] == {"ts": 1, "name": "dreaming", "data": {}}
    assert is_valid(valid)
    valid["element"]["state"] = {"ts": 1, "name": "ivr", "data": {"ivr_id": ["no"]}}
    assert not is_valid(valid)


def test_raw_values_of_structured_fields_are_valid():
    """A structured field of another shape is valid unless it is an object."""
    raw = ("what", 1)
    element = Channel(
        uuid="u", state=raw, end_user="x", target=7, other_info=raw, origination=8, tags=True
    )
    assert is_valid(json_line(element))
    valid = json_line(Channel(uuid="u", target=Target(type="user"), end_user=EndUsers(count=1)))
    assert is_valid(valid)
    del valid["element"]["target"]["name"]
    assert not is_valid(valid)


def test_nested_structures_are_validated():
    valid = json_line(Channel(uuid="u", other_info=OtherInfo(end_user=EndUsers(count=1))))
    assert is_valid(valid)
    valid["element"]["other_info"]["end_user"]["count"] = "1"
    assert not is_valid(valid)


def test_element_of_an_unknown_kind_is_any_object():
    element = OtherElement(element_name="moon", extra=Extra({"id": 1, "phase": 0.5}))
    valid = json_line(element)
    assert is_valid(valid)
    assert not is_valid({**valid, "element": [1]})


@pytest.mark.parametrize("missing", ["v", "type", "at", "kind", "event", "key", "element"])
def test_envelope_requires_every_key(missing):
    """A line has all keys of the envelope and no others."""
    valid = json_line(Channel(uuid="u"))
    assert not is_valid({name: value for name, value in valid.items() if name != missing})
    assert not is_valid({**valid, "more": 1})


@pytest.mark.parametrize(
    "at",
    ["2026-01-02T03:04:05.678901", "2026-01-02 03:04:05.678901+00:00", "noon", 1767323045],
)
def test_times_have_a_time_zone(at):
    """``at`` is ISO 8601 with a time zone and microseconds."""
    valid = json_line(Channel(uuid="u"))
    assert valid["at"] == "2026-01-02T03:04:05.678901+00:00"
    assert not is_valid({**valid, "at": at})
    assert not is_valid({**valid, "v": 2})


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
    assert {cls.__name__ for cls in ELEMENTS} <= {*defs}
    found = [one["properties"]["name"].get("const") for one in defs["State"]["oneOf"]]
    assert {*found} == {cls.name for cls in STATES} | {None}
    assert {cls.name for cls in STATES} == {cls.name for cls in (Calling, *record_decoder.STATES)}
    assert issubclass(Calling, State)
    assert all(issubclass(one, AnyChannel) for one in ELEMENTS if "state" in field_names(one))
