"""Web wallboard of a staged PBX, which is drawn on demand."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

from basix_ws_cti.web.limit_set import LimitSet
from basix_ws_cti.web.view_key import ViewKey
from basix_ws_cti.web.wallboard import Wallboard

UTC_ZONE = ZoneInfo("UTC")


def wallboard_of(staged, **options):
    """Return a wallboard whose tasks do not run."""
    options = {"zone": UTC_ZONE, "limits": LimitSet(), **options}
    return Wallboard(source=staged, **options)


def take_events(wallboard, staged):
    """Apply the call events that wait, and draw."""
    while not staged.events.empty():
        wallboard.model.apply(staged.events.get_nowait())
    wallboard.draw()


def document_of(wallboard, key=None):
    """Return the present document of a view."""
    return json.loads(wallboard.view(key or ViewKey()).snapshot(wallboard.time()))
