"""Address of the Redis server that carries a feed, as the command line takes it.

The password is not part of the URL, since the list of processes shows arguments to everyone:
``BASIX_REDIS_PASSWORD`` provides it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

PASSWORD_VARIABLE = "BASIX_REDIS_PASSWORD"  # noqa: S105 - its name
"""Environment variable with the password."""

_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]*@")
_AUTHORITY = re.compile(r"://(?:([^/@]*)@)?")


def redis_url(url: str) -> str:
    """Return the URL of an argument, completed by the password of the environment.

    Raises ``UsageError`` if the argument contains a password.
    """
    if _PASSWORD_IN_URL.search(url):
        raise UsageError(
            _("a password on the command line is visible to other users: set {variable}").format(
                variable=PASSWORD_VARIABLE
            )
        )
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        return url
    return _AUTHORITY.sub(
        lambda match: f"://{match[1] or ''}:{quote(password, safe='')}@", url, count=1
    )


def missing_package(error: ModuleNotFoundError) -> UsageError:
    """Return the error for a missing package of the extra ``fanout``."""
    return UsageError(
        _("Redis needs the package {name}: pip install 'basix_ws_cti[fanout]'").format(
            name=error.name
        )
    )
