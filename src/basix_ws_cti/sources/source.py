"""Where a command's feed comes from: a PBX, a simulated one, or a recording.

What shows a feed (``listen``, ``top``, ``state``) is given a ``Source`` and does not ask which.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from basix_ws_cti import (
    Call,
    CallEvent,
    Client,
    ClientState,
    Gap,
    InitialInfo,
    Lagged,
    Message,
    Mirror,
)
from basix_ws_cti.cli.options import Connecting

Notice = ClientState | Gap | Exception
"""What is not in the feed, but about it: a new state, a gap, what went wrong."""


class Source(Protocol):
    """A feed to be shown. Its items come with the (aware, UTC) time at which they came in.

    One of ``messages`` and ``call_events`` is iterated, once. Iterating ends with the feed:
    properly, or with the error that ended it. Of a recording, iterating is what reads it.
    """

    @property
    def mirror(self) -> Mirror:
        """The picture."""

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls that go on, by id; followed once it has been asked for."""

    @property
    def state(self) -> ClientState:
        """How the feed stands."""

    def now(self) -> datetime:
        """The time (aware, UTC) that goes with the picture: of a recording, its own."""

    def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        """Every message."""

    def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        """What happens to calls."""

    async def synced(self) -> Mirror:
        """Wait until the picture is whole; of a recording, read until it is."""


class Live:
    """A ``Source`` that is a client; ``clock`` is its PBX's, where that is not ours."""

    def __init__(self, client: Client, clock: Callable[[], datetime] | None = None) -> None:
        self.client = client
        self._clock = clock

    @property
    def mirror(self) -> Mirror:
        return self.client.mirror

    @property
    def calls(self) -> Mapping[str, Call]:
        return self.client.calls

    @property
    def state(self) -> ClientState:
        return self.client.state

    def now(self) -> datetime:
        return datetime.now(UTC) if self._clock is None else self._clock()

    async def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        async for message in self.client.messages():
            now = self.now()
            if isinstance(message, InitialInfo) and not self.client.is_synced:
                # Who an element is about may come after it: told once the picture is whole.
                await self.client.synced()
            yield now, message

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        async for event in self.client.call_events():
            yield self.now(), event

    async def synced(self) -> Mirror:
        return await self.client.synced()


@contextlib.asynccontextmanager
async def live(
    connecting: Connecting,
    on_notice: Callable[[Notice], object] | None = None,
    **options: Any,
) -> AsyncIterator[Live]:
    """A client in its block, of a real PBX or of one simulated for it.

    ``options`` are further ones of ``Client``. Who subscribes before awaiting anything misses
    nothing. Raises what ``Client`` and ``Connecting.arguments`` raise.
    """
    async with pbx(connecting) as (arguments, clock):
        client = Client(**arguments, **options)
        source = Live(client, clock)
        if on_notice is not None:
            client.on_state(on_notice)
            client.on_error(on_notice)
            # A gap is told whatever is asked for, and here nothing else is.
            client.on_change(on_notice, where=lambda _change: False)  # type: ignore[arg-type]
        async with client:
            yield source


@contextlib.asynccontextmanager
async def pbx(
    connecting: Connecting,
) -> AsyncIterator[tuple[dict[str, Any], Callable[[], datetime] | None]]:
    """What ``connect`` and ``Client`` need, and the clock of a PBX whose time is not ours."""
    if not connecting.simulate:
        yield connecting.arguments(), None
        return
    from basix_ws_cti.simulator import Simulator

    async with Simulator(
        speed=connecting.simulate_speed, seed=connecting.simulate_seed, api=True
    ) as simulator:
        # Its time is made up, and passes faster than ours.
        yield (
            {**simulator.connect_args, "app_name": connecting.app_name, "full_events": True},
            lambda: datetime.fromtimestamp(simulator.now / 1_000_000, UTC),
        )
