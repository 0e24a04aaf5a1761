"""Errors about the syntax of a command line: texts, language and exit code."""

from __future__ import annotations

import pytest
from support.cli_runner import run_in_process

ERRORS = [
    ("doctor --bogus", "doctor", "no such option: --bogus", "--bogusというオプションはありません"),
    ("--bogus", "", "no such option: --bogus", "--bogusというオプションはありません"),
    (
        "doctor --timeou 5",
        "doctor",
        "no such option: --timeou; did you mean --timeout?",
        "--timeouというオプションはありません。もしかして: --timeout",
    ),
    (
        "lisen",
        "",
        "unknown command 'lisen'; did you mean 'listen'?",
        "不明なコマンドです: 'lisen'。もしかして: 'listen'",
    ),
    (
        "config shw",
        "config",
        "unknown command 'shw'; did you mean 'show'?",
        "不明なコマンドです: 'shw'。もしかして: 'show'",
    ),
    (
        "call 1001",
        "call",
        "missing argument 'DESTINATION'",
        "引数'DESTINATION'が指定されていません",
    ),
    (
        "doctor extra",
        "doctor",
        "Got unexpected extra argument(s) (extra)",
        "Got unexpected extra argument(s) (extra)",
    ),
]


@pytest.mark.parametrize(("arguments", "command", "english", "japanese"), ERRORS)
def test_error_shows_usage_help_and_reason(arguments, command, english, japanese):
    program = f"basix-ws-cti {command}".strip()
    done = run_in_process(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert f"{program} [OPTIONS]" in lines[0]
    assert lines[-3].startswith("Help: ")
    assert lines[-3].endswith(f"{program} --help")
    assert lines[-2:] == ["", f"error: {english}"]
    done = run_in_process("--lang", "ja", *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"エラー: {japanese}"


def test_reason_of_an_invalid_value_has_the_words_of_typer():
    done = run_in_process("doctor", "--timeout", "0")
    start = "error: invalid value for '--timeout': "
    assert (done.returncode, done.stdout) == (2, "")
    message = done.stderr.splitlines()[-1]
    assert message.startswith(start)
    reason = message.removeprefix(start)
    assert "0.1" in reason
    done = run_in_process("--lang", "ja", "doctor", "--timeout", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"エラー: '--timeout'の値が正しくありません: {reason}"


def test_option_without_its_value_is_reported():
    """Typer does not say which command such an error belongs to."""
    done = run_in_process("listen", "--limit")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: Option '--limit' requires an argument.\n"


def test_unknown_command_without_a_similar_one_lists_the_commands():
    done = run_in_process("xyz")
    assert done.returncode == 2
    assert "unknown command 'xyz'; known: top, web, listen, state, record" in done.stderr


def test_control_characters_in_an_option_are_not_printed():
    done = run_in_process("listen", "--\x1b[2J")
    assert done.returncode == 2
    assert "no such option: --" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_program_without_a_command_prints_its_help(arguments):
    done = run_in_process(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")
    assert "Examples" in done.stderr
