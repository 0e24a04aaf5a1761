"""Settings of the config file, compared with the options of the commands."""

from __future__ import annotations

from pathlib import Path

import attrs

from basix_ws_cti.cli.options import ConnectionOptions
from basix_ws_cti.cli.precedence import SELECTION_OPTIONS
from basix_ws_cti.cli.settings import all_settings

SETTINGS = all_settings()
# Names of settings that do not select a feed.
GENERAL = {"timezone", "country_code", "lang"}
# Names of settings for webhooks.
WEBHOOK = {"spool", "secret_file"}


def test_every_connection_option_but_the_token_is_a_setting():
    names = {attribute.name for attribute in attrs.fields(ConnectionOptions)} - {"token"}
    assert {setting.name for setting in SETTINGS.values()} == names | GENERAL | WEBHOOK


def test_keys_are_long_options():
    assert {key: setting.name for key, setting in SETTINGS.items() if "-" in key} == {
        "token-file": "token_file",
        "ca-file": "ca_file",
        "app-name": "app_name",
        "full-events": "full_events",
        "user-id": "user_id",
        "user-name": "user_name",
        "user-label": "user_label",
        "user-extension": "user_extension",
        "user-did": "user_did",
        "user-email": "user_email",
        "simulate-speed": "simulate_speed",
        "simulate-seed": "simulate_seed",
        "country-code": "country_code",
        "secret-file": "secret_file",
    }


def test_types_are_those_of_the_options():
    types = {key: setting.type for key, setting in SETTINGS.items() if setting.type is not str}
    assert types == {
        "token-file": Path,
        "ca-file": Path,
        "spool": Path,
        "secret-file": Path,
        "full-events": bool,
        "force": bool,
        "simulate": bool,
        "simulate-speed": float,
        "simulate-seed": int,
    }


def test_settings_without_an_environment_variable():
    assert {setting.name for setting in SETTINGS.values() if not setting.variables} == {
        "simulate",
        "simulate_speed",
        "simulate_seed",
        *GENERAL,
    }


def test_each_variable_is_named_after_its_option():
    """The token has a second variable, which contains the token itself."""
    found = {key: setting.variables for key, setting in SETTINGS.items() if setting.variables}
    assert found.pop("token-file") == ("BASIX_TOKEN", "BASIX_TOKEN_FILE")
    assert found.pop("spool") == ("BASIX_WEBHOOK_SPOOL",)
    assert found.pop("secret-file") == ("BASIX_WEBHOOK_SECRET_FILE",)
    assert found == {key: (f"BASIX_{key.replace('-', '_').upper()}",) for key in found}


def test_general_settings():
    assert {setting.name for setting in SETTINGS.values() if setting.is_general} == GENERAL


def test_every_user_option_selects_channels():
    users = [setting.name for setting in SETTINGS.values() if setting.name.startswith("user_")]
    assert [*SELECTION_OPTIONS] == ["full_events", *users]
