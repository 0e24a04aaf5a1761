"""Command ``transfer``: transfers a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from basix_ws_cti.cli.channel_commands import (
    ChannelArgument,
    CommandOptions,
    describe_channel,
    run_channel_command,
)
from basix_ws_cti.cli.options import MAX_ID_DIGITS, ConnectionOptions
from basix_ws_cti.exceptions import BasixError, UsageError, printable

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client, Mirror
    from basix_ws_cti.client.commands import Command
    from basix_ws_cti.mirror.changes import Change


class ChannelEndedError(BasixError):
    """The channel ended before the effect of the transfer was visible."""


class NoExtensionError(BasixError):
    """No user matches the destination, or the user has no extension; nothing was sent."""


def transfer_channel(
    uuid: ChannelArgument,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help="Telephone number, extension, user:ID or user:NAME; for a user, the call goes to "
            "the user's extension.",
        ),
    ],
    connection: ConnectionOptions,
    options: CommandOptions,
) -> None:
    """Transfer a channel (blind transfer) and wait until it has left its state.

    Pass the channel of the caller, not that of the extension that talks to the caller.
    """
    from basix_ws_cti.client import commands

    if destination in {"", "user:"}:
        raise UsageError(
            "no transfer destination: pass a number, an extension, user:ID or user:NAME as "
            "DESTINATION"
        )

    def build(leg: Channel, mirror: Mirror) -> Command:
        return commands.transfer(str(leg.uuid), find_destination(mirror, destination))

    async def send(client: Client, leg: Channel) -> str:
        number = find_destination(client.mirror, destination)
        if not options.confirm:
            await client.transfer(str(leg.uuid), number)
            return f"sent: transfer of {describe_channel(leg)}"
        transferred = await _transfer_and_wait(client, leg, number, options.timeout)
        return f"transferred: {describe_channel(transferred)}"

    run_channel_command(connection, options, uuid, build, send)


def find_destination(mirror: Mirror, destination: str) -> str:
    """Return the number or extension for a destination; look up ``user:ID`` and ``user:NAME``.

    A user's id counts before their name. Raises ``NoExtensionError`` if no user matches or the user
    has no extension, and ``UsageError`` with a list if several users have the name.
    """
    if not destination.startswith("user:"):
        return destination
    wanted = destination.removeprefix("user:")
    is_id = wanted.isascii() and wanted.isdecimal() and len(wanted) < MAX_ID_DIGITS
    by_id = mirror.users.get(int(wanted)) if is_id else None
    found = [user for user in mirror.users.values() if user.name == wanted]
    if by_id is not None:
        found = [by_id]
    if not found:
        raise NoExtensionError(
            f"no user has the id or name {printable(wanted, 60)}; nothing was sent"
        )
    if len(found) > 1:
        lines = [f"user:{user.id} (extension {user.main_extension or '?'})" for user in found]
        candidates = "".join(f"\n  {printable(line)}" for line in lines)
        raise UsageError(
            f"several users have the name {printable(wanted, 60)}; nothing was sent:{candidates}"
        )
    extension = found[0].main_extension
    if not extension:
        raise NoExtensionError(
            f"the user {printable(wanted, 60)} has no extension; nothing was sent"
        )
    return str(extension)


async def _transfer_and_wait(
    client: Client, leg: Channel, destination: str, timeout_s: float
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
            await client.transfer(str(leg.uuid), destination)
            async for change in changes:
                if isinstance(change, Removed):
                    raise ChannelEndedError(f"the channel has ended: {describe_channel(leg)}")
                if isinstance(change, Added | Changed):
                    return cast("Channel", change.element)
    except TimeoutError:
        if not timeout.expired():
            raise
    raise CommandTimeout("transfer", timeout_s)
