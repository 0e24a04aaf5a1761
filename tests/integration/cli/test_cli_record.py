"""Commands ``record`` and ``anonymise``."""

from __future__ import annotations

import signal
import stat
import sys
from pathlib import Path

import pytest
from support.cli_runner import run, run_in_process, start
from support.free_ports import free_port
from support.waiting import wait_until

from basix_ws_cti import RecordingError
from basix_ws_cti.recording import Connected, Frame, Lost, read_recording
from basix_ws_cti.simulator import Simulator, faults

SIMULATOR_TOKEN = ("--simulate", "--simulate-speed", "20")
SECONDS = ("--seconds", 2)  # in which the simulator starts on any machine
NAMES = ("佐藤", "user1@example.com")


def read(path):
    with read_recording(path) as recording:
        return recording.header, list(recording)


@pytest.fixture(scope="module")
def recording_path(tmp_path_factory):
    """Path of a recording of two seconds."""
    path = tmp_path_factory.mktemp("days") / "day.rec"
    assert run_in_process("record", path, *SIMULATOR_TOKEN, *SECONDS).returncode == 0
    return path


def file_contains(path, text):
    return path.exists() and text in path.read_text()


@pytest.fixture
def pbx():
    with Simulator(speed=50, users=8) as simulator:
        yield simulator


def connection(pbx):
    arguments = pbx.connect_args
    token = {"BASIX_TOKEN": arguments["token"]}
    return ("--server", pbx.url, "--domain", arguments["domain"], "--full-events"), token


