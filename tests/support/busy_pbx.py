"""Simulated PBX in which calls begin, go on and end."""

from __future__ import annotations

import contextlib

from basix_ws_cti.simulator import NotPossibleError
from basix_ws_cti.simulator.scenarios import SCENARIOS


def be_busy(pbx, rng):
    """Let some calls begin, go on and end."""
    with contextlib.suppress(NotPossibleError):  # when no user is free
        pbx.play(rng.choice(list(SCENARIOS)))
    pbx.advance(rng.uniform(1, 20))
