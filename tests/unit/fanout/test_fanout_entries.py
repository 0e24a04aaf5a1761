"""Format of the stream's entries."""

import json
from datetime import UTC, datetime
from typing import get_args

import attrs
import pytest
from support.simulated_day import frames

from basix_ws_cti import ConnectionLost, MessageParser, Session
from basix_ws_cti.calls.events import CallEnded, CallEvent, CallStarted
from basix_ws_cti.elements import Channel, Domain, OtherElement, User
from basix_ws_cti.fanout import entries
from basix_ws_cti.fanout.entries import (
    CallReported,
    ElementsPart,
    Entry,
    EntryError,
    EpochBegan,
    RelayedError,
    SnapshotBegan,
    SnapshotCalls,
    SnapshotElements,
    SnapshotEnded,
    UnknownEntry,
)
from basix_ws_cti.fanout.entry_decoder import decode, received
from basix_ws_cti.fanout.entry_encoder import (
    call_event_key,
    encode,
    encode_elements,
    encode_epoch,
    encode_snapshot,
)
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId
from basix_ws_cti.messages import InfoEvent, InitialInfo, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Removed
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing

NOW = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
CHANGES = get_args(Change)
CALL_EVENTS = get_args(CallEvent)


def through(entry):
    return decode(entry.type, entry.data)


def state(name, **values):
    return {
        "state": name,
        "reason": None,
        "last_heard": None,
        "retry_in": None,
        "attempt": None,
        **values,
    }


def load(session, snapshot_entries):
    """Complete a session's snapshot from the entries of one."""
    by_kind = {}
    for entry in snapshot_entries:
        item = through(entry)
        if isinstance(item, SnapshotElements):
            by_kind.setdefault(item.kind, {}).update(item.elements)
    list(session.connected())
    for kind, elements in by_kind.items():
        list(session.receive(InitialInfo(kind, elements), 0))
    list(session.idle(1))


@pytest.mark.slow
def test_a_session_that_is_fed_from_entries_agrees_with_the_one_that_was_published():
    source, copy, parser = Session(), Session(), MessageParser()
    events, copied, keys = [], [], []
    source.follow_calls()
    copy.follow_calls()
    list(source.connected())
    for at, frame in frames(60, users=10, rate=40):
        if at and not source.is_synced:
            list(source.idle(1))
            load(copy, encode_snapshot(source.mirror))
        for item in source.receive(parser.parse(frame), at):
            if isinstance(item, CHANGES):
                message = through(encode(item))
                copied += [
                    one
                    for one in copy.receive(message, at)
                    if isinstance(one, (*CHANGES, *CALL_EVENTS))
                ]
                events.append(item)
            elif isinstance(item, CALL_EVENTS):
                events.append(item)
                keys.append(through(encode(item)).key)
    assert copied == events
    assert {type(event) for event in events} >= {Added, Changed, Removed, CallStarted, CallEnded}
    assert {kind: dict(copy.mirror[kind]) for kind in copy.mirror} == {
        kind: dict(source.mirror[kind]) for kind in source.mirror
    }
    assert len(keys) == len({*keys})


@pytest.mark.slow
def test_keys_of_call_events_do_not_depend_on_when_a_publisher_joined():
    first, second, parser = Session(), Session(), MessageParser()
    keys = {first: {}, second: {}}
    for session in (first, second):
        session.follow_calls()
    list(first.connected())
    for at, frame in frames(60, users=10, rate=40):
        message = parser.parse(frame)
        if at and not first.is_synced:
            list(first.idle(1))
        if at > 30 and not second.is_synced:
            load(second, encode_snapshot(first.mirror))
        for session in (first, second) if second.is_synced else (first,):
            for item in session.receive(message, at):
                if isinstance(item, CALL_EVENTS):
                    keys[session][call_event_key(item)] = item
    ends = {key for key, event in keys[second].items() if isinstance(event, CallEnded)}
    partly_seen = {key for key in ends if not keys[second][key].call.complete}
    assert partly_seen
    assert ends <= {*keys[first]}


