"""Common interface of everything that provides a feed: a PBX, a simulator, a recording, a stream.

Code that shows, stores or forwards a feed takes a ``Source`` and does not depend on its kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Protocol

from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls import Call, CallEvent
from basix_ws_cti.messages import Message
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState

Notice = ClientState | Gap | Exception
"""Report about the feed that is not part of it: a new state, a gap, or an error."""


class Source(Protocol):
    """Feed of a PBX, whatever its origin. Items come with the time at which they arrived.

    Iterate over ``messages`` or ``call_events``, not both, and only once. Iteration ends when
    the feed ends, and raises the error if an error ended it. A recorded source reads its
    recording only while it is iterated over. All times are timezone-aware and in UTC.
    """

    @property
    def mirror(self) -> Mirror:
        """Mirror of the PBX."""

    @property
    def calls(self) -> Mapping[str, Call]:
        """Ongoing calls by id. The first access starts call tracking."""

    @property
    def state(self) -> ClientState:
        """Connection state of the feed."""

    @property
    def is_settled(self) -> bool:
        """False while the items that lead to a new snapshot are delivered."""

    def now(self) -> datetime:
        """Return the current time of the feed, which in a recording is the recording's time."""

    def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        """Yield every message. Initial elements follow once the snapshot is complete."""

    def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        """Yield every call event."""

    def on_alert(self, rule: AlertRule, callback: Callable[[Alert], object]) -> Callable[[], None]:
        """Call ``callback(alert)``, a plain function, when a rule's alert begins and ends.

        Call it before iterating. Returns a function that unregisters the callback. Alerts of a
        recorded source come while it is iterated over, between the items.
        """

    async def synced(self) -> Mirror:
        """Wait for the complete snapshot and return the mirror.

        A recorded source reads its recording up to that point.
        """
