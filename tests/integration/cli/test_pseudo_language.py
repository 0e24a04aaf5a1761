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
from support.example_connections import connection_environment
from support.paths import TESTS
from support.pseudo_language import BEGIN, END, PseudoLanguage, pseudo
from support.staged_simulator import PICTURES
from support.waiting import TIMEOUT
from support.wallboard_screens import screen_lines

from basix_ws_cti import ConnectionLost, Disconnected, Gap, Synced
from basix_ws_cti._internal.translation import use_language, use_translations
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.headline import FIGURES
from basix_ws_cti.board.tables import TABLES
from basix_ws_cti.cli.help.catalogue import top_level_commands
from basix_ws_cti.cli.wallboard.app import Wallboard
from basix_ws_cti.cli.wallboard.panel import Panel
from basix_ws_cti.simulator import Simulator

# Values of the simulated PBX and of the options, which are shown as they are.
VALUES = re.compile(
    r"Maria Silva|Kenji Watanabe|anonymous|main menu|Softphone|term\d+|unpark|pickup|playback|"
    r"route|demo|basix-ws-cti|Ctrl-C|"
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
    r"python -m support\.pseudo_language[a-z -]*|basix-ws-cti(?: help connection)?|"
    r"^  [a-z-]+(?=  )|-h, |--\S+|\b[A-Z_]+(?:\.\.\.)?(?![a-z])|en\|ja|critical|demo|queues|basix|"
    r"webhook\.db"
)

HELPS = ["--help", "help connection", *(f"{name} --help" for name in top_level_commands())]


@pytest.mark.slow
def test_table_of_calls_has_no_untranslated_text():
    with Simulator(calls=False) as pbx:
        pbx.answer(pbx.call("0312341234", to="1001"))
        output = run("state", "--calls", **connection_environment(pbx))
    assert output.count(BEGIN) > 8
    assert untranslated(output) == []


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
        await pilot.press("p")
        staged.state = Disconnected(ConnectionLost(1006), 2.0)
        screens["stale"] = await screen()
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


def cut_words(text, short_forms):
    """Return the fixed words that are cut with a tilde, except these; no texts with a value."""
    words = {column.name for columns in TABLES.values() for column in columns}
    words |= {word for columns in TABLES.values() for column in columns for word in column.words}
    words |= {title for figure in FIGURES.values() for title in (figure.title, figure.short_title)}
    cut = set(re.findall(rf"{BEGIN}[^{BEGIN}{END}~]+(?=~)", text))
    for word in short_forms:
        cut -= {part for part in cut if pseudo(word).startswith(part)}
    return {word for word in words if any(pseudo(word).startswith(part) for part in cut)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "short_forms"),
    [
        (
            (80, 24),
            # Short titles of figures, and the heading of the activity.
            {"Waiting", "Longest", "Talking", "In time", "Answered", "Abandoned", "Activity"},
        ),
        ((120, 40), set()),
        ((200, 60), set()),
    ],
)
async def test_longer_texts_fit_the_wallboard(size, short_forms):
    """Texts with a value end in a tilde if they are too long; all others are complete."""
    use_translations(PseudoLanguage())
    screens = await wallboard_screens(size)
    for name in ("board", "filter", "paused", "stale"):
        lines = screens[name]
        if name == "stale":
            figures = next(at for at, line in enumerate(lines) if line.startswith(" ⟦Ŵåîţîñğ"))
            band = "".join(lines[1:figures])
            assert band.count(BEGIN) == band.count(END) == 3
            del lines[1:figures]
        assert [text for line in lines for text in unclosed(line)] == [], name
        assert cut_words("\n".join(lines), short_forms) == set(), name
        last_key = "Clear" if name == "filter" else "Quit"
        assert lines[-1].endswith(pseudo(last_key)), name


@pytest.mark.slow
async def test_longer_texts_of_dialogs_are_complete_at_80_columns():
    use_translations(PseudoLanguage())
    screens = await wallboard_screens((80, 150))
    for name in ("details", "help"):
        dialog = "\n".join(line for line in screens[name] if line.startswith("│"))
        assert dialog.count(BEGIN) == dialog.count(END) > 10
        assert "~" not in dialog
        assert "…" not in dialog.replace(pseudo("Stale since …"), "")


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
