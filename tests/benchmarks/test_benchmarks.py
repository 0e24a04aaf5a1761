"""The benchmarks, in a tiny size: all of them work, and say what they measured."""

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
import live
import measure
import odd
import parsing
import pytest
import run
import table
import workload
from measure import QUICK, Row
from server import serving

from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.terms import atom_cache, decode

PAGE = Path(__file__).parent.parent.parent / "docs" / "explanation" / "performance.md"

KINDS = {
    *("channel", "channel_waiting", "domain", "group", "group_member"),
    *("parked_channel", "queued_channel", "terminal", "user"),
}

# How many rows each group has.
ROWS = {
    "events": 7 if shutil.which("escript") else 6,
    "varied": 9,
    "sorts": 2 * (2 * len(KINDS) + 4),
    "sizes": 9,
    "odd": 8,
    "keeping": 3,
    "growth": 18,
    "memory": 9,
    "socket": 28,
    "hold": 6,
    "start": 6,
}


def ran(*arguments):
    """What the command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        run.main(list(map(str, arguments)))
    return stdout.getvalue()


def row(*figures, **given):
    """A row that is all figures."""
    return Row(**{"group": "g", "name": "n", "unit": "ms", "values": [*figures], **given})


# == the whole of it =======================================================================


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run of everything: what it printed, what it kept, the page that it wrote into.

    In this process, which is quicker; ``test_compare`` has one of its own.
    """
    folder = tmp_path_factory.mktemp("benchmarks")
    kept, page = folder / "kept.json", folder / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nwas here\n{table.END}\nafter\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "apart", lambda function, *arguments: function(*arguments))
        printed = ran("--quick", "--save", kept, "--write", page)
    return printed, kept, page.read_text(encoding="utf-8")


def test_every_row_is_there(quick):
    """Each group measures all that it is to measure, and every value says something."""
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


def test_the_bases_are_one(quick):
    """What the others are multiples of is one itself, and stands beside them."""
    rows, _ = table.load(quick[1])
    bases = [one for one in rows if one.base and one.name.endswith(one.base)]
    assert {one.group for one in bases} == {*ROWS} - {"sorts", "hold"}
    assert all(one.ratios == [1] for one in bases)
    assert {one.group for one in rows if not one.ratios} == {"hold"}


def test_the_page(quick):
    """A page gets the goals and a table for each group, and keeps what is around its marks."""
    page = quick[2]
    assert page.startswith(f"before\n{table.BEGIN}\n\nMeasured with Python ")
    assert page.endswith(f" |\n\n{table.END}\nafter\n")
    assert "was here" not in page
    assert re.findall(r"^### (.*)", page, re.MULTILINE) == [*ROWS]
    lines = len(table.GOALS) + sum(ROWS.values())
    assert page.count("\n| ") == lines + 2 * (1 + len(ROWS))


def test_each_goal_is_of_rows_that_there_are(quick):
    """No goal speaks of what is not measured."""
    rows, _ = table.load(quick[1])
    assert len(table.goals(rows)) == 1 + len(table.GOALS)


def test_compare(quick):
    """Comparing shows what was before beside what is now, of the groups that are asked for."""
    printed = ran("--only", "keeping", "--quick", "--compare", quick[1])
    headings, *lines = printed.partition("\n\n")[0].splitlines()
    assert headings.split()[-2:] == ["before", "after/before"]
    assert len(lines) == ROWS["keeping"]
    assert re.fullmatch(r"keeping +marshal.loads .* 1\.00 +1\.00", lines[0])


def test_what_can_not_be_compared(quick, capsys):
    """A full run is not compared with a quick one."""
    with pytest.raises(SystemExit):
        run.main(["--compare", str(quick[1])])
    assert "can't be compared" in capsys.readouterr().err


def test_without_others(monkeypatch):
    """Where neither ``erlang_py`` nor Erlang is, all else is measured."""
    monkeypatch.setitem(sys.modules, "erlang", None)
    monkeypatch.setenv("PATH", "")
    assert [one.name for one in parsing.events(QUICK, 0)] == [
        *("marshal.loads", "decode", "frame to callback"),
        *("frame to callback, a connection's first 499", "bert.decode"),
    ]


# == what is made of the values ============================================================


