"""Units of systemd: accepted by systemd, hardened, and with commands that exist."""

from __future__ import annotations

import subprocess

import pytest
from support.deployment import DEPLOY, check_arguments, unit_command, unit_values

UNITS = sorted(DEPLOY.glob("*.service"))

# Highest "exposure" by systemd-analyze security, times ten; 10 points are a service without limits.
MAX_EXPOSURE = 20


def unit_name(unit):
    return unit.name


def test_there_is_a_unit_for_each_program():
    assert [unit.name for unit in UNITS] == [
        *("basix-call-log.service", "basix-metrics.service", "basix-publisher@.service"),
        *("basix-web.service", "basix-webhook.service"),
    ]


@pytest.mark.parametrize("unit", UNITS, ids=unit_name)
def test_command_of_a_unit_exists_with_its_options(unit):
    check_arguments(unit_command(unit.read_text(encoding="utf-8")))


@pytest.mark.parametrize("unit", UNITS, ids=unit_name)
def test_unit_contains_no_secret_and_ends_without_failure(unit):
    values = unit_values(unit.read_text(encoding="utf-8"))
    assert values["SuccessExitStatus"] == ["130"]
    assert values["DynamicUser"] == ["yes"]
    environment = {line.partition("=")[0] for line in values.get("Environment", ())}
    assert environment <= {
        *("BASIX_SERVER", "BASIX_DOMAIN", "BASIX_APP_NAME", "BASIX_TOKEN_FILE"),
    }


@pytest.mark.systemd
@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=unit_name)
def test_systemd_accepts_the_unit_and_finds_it_hardened(unit, tmp_path):
    copy = tmp_path / unit.name
    text = unit.read_text(encoding="utf-8")
    # It checks that the program exists.
    copy.write_text(text.replace("/opt/basix/bin/basix-ws-cti", "/bin/true"), encoding="utf-8")
    for arguments in (
        ["verify", "--recursive-errors=no"],
        ["security", "--offline=true", "--no-pager", f"--threshold={MAX_EXPOSURE}"],
    ):
        done = subprocess.run(
            ["systemd-analyze", *arguments, str(copy)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
