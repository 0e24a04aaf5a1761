"""Canary tokens, and a scanner that searches logs and exceptions for them.

Every token of the tests contains ``STEM``. ``found_in`` finds it in a text: raw, in base64 (at
any position of the encoded bytes), percent-encoded, or in hexadecimal. ``SecretScanner`` searches
for it during a complete test run: in the records of all loggers at DEBUG, and in the exceptions
that the package raises. Of an exception it searches the text, the chain, and the local variables
of every frame below the caller's own.

The scanner skips the loggers of the other side of a connection (``websockets.server``), which has
to receive the token, and the logger ``bare`` of tests that use the WebSocket library directly. It
does search the records of ``websockets.client``.
"""

from __future__ import annotations

import base64
import functools
import gc
import inspect
import logging
import re
from pathlib import Path

import websockets
from websockets.uri import parse_uri

import basix_ws_cti
from basix_ws_cti.transport.redaction import NotPicklable

STEM = "zQ7kanari"
TOKEN = f"{STEM}:/@ tökén?%41+"
# WebSocket libraries from before 2025 do not percent-decode the password in a URL.
DECODES_URLS = parse_uri("ws://name:%25@host/").password == "%"
# The token of simulators that bare clients connect to.
SIMULATOR_TOKEN = TOKEN if DECODES_URLS else STEM

# Folders of code that is not the caller's.
_PACKAGES = tuple(f"{Path(module.__file__).parent}/" for module in (basix_ws_cti, websockets))

# Loggers that the scanner skips.
SKIPPED_LOGGERS = ("websockets.server", "bare")

# A log line may quote up to LONGEST characters of a peer's text, with AROUND other characters.
LONGEST = 256
AROUND = 256


def secret_holders(owner):
    """Return all objects below ``owner`` that hold a secret: those that refuse to be pickled."""
    found, waiting = {}, [owner]
    while waiting:
        for one in gc.get_referents(waiting.pop()):
            own = type(one).__module__.startswith("basix_ws_cti")
            if id(one) not in found and (own or type(one) in {dict, list, tuple}):
                found[id(one)] = one
                waiting.append(one)
    holders = (one for one in found.values() if isinstance(one, NotPicklable) and one is not owner)
    return sorted(holders, key=lambda holder: type(holder).__name__)


def _forms(secret):
    """Yield each encoding of a secret, as it appears inside any other text."""
    data = secret.encode()
    yield secret
    yield data.hex()
    yield "".join(f"%{byte:02x}" for byte in data)
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        # Without the characters that also encode bits of the neighbouring bytes.
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        text = encoded[first:last].decode()
        yield text
        yield text.translate(str.maketrans("+/", "-_"))


_PATTERN = re.compile("|".join(map(re.escape, dict.fromkeys(_forms(STEM)))), re.IGNORECASE)


def found_in(text):
    """Return the occurrences of the stem in a text, in any encoding."""
    return _PATTERN.findall(text)


def assert_clean(*values):
    """Assert that no value shows the stem in its text or its repr."""
    for value in values:
        text = value if isinstance(value, str) else f"{value!r} {value}"
        assert not found_in(text), text


def chain_of(error):
    """Return an exception and all exceptions in its chain, including suppressed ones."""
    seen = {}
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen[id(error)] = error
            waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return seen.values()


def frames_of(error):
    """Yield the frames of the traceback that run code of the package or the WebSocket library."""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith(_PACKAGES):
            yield frame
        traceback = traceback.tb_next


def _repr(value):
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a half-made object shows nothing
        return type(error).__name__


def leaks_of(error):
    """Yield a description of each place where an exception shows the stem."""
    for one in chain_of(error):
        name = type(one).__name__
        shown = f"{one} {one!r} {one.args} {getattr(one, '__dict__', '')}"
        if found_in(shown):
            yield f"{name}: {shown}"
        for frame in frames_of(one):
            for variable, value in frame.f_locals.items():
                if found_in(_repr(value)):
                    where = f"{frame.f_code.co_filename}:{frame.f_code.co_name}"
                    yield f"{name}: variable {variable} in {where}"


def assert_no_secret_in_error(error):
    """Assert that an exception shows no secret, and no exception or frame of websockets."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not [*leaks_of(error)]
    assert not [frame for frame in frames_of(error) if "/websockets/" in frame.f_code.co_filename]


class SecretScanner(logging.Handler):
    """Searches log records and exceptions for secrets; ``leaks`` describes each finding."""

    def __init__(self):
        super().__init__()
        self.leaks = []

    def emit(self, record):
        if record.name in SKIPPED_LOGGERS:
            return
        message = record.getMessage()
        shown = f"{message} {record.args!r}"
        if record.exc_info and record.exc_info[1] is not None:
            shown += f" {self._text_of(record.exc_info)}"
        if found_in(shown):
            self.leaks.append(f"{record.name}: {shown}")
        if record.name.startswith("basix_ws_cti") and not (
            message.isprintable() and len(message) <= LONGEST + AROUND
        ):
            self.leaks.append(f"{record.name}, not printable or too long: {message!r}")

    @staticmethod
    def _text_of(exc_info):
        return logging.Formatter().formatException(exc_info)

    def scan(self, error):
        """Search an exception that a guarded method raises."""
        self.leaks += leaks_of(error)

    def guard(self, cls):
        """Search all exceptions of a class's public methods; return a function that stops it."""
        methods = {
            name: method
            for name, method in vars(cls).items()
            if inspect.isfunction(method)
            and (name in {"__init__", "__aenter__", "__aexit__", "__anext__"} or name[0] != "_")
        }
        for name, method in methods.items():
            setattr(cls, name, self._guarded(method))

        def end():
            for name, method in methods.items():
                setattr(cls, name, method)

        return end

    def _guarded(self, method):
        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def call(*args, **kwargs):
                try:
                    return await method(*args, **kwargs)
                except BaseException as error:
                    self.scan(error)
                    raise

        else:

            @functools.wraps(method)
            def call(*args, **kwargs):
                try:
                    return method(*args, **kwargs)
                except BaseException as error:
                    self.scan(error)
                    raise

        return call
