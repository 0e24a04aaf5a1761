"""Command ``replay``: output, pipes, signals and damaged recordings."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import signal

import pytest
from jsonschema import Draft202012Validator
from support.cli_runner import run, run_in_process, start
from support.simulated_day import record_day
from support.wallboard_screens import Terminal

from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.recording import Frame, Recorder, read_recording


@pytest.fixture(scope="module")
def recording_path(tmp_path_factory):
    """Path of a recording of five minutes of the simulated PBX."""
    path = tmp_path_factory.mktemp("days") / "day.rec"
    record_day(path, 300, started=dt.datetime(2025, 1, 1, tzinfo=dt.UTC), delay=1, users=8)
    return path


def replayed(*arguments):
    done = run_in_process("replay", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def objects(*arguments):
    return [json.loads(line) for line in replayed(*arguments, "--json")]


def test_replay_prints_lines_with_recorded_times(recording_path):
    lines = replayed(recording_path, "--at-once", "--timezone", "UTC")
    assert any("佐藤" in line for line in lines)
    assert all(line.startswith("2025-01-01 00:") for line in lines)
    found = objects(recording_path, "--at-once")
    assert len(found) > 100
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)


def test_speed_does_not_change_the_output(recording_path):
    """Filters and limits are those of ``listen``."""
    expected = objects(recording_path, "--at-once", "--kind", "user")
    assert objects(recording_path, "--speed", 1000, "--kind", "user") == expected
    assert {one["kind"] for one in expected} == {"user"}
    assert len(replayed(recording_path, "--at-once", "--limit", 3)) == 3


@pytest.mark.slow
def test_anonymised_recording_has_the_same_calls(recording_path, tmp_path):
    """Times and types of call events stay; names and numbers differ."""
    other = tmp_path / "anonymised.rec.gz"
    assert run_in_process("anonymise", recording_path, other).returncode == 0
    one, another = (objects(path, "--at-once", "--calls") for path in (recording_path, other))
    assert len(one) > 50
    for name in ("at", "type", "event"):
        assert [event.get(name) for event in one] == [event.get(name) for event in another]
    assert "0312341234" in str(one)
    assert "0312341234" not in str(another)


def test_state_prints_the_final_state(recording_path):
    (line,) = replayed(recording_path, "--state", "--json")
    document = json.loads(line)
    last = [
        one
        for one in objects(recording_path, "--at-once", "--kind", "user")
        if one["event"] != "removed"
    ]
    label = last[-1]["element"]["label"]
    assert label in str(document)
    assert any("佐藤" in line for line in replayed(recording_path, "--state", "--kind", "user"))


@pytest.mark.slow
def test_replay_from_stdin(recording_path):
    done = run("replay", "-", "--at-once", stdin=recording_path.read_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == replayed(recording_path, "--at-once")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_while_the_pipe_is_silent(recording_path, tmp_path, signum):
    """The command does not wait for the next line, and writes nothing to stderr."""
    lines = recording_path.read_text().splitlines(keepends=True)[:200]
    part = tmp_path / "part.rec"
    part.write_text("".join(lines))
    expected = run_in_process("replay", part, "--at-once").stdout.splitlines(keepends=True)
    with start("replay", "-", "--at-once") as process:
        process.stdin.writelines(lines)
        process.stdin.flush()
        for line in expected:
            assert process.stdout.readline() == line
        process.send_signal(signum)
        assert process.wait(60) == 130
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_closed_stdout_ends_quietly(recording_path):
    with start("replay", recording_path, "--at-once", "--json") as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_exits_with_130(recording_path, signum):
    with start("replay", recording_path) as process:
        assert process.stdout.readline()
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_gaps_in_a_recording_are_reported(recording_path, tmp_path):
    """stderr has each gap with its reason."""
    path = tmp_path / "gap.rec"
    with read_recording(recording_path) as recording:
        entries = [one for one in recording if isinstance(one, Frame)][:16]
    moments = iter(range(1000))
    with Recorder(path, clock=lambda: float(next(moments))) as recorder:
        for _ in range(2):
            recorder.connected()
            for one in entries:
                recorder(one.data)
            recorder.lost(ValueError("secret"))
    done = run_in_process("replay", path, "--at-once")
    assert done.returncode == 0
    assert "disconnected: ValueError" in done.stderr
    assert "gap in the feed from " in done.stderr


def damaged(lines):
    """Yield labels and recordings whose line 61 is damaged."""
    complete, line = [line.encode() for line in lines], lines[60].encode()
    yield "cut after a line", b"".join(complete[:60])
    yield "cut in a line", b"".join(complete[:60]) + line[: len(line) // 2]
    yield "garbage", b"".join([*complete[:60], b"\x00\xffgarbage\n", *complete[61:]])
    yield "foreign JSON", b"".join([*complete[:60], b'{"name":"yamada"}\n', *complete[61:]])
    yield "no base64", b"".join([*complete[:60], b'{"at":1,"frame":"?"}\n', *complete[61:]])


@pytest.mark.parametrize(
    "options", [("--at-once", "--json"), pytest.param(("--state",), marks=pytest.mark.slow)]
)
def test_damaged_recording_is_replayed_up_to_the_damage(recording_path, tmp_path, options):
    """The error names the damaged line; the exit code is 1."""
    path = tmp_path / "damaged.rec"
    lines = recording_path.read_text().splitlines(keepends=True)
    end = {"at": json.loads(lines[59])["at"], "event": "end", "frames": 58}
    path.write_text("".join([*lines[:60], json.dumps(end), "\n"]))
    one = run_in_process("replay", path, *options)
    for name, data in damaged(lines):
        path.write_bytes(data)
        other = run_in_process("replay", path, *options)
        assert (one.returncode, other.returncode) == (0, 1), name
        assert one.stdout == other.stdout
        assert one.stdout
        (error,) = other.stderr.splitlines()
        assert f"{path}, line 61: " in error
        assert "yamada" not in error


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: not a recording"),
        (b"garbage\n", "line 1: not valid JSON"),
        (b'{"some": "JSON"}\n', "line 1: not a recording"),
        (
            b'{"format":"basix_ws_cti recording","version":99}\n',
            "line 1: unsupported recording version 99",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, problem):
    """A file that is not a recording, or has an unsupported version, is refused in one line."""
    path = tmp_path / "day.rec"
    path.write_bytes(content)
    done = run_in_process("replay", path)
    assert done.returncode == 1
    assert (done.stdout, problem in done.stderr) == ("", True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_truncated_compressed_recording_is_replayed_up_to_its_end(recording_path, tmp_path):
    path = tmp_path / "day.rec.gz"
    data = gzip.compress(recording_path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    done = run_in_process("replay", path, "--at-once", "--json")
    assert done.returncode == 1
    assert "the recording is incomplete: the compressed data is cut off" in done.stderr
    assert len(done.stdout.splitlines()) > 10


def test_usage_errors(recording_path, tmp_path):
    """Invalid options exit with 2, a missing file with 1."""
    assert run_in_process("replay").returncode == 2
    assert run_in_process("replay", recording_path, "--top", "--state").returncode == 2
    assert run_in_process("replay", recording_path, "--speed", 0).returncode == 2
    assert run_in_process("replay", recording_path, "--timezone", "Nowhere").returncode == 2
    assert run_in_process("replay", recording_path, "--top").returncode == 2
    assert run_in_process("replay", tmp_path / "none.rec").returncode == 1


@pytest.mark.slow
def test_top_shows_a_recording_on_the_wallboard(recording_path, tmp_path):
    """The last state stays until the user leaves."""
    path = tmp_path / "anonymised.rec"
    assert run_in_process("anonymise", recording_path, path).returncode == 0
    options = ("--top", "--at-once", "--wait-limits", "30,45")
    with Terminal("replay", path, *options, columns=120, rows=60) as terminal:
        terminal.wait_for(" ended ")
        terminal.wait_for("Users")
        assert "佐藤" not in terminal.text
        terminal.type("?")
        terminal.wait_for("a wait of 30 s or more")
        terminal.wait_for("esc Back")  # drawn last: a "q" right after "esc" would be Alt+Q
        terminal.type("\x1b")
        terminal.wait_for(lambda text: "esc Back" not in text and "q Quit" in text)
        terminal.type("q")
        assert terminal.wait_for_exit() == 0


def printed(*arguments):
    done = run_in_process(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "same_as"),
    [
        ("listen --recording {} --recording-speed 0", "replay {} --at-once"),
        (
            "listen --recording {} --recording-speed 1000 --json --calls",
            "replay {} --at-once --json --calls",
        ),
        ("state --recording {}", "replay {} --state"),
        ("state --recording {} --json --kind user", "replay {} --state --json --kind user"),
        ("state --recording {} --calls", "replay {} --state --calls"),
    ],
)
def test_recording_option_shows_the_same_as_replay(command, same_as, recording_path):
    shown, expected = (
        printed(*(word.format(recording_path) for word in line.split()))
        for line in (command, same_as)
    )
    assert shown == expected != ""


@pytest.mark.slow
def test_final_calls_are_the_calls_without_an_end(recording_path, tmp_path):
    """``--state --calls`` prints the calls in progress, as a document that the schema describes."""
    path = tmp_path / "half.rec"
    with (
        read_recording(recording_path) as recording,
        Recorder(path, started=recording.header.started) as recorder,
    ):
        for entry in recording:
            if entry.at < 150:
                recorder.write(entry)
    document = json.loads(printed("replay", path, "--state", "--calls", "--json"))
    Draft202012Validator(build_schema()).validate(document)
    ongoing = {}
    for event in objects(path, "--at-once", "--calls"):
        ongoing[event["call"]["id"]] = event["call"]
        if event["event"] == "ended":
            del ongoing[event["call"]["id"]]
    assert {call["id"] for call in document["calls"]} == ongoing.keys()
    assert len(ongoing) > 1
    heading, _, *rows = printed("replay", path, "--state", "--calls").splitlines()
    assert heading == f"{len(ongoing)} calls"
    assert {row.split()[-1] for row in rows} == ongoing.keys()


@pytest.mark.parametrize("command", ["listen", "state", "top"])
def test_recording_and_simulator_cannot_be_combined(command, recording_path):
    done = run_in_process(command, "--simulate", "--recording", recording_path)
    assert done.returncode == 2
    assert "--recording and --simulate cannot be combined" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("event", "added"), ("user", "1001"), ("group", "1900"), ("number", "1001"), ("limit", 3)],
)
def test_state_refuses_options_that_select_events(option, value, recording_path):
    done = run_in_process("replay", recording_path, "--state", f"--{option}", value)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"--{option} selects events and cannot be combined with --state" in done.stderr


@pytest.mark.parametrize("command", ["listen", "state"])
def test_damage_is_reported_after_the_events_before_it(command, recording_path, tmp_path):
    path = tmp_path / "damaged.rec"
    lines = recording_path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:60]))
    done = run_in_process(command, "--recording", path, "--recording-speed", 0)
    assert done.returncode == 1
    assert done.stdout
    assert f"{path}, line 61: " in done.stderr


@pytest.mark.parametrize("name", ["day.rec", "day.txt", "day.gz"])
def test_compressed_recording_is_recognised_under_any_name(name, recording_path, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(recording_path.read_bytes()))
    assert printed("replay", path, "--at-once", "--limit", 20) == printed(
        "replay", recording_path, "--at-once", "--limit", 20
    )


@pytest.mark.slow
def test_compressed_recording_is_recognised_on_stdin(recording_path, tmp_path):
    path = tmp_path / "day"
    path.write_bytes(gzip.compress(recording_path.read_bytes()))
    for command in (("replay", "-", "--at-once"), ("decode", "--term")):
        outputs = []
        for file in (path, recording_path):
            with file.open("rb") as stdin, start(*command, stdin=stdin) as process:
                outputs.append(process.communicate(timeout=60))
        assert outputs[0] == outputs[1]
        assert outputs[0][0]


@pytest.mark.slow
def test_top_shows_a_recording(recording_path):
    arguments = ("top", "--recording", str(recording_path), "--recording-speed", "0")
    with Terminal(*arguments, columns=120, rows=30) as terminal:
        terminal.wait_for("佐藤")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
