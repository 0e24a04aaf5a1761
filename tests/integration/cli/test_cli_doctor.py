"""Command ``doctor``: output, exit codes and signals."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl

import pytest
import trustme
from rich.cells import cell_len
from support.cli_runner import run, run_in_process, start
from support.secret_scanner import SIMULATOR_TOKEN
from support.simulated_day import frames as day

from basix_ws_cti.cli.diagnostics.findings import STEPS
from basix_ws_cti.recording import Connected, Frame, Recorder
from basix_ws_cti.simulator import Simulator


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def doctor(server, *options, token=SIMULATOR_TOKEN, **more):
    variables = {"BASIX_TOKEN": token, "BASIX_DOMAIN": "demo"}
    done = run_in_process("doctor", "--server", server, *options, env=variables, **more)
    assert token not in done.stdout + done.stderr
    return done


def test_warning_has_advice_and_exit_code_0(pbx):
    """A connection with neither a user nor ``full_events`` is a warning."""
    done = doctor(pbx.url)
    assert done.returncode == 0
    first, advice, *_ = done.stdout.splitlines()
    assert first.startswith("warning options")
    assert "--full-events" in advice


def test_json_prints_one_line_per_step(pbx):
    """Each line has the machine-readable details of its step."""
    done = doctor(pbx.url, "--json", "--user-extension", "1001")
    assert done.returncode == 0
    findings = {one["step"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [*findings] == [*STEPS]
    assert findings["options"]["details"]["user_extension"] == "1001"
    assert findings["options"]["details"]["token_from"] == "BASIX_TOKEN"
    assert findings["snapshot"]["details"]["elements"]["user"] == 5
    assert {one["mark"] for one in findings.values()} == {"ok"}


@pytest.mark.slow
def test_simulated_pbx_passes_every_step():
    done = run("doctor", "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", step] for step in STEPS]
    assert "the token is from the simulator" in lines[0]
    assert re.search(r"\(\d+ ms\)$", lines[-1])


def test_ca_file_makes_a_private_ca_trusted(tmp_path, authority):
    """Without it the step ``tls`` names the option, and the exit code is 4."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    with Simulator(calls=False, tls=context) as pbx:
        server = pbx.url.replace("127.0.0.1", "localhost")
        good, bad = doctor(server, "--ca-file", path), doctor(server)
    assert good.returncode == 0
    assert "its chain leads to --ca-file" in good.stdout
    assert bad.returncode == 4
    assert "failed  tls" in bad.stdout
    assert "--ca-file" in bad.stdout


@pytest.mark.parametrize(
    ("server", "options", "code", "line"),
    [
        ("ws://127.0.0.1:1", [], 4, "failed  tcp"),
        ("ws://pbx.example", [], 2, "failed  options     credentials would be sent"),
        ("x", ["--full-events", "--user-id", "1"], 2, "failed  options     user_id"),
    ],
)
def test_exit_codes(server, options, code, line):
    """The exit code is 2 for options and 4 for the connection; later steps are skipped."""
    done = doctor(server, *options)
    assert done.returncode == code
    assert line in done.stdout
    assert done.stderr == ""
    assert "skipped pings" in done.stdout


def test_refused_login_exits_with_3(pbx):
    """The token is not printed."""
    done = doctor(pbx.url, token="not-the-token")
    assert done.returncode == 3
    assert "failed  login" in done.stdout


def test_source_of_the_token_is_reported(pbx, tmp_path):
    """A token file is named; a missing token fails the step ``options``."""
    path = tmp_path / "token"
    path.write_text(SIMULATOR_TOKEN)
    options = ("doctor", "--server", pbx.url, "--domain", "demo")
    done = run_in_process(*options, "--token-file", path)
    assert done.returncode == 0
    assert f"the token is from the file {path}" in done.stdout
    done = run_in_process(*options)
    assert done.returncode == 2
    assert "failed  options     no token: set BASIX_TOKEN or pass --token-file" in done.stdout


