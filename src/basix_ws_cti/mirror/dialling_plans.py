"""Dialling plans of countries: calling codes, trunk prefixes, international prefixes, lengths.

The tables hold facts of ITU-T Recommendation E.164 and of national numbering plans. They are part
of this package, so that a number has the same normal form on every machine.
"""

from __future__ import annotations

import re
from functools import cache

from attrs import frozen

from basix_ws_cti.exceptions import UsageError, printable

# Calling codes of countries that have no trunk prefix: a national number is dialled as it stands
# after the calling code, in Italy and some others with its leading zero.
_CODES_WITHOUT_TRUNK = """
    30 34 39 45 47 48 52 56 65 216 220 221 222 223 224 225 226 227 228 229 230 235 236 237 238
    239 240 241 242 244 245 246 247 248 253 257 258 266 267 268 269 290 297 298 299 350 351 352
    354 356 357 371 372 376 378 420 500 501 502 503 504 505 506 507 509 592 597 599 670 672 673
    674 675 676 677 678 679 680 681 682 683 685 687 688 689 690 691 800 808 852 853 870 878 881
    882 883 888 960 965 968 973 974 975 979 992 998
"""
_WITHOUT_TRUNK = frozenset(_CODES_WITHOUT_TRUNK.split())

# Prefix that a national number has in its own country. Countries in neither table use 0. In
# countries with calling code 1 or 692, the prefix 1 may be left out, and normal forms leave it out.
_TRUNK = {"1": "", "692": "", "7": "8", "375": "8", "993": "8", "36": "06"}

# Prefix of international calls, as a regular expression where the caller may choose a carrier.
# Countries that are not in the table use 00.
_INTERNATIONAL = {
    "81": "010",
    **dict.fromkeys(("1", "692"), "011"),
    **dict.fromkeys(("7", "375", "992", "993"), "810"),
    "52": "0[09]",
    "53": "119",
    "55": "00(?:1[245]|2[1-35]|31|4[13]|[56]5|99)",
    "57": "00(?:4(?:[14]4|56)|[579])",
    "61": "001[14-689]",
    "62": "00[89]",
    "64": "0(?:0|161)",
    "65": r"0[0-3]\d",
    "66": "00[1-9]",
    "82": "00(?:[125689]|3(?:[46]5|91)|7(?:00|27|3|55|6[126]))",
    "230": "0(?:0|[24-7]0|3[03])",
    "234": "009",
    "238": "0",
    "248": "010|0[0-2]",
    "254": "000",
    "255": "00[056]",
    "256": "00[057]",
    "591": r"00(?:1\d)?",
    "592": "001",
    "598": r"0(?:0|1[3-9]\d)",
    "677": "0[01]",
    "679": "0(?:0|52)",
    "680": "01[12]",
    "685": "0",
    "852": "00(?:30|5[09]|[126-9]?)",
    "855": "00[14-9]",
    "886": "0(?:0[25-79]|19)",
    "960": "0(?:0|19)",
    "972": "0(?:0|1(?:05|[2-9]))",
    "976": "001",
}

# Shortest and longest number of a landline or mobile phone, without the trunk prefix.
_LENGTHS = {
    (4, 5): "290",
    (4, 7): "683 690",
    (4, 11): "352",
    (4, 13): "43",
    (5, 5): "247 500 682",
    (5, 7): "676 677 678 688",
    (5, 8): "686",
    (5, 9): "27",
    (5, 10): "82 358 685",
    (5, 15): "49",
    (6, 6): "298 299 672 681 687",
    (6, 7): "597",
    (6, 9): "40 252 359 376 421 508",
    (6, 10): "53 63 95 98 880",
    (6, 12): "39",
    (7, 7): "238 239 246 248 269 291 297 501 592 673 674 679 680 691 692 960",
    (7, 8): "230 241 267 372 507 599 670 675 961 975",
    (7, 9): "46 48 220 231 254 265 354 423 595 967",
    (7, 10): "243 353",
    (7, 11): "86",
    (7, 12): "62 381",
    (8, 8): "45 47 65 216 222 223 226 227 228 232 235 236 253 257 266 268 350 356 357 370 371 "
    "373 374 382 386 389 502 503 504 505 506 509 591 598 689 852 853 965 968 973 974 993",
    (8, 9): "32 36 51 66 213 224 250 258 264 355 377 385 387 593 855 886 962 963 970 971",
    (8, 10): "20 57 60 64 378 850 856 964 976 977",
    (8, 12): "383 972",
    (9, 9): "33 34 41 56 61 93 94 211 212 218 221 233 237 240 242 244 245 249 251 255 256 260 "
    "261 262 263 351 375 380 420 590 594 596 966 992 994 995 996 998",
    (9, 10): "44 81 84 92",
    (9, 11): "31",
    (10, 10): "1 7 30 52 58 90 91 225 229 234",
    (10, 11): "54 55",
}
_LENGTHS_BY_CODE = {code: span for span, codes in _LENGTHS.items() for code in codes.split()}

# Calling codes that no country has: services such as satellite phones.
_WITHOUT_COUNTRY = frozenset(("800", "808", "870", "878", "881", "882", "883", "888", "979"))

