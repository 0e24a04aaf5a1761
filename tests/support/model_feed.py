"""Fake PBX whose calls are those of the simulator's model, for clients on a virtual clock."""

from __future__ import annotations

import asyncio

from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.pbx import Pbx

from .call_transcripts import MessageReader
from .fake_pbx import FakePbx


class ModelPbx(FakePbx):
    """Connector of clients to an office; nothing happens in it by itself.

    - ``model``: the simulator's PBX; what a test does with it is sent at once.
    - ``users``, ``group``: the users of the office, and the group of all of them.
    """

    def __init__(self, users=5):
        super().__init__()
        self.model = Pbx(1)
        scenarios.populate(self.model, users)
        self.users = list(self.model.users.values())
        self.group = next(iter(self.model.groups.values()))
        self._reader = MessageReader()
        self.model.listeners.append(self._forward)

    def _forward(self, kind, key, values, event_name):
        if kind != "channel":
            return
        leg = self._reader.event(kind, values, event_name).element
        legs = {other: one for other, one in self.state[kind].items() if other != key}
        if event_name != "removed":
            legs[key] = leg
        self.replace(kind, legs, (leg, event_name))

    async def wait(self, seconds=1):
        """Let time pass for clients and PBX."""
        await asyncio.sleep(seconds)
        self.model.now += int(seconds * 1_000_000)

    def ring(self, number=0, caller=scenarios.CALLERS[0]):
        """Let somebody call a user; return the caller's leg and that of the ringing phone."""
        lead = self.model.receive(caller, DID)
        return lead, self.model.call_user(lead, self.users[number])

    def talk(self, number=0, caller=scenarios.CALLERS[0]):
        """Let somebody talk to a user; return the legs of both."""
        lead, leg = self.ring(number, caller)
        self.model.connect(leg)
        return lead, leg
