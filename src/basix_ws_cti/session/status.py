"""How a client stands, what it missed, and what it has done so far."""

from __future__ import annotations

from attrs import frozen


@frozen
class Connecting:
    """Making an attempt; ``attempt`` counts from 1 since the last picture."""

    attempt: int


@frozen
class Syncing:
    """Connected, and being told what there is."""


@frozen
class Synced:
    """The picture is whole, and follows every event."""


@frozen
class Disconnected:
    """Not connected, because of ``reason``; the next attempt is in ``retry_in`` seconds.

    ``None``: that is not known yet, the connection is being closed.
    """

    reason: Exception
    retry_in: float | None


@frozen
class Stopped:
    """The end: ``None``, the block was left; else what can't be helped by trying again."""

    reason: Exception | None


ClientState = Connecting | Syncing | Synced | Disconnected | Stopped
"""Any of the states."""


@frozen(kw_only=True)
class Stats:
    """What a client has done so far.

    ``missed`` items were lost to slow subscribers, ``lag`` wait for them now.
    ``last_frame_age`` is in seconds, ``None``: none came.
    """

    frames: int
    bytes: int
    messages: dict[str, int]
    connects: int
    reconnects: int
    gaps: int
    bad_frames: int
    missed: int
    lag: int
    last_frame_age: float | None
