"""Lock that lets one process write to an SQLite file."""

from __future__ import annotations

import threading

import pytest

from basix_ws_cti.calllog.database import parse_database
from basix_ws_cti.calllog.process_lock import ProcessLock


def lock(database):
    return ProcessLock(parse_database(database))


def test_one_of_two_has_the_lock(tmp_path):
    one, other = lock(tmp_path / "calls.db"), lock(tmp_path / "calls.db")
    assert one.try_acquire()
    assert not other.try_acquire()
    thread = threading.Thread(target=one.release)  # any thread may release it
    thread.start()
    thread.join()
    assert other.try_acquire()
    other.release()


def test_postgresql_needs_no_lock():
    one, other = lock("postgresql://host/db"), lock("postgresql://host/db")
    assert one.try_acquire()
    assert other.try_acquire()
    one.release()


def test_folder_is_an_error(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder, not a file"):
        lock(tmp_path).try_acquire()
    assert not tmp_path.with_name(f"{tmp_path.name}.lock").exists()


def test_missing_folder_is_an_error_and_is_not_created(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        lock(tmp_path / "missing" / "calls.db").try_acquire()
    assert list(tmp_path.iterdir()) == []
