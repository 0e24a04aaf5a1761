"""Database of a call log as an argument of commands."""

from __future__ import annotations

import re

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]*@")


def reject_password(database: str) -> None:
    """Reject a password on the command line, where the list of processes shows it to everyone.

    Raises ``UsageError``.
    """
    if _PASSWORD_IN_URL.search(database):
        raise UsageError(
            _(
                "a password on the command line is visible to other users: "
                "put it into ~/.pgpass, or set PGPASSWORD"
            )
        )


def missing_package(error: ModuleNotFoundError, extra: str) -> UsageError:
    """Return the error for a package that is not installed, which an extra would install."""
    return UsageError(
        _("this command needs the package {package}: pip install 'basix_ws_cti[{extra}]'").format(
            package=error.name, extra=extra
        )
    )
