"""Commands ``config show`` and ``config path``: the config file, and the values in use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import attrs
import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.options import (
    DEFAULT_COUNTRY_CODE,
    ConnectionOptions,
    CountryCodeOption,
    TimezoneOption,
)
from basix_ws_cti.cli.webhook_options import DEFAULT_SPOOL, SecretFileOption, SpoolOption


def show_config(
    context: typer.Context,
    connection: ConnectionOptions,
    *,
    timezone: TimezoneOption = None,
    country_code: CountryCodeOption = DEFAULT_COUNTRY_CODE,
    spool: SpoolOption = DEFAULT_SPOOL,
    secret_file: SecretFileOption = None,
) -> None:
    """Print the value of each option that a profile can hold, and where it comes from.

    The values are those that a command with the same options would use. The token is not printed.
    """
    from basix_ws_cti.cli.profile_options import active_profile
    from basix_ws_cti.cli.render.config_report import describe_config

    values = {
        **attrs.asdict(connection, recurse=False),
        "timezone": timezone,
        "country_code": country_code,
        "spool": spool,
        "secret_file": secret_file,
    }
    for line in describe_config(active_profile(context), values, context.obj, os.environ):
        typer.echo(line)


def print_config_path(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help=_("Config file to use."), envvar="BASIX_CONFIG", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Print the path of the config file, which need not exist."""
    from basix_ws_cti.cli.config_location import config_path

    typer.echo(config or config_path())
