"""What the other side says, made fit for a log."""

from __future__ import annotations

import logging
import sys
from typing import Any

from basix_ws_cti.exceptions import printable


class SanitisingLogger(logging.LoggerAdapter[logging.Logger]):
    """For the WebSocket library, which at DEBUG logs what the other side sends as it came.

    Every text in a line becomes printable, and 256 characters at most. Of an exception that the
    other side can bring about there is the text alone; from ERROR on it is a defect, and has its
    traceback.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log as any logger does; ``extra`` is left out."""
        if not self.isEnabledFor(level):
            return
        text, shown = str(msg), [self.shown(arg) for arg in args]
        exc_info = kwargs.get("exc_info")
        if exc_info and level < logging.ERROR:
            text, exc_info = f"{text}: %s", None
            shown.append(self.shown(sys.exception()))
        self.logger.log(level, text, *shown, exc_info=exc_info)

    def shown(self, arg: object) -> object:
        """What stands in the line for an argument."""
        return arg if isinstance(arg, int | float) else printable(str(arg))
