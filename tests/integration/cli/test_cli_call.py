"""Command ``call`` against a simulated PBX."""

from __future__ import annotations

import json

import pytest
from support.cli_runner import run_in_process
from support.example_connections import connection_environment
from support.free_ports import free_port
from support.secret_scanner import SIMULATOR_TOKEN

from basix_ws_cti.simulator import Simulator


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        pbx.add_terminal("1001")
        yield pbx


def call(pbx, *arguments, **variables):
    """Run ``call`` to its end and check that it does not print the token."""
    done = run_in_process("call", *arguments, env={**connection_environment(pbx), **variables})
    assert SIMULATOR_TOKEN not in done.stdout + done.stderr
    return done


def ringing(pbx):
    """Let the PBX ring the phones; return the legs by uuid."""
    pbx.advance(0.2)
    return {
        uuid: leg
        for uuid, leg in pbx.snapshot()["channel"].items()
        if leg["answer_timestamp"] is None
    }


@pytest.mark.parametrize(
    "user",
    [
        *("1001", "user:10001001", "user:user1", "label:佐藤 健", "did:0500001001"),
        "email:user1@example.com",
    ],
)
def test_user_is_named_in_every_way(pbx, user):
    """One uuid is printed for each of the user's phones, and these ring."""
    label = pbx.snapshot()["user"][10001001]["label"]
    done = call(pbx, f"label:{label}" if user.startswith("label:") else user, "0312345678")
    assert (done.returncode, done.stderr) == (0, "")
    uuids = done.stdout.splitlines()
    assert len(uuids) == 2
    legs = ringing(pbx)
    assert legs.keys() == set(uuids)
    assert {leg["user_id"] for leg in legs.values()} == {10001001}
    assert {leg["called_number"] for leg in legs.values()} == {"0312345678"}


@pytest.mark.parametrize("group", ["1900", "group:90001001", "group:group1", "did:0500001900"])
def test_group_is_called(pbx, group):
    done = call(pbx, "--group", group, "0312345678", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    uuids = json.loads(done.stdout)["uuids"]
    legs = ringing(pbx)
    assert legs.keys() == set(uuids)
    assert {leg["group_id"] for leg in legs.values()} == {90001001}


def test_options_reach_the_pbx(pbx):
    done = call(
        pbx, "1002", "0312345678", "--auto-answer", "--calling-name", "CRM", "--answer-timeout", 9
    )
    (uuid,) = done.stdout.splitlines()
    assert ringing(pbx)[uuid]["calling_name"] == "CRM"
    pbx.advance(1)
    assert pbx.snapshot()["channel"][uuid]["answer_timestamp"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["", "1"], "no user: pass an extension, user:ID or user:NAME"),
        (["user:", "1"], "no user:"),
        (["group:", "1", "--group"], "no group: pass an extension, group:ID"),
        (["phone:7", "1"], "unknown prefix 'phone'"),
        (["lable:7", "1"], "unknown prefix 'lable'; did you mean 'label'?"),
        (["email:a@b", "1", "--group"], "unknown prefix 'email'"),
        (["1900", "1", "--group", "--auto-answer"], "--auto-answer is not possible with --group"),
        (["1001", ""], "destination must not be empty"),
        (["1001", "1", "--calling-name", "佐藤"], "calling_name must be ASCII"),
    ],
)
def test_invalid_argument_is_a_usage_error(pbx, arguments, text):
    done = call(pbx, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert ringing(pbx) == {}


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        ({"BASIX_TOKEN": "wrong"}, 3, "refused the login: HTTP 200, authentication_required"),
        ({"BASIX_SERVER": f"ws://127.0.0.1:{free_port()}"}, 4, "cannot connect"),
        ({"BASIX_SERVER": ""}, 2, "no server: pass --server or set BASIX_SERVER"),
        ({"BASIX_SERVER": "http://pbx.example"}, 2, "unencrypted"),
    ],
)
def test_failed_request_has_an_exit_code(pbx, variables, code, text):
    done = call(pbx, "1001", "1002", **variables)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


def test_unknown_user_is_a_failure(pbx):
    done = call(pbx, "9999", "1002")
    assert (done.returncode, done.stdout) == (1, "")
    assert "result_code 1, user_not_found" in done.stderr
