"""A simulator as it is inside its block, less the network: nothing takes time, or waits."""

from __future__ import annotations

import threading

from basix_ws_cti.simulator import Simulator


def simulator(*, users):
    """Its people do what they are told, by methods and by commands; of itself it does nothing."""
    pbx = Simulator(calls=False, users=users)
    pbx._attach_pbx()
    pbx.loop, pbx.thread_id = object(), threading.get_ident()
    return pbx


def run(coroutine):
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
