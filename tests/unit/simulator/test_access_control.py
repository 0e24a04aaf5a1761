"""Access control of the simulated PBX: request targets, credentials and tickets."""

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
    """Clock that a test sets by hand."""

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
def access(clock):
    return AccessControl("demo", "canary-token", clock, ticket_lifetime=10)


def refusal(function, *args):
    """Return the status and the reason of the ``RefusedError`` that a call raises."""
    with pytest.raises(RefusedError) as caught:
        function(*args)
    error = caught.value
    assert isinstance(error, BasixError)
    assert error.reason in str(error)
    return error.status, error.reason


# Request targets


@pytest.mark.parametrize(
    "target", ["/", "", "/elsewhere?app_name=a", f"{FEED_PATH}/?app_name=a", "*", "?app_name=a"]
)
def test_other_paths_are_not_found(target, pbx):
    assert refusal(parse_target, target, pbx) == (
        HTTPStatus.NOT_FOUND,
        "no feed at this path: use /basix/api/ws_cti",
    )


@pytest.mark.parametrize("target", ["//[", "//[::1/x", "//\u2100/x", "http://[v1.x]x/"])
def test_malformed_target_is_refused(target, pbx, access):
    """A target that cannot be parsed as a URL raises RefusedError and no error of Python's."""
    assert refusal(parse_target, target, pbx)[0] in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
    assert refusal(access.issue_ticket, target)[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("query", ["", "?", "?app_name=", "?full_events=true", "?App_name=a"])
def test_missing_app_name_is_refused(query, pbx):
    assert refusal(parse_target, FEED_PATH + query, pbx) == (
        HTTPStatus.BAD_REQUEST,
        "query parameter app_name is missing",
    )


def test_target_without_filter_requests_all_channels(pbx):
    """The app_name may contain any character; the last one counts."""
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
def test_filter_selects_a_user(name, value, number, pbx):
    """Each of the six filters finds its user; a value that matches no user is refused."""
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


def test_first_filter_of_the_protocols_list_counts(pbx):
    """The order of the filters in the query does not matter."""
    first, second = list(pbx.users.values())[:2]
    target = f"{TARGET}&user_email={second.email}&user_id={first.id}"
    assert parse_target(target, pbx).user_id == first.id


@pytest.mark.parametrize("name", ["user_id", "user_name", "user_email"])
def test_empty_filter_is_refused(name, pbx):
    """A filter with an empty value matches no user; it does not request all channels."""
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
def test_force_and_forced_are_accepted(query, force, pbx):
    """Either spelling, with the value true, replaces a connection at the limit."""
    assert parse_target(TARGET + query, pbx).force is force


# Credentials


@pytest.mark.parametrize("target", [None, TARGET, "/elsewhere"])
def test_only_domain_and_token_are_accepted(access, target):
    """They are accepted any number of times, for any target."""
    for _ in range(2):
        assert access.accepts("demo", "canary-token", target)
    for name, secret in (
        ("demo", "wrong"),
        ("other", "canary-token"),
        ("demo", ""),
        ("", ""),
        ("demo", "canary-token "),
        (TICKET_NAME, "canary-token"),
        ("canary-token", "demo"),
    ):
        assert not access.accepts(name, secret, target)


def test_domain_and_token_may_contain_any_character(clock):
    access = AccessControl("会社", "ひみつ:/@é", clock)
    assert access.accepts("会社", "ひみつ:/@é")
    assert not access.accepts("会社", "ひみつ:/@e")
    assert not access.accepts("会", "ひみつ:/@é")


def test_lone_surrogates_are_refused_without_an_error(access):
    assert not access.accepts("demo", "\udcff")
    assert not access.accepts("\ud800", "canary-token")
    assert not access.accepts(TICKET_NAME, "\udcff", TARGET)


BASIC = "Basic " + base64.b64encode(b"demo:canary-token").decode()


@pytest.mark.parametrize("header", [BASIC, BASIC.replace("Basic", "bASIC")])
def test_one_basic_header_authenticates(access, header):
    """The case of the scheme does not matter."""
    access.authenticate([header])


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
        ["Basic /w=="],  # not UTF-8
        ["Basic \udcff"],
        ["Basic é"],
        ["Basic " + base64.b64encode(b"demo:wrong").decode()],
    ],
)
def test_invalid_authorization_headers_are_refused(access, headers):
    """Several headers, other schemes and wrong credentials have status 401."""
    with pytest.raises(RefusedError, match="credentials") as caught:
        access.authenticate(headers)
    assert caught.value.status == 401


