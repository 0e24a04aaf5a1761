"""Scanner that searches logs and exceptions for tokens."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from support.secret_scanner import (
    SIMULATOR_TOKEN,
    STEM,
    TOKEN,
    SecretScanner,
    assert_clean,
    found_in,
    leaks_of,
)

import basix_ws_cti
from basix_ws_cti import Basic, Connection
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.credentials import secret_forms


@pytest.fixture
def scanner():
    """Scanner of a separate logger, ``scanner.logger``, whose records reach no other handler."""
    logger = logging.getLogger("basix_ws_cti.canaries")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    scanner = SecretScanner()
    logger.addHandler(scanner)
    scanner.logger = logger
    yield scanner
    logger.removeHandler(scanner)


def run_as_package_code(source, **names):
    """Run source code that looks as if it was a module of the package."""
    code = compile(source, str(Path(basix_ws_cti.__file__).parent / "made_up.py"), "exec")
    exec(code, names)


@pytest.mark.parametrize("around", ["", "a", "ab", "abc", "é/:+"])
def test_stem_is_found_in_every_encoding_and_position(around):
    text = f"{around}{STEM}{around}"
    data = text.encode()
    for shown in (
        text,
        repr(data),
        html.escape(text),
        json.dumps(text),
        quote(text, safe=""),
        quote_plus(text),
        "".join(f"%{byte:02X}" for byte in data),
        data.hex(),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
    ):
        assert found_in(f"x{shown}y"), shown
    assert not found_in(f"{STEM[:-1]} {base64.b64encode(data[:4]).decode()} {around}")


def test_stem_is_found_in_every_form_that_the_package_redacts():
    assert all(found_in(form) for form in secret_forms(Basic("acme", TOKEN)))


def test_log_records_are_searched(scanner):
    """The scanner searches the message, its arguments, and the text of an exception."""
    scanner.logger.debug("all is well with %s", "it")
    assert scanner.leaks == []
    scanner.logger.debug("a %s", quote(TOKEN))
    scanner.logger.debug("not shown: %.1s", TOKEN)
    scanner.logger.error("oh", exc_info=KeyError(TOKEN))
    assert len(scanner.leaks) == 3


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\u202e", "x" * 513])
def test_unprintable_or_long_log_lines_are_leaks(scanner, text):
    """This applies to the lines of the package."""
    scanner.logger.info("%s", text)
    assert len(scanner.leaks) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise KeyError(token)",
        "error = KeyError()\nerror.add_note(token)\nraise error",
        "mine = [token]\nraise KeyError",
        "try:\n    raise KeyError(token)\nexcept KeyError:\n    raise ValueError from None",
        (
            "def g(it):\n    1 / it\n"
            "try:\n    g(token)\nexcept TypeError as e:\n    del token\n    raise KeyError from e"
        ),
        "raise ExceptionGroup('', [KeyError(token)])",
    ],
)
def test_exceptions_are_searched(source):
    """The scanner finds texts, notes, chains, groups, and variables of the package's frames."""
    with pytest.raises(Exception) as caught:
        run_as_package_code(
            f"def f():\n    token = make()\n    {source.replace(chr(10), chr(10) + '    ')}\nf()",
            make=lambda: TOKEN,
        )
    assert [*leaks_of(caught.value)]


def test_variables_of_the_caller_are_no_leak():
    """A frame outside of the package may hold the secret, because it passed the secret in."""
    token = TOKEN
    with pytest.raises(ZeroDivisionError) as caught:
        run_as_package_code("1 / 0")
    assert token
    assert [*leaks_of(caught.value)] == []


async def test_exceptions_of_guarded_methods_are_searched():
    """The scanner searches exceptions of a class's public methods until the guard ends."""

    class Guarded:
        def __init__(self, token):
            self.token = token

        def fail(self):
            raise KeyError(self.token)

        async def fail_later(self):
            raise KeyError(self.token)

        async def succeed(self):
            return 5

    scanner = SecretScanner()
    end = scanner.guard(Guarded)
    guarded = Guarded(TOKEN)
    assert await guarded.succeed() == 5
    assert scanner.leaks == []
    with pytest.raises(KeyError):
        guarded.fail()
    with pytest.raises(KeyError):
        await guarded.fail_later()
    assert len(scanner.leaks) == 2
    end()
    with pytest.raises(KeyError):
        guarded.fail()
    assert len(scanner.leaks) == 2


async def test_this_test_run_is_scanned():
    """Loggers run at DEBUG, simulators use a canary token, and connections are guarded."""
    assert logging.getLogger("anything").isEnabledFor(logging.DEBUG)
    library = logging.getLogger("websockets.client")
    assert library.isEnabledFor(logging.DEBUG) is bool(os.environ.get("BASIX_CANARY"))
    async with Simulator(calls=False) as pbx:
        assert pbx.connect_args["token"] == SIMULATOR_TOKEN
    assert Connection.send.__code__.co_filename.endswith("secret_scanner.py")
    with pytest.raises(AssertionError):
        assert_clean(Basic, [SIMULATOR_TOKEN])
