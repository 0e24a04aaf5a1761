"""Other words for words, other numbers for numbers: what tells of people in a text, replaced.

The same is replaced by the same, wherever it stands; different things, by different ones. That
needs no memory, only a key: a number is permuted among those of its sort, a word becomes
syllables drawn from its hash.
"""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from basix_ws_cti.terms import decode_text

# Escapes within escapes; the feed has two. Deeper ones are replaced as they stand.
MAX_ESCAPES = 4

# Texts that are remembered with what they become: as short as names, and so many.
_REMEMBERED = 256, 16_384

# Digits that are permuted together; longer numbers in parts.
_MAX_DIGITS = 18

# What may be part of a word: letters and digits of any script with their marks, signs, and what
# is no text at all. Other punctuation and space is where texts are joined, and stays.
_LETTER = (
    r"(?:\w|[^\t\n\r\x20-\x7e\xa0-\xbf\xd7\xf7\u2000-\u206f\u3000-\u303f\u30fb\uff01-\uff65\ufffd])"
)

_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

_TOKENS = re.compile(
    rf"""
    (?P<uuid>(?<![\w-]){_UUID}(?![\w-]))
    | (?P<ip4>(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.]))
    | (?P<ip6>(?<![\w:])(?=:*[0-9a-fA-F])[0-9a-fA-F]{{0,4}}(?::[0-9a-fA-F]{{0,4}}){{2,7}}(?![\w:]))
    | (?P<kept>
        (?:https?|wss?|sips?|tel|mailto)(?=:)
        | (?<=\w)\.(?:png|jpe?g|gif|webp|svg)(?!\w)
        | (?<=[:,\[])(?:true|false|null)(?=[,}}\]])
        | (?<=")(?:name|spam|number|type)(?=":)
      )
    | (?P<number>\+?\(?\d[\d\s().\-/\u2010-\u2015\u2212\u30fc]*\d(?!{_LETTER}))
    | (?P<word>{_LETTER}+)
    """,
    re.VERBOSE,
)

# Where a text holds escapes: what stands together with one.
_RUN = re.compile(r"[\w.~!'()%\-]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")

_CONSONANTS, _VOWELS = "bdfghjkmnprstvz", "aeiou"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
_KANA = tuple(
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロ"
)


