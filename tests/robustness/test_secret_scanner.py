from __future__ import annotations

import base64
import html
import json
import logging
import os
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from support.secret_scanner import SIMULATED, STEM, TOKEN, Watch, assert_clean, found_in, leaks_of

import basix_ws_cti
from basix_ws_cti import Basic, Connection
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.credentials import secret_forms


@pytest.fixture
def watch():
    """A watch of a logger of its own, of which nobody else hears."""
    logger = logging.getLogger("basix_ws_cti.canaries")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    watch = Watch()
    logger.addHandler(watch)
    watch.logger = logger
    yield watch
    logger.removeHandler(watch)


def ours(source, **names):
    """Run a piece of code that passes for the package's own."""
    code = compile(source, str(Path(basix_ws_cti.__file__).parent / "made_up.py"), "exec")
    exec(code, names)


@pytest.mark.parametrize("around", ["", "a", "ab", "abc", "é/:+"])
def test_the_stem_is_found_however_it_is_written(around):
    """Raw, encoded, and wherever it stands in what is encoded."""
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


def test_the_stem_is_found_in_every_form_that_is_masked():
    """The forms that the package masks are forms in which the canary shows."""
    assert all(found_in(form) for form in secret_forms(Basic("acme", TOKEN)))


def test_what_is_logged_is_looked_at(watch):
    """The message, its arguments, and the text of an exception beside it."""
    watch.logger.debug("all is well with %s", "it")
    assert watch.leaks == []
    watch.logger.debug("a %s", quote(TOKEN))
    watch.logger.debug("not shown: %.1s", TOKEN)
    watch.logger.error("oh", exc_info=KeyError(TOKEN))
    assert len(watch.leaks) == 3


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\u202e", "x" * 513])
def test_what_is_unfit_for_a_log(watch, text):
    """A line of the package's that is not printable, or too long, is a leak too."""
    watch.logger.info("%s", text)
    assert len(watch.leaks) == 1


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
def test_what_hangs_on_an_exception(source):
    """Texts, notes, chains, groups, and the variables of the package's own frames."""
    with pytest.raises(Exception) as caught:
        ours(
            f"def f():\n    token = make()\n    {source.replace(chr(10), chr(10) + '    ')}\nf()",
            make=lambda: TOKEN,
        )
    assert [*leaks_of(caught.value)]


def test_the_callers_own_variables_are_theirs():
    """A frame outside of the package may hold the secret: it came from there."""
    token = TOKEN
    with pytest.raises(ZeroDivisionError) as caught:
        ours("1 / 0")
    assert token
    assert [*leaks_of(caught.value)] == []


async def test_what_comes_out_of_the_package_is_looked_at():
    """A guarded class's public methods show their exceptions to the watch, until it ends."""

    class Room:
        def __init__(self, token):
            self.token = token

        def leave(self):
            raise KeyError(self.token)

        async def wait(self):
            raise KeyError(self.token)

        async def stay(self):
            return 5

    watch = Watch()
    end = watch.guard(Room)
    room = Room(TOKEN)
    assert await room.stay() == 5
    assert watch.leaks == []
    with pytest.raises(KeyError):
        room.leave()
    with pytest.raises(KeyError):
        await room.wait()
    assert len(watch.leaks) == 2
    end()
    with pytest.raises(KeyError):
        room.leave()
    assert len(watch.leaks) == 2


async def test_this_run_is_watched():
    """The whole run is at DEBUG, simulators have a canary for a token, connections are guarded."""
    assert logging.getLogger("anything").isEnabledFor(logging.DEBUG)
    library = logging.getLogger("websockets.client")
    assert library.isEnabledFor(logging.DEBUG) is bool(os.environ.get("BASIX_CANARY"))
    async with Simulator(calls=False) as pbx:
        assert pbx.connect_args["token"] == SIMULATED
    assert Connection.send.__code__.co_filename.endswith("secret_scanner.py")
    with pytest.raises(AssertionError):
        assert_clean(Basic, [SIMULATED])