def test_a_snapshot_of_many_elements_is_split_into_parts():
    session = Session()
    list(session.connected())
    users = {number: User(id=number, name=f"user{number}") for number in range(1, 1001)}
    robots = {0: OtherElement(element_name="robot")}  # without a key: its position is kept
    list(session.receive(InitialInfo("user", users), 0))
    list(session.receive(InitialInfo("robot", robots), 0))
    list(session.idle(1))
    parts = [*encode_snapshot(session.mirror, part_size=10_000)]
    items = [through(part) for part in parts]
    assert items[0] == SnapshotBegan()
    assert items[-1] == SnapshotEnded(len(parts) - 2)
    assert len(parts) > 4
    assert max(len(part.data) for part in parts) < 10_100
    elements = {}
    for item in items[1:-1]:
        assert isinstance(item, SnapshotElements)
        elements.setdefault(item.kind, {}).update(item.elements)
    assert elements == {"user": users, "robot": robots}


def test_an_empty_snapshot_has_no_parts():
    assert [through(one) for one in encode_snapshot(Session().mirror)] == [
        SnapshotBegan(),
        SnapshotEnded(0),
    ]


def test_calls_of_a_snapshot_are_documented_json():
    session = Session()
    session.follow_calls()
    list(session.connected())
    leg = Channel(uuid="u", direction="inbound", offer_timestamp=5)
    list(session.receive(InitialInfo("channel", {"u": leg}), 0))
    list(session.idle(1))
    entry = [*encode_snapshot(session.mirror, session.calls.values())][2]
    assert through(entry) == SnapshotCalls()
    (call,) = json.loads(entry.data)["calls"]
    assert call == json.loads(json.dumps(attrs.asdict(session.calls["u"])))


def test_elements_that_were_sent_again_are_split_into_numbered_parts():
    users = {number: User(id=number) for number in range(1, 4)}
    parts = [through(one) for one in encode_elements("user", users, part_size=1)]
    assert parts == [
        ElementsPart("user", number, 3, {number: User(id=number)}) for number in range(1, 4)
    ]
    assert [through(one) for one in encode_elements("user", {})] == [ElementsPart("user", 1, 1, {})]


@pytest.mark.parametrize(
    ("item", "data", "message"),
    [
        (
            Changed("user", User(id=7, name="b"), User(id=7, name="a")),
            {"kind": "user", "event": "updated", "key": 7, "element": {"id": 7, "name": "b"}},
            InfoEvent("user", User(id=7, name="b"), "updated"),
        ),
        (
            Removed("domain", Domain(id=1)),
            {"kind": "domain", "event": "removed", "key": 1, "element": {"id": 1}},
            InfoEvent("domain", Domain(id=1), "removed"),
        ),
        (SystemMsg("logout"), {"text": "logout"}, SystemMsg("logout")),
        (Msg("日本"), {"text": "日本"}, Msg("日本")),
        (
            UnknownMessage("news", ("news", 1, [2])),
            {"name": "news", "term": ["news", 1, {"$list": [2]}]},
            UnknownMessage("news", ("news", 1, [2])),
        ),
        (Synced(), state("synced"), Synced()),
        (Syncing(), state("syncing"), Syncing()),
        (Connecting(4), state("connecting", attempt=4), Connecting(4)),
        (Stopped(None), state("stopped"), Stopped(None)),
    ],
)
def test_data_of_each_type(item, data, message):
    entry = encode(item)
    assert json.loads(entry.data) == data
    assert through(entry) == message


def test_losses_and_gaps_keep_times_and_reasons():
    lost = ConnectionLost(1006, "no pong within 5 s")
    again = through(encode(Disconnected(lost, 3.0, last_heard=NOW)))
    assert (again.last_heard, again.retry_in) == (NOW, 3.0)
    assert (again.reason.error, str(again.reason)) == ("ConnectionLost", str(lost))
    gap = through(encode(Gap(NOW, NOW, lost)))
    assert (gap.started, gap.ended, str(gap.reason)) == (NOW, NOW, str(lost))
    again = through(encode(Gap(NOW, NOW, gap.reason)))
    assert (again.reason.error, again.reason.text) == ("ConnectionLost", str(lost))
    assert through(encode(Gap(NOW, NOW, None))).reason is None


def test_texts_of_foreign_errors_are_not_published():
    entry = encode(Disconnected(OSError("password hunter2"), None))
    assert b"hunter2" not in entry.data
    assert str(through(entry).reason) == "OSError"


