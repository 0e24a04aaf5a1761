"""URL of a Redis server on the command line, with the password from the environment."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

PASSWORD_VARIABLE = "BASIX_REDIS_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable with the password for Redis."""


def complete_redis_url(url: str) -> str:
    """Return the URL with the password of the environment, if that has one.

    Raises ``UsageError`` for a URL with a password: the list of processes shows a command line to
    everyone.
    """
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None
    except ValueError:
        return url  # the error of the parser names what is wrong
    if has_password:
        raise UsageError(
            _(
                "a password on the command line is visible to other users: set "
                "BASIX_REDIS_PASSWORD, and leave only the user name in the URL"
            )
        )
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        return url
    user, at, host = parts.netloc.rpartition("@")
    user = user if at else ""
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
