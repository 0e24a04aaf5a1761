"""The workflows: what they run is pinned, and no job may do more than it needs."""

from __future__ import annotations

import re

import pytest
import yaml
from support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

USES = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

# What a job may be given, and which one.
GRANTS = {("release.yml", "publish"): {"id-token": "write"}}


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs():
    return [
        pytest.param(path, name, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name in read(path)["jobs"]
    ]


def test_there_are_two():
    """One workflow tests, one releases."""
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path):
    """Each action is pinned to a commit, with the version that it is beside it."""
    used = USES.findall(path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert PINNED.fullmatch(action), action


def test_one_version_of_each_action():
    """No action is used in two versions."""
    used = {use for path in WORKFLOWS for use in USES.findall(path.read_text(encoding="utf-8"))}
    assert len({use.partition("@")[0] for use in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_granted_to_all(path):
    """A workflow grants nothing by itself, and holds no secret."""
    assert read(path)["permissions"] == {}
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "name"), jobs())
def test_a_job_s_grants(path, name):
    """A job may read the repository, if it is not the one that publishes; and it ends."""
    job = read(path)["jobs"][name]
    assert job["permissions"] == GRANTS.get((path.name, name), {"contents": "read"})
    assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize(("path", "name"), jobs())
def test_credentials_do_not_stay(path, name):
    """What a job checks out holds no credentials for the steps after it."""
    for step in read(path)["jobs"][name]["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("path", "name"), jobs())
def test_nobody_s_text_is_run(path, name):
    """No expression is pasted into a script: who names a branch could run commands."""
    for step in read(path)["jobs"][name]["steps"]:
        assert "${{" not in step.get("run", "")


def test_publishing_is_a_job_of_its_own():
    """Who may publish builds nothing: it takes what the other job built and checked."""
    publish = read(WORKFLOWS[1])["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["environment"] == "release"
    assert all("run" not in step for step in publish["steps"])
    assert publish["steps"][-1]["with"]["attestations"] is True
