"""Command ``transfer``: transfers a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from basix_ws_cti.cli.channel_commands import (
    ChannelArgument,
    CommandOptions,
    describe_channel,
    run_channel_command,
)
from basix_ws_cti.cli.options import MAX_ID_DIGITS, ConnectionOptions
from basix_ws_cti.exceptions import BasixError, UsageError

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client
    from basix_ws_cti.mirror.changes import Change


class ChannelEndedError(BasixError):
    """The channel ended before the effect of the transfer was visible."""


def transfer_channel(
    uuid: ChannelArgument,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="Destination: a telephone number, an extension, user:ID or user:NAME.",
        ),
    ],
    connection: ConnectionOptions,
    options: CommandOptions,
) -> None:
    """Transfer a channel (blind transfer) and wait until it has left its state.

    Pass the channel of the caller, not that of the extension that talks to the caller.
    """
    from basix_ws_cti.client import commands

    destination = _parse_target(target)

    async def send(client: Client, leg: Channel) -> str:
        if not options.confirm:
            await client.transfer(str(leg.uuid), **destination)
            return f"sent: transfer of {describe_channel(leg)}"
        transferred = await _transfer_and_wait(client, leg, destination, options.timeout)
        return f"transferred: {describe_channel(transferred)}"

    run_channel_command(
        connection,
        options,
        uuid,
        lambda leg: commands.transfer(str(leg.uuid), **destination),
        send,
    )


def _parse_target(target: str) -> dict[str, Any]:
    """Return the keyword arguments of ``Client.transfer`` for a target."""
    if target in {"", "user:"}:
        raise UsageError(
            "no transfer target: pass a number, an extension, user:ID or user:NAME as TARGET"
        )
    if not target.startswith("user:"):
        return {"destination": target}
    user = target.removeprefix("user:")
    if user.isascii() and user.isdecimal() and len(user) < MAX_ID_DIGITS:
        return {"user_id": int(user)}
    return {"user_name": user}


async def _transfer_and_wait(
    client: Client, leg: Channel, destination: dict[str, Any], timeout_s: float
) -> Channel:
    """Transfer a channel and return it as it is after leaving its present state.

    A change to ``bridged`` does not count: the call may have been answered at the same time.
    Raises ``ChannelEndedError`` or ``CommandTimeout``.
    """
    import asyncio

    from basix_ws_cti import Added, Changed, CommandTimeout, Removed
    from basix_ws_cti.states import Bridged

    def is_effect(change: Change) -> bool:
        state = getattr(change.element, "state", None)
        return isinstance(change, Removed) or not (state == leg.state or isinstance(state, Bridged))

    changes = client.changes(kind="channel", key=leg.uuid, where=is_effect, policy="drop_oldest")
    timeout = asyncio.timeout(timeout_s)
    try:
        async with timeout:
            await client.transfer(str(leg.uuid), **destination)
            async for change in changes:
                if isinstance(change, Removed):
                    raise ChannelEndedError(f"the channel has ended: {describe_channel(leg)}")
                if isinstance(change, Added | Changed):
                    return cast("Channel", change.element)
    except TimeoutError:
        if not timeout.expired():
            raise
    raise CommandTimeout("transfer", timeout_s)
