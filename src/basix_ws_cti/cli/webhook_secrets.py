"""Secrets of a webhook, from a file or the environment.

They are not arguments, since the list of processes shows arguments to everyone.
"""

from __future__ import annotations

import os
from pathlib import Path

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .files import read_error_reason
from .precedence import SECRET_VARIABLE


def read_secrets(file: Path | None) -> list[str]:
    """Return the secrets in a file, one per line; for ``None``, those in the environment.

    Raises ``UsageError`` if there is none, or the file cannot be read.
    """
    if file is None:
        if secrets := os.environ.get(SECRET_VARIABLE, "").split():
            return secrets
        raise UsageError(
            _("no secret: set {variable}, or pass --secret-file").format(variable=SECRET_VARIABLE)
        )
    try:
        secrets = file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        message = _("cannot read the secret file {file}: {reason}")
        raise UsageError(message.format(file=file, reason=read_error_reason(error))) from None
    if not secrets:
        raise UsageError(_("the secret file {file} is empty").format(file=file))
    return secrets
