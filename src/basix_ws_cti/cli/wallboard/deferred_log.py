"""Log records deferred while a full-screen application owns the terminal."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator

# Lines kept while the screen is shown; older ones are dropped.
_MAX_LINES = 100


@contextlib.contextmanager
def defer_terminal_log() -> Iterator[None]:
    """Hold back what root log handlers write to a terminal, and write it after the block.

    Log lines would otherwise corrupt the screen.
    """
    lines: deque[str] = deque(maxlen=_MAX_LINES)
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
    ]
    streams = [handler.setStream(_LineBuffer(lines)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)
                stream.writelines(lines)
                stream.flush()


class _LineBuffer:
    """Stream that stores writes in a deque."""

    def __init__(self, lines: deque[str]) -> None:
        self._lines = lines

    def write(self, text: str) -> None:
        self._lines.append(text)

    def flush(self) -> None:
        """Do nothing: a write is stored at once."""
