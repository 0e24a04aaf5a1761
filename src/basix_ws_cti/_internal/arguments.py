"""Checks of arguments: each raises ``UsageError``, whose text says what to pass instead.

``name`` is always the argument's name as callers write it. With ``optional``, ``None`` is valid.
Where a number is expected, the text quotes a refused number. Any other value may hold a secret or a
person's name, and is shown as its type.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from basix_ws_cti.exceptions import UsageError, printable

# Digits up to which a refused integer is quoted; printing a long one takes quadratic time.
_QUOTED_DIGITS = 20


def type_name(value: object) -> str:
    """Return a refused value as it appears in an error: its type, or ``None``."""
    return "None" if value is None else type(value).__name__


def _shown(value: object) -> str:
    """Return a refused value where a number or bool was expected: a number as it is."""
    if isinstance(value, bool | float):
        return str(value)
    if isinstance(value, int):
        is_short = abs(value) < 10**_QUOTED_DIGITS
        return str(int(value)) if is_short else f"an int of more than {_QUOTED_DIGITS} digits"
    return type_name(value)


def check_bool(name: str, value: object) -> None:
    """Require ``True`` or ``False``: the text ``"false"`` would count as true."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, got {_shown(value)}")


def check_integer(
    name: str,
    value: object,
    *,
    at_least: int = 1,
    at_most: int | None = None,
    optional: bool = False,
) -> None:
    """Require an ``int`` within the bounds; ``at_most`` ``None``: no upper bound."""
    if optional and value is None:
        return
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or value < at_least or (at_most is not None and value > at_most):  # type: ignore[operator]
        bounds = f"of {at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
        raise UsageError(f"{name} must be an int {bounds}{_or_none(optional)}, got {_shown(value)}")


def check_number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    unit: str = "",
    optional: bool = False,
) -> None:
    """Require a finite ``int`` or ``float`` that is positive, or ``at_least`` this large.

    ``unit`` is a plural such as ``seconds``, for the text.
    """
    if optional and value is None:
        return
    if _is_number(value) and abs(value) <= sys.float_info.max:  # False for NaN
        is_valid = value > 0 if at_least is None else value >= at_least
        if is_valid:
            return
    of_unit = f" of {unit}" if unit else ""
    bound = f"a positive number{of_unit}"
    if at_least is not None:
        bound = f"a number{of_unit}, {at_least:g} or more"
    raise UsageError(f"{name} must be {bound}{_or_none(optional)}, got {_shown(value)}")


def check_seconds(
    name: str, value: object, *, at_least: float | None = None, optional: bool = False
) -> None:
    """Require a finite number of seconds that is positive, or ``at_least`` this large."""
    check_number(name, value, at_least=at_least, unit="seconds", optional=optional)


def check_timeout(name: str, value: object) -> None:
    """Require a number of seconds or ``None``.

    A number below 0 is valid, since a caller may pass the rest of its own time limit.
    """
    # NaN is not even 0 or more.
    if value is not None and not (_is_number(value) and abs(value) >= 0):
        raise UsageError(f"{name} must be a number of seconds or None, got {_shown(value)}")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Require one of ``choices``, which are of one type."""
    choices = [*choices]
    if isinstance(value, bool) or value not in choices:
        *others, last = (repr(choice) for choice in choices)
        quoted = printable(repr(value), 60) if isinstance(value, str) else _shown(value)
        raise UsageError(f"{name} must be {', '.join(others)} or {last}, got {quoted}")


def check_text(name: str, value: object, *, optional: bool = False) -> None:
    """Require a ``str`` that UTF-8 can encode; it may be empty."""
    if optional and value is None:
        return
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a str{_or_none(optional)}, got {type_name(value)}")
    if any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise UsageError(f"{name} contains a lone surrogate, which UTF-8 cannot encode")


def check_filled_text(name: str, value: object) -> None:
    """Require a ``str`` that UTF-8 can encode, and that is not empty."""
    check_text(name, value)
    if not value:
        raise UsageError(f"{name} must not be empty")


def check_id(name: str, value: object) -> None:
    """Require an ``int``, or a ``str`` that UTF-8 can encode and that is not empty."""
    if isinstance(value, str):
        check_filled_text(name, value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} must be an int or a str, got {type_name(value)}")


def check_names(names: Mapping[str, object]) -> None:
    """Require values that name a user or group: an id for ``…_id``, a filled text for others."""
    for name, value in names.items():
        (check_id if name.endswith("_id") else check_filled_text)(name, value)


def check_instance(
    name: str,
    value: object,
    types: type | tuple[type, ...],
    expected: str,
    *,
    optional: bool = False,
) -> None:
    """Require an instance of ``types``; ``expected`` describes them, such as ``a Backoff``."""
    if not (isinstance(value, types) or (optional and value is None)):
        raise UsageError(f"{name} must be {expected}{_or_none(optional)}, got {type_name(value)}")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or_none(optional: bool) -> str:  # noqa: FBT001 - the word that follows depends on it
    return " (or None)" if optional else ""
