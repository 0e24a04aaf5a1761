"""Commands that print people's names, into pipes whose encoding lacks the characters."""

from __future__ import annotations

import pytest
from support.cli_runner import run
from support.example_connections import connection_environment
from support.sizes import NIGHTLY

from basix_ws_cti.recording import Recorder
from basix_ws_cti.simulator import Simulator, frames

# A locale without an encoding: Python would use UTF-8 there if it were not told otherwise.
POSIX = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "",
}
ENCODINGS = {
    "cp932": {"PYTHONIOENCODING": "cp932"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "posix": POSIX,
}

NAMES = ("佐藤 健", "Ünïcode \N{SNOWMAN}", "\x1b[31m\u202e", "e" + "\u0301" * 50, "ｻﾄｳ\u3000🎌")

LIVE = [
    ("state",),
    ("listen", "--limit", "7"),
    ("listen", "--calls", "--limit", "1"),
    ("listen", "--json", "--limit", "12"),
    ("listen", "--kind", "user", "--user", "佐藤 健", "--limit", "1"),
    ("doctor",),
    ("hangup", "0312341234", "--dry-run"),
    ("transfer", "0312341234", "user:Ünïcode \N{SNOWMAN}", "--dry-run"),
]


@pytest.fixture(scope="module")
def pbx():
    """Return a PBX whose users have names that no legacy encoding has all of."""
    with Simulator(calls=False) as simulated:
        for number, name in enumerate(NAMES, 1001):
            simulated.edit(str(number), label=name)
            simulated.call("0312341234", to=str(number))
        simulated.call("0312341234", to="1900")
        yield simulated


def assert_readable(done, encoding):
    """Assert that a command ended without a traceback and wrote the encoding of the pipe only."""
    assert done.returncode in {0, 2}, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    if encoding != "cp932":
        assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", LIVE, ids=" ".join)
@pytest.mark.slow
def test_names_in_a_pipe_of_another_encoding(pbx, command, encoding, language):
    if not NIGHTLY and (language == "ja") != (encoding == "ascii"):
        pytest.skip("nightly: all pairs of encoding and language")
    env = {**connection_environment(pbx), **ENCODINGS[encoding]}
    text_encoding = "cp932" if encoding == "cp932" else "ascii"
    done = run("--lang", language, *command, env=env, encoding=text_encoding)
    assert_readable(done, encoding)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings") / "佐藤.rec"
    recorder = Recorder(path)
    recorder.connected()
    for frame in frames("parked", seed=3):
        recorder(frame)
    recorder.close()
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "command",
    [
        ("replay", "--at-once", "--calls"),
        ("replay", "--at-once"),
        ("replay", "--state"),
        ("decode", "--file"),
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_names_of_a_recording_in_a_pipe_of_another_encoding(recording, command, encoding):
    text_encoding = "cp932" if encoding == "cp932" else "ascii"
    done = run(*command, recording, env=ENCODINGS[encoding], encoding=text_encoding)
    assert_readable(done, encoding)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.slow
def test_japanese_help_in_a_pipe_of_another_encoding(encoding):
    text_encoding = "cp932" if encoding == "cp932" else "ascii"
    done = run("--lang", "ja", "listen", "--help", env=ENCODINGS[encoding], encoding=text_encoding)
    assert_readable(done, encoding)
    assert done.returncode == 0
