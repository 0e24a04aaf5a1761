"""Client library for the live CTI feed of a Basix PBX: typed elements and events from frames.

Importing this package loads none of its modules. Each name is loaded when it is first used:
``MessageParser`` loads only what parses frames, ``Client`` also asyncio and websockets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alerts.rule import Alert, AlertRule
    from .calls import (
        AgentFigures,
        Band,
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
        Interval,
        Leg,
        LoginTime,
        Participation,
        Party,
        Phase,
        QueueFigures,
        QueueStats,
        QueueWait,
        Thresholds,
        occupancy,
        rows_in_period,
    )
    from .client.backoff import Backoff
    from .client.click_to_call import ClickToCall
    from .client.client import Client
    from .client.feed import Feed
    from .client.subscriptions import Subscription
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
        CallLogError,
        CertificateError,
        ClickToCallError,
        ClientClosed,
        CommandRefused,
        CommandTimeout,
        ConnectFailed,
        ConnectionLimitReached,
        ConnectionLost,
        ConnectionReplaced,
        DecodeError,
        EavesdropError,
        FeedError,
        HandshakeError,
        HttpApiAuthenticationError,
        HttpApiError,
        LoggedOut,
        NotConnectedError,
        ProtocolError,
        ProxyError,
        RecordingError,
        RedisFeedError,
        ResyncRequired,
        SpoolError,
        SubscriberLagged,
        SyncTimeout,
        UsageError,
        WaitTimeout,
    )
    from .messages import FieldSpec, InfoEvent, InitialInfo, Message, Msg, SystemMsg, UnknownMessage
    from .mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
    from .mirror.mirror import Mirror
    from .parsing.parser import MessageParser
    from .session.session import Session
    from .session.status import (
        ClientState,
        Connecting,
        Disconnected,
        Stats,
        Stopped,
        Synced,
        Syncing,
    )
    from .transport.address import feed_url
    from .transport.connection import Connection
    from .transport.connector import connect
    from .transport.credentials import Basic, Ticket
    from .transport.http_api import HttpApi

__all__ = [
    "Added",
    "AgentFigures",
    "Alert",
    "AlertRule",
    "AuthenticationError",
    "Backoff",
    "Band",
    "Basic",
    "BasixError",
    "Call",
    "CallAnswered",
    "CallEnded",
    "CallEvent",
    "CallLogError",
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
    "ClickToCall",
    "ClickToCallError",
    "Client",
    "ClientClosed",
    "ClientState",
    "CommandRefused",
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
    "EavesdropError",
    "Element",
    "EndUser",
    "EndUsers",
    "Feed",
    "FeedError",
    "FieldSpec",
    "Gap",
    "Group",
    "GroupMember",
    "HandshakeError",
    "Hangup",
    "HttpApi",
    "HttpApiAuthenticationError",
    "HttpApiError",
    "InfoEvent",
    "InitialInfo",
    "Interval",
    "Lagged",
    "Leg",
    "LoggedOut",
    "LoginTime",
    "Message",
    "MessageParser",
    "Mirror",
    "Msg",
    "NotConnectedError",
    "OtherElement",
    "OtherInfo",
    "ParkedChannel",
    "Participation",
    "Party",
    "Phase",
    "ProtocolError",
    "ProxyError",
    "QueueFigures",
    "QueueStats",
    "QueueWait",
    "QueuedChannel",
    "RecordingError",
    "RedisFeedError",
    "Removed",
    "ResyncRequired",
    "Session",
    "SpoolError",
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
    "Thresholds",
    "Ticket",
    "UnknownMessage",
    "UsageError",
    "User",
    "WaitTimeout",
    "WaitingChannel",
    "compiled",
    "connect",
    "feed_url",
    "occupancy",
    "rows_in_period",
    "to_dict",
]

compiled: bool
"""True if the parse path was compiled to C when this package was built."""

# Modules whose names are loaded on first use: a program that only parses frames needs neither
# asyncio nor websockets, and the help of the command line needs not even the parser.
_LAZY_MODULES = {
    "alerts.rule": ("Alert", "AlertRule"),
    "calls": (
        *("AgentFigures", "Band", "Thresholds", "rows_in_period"),
        *("Call", "CallAnswered", "CallEnded", "CallEvent", "CallParked", "CallRecord"),
        *("CallRetrieved", "CallRinging", "CallStarted", "CallTracker", "CallTransferred"),
        *("CallUpdated", "Interval", "Leg", "LoginTime", "Participation", "Party"),
        *("Phase", "QueueFigures", "QueueStats", "QueueWait", "occupancy"),
    ),
    "elements": (
        *("Channel", "Domain", "Element", "EndUser", "EndUsers", "Group", "GroupMember", "Hangup"),
        *("OtherElement", "OtherInfo", "ParkedChannel", "QueuedChannel", "Target", "Terminal"),
        *("User", "WaitingChannel", "to_dict"),
    ),
    "exceptions": (
        *("AuthenticationError", "BasixError", "CallLogError", "CertificateError"),
        *("ClickToCallError", "ClientClosed", "CommandRefused", "CommandTimeout", "ConnectFailed"),
        *("ConnectionLimitReached",),
        *("ConnectionLost", "ConnectionReplaced", "DecodeError", "EavesdropError", "FeedError"),
        *("HandshakeError", "HttpApiAuthenticationError", "HttpApiError", "LoggedOut"),
        *("NotConnectedError", "ProtocolError", "ProxyError", "RecordingError"),
        *(
            "RedisFeedError",
            "ResyncRequired",
            "SpoolError",
            "SubscriberLagged",
            "SyncTimeout",
            "UsageError",
            "WaitTimeout",
        ),
    ),
    "messages": (
        *("FieldSpec", "InfoEvent", "InitialInfo", "Message", "Msg", "SystemMsg"),
        "UnknownMessage",
    ),
    "parsing.parser": ("MessageParser",),
    "client.backoff": ("Backoff",),
    "client.click_to_call": ("ClickToCall",),
    "client.client": ("Client",),
    "client.feed": ("Feed",),
    "client.subscriptions": ("Subscription",),
    "mirror.changes": ("Added", "Change", "Changed", "Gap", "Lagged", "Removed"),
    "mirror.mirror": ("Mirror",),
    "session.session": ("Session",),
    "session.status": (
        *("ClientState", "Connecting", "Disconnected", "Stats", "Stopped", "Synced", "Syncing"),
    ),
    "transport.address": ("feed_url",),
    "transport.connection": ("Connection",),
    "transport.connector": ("connect",),
    "transport.credentials": ("Basic", "Ticket"),
    "transport.http_api": ("HttpApi",),
}

# Documented modules, available as attributes without an import of their own.
_MODULES = frozenset(("elements", "exceptions", "messages", "states", "terms"))

# From each lazily loaded name to its module.
_LAZY = {name: module for module, names in _LAZY_MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would accept any name otherwise

    def __getattr__(name: str) -> Any:
        """Load the module of a name, and keep the name for the next access."""
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name == "compiled":
            return import_module(f"{__name__}._internal.native_ints").COMPILED
        if name in _LAZY:
            module = import_module(f"{__name__}.{_LAZY[name]}")
            return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Return the public names, including those not loaded yet."""
        return sorted(__all__)
