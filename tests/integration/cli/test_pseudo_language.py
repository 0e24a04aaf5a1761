"""Every text that a command shows to people is translated: output in a pseudo-language.

The texts of the pseudo-language contain no ASCII letters. An ASCII word is a value, or a text that
is missing in the catalogue.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from support.cli_runner import environment
from support.cli_runner import run as run_command
from support.paths import TESTS
from support.pseudo_language import BEGIN, END, PseudoLanguage
from support.staged_simulator import PICTURES
from support.waiting import TIMEOUT
from support.wallboard_screens import screen_lines

from basix_ws_cti import ConnectionLost, Gap, Synced
from basix_ws_cti._internal.translation import use_language, use_translations
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.cli.help.catalogue import top_level_commands
from basix_ws_cti.cli.wallboard.app import Wallboard
from basix_ws_cti.cli.wallboard.panel import Panel

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


# What a help text has besides messages: names of commands and options, metavars, program lines.
HELP_VALUES = re.compile(
    r"^ *(?:# |basix-ws-cti .*|xxd .*|export .*|\"\$EDITOR\".*)|"
    r"python -m support\.pseudo_language[a-z ]*|basix-ws-cti(?: help connection)?|"
    r"^  [a-z]+(?=  )|-h, |--\S+|\b[A-Z_]+(?:\.\.\.)?(?![a-z])|en\|ja|critical|demo"
)

HELPS = ["--help", "help connection", *(f"{name} --help" for name in top_level_commands())]


@pytest.mark.slow
@pytest.mark.parametrize("command", HELPS)
def test_help_has_no_untranslated_text_and_fits_80_columns(command):
    """The names of commands and options, and the examples, are the same in every language."""
    text = run(*command.split(), COLUMNS="80")
    assert text.count(BEGIN) == text.count(END) > 3
    lines = text.splitlines()
    assert [line for line in lines if WORD.search(HELP_VALUES.sub("", line))] == []
    wrapped = [line for line in lines if not line.startswith("  #")]  # titles of examples are not
    assert [line for line in wrapped if cell_len(line) > 80] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", HELPS)
def test_japanese_help_fits_80_columns(command):
    done = run_command("--lang", "ja", *command.split(), env={"COLUMNS": "80"})
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line for line in lines if cell_len(line) > 80] == []
    assert any("\u3042" <= char <= "\u9fff" for char in lines[0])


def test_an_untranslated_text_is_found():
    """The test above can fail."""
    assert untranslated(f"{BEGIN}öķ{END} 佐藤 ringing\n1:02") == [f"{BEGIN}öķ{END} 佐藤 ringing"]


# -- the wallboard -------------------------------------------------------------------------

# Names and numbers on the wallboard; a name that is too long is cut.
PEOPLE = re.compile(
    r"\b(?:Maria Sil(?:va)?|Kenji(?: W\w*)?|Ken|Ana|anon\w*|ano)(?![A-Za-z])|\b(?:enter|tab|esc)\b"
)


async def wallboard_screens(size, *notices):
    """Return the lines of the screens of a busy wallboard, by name."""
    staged = PICTURES.busy()
    history = FeedHistory(staged.now)
    for notice in (*notices, Synced()):
        history(notice)
    app = Wallboard(staged, history, UTC)
    screens = {}
    async with app.run_test(size=size) as pilot:

        async def screen():
            await pilot.pause()
            app.tick()
            await pilot.pause()
            return screen_lines(app)

        await PICTURES.pass_time(pilot, staged)
        screens["board"] = await screen()
        app.query_one("#calls", Panel).move_cursor(row=5)
        await pilot.press("enter")
        screens["details"] = await screen()
        await pilot.press("escape", "question_mark")
        screens["help"] = await screen()
        await pilot.press("escape", "slash")
        screens["filter"] = await screen()
        await pilot.press("escape", "p")
        screens["paused"] = await screen()
    return screens


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_wallboard_has_no_untranslated_text(size):
    use_translations(PseudoLanguage())
    now = datetime.now(UTC)
    gap = Gap(now - timedelta(seconds=5), now, ConnectionLost(1006))
    for name, lines in (await wallboard_screens(size, gap)).items():
        assert sum(line.count(BEGIN) for line in lines) > 15, name
        assert [line for line in lines if WORD.search(PEOPLE.sub("", line))] == [], name


def unclosed(line):
    """Return the texts of a line that are cut without a tilde."""
    texts = re.findall(rf"{BEGIN}[^{BEGIN}{END}~]*(?:{END}|~|$)?", line)
    return [text for text in texts if not text.endswith((END, "~"))]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_longer_texts_fit_the_wallboard(size):
    """Texts that are too long for their column end in a tilde; all others are complete."""
    use_translations(PseudoLanguage())
    for name, lines in (await wallboard_screens(size)).items():
        if name in {"board", "filter", "paused"}:
            assert [text for line in lines for text in unclosed(line)] == [], name


@pytest.mark.slow
async def test_japanese_keys_and_headings_fit_80_columns():
    use_language("ja")
    lines = (await wallboard_screens((80, 24)))["board"]
    assert lines[-1].split()[-2:] == ["q", "終了"]
    assert lines[1].split() == ["待ち呼", "最長", "通話中", "空き", "SL", "応答", "放棄呼", "ASA"]
    words = {word for line in lines for word in line.split()}
    assert words >= {
        *("方向", "状態", "経過▾", "発信者", "相手", "キュー", "待ち呼", "最長▾", "ユーザー"),
        *("内線", "状況", "スロット", "操作者", "時刻▾", "イベント"),
    }
