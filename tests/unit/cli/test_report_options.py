"""Options of the command ``report``: days, hours, bands, formats, names and columns."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from support.report_tables import hand_made

from basix_ws_cti.cli.report_columns import choose
from basix_ws_cti.cli.report_options import (
    OutputOptions,
    parse_bands,
    parse_hours,
    parse_weekdays,
)
from basix_ws_cti.cli.report_selection import find_ids
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports.rows import NameRow


@pytest.mark.parametrize(
    ("text", "days"),
    [
        (None, set()),
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("sat-mon", {5, 6, 0}),
        ("mon,WED, fri", {0, 2, 4}),
        ("tue-tue", {1}),
        ("mon-wed,sun", {0, 1, 2, 6}),
    ],
)
def test_weekdays(text, days):
    assert parse_weekdays(text) == days


@pytest.mark.parametrize("text", ["", "mon-", "-fri", "monday", "mon fri", "mon,,tue", "1-5"])
def test_other_weekdays_are_refused(text):
    with pytest.raises(UsageError, match="--weekdays: expected days such as mon-fri"):
        parse_weekdays(text)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        (None, None),
        ("09:00-18:00", (time(9), time(18))),
        ("9:00 - 17:30", (time(9), time(17, 30))),
        ("22:00-06:00", (time(22), time(6))),
        ("18:00-24:00", (time(18), time(0))),
        ("00:00-00:30", (time(0), time(0, 30))),
        ("00:00-24:00", None),
    ],
)
def test_hours(text, hours):
    assert parse_hours(text) == hours


@pytest.mark.parametrize(
    "text", ["", "9-18", "09:00", "09:00-18:00-19:00", "24:00-25:00", "09:60-10:00", "24:00-09:00"]
)
def test_other_hours_are_refused(text):
    with pytest.raises(UsageError, match="--hours: expected hours such as 09:00-18:00"):
        parse_hours(text)


def test_bands():
    assert parse_bands("10,20.5, 60") == (10, 20.5, 60)


@pytest.mark.parametrize("text", ["", "10,", "10;20", "10s"])
def test_other_bands_are_refused(text):
    with pytest.raises(UsageError, match="--bands: expected seconds such as 10,20,30,60, got"):
        parse_bands(text)


@pytest.mark.parametrize(
    ("format_", "output", "name"),
    [
        (None, "-", "table"),
        (None, "report.csv", "csv"),
        (None, "report.XLSX", "xlsx"),
        (None, "report.txt", "table"),
        (None, "report.table", "table"),
        ("json", "report.csv", "json"),
    ],
)
def test_file_name_decides_about_the_format(format_, output, name):
    assert OutputOptions(format=format_, output=Path(output)).format_name == name


def name_row(kind, id_, name, extension=None):
    return NameRow(kind=kind, id=id_, name=name, extension=extension, since=datetime.now(UTC))


NAMES = [
    name_row("group", 1, "Sales", "1900"),
    name_row("group", 1, "営業", "1900"),
    name_row("group", 2, "Support"),
    name_row("user", 11, "佐藤 健", "1001"),
    name_row("user", 12, "佐藤 健", "1002"),
    name_row("user", 1002, "Maria Silva", "1003"),
]


@pytest.mark.parametrize(
    ("kind", "texts", "ids"),
    [
        ("group", ["Sales"], {1}),  # an old name, too
        ("group", ["営業", "SUPPORT"], {1, 2}),
        ("group", ["1900"], {1}),
        ("group", ["2"], {2}),
        ("user", ["佐藤 健"], {11, 12}),
        ("user", ["1002"], {12}),  # an extension is more likely meant than an id
        ("user", [" 1001 "], {11}),
        ("user", [], set()),
    ],
)
def test_names_extensions_and_ids_select(kind, texts, ids):
    assert find_ids(NAMES, kind, texts) == ids


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("group", "Salse", "unknown group 'Salse'; did you mean 'Sales'"),
        ("group", "3", "unknown group '3'; the call log has no such name, extension or id"),
        ("user", "佐藤", "unknown user '佐藤'; did you mean '佐藤 健'"),
        ("user", "\N{FULLWIDTH DIGIT NINE}", "unknown user"),
        ("user", "9" * 30, "unknown user"),
    ],
)
def test_unknown_names_are_refused(kind, text, message):
    with pytest.raises(UsageError, match=message):
        find_ids(NAMES, kind, [text])


def test_log_without_names_accepts_ids():
    assert find_ids([], "group", ["7"]) == {7}
    with pytest.raises(UsageError, match="unknown group 'x'"):
        find_ids([], "group", ["x"])


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        (["result=answered"], 1),
        ([" result = answered "], 1),
        (["result!="], 2),
        (["result!=busy", "result!="], 1),
        (["name==x"], 0),
    ],
)
def test_conditions_select_rows(conditions, count):
    assert len([*choose(hand_made(), conditions, []).rows]) == count


@pytest.mark.parametrize("text", ["", "result", "result!", "=x", "!=x"])
def test_other_conditions_are_refused(text):
    with pytest.raises(UsageError, match=r"--where: expected COLUMN=VALUE|unknown column ''"):
        choose(hand_made(), [text], [])
