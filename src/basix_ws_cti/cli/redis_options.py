"""Options about the Redis server that carries a feed.

The password is not part of the URL, since the list of processes shows arguments to everyone:
``BASIX_REDIS_PASSWORD`` provides it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

PASSWORD_VARIABLE = "BASIX_REDIS_PASSWORD"  # noqa: S105 - its name
"""Environment variable with the password."""

RedisStreamOption = Annotated[
    str, typer.Option("--redis-stream", metavar="NAME", help=_("Key of the stream in Redis."))
]
"""Name of the stream."""

RedisCaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--redis-ca-file",
        metavar="FILE",
        help=_("PEM file with the certificate of a private CA to trust for Redis."),
    ),
]
"""CA to trust for ``rediss://``; ``None``: the system's."""

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
