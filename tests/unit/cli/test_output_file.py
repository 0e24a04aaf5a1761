"""Output files that are complete or absent."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from basix_ws_cti.cli.files import FileAccessError
from basix_ws_cti.cli.output_file import complete_file


def write(path, data=b"new", **options):
    with complete_file(path, **{"overwrite": False, **options}) as stream:
        stream.write(data)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_file_is_readable_for_its_owner_only(tmp_path):
    path = tmp_path / "report.csv"
    write(path)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["report.csv"]
    assert os.name == "nt" or mode(path) == 0o600


def test_existing_file_needs_overwrite(tmp_path):
    path = tmp_path / "report.csv"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with pytest.raises(FileAccessError, match="already exists: choose another file or pass --over"):
        write(path)
    assert path.read_bytes() == b"old"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["report.csv"]
    assert os.name == "nt" or mode(path) == 0o600


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(errno.ENOSPC, "full")])
@pytest.mark.parametrize("existed", [False, True])
def test_error_leaves_the_folder_as_it_was(tmp_path, existed, error):
    path = tmp_path / "report.csv"
    if existed:
        path.write_bytes(b"old")
    before = names(tmp_path)
    expected = FileAccessError if isinstance(error, OSError) else error
    with pytest.raises(expected), complete_file(path, overwrite=existed) as stream:
        stream.write(b"half")
        raise error
    assert names(tmp_path) == before
    assert not existed or path.read_bytes() == b"old"


def test_file_appears_with_its_contents(tmp_path):
    """Another program that opens the file meanwhile reads the old contents."""
    path = tmp_path / "report.csv"
    path.write_bytes(b"old")
    with complete_file(path, overwrite=True) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(link, overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="there is no such device")
def test_device_is_written_and_not_replaced():
    write(Path("/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such device")
def test_full_disk_is_reported():
    with pytest.raises(FileAccessError, match="cannot write /dev/full: no space left on the"):
        write(Path("/dev/full"))


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_is_refused(tmp_path, overwrite):
    with pytest.raises(FileAccessError, match="it is a folder: name a file"):
        write(tmp_path, overwrite=overwrite)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileAccessError, match="there is no folder .*nowhere: create it"):
        write(tmp_path / "nowhere" / "report.csv")
