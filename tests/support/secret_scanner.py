"""Secrets that can be told from anything else wherever they turn up, and who looks for them.

Every token of the tests holds ``STEM``. ``found_in`` finds it in a text: raw, in base64 (at
whatever place in what was encoded), percent-encoded, in hexadecimal. ``Watch`` looks for it
during a whole test run: in what any logger says, at DEBUG, and in what hangs on the exceptions
that come out of the package: their texts, their chains, the variables of every frame below the
caller's own.

What the other side of a connection says (``websockets.server``) is not looked at: it is told the
token, as it must be; nor is ``bare``, for tests that use the WebSocket library by itself. What
it says when we use it (``websockets.client``) is.
"""

from __future__ import annotations

import base64
import functools
import inspect
import logging
import re
from pathlib import Path

import websockets
from websockets.uri import parse_uri

import basix_ws_cti

STEM = "zQ7kanari"
TOKEN = f"{STEM}:/@ tökén?%41+"
# The token of simulators that bare clients connect to: WebSocket libraries of before 2025 take
# what stands in a URL as it is, percent signs and all.
QUOTED = parse_uri("ws://name:%25@host/").password == "%"
SIMULATED = TOKEN if QUOTED else STEM

# Code that is not the caller's.
_OURS = tuple(f"{Path(module.__file__).parent}/" for module in (basix_ws_cti, websockets))

# Loggers of the other side.
THEIRS = ("websockets.server", "bare")

# The longest text of a peer that may stand in a log line, and what stands around it at most.
LONGEST = 256
AROUND = 256


def _forms(secret):
    """How a secret can be written, within whatever stands around it."""
    data = secret.encode()
    yield secret
    yield data.hex()
    yield "".join(f"%{byte:02x}" for byte in data)
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        # Without the characters in which there are bits of what stands before or after.
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        text = encoded[first:last].decode()
        yield text
        yield text.translate(str.maketrans("+/", "-_"))


_PATTERN = re.compile("|".join(map(re.escape, dict.fromkeys(_forms(STEM)))), re.IGNORECASE)


def found_in(text):
    """The forms of the stem that are in a text."""
    return _PATTERN.findall(text)


def assert_clean(*things):
    for thing in things:
        text = thing if isinstance(thing, str) else f"{thing!r} {thing}"
        assert not found_in(text), text


def chain_of(error):
    """An exception and all that it came from, shown or not."""
    seen = {}
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen[id(error)] = error
            waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return seen.values()


def frames_of(error):
    """The frames of the traceback that are not the caller's, nor of functions of theirs."""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith(_OURS):
            yield frame
        traceback = traceback.tb_next


def _shown(value):
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - half-made: it shows nothing
        return type(error).__name__


def leaks_of(error):
    """Where the stem can be read on an exception, in words."""
    for one in chain_of(error):
        name = type(one).__name__
        shown = f"{one} {one!r} {one.args} {getattr(one, '__dict__', '')}"
        if found_in(shown):
            yield f"{name}: {shown}"
        for frame in frames_of(one):
            for variable, value in frame.f_locals.items():
                if found_in(_shown(value)):
                    where = f"{frame.f_code.co_filename}:{frame.f_code.co_name}"
                    yield f"{name}: the variable {variable} in {where}"


def assert_no_secret_hangs_on(error):
    """Nothing is to be read on it, and no frame or exception of the WebSocket library is there."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not [*leaks_of(error)]
    assert not [frame for frame in frames_of(error) if "/websockets/" in frame.f_code.co_filename]


class Watch(logging.Handler):
    """Looks at log records and exceptions; ``leaks`` is what it found."""

    def __init__(self):
        super().__init__()
        self.leaks = []

    def emit(self, record):
        if record.name in THEIRS:
            return
        said = record.getMessage()
        shown = f"{said} {record.args!r}"
        if record.exc_info and record.exc_info[1] is not None:
            shown += f" {self._text_of(record.exc_info)}"
        if found_in(shown):
            self.leaks.append(f"{record.name}: {shown}")
        if record.name.startswith("basix_ws_cti") and not (
            said.isprintable() and len(said) <= LONGEST + AROUND
        ):
            self.leaks.append(f"{record.name}, unfit for a log: {said!r}")

    @staticmethod
    def _text_of(exc_info):
        return logging.Formatter().formatException(exc_info)

    def look_at(self, error):
        """Look at an exception on its way to the caller."""
        self.leaks += leaks_of(error)

    def guard(self, cls):
        """Look at whatever comes out of a class's public methods; a function that ends it."""
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
                    self.look_at(error)
                    raise

        else:

            @functools.wraps(method)
            def call(*args, **kwargs):
                try:
                    return method(*args, **kwargs)
                except BaseException as error:
                    self.look_at(error)
                    raise

        return call
