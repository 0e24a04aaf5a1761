"""Spool: order of the events, limits, dead letters, and files that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from attrs import evolve
from support.sqlite_files import sqlite_connection

from basix_ws_cti.bridges.dead_letters import DeadLetters
from basix_ws_cti.bridges.spool import Spool
from basix_ws_cti.bridges.spool_file import SpoolFile
from basix_ws_cti.bridges.webhook_events import OutgoingEvent
from basix_ws_cti.exceptions import SpoolError


def event(name, topic="a", created=0.0):
    return OutgoingEvent(
        id=name, type="call.updated", topic=topic, created=created, body=name.encode()
    )


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    """Return a function that opens the spool; all of them are closed at the end."""
    opened = []

    def make(**options):
        limits = {"max_events": 100, "max_age": 50.0} | options
        opened.append(Spool(tmp_path / "hook.db", clock=clock, **limits))
        opened[-1].begin()
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def heads(spool):
    """Return the ids of the events that may be sent next."""
    return [one.id for one in spool.next_due(100)]


def test_only_the_first_event_of_a_topic_is_due(make):
    spool = make()
    spool.add([event("a1"), event("a2"), event("b1", "b"), event("a3")])
    assert heads(spool) == ["a1", "b1"]
    (first, _) = spool.next_due(2)
    assert (first.body, first.attempts, first.due) == (b"a1", 0, 1000)
    spool.delete(first.seq)
    assert heads(spool) == ["b1", "a2"] or heads(spool) == ["a2", "b1"]


def test_events_that_are_left_out_make_room_for_later_ones(make):
    spool = make()
    spool.add([event(name, name) for name in "abcd"])
    assert [one.id for one in spool.next_due(2, {"a"})] == ["b", "c"]
    assert [one.id for one in spool.next_due(1, {"b"})] == ["a"]


def test_next_event_of_a_topic_that_is_left_out_is_left_out_too(make):
    """The first one is being sent while it is dropped."""
    spool = make(max_events=3)
    spool.add([event("a1"), event("a2"), event("a3")])
    spool.add([event("b1", "b")])
    assert heads(spool) == ["a2", "b1"]
    assert [one.id for one in spool.next_due(2, {"a"})] == ["b1"]


def test_failed_attempt_is_counted_and_postponed(make, clock):
    spool = make()
    spool.add([event("a1"), event("a2"), event("b1", "b")])
    (first, _) = spool.next_due(2)
    spool.postpone(first.seq, 1010.0)
    assert heads(spool) == ["b1", "a1"]
    assert [(one.attempts, one.due) for one in spool.next_due(2)] == [(0, 1000), (1, 1010)]


def test_clock_that_was_set_back_delays_no_event(make, clock):
    spool = make()
    spool.add([event("a1")])
    spool.postpone(spool.next_due(1)[0].seq, 5000.0)
    spool.limit_delays(60)
    assert spool.next_due(1)[0].due == 1060


def test_oldest_events_are_dropped_when_the_spool_is_full(make):
    spool = make(max_events=3)
    assert spool.add([event("a1"), event("b1", "b"), event("a2")]) == 0
    assert spool.add([event("c1", "c"), event("c2", "c")]) == 2
    assert heads(spool) == ["a2", "c1"]
    counts = spool.counts()
    assert (counts.waiting, counts.dropped) == (3, 2)
    assert spool.fact("unreported", None) == 2


def test_events_beyond_the_age_are_dropped(make, clock):
    spool = make(max_events=5000)
    spool.add([event(f"a{number}", created=900.0) for number in range(1500)])
    spool.add([event("a-last", created=980.0), event("b1", "b", created=990.0)])
    clock.now = 1035.0
    assert spool.expire() == 1501
    assert heads(spool) == ["b1"]
    assert spool.expire() == 0


def test_refused_event_is_kept_as_a_dead_letter(make):
    spool = make()
    spool.add([event("a1", created=990.0), event("a2")])
    spool.bury(spool.next_due(1)[0].seq, "HTTP 400")
    (letter,) = spool.dead_letters()
    assert (letter.id, letter.type, letter.reason) == ("a1", "call.updated", "HTTP 400")
    assert (letter.created, letter.died, letter.attempts) == (990, 1000, 1)
    assert heads(spool) == ["a2"]


def test_dead_letter_that_is_retried_is_behind_the_events_of_its_topic(make):
    spool = make()
    spool.add([event(name) for name in ("a1", "a2", "a3")])
    for _ in range(2):
        spool.bury(spool.next_due(1)[0].seq, "HTTP 400")
    assert spool.retry_letters(["a1", "unknown"]) == 1
    assert [one.id for one in spool.dead_letters()] == ["a2"]
    order = []
    while found := spool.next_due(1):
        order.append((found[0].id, found[0].attempts, found[0].body))
        spool.delete(found[0].seq)
    assert order == [("a3", 0, b"a3"), ("a1", 0, b"a1")]


@pytest.mark.parametrize(("ids", "left"), [(["a1"], ["a2"]), (None, []), ([], ["a1", "a2"])])
def test_dead_letters_can_be_deleted(make, ids, left):
    spool = make()
    spool.add([event("a1"), event("a2")])
    for _ in range(2):
        spool.bury(spool.next_due(1)[0].seq, "HTTP 400")
    assert spool.delete_letters(ids) == 2 - len(left)
    assert [one.id for one in spool.dead_letters()] == left
    assert spool.counts().dead_letters == len(left)


def test_dead_letters_are_limited_in_number_and_age(make, clock):
    spool = make(max_events=2)
    for name in ("a1", "a2", "a3"):
        clock.now += 10
        spool.add([event(name, created=clock.now)])
        spool.bury(spool.next_due(1)[0].seq, "HTTP 400")
    assert [one.id for one in spool.dead_letters()] == ["a2", "a3"]
    clock.now = 1020 + 51
    spool.expire()
    assert [one.id for one in spool.dead_letters()] == ["a3"]


def test_event_that_was_dropped_while_it_was_sent_changes_nothing(make):
    spool = make(max_events=1)
    spool.add([event("a1")])
    (sent,) = spool.next_due(1)
    spool.add([event("a2")])
    assert spool.delete(sent.seq) is False
    spool.bury(sent.seq, "HTTP 400")
    spool.postpone(sent.seq, 2000.0)
    assert heads(spool) == ["a2"]
    assert (spool.counts().waiting, spool.counts().dead_letters) == (1, 0)


def test_everything_survives_a_restart(make):
    spool = make()
    spool.add([event("a1"), event("b1", "b"), event("b2", "b")])
    spool.bury(spool.next_due(1)[0].seq, "HTTP 400")
    spool.postpone(spool.next_due(1)[0].seq, 1005.0)
    spool.set_fact("last_alive", 99.5)
    spool.commit()
    before = spool.counts()
    spool.close()
    spool = make()
    assert spool.counts() == before
    assert [(one.id, one.attempts, one.due) for one in spool.next_due(9)] == [("b1", 1, 1005)]
    assert [one.id for one in spool.dead_letters()] == ["a1"]
    assert spool.fact("last_alive", None) == 99.5


def test_transaction_that_is_undone_leaves_no_trace(make):
    spool = make()
    spool.add([event("a1")])
    spool.roll_back()
    spool.begin()
    assert heads(spool) == []
    assert spool.counts().waiting == 0


def test_file_is_for_its_owner_only(make, tmp_path):
    make()
    mode = (tmp_path / "hook.db").stat().st_mode
    assert stat.S_IMODE(mode) & 0o077 == 0


@pytest.mark.slow
def test_dead_letters_of_the_same_process_leave_the_lock_of_a_transaction(make, tmp_path):
    """Other processes cannot write into the transaction."""
    path = tmp_path / "hook.db"
    spool = make()
    spool.add([event("a1")])
    assert write_in_another_process(path) == "database is locked"
    with pytest.raises(SpoolError, match="database is locked"):
        DeadLetters(path).list()
    assert write_in_another_process(path) == "database is locked"
    spool.commit()
    assert write_in_another_process(path) == "written"


def write_in_another_process(path):
    """Write to a database from another process; return the error, or ``written``."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(path)], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO facts VALUES ('other', 1)")
    connection.execute("COMMIT")
    print("written")
