"""Conformance sessions: frames written by Erlang and the calls of the reference library."""

from __future__ import annotations

import json

import pytest
from support import etf_encoder
from support.cases import for_each
from support.etf_encoder import BERT_NIL, Atom, Charlist
from support.paths import DATA

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, MessageParser, Msg, SystemMsg, to_dict

FILE = DATA / "conformance.jsonl"
SESSIONS = {
    session["session"]: session
    for session in map(json.loads, FILE.read_text(encoding="utf-8").strip().split("\n"))
}
FORMS = (
    "string/minor1",
    "string/minor2",
    "string/compressed2",
    "atom/minor2",
    "binary/compressed",
)

# Kinds whose elements have an integer as id. Channels have a text.
KINDS_WITH_IDS = {"user", "group", "group_member", "terminal", "domain"}

each_session = pytest.mark.parametrize("name", SESSIONS)
each_form = pytest.mark.parametrize("form", FORMS)


def plain(element):
    """Return an element as in the file: a dict without the keys that have no value."""
    return without_none(to_dict(element))


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_none(part) for part in value]
    return value


def plain_all(elements):
    return {key: plain(element) for key, element in elements.items()}


def expected_calls(calls):
    """Yield the calls of a frame, with the keys of elements in their Python type."""
    for name, *arguments in calls:
        if name != "on_initial_info":
            yield [name, *arguments]
            continue
        kind, elements = arguments
        read_key = int if kind in KINDS_WITH_IDS else str
        yield [name, kind, {read_key(key): value for key, value in elements.items()}]


def assert_same(calls, expected):
    """Assert that calls are equal in values and types: ``==`` alone equates 1 and True."""
    assert calls == expected
    assert json.dumps(calls, sort_keys=True) == json.dumps(expected, sort_keys=True)
    keys = [{key: type(key) for key in call[2]} for call in calls if call[0] == "on_initial_info"]
    assert keys == [
        {key: type(key) for key in call[2]} for call in expected if call[0] == "on_initial_info"
    ]


def wire(session, form):
    return [bytes.fromhex(text) for text in session["wire"][form]]


def run_callbacks(session, form, as_frame=bytes):
    """Yield the calls that each frame of a session causes."""
    calls = []
    parser = MessageParser(
        on_initial_info=lambda name, elements: calls.append(
            ["on_initial_info", name, plain_all(elements)]
        ),
        on_info_event=lambda name, element, event: calls.append(
            ["on_info_event", name, plain(element), event]
        ),
        on_system_msg=lambda text: calls.append(["on_system_msg", text]),
        on_msg=lambda text: calls.append(["on_msg", text]),
        base_url=session["base_url"],
    )
    for frame in wire(session, form):
        calls.clear()
        parser.handle_message(as_frame(frame))
        yield list(calls)


def as_calls(message):
    """Return the calls that correspond to a message."""
    match message:
        case FieldSpec():
            return []
        case InitialInfo(name, elements):
            return [["on_initial_info", name, plain_all(elements)]]
        case InfoEvent(name, element, event_name):
            return [["on_info_event", name, plain(element), event_name]]
        case SystemMsg(text):
            return [["on_system_msg", text]]
        case Msg(text):
            return [["on_msg", text]]
    raise AssertionError(message)


def test_file_has_all_sessions_and_encodings():
    """It has 25 sessions in five encodings, and a list of calls for each frame."""
    assert len(SESSIONS) == 25
    for session in SESSIONS.values():
        assert set(session["wire"]) == set(FORMS)
        for form in FORMS:
            assert len(session["wire"][form]) == len(session["calls"]) > 0


@each_session
@each_form
def test_frames_cause_the_listed_calls(name, form):
    """This holds for every frame of every session in every encoding."""
    session = SESSIONS[name]
    for calls, expected in zip(run_callbacks(session, form), session["calls"], strict=True):
        assert_same(calls, list(expected_calls(expected)))


@each_session
@each_form
def test_parse_returns_messages_equal_to_the_calls(name, form):
    session = SESSIONS[name]
    parser = MessageParser(base_url=session["base_url"])
    for frame, expected in zip(wire(session, form), session["calls"], strict=True):
        assert_same(as_calls(parser.parse(frame)), list(expected_calls(expected)))


@each_form
@for_each("as_frame", [bytearray, memoryview])
def test_frames_may_be_bytearrays_and_memoryviews(form, as_frame):
    session = SESSIONS["end_users_base_url"]
    sent = run_callbacks(session, form, as_frame)
    for calls, expected in zip(sent, session["calls"], strict=True):
        assert_same(calls, list(expected_calls(expected)))


def test_all_encodings_give_equal_messages():
    for session in SESSIONS.values():
        messages = []
        for form in FORMS:
            parser = MessageParser(base_url=session["base_url"])
            messages.append([parser.parse(frame) for frame in wire(session, form)])
        assert all(other == messages[0] for other in messages)


@for_each(
    "name, written",
    [
        (
            "msg",
            [
                etf_encoder.frame((Atom("msg"), "hello")),
                etf_encoder.frame((Atom("msg"), "こんにちは")),
                etf_encoder.frame((Atom("msg"), Atom("ping"))),
            ],
        ),
        (
            "missing_values",
            [
                etf_encoder.field_spec("user", "id", "name", "email"),
                etf_encoder.info_event("user", (1, "a")),
            ],
        ),
        (
            "domain_info",
            [
                etf_encoder.field_spec("domain", "id", "name", "label", "flags"),
                etf_encoder.info_event("domain", (1, "acme", "アクメ", 0)),
            ],
        ),
        (
            "empty_initial_info",
            {
                2: etf_encoder.initial_info("channel"),
                3: etf_encoder.frame((Atom("initial_info"), Charlist("channel"), BERT_NIL)),
            },
        ),
    ],
)
def test_encoder_of_the_tests_equals_erlang(name, written):
    """The encoder writes the same bytes as ``term_to_binary``."""
    sent = wire(SESSIONS[name], "string/minor2")
    pairs = written.items() if isinstance(written, dict) else enumerate(written)
    for position, frame in pairs:
        assert frame == sent[position]