def test_turns():
    """Contestants take turns, every other round backwards; the first round does not count."""
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


def test_calls_are_timed(monkeypatch):
    """Each argument is called with once, those of the round; the seconds are for each call."""
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
    assert measure.calling(takes, [0])() > 0  # or nothing could be a multiple of it


def test_ratios_are_of_one_round():
    """A ratio is to the base in the same round: a machine that is slow in one changes none."""
    measured = {"base": [1.0, 8.0], "ours": [3.0, 24.0]}
    base, ours = measure.rows("g", "base", measured, prefix="x: ")
    assert base.ratios == [1, 1]
    assert (ours.name, ours.base, ours.ratios) == ("x: ours", "base", [3, 3])
    assert (ours.values, ours.unit) == ([3e6, 24e6], "µs")
    assert measure.rows("g", "base", measured, shows_base=False) == [
        attrs.evolve(ours, name="ours")
    ]


def test_rows():
    """A row's value and figure are the middle ones; its spread is that of the middle half."""
    several = row(1.0, 2.0, 3.0, 4.0, 90.0)
    assert (several.value, several.figure) == (3, 3)
    assert several.spread == pytest.approx(2 / 3)
    ratios = row(1.0, 2.0, 3.0, base="b", ratios=[5.0, 5.0, 7.0])
    assert (ratios.value, ratios.figure) == (2, 5)
    assert ratios.spread == pytest.approx(1 / 5)
    assert row(1.0).spread == 0
    joined = row(1.0, ratios=[2.0]).joined(row(3.0, ratios=[4.0]))
    assert (joined.values, joined.ratios) == ([1, 3], [2, 4])


def test_the_processes_are_joined(monkeypatch):
    """A group's rows have the rounds of all processes, each of which has its number."""
    monkeypatch.setattr(run, "apart", lambda function, size, number: function(size, number))
    monkeypatch.setitem(run.GROUPS, "g", lambda _, number: [row(number), row(7, name="other")])
    numbered, other = run.measure("g", attrs.evolve(QUICK, processes=3))
    assert numbered.values == [0, 1, 2]
    assert other.values == [7, 7, 7]


def test_verdicts():
    """A change counts beyond the spread of both runs, and never below three per cent."""
    assert table.verdict(row(1.0), row(1.02)) == ""
    assert table.verdict(row(1.0), row(1.04)) == "worse"
    assert table.verdict(row(1.0), row(0.96)) == "better"
    assert table.verdict(row(1.0), row(0.98)) == ""
    assert table.verdict(row(0.9, 1.0, 1.1), row(1.04)) == ""
    assert table.verdict(row(1.0), row(1.0, 1.12, 1.3)) == ""
    assert table.verdict(row(0.9, 1.0, 1.1), row(1.12)) == "worse"


def test_the_table():
    """A row that was there before says what has changed, and any other that it is new."""
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


def test_goals(monkeypatch):
    """A goal is reached by the worst of its rows; its unit says that the value is meant."""
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


def test_numbers():
    """Three digits, or the whole number."""
    values = (0.0123, 0.8, 12.34, 123.4, 12345.6)
    assert [*map(table.number, values)] == ["0.01", "0.80", "12.3", "123", "12,346"]


def test_a_page_without_marks(tmp_path):
    """Nothing is written into a page that does not say where."""
    page = tmp_path / "page.md"
    page.write_text(f"{table.END}{table.BEGIN}")
    with pytest.raises(ValueError, match="page.md has no"):
        table.write(page, "text")
    assert page.read_text() == f"{table.END}{table.BEGIN}"


def test_the_documented_page():
    """The documentation has the tables of a full run of every group."""
    page = PAGE.read_text(encoding="utf-8")
    figures = page[page.index(table.BEGIN) : page.index(table.END)]
    assert "; size full;" in figures
    assert re.findall(r"^### (.*)", figures, re.MULTILINE) == [*ROWS]
    assert figures.count(" reached |") + figures.count(" missed |") == len(table.GOALS)


# == what is measured ======================================================================


