"""Option ``--alerts`` of ``listen`` and ``replay``: lines, JSON, order and errors."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from jsonschema import Draft202012Validator
from support.cli_runner import run_in_process
from support.example_connections import connection_environment
from support.redis_server import RedisServer
from support.simulated_day import record_day

from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.simulator import Simulator


@pytest.fixture(scope="module")
def recording_path(tmp_path_factory):
    """Path of a recording of five minutes of the simulated PBX, whose clock it has."""
    path = tmp_path_factory.mktemp("days") / "day.rec"
    record_day(path, 300, started=dt.datetime(2025, 1, 1, tzinfo=dt.UTC), users=8)
    return path


def replayed(path, *arguments):
    done = run_in_process("replay", path, "--at-once", "--timezone", "UTC", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def queue(recording_path):
    """Name of a queue in which a call of the recording waits."""
    for line in replayed(recording_path, "--calls", "--json"):
        for phase in json.loads(line)["call"]["phases"]:
            if phase["kind"] == "queued" and phase["party"]["group_id"] is not None:
                return str(phase["party"]["group_id"])
    raise AssertionError("no call waits in the recording")


@pytest.mark.slow
def test_json_lines_of_alerts_have_the_recorded_time(recording_path, queue):
    rules = ("--alerts", "waiting>0", "--alerts", f"longest-wait>5s,end=0s@{queue}")
    lines = [
        json.loads(line)
        for line in replayed(recording_path, *rules, "--only-alerts", "--json", "--calls")
    ]
    validator = Draft202012Validator(build_schema())
    for line in lines:
        validator.validate(line)
    assert {line["type"] for line in lines} == {"alert"}
    by_rule = {line["rule"]: [] for line in lines}
    assert set(by_rule) == {"waiting>0", f"longest-wait>5s,end=0s@{queue}"}
    for line in lines:
        by_rule[line["rule"]].append(line)
    for alerts in by_rule.values():
        states = [line["state"] for line in alerts]
        assert states == ["raised", "ended"] * (len(states) // 2) + ["raised"] * (len(states) % 2)
        for line in alerts:
            at = dt.datetime.fromisoformat(line["at"]).timestamp() * 1e6
            assert at == pytest.approx(line["time"], abs=2)
    waits = by_rule[f"longest-wait>5s,end=0s@{queue}"]
    assert {line["value"] for line in waits if line["state"] == "raised"} == {5.000001}
    assert {line["group_id"] for line in waits} == {int(queue)}


@pytest.mark.slow
def test_text_lines_of_alerts_come_among_the_events(recording_path):
    lines = replayed(recording_path, "--alerts", "waiting>0", "--calls")
    without = replayed(recording_path, "--calls")
    alerts = [line for line in lines if "waiting>0" in line]
    assert [line for line in lines if "waiting>0" not in line] == without
    assert alerts[0].split()[2:] == [
        "raised",
        "alert",
        "waiting>0",
        *["alert:", "1", "call", "waits"],
    ]
    assert alerts[1].split()[2:] == [
        *("ended", "alert", "waiting>0"),
        *["alert", "over:", "0", "calls", "wait"],
    ]
    before = lines[lines.index(alerts[0]) - 1]
    assert before[:19] == alerts[0][:19]


@pytest.mark.slow
def test_listen_prints_alerts_of_a_simulated_pbx():
    done = run_in_process(
        *("listen", "--simulate", "--simulate-speed", "60", "--only-alerts", "--json"),
        *("--alerts", "waiting>0", "--alerts", "feed-lost>1h", "--limit", "2"),
    )
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert [first["state"], second["state"]] == ["raised", "ended"]
    assert second["raised"] == first["time"] < second["time"]


@pytest.mark.redis
@pytest.mark.slow
def test_listen_reports_a_stream_without_a_publisher(tmp_path):
    with RedisServer(tmp_path) as server:
        done = run_in_process(
            *("listen", "--redis", server.url, "--only-alerts", "--limit", "1"),
            *("--alerts", "feed-lost>0.5s"),
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-6:] == ["feed-lost>0.5s", *["alert:", "no", "feed", "for", "0:00"]]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--alerts", "waits>5"), "alert rule 'waits>5', column 1: unknown figure 'waits'"),
        (("--only-alerts",), "--only-alerts needs a rule: add --alerts"),
    ],
)
def test_option_that_cannot_work_is_refused_before_connecting(arguments, problem):
    done = run_in_process("listen", "--server", "pbx.invalid", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr


@pytest.mark.slow
def test_unknown_queue_is_refused_once_the_snapshot_is_there():
    with Simulator(calls=False) as pbx:
        environment = connection_environment(pbx)
        done = run_in_process("listen", "--alerts", "waiting>5@nobody", env=environment)
        accepted = run_in_process(
            *("listen", "--alerts", "waiting>5@nobody", "--allow-unknown", "--limit", "1"),
            env=environment,
        )
    assert done.returncode == 2
    assert "unknown queue 'nobody'; no id, extension, name or label matches" in done.stderr
    assert accepted.returncode == 0
