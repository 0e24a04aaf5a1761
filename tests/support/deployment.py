"""Files in docs/deploy: the compose file, the Dockerfile and the units of systemd."""

from __future__ import annotations

import re
import shlex

import yaml
from attrs import frozen

from basix_ws_cti.cli.app import build_command
from basix_ws_cti.cli.help.catalogue import top_level_commands

from .paths import DOCS

DEPLOY = DOCS / "deploy"

# A variable of a compose file, such as ``${NAME}`` and ``${NAME:?set it}``.
_VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


@frozen
class Service:
    """Service of the compose file, with its variables replaced."""

    command: tuple[str, ...]
    environment: dict[str, str]
    env_files: tuple[str, ...]
    values: dict


def compose_file():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def compose_services(variables):
    """Return the services by name; a missing variable raises ``KeyError``."""

    def fill(text):
        return _VARIABLE.sub(lambda found: variables[found[1]], str(text))

    return {
        name: Service(
            tuple(map(fill, values["command"])),
            {key: fill(value) for key, value in values.get("environment", {}).items()},
            tuple(values.get("env_file", ())),
            values,
        )
        for name, values in compose_file()["services"].items()
    }


def check_arguments(arguments):
    """Fail unless the program has this command with these options."""
    name, *rest = arguments
    command = build_command(name, top_level_commands()[name])
    context = command.make_context(name, list(rest), resilient_parsing=True)
    assert context.args == [], arguments
    known = {one for parameter in command.params for one in parameter.opts}
    used = {one.partition("=")[0] for one in rest if one.startswith("--")}
    assert used <= known, arguments


@frozen
class Instruction:
    """Instruction of a Dockerfile."""

    stage: int
    name: str
    text: str


def dockerfile_instructions(text):
    """Return the instructions of a Dockerfile, comments left out and lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    stage, found = -1, []
    for line in joined.splitlines():
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, rest.strip()))
    return found


def unit_values(text):
    """Return the values of a unit by key, in the order of the lines."""
    found = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def unit_command(text):
    """Return the arguments of a unit's command, without the program."""
    program, *arguments = shlex.split(unit_values(text)["ExecStart"][0])
    assert program == "/opt/basix/bin/basix-ws-cti"
    return arguments
