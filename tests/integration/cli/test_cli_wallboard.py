"""Wallboard application: screens, keys, and the amount of drawing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, timedelta

import pytest
from rich.cells import cell_len
from support.hostile_texts import HOSTILE
from support.staged_simulator import PICTURES, quiet, talk
from support.wallboard_screens import assert_screen, screen_lines, svg_lines

from basix_ws_cti import (
    AuthenticationError,
    ConnectionLost,
    Disconnected,
    Gap,
    Stopped,
    Synced,
)
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.headline import FIGURES
from basix_ws_cti.board.limits import BoardLimits, Limits
from basix_ws_cti.board.tables import TABLES, Cell, Column, Row
from basix_ws_cti.board.text import FULL_WIDTH_SPACE
from basix_ws_cti.cli.wallboard.app import Wallboard
from basix_ws_cti.cli.wallboard.deferred_log import defer_terminal_log
from basix_ws_cti.cli.wallboard.filter_box import FilterBox
from basix_ws_cti.cli.wallboard.panel import Panel, fit_cell
from basix_ws_cti.cli.wallboard.styles import FULL
from basix_ws_cti.simulator import Person

SIZES = [(80, 24), (120, 40), (200, 60)]


def history_with_a_gap(staged):
    """Return a feed history with one gap of 5 s."""
    history = FeedHistory(staged.now)
    history(Synced())
    now = staged.now()
    history(Gap(now - timedelta(seconds=95), now - timedelta(seconds=90), ConnectionLost(1006)))
    return history


def open_wallboard(staged, size=(80, 24), history=None):
    """Return the wallboard of a staged PBX, and the context manager that runs it."""
    app = Wallboard(staged, history or FeedHistory(staged.now), UTC)
    return app, app.run_test(size=size)


async def redraw(pilot):
    """Let the wallboard build a new board and draw it."""
    await pilot.pause()
    pilot.app.tick()
    await pilot.pause()


def callers(app):
    """Return the callers of the calls shown, from top to bottom."""
    panel = app.screen_stack[0].query_one("#calls", Panel)
    return [str(panel.get_row_at(at)[3]).strip() for at in range(panel.row_count)]


def test_cells_fill_their_columns():
    """Wide characters take two columns; text that is too long ends in a tilde."""
    for text in ("山田 太郎", "Ana", "山田太郎とその仲間たち", "a" * 40, "ｶﾅ", ""):
        for right in (False, True):
            cell = fit_cell(Cell(text), Column("x", "", align_right=right), 11)
            assert cell_len(cell.plain) == 10
    assert fit_cell(Cell("山田太郎と仲間"), Column("x", ""), 11).plain == "山田太郎 ~"
    assert fit_cell(Cell("1:05"), Column("x", "", align_right=True), 11).plain == "      1:05"


def test_rows_without_a_place_on_the_screen_may_change_their_order():
    """The first rows can arrive before the layout, and a small screen hides panels."""
    first, second = (Row(key, tuple(Cell(key) for _ in TABLES["calls"])) for key in "ab")
    panel = Panel("calls", FULL)
    panel.display_rows([first, second])
    panel.display_rows([second, first])
    assert panel.selected_row is second


# -- the screen -----------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
async def test_busy_screen(size):
    """The screen equals the stored one at two sizes."""
    staged = PICTURES.busy()
    history = FeedHistory(staged.now)
    app, running = open_wallboard(staged, size, history)
    async with running as pilot:
        await PICTURES.pass_time(pilot, staged)
        now = staged.now()
        history(Gap(now - timedelta(seconds=95), now - timedelta(seconds=90), ConnectionLost(1006)))
        await redraw(pilot)
        assert_screen(f"busy-{size[0]}", screen_lines(app))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
async def test_call_details_screen(size):
    """Phases and legs with durations equal the stored screen."""
    staged = PICTURES.busy()
    app, running = open_wallboard(staged, size)
    async with running as pilot:
        await PICTURES.pass_time(pilot, staged)
        app.query_one("#calls", Panel).move_cursor(row=5)
        await pilot.press("enter")
        await redraw(pilot)
        assert_screen(f"details-{size[0]}", screen_lines(app))
        assert "Call ─" in "\n".join(screen_lines(app))
        await pilot.press("escape")
        await redraw(pilot)
        assert "Call ─" not in "\n".join(screen_lines(app))


@pytest.mark.slow
async def test_call_details_update_until_the_call_ends():
    """Durations advance; after the end the result is shown."""
    staged = quiet()
    line = talk(staged)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        await pilot.press("enter")
        staged.advance(61)
        await redraw(pilot)
        assert any("1:01" in text and "talking with" in text for text in screen_lines(app))
        staged.pbx.hang_up(line)
        staged.advance(100)
        await redraw(pilot)
        text = "\n".join(screen_lines(app))
        assert "answered, talked 1:01, caller hung up" in text
        assert "Duration  1:01" in text


@pytest.mark.slow
async def test_rows_are_sorted_by_key_and_by_mouse():
    """s steps through the visible columns; r and a click on a heading reverse the order."""
    staged = quiet()
    for by, number in enumerate(("0622220000", "0633330000", "0611110000")):
        talk(staged, number, by=by)
        staged.advance(1)
    app, running = open_wallboard(staged, (160, 50))
    async with running as pilot:
        await redraw(pilot)
        initial = ["0622220000", "0633330000", "0611110000"]
        assert callers(app) == initial  # the longest time in its state on top
        assert any("For▾ Caller " in line for line in screen_lines(app))
        await pilot.press("r")
        assert callers(app) == initial[::-1]
        assert any("For▴ Caller " in line for line in screen_lines(app))
        await pilot.press("s")
        assert callers(app) == sorted(initial)
        assert any("Caller▴" in line for line in screen_lines(app))
        await pilot.press("r")
        assert callers(app) == sorted(initial, reverse=True)
        for _ in range(len(app.query_one("#calls", Panel).visible_columns) - 1):
            app.action_sort()
        assert callers(app) == initial
        heading = next(line for line in screen_lines(app) if "Caller" in line).index("Caller")
        await pilot.click("#calls", offset=(heading, 1))
        assert callers(app) == sorted(initial)
        await pilot.click("#calls", offset=(heading, 1))
        assert callers(app) == sorted(initial, reverse=True)


@pytest.mark.slow
async def test_second_click_opens_a_row():
    staged = quiet()
    talk(staged, "0611110000", by=0)
    staged.advance(1)
    talk(staged, "0622220000", by=1)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        for _ in range(2):
            await pilot.click("#calls", offset=(10, 3))
        await redraw(pilot)
        assert any("from 0622220000" in line for line in screen_lines(app))


@pytest.mark.slow
async def test_filter_limits_the_rows():
    """The filter applies until it is cleared."""
    staged = quiet()
    talk(staged, "0611110000", by=0)
    talk(staged, "0622220000", by=1)
    app, running = open_wallboard(staged, history=history_with_a_gap(staged))
    async with running as pilot:
        await redraw(pilot)
        await pilot.press("slash", *"0622")
        await redraw(pilot)
        assert callers(app) == ["0622220000"]
        text = "\n".join(screen_lines(app))
        assert "Calls 1 of 2" in text
        assert "Users 1 of 5" in text
        assert "gap from" in text  # the filter does not apply to the feed history
        await pilot.press("enter", "p")  # a key binding again, not text
        assert app.is_paused
        assert app.query_one(FilterBox).value == "0622"
        await pilot.press("escape")
        await redraw(pilot)
        assert len(callers(app)) == 2


@pytest.mark.slow
async def test_pause_freezes_the_screen():
    """The head line says so; a second p resumes."""
    staged = quiet()
    talk(staged, "0622220000", by=0)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        await pilot.press("p")
        frozen = screen_lines(app)
        talk(staged, "0611110000", by=1)
        staged.advance(30)
        await redraw(pilot)
        assert screen_lines(app) == frozen
        assert "PAUSED" in frozen[0]
        await pilot.press("p")
        await redraw(pilot)
        assert len(callers(app)) == 2
        assert "PAUSED" not in screen_lines(app)[0]


@pytest.mark.slow
async def test_feed_state_is_shown():
    """The head line shows a lost connection at once, and the history lists the gap."""
    staged = quiet()
    history = FeedHistory(staged.now)
    app, running = open_wallboard(staged, history=history)
    async with running as pilot:
        await redraw(pilot)
        assert screen_lines(app)[0].startswith(" live")
        staged.state = Disconnected(ConnectionLost(1006), 2.0)
        history(staged.state)
        await redraw(pilot)
        assert screen_lines(app)[0].startswith(" disconnected")
        assert any("disconnected: " in line for line in screen_lines(app)[1:])
        staged.state = Synced()
        history(Gap(staged.now(), staged.now(), ConnectionLost(1006)))
        await redraw(pilot)
        assert "1 gap" in screen_lines(app)[0]
        assert any("gap from 00:00:00" in line for line in screen_lines(app))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
async def test_screens_are_muted_without_a_live_feed(size):
    """Board, details and help have a band with the time, and the board has one colour."""
    staged = quiet()
    talk(staged, "0622220000", by=0)
    app, running = open_wallboard(staged, size)
    async with running as pilot:
        await redraw(pilot)
        assert len(colours(app)) > 2
        staged.state = Disconnected(ConnectionLost(1006), 2.0)
        staged.advance(23)
        await redraw(pilot)
        assert screen_lines(app)[1].startswith(" Stale since 00:00:23 (0:00): disconnected: ")
        assert colours(app) == {app.palette.stale}
        staged.advance(7)
        for key in ("enter", "question_mark"):
            await pilot.press(key)
            await redraw(pilot)
            assert screen_lines(app)[0].startswith(" Stale since 00:00:23 (0:07): ")
            assert app.screen.has_class("-stale")
            await pilot.press("escape")
        staged.state = Synced()
        await redraw(pilot)
        assert "Stale" not in "\n".join(screen_lines(app))
        assert len(colours(app)) > 2


def colours(app):
    """Return the styles of all cells of the tables."""
    return {
        str(cell.style)
        for panel in app.screen_stack[0].query(Panel)
        for at in range(panel.row_count)
        for cell in panel.get_row_at(at)
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
async def test_help_explains_keys_figures_columns_and_colours(size):
    """All of it is reached by scrolling; the screen at its top equals the stored one."""
    limits = BoardLimits(wait=Limits(30, 45), parked=Limits(90, 300))
    app = Wallboard(quiet(), FeedHistory(), UTC, limits=limits)
    async with app.run_test(size=size) as pilot:
        await redraw(pilot)
        await pilot.press("question_mark")
        await redraw(pilot)
        assert_screen(f"help-{size[0]}", screen_lines(app))
        shown = " ".join(screen_lines(app))
        for _ in range(10):
            await pilot.press("pagedown")
            await pilot.pause()
            shown += " ".join(screen_lines(app))
        texts = [figure.title for figure in FIGURES.values()]
        texts += [column.name for columns in TABLES.values() for column in columns]
        texts += ["a wait of 30 s or more", "90 s", "a wait of 45 s or more"]
        assert [text for text in texts if text not in shown] == []
        await pilot.press("question_mark")
        await redraw(pilot)
        assert "Help" in screen_lines(app)[-1]


@pytest.mark.slow
async def test_question_mark_is_text_in_the_filter():
    app, running = open_wallboard(quiet())
    async with running as pilot:
        await redraw(pilot)
        await pilot.press("slash", "question_mark")
        assert app.query_one(FilterBox).value == "?"


@pytest.mark.slow
async def test_final_error_ends_the_wallboard():
    """The application returns the error."""
    staged = quiet()
    error = AuthenticationError(401)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        staged.events.put_nowait(error)
        async with asyncio.timeout(60):
            while app.is_running:
                await pilot.pause(0.01)
    assert app.return_value is error


@pytest.mark.slow
async def test_last_board_stays_after_the_end_of_a_recording():
    staged = quiet()
    talk(staged, "0611110000")
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        staged.state = Stopped(None)
        staged.events.put_nowait(None)
        await redraw(pilot)
        assert app.is_running
        assert screen_lines(app)[0].startswith(" ended")
        assert callers(app) == ["0611110000"]
        await pilot.press("q")
    assert app.return_value is None


@pytest.mark.slow
async def test_markup_and_control_characters_in_names_are_escaped():
    labels = ["[red]x[/red] [", "[/]", "\x1b[31mred\x1b]0;t\x07", "a\nb\t\u202ec"]
    staged = quiet(users=len(labels))
    for by, label in enumerate(labels):
        staged.pbx.edit(list(staged.pbx.users.values())[by], label=label)
        talk(staged, by=by)
        staged.advance(1)
    escaped = [
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in labels
    ]
    app, running = open_wallboard(staged, (160, 50))
    async with running as pilot:
        await redraw(pilot)
        text = "".join(screen_lines(app))
        assert text.isprintable()
        for label in escaped:
            assert text.count(label) >= 2  # the party of a call, and the user
        for at, label in enumerate(escaped):
            app.query_one("#calls", Panel).move_cursor(row=at)
            await pilot.press("enter")
            await redraw(pilot)
            text = "".join(screen_lines(app))
            assert text.isprintable()
            assert f"talking with {label}" in text
            assert f"to {label}" in text
            app.pop_screen()


@pytest.mark.slow
async def test_texts_of_the_server_about_a_lost_connection_are_escaped():
    """They are in the band of the board and of the dialogs, and in the feed's history."""
    staged = quiet()
    talk(staged)
    history = FeedHistory(staged.now)
    app, running = open_wallboard(staged, (160, 50), history)
    async with running as pilot:
        await redraw(pilot)
        for reason, escaped in HOSTILE.values():
            staged.state = Disconnected(ConnectionLost(1011, reason), 2.0)
            history(staged.state)
            await redraw(pilot)
            text = "".join(screen_lines(app))
            assert text.count(escaped) >= 2
            assert text.replace(FULL_WIDTH_SPACE, "").isprintable()
            await pilot.press("enter")
            await redraw(pilot)
            text = "".join(screen_lines(app))
            assert escaped in text
            assert text.replace(FULL_WIDTH_SPACE, "").isprintable()
            await pilot.press("q")


