"""The benchmarks, in a tiny size: all of them work, and a change that matters is found."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import measure
import parsing
import pytest
import table
import workload
from measure import QUICK, Change, Row

from basix_ws_cti.terms import decode

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "performance.md"

# How many rows each group has; of the sorts, two for each of 25.
ROWS = {
    "events": 6 if shutil.which("escript") else 5,
    "varied": 6,
    "sorts": 50,
    "sizes": 9,
    "keeping": 3,
    "growth": 6,
    "socket": 18,
    "hold": 6,
    "memory": 6,
    "start": 4,
}


def run(*arguments):
    return subprocess.run(
        [sys.executable, HERE / "run.py", *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def row(*figures, **given):
    """A row that is all figures."""
    return Row(
        **{"group": "g", "name": "n", "unit": "ms", "values": figures, "figures": figures, **given}
    )


# == the whole of it =======================================================================


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run of everything: what it printed, what it kept, the page that it wrote into."""
    folder = tmp_path_factory.mktemp("benchmarks")
    kept, page = folder / "kept.json", folder / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    done = run("--quick", "--save", kept, "--page", page)
    assert done.returncode == 0, done.stderr
    return done.stdout, kept, page.read_text(encoding="utf-8")


def test_every_row_is_there(quick):
    """Each group measures all that it is to measure, and every value says something."""
    printed, kept, _ = quick
    rows, measured = table.load(kept)
    assert {group: [one.group for one in rows].count(group) for group in ROWS} == ROWS
    assert len(rows) == sum(ROWS.values()) == len(printed.splitlines()) - 1
    assert len({(one.group, one.name) for one in rows}) == len(rows)
    for one in rows:
        assert one.name in printed
        assert min(one.values) > 0 or "collection" in one.name, one
    assert measured["quick"] is True
    assert measured["python"].split()[1] == ".".join(map(str, sys.version_info[:3]))


def test_the_floors_are_one(quick):
    """What the others are multiples of is one itself, in each round."""
    bases = [one for one in table.load(quick[1])[0] if re.search(rf"\b{one.base}\b", one.name)]
    assert {one.group for one in bases} == set(ROWS) - {"sorts", "growth", "hold"}
    assert all(figure == 1 for one in bases if one.base for figure in one.figures)


def test_the_page(quick):
    """A page gets a table for each group between its marks, and keeps what is around them."""
    _, _, page = quick
    assert page.startswith(f"before\n{table.BEGIN}\nMeasured with python ")
    assert page.endswith(f"|\n{table.END}\nafter\n")
    assert "old" not in page
    assert re.findall(r"^### (.*)", page, re.MULTILINE) == [*ROWS]
    assert page.count("\n| ") == sum(ROWS.values()) + 2 * len(ROWS)


def test_compare(quick):
    """Comparing shows what was before beside what is now, of the groups that are measured."""
    done = run("keeping", "--quick", "--compare", quick[1])
    assert done.returncode == 0, done.stderr
    headings, *lines = done.stdout.splitlines()
    assert headings.split()[-2:] == ["before", "after/before"]
    assert len(lines) == ROWS["keeping"]
    assert re.search(r"^keeping +marshal.loads .* 1.00 +1.00$", lines[0])


def test_what_can_not_be_compared(quick):
    """A full run is not compared with a quick one."""
    done = run("start", "--compare", quick[1])
    assert done.returncode == 2
    assert "can't be compared" in done.stderr


def test_unknown_group():
    """A group that there is not is refused, and those that there are named."""
    done = run("evnets")
    assert done.returncode == 2
    assert "'evnets', but these: events, " in done.stderr


def test_the_documented_page_has_its_marks():
    """The page of the documentation can be written into, and has been, group by group."""
    page = PAGE.read_text(encoding="utf-8")
    figures = page[page.index(table.BEGIN) : page.index(table.END)]
    assert re.findall(r"^### (.*)", figures, re.MULTILINE) == [*ROWS]


def test_a_page_without_marks(tmp_path):
    """Nothing is written into a page that does not say where."""
    page = tmp_path / "page.md"
    page.write_text(f"{table.END}{table.BEGIN}")
    with pytest.raises(ValueError, match="page.md has no"):
        table.write_page(page, "text")
    assert page.read_text() == f"{table.END}{table.BEGIN}"


# == what is found =========================================================================


