"""Precedence of options: argument, then environment variable, profile, and default.

Each option is resolved alone, with these exceptions:

- The token. ``--token-file`` overrides ``BASIX_TOKEN``, which overrides ``BASIX_TOKEN_FILE``, which
  overrides ``token-file`` of the profile.
- The selection of channels (``--full-events`` or one of the user options). The PBX accepts one of
  them only, so the strongest level that selects channels replaces all selections of weaker levels.
- The feed. ``--server``, ``--recording`` and ``--redis`` replace the simulated PBX of a profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config_file import ConfigFile, Values

SECRET_VARIABLE = "BASIX_WEBHOOK_SECRET"  # noqa: S105 - its name
"""Variable with the secrets of a webhook, separated by spaces."""

TOKEN_VARIABLES = ("BASIX_TOKEN", "BASIX_TOKEN_FILE")
"""Variables that provide the token, the stronger first."""

SELECTION_OPTIONS = (
    "full_events",
    "user_id",
    "user_name",
    "user_label",
    "user_extension",
    "user_did",
    "user_email",
)
"""Options that select channels; a value that is ``None`` or ``False`` selects none."""


class Level(IntEnum):
    """Source of an option's value, in ascending precedence."""

    DEFAULT = 0
    GENERAL = 1
    """Setting of the config file that stands outside its profiles."""
    PROFILE = 2
    ENVIRONMENT = 3
    ARGUMENT = 4


def values_from_file(
    config: ConfigFile, profile: str | None, environment: Mapping[str, str]
) -> Values:
    """Return the values that a config file provides, by the name of their parameter.

    ``profile`` is a name in the file, or ``None``. The file with the token, or with the secrets of
    a webhook, is left out if a variable of the environment provides these. All other variables are
    compared with the file's values by the command line parser.
    """
    values = {**config.general, **(config.profiles[profile] if profile is not None else {})}
    if token_variable(environment) is not None:
        values.pop("token_file", None)
    if environment.get(SECRET_VARIABLE):
        values.pop("secret_file", None)
    return values


def replaces_simulation(levels: Mapping[str, Level]) -> bool:
    """Return True if an argument selects another feed than the simulated PBX of a profile.

    ``levels`` has the level of each option of a command.
    """
    return levels.get("simulate", Level.ARGUMENT) < Level.ARGUMENT and any(
        levels.get(name) is Level.ARGUMENT for name in ("server", "recording", "redis")
    )


def token_variable(environment: Mapping[str, str]) -> str | None:
    """Return the name of the variable that provides the token; ``None`` if none does."""
    return next(filter(environment.get, TOKEN_VARIABLES), None)


def level_in_file(config: ConfigFile, profile: str | None, name: str) -> Level:
    """Return the level of a value that ``values_from_file`` provides."""
    is_in_profile = profile is not None and name in config.profiles[profile]
    return Level.PROFILE if is_in_profile else Level.GENERAL


def weaker_selections(values: Mapping[str, Any], levels: Mapping[str, Level]) -> list[str]:
    """Return the names of the channel selections that one of a higher level replaces.

    ``values`` has the value of each option, ``levels`` its level; both may contain other options.
    """
    given = {name: levels[name] for name in SELECTION_OPTIONS if values.get(name)}
    strongest = max(given.values(), default=Level.DEFAULT)
    return [name for name, level in given.items() if level < strongest]
