"""Who may connect to the simulated PBX: request targets, credentials and tickets."""

from __future__ import annotations

import base64
from http import HTTPStatus
from urllib.parse import quote

import pytest

from basix_ws_cti import BasixError
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.access_control import (
    FEED_PATH,
    TICKET_NAME,
    AccessControl,
    FeedRequest,
    RefusedError,
    parse_target,
)
from basix_ws_cti.simulator.pbx import Pbx

TARGET = f"{FEED_PATH}?app_name=a"


class Clock:
    """A clock that a test moves by hand."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def pbx():
    pbx = Pbx()
    scenarios.populate(pbx, 12)
    return pbx


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(clock):
    return AccessControl("demo", "canary-token", clock, ticket_lifetime=10)


def refusal(function, *args):
    """The status and the reason with which a call is refused."""
    with pytest.raises(RefusedError) as caught:
        function(*args)
    error = caught.value
    assert isinstance(error, BasixError)
    assert error.reason in str(error)
    return error.status, error.reason


# What is asked for


@pytest.mark.parametrize(
    "target", ["/", "", "/elsewhere?app_name=a", f"{FEED_PATH}/?app_name=a", "*", "?app_name=a"]
)
def test_there_is_one_path(target, pbx):
    """Any other path than the feed's is not found."""
    assert refusal(parse_target, target, pbx) == (
        HTTPStatus.NOT_FOUND,
        "no feed at this path: use /basix/api/ws_cti",
    )


@pytest.mark.parametrize("target", ["//[", "//[::1/x", "//\u2100/x", "http://[v1.x]x/"])
def test_a_target_that_is_no_url(target, pbx, keys):
    """What can't be taken apart as a URL is refused, and no error of Python's."""
    assert refusal(parse_target, target, pbx)[0] in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
    assert refusal(keys.issue_ticket, target)[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("query", ["", "?", "?app_name=", "?full_events=true", "?App_name=a"])
def test_an_application_has_a_name(query, pbx):
    """Without an app_name the request makes no sense."""
    assert refusal(parse_target, FEED_PATH + query, pbx) == (
        HTTPStatus.BAD_REQUEST,
        "query parameter app_name is missing",
    )


def test_without_a_filter_one_sees_all(pbx):
    """An app_name alone asks for the channels of everybody; it may hold any character."""
    assert parse_target(TARGET, pbx) == FeedRequest("a", None, force=False)
    assert parse_target(f"{FEED_PATH}?app_name={quote('画面 &')}", pbx).app_name == "画面 &"
    assert parse_target(f"{FEED_PATH}?app_name=a&app_name=b", pbx).app_name == "b"


@pytest.mark.parametrize("number", [0, 4, 11])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", lambda user: str(user.id)),
        ("user_name", lambda user: user.name),
        ("user_label", lambda user: user.label),
        ("user_extension", lambda user: user.main_extension),
        ("user_did", lambda user: f"050000{user.main_extension}"),
        ("user_email", lambda user: user.email),
    ],
)
def test_each_filter_names_a_user(name, value, number, pbx):
    """Each of the six filters finds its user; one that fits nobody is a bad request."""
    user = list(pbx.users.values())[number]
    target = f"{TARGET}&{name}="
    assert parse_target(target + quote(value(user)), pbx) == FeedRequest("a", user.id)
    assert refusal(parse_target, target + "nobody", pbx) == (
        HTTPStatus.BAD_REQUEST,
        f"no user has this {name}",
    )
    full = parse_target(f"{target}nobody&full_events=true", pbx)
    assert full.user_id is None
    kept = parse_target(f"{target}{quote(value(user))}&full_events=false", pbx)
    assert kept.user_id == user.id


def test_one_filter_counts(pbx):
    """Of several filters the first of the protocol's list counts, wherever it stands."""
    first, second = list(pbx.users.values())[:2]
    target = f"{TARGET}&user_email={second.email}&user_id={first.id}"
    assert parse_target(target, pbx).user_id == first.id


@pytest.mark.parametrize("name", ["user_id", "user_name", "user_email"])
def test_a_filter_without_a_value(name, pbx):
    """A filter that is there and empty fits nobody: it is no wish for everybody's channels."""
    assert refusal(parse_target, f"{TARGET}&{name}=", pbx)[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("query", "force"),
    [
        ("", False),
        ("&force=true", True),
        ("&forced=true", True),
        ("&force=false&forced=true", True),
        ("&force=true&forced=false", True),
        ("&force=false", False),
        ("&force=1", False),
        ("&force=", False),
    ],
)
def test_force_has_two_names(query, force, pbx):
    """Either spelling makes room at the limit, if it says true."""
    assert parse_target(TARGET + query, pbx).force is force


# Credentials


@pytest.mark.parametrize("target", [None, TARGET, "/elsewhere"])
def test_domain_and_token(keys, target):
    """Domain and token open everything, as often as they are shown; nothing else does."""
    for _ in range(2):
        assert keys.accepts("demo", "canary-token", target)
    for name, secret in (
        ("demo", "wrong"),
        ("other", "canary-token"),
        ("demo", ""),
        ("", ""),
        ("demo", "canary-token "),
        (TICKET_NAME, "canary-token"),
        ("canary-token", "demo"),
    ):
        assert not keys.accepts(name, secret, target)


def test_a_token_may_hold_any_character(clock):
    """A Japanese domain and token, with colons and slashes, are compared as they are."""
    keys = AccessControl("会社", "ひみつ:/@é", clock)
    assert keys.accepts("会社", "ひみつ:/@é")
    assert not keys.accepts("会社", "ひみつ:/@e")
    assert not keys.accepts("会", "ひみつ:/@é")


