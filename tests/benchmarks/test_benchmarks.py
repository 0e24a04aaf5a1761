"""Benchmarks at a tiny size: all of them run, and print and save their results."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import attrs
import fanout_followers
import live
import measure
import parsing
import pytest
import run
import table
import tradeoffs
import workload
from measure import QUICK, Row
from server import PAUSE, serving

from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.terms import atom_cache, decode

PAGE = Path(__file__).parent.parent.parent / "docs" / "development" / "performance-notes.md"

KINDS = {
    *("channel", "channel_waiting", "domain", "group", "group_member"),
    *("parked_channel", "queued_channel", "terminal", "user"),
}

# Number of rows of each group.
ROWS = {
    "events": 7 if shutil.which("escript") else 6,
    "varied": 9,
    "message_kinds": 2 * (2 * len(KINDS) + 4),
    "sizes": 9,
    "tradeoffs": 8,
    "keeping": 3,
    "growth": 18,
    "memory": 9,
    "socket": 28,
    "hold": 6,
    "start": 6,
}


def run_command(*arguments):
    """Run the benchmark command; return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        run.main(list(map(str, arguments)))
    return stdout.getvalue()


def row(*values, **fields):
    """Return a row with these values."""
    return Row(**{"group": "g", "name": "n", "unit": "ms", "values": [*values], **fields})


@pytest.fixture(scope="module", autouse=True)
def frozen_after_all():
    """Freeze again the objects that ``measure.take_turns`` unfreezes; see ``conftest.py``."""
    yield
    gc.collect()
    gc.freeze()


# == complete runs =========================================================================


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Run all benchmarks quickly; return the output, the path of the saved file, and the page.

    They run in this process, which is faster. ``test_compare_shows_previous_values`` starts
    another one.
    """
    folder = tmp_path_factory.mktemp("benchmarks")
    kept, page = folder / "kept.json", folder / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nwas here\n{table.END}\nafter\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "apart", lambda function, *arguments: function(*arguments))
        printed = run_command("--quick", "--save", kept, "--write", page)
    return printed, kept, page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_each_group_measures_all_its_rows(quick):
    """Each value is positive, except in the group ``hold``."""
    printed, kept, _ = quick
    rows, measured = table.load(kept)
    assert {group: [one.group for one in rows].count(group) for group in ROWS} == ROWS
    assert len({(one.group, one.name) for one in rows}) == len(rows) == sum(ROWS.values())
    for one in rows:
        assert re.search(rf"^{one.group} +{re.escape(one.name)} ", printed, re.MULTILINE)
        assert len(one.values) == 1
        assert one.values[0] > 0 or one.group == "hold", one
    assert measured["size"] == "quick"
    assert measured["Python"].split()[1] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.slow
def test_base_rows_have_the_ratio_one(quick):
    """The row that others are compared with is part of the same group."""
    rows, _ = table.load(quick[1])
    bases = [one for one in rows if one.base and one.name.endswith(one.base)]
    assert {one.group for one in bases} == {*ROWS} - {"message_kinds", "hold"}
    assert all(one.ratios == [1] for one in bases)
    assert {one.group for one in rows if not one.ratios} == {"hold"}


@pytest.mark.slow
def test_page_gets_goals_and_a_table_for_each_group(quick):
    """The text outside the marks stays."""
    page = quick[2]
    assert page.startswith(f"before\n{table.BEGIN}\n\nMeasured with Python ")
    assert page.endswith(f" |\n\n{table.END}\nafter\n")
    assert "was here" not in page
    assert re.findall(r"^### (.*)", page, re.MULTILINE) == [*ROWS]
    lines = len(table.GOALS) + sum(ROWS.values())
    assert page.count("\n| ") == lines + 2 * (1 + len(ROWS))


@pytest.mark.slow
def test_each_goal_matches_measured_rows(quick):
    rows, _ = table.load(quick[1])
    assert len(table.goals(rows)) == 1 + len(table.GOALS)


@pytest.mark.slow
def test_compare_shows_previous_values(quick):
    """A comparison of selected groups shows only their rows."""
    printed = run_command("--only", "keeping", "--quick", "--compare", quick[1])
    headings, *lines = printed.partition("\n\n")[0].splitlines()
    assert headings.split()[-2:] == ["before", "after/before"]
    assert len(lines) == ROWS["keeping"]
    assert re.fullmatch(r"keeping +marshal.loads .* 1\.00 +1\.00", lines[0])


@pytest.mark.slow
def test_full_run_is_not_compared_with_a_quick_one(quick, capsys):
    with pytest.raises(SystemExit):
        run.main(["--compare", str(quick[1])])
    assert "can't be compared" in capsys.readouterr().err


def test_missing_decoders_are_skipped(monkeypatch):
    """Without ``erlang_py`` and Erlang, all other decoders are measured."""
    monkeypatch.setitem(sys.modules, "erlang", None)
    monkeypatch.setenv("PATH", "")
    assert [one.name for one in parsing.events(QUICK, 0)] == [
        *("marshal.loads", "decode", "frame to callback"),
        *("frame to callback, a connection's first 499", "bert.decode"),
    ]


# == statistics and tables =================================================================


@pytest.mark.slow
def test_contestants_take_turns():
    """Every other round runs backwards, and the first round does not count."""
    order = []

    def contestant(name):
        def take():
            order.append(name)
            return len(order)

        return take

    measured = measure.take_turns({name: contestant(name) for name in "abc"}, 2)
    assert "".join(order) == "abccbaabc"
    assert measured == {"a": [6, 7], "b": [5, 8], "c": [4, 9]}
    assert not gc.get_freeze_count()


@pytest.mark.slow
def test_contestant_measures_seconds_per_call(monkeypatch):
    """Each round calls the function once with each of its arguments."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(measure, "time", SimpleNamespace(process_time=lambda: clock.now))
    called = []

    def takes(seconds):
        called.append(seconds)
        clock.now += seconds

    contestant = measure.calling(takes, [1, 3], [10, 30])
    assert [contestant(), contestant(), contestant()] == [2, 20, 2]
    assert called == [1, 3, 10, 30, 1, 3]
    assert measure.calling(takes, [1, 3], count=8)() == 0.5
    assert measure.calling(takes, [0])() > 0  # a ratio needs a positive base


