"""``hangup``: end a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from basix_ws_cti.cli.call_command import Call, Sending, command, described
from basix_ws_cti.cli.options import ConnectionOptions

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client


def hangup(uuid: Call, connection: ConnectionOptions, sending: Sending) -> None:
    """End a channel, and wait until it is gone."""
    from basix_ws_cti.client import commands

    async def carry_out(client: Client, leg: Channel) -> str:
        await client.hangup(str(leg.uuid), confirm=sending.confirm, confirm_timeout=sending.timeout)
        return f"{'hung up' if sending.confirm else 'sent: hangup of'} {described(leg)}"

    command(connection, sending, uuid, lambda leg: commands.hangup(str(leg.uuid)), carry_out)
