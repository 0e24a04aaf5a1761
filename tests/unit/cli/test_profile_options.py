"""Completion of the names of profiles."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from basix_ws_cti.cli.profile_options import complete_profiles


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[profiles.office]\n[profiles.branch]", ["branch", "office"]),
        ("", []),
        ("no TOML", []),
        (None, []),
    ],
)
def test_names_of_profiles_are_completed(text, names, tmp_path):
    """A missing or invalid file is no error: the shell would print it into the command line."""
    file = tmp_path / "config.toml"
    if text is not None:
        file.write_text(text)
    assert complete_profiles(SimpleNamespace(params={"config": file})) == names
