"""Checks of a complete fan-out stream, as any reader of its documentation would write them."""

from __future__ import annotations

import json
from collections import Counter

from attrs import define, field

from basix_ws_cti import Client
from basix_ws_cti.fanout.element_json import element_to_json
from support.waiting import eventually


@define
class StreamFacts:
    """What a stream that was not trimmed says."""

    elements: dict = field(factory=dict)
    """JSON of the elements, by kind and key."""
    call_keys: Counter = field(factory=Counter)
    """Number of entries for each key of a call event."""
    publishers: list = field(factory=list)
    """Publishers of the epochs, oldest first."""
    types: Counter = field(factory=Counter)
    """Number of entries of each type."""
    texts: list = field(factory=list)
    """Texts of the messages ``msg``."""


def read_stream(entries):
    """Return the facts of a stream; fail if its entries are not contiguous or in disorder."""
    facts = StreamFacts()
    last = None
    for raw_id, fields in entries:
        entry_id = tuple(map(int, raw_id.split(b"-")))
        assert fields[b"prev"] == (raw_id_of(last) or b"0-0"), (raw_id, fields[b"prev"])
        if last is None or entry_id[0] != last[0]:
            assert entry_id[1] == 0, raw_id
            assert fields[b"type"] == b"epoch", raw_id
        else:
            assert entry_id[1] == last[1] + 1, raw_id
        last = entry_id
        apply_entry(facts, fields[b"type"].decode(), json.loads(fields[b"data"]))
    return facts


def raw_id_of(entry_id):
    return None if entry_id is None else b"%d-%d" % entry_id


def apply_entry(facts, entry_type, data):
    facts.types[entry_type] += 1
    match entry_type:
        case "epoch":
            facts.publishers.append(data["publisher"])
        case "snapshot":
            facts.elements.clear()
        case "snapshot_elements":
            facts.elements |= {(data["kind"], key): one for key, one in data["elements"]}
        case "element" if data["event"] == "removed":
            facts.elements.pop((data["kind"], data["key"]), None)
        case "element":
            facts.elements[data["kind"], data["key"]] = data["element"]
        case "call":
            facts.call_keys[data["key"]] += 1
        case "msg":
            facts.texts.append(data["text"])


def elements_of(mirror):
    """Return the elements of a mirror in the shape of ``StreamFacts.elements``."""
    return {
        (kind, key): json.loads(json.dumps(element_to_json(element)))
        for kind in mirror
        for key, element in mirror[kind].items()
    }


async def agrees(server, pbx, text):
    """Check that the stream, after a message ``text``, ends with the state of the PBX.

    Returns the facts of the entries that the stream still has.
    """
    pbx.msg(text)
    await eventually(lambda: server.has_message(text))
    facts = read_stream(server.entries())
    # Publishers may use up the connections of their app_name.
    arguments = {**pbx.connect_args, "app_name": "reference"}
    async with Client(**arguments, full_events=True) as client:
        await client.synced()
        assert facts.elements == elements_of(client.mirror)
    return facts