def test_a_slowdown_is_found(monkeypatch, tmp_path):
    """Decoding that is twenty times as slow is worse, after saving and loading too."""
    size = attrs.evolve(QUICK, rounds=5)
    table.save(tmp_path / "kept.json", parsing.varied(size, 0), {})

    def slow(frame):
        for _ in range(19):
            decode(frame)
        return decode(frame)

    monkeypatch.setattr(parsing, "decode", slow)
    before, _ = table.load(tmp_path / "kept.json")
    found = {one.after.name: one for one in table.changes(before, parsing.varied(size, 0))}
    assert len(found) == len(before)
    for name in ("channels: decode", "all kinds: decode"):
        assert found[name].verdict == "worse"
        assert found[name].ratio > 5
    assert not found["channels: marshal.loads"].verdict


def test_verdicts():
    """A change counts beyond the noise of both runs, and never below three per cent."""
    assert Change(row(1.0), row(1.02)).verdict == ""
    assert Change(row(1.0), row(1.04)).verdict == "worse"
    assert Change(row(1.0), row(0.96)).verdict == "better"
    assert Change(row(1.0), row(0.98)).verdict == ""
    assert Change(row(0.9, 1.0, 1.1), row(1.04)).verdict == ""
    assert Change(row(1.0), row(1.0, 1.15, 1.3)).verdict == ""
    assert Change(row(0.9, 1.0, 1.1), row(1.12)).verdict == "worse"
    better = {"more_is_better": True}
    assert Change(row(1.0, **better), row(1.04, **better)).verdict == "better"
    assert Change(row(1.0, **better), row(0.96, **better)).verdict == "worse"


def test_rows():
    """The best of a row is its least value or its largest, and the figure the middle one."""
    several = row(1.0, 2.0, 3.0, 4.0, 90.0)
    assert (several.best, several.median, several.figure) == (1.0, 3.0, 3.0)
    assert several.noise == pytest.approx(2 / 3)
    assert attrs.evolve(several, more_is_better=True).best == 90
    assert row(1.0).noise == 0
    joined = row(1.0, cpu=1.5).joined(row(2.0, 3.0, cpu=2))
    assert (joined.values, joined.figures, joined.cpu) == ([1, 2, 3], [1, 2, 3], 3.5)


def test_turns():
    """Contestants take turns, and every other round goes backwards; each has its own times."""
    order = []

    def contestant(name):
        def take():
            order.append(name)
            return len(order)

        return take

    measured = measure.take_turns({name: contestant(name) for name in "abc"}, 3)
    assert "".join(order) == "abccbaabc"
    assert measured == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_ratios_are_of_one_round():
    """A figure is a multiple of the base in the same round: a slow machine changes none."""
    base, ours = measure.rows_against(
        "base", {"base": [1.0, 8.0], "ours": [3.0, 24.0]}, group="g", count=10
    )
    assert base.figures == [1, 1]
    assert ours.figures == [3, 3]
    assert ours.values == [300_000, 2_400_000]
    assert (ours.cpu, ours.base) == (27, "base")
    (alone,) = measure.rows_against(
        "b", {"b": [1.0], "o": [1.0]}, group="g", count=1, prefix="x: ", shows_base=False
    )
    assert alone.name == "x: o"


# == what is measured ======================================================================


def test_no_two_days_are_the_same():
    """Days have no event in common, nor a uuid or a timestamp of one; nor a day one twice."""
    events = workload.day(3000, seed=1).events
    assert len({*events}) == len(events) == 3000
    days = [workload.day(200, seed=seed, kinds=["channel"], before=50) for seed in (1, 2)]
    uuids, times = ([], [])
    for session in days:
        terms = [decode(frame) for frame in session.events]
        names = decode(session.opening[0])[2]
        uuids.append({term[2][names.index("uuid")] for term in terms})
        times.append({term[2][names.index("offer_timestamp")] for term in terms})
        assert len(times[-1]) > 10
    assert not {*days[0].events} & {*days[1].events}
    assert not uuids[0] & uuids[1]
    assert not times[0] & times[1]


def test_the_corpus_has_every_sort():
    """Each sort of message is measured, and info_events of each kind."""
    sorts = workload.corpus()
    assert {sort.split()[0] for sort in sorts} == {
        *("field_spec", "initial_info", "info_event", "system_msg", "msg", "unknown")
    }
    assert [sort.split()[1] for sort in sorts if sort.startswith("info_event")] == [
        *("channel", "channel_waiting", "domain", "group", "group_member"),
        *("parked_channel", "queued_channel", "terminal", "user"),
    ]


def test_a_rush():
    """All channels of a rush are there before the first of them goes."""
    session = workload.rush(8)
    names = [decode(frame)[3] for frame in session.events if decode(frame)[1] == "channel"]
    assert names.count("added") == names.count("removed") == 8
    assert names.index("removed") > len(names) - names[::-1].index("added") - 1
