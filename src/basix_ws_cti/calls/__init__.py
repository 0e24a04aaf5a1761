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
from .figures import AgentFigures, Band, QueueFigures, Thresholds, rows_in_period
from .login_time import LoginTime, occupancy
from .model import Call, Interval, Leg, MergedPhases, Party, Phase, Transfer, Wait
from .participation import Participation
from .queue_wait import QueueWait
from .stats import QueueStats
from .tracker import CallTracker

__all__ = [
    "AgentFigures",
    "Band",
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
    "LoginTime",
    "MergedPhases",
    "Participation",
    "Party",
    "Phase",
    "QueueFigures",
    "QueueStats",
    "QueueWait",
    "Thresholds",
    "Transfer",
    "Wait",
    "occupancy",
    "rows_in_period",
]
