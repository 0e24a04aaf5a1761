"""Lock of a file between processes."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from basix_ws_cti._internal.file_lock import FileLock


def test_one_object_at_a_time_has_the_lock(tmp_path):
    first, second = FileLock(tmp_path / "data.db"), FileLock(tmp_path / "data.db")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    second.release()
    assert [one.name for one in tmp_path.iterdir()] in ([], ["data.db.lock"])


def test_all_names_of_a_file_have_one_lock(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link.db").symlink_to(folder / "data.db")
    first, second = FileLock(folder / "data.db"), FileLock(tmp_path / "link.db")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()


def test_missing_folder_is_an_error_and_is_not_created(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FileLock(tmp_path / "missing" / "data.db").try_acquire()
    assert [*tmp_path.iterdir()] == []


def test_another_thread_may_release_the_lock(tmp_path):
    lock, other = FileLock(tmp_path / "data.db"), FileLock(tmp_path / "data.db")
    assert lock.try_acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert other.try_acquire()
    other.release()


@pytest.mark.slow
def test_end_of_a_process_releases_its_lock(tmp_path):
    path = tmp_path / "data.db"
    program = (
        "import os, sys; from pathlib import Path; "
        "from basix_ws_cti._internal.file_lock import FileLock; "
        "lock = FileLock(Path(sys.argv[1])); "
        "print(lock.try_acquire(), flush=True); input(); os._exit(1)"
    )
    lock = FileLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "True\n"
        assert not lock.try_acquire()
        process.communicate("\n")
    assert lock.try_acquire()
    lock.release()
