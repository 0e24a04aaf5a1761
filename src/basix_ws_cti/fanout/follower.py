"""Follower: the feed of a PBX from a stream, with the interface of ``Client``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from basix_ws_cti._internal.arguments import check_instance
from basix_ws_cti._internal.stream_defaults import DEFAULT_NAME
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.commanded_feed import CommandedFeed
from basix_ws_cti.client.commands import Command
from basix_ws_cti.client.live_feed import FeedCore
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.transport.redaction import scrub_traceback

from .command_requests import CommandRequester, RemoteApi
from .follow_loop import FollowLoop
from .redis_address import RedisAddress
from .redis_connection import RedisConnection
from .stream import check_name

# Seconds for which the answer to a command may be late, in addition to the time for which the
# command waits in Redis. A half-open connection is noticed within 2.5 s.
REPLY_TIMEOUT = 1.5


class Follower(CommandedFeed):
    """``async with Follower(…) as follower``: follows a stream for the duration of the block.

    It has the interface of ``Client``, except for eavesdropping, with the same guarantees: the
    mirror shows complete states only, and a ``Gap`` tells when changes may have been missed. That
    is the case if the publisher lost the PBX, and if the follower fell so far behind that entries
    were removed before it read them. A lost connection to Redis, and a change of the publisher,
    cause no gap by themselves.

    - ``redis``: ``redis[s]://[[user]:password@]host[:port][/database]``.
    - ``stream``: name of the stream, as given to the publisher.
    - ``allow_insecure``: accept ``redis://``, which is not encrypted, to another machine.
    - ``ca_file``: PEM file of the CA to trust for ``rediss://``; ``None``: the system's.
    - ``backoff``: delays between attempts to reach Redis; the default grows from 0.25 to 5 seconds.
    - ``country_code``: country of numbers written without one, for the mirror.

    ``state`` is ``Disconnected`` while Redis cannot be reached, while no publisher leads the
    stream, and while the publisher has no feed; its ``reason`` says which. A refused login before
    the first snapshot stops the follower. In ``stats``, frames are entries of the stream, and
    connects those to Redis.

    Commands travel through Redis to the leading publisher, which executes them if it allows that:
    see ``Publisher``. ``api`` stands for its HTTP API: ``follower.call_user(follower.api, …)``.
    A command that is cancelled may still be executed until its deadline.

    A PBX's time is not part of the stream: the time of an entry is that of the publisher's clock.

    Raises ``UsageError`` for arguments that cannot work. Needs the extra ``fanout``.
    """

    @scrub_traceback
    def __init__(
        self,
        redis: str,
        *,
        stream: str = DEFAULT_NAME,
        allow_insecure: bool = False,
        ca_file: str | Path | None = None,
        backoff: Backoff | None = None,
        country_code: str = "81",
    ) -> None:
        check_instance("backoff", backoff, Backoff, "a Backoff", optional=True)
        if ca_file is not None and not isinstance(ca_file, str | Path):
            raise UsageError(f"ca_file must be a path, got {type(ca_file).__name__}")
        address = RedisAddress.parse(redis, allow_insecure=allow_insecure)
        self._name = f"{address} stream={check_name(stream)!r}"
        core = FeedCore(
            "follower", "async with Follower(...) as follower:", country_code=country_code
        )
        connect = partial(
            RedisConnection,
            address,
            ca_file=None if ca_file is None else Path(ca_file),
            timeout=REPLY_TIMEOUT,
        )
        self._requester = CommandRequester(connect, stream, core.dispatcher)
        loop = FollowLoop(
            core,
            connect(),
            server=str(address),
            stream=stream,
            backoff=Backoff(initial=0.25, maximum=5) if backoff is None else backoff,
        )
        super().__init__(core, loop)

    def __repr__(self) -> str:
        return f"<Follower {self._name} {type(self.state).__name__.lower()}>"

    @property
    def api(self) -> RemoteApi:
        """HTTP API of the leading publisher, for ``call_user`` and ``call_group``."""
        return RemoteApi(self._requester, self._check_running)

    async def _send(self, command: Command, confirm_timeout: float | None = None) -> None:
        self._check_running()
        await self._requester.send(command, confirm_timeout)
