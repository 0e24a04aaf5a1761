"""What keeps a secret out of tracebacks, pickles and texts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from attrs import field, frozen

from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_MASK = "[secret]"


def scrub_traceback(function: Callable[P, R]) -> Callable[P, R]:
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


class NotPicklable:
    """Holds a secret, which outlives the process in no pickle."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UsageError(
            f"a {type(self).__name__} holds a secret, and is neither pickled nor copied: "
            "make it where it is needed"
        )


@frozen
class SecretValue(NotPicklable, Generic[T]):
    """A value that no repr shows: a cookie's or a proxy's password is in there."""

    value: T = field(repr=False)


class Redactor(NotPicklable):
    """Takes secrets out of texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._secrets = SecretValue(longest_first)

    def __repr__(self) -> str:
        return "<Redactor>"

    def __call__(self, text: str) -> str:
        """``text`` with every secret in it replaced."""
        for secret in self._secrets.value:
            text = text.replace(secret, _MASK)
        return text
