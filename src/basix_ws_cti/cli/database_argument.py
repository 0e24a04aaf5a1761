"""Database of a call log as an argument of commands."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError


def reject_password(database: str) -> None:
    """Reject a password on the command line, where the list of processes shows it to everyone.

    Raises ``UsageError``, also for a text that names no database. Needs the extra ``calllog``.
    """
    from basix_ws_cti.calllog.database import has_password, parse_database

    if has_password(parse_database(database)):
        raise UsageError(
            _(
                "a password on the command line is visible to other users: "
                "put it into ~/.pgpass, or set PGPASSWORD"
            )
        )
