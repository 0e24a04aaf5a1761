"""Lease: tokens, deadlines, and answers that do not arrive."""

from __future__ import annotations

import pytest

from basix_ws_cti import RedisFeedError
from basix_ws_cti.fanout.lease import READY, Lease

ERROR = RedisFeedError("127.0.0.1:6379", "timeout", "no answer")


class FakeRedis:
    """Key with a value, as the lease's commands use it; ``delay`` passes before each answer."""

    def __init__(self):
        self.value = None
        self.other = None  # value of a second key
        self.now = 100.0
        self.delay = 0.1
        self.error = None

    def clock(self):
        return self.now

    async def execute(self, *command):
        self.now += self.delay
        if self.error is not None:
            raise self.error
        match command:
            case ("SET", _, token, "NX", "PX", 2000):
                if self.value is not None:
                    return None
                self.value = token
                return b"OK"
            case ("EVAL", _, 2, _, _, token, 2000, old):
                if self.value is not None:
                    return 0
                self.value = token
                self.other = None if (self.other or "").startswith(old) else self.other
                return 1
            case ("EVAL", _, 1, _, old, new, 2000):
                return self._replace(old, new)
            case ("EVAL", _, 1, _, old):
                return self._replace(old, None)
            case ("GET", _):
                return None if self.value is None else self.value.encode()

    def _replace(self, old, new):
        if self.value != old:
            return 0
        self.value = new
        return 1


@pytest.fixture
def redis():
    return FakeRedis()


@pytest.fixture
def lease(redis):
    return Lease(redis, "key", owner="me", clock=redis.clock)


async def test_lease_lasts_from_the_moment_of_the_request(lease, redis):
    assert await lease.acquire()
    redis.now = 101.99
    assert lease.is_held
    redis.now = 102.0
    assert not lease.is_held


async def test_answer_that_is_too_late_gives_no_lease(lease, redis):
    redis.delay = 2.5
    assert not await lease.acquire()
    assert not lease.is_held


async def test_renewal_extends_the_lease(lease, redis):
    await lease.acquire()
    token = lease.token
    redis.now = 101.0
    assert await lease.renew()
    assert lease.token == token
    redis.now = 102.9
    assert lease.is_held


async def test_only_one_of_two_holds_the_lease(lease, redis):
    other = Lease(redis, "key", owner="other", clock=redis.clock)
    assert await lease.acquire()
    assert not await other.acquire()
    assert await other.holder() == lease.token
    await other.release()  # is no business of the other one
    assert redis.value == lease.token
    await lease.release()
    assert await other.acquire()
    assert not await lease.renew()
    assert not lease.is_held


async def test_each_term_has_another_token(lease):
    await lease.acquire()
    first = lease.token
    await lease.release()
    await lease.acquire()
    assert lease.token != first


async def test_failed_renewal_keeps_the_old_deadline(lease, redis):
    await lease.acquire()
    redis.now, redis.error = 101.0, ERROR
    with pytest.raises(RedisFeedError):
        await lease.renew()
    assert lease.is_held
    redis.now = 102.0
    assert not lease.is_held


async def test_standby_shows_that_it_is_ready(lease, redis):
    await lease.acquire("")
    await lease.renew(READY)
    assert redis.value == lease.token
    assert redis.value.endswith(READY)
    await lease.renew("")
    assert not redis.value.endswith(READY)


async def test_unknown_value_after_a_failed_renewal_is_not_relied_upon(lease, redis):
    """The value may be the old or the new one."""
    await lease.acquire("")
    redis.error = ERROR
    with pytest.raises(RedisFeedError):
        await lease.renew(READY)
    assert not lease.is_held


async def test_exchange_gives_the_other_lease_up_in_the_same_command(redis, lease):
    place = Lease(redis, "place", owner="me", clock=redis.clock)
    await place.acquire(READY)
    redis.value, redis.other = None, redis.value
    assert await lease.exchange(place)
    assert (redis.value, redis.other) == (lease.token, None)
    assert lease.is_held
    assert not place.is_held


async def test_exchange_for_a_lease_that_is_taken_keeps_the_other_one(redis, lease):
    place = Lease(redis, "place", owner="me", clock=redis.clock)
    await place.acquire(READY)
    redis.value, redis.other = "somebody", redis.value
    assert not await lease.exchange(place)
    assert redis.other == place.token
    assert place.is_held
    assert not lease.is_held
