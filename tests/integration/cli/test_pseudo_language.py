"""Every text that a command shows to people is translated: output in a pseudo-language.

The texts of the pseudo-language contain no ASCII letters. An ASCII word is a value, or a text that
is missing in the catalogue.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.cli_runner import environment
from support.paths import TESTS
from support.pseudo_language import BEGIN, END
from support.waiting import TIMEOUT

from basix_ws_cti.cli.help.catalogue import top_level_commands

# Values of the simulated PBX and of the options, which are shown as they are.
VALUES = re.compile(
    r"Maria Silva|Kenji Watanabe|main menu|Softphone|term\d+|unpark|demo|basix-ws-cti|Ctrl-C|"
    r"\b(?:channel|channel_waiting|user|group|group_member|terminal|domain)\b \d+|"
    r"(?<=: )channel|wss?://\S+|\(\d+ ms\)|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
WORD = re.compile(r"[A-Za-z]{2,}")


def run(*arguments, **variables):
    """Return what a command writes in the pseudo-language, to stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "support.pseudo_language", *arguments],
        capture_output=True,
        check=True,
        cwd=TESTS,
        encoding="utf-8",
        env=environment(**variables),
        timeout=TIMEOUT,
    )
    return done.stdout + done.stderr


def untranslated(text):
    return [line for line in text.splitlines() if WORD.search(VALUES.sub("", line))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("listen", "--limit", "150"),
        ("listen", "--calls", "--limit", "100"),
        ("state",),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_output_has_no_untranslated_text(command):
    output = run(*command, "--simulate", "--simulate-speed", "300")
    assert output.count(BEGIN) > 10
    assert untranslated(output) == []


def test_an_untranslated_text_is_found():
    """The test above can fail."""
    assert untranslated(f"{BEGIN}öķ{END} 佐藤 ringing\n1:02") == [f"{BEGIN}öķ{END} 佐藤 ringing"]


# What a help text has besides messages: names of commands and options, metavars, program lines.
HELP_VALUES = re.compile(
    r"^ *(?:# |basix-ws-cti .*|xxd .*|export .*|\"\$EDITOR\".*)|"
    r"python -m support\.pseudo_language[a-z ]*|basix-ws-cti(?: help connection)?|"
    r"^  [a-z]+(?=  )|-h, |--\S+|\b[A-Z_]+(?:\.\.\.)?(?![a-z])|en\|ja|critical|demo"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [[], ["help", "connection"], *([name] for name in top_level_commands())],
    ids=" ".join,
)
def test_help_has_no_untranslated_text(command):
    """The names of commands and options, and the examples, are the same in every language."""
    is_page = command == ["help", "connection"]
    text = run(*command, *([] if is_page else ["--help"]), COLUMNS="80")
    assert text.count(BEGIN) == text.count(END) > 3
    lines = [HELP_VALUES.sub("", line) for line in text.splitlines()]
    assert [line for line in lines if WORD.search(line)] == []
