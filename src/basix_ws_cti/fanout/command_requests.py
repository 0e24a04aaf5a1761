"""Commands of a follower: sends requests through Redis and waits for the leader's reply."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti.client.commands import Command
from basix_ws_cti.client.dispatch import Dispatcher
from basix_ws_cti.exceptions import (
    CommandRefused,
    CommandTimeout,
    NotConnectedError,
    RedisFeedError,
    UsageError,
)

from .command_layout import (
    KEEP_ANSWERS,
    KEEP_REQUESTS,
    MAX_REQUESTS,
    SUBMIT,
    WITHDRAW,
    WITHDRAWN,
    CommandKeys,
    Reply,
    Request,
)
from .redis_connection import RedisConnection
from .stream import leader_key

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds until the deadline of a command whose effect is not waited for."""

API_TIMEOUT: Final = 10.0
"""Default time for the reply of the HTTP API, in seconds."""

# Seconds after the deadline in which the reply of a leader that claimed in time may arrive.
_GRACE: Final = 1.0

# Causes of errors with which Redis refuses a request: then it has certainly not been submitted.
_REFUSALS: Final = frozenset({"no_permission", "login", "read_only", "out_of_memory", "loading"})

# Seconds between two attempts to learn what became of a request while Redis is away.
_RETRY_INTERVAL: Final = 0.25


