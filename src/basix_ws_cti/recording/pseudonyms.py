"""Pseudonyms: replaces words, numbers and addresses in texts by made-up ones of the same form.

Equal input gives equal output, wherever it appears; different input gives different output. No
table is needed for that, only a key: a number is permuted among the numbers of its kind, and a
word becomes syllables chosen by its keyed hash.
"""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from basix_ws_cti._internal.arguments import check_instance
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.dialling_plans import dialling_plan
from basix_ws_cti.terms import decode_text

# Levels of percent-encoding that are decoded; the feed has two. More levels could be made to cost
# time without bound, so a deeper one is replaced like a word.
MAX_ESCAPE_DEPTH = 4

# Cache of replaced texts: only texts of names' length, and a limited number, to bound the memory.
_CACHED_TEXT_LENGTH = 256  # characters
_CACHED_TEXTS = 16_384

# Digits that are permuted together. A longer number is split: it is not a telephone number, and
# one large permutation would be slow.
_MAX_DIGITS = 18

# A character of a word: letters and digits of any script with their marks, symbols and control
# characters. All other punctuation and white space separates words, and is kept.
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

# Characters that may surround a percent-escape within one encoded text.
_ESCAPED_RUN = re.compile(r"[\w.~!'()%\-]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")

_CONSONANTS, _VOWELS = "bdfghjkmnprstvz", "aeiou"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
_KANA = tuple(
    "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロ"
)


# Bytes; the longest key that BLAKE2b takes.
MAX_KEY_BYTES = 64


