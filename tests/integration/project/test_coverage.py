"""Line and branch coverage of each core module by its own test file.

The complete measurement runs nightly: ``tox -e coverage``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import TESTS

import basix_ws_cti

SOURCES = Path(basix_ws_cti.__file__).parent

# Packages whose modules are each covered by the test file of the same name; those of ``calls`` and
# ``reports`` are covered by all tests in tests/unit/calls and tests/unit/reports.
PACKAGES = (
    "_internal",
    "calllog",
    "parsing",
    "mirror",
    "session",
    "transport",
    "client",
    "recording",
)
MODULES = sorted(
    [path.stem for path in SOURCES.glob("*.py") if path.stem not in {"__init__", "__main__"}]
    + [
        f"{package}/{path.stem}"
        for package in PACKAGES
        for path in SOURCES.joinpath(package).glob("*.py")
        if path.stem != "__init__"
    ]
)

# Slow tests too, in one process, which coverage measures.
OPTIONS = ("-q", "--all", "-n0", "-p", "no:cacheprovider")

# Modules with fast tests.
QUICK = ["_internal/callables", "client/callbacks", "client/commands", "exceptions", "messages"]


def own_tests(name):
    """Return the path of a module's test file, below the folder of all tests."""
    folder, _, module = name.rpartition("/")
    return str(Path("unit", folder, f"test_{module}.py"))


def uncovered(folder, names, files):
    """Return the coverage report if these test files leave lines uncovered, else ``""``."""
    tool = [sys.executable, "-m", "coverage"]
    data = f"--data-file={folder / 'data'}"

    def run(*command):
        return subprocess.run(
            [*tool, *command],
            cwd=TESTS.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    paths = [str(TESTS / name) for name in files]
    tests = run("run", data, "--branch", "-m", "pytest", *OPTIONS, *paths)
    if tests.returncode:
        return tests.stdout + tests.stderr
    include = ",".join(f"*/basix_ws_cti/{name}.py" for name in names)
    report = run("report", data, "--show-missing", f"--include={include}", "--fail-under=100")
    sys.stdout.write(report.stdout)  # pytest shows it with -rA
    return report.stdout + report.stderr if report.returncode else ""


def test_every_module_has_a_test_file():
    assert len(MODULES) >= 20
    missing = [name for name in MODULES if not (TESTS / own_tests(name)).is_file()]
    assert missing == []


@pytest.mark.slow
def test_uncovered_lines_are_reported(tmp_path):
    report = uncovered(tmp_path, ["client/commands"], [own_tests("_internal/callables")])
    assert "src/basix_ws_cti/client/commands.py" in report or "Coverage failure" in report, report


@pytest.mark.slow
def test_quick_modules_are_covered(tmp_path):
    files = [own_tests(name) for name in QUICK]
    assert uncovered(tmp_path, QUICK, files) == ""


@pytest.mark.nightly
@pytest.mark.parametrize("name", MODULES)
def test_each_module_is_covered_by_its_own_test_file(name, tmp_path):
    assert uncovered(tmp_path, [name], [own_tests(name)]) == ""


@pytest.mark.nightly
def test_calls_are_covered_by_their_own_tests(tmp_path):
    assert uncovered(tmp_path, ["calls/*"], ["unit/calls"]) == ""


@pytest.mark.nightly
def test_reports_are_covered_by_their_own_tests(tmp_path):
    assert uncovered(tmp_path, ["reports/*"], ["unit/reports"]) == ""