@pytest.mark.slow
async def test_resizing_shows_more_columns():
    staged = PICTURES.busy()
    app, running = open_wallboard(staged, (80, 24))
    async with running as pilot:
        await PICTURES.pass_time(pilot, staged, 30)
        assert "Total" not in "\n".join(screen_lines(app))
        await pilot.resize_terminal(160, 50)
        await redraw(pilot)
        wide = screen_lines(app)
        assert "Total" in "\n".join(wide)
        await pilot.resize_terminal(80, 24)
        await redraw(pilot)
        assert "Total" not in "\n".join(screen_lines(app))


@pytest.mark.slow
async def test_rows_have_the_default_order_while_their_column_is_hidden():
    """The order by the hidden column returns with it, also on a paused board."""
    staged = quiet()
    line = staged.pbx.receive(Person("0622220000"), "0501234567")
    leg = staged.pbx.call_user(line, next(iter(staged.pbx.users.values())))
    staged.advance(1)
    talk(staged, "0633330000", by=1)
    staged.advance(1)
    staged.pbx.connect(leg)
    staged.advance(1)
    app, running = open_wallboard(staged, (160, 50))
    async with running as pilot:
        await redraw(pilot)
        assert callers(app) == ["0633330000", "0622220000"]  # by time in the state
        await pilot.press("s", "s", "s", "p")
        assert any("Total▾" in line for line in screen_lines(app))
        assert callers(app) == ["0622220000", "0633330000"]
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert any("For▾ Caller" in line for line in screen_lines(app))
        assert callers(app) == ["0633330000", "0622220000"]
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert any("Total▾" in line for line in screen_lines(app))
        assert callers(app) == ["0622220000", "0633330000"]