def test_ratios_compare_values_of_the_same_round():
    """A round on a slow machine does not change the ratios."""
    measured = {"base": [1.0, 8.0], "ours": [3.0, 24.0]}
    base, ours = measure.rows("g", "base", measured, prefix="x: ")
    assert base.ratios == [1, 1]
    assert (ours.name, ours.base, ours.ratios) == ("x: ours", "base", [3, 3])
    assert (ours.values, ours.unit) == ([3e6, 24e6], "µs")
    assert measure.rows("g", "base", measured, shows_base=False) == [
        attrs.evolve(ours, name="ours")
    ]


def test_row_has_medians_and_interquartile_spread():
    several = row(1.0, 2.0, 3.0, 4.0, 90.0)
    assert (several.value, several.figure) == (3, 3)
    assert several.spread == pytest.approx(2 / 3)
    ratios = row(1.0, 2.0, 3.0, base="b", ratios=[5.0, 5.0, 7.0])
    assert (ratios.value, ratios.figure) == (2, 5)
    assert ratios.spread == pytest.approx(1 / 5)
    assert row(1.0).spread == 0
    joined = row(1.0, ratios=[2.0]).joined(row(3.0, ratios=[4.0]))
    assert (joined.values, joined.ratios) == ([1, 3], [2, 4])


def test_rows_contain_the_rounds_of_all_processes(monkeypatch):
    monkeypatch.setattr(run, "apart", lambda function, size, number: function(size, number))
    monkeypatch.setitem(run.GROUPS, "g", lambda _, number: [row(number), row(7, name="other")])
    numbered, other = run.measure("g", attrs.evolve(QUICK, processes=3))
    assert numbered.values == [0, 1, 2]
    assert other.values == [7, 7, 7]


