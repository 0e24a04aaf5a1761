"""``park``: put a call on a park slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti.cli.call_command import Call, Sending, command, described
from basix_ws_cti.cli.options import ConnectionOptions

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Client


def park(
    uuid: Call,
    connection: ConnectionOptions,
    sending: Sending,
    *,
    park_timeout: Annotated[
        int | None,
        typer.Option(help="seconds on the slot; else as long as the PBX likes", min=1, max=86400),
    ] = None,
) -> None:
    """Put a call on a park slot that the PBX chooses, and wait until it is there."""
    from basix_ws_cti.client import commands
    from basix_ws_cti.states import Park

    async def carry_out(client: Client, leg: Channel) -> str:
        await client.park(
            str(leg.uuid), park_timeout, confirm=sending.confirm, confirm_timeout=sending.timeout
        )
        if not sending.confirm:
            return f"sent: park of {described(leg)}"
        # The channel itself, or of a user's own leg whom it talked to.
        mirror = client.mirror
        for parked in (mirror.channels.get(str(leg.uuid)), mirror.other_leg(leg)):
            if parked is not None and isinstance(parked.state, Park):
                return f"parked on {parked.state.slot}: {described(parked)}"
        return f"parked, and fetched since: {described(leg)}"

    command(
        connection, sending, uuid, lambda leg: commands.park(str(leg.uuid), park_timeout), carry_out
    )
