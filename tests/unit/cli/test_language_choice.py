"""Choice of the language among ``--lang``, the config file and the locale."""

from __future__ import annotations

import pytest
from support.cases import for_each

from basix_ws_cti.cli.language_choice import LanguageChoice, choose_language, option_value
from basix_ws_cti.cli.precedence import Level

CONFIG = """\
profile = "office"
lang = "ja"
[profiles.office]
lang = "en"
[profiles.branch]
[profiles.tokyo]
lang = "ja"
"""
ENGLISH = LanguageChoice(language="en", level=Level.PROFILE)
JAPANESE = LanguageChoice(language="ja", level=Level.PROFILE)
GENERAL = LanguageChoice(language="ja", level=Level.GENERAL)


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return str(file)


@pytest.mark.parametrize(
    ("arguments", "environment", "choice"),
    [
        ([], {}, ENGLISH),
        ([], {"LANG": "ja_JP.UTF-8"}, ENGLISH),
        (["--profile", ""], {}, GENERAL),
        (["--profile", "branch"], {}, GENERAL),
        (["listen", "--profile", "tokyo"], {}, JAPANESE),
        (["listen", "--profile=tokyo", "--json"], {}, JAPANESE),
        (["listen", "--profile", "unknown"], {}, GENERAL),
        ([], {"BASIX_PROFILE": "tokyo"}, JAPANESE),
        (["--profile", "office"], {"BASIX_PROFILE": "tokyo"}, ENGLISH),
        (["decode", "--", "--profile", "tokyo"], {}, ENGLISH),
    ],
)
def test_language_of_the_config_file(arguments, environment, choice, config):
    environment = {"BASIX_CONFIG": config, **environment}
    assert choose_language(None, arguments, environment) == choice


def test_config_option_overrides_its_variable(config):
    arguments = ["--config", config]
    assert choose_language(None, arguments, {"BASIX_CONFIG": "/no/such"}) == ENGLISH


def test_option_overrides_the_config_file(config):
    choice = choose_language("ja", [], {"BASIX_CONFIG": config})
    assert choice == LanguageChoice(language="ja", level=Level.ARGUMENT)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no TOML",
        b"lang = '\xff'",
        b"a = " + b"[" * 10_000,
        b"lang = 'fr'",
        b"lang = ['ja']",
        b"profile = ['a']\n[profiles.a]\nlang = 'ja'",
        b"profiles = 'ja'",
        b"profile = 'a'\n[profiles]\na = 'ja'",
    ],
)
def test_file_without_a_valid_language_leaves_the_choice_to_the_locale(content, tmp_path):
    """The command that runs afterwards reports the error."""
    file = tmp_path / "config.toml"
    if content is not None:
        file.write_bytes(content)
    environment = {"BASIX_CONFIG": str(file), "LANG": "C", "LC_ALL": "ja_JP.UTF-8"}
    assert choose_language(None, [], environment) == LanguageChoice(
        language="ja", level=Level.DEFAULT, variable="LC_ALL"
    )


@for_each(
    "arguments, value",
    [
        ([], None),
        (["--profile"], None),
        (["--profile", "a"], "a"),
        (["--profile=a=b"], "a=b"),
        (["--profile", "a", "--profile=b"], "b"),
        (["--profiles", "a", "--", "--profile", "b"], None),
    ],
)
def test_value_of_an_option_in_raw_arguments(arguments, value):
    assert option_value("profile", arguments) == value
