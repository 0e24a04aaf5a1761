"""Texts in the language of the reader, from the gettext catalogues in ``locale/``.

The language belongs to the current context (``contextvars``): a program sets it once, and a web
server sets it for each request. English needs no catalogue, since messages are written in English.
"""

from __future__ import annotations

import gettext as gettext_module
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

DOMAIN = "basix_ws_cti"
"""Name of the catalogues."""

LANGUAGES = ("en", "ja")
"""Languages that texts are available in, as ISO 639-1 codes."""

_ENGLISH = gettext_module.NullTranslations()
_translations: ContextVar[gettext_module.NullTranslations] = ContextVar(
    "translations", default=_ENGLISH
)


def use_language(language: str) -> None:
    """Use a language from ``LANGUAGES`` in the current context.

    Raises ``KeyError`` for any other language.
    """
    _translations.set(_load(language))


def _(message: str) -> str:
    """Return a message in the language of the current context."""
    return _translations.get().gettext(message)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of a message for a number, in the language of the current context."""
    return _translations.get().ngettext(singular, plural, number)


def pgettext(context: str, message: str) -> str:
    """Return a message that has several meanings; ``context`` tells them apart for translators."""
    return _translations.get().pgettext(context, message)


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Mark a message for translation without translating it: for constants.

    The code that shows the constant passes it to ``_``.
    """
    return message


@cache
def _load(language: str) -> gettext_module.NullTranslations:
    if language not in LANGUAGES:
        raise KeyError(language)
    if language == "en":
        return _ENGLISH
    catalogue = files("basix_ws_cti") / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    with catalogue.open("rb") as file:
        return gettext_module.GNUTranslations(file)
