"""Programs that tests start."""

from __future__ import annotations

import shutil
from pathlib import Path

# Where Debian keeps PostgreSQL's programs, which are not on the PATH; the newest version first.
_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def find_program(name):
    """Return the path of a program; ``None`` if it is not installed."""
    paths = (shutil.which(name, path=folder) for folder in (None, *map(str, _POSTGRESQL)))
    return next(filter(None, paths), None)
