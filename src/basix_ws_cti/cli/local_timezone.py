"""IANA name of the system's time zone, which a report needs: an offset is not enough."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

_FOLDER = "zoneinfo/"


def find_local_timezone(
    environment: Mapping[str, str] = os.environ, link: Path = Path("/etc/localtime")
) -> ZoneInfo:
    """Return the time zone of the environment, or that of the system.

    - ``environment``: its variable ``TZ`` overrides the system.
    - ``link``: symbolic link to the system's time zone; without one, the system uses UTC.

    Raises ``UsageError`` if its name is not known, as on Windows.
    """
    name = environment.get("TZ")
    if name is not None:
        return _zone(name.removeprefix(":").rpartition(_FOLDER)[2] or "UTC")
    if os.name != "nt" and not link.exists():
        return _zone("UTC")
    target = link.resolve().as_posix()
    return _zone(target.rpartition(_FOLDER)[2] if _FOLDER in target else "")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            _("the time zone of this system has no known name: pass --timezone, such as Asia/Tokyo")
        ) from None
