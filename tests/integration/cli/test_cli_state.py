"""``state``: the picture, once, as tables or as a document; and when there is none."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from support.cli_runner import run, run_here, start
from support.example_connections import environment_of
from support.free_ports import free_port
from support.scripted_source import Scripted, printed
from support.sizes import NIGHTLY

from basix_ws_cti import InfoEvent, InitialInfo, OtherElement
from basix_ws_cti.cli.commands.state import StateOptions, print_source_state
from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.elements import Extra
from basix_ws_cti.simulator import Simulator, faults, frames

VALIDATOR = Draft202012Validator(build_schema())


def busy(pbx):
    """Somebody rings, somebody talks, somebody is parked, somebody waits."""
    pbx.call("0312341234", to="1001")
    line = pbx.call("09011112222", to="1002")
    pbx.answer(line)
    parked = pbx.call("0312341234", to="1003")
    pbx.answer(parked)
    pbx.park(parked)
    pbx.call("09011112222", to="1900")


@pytest.mark.parametrize("older", [True, False][: None if NIGHTLY else 1])
def test_tables(older):
    """Tables show who talks, rings, waits and is parked, users and what they do, and groups."""
    with Simulator(calls=False, older=older) as pbx:
        busy(pbx)
        done = run_here("state", env=environment_of(pbx))
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    kinds = {"queued_channel", "parked_channel"} if older else {"channel_waiting"}
    assert {*re.findall(r"^(\w+): \d+", text, re.MULTILINE)} == {
        *kinds, "channel", "user", "group", "terminal",
    }  # fmt: skip
    assert re.search(r"山田 太郎 \(0312341234\) -> 佐藤 健 +│ ringing +│ \d+:\d\d", text)
    assert re.search(r"parked on 9\d\d by 高橋 一郎", text)
    assert re.search(r"鈴木 花子 +│ 1002 +│ 0 +│ talking with .*09011112222", text)
    assert re.search(r"サポート +│ 1900 +│ 佐藤 健, .*│ 1 +│ \d+:\d\d", text)
    assert re.search(r"term1 +│ 佐藤 健 +│ yes", text)


def test_tables_are_straight():
    """Wide characters take two columns: each table is as wide from top to bottom."""
    with Simulator(calls=False) as pbx:
        busy(pbx)
        done = run_here("state", env=environment_of(pbx))
    rows = [line for line in done.stdout.splitlines() if line[:1] in "┏┃┡│└"]
    tables = re.split(r"(?<=┘)\n", "\n".join(rows))
    for table in filter(None, tables):
        assert len({cell_len(line) for line in table.splitlines()}) == 1, table


def test_a_narrow_terminal():
    """At a terminal it stays within its width."""
    with Simulator(calls=False) as pbx:
        busy(pbx)
        done = run_here("state", env={**environment_of(pbx), "FORCE_COLOR": "1", "COLUMNS": "60"})
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert plain != done.stdout
    assert max(map(cell_len, plain.splitlines())) <= 60


@pytest.mark.parametrize("older", [False, True][: None if NIGHTLY else 1])
def test_a_document(older):
    """``--json`` is one valid document with what a correct client must hold."""
    with Simulator(calls=False, older=older) as pbx:
        busy(pbx)
        done = run("state", "--json", env=environment_of(pbx))
        expected = pbx.snapshot()
    assert done.returncode == 0
    (document,) = map(json.loads, done.stdout.splitlines())
    VALIDATOR.validate(document)
    told = {kind: elements for kind, elements in document["elements"].items() if elements}
    assert told == {kind: [*one.values()] for kind, one in expected.items() if one}


def test_kinds():
    """``--kind`` selects, in the order given; a kind of which there is nothing is empty."""
    with Simulator(calls=False) as pbx:
        env = environment_of(pbx)
        done = run_here("state", "--json", "--kind", "group", "--kind", "moon", env=env)
        tables = run_here(
            "state", "--kind", "domain", "--kind", "channel", "--kind", "group_member", env=env
        )
    assert {kind: len(told) for kind, told in json.loads(done.stdout)["elements"].items()} == {
        "group": 1,
        "moon": 0,
    }
    assert re.findall(r"^\w+: \d+", tables.stdout, re.MULTILINE) == [
        "domain: 1", "channel: 0", "group_member: 5",
    ]  # fmt: skip


def test_any_source():
    """Any source will do, and elements of kinds that nobody knows are shown by their names."""
    moon = OtherElement(element_name="moon", extra=Extra({"id": 1, "name": "Luna"}))
    told = [
        *frames("parked", seed=1)[:14],
        InitialInfo("moon", {}),
        InfoEvent("moon", moon, "added"),
    ]
    lines = printed(print_source_state(Scripted(told), StateOptions()))
    assert any("Luna" in line for line in lines)
    (document,) = printed(print_source_state(Scripted(told), StateOptions(json=True)))
    VALIDATOR.validate(json.loads(document))


# -- when there is none --------------------------------------------------------------------


def test_a_pbx_that_says_nothing():
    """A PBX that does not say in time what there is, is a failure of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        env = {
            "BASIX_SERVER": f"ws://127.0.0.1:{server.getsockname()[1]}",
            "BASIX_DOMAIN": "demo",
            "BASIX_TOKEN": "secret-of-nobody",
        }
        done = run_here("state", "--timeout", "0.5", env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert "within 0.5 s" in done.stderr


def test_a_snapshot_that_ends_early():
    """A connection that breaks before the picture is whole is one, too."""
    with Simulator(calls=False) as pbx:
        pbx.inject(faults.DropDuringSnapshot(3))
        done = run("state", env=environment_of(pbx))
    assert (done.returncode, done.stdout) == (4, "")


def test_nobody_listens():
    """A PBX that can't be reached is told at once; with ``--wait`` it is tried again."""
    port = free_port()
    env = {
        "BASIX_SERVER": f"ws://127.0.0.1:{port}",
        "BASIX_DOMAIN": "demo",
        "BASIX_TOKEN": "secret-of-nobody",
    }
    done = run("state", env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "cannot connect" in done.stderr
    with start("state", "--wait", "--json", env=env) as process:
        assert "retrying in" in process.stderr.readline()
        with Simulator(calls=False, port=port, domain="demo", token="secret-of-nobody"):
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    VALIDATOR.validate(json.loads(out))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_waiting(sign):
    """Ctrl-C and SIGTERM end the waiting with 130."""
    env = {"BASIX_SERVER": "ws://127.0.0.1:9", "BASIX_DOMAIN": "d", "BASIX_TOKEN": "secret"}
    with start("state", "--wait", env=env) as process:
        process.stderr.readline()
        process.send_signal(sign)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_wrong_token():
    """A refused login is 3, told in one line."""
    with Simulator(calls=False) as pbx:
        done = run_here("state", env={**environment_of(pbx), "BASIX_TOKEN": "wrong-token"})
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "wrong-token" not in done.stderr


def test_nobody_reads():
    """A reader who is gone before there is anything to read is no error."""
    with (
        Simulator(calls=False) as pbx,
        start("state", "--json", env=environment_of(pbx)) as process,
    ):
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
