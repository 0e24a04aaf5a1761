"""What ``hangup``, ``park`` and ``transfer`` share: which channel is meant, and the sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import frozen

from basix_ws_cti.exceptions import BasixError, UsageError, printable

from .options import ConnectionOptions
from .output import write_json

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client, Mirror
    from basix_ws_cti.client.commands import Command

# A shorter beginning of a uuid is no name for a call that is to end.
MIN_PREFIX = 4

Call = Annotated[
    str,
    typer.Argument(
        metavar="UUID", help="of the channel; or how it begins, or its number, if one alone fits"
    ),
]


@frozen(kw_only=True)
class Sending:
    """How a command is sent."""

    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="wait until the effect is seen")
    ] = True
    timeout: Annotated[
        float, typer.Option("--timeout", help="seconds to wait for the effect", min=0.1, max=3600)
    ] = 5
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print what would be sent, and send nothing")
    ] = False


class NoSuchChannelError(BasixError):
    """There is no such channel now; nothing was sent."""


def command(
    connection: ConnectionOptions,
    sending: Sending,
    call: str,
    made: Callable[[Channel], Command],
    carry_out: Callable[[Client, Channel], Awaitable[str]],
) -> None:
    """Find the channel, and let ``carry_out`` do something to it; what it returns is printed.

    ``made`` is what that sends, for ``--dry-run``. Nothing is tried twice: what fails before
    the command is sent ends it. After that the client may come back to see the effect.
    """
    from basix_ws_cti.cli.open_source import open_selected_source

    from .signals import run

    async def do() -> None:
        is_sent = False

        def classify(_: Exception, is_final: bool) -> bool:  # noqa: FBT001 - the client's callback
            return is_final or not is_sent

        async with open_selected_source(connection, classify=classify) as source:
            channel = find(await source.synced(), call)
            if sending.dry_run:
                write_json(made(channel).sent)
                return
            is_sent = True
            typer.echo(await carry_out(source.client, channel))

    run(do())


def find(mirror: Mirror, call: str) -> Channel:
    """The channel that is meant.

    By its uuid; else by the beginning of one or a telephone number, if one channel alone fits.
    Raises ``NoSuchChannelError`` for none, and ``UsageError`` that lists several.
    """
    exact = mirror.channels.get(call)
    if exact is not None:
        return exact
    fitting: dict[Any, Channel] = {leg.uuid: leg for leg in mirror.channels_by_number(call)}
    if len(call) >= MIN_PREFIX:
        fitting |= {uuid: leg for uuid, leg in mirror.channels.items() if uuid.startswith(call)}
    if not fitting:
        raise NoSuchChannelError(f"there is no channel {printable(call, 60)}; nothing was sent")
    if len(fitting) > 1:
        every = "".join(f"\n  {described(leg)}" for leg in fitting.values())
        raise UsageError(f"{printable(call, 60)} may be any of these; nothing was sent:{every}")
    return next(iter(fitting.values()))


def described(leg: Channel) -> str:
    """A channel in a line: its uuid, who calls whom, and what it is doing."""
    numbers = f"{leg.calling_number or '?'} -> {leg.called_number or '?'}"
    doing = getattr(leg.state, "name", None) or "?"
    return printable(f"{leg.uuid} ({numbers}, {doing})")
