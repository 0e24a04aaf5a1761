"""The config file: its place, and its contents in the form of checked values.

A config file is TOML. ``profile`` names the default profile, ``[profiles.NAME]`` holds the settings
of a profile, and general settings such as ``timezone`` may also stand above the profiles. It
contains no secret: a token in it is refused, and no error quotes a value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import Factory, frozen

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.exceptions import UsageError, printable

from .config_location import config_path
from .files import file_error_reason
from .suggestions import did_you_mean, quoted

if TYPE_CHECKING:
    from .settings import Setting

Values = dict[str, Any]
"""Values of settings by the name of the parameter that they are for."""

# A device such as /dev/zero, or another file passed by mistake, is not read to its end.
_MAX_BYTES = 1_000_000

# Names under which somebody might store a token, without hyphens and underscores.
_TOKEN_NAMES = frozenset({"token", "apitoken", "basixtoken", "secret", "password"})

# Characters by which a value may hold a token that was pasted with it: user:token@server,
# server?token=…, and domain:token. Neither a server nor a domain may contain them.
_CREDENTIAL_MARKS = {"server": "@?", "domain": ":"}

_EXPECTED = {
    str: N_("a string"),
    Path: N_("a string"),
    bool: N_("true or false"),
    int: N_("an integer"),
    float: N_("a number"),
}
_TOML_TYPES = {
    str: N_("a string"),
    bool: N_("true or false"),
    int: N_("an integer"),
    float: N_("a float"),
    list: N_("an array"),
    dict: N_("a table"),
}


@frozen(kw_only=True)
class ConfigFile:
    """Contents of a config file.

    - ``path``: the file.
    - ``exists``: False for the default file if there is none.
    - ``default_profile``: profile to use if none is selected; ``None`` if the file names none.
    - ``general``: values outside the profiles.
    - ``profiles``: values of each profile, by its name.
    """

    path: Path
    exists: bool = True
    default_profile: str | None = None
    general: Values = Factory(dict)
    profiles: dict[str, Values] = Factory(dict)


def read_config_file(file: Path | None, settings: Mapping[str, Setting]) -> ConfigFile:
    """Read and check a config file; ``None`` is the default file, which may be absent.

    Raises ``UsageError`` if it cannot be read or is not valid.
    """
    path = file or config_path()
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        if file is None and isinstance(error, FileNotFoundError):
            return ConfigFile(path=path, exists=False)
        reason = file_error_reason(error)
        message = _("cannot read the config file {file}: {reason}")
        raise UsageError(message.format(file=path, reason=reason)) from None
    if len(content) > _MAX_BYTES:
        message = _("{file}: larger than {size} bytes: this is no config file")
        raise UsageError(message.format(file=path, size=_MAX_BYTES))
    try:
        text = content.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError:
        message = _("{file}: not UTF-8: save the config file in this encoding")
        raise UsageError(message.format(file=path)) from None
    return parse_config(text, path, settings)


def parse_config(text: str, path: Path, settings: Mapping[str, Setting]) -> ConfigFile:
    """Return the contents of a config file; relative paths in it start at its folder.

    Raises ``UsageError`` for text that is not TOML, an unknown key, a value of a wrong type, and
    a token. The error names the file and the key or position, and quotes no value.
    """
    document = _parse_toml(text, path)
    profiles = document.pop("profiles", {})
    default_profile = document.pop("profile", None)
    if isinstance(default_profile, dict):
        message = _("{file}: unknown table [profile]; did you mean [profiles.NAME]?")
        raise UsageError(message.format(file=path))
    if default_profile is not None and not isinstance(default_profile, str):
        raise _wrong_type(path, "profile", N_("a string"), default_profile)
    general = {key: setting for key, setting in settings.items() if setting.is_general}
    for key, value in document.items():
        _reject_token(path, key)
        if key in settings and key not in general:
            raise UsageError(
                _("{file}: {key!r} belongs in a profile: write it below [profiles.NAME]").format(
                    file=path, key=key
                )
            )
        if isinstance(value, dict):
            name = printable(key, 60)
            message = _("{file}: unknown table [{name}]: a profile is [profiles.{name}]")
            raise UsageError(message.format(file=path, name=name))
    if not isinstance(profiles, dict):
        raise _wrong_type(path, "profiles", N_("tables such as [profiles.office]"), profiles)
    for name, table in profiles.items():
        _reject_token(path, name)
        if not isinstance(table, dict):
            raise _wrong_type(path, f"profiles.{name}", N_("a table"), table)
    config = ConfigFile(
        path=path,
        default_profile=default_profile,
        general=_check_table(path, "", document, general, ("profile", "profiles")),
        profiles={
            name: _check_table(path, f"profiles.{name}.", table, settings)
            for name, table in profiles.items()
        },
    )
    select_profile(config, None)
    return config


def select_profile(config: ConfigFile, name: str | None) -> str | None:
    """Return the name of the selected profile, or of the default profile for ``None``.

    The empty name selects no profile. Returns ``None`` if no profile is to be used. Raises
    ``UsageError`` if there is no profile of this name.
    """
    wanted = config.default_profile if name is None else name
    if not wanted:
        return None
    if wanted in config.profiles:
        return wanted
    fields = {"file": config.path, "name": quoted(wanted)}
    if not config.exists:
        message = _("unknown profile {name}: there is no config file {file}")
        raise UsageError(message.format(**fields))
    otherwise = _("{file} has no profiles").format(file=config.path)
    hint = suggestion(wanted, config.profiles, otherwise)
    raise UsageError(_("{file}: unknown profile {name}; {hint}").format(hint=hint, **fields))


def suggestion(name: str, known: Mapping[str, object] | tuple[str, ...], otherwise: str) -> str:
    """Return advice for an unknown name: the most similar known one, else all of them.

    ``otherwise`` is the advice if none is known.
    """
    question = did_you_mean(name.replace("_", "-"), known)
    if question is not None:
        return question
    if not known:
        return otherwise
    return _("known: {known}").format(known=printable(", ".join(known), 400))


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _separator, position = str(error).rpartition(" (at ")
        found = re.search(r"line (\d+), column (\d+)", position)
        if found:
            line, column = found.groups()
        else:  # the end of the document
            lines = text.split("\n")
            line, column = str(len(lines)), str(len(lines[-1]) + 1)
        reason = printable(reason[:1].lower() + reason[1:], 200)
        message = _("{file}, line {line}, column {column}: {reason}")
        raise UsageError(
            message.format(file=path, line=line, column=column, reason=reason)
        ) from None
    except RecursionError:
        raise UsageError(_("{file}: too deeply nested").format(file=path)) from None


def _check_table(
    path: Path,
    prefix: str,
    table: Mapping[str, Any],
    settings: Mapping[str, Setting],
    other_keys: tuple[str, ...] = (),
) -> Values:
    """Return the values of a table by the name of their parameter.

    ``prefix`` precedes a key in errors; ``other_keys`` are further keys to suggest.
    """
    values = {}
    for key, value in table.items():
        _reject_token(path, key)
        setting = settings.get(key)
        if setting is None:
            hint = suggestion(key, (*settings, *other_keys), otherwise="")
            message = _("{file}: unknown key {key}; {hint}")
            shown = printable(repr(prefix + key), 120)
            raise UsageError(message.format(file=path, key=shown, hint=hint))
        values[setting.name] = _check_value(path, prefix + key, value, setting)
    return values


def _check_value(path: Path, key: str, value: Any, setting: Setting) -> Any:
    expected = setting.type
    is_valid = (
        isinstance(value, int | float) and not isinstance(value, bool)
        if expected is float
        else type(value) is (str if expected is Path else expected)
    )
    if not is_valid:
        raise _wrong_type(path, key, _EXPECTED[expected], value)
    if setting.choices and value not in setting.choices:
        hint = suggestion(value, setting.choices, otherwise="")
        message = _("{file}: {key}: unknown value; {hint}")
        raise UsageError(message.format(file=path, key=printable(key, 120), hint=hint))
    mark = find_credential_mark(setting.name, value)
    if mark is not None:
        message = _(
            "{file}: {key}: {mark!r} is not allowed, because a token could be next to it: name "
            "the file with the token in token-file"
        )
        raise UsageError(message.format(file=path, key=printable(key, 120), mark=mark))
    if expected is Path:
        return str(path.parent / os.path.expanduser(value))  # noqa: PTH111 - never fails
    low, high = setting.minimum, setting.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        message = _("{file}: {key}: expected a number from {low} to {high}")
        raise UsageError(message.format(file=path, key=key, low=low, high=high))
    return value


def find_credential_mark(name: str, value: Any) -> str | None:
    """Return a character of a setting's value that may be next to a token; ``None``: none."""
    return next((mark for mark in _CREDENTIAL_MARKS.get(name, "") if mark in value), None)


def _wrong_type(path: Path, key: str, expected: str, value: Any) -> UsageError:
    found = _TOML_TYPES.get(type(value), N_("a date or time"))
    return UsageError(
        _("{file}: {key}: expected {expected}, got {found}").format(
            file=path, key=printable(key, 120), expected=_(expected), found=_(found)
        )
    )


def _reject_token(path: Path, key: str) -> None:
    """Reject a key that is meant for a token, whatever its value is."""
    if re.sub("[-_]", "", key).casefold() in _TOKEN_NAMES:
        raise UsageError(
            _(
                "{file}: {key!r}: a token must not be in the config file: store it in a file "
                "that only you can read, and name that file with token-file"
            ).format(file=path, key=key)
        )
