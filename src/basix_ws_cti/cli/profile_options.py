"""Options ``--config`` and ``--profile``, which provide the defaults of all other options.

Both are eager: the command line parser processes them before the other options, and looks up in
the profile what neither an argument nor an environment variable provides.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .config_file import ConfigFile, read_config_file, select_profile
from .exit_codes import ExitCode
from .help import panels
from .output import prepare_streams, report
from .precedence import (
    Level,
    level_in_file,
    replaces_simulation,
    token_variable,
    values_from_file,
    weaker_selections,
)

_META_KEY = f"{__name__}.active_profile"

# Names that the command line parser gives to the sources of a value.
_PARSER_LEVELS = {"COMMANDLINE": Level.ARGUMENT, "ENVIRONMENT": Level.ENVIRONMENT}


@frozen(kw_only=True)
class ActiveProfile:
    """Config file and profile of the running command, and where its values come from.

    - ``config``: contents of the config file.
    - ``name``: name of the profile; ``None`` if none is used.
    - ``levels``: level of each option's value, by the name of the parameter; also of ``config`` and
      ``profile``.
    """

    config: ConfigFile
    name: str | None
    levels: dict[str, Level] = field(factory=dict)


def active_profile(context: typer.Context) -> ActiveProfile:
    """Return the profile of the running command."""
    profile: ActiveProfile = context.meta[_META_KEY]
    return profile


def use_precedence(context: typer.Context, values: dict[str, Any]) -> None:
    """Complete the values of a command's options: remove selections that others replace.

    Also stores the level of each value in the active profile, and reports a token that replaces
    that of the profile.
    """
    profile = active_profile(context)
    for name in (*values, *(parameter.name for parameter in PROFILE_PARAMETERS)):
        profile.levels[name] = _level(context, profile, name)
    if profile.levels["profile"] is Level.DEFAULT and profile.name is not None:
        profile.levels["profile"] = Level.GENERAL
    defaults = {parameter.name: parameter.default for parameter in context.command.params}
    replaced = weaker_selections(values, profile.levels)
    if replaces_simulation(profile.levels):
        replaced.append("simulate")
    for name in replaced:
        values[name] = defaults[name]
        profile.levels[name] = Level.DEFAULT
    _report_replaced_token(profile)


def _report_replaced_token(profile: ActiveProfile) -> None:
    """Report a variable that replaces the token of a profile that an argument selects.

    The variable may hold the token of another PBX.
    """
    if profile.levels["profile"] is not Level.ARGUMENT or profile.name is None:
        return
    is_replaced = (
        profile.levels.get("token_file") is Level.DEFAULT
        and "token_file" in profile.config.profiles[profile.name]
    )
    if is_replaced and (variable := token_variable(os.environ)) is not None:
        message = _("{variable} overrides token-file of the profile {name}")
        report(message.format(variable=variable, name=profile.name))


def _level(context: typer.Context, profile: ActiveProfile, name: str) -> Level:
    source = context.get_parameter_source(name)
    if source is None:
        return Level.DEFAULT
    if source.name == "DEFAULT_MAP":
        return level_in_file(profile.config, profile.name, name)
    return _PARSER_LEVELS.get(source.name, Level.DEFAULT)


def _use_profile(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Read the config file once both options are known, and exit with 2 if it is not valid."""
    if context.resilient_parsing:  # completion of the command line: nothing is run
        return value
    given = context.meta.setdefault(f"{_META_KEY}.options", {})
    given[parameter.name] = value
    if len(given) < len(PROFILE_PARAMETERS):
        return value
    from .settings import all_settings

    try:
        config = read_config_file(given["config"], all_settings())
        name = select_profile(config, given["profile"])
    except UsageError as error:
        prepare_streams()
        report(str(error))
        raise typer.Exit(ExitCode.USAGE) from None
    context.meta[_META_KEY] = ActiveProfile(config=config, name=name)
    context.default_map = values_from_file(config, name, os.environ)
    return value


def complete_profiles(context: typer.Context) -> list[str]:
    """Return the names of the profiles for ``--profile``; none if the config file is not valid."""
    from .settings import all_settings

    try:
        return sorted(read_config_file(context.params.get("config"), all_settings()).profiles)
    except UsageError:
        return []


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


PROFILE_PARAMETERS = (
    _parameter(
        "profile",
        Annotated[
            str | None,
            typer.Option(
                "--profile",
                help=_("Profile of the config file to take options from."),
                envvar="BASIX_PROFILE",
                metavar="NAME",
                is_eager=True,
                autocompletion=complete_profiles,
                callback=_use_profile,
                rich_help_panel=panels.CONNECTION,
            ),
        ],
    ),
    _parameter(
        "config",
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                help=_("Config file to use; the command config path prints the default."),
                envvar="BASIX_CONFIG",
                metavar="FILE",
                is_eager=True,
                callback=_use_profile,
                rich_help_panel=panels.MORE_CONNECTION,
            ),
        ],
    ),
)
