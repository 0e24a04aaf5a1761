"""Accounts, display links, passwords, sessions, throttling, and the checks of host and origin."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest
from starlette.requests import Request
from support.waiting import eventually

from basix_ws_cti import UsageError
from basix_ws_cti.web.access_file import AccessFile, Account, DisplayLink, hash_token, new_token
from basix_ws_cti.web.gatekeeper import COOKIE, Gatekeeper
from basix_ws_cti.web.host_check import HostCheck
from basix_ws_cti.web.mailbox import Mailbox
from basix_ws_cti.web.passwords import Cost, PasswordHash
from basix_ws_cti.web.same_origin import is_same_origin
from basix_ws_cti.web.throttle import LONGEST_DELAY, MAX_WAITING, Throttle
from basix_ws_cti.web.view_key import Selection

CHEAP = Cost(n=2, r=1, p=1)
PASSWORD = "correct horse"


def write(path, *entries):
    """Write a file with entries, with another time than before."""
    file = AccessFile(path)
    for entry in entries:
        file.add(entry)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text("".join(f"{line}\n" for line in file.lines()), encoding="utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def anna(password=PASSWORD):
    return Account("anna", PasswordHash.of(password, CHEAP))


# -- passwords and file ----------------------------------------------------------------------


def test_a_hash_matches_its_password_only():
    hashed = PasswordHash.parse(str(PasswordHash.of("Passwörter!", CHEAP)))
    assert hashed.matches("Passwörter!")
    assert hashed.matches("Passwo\u0308rter!")  # the same text, as another system types it
    assert not hashed.matches("passwörter!")
    assert not hashed.matches("x" * 10_000)
    assert "scrypt" not in repr(hashed)


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_passwords_of_unfit_length_are_rejected(password):
    with pytest.raises(UsageError, match="10 to 200 characters"):
        PasswordHash.of(password, CHEAP)


def test_a_file_has_hashes_only_and_is_read_as_written(tmp_path):
    token = new_token()
    link = DisplayLink("lobby", hash_token(token), Selection.of(["1900", "1"], ["7"]))
    path = write(tmp_path / "access", anna(), link)
    text = path.read_text(encoding="utf-8")
    assert token not in text
    assert PASSWORD not in text
    read = AccessFile.read(path)
    assert read.link_of(token) == link
    assert read.link_of(token + "x") is None
    assert read.accounts["anna"].password.matches(PASSWORD)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("accuont anna x", "line 2: expected account NAME HASH"),
        ("account anna plain-text", "line 2: not a hash of a password"),
        ("account anna scrypt$3$1$1$AAAA$AAAA", "line 2: parameters of scrypt"),
        ("account anna scrypt$9999999$99$1$AAAA$AAAA", "line 2: parameters of scrypt"),
        ("link lobby sha256$xy", "line 2: expected sha256"),
        (f"link lobby sha256${'0' * 64} group=1", "line 2: expected queue=ID or user=ID"),
        (f"link lo<b>by sha256${'0' * 64}", "line 2: a name has 1 to 64 letters"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, line, message):
    path = tmp_path / "access"
    path.write_text(f"# comment\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message.replace("$", r"\$")):
        AccessFile.read(path)


# -- sessions --------------------------------------------------------------------------------


@pytest.mark.slow
async def test_login_makes_a_session_and_logout_ends_its_streams(tmp_path):
    gatekeeper = Gatekeeper(path=write(tmp_path / "access", anna()), allow_commands=True)
    assert gatekeeper.session({}) is None
    assert await gatekeeper.log_in("anna", "wrong", "192.0.2.1") is None
    assert await gatekeeper.log_in("bert", PASSWORD, "192.0.2.1") is None
    token = await gatekeeper.log_in("anna", PASSWORD, "192.0.2.1")
    cookies = {COOKIE: token}
    session = gatekeeper.session(cookies)
    assert (session.access.name, session.access.with_commands) == ("anna", True)
    mailbox = Mailbox()
    session.mailboxes.add(mailbox)
    gatekeeper.log_out(cookies)
    assert mailbox.is_closed
    assert gatekeeper.session(cookies) is None


async def test_a_display_link_reads_its_part_until_it_is_revoked(tmp_path):
    token = new_token()
    link = DisplayLink("lobby", hash_token(token), Selection.of(["1900"], []))
    path = write(tmp_path / "access", anna(), link)
    gatekeeper = Gatekeeper(path=path, allow_commands=True)
    session = gatekeeper.session({COOKIE: token})
    assert session.access.bound == link.bound
    assert not session.access.with_commands
    mailbox = Mailbox()
    session.mailboxes.add(mailbox)
    gatekeeper.check_file()
    assert not mailbox.is_closed
    write(path, anna())
    gatekeeper.check_file()
    assert mailbox.is_closed
    assert gatekeeper.session({COOKIE: token}) is None


async def test_a_new_password_ends_the_sessions_of_the_old_one(tmp_path):
    path = write(tmp_path / "access", anna())
    gatekeeper = Gatekeeper(path=path)
    token = await gatekeeper.log_in("anna", PASSWORD, "192.0.2.1")
    write(path, anna("another one"))
    gatekeeper.check_file()
    assert gatekeeper.session({COOKIE: token}) is None
    assert await gatekeeper.log_in("anna", PASSWORD, "192.0.2.1") is None
    assert await gatekeeper.log_in("anna", "another one", "192.0.2.1") is not None


async def test_a_file_with_a_mistake_or_without_content_changes_nothing(tmp_path, caplog):
    path = write(tmp_path / "access", anna())
    gatekeeper = Gatekeeper(path=path)
    token = await gatekeeper.log_in("anna", PASSWORD, "192.0.2.1")
    path.write_text("account anna\n", encoding="utf-8")
    gatekeeper.check_file()
    assert gatekeeper.session({COOKIE: token}) is not None
    assert "expected account NAME HASH" in caplog.text
    path.unlink()
    gatekeeper.check_file()
    assert gatekeeper.session({COOKIE: token}) is not None
    gatekeeper.check_file()
    assert len(caplog.records) == 2  # each problem is reported once
    write(path, anna("another one"))
    gatekeeper.check_file()
    assert gatekeeper.session({COOKIE: token}) is None


async def test_a_file_that_cannot_be_read_for_a_moment_is_read_later(tmp_path, caplog, monkeypatch):
    link = DisplayLink("lobby", hash_token("token"))
    path = write(tmp_path / "access", anna(), link)
    gatekeeper = Gatekeeper(path=path)
    write(path, anna())

    def fail(*_args, **_options):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", fail)
        for _ in range(3):
            gatekeeper.check_file()
        assert gatekeeper.link("token") == link
        assert caplog.messages == [f"access file ignored: {os.strerror(errno.EMFILE)}"]
    gatekeeper.check_file()
    assert gatekeeper.link("token") is None


# -- throttling ------------------------------------------------------------------------------


async def test_delays_grow_to_a_limit_and_end_after_a_success(monkeypatch):
    delays = []

    async def sleep(seconds):
        delays.append(seconds)

    monkeypatch.setattr("basix_ws_cti.web.throttle.asyncio.sleep", sleep)
    throttle = Throttle()
    for _ in range(1000):
        await throttle.delay("anna", "192.0.2.1")
        throttle.fail("anna", "192.0.2.1")
    assert delays[:3] == [0.25, 0.5, 1.0]
    assert max(delays) == LONGEST_DELAY
    delays.clear()
    await throttle.delay("anna", "198.51.100.7")  # the account counts
    await throttle.delay("bert", "192.0.2.1")  # the network counts
    assert delays == [LONGEST_DELAY, LONGEST_DELAY]
    throttle.succeed("anna", "192.0.2.1")
    await throttle.delay("anna", "192.0.2.1")
    assert len(delays) == 2


async def test_addresses_of_one_ipv6_network_count_together(monkeypatch):
    delays = []

    async def sleep(seconds):
        delays.append(seconds)

    monkeypatch.setattr("basix_ws_cti.web.throttle.asyncio.sleep", sleep)
    throttle = Throttle()
    for number in range(5):
        throttle.fail(f"name{number}", f"2001:db8::{number}")
    await throttle.delay("anna", "2001:db8::ffff")
    await throttle.delay("anna", "2001:db8:0:1::1")
    assert delays == [1.0]


def test_few_logins_of_one_network_wait_at_the_same_time():
    throttle = Throttle()
    blocks = [throttle.waiting("192.0.2.1") for _ in range(MAX_WAITING + 1)]
    assert [block.__enter__() for block in blocks] == [True] * MAX_WAITING + [False]
    with throttle.waiting("192.0.2.2") as has_room:
        assert has_room
    for block in blocks:
        block.__exit__(None, None, None)
    with throttle.waiting("192.0.2.1") as has_room:
        assert has_room


# -- host and origin ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "is_accepted"),
    [
        (["localhost"], True),
        (["LOCALHOST:8080"], True),
        (["localhost."], True),
        (["127.0.0.1:8080"], True),
        (["[::1]:8080"], True),
        (["wall.example.com:8443"], True),
        (["192.0.2.7:8080"], False),
        (["[2001:db8::1]"], False),
        (["evil.example"], False),
        (["localhost.evil.example"], False),
        (["localhost@evil.example"], False),
        (["127.0.0.1:8080:1"], False),
        (["[evil.example]"], False),
        (["localhost:port"], False),
        ([""], False),
        ([], False),
        (["localhost", "localhost"], False),
    ],
)
def test_hosts(hosts, is_accepted):
    assert HostCheck(["Wall.Example.com"]).accepts(hosts) is is_accepted


@pytest.mark.parametrize("host", ["192.0.2.7:8080", "[2001:db8::1]", "127.1.2.3"])
def test_addresses_are_accepted_on_request(host):
    assert HostCheck(any_address=True).accepts([host])
    assert not HostCheck(any_address=True).accepts(["evil.example"])


@pytest.mark.parametrize(
    ("headers", "is_accepted"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://wall:8080"}, False),
        ({"origin": "http://wall:8080"}, True),
        ({"origin": "http://wall"}, False),
        ({"origin": "https://wall:8080"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_origins(headers, is_accepted):
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/login",
        "query_string": b"",
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", b"wall:8080")]
        + [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    assert is_same_origin(Request(scope)) is is_accepted


async def test_changes_of_the_file_are_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("basix_ws_cti.web.gatekeeper.CHECK_INTERVAL", 0.001)
    path = write(tmp_path / "access", anna())
    gatekeeper = Gatekeeper(path=path)
    token = await gatekeeper.log_in("anna", PASSWORD, "192.0.2.1")
    watching = asyncio.create_task(gatekeeper.watch())
    write(path)
    await eventually(lambda: gatekeeper.session({COOKIE: token}) is None)
    watching.cancel()
