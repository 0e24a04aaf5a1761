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


def test_listen_shows_calls_and_ends_by_itself():
    """Without a PBX the listener shows the simulator's calls, typed and named, and exits 0."""
    done = run("listen.py", "--speed", "40", "--seconds", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("listening to the simulator at ws://127.0.0.1:")
    assert "now      user             5 of them" in lines
    for text in ("in the menu main_menu", "calling group", "talking with", "ended: recv_bye"):
        assert any(text in line for line in lines), text
    assert "伊藤 さくら -> 0501234567" in done.stdout


def test_listen_ends_after_so_many_events():
    """--events counts the lines that are shown."""
    done = run("listen.py", "--speed", "40", "--events", "9")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 10


def test_listen_aligns_wide_characters():
    """Japanese names take two columns each, and the last column still lines up."""
    done = run("listen.py", "--speed", "40", "--events", "30")
    parsed = [line for line in done.stdout.splitlines() if line.startswith(("added", "updated"))]

    def width(text):
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)

    starts = {width(line[: line.rindex("   ") + 3]) for line in parsed}
    assert starts == {71}


def test_listen_survives_a_narrow_terminal():
    """A terminal that can't show Japanese gets question marks, not a traceback."""
    done = run("listen.py", "--speed", "40", "--events", "9", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [[], ["--domain", "d", "--app-name", "a"]])
def test_listen_asks_for_what_is_missing(arguments):
    """A real server needs domain, app_name and token; what is missing is a usage error."""
    environment = {"BASIX_TOKEN": ""} if arguments else {}
    os.environ.pop("BASIX_TOKEN", None)
    done = run("listen.py", "--server", "host", *arguments[:2], **environment)
    assert done.returncode == 2
    assert "BASIX_TOKEN" in done.stderr


async def test_listen_follows_a_pbx_until_ctrl_c():
    """Against a server that is named it listens on, and Ctrl-C ends it cleanly."""
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


async def test_listen_says_in_one_line_what_is_wrong():
    """A refused login is one line on stderr and exit code 1, without a traceback or the token."""
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


def test_raw_frames_needs_no_asyncio():
    """A script that owns its socket hands frames to the parser and gets its callbacks."""
    done = run("raw_frames.py")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "user: 5 now" in lines
    assert lines[-1].startswith("20 channel")


@pytest.mark.parametrize(("encoding", "group"), [("utf-8", "サポート"), ("ascii", "????")])
def test_who_is_on_the_phone_counts(encoding, group):
    """The wallboard shows groups with who talks to whom, as it changes, until Ctrl-C."""
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
    assert (process.returncode, errors) == (0, "")
    assert lines[0] == f"{group}: 0 on the phone\n"
    assert lines[1].startswith(f"{group}: 1 on the phone ")
    assert " with 0" in lines[1]
    assert lines[2] == lines[0]


def test_the_test_of_a_pop_up_passes():
    """The example of a user's own test passes, with nothing but the plugin and pytest-asyncio."""
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


def test_every_example_is_run_here():
    """No example is left untested, in this file and its neighbours."""
    files = Path(__file__).parent.glob("test_example*.py")
    tested = "".join(path.read_text(encoding="utf-8") for path in files)
    names = {path.name for path in EXAMPLES.glob("*.py")} - {"feed.py"}  # which is of no use alone
    assert names
    assert all(f'"{name}"' in tested for name in names)
