"""Simulated PBX whose time passes only on demand, for tests of the board and wallboard."""

from __future__ import annotations

import importlib.util

from basix_ws_cti.simulator import Person

from .paths import DOCS

_PICTURES = DOCS / "pictures.py"


def load_pictures():
    """Load docs/pictures.py as a module; it defines ``Staged`` and the documentation's images."""
    spec = importlib.util.spec_from_file_location("pictures", _PICTURES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PICTURES = load_pictures()


def quiet(users=5):
    """Return a staged PBX that starts no calls."""
    return PICTURES.Staged(rate=0, users=users)


def talk(staged, number="0312341234", by=0):
    """Start a call that a user has answered, and return the caller's channel."""
    user = list(staged.pbx.users.values())[by]
    line = staged.pbx.receive(Person(number), "0501234567")
    staged.pbx.connect(staged.pbx.call_user(line, user))
    return line