def test_a_client_takes_in_all_of_a_flood():
    """A subscriber is told of every event, and calls are followed: nothing is left out."""
    session = workload.day(300, seed=1, kind="channel", before=50)
    with serving({"day": [*session.opening, *session.events, live.END]}) as port:
        seen, calls = asyncio.run(live.READERS["Client, subscriber, calls"](port, "day"))
        alone = asyncio.run(live.READERS["Client"](port, "day"))
    assert seen >= len(session.events)
    assert calls > 0
    assert alone == (0, 0)


def collect(clock, held):
    held.collect("start", None)
    clock.now += 2
    held.collect("stop", None)


def test_holding_is_timed(monkeypatch):
    """The longest step and wait are without the collections in them, which are apart."""
    clock = SimpleNamespace(now=0.0)
    tell = lambda: clock.now  # noqa: E731
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=tell, thread_time=tell))

    async def reader():
        await asyncio.sleep(0)
        clock.now += 5
        collect(clock, gc.callbacks[-1].__self__)
        await asyncio.sleep(0.05)

    held = live.watched(reader())
    assert (held.step, held.collection) == (5, 2)
    assert held.wait == pytest.approx(5 - 0.001)
    assert held.collect not in gc.callbacks


def test_no_two_days_are_the_same():
    """Days have no event in common, nor a uuid or a timestamp of one."""
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


def test_nothing_is_said_twice():
    """What is said again word by word is left out, and what is of another kind."""
    pbx = Pbx()
    scenarios.populate(pbx, 1)
    (user,) = pbx.users.values()
    seen, others = workload.watch(pbx), workload.watch(pbx, "channel")
    for label in ("one", "other", "one"):
        pbx.edit(user, label=label)
    assert [decode(frame)[1] for frame in seen] == ["user", "user"]
    assert not others


def test_all_sorts():
    """Each sort of message is measured, of every kind, and no two events of one are the same."""
    sorts = workload.sorts(30)
    assert {*sorts} == {
        *(f"info_event {kind}" for kind in KINDS),
        *(f"initial_info {kind}, each" for kind in KINDS),
        *("field_spec", "system_msg", "msg", "unknown"),
    }
    for sort, (session, count) in sorts.items():
        frames = session.events
        assert len({*frames}) == len(frames) or sort == "field_spec"
        terms = [decode(frame) for frame in frames]
        assert {term[0] for term in terms} == {
            sort.split()[0].replace("unknown", "call_statistics")
        }
        if sort.startswith("initial_info"):
            assert [len(term[2]) for term in terms] == [count]
        else:
            assert len(terms) == count
    kinds = {"domain": 1, "group": 6, "parked_channel": 10}  # of the others as many as asked for
    for sort, (_, count) in sorts.items():
        assert (
            count == kinds.get(sort.removesuffix(", each").split()[-1], 30) or sort == "field_spec"
        )


def test_events_take_the_fast_path():
    """The events that are measured take the fast path; without warm-up they do not."""
    session = workload.bench()
    read = parsing.reader(session.opening, session.events)
    parser = read.__self__
    refused = [frame for frame in session.events if parser._fast_path.read(frame) is None]
    assert not refused
    cold = parsing.reader(session.opening).__self__
    assert cold._fast_path.read(session.events[0]) is None


def test_the_plain_readers_read():
    """What is odd is compared with what gives the same values."""
    for frame in workload.bench().events:
        assert odd.recursive(frame, 1) == (decode(frame), len(frame))
    atoms = {encoded: value for encoded, value in atom_cache.items() if encoded[0] == 100}
    assert {*atoms.values()} >= {None, True, "bert"}
    assert all(odd.atom(encoded) == value for encoded, value in atoms.items())


def test_frames_are_ever_new():
    """The benchmark's events come again with other timestamps: each tells a mirror something."""
    session = workload.bench(10)
    again = workload.ever_new(session.events)
    rounds = [[next(again) for _ in range(10)] for _ in range(3)]
    assert rounds[0] != rounds[1] != rounds[2] != rounds[0]
    assert [len(frame) for frame in rounds[1]] == [len(frame) for frame in session.events]


def test_a_rush():
    """All channels of a rush are there before the first of them goes."""
    session = workload.rush(8)
    names = [decode(frame)[3] for frame in session.events if decode(frame)[1] == "channel"]
    assert names.count("added") == names.count("removed") == 8
    assert names.index("removed") > len(names) - names[::-1].index("added") - 1
