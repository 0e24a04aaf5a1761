"""Connection to Redis: errors with their causes, no secret in them, and cancelled commands."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from redis.exceptions import ResponseError

from basix_ws_cti import RedisFeedError
from basix_ws_cti.fanout.redis_address import RedisAddress
from basix_ws_cti.fanout.redis_connection import RedisConnection

pytestmark = pytest.mark.redis

SECRET = "hunter22-secret"


@pytest.fixture
async def connection(redis_server):
    connection = RedisConnection(RedisAddress.parse(redis_server.url), timeout=0.5)
    yield connection
    await connection.close()


@pytest.mark.slow
async def test_refused_login_leaves_no_secret_in_the_exception(redis_server):
    url = redis_server.url.replace("//", f"//me:{SECRET}@")
    connection = RedisConnection(RedisAddress.parse(url))
    with pytest.raises(RedisFeedError) as caught:
        await connection.execute("PING")
    assert caught.value.cause == "login"
    assert caught.value.__context__ is None
    frames = caught.value.__traceback__.tb_next  # without this function's
    stack = traceback.StackSummary.extract(traceback.walk_tb(frames), capture_locals=True)
    assert "execute" in [frame.name for frame in stack]
    assert SECRET not in "".join(stack.format())


@pytest.mark.slow
async def test_cancelled_command_leaves_no_answer_for_the_next_one(redis_server, connection):
    redis_server.client.xadd("s", {"a": "b"}, id="5-0")
    reading = asyncio.create_task(
        connection.execute("XREAD", "BLOCK", 300, "STREAMS", "s", "5-0", wait=1)
    )
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await connection.execute("PING") == b"PONG"
    await asyncio.sleep(0.4)
    assert await connection.execute("GET", "absent") is None


@pytest.mark.slow
async def test_answers_and_errors(redis_server, connection):
    assert await connection.execute("XADD", "s", "5-0", "a", b"\xff") == b"5-0"
    assert await connection.execute("XRANGE", "s", "-", "+") == [[b"5-0", [b"a", b"\xff"]]]
    with pytest.raises(ResponseError, match="equal or smaller"):
        await connection.execute("XADD", "s", "5-0", "a", "b")
    with pytest.raises(ResponseError, match="no such key"):
        await connection.execute("XINFO", "STREAM", "absent")
    for command, cause in [
        (("XADD", "text", "*", "a", "b"), "other"),
        (("EVAL", "return redis.call('XADD', 'text', '*', 'a', 'b')", 0), "other"),
        (("NO_COMMAND",), "other"),
    ]:
        redis_server.client.set("text", "x")
        with pytest.raises(RedisFeedError) as caught:
            await connection.execute(*command)
        assert caught.value.cause == cause
    redis_server.suspend()
    with pytest.raises(RedisFeedError, match="no answer within 0.5 s"):
        await connection.execute("PING")
    redis_server.resume()
    assert await connection.execute("PING") == b"PONG"
    redis_server.kill()
    for message in ("the connection was lost", "cannot connect: Connection refused"):
        with pytest.raises(RedisFeedError, match=message):
            await connection.execute("PING")
