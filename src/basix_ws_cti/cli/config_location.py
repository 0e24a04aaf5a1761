"""Place of the config file on each platform."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def config_path() -> Path:
    """Return the path of the user's config file, which need not exist."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails without a home folder
    return default_config_path(sys.platform, os.environ, home)


def default_config_path(platform: str, environment: Mapping[str, str], home: Path) -> Path:
    """Return the path of the config file for a platform, environment and home folder.

    - ``platform``: name of the platform, as ``sys.platform`` has it.
    - ``environment``: environment variables; ``XDG_CONFIG_HOME`` counts on every platform.
    - ``home``: home folder of the user.

    The folders are those of platformdirs. That package is not used, because its import would take
    a noticeable part of the time of ``--help``, which reads the language from the config file.
    """
    if xdg := environment.get("XDG_CONFIG_HOME"):
        folder = Path(xdg)
    elif platform == "win32":
        folder = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = home / ".config"
    return folder / "basix-ws-cti" / "config.toml"
