"""Error for a package that is not installed."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError


def missing_package(error: ModuleNotFoundError, extra: str) -> UsageError:
    """Return the error for a package that is not installed, which an extra would install."""
    return UsageError(
        _("this command needs the package {package}: pip install 'basix_ws_cti[{extra}]'").format(
            package=error.name, extra=extra
        )
    )
