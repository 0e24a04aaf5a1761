"""Message catalogues: extraction from the source, update of the .po files, compilation.

Run it after each change of a message: ``cd tests && ../.venv/bin/python -m support.catalogues``.
It adds new messages without a translation and removes those that are no longer used. Translate
the new ones in the .po file, and run it again.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from basix_ws_cti._internal.translation import DOMAIN, LANGUAGES

from .paths import ROOT

SOURCE = ROOT / "src" / "basix_ws_cti"

# Functions whose messages Babel finds, with the positions of context, singular and plural.
FUNCTIONS = {"_": None, "N_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}

# Without dates and versions of tools, which would differ with each run.
HEADER = """\
# Translations of basix_ws_cti. To update and compile this file, see docs/contributing.md.
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plural_forms}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def translated_languages():
    """Return the languages that have a catalogue."""
    return [language for language in LANGUAGES if language != "en"]


def catalogue_path(language):
    """Return the path of the .po file of a language; the compiled one is beside it."""
    return SOURCE / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def extract():
    """Return a catalogue of the messages in the source, without translations."""
    template = Catalog()
    for path, _, message, comments, context in extract_from_dir(
        SOURCE, [("**.py", "python")], keywords=FUNCTIONS, comment_tags=("Translators:",)
    ):
        template.add(
            message,
            locations=[(path.replace("\\", "/"), None)],
            auto_comments=comments,
            context=context,
        )
    return template


def read(language):
    """Return the catalogue in the .po file of a language; an empty one if there is no file."""
    path = catalogue_path(language)
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, language)


def updated(language):
    """Return the catalogue of a language with exactly the messages in the source.

    A changed message is a new one, without a translation: a guess from a similar message would be
    marked as fuzzy, and would have to be checked in any case.
    """
    catalogue = read(language)
    catalogue.update(extract(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def po_text(catalogue):
    """Return the contents of a .po file, the same for the same messages."""
    for message in catalogue:  # the first location decides about the order of the messages
        message.locations = sorted(set(message.locations), key=lambda location: location[0])
    file = io.BytesIO()
    write_po(file, catalogue, include_lineno=False, sort_by_file=True, omit_header=True, width=100)
    header = HEADER.format(language=catalogue.locale, plural_forms=catalogue.plural_forms)
    return header.encode() + file.getvalue()


def mo_data(catalogue):
    """Return the contents of the compiled catalogue, the same for the same messages."""
    catalogue.creation_date = EPOCH
    catalogue.fuzzy = False
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def untranslated(catalogue):
    """Return the messages of a catalogue that have no translation, or lack a plural form."""
    return [
        message.id
        for message in catalogue
        if message.id
        and not all(
            message.string if isinstance(message.string, list | tuple) else [message.string]
        )
    ]


def main():
    """Update and compile the catalogues, and print the messages that have no translation."""
    for language in translated_languages():
        path = catalogue_path(language)
        catalogue = updated(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po_text(catalogue))
        path.with_suffix(".mo").write_bytes(mo_data(read(language)))
        print(f"{path.relative_to(ROOT)}: {len(catalogue)} messages")  # noqa: T201
        for message in untranslated(catalogue):
            print(f"  not translated: {message!r}")  # noqa: T201


if __name__ == "__main__":
    main()
