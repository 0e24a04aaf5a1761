"""Choice of the language: option, environment, system."""

from __future__ import annotations

import sys

import pytest
from support.cases import for_each

from basix_ws_cti.cli.language import (
    environment_language,
    language_of_langid,
    take_language_option,
    windows_language,
)
from basix_ws_cti.exceptions import UsageError

JAPANESE_WINDOWS = 0x0411
AMERICAN_WINDOWS = 0x0409
FRENCH_WINDOWS = 0x040C


def no_system_language():
    return None


@for_each(
    "environment, language",
    [
        ({}, "en"),
        ({"LANG": ""}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.eucJP"}, "ja"),
        ({"LANG": "ja_JP.UTF-8@modifier"}, "ja"),
        ({"LANG": "ja"}, "ja"),
        ({"LANG": "ja-JP"}, "ja"),
        ({"LANG": "JA_JP"}, "ja"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "jam_JM"}, "en"),  # Jamaican Creole
        # The first variable that is not empty decides.
        ({"LC_MESSAGES": "ja_JP.UTF-8", "LANG": "en_US.UTF-8"}, "ja"),
        ({"LC_MESSAGES": "en_US.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "ja_JP.UTF-8", "LC_MESSAGES": "C", "LANG": "C"}, "ja"),
        ({"LC_ALL": "C", "LC_MESSAGES": "ja_JP.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "de_DE.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANGUAGE": "ja", "LC_ALL": "C.UTF-8"}, "ja"),
        ({"LANGUAGE": "en", "LC_ALL": "ja_JP.UTF-8"}, "en"),
        ({"LANGUAGE": "", "LANG": "ja_JP.UTF-8"}, "ja"),
        # LANGUAGE is a list: the first language with a catalogue decides.
        ({"LANGUAGE": "fr:ja:en"}, "ja"),
        ({"LANGUAGE": "en:ja"}, "en"),
        ({"LANGUAGE": "fr:de"}, "en"),
        ({"LANGUAGE": ":ja"}, "ja"),
        # Other categories say nothing about messages.
        ({"LC_CTYPE": "ja_JP.UTF-8", "LC_TIME": "ja_JP.UTF-8"}, "en"),
    ],
)
def test_language_of_an_environment(environment, language):
    assert environment_language(environment, no_system_language) == language


@for_each(
    "environment, langid, language",
    [
        ({}, JAPANESE_WINDOWS, "ja"),
        ({}, AMERICAN_WINDOWS, "en"),
        ({}, FRENCH_WINDOWS, "en"),
        ({"LANG": ""}, JAPANESE_WINDOWS, "ja"),
        ({"LANG": "C.UTF-8"}, JAPANESE_WINDOWS, "en"),
        ({"LANGUAGE": "en"}, JAPANESE_WINDOWS, "en"),
        ({"LANG": "ja_JP.UTF-8"}, AMERICAN_WINDOWS, "ja"),
    ],
)
def test_windows_decides_if_no_variable_is_set(environment, langid, language):
    assert environment_language(environment, lambda: language_of_langid(langid)) == language


def test_langid_has_undefined_upper_bits():
    """The function of Windows returns 16 bits in a larger register."""
    assert language_of_langid(-0x10000 | JAPANESE_WINDOWS) == "ja"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a language")
def test_other_systems_have_no_language_besides_the_environment():
    assert windows_language() is None


@pytest.mark.skipif(sys.platform != "win32", reason="asks Windows")
def test_windows_has_a_language_or_one_without_texts():
    assert windows_language() in {"en", "ja", None}


@for_each(
    "arguments, language, remaining",
    [
        ("listen --json", None, "listen --json"),
        ("--lang ja listen", "ja", "listen"),
        ("--lang=ja listen", "ja", "listen"),
        ("listen --lang ja --json", "ja", "listen --json"),
        ("listen --json --lang=en", "en", "listen --json"),
        ("--lang ja listen --lang en", "en", "listen"),
        ("--lang ja_JP.UTF-8 top", "ja", "top"),
        ("--lang JA top", "ja", "top"),
        ("decode -- --lang fr", None, "decode -- --lang fr"),
        ("--lang ja decode -- --lang", "ja", "decode -- --lang"),
        ("--language ja", None, "--language ja"),
        ("", None, ""),
    ],
)
def test_option_is_taken_from_any_place_before_the_operands(arguments, language, remaining):
    assert take_language_option(arguments.split()) == (language, remaining.split())


@for_each("arguments", ["--lang fr", "--lang=", "listen --lang", "--lang --json"])
def test_missing_or_unknown_language_is_a_usage_error(arguments):
    with pytest.raises(UsageError, match=r"--lang: unknown language '.*': pass one of en, ja"):
        take_language_option(arguments.split())
