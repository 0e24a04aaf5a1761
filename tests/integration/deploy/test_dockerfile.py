"""Dockerfile: its steps, run in a folder, build a program that answers."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib

import pytest
from support.deployment import DEPLOY, dockerfile_instructions
from support.paths import ROOT
from support.sizes import NIGHTLY

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
STEPS = dockerfile_instructions(TEXT)
LAST = max(step.stage for step in STEPS)


def of_last_stage(name):
    return [step.text for step in STEPS if step.stage == LAST and step.name == name]


def test_image_has_no_build_tools_and_no_root():
    """The last stage runs no command; it copies from the one before."""
    assert LAST == 1
    assert of_last_stage("RUN") == []
    assert all(text.startswith("--from=build ") for text in of_last_stage("COPY"))
    user, group = of_last_stage("USER")[-1].split(":")
    assert int(user) > 0 < int(group)
    assert len(of_last_stage("HEALTHCHECK")) == 1
    names = [step.name for step in STEPS if step.stage == LAST]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_image_has_every_extra_that_a_command_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = extras["project"]["optional-dependencies"].keys()
    for_development = {"test", "lint", "docs", "dev", "fuzz", "simulator", "http"}
    [install] = [step.text for step in STEPS if "pip install" in step.text]
    assert install.partition("[")[2].partition("]")[0].split(",") == sorted(
        extras - for_development
    )


def test_only_the_source_is_sent_to_the_builder():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    copied = {
        source
        for step in STEPS
        if step.name == "COPY" and step.stage == 0
        for source in step.text.split()[:-1]
    }
    assert copied == kept


@pytest.mark.slow
def test_steps_build_a_program_that_answers(tmp_path):
    """At the test's full size, the other packages are installed too; else those here are used."""
    folders = {name: tmp_path / name[1:] for name in ("/src", "/opt/basix", "/data")}
    (tmp_path / "opt").mkdir()
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PYTHONPATH", None)
    if not NIGHTLY:
        environment |= {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0 means "no" twice

    def local(text):
        for name, folder in folders.items():
            text = text.replace(name, str(folder))
        return text

    working = tmp_path
    for step in STEPS:
        if step.stage == 0 and step.name == "WORKDIR":
            working = folders[step.text]
            working.mkdir()
        elif step.stage == 0 and step.name == "COPY":
            *sources, target = step.text.split()
            for source in sources:
                copy(ROOT / source, working / target)
        elif step.stage == 0 and step.name == "RUN":
            command = local(step.text).replace("python -m venv", f"{sys.executable} -m venv")
            subprocess.run(["/bin/sh", "-ec", command], cwd=working, env=environment, check=True)
            if not NIGHTLY and "-m venv" in command:
                [packages] = folders["/opt/basix"].glob("lib/*/site-packages")
                (packages / "here.pth").write_text(sysconfig.get_path("purelib"))
    shutil.rmtree(folders["/src"])  # the last stage does not have it
    program = [*map(local, json.loads(of_last_stage("ENTRYPOINT")[0]))]
    command = json.loads(of_last_stage("CMD")[0])
    done = subprocess.run(
        [*program, *command], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert "Usage: basix-ws-cti" in done.stdout
    assert not list(folders["/opt/basix"].glob("bin/pip*"))
    health = [*map(local, json.loads(of_last_stage("HEALTHCHECK")[0].partition("CMD ")[2]))]
    assert subprocess.run(health, env=environment, check=False).returncode == 0
    environment["BASIX_HEALTH_URL"] = "http://127.0.0.1:9/healthy"
    done = subprocess.run(health, env=environment, check=False, capture_output=True)
    assert done.returncode == 1


def copy(source, target):
    if source.is_dir():
        ignored = lambda _, names: fnmatch.filter(names, "__pycache__")  # noqa: E731
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy(source, target)
