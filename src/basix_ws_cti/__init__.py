"""Read the live CTI feed of a Basix PBX: frames in, typed elements and events out.

Importing this package loads neither asyncio nor websockets: the names that need them are
fetched when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .backoff import Backoff
from .calls import (
    Call,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRecord,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTracker,
    CallTransferred,
    CallUpdated,
    Leg,
    Party,
    Phase,
    QueueFigures,
    QueueStats,
    UserFigures,
)
from .elements import (
    Channel,
    Domain,
    Element,
    EndUser,
    EndUsers,
    Group,
    GroupMember,
    Hangup,
    OtherElement,
    OtherInfo,
    ParkedChannel,
    QueuedChannel,
    Target,
    Terminal,
    User,
    WaitingChannel,
    to_dict,
)
from .endpoint import Basic, Ticket, feed_url
from .exceptions import (
    AuthenticationError,
    BasixError,
    CertificateError,
    CommandTimeout,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    FeedError,
    HandshakeError,
    LoggedOut,
    NotConnectedError,
    PictureDoubtful,
    ProtocolError,
    RecordingError,
    SubscriberLagged,
    SyncTimeout,
    UsageError,
    WaitTimeout,
)
from .messages import (
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Message,
    Msg,
    SystemMsg,
    UnknownMessage,
)
from .mirror import Added, Change, Changed, Mirror, Removed
from .parser import MessageParser
from .status import (
    ClientState,
    Connecting,
    Disconnected,
    Gap,
    Lagged,
    Stats,
    Stopped,
    Synced,
    Syncing,
)

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection, connect
    from .subscriptions import Subscription

__all__ = [
    "Added",
    "AuthenticationError",
    "Backoff",
    "Basic",
    "BasixError",
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
    "CertificateError",
    "Change",
    "Changed",
    "Channel",
    "Client",
    "ClientState",
    "CommandTimeout",
    "ConnectFailed",
    "Connecting",
    "Connection",
    "ConnectionLimitReached",
    "ConnectionLost",
    "ConnectionReplaced",
    "DecodeError",
    "Disconnected",
    "Domain",
    "Element",
    "EndUser",
    "EndUsers",
    "FeedError",
    "FieldSpec",
    "Gap",
    "Group",
    "GroupMember",
    "HandshakeError",
    "Hangup",
    "InfoEvent",
    "InitialInfo",
    "Lagged",
    "Leg",
    "LoggedOut",
    "Message",
    "MessageParser",
    "Mirror",
    "Msg",
    "NotConnectedError",
    "OtherElement",
    "OtherInfo",
    "ParkedChannel",
    "Party",
    "Phase",
    "PictureDoubtful",
    "ProtocolError",
    "QueueFigures",
    "QueueStats",
    "QueuedChannel",
    "RecordingError",
    "Removed",
    "Stats",
    "Stopped",
    "SubscriberLagged",
    "Subscription",
    "SyncTimeout",
    "Synced",
    "Syncing",
    "SystemMsg",
    "Target",
    "Terminal",
    "Ticket",
    "UnknownMessage",
    "UsageError",
    "User",
    "UserFigures",
    "WaitTimeout",
    "WaitingChannel",
    "connect",
    "feed_url",
    "to_dict",
]


if not TYPE_CHECKING:  # to a type checker it would say that any name is there

    def __getattr__(name: str) -> Any:
        if name in __all__:  # and not imported above: it needs asyncio
            from . import client, connection, subscriptions  # noqa: PLC0415

            for module in (connection, subscriptions, client):
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