def test_lone_surrogates_open_nothing(keys):
    """Text that no UTF-8 can hold is wrong, and no error."""
    assert not keys.accepts("demo", "\udcff")
    assert not keys.accepts("\ud800", "canary-token")
    assert not keys.accepts(TICKET_NAME, "\udcff", TARGET)


BASIC = "Basic " + base64.b64encode(b"demo:canary-token").decode()


@pytest.mark.parametrize("header", [BASIC, BASIC.replace("Basic", "bASIC")])
def test_one_header_lets_in(keys, header):
    """One Authorization header with domain and token opens, whatever the scheme's case."""
    keys.authenticate([header])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [BASIC, BASIC],
        [BASIC, "Bearer x"],
        [BASIC.replace("Basic", "Digest")],
        [BASIC.removeprefix("Basic ")],
        [BASIC + "="],
        ["Basic"],
        ["Basic /w=="],  # no UTF-8
        ["Basic \udcff"],
        ["Basic é"],
        ["Basic " + base64.b64encode(b"demo:wrong").decode()],
    ],
)
def test_other_headers_are_refused(keys, headers):
    """Several headers, and whatever is not Basic with the domain and its token, are a 401."""
    with pytest.raises(RefusedError, match="credentials") as caught:
        keys.authenticate(headers)
    assert caught.value.status == 401


def test_a_ticket_serves_once(keys):
    """A ticket opens the target it was made for, one time."""
    ticket = keys.issue_ticket(TARGET)
    assert keys.accepts(TICKET_NAME, ticket, TARGET)
    assert not keys.accepts(TICKET_NAME, ticket, TARGET)


@pytest.mark.parametrize("target", ["/elsewhere", TARGET + "&force=true", FEED_PATH, ""])
def test_a_ticket_is_for_its_own_target(keys, target):
    """A ticket shown elsewhere opens nothing, and is used up by that."""
    ticket = keys.issue_ticket(TARGET)
    assert not keys.accepts(TICKET_NAME, ticket, target)
    assert not keys.accepts(TICKET_NAME, ticket, TARGET)


def test_a_ticket_is_for_a_target_alone(keys):
    """Where no ticket is for, one opens nothing, and stays good for its own target."""
    ticket = keys.issue_ticket(TARGET)
    assert not keys.accepts(TICKET_NAME, ticket)
    assert not keys.accepts("demo", ticket, TARGET)
    assert keys.accepts(TICKET_NAME, ticket, TARGET)


def test_a_ticket_dies(keys, clock):
    """A ticket is good until its lifetime is over."""
    one, other, third = (keys.issue_ticket(TARGET) for _ in range(3))
    clock.now += 9.99
    assert keys.accepts(TICKET_NAME, one, TARGET)
    clock.now += 0.01
    assert not keys.accepts(TICKET_NAME, other, TARGET)
    clock.now += 100
    assert not keys.accepts(TICKET_NAME, third, TARGET)


def test_dead_tickets_are_forgotten(keys, clock):
    """Tickets that nobody showed are thrown away when later ones are made."""
    for _ in range(50):
        keys.issue_ticket(TARGET)
    assert len(keys._tickets) == 50
    clock.now += 5
    fresh = keys.issue_ticket(TARGET)
    assert len(keys._tickets) == 51
    clock.now += 5
    keys.issue_ticket(TARGET)
    assert len(keys._tickets) == 2
    assert keys.accepts(TICKET_NAME, fresh, TARGET)


@pytest.mark.parametrize("ticket", ["", "unknown", "canary-token", "ひみつ"])
def test_an_unknown_ticket(keys, ticket):
    """A ticket that nobody made opens nothing, not even no target."""
    assert not keys.accepts(TICKET_NAME, ticket, TARGET)
    assert not keys.accepts(TICKET_NAME, ticket, "")


def test_a_ticket_of_a_clock_below_zero(clock):
    """A clock may count from anywhere: an unknown ticket opens nothing there either."""
    clock.now = -100.0
    keys = AccessControl("demo", "t", clock)
    assert keys.accepts(TICKET_NAME, keys.issue_ticket(TARGET), TARGET)
    assert not keys.accepts(TICKET_NAME, "unknown", "")


@pytest.mark.parametrize("target", ["/elsewhere?app_name=a", "", "/basix/api/call_user"])
def test_tickets_are_for_the_feed(keys, target):
    """There is no ticket for another path."""
    status, reason = refusal(keys.issue_ticket, target)
    assert status == HTTPStatus.BAD_REQUEST
    assert FEED_PATH in reason


@pytest.mark.parametrize("value", ["true", "false", "1"])
def test_a_ticket_has_no_full_events(keys, value):
    """A ticket can't have full_events, whatever it says."""
    status, reason = refusal(keys.issue_ticket, f"{TARGET}&full_events={value}")
    assert status == HTTPStatus.BAD_REQUEST
    assert "full_events" in reason
    assert keys._tickets == {}


def test_tickets_are_hard_to_guess(keys):
    """No two tickets are the same, and they are long."""
    tickets = {keys.issue_ticket(TARGET) for _ in range(100)}
    assert len(tickets) == 100
    assert min(map(len, tickets)) >= 32
    assert all(quote(ticket, safe="") == ticket for ticket in tickets)


def test_repr_shows_no_secret(keys):
    """Neither the token nor a ticket stands in a repr."""
    ticket = keys.issue_ticket(TARGET)
    assert "demo" in repr(keys)
    assert "canary" not in repr(keys)
    assert ticket not in repr(keys)
