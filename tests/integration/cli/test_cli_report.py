"""Command ``report``: kinds, selections, formats and files; errors; hostile names."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import openpyxl
import polars as pl
import pytest
from support.call_rows import SECOND
from support.cli_runner import environment, run, run_in_process, run_program, start
from support.report_days import (
    HOSTILE_CALLER,
    HOSTILE_GROUP,
    HOSTILE_USER,
    MORNING,
    START,
    call_at,
    log_morning,
)
from support.report_rows import fill
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.recording import Recorder
from basix_ws_cti.reports import Period, Reports, Selection
from basix_ws_cti.reports.formats.json_file import document_schema
from basix_ws_cti.reports.report_kinds import REPORT_KINDS, report_table

pytestmark = pytest.mark.slow

DAY = ("--from", "2026-11-30", "--timezone", "Asia/Tokyo")

# Calls of the log that were offered yesterday, which the command computes from the clock.
TODAY = datetime.now(ZoneInfo("Asia/Tokyo")).date()
OFFERED_YESTERDAY = 2 if date(2026, 12, 1) == TODAY else 0
WARNING = "basix-ws-cti: the feed was interrupted for 0:12 in this period: calls may be missing\n"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


@pytest.fixture(scope="module")
def morning(tmp_path_factory):
    """Path of a call log with three calls."""
    return log_morning(tmp_path_factory.mktemp("logs") / "calls.db")


def report(database, *arguments, period=DAY, **options):
    """Run the command for the day; return its output."""
    done = run_in_process("report", database, *arguments, *period, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(text):
    """Return the rows of CSV as dicts."""
    return [*csv.DictReader(io.StringIO(text, newline=""))]


# -- kinds and selections ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "title", "row"),
    [
        ((), "Queues", r"All queues +2 +1 +1 +50.0% +0:08 +0:30 +1:00 +50.0%"),
        (("agents",), "Agents", r"@SUM\(1\+1\) +1001 +1 +1 +0 +1 +1:00 +1:00"),
        (("agents", "--by-queue"), "Agents by queue", r"@SUM\(1\+1\) +1001 +=HYPERLINK\("),
        (("calls",), "Calls", r"2026-11-30 11:00:00 +inbound +0312341234 .* ended in the menu"),
        (("callbacks",), "Callback list", r"0312341234 +2 .* ended in the menu"),
        (("first-contact",), "First-contact resolution", r" +1 +0 +0.0%"),
        (("outbound",), "Outbound calls", r"All agents +0 +0"),
        (("numbers",), "Numbers dialled", r"0501234567 +3 +1 +1 +0 +1"),
        (("volumes",), "Calls by result", r"inbound +3 +1 +1 +0 +0 +0 +1"),
    ],
)
def test_each_kind_of_report_is_a_table(morning, arguments, title, row):
    heading, *lines = report(morning, *arguments).splitlines()
    assert heading == f"{title}: 2026-11-30 (Asia/Tokyo)"
    assert [line for line in lines if re.match(row, line)], lines


def test_repeat_callers_called_at_least_three_times(morning):
    assert re.search(r"^0312341234 .* 3 +1 ", report(morning, "repeat-callers"), re.MULTILINE)


@pytest.mark.parametrize("by", ["15min", "30min", "hour", "day", "week", "month"])
def test_figures_by_interval_add_up(morning, by):
    rows = rows_of(report(morning, "--by", by, "--format", "csv"))
    assert sum(int(row["offered"]) for row in rows if row["total"] == "true") == 2
    numbers = {"15min": 96, "30min": 48, "hour": 24, "day": 1, "week": 1, "month": 1}
    assert len([row for row in rows if row["total"] == "true"]) == numbers[by]


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ((), 2),
        (("--hours", "09:00-09:30"), 1),
        (("--hours", "9:30-24:00"), 1),
        (("--weekdays", "mon-fri"), 2),
        (("--weekdays", "sat,sun"), 0),
        (("--group", HOSTILE_GROUP), 2),
        (("--group", "1900"), 2),
        (("--group", "1"), 2),
    ],
)
def test_rows_are_selected(morning, options, offered):
    rows = rows_of(report(morning, *options, "--format", "csv"))
    assert int(rows[0]["offered"]) == offered


@pytest.mark.parametrize("user", [HOSTILE_USER, "1001", "11", "@sum(1+1)"])
def test_user_is_selected_by_name_extension_or_id(morning, user):
    rows = rows_of(report(morning, "agents", "--user", user, "--format", "csv"))
    assert [row["user_id"] for row in rows if row["total"] == "false"] == ["11"]
    assert rows_of(report(morning, "calls", "--user", "1002", "--format", "csv")) == []


@pytest.mark.parametrize(
    ("period", "offered"),
    [
        (("--from", "2026-11", "--timezone", "Asia/Tokyo"), 2),
        (("--from", "2026-11-29", "--to", "2026-11-30", "--timezone", "Asia/Tokyo"), 2),
        (("--from", "2026-11-30T09:30", "--to", "2026-12-01", "--timezone", "Asia/Tokyo"), 1),
        (("--from", "2026-11-29", "--timezone", "America/New_York"), 2),
        (("--from", "2026-11-30", "--timezone", "America/New_York"), 0),
        (("--from", "yesterday"), OFFERED_YESTERDAY),
        ((), OFFERED_YESTERDAY),
    ],
)
def test_period_is_selected_in_its_time_zone(morning, period, offered):
    rows = rows_of(report(morning, "--format", "csv", period=period, env={"TZ": "Asia/Tokyo"}))
    assert int(rows[0]["offered"]) == offered


def test_definitions_of_figures_are_options(morning):
    options = ("--service-level", 5, "--short", 30, "--bands", "10,40", "--wrap-up", 15)
    row = rows_of(report(morning, *options, "--target", 0, "--format", "csv"))[0]
    assert {
        name: row[name]
        for name in (
            *("service_level_of_offered", "target_reached", "short_abandons"),
            *("average_handle_seconds", "answered_0_to_10", "abandoned_10_to_40"),
        )
    } == {
        "service_level_of_offered": "0.0",
        "target_reached": "true",
        "short_abandons": "1",
        "average_handle_seconds": "75",
        "answered_0_to_10": "1",
        "abandoned_10_to_40": "1",
    }


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        (["disposition=abandoned"], ["2"]),
        (["disposition!=answered", "queue!="], ["2"]),
        (["answered_by="], ["2", "3"]),
        (["talking_seconds=60000000"], ["1"]),
        (["complete=false"], []),
    ],
)
def test_rows_with_values_are_selected(morning, conditions, ids):
    options = [text for one in conditions for text in ("--where", one)]
    rows = rows_of(report(morning, "calls", *options, "--format", "csv"))
    assert [row["id"] for row in rows] == ids


def test_columns_are_selected(morning):
    text = report(morning, "calls", "--columns", "id, last_handler,total_seconds")
    assert text.splitlines()[1:3] == [
        "Call id  Last handler  Total time",
        "1        @SUM(1+1)           1:08",
    ]


# -- formats -----------------------------------------------------------------------------


@pytest.fixture(params=REPORT_KINDS)
def kind_and_table(request, morning):
    """Arguments of a kind of report, and its table."""
    by_queue = request.param == "agents-by-queue"
    arguments = ["agents", "--by-queue"] if by_queue else [request.param]
    selection = Selection(period=Period.parse("2026-11-30", None, MORNING.tzinfo, MORNING))
    return arguments, report_table(Reports(morning), request.param, selection)


def test_json_document_matches_its_schema(morning, kind_and_table):
    arguments, table = kind_and_table
    document = json.loads(report(morning, *arguments, "--format", "json"))
    jsonschema.validate(document, document_schema(table))
    assert document["report"] == table.name
    assert document["from"] == "2026-11-30T00:00:00+09:00"
    assert document["timezone"] == "Asia/Tokyo"
    assert document["gaps"] == [
        {
            "from": "2026-11-30T09:10:00+09:00",
            "to": "2026-11-30T09:10:12+09:00",
            "reason": "ConnectionLost",
        }
    ]


def test_formats_have_the_same_rows(morning, kind_and_table, tmp_path):
    arguments, table = kind_and_table
    frame = table.to_polars()
    count = len(frame)
    assert count == len(rows_of(report(morning, *arguments, "--format", "csv")))
    assert count == len(json.loads(report(morning, *arguments, "--format", "json"))["rows"])
    report(morning, *arguments, "--output", tmp_path / "x.parquet")
    assert pl.read_parquet(tmp_path / "x.parquet").equals(frame)
    report(morning, *arguments, "--output", tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx").worksheets[0]
    assert sheet.max_row == count + 1
    assert [cell.value for cell in sheet[1]] == [column.heading for column in table.columns]


def test_csv_is_written_as_bytes_with_its_own_line_ends(morning):
    done = run("report", morning, "callbacks", "--format", "csv", *DAY, encoding=None, stdin=b"")
    assert done.stdout.count(b"\r\n") == done.stdout.count(b"\n") == 2
    done = run("report", morning, "--format", "csv", "--bom", *DAY, encoding=None, stdin=b"")
    assert done.stdout.startswith(b'\xef\xbb\xbf"start"')


def test_hostile_names_reach_files_as_plain_texts(morning, tmp_path):
    (row,) = rows_of(report(morning, "calls", "--where", "id=1", "--format", "csv"))
    assert (row["queue"], row["answered_by"], row["caller_name"], row["caller_number"]) == (
        *(f"'{HOSTILE_GROUP}", f"'{HOSTILE_USER}", f"'{HOSTILE_CALLER}", "0312341234"),
    )
    document = json.loads(report(morning, "calls", "--format", "json"))
    assert document["rows"][0]["caller_name"] == HOSTILE_CALLER
    for kind in ("queues", "agents", "calls"):
        path = tmp_path / f"{kind}.xlsx"
        report(morning, kind, "--group", "1900", "--output", path)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                assert not re.search(rb"<f[ >/]|<hyperlink|externalLink", archive.read(name)), name
    assert r"\t=1+1" in report(morning, "calls")


def test_page_is_written(morning, tmp_path):
    page = tmp_path / "page.html"
    report(morning, "--output", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<script" not in text
    assert report(morning, "--format", "html").startswith("<!DOCTYPE html>")


def test_texts_are_translated_and_names_for_programs_are_not(morning, tmp_path):
    def japanese(*arguments):
        done = run_in_process("--lang", "ja", "report", morning, *arguments, *DAY)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert japanese().splitlines()[0] == "キュー: 2026-11-30 (Asia/Tokyo)"
    assert "メニューで終了" in japanese("calls")
    assert japanese("calls", "--format", "csv") == report(morning, "calls", "--format", "csv")
    japanese("--output", tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["キュー", "概要"]
    assert [row[0].value for row in book["概要"]][:4] == [
        *("レポート", "データベース", "期間", "タイムゾーン")
    ]


def test_gap_in_the_period_is_reported(morning):
    assert run_in_process("report", morning, *DAY).stderr == WARNING


@pytest.mark.parametrize("day", ["2026-11-29", "2026-12-01"])
def test_period_without_calls_names_the_days_that_have_some(morning, day):
    done = run_in_process("report", morning, "--from", day, "--timezone", "Asia/Tokyo")
    assert done.stderr == (
        "basix-ws-cti: the call log has no calls of this period, "
        "but from 2026-11-30 to 2026-11-30\n"
    )


# -- files and terminals -----------------------------------------------------------------


def test_output_file_is_complete_private_and_not_replaced(morning, tmp_path):
    path = tmp_path / "queues.csv"
    report(morning, "--output", path)
    assert path.read_bytes().startswith(b'"start"')
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    done = run_in_process("report", morning, "--output", path, *DAY)
    assert done.returncode == 2
    assert "already exists: choose another file or pass --overwrite" in done.stderr
    report(morning, "agents", "--output", path, "--overwrite")
    assert b'"user_id"' in path.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["queues.csv"]


def test_format_overrides_the_name_of_the_file(morning, tmp_path):
    report(morning, "--format", "json", "--output", tmp_path / "x.csv")
    assert json.loads((tmp_path / "x.csv").read_bytes())["type"] == "report"
    report(morning, "--output", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text(encoding="utf-8").startswith("Queues: 2026-11-30")


def on_terminal(*arguments, columns=80):
    """Run a command on a terminal; return its exit code, output and error text."""
    import pty

    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti", *map(str, arguments)],
        env=environment(COLUMNS=str(columns), TERM="dumb"),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        os.close(terminal)
        output = b""
        try:
            while data := os.read(master, 65536):
                output += data
        except OSError:  # EIO: the program has ended
            pass
        os.close(master)
        return process.wait(TIMEOUT), output.decode(), process.stderr.read()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("name", ["html", "xlsx", "parquet"])
def test_terminal_gets_no_binary_data(morning, name):
    code, output, error = on_terminal("report", morning, "--format", name, *DAY)
    assert (code, output) == (2, "")
    assert error == (f"basix-ws-cti: a terminal cannot show {name}: name a file with --output\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("columns", [60, 100])
def test_table_fits_the_terminal(morning, columns):
    _code, output, _error = on_terminal("report", morning, "calls", *DAY, columns=columns)
    lines = output.splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= columns


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("name", ["csv", "json", "table"])
def test_texts_cannot_steer_a_terminal(tmp_path, name):
    calls = [call_at(caller_name="\x1b]0;title\x07\u202e")]
    database = fill(tmp_path / "calls.db", calls=calls)
    code, output, _error = on_terminal("report", database, "calls", "--format", name, *DAY)
    assert code == 0
    assert "title" in output
    assert not re.search("[\x1b\x07\u202e]", output)


# -- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quues"], "unknown report 'quues'; did you mean 'queues'?"),
        (["--format", "xls"], "unknown format 'xls'; did you mean 'xlsx'?"),
        (["--by", "hours"], "unknown interval 'hours'; did you mean 'hour'?"),
        (["calls", "--by", "hour"], "the report calls has no intervals: leave out --by"),
        (["--by-queue"], "--by-queue is for the report agents only"),
        (["--bom"], "--bom is for --format csv only"),
        (["--weekdays", "mon-fry"], "--weekdays: expected days such as mon-fri or mon,wed, got"),
        (["--weekdays", ""], "--weekdays: expected days such as mon-fri or mon,wed, got ''"),
        (["--hours", "9-18"], "--hours: expected hours such as 09:00-18:00, got '9-18'"),
        (["--hours", "24:30-25:00"], "--hours: expected hours such as 09:00-18:00, got"),
        (["--hours", "09:00-09:00"], "hours must not be empty"),
        (["--bands", "10;20"], "--bands: expected seconds such as 10,20,30,60, got '10;20'"),
        (["--bands", "20,10"], "bands must ascend, got"),
        (["--bands", "nan"], "bands must be"),
        (["--group", "=HYPER"], "unknown group '=HYPER'"),
        (["--group", "2"], "unknown group '2'; the call log has no such name, extension or id"),
        (["agents", "--user", "佐藤"], "unknown user '佐藤'; did you mean '佐藤 健'?"),
        (["--user", "1001"], "users"),
        (["calls", "--where", "abandoned"], "--where: expected COLUMN=VALUE or COLUMN!=VALUE"),
        (["calls", "--where", "dispositon=x"], "unknown column 'dispositon'; did you mean 'dispo"),
        (["calls", "--columns", "id,foo"], "unknown column 'foo'; the columns are started,"),
        (["calls", "--format", "html"], "html is one page about queues and agents: leave out cal"),
        (["--to", "2026-11-29"], "the period is empty: its end"),
        (["--to", "soon"], "to must be a date such as 2026-11-30"),
        (["--timezone", "Asia/Tokio"], "unknown time zone 'Asia/Tokio'; did you mean 'Asia/Tokyo'"),
    ],
)
def test_arguments_that_cannot_work_are_named(morning, arguments, message):
    done = run_in_process("report", morning, *DAY, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_end_without_start_is_refused(morning):
    done = run_in_process("report", morning, "--to", "yesterday")
    assert (done.returncode, done.stderr) == (2, "basix-ws-cti: --to needs --from\n")


def test_password_on_the_command_line_is_refused():
    done = run_in_process("report", "postgresql://me:secret@db.example/calls")
    assert done.returncode == 2
    assert "a password on the command line is visible to other users" in done.stderr
    assert "secret" not in done.stderr


def test_log_without_calls_gives_zeros(tmp_path):
    writer = create_writer(parse_database(tmp_path / "calls.db"))
    migrate(writer)
    writer.dispose()
    done = run_in_process("report", tmp_path / "calls.db", "--format", "csv")
    assert done.stderr == "basix-ws-cti: the call log has no calls yet\n"
    (row,) = rows_of(done.stdout)
    assert (row["offered"], row["abandon_rate"], row["average_answer_seconds"]) == ("0", "", "")
    for kind in ("calls", "callbacks", "repeat-callers"):
        assert rows_of(report(tmp_path / "calls.db", kind, "--format", "csv")) == []
    assert report(tmp_path / "calls.db", "calls") == "Calls: 2026-11-30 (Asia/Tokyo)\n"
    # Without names nobody can tell which ids exist.
    assert "0" in report(tmp_path / "calls.db", "--group", "7")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.db", "no such file"),
        ("day.rec", "file is not a database"),
        ("empty.db", "no call log"),
        ("folder", "no such file"),
    ],
)
def test_file_that_is_no_call_log_is_named(tmp_path, name, problem):
    with Recorder(tmp_path / "day.rec") as recorder:
        recorder.connected()
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder").mkdir()
    done = run_in_process("report", tmp_path / name, *DAY, "--output", tmp_path / "out.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / name) in done.stderr
    assert problem in done.stderr
    assert not (tmp_path / "out.csv").exists()


@needs_full
@pytest.mark.parametrize("name", ["table", "csv", "json", "html", "xlsx", "parquet"])
def test_full_disk_is_reported(morning, name):
    done = run_in_process("report", morning, "--format", name, "--output", FULL, *DAY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "basix-ws-cti: cannot write /dev/full: no space left on the device" in done.stderr


@needs_full
@pytest.mark.parametrize("name", ["table", "csv", "xlsx"])
def test_full_disk_of_stdout_is_reported(morning, name):
    with FULL.open("w") as full:
        done = run("report", morning, "calls", "--format", name, *DAY, stdout=full)
    assert done.returncode == 1
    assert "cannot write stdout: no space left on the device" in done.stderr


# -- long lists --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """Path of a call log with 20,000 calls in a year."""
    path = tmp_path_factory.mktemp("logs") / "year.db"
    one = call_at()
    values = one.to_dict()
    calls = [
        type(one)(**{**values, "id": f"{number:06}", "started": (START + 1500 * number) * SECOND})
        for number in range(20_000)
    ]
    return fill(path, calls=calls)


YEAR = ("--from", "2026-11", "--to", "2027-11", "--timezone", "Asia/Tokyo")


@pytest.mark.parametrize("name", ["table", "csv", "json"])
def test_reader_that_leaves_early_ends_the_report(year, name):
    """As with ``head``: without an error, and without reading the rest of the calls."""
    with start("report", year, "calls", "--format", name, *YEAR) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send it to one process")
@pytest.mark.parametrize(
    ("number", "existed"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)]
)
def test_interrupted_report_leaves_no_file(year, tmp_path, number, existed):
    path = tmp_path / "calls.csv"
    if existed:
        path.write_text("old")
    arguments = ("report", year, "calls", "--output", path, "--overwrite", *YEAR)
    with start(*arguments) as process:
        # The temporary file, and the reserved or old one.
        wait_until(lambda: len([*tmp_path.iterdir()]) == 2, "the files")
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 130
        assert "Traceback" not in process.stderr.read()
    assert [one.name for one in tmp_path.iterdir()] == (["calls.csv"] if existed else [])
    assert not existed or path.read_text() == "old"


# -- cost of an import -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["report", "--help"], set()),
        (["report", "{}", *DAY], {"sqlalchemy"}),
        (["report", "{}", "calls", "--format", "csv", *DAY], {"sqlalchemy"}),
        (["report", "{}", "--output", "x.xlsx", *DAY], {"sqlalchemy", "xlsxwriter"}),
        (["report", "{}", "--output", "x.parquet", *DAY], {"sqlalchemy", "polars"}),
    ],
)
def test_report_loads_only_what_it_needs(morning, tmp_path, arguments, allowed):
    heavy = {"sqlalchemy", "polars", "xlsxwriter", "pandas", "numpy", "websockets"}
    code = f"""
import sys
from basix_ws_cti.cli import main
sys.argv = ["basix-ws-cti", *{[one.format(morning) for one in arguments]!r}]
try:
    main()
finally:
    print(*[name for name in {sorted(heavy - allowed)!r} if name in sys.modules], file=sys.stderr)
"""
    done = run_program(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("sqlalchemy", []),
        ("xlsxwriter", ["--output", "x.xlsx"]),
        ("polars", ["--output", "x.parquet"]),
        ("jinja2", ["--output", "x.html"]),
    ],
)
def test_package_that_is_not_installed_is_named(morning, tmp_path, missing, arguments):
    code = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f"sys.argv = ['basix-ws-cti', 'report', {str(morning)!r}, *{[*arguments, *DAY]!r}];"
        "from basix_ws_cti.cli import main; main()"
    )
    done = run_program(code, cwd=tmp_path)
    assert done.returncode == 2
    assert f"need the package {missing}" in done.stderr.replace("needs", "need")
    assert "pip install 'basix_ws_cti[reports]'" in done.stderr
    assert [*tmp_path.iterdir()] == []
