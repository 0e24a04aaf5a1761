"""Project pages: supported versions, and the files that hosting sites look for."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
POLICIES = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
GITHUB = ROOT / ".github"


def test_policy_names_the_python_versions_of_the_package_and_of_ci():
    oldest, newest = re.search(r"CPython (3\.\d+) to (3\.\d+)", POLICIES).groups()
    classifiers = [one.rpartition(" ")[2] for one in PROJECT["classifiers"]]
    supported = [one for one in classifiers if re.fullmatch(r"3\.\d+", one)]
    assert supported == [f"3.{n}" for n in range(int(oldest[2:]), int(newest[2:]) + 1)]
    assert PROJECT["requires-python"] == f">={oldest}"
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == supported


def test_policy_names_the_runtime_dependencies():
    names = {re.match(r"[\w-]+", one)[0] for one in PROJECT["dependencies"]}
    (sentence,) = re.findall(r"runtime dependencies are (.*?)\.", POLICIES)
    assert {*re.findall("`(.*?)`", sentence)} == names


def test_install_page_lists_every_extra_for_users_with_its_packages():
    page = (ROOT / "docs" / "howto" / "install.md").read_text(encoding="utf-8")
    assert f"basix_ws_cti-{PROJECT['version']}-py3" in page
    rows = re.findall(r"^\| `(\w+)` \|.* \| (.*) \|$", page, re.MULTILINE)
    listed = {extra: {*re.findall(r"[\w-]+", text)} - {"on", "Windows"} for extra, text in rows}
    for_developers = {"test", "fuzz", "lint", "docs", "dev"}
    assert listed == {
        extra: {re.match(r"[\w-]+", one)[0] for one in packages}
        for extra, packages in PROJECT["optional-dependencies"].items()
        if extra not in for_developers
    }


@pytest.mark.parametrize("file", sorted(path.name for path in GITHUB.glob("*.md")))
def test_pointers_lead_to_pages_and_headings(file):
    text = (GITHUB / file).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((\S+?)\)", text)
    assert targets
    for target in targets:
        path, _, anchor = target.partition("#")
        page = (GITHUB / path).resolve().read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)", page, re.MULTILINE)
        assert not anchor or anchor in [one.lower().replace(" ", "-") for one in headings]


FORMS = {path.name for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")} - {"config.yml"}


@pytest.mark.parametrize("file", sorted(FORMS))
def test_issue_forms_are_complete(file):
    """GitHub ignores a form without these keys, or with two fields of one id."""
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / file).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)
