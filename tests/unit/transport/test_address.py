"""Server addresses: parsing, encryption rules, request targets and feed URLs."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from support.cases import for_each
from support.secret_scanner import TOKEN, leaks_of

from basix_ws_cti import UsageError, feed_url
from basix_ws_cti.transport.address import (
    ServerAddress,
    check_encryption,
    check_tls,
    request_target,
)


@for_each(
    "text, shown",
    [
        ("bcs.brastel.com", "wss://bcs.brastel.com"),
        ("bcs.brastel.com:8443", "wss://bcs.brastel.com:8443"),
        ("wss://bcs.brastel.com/", "wss://bcs.brastel.com"),
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("wss://[2001:db8::1]:443", "wss://[2001:db8::1]:443"),
        ("ws://[::1]:9", "ws://[::1]:9"),
        ("LOCALHOST", "wss://localhost"),
        ("例え.jp:8443", "wss://xn--r8jz45g.jp:8443"),
    ],
)
def test_server_is_a_host_or_a_base_url(text, shown):
    """The default scheme is wss."""
    assert str(ServerAddress.parse(text)) == shown


NO_HOST = "server has no valid host: use host, host:port or wss://host:port"
NO_ADDRESS = "server is not a valid address: use host, host:port or wss://host:port"
CREDENTIALS = "server contains credentials: pass domain= and token= instead"
NOT_ALONE = "server must not contain a path or query: /basix/api/ws_cti is added to it"
NO_NAME = "server host is not a valid international domain name"


@for_each(
    "text, problem",
    [
        ("", NO_HOST),
        ("wss://", NO_HOST),
        ("ws:///s3cret", NO_HOST),
        ("ho st", NO_HOST),
        ("s3cret\thost", NO_HOST),
        ("ho\u00a0st", NO_HOST),
        ("\u200bhost", NO_HOST),
        ("wss://host:port", NO_ADDRESS),
        ("wss://host:99999", NO_ADDRESS),
        ("wss://[::1", NO_ADDRESS),
        ("host\r\nX: y", NO_ADDRESS),
        ("https://host", "server must start with wss:// (or ws:// for this machine)"),
        ("wss://acme:s3cret@host", CREDENTIALS),
        ("acme:s3cret@host", CREDENTIALS),
        ("host/path", NOT_ALONE),
        ("host/X", NOT_ALONE),
        ("host?s3cret", NOT_ALONE),
        ("wss://host/basix/api/ws_cti?app_name=s3cret", NOT_ALONE),
        ("wss://host#s3cret", NOT_ALONE),
        ("host:0", "server port must not be 0"),
        ("ho*s3cret", "server host is not a valid host name or IP address"),
        ("é..s3cret", NO_NAME),
        ("é" * 70, NO_NAME),
        ("例え..jp", NO_NAME),
        (None, "server must be a str, got None"),
    ],
)
def test_invalid_server_is_refused_without_repeating_it(text, problem):
    """The error explains the problem and contains no part that may be secret."""
    with pytest.raises(UsageError) as caught:
        ServerAddress.parse(text)
    assert str(caught.value) == problem
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@for_each(
    "host, loopback",
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost.evil", False),
        ("127.0.0.1.evil", False),
        ("128.0.0.1", False),
        ("[::2]", False),
        ("0.0.0.0", False),
        ("xn--localhost", False),
    ],
)
def test_unencrypted_connection_is_allowed_to_loopback_only(host, loopback):
    """Loopback means a loopback address or the exact name localhost."""
    server = ServerAddress.parse(f"ws://{host}:80")
    assert server.is_loopback is loopback
    if loopback:
        check_encryption(server, allow_insecure=False)
    else:
        with pytest.raises(UsageError, match="unencrypted"):
            check_encryption(server, allow_insecure=False)
    check_encryption(server, allow_insecure=True)
    check_encryption(ServerAddress.parse(f"wss://{host}:80"), allow_insecure=False)


def test_proxy_to_loopback_requires_encryption():
    """A proxy sends the request to another machine."""
    server = ServerAddress.parse("ws://127.0.0.1:80")
    with pytest.raises(UsageError, match="unencrypted"):
        check_encryption(server, proxy="http://proxy:3128", allow_insecure=False)


def test_feed_url_equals_the_documented_url():
    url = feed_url("bcs.brastel.com", domain="acme", token="abc", app_name="wallboard")
    assert url == "wss://acme:abc@bcs.brastel.com/basix/api/ws_cti?app_name=wallboard"


def test_feed_url_encodes_all_parts():
    """Decoding the URL gives back domain, token and app_name."""
    url = feed_url(
        "wss://[::1]:8443",
        domain="ac/me",
        token=TOKEN,
        app_name="wall&board=é#",
        force=True,
        user_label="山田+1",
    )
    parts = urlsplit(url)
    assert url.isascii()
    assert unquote(parts.username or "") == "ac/me"
    assert unquote(parts.password or "") == TOKEN
    assert (parts.hostname, parts.port) == ("::1", 8443)
    assert parse_qsl(parts.query, strict_parsing=True) == [
        ("app_name", "wall&board=é#"),
        ("force", "true"),
        ("forced", "true"),
        ("user_label", "山田+1"),
    ]


def test_full_events_is_in_the_target_only_if_requested():
    assert request_target("a", full_events=True) == (
        "/basix/api/ws_cti?app_name=a&full_events=true"
    )
    assert request_target("a", user_id=0) == ("/basix/api/ws_cti?app_name=a&user_id=0")


@for_each(
    "arguments, fragment",
    [
        ({"app_name": ""}, "app_name"),
        ({"domain": ""}, "must not be empty"),
        ({"token": ""}, "must not be empty"),
        ({"domain": "a:b"}, "must not contain a colon"),
        ({"user_id": 1, "user_did": "050"}, "user_did and user_id"),
        ({"user_email": "a@b", "full_events": True}, "user_email"),
        ({"server": "ws://example.com"}, "unencrypted"),
        ({"token": 5}, "token must be a str, got int"),
        ({"domain": b"acme"}, "domain must be a str, got bytes"),
        ({"token": f"{TOKEN}\udcff"}, "token contains a lone surrogate"),
        ({"app_name": "a\ud800"}, "app_name contains a lone surrogate"),
    ],
)
def test_invalid_arguments_are_refused_without_repeating_secrets(arguments, fragment):
    """The error names the argument."""
    options = {"server": "host", "domain": "acme", "token": TOKEN, "app_name": "a", **arguments}
    with pytest.raises(UsageError, match=fragment) as caught:
        feed_url(options.pop("server"), **options)
    assert not [*leaks_of(caught.value)]


def test_allow_insecure_permits_unencrypted_connections():
    url = feed_url("ws://example.com", domain="d", token="t", app_name="a", allow_insecure=True)
    assert url.startswith("ws://d:t@example.com/")


def test_error_for_unencrypted_credentials_names_server_and_remedy():
    with pytest.raises(UsageError) as caught:
        check_encryption(ServerAddress.parse("ws://example.com:80"), allow_insecure=False)
    assert str(caught.value) == (
        "credentials would be sent unencrypted to ws://example.com:80: use wss://, "
        "or pass allow_insecure=True to accept that"
    )


@for_each("host", ["back\\slash", "per%cent", "a*b", "a,b"])
def test_host_with_other_characters_is_refused(host):
    """A resolver could understand such a host differently."""
    with pytest.raises(UsageError, match="server host is not a valid host name or IP address"):
        ServerAddress.parse(host)


@for_each(
    "host, expected",
    [("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False), ("::1%lo", False)],
)
def test_ipv6_loopback_addresses_are_loopback(host, expected):
    """Mapped IPv4 loopback counts; an address with a zone does not."""
    assert ServerAddress("ws", host, None).is_loopback is expected


# -- HTTP API and TLS -----------------------------------------------------------------


@for_each(
    "text, shown",
    [
        ("pbx.example", "https://pbx.example"),
        ("pbx.example:8443", "https://pbx.example:8443"),
        ("https://pbx.example", "https://pbx.example"),
        ("HTTPS://pbx.example", "https://pbx.example"),
        ("wss://[::1]:1", "https://[::1]:1"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("ws://localhost", "http://localhost"),
    ],
)
def test_address_of_the_http_api_is_the_feeds(text, shown):
    address = ServerAddress.parse_http(text)
    assert str(address) == shown
    assert address.is_secure is shown.startswith("https")
    assert address.secure_scheme == "https"


@for_each("text", ["ftp://x", "http://", "https://a:b@x", "https://x/y", None])
def test_invalid_address_of_the_http_api_is_refused(text):
    with pytest.raises(UsageError, match="server"):
        ServerAddress.parse_http(text)


def test_feed_addresses_do_not_take_http():
    with pytest.raises(UsageError, match="must start with wss://"):
        ServerAddress.parse("https://pbx.example")
    assert ServerAddress.parse("ws://localhost").secure_scheme == "wss"


def test_tls_context_must_fit_the_server():
    secure, plain = ServerAddress.parse("pbx.example"), ServerAddress.parse("ws://localhost")
    verifying, trusting = ssl.create_default_context(), ssl.create_default_context()
    trusting.check_hostname = False
    for context in (None, verifying):
        check_tls(secure, context, allow_insecure=False)
    check_tls(secure, trusting, allow_insecure=True)
    check_tls(plain, None, allow_insecure=False)
    for server, context, text in (
        (secure, 7, "must be an ssl.SSLContext, got int"),
        (secure, trusting, "does not verify the server"),
        (plain, verifying, "requires a wss:// server, got ws://"),
    ):
        with pytest.raises(UsageError, match=text):
            check_tls(server, context, allow_insecure=False)


@for_each(
    "text, port", [("pbx", 443), ("ws://pbx", 80), ("wss://pbx:80", 80), ("ws://pbx:443", 443)]
)
def test_effective_port_is_that_of_the_scheme_unless_given(text, port):
    assert ServerAddress.parse(text).effective_port == port