def test_fields_of_an_entry():
    entry = encode_epoch("pbx-1")
    assert through(entry) == EpochBegan("pbx-1")
    fields = entry.fields(at=12, previous=EntryId(5, 3), snapshot=NO_ENTRY)
    assert fields == {
        b"prev": b"5-3",
        b"snapshot": b"0-0",
        b"v": b"1",
        b"at": b"12",
        b"type": b"epoch",
        b"data": b'{"publisher":"pbx-1"}',
    }
    one = received(EntryId(6, 0), {**fields, b"colour": b"\xff"})
    assert (one.id, one.previous, one.snapshot, one.at) == (
        EntryId(6, 0),
        EntryId(5, 3),
        NO_ENTRY,
        12,
    )
    assert (one.type, one.data) == (entry.type, entry.data)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({b"v": b"2"}, "the version of the format is not 1: upgrade this package"),
        ({b"at": b"noon"}, "a field has an unreadable value"),
        ({b"type": b"\xff"}, "a field has an unreadable value"),
        ({b"prev": b"5"}, "a field has an unreadable value"),
        ({b"data": None}, "the field data is missing"),
    ],
)
def test_fields_that_cannot_be_read(change, text):
    fields = {**encode_epoch("a").fields(at=1, previous=NO_ENTRY, snapshot=NO_ENTRY), **change}
    given = {name: value for name, value in fields.items() if value is not None}
    with pytest.raises(EntryError, match=text):
        received(EntryId(1, 0), given)


@pytest.mark.parametrize(
    ("entry_type", "data", "text"),
    [
        ("msg", b'{"text": "\xff"}', "the data of 'msg' is not UTF-8"),
        ("msg", b'{"text": "\xed\xa0\x80"}', "the data of 'msg' is not UTF-8"),
        ("msg", rb'{"text": "\ud800"}', "the data of 'msg' is not UTF-8"),
        ("msg", b'{"text": ', "the data of 'msg' is not JSON"),
        ("msg", b"[" * 100_000, "the data of 'msg' is nested too deeply"),
        ("msg", b'["text"]', "the data of 'msg' has another shape"),
        ("msg", b'{"text": 1}', "the data of 'msg' has another shape"),
        ("msg", b"{}", "the data of 'msg' has another shape"),
        ("unknown", b'{"name": "a", "term": 1}', "the data of 'unknown' has another shape"),
        ("gap", b'{"started": 1e400, "ended": 1}', "the data of 'gap' has another shape"),
        ("gap", b'{"started": NaN, "ended": 1}', "the data of 'gap' has another shape"),
        ("element", b'{"kind": "user", "event": "x", "element": {}}', "has another shape"),
        ("element", b'{"kind": "user", "event": "added", "element": 1}', "has another shape"),
        ("elements", b'{"kind": "user", "part": 0, "parts": 1, "elements": []}', "another shape"),
        ("snapshot_elements", b'{"kind": "user", "elements": [[null, {}]]}', "another shape"),
        ("snapshot_end", b'{"parts": -1}', "has another shape"),
    ],
)
def test_data_that_cannot_be_read(entry_type, data, text):
    with pytest.raises(EntryError, match=text):
        decode(entry_type, data)


@pytest.mark.parametrize(
    ("entry_type", "data", "item"),
    [
        ("weather", b"\xff", UnknownEntry()),
        ("state", b'{"state": "asleep", "reason": null}', UnknownEntry()),
        ("msg", b'{"text": "a", "colour": "red"}', Msg("a")),
        ("call", b'{"key": "k", "event": "held", "call": {}}', CallReported("k")),
    ],
)
def test_unknown_types_and_keys_are_ignored(entry_type, data, item):
    assert decode(entry_type, data) == item


def test_repr_shows_no_content():
    entry = encode(Msg("090-1234-5678"))
    assert "090" not in repr(entry)
    one = received(EntryId(1, 1), entry.fields(at=1, previous=NO_ENTRY, snapshot=NO_ENTRY))
    assert "090" not in repr(one)
    assert isinstance(entry, Entry)
    assert str(RelayedError("ConnectionLost", "")) == "ConnectionLost"
    assert entries.VERSION == 1