class CommandRequester:
    """Sends the commands of one follower.

    - ``connect``: returns a new connection to Redis; each command has its own.
    - ``stream``: name of the stream.
    - ``dispatcher``: that of the follower, which shows the effects of commands.
    """

    def __init__(
        self, connect: Callable[[], RedisConnection], stream: str, dispatcher: Dispatcher
    ) -> None:
        self._connect = connect
        self._stream = stream
        self._keys = CommandKeys(stream)
        self._dispatcher = dispatcher

    async def send(self, command: Command, confirm_timeout: float | None = None) -> None:
        """Let the leader send a command; wait up to ``confirm_timeout`` seconds for its effect.

        ``None``: wait only until the leader has sent it. Raises ``NotConnectedError`` if there is
        no leader or the leader has no connection, ``CommandRefused`` if it is certain that the
        command was not executed, ``CommandTimeout`` if its outcome is unknown, and
        ``RedisFeedError`` if Redis could not be reached, so that nothing was sent.
        """
        arguments = {name: value for name, value in command.sent.items() if name != "cmd"}
        timeout = DEFAULT_TIMEOUT if confirm_timeout is None else confirm_timeout
        if command.has_effect is None or confirm_timeout is None:
            await self.request(Request(command.name, arguments, confirm=False), timeout)
            return
        with self._dispatcher.waiting_for(command.has_effect) as seen:
            await self.request(Request(command.name, arguments, confirm=True), timeout)
            # The leader has seen the effect: it arrives here, too.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await seen

    async def request(self, request: Request, timeout: float) -> Reply:  # noqa: ASYNC109 - seconds, as everywhere
        """Let the leader execute a request within ``timeout`` seconds; return its reply.

        Raises what ``send`` raises.
        """
        connection = self._connect()
        try:
            await self._check_leader(connection, request)
            reply = await self._exchange(connection, request, timeout)
        finally:
            await connection.close()
        match reply.outcome:
            case "not_connected":
                raise NotConnectedError
            case "no_effect":
                raise CommandTimeout(request.name, timeout)
            case "failed":
                raise CommandRefused(request.name, "failed", reply.problem)
        return reply

    async def _check_leader(self, connection: RedisConnection, request: Request) -> None:
        if not await connection.execute("EXISTS", leader_key(self._stream)):
            raise NotConnectedError
        if not await connection.execute("EXISTS", self._keys.announcement):
            raise CommandRefused(
                request.name,
                "not_allowed",
                "the publisher executes no commands: start it with --allow-commands",
            )

    async def _exchange(
        self,
        connection: RedisConnection,
        request: Request,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        request_id = secrets.token_hex(16)
        end = asyncio.get_running_loop().time() + timeout + _GRACE
        is_submitted = False
        try:
            await connection.execute(
                *("EVAL", SUBMIT, 1, self._keys.requests, request_id, round(timeout * 1000)),
                *(request.to_json(), MAX_REQUESTS, KEEP_REQUESTS * 1000),
            )
            is_submitted = True
            wait = max(0.01, end - asyncio.get_running_loop().time())
            answer = await connection.execute(
                *("BLPOP", self._keys.reply(request_id), f"{wait:.3f}"), wait=wait
            )
            if answer is not None:
                return Reply.from_json(answer[1])
        except RedisFeedError as error:
            if not is_submitted and error.cause in _REFUSALS:
                raise
            return await self._settle(connection, request, request_id, timeout, error)
        return await self._settle(connection, request, request_id, timeout, None)

    async def _settle(
        self,
        connection: RedisConnection,
        request: Request,
        request_id: str,
        timeout: float,  # noqa: ASYNC109
        error: RedisFeedError | None,
    ) -> Reply:
        """Withdraw a request without a reply, and find out what is known about it.

        ``error``: Redis failed in between; then this is tried for as long as the command may take.
        """
        keys = self._keys
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout + _GRACE
        while True:
            try:
                kind, found = await connection.execute(
                    *("EVAL", WITHDRAW, 2, keys.claim(request_id), keys.reply(request_id)),
                    round((timeout + KEEP_ANSWERS) * 1000),
                )
            except RedisFeedError:
                if loop.time() >= end:
                    raise CommandTimeout(request.name, timeout) from None
                await asyncio.sleep(_RETRY_INTERVAL)
                continue
            if kind == b"reply":
                return Reply.from_json(found)
            if found == WITHDRAWN:
                if error is not None:
                    raise error
                raise CommandRefused(
                    request.name, "not_taken", "no publisher took it before its deadline"
                )
            if error is None or loop.time() >= end:
                raise CommandTimeout(request.name, timeout)
            await asyncio.sleep(_RETRY_INTERVAL)  # it is being executed


class RemoteApi:
    """HTTP API of the leading publisher, as far as it starts calls.

    ``check``: raises an error if the follower does not run.
    """

    def __init__(self, requester: CommandRequester, check: Callable[[], None]) -> None:
        self._requester = requester
        self._check = check

    async def call_user(
        self,
        destination: str | Mapping[str, object],
        *,
        timeout: float = API_TIMEOUT,  # noqa: ASYNC109 - seconds, as everywhere
        **options: Any,
    ) -> tuple[str, ...]:
        """Let the leading publisher ring a user's phones, and then call ``destination``.

        ``options`` are the keyword arguments of ``HttpApi.call_user``, which the publisher checks.
        ``timeout``: maximum time until its reply, in seconds. Returns the uuids of the channels
        that ring. Raises what the commands of a ``Follower`` raise: an error of the HTTP API is a
        ``CommandRefused`` with the cause ``"failed"``.
        """
        return await self._start("call_user", destination, timeout, options)

    async def call_group(
        self,
        destination: str | Mapping[str, object],
        *,
        timeout: float = API_TIMEOUT,  # noqa: ASYNC109 - seconds, as everywhere
        **options: Any,
    ) -> tuple[str, ...]:
        """Let the leading publisher ring a group's members, and then call ``destination``.

        ``options`` are the keyword arguments of ``HttpApi.call_group``. For the rest, see
        ``call_user``.
        """
        return await self._start("call_group", destination, timeout, options)

    async def _start(
        self,
        method: str,
        destination: str | Mapping[str, object],
        timeout: float,  # noqa: ASYNC109 - seconds, as everywhere
        options: dict[str, Any],
    ) -> tuple[str, ...]:
        check_seconds("timeout", timeout)
        self._check()
        given = {name: value for name, value in options.items() if value is not None}
        request = Request(method, {"destination": destination, **given}, confirm=False)
        try:
            request.to_json()
        except (TypeError, ValueError):
            raise UsageError(f"the arguments of {method} must be JSON values") from None
        return (await self._requester.request(request, timeout)).uuids
