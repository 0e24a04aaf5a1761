"""What may be handed over to be called back, and what comes of calling it."""

from __future__ import annotations

import functools
import inspect
from typing import Literal

from basix_ws_cti.exceptions import UsageError


def callback_kind(name: str, callback: object) -> Literal["sync", "async", "generator"]:
    """Whether calling it does the work, or what it returns is to be awaited, or iterated over.

    Looks through ``functools.partial`` and at ``__call__``. Raises ``UsageError``, which
    calls it ``name``, for what is not callable.
    """
    if not callable(callback):
        raise UsageError(f"{name} is not callable but a {type(callback).__name__}")
    while isinstance(callback, functools.partial):
        callback = callback.func
    functions = (callback, getattr(callback, "__call__", None))  # noqa: B004 - the method itself
    if any(inspect.isasyncgenfunction(function) for function in functions):
        return "generator"
    return (
        "async" if any(inspect.iscoroutinefunction(function) for function in functions) else "sync"
    )
