"""Redaction: keeps secrets out of texts, tracebacks, reprs and pickles.

Each measure closes one way out:

- ``Redactor``: a server, proxy or library repeats the secret in an error text or a log line. Only
  such texts are redacted, and never the fixed words around them.
- ``scrub_traceback``: a crash reporter sends the local variables of every traceback frame.
- ``SecretValue``: a debugger, log or crash reporter shows the repr of an object's attributes.
- ``NotPicklable``: a cache, queue or process pool writes the object to disk or a socket.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from attrs import field, frozen

from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

REPLACEMENT = "[secret]"
"""Text in place of a secret."""


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


# Characters from which on a secret is long enough to be no part of an ordinary word by chance.
_LONG_SECRET = 8


class Redactor(NotPicklable):
    """Callable that keeps secrets out of a text that comes from a server, proxy or library.

    - A secret that cannot be an ordinary word is replaced by ``[secret]`` in its place.
    - Any other one is a part of harmless texts, too: replacing ``wrong`` in "wrong or missing
      credentials" would make that text unreadable, and tell the secret to anyone who knows the
      text. So a text that contains it is withheld as a whole. Such a secret has fewer than eight
      characters, or consists of letters only.

    ``secrets`` are the texts to keep out; empty ones are ignored. Texts of this package are not
    passed to a redactor.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first: a secret inside a longer one would otherwise leave the rest readable.
        longest_first = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._replaced = SecretValue(_any_of(one for one in longest_first if not _is_wordlike(one)))
        self._withheld = SecretValue(_any_of(one for one in longest_first if _is_wordlike(one)))

    def __repr__(self) -> str:
        return "<Redactor>"

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets; an empty text if it is withheld."""
        parts = self._replaced.value.split(text)
        if any(map(self._withheld.value.search, parts)):
            return ""
        return REPLACEMENT.join(parts)


def _is_wordlike(secret: str) -> bool:
    """Return True if a secret may be an ordinary word, or a part of one."""
    return len(secret) < _LONG_SECRET or secret.isalpha()


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of the texts; of those at one position, the first."""
    return re.compile("|".join(map(re.escape, texts)) or r"(?!)")
