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


def unknown_name(noun: str, name: str, known: Iterable[str], advice: str = "") -> UsageError:
    """Return the error for a name that is not known.

    - ``noun``: translated kind of name, such as ``kind`` or ``profile``.
    - ``known``: valid names, of which the most similar one is suggested.
    - ``advice``: translated text for the case that no valid name is similar.
    """
    fields = {"noun": noun, "name": quoted(name)}
    similar = suggest(name, known)
    if similar is not None:
        message = _("unknown {noun} {name}; did you mean {similar}?")
        fields["similar"] = quoted(similar)
    elif advice:
        message = _("unknown {noun} {name}; {advice}")
        fields["advice"] = advice
    else:
        message = _("unknown {noun} {name}")
    return UsageError(message.format(**fields))


def quoted(name: str) -> str:
    """Return a name in quotation marks, shortened, and safe to print."""
    return printable(repr(name), _MAX_LENGTH)
