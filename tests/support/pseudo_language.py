"""Pseudo-language: translations that show which texts of the command line are translated.

``python -m support.pseudo_language COMMAND …`` runs a command in it. Each message becomes longer,
with accented letters between brackets. So an ASCII letter in the output is an untranslated text
(or a value), and a missing bracket is a clipped one.
"""

from __future__ import annotations

import gettext
import re
import textwrap

from basix_ws_cti._internal.translation import use_translations
from basix_ws_cti.cli.output import prepare_streams

BEGIN, END = "⟦", "⟧"

# Texts become longer by this part, as they do in many languages.
GROWTH = 0.3
_WORD = 8

_ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "åƀçđéƒğĥîĵķļɱñöþɋŕšţûṽŵẋýžÅƁÇĐÉƑĞĤÎĴĶĻṀÑÖÞɊŔŠŢÛṼŴẊÝŽ",
)

# Format fields are left as they are.
_FIELD = re.compile(r"(\{[^{}]*\})")


class PseudoLanguage(gettext.NullTranslations):
    """Translations of every message."""

    def gettext(self, message):
        return pseudo(message)

    def ngettext(self, msgid1, msgid2, n):
        return pseudo(msgid1 if n == 1 else msgid2)

    def pgettext(self, context, message):
        return pseudo(message)


def pseudo(message):
    """Return a message in the pseudo-language. A message without letters is left as it is."""
    parts = _FIELD.split(message)
    letters = sum(char.isalpha() for part in parts[::2] for char in part)
    if not letters:
        return message
    parts[::2] = [part.translate(_ACCENTED) for part in parts[::2]]
    growth = textwrap.wrap("·" * round(letters * GROWTH), _WORD)
    return f"{BEGIN}{''.join(parts)}{' '.join(growth)}{END}"


def main():
    """Run the command in ``sys.argv`` in the pseudo-language."""
    prepare_streams()
    use_translations(PseudoLanguage())
    from basix_ws_cti.cli.app import run_program  # translates the help texts when it is imported

    run_program()


if __name__ == "__main__":
    main()