class Pseudonyms:
    """Source of pseudonyms for texts, numbers and addresses.

    - ``key``: decides which pseudonym replaces which original, up to 64 bytes; ``None``: a random
      key that is not stored. Who knows the key can test guesses of names and numbers.
    - ``country_code``: country code of telephone numbers in national form, so that a number has
      the same pseudonym in national and international form.

    Raises ``UsageError`` for a key of another type or length, and if no country has this calling
    code.
    """

    def __init__(self, key: bytes | None = None, country_code: str = "81") -> None:
        check_instance("key", key, bytes, "bytes", optional=True)
        if key is not None and not 0 < len(key) <= MAX_KEY_BYTES:
            raise UsageError(f"key must have 1 to {MAX_KEY_BYTES} bytes, got {len(key)}")
        self._key = secrets.token_bytes(32) if key is None else key
        self._plan = dialling_plan(country_code)
        self._replace_cached = lru_cache(_CACHED_TEXTS)(self._replace)

    def text(self, text: str) -> str:
        """Return ``text`` with words, numbers and addresses replaced, and punctuation kept.

        Also replaces inside percent-encoded parts, in up to ``MAX_ESCAPE_DEPTH`` levels.
        """
        short = len(text) <= _CACHED_TEXT_LENGTH
        return self._replace_cached(text) if short else self._replace(text)

    def uuid(self, text: str) -> str:
        """Return a pseudonym for a channel's identifier.

        A uuid is random and is kept; any other text is replaced by a made-up uuid.
        """
        if not text or re.fullmatch(_UUID, text):
            return text
        return str(UUID(bytes=self._hash(f"uuid {text}", 16)))

    def integer(self, number: int) -> int:
        """Return a pseudonym for an integer, which may be a telephone number.

        Kept are numbers of up to two digits, and those that are microseconds since the epoch.
        """
        size = abs(number)
        if size < 100 or 10**15 <= size < 10**16:
            return number
        replaced = int(self.digits(str(size)))
        return -replaced if number < 0 else replaced

    def floating(self, number: float) -> float:
        """Return a pseudonym for a float: a number from 0 to 1."""
        return int.from_bytes(self._hash(f"float {number!r}", 6)) / 2**48

    def address(self, *parts: int) -> list[int]:
        """Return a pseudonym for an IP address, given and returned as four or eight integers.

        The result is a private address, in 10.0.0.0/8 or fd00::/16.
        """
        width = len(parts) // 4
        hashed = self._hash(f"ip {parts}", 16)
        hashed = (b"\x0a" if width == 1 else b"\xfd\x00") + hashed
        return [int.from_bytes(hashed[at * width : (at + 1) * width]) for at in range(len(parts))]

    def digits(self, digits: str, *, international: bool = False) -> str:
        """Return a pseudonym for a telephone number: as many digits, and the same kind of number.

        ``digits`` are ASCII digits; ``international``: they follow a ``+``.

        - An extension becomes an extension with another first digit.
        - A national number keeps what distinguishes landline from mobile, and has the same
          pseudonym in national and international form.
        - Kept are one or two digits, which are no number, and three from 901 on, a park slot.
        """
        if len(digits) > _MAX_DIGITS:
            parts = range(0, len(digits), _MAX_DIGITS)
            return "".join(self._extension(digits[at : at + _MAX_DIGITS]) for at in parts)
        prefix = ""
        if not international:
            shown, digits = self._plan.split_caller_id_prefix(digits)
            abroad, digits = self._plan.split_international_prefix(digits)
            prefix = shown + abroad
            international = bool(abroad) or self._plan.has_bare_code(digits)
        replaced = self._international(digits) if international else self._local(digits)
        return prefix + replaced

    def _international(self, digits: str) -> str:
        """Return a pseudonym for a number that begins with a calling code."""
        if match := re.match(rf"({self._plan.code}0?)(\d{{3,}})$", digits, re.ASCII):
            return match[1] + self._national(match[2])
        if len(digits) > 7:
            return digits[:2] + self._permute(digits[2:], f"abroad {digits[:2]}")
        return self._extension(digits)

    def _local(self, digits: str) -> str:
        """Return a pseudonym for a number of the home country without calling code."""
        plan = self._plan
        if plan.trunk:
            if match := re.match(rf"({plan.trunk})(\d{{3,}})$", digits, re.ASCII):
                return match[1] + self._national(match[2])
        elif plan.shortest <= len(digits) <= plan.longest:
            return self._national(digits)
        return self._extension(digits)

    # -- texts ------------------------------------------------------------------------

    def _replace(self, text: str, depth: int = 0) -> str:
        if _ESCAPE.search(text) is None:
            return _TOKENS.sub(self._token, text)
        return _ESCAPED_RUN.sub(lambda run: self._run(run[0], depth), text)

    def _run(self, run: str, depth: int) -> str:
        """Return a run of characters around escapes, replaced inside its encoding."""
        if _ESCAPE.search(run) is None:
            return _TOKENS.sub(self._token, run)
        if depth == MAX_ESCAPE_DEPTH:
            return self._word(run)
        return quote(self._replace(decode_text(unquote_to_bytes(run)), depth + 1), safe="")

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
        """Return a pseudonym for a word; lower case, upper case or a capital initial are kept."""
        lower = text.lower()
        titled = lower[:1].upper() + lower[1:]
        style = {lower: str.lower, titled: str.title, text.upper(): str.upper}.get(text)
        hashed = int.from_bytes(self._hash(f"word {text if style is None else lower}", 8))
        wide = any(char >= "\u2e80" for char in text)
        parts, count = (_KANA, 6) if wide else (_SYLLABLES, 5)
        chosen = []
        for _ in range(count):
            hashed, at = divmod(hashed, len(parts))
            chosen.append(parts[at])
        word = "".join(chosen)
        return word if style is None else style(word)

    # -- numbers ----------------------------------------------------------------------

    def _national(self, digits: str) -> str:
        """Return a pseudonym for a national number, given without its leading zero."""
        if len(digits) < 6:
            return self._extension(digits)
        kept = 2 if _is_mobile(digits) else 1
        is_regular = self._is_regular(self._plan.trunk + digits)
        replaced = digits
        # A landline number must not become a mobile number, nor look like an international one:
        # permute again until the kind is the same. Each step is a permutation, so different
        # numbers stay different.
        while True:
            replaced = digits[:kept] + self._permute(replaced[kept:], f"national {digits[:kept]}")
            if (
                _is_mobile(replaced) == (kept == 2)
                and self._is_regular(self._plan.trunk + replaced) == is_regular
            ):
                return replaced

    def _extension(self, digits: str) -> str:
        """Return a pseudonym for an extension, or for any number of unknown form."""
        if len(digits) < 3 or _is_slot(digits):
            return digits
        shift = 1 + self._hash(f"turn {len(digits)}", 1)[0] % 8
        is_regular = self._is_regular(digits)
        # Park slots are kept, so no other number may become one, nor may an extension look like a
        # number with a prefix: permute again until the kind is the same. Each step is a
        # permutation, so different numbers stay different.
        while True:
            first = digits[0]
            shifted = first if first == "0" else str(1 + (int(first) - 1 + shift) % 9)
            digits = shifted + self._permute(digits[1:], f"extension {first}")
            if not _is_slot(digits) and self._is_regular(digits) == is_regular:
                return digits

    def _is_regular(self, digits: str) -> bool:
        """Return True if digits are in normal form: they have no prefix."""
        return self._plan.normalise(digits) == digits

    def _permute(self, digits: str, domain: str) -> str:
        """Return other digits of the same number: a keyed permutation (a Feistel network).

        ``domain`` names the kind of number; each domain has its own permutation.
        """
        half = len(digits) // 2
        left, right = digits[:half], digits[half:]
        for round_number in range(8):
            width = len(left)
            hashed = int.from_bytes(self._hash(f"{domain} {round_number} {right}", 12))
            mixed = (int(left) + hashed) % 10**width
            left, right = right, f"{mixed:0{width}d}"
        return left + right

    def _hash(self, text: str, size: int) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        return blake2b(raw, key=self._key, digest_size=size).digest()


def _is_mobile(digits: str) -> bool:
    """Return True for a number, without its leading zero, of a mobile phone or the like."""
    return digits[0] in "5789" and digits[1] == "0"


def _is_slot(digits: str) -> bool:
    """Return True for the digits of a park slot, 901 to 999."""
    return len(digits) == 3 and digits > "900"
