"""Errors of invalid arguments in the public interface: raised at once, with a text that helps."""

from __future__ import annotations

import io
import math
import ssl
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from support.cases import for_each

from basix_ws_cti import (
    Backoff,
    Basic,
    Client,
    MessageParser,
    QueueStats,
    Session,
    Ticket,
    UsageError,
    connect,
    feed_url,
)
from basix_ws_cti.recording import Anonymiser, Recorder, read_recording, replay
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.terms import Limits

SECRET = "s3cret"


def connecting(**options):
    return connect("pbx.example", **{"app_name": "x", "domain": "acme", "token": SECRET, **options})


def client(**options):
    return Client("pbx.example", **{"app_name": "x", "domain": "acme", "token": SECRET, **options})


def url(**options):
    return feed_url(
        "pbx.example", **{"app_name": "x", "domain": "acme", "token": SECRET, **options}
    )


def recorder(target=None, **options):
    return Recorder(io.StringIO() if target is None else target, **options)


async def asynchronous(*_):
    return None


async def generator(*_):
    yield None


POSITIVE = "must be a positive number of seconds"
OPTIONAL = f"{POSITIVE} (or None), got"
INTERVAL = "ping_interval must be a number of seconds, 0.001 or more (or None), got"
HEADER_PAIRS = "additional_headers must be a mapping or (name, value) pairs of str"
HEADER_NAME = "additional_headers: a name must consist of letters, digits and hyphens"
HEADER_VALUE = "additional_headers: a value must not contain control characters"
PLAIN = "must be a plain function (def), got a coroutine function"
PROXY = "proxy is not a valid URL: use http://host:port"
SPACE = "begins or ends with white space: remove it, or the line break"
BOM = "contains the invisible character U+FEFF: remove it"

