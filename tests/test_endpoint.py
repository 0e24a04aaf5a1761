from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from canaries import STEM, TOKEN, leaks_of

from basix_ws_cti import Basic, Ticket, UsageError, feed_url
from basix_ws_cti.endpoint import (
    Server,
    basic_header,
    check_transport,
    request_target,
    secret_forms,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bcs.brastel.com", "wss://bcs.brastel.com"),
        ("bcs.brastel.com:8443", "wss://bcs.brastel.com:8443"),
        ("wss://bcs.brastel.com/", "wss://bcs.brastel.com"),
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("wss://[2001:db8::1]:443", "wss://[2001:db8::1]:443"),
        ("ws://[::1]:9", "ws://[::1]:9"),
        ("LOCALHOST", "wss://localhost"),
    ],
)
def test_a_server_is_a_host_or_a_base_url(text, shown):
    """Host, host:port and base URLs are understood, wss being the default."""
    assert str(Server.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "no host"),
        ("wss://", "no host"),
        ("wss://host:port", "no valid address"),
        ("wss://host:99999", "no valid address"),
        ("wss://[::1", "no valid address"),
        ("https://host", "scheme must be wss"),
        ("wss://acme:s3cret@host", "holds credentials"),
        ("acme:s3cret@host", "holds credentials"),
        ("host/path", "host alone"),
        ("wss://host/basix/api/ws_cti?app_name=s3cret", "host alone"),
        ("wss://host#s3cret", "host alone"),
        ("ho st", "no host"),
        ("host\r\nX: y", "no"),
        (None, "is a str, not NoneType"),
    ],
)
def test_a_bad_server_is_refused_without_being_repeated(text, fragment):
    """What is no server is a UsageError that says why, and repeats no part that may be secret."""
    with pytest.raises(UsageError, match=fragment) as caught:
        Server.parse(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
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
def test_plain_ws_is_for_loopback_alone(host, loopback):
    """Only loopback addresses and the exact name localhost count as this machine."""
    server = Server.parse(f"ws://{host}:80")
    assert server.is_loopback is loopback
    if loopback:
        check_transport(server, allow_insecure=False)
    else:
        with pytest.raises(UsageError, match="unencrypted"):
            check_transport(server, allow_insecure=False)
    check_transport(server, allow_insecure=True)
    check_transport(Server.parse(f"wss://{host}:80"), allow_insecure=False)


def test_a_proxy_is_not_loopback():
    """Through a proxy, what goes to loopback leaves the machine first."""
    server = Server.parse("ws://127.0.0.1:80")
    with pytest.raises(UsageError, match="unencrypted"):
        check_transport(server, proxy="http://proxy:3128", allow_insecure=False)


def test_feed_url_is_as_documented():
    """The plain case reads as the PBX's documentation writes it."""
    url = feed_url("bcs.brastel.com", domain="acme", token="abc", app_name="wallboard")
    assert url == "wss://acme:abc@bcs.brastel.com/basix/api/ws_cti?app_name=wallboard"


def test_feed_url_encodes_everything():
    """Whatever is in domain, token and app_name comes out of the URL as it was put in."""
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


def test_full_events_is_a_parameter():
    """full_events asks for every channel, and stands in the target only when wanted."""
    assert request_target("a", full_events=True) == (
        "/basix/api/ws_cti?app_name=a&full_events=true"
    )
    assert request_target("a", user_id=0) == ("/basix/api/ws_cti?app_name=a&user_id=0")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"app_name": ""}, "app_name"),
        ({"domain": ""}, "must not be empty"),
        ({"token": ""}, "must not be empty"),
        ({"domain": "a:b"}, "no colon"),
        ({"user_id": 1, "user_did": "050"}, "user_did and user_id"),
        ({"user_email": "a@b", "full_events": True}, "user_email"),
        ({"server": "ws://example.com"}, "unencrypted"),
    ],
)
def test_what_can_not_work_is_refused(arguments, fragment):
    """Arguments that contradict each other, or leak, are a UsageError that names them."""
    given = {"server": "host", "domain": "acme", "token": TOKEN, "app_name": "a", **arguments}
    with pytest.raises(UsageError, match=fragment) as caught:
        feed_url(given.pop("server"), **given)
    assert not [*leaks_of(caught.value)]


def test_insecure_must_be_said():
    """allow_insecure lets plain ws through to anywhere."""
    url = feed_url("ws://example.com", domain="d", token="t", app_name="a", allow_insecure=True)
    assert url.startswith("ws://d:t@example.com/")


def test_credentials_do_not_show_their_secret():
    """Neither form of credentials shows its secret, and the header is RFC 7617 in UTF-8."""
    basic, ticket = Basic("acme", TOKEN), Ticket(TOKEN)
    assert TOKEN not in f"{basic!r} {basic} {ticket!r} {ticket}"
    scheme, _, value = basic_header(basic).partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", f"acme:{TOKEN}")
    assert base64.b64decode(basic_header(ticket)[6:]).decode() == f"ws_ticket:{TOKEN}"
    with pytest.raises(UsageError, match="empty"):
        Ticket("")


def test_every_form_of_a_secret_is_known():
    """The forms to mask hold the secret raw, percent-encoded, and in base64."""
    forms = secret_forms(Basic("acme", TOKEN))
    assert TOKEN in forms
    assert f"{STEM}%3A%2F%40%20t%C3%B6k%C3%A9n%3F%2541%2B" in forms
    assert base64.b64encode(TOKEN.encode()).decode() in forms
    assert base64.b64encode(f"acme:{TOKEN}".encode()).decode() in forms
    assert list(forms) == sorted(forms, key=len, reverse=True)