def test_verdict_ignores_changes_within_the_spread():
    """Changes of up to 3 % are ignored, too."""
    assert table.verdict(row(1.0), row(1.02)) == ""
    assert table.verdict(row(1.0), row(1.04)) == "worse"
    assert table.verdict(row(1.0), row(0.96)) == "better"
    assert table.verdict(row(1.0), row(0.98)) == ""
    assert table.verdict(row(0.9, 1.0, 1.1), row(1.04)) == ""
    assert table.verdict(row(1.0), row(1.0, 1.12, 1.3)) == ""
    assert table.verdict(row(0.9, 1.0, 1.1), row(1.12)) == "worse"


def test_table_shows_changes_and_new_rows():
    before = [row(2.0), row(1.0, base="b", ratios=[10.0], name="r")]
    after = [row(1.0), row(1.0, base="b", ratios=[10.0], name="r"), row(1.0, name="m")]
    assert table.table(after, before)[1:] == [
        ("g", "n", "1.00 ms", "", "", "0%", "2.00", "0.50", "better"),
        ("g", "r", "1.00 ms", "10.0", "b", "0%", "10.0", "1.00", ""),
        ("g", "m", "1.00 ms", "", "", "0%", "", "", "new"),
    ]
    assert table.table(after)[1] == ("g", "n", "1.00 ms", "", "", "0%")
    assert (
        table.plain(table.table(after)).splitlines()[1] == "g      n     1.00 ms                 0%"
    )


def test_goal_applies_to_its_worst_row(monkeypatch):
    """A goal with a unit limits the value, any other goal the ratio."""
    ratio = {"base": "b", "unit": "ms"}
    rows = [
        row(90.0, ratios=[2.0], name="one", **ratio),
        row(90.0, ratios=[3.0], name="another", **ratio),
        row(90.0, ratios=[9.0], name="one more", **ratio),
    ]
    goals = [
        table.Goal("ratio", "g", "one|another", 3),
        table.Goal("value", "g", "one", 89, " ms"),
        table.Goal("not measured", "h", "one", 1),
    ]
    monkeypatch.setattr(table, "GOALS", goals)
    assert table.goals(rows)[1:] == [
        ("", "ratio", "3.00", "3.00", "reached"),
        ("", "value", "89.0 ms", "90.0 ms", "missed"),
    ]


def test_numbers_have_three_digits_or_no_decimals():
    values = (0.0123, 0.8, 12.34, 123.4, 12345.6)
    assert [*map(table.number, values)] == ["0.01", "0.80", "12.3", "123", "12,346"]


def test_page_without_marks_is_not_changed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{table.END}{table.BEGIN}")
    with pytest.raises(ValueError, match="page.md has no"):
        table.write(page, "text")
    assert page.read_text() == f"{table.END}{table.BEGIN}"


def test_documentation_has_tables_of_a_full_run():
    page = PAGE.read_text(encoding="utf-8")
    figures = page[page.index(table.BEGIN) : page.index(table.END)]
    assert "; size full;" in figures
    assert re.findall(r"^### (.*)", figures, re.MULTILINE) == [*ROWS]
    assert figures.count(" reached |") + figures.count(" missed |") == len(table.GOALS)


# == workloads =============================================================================


@pytest.mark.slow
def test_client_receives_all_events_of_a_flood():
    """The subscriber receives every event, and the client follows the calls."""
    session = workload.day(300, seed=1, kind="channel", before=50)
    with serving({"day": [*session.opening, PAUSE, *session.events, live.END]}) as port:
        seen, calls = asyncio.run(live.READERS["Client, subscriber, calls"](port, "day"))
        alone = asyncio.run(live.READERS["Client"](port, "day"))
    assert seen >= len(session.events)
    assert calls > 0
    assert alone == (0, 0)


def collect(clock, held):
    held.collect("start", None)
    clock.now += 2
    held.collect("stop", None)


def test_longest_step_and_wait_exclude_garbage_collections(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    now = lambda: clock.now  # noqa: E731
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=now, thread_time=now))

    async def reader():
        await asyncio.sleep(0)
        clock.now += 5
        collect(clock, gc.callbacks[-1].__self__)
        await asyncio.sleep(0.05)

    held = live.watched(reader())
    assert (held.step, held.collection) == (5, 2)
    assert held.wait == pytest.approx(5 - 0.001)
    assert held.collect not in gc.callbacks


