"""Exceptions: texts, attributes, copies and the tree of classes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest
from support.cases import for_each

import basix_ws_cti
from basix_ws_cti import exceptions
from basix_ws_cti.exceptions import (
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
    printable,
)

PROXY = "the proxy refused the connection to the server with HTTP"
PROXY_LOGIN = " (it requires a login: use http://user:password@host:port)"
HTTP = "the server answered the handshake with HTTP"
REDIRECT = " (redirects are not followed: name the final server)"
API = "the HTTP API reported an error"
LOST = "the connection was lost (close code"
LIMIT = (
    "the PBX already has as many connections for this user and app_name as it allows: "
    "close one, use another app_name, or pass force=True to replace the oldest"
)
REPLACED = "another connection with the same app_name and force=True replaced this one"

# The exception, its text, its attributes.
TABLE = [
    (BasixError("problem"), "problem", {}),
    (UsageError("usage problem"), "usage problem", {}),
    (
        DecodeError(7, "unknown tag 1"),
        "byte 7: unknown tag 1",
        {"offset": 7, "reason": "unknown tag 1", "inflated": False},
    ),
    (
        DecodeError(0, "unknown tag 1", inflated=True),
        "byte 0 of the inflated term: unknown tag 1",
        {"offset": 0, "reason": "unknown tag 1", "inflated": True},
    ),
    (
        ProtocolError("no tuple"),
        "no tuple",
        {"problem": "no tuple", "element_name": None, "field": None},
    ),
    (
        ProtocolError("no tuple", "user"),
        "user: no tuple",
        {"problem": "no tuple", "element_name": "user", "field": None},
    ),
    (
        ProtocolError("no text", "user", "label"),
        "user, label: no text",
        {"problem": "no text", "element_name": "user", "field": "label"},
    ),
    (
        ProtocolError("no text", field="label"),
        "label: no text",
        {"problem": "no text", "element_name": None, "field": "label"},
    ),
    (
        CallLogError("calls.db", "no such folder"),
        "call log calls.db: no such folder",
        {"name": "calls.db", "problem": "no such folder"},
    ),
    (
        SpoolError("hook.db", "no such folder"),
        "spool hook.db: no such folder",
        {"name": "hook.db", "problem": "no such folder"},
    ),
    (
        RecordingError("day.rec", 7, "no JSON"),
        "day.rec, line 7: no JSON",
        {"name": "day.rec", "line": 7, "problem": "no JSON"},
    ),
    (
        RedisFeedError("10.0.0.1:6379", "loading", "it is loading its data"),
        "Redis at 10.0.0.1:6379: it is loading its data",
        {"server": "10.0.0.1:6379", "cause": "loading", "problem": "it is loading its data"},
    ),
    (  # both names may come from the peer
        ProtocolError("unknown", "x\n" * 60, "\x1b[31m"),
        "x\ufffd" * 29 + "x…, \ufffd[31m: unknown",
        {"problem": "unknown", "element_name": "x\n" * 60, "field": "\x1b[31m"},
    ),
    (FeedError("feed problem"), "feed problem", {}),
    (ConnectFailed("no such host"), "cannot connect: no such host", {"reason": "no such host"}),
    (
        CertificateError("self-signed certificate"),
        "cannot connect: self-signed certificate",
        {"reason": "self-signed certificate"},
    ),
    (
        HandshakeError(503),
        f"{HTTP} 503",
        {"status": 503, "reason": None, "retry_after": None},
    ),
    (
        HandshakeError(503, "busy", "120"),
        f"{HTTP} 503: busy",
        {"status": 503, "reason": "busy", "retry_after": "120"},
    ),
    (HandshakeError(503, ""), f"{HTTP} 503", {"status": 503, "reason": "", "retry_after": None}),
    (HandshakeError(299), f"{HTTP} 299", {"status": 299}),
    (HandshakeError(300), f"{HTTP} 300{REDIRECT}", {"status": 300}),
    (HandshakeError(302, "moved"), f"{HTTP} 302{REDIRECT}: moved", {"reason": "moved"}),
    (HandshakeError(399), f"{HTTP} 399{REDIRECT}", {"status": 399}),
    (HandshakeError(400), f"{HTTP} 400", {"status": 400}),
    (
        AuthenticationError(401),
        "the server refused the login with HTTP 401",
        {"status": 401, "reason": None, "retry_after": None},
    ),
    (
        AuthenticationError(403, "no such user", "5"),
        "the server refused the login with HTTP 403: no such user",
        {"status": 403, "reason": "no such user", "retry_after": "5"},
    ),
    (
        ProxyError(503, "7"),
        f"cannot connect: {PROXY} 503",
        {"status": 503, "reason": f"{PROXY} 503", "retry_after": "7"},
    ),
    (
        ProxyError(407),
        f"cannot connect: {PROXY} 407{PROXY_LOGIN}",
        {"status": 407, "reason": f"{PROXY} 407{PROXY_LOGIN}", "retry_after": None},
    ),
    (
        HttpApiError(200, 7, "user_not_found"),
        f"{API}: HTTP 200, result_code 7, user_not_found",
        {"status": 200, "result_code": 7, "error_id": "user_not_found", "reason": None},
    ),
    (
        HttpApiError(503, reason="the response is not JSON", retry_after="5"),
        f"{API}: HTTP 503, the response is not JSON",
        {"result_code": None, "error_id": None, "retry_after": "5"},
    ),
    (
        HttpApiError(302, 0),
        f"{API}: HTTP 302, redirects are not followed: name the final server",
        {"result_code": 0},
    ),
    (
        HttpApiAuthenticationError(200, 1, "authentication_required"),
        "the HTTP API refused the login: HTTP 200, authentication_required",
        {"status": 200, "result_code": 1, "error_id": "authentication_required"},
    ),
    (
        HttpApiAuthenticationError(401),
        "the HTTP API refused the login: HTTP 401",
        {"status": 401, "result_code": None, "retry_after": None},
    ),
    (ConnectionLost(1006), f"{LOST} 1006)", {"code": 1006, "reason": ""}),
    (ConnectionLost(1011, "oops"), f"{LOST} 1011): oops", {"code": 1011, "reason": "oops"}),
    (ConnectionLimitReached(), LIMIT, {}),
    (ConnectionReplaced(), REPLACED, {}),
    (LoggedOut(), "the PBX ended the session: log in again", {}),
    (SyncTimeout(60.0), "the PBX did not send a complete snapshot within 60 s", {"seconds": 60.0}),
    (
        ResyncRequired(DecodeError(7, "unknown tag 1")),
        "a new snapshot is needed, since a frame could not be read: byte 7: unknown tag 1",
        {},
    ),
    (NotConnectedError(), "not connected to the PBX: the command was not sent", {}),
    (
        CommandRefused("park", "failed", "the PBX is closed"),
        "park failed: the PBX is closed",
        {"command": "park", "cause": "failed", "problem": "the PBX is closed"},
    ),
    (
        CommandRefused("park", "not_taken", "no publisher took it"),
        "park was not executed: no publisher took it",
        {"command": "park", "cause": "not_taken", "problem": "no publisher took it"},
    ),
    (
        CommandTimeout("park", 2.5),
        "no effect of park was seen within 2.5 s: its outcome is unknown",
        {"command": "park", "seconds": 2.5},
    ),
    (
        EavesdropError("the target has ended"),
        "cannot listen to the channel: the target has ended",
        {"reason": "the target has ended"},
    ),
    (
        ClickToCallError("no phone of the user was answered"),
        "click-to-call failed: no phone of the user was answered",
        {"reason": "no phone of the user was answered"},
    ),
    (
        WaitTimeout("the snapshot", 3),
        "timed out after 3 s waiting for the snapshot",
        {"what": "the snapshot", "seconds": 3},
    ),
    (ClientClosed(), "the client was closed: its `async with` block has ended", {}),
    (
        SubscriberLagged(8),
        "a subscriber was too slow: more than 8 items waited in its queue",
        {"size": 8},
    ),
]
IDS = [f"{number} {type(error).__name__}" for number, (error, *_) in enumerate(TABLE)]


def classes():
    """Return all exception classes of the module."""
    return [
        value
        for value in vars(exceptions).values()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    ]


@for_each("error, text, parts", TABLE)
def test_exception_has_its_text_and_attributes(error, text, parts):
    assert str(error) == text
    for name, value in parts.items():
        kept = getattr(error, name)
        assert kept == value
        assert type(kept) is type(value)


@for_each("error", [error for error, *_ in TABLE])
def test_copies_equal_the_original(error):
    """This applies to pickling and copying."""
    error.note = ["a note of the caller"]
    copies = [copy.copy(error), copy.deepcopy(error)]
    copies += [
        pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    for copied in copies:
        assert copied is not error
        assert type(copied) is type(error)
        assert str(copied) == str(error)
        assert repr(copied) == repr(error)
        assert repr(copied.args) == repr(error.args)  # an exception among them equals itself alone
        assert repr(vars(copied)) == repr(vars(error))


def test_all_exception_classes_are_tested():
    assert {type(error) for error, *_ in TABLE} == set(classes())


def documented_tree():
    """Return the base classes of each class in the tree of the module's docstring."""
    line = re.compile(r"    (?P<trunk>[ │├└─]*)(?P<name>[A-Z]\w+)(?: \(also an? (?P<also>\w+)\))?")
    parents = {}
    ancestors = []
    for text in exceptions.__doc__.splitlines():
        match = line.match(text)
        if match is None:
            continue
        level, rest = divmod(len(match["trunk"]), 4)
        assert rest == 0, text
        bases = ancestors[level - 1 : level]
        assert len(bases) == (level > 0), text
        ancestors[level:] = [match["name"]]
        parents[match["name"]] = bases + ([match["also"]] if match["also"] else [])
    return parents


