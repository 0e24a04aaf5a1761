"""Parked calls at one moment."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from basix_ws_cti.calls.channel_facts import own_party
from basix_ws_cti.states import Park

from .labels import Labels
from .queues import waiting_channels
from .users import state_since


@frozen
class ParkedCall:
    """Channel that is parked."""

    key: str
    """Key of the channel."""

    state: Park
    """Its state."""

    since: int
    """Time at which it was parked, in microseconds since the epoch."""

    caller: str
    """Name of the party who is parked."""

    parker: str
    """Name of the user who parked it; empty if the user is unknown."""

    @property
    def parked_by(self) -> str:
        """Name of the user who parked it, else the name that the PBX sent; may be empty."""
        return self.parker or str(self.state.parker_name or "")


def parked_calls(labels: Labels, now: int) -> Iterator[ParkedCall]:
    """Yield each parked call of the mirror of ``labels``; ``now`` is in microseconds."""
    for channel in waiting_channels(labels.mirror):
        state = channel.state
        if not isinstance(state, Park):
            continue
        key = str(channel.key)
        known = labels.mirror.channels.get(key)
        yield ParkedCall(
            key=key,
            state=state,
            since=state_since(channel, now),
            caller=labels.element(channel) if known is None else labels.party(own_party(known)),
            parker="" if state.parker_id is None else labels.user(state.parker_id),
        )
