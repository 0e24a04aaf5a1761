"""Errors for unknown names, with the known name that the user probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError, printable

_MAX_LENGTH = 60


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that resembles ``name`` most; ``None`` if none does.

    Upper and lower case count as equal.
    """
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a question that suggests the known name that resembles ``name`` most, if one does."""
    similar = suggest(name, known)
    return None if similar is None else _("did you mean {similar}?").format(similar=quoted(similar))


def unknown_name(noun: str, name: str, known: Iterable[str], advice: str = "") -> UsageError:
    """Return the error for a name that is not known.

    - ``noun``: translated kind of name, such as ``kind`` or ``profile``.
    - ``known``: valid names, of which the most similar one is suggested.
    - ``advice``: translated text for the case that no valid name is similar.
    """
    hint = did_you_mean(name, known) or advice
    message = _("unknown {noun} {name}; {advice}") if hint else _("unknown {noun} {name}")
    return UsageError(message.format(noun=noun, name=quoted(name), advice=hint))


def quoted(name: str) -> str:
    """Return a name in quotation marks, shortened, and safe to print."""
    return printable(repr(name), _MAX_LENGTH)
