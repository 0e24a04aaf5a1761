from __future__ import annotations

import base64
import copy
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from canaries import STEM, TOKEN, leaks_of

from basix_ws_cti import Basic, Ticket, UsageError, feed_url
from basix_ws_cti.transport.address import Server, check_transport, request_target
from basix_ws_cti.transport.credentials import basic_header, secret_forms


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
        ("例え.jp:8443", "wss://xn--r8jz45g.jp:8443"),
    ],
)
def test_a_server_is_a_host_or_a_base_url(text, shown):
    """Host, host:port and base URLs are understood, wss being the default."""
    assert str(Server.parse(text)) == shown


NO_HOST = "the server has no host: use host, host:port or wss://host:port"
NO_ADDRESS = "the server is no valid address: use host, host:port or wss://host:port"
CREDENTIALS = "the server holds credentials: pass domain= and token= instead"
NOT_ALONE = "the server is a host alone: /basix/api/ws_cti is added to it"
NO_NAME = "the server's host is no valid international name"


@pytest.mark.parametrize(
    ("text", "problem"),
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
        ("https://host", "the server's scheme must be wss (or ws, to this machine)"),
        ("wss://acme:s3cret@host", CREDENTIALS),
        ("acme:s3cret@host", CREDENTIALS),
        ("host/path", NOT_ALONE),
        ("host/X", NOT_ALONE),
        ("host?s3cret", NOT_ALONE),
        ("wss://host/basix/api/ws_cti?app_name=s3cret", NOT_ALONE),
        ("wss://host#s3cret", NOT_ALONE),
        ("host:0", "the server's port is 0, which nobody listens on"),
        ("ho*s3cret", "the server's host is no valid name or address"),
        ("é..s3cret", NO_NAME),
        ("é" * 70, NO_NAME),
        ("例え..jp", NO_NAME),
        (None, "the server is a str, not NoneType"),
    ],
)
def test_a_bad_server_is_refused_without_being_repeated(text, problem):
    """What is no server is a UsageError that says why, and repeats no part that may be secret."""
    with pytest.raises(UsageError) as caught:
        Server.parse(text)
    assert str(caught.value) == problem
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


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
        ({"token": 5}, "token is a str, not int"),
        ({"domain": b"acme"}, "domain is a str, not bytes"),
        ({"token": f"{TOKEN}\udcff"}, "token holds half a surrogate pair"),
        ({"app_name": "a\ud800"}, "app_name holds half a surrogate pair"),
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
    with pytest.raises(UsageError, match="ticket is a str, not NoneType"):
        Ticket(None)


@pytest.mark.parametrize(
    ("make", "parts", "problem"),
    [
        (Basic, ("", "s3cret"), "domain and token must not be empty"),
        (Basic, ("acme", ""), "domain and token must not be empty"),
        (Basic, ("ac:me", "s3cret"), "a domain has no colon: HTTP Basic ends the name there"),
        (Basic, (b"acme", "s3cret"), "domain is a str, not bytes"),
        (Basic, ("acme", b"s3cret"), "token is a str, not bytes"),
        (Basic, ("\udfff", "s3cret"), "domain holds half a surrogate pair, which is no character"),
        (Basic, ("a", "s3cret\ud800"), "token holds half a surrogate pair, which is no character"),
        (Ticket, ("",), "the ticket must not be empty"),
        (Ticket, (b"s3cret",), "ticket is a str, not bytes"),
        (Ticket, ("s3cret\ud800",), "ticket holds half a surrogate pair, which is no character"),
    ],
)
def test_bad_credentials_are_refused_without_being_repeated(make, parts, problem):
    """Credentials that can't be sent are a UsageError that says why, and shows none of them."""
    with pytest.raises(UsageError) as caught:
        make(*parts)
    assert str(caught.value) == problem


def test_whole_characters_are_credentials():
    """The characters next to the surrogates are characters, and so is any in a token."""
    assert Basic("\ud7ff", "\ue000").pair == ("\ud7ff", "\ue000")
    assert Ticket("\ud7ff\ue000").pair == ("ws_ticket", "\ud7ff\ue000")


def test_what_credentials_show():
    """Credentials show the domain alone."""
    assert repr(Basic("acme", TOKEN)) == "Basic(domain='acme')"
    assert repr(Ticket(TOKEN)) == "Ticket()"


def test_credentials_in_the_clear():
    """Where credentials would be sent in the clear, the error says to whom, and what to do."""
    with pytest.raises(UsageError) as caught:
        check_transport(Server.parse("ws://example.com:80"), allow_insecure=False)
    assert str(caught.value) == (
        "credentials would cross the network unencrypted to ws://example.com:80: use wss://, "
        "or pass allow_insecure=True if that is what you want"
    )


def test_the_forms_of_a_secret():
    """A secret is looked for as it is, escaped for HTML and JSON, in URLs and in base64."""
    forms = secret_forms(Basic("acme", 'a/b ö"&'))
    assert set(forms) == {
        'a/b ö"&',
        "a/b ö&quot;&amp;",
        'a/b \\u00f6\\"&',
        'a/b ö\\"&',
        *("a%2Fb%20%C3%B6%22%26", "a%2fb%20%c3%b6%22%26"),
        *("a/b%20%C3%B6%22%26", "a/b%20%c3%b6%22%26"),
        *("a%2Fb+%C3%B6%22%26", "a%2fb+%c3%b6%22%26"),
        *("YS9iIMO2IiY=", "YS9iIMO2IiY"),
        *("YWNtZTphL2Igw7YiJg==", "YWNtZTphL2Igw7YiJg"),
    }
    assert sorted(map(len, forms), reverse=True) == [len(form) for form in forms]
    assert set(secret_forms(Basic("ab", "aaW"))) == {"aaW", "YWFX", "YWI6YWFX"}


def test_every_form_of_a_secret_is_known():
    """The forms to mask hold the secret raw, percent-encoded, and in base64."""
    forms = secret_forms(Basic("acme", TOKEN))
    assert TOKEN in forms
    assert f"{STEM}%3A%2F%40%20t%C3%B6k%C3%A9n%3F%2541%2B" in forms
    assert base64.b64encode(TOKEN.encode()).decode() in forms
    assert base64.b64encode(f"acme:{TOKEN}".encode()).decode() in forms
    assert list(forms) == sorted(forms, key=len, reverse=True)


@pytest.mark.parametrize("credentials", [Basic("acme", TOKEN), Ticket(TOKEN)])
def test_a_copy_of_credentials_is_the_same(credentials):
    """Credentials can't change: who copies them has them."""
    assert copy.copy(credentials) is credentials
    assert copy.deepcopy({"who": credentials})["who"] is credentials


@pytest.mark.parametrize("host", ["back\\slash", "per%cent", "a*b", "a,b"])
def test_a_host_that_is_no_name(host):
    """A host of other characters than names have would be another thing to who looks it up."""
    with pytest.raises(UsageError, match="the server's host is no valid name or address"):
        Server.parse(host)


@pytest.mark.parametrize(
    ("host", "here"),
    [("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False), ("::1%lo", False)],
)
def test_which_ipv6_addresses_are_this_machine(host, here):
    """IPv6 loopback is, mapped IPv4 loopback too; nothing with a zone, where any text can stand."""
    assert Server("ws", host, None).is_loopback is here
