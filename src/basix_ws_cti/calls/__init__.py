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
from .model import Call, Interval, Leg, MergedPhases, Party, Phase, Wait
from .participation import Participation
from .queue_wait import QueueWait
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
    "Interval",
    "Leg",
    "MergedPhases",
    "Participation",
    "Party",
    "Phase",
    "QueueFigures",
    "QueueStats",
    "QueueWait",
    "UserFigures",
    "Wait",
]
