"""CI workflows: pinned actions and minimal permissions."""

from __future__ import annotations

import re

import pytest
import yaml
from support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

USES = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

# Permissions of a job, if it has more than read access.
GRANTS = {("release.yml", "publish"): {"id-token": "write"}}


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs():
    return [
        pytest.param(path, name, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name in read(path)["jobs"]
    ]


def test_there_are_two_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path):
    """Each action is pinned to a commit, with its version in a comment."""
    used = USES.findall(path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert PINNED.fullmatch(action), action


def test_each_action_has_one_version():
    used = {use for path in WORKFLOWS for use in USES.findall(path.read_text(encoding="utf-8"))}
    assert len({use.partition("@")[0] for use in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_grant_no_permissions_to_all_jobs(path):
    assert read(path)["permissions"] == {}
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "name"), jobs())
def test_jobs_have_minimal_permissions_and_a_timeout(path, name):
    job = read(path)["jobs"][name]
    assert job["permissions"] == GRANTS.get((path.name, name), {"contents": "read"})
    assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize(("path", "name"), jobs())
def test_checkout_stores_no_credentials(path, name):
    for step in read(path)["jobs"][name]["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("path", "name"), jobs())
def test_scripts_contain_no_expressions(path, name):
    """A branch name in an expression could run commands."""
    for step in read(path)["jobs"][name]["steps"]:
        assert "${{" not in step.get("run", "")


def test_publish_job_builds_nothing():
    """It publishes the files that the build job built and checked."""
    publish = read(WORKFLOWS[1])["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["environment"] == "release"
    assert all("run" not in step for step in publish["steps"])
    assert publish["steps"][-1]["with"]["attestations"] is True
