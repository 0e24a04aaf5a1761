"""Examples, each run as a process against the simulator."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.first_process import terminate_first_process
from support.paths import EXAMPLES, ROOT
from support.secret_scanner import STEM, found_in
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator

TOKEN = f"{STEM}-token"


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    # With -X dev asyncio reports each step over 0.1 s, which on a busy machine are many.
    done.stderr = re.sub(
        r"^Executing <.* took [0-9.]+ seconds\n", "", done.stderr, flags=re.MULTILINE
    )
    return done


@pytest.mark.slow
def test_listen_prints_calls_for_ten_seconds_and_names_the_next_command():
    done = run("listen.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "A simulated company on a busy day, in fast motion:"
    assert lines[1] == lines[-2] == ""
    # The command works as in the README, where the environment is not activated.
    command = ".venv/bin/pip install '.[cli]' && .venv/bin/basix-ws-cti top --simulate"
    assert lines[-1] == f"A wallboard: {command}"
    events = lines[2:-2]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d  .+: .+", line) for line in events)
    assert [line.split("  ", 1)[1] for line in events[:2]] == [
        "伊藤 さくら: calls 0501234567",
        "伊藤 さくら: waits for サポート",
    ]


def test_every_example_is_short_enough_to_be_read():
    lines = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in EXAMPLES.glob("*.*")
    }
    assert len(lines) > 5
    assert {name: count for name, count in lines.items() if count >= 80} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["listen", "who_is_on_the_phone"])
def test_missing_token_is_an_error_of_one_line(name):
    done = run(f"{name}.py", BASIX_SERVER="ws://127.0.0.1:9", BASIX_DOMAIN="acme", BASIX_TOKEN="")
    assert (done.returncode, done.stderr) == (1, f"{name}: token must not be empty\n")


@contextlib.contextmanager
def running_listen(**environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start the example and kill it at the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLES / "listen.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("encoding", "name"), [("ascii", "?? ???"), ("utf-8", "伊藤 さくら")])
@pytest.mark.slow
def test_listen_replaces_characters_missing_in_the_encoding(encoding, name):
    with running_listen(PYTHONIOENCODING=encoding) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert f"{name}: calls 0501234567" in lines[2]
    assert (process.returncode, errors) == (130, "")


@pytest.mark.slow
def test_listen_survives_a_reader_that_leaves():
    with running_listen() as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_listen_follows_a_pbx_until_ctrl_c():
    """The PBX is the one in the environment; names of callers cannot steer the terminal."""
    with Simulator(domain="acme", token=TOKEN, calls=False) as pbx:
        pbx.edit("1002", label="\x1b[31mred\u202e\u3000健")
        environment = {"BASIX_SERVER": pbx.url, "BASIX_DOMAIN": "acme", "BASIX_TOKEN": TOKEN}
        with running_listen(**environment) as process:
            wait_until(lambda: any(one.frames_sent for one in pbx.connections))
            line = pbx.call("0312341234", to="1002")
            pbx.answer(line)
            pbx.hangup(line)
            lines = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, rest, errors) == (130, "", "")
    assert [line[10:] for line in lines] == [
        "山田 太郎: calls 0501234567\n",
        "山田 太郎: the phone of ?[31mred? 健 rings\n",
        "山田 太郎: ?[31mred? 健 answers after 0 s\n",
        "山田 太郎: ends, answered, talked 0 s\n",
    ]


@pytest.mark.slow
def test_listen_reports_a_refused_login():
    """The exit code is 1; stderr has neither a traceback nor the token."""
    with Simulator(domain="acme", token="another") as pbx:
        done = run("listen.py", BASIX_SERVER=pbx.url, BASIX_DOMAIN="acme", BASIX_TOKEN=TOKEN)
    assert done.returncode == 1
    *log, last = done.stderr.splitlines()
    assert last.startswith("listen: the server refused the login with HTTP 401")
    assert len(log) <= 1
    assert not found_in(done.stderr)


@pytest.mark.slow
def test_raw_frames_parses_without_asyncio():
    done = run("raw_frames.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "user: 5 now" in lines
    assert lines[-1].startswith("20 channel")


@pytest.mark.parametrize(("encoding", "group"), [("utf-8", "サポート"), ("ascii", "????")])
@pytest.mark.slow
def test_phone_overview_counts_calls_of_each_group(encoding, group):
    """The program prints each change until Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "who_is_on_the_phone.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (130, "")
    assert lines[0] == f"{group}: 0 on the phone\n"
    assert lines[1].startswith(f"{group}: 1 on the phone ")
    assert " with 0" in lines[1]
    assert lines[2] == lines[0]


@pytest.mark.slow
def test_example_test_of_a_screen_pop_passes():
    """It needs no other plugin than pytest-asyncio, in a checkout too."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            str(EXAMPLES.relative_to(ROOT) / "test_screen_pop.py"),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_every_example_is_tested():
    files = Path(__file__).parents[1].rglob("test_*.py")
    tested = "".join(path.read_text(encoding="utf-8") for path in files)
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names
    assert all(f'"{name}"' in tested for name in names)


@pytest.mark.parametrize(
    ("arguments", "first_output"),
    [
        (["listen.py"], "A simulated company"),
        (["who_is_on_the_phone.py"], "on the phone"),
        (["raw_frames.py"], "now"),
    ],
)
@pytest.mark.slow
def test_sigterm_ends_an_example_as_the_first_process_of_a_container(arguments, first_output):
    name, *options = arguments
    assert terminate_first_process([str(EXAMPLES / name), *options], first_output) == (0, "")
