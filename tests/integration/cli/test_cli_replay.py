"""``replay``, as a process of its own: what was recorded, in every form in which it can be seen."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import signal

import pytest
from support.cli_runner import run, run_here, start
from support.simulated_day import frames
from support.wallboard_screens import Terminal

from basix_ws_cti.recording import Frame, Recorder, read_recording


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A recording of some minutes of the simulated PBX."""
    path = tmp_path_factory.mktemp("days") / "day.rec"
    with Recorder(path, started=dt.datetime(2025, 1, 1, tzinfo=dt.UTC)) as recorder:
        recorder.connected()
        for at, frame in frames(300, users=8):
            recorder.write(Frame(at + 1, frame))
    return path


def replayed(*arguments):
    done = run_here("replay", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def objects(*arguments):
    return [json.loads(line) for line in replayed(*arguments, "--json")]


def test_replay_prints_lines_with_recorded_times(day):
    lines = replayed(day, "--at-once", "--timezone", "UTC")
    assert any("佐藤" in line for line in lines)
    assert all(line.startswith("2025-01-01 00:") for line in lines)
    found = objects(day, "--at-once")
    assert len(found) > 100
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)


def test_speed_does_not_change_the_output(day):
    """Filters and limits are those of ``listen``."""
    whole = objects(day, "--at-once", "--kind", "user")
    assert objects(day, "--speed", 1000, "--kind", "user") == whole
    assert {one["kind"] for one in whole} == {"user"}
    assert len(replayed(day, "--at-once", "--limit", 3)) == 3


@pytest.mark.slow
def test_anonymised_recording_has_the_same_calls(day, tmp_path):
    """Times and types of call events stay; names and numbers differ."""
    other = tmp_path / "given.rec.gz"
    assert run_here("anonymise", day, other).returncode == 0
    one, another = (objects(path, "--at-once", "--calls") for path in (day, other))
    assert len(one) > 50
    for name in ("at", "type", "event"):
        assert [event.get(name) for event in one] == [event.get(name) for event in another]
    assert "0312341234" in str(one)
    assert "0312341234" not in str(another)


def test_state_prints_the_final_state(day):
    (line,) = replayed(day, "--state", "--json")
    picture = json.loads(line)
    last = [one for one in objects(day, "--at-once", "--kind", "user") if one["event"] != "removed"]
    label = last[-1]["element"]["label"]
    assert label in str(picture)
    assert any("佐藤" in line for line in replayed(day, "--state", "--kind", "user"))


@pytest.mark.slow
def test_replay_from_stdin(day):
    done = run("replay", "-", "--at-once", stdin=day.read_text())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == replayed(day, "--at-once")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_while_the_pipe_is_silent(day, tmp_path, number):
    """The command does not wait for the next line, and writes nothing to stderr."""
    lines = day.read_text().splitlines(keepends=True)[:200]
    part = tmp_path / "part.rec"
    part.write_text("".join(lines))
    told = run_here("replay", part, "--at-once").stdout.splitlines(keepends=True)
    with start("replay", "-", "--at-once") as process:
        process.stdin.writelines(lines)
        process.stdin.flush()
        for line in told:
            assert process.stdout.readline() == line
        process.send_signal(number)
        assert process.wait(60) == 130
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_closed_stdout_ends_quietly(day):
    with start("replay", day, "--at-once", "--json") as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_exits_with_130(day, number):
    with start("replay", day) as process:
        assert process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_gaps_in_a_recording_are_reported(day, tmp_path):
    """stderr has each gap with its reason."""
    path = tmp_path / "gap.rec"
    with read_recording(day) as recording:
        entries = [one for one in recording if isinstance(one, Frame)][:16]
    moments = iter(range(1000))
    with Recorder(path, clock=lambda: float(next(moments))) as recorder:
        for _ in range(2):
            recorder.connected()
            for one in entries:
                recorder(one.data)
            recorder.lost(ValueError("secret"))
    done = run_here("replay", path, "--at-once")
    assert done.returncode == 0
    assert "disconnected: ValueError" in done.stderr
    assert "gap in the feed from " in done.stderr


def damaged(lines):
    """Labels of damages, and the lines with each of them done to line 61."""
    whole, line = [line.encode() for line in lines], lines[60].encode()
    yield "cut after a line", b"".join(whole[:60])
    yield "cut in a line", b"".join(whole[:60]) + line[: len(line) // 2]
    yield "garbage", b"".join([*whole[:60], b"\x00\xffgarbage\n", *whole[61:]])
    yield "foreign JSON", b"".join([*whole[:60], b'{"name":"yamada"}\n', *whole[61:]])
    yield "no base64", b"".join([*whole[:60], b'{"at":1,"frame":"?"}\n', *whole[61:]])


@pytest.mark.parametrize("form", [("--at-once", "--json"), ("--state",)])
def test_damaged_recording_is_replayed_up_to_the_damage(day, tmp_path, form):
    """The error names the damaged line; the exit code is 1."""
    path = tmp_path / "damaged.rec"
    lines = day.read_text().splitlines(keepends=True)
    end = {"at": json.loads(lines[59])["at"], "event": "end", "frames": 58}
    path.write_text("".join([*lines[:60], json.dumps(end), "\n"]))
    one = run_here("replay", path, *form)
    for name, data in damaged(lines):
        path.write_bytes(data)
        other = run_here("replay", path, *form)
        assert (one.returncode, other.returncode) == (0, 1), name
        assert one.stdout == other.stdout
        assert one.stdout
        (told,) = other.stderr.splitlines()
        assert f"{path}, line 61: " in told
        assert "yamada" not in told


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
    done = run_here("replay", path)
    assert done.returncode == 1
    assert (done.stdout, problem in done.stderr) == ("", True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_truncated_compressed_recording_is_replayed_up_to_its_end(day, tmp_path):
    path = tmp_path / "day.rec.gz"
    data = gzip.compress(day.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    done = run_here("replay", path, "--at-once", "--json")
    assert done.returncode == 1
    assert "the recording is incomplete: the compressed data is cut off" in done.stderr
    assert len(done.stdout.splitlines()) > 10


def test_usage_errors(day, tmp_path):
    """Invalid options exit with 2, a missing file with 1."""
    assert run_here("replay").returncode == 2
    assert run_here("replay", day, "--top", "--state").returncode == 2
    assert run_here("replay", day, "--speed", 0).returncode == 2
    assert run_here("replay", day, "--timezone", "Nowhere").returncode == 2
    assert run_here("replay", day, "--top").returncode == 2
    assert run_here("replay", tmp_path / "none.rec").returncode == 1


@pytest.mark.slow
def test_top_shows_a_recording_on_the_wallboard(day, tmp_path):
    """The last state stays until the user leaves."""
    path = tmp_path / "given.rec"
    assert run_here("anonymise", day, path).returncode == 0
    with Terminal("replay", path, "--top", "--at-once", columns=120, rows=40) as terminal:
        terminal.wait_for(" ended ")
        terminal.wait_for("Users")
        assert "佐藤" not in terminal.text
        terminal.type("q")
        assert terminal.ends() == 0