@pytest.mark.parametrize("name", ["day.rec", "day.rec.gz"])
@pytest.mark.slow
def test_recording_is_readable_and_private(tmp_path, name):
    """Only the owner can read the file, and stderr has a summary."""
    path = tmp_path / name
    done = run_in_process("record", path, *SIMULATOR_TOKEN, *SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    header, entries = read(path)
    frames = [one for one in entries if isinstance(one, Frame)]
    assert isinstance(entries[0], Connected)
    size = sum(len(one.data) for one in frames)
    assert f"recorded {len(frames)} frames, {size} bytes, " in done.stderr
    assert not header.anonymised
    assert any(NAMES[0].encode() in one.data for one in frames)
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.slow
def test_recording_contains_no_credentials(tmp_path, pbx):
    """Token and server address are in neither the recording nor the summary."""
    path = tmp_path / "day.rec"
    options, token = connection(pbx)
    done = run_in_process("record", path, *options, *SECONDS, env=token)
    assert done.returncode == 0, done.stderr
    text = path.read_text() + done.stderr
    assert not [one for one in (token["BASIX_TOKEN"], pbx.url, "127.0.0.1") if one in text]


@pytest.mark.slow
def test_reconnects_are_recorded(tmp_path, pbx):
    """The recording has the lost connection, its reason, and the frames after it."""
    path = tmp_path / "day.rec"
    options, token = connection(pbx)
    with start("record", path, *options, env=token) as process:
        wait_until(lambda: file_contains(path, '"frame"'))
        pbx.inject(faults.Drop())
        wait_until(lambda: path.read_text().count('"connected"') == 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "retrying in" in err
    assert "Traceback" not in err
    _, entries = read(path)
    events = [type(one) for one in entries if not isinstance(one, Frame)]
    assert events == [Connected, Lost, Connected]
    (lost,) = [one for one in entries if isinstance(one, Lost)]
    assert lost.error == "ConnectionLost"
    assert lost.text in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_completes_the_recording(tmp_path, signum):
    """The exit code is 130."""
    path = tmp_path / "day.rec"
    with start("record", path, *SIMULATOR_TOKEN) as process:
        wait_until(lambda: file_contains(path, '"frame"'))
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "recorded " in err
    assert read(path)[1]


@pytest.mark.slow
def test_existing_file_is_kept_without_overwrite(tmp_path):
    path = tmp_path / "day.rec"
    path.write_text("mine")
    done = run_in_process("record", path, *SIMULATOR_TOKEN, *SECONDS)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert path.read_text() == "mine"
    assert run_in_process("record", path, *SIMULATOR_TOKEN, *SECONDS, "--overwrite").returncode == 0
    assert read(path)[1]


def test_failed_start_creates_no_file(tmp_path, pbx):
    path = tmp_path / "day.rec"
    options, _ = connection(pbx)
    done = run_in_process("record", path, *options, env={"BASIX_TOKEN": "wrong"})
    assert done.returncode == 3
    assert "nothing recorded" in done.stderr
    assert run_in_process("record", path).returncode == 2
    assert run_in_process("record", path, *SIMULATOR_TOKEN, "--seconds", "never").returncode == 2
    assert not path.exists()


def test_unwritable_file_is_an_error(tmp_path):
    path = tmp_path / "folder" / "day.rec"
    done = run_in_process("record", path, *SIMULATOR_TOKEN)
    assert done.returncode == 1
    assert f"cannot write {path}: there is no folder {path.parent}: create it" in done.stderr
    if Path("/dev/full").exists():
        done = run_in_process("record", "/dev/full", "--overwrite", *SIMULATOR_TOKEN)
        assert done.returncode == 1
        assert "cannot write /dev/full: no space left on the device" in done.stderr


@pytest.mark.slow
def test_record_to_stdout(tmp_path):
    """The command ends when its reader closes the pipe."""
    done = run("record", "-", *SIMULATOR_TOKEN, *SECONDS)
    assert done.returncode == 0
    path = tmp_path / "day.rec"
    path.write_text(done.stdout)
    assert read(path)[1]
    with start("record", "-", *SIMULATOR_TOKEN) as process:
        assert "basix_ws_cti recording" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_record_anonymises_on_request(tmp_path):
    """``--anonymise`` replaces names while recording, and the header says so."""
    path = tmp_path / "day.rec"
    assert run_in_process("record", path, *SIMULATOR_TOKEN, "--anonymise", *SECONDS).returncode == 0
    header, entries = read(path)
    assert header.anonymised
    data = b"".join(one.data for one in entries if isinstance(one, Frame))
    assert b"user" in data
    assert not [name for name in NAMES if name.encode() in data]


@pytest.mark.slow
def test_anonymise_replaces_names_and_keeps_times(recording_path, tmp_path):
    """The source file does not change."""
    target = tmp_path / "anonymised.rec.gz"
    before = recording_path.read_bytes()
    done = run_in_process("anonymise", recording_path, target)
    assert done.returncode == 0, done.stderr
    header, entries = read(recording_path)
    after, replaced = read(target)
    assert (after.started, after.anonymised) == (header.started, True)
    assert [(type(one), one.at) for one in replaced] == [(type(one), one.at) for one in entries]
    data = b"".join(one.data for one in replaced if isinstance(one, Frame))
    assert not [name for name in NAMES if name.encode() in data]
    done = run("anonymise", "-", "-", stdin=recording_path.read_text())
    assert done.returncode == 0
    assert '"anonymised":true' in done.stdout
    for more in ((), ("--overwrite",)):
        assert run_in_process("anonymise", recording_path, recording_path, *more).returncode == 2
    assert run_in_process("anonymise", recording_path, target).returncode == 2
    assert recording_path.read_bytes() == before


@pytest.mark.slow
def test_anonymise_keeps_entries_before_the_damage(recording_path, tmp_path):
    """The error names the damaged line."""
    path, target = tmp_path / "day.rec", tmp_path / "anonymised.rec"
    text = recording_path.read_text()
    path.write_text(text[: len(text) // 2])
    complete_lines = text[: len(text) // 2].count("\n")
    done = run_in_process("anonymise", path, target)
    assert done.returncode == 1
    assert f"line {complete_lines + 1}: " in done.stderr
    assert len(read(target)[1]) == complete_lines - 1
    path.write_text("garbage")
    done = run_in_process("anonymise", path, tmp_path / "other.rec")
    assert done.returncode == 1
    assert (
        "line 1: not valid JSON" in done.stderr
        or "line 1: the recording is incomplete" in done.stderr
    )
    assert not (tmp_path / "other.rec").exists()
    assert run_in_process("anonymise", tmp_path / "none.rec", target, "--overwrite").returncode == 1
    with pytest.raises(RecordingError):
        read(path)


@pytest.mark.slow
def test_seconds_count_from_the_first_connection(tmp_path):
    """The server starts after three attempts, which take longer than the recording."""
    port, path = free_port(), tmp_path / "day.rec"
    arguments = ("--server", f"ws://127.0.0.1:{port}", "--domain", "demo", "--full-events")
    token = {"BASIX_TOKEN": "simulated"}
    with start("record", path, *arguments, "--seconds", "1", env=token) as process:
        for _ in range(3):  # attempts, with pauses of 0.5 s and more in between
            assert "retrying in" in process.stderr.readline()
        with Simulator(port=port, domain="demo", token="simulated", speed=20):
            _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "recorded " in err
    _, entries = read(path)
    assert [one for one in entries if isinstance(one, Frame)]


@pytest.mark.slow
def test_texts_for_people_are_japanese(tmp_path):
    day, copy = tmp_path / "day.rec", tmp_path / "copy.rec"

    def report(*arguments):
        return run_in_process("--lang", "ja", *arguments).stderr

    assert "を記録しました" in report("record", day, *SIMULATOR_TOKEN, *SECONDS)
    assert "を書き出しました" in report("anonymise", day, copy)
    assert f"{copy}はすでに存在します" in report("anonymise", day, copy)
