"""Feed of a publisher's stream, for any number of readers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from basix_ws_cti.fanout.follower import Follower

from .live import LiveSource, notify_of
from .source import Notice


@contextlib.asynccontextmanager
async def open_followed_source(
    *, on_notice: Callable[[Notice], object] | None = None, **follower_options: Any
) -> AsyncIterator[LiveSource[Follower]]:
    """Follow a stream and provide its feed for the duration of the block.

    A consumer that subscribes before its first ``await`` misses nothing.

    - ``on_notice``: callback for states, gaps and errors.
    - ``follower_options``: arguments of ``Follower``.

    Raises the same exceptions as ``Follower``.
    """
    follower = Follower(**follower_options)
    if on_notice is not None:
        notify_of(follower, on_notice)
    async with follower:
        yield LiveSource(follower)
