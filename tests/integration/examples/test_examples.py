"""Examples, each run as a process against the simulator."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
from support.first_process import terminate_first_process
from support.paths import EXAMPLES
from support.secret_scanner import STEM, found_in
from support.waiting import TIMEOUT

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
def test_listen_prints_simulated_calls_and_exits():
    done = run("listen.py", "--speed", "40", "--seconds", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("listening to the simulator at ws://127.0.0.1:")
    assert "now      user             5 of them" in lines
    for text in ("in the menu main_menu", "calling group", "talking with", "ended: recv_bye"):
        assert any(text in line for line in lines), text
    assert "伊藤 さくら -> 0501234567" in done.stdout


@pytest.mark.slow
def test_listen_stops_after_the_given_number_of_events():
    done = run("listen.py", "--speed", "40", "--events", "9")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 10


@pytest.mark.slow
def test_listen_aligns_wide_characters():
    """Japanese characters take two columns, and the last column is aligned."""
    done = run("listen.py", "--speed", "40", "--events", "30")
    parsed = [line for line in done.stdout.splitlines() if line.startswith(("added", "updated"))]

    def width(text):
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)

    starts = {width(line[: line.rindex("   ") + 3]) for line in parsed}
    assert starts == {71}


@pytest.mark.slow
def test_listen_replaces_characters_missing_in_the_encoding():
    done = run("listen.py", "--speed", "40", "--events", "9", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [[], ["--domain", "d", "--app-name", "a"]])
@pytest.mark.slow
def test_listen_reports_missing_options(arguments):
    """A server requires a domain, an app_name and a token."""
    environment = {"BASIX_TOKEN": ""} if arguments else {}
    os.environ.pop("BASIX_TOKEN", None)
    done = run("listen.py", "--server", "host", *arguments[:2], **environment)
    assert done.returncode == 2
    assert "BASIX_TOKEN" in done.stderr


@pytest.mark.slow
async def test_listen_follows_a_pbx_until_ctrl_c():
    """Ctrl-C ends the program cleanly."""
    async with Simulator(domain="acme", token=TOKEN, speed=20) as simulator:
        process = subprocess.Popen(
            [
                *(sys.executable, str(EXAMPLES / "listen.py"), "--server", simulator.url),
                *("--domain", "acme", "--app-name", "a", "--full-events"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "BASIX_TOKEN": TOKEN, "PYTHONIOENCODING": "utf-8"},
        )
        lines: list[str] = []
        enough = threading.Event()

        def read() -> None:
            for line in process.stdout:
                lines.append(line)
                if len(lines) == 15:
                    enough.set()

        reader = threading.Thread(target=read)
        reader.start()
        await asyncio.to_thread(enough.wait, TIMEOUT)
        process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(process.wait, TIMEOUT)
        await asyncio.to_thread(reader.join)
        errors = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    assert (code, errors) == (0, "")
    assert len(lines) >= 15
    assert not found_in("".join(lines))


@pytest.mark.slow
async def test_listen_reports_a_refused_login_in_one_line():
    """The exit code is 1; stderr has neither a traceback nor the token."""
    async with Simulator(domain="acme", token="another") as simulator:
        done = await asyncio.to_thread(
            run,
            "listen.py",
            *("--server", simulator.url, "--domain", "acme", "--app-name", "a"),
            BASIX_TOKEN=TOKEN,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("listen: the server refused the login with HTTP 401")
    assert len(done.stderr.splitlines()) == 1
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
    """It needs only the plugin and pytest-asyncio."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--rootdir", str(EXAMPLES), "-c", os.devnull, str(EXAMPLES / "test_screen_pop.py")),
        ],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_every_example_is_tested():
    files = Path(__file__).parent.glob("test_example*.py")
    tested = "".join(path.read_text(encoding="utf-8") for path in files)
    names = {path.name for path in EXAMPLES.glob("*.py")} - {
        "feed.py"
    }  # a helper of other examples
    assert names
    assert all(f'"{name}"' in tested for name in names)


@pytest.mark.parametrize(
    ("arguments", "first_output"),
    [
        (["listen.py", "--seconds", "60"], "listening to the simulator"),
        (["who_is_on_the_phone.py"], "on the phone"),
        (["raw_frames.py"], "now"),
        (["metrics.py", "--port", "0"], "http://127.0.0.1:"),
    ],
)
@pytest.mark.slow
def test_sigterm_ends_an_example_as_the_first_process_of_a_container(arguments, first_output):
    name, *options = arguments
    assert terminate_first_process([str(EXAMPLES / name), *options], first_output) == (0, "")
