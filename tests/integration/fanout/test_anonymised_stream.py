"""Stream of publishers that replace personal data."""

from __future__ import annotations

import asyncio
import json
import random
from urllib.parse import quote

import pytest
from support.cli_runner import run_in_process, start
from support.etf_encoder import Atom, frame
from support.stream_checks import read_stream
from support.waiting import eventually, wait_until

from basix_ws_cti import Client, UsageError
from basix_ws_cti.fanout import AnonymisingConnector, Publisher
from basix_ws_cti.simulator.faults import Drop
from basix_ws_cti.simulator.scenarios import SCENARIOS

pytestmark = [pytest.mark.redis, pytest.mark.slow]

KEY = b"0123456789abcdef0123456789abcdef"
CALLER = "0312349876"

# Fields of elements with personal data.
PERSONAL = {"label", "email", "calling_name", "calling_number", "called_number", "peer_number"}


def make_publisher(server, pbx, name, key=KEY):
    return Publisher(
        server.url,
        lambda: Client(**pbx.connect_args, full_events=True, connector=AnonymisingConnector(key)),
        name=name,
        with_error_texts=False,
    )


async def texts_of(pbx):
    """Return names and numbers of the PBX: those that are no part of other texts by chance."""
    arguments = {**pbx.connect_args, "app_name": "reference"}
    async with Client(**arguments, full_events=True) as client:
        await client.synced()
        return {
            text
            for kind in client.mirror
            for element in client.mirror[kind].values()
            for name, text in element.to_dict().items()
            if name in PERSONAL and isinstance(text, str) and len(text) > text.isdigit() * 5 + 1
        }


def found(texts, data):
    """Return the texts that are in the data, as they are or in an encoded form."""
    forms = {text: (text, json.dumps(text)[1:-1], quote(text)) for text in texts}
    return {text for text, all_ in forms.items() if any(one.encode() in data for one in all_)}


def all_bytes(server):
    return b"\n".join(
        name + value for _, fields in server.entries() for name, value in fields.items()
    )


async def test_no_name_and_no_number_is_in_any_byte_of_the_stream(redis_server, pbx):
    rng = random.Random(2)
    publisher = make_publisher(redis_server, pbx, "one")
    task = asyncio.create_task(publisher.run())
    await eventually(lambda: redis_server.data("snapshot_end"))
    texts = await texts_of(pbx)
    for name in rng.sample(sorted(SCENARIOS), 8):
        pbx.play(name)
        pbx.advance(5)
        texts |= await texts_of(pbx)
        pbx.advance(600)
    pbx.call(CALLER, to="1001")
    pbx.msg("山田さん、03-1234-9876 へ電話してください")
    await eventually(lambda: redis_server.data("msg"))
    pbx.inject(Drop())
    await eventually(lambda: redis_server.data("gap"))
    task.cancel()
    await asyncio.wait([task])
    data = all_bytes(redis_server)
    texts |= {CALLER, "山田", "1234-9876", "電話"}
    assert len(texts) > 50
    assert found(texts, data) == set()
    facts = read_stream(redis_server.entries())
    # The PBX may write anything into the reason of a lost connection.
    reasons = [json.loads(data)["reason"] for data in redis_server.data("state")]
    assert {"error": "ConnectionLost", "text": ""} in reasons
    assert facts.call_keys  # calls are followed as without pseudonyms
    assert len(facts.elements) > 40


async def test_leader_and_standby_use_the_same_pseudonyms(redis_server, pbx):
    """Else the standby would find other states in the stream, and report a gap."""
    names = iter(("one", "two"))
    publishers = [make_publisher(redis_server, pbx, name) for name in names]
    tasks = [asyncio.create_task(one.run()) for one in publishers]
    await eventually(redis_server.has_standby)
    pbx.call(CALLER, to="1001")
    await eventually(lambda: redis_server.data("call"))
    leader = [one.status.role for one in publishers].index("leader")
    tasks[leader].cancel()
    await asyncio.wait([tasks[leader]])
    await eventually(lambda: publishers[1 - leader].stats.snapshots)
    tasks[1 - leader].cancel()
    await asyncio.wait(tasks)
    facts = read_stream(redis_server.entries())
    assert len(facts.publishers) == 2
    assert facts.types["gap"] == 0
    assert set(facts.call_keys.values()) == {1}


async def test_a_restart_with_the_same_key_gives_the_same_pseudonyms(redis_server, pbx):
    seen = []
    for key in (KEY, KEY, KEY[::-1]):
        redis_server.client.delete("basix")
        publisher = make_publisher(redis_server, pbx, "one", key)
        task = asyncio.create_task(publisher.run())
        await eventually(lambda: redis_server.data("snapshot_end"))
        task.cancel()
        await asyncio.wait([task])
        elements = read_stream(redis_server.entries()).elements
        seen.append({key: one.get("label") for key, one in elements.items() if key[0] == "user"})
    assert seen[0] == seen[1]
    assert not set(seen[0].items()) & set(seen[2].items())


async def test_messages_that_this_version_does_not_know_are_published(redis_server, pbx):
    """With pseudonyms, like everything else."""
    publisher = make_publisher(redis_server, pbx, "one")
    task = asyncio.create_task(publisher.run())
    await eventually(lambda: redis_server.data("snapshot_end"))
    for connection in pbx.connections:
        connection.send([frame((Atom("notice"), b"Yamada", 7))])
    await eventually(lambda: redis_server.data("unknown"))
    task.cancel()
    await asyncio.wait([task])
    [values] = map(json.loads, redis_server.data("unknown"))
    assert values["name"] == "notice"
    assert values["term"][0] == "notice"
    assert values["term"][1] != "Yamada"


def test_command_reads_the_key_from_a_file(redis_server, tmp_path):
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    process = start("publish", redis_server.url, "--simulate", "--anonymise", file)
    wait_until(lambda: redis_server.data("snapshot_end"), "a snapshot")
    process.terminate()
    process.communicate()
    assert "株式会社デモ".encode() not in all_bytes(redis_server)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"short\n", "has fewer than 16 bytes: create one with `openssl rand -base64 32`"),
        (None, "cannot read"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_named(tmp_path, contents, message):
    file = tmp_path / "key"
    if contents is not None:
        file.write_bytes(contents)
    done = run_in_process("publish", "redis://127.0.0.1", "--simulate", "--anonymise", file)
    assert done.returncode == (2 if contents else 1)
    assert message in done.stderr
    assert str(file) in done.stderr
    assert "short" not in done.stderr


@pytest.mark.parametrize("key", [b"", b"x" * 15])
def test_a_short_key_is_refused(key):
    with pytest.raises(UsageError, match="key must have at least 16 bytes"):
        AnonymisingConnector(key)
