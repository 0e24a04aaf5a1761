"""Command ``state``: tables, JSON document and connection failures."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from unittest.mock import patch

import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from support.cli_runner import run_in_process, start
from support.example_connections import connection_environment
from support.free_ports import free_port
from support.garbled_pbx import garbled_pbx
from support.scripted_source import ScriptedSource, capture_lines
from support.sizes import NIGHTLY

from basix_ws_cti import (
    Channel,
    Group,
    GroupMember,
    InfoEvent,
    InitialInfo,
    OtherElement,
    Terminal,
    User,
)
from basix_ws_cti.cli.commands.state import StateOptions, print_source_state
from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.elements import Extra
from basix_ws_cti.simulator import Pbx, Simulator, faults, frames
from basix_ws_cti.simulator.scenarios import populate
from basix_ws_cti.states import Calling, Park

VALIDATOR = Draft202012Validator(build_schema())


def start_calls(pbx):
    """Create one ringing, one answered, one parked and one waiting call."""
    pbx.call("0312341234", to="1001")
    line = pbx.call("09011112222", to="1002")
    pbx.answer(line)
    parked = pbx.call("0312341234", to="1003")
    pbx.answer(parked)
    pbx.park(parked)
    pbx.call("09011112222", to="1900")


@pytest.mark.parametrize("older", [True, False][: None if NIGHTLY else 1])
def test_tables_show_calls_users_and_groups(older):
    """Tables show calls and their states, users and their activity, and groups."""
    with Simulator(calls=False, older=older) as pbx:
        start_calls(pbx)
        done = run_in_process("state", env=connection_environment(pbx))
    assert done.returncode == 0
    # The clock of a simulated PBX starts in the past.
    note = r"basix-ws-cti: PBX clock [\d,]+ days behind: durations end at its newest timestamp\n"
    assert re.fullmatch(note, done.stderr)
    text = done.stdout
    durations = re.findall(r"  (\d+:[\d:]*\d)(?:  |$)", text, re.MULTILINE)
    assert durations
    assert all(len(duration) <= len("0:59") for duration in durations)
    headings = {"Queued calls", "Parked calls"} if older else {"Waiting and parked calls"}
    assert {*re.findall(r"^([\w ]+): \d+", text, re.MULTILINE)} == {
        *headings, "Channels", "Users", "Groups", "Phones",
    }  # fmt: skip
    assert re.search(r"山田 太郎 \(0312341234\) -> 佐藤 健 +ringing +\d+:\d\d", text)
    assert re.search(r"parked on 9\d\d by 高橋 一郎", text)
    assert re.search(r"鈴木 花子 +1002 +talking with .*09011112222\) +\d+:\d\d +0 +10001002", text)
    assert re.search(r"サポート +1900 +1 +\d+:\d\d +佐藤 健, .*ring group +90001001", text)
    assert re.search(r"term1 +佐藤 健 +yes", text)


def test_rows_are_sorted_by_urgency():
    """Channels: waiting, ringing, parked, talking. Users: busy ones first, then by extension."""
    with Simulator(calls=False) as pbx:
        line = pbx.call("09011112222", to="1005")
        pbx.answer(line)
        parked = pbx.call("0312341234", to="1003")
        pbx.answer(parked)
        pbx.park(parked)
        pbx.call("0311112222", to="1004")
        pbx.call("0311113333", to="1900")
        env = connection_environment(pbx)
        text = run_in_process("state", "--kind", "channel", "--kind", "user", env=env).stdout
    channels, users = text.split("\n\n")
    words = [
        re.search(r"waiting for|ringing|parked|talking|calling", line)
        for line in channels.splitlines()[2:]
    ]
    found = [word[0] for word in words if word]
    assert [*dict.fromkeys(found)] == ["waiting for", "ringing", "parked", "talking", "calling"]
    names = [line.split("  ")[0] for line in users.splitlines()[2:]]
    assert names == ["佐藤 健", "鈴木 花子", "高橋 一郎", "Maria Silva", "田中 美咲"]


def printed_at(width, *arguments):
    """Return the tables of a PBX with calls on a terminal of some width, and their escape codes."""
    with Simulator(calls=False) as pbx:
        start_calls(pbx)
        env = {**connection_environment(pbx), "FORCE_COLOR": "1", "COLUMNS": str(width)}
        done = run_in_process("state", *arguments, env=env)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert plain != done.stdout
    return plain


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_tables_fit_the_terminal(width):
    """No row is folded, and a uuid is either complete or left out."""
    text = printed_at(width)
    assert max(map(cell_len, text.splitlines())) <= width
    headings = re.findall(r"^Channels: 9\n(.*)", text, re.MULTILINE)
    is_shown = "UUID" in headings[0]
    assert is_shown == (width >= 100)
    assert bool(re.search(r"-[0-9a-f]{12}$", text, re.MULTILINE)) == is_shown
    assert len(text.splitlines()) == len(printed_at(200).splitlines())


def test_wide_prints_all_columns():
    text = printed_at(60, "--wide")
    assert re.search(
        r"-> 佐藤 健 .* [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", text, re.MULTILINE
    )
    assert "Presence" in text


@pytest.mark.parametrize("older", [False, True][: None if NIGHTLY else 1])
def test_json_document_has_the_complete_state(older):
    with Simulator(calls=False, older=older) as pbx:
        start_calls(pbx)
        done = run_in_process("state", "--json", env=connection_environment(pbx))
        expected = pbx.snapshot()
    assert done.returncode == 0
    (document,) = map(json.loads, done.stdout.splitlines())
    VALIDATOR.validate(document)
    items = {kind: elements for kind, elements in document["elements"].items() if elements}
    assert items == {kind: [*one.values()] for kind, one in expected.items() if one}


@pytest.mark.slow
def test_kind_selects_tables_in_the_given_order():
    """A kind without elements is empty."""
    with Simulator(calls=False) as pbx:
        env = connection_environment(pbx)
        done = run_in_process(
            "state", "--json", "--kind", "group", "--kind", "moon", "--allow-unknown", env=env
        )
        tables = run_in_process(
            "state", "--kind", "domain", "--kind", "channel", "--kind", "group_member", env=env
        )
    assert {kind: len(items) for kind, items in json.loads(done.stdout)["elements"].items()} == {
        "group": 1,
        "moon": 0,
    }
    assert re.findall(r"^[\w ]+: \d+", tables.stdout, re.MULTILINE) == [
        "Domains: 1", "Channels: 0", "Members of groups: 5",
    ]  # fmt: skip


def test_state_of_any_source():
    """Elements of unknown kinds are printed with their names."""
    moon = OtherElement(element_name="moon", extra=Extra({"id": 1, "name": "Luna"}))
    items = [
        *frames("parked", seed=1)[:14],
        InitialInfo("moon", {}),
        InfoEvent("moon", moon, "added"),
    ]
    lines = capture_lines(print_source_state(ScriptedSource(items), StateOptions()))
    assert any("Luna" in line for line in lines)
    (document,) = capture_lines(print_source_state(ScriptedSource(items), StateOptions(json=True)))
    VALIDATOR.validate(json.loads(document))


@pytest.mark.parametrize("width", ["80", "200"])
def test_malformed_elements_have_rows(width):
    """Fields that are missing, or of an unexpected type, are shown as they are or left out."""
    odd = [True, 1.5, "x", -1, None]
    elements = [
        *(User(id=one, label=one, main_extension=one, presence=one) for one in odd),
        *(Group(id=one, label=one, main_extension=one, type=one) for one in odd),
        *(GroupMember(id=one, group_id=one, user_id=one, priority=one) for one in odd),
        *(Terminal(id=one, name=one, assoc_user_id=one, registered=one) for one in odd),
        *(
            Channel(uuid=f"{number}", user_id=one, state=state, calling_number=one)
            for number, one in enumerate(odd)
            for state in (None, ("raw", 1), Park(slot=one, ts=one), Calling(group_id=one, ts=one))
        ),
    ]
    items = [InfoEvent(one.element_name, one, "added") for one in elements]
    kinds = [*dict.fromkeys(one.element_name for one in elements)]
    options = StateOptions(kind=kinds)
    with patch.dict(os.environ, {"FORCE_COLOR": "1", "COLUMNS": width}):
        lines = capture_lines(print_source_state(ScriptedSource(items), options))
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert [line.split(":")[0] for line in plain if re.search(r": \d+$", line)] == [
        "Users", "Groups", "Members of groups", "Phones", "Channels",
    ]  # fmt: skip
    assert max(map(cell_len, plain)) <= int(width)


# -- failures --------------------------------------------------------------------


@pytest.mark.slow
def test_silent_pbx_is_a_connection_error():
    """The snapshot does not arrive within ``--timeout``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        env = {
            "BASIX_SERVER": f"ws://127.0.0.1:{server.getsockname()[1]}",
            "BASIX_DOMAIN": "demo",
            "BASIX_TOKEN": "secret-of-nobody",
        }
        done = run_in_process("state", "--timeout", "0.5", env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert "within 0.5 s" in done.stderr


def test_connection_lost_during_the_snapshot_is_a_connection_error():
    with Simulator(calls=False) as pbx:
        pbx.inject(faults.DropDuringSnapshot(3))
        done = run_in_process("state", env=connection_environment(pbx))
    assert (done.returncode, done.stdout) == (4, "")


def model_of_users(count):
    model = Pbx()
    populate(model, count)
    return model


@pytest.mark.slow
def test_state_follows_a_frame_that_could_not_be_read():
    """The client requests another snapshot; the frame is reported on stderr."""
    with garbled_pbx(model_of_users(3), connections=1) as env:
        done = run_in_process("state", "--json", env=env)
    assert done.returncode == 0
    assert "byte 13: the frame ends before its term is complete" in done.stderr
    assert len(json.loads(done.stdout)["elements"]["user"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--wait",)])
def test_no_state_without_what_could_not_be_read_is_printed(options):
    """A PBX that sends such a frame on each connection ends the command at ``--timeout``."""
    with garbled_pbx(model_of_users(3)) as env:
        done = run_in_process("state", "--json", "--timeout", "1.5", *options, env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert "within 1.5 s" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_wait_retries_an_unreachable_pbx():
    """Without ``--wait`` it is an error at once."""
    port = free_port()
    env = {
        "BASIX_SERVER": f"ws://127.0.0.1:{port}",
        "BASIX_DOMAIN": "demo",
        "BASIX_TOKEN": "secret-of-nobody",
    }
    done = run_in_process("state", env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "cannot connect" in done.stderr
    with start("state", "--wait", "--json", env=env) as process:
        assert "retrying in" in process.stderr.readline()
        with Simulator(calls=False, port=port, domain="demo", token="secret-of-nobody"):
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    VALIDATOR.validate(json.loads(out))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_while_waiting_exits_with_130(signum):
    env = {"BASIX_SERVER": "ws://127.0.0.1:9", "BASIX_DOMAIN": "d", "BASIX_TOKEN": "secret"}
    with start("state", "--wait", env=env) as process:
        process.stderr.readline()
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_refused_login_exits_with_3():
    """The error is one line and does not contain the token."""
    with Simulator(calls=False) as pbx:
        done = run_in_process(
            "state", env={**connection_environment(pbx), "BASIX_TOKEN": "wrong-token"}
        )
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "wrong-token" not in done.stderr


@pytest.mark.slow
def test_closed_stdout_ends_quietly():
    with (
        Simulator(calls=False) as pbx,
        start("state", "--json", env=connection_environment(pbx)) as process,
    ):
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
