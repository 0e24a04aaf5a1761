"""docs/cli.md and the generated page of commands, compared with the program."""

from __future__ import annotations

import re
import runpy

import pytest
from support.paths import ROOT

from basix_ws_cti.cli.app import build_command
from basix_ws_cti.cli.help.catalogue import COMMANDS, subcommands

DOCS = ROOT / "docs"
CLI_PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")
LEAVES = [name for name in COMMANDS if not subcommands(name)]


def visible_parameters(name):
    """Return the parameters of a command that its help shows, except ``--help``."""
    command = build_command(name, COMMANDS[name])
    if hasattr(command, "commands"):
        command = command.commands[name.rpartition(" ")[2]]
    return [one for one in command.params if not getattr(one, "hidden", False)]


def options_of(name):
    """Return the spellings of each option of a command."""
    options = [one for one in visible_parameters(name) if one.param_type_name == "option"]
    return [{*one.opts, *one.secondary_opts} for one in options]


@pytest.fixture(scope="module")
def reference():
    """Text that the page docs/reference/commands.md gets when the site is built."""
    module = runpy.run_path(str(DOCS / "command_reference.py"))
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    source = [page]
    module["insert_reference"](None, "reference/commands", source)
    assert source[0] != page
    return source[0]


@pytest.mark.parametrize("name", LEAVES)
def test_cli_page_has_every_command_and_option(name):
    assert re.search(rf"`(basix-ws-cti )?{name}[ `]|^basix-ws-cti {name}\b", CLI_PAGE, re.MULTILINE)
    mentioned = {*re.findall(r"--[a-z][a-z-]*", CLI_PAGE)}
    missing = [spellings for spellings in options_of(name) if not spellings & mentioned]
    assert not missing, f"docs/cli.md does not mention these options of {name}: describe them there"


def test_cli_page_mentions_only_options_that_exist():
    """Options of other programs, as in ``jq --raw-output``, would be listed here."""
    known = {one for name in LEAVES for spellings in options_of(name) for one in spellings}
    of_the_program = {"--help", "--version", "--install-completion", "--show-completion", "--lang"}
    of_the_simulator = {"--token"}  # python -m basix_ws_cti.simulator
    mentioned = {*re.findall(r"(?<![\w-])--[a-z][a-z-]*\w", CLI_PAGE)}
    assert mentioned <= known | of_the_program | of_the_simulator


@pytest.mark.parametrize("name", LEAVES)
def test_generated_reference_describes_every_option(name, reference):
    """A command's section has its own options; those of the connection have one section."""
    own = reference.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    shared = reference.partition("\n## Options for the connection\n")[2].partition("\n## ")[0]
    assert own
    described = [
        {*re.findall(r"--[a-z][a-z-]*", line.replace("[no-]", ""))}
        for line in re.findall(r"^```\{option\} .*", own + shared, re.MULTILINE)
    ]
    for spellings in options_of(name):
        if spellings != {"--help", "-h"}:
            assert any(spellings & names for names in described), spellings


@pytest.mark.parametrize("name", LEAVES)
def test_generated_reference_has_the_examples_of_the_help(name, reference):
    own = reference.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    lines = own.splitlines()
    assert all(example.line in lines for example in COMMANDS[name].examples)