def test_days_with_different_seeds_share_no_events():
    """They share no uuids and timestamps either."""
    days = [workload.day(200, seed=seed, kind="channel", before=50) for seed in (1, 2)]
    uuids, times = [], []
    for session in days:
        terms = [decode(frame) for frame in session.events]
        names = decode(session.opening[0])[2]
        uuids.append({term[2][names.index("uuid")] for term in terms})
        times.append({term[2][names.index("offer_timestamp")] for term in terms})
        assert len(times[-1]) > 10
    assert not {*days[0].events} & {*days[1].events}
    assert not uuids[0] & uuids[1]
    assert not times[0] & times[1]


def test_repeated_frames_and_other_kinds_are_left_out():
    pbx = Pbx()
    scenarios.populate(pbx, 1)
    (user,) = pbx.users.values()
    seen, others = workload.watch(pbx), workload.watch(pbx, "channel")
    for label in ("one", "other", "one"):
        pbx.edit(user, label=label)
    assert [decode(frame)[1] for frame in seen] == ["user", "user"]
    assert not others


def test_workload_has_all_kinds_of_messages():
    """All events of one kind differ."""
    sessions = workload.message_kinds(30)
    assert {*sessions} == {
        *(f"info_event {kind}" for kind in KINDS),
        *(f"initial_info {kind}, each" for kind in KINDS),
        *("field_spec", "system_msg", "msg", "unknown"),
    }
    for kind, (session, count) in sessions.items():
        frames = session.events
        assert len({*frames}) == len(frames) or kind == "field_spec"
        terms = [decode(frame) for frame in frames]
        assert {term[0] for term in terms} == {
            kind.split()[0].replace("unknown", "call_statistics")
        }
        if kind.startswith("initial_info"):
            assert [len(term[2]) for term in terms] == [count]
        else:
            assert len(terms) == count
    limited = {"domain": 1, "group": 6, "parked_channel": 10}  # fewer than the 30 requested
    for kind, (_, count) in sessions.items():
        assert (
            count == limited.get(kind.removesuffix(", each").split()[-1], 30)
            or kind == "field_spec"
        )


def test_events_take_the_fast_path():
    """Without warm-up they take the slow path."""
    session = workload.bench()
    read = parsing.reader(session.opening, session.events)
    parser = read.__self__
    refused = [frame for frame in session.events if not parser.takes_fast_path(frame)]
    assert not refused
    cold = parsing.reader(session.opening).__self__
    assert not cold.takes_fast_path(session.events[0])


def test_simple_implementations_return_the_same_values():
    for frame in workload.bench().events:
        assert tradeoffs.recursive(frame, 1) == (decode(frame), len(frame))
    atoms = {encoded: value for encoded, value in atom_cache.items() if encoded[0] == 100}
    assert {*atoms.values()} >= {None, True, "bert"}
    assert all(tradeoffs.atom(encoded) == value for encoded, value in atoms.items())


def test_repeated_events_have_new_timestamps():
    """Each event therefore changes a mirror."""
    session = workload.bench(10)
    again = workload.ever_new(session.events)
    rounds = [[next(again) for _ in range(10)] for _ in range(3)]
    assert rounds[0] != rounds[1] != rounds[2] != rounds[0]
    assert [len(frame) for frame in rounds[1]] == [len(frame) for frame in session.events]


def test_rush_adds_all_channels_before_it_removes_any():
    session = workload.rush(8)
    names = [decode(frame)[3] for frame in session.events if decode(frame)[1] == "channel"]
    assert names.count("added") == names.count("removed") == 8
    assert names.index("removed") > len(names) - names[::-1].index("added") - 1


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.nightly
def test_fan_out_figures_are_printed(capsys):
    fanout_followers.main(0.01)
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line]
    assert names == [
        *("publisher", "plain_loop", "publisher", "anonymising"),
        *("reader", *["plain_loop", "follower"] * 6),
    ]