# Each row: function, options, expected text.
CONNECTIONS = [
    *(
        (make, options, text)
        for make in (connecting, client)
        for options, text in (
            ({"ping_interval": 0}, f"{INTERVAL} 0"),
            ({"ping_interval": -1}, f"{INTERVAL} -1"),
            ({"ping_interval": 1e-9}, f"{INTERVAL} 1e-09"),
            ({"ping_interval": math.nan}, f"{INTERVAL} nan"),
            ({"ping_interval": True}, f"{INTERVAL} True"),
            ({"ping_interval": "4"}, f"{INTERVAL} str"),
            ({"ping_timeout": 0}, f"ping_timeout {OPTIONAL} 0"),
            ({"ping_timeout": math.inf}, f"ping_timeout {OPTIONAL} inf"),
            ({"open_timeout": "5"}, f"open_timeout {OPTIONAL} str"),
            ({"open_timeout": math.nan}, f"open_timeout {OPTIONAL} nan"),
            ({"open_timeout": False}, f"open_timeout {OPTIONAL} False"),
            (
                {"close_timeout": -1},
                "close_timeout must be a number of seconds, 0 or more (or None), got -1",
            ),
            ({"max_size": 0}, "max_size must be an int of 1 or more (or None), got 0"),
            ({"max_size": 1e6}, "max_size must be an int of 1 or more (or None), got 1000000.0"),
            ({"app_name": 5}, "app_name must be a str, got int"),
            ({"app_name": None}, "app_name must be a str, got None"),
            ({"full_events": "false"}, "full_events must be True or False, got str"),
            ({"force": 1}, "force must be True or False, got 1"),
            ({"allow_insecure": "no"}, "allow_insecure must be True or False, got str"),
            ({"user_id": True}, "user_id must be an int or a str, got bool"),
            ({"user_id": 1.5}, "user_id must be an int or a str, got float"),
            ({"user_name": 5}, "user_name must be a str, got int"),
            ({"user_email": ""}, "user_email must not be empty"),
            ({"base_url": 5}, "base_url must be a str (or None), got int"),
            ({"limits": 5}, "limits must be a Limits object, got int"),
            ({"limits": None}, "limits must be a Limits object, got None"),
            ({"ssl": True}, "ssl must be an ssl.SSLContext, got bool"),
            ({"proxy": 5}, "proxy must be a str, got int"),
            ({"proxy": "proxy:8080"}, PROXY),
            ({"proxy": "ftp://proxy:8080"}, PROXY),
            ({"proxy": "http://"}, PROXY),
            ({"proxy": "http://proxy:http"}, PROXY),
            ({"on_frame": 5}, "on_frame must be callable, got int"),
            ({"on_frame": asynchronous}, f"on_frame {PLAIN}"),
            ({"on_frame": lambda: None}, "on_frame must accept 1 positional argument(s): (frame)"),
            ({"additional_headers": 5}, HEADER_PAIRS),
            ({"additional_headers": "X-A: 1"}, HEADER_PAIRS),
            ({"additional_headers": MappingProxyType({"X A": "1"})}, HEADER_NAME),
            ({"additional_headers": {"X A": "1"}}, HEADER_NAME),
            ({"additional_headers": {"": "1"}}, HEADER_NAME),
            ({"additional_headers": {"X-Ä": "1"}}, HEADER_NAME),
            ({"additional_headers": {"X-A:": "1"}}, HEADER_NAME),
            ({"additional_headers": {"X-A": "1\r\nX-B: 2"}}, HEADER_VALUE),
            ({"additional_headers": {"X-A": "\x7f"}}, HEADER_VALUE),
            (
                {"additional_headers": {"Host": "x"}},
                "additional_headers must not contain Host: the handshake sets it",
            ),
            (
                {"additional_headers": [("sec-websocket-Key", "x")]},
                "additional_headers must not contain sec-websocket-Key: the handshake sets it",
            ),
            ({"domain": " acme"}, f"domain {SPACE}"),
            ({"domain": "\ufeffacme"}, f"domain {BOM}"),
            ({"domain": "ac\nme"}, "domain contains the invisible character U+000A: remove it"),
            ({"token": f"{SECRET}\n"}, f"token {SPACE}"),
            ({"token": f"{SECRET}\r\n"}, f"token {SPACE}"),
            ({"token": f"\u3000{SECRET}"}, f"token {SPACE}"),
            ({"token": f"{SECRET}\ufeff"}, f"token {BOM}"),
            ({"token": f"\ufeff{SECRET}"}, f"token {BOM}"),
            (
                {"token": f"{SECRET}\u200b"},
                "token contains the invisible character U+200B: remove it",
            ),
            ({"token": f"{SECRET}\0"}, "token contains the invisible character U+0000: remove it"),
            ({"token": 12345}, "token must be a str, got int"),
        )
    ),
    *(
        (make, {"domain": None, "token": None, **options}, text)
        for make in (connecting, client)
        for options, text in (
            (
                {"credentials": ("acme", SECRET)},
                "credentials must be Basic(…), Ticket(…) or an async function, got tuple",
            ),
            (
                {"credentials": Basic},
                "credentials must be Basic(…), Ticket(…) or an async function, got the class Basic",
            ),
            (
                {"credentials": generator},
                "credentials must be an async function, got an async generator",
            ),
            (
                {"credentials": lambda: None},
                "credentials must accept 1 positional argument(s): (target)",
            ),
        )
    ),
    (client, {"backoff": 5}, "backoff must be a Backoff (or None), got int"),
    (client, {"backoff": Backoff}, "backoff must be a Backoff (or None), got type"),
    (client, {"classify": 5}, "classify must be callable, got int"),
    (client, {"classify": asynchronous}, f"classify {PLAIN}"),
    (
        client,
        {"classify": lambda error: True},
        "classify must accept 2 positional argument(s): (error, is_final)",
    ),
    (client, {"quiet_time": -1}, "quiet_time must be a number of seconds, 0 or more, got -1"),
    (client, {"quiet_time": None}, "quiet_time must be a number of seconds, 0 or more, got None"),
    (client, {"sync_timeout": 0}, f"sync_timeout {OPTIONAL} 0"),
    (client, {"sync_timeout": "60"}, f"sync_timeout {OPTIONAL} str"),
    (
        client,
        {"country_code": 81},
        "unknown country_code 81: pass the digits of a country's calling code, such as '81'",
    ),
    (client, {"connector": None}, "connector must be callable, got NoneType"),
    (client, {"unknown": 5}, "Client() got an unexpected keyword argument 'unknown'"),
    (url, {"full_events": "true"}, "full_events must be True or False, got str"),
    (url, {"allow_insecure": 1}, "allow_insecure must be True or False, got 1"),
    (url, {"token": f" {SECRET}"}, f"token {SPACE}"),
]

