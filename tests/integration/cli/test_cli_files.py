"""Errors of files: each names the file, the reason and the remedy, and no number."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.cli_runner import run, run_in_process, start
from support.simulated_day import record_day
from support.waiting import TIMEOUT

SIMULATE = ("--simulate", "--seconds", 1)
NO_SPACE = "no space left on the device: free some, or choose another one"
NO_FILE = "no such file"
FOLDER = "it is a folder: name a file"
PERMISSION = "permission denied"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


@pytest.fixture
def places(tmp_path):
    """Names of files that cannot be used, and of a recording ``good``."""
    good = tmp_path / "good.rec"
    record_day(good, 5, users=2)
    secret = tmp_path / "secret.rec"
    secret.write_text("x")
    secret.chmod(0)
    return {
        "good": good,
        "missing": tmp_path / "missing.rec",
        "folder": tmp_path,
        "secret": secret,
        "below_file": good / "day.rec",
        "no_folder": tmp_path / "none" / "day.rec",
        "long": tmp_path / ("x" * 300),
        "full": FULL,
        "out": tmp_path / "out.rec",
    }


def is_allowed_everything():
    return sys.platform == "win32" or os.geteuid() == 0


READERS = [
    ("replay {}", "cannot read {}: {reason}"),
    ("anonymise {} {out}", "cannot read {}: {reason}"),
    ("decode --file {}", "cannot read {}: {reason}"),
]
WRITERS = [
    ("anonymise {good} {} --overwrite", "cannot write {}: {reason}"),
    ("record {} --overwrite --simulate", "cannot write {}: {reason}"),
]
UNREADABLE = {
    "missing": NO_FILE,
    "folder": FOLDER,
    "secret": PERMISSION,
    "below_file": "a part of its path is not a folder",
    "long": "its name is too long",
}
UNWRITABLE = {
    "no_folder": "there is no folder {parent}: create it",
    "folder": FOLDER,
    "secret": PERMISSION,
    "below_file": "a part of its path is not a folder",
    "full": NO_SPACE,
}


@pytest.mark.parametrize(
    ("command", "text", "place", "reason"),
    [
        *((*command, place, why) for command in READERS for place, why in UNREADABLE.items()),
        *((*command, place, why) for command in WRITERS for place, why in UNWRITABLE.items()),
    ],
)
def test_file_error_names_file_reason_and_remedy(command, text, place, reason, places):
    if place == "secret" and is_allowed_everything():
        pytest.skip("this user may read and write every file")
    if place == "full" and not FULL.exists():
        pytest.skip("the system has no /dev/full")
    path = places[place]
    arguments = [
        str(path) if word == "{}" else word.format(**places) if "{" in word else word
        for word in command.split()
    ]
    done = run_in_process(*arguments)
    expected = text.format(path, reason=reason.format(parent=path.parent))
    assert done.returncode == 1
    assert f"basix-ws-cti: {expected}\n" in done.stderr


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--token-file", "cannot read the token file {}: {reason}"),
        ("--ca-file", "cannot load --ca-file {}: {reason}"),
    ],
)
@pytest.mark.parametrize(("place", "reason"), [("missing", NO_FILE), ("folder", FOLDER)])
def test_file_of_an_option_is_named(option, text, place, reason, places):
    done = run_in_process(
        *("listen", "--server", "pbx.example", "--domain", "acme", option, places[place]),
        env={"BASIX_TOKEN": "token"} if option == "--ca-file" else {},
    )
    assert done.returncode == 2
    assert done.stderr == f"basix-ws-cti: {text.format(places[place], reason=reason)}\n"


@needs_full
@pytest.mark.parametrize(
    "command",
    [
        "schema",
        "decode 836a",
        "replay {good} --at-once",
        "replay {good} --state",
        "anonymise {good} -",
        "record - --simulate",
        "state --simulate",
        "listen --help",
    ],
)
@pytest.mark.slow
def test_full_disk_behind_stdout_is_named(command, places):
    with FULL.open("w") as stdout:
        done = run(*command.format(**places).split(), stdout=stdout)
    assert done.returncode == 1
    assert f"basix-ws-cti: cannot write stdout: {NO_SPACE}\n" in done.stderr


@pytest.mark.parametrize("command", ["replay - --at-once", "anonymise - -", "decode"])
@pytest.mark.slow
def test_stdin_that_cannot_be_read_is_named(command, tmp_path):
    descriptor = os.open(tmp_path / "write-only", os.O_WRONLY | os.O_CREAT)
    try:
        with start(*command.split(), stdin=descriptor) as process:
            _, err = process.communicate(timeout=TIMEOUT)
    finally:
        os.close(descriptor)
    assert process.returncode == 1
    assert err == "basix-ws-cti: cannot read stdin: bad file descriptor\n"


@pytest.mark.parametrize(
    "command",
    [
        "schema",
        "decode --file {good}",
        "replay {good} --at-once --json",
        "replay {good} --state",
        "state --recording {good} --calls",
        "listen --recording {good}",
        "anonymise {good} -",
        "record - --simulate",
    ],
)
@pytest.mark.slow
def test_command_ends_quietly_when_its_reader_has_left(command, places):
    """Nothing is written to stderr but the size of a recording."""
    with start(*command.format(**places).split()) as process:
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(TIMEOUT) == 0, err
    known = ("recorded ", "wrote ", "nothing recorded")
    lines = [line.removeprefix("basix-ws-cti: ") for line in err.splitlines()]
    assert [line for line in lines if not line.startswith(known)] == []
