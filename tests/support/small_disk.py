"""File system with little room and files of limited size, for tests of full disks."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(folder):
    """Mount a file system of one megabyte, and yield its folder; skip the test if that fails."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(folder):
    """Give a mounted file system 20 megabytes."""
    subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)


@contextlib.contextmanager
def file_limit(size):
    """Let no file of this process grow beyond a size, in bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