@pytest.mark.slow
async def test_chosen_table_has_the_focus_again_once_it_has_a_place():
    app, running = open_wallboard(quiet(), (80, 24))
    async with running as pilot:
        await redraw(pilot)
        for height in (4, 24):
            await pilot.resize_terminal(80, height)
            await pilot.pause()
            await redraw(pilot)
            assert app.query_one("#calls").display is (height == 24)
        assert app.focused.id == "calls"
        await pilot.press("tab", "tab")
        await redraw(pilot)
        assert app.focused.id == "users"
        await pilot.click("#queues")
        await redraw(pilot)
        assert app.focused.id == "queues"
        await pilot.press("shift+tab")
        await redraw(pilot)
        assert app.focused.id == "calls"


# -- amount of drawing ----------------------------------------------------------------


def count_table_calls(app, monkeypatch):
    """Return a counter of the calls of table methods from now on."""
    counts = Counter()

    def watch(name):
        original = getattr(Panel, name)

        def counting(self, *args, **kwargs):
            counts[name] += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Panel, name, counting)

    for name in ("add_row", "remove_row", "update_cell", "clear", "sort"):
        watch(name)
    return counts


@pytest.mark.slow
async def test_only_changed_cells_are_redrawn(monkeypatch):
    """With 200 calls, unchanged rows cause no work, and no table is rebuilt."""
    staged = quiet(users=220)
    lines = [talk(staged, f"06{number:08}", by=number) for number in range(200)]
    app, running = open_wallboard(staged, (160, 50))
    async with running as pilot:
        await redraw(pilot)
        assert len(callers(app)) == 200
        counts = count_table_calls(app, monkeypatch)
        for _ in range(3):
            await redraw(pilot)
        assert counts == {}
        staged.advance(1)
        await redraw(pilot)
        # For and Total of each call, For of each user who talks.
        assert counts == {"update_cell": 600}
        counts.clear()
        talk(staged, "0799990000", by=210)
        await redraw(pilot)
        # The call's row; four cells of the user's, which goes to its new place.
        assert counts["add_row"] == 1
        assert counts["update_cell"] <= 4
        assert not counts.keys() & {"remove_row", "clear"}
        counts.clear()
        staged.pbx.hang_up(lines[100])
        await redraw(pilot)
        assert counts["remove_row"] == 1
        assert counts["update_cell"] <= 4
        assert not counts.keys() & {"add_row", "clear"}


