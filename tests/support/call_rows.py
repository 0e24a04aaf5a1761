"""Hand-made rows of queues and agents; durations are in seconds."""

from __future__ import annotations

from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait

SECOND = 1_000_000


def queue_wait(call_id="1", entered=0, waited=10, result="answered", group_id=1, **columns):
    """Return a wait that began at ``entered``, in seconds; ``result`` ``None``: it lasts."""
    lasts = result is None
    values = {
        "call_id": call_id,
        "group_id": group_id,
        "entered": entered * SECOND,
        "left": None if lasts else (entered + waited) * SECOND,
        "waited_us": None if lasts else waited * SECOND,
        "result": result,
        "next_group_id": None,
        "answered_by_user_id": None,
        "rings": 0,
        "entered_by_transfer": False,
        "purpose": "call",
        "complete": not lasts,
    }
    return QueueWait(**values | columns)


def participation(
    call_id="1",
    user_id=11,
    *,
    offered=0,
    rang=5,
    talked=60,
    result="answered",
    role="offered",
    held=0,
    **columns,
):
    """Return what a user did from ``offered`` on, in seconds; ``result`` ``None``: it rings."""
    if result != "answered":
        talked = 0
    ended = (offered + rang + talked + held) * SECOND
    values = {
        "call_id": call_id,
        "user_id": user_id,
        "number": None,
        "role": role,
        "group_id": None,
        "result": result,
        "rings": 1,
        "rang_us": rang * SECOND,
        "talked_us": talked * SECOND,
        "held_us": held * SECOND,
        "transfers_out": 0,
        "transfers_in": 0,
        "first_offered": offered * SECOND,
        "answered": (offered + rang) * SECOND if result == "answered" else None,
        "left": None if result is None else ended,
        "complete": result is not None,
        "clock_adjusted": False,
        "direction": "inbound",
        "purpose": "call",
    }
    return Participation(**values | columns)
