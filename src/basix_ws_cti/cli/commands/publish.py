"""Command ``publish``: publishes the feed to a Redis stream, for readers on many machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from basix_ws_cti._internal.stream_defaults import DEFAULT_MAX_ENTRIES, DEFAULT_NAME, MIN_ENTRIES
from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.options import DEFAULT_COUNTRY_CODE, ConnectionOptions, CountryCodeOption
from basix_ws_cti.cli.redis_options import RedisCaFileOption, RedisStreamOption, redis_url
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.fanout.command_executor import MakeApi
    from basix_ws_cti.fanout.publisher import PublisherStatus


def publish_feed(
    redis: Annotated[
        str,
        typer.Argument(
            metavar="REDIS",
            envvar="BASIX_REDIS",
            help=_(
                "URL of the Redis server: rediss://USER@HOST:PORT; the password is in "
                "BASIX_REDIS_PASSWORD."
            ),
        ),
    ],
    connection: ConnectionOptions,
    *,
    redis_stream: RedisStreamOption = DEFAULT_NAME,
    max_entries: Annotated[
        int,
        typer.Option(
            "--max-entries",
            metavar="N",
            help=_("Number of entries that the stream keeps, approximately."),
            min=MIN_ENTRIES,
        ),
    ] = DEFAULT_MAX_ENTRIES,
    anonymise: Annotated[
        Path | None,
        typer.Option(
            "--anonymise",
            metavar="KEY_FILE",
            help=_(
                "Publish pseudonyms instead of names, numbers and addresses, made with the key in "
                "this file. All publishers of a stream need the same key."
            ),
        ),
    ] = None,
    country_code: CountryCodeOption = DEFAULT_COUNTRY_CODE,
    allow_commands: Annotated[
        bool,
        typer.Option(
            "--allow-commands",
            help=_(
                "Execute the commands of readers: each program that may write to Redis can then "
                "control calls."
            ),
        ),
    ] = False,
    redis_ca_file: RedisCaFileOption = None,
) -> None:
    """Publish the feed to a Redis stream, until Ctrl-C."""
    from basix_ws_cti.cli.open_source import selected_pbx_arguments
    from basix_ws_cti.cli.package_errors import missing_package
    from basix_ws_cti.cli.signals import run_interruptible

    try:
        from basix_ws_cti.fanout.publisher import Publisher
    except ModuleNotFoundError as error:
        raise missing_package(error, "fanout") from None

    if connection.force:
        raise UsageError(
            _("--force does not work with publish: a standby would disconnect the leader")
        )
    if allow_commands and anonymise is not None:
        raise UsageError(
            _("--allow-commands does not work with --anonymise: readers would call wrong numbers")
        )
    url = redis_url(redis)
    options = {} if anonymise is None else _anonymising_options(anonymise, country_code)

    async def publish() -> None:
        async with selected_pbx_arguments(connection) as arguments:
            publisher = Publisher(
                url,
                lambda: _make_client({**arguments, **options}),
                stream=redis_stream,
                max_entries=max_entries,
                on_status=print_status,
                with_error_texts=anonymise is None,
                ca_file=redis_ca_file,
                allow_commands=allow_commands,
                make_api=_api_factory(connection) if allow_commands else None,
            )
            await publisher.run()

    run_interruptible(publish())


def _api_factory(connection: ConnectionOptions) -> MakeApi | None:
    """Return the function that opens the HTTP API; ``None``: a simulated PBX has none."""
    if connection.simulate:
        return None
    from functools import partial

    from basix_ws_cti import HttpApi

    return partial(HttpApi, **connection.api_arguments())


def _anonymising_options(file: Path, country_code: str) -> dict[str, Any]:
    """Return the options of a client whose feed has pseudonyms. Raises ``UsageError``."""
    from basix_ws_cti.cli.files import file_access
    from basix_ws_cti.fanout.anonymising import MIN_KEY_BYTES, AnonymisingConnector

    with file_access("read", file):
        secret = file.read_bytes().strip()
    if len(secret) < MIN_KEY_BYTES:
        raise UsageError(
            _(
                "the key in {file} has fewer than {count} bytes: create one with "
                "`openssl rand -base64 32`"
            ).format(file=file, count=MIN_KEY_BYTES)
        )
    connector = AnonymisingConnector(secret, country_code=country_code)
    return {"connector": connector, "country_code": country_code}


def _make_client(arguments: dict[str, Any]) -> Any:
    from basix_ws_cti import Backoff, Client, ConnectionLimitReached

    # The PBX counts the connection of a killed publisher for some time: that passes.
    return Client(
        **arguments,
        backoff=Backoff(maximum=15),
        classify=lambda error, is_final: is_final and not isinstance(error, ConnectionLimitReached),
    )


def print_status(status: PublisherStatus) -> None:
    """Print one line about role and health of the publisher on stderr."""
    from basix_ws_cti.cli.output import report

    report(describe_status(status))


def describe_status(status: PublisherStatus) -> str:
    """Return role and health of a publisher as text."""
    from basix_ws_cti.board.feed_history import describe_disconnection, describe_error
    from basix_ws_cti.board.labels import join_phrases
    from basix_ws_cti.cli.exit_codes import error_message
    from basix_ws_cti.exceptions import ConnectionLimitReached
    from basix_ws_cti.session.status import Disconnected

    if status.problem is not None and status.role == "cold":
        return error_message(status.problem)
    phrases = [_describe_role(status)]
    if isinstance(status.feed, Disconnected):
        reason = (
            _("the PBX allows no further connection at the moment")
            if isinstance(status.feed.reason, ConnectionLimitReached)
            else describe_error(status.feed.reason, error_message)
        )
        phrases.append(describe_disconnection(reason, status.feed.retry_in))
    if status.problem is not None:
        phrases.append(error_message(status.problem))
    return join_phrases(phrases)


def _describe_role(status: PublisherStatus) -> str:
    from basix_ws_cti.session.status import Synced

    if status.role == "leader":
        return _("leader: publishing the feed")
    if status.role == "cold":
        return _("cold standby: two publishers are connected to the PBX already")
    if isinstance(status.feed, Synced):
        return _("standby: ready to take over")
    return _("standby: not synchronised with the PBX")
