"""Name of the system's time zone."""

from __future__ import annotations

import os

import pytest

from basix_ws_cti.cli.local_timezone import find_local_timezone
from basix_ws_cti.exceptions import UsageError


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Europe/Berlin", "Europe/Berlin"),
        (":/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("", "UTC"),
    ],
)
def test_variable_names_the_zone(variable, name, tmp_path):
    assert find_local_timezone({"TZ": variable}, tmp_path / "localtime").key == name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such link")
def test_link_of_the_system_names_the_zone(tmp_path):
    zone = tmp_path / "share" / "zoneinfo" / "Australia" / "Lord_Howe"
    zone.parent.mkdir(parents=True)
    zone.touch()
    link = tmp_path / "localtime"
    link.symlink_to(zone)
    assert find_local_timezone({}, link).key == "Australia/Lord_Howe"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such link")
def test_system_without_link_uses_utc(tmp_path):
    assert find_local_timezone({}, tmp_path / "localtime").key == "UTC"


@pytest.mark.parametrize("variable", ["JST-9", "Moon/Base", "../../etc/passwd"])
def test_zone_without_a_known_name_is_refused(variable, tmp_path):
    with pytest.raises(UsageError, match="has no known name: pass --timezone, such as Asia/Tokyo"):
        find_local_timezone({"TZ": variable}, tmp_path / "localtime")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such link")
def test_copy_of_a_zone_has_no_name(tmp_path):
    (tmp_path / "localtime").write_bytes(b"TZif2")
    with pytest.raises(UsageError, match="has no known name"):
        find_local_timezone({}, tmp_path / "localtime")
