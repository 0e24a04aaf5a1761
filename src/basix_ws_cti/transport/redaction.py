"""Redaction: keeps secrets out of texts, tracebacks, reprs and pickles.

Each measure closes one way out:

- ``Redactor``: a server, proxy or library repeats the secret in an error text or a log line.
- ``scrub_traceback``: a crash reporter sends the local variables of every traceback frame.
- ``SecretValue``: a debugger, log or crash reporter shows the repr of an object's attributes.
- ``NotPicklable``: a cache, queue or process pool writes the object to disk or a socket.
"""

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

_REPLACEMENT = "[secret]"


def scrub_traceback(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap ``function`` so that no exception it raises leads to its arguments.

    Crash reporters show the local variables of every frame of a traceback, and an argument of
    ``function`` is a secret. The wrapper therefore removes the inner traceback, the cause and
    the context from the exception, and deletes its own references to the arguments before it
    raises the exception again.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - any exception leads to the arguments
            scrubbed = error.with_traceback(None)
            scrubbed.__cause__ = scrubbed.__context__ = None
        del args, kwargs
        # Outside the except block: inside, Python would set the original as the context.
        raise scrubbed

    return call


class NotPicklable:
    """Base class of objects that hold a secret: pickling and copying raise ``UsageError``.

    A pickle would carry the secret out of the process, to a file or another machine.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UsageError(
            f"a {type(self).__name__} holds a secret and cannot be pickled or copied: "
            "create it where it is needed"
        )


@frozen
class SecretValue(NotPicklable, Generic[T]):
    """Wrapper whose repr does not show its value.

    For headers, which may hold a session cookie, and for connection options, which may hold
    the password of a proxy.
    """

    value: T = field(repr=False)
    """The wrapped value."""


class Redactor(NotPicklable):
    """Callable that replaces secrets in a text with ``[secret]``.

    ``secrets`` are the texts to replace; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first: a secret inside a longer one would otherwise leave the rest readable.
        longest_first = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._secrets = SecretValue(longest_first)

    def __repr__(self) -> str:
        return "<Redactor>"

    def __call__(self, text: str) -> str:
        """Return ``text`` with every secret replaced."""
        for secret in self._secrets.value:
            text = text.replace(secret, _REPLACEMENT)
        return text