def test_tree_in_the_docstring_is_the_tree_of_classes():
    real = {cls.__name__: [base.__name__ for base in cls.__bases__] for cls in classes()}
    assert real.pop("BasixError") == ["Exception"]
    documented = documented_tree()
    assert documented.pop("BasixError") == []
    assert documented == real


def test_package_exports_all_exceptions():
    for cls in classes():
        assert getattr(basix_ws_cti, cls.__name__) is cls
        assert cls.__name__ in basix_ws_cti.__all__


def test_usage_error_is_a_value_error():
    with pytest.raises(ValueError, match="usage problem"):
        raise UsageError("usage problem")


@for_each(
    "text, limit, shown",
    [
        ("", 5, ""),
        ("abc", 5, "abc"),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("a\nb", 5, "a\ufffdb"),
        ("a\0\x1b\x7f\u202e", 5, "a" + "\ufffd" * 4),  # NUL, escape, delete, right-to-left
        ("a\ud800", 5, "a\ufffd"),  # half a surrogate pair can't be written to a log
        ("山田 ü", 5, "山田 ü"),
        ("\n" * 6, 5, "\ufffd" * 4 + "…"),
    ],
)
def test_printable_replaces_control_characters_and_shortens(text, limit, shown):
    assert printable(text, limit) == shown


def test_printable_keeps_256_characters_by_default():
    assert printable("x" * 256) == "x" * 256
    assert printable("x" * 257) == "x" * 255 + "…"
    assert printable("x" * 10_000_000) == "x" * 255 + "…"


def test_names_in_a_protocol_error_are_printable_and_short():
    """Each name has at most 60 characters."""
    assert str(ProtocolError("problem", "x" * 60, "y\n")) == f"{'x' * 60}, y\ufffd: problem"
    assert ProtocolError("problem", field="y").args == ("problem", None, "y")
    assert str(ProtocolError("problem", "x" * 61, "y" * 61)) == f"{'x' * 59}…, {'y' * 59}…: problem"
