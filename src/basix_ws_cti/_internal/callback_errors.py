"""Log of errors that user-supplied functions raise: each kind once, then its count."""

from __future__ import annotations

import inspect
import itertools
import logging
import os
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from basix_ws_cti.exceptions import UsageError

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"

# Kinds of errors that are counted. Functions that are made again and again, such as lambdas in a
# loop, have one kind for each place; errors beyond the limit are counted together.
MAX_ERROR_KINDS = 1000

_OTHER = ("other callbacks", "errors", "")


class CallbackErrors:
    """Logs what functions of the user raise.

    A function, the class of its exception and the line that raised it make a kind. The first error
    of a kind is logged with the function's name, and with file and line of the user's code. Later
    ones are counted; the count is logged at powers of ten, and by ``log_counts``. The error's text
    is left out: it may quote a caller's name or number. Only a ``UsageError`` keeps its text, which
    says what to change in the program.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._counts: dict[tuple[str, str, str], int] = {}
        self._logged: dict[tuple[str, str, str], int] = {}

    def log(self, error: BaseException, callback: object) -> None:
        """Log or count an error that ``callback`` raised."""
        raised = type(error).__name__
        if isinstance(error, UsageError):
            raised = f"{raised}: {error}"
        kind = (name_of(callback), raised, place_of(error, callback))
        if kind not in self._counts and len(self._counts) >= MAX_ERROR_KINDS:
            kind = _OTHER
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if str(count).strip("0") == "1":  # a power of ten
            self._log(kind, count)

    def log_counts(self) -> None:
        """Log the counts that have grown since they were logged last."""
        for kind, count in self._counts.items():
            if count > self._logged[kind]:
                self._log(kind, count)

    def _log(self, kind: tuple[str, str, str], count: int) -> None:
        self._logged[kind] = count
        times = "" if count == 1 else f" ({count:,} times)"
        self._logger.error("callback error: %s raised %s%s%s", *kind, times)


def name_of(callback: object) -> str:
    """Return a function's name for log lines."""
    function = _unwrapped(callback)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def place_of(error: BaseException, callback: object) -> str:
    """Return `` at FILE:LINE``, the user's code that raised the error, or an empty text.

    This is the innermost line of the callback's own file, or else of any file outside of this
    package.
    """
    function = _unwrapped(callback)
    code = getattr(function, "__code__", None)
    if code is None:
        method = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself
        code = getattr(method, "__code__", None)
    lines = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [place for place in lines if code is not None and place[0] == code.co_filename]
    foreign = [place for place in lines if not place[0].startswith(_PACKAGE)]
    for file, line in itertools.islice(reversed(own or foreign), 1):
        return f" at {file}:{line}"
    return ""


def _unwrapped(callback: Any) -> Any:
    """Return the function below partial objects, decorators and bound methods."""
    while True:
        if isinstance(callback, partial):
            callback = callback.func
        elif inspect.ismethod(callback):
            callback = callback.__func__
        elif "__wrapped__" in getattr(callback, "__dict__", ()):
            callback = callback.__wrapped__
        else:
            return callback
