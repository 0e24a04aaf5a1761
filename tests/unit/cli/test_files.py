"""Texts of file errors."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.cases import for_each

from basix_ws_cti.cli.files import STDIO, FileAccessError, describe_file_error, file_access


@for_each(
    "action, file, error, text",
    [
        ("read", "day.rec", PermissionError(errno.EACCES, "x"), "cannot read day.rec: {denied}"),
        ("write", "day.rec", PermissionError(errno.EPERM, "x"), "cannot write day.rec: {denied}"),
        ("read", "a/b", FileNotFoundError(errno.ENOENT, "x"), "cannot read a/b: no such file"),
        (
            *("write", "a/b", FileNotFoundError(errno.ENOENT, "x")),
            "cannot write a/b: there is no folder a: create it",
        ),
        ("read", STDIO, OSError(errno.EIO, "x"), "cannot read stdin: input/output error"),
        ("write", STDIO, OSError(errno.EIO, "x"), "cannot write stdout: input/output error"),
        ("read", "day.rec", OSError("not seekable"), "cannot read day.rec: not seekable"),
    ],
)
def test_file_error_names_action_file_and_reason(action, file, error, text):
    with pytest.raises(FileAccessError) as caught, file_access(action, Path(file)):
        raise error
    assert str(caught.value) == text.format(denied="permission denied")


def test_broken_pipe_stays_a_broken_pipe():
    with pytest.raises(BrokenPipeError), file_access("write", STDIO):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@for_each(
    "error, text",
    [
        (OSError(errno.EIO, "x"), "cannot write stdout: input/output error"),
        (OSError(errno.EIO, "x", "day.rec"), "day.rec: input/output error"),
        (OSError("port 1 is already in use"), "port 1 is already in use"),
    ],
)
def test_unconverted_error_names_its_file_or_stdout(error, text):
    assert describe_file_error(error) == text
