"""Search in a call log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from support.call_builders import call, leg
from support.waiting import TIMEOUT

from basix_ws_cti import Gap, Party, User
from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calls import CallEnded
from basix_ws_cti.exceptions import CallLogError, UsageError
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.mirror.mirror import Mirror

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes):
    return round((NOON + timedelta(minutes=minutes)).timestamp() * 1_000_000)


def logged_call(name, minutes, *, number="0312341234", caller=None, user=7, talked=30, **fields):
    """Return a call that began some minutes after noon, and was answered unless ``talked`` is 0."""
    start = at(minutes)
    made = call(
        "0 ringing u7, 10 talking u7" if talked else "0 ringing u7", 10 + talked, by="caller"
    )
    phases = tuple(
        attrs.evolve(
            phase,
            started=start + phase.started * 1_000_000,
            ended=start + phase.ended * 1_000_000,
            party=Party(user_id=user),
        )
        for phase in made.phases
    )
    end = phases[-1].ended
    talks = [(phases[-1].started, end)] if talked else []
    return attrs.evolve(
        made,
        id=name,
        caller=Party(number=number, name=caller),
        started=start,
        ended=end,
        answered=talks[0][0] if talks else None,
        answered_by=Party(user_id=user) if talks else None,
        phases=phases,
        legs=(leg(f"u{user}", start, end, talks=talks, rings=1),),
        **fields,
    )


CALLS = [
    logged_call("a", 0, caller="山田 太郎"),
    logged_call("b", 10, number="+81312341234", talked=0),
    logged_call("c", 20, number="anonymous", caller="100%_Wolle", user=8, talked=600),
    logged_call("d", 30, number="09011112222", caller="Maria Silva", direction="outbound"),
]


@pytest.fixture
async def reader(database):
    async with CallLog(database) as log:
        for one in CALLS:
            log.add(one)
        assert await log.flush(TIMEOUT)
    return CallLogReader(database)


def ids(page):
    return "".join(one.record.id for one in page.calls)


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({}, "dcba"),
        ({"order": "oldest"}, "abcd"),
        ({"order": "longest_talk"}, "cadb"),
        ({"order": "longest_wait"}, "acdb"),
        ({"number": "03-1234-1234"}, "ba"),
        ({"number": "+81 3 1234 1234"}, "ba"),
        ({"number": "anonymous"}, "c"),
        ({"number": "0312345678"}, "dcba"),
        ({"number": "110"}, ""),
        ({"name": "山田"}, "a"),
        ({"name": "maria"}, "d"),
        ({"name": "%"}, "c"),
        ({"name": "_"}, "c"),
        ({"handled_by": 7}, "da"),
        ({"took_part": 7}, "dba"),
        ({"took_part": 9}, ""),
        ({"direction": "outbound"}, "d"),
        ({"disposition": "missed"}, "b"),
        ({"started_from": NOON + timedelta(minutes=10)}, "dcb"),
        ({"started_before": NOON + timedelta(minutes=10)}, "a"),
        (
            {
                "started_from": (NOON + timedelta(minutes=10)).astimezone(
                    timezone(timedelta(hours=9))
                ),
                "started_before": NOON + timedelta(minutes=30),
            },
            "cb",
        ),
    ],
)
async def test_search_finds_the_calls_that_meet_all_criteria(reader, criteria, found):
    page = reader.find(**criteria)
    assert ids(page) == found
    assert page.total == len(found)


async def test_pages_have_the_total_of_all_pages(reader):
    pages = [reader.find(limit=3, offset=offset) for offset in (0, 3, 6)]
    assert [(ids(page), page.total) for page in pages] == [("dcb", 4), ("a", 4), ("", 4)]


async def test_last_call_with_a_number(reader):
    assert reader.last_call_with("03-1234-1234").record.id == "b"
    assert reader.last_call_with("0667890123") is None


@pytest.mark.parametrize(
    ("criteria", "text"),
    [
        ({"limit": 0}, "limit must be an int from 1 to 10000, got 0"),
        ({"limit": 10_001}, "limit must be an int from 1 to 10000"),
        ({"offset": -1}, "offset must be an int from 0"),
        ({"took_part": 2**63}, "took_part must be an int from 0"),
        ({"number": 312341234}, "number must be"),
        ({"order": "random"}, "order must be"),
        ({"started_from": datetime(2026, 1, 1)}, "times must have a time zone"),  # noqa: DTZ001
    ],
)
async def test_criteria_that_cannot_work_are_usage_errors(reader, criteria, text):
    with pytest.raises(UsageError, match=text):
        reader.find(**criteria)


@pytest.mark.parametrize("position", [{"after": -1}, {"after": 2**63}, {"limit": 0}])
async def test_positions_that_cannot_work_are_usage_errors(reader, position):
    with pytest.raises(UsageError, match="must be an int"):
        reader.changes(**position)


@pytest.mark.parametrize("text", ["\0", "x" * 100_000])
@pytest.mark.parametrize("field", ["number", "name", "direction", "disposition"])
async def test_any_text_can_be_searched_for(reader, field, text):
    assert reader.find(**{field: text}).total == 0


class _OneCall:
    """Source with one call and a mirror."""

    def __init__(self, mirror, ended):
        self.mirror = mirror
        self._ended = ended

    def now(self):
        return NOON

    async def call_events(self):
        yield NOON, CallEnded(self._ended)


async def test_names_are_those_of_the_time_of_the_call(database):
    for label, one in (("Suzuki", CALLS[0]), ("Tanaka", CALLS[1])):
        mirror = Mirror()
        mirror.apply(InitialInfo("user", {7: User(id=7, label=label, main_extension="1007")}))
        async with CallLog(database) as log:
            await log.record(_OneCall(mirror, one))
    reader = CallLogReader(database)
    assert reader.names_at(NOON - timedelta(minutes=1)) == {}
    assert reader.names_at(NOON) == {("user", 7): "Suzuki"}
    assert reader.names_at(NOON + timedelta(minutes=10)) == {("user", 7): "Tanaka"}


async def test_name_is_that_of_the_database(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database):
        assert CallLogReader(database).name == str(database)


def test_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(CallLogError, match=r"call log .*no\.db: no such file"):
        CallLogReader(tmp_path / "no.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no call log: create it with the command log"),
        (b"something else" * 1000, "DatabaseError: file is not a database"),
    ],
)
def test_file_that_is_no_call_log_is_a_clear_error(tmp_path, content, text):
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(CallLogError, match=text):
        CallLogReader(path)


async def test_changes_names_and_gaps_are_read_in_their_order(database):
    gap = Gap(started=NOON, ended=NOON + timedelta(minutes=1), reason=None)
    async with CallLog(database) as log:
        for one in CALLS:
            log.add(one)
        log.add_gap(gap)
        assert await log.flush(TIMEOUT)
    reader = CallLogReader(database)
    assert [(one.record.id, one.change) for one in reader.changes(after=1, limit=2)] == [
        ("b", 2),
        ("c", 3),
    ]
    assert reader.last_change() == 4
    assert reader.gaps() == ((gap.started, gap.ended, "unknown"),)


def test_file_that_disappears_is_a_clear_error(tmp_path):
    database = tmp_path / "calls.db"
    migrate(create_writer(parse_database(database)))
    reader = CallLogReader(database)
    database.unlink()
    with pytest.raises(CallLogError, match="unable to open database file"):
        reader.find()
