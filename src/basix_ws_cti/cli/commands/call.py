"""Command ``call``: click-to-call through the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from basix_ws_cti._internal.stream_defaults import DEFAULT_NAME
from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import MAX_ID_DIGITS, ServerOptions, followed_stream_option
from basix_ws_cti.cli.output import write_json
from basix_ws_cti.cli.suggestions import unknown_name
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.fanout.follower import Follower

# Prefixes of an argument that names a user or group, and the parameters that they stand for. An
# argument without prefix is an extension.
_PREFIXES = ("label", "did", "email")


def start_call(
    name: Annotated[
        str,
        typer.Argument(
            metavar="USER",
            help=_(
                "User who is called first: an extension, user:ID, user:NAME, label:LABEL, "
                "did:NUMBER or email:ADDRESS; with --group a group: an extension, group:ID, "
                "group:NAME, label:LABEL or did:NUMBER."
            ),
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help=_("Number or extension that the PBX calls once the user has answered."),
        ),
    ],
    server: ServerOptions,
    *,
    group: Annotated[
        bool, typer.Option("--group", help=_("Call the members of a group first."))
    ] = False,
    answer_timeout: Annotated[
        int | None,
        typer.Option(
            "--answer-timeout",
            metavar="SECONDS",
            help=_(
                "Time for which the phones of the user or group ring, in seconds; default: "
                "that of the PBX."
            ),
            min=1,
            max=3600,
        ),
    ] = None,
    auto_answer: Annotated[
        bool,
        typer.Option("--auto-answer", help=_("Ask the user's phone to answer by itself.")),
    ] = False,
    calling_name: Annotated[
        str | None,
        typer.Option(
            "--calling-name", metavar="NAME", help=_("Name that the ringing phones show, in ASCII.")
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            help=_("Redis server whose publisher places the call, instead of a PBX."),
            rich_help_panel=panels.CONNECTION,
        ),
    ] = None,
    redis_stream: Annotated[str, followed_stream_option(panels.CONNECTION)] = DEFAULT_NAME,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help=_("Maximum time to wait for the PBX's response, in seconds."),
            min=0.1,
            max=3600,
        ),
    ] = 10,
    json_output: Annotated[
        bool, typer.Option("--json", help=_("Print one JSON object instead of lines."))
    ] = False,
) -> None:
    """Call a user, and then connect them to a destination (click-to-call).

    Prints the UUID of each channel that rings.
    """
    from basix_ws_cti import HttpApi
    from basix_ws_cti.cli.signals import run_interruptible

    if group and auto_answer:
        raise UsageError("--auto-answer is not possible with --group")
    arguments: dict[str, Any] = {
        **_parse_name(name, "group" if group else "user"),
        "answer_timeout": answer_timeout,
        "calling_name": calling_name,
    }
    if auto_answer:
        arguments["auto_answer"] = True

    async def run() -> None:
        if redis is not None:
            async with _follower(redis, redis_stream, server) as follower:
                remote = follower.api.call_group if group else follower.api.call_user
                uuids = await remote(destination, timeout=timeout, **arguments)
        else:
            async with HttpApi(**server.api_arguments(), timeout=timeout) as api:
                start = api.call_group if group else api.call_user
                uuids = await start(destination, **arguments)
        if json_output:
            write_json({"uuids": list(uuids)})
        else:
            for uuid in uuids:
                typer.echo(uuid)

    run_interruptible(run())


def _follower(url: str, stream: str, server: ServerOptions) -> Follower:
    """Return a follower of the stream whose publisher starts the call."""
    from basix_ws_cti.cli.package_errors import missing_package
    from basix_ws_cti.cli.redis_options import redis_url

    try:
        from basix_ws_cti.fanout.follower import Follower
    except ModuleNotFoundError as error:
        raise missing_package(error, "fanout") from None
    return Follower(redis_url(url), stream=stream, ca_file=server.ca_file)


def _parse_name(text: str, kind: str) -> dict[str, str | int]:
    """Return the keyword argument of ``call_user`` or ``call_group`` that names a user or group."""
    prefix, colon, value = text.partition(":")
    if not text or (colon and not value):
        raise UsageError(f"no {kind}: pass an extension, {kind}:ID or {kind}:NAME")
    if not colon:
        return {f"{kind}_extension": text}
    if prefix == kind:
        is_id = value.isascii() and value.isdecimal() and len(value) < MAX_ID_DIGITS
        return {f"{kind}_id": int(value)} if is_id else {f"{kind}_name": value}
    known = [name for name in _PREFIXES if (kind, name) != ("group", "email")]
    if prefix in known:
        return {f"{kind}_{prefix}": value}
    advice = f"pass an extension, {kind}:ID or {kind}:NAME"
    raise unknown_name("prefix", prefix, [kind, *known], advice)
