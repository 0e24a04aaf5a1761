"""Comparison of telephone numbers that are written differently.

Rules:

- Separators are ignored; full-width digits are digits.
- A number with the own country code (``+81…``, or ``010 81…`` as dialled from Japan) equals the
  national number with its leading zero.
- A text with anything but digits is no number: withheld callers (``anonymous``) and the PBX's
  markers (``RINGING_PARK…``, ``pickup_uuid.…``, ``media_plug``) match nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Separators between digits, and the zero in parentheses after a country code: +81 (0)3-1234-1234.
_SEPARATORS = re.compile(r"\(0\)|[\s().\-/\u2010-\u2015\u2212\u30fc]+")

# Prefix of international calls dialled in Japan.
_INTERNATIONAL_PREFIX = "010"

# Characters of a number. With country code and separators a number has about twenty; the cache
# below must not keep thousands of texts as long as a frame.
MAX_NUMBER = 64


def normalise_number(text: str | None, country_code: str = "81") -> str | None:
    """Return a number in the form used for comparison; ``None`` if ``text`` is no number.

    National numbers become digits, others ``+`` and digits: ``"03-1234-1234"``,
    ``"0312341234"`` and ``"+81312341234"`` all become ``"0312341234"``.
    """
    if not isinstance(text, str) or len(text) > MAX_NUMBER:
        return None
    return _normalise(text, country_code)


@lru_cache(maxsize=4096)  # a PBX sends the same few numbers again and again
def _normalise(text: str, country_code: str) -> str | None:
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
        # Some callers write the national zero as well: +81 03…
        return "0" + digits.removeprefix(country_code).removeprefix("0")
    return f"+{digits}"


def same_number(one: str | None, other: str | None, country_code: str = "81") -> bool:
    """Return True if both texts are the same telephone number; False if either is no number."""
    number = normalise_number(one, country_code)
    return number is not None and number == normalise_number(other, country_code)
