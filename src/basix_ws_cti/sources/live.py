"""Source for a live PBX, through a ``Client``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from basix_ws_cti import Client
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls import Call, CallEvent
from basix_ws_cti.client.feed import Feed
from basix_ws_cti.messages import InitialInfo, Message
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState

from .source import Notice

F = TypeVar("F", bound=Feed)


class LiveSource(Generic[F]):
    """Adapter that makes a ``Client`` or a ``Follower`` a ``Source``.

    ``clock`` returns the PBX's time if that differs from the system time, as a simulated PBX's
    does; ``None`` means system time.
    """

    def __init__(self, client: F, clock: Callable[[], datetime] | None = None) -> None:
        self.client: F = client
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

    @property
    def is_settled(self) -> bool:
        return self.client.is_settled

    def now(self) -> datetime:
        return datetime.now(UTC) if self._clock is None else self._clock()

    async def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        async for message in self.client.messages():
            now = self.now()
            if isinstance(message, InitialInfo) and not self.client.is_synced:
                # An element may refer to a user or group that arrives later in the snapshot.
                await self.client.synced()
            yield now, message

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        async for event in self.client.call_events():
            yield self.now(), event

    def on_alert(self, rule: AlertRule, callback: Callable[[Alert], object]) -> Callable[[], None]:
        # Through a queue: the items that led to an alert come before it.
        async def deliver(alert: Alert) -> None:
            callback(alert)

        return self.client.on_alert(rule, deliver)

    async def synced(self) -> Mirror:
        return await self.client.synced()

    async def synced_completely(self) -> Mirror:
        """Wait until the mirror is current and lacks nothing because of an unreadable frame.

        For commands that read the mirror once: ``synced`` also returns if a resync is pending.
        Raises what ``synced`` raises.
        """
        await self.client.wait_for(lambda _: not self.client.resync_pending)
        return self.client.mirror


def notify_of(client: Feed, on_notice: Callable[[Notice], object]) -> None:
    """Call ``on_notice`` with the states, gaps and errors of a client that is not entered yet."""
    client.on_state(on_notice)
    client.on_error(on_notice)
    # A gap is always reported; the filter rejects every change.
    client.on_change(on_notice, where=lambda _change: False)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def open_live_source(
    *,
    on_notice: Callable[[Notice], object] | None = None,
    clock: Callable[[], datetime] | None = None,
    **client_options: Any,
) -> AsyncIterator[LiveSource[Client]]:
    """Run a client and provide its feed for the duration of the block.

    A consumer that subscribes before its first ``await`` misses nothing.

    - ``on_notice``: callback for states, gaps and errors.
    - ``clock``: as in ``LiveSource``.
    - ``client_options``: keyword arguments of ``Client``.

    Raises the same exceptions as ``Client``.
    """
    client = Client(**client_options)
    if on_notice is not None:
        notify_of(client, on_notice)
    async with client:
        yield LiveSource(client, clock)
