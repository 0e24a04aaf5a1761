"""For all tests."""

from __future__ import annotations

import logging
import os
import signal

import canaries
import pytest

from basix_ws_cti import Basic, Client, Connection, Ticket, connect
from basix_ws_cti.simulator import Simulator

# A shell that starts us in the background lets us ignore Ctrl-C, and those whom we start: the
# tests that press it need it to work.
signal.signal(signal.SIGINT, signal.default_int_handler)
# It would hide what users see: a line that nobody flushed, or that can't be.
os.environ.pop("PYTHONUNBUFFERED", None)


# -- no secret comes out -------------------------------------------------------------------


_watch = canaries.Watch()


@pytest.fixture(scope="session", autouse=True)
def watched():
    """The whole test run, at DEBUG on every logger and with canaries for tokens.

    But for the WebSocket library's, at which another way of reading begins than users go: it is
    in the tests of the connection, and everywhere under ``BASIX_CANARY``.
    """
    patch = pytest.MonkeyPatch()
    patch.setitem(Simulator.__init__.__kwdefaults__, "token", canaries.SIMULATED)
    root = logging.getLogger()
    root.addHandler(_watch)
    # Theirs are not looked at, and would make floods slow.
    levels = {"": logging.DEBUG, **dict.fromkeys(canaries.THEIRS, logging.INFO)}
    if not os.environ.get("BASIX_CANARY"):
        levels["websockets.client"] = logging.INFO
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    ends = [_watch.guard(cls) for cls in (Basic, Ticket, connect, Connection, Client)]
    yield
    for end in ends:
        end()
    root.removeHandler(_watch)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    patch.undo()


@pytest.fixture(autouse=True)
def no_secret_comes_out(watched):
    """Whatever a test does, its secrets show nowhere."""
    yield
    leaks, _watch.leaks = _watch.leaks, []
    assert not leaks, "\n".join(leaks)


def pytest_warning_recorded(warning_message):
    """Warnings are looked at like what is logged."""
    canaries.assert_clean(str(warning_message.message))


# -- for some ------------------------------------------------------------------------------


@pytest.fixture
def quiet_log():
    """Nothing is logged: pytest keeps what is, which is memory too."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
