"""Classification of user-supplied callbacks."""

from __future__ import annotations

import functools
import inspect
from typing import Literal

from basix_ws_cti.exceptions import UsageError


def callback_kind(name: str, callback: object) -> Literal["sync", "async", "generator"]:
    """Return how to call a callback: as a function, coroutine function or async generator.

    Looks through ``functools.partial``, and at the ``__call__`` method of an object. Raises
    ``UsageError`` if ``callback`` is not callable; its text refers to the callback as ``name``.
    """
    if not callable(callback):
        raise UsageError(f"{name} must be callable, not {type(callback).__name__}")
    while isinstance(callback, functools.partial):
        callback = callback.func
    functions = (callback, getattr(callback, "__call__", None))  # noqa: B004 - the method itself
    if any(inspect.isasyncgenfunction(function) for function in functions):
        return "generator"
    return (
        "async" if any(inspect.iscoroutinefunction(function) for function in functions) else "sync"
    )
