"""Completion of values in a shell, and what it and ``--help`` import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli_runner import environment

from basix_ws_cti._internal.translation import LANGUAGES
from basix_ws_cti.cli.app import load_function
from basix_ws_cti.cli.feed_names import CALL_EVENTS, ELEMENT_EVENTS, KINDS
from basix_ws_cti.cli.help.catalogue import top_level_commands

# Modules that help and completion must not import: they connect, parse frames, draw, or take as
# long to import as everything else together.
HEAVY = (
    *("asyncio", "websockets", "bert", "ssl", "textual", "starlette", "uvicorn"),
    *("rich.console", "typer.rich_utils", "pydantic", "zoneinfo"),
    *("basix_ws_cti.client", "basix_ws_cti.elements", "basix_ws_cti.parsing"),
    *("basix_ws_cti.mirror", "basix_ws_cti.simulator", "basix_ws_cti.transport"),
)

# Runs the command line, then prints the heavy modules that it imported.
RUN = f"""
import sys
from basix_ws_cti.cli import main
sys.argv[0] = "basix-ws-cti"
try:
    main()
finally:
    print("imported:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def run_main(*arguments, **variables):
    """Run the command line in a new process; return stdout and the heavy modules imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment(**variables),
        timeout=60,
    )
    *messages, imported = done.stderr.splitlines()
    assert (done.returncode, messages) == (0, [])
    return done.stdout, imported.split()[1:]


def complete(line, shell="bash", **variables):
    """Return what a shell is told to offer for the last word of a line, and the heavy modules."""
    words = line.split(" ")
    bash = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    others = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return run_main(_BASIX_WS_CTI_COMPLETE=f"complete_{shell}", **bash, **others, **variables)


def completions(line):
    """Return the values that bash offers; completing must import nothing heavy."""
    text, imported = complete(line)
    assert imported == []
    return text.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("basix-ws-cti li", ["listen"]),
        ("basix-ws-cti ", [*top_level_commands()]),
        ("basix-ws-cti listen --kind ", [*KINDS]),
        ("basix-ws-cti listen --kind gr", ["group", "group_member"]),
        ("basix-ws-cti state --kind chan", ["channel", "channel_waiting"]),
        ("basix-ws-cti replay x --kind dom", ["domain"]),
        ("basix-ws-cti listen --event ", [*ELEMENT_EVENTS]),
        ("basix-ws-cti listen --calls --event ", [*CALL_EVENTS]),
        ("basix-ws-cti top --log-level w", ["warning"]),
        ("basix-ws-cti decode --form b", ["base64", "binary"]),
        ("basix-ws-cti --lang ", [*LANGUAGES]),
        ("basix-ws-cti help conn", ["connection"]),
        ("basix-ws-cti config sh", ["show"]),
        ("basix-ws-cti listen --tok", ["--token-file"]),
        ("basix-ws-cti listen --server x --domain y --limit 3 --user-em", ["--user-email"]),
    ],
)
def test_values_are_completed(line, expected):
    assert completions(line) == expected


@pytest.mark.slow
def test_time_zones_are_completed():
    """They are those of the system, which only their completion reads."""
    text, imported = complete("basix-ws-cti top --timezone Asia/Tok")
    assert text.split() == ["Asia/Tokyo"]
    assert imported == ["zoneinfo"]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["listen --token-file ", "replay ", "decode --file "])
def test_file_names_are_left_to_the_shell(option):
    """Bash completes file names if the program offers nothing."""
    assert completions(f"basix-ws-cti {option}") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("zsh", """_arguments '*: :(("channel"\n"channel_waiting"))'"""),
        ("fish", "channel\nchannel_waiting"),
    ],
)
def test_other_shells_are_served(shell, expected):
    text, imported = complete("basix-ws-cti listen --kind chan", shell)
    assert text.strip() == expected
    assert imported == []


@pytest.mark.slow
def test_invalid_values_before_the_cursor_do_not_matter():
    """Nothing is converted, checked or read for completion."""
    arguments = "--limit x --token secret --profile none --config /no/such --timezone Mars"
    assert completions(f"basix-ws-cti listen {arguments} --kind dom") == ["domain"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_printed_script(tmp_path):
    """The script of ``--show-completion`` works in bash."""
    program = tmp_path / "basix-ws-cti"
    program.write_text(
        f"#!{sys.executable}\nfrom basix_ws_cti.cli import main\nmain()\n", encoding="utf-8"
    )
    program.chmod(0o755)
    script = """
eval "$(basix-ws-cti --show-completion)"
COMP_WORDS=(basix-ws-cti state --kind gr) COMP_CWORD=3
_basix_ws_cti_completion basix-ws-cti
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    source = str(Path(load_function.__code__.co_filename).parents[2])
    done = subprocess.run(
        ["bash", "--norc"],
        input=script,
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment(PATH=path, PYTHONPATH=source),
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("group group_member\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["listen", "--help"], ["top", "-h"], ["config", "show", "--help"]],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    """The help appears in little more than the time that typer takes to import."""
    text, imported = run_main(*arguments)
    assert text.startswith("Usage:")
    assert imported == []
