"""JSON Schema of the entries."""

import json
from datetime import UTC, datetime
from typing import get_args

import pytest
from jsonschema import Draft202012Validator
from support.simulated_day import frames

from basix_ws_cti import MessageParser, Session
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.elements import Channel, EndUser, EndUsers, OtherInfo, Target
from basix_ws_cti.exceptions import ConnectionLost
from basix_ws_cti.fanout import entry_decoder
from basix_ws_cti.fanout.entry_encoder import encode, encode_elements, encode_epoch, encode_snapshot
from basix_ws_cti.fanout.entry_schema import build_entry_schema
from basix_ws_cti.messages import Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Added, Change, Gap
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.states import Calling, OtherState, Park

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PUBLISHED = (*get_args(Change), *get_args(CallEvent))


@pytest.fixture(scope="module")
def validator():
    schema = build_entry_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def document(entry):
    return {"type": entry.type, "data": json.loads(entry.data)}


def of_a_day():
    """Yield entries of all types that a simulated day has."""
    session, parser = Session(), MessageParser()
    session.follow_calls()
    list(session.connected())
    for at, frame in frames(60, users=10, rate=40):
        if at and not session.is_synced:
            list(session.idle(1))
        for item in session.receive(parser.parse(frame), at):
            if isinstance(item, PUBLISHED):
                yield encode(item)
        if at > 30:
            yield from encode_snapshot(session.mirror, session.calls.values(), part_size=20_000)
            break
    yield from encode_elements("user", session.mirror.users)


def unusual():
    """Yield entries that a simulated day does not have."""
    yield encode_epoch("one")
    for state in (Connecting(1), Syncing(), Synced(), Stopped(None)):
        yield encode(state)
    yield encode(Disconnected(ConnectionLost(1006), 1.5, last_heard=NOW))
    yield encode(Gap(NOW, NOW, ConnectionLost(1006)))
    for message in (SystemMsg("a"), Msg("b"), UnknownMessage("c", ("c", [1]))):
        yield encode(message)
    end_user = EndUsers(count=1, items=(EndUser(name="a"),))
    for values in (
        {"state": Calling(target_type="user", user_id=1, data=(1, [2]))},
        {"state": OtherState(name="park", data=((1,), [2]))},
        {"state": Park(slot=901)},
        {"state": [1], "tags": ("a",)},
        {"target": Target(id=1), "end_user": end_user},
        {"other_info": OtherInfo(end_user=end_user)},
        {"other_info": {"a": 1}},
    ):
        yield encode(Added("channel", Channel(uuid="u", **values)))


@pytest.mark.slow
def test_every_entry_is_valid(validator):
    seen = set()
    for entry in (*of_a_day(), *unusual()):
        assert [error.message for error in validator.iter_errors(document(entry))] == []
        seen.add(entry.type)
    schema = build_entry_schema()
    assert seen == {one["properties"]["type"]["const"] for one in schema["oneOf"]}
    assert seen == {*entry_decoder.TYPES}


@pytest.mark.parametrize(
    ("entry_type", "data"),
    [
        ("weather", {}),
        ("msg", {"text": 1}),
        ("msg", {}),
        ("gap", {"started": 1.5, "ended": 2, "reason": None}),
        ("element", {"kind": "user", "event": "changed", "key": 1, "element": {}}),
        ("element", {"kind": "user", "event": "added", "key": 1, "element": {"id": {}}}),
        ("snapshot_elements", {"kind": "user", "elements": [[1, {"name": 5}]]}),
        ("snapshot_calls", {"calls": [{}]}),
        ("call", {"event": "started", "key": "k", "call": {}}),
        ("state", {"state": "asleep"}),
    ],
)
def test_other_documents_are_not_valid(validator, entry_type, data):
    assert not validator.is_valid({"type": entry_type, "data": data})
