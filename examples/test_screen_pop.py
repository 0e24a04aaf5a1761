"""Test of a CRM screen pop against the simulated PBX of the ``basix_pbx`` fixture.

Install ``pytest`` and ``pytest-asyncio``, and run it with ``pytest examples/test_screen_pop.py``.
``pop_up`` is the integration under test: it shows the caller when a phone starts to ring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from basix_ws_cti import Channel, InfoEvent, OtherInfo, connect
from basix_ws_cti.states import Ringing

if TYPE_CHECKING:
    from basix_ws_cti import Connection
    from basix_ws_cti.simulator import Simulator


async def pop_up(cti: Connection, user_id: int) -> str:
    """Wait until a phone of the user rings; return the caller's name and number."""
    async for message in cti:
        match message:
            case InfoEvent("channel", Channel(state=Ringing()) as leg, "added"):
                caller = leg.other_info
                if leg.user_id == user_id and isinstance(caller, OtherInfo) and caller.end_user:
                    return f"{caller.end_user.items[0].name} ({leg.calling_number})"
    return "the feed ended"


@pytest.mark.asyncio
async def test_pop_up_shows_the_caller(basix_pbx: Simulator) -> None:
    async with connect(**basix_pbx.connect_args) as cti:
        basix_pbx.call("0312341234", to="1001")
        assert await pop_up(cti, user_id=10001001) == "山田 太郎 (0312341234)"
