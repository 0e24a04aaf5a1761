"""Read the live CTI feed of a Basix PBX: frames in, typed elements and events out.

Importing this package loads what parses frames. The names of all else are fetched when they
are first used: those that need asyncio and websockets, the mirror, calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from .octets import COMPILED as _COMPILED
from .parser import MessageParser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

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
    from .client import Client
    from .connection import Connection, connect
    from .endpoint import Basic, Ticket, feed_url
    from .mirror import Added, Change, Changed, Mirror, Removed
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
    "compiled",
    "connect",
    "feed_url",
    "to_dict",
]

compiled: bool = _COMPILED
"""Whether the parse path was compiled to C when this package was built."""


if not TYPE_CHECKING:  # to a type checker it would say that any name is there

    def __getattr__(name: str) -> Any:
        if name in __all__:  # and not imported above
            for module in _modules():
                if name in vars(module):
                    # Found once, it is there like any other.
                    return globals().setdefault(name, vars(module)[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def _modules() -> Iterator[ModuleType]:
        """The modules of the other names: what is loaded quickly first, what needs asyncio last."""
        from . import endpoint, mirror, status  # noqa: PLC0415

        yield from (endpoint, mirror, status)
        from . import backoff, calls  # noqa: PLC0415

        yield from (backoff, calls)
        from . import client, connection, subscriptions  # noqa: PLC0415

        yield from (client, connection, subscriptions)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
