"""Calls: call events, records and figures derived from the channels of the feed."""

from .call_record import CallRecord
from .events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTransferred,
    CallUpdated,
)
from .model import Call, Leg, Party, Phase
from .stats import QueueFigures, QueueStats, UserFigures
from .tracker import CallTracker

__all__ = [
    "Call",
    "CallAnswered",
    "CallEnded",
    "CallEvent",
    "CallParked",
    "CallRecord",
    "CallRetrieved",
    "CallRinging",
    "CallStarted",
    "CallTracker",
    "CallTransferred",
    "CallUpdated",
    "Leg",
    "Party",
    "Phase",
    "QueueFigures",
    "QueueStats",
    "UserFigures",
]
