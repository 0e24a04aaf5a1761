"""Settings that a config file may hold: each connection option, some others, and general ones.

The connection settings are derived from the options of the commands, so that an option cannot be
missing here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args, get_type_hints

import attrs
from attrs import frozen
from typer.models import OptionInfo

from basix_ws_cti._internal.translation import LANGUAGES

from .options import ConnectionOptions, CountryCodeOption, TimezoneOption
from .precedence import TOKEN_VARIABLES
from .webhook_options import SecretFileOption, SpoolOption


@frozen(kw_only=True)
class Setting:
    """One key of a config file, and the option whose value it provides.

    - ``name``: name of the parameter, such as ``app_name``.
    - ``key``: key in the file, which is the long option without ``--``, such as ``app-name``.
    - ``type``: ``str``, ``bool``, ``int``, ``float`` or ``Path``.
    - ``variables``: environment variables that override the file, the strongest first.
    - ``minimum`` and ``maximum``: limits of a number; ``None`` without limit.
    - ``choices``: values allowed; empty if any is.
    - ``is_general``: True if the key may also stand outside the profiles.
    - ``is_created``: True for a file that need not exist: it is created if missing.
    """

    name: str
    key: str
    type: type
    variables: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    is_general: bool = False
    is_created: bool = False


@functools.cache
def all_settings() -> Mapping[str, Setting]:
    """Return every setting by its key; the same object each time."""
    found = [
        *_option_settings(ConnectionOptions),
        _setting_of_option("timezone", TimezoneOption, is_general=True),
        _setting_of_option("country_code", CountryCodeOption, is_general=True),
        _setting_of_option("spool", SpoolOption, is_created=True),
        _setting_of_option("secret_file", SecretFileOption),
        Setting(name="lang", key="lang", type=str, choices=LANGUAGES, is_general=True),
    ]
    return {setting.key: setting for setting in found}


def _option_settings(group: type) -> Iterator[Setting]:
    """Yield the settings for a group of options; hidden options have none."""
    hints = get_type_hints(group, include_extras=True)
    for attribute in attrs.fields(group):
        hint = hints[attribute.name]
        if not _option_info(hint).hidden:
            yield _setting_of_option(attribute.name, hint)


def _setting_of_option(
    name: str, hint: Any, *, is_general: bool = False, is_created: bool = False
) -> Setting:
    """Return the setting for an option that is declared as ``Annotated[type, typer.Option()]``."""
    option = _option_info(hint)
    (value_type,) = {*(get_args(get_args(hint)[0]) or get_args(hint)[:1])} - {NoneType}
    variables = (option.envvar,) if isinstance(option.envvar, str) else tuple(option.envvar or ())
    return Setting(
        name=name,
        key=name.replace("_", "-"),
        type=value_type,
        variables=TOKEN_VARIABLES if name == "token_file" else variables,
        minimum=option.min,
        maximum=option.max,
        is_general=is_general,
        is_created=is_created,
    )


def _option_info(hint: Any) -> OptionInfo:
    (option,) = (part for part in get_args(hint)[1:] if isinstance(part, OptionInfo))
    return option
