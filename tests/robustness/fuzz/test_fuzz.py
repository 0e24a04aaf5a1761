"""Coverage-guided fuzzing of six targets."""

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
from support.secret_scanner import STEM
from support.sizes import NIGHTLY

HERE = Path(__file__).parent

# Executions of each target: in a normal run, and in a nightly one, where no target may take longer
# than an hour.
RUNS = {
    "fuzz_decode": (20_000, 10_000_000),
    "fuzz_parser": (3000, 500_000),
    "fuzz_commands": (2000, 300_000),
    "fuzz_api": (3000, 300_000),
    "fuzz_handshake": (10_000, 1_000_000),
    "fuzz_response": (3000, 300_000),
}

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this platform"
)


def fuzz(target, *options, **environment):
    """Fuzz a target in a separate process; return the exit status and the output."""
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


def test_corpus_contains_every_frame_of_the_data_files():
    assert len([*seeds.conformance()]) == 25 * 5
    assert len([*seeds.bench()]) == 2004
    assert len([*seeds.terms()]) == 1600
    assert len(seeds.frames()) > 3000


@pytest.mark.parametrize("name", RUNS)
def test_target_has_different_seeds_within_its_maximum_length(name):
    target = importlib.import_module(name)
    found = [*target.seeds()]
    assert len(found) == len(set(found)) > 8
    assert max(map(len, found)) <= target.MAX_LEN


def test_secret_in_another_case_is_no_leak():
    """The fuzzer may change a letter of the secret that a server repeats."""
    response = f"HTTP/1.1 307 Moved\r\n\r\n{STEM.swapcase()}"
    importlib.import_module("fuzz_response").check(response.encode())


@pytest.mark.slow
@needs_atheris
@pytest.mark.parametrize("name", RUNS)
def test_target_survives_fuzzing(name, capsys):
    runs = RUNS[name][NIGHTLY]
    # Every normal run uses the same inputs, every nightly run other ones.
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
def test_fuzzing_finds_a_planted_bug_and_prints_its_input(tmp_path):
    """The coverage leads the fuzzer through three branches."""
    (tmp_path / "planted.py").write_text(PLANTED, encoding="utf-8")
    status, output = fuzz("planted", "--runs=1000000", "--seed=1", PYTHONPATH=str(tmp_path))
    assert status != 0
    assert "LookupError: planted" in output
    assert re.search(r"planted\.check\(bytes\.fromhex\('627567[0-9a-f]*'\)\) raises", output)
