"""Place of the config file on each platform."""

from __future__ import annotations

from pathlib import Path

from support.cases import for_each

from basix_ws_cti.cli.config_location import default_config_path

HOME = Path("/home/sato")
FILE = Path("basix-ws-cti", "config.toml")


@for_each(
    "platform, environment, folder",
    [
        ("linux", {}, HOME / ".config"),
        ("freebsd14", {}, HOME / ".config"),
        ("darwin", {}, HOME / "Library" / "Application Support"),
        ("win32", {}, HOME / "AppData" / "Local"),
        ("win32", {"LOCALAPPDATA": "D:/Local"}, Path("D:/Local")),
        ("linux", {"LOCALAPPDATA": "D:/Local"}, HOME / ".config"),
        ("linux", {"XDG_CONFIG_HOME": ""}, HOME / ".config"),
        *(
            (platform, {"XDG_CONFIG_HOME": "/etc/sato", "LOCALAPPDATA": "D:/Local"}, "/etc/sato")
            for platform in ("linux", "darwin", "win32")
        ),
    ],
)
def test_default_config_path(platform, environment, folder):
    assert default_config_path(platform, environment, HOME) == Path(folder, FILE)
