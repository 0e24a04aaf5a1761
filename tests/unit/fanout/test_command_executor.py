"""Executor of followers' commands: faults of requests, of Redis and of the HTTP API."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from support.virtual_clock import now, on_virtual_clock

from basix_ws_cti import RedisFeedError
from basix_ws_cti.fanout.command_executor import CommandExecutor
from basix_ws_cti.fanout.command_layout import CLAIM, KEEP_ANSWERS, REPLY, Request

SUBMITTED = 1_700_000_000_000
DATA = Request("call_user", {"destination": "1002"}, confirm=False).to_json().encode()


class OneRequest:
    """Redis with one request, submitted at ``SUBMITTED``.

    - ``deadline``: field of the request; ``None``: it has none.
    - ``failing``: scripts that Redis never answers.
    - ``data``: field of the request.
    """

    def __init__(self, deadline, failing=(), data=DATA):
        fields = [b"id", b"r1", b"data", data]
        self._entries = [
            [
                b"%d-0" % SUBMITTED,
                fields if deadline is None else [*fields, b"deadline", deadline],
            ]
        ]
        self._failing = failing
        self.scripts = []  # pairs of time and script
        self.replies = []

    async def execute(self, *command, wait=0.0):
        match command:
            case ("XREAD", *_):
                entries, self._entries = self._entries, []
                if entries:
                    return [[b"{basix}:requests", entries]]
                await asyncio.sleep(wait)
            case ("EVAL", script, _, _, argument, *_):
                self.scripts.append((now(), script))
                if script in self._failing:
                    raise RedisFeedError("127.0.0.1:6379", "timeout", "no answer")
                if script == REPLY:
                    self.replies.append(json.loads(argument))
                return 2000
        return None

    async def close(self):
        pass


def logged(caplog):
    """Return the log lines of the package."""
    return [text for name, _, text in caplog.record_tuples if name.startswith("basix_ws_cti")]


async def execute(redis, seconds, make_api=None):
    """Execute the requests for some seconds."""
    executor = CommandExecutor(lambda: redis, "basix", "a:1", None, make_api)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await executor.run()


@pytest.mark.parametrize("deadline", [None, b"", b"x", b"1.5", b"-1", b"9" * 20, b"9" * 5000])
@on_virtual_clock
async def test_request_with_an_unreadable_deadline_is_not_claimed(deadline, caplog):
    redis = OneRequest(deadline, failing=(CLAIM,))
    await execute(redis, 5)
    assert redis.scripts == []
    assert logged(caplog) == ["a request of a follower is unreadable: it has another version"]


@on_virtual_clock
async def test_request_with_deeply_nested_json_does_not_end_the_execution(caplog):
    redis = OneRequest(b"%d" % (SUBMITTED + 2000), data=b"[" * 100_000)
    await execute(redis, 5)
    assert redis.scripts == []
    assert logged(caplog) == ["a request of a follower is unreadable: it has another version"]


@on_virtual_clock
async def test_error_that_ends_the_execution_is_logged_without_its_text(caplog):
    class Faulty(OneRequest):
        async def execute(self, *command, wait=0.0):
            raise LookupError("0312341234")

    task = CommandExecutor(lambda: Faulty(None), "basix", "a:1", None).start()
    await asyncio.wait([task])
    assert logged(caplog) == ["commands of followers are no longer executed: LookupError"]


@on_virtual_clock
async def test_end_of_a_term_logs_no_error_of_the_execution(caplog):
    task = CommandExecutor(lambda: OneRequest(None), "basix", "a:1", None).start()
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.wait([task])
    assert logged(caplog) == ["a request of a follower is unreadable: it has another version"]


@on_virtual_clock
async def test_claim_is_retried_until_the_deadline():
    redis = OneRequest(b"%d" % (SUBMITTED + 2000), failing=(CLAIM,))
    await execute(redis, 100)
    assert redis.scripts == [(0.25 * number, CLAIM) for number in range(9)]


@on_virtual_clock
async def test_reply_is_retried_as_long_as_replies_are_kept():
    redis = OneRequest(b"%d" % (SUBMITTED + 2000), failing=(REPLY,))
    await execute(redis, 1000)
    assert {script for _, script in redis.scripts[1:]} == {REPLY}
    assert redis.scripts[-1][0] == 2 + KEEP_ANSWERS


@on_virtual_clock
async def test_method_that_the_api_of_the_publisher_lacks_is_named():
    redis = OneRequest(b"%d" % (SUBMITTED + 2000))
    await execute(redis, 1, lambda: contextlib.nullcontext(object()))
    problem = "the publisher's HTTP API has no method call_user"
    assert redis.replies == [{"outcome": "failed", "problem": problem, "uuids": []}]


@on_virtual_clock
async def test_follower_gets_a_reply_without_the_text_of_an_error_of_make_api(caplog):
    def make_api():
        raise LookupError("0312341234")

    redis = OneRequest(b"%d" % (SUBMITTED + 2000))
    await execute(redis, 1, make_api)
    problem = "an error of the publisher, which its log names"
    assert redis.replies == [{"outcome": "failed", "problem": problem, "uuids": []}]
    assert logged(caplog) == [
        "a command of a follower raised an error: LookupError",
        "command of a follower: call_user, failed",
    ]
