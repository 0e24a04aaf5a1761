"""Reading of the config file: values, errors with positions, and refused tokens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.cases import for_each
from support.secret_scanner import TOKEN, found_in

from basix_ws_cti.cli.config_file import (
    ConfigFile,
    parse_config,
    read_config_file,
    select_profile,
)
from basix_ws_cti.cli.config_location import config_path
from basix_ws_cti.cli.settings import all_settings
from basix_ws_cti.exceptions import UsageError

SETTINGS = all_settings()
FILE = Path("/home/sato/.config/basix-ws-cti/config.toml").absolute()


def parse(text):
    return parse_config(text, FILE, SETTINGS)


def test_values_of_every_type():
    config = parse("""\
profile = "office"
timezone = "Asia/Tokyo"
lang = "ja"

[profiles.office]
server = "bcs.brastel.com"
app-name = "wall board"
full-events = true
force = false

[profiles."支店"]
simulate-speed = 20
simulate-seed = 3
timezone = "UTC"
""")
    assert config == ConfigFile(
        path=FILE,
        default_profile="office",
        general={"timezone": "Asia/Tokyo", "lang": "ja"},
        profiles={
            "office": {
                "server": "bcs.brastel.com",
                "app_name": "wall board",
                "full_events": True,
                "force": False,
            },
            "支店": {"simulate_speed": 20, "simulate_seed": 3, "timezone": "UTC"},
        },
    )


@for_each("text", ["", "# nothing\n", "[profiles]\n"])
def test_empty_file_has_no_profiles(text):
    assert parse(text) == ConfigFile(path=FILE)


@for_each("key", ["token-file", "ca-file"])
def test_relative_path_starts_at_the_folder_of_the_config_file(key):
    (value,) = parse(f"[profiles.a]\n{key} = 'keys/acme'").profiles["a"].values()
    assert value == str(FILE.parent / "keys" / "acme")


def test_path_may_start_at_the_home_folder(monkeypatch, tmp_path):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    values = parse("[profiles.a]\ntoken-file = '~/acme'").profiles["a"]
    assert values == {"token_file": str(tmp_path / "acme")}


@for_each(
    "text, problem",
    [
        # Unknown keys and tables.
        ("timezon = 'UTC'", ": unknown key 'timezon'; did you mean 'timezone'?"),
        ("profil = 'a'", ": unknown key 'profil'; did you mean 'profile'?"),
        ("[profile.office]", ": unknown table [profile]; did you mean [profiles.NAME]?"),
        ("[office]\n", ": unknown table [office]: a profile is [profiles.office]"),
        (
            "[profiles.a]\nsevrer = 'x'",
            ": unknown key 'profiles.a.sevrer'; did you mean 'server'?",
        ),
        (
            "[profiles.a]\nFull_Events = true",
            ": unknown key 'profiles.a.Full_Events'; did you mean 'full-events'?",
        ),
        (
            "server = 'x'",
            ": 'server' belongs in a profile: write it below [profiles.NAME]",
        ),
        # Unknown profile.
        (
            "profile = 'ofice'\n[profiles.office]",
            ": unknown profile 'ofice'; did you mean 'office'?",
        ),
        ("profile = 'x'", f": unknown profile 'x'; {FILE} has no profiles"),
        # Wrong types and values.
        ("profile = 1", ": profile: expected a string, got an integer"),
        (
            "profiles = 'a'",
            ": profiles: expected tables such as [profiles.office], got a string",
        ),
        ("[profiles]\na = 1", ": profiles.a: expected a table, got an integer"),
        ("[[profiles.a]]", ": profiles.a: expected a table, got an array"),
        ("timezone = 9", ": timezone: expected a string, got an integer"),
        ("lang = 'fr'", ": lang: unknown value; known: en, ja"),
        (
            "[profiles.a]\nuser-id = 17",
            ": profiles.a.user-id: expected a string, got an integer",
        ),
        (
            "[profiles.a]\nserver = ['x']",
            ": profiles.a.server: expected a string, got an array",
        ),
        (
            "[profiles.a]\ntoken-file = false",
            ": profiles.a.token-file: expected a string, got true or false",
        ),
        (
            "[profiles.a]\nfull-events = 'yes'",
            ": profiles.a.full-events: expected true or false, got a string",
        ),
        ("[profiles.a]\nforce = 1", ": profiles.a.force: expected true or false, got an integer"),
        (
            "[profiles.a]\nsimulate-seed = 1.5",
            ": profiles.a.simulate-seed: expected an integer, got a float",
        ),
        (
            "[profiles.a]\nsimulate-seed = true",
            ": profiles.a.simulate-seed: expected an integer, got true or false",
        ),
        (
            "[profiles.a]\nsimulate-speed = true",
            ": profiles.a.simulate-speed: expected a number, got true or false",
        ),
        (
            "[profiles.a]\nsimulate-speed = 2026-01-01",
            ": profiles.a.simulate-speed: expected a number, got a date or time",
        ),
        (
            "[profiles.a]\nsimulate-speed = 0",
            ": profiles.a.simulate-speed: expected a number from 0.01 to 1000",
        ),
        (
            "[profiles.a]\nsimulate-speed = 1001",
            ": profiles.a.simulate-speed: expected a number from 0.01 to 1000",
        ),
        (
            "[profiles.a]\nsimulate-speed = nan",
            ": profiles.a.simulate-speed: expected a number from 0.01 to 1000",
        ),
        # Text that is not TOML.
        ("a", ", line 1, column 2: expected '=' after a key in a key/value pair"),
        ("\n[profiles.a]\nserver = bcs", ", line 3, column 10: invalid value"),
        (
            "[profiles.a]\nserver = 'x'\nserver = 'y'",
            ", line 3, column 13: cannot overwrite a value",
        ),
        ("timezone = 'UTC", ', line 1, column 16: expected "\'"'),
        ("timezone =\n", ", line 1, column 11: invalid value"),
        ("timezone = [", ", line 1, column 13: invalid value"),
    ],
)
def test_invalid_file_is_a_usage_error_with_place_and_reason(text, problem):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert str(error.value) == f"{FILE}{problem}"


def test_deeply_nested_file_is_a_usage_error():
    with pytest.raises(UsageError, match="nested"):
        parse("a = " + "[" * 100_000)


REMEDY = (
    "a token must not be in the config file: store it in a file that only you can read, "
    "and name that file with token-file"
)


@for_each(
    "text",
    [
        f"token = '{TOKEN}'",
        f"Token = '{TOKEN}'",
        f"[profiles.a]\ntoken = '{TOKEN}'",
        f"[profiles.a]\ntoken = ['{TOKEN}']",
        f"[profiles.a]\ntoken = {{ value = '{TOKEN}' }}",
        f"[profiles.a.token]\nvalue = '{TOKEN}'",
        f"[profiles]\ntoken = '{TOKEN}'",
        f"[token]\nvalue = '{TOKEN}'",
        f"[profiles.a]\napi-token = '{TOKEN}'",
        f"[profiles.a]\nAPI_TOKEN = '{TOKEN}'",
        f"[profiles.a]\nBASIX_TOKEN = '{TOKEN}'",
        f"[profiles.a]\npassword = '{TOKEN}'",
        f"[profiles.a]\nsecret = '{TOKEN}'",
    ],
)
def test_token_in_the_file_is_refused_with_the_remedy(text):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert str(error.value).endswith(REMEDY)
    assert not found_in(str(error.value))


@for_each(
    "key, value, mark",
    [
        ("server", f"wss://acme:{TOKEN}@pbx.example", "@"),
        ("server", f"{TOKEN}@pbx.example", "@"),
        ("server", "wss://pbx.example?token=abc", "?"),
        ("domain", f"acme:{TOKEN}", ":"),
    ],
)
def test_value_that_may_contain_a_token_is_refused(key, value, mark):
    with pytest.raises(UsageError) as error:
        parse(f"[profiles.a]\n{key} = '{value}'")
    assert str(error.value) == (
        f"{FILE}: profiles.a.{key}: {mark!r} is not allowed, because a token could be next to it: "
        "name the file with the token in token-file"
    )


@for_each(
    "text",
    [
        f"toke = '{TOKEN}'",
        f"token = '{TOKEN}",
        f"token = {TOKEN}",
        TOKEN,
        f"{TOKEN} = 1",
        f"lang = '{TOKEN}'",
        f"[profiles.a]\nforce = '{TOKEN}'",
        f"[profiles.a]\nserver = ['{TOKEN}']",
        f"token = '{TOKEN}'\ntoken = '{TOKEN}'",
    ],
)
def test_other_errors_do_not_quote_values(text):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert not found_in(str(error.value))


# -- selection of a profile ----------------------------------------------------------------


PROFILES = ConfigFile(path=FILE, default_profile="a", profiles={"a": {}, "bureau": {}})


@for_each(
    "config, name, selected",
    [
        (PROFILES, None, "a"),
        (PROFILES, "bureau", "bureau"),
        (PROFILES, "", None),
        (ConfigFile(path=FILE), None, None),
        (ConfigFile(path=FILE, exists=False), None, None),
    ],
)
def test_selected_profile(config, name, selected):
    assert select_profile(config, name) == selected


@for_each(
    "config, name, problem",
    [
        (PROFILES, "Bureu", f"{FILE}: unknown profile 'Bureu'; did you mean 'bureau'?"),
        (PROFILES, "xyz", f"{FILE}: unknown profile 'xyz'; known: a, bureau"),
        (
            ConfigFile(path=FILE, exists=False),
            "a",
            f"unknown profile 'a': there is no config file {FILE}",
        ),
    ],
)
def test_unknown_profile_is_a_usage_error(config, name, problem):
    with pytest.raises(UsageError) as error:
        select_profile(config, name)
    assert str(error.value) == problem


# -- the file ------------------------------------------------------------------------------


@pytest.fixture
def config_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_absent_default_file_is_empty(config_home):
    config = read_config_file(None, SETTINGS)
    assert config == ConfigFile(path=config_path(), exists=False)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_default_file_is_read_with_and_without_a_byte_order_mark(config_home, start):
    config_path().parent.mkdir()
    config_path().write_bytes(start + "timezone = 'UTC' # 時刻帯".encode())
    assert read_config_file(None, SETTINGS).general == {"timezone": "UTC"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read the config file {file}: no such file"),
        ("folder", "cannot read the config file {file}: "),
        (b"timezone = '\xff'", "{file}: not UTF-8: save the config file in this encoding"),
        (b"#" * 1_000_001, "{file}: larger than 1000000 bytes: this is no config file"),
    ],
)
def test_unreadable_file_is_a_usage_error(tmp_path, content, problem):
    file = tmp_path / "my.toml"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_config_file(file, SETTINGS)
    assert str(error.value).startswith(problem.format(file=file))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_endless_device_is_not_read_to_its_end():
    with pytest.raises(UsageError, match="/dev/zero: larger than 1000000 bytes"):
        read_config_file(Path("/dev/zero"), SETTINGS)


def test_null_device_is_an_empty_config_file():
    config = read_config_file(Path(os.devnull), SETTINGS)
    assert (config.default_profile, config.general, config.profiles) == (None, {}, {})
