"""Checks of functions that users pass: callbacks, filters and conditions.

``functools.partial`` and objects with ``__call__`` count as the function that they call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal

from basix_ws_cti.exceptions import UsageError

from .arguments import type_name


def callback_kind(
    name: str, callback: object, *arguments: str
) -> Literal["sync", "async", "generator"]:
    """Return how to call a callback: as a function, coroutine function or async generator.

    Raises ``UsageError`` if ``callback`` is not callable, or not with one value for each of
    ``arguments``, the names of what it receives. The text refers to the callback as ``name``.
    A lambda that returns a coroutine counts as a function: see ``refuse_awaitable``.
    """
    if not callable(callback):
        raise UsageError(f"{name} must be callable, got {type_name(callback)}")
    if arguments and not _accepts(callback, len(arguments)):
        raise UsageError(
            f"{name} must accept {len(arguments)} positional argument(s): ({', '.join(arguments)})"
        )
    while isinstance(callback, functools.partial):
        callback = callback.func
    if isinstance(callback, type):
        return "sync"  # its __call__ is that of its instances
    functions = (callback, getattr(callback, "__call__", None))  # noqa: B004 - the method itself
    if any(inspect.isasyncgenfunction(function) for function in functions):
        return "generator"
    return (
        "async" if any(inspect.iscoroutinefunction(function) for function in functions) else "sync"
    )


def check_function(name: str, function: object, *arguments: str, optional: bool = False) -> None:
    """Require a plain function, one that is not async; otherwise raise ``UsageError``.

    ``arguments`` are as for ``callback_kind``. With ``optional``, ``None`` is valid.
    """
    if optional and function is None:
        return
    kind = callback_kind(name, function)
    if kind != "sync":
        found = "a coroutine function" if kind == "async" else "an async generator"
        raise UsageError(f"{name} must be a plain function (def), got {found}")
    callback_kind(name, function, *arguments)


def refuse_awaitable(
    name: str, result: object, advice: str = "pass a plain function (def)"
) -> None:
    """Raise ``UsageError`` if a plain function has returned something to await.

    Functions that only look plain, such as a lambda, may return a coroutine. It is closed, so that
    Python does not warn that it was never awaited.
    """
    if result is not None and inspect.isawaitable(result):
        kind = type(result).__name__
        if inspect.iscoroutine(result):
            result.close()
        raise UsageError(f"{name} returned a {kind}: {advice}")


class PlainFunction:
    """Function of a user's that must not be async.

    Once it has returned something to await, ``UsageError`` is raised, and from then on the function
    is not called any more and ``None`` is returned: the error is reported once.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self.__wrapped__ = function  # for log lines
        self.is_usable: bool = True
        """False once the function has returned something to await."""

    def __call__(self, *arguments: object) -> Any:
        if not self.is_usable:
            return None
        result = self._function(*arguments)
        # The usual results; looking for an __await__ method takes longer.
        if result is None or result is True or result is False:
            return result
        try:
            refuse_awaitable(self._name, result)
        except UsageError:
            self.is_usable = False
            raise
        return result


def _accepts(function: Callable[..., object], count: int) -> bool:
    """Return False if a call with ``count`` positional arguments is sure to fail."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
