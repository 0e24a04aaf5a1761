"""Comparison of telephone numbers that are written differently.

Two texts are the same number if they have the same *normal form*. It depends on the text and on
the *home country*, Japan unless ``country_code`` says otherwise, and on nothing else:

- A number of the home country becomes its national digits, with trunk prefix if the country has
  one: ``0312341234``. In countries that share the calling code 1, the trunk prefix 1 is left out.
- A number of another country becomes ``+``, calling code and number: ``+12125550100``.
- Other digits stay as they are: extensions, emergency and service numbers (``1001``, ``110``,
  ``119``). Each is equal only to itself.

These notations have the same normal form:

======================================  ==========================================================
notation                                example
======================================  ==========================================================
separators                              ``03-1234-1234``, ``(03) 1234.1234``
calling code                            ``+81312341234``, ``(+81)3-1234-1234``, ``81312341234``
calling code and trunk prefix           ``+81 (0)3 1234 1234``, ``+8103-1234-1234``
international prefix                    ``010 81 3 1234 1234``
prefix that withholds or shows the      ``184-03-1234-1234``, ``186-03-1234-1234``
caller's number (Japan)
SIP and telephone URIs (RFC 3261 and    ``sip:+81312341234@pbx.example``,
3966), with parameters                  ``tel:3-1234-1234;phone-context=+81``
percent-encoding                        ``%2B81312341234``
full-width digits, digits of other      ``０３ー１２３４ー１２３４``
scripts
invisible characters                    marks of the writing direction, zero-width spaces
======================================  ==========================================================

- Japanese numbers of all kinds follow these rules: landline, mobile (``090``), IP telephony
  (``050``), free of charge (``0120``, ``0800``), and ``0570``.
- Digits without ``+`` begin with the own calling code only if they have ten digits or more, and
  the rest has the length of a national number. So no extension is mistaken for one.
- A national number must have its trunk prefix: ``312341234`` is not ``0312341234``.
- The extension in a URI (``;ext=12``) and all other parameters are ignored.
- A text with anything else is no number: withheld callers (``anonymous``), feature codes
  (``*97``), e-mail and IP addresses, and the PBX's markers (``RINGING_PARK…``, ``pickup_uuid.…``,
  ``media_plug``). It has no normal form and is equal to nothing, not even itself.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from .dialling_plans import dialling_plan

HOME_COUNTRY = "81"
"""Default home country: the calling code of Japan."""

SEPARATORS = r"\s().\-/\u2010-\u2015\u2212\u30fc"
"""Separators between digits, without full-width ones, as the content of a character class."""

INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
"""Characters that are not shown, as the content of a character class.

Format characters such as marks of the writing direction (category Cf; those that occur in texts),
variation selectors, and fillers.
"""

_SEPARATORS = re.compile(f"[{SEPARATORS}]+")
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")

_PLUS = re.compile(r"[\s(]*\+")

# A URI; an address in angle brackets, as in a SIP header, too.
_URI = re.compile(r"\s*<?\s*(tel|sips?|callto):([^<>?]*)(?:\?[^<>]*)?>?\s*", re.IGNORECASE)

# Characters of a number. With country code and separators a number has about twenty; the cache
# below must not keep thousands of texts as long as a frame.
MAX_NUMBER = 64

# Characters of a URI, host and parameters included.
MAX_URI = 512


def normalise_number(text: str | None, country_code: str = HOME_COUNTRY) -> str | None:
    """Return the normal form of a telephone number; ``None`` if ``text`` is no number.

    - ``text``: number in any notation that the module describes, of up to ``MAX_NUMBER``
      characters, or ``MAX_URI`` in a URI. A value of another type is no number.
    - ``country_code``: calling code of the home country, in digits.

    The normal form of a normal form is itself. Raises ``UsageError`` for an unknown
    ``country_code``.

    Records, events and elements of this package hold numbers as the PBX sent them; look-ups,
    filters and searches compare normal forms.

    >>> normalise_number("+81 3-1234-1234")
    '0312341234'
    >>> normalise_number("010 1 212 555 0100")
    '+12125550100'
    >>> normalise_number("sip:1001@pbx.example;transport=udp")
    '1001'
    >>> normalise_number("+39 06 1234 5678", country_code="39")
    '0612345678'
    >>> normalise_number("anonymous") is None
    True
    """
    dialling_plan(country_code)
    if not isinstance(text, str):
        return None
    if len(text) > MAX_NUMBER:
        if len(text) > MAX_URI:
            return None
        # Only the short part of a URI is looked up in the cache.
        part = _number_of_uri(_visible(text))
        if part is None or len(part) > MAX_NUMBER:
            return None
        text = part
    return _normalise(text, country_code)


def same_number(one: str | None, other: str | None, country_code: str = HOME_COUNTRY) -> bool:
    """Return True if both texts are the same telephone number; False if either is no number.

    The parameters and the exception are those of ``normalise_number``.

    >>> same_number("03-1234-1234", "tel:+81312341234")
    True
    >>> same_number("119", "0119")
    False
    >>> same_number("anonymous", "anonymous")
    False
    """
    number = normalise_number(one, country_code)
    return number is not None and number == normalise_number(other, country_code)


@lru_cache(maxsize=4096)  # a PBX sends the same few numbers again and again
def _normalise(text: str, country_code: str) -> str | None:
    text = _visible(text)
    if _URI.fullmatch(text):
        number = _number_of_uri(text)
        if number is None:
            return None
        text = number
    else:
        text = unquote(text)
    text = _visible(text)
    plus = _PLUS.match(text)
    digits = _SEPARATORS.sub("", text if plus is None else text[plus.end() :])
    if not digits.isdecimal():
        return None
    if not digits.isascii():
        digits = "".join(str(unicodedata.decimal(char)) for char in digits)
    plan = dialling_plan(country_code)
    return plan.normalise(digits) if plus is None else plan.normalise_international(digits)


def _visible(text: str) -> str:
    """Return a text without invisible characters, and with full-width ones in usual width."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _number_of_uri(text: str) -> str | None:
    """Return the number in a SIP or telephone URI; ``None`` if it has none."""
    match = _URI.fullmatch(text)
    if match is None:
        return None
    scheme, rest = match.groups()
    if scheme.lower().startswith("sip"):
        user, at, host = rest.rpartition("@")
        if not at:
            # The RFC calls this a host. Some phones write a number without a host.
            user = host
            if "." in user or "[" in user:
                return None
        rest = user
    number, *parameters = rest.split(";")
    number = unquote(number.partition(":")[0])  # a password or port may follow
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        value = unquote(value)
        if name.strip().lower() == "phone-context" and value.startswith("+"):
            return number if _PLUS.match(number) else value + number
    return number
