"""Data files of the tests, and protection against tests without parameters."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DATA = TESTS / "data"
FILES = sorted(path.name for path in DATA.iterdir())


def unpacked(name):
    content = (DATA / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


def test_empty_parameter_lists_are_configured_as_errors(pytestconfig):
    """A test without parameters must fail the run; pytest would skip it by default."""
    assert pytestconfig.getini("empty_parameter_set_mark") == "fail_at_collect"


@pytest.mark.slow
def test_pytest_refuses_an_empty_parameter_list(tmp_path):
    (tmp_path / "test_none.py").write_text(
        "import pathlib, pytest\n"
        "@pytest.mark.parametrize('path', [*pathlib.Path('nowhere').glob('*')])\n"
        "def test(path): pass\n"
    )
    # textual-snapshot cleans up after each run, which breaks the end of the outer run.
    options = ["-q", "-n0", "-p", "no:textual-snapshot", "-c", str(TESTS.parent / "pyproject.toml")]
    code = pytest.main([*options, str(tmp_path)])
    assert code == pytest.ExitCode.INTERRUPTED


def test_all_data_files_exist():
    assert FILES == ["bench.frames.gz", "conformance.jsonl", "erlang_terms.tsv.gz"]


@pytest.mark.parametrize("name", FILES)
def test_data_file_has_content_and_a_reader(name):
    """Each file is not empty, and a test, helper or benchmark names it."""
    assert unpacked(name).strip()
    readers = [
        path.name
        for path in TESTS.rglob("*.py")
        if path != Path(__file__) and f'"{name}"' in path.read_text(encoding="utf-8")
    ]
    assert readers


def test_data_files_hold_the_expected_number_of_items():
    """25 sessions in five forms, 2,004 frames of a busy PBX, and over 1,000 Erlang terms."""
    sessions = [json.loads(line) for line in unpacked("conformance.jsonl").splitlines()]
    assert len(sessions) == 25
    for session in sessions:
        assert session["calls"]
        assert len(session["wire"]) >= 5
        assert all(len(frames) == len(session["calls"]) for frames in session["wire"].values())
    frames, at = 0, 0
    content = unpacked("bench.frames.gz")
    while at < len(content):
        at += 4 + int.from_bytes(content[at : at + 4], "big")
        frames += 1
    assert (frames, at) == (2004, len(content))
    terms = unpacked("erlang_terms.tsv.gz").splitlines()
    assert len(terms) >= 1000
    assert all(line.count(b"\t") == 1 for line in terms)
