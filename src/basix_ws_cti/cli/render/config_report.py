"""Report of ``config show``: the value of each setting, and the source of the value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.config_file import find_credential_mark
from basix_ws_cti.cli.output import fit_text
from basix_ws_cti.cli.precedence import Level
from basix_ws_cti.cli.settings import Setting, all_settings

if TYPE_CHECKING:
    from basix_ws_cti.cli.language_choice import LanguageChoice
    from basix_ws_cti.cli.profile_options import ActiveProfile

_NO_VALUE = "-"


def describe_config(
    profile: ActiveProfile,
    values: Mapping[str, Any],
    language: LanguageChoice,
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Yield the lines of the report, safe to print.

    ``values`` has the value of each option by the name of its parameter, ``profile.levels`` its
    level. The token is not in the report.
    """
    config = profile.config
    yield fit_text(
        _("Profiles: {names}").format(names=", ".join(sorted(config.profiles)) or _NO_VALUE)
    )
    yield ""
    file = (
        str(config.path) if config.exists else _("{file} (does not exist)").format(file=config.path)
    )
    rows = [
        ("config", file, _source("config", "BASIX_CONFIG", profile)),
        ("profile", profile.name or _NO_VALUE, _source("profile", "BASIX_PROFILE", profile)),
    ]
    for setting in all_settings().values():
        if setting.name == "token_file":
            rows.append(_token_row(setting, values, profile, environment))
        elif setting.name == "lang":
            rows.append(_language_row(setting, language, profile))
        else:
            rows.append(_row(setting, values[setting.name], profile))
    key_width = max(_width(key) for key, _value, _origin in rows)
    value_width = max(_width(value) for _key, value, _origin in rows)
    for key, value, source in rows:
        yield "  ".join((fit_text(key, key_width), fit_text(value, value_width), fit_text(source)))


def _row(setting: Setting, value: Any, profile: ActiveProfile) -> tuple[str, str, str]:
    """Return key, value and source of a setting."""
    variable = setting.variables[0] if setting.variables else ""
    return setting.key, _value_text(setting, value), _source(setting.name, variable, profile)


def _token_row(
    setting: Setting,
    values: Mapping[str, Any],
    profile: ActiveProfile,
    environment: Mapping[str, str],
) -> tuple[str, str, str]:
    """Return the row of the token, in the order of precedence that the token has."""
    if profile.levels[setting.name] is not Level.DEFAULT:
        return _row(setting, values[setting.name], profile)
    if environment.get("BASIX_TOKEN"):
        return "token", _("(not shown)"), _variable_source("BASIX_TOKEN")
    if file := environment.get("BASIX_TOKEN_FILE"):
        return setting.key, _value_text(setting, Path(file)), _variable_source("BASIX_TOKEN_FILE")
    return "token", _("(prompt)"), _("default")


def _language_row(
    setting: Setting, choice: LanguageChoice, profile: ActiveProfile
) -> tuple[str, str, str]:
    if choice.variable is not None:
        source = _variable_source(choice.variable)
    else:
        source = _level_text(choice.level, setting.name, "", profile)
    return setting.key, choice.language, source


def _value_text(setting: Setting, value: Any) -> str:
    if value is None:
        return _NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if setting.is_created:
        return str(value)
    if isinstance(value, Path) and not value.is_file():
        # The name is not shown: a token may have been given in place of its file.
        return _("(no such file)")
    if find_credential_mark(setting.name, value) is not None:
        return _("(not shown: it may contain a token)")
    return str(value)


def _source(name: str, variable: str, profile: ActiveProfile) -> str:
    """Return the source of an option's value; ``variable`` is the option's variable."""
    return _level_text(profile.levels[name], name, variable, profile)


def _level_text(level: Level, name: str, variable: str, profile: ActiveProfile) -> str:
    match level:
        case Level.ARGUMENT:
            return _("option --{option}").format(option=name.replace("_", "-"))
        case Level.ENVIRONMENT:
            return _variable_source(variable)
        case Level.PROFILE:
            return _("profile {name} in {file}").format(name=profile.name, file=profile.config.path)
        case Level.GENERAL:
            return str(profile.config.path)
    return _("default")


def _variable_source(name: str) -> str:
    return _("environment variable {name}").format(name=name)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(fit_text(text))
