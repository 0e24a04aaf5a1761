"""What keeps a secret out of tracebacks and pickles."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from .exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def discreet(function: Callable[P, R]) -> Callable[P, R]:
    """Let what ``function`` raises lead to no frame in which its arguments are to be read.

    Reports of errors show the variables of all frames, and an argument is a secret. So the
    traceback ends here, where they are forgotten, and so does the chain of errors.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a defect shows them as well as a UsageError
            problem = error.with_traceback(None)
            problem.__cause__ = problem.__context__ = None
        del args, kwargs
        raise problem

    return call


class Secretive:
    """Holds a secret, which outlives the process in no pickle."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UsageError(
            f"a {type(self).__name__} holds a secret, and is neither pickled nor copied: "
            "make it where it is needed"
        )
