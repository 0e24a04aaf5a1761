"""Commands of followers, executed by the leader."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NoReturn

from basix_ws_cti.client.click_to_call import ClickToCallApi
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    BasixError,
    CommandTimeout,
    FeedError,
    NotConnectedError,
    RedisFeedError,
    UsageError,
)

from .command_layout import CLAIM, KEEP_ANSWERS, REPLY, CommandKeys, Reply, Request, Submission
from .redis_connection import RedisConnection
from .stream import fields_of, leader_key

_logger = logging.getLogger(__name__)

# Seconds for which Redis waits for a request; after each, the announcement is renewed.
_BLOCK_TIME: Final = 1.0

# Seconds after which the announcement expires: as long as a takeover may take.
_ANNOUNCED_FOR: Final = 4.0

# Seconds between two attempts while Redis is away.
_RETRY_INTERVAL: Final = 0.25

# Requests that are read at a time.
_PAGE_SIZE: Final = 64


MakeApi = Callable[[], AbstractAsyncContextManager[ClickToCallApi[Any]]]
"""Opens an HTTP API, such as ``HttpApi``, for one call."""


class CommandExecutor:
    """Executes the requests of followers during one term of a leader.

    - ``connect``: returns a new connection to Redis.
    - ``stream``: name of the stream.
    - ``token``: token of the leader's lease in this term.
    - ``client``: sends the commands.
    - ``make_api``: opens the HTTP API for ``call_user`` and ``call_group``; ``None``: they fail.
    """

    def __init__(
        self,
        connect: Callable[[], RedisConnection],
        stream: str,
        token: str,
        client: Client,
        make_api: MakeApi | None = None,
    ) -> None:
        self._reader = connect()
        self._writer = connect()
        self._writing = asyncio.Lock()  # a connection is used by one task at a time
        self._stream = stream
        self._keys = CommandKeys(stream)
        self._token = token
        self._client = client
        self._make_api = make_api
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> asyncio.Task[NoReturn]:
        """Start to execute requests, until the task that is returned is cancelled."""
        task = asyncio.create_task(self.run(), name="basix_ws_cti commands")
        task.add_done_callback(_log_failure)
        return task

    async def run(self) -> NoReturn:
        """Execute requests until this task is cancelled; then those in progress are cancelled."""
        position = b"0"
        try:
            while True:
                try:
                    position = await self._read(position)
                except RedisFeedError as error:
                    _logger.warning("commands of followers cannot be read: %s", error)
                    await asyncio.sleep(_RETRY_INTERVAL)
        finally:
            for task in self._running:
                task.cancel()
            if self._running:
                await asyncio.wait(self._running)
            await self._reader.close()
            await self._writer.close()

    async def _read(self, position: bytes) -> bytes:
        """Start to execute the requests after ``position``; return the position after them."""
        await self._reader.execute(
            "SET", self._keys.announcement, "1", "PX", round(_ANNOUNCED_FOR * 1000)
        )
        answer = await self._reader.execute(
            *("XREAD", "COUNT", _PAGE_SIZE, "BLOCK", round(_BLOCK_TIME * 1000)),
            *("STREAMS", self._keys.requests, position),
            wait=_BLOCK_TIME,
        )
        for entry_id, pairs in answer[0][1] if answer else ():
            position = entry_id
            submission = Submission.from_entry(entry_id, fields_of(pairs))
            if submission is None:
                _logger.warning("a request of a follower is unreadable: it has another version")
                continue
            task = asyncio.create_task(self._serve(submission), name="basix_ws_cti command")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return position

    async def _serve(self, submission: Submission) -> None:
        """Claim a request, execute it, and reply; do nothing if it is not to be executed."""
        request_id, request = submission.request_id, submission.request
        asked = asyncio.get_running_loop().time()
        end = asked + submission.timeout  # not before the deadline: it was submitted earlier
        left = await self._write(
            end,
            *("EVAL", CLAIM, 2, leader_key(self._stream), self._keys.claim(request_id)),
            *(self._token, submission.deadline, KEEP_ANSWERS * 1000),
        )
        if not left:
            return
        # Redis counted the time that is left after it was asked: the deadline is not before this.
        timeout = asked + left / 1000 - asyncio.get_running_loop().time()
        if timeout > 0:
            reply = await self._execute(request, timeout)
        else:  # this process was stopped in between
            reply = Reply("failed", "the publisher was too slow: nothing was sent")
        _logger.info("command of a follower: %s, %s", request.name, reply.outcome)
        await self._write(
            end + KEEP_ANSWERS,
            *("EVAL", REPLY, 1, self._keys.reply(request_id), reply.to_json()),
            KEEP_ANSWERS * 1000,
        )

    async def _write(self, end: float, *command: bytes | str | int) -> Any:
        """Execute a command that may be repeated; return the answer of Redis.

        ``None``: Redis did not answer until the event loop's clock was at ``end``.
        """
        while True:
            try:
                async with self._writing:
                    return await self._writer.execute(*command)
            except RedisFeedError as error:
                _logger.warning("a command of a follower waits for Redis: %s", error)
                if asyncio.get_running_loop().time() >= end:
                    return None
                await asyncio.sleep(_RETRY_INTERVAL)

    async def _execute(self, request: Request, timeout: float) -> Reply:  # noqa: ASYNC109
        try:
            return Reply("done", uuids=await self._send(request, timeout))
        except NotConnectedError:
            return Reply("not_connected")
        except FeedError:  # it may have been sent before
            return Reply("no_effect")
        except BasixError as error:
            return Reply("failed", str(error))
        except TypeError:
            return Reply("failed", "its arguments are invalid")
        except Exception as error:  # noqa: BLE001 - of make_api, whose text may be confidential
            name = type(error).__name__
            _logger.error("a command of a follower raised an error: %s", name)  # noqa: TRY400
            return Reply("failed", "an error of the publisher, which its log names")

    async def _send(self, request: Request, timeout: float) -> tuple[str, ...]:  # noqa: ASYNC109
        arguments = dict(request.arguments)
        confirmed: dict[str, Any] = {}
        if request.confirm:
            confirmed = {"confirm": True, "confirm_timeout": timeout}
        match request.name:
            case "hangup":
                await self._client.hangup(**arguments, **confirmed)
            case "park":
                park_timeout = arguments.pop("timeout", None)
                await self._client.park(**arguments, park_timeout=park_timeout, **confirmed)
            case "transfer":
                await self._client.transfer(**arguments)
            case "call_user" | "call_group":
                return await self._start_call(request.name, arguments, timeout)
        return ()

    async def _start_call(
        self,
        method: str,
        arguments: dict[str, Any],
        timeout: float,  # noqa: ASYNC109 - seconds, as everywhere
    ) -> tuple[str, ...]:
        if self._make_api is None:
            raise UsageError("the publisher has no HTTP API: pass make_api")
        scope = asyncio.timeout(timeout)
        try:
            async with scope, self._make_api() as api:
                start = getattr(api, method, None)
                if start is None:
                    raise UsageError(f"the publisher's HTTP API has no method {method}")
                return tuple(await start(**arguments))
        except TimeoutError:
            if not scope.expired():
                raise
            raise CommandTimeout(method, timeout) from None


def _log_failure(task: asyncio.Task[NoReturn]) -> None:
    """Log the class of the error that ended the execution; its text may be confidential."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):  # a SystemExit, as signal handlers raise it, is no error
        _logger.error("commands of followers are no longer executed: %s", type(error).__name__)
