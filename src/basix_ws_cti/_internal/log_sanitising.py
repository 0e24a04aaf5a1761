"""Logger adapter that sanitises text from a peer."""

from __future__ import annotations

import logging
import sys
from typing import Any

from basix_ws_cti.exceptions import printable


class SanitisingLogger(logging.LoggerAdapter[logging.Logger]):
    """Logger for the WebSocket library, which at DEBUG logs data from the peer unchanged.

    Every text in a line becomes printable and is cut to 256 characters. Below ERROR, an exception
    may be caused by the peer and is logged as its text, without a traceback. From ERROR on it is
    a defect and keeps its traceback.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log like ``Logger.log``, with sanitised arguments; ``extra`` is dropped."""
        if not self.isEnabledFor(level):
            return
        text = str(msg)
        values = self.shown_arguments(text, args)
        exc_info = kwargs.get("exc_info")
        if exc_info and level < logging.ERROR:
            text, exc_info = f"{text}: %s", None
            values.append(self.shown(sys.exception()))
        self.logger.log(level, text, *values, exc_info=exc_info)

    def shown_arguments(self, _msg: str, args: tuple[object, ...]) -> list[object]:
        """Return the values that are logged for the arguments of a line with this format.

        Subclasses override it where the format decides.
        """
        return [self.shown(arg) for arg in args]

    def shown(self, arg: object) -> object:
        """Return the value that is logged for an argument: numbers as they are, else text.

        Subclasses override it to redact more.
        """
        return arg if isinstance(arg, int | float) else printable(str(arg))
