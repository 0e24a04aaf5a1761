"""When two telephone numbers are the same, however they are written.

The rule: separators count for nothing, full-width digits are digits, and a number with its
country code (``+81…``, or ``010 81…`` dialled from Japan) is the national number with its
leading zero. What holds anything but digits is no number: withheld callers (``anonymous``)
and the PBX's markers (``RINGING_PARK…``, ``pickup_uuid.…``, ``media_plug``) match nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Written between digits, and after a country code: +81 (0)3-1234-1234.
_SEPARATORS = re.compile(r"\(0\)|[\s().\-/\u2010-\u2015\u2212\u30fc]+")

# What is dialled in Japan before a country code.
_INTERNATIONAL_PREFIX = "010"


# Texts as long as a frame, of which the cache would hold thousands. With country code and
# separators a number has some twenty characters; a marker with a uuid is none.
MAX_NUMBER = 64


def plain_number(text: str | None, country_code: str = "81") -> str | None:
    """``text`` in the one form in which numbers are compared; ``None``: it is no number.

    National numbers are digits, others ``+`` and digits. ``"03-1234-1234"``,
    ``"0312341234"`` and ``"+81312341234"`` are all ``"0312341234"``.
    """
    if not isinstance(text, str) or len(text) > MAX_NUMBER:
        return None
    return _plain_number(text, country_code)


@lru_cache(maxsize=4096)  # the same few numbers come again and again
def _plain_number(text: str, country_code: str) -> str | None:
    text = unicodedata.normalize("NFKC", text).strip()
    international = text.startswith("+")
    digits = _SEPARATORS.sub("", text.removeprefix("+"))
    if not (digits.isascii() and digits.isdecimal()):
        return None
    if not international and digits.startswith(_INTERNATIONAL_PREFIX + country_code):
        international, digits = True, digits.removeprefix(_INTERNATIONAL_PREFIX)
    if not international:
        return digits
    if digits.startswith(country_code):
        # Some write the national zero too: +81 03…
        return "0" + digits.removeprefix(country_code).removeprefix("0")
    return f"+{digits}"


def same_number(one: str | None, other: str | None, country_code: str = "81") -> bool:
    """Whether two texts are one telephone number. What is no number is the same as nothing."""
    number = plain_number(one, country_code)
    return number is not None and number == plain_number(other, country_code)
