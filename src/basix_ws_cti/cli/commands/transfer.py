"""``transfer``: send a channel on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from basix_ws_cti.cli.call_command import Call, Sending, command, described
from basix_ws_cti.cli.options import ConnectionOptions
from basix_ws_cti.exceptions import BasixError, UsageError

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client
    from basix_ws_cti.mirror.changes import Change


class EndedError(BasixError):
    """The channel that was to be sent on has ended."""


def transfer(
    uuid: Call,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="a number or extension, user:ID or user:NAME"),
    ],
    connection: ConnectionOptions,
    sending: Sending,
) -> None:
    """Send a channel on to somebody else, and wait until it is on its way.

    It is the caller's channel that is named, not that of the telephone that talks to it.
    """
    from basix_ws_cti.client import commands

    to = _read(target)

    async def carry_out(client: Client, leg: Channel) -> str:
        if not sending.confirm:
            await client.transfer(str(leg.uuid), **to)
            return f"sent: transfer of {described(leg)}"
        return f"sent on: {described(await _sent_on(client, leg, to, sending.timeout))}"

    command(
        connection, sending, uuid, lambda leg: commands.transfer(str(leg.uuid), **to), carry_out
    )


def _read(target: str) -> dict[str, Any]:
    """The arguments of a transfer."""
    if target in {"", "user:"}:
        raise UsageError("say where to: TARGET is a number or extension, user:ID or user:NAME")
    if not target.startswith("user:"):
        return {"destination": target}
    user = target.removeprefix("user:")
    if user.isascii() and user.isdecimal() and len(user) < 20:
        return {"user_id": int(user)}
    return {"user_name": user}


async def _sent_on(client: Client, leg: Channel, to: dict[str, Any], seconds: float) -> Channel:
    """Transfer, and the channel as it is once it has left the state that it was in.

    To be answered is no sign: that may have happened just then.
    """
    import asyncio

    from basix_ws_cti import Added, Changed, CommandTimeout, Removed
    from basix_ws_cti.states import Bridged

    def shows(change: Change) -> bool:
        state = getattr(change.element, "state", None)
        return isinstance(change, Removed) or not (state == leg.state or isinstance(state, Bridged))

    changes = client.changes(kind="channel", key=leg.uuid, where=shows, policy="drop_oldest")
    timed = asyncio.timeout(seconds)
    try:
        async with timed:
            await client.transfer(str(leg.uuid), **to)
            async for change in changes:
                if isinstance(change, Removed):
                    raise EndedError(f"the channel has ended: {described(leg)}")
                if isinstance(change, Added | Changed):
                    return cast("Channel", change.element)
    except TimeoutError:
        if not timed.expired():
            raise
    raise CommandTimeout("transfer", seconds)
