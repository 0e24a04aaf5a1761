"""Texts in the language of the reader, from the gettext catalogues in ``locale/``.

The language belongs to the current context (``contextvars``): a program sets it once, and a web
server sets it for each request. Tasks of asyncio start with a copy of the context; a new thread
starts in English. English needs no catalogue, because messages are written in English.

Messages are literals, without f-strings: the tools of gettext find them in the source. Values are
inserted after the translation, by name: ``_("{count} calls").format(count=count)``.
"""

from __future__ import annotations

import gettext as gettext_module
import io
import pkgutil
import struct
from contextvars import ContextVar
from functools import cache

DOMAIN = "basix_ws_cti"
"""Name of the catalogues."""

LANGUAGES = ("en", "ja")
"""Languages that texts are available in, as ISO 639-1 codes."""

_ENGLISH = gettext_module.NullTranslations()
_translations: ContextVar[gettext_module.NullTranslations] = ContextVar(
    "translations", default=_ENGLISH
)

# Position of the first table in a .mo file, behind magic number and version: number of messages,
# offset of the originals, offset of the translations. Babel writes little-endian files.
_TABLES = struct.Struct("<8x3I")
_ENTRY = struct.Struct("<2I")  # length and offset of one text


def use_language(language: str) -> None:
    """Use a language from ``LANGUAGES`` in the current context.

    Raises ``KeyError`` for any other language.
    """
    _translations.set(_load(language))


def use_translations(translations: gettext_module.NullTranslations) -> None:
    """Use a catalogue from elsewhere in the current context, such as a test's pseudo-language."""
    _translations.set(translations)


def current_language() -> str:
    """Return the language of the current context, such as ``ja``: for the ``lang`` of a page."""
    return _translations.get().info().get("language", "en")


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


def catalogue_messages(language: str) -> dict[str, str | list[str]]:
    """Return the translations into a language by message, JSON-ready, for a web page.

    - The key is the message as it is in the source. A message with a context has the context
      before it, separated by U+0004.
    - The value of a message with a plural is the list of its forms, in the order of the language's
      plural rule; its key is the singular.
    - English has no entries, because the messages are English.

    Raises ``KeyError`` for a language that is not in ``LANGUAGES``.
    """
    if language == "en":
        return {}
    data = _catalogue(language)
    count, originals, translations = _TABLES.unpack_from(data)
    messages: dict[str, str | list[str]] = {}
    for index in range(count):
        singular, separator, _plural = _text_at(data, originals, index).partition("\0")
        translation = _text_at(data, translations, index)
        if singular:  # the header has an empty message
            messages[singular] = translation.split("\0") if separator else translation
    return messages


def _text_at(data: bytes, table: int, index: int) -> str:
    """Return the text of an entry of a table in a .mo file."""
    length, offset = _ENTRY.unpack_from(data, table + index * _ENTRY.size)
    return data[offset : offset + length].decode()


@cache
def _load(language: str) -> gettext_module.NullTranslations:
    if language == "en":
        return _ENGLISH
    return gettext_module.GNUTranslations(io.BytesIO(_catalogue(language)))


def _catalogue(language: str) -> bytes:
    """Return the compiled catalogue of a language other than English."""
    if language not in LANGUAGES:
        raise KeyError(language)
    # Not importlib.resources, which takes longer to import than everything else here.
    data = pkgutil.get_data("basix_ws_cti", f"locale/{language}/LC_MESSAGES/{DOMAIN}.mo")
    assert data is not None  # noqa: S101 - None means a loader that can read no data
    return data
