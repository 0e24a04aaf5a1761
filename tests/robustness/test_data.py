"""The data that tests are made of is there: what is made of nothing passes in silence."""

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


def test_nothing_is_tested_with_no_parameters(pytestconfig):
    """A test whose parameters come from files, or from anything else, and are none is an error
    of the whole run rather than one test that is skipped.
    """
    assert pytestconfig.getini("empty_parameter_set_mark") == "fail_at_collect"


def test_nothing_is_tested_with_no_parameters_in_fact(tmp_path):
    """It is: pytest refuses such a test, with the options of this project."""
    (tmp_path / "test_none.py").write_text(
        "import pathlib, pytest\n"
        "@pytest.mark.parametrize('path', [*pathlib.Path('nowhere').glob('*')])\n"
        "def test(path): pass\n"
    )
    # The plugin cleans up after any run, and would not find it at the end of the outer one.
    options = ["-q", "-n0", "-p", "no:textual-snapshot", "-c", str(TESTS.parent / "pyproject.toml")]
    code = pytest.main([*options, str(tmp_path)])
    assert code == pytest.ExitCode.INTERRUPTED


def test_the_data_is_there():
    """The files are those that the tests were written for."""
    assert FILES == ["bench.frames.gz", "conformance.jsonl", "erlang_terms.tsv.gz"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_by_a_test(name):
    """Each file has contents, and a test or a benchmark that names it."""
    assert unpacked(name).strip()
    readers = [
        path.name
        for path in TESTS.rglob("*.py")
        if path != Path(__file__) and f'"{name}"' in path.read_text(encoding="utf-8")
    ]
    assert readers


def test_how_much_there_is():
    """What each file holds is counted: 25 sessions with frames in each form, 2,004 frames of a
    busy PBX, a thousand terms with what Erlang reads in them.
    """
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