except sqlite3.Error as error:
    print(error)
"""


def test_file_behind_a_symbolic_link_is_for_its_owner_only(tmp_path):
    path, link = tmp_path / "hook.db", tmp_path / "link.db"
    link.symlink_to(path)
    Spool(link, max_events=9, max_age=9).close()
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


# -- the file ----------------------------------------------------------------------------


def open_file(path):
    file = SpoolFile(path, lambda path: Spool(path, max_events=9, max_age=9, checks_health=True))
    return file, file.open()


def test_spool_has_one_user_at_a_time(tmp_path):
    file, spool = open_file(tmp_path / "hook.db")
    with pytest.raises(SpoolError, match="another webhook uses it: end it, or name another file"):
        open_file(tmp_path / "hook.db")
    spool.close()
    file.release()
    file, spool = open_file(tmp_path / "hook.db")
    spool.close()
    file.release()


def test_spool_and_a_symbolic_link_to_it_have_one_user_at_a_time(tmp_path):
    file, spool = open_file(tmp_path / "hook.db")
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.db"
    link.symlink_to(tmp_path / "hook.db")
    with pytest.raises(SpoolError, match=r"link\.db: another webhook uses it"):
        open_file(link)
    spool.close()
    file.release()


def test_damaged_file_behind_a_symbolic_link_keeps_its_lock(tmp_path):
    path, link = tmp_path / "hook.db", tmp_path / "link.db"
    path.write_bytes(b"\xff" * 9000)
    link.symlink_to(path)
    file, spool = open_file(link)
    assert file.put_aside.name.startswith("hook.db.damaged-")
    assert link.is_symlink()
    with pytest.raises(SpoolError, match="another webhook uses it"):
        open_file(path)
    spool.close()
    file.release()


@pytest.mark.parametrize("damage", ["header", "page"])
def test_damaged_file_is_put_aside_and_named(tmp_path, damage):
    path = tmp_path / "hook.db"
    file, spool = open_file(path)
    spool.begin()
    spool.add([evolve(event(f"a{n}"), body=bytes(9000)) for n in range(9)])
    spool.commit()
    spool.close()
    file.release()
    content = bytearray(path.read_bytes())
    start = 0 if damage == "header" else 4096
    content[start : start + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    file, spool = open_file(path)
    assert file.put_aside is not None
    assert file.put_aside.name.startswith("hook.db.damaged-2")
    assert file.put_aside.read_bytes() == bytes(content)
    assert heads(spool) == []
    spool.close()
    file.release()


def test_database_of_another_program_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "calls.db"
    with sqlite_connection(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE calls (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpoolError, match="it is a database, but no spool: name another file"):
        open_file(path)
    assert path.read_bytes() == before


def test_spool_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "hook.db"
    file, spool = open_file(path)
    spool.close()
    file.release()
    with sqlite_connection(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(SpoolError, match="a newer version of this program made it"):
        open_file(path)


@pytest.mark.parametrize(
    ("name", "text"), [("missing/hook.db", "no such folder"), (".", "Is a directory|folder")]
)
def test_path_that_cannot_work_is_an_error(tmp_path, name, text):
    with pytest.raises(SpoolError, match=text):
        open_file(tmp_path / name)


def test_error_of_the_system_names_neither_number_nor_file(tmp_path):
    path = tmp_path / "hook.db"
    errors = [sqlite3.DatabaseError("malformed"), PermissionError(13, "late", str(path))]

    def make(_):
        raise errors.pop(0)

    path.touch()
    with pytest.raises(SpoolError) as caught:
        SpoolFile(path, make).open()
    assert caught.value.problem == os.strerror(13)


def test_dead_letters_of_a_file_that_cannot_be_opened_raise_an_error_of_the_spool(
    tmp_path, monkeypatch
):
    path = tmp_path / "hook.db"
    path.touch()

    def refuse(*_):
        raise PermissionError(13, "late", str(path))

    with monkeypatch.context() as patch, pytest.raises(SpoolError) as caught:
        patch.setattr("os.open", refuse)
        DeadLetters(path).list()
    assert caught.value.problem == os.strerror(13)