@pytest.mark.slow
async def test_events_between_redraws_cause_no_drawing(monkeypatch):
    staged = quiet(users=20)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        counts = count_table_calls(app, monkeypatch)
        app.is_paused = True  # no redraw happens by itself
        for _ in range(500):
            staged.pbx.hang_up(talk(staged))
        await pilot.pause()
        assert counts == {}
        assert staged.events.empty()


@pytest.mark.slow
async def test_cursor_stays_on_its_call():
    """Started and ended calls, or another order, do not move the cursor to another call."""
    staged = quiet(users=10)
    lines = []
    for by in range(4):
        lines.append(talk(staged, f"06{by}0000000", by=by))
        staged.advance(1)
    app, running = open_wallboard(staged)
    async with running as pilot:
        await redraw(pilot)
        await pilot.press("down", "down")
        panel = app.query_one("#calls", Panel)
        assert panel.selected_row.key == lines[2].uuid
        staged.pbx.hang_up(lines[0])
        await redraw(pilot)
        assert panel.selected_row.key == lines[2].uuid
        assert panel.cursor_row == 1
        await pilot.press("s", "r")
        await redraw(pilot)
        assert panel.selected_row.key == lines[2].uuid
        await pilot.press("enter")
        await redraw(pilot)
        assert any("from 0620000000" in line for line in screen_lines(app))


