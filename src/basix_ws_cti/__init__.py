"""Read the live CTI feed of a Basix PBX: frames in, typed elements and events out.

Importing this package loads neither asyncio nor websockets: the names that need them are
fetched when they are first used.
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
from .endpoint import Basic, Ticket, feed_url
from .exceptions import (
    AuthenticationError,
    BasixError,
    CertificateError,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    FeedError,
    HandshakeError,
    ProtocolError,
    UsageError,
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

if TYPE_CHECKING:
    from .connection import Connection, connect

__all__ = [
    "Added",
    "AuthenticationError",
    "Basic",
    "BasixError",
    "CertificateError",
    "Change",
    "Changed",
    "Channel",
    "ConnectFailed",
    "Connection",
    "ConnectionLimitReached",
    "ConnectionLost",
    "ConnectionReplaced",
    "DecodeError",
    "Domain",
    "Element",
    "EndUser",
    "EndUsers",
    "FeedError",
    "FieldSpec",
    "Group",
    "GroupMember",
    "HandshakeError",
    "Hangup",
    "InfoEvent",
    "InitialInfo",
    "Message",
    "MessageParser",
    "Mirror",
    "Msg",
    "OtherElement",
    "OtherInfo",
    "ParkedChannel",
    "ProtocolError",
    "QueuedChannel",
    "Removed",
    "SystemMsg",
    "Target",
    "Terminal",
    "Ticket",
    "UnknownMessage",
    "UsageError",
    "User",
    "WaitingChannel",
    "connect",
    "feed_url",
    "to_dict",
]


if not TYPE_CHECKING:  # to a type checker it would say that any name is there

    def __getattr__(name: str) -> Any:
        if name in __all__:  # and not imported above: the connector's
            from . import connection  # noqa: PLC0415

            return getattr(connection, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
