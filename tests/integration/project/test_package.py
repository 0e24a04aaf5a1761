"""Built packages: reproducible, complete, and without other files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser

import pytest
import yaml
from support.paths import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PARTS = (
    *(".ci", ".github", "src", "tests", "examples", "docs"),
    *("README.md", "LICENSE", "pyproject.toml", ".gitignore"),
)


def build(tree, out, *options):
    """Build a source tree with the installed hatchling and without compiled modules."""
    env = {**os.environ, "PYTHONHASHSEED": "random"}
    env.pop("HATCH_BUILD_HOOK_ENABLE_MYPYC", None)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *options, "-o", str(out), str(tree)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_sources(to):
    to.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "_build", ".*_cache", ".hypothesis")
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, to / name)
    return to


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with a source tree, and with an sdist and a wheel in ``dist``."""
    base = tmp_path_factory.mktemp("built")
    build(copy_sources(base / "tree"), base / "dist")
    return base


def single_file(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.slow
def test_build_is_reproducible(built, tmp_path):
    """Folder, dates and permissions of the sources do not change the result."""
    tree = copy_sources(tmp_path / "another folder")
    for path in tree.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode & 0o700)
    build(tree, tmp_path / "dist")
    assert digests(tmp_path / "dist") == digests(built / "dist")
    assert len(digests(built / "dist")) == 2


@pytest.mark.slow
def test_wheel_can_be_built_from_the_sdist(built, tmp_path):
    """It equals the wheel that is built from the source tree."""
    with tarfile.open(single_file(built / "dist", "*.tar.gz")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    build(single_file(tmp_path / "source", "*"), tmp_path / "dist", "--wheel")
    wheel = single_file(tmp_path / "dist", "*.whl")
    assert digests(tmp_path / "dist")[wheel.name] == digests(built / "dist")[wheel.name]


@pytest.mark.slow
def test_wheel_contains_only_the_package(built):
    wheel = single_file(built / "dist", "*.whl")
    assert wheel.name == f"basix_ws_cti-{PROJECT['version']}-py3-none-any.whl"
    source = ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    catalogues = {
        path.relative_to(source).as_posix()
        for path in source.rglob("locale/**/*")
        if path.suffix in {".po", ".mo"}
    }
    page = {
        path.relative_to(source).as_posix()
        for path in source.rglob("web/static/**/*")
        if path.is_file()
    }
    info = f"basix_ws_cti-{PROJECT['version']}.dist-info/"
    records = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as archive:
        assert len(catalogues) == 2
        assert set(archive.namelist()) == {
            *modules,
            *catalogues,
            *page,
            "basix_ws_cti/reports/page/report.css",
            "basix_ws_cti/reports/page/report.html.jinja",
            "basix_ws_cti/py.typed",
            *(info + name for name in records),
        }


@pytest.mark.slow
def test_sdist_contains_sources_tests_and_docs(built):
    """It contains no files that tools leave behind."""
    with tarfile.open(single_file(built / "dist", "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    japanese = "src/basix_ws_cti/locale/ja/LC_MESSAGES/basix_ws_cti"
    for part in (
        *("src/basix_ws_cti/py.typed", f"{japanese}.po", f"{japanese}.mo"),
        *("tests/conftest.py", "tests/data/bench.frames.gz"),
    ):
        assert part in names
    assert {name.partition("/")[0] for name in names} <= {*PARTS, "PKG-INFO"}
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|/_build/|_cache/", name)]


@pytest.mark.slow
def test_metadata_equals_pyproject(built):
    with zipfile.ZipFile(single_file(built / "dist", "*.whl")) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Name"] == "basix_ws_cti"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    required = [one for one in metadata.get_all("Requires-Dist") if "extra ==" not in one]
    assert sorted(re.match(r"\w+", one)[0] for one in required) == ["attrs", "bert", "websockets"]
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert "Project-URL" not in metadata  # no URL is known yet
    assert "Author-Email" not in metadata


def test_classified_python_versions_are_tested():
    """Each version has a tox environment and a job in the workflow."""
    named = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one]
    environments = PYPROJECT["tool"]["tox"]["env_list"]
    assert [one for one in environments if re.match(r"py\d", one)] == [
        f"py{one.replace('.', '')}" for one in named
    ]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(workflow)["jobs"]["tests"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_lowest_environment_uses_the_declared_bounds():
    extras = PROJECT["optional-dependencies"]
    bounds = [*PROJECT["dependencies"]]
    for name in (
        "cli",
        "http",
        "calllog",
        "postgresql",
        "reports",
        "fanout",
        "metrics",
        "web",
        "webhook",
        "simulator",
    ):
        bounds += [one for one in extras[name] if one not in bounds]
    bounds += [one for one in extras["test"] if one.startswith(("pytest>", "pytest-asyncio>"))]
    lowest = PYPROJECT["tool"]["tox"]["env"]["lowest"]
    assert lowest["deps"] == [bound.replace(">=", "==") for bound in bounds]
    assert all(bound.count(">=") == 1 for bound in bounds)
    assert lowest["constrain_package_deps"] is True