# Digits of an international number without its prefix, at least and at most. E.164 allows 15, but
# Germany has longer numbers.
_SHORTEST_INTERNATIONAL = 7
_LONGEST_INTERNATIONAL = 17

# Digits from which on a number without any prefix may begin with the country's own calling code.
# No local number, dialled without area code, is that long.
_SHORTEST_WITH_BARE_CODE = 10

# Japanese prefixes that withhold (184) or show (186) the caller's number for one call. A number of
# at least ten digits that begins with 0 must follow: an extension such as 1840 has no prefix.
_CALLER_ID_PREFIX = re.compile(r"18[46](?=0\d{9})")
_NO_PREFIX = re.compile(r"(?!)")


@frozen(kw_only=True)
class DiallingPlan:
    """Rules for numbers that are written or dialled in one country."""

    code: str
    """Calling code, such as ``"81"``."""

    trunk: str
    """Prefix of national numbers in normal form, such as ``"0"``; empty: none."""

    international: re.Pattern[str]
    """Prefix of international calls."""

    caller_id: re.Pattern[str]
    """Prefix that withholds or shows the caller's number."""

    shortest: int
    """Digits of the shortest national number without trunk prefix."""

    longest: int
    """Digits of the longest national number without trunk prefix."""

    def normalise(self, digits: str) -> str:
        """Return the normal form of the digits that are dialled in this country.

        ``phone_numbers`` describes the normal form. Digits without a known prefix stay as they are.
        """
        _, digits = self.split_caller_id_prefix(digits)
        prefix, number = self.split_international_prefix(digits)
        if prefix or self.has_bare_code(number):
            return self.normalise_international(number)
        return digits

    def normalise_international(self, digits: str) -> str:
        """Return the normal form of the digits after a ``+``."""
        code = calling_code(digits)
        if code is None:
            return f"+{digits}"
        number = _without_trunk(code, digits[len(code) :])
        if code != self.code or not number:
            return f"+{code}{number}"
        national = self.trunk + number
        # A number of no valid form may look, in national form, like another one.
        return national if self.normalise(national) == national else f"+{code}{number}"

    def split_caller_id_prefix(self, digits: str) -> tuple[str, str]:
        """Return the prefix that withholds or shows the caller's number, and the rest.

        The prefix is empty if the digits have none.
        """
        match = self.caller_id.match(digits)
        end = 0 if match is None else match.end()
        return digits[:end], digits[end:]

    def split_international_prefix(self, digits: str) -> tuple[str, str]:
        """Return the prefix of international calls, and calling code and number after it.

        The prefix is empty if the digits have none, or if no international number follows.
        """
        match = self.international.match(digits)
        if match is not None:
            number = digits[match.end() :]
            has_length = _SHORTEST_INTERNATIONAL <= len(number) <= _LONGEST_INTERNATIONAL
            if has_length and calling_code(number) is not None:
                return match[0], number
        return "", digits

    def has_bare_code(self, digits: str) -> bool:
        """Return True if the digits are the own calling code and a number, without any prefix."""
        if not digits.startswith(self.code) or len(digits) < _SHORTEST_WITH_BARE_CODE:
            return False
        if not self.trunk and len(digits) <= self.longest:
            return False  # a national number may begin with these digits, too
        number = _without_trunk(self.code, digits[len(self.code) :])
        return self.shortest <= len(number) <= self.longest


def dialling_plan(code: str) -> DiallingPlan:
    """Return the dialling plan of the country with this calling code.

    Raises ``UsageError`` for anything that is not the calling code of a country, in digits.
    """
    if not isinstance(code, str) or code not in _LENGTHS_BY_CODE:
        raise UsageError(
            f"unknown country_code {printable(repr(code), 40)}: "
            "pass the digits of a country's calling code, such as '81'"
        )
    return _make_plan(code)


@cache
def _make_plan(code: str) -> DiallingPlan:
    span = _LENGTHS_BY_CODE[code]
    return DiallingPlan(
        code=code,
        trunk=_trunk(code),
        international=re.compile(_INTERNATIONAL.get(code, "00")),
        caller_id=_CALLER_ID_PREFIX if code == "81" else _NO_PREFIX,
        shortest=span[0],
        longest=span[1],
    )


def calling_code(digits: str) -> str | None:
    """Return the calling code with which an international number begins; ``None``: none.

    No calling code is the beginning of another one.
    """
    for length in (2, 3, 1):
        code = digits[:length]
        if code in _LENGTHS_BY_CODE or code in _WITHOUT_COUNTRY:
            return code
    return None


def _trunk(code: str) -> str:
    return "" if code in _WITHOUT_TRUNK else _TRUNK.get(code, "0")


def _without_trunk(code: str, number: str) -> str:
    """Return a number, as it follows its calling code, without a trunk prefix written by mistake.

    ``+81 (0)3…`` and ``+44 020…`` are written often. A zero that belongs to the number is kept.
    """
    trunk = _trunk(code)
    if trunk == "8" and len(number) > _LENGTHS_BY_CODE[code][1]:
        return number.removeprefix(trunk)
    if code in _WITHOUT_TRUNK:
        return number
    return number.removeprefix(trunk).lstrip("0") if trunk == "06" else number.lstrip("0")