@pytest.mark.slow
def test_interrupt_exits_quietly_with_130():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(
            *("doctor", "--server", f"ws://127.0.0.1:{silent.getsockname()[1]}", "--domain", "d"),
            env={"BASIX_TOKEN": "t0ken"},
        )
        while "tls" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_closed_stdout_ends_quietly(pbx):
    process = start(
        *("doctor", "--server", pbx.url, "--domain", "demo"), env={"BASIX_TOKEN": SIMULATOR_TOKEN}
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


@pytest.fixture
def recording(tmp_path):
    """Path of a recording with two connections."""
    path = tmp_path / "day.jsonl"
    with Recorder(path) as recorder:
        for start in (0, 100):
            recorder.write(Connected(start))
            for at, data in day(10, users=5):
                recorder.write(Frame(start + at, data))
    return path


def test_facts_of_a_recording_are_printed_as_markdown(recording):
    done = run_in_process("doctor", "--facts", "--recording", recording)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("## Facts of a feed, by basix_ws_cti ")
    assert "- info_event: charlist: " in done.stdout
    assert lines.count("1. field_spec channel") == 1
    assert "佐藤" not in done.stdout


def test_facts_are_one_json_object_with_json(recording):
    done = run_in_process(
        "doctor", "--facts", "--json", "--recording", "-", stdin=recording.read_text()
    )
    found = json.loads(done.stdout)
    assert set(found) == {"basix_ws_cti", "facts"}
    assert found["facts"]["forms of event names"].keys() == {"charlist"}
    assert found["facts"]["order"][0] == "field_spec channel"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--seconds", "1"], "--seconds needs --facts"),
        (["--recording", "x"], "--recording needs --facts"),
        (["--facts", "--recording", "x", "--seconds", "1"], "--seconds cannot be combined"),
    ],
)
def test_options_of_facts_that_do_not_go_together_are_usage_errors(options, text):
    done = run_in_process("doctor", *options)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stdout == ""


def test_damaged_recording_is_reported_without_facts(recording):
    recording.write_text(recording.read_text()[:-100])
    done = run_in_process("doctor", "--facts", "--recording", recording)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "line" in done.stderr


@pytest.mark.slow
def test_facts_of_a_feed_are_collected_for_the_given_seconds(pbx):
    done = doctor(pbx.url, "--full-events", "--facts", "--seconds", "1")
    assert done.returncode == 0
    assert "connected: listening for 1 s" in done.stderr
    assert "### field_specs" in done.stdout
    assert "- user: as in the field_spec: 5" in done.stdout


def test_facts_need_a_login(pbx):
    done = doctor(pbx.url, "--full-events", "--facts", "--seconds", "5", token="not-the-token")
    assert done.returncode == 3
    assert done.stdout == ""


@pytest.mark.slow
def test_interrupt_ends_the_facts_and_prints_them(pbx):
    process = start(
        *("doctor", "--server", pbx.url, "--domain", "demo", "--full-events", "--facts"),
        env={"BASIX_TOKEN": SIMULATOR_TOKEN},
    )
    assert "listening until Ctrl-C" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("## Facts of a feed")


# -- language ------------------------------------------------------------------------------


def test_findings_are_shown_in_the_chosen_language_in_columns(pbx):
    done = doctor(pbx.url, "--full-events", "--lang", "ja")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["正常"] * len(STEPS)
    steps = [line.split()[1] for line in lines]
    assert steps[:3] == ["オプション", "DNS", "TCP"]
    found_at = {cell_len(re.match(r"\S+\s+\S+\s+", line)[0]) for line in lines}
    assert found_at == {7 + max(map(cell_len, steps)) + 1}


def test_json_is_english_in_every_language(pbx):
    done = doctor(pbx.url, "--json", "--lang", "ja")
    assert done.returncode == 0
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["step"] for one in findings] == [*STEPS]
    assert findings[0]["mark"] == "warning"
    assert findings[0]["advice"] == "select channels: --full-events or a --user option"
    assert done.stdout.isascii()


def test_facts_are_english_in_every_language(recording):
    """They are meant for the developers of this package."""
    done = run_in_process("doctor", "--facts", "--recording", recording, "--lang", "ja")
    english = run_in_process("doctor", "--facts", "--recording", recording)
    assert (done.returncode, done.stdout) == (0, english.stdout)


@pytest.mark.parametrize("step", ["tcp", "options"])
def test_failed_step_and_advice_are_shown_in_the_chosen_language(step):
    server = {"tcp": "ws://127.0.0.1:1", "options": ""}[step]
    done = doctor(server, "--lang", "ja")
    lines = done.stdout.splitlines()
    failed = next(index for index, line in enumerate(lines) if line.startswith("失敗"))
    assert "ください" in lines[failed + 1]
    assert lines[-1].endswith("診断していません")
