"""Coverage-guided fuzzing: no target breaks, for as many executions as there is time for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import seeds
from support.sizes import NIGHTLY

HERE = Path(__file__).parent

# Executions of each target: in every run, and in a nightly one.
RUNS = {
    "fuzz_decode": (20_000, 10_000_000),
    "fuzz_parser": (3000, 1_000_000),
    "fuzz_commands": (2000, 300_000),
    "fuzz_api": (3000, 300_000),
    "fuzz_handshake": (10_000, 1_000_000),
}

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this platform"
)


def fuzz(target, *options, **environment):
    """What fuzzing a target in a process of its own comes to: exit status, and output."""
    done = subprocess.run(
        [sys.executable, HERE / "run.py", target, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout


def test_the_corpus_is_whole():
    """Fuzzing begins with the whole of every data file."""
    assert len([*seeds.conformance()]) == 25 * 5
    assert len([*seeds.bench()]) == 2004
    assert len([*seeds.terms()]) == 1600
    assert len(seeds.frames()) > 3000


@pytest.mark.parametrize("name", RUNS)
def test_seeds(name):
    """Each target has inputs to begin with, short enough to be used whole."""
    target = importlib.import_module(name)
    found = [*target.seeds()]
    assert len(found) == len(set(found)) > 8
    assert max(map(len, found)) <= target.MAX_LEN


@needs_atheris
@pytest.mark.parametrize("name", RUNS)
def test_fuzz(name, capsys):
    """A target holds whatever it is given, and was given as much as is asked for."""
    runs = RUNS[name][NIGHTLY]
    # The same inputs in every run, but other ones each night.
    status, output = fuzz(name, f"--runs={runs}", f"--seed={0 if NIGHTLY else 1}")
    assert status == 0, output[-5000:]
    executed, seconds = map(int, re.search(r"Done (\d+) runs in (\d+) second", output).groups())
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", output)[-1]
    with capsys.disabled():
        edges, features, kept = coverage
        sys.stdout.write(
            f"\n{name}: {executed:,} executions in {seconds} s, "
            f"{edges} edges, {features} features, {kept} inputs kept "
        )
    assert executed >= runs


PLANTED = """
MAX_LEN = 16

def seeds():
    return [b"seed"]

def check(data):
    if data[:1] == b"b" and data[1:2] == b"u" and data[2:3] == b"g":
        raise LookupError("planted")
"""


@needs_atheris
def test_a_bug_is_found(tmp_path):
    """A bug behind three branches is found by their coverage, and its input shown."""
    (tmp_path / "planted.py").write_text(PLANTED, encoding="utf-8")
    status, output = fuzz("planted", "--runs=1000000", "--seed=1", PYTHONPATH=str(tmp_path))
    assert status != 0
    assert "LookupError: planted" in output
    assert re.search(r"planted\.check\(bytes\.fromhex\('627567[0-9a-f]*'\)\) raises", output)
