"""Commands ``web-access …``: change the file with accounts and display links of ``web``."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.files import file_access
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.output_file import complete_file
from basix_ws_cti.cli.package_errors import missing_package
from basix_ws_cti.cli.signals import interrupt_blocking_call
from basix_ws_cti.exceptions import BasixError, UsageError

if TYPE_CHECKING:
    from basix_ws_cti.web.access_file import AccessFile

FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help=_("File with accounts and display links.")),
]

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help=_("Name of the account or of the link."))
]


class NoSuchEntryError(BasixError):
    """The file has no account or link of this name."""


def set_password(file: FileArgument, name: NameArgument) -> None:
    """Set the password of an account, which is typed twice, or is one line on stdin."""
    content = _read(file, must_exist=False)
    from basix_ws_cti.web.access_file import Account, check_name
    from basix_ws_cti.web.passwords import PasswordHash

    check_name(name)
    password = PasswordHash.of(_ask_for_password())
    content.accounts.pop(name, None)
    content.add(Account(name, password))
    _write(content)


def add_link(
    file: FileArgument,
    name: NameArgument,
    *,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            metavar="ID",
            help=_("Show only the queue of the group with this id (repeatable)."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ID",
            help=_("Show only the user with this id (repeatable)."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = None,
) -> None:
    """Add a display link, and print the end of its address."""
    content = _read(file, must_exist=False)
    from basix_ws_cti.web.access_file import DisplayLink, check_id, hash_token, new_token
    from basix_ws_cti.web.view_key import Selection

    for one in (*(queue or ()), *(user or ())):
        check_id(one)
    token = new_token()
    content.add(DisplayLink(name, hash_token(token), Selection.of(queue or (), user or ())))
    _write(content)
    typer.echo(f"display/{token}?mode=tv")


def list_entries(file: FileArgument) -> None:
    """Print the accounts and display links."""
    content = _read(file)
    for account in content.accounts.values():
        typer.echo(f"account {account.name}")
    for link in content.links.values():
        typer.echo(" ".join(["link", link.name, *link.filters]))


def remove_entry(file: FileArgument, name: NameArgument) -> None:
    """Remove an account or display link; its sessions end."""
    content = _read(file)
    if not content.remove(name):
        raise NoSuchEntryError(
            _("{file} has no account or link of this name: see web-access list").format(file=file)
        )
    _write(content)


def _read(path: Path, *, must_exist: bool = True) -> AccessFile:
    try:
        from basix_ws_cti.web.access_file import AccessFile
    except ModuleNotFoundError as error:
        raise missing_package(error, "web") from None
    if not must_exist and not path.exists():
        return AccessFile(path)
    with file_access("read", path):
        return AccessFile.read(path)


def _write(content: AccessFile) -> None:
    with complete_file(content.path, overwrite=True) as stream:
        stream.write("".join(f"{line}\n" for line in content.lines()).encode())


def _ask_for_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    with interrupt_blocking_call():
        password = getpass(_("Password: "))
        if getpass(_("Again: ")) != password:
            raise UsageError(_("the two passwords differ; nothing was changed"))
    return password
