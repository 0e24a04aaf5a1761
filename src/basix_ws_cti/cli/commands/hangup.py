"""Command ``hangup``: ends a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from basix_ws_cti.cli.channel_commands import (
    ChannelArgument,
    CommandOptions,
    describe_channel,
    run_channel_command,
)
from basix_ws_cti.cli.options import FeedSourceOptions

if TYPE_CHECKING:
    from basix_ws_cti import Channel
    from basix_ws_cti.client.commanded_feed import CommandedFeed


def hang_up_channel(
    uuid: ChannelArgument, connection: FeedSourceOptions, options: CommandOptions
) -> None:
    """Hang up a channel and wait until it is gone."""
    from basix_ws_cti.client import commands

    async def send(client: CommandedFeed, leg: Channel) -> str:
        await client.hangup(str(leg.uuid), confirm=options.confirm, confirm_timeout=options.timeout)
        return f"{'hung up' if options.confirm else 'sent: hangup of'} {describe_channel(leg)}"

    run_channel_command(
        connection, options, uuid, lambda leg, _: commands.hangup(str(leg.uuid)), send
    )
