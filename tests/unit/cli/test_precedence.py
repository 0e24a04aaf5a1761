"""Precedence of a config file's values, the token's variables, and channel selections."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from support.cases import for_each

from basix_ws_cti.cli.config_file import ConfigFile
from basix_ws_cti.cli.precedence import (
    Level,
    level_in_file,
    replaces_simulation,
    values_from_file,
    weaker_selections,
)

CONFIG = ConfigFile(
    path=Path("config.toml"),
    general={"timezone": "Asia/Tokyo", "lang": "ja"},
    profiles={
        "office": {"domain": "acme", "token_file": "office.token", "lang": "en"},
        "branch": {"domain": "branch"},
    },
)


@for_each(
    "profile, values",
    [
        (None, {"timezone": "Asia/Tokyo", "lang": "ja"}),
        ("branch", {"timezone": "Asia/Tokyo", "lang": "ja", "domain": "branch"}),
        (
            "office",
            {
                "timezone": "Asia/Tokyo",
                "lang": "en",
                "domain": "acme",
                "token_file": "office.token",
            },
        ),
    ],
)
def test_profile_overrides_general_settings(profile, values):
    assert values_from_file(CONFIG, profile, {}) == values


def test_variable_with_the_secrets_of_a_webhook_overrides_their_file():
    config = evolve(CONFIG, profiles={"office": {"secret_file": "secrets", "spool": "crm.db"}})
    for environment, expected in (
        ({}, {"secret_file", "spool"}),
        ({"BASIX_WEBHOOK_SECRET": ""}, {"secret_file", "spool"}),
        ({"BASIX_WEBHOOK_SECRET": "whsec_"}, {"spool"}),
    ):
        values = values_from_file(config, "office", environment)
        assert values.keys() & {"secret_file", "spool"} == expected


@for_each(
    "environment, is_used",
    [
        ({}, True),
        ({"BASIX_TOKEN": "", "BASIX_TOKEN_FILE": ""}, True),
        ({"BASIX_TOKEN": "t"}, False),
        ({"BASIX_TOKEN_FILE": "other.token"}, False),
        ({"BASIX_DOMAIN": "other"}, True),
    ],
)
def test_variables_of_the_token_override_the_token_file_of_a_profile(environment, is_used):
    values = values_from_file(CONFIG, "office", environment)
    assert ("token_file" in values) is is_used
    assert values["domain"] == "acme"


@for_each(
    "profile, name, level",
    [
        ("office", "domain", Level.PROFILE),
        ("office", "lang", Level.PROFILE),
        ("office", "timezone", Level.GENERAL),
        (None, "lang", Level.GENERAL),
    ],
)
def test_level_of_a_value_in_the_file(profile, name, level):
    assert level_in_file(CONFIG, profile, name) is level


def test_levels_ascend_in_precedence():
    assert [*Level] == sorted(Level) == [
        Level.DEFAULT,
        Level.GENERAL,
        Level.PROFILE,
        Level.ENVIRONMENT,
        Level.ARGUMENT,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "replaced"),
    [
        ({"user_id": ("5", Level.PROFILE)}, []),
        (
            {"user_id": ("5", Level.PROFILE), "user_name": ("sato", Level.ARGUMENT)},
            ["user_id"],
        ),
        (
            {"full_events": (True, Level.PROFILE), "user_did": ("03", Level.ENVIRONMENT)},
            ["full_events"],
        ),
        (
            {"full_events": (True, Level.ARGUMENT), "user_did": ("03", Level.ENVIRONMENT)},
            ["user_did"],
        ),
        # Rejecting all channels selects no others.
        ({"full_events": (False, Level.ARGUMENT), "user_did": ("03", Level.PROFILE)}, []),
        # Two selections of the same level contradict each other, which is an error elsewhere.
        ({"user_id": ("5", Level.PROFILE), "user_name": ("sato", Level.PROFILE)}, []),
        ({"server": ("pbx", Level.ARGUMENT), "user_id": ("5", Level.PROFILE)}, []),
        ({}, []),
    ],
)
def test_strongest_selection_of_channels_replaces_the_weaker_ones(given, replaced):
    values = {"full_events": False, "user_id": None}
    levels = dict.fromkeys(values, Level.DEFAULT)
    values |= {name: value for name, (value, _) in given.items()}
    levels |= {name: level for name, (_, level) in given.items()}
    assert weaker_selections(values, levels) == replaced


@for_each(
    "levels, is_replaced",
    [
        ({"simulate": Level.PROFILE, "server": Level.ARGUMENT}, True),
        ({"simulate": Level.PROFILE, "recording": Level.ARGUMENT}, True),
        # A variable is set for all commands, also for those with this profile.
        ({"simulate": Level.PROFILE, "server": Level.ENVIRONMENT}, False),
        ({"simulate": Level.PROFILE, "server": Level.PROFILE}, False),
        ({"simulate": Level.ARGUMENT, "server": Level.ARGUMENT}, False),
        ({"simulate": Level.PROFILE, "redis": Level.ARGUMENT}, True),
        ({"server": Level.ARGUMENT}, False),
    ],
)
def test_argument_for_another_feed_replaces_the_simulated_pbx_of_a_profile(levels, is_replaced):
    assert replaces_simulation(levels) is is_replaced
