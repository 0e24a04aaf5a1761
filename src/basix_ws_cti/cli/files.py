"""Files as command arguments. Errors name the file, the reason and the remedy."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.exceptions import BasixError, UsageError

from .output import is_broken_pipe

if TYPE_CHECKING:
    import ssl

STDIO = Path("-")
"""Argument that stands for stdin or stdout."""

_REASONS = {
    errno.ENOENT: N_("no such file"),
    errno.ENOTDIR: N_("a part of its path is not a folder"),
    errno.EISDIR: N_("it is a folder: name a file"),
    errno.EEXIST: N_("it already exists: choose another file or pass --overwrite"),
    errno.EACCES: N_("permission denied"),
    errno.EPERM: N_("permission denied"),
    errno.ENOSPC: N_("no space left on the device: free some, or choose another one"),
    errno.ENAMETOOLONG: N_("its name is too long"),
}


class FileAccessError(BasixError):
    """A file cannot be read or written.

    - ``action``: ``read`` or ``write``.
    - ``file``: path of the file; ``STDIO``: stdin or stdout.
    - ``reason``: reason and remedy as text.
    """

    def __init__(self, action: str, file: Path, reason: str) -> None:
        super().__init__(action, file, reason)
        self.action = action
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        name: object = self.file
        if self.file == STDIO:
            name = "stdin" if self.action == "read" else "stdout"
        text = _("cannot read {name}: {reason}")
        if self.action == "write":
            text = _("cannot write {name}: {reason}")
        return text.format(name=name, reason=self.reason)


@contextlib.contextmanager
def file_access(action: str, file: Path) -> Iterator[None]:
    """Raise ``FileAccessError`` for an ``OSError`` in the block, which reads or writes a file.

    - ``action``: ``read`` or ``write``.

    A broken pipe is raised as it is: the command ends without a message then.
    """
    try:
        yield
    except OSError as error:
        if is_broken_pipe(error):
            raise
        reason = file_error_reason(error)
        if action == "write" and error.errno == errno.ENOENT:
            reason = _("there is no folder {folder}: create it").format(folder=file.parent)
        raise FileAccessError(action, file, reason) from None


def size_of(file: Path) -> int | None:
    """Return the size of a regular file in bytes; ``None`` for another one and ``STDIO``."""
    return file.stat().st_size if file != STDIO and file.is_file() else None


def file_error_reason(error: OSError) -> str:
    """Return the reason of a file's error as text, with a remedy if there is one."""
    if error.errno in _REASONS:
        return _(_REASONS[error.errno])
    text = describe_os_error(error)
    return text[:1].lower() + text[1:]


def read_error_reason(error: OSError | UnicodeDecodeError) -> str:
    """Return the reason for which a text file cannot be read; it quotes nothing of the file."""
    return file_error_reason(error) if isinstance(error, OSError) else _("it is not UTF-8")


def load_ca(option: str, file: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts the certificates in a PEM file.

    - ``option``: the option that names the file, such as ``--ca-file``.

    Raises ``UsageError``.
    """
    import ssl

    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # an SSLError, too
        raise UsageError(
            _("cannot load {option} {file}: {reason}").format(
                option=option, file=file, reason=file_error_reason(error)
            )
        ) from None


def describe_file_error(error: OSError) -> str:
    """Return the text for an ``OSError`` that no ``file_access`` block has converted.

    One without a file name is an error of stdout, to which every command writes.
    """
    if error.errno is None:  # a text of this package
        return str(error)
    reason = file_error_reason(error)
    if error.filename is None:
        return _("cannot write {name}: {reason}").format(name="stdout", reason=reason)
    return f"{error.filename}: {reason}"
