"""Choice of the language among ``--lang``, the config file, and the locale.

The help texts are translated when the commands are imported. The language is therefore chosen
before, from the raw arguments and the raw config file. The command that runs afterwards checks both
and reports what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from basix_ws_cti._internal.translation import LANGUAGES

from .config_location import config_path
from .language import environment_language, locale_variable, windows_language
from .precedence import Level


class LanguageChoice(NamedTuple):
    """Language of the texts for people, and where it comes from.

    - ``language``: one of ``LANGUAGES``.
    - ``level``: source of the choice; ``Level.DEFAULT`` stands for the locale.
    - ``variable``: variable of the environment that names the locale; ``None`` if none is set, or
      if the locale does not decide.
    """

    language: str
    level: Level
    variable: str | None = None


def choose_language(
    option: str | None, arguments: Sequence[str], environment: Mapping[str, str]
) -> LanguageChoice:
    """Return the language of ``option``, else of the config file, else of the locale.

    The config file overrides the locale, because ``LANG`` is set on most systems, for all programs.
    """
    if option is not None:
        return LanguageChoice(language=option, level=Level.ARGUMENT)
    if (configured := _configured_language(arguments, environment)) is not None:
        return configured
    return LanguageChoice(
        language=environment_language(environment, windows_language),
        level=Level.DEFAULT,
        variable=locale_variable(environment),
    )


def _configured_language(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> LanguageChoice | None:
    """Return the language of the selected profile or of the file; ``None`` if it names none."""
    file = option_value("config", arguments) or environment.get("BASIX_CONFIG")
    document = _read_document(Path(file) if file else config_path())
    name = option_value("profile", arguments)
    if name is None:
        name = environment.get("BASIX_PROFILE") or document.get("profile")
    profiles = document.get("profiles")
    profile = None
    if isinstance(profiles, dict) and isinstance(name, str):
        profile = profiles.get(name)
    for level, table in ((Level.PROFILE, profile), (Level.GENERAL, document)):
        language = table.get("lang") if isinstance(table, dict) else None
        if language in LANGUAGES:
            return LanguageChoice(language=language, level=level)
    return None


def option_value(name: str, arguments: Sequence[str]) -> str | None:
    """Return the last value of ``--name`` in the arguments; ``None`` if it is not given."""
    option = f"--{name}"
    value = None
    for index, argument in enumerate(arguments):
        if argument == "--":  # operands follow
            break
        if argument == option:
            value = next(iter(arguments[index + 1 :]), None)
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
    return value


def _read_document(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file; empty if it cannot be read or names no language."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return {}
    if "lang" not in text:  # saves the import of tomllib, of which --help would notice the time
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}