class Pseudonyms:
    """Replaces what tells of people, by ``key``, or one that nobody knows.

    ``country_code`` is that of numbers in the national form: they are the same in any form.
    """

    def __init__(self, key: bytes | None = None, country_code: str = "81") -> None:
        self._key = secrets.token_bytes(32) if key is None else key
        self._country_code = country_code
        longest, count = _REMEMBERED
        self._longest = longest
        self._short = lru_cache(count)(self._replaced)

    def text(self, text: str) -> str:
        """A text with its words, numbers and addresses replaced, and its punctuation kept."""
        return self._short(text) if len(text) <= self._longest else self._replaced(text)

    def uuid(self, text: str) -> str:
        """What names a channel: a uuid tells nothing and stays; else a uuid of its own."""
        if not text or re.fullmatch(_UUID, text):
            return text
        return str(UUID(bytes=self._hash(f"uuid {text}", 16)))

    def integer(self, number: int) -> int:
        """A number that may be a telephone's; microseconds since the epoch stay."""
        size = abs(number)
        if size < 100 or 10**15 <= size < 10**16:
            return number
        replaced = int(self.digits(str(size)))
        return -replaced if number < 0 else replaced

    def fraction(self, number: float) -> float:
        """A number with a fraction becomes another, from 0 to 1."""
        return int.from_bytes(self._hash(f"float {number!r}", 6)) / 2**48

    def address(self, *parts: int) -> list[int]:
        """The parts of an IP address, four or eight of them."""
        width = len(parts) // 4
        drawn = self._hash(f"ip {parts}", 16)
        drawn = (b"\x0a" if width == 1 else b"\xfd\x00") + drawn
        return [int.from_bytes(drawn[at * width : (at + 1) * width]) for at in range(len(parts))]

    def digits(self, digits: str, *, international: bool = False) -> str:
        """A number of as many digits, of the same sort.

        Extensions stay extensions, with another first digit. Of longer ones what tells landline
        from mobile stays, and of the same number in two forms both stay the same number.
        Two digits are no number, and three from 901 on are a park slot.
        """
        if len(digits) > _MAX_DIGITS:
            parts = range(0, len(digits), _MAX_DIGITS)
            return "".join(self._extension(digits[at : at + _MAX_DIGITS]) for at in parts)
        code = self._country_code
        forms = rf"{code}0?" if international else rf"010{code}0?|0"
        if match := re.match(rf"({forms})(\d{{3,}})$", digits, re.ASCII):
            return match[1] + self._national(match[2])
        if international and len(digits) > 7:
            return digits[:2] + self._permuted(digits[2:], f"abroad {digits[:2]}")
        return self._extension(digits)

    # -- texts ------------------------------------------------------------------------

    def _replaced(self, text: str, depth: int = 0) -> str:
        if _ESCAPE.search(text) is None:
            return _TOKENS.sub(self._token, text)
        return _RUN.sub(lambda run: self._run(run[0], depth), text)

    def _run(self, run: str, depth: int) -> str:
        if _ESCAPE.search(run) is None:
            return _TOKENS.sub(self._token, run)
        if depth == MAX_ESCAPES:
            return self._word(run)
        return quote(self._replaced(decode_text(unquote_to_bytes(run)), depth + 1), safe="")

    def _token(self, match: re.Match[str]) -> str:
        text = match[0]
        match match.lastgroup:
            case "number":
                return self._number(text)
            case "word":
                return self._number(text) if text.isdecimal() else self._word(text)
            case "ip4":
                return ".".join(map(str, self.address(*map(int, text.split(".")))))
            case "ip6":
                return "fd00::" + self._hash(f"ip6 {text.lower()}", 4).hex(":", 2)
        return text

    def _number(self, text: str) -> str:
        digits = "".join(str(int(char)) for char in text if char.isdecimal())
        replaced = iter(self.digits(digits, international=text[0] == "+" and len(digits) > 7))
        return "".join(next(replaced) if char.isdecimal() else char for char in text)

    def _word(self, text: str) -> str:
        """Another word; a capitalised one is the same word, capitalised."""
        lower = text.lower()
        titled = lower[:1].upper() + lower[1:]
        style = {lower: str.lower, titled: str.title, text.upper(): str.upper}.get(text)
        drawn = int.from_bytes(self._hash(f"word {text if style is None else lower}", 8))
        wide = any(char >= "\u2e80" for char in text)
        parts, count = (_KANA, 6) if wide else (_SYLLABLES, 5)
        chosen = []
        for _ in range(count):
            drawn, at = divmod(drawn, len(parts))
            chosen.append(parts[at])
        word = "".join(chosen)
        return word if style is None else style(word)

    # -- numbers ----------------------------------------------------------------------

    def _national(self, digits: str) -> str:
        """A number without its leading zero."""
        if len(digits) < 6:
            return self._extension(digits)
        kept = 2 if _is_mobile(digits) else 1
        replaced = digits
        while True:
            replaced = digits[:kept] + self._permuted(replaced[kept:], f"national {digits[:kept]}")
            if _is_mobile(replaced) == (kept == 2):
                return replaced

    def _extension(self, digits: str) -> str:
        if len(digits) < 3 or _is_slot(digits):
            return digits
        turn = 1 + self._hash(f"turn {len(digits)}", 1)[0] % 8
        while True:
            lead = digits[0]
            turned = lead if lead == "0" else str(1 + (int(lead) - 1 + turn) % 9)
            digits = turned + self._permuted(digits[1:], f"extension {lead}")
            if not _is_slot(digits):
                return digits

    def _permuted(self, digits: str, sort: str) -> str:
        """One of as many digits, for each another: a Feistel network."""
        half = len(digits) // 2
        left, right = digits[:half], digits[half:]
        for turn in range(8):
            width = len(left)
            drawn = int.from_bytes(self._hash(f"{sort} {turn} {right}", 12))
            mixed = (int(left) + drawn) % 10**width
            left, right = right, f"{mixed:0{width}d}"
        return left + right

    def _hash(self, text: str, size: int) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        return blake2b(raw, key=self._key, digest_size=size).digest()


def _is_mobile(digits: str) -> bool:
    """Whether a number, without its leading zero, is a mobile telephone's or one like it."""
    return digits[0] in "5789" and digits[1] == "0"


def _is_slot(digits: str) -> bool:
    """Whether digits name a park slot: from 901 on."""
    return len(digits) == 3 and digits > "900"
