"""Connector that replaces personal data in each frame before it is parsed.

A client with this connector never sees a name or a number of the PBX, so nothing that is derived
from its state contains one. That is safer than a replacement in the entries of the stream: no field
can be forgotten there.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from basix_ws_cti._internal.arguments import check_instance
from basix_ws_cti.exceptions import DecodeError, UsageError
from basix_ws_cti.messages import Message
from basix_ws_cti.parsing.parser import Frame, MessageParser
from basix_ws_cti.recording.anonymiser import Anonymiser
from basix_ws_cti.recording.pseudonyms import MAX_KEY_BYTES
from basix_ws_cti.transport.connector import connect
from basix_ws_cti.transport.redaction import SecretValue

MIN_KEY_BYTES = 16
"""Shortest key, in bytes: a shorter one could be found by trying all of them."""


class AnonymisingConnector:
    """``connector`` for a ``Client`` whose mirror, calls and messages have pseudonyms.

    - ``key``: at least 16 random bytes, to be kept secret. The same key gives the same pseudonyms,
      in each process and after each restart. Who has it can test guesses of names and numbers.
    - ``country_code``: country code of telephone numbers in national form.

    Ids, times, states and the names of fields are kept, as ``Anonymiser`` does. Commands that take
    a telephone number do not work with pseudonyms. Raises ``UsageError`` for a key of another type
    or length, and if no country has this calling code.
    """

    def __init__(self, key: bytes, *, country_code: str = "81") -> None:
        check_instance("key", key, bytes, "bytes")
        if len(key) < MIN_KEY_BYTES:
            raise UsageError(f"key must have at least {MIN_KEY_BYTES} bytes, got {len(key)}")
        # The anonymiser takes no longer key; all bytes of a long one count.
        self._key = SecretValue(blake2b(key, digest_size=MAX_KEY_BYTES).digest())
        # An invalid country code is an error here.
        Anonymiser(self._key.value, country_code=country_code)
        self._country_code = country_code

    def __call__(self, server: str, **options: Any) -> connect:
        """Return the context manager of a connection, as ``connect`` does."""
        return _AnonymisingConnect(self._key, self._country_code, server, **options)


class _AnonymisingConnect(connect):
    def __init__(
        self, key: SecretValue[bytes], country_code: str, server: str, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._key = key
        self._country_code = country_code

    def make_parser(self, **options: Any) -> MessageParser:
        # Each connection announces its own field names, which the anonymiser remembers.
        anonymiser = Anonymiser(self._key.value, country_code=self._country_code)
        return _AnonymisingParser(anonymiser, **options)


class _AnonymisingParser(MessageParser):
    def __init__(self, anonymiser: Anonymiser, **options: Any) -> None:
        super().__init__(**options)
        self._anonymiser = anonymiser

    def parse(self, frame: Frame) -> Message:
        replaced = self._anonymiser(frame if isinstance(frame, str) else bytes(frame))
        if replaced is None:
            super().parse(frame)  # raises the error of a frame that cannot be decoded
            raise DecodeError(0, "the personal data of a frame cannot be replaced")
        return super().parse(replaced)
