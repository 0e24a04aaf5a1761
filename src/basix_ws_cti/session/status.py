"""States of a client, and its statistics."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen


@frozen
class Connecting:
    """The client is trying to connect."""

    attempt: int
    """Number of the attempt since the feed was last synced, starting with 1."""


@frozen
class Syncing:
    """The client is connected, and the snapshot is arriving."""


@frozen
class Synced:
    """The mirror shows the current state and follows every event."""


@frozen
class Disconnected:
    """The client is not connected."""

    reason: Exception
    """Error that ended the connection or the attempt."""

    retry_in: float | None
    """Seconds until the next attempt; ``None`` while the lost connection is being closed."""

    last_heard: datetime | None = field(default=None, eq=False, kw_only=True, repr=False)
    """Last sign of life, a frame or a pong, of a connection whose state was current (aware, UTC);
    ``None`` for all others."""


@frozen
class Stopped:
    """The client has stopped and will not connect again."""

    reason: Exception | None
    """Error that a retry cannot fix; ``None`` if the client's block was left."""


ClientState = Connecting | Syncing | Synced | Disconnected | Stopped
"""Any state of a client."""


@frozen(kw_only=True)
class Stats:
    """Statistics of a client since it was created.

    ``bytes`` is the number of bytes in all frames received.
    """

    frames: int
    """Frames received."""

    bytes: int
    """Bytes of all frames received."""

    messages: dict[str, int]
    """Messages received, by class name such as ``"InfoEvent"``."""

    connects: int
    """Connections opened."""

    reconnects: int
    """Connections opened after the first one."""

    gaps: int
    """Gaps in the feed."""

    bad_frames: int
    """Frames that could not be read."""

    missed: int
    """Items that slow subscribers lost."""

    lag: int
    """Items that are waiting for subscribers now."""

    last_frame_age: float | None
    """Seconds since the last frame; ``None`` if none has arrived."""
