"""Selection of changes by kind, key and a function of the user's."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from basix_ws_cti._internal.arguments import type_name
from basix_ws_cti._internal.callables import PlainFunction, check_function
from basix_ws_cti.exceptions import UsageError, printable
from basix_ws_cti.mirror.changes import Change

from .subscriptions import Selection

_PACKAGE = str(Path(__file__).parent.parent)

# Type of the keys of each kind. A ``group_member`` has its id, or "USER_ID:GROUP_ID".
_KEY_TYPES: dict[str, tuple[type, ...]] = {
    "channel": (str,),
    "channel_waiting": (str,),
    "queued_channel": (str,),
    "parked_channel": (str,),
    "user": (int,),
    "group": (int,),
    "group_member": (int, str),
    "terminal": (int,),
    "domain": (int,),
}


def make_change_filter(
    kind: str | None, key: int | str | None, where: Callable[[Change], bool] | None
) -> Selection | None:
    """Return the filter for the arguments of ``Client.changes``; ``None``: all changes.

    Raises ``UsageError`` for arguments of another type, and for a key that no element of the kind
    can have. Warns (``UserWarning``) about a kind that this library does not know, since a PBX may
    have further ones, and about a number that was passed as text.
    """
    if kind is None and key is None and where is None:
        return None
    check_function("where", where, "change", optional=True)
    _check_kind_and_key(kind, key)
    return Selection(kind, key, None if where is None else PlainFunction("where", where))


def _check_kind_and_key(kind: object, key: object) -> None:
    if kind is not None and not isinstance(kind, str):
        raise UsageError(f"kind must be a str, got {type_name(kind)}")
    if key is not None and (isinstance(key, bool) or not isinstance(key, int | str)):
        raise UsageError(f"key must be an int or a str, got {type_name(key)}")
    types = _KEY_TYPES.get(kind or "")
    if key is not None and types is not None and not isinstance(key, types):
        wanted = "an int" if types == (int,) else "a str"
        raise UsageError(f"key of kind {kind!r} must be {wanted}, got {type(key).__name__}")
    if kind is not None and types is None:
        close = get_close_matches(kind.lower(), _KEY_TYPES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_KEY_TYPES)}"
        _warn(f"unknown kind {printable(kind, 60)!r}; {hint}")
    elif kind is None and isinstance(key, str) and key.isdecimal():
        _warn("key is a number as text, but ids are ints: pass an int")


def _warn(text: str) -> None:
    """Warn at the line of the user's code that called this library."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - as warnings itself does
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)
