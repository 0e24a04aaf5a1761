"""Addresses of Redis: what is accepted, and that no secret is shown."""

from __future__ import annotations

import pickle

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.fanout.redis_address import RedisAddress
from basix_ws_cti.fanout.redis_connection import RedisConnection

FORM = "use redis://host:port/db or rediss://host:port/db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", ("127.0.0.1", 6379, 0, False, None, None)),
        ("redis://localhost:7000/3", ("localhost", 7000, 3, False, None, None)),
        ("rediss://redis.example.com/", ("redis.example.com", 6379, 0, True, None, None)),
        ("rediss://me:p%40ss@[2001:db8::1]:1", ("2001:db8::1", 1, 0, True, "me", "p@ss")),
        ("redis://:secret@[::1]", ("::1", 6379, 0, False, None, "secret")),
    ],
)
def test_parts_of_a_url(url, expected):
    address = RedisAddress.parse(url)
    assert expected == (
        *(address.host, address.port, address.database, address.is_secure),
        *(address.username.value, address.password.value),
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:6379", f"redis must be a URL: {FORM}"),
        ("unix:///tmp/redis.sock", f"redis must be a URL: {FORM}"),
        ("redis://:secret@", f"the URL of redis has no host: {FORM}"),
        ("redis://me:secret@a b", f"the URL of redis has no valid host and port: {FORM}"),
        ("redis://me:secret@127.0.0.1:x", f"redis is not a valid URL: {FORM}"),
        (
            "redis://me:secret@127.0.0.1/x",
            f"the database in the URL of redis must be a number: {FORM}",
        ),
        ("redis://me:secret@127.0.0.1?db=1", f"the URL of redis must have no parameters: {FORM}"),
        (
            "redis://me:secret@10.0.0.1",
            (
                "the feed would be sent unencrypted to 10.0.0.1: use rediss://, or pass "
                "allow_insecure=True to accept that"
            ),
        ),
        (5, "redis must be a str, got int"),
    ],
)
def test_other_urls_are_refused_without_being_quoted(url, message):
    with pytest.raises(UsageError) as caught:
        RedisAddress.parse(url)
    assert str(caught.value) == message
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert caught.traceback[-1].name == "call"  # no frame with the URL


def test_unencrypted_connection_to_another_machine_can_be_allowed():
    assert RedisAddress.parse("redis://10.0.0.1", allow_insecure=True).host == "10.0.0.1"


def test_no_representation_shows_a_secret():
    address = RedisAddress.parse("rediss://name-of-user:secret@redis.example.com:7000/2")
    texts = [str(address), repr(address), repr(RedisConnection(address))]
    assert texts[0] == "redis.example.com:7000"
    assert "secret" not in "".join(texts)
    assert "name-of-user" not in "".join(texts)
    with pytest.raises(UsageError):
        pickle.dumps(address)
