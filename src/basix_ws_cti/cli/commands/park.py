"""Command ``park``: parks a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _
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


def park_channel(
    uuid: ChannelArgument,
    connection: FeedSourceOptions,
    options: CommandOptions,
    *,
    park_timeout: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            help=_("Maximum time on the park slot, in seconds; default: the PBX's setting."),
            min=1,
            max=86400,
        ),
    ] = None,
) -> None:
    """Park a call on a slot chosen by the PBX and wait until it is there."""
    from basix_ws_cti.client import commands
    from basix_ws_cti.states import Park

    async def send(client: CommandedFeed, leg: Channel) -> str:
        await client.park(
            str(leg.uuid), park_timeout, confirm=options.confirm, confirm_timeout=options.timeout
        )
        if not options.confirm:
            return f"sent: park of {describe_channel(leg)}"
        # For a user's leg, the PBX parks the other leg of the call.
        mirror = client.mirror
        for parked in (mirror.channels.get(str(leg.uuid)), mirror.other_leg(leg)):
            if parked is not None and isinstance(parked.state, Park):
                return f"parked on {parked.state.slot}: {describe_channel(parked)}"
        return f"parked, and retrieved since: {describe_channel(leg)}"

    run_channel_command(
        connection, options, uuid, lambda leg, _: commands.park(str(leg.uuid), park_timeout), send
    )