def test_ticket_is_valid_once(access):
    ticket = access.issue_ticket(TARGET)
    assert access.accepts(TICKET_NAME, ticket, TARGET)
    assert not access.accepts(TICKET_NAME, ticket, TARGET)


@pytest.mark.parametrize("target", ["/elsewhere", TARGET + "&force=true", FEED_PATH, ""])
def test_ticket_is_refused_for_another_target(access, target):
    """The attempt uses the ticket up."""
    ticket = access.issue_ticket(TARGET)
    assert not access.accepts(TICKET_NAME, ticket, target)
    assert not access.accepts(TICKET_NAME, ticket, TARGET)


def test_ticket_needs_a_target_and_its_own_name(access):
    """A ticket without a target, or with the domain's name, is refused and stays valid."""
    ticket = access.issue_ticket(TARGET)
    assert not access.accepts(TICKET_NAME, ticket)
    assert not access.accepts("demo", ticket, TARGET)
    assert access.accepts(TICKET_NAME, ticket, TARGET)


def test_ticket_expires_after_its_lifetime(access, clock):
    first, second, third = (access.issue_ticket(TARGET) for _ in range(3))
    clock.now += 9.99
    assert access.accepts(TICKET_NAME, first, TARGET)
    clock.now += 0.01
    assert not access.accepts(TICKET_NAME, second, TARGET)
    clock.now += 100
    assert not access.accepts(TICKET_NAME, third, TARGET)


def test_expired_tickets_are_deleted(access, clock):
    """Issuing a ticket deletes the expired ones."""
    for _ in range(50):
        access.issue_ticket(TARGET)
    assert access.ticket_count == 50
    clock.now += 5
    fresh = access.issue_ticket(TARGET)
    assert access.ticket_count == 51
    clock.now += 5
    access.issue_ticket(TARGET)
    assert access.ticket_count == 2
    assert access.accepts(TICKET_NAME, fresh, TARGET)


@pytest.mark.parametrize("ticket", ["", "unknown", "canary-token", "ひみつ"])
def test_unknown_ticket_is_refused(access, ticket):
    assert not access.accepts(TICKET_NAME, ticket, TARGET)
    assert not access.accepts(TICKET_NAME, ticket, "")


def test_tickets_work_with_a_clock_below_zero(clock):
    """A monotonic clock may start anywhere."""
    clock.now = -100.0
    access = AccessControl("demo", "t", clock)
    assert access.accepts(TICKET_NAME, access.issue_ticket(TARGET), TARGET)
    assert not access.accepts(TICKET_NAME, "unknown", "")


@pytest.mark.parametrize("target", ["/elsewhere?app_name=a", "", "/basix/api/call_user"])
def test_no_ticket_for_another_path(access, target):
    status, reason = refusal(access.issue_ticket, target)
    assert status == HTTPStatus.BAD_REQUEST
    assert FEED_PATH in reason


@pytest.mark.parametrize("value", ["true", "false", "1"])
def test_no_ticket_with_full_events(access, value):
    """The value of full_events does not matter."""
    status, reason = refusal(access.issue_ticket, f"{TARGET}&full_events={value}")
    assert status == HTTPStatus.BAD_REQUEST
    assert "full_events" in reason
    assert access.ticket_count == 0


def test_tickets_are_long_and_unique(access):
    tickets = {access.issue_ticket(TARGET) for _ in range(100)}
    assert len(tickets) == 100
    assert min(map(len, tickets)) >= 32
    assert all(quote(ticket, safe="") == ticket for ticket in tickets)


def test_repr_shows_no_secret(access):
    """Neither the token nor a ticket appears in the repr."""
    ticket = access.issue_ticket(TARGET)
    assert "demo" in repr(access)
    assert "canary" not in repr(access)
    assert ticket not in repr(access)