def test_log_output_is_deferred_until_the_screen_is_left(monkeypatch):
    written = []

    class Screen:
        def write(self, text):
            written.append(text)

        def writelines(self, lines):
            written.extend(lines)

        def flush(self):
            pass

        def isatty(self):
            return True

    handler = logging.StreamHandler(Screen())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    logger = logging.getLogger("basix_ws_cti.test")
    with defer_terminal_log():
        logger.error("one")
        assert written == []
    assert written == ["one\n"]
    logger.error("two")
    assert written == ["one\n", "two\n"]


# -- documentation images -----------------------------------------------------------------------


@pytest.mark.slow
def test_documentation_images_are_current(tmp_path, capsys):
    """New images have the text of the stored ones."""
    PICTURES.main(tmp_path)
    assert set(capsys.readouterr().out.split()) >= {str(tmp_path / "top.svg")}
    for name in PICTURES.PICTURES:
        made = (tmp_path / name).read_text(encoding="utf-8")
        kept = (PICTURES.HERE / "_static" / name).read_text(encoding="utf-8")
        assert svg_lines(made, 200) == svg_lines(kept, 200)


@pytest.mark.nightly
def test_documentation_images_are_reproducible(tmp_path):
    """Two runs give the same bytes."""
    for folder in ("one", "two"):
        PICTURES.main(tmp_path / folder)
    for name in PICTURES.PICTURES:
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