OTHERS = [
    (Basic, {"domain": "acme", "token": f"{SECRET}\n"}, f"token {SPACE}"),
    (Ticket, {"ticket": f"{SECRET}\n"}, f"ticket {SPACE}"),
    (Backoff, {"initial": "1"}, f"initial {POSITIVE}, got str"),
    (Backoff, {"initial": True}, f"initial {POSITIVE}, got True"),
    (Backoff, {"maximum": math.nan}, f"maximum {POSITIVE}, got nan"),
    (Backoff, {"initial": 2, "maximum": 1}, "initial must not be larger than maximum, got 2 and 1"),
    (Backoff, {"rng": 5}, "rng must be a random.Random (or None), got int"),
    (Session, {"quiet_time": "1"}, "quiet_time must be a number of seconds, 0 or more, got str"),
    (Session, {"bind": 5}, "bind must be callable, got int"),
    (MessageParser, {"base_url": 5}, "base_url must be a str (or None), got int"),
    (MessageParser, {"on_msg": asynchronous}, f"on_msg {PLAIN}"),
    (
        MessageParser,
        {"on_info_event": lambda element: None},
        "on_info_event must accept 3 positional argument(s): (element_name, element, event_name)",
    ),
    (Limits, {"depth": True}, "depth must be an int of 1 or more, got True"),
    (QueueStats, {"window": "60"}, f"window {POSITIVE}, got str"),
    (
        replay,
        {"source": 5},
        "the source of a recording must be a path or a file open in binary mode, got int",
    ),
    (
        replay,
        {"source": io.StringIO()},
        "the source of a recording must be a path or a file open in binary mode, got StringIO",
    ),
    (replay, {"source": io.BytesIO(), "calls": 0}, "calls must be True or False, got 0"),
    (
        replay,
        {"source": io.BytesIO(), "quiet_time": -1},
        "quiet_time must be a number of seconds, 0 or more, got -1",
    ),
    (
        read_recording,
        {"source": b"day.rec"},
        "the source of a recording must be a path or a file open in binary mode, got bytes",
    ),
    (recorder, {"target": 5}, "target must be a path or a file open for text, got int"),
    (
        recorder,
        {"target": io.BytesIO()},
        "target must be a path or a file open for text, got BytesIO",
    ),
    (recorder, {"anonymiser": Anonymiser}, "anonymiser must be an Anonymiser (or None), got type"),
    (recorder, {"anonymiser": True}, "anonymiser must be an Anonymiser (or None), got bool"),
    (recorder, {"started": 5}, "started must be a datetime (or None), got int"),
    (
        recorder,
        {"started": datetime(2026, 1, 2)},  # noqa: DTZ001
        "started has no time zone: pass datetime.now(UTC), for example",
    ),
    (recorder, {"overwrite": "yes"}, "overwrite must be True or False, got str"),
    (recorder, {"clock": asynchronous}, f"clock {PLAIN}"),
    (Anonymiser, {"key": "text"}, "key must be bytes (or None), got str"),
    (Anonymiser, {"key": b""}, "key must have 1 to 64 bytes, got 0"),
    (Anonymiser, {"key": bytes(65)}, "key must have 1 to 64 bytes, got 65"),
    (Simulator, {"domain": 5}, "domain must be a str, got int"),
    (Simulator, {"token": None}, "token must be a str, got None"),
    (Simulator, {"port": 70000}, "port must be an int from 0 to 65535, got 70000"),
    (Simulator, {"port": "8765"}, "port must be an int from 0 to 65535, got str"),
    (Simulator, {"speed": 0}, "speed must be a positive number, got 0"),
    (Simulator, {"rate": math.inf}, "rate must be a positive number, got inf"),
    (Simulator, {"seed": None}, "seed must be an int, got None"),
    (Simulator, {"calls": "no"}, "calls must be True or False, got str"),
    (Simulator, {"users": 0}, "users must be an int of 1 or more, got 0"),
    (Simulator, {"users": 2.5}, "users must be an int of 1 or more, got 2.5"),
    (Simulator, {"pbx": 5}, "pbx must be a Pbx (or None), got int"),
    (Simulator, {"otp": 27}, "otp must be 25 or 26, got 27"),
    (Simulator, {"compressed": 1}, "compressed must be True or False, got 1"),
    (Simulator, {"specs_first": None}, "specs_first must be True or False, got None"),
    (Simulator, {"older": "yes"}, "older must be True or False, got str"),
    (Simulator, {"tls": "yes"}, "tls must be True, False or an ssl.SSLContext, got str"),
    (Simulator, {"max_connections": 0}, "max_connections must be an int of 1 or more, got 0"),
    (Simulator, {"ticket_lifetime": -1}, f"ticket_lifetime {POSITIVE}, got -1"),
    (Simulator, {"faults": 5}, "faults must be (seconds, fault) pairs, got int"),
    (Simulator, {"faults": [5]}, "faults must be (seconds, fault) pairs, got int"),
    (
        Simulator,
        {"faults": [("1", faults.Drop())]},
        "the time of a fault must be a number of seconds, 0 or more, got str",
    ),
    (faults.Flood, {"events": 0}, "events must be an int of 1 or more, got 0"),
    (faults.Linger, {"seconds": True}, "seconds must be a number, 0 or more, got True"),
]


@for_each("function, options, text", [*CONNECTIONS, *OTHERS])
def test_invalid_argument_raises_a_usage_error_at_once(function, options, text):
    with pytest.raises(UsageError) as caught:
        function(**options)
    assert str(caught.value) == text
    assert SECRET not in str(caught.value)


@for_each(
    "options",
    [
        {"ping_interval": None, "ping_timeout": None, "open_timeout": None, "close_timeout": None},
        {"ping_interval": 0.001, "close_timeout": 0, "max_size": None},
        {"user_id": 0},
        {"user_id": "7"},
        {"proxy": "http://name:p@ss@proxy:8080"},
        {"proxy": "socks5h://proxy"},
        {"additional_headers": {"X-A": "a b\tc ü"}},
        {"ssl": ssl.create_default_context()},
    ],
)
def test_valid_options_are_accepted(options):
    for make in (connecting, client):
        make(**options)


def test_valid_recorder_is_accepted():
    with recorder(started=datetime(2026, 1, 2, tzinfo=UTC), anonymiser=Anonymiser(b"k" * 64)):
        pass
