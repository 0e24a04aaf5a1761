"""Command ``transfer``: transfers a channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.channel_commands import (
    ChannelArgument,
    CommandOptions,
    describe_channel,
    run_channel_command,
)
from basix_ws_cti.cli.options import MAX_ID_DIGITS, FeedSourceOptions
from basix_ws_cti.cli.suggestions import suggest
from basix_ws_cti.exceptions import BasixError, UsageError, printable

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Mirror, User
    from basix_ws_cti.client.commanded_feed import CommandedFeed
    from basix_ws_cti.client.commands import Command
    from basix_ws_cti.mirror.changes import Change

_USER = "user:"  # prefix of an id or name of a user


class ChannelEndedError(BasixError):
    """The channel ended before the effect of the transfer was visible."""


class NoSuchUserError(BasixError):
    """No user has the extension, id or name; nothing was sent."""


class NoExtensionError(BasixError):
    """The user to whom to transfer has no extension; nothing was sent."""


def transfer_channel(
    uuid: ChannelArgument,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help=_(
                "Telephone number, extension, user:ID or user:NAME; for a user, the call goes to "
                "the user's extension."
            ),
        ),
    ],
    connection: FeedSourceOptions,
    options: CommandOptions,
    *,
    as_user: Annotated[
        str | None,
        typer.Option(
            "--as-user",
            metavar="USER",
            help=_(
                "User on whose behalf the call is transferred: an extension, user:ID or user:NAME."
            ),
        ),
    ] = None,
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

    if as_user in {"", "user:"}:
        raise UsageError("--as-user: expected an extension, user:ID or user:NAME")

    def arguments(mirror: Mirror) -> dict[str, Any]:
        user = None if as_user is None else find_user(mirror, as_user)
        return {
            "destination": find_destination(mirror, destination),
            "user_id": user and user.id,
            "user_name": user and user.name,
        }

    def build(leg: Channel, mirror: Mirror) -> Command:
        return commands.transfer(str(leg.uuid), **arguments(mirror))

    async def send(client: CommandedFeed, leg: Channel) -> str:
        transfer = partial(client.transfer, str(leg.uuid), **arguments(client.mirror))
        if not options.confirm:
            await transfer()
            return f"sent: transfer of {describe_channel(leg)}"
        transferred = await _transfer_and_wait(client, leg, transfer, options.timeout)
        return f"transferred: {describe_channel(transferred)}"

    run_channel_command(connection, options, uuid, build, send)


def find_destination(mirror: Mirror, destination: str) -> str:
    """Return the number or extension for a destination; look up ``user:ID`` and ``user:NAME``.

    Raises what ``find_user`` raises, and ``NoExtensionError`` if the user has no extension.
    """
    if not destination.startswith(_USER):
        return destination
    extension = find_user(mirror, destination).main_extension
    if not extension:
        wanted = printable(destination.removeprefix(_USER), 60)
        raise NoExtensionError(f"the user {wanted} has no extension; nothing was sent")
    return str(extension)


def find_user(mirror: Mirror, text: str) -> User:
    """Return the user with an extension, ``user:ID`` or ``user:NAME``.

    A user's id counts before their name. Raises ``NoSuchUserError`` if no user matches, and
    ``UsageError`` with a list if several users have the name.
    """
    wanted = text.removeprefix(_USER)
    shown = printable(wanted, 60)
    if text == wanted:
        user = mirror.user_by_extension(text)
        if user is None:
            raise NoSuchUserError(f"no user has the extension {shown}; nothing was sent")
        return user
    is_id = wanted.isascii() and wanted.isdecimal() and len(wanted) < MAX_ID_DIGITS
    by_id = mirror.users.get(int(wanted)) if is_id else None
    if by_id is not None:
        return by_id
    found = [user for user in mirror.users.values() if user.name == wanted]
    if not found:
        similar = suggest(wanted, {user.name for user in mirror.users.values() if user.name})
        hint = f"; did you mean user:{printable(similar, 60)}?" if similar else ""
        raise NoSuchUserError(f"no user has the id or name {shown}; nothing was sent{hint}")
    if len(found) > 1:
        lines = [f"user:{user.id} (extension {user.main_extension or '?'})" for user in found]
        candidates = "".join(f"\n  {printable(line)}" for line in lines)
        raise UsageError(f"several users have the name {shown}; nothing was sent:{candidates}")
    return found[0]


async def _transfer_and_wait(
    client: CommandedFeed, leg: Channel, transfer: Callable[[], Awaitable[None]], timeout_s: float
) -> Channel:
    """Transfer a channel and return it as it is after leaving its present state.

    ``transfer`` sends the command. A change to ``bridged`` does not count: the call may have been
    answered at the same time. Raises ``ChannelEndedError`` or ``CommandTimeout``.
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
            await transfer()
            async for change in changes:
                if isinstance(change, Removed):
                    raise ChannelEndedError(f"the channel has ended: {describe_channel(leg)}")
                if isinstance(change, Added | Changed):
                    return cast("Channel", change.element)
    except TimeoutError:
        if not timeout.expired():
            raise
    raise CommandTimeout("transfer", timeout_s)
