"""Running simulator without network and without waiting."""

from __future__ import annotations

import threading

from basix_ws_cti.simulator import Simulator


def simulator(*, users):
    """Return a simulator that only acts on method calls and commands."""
    pbx = Simulator(calls=False, users=users)
    pbx._attach_pbx()
    pbx.loop, pbx.thread_id = object(), threading.get_ident()
    return pbx


def run(coroutine):
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")
