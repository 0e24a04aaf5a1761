"""Examination of a Redis server that carries the feed: settings, permissions, encryption.

The permissions are examined by commands that change nothing, whatever the stream holds. A command
that is refused appears in the server's ``ACL LOG``.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Final

from attrs import evolve
from redis.exceptions import ResponseError

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.error_texts import error_text
from basix_ws_cti.exceptions import RedisFeedError
from basix_ws_cti.fanout.command_layout import CommandKeys
from basix_ws_cti.fanout.redis_address import RedisAddress
from basix_ws_cti.fanout.redis_connection import RedisConnection
from basix_ws_cti.fanout.stream import check_name, leader_key

from .findings import REDIS_STEPS, Finding, Mark, StepFailedError

# First version with all commands and options that are used.
_MINIMUM_VERSION: Final = (6, 2)

_ACL_ADVICE: Final = N_(
    "allow them with ACL SETUSER: the documentation of the fan-out has both lists of commands"
)

# Writes a list that nothing reads, and that expires at once.
_PUSH: Final = "redis.call('RPUSH', KEYS[1], '') return redis.call('PEXPIRE', KEYS[1], 1)"

# An id that no entry has.
_LAST_ID: Final = "18446744073709551615-18446744073709551615"


class RedisExamination:
    """One examination of one server, for the publishers and readers of one stream.

    - ``url``: URL of the server.
    - ``stream``: name of the stream.
    - ``ca_file``: PEM file of the CA to trust; ``None``: the system's.
    - ``timeout``: maximum time to wait for an answer, in seconds.

    Raises ``UsageError`` for arguments that cannot work.
    """

    def __init__(
        self, url: str, stream: str, *, ca_file: Path | None = None, timeout: float = 10
    ) -> None:
        self._address = RedisAddress.parse(url)
        self._connection = RedisConnection(self._address, ca_file=ca_file, timeout=timeout)
        self._stream = check_name(stream)
        self._info: dict[str, str] | None = None

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Yield the finding of each step, as soon as it is made.

        Close the generator (``contextlib.aclosing``) if it is not iterated to its end.
        """
        checks = (
            self._check_server,
            self._check_memory,
            self._check_saving,
            self._check_permissions,
        )
        failed = False
        try:
            for step, check in zip(REDIS_STEPS, checks, strict=True):
                if failed:
                    yield Finding(step=step, mark=Mark.SKIPPED, found=_("not examined"))
                    continue
                began = time.perf_counter()
                try:
                    finding = await check()
                except StepFailedError as error:
                    failed, finding = True, error.finding
                yield evolve(finding, step=step, seconds=time.perf_counter() - began)
        finally:
            await self._connection.close()

    async def _check_server(self) -> Finding:
        """Connect, log in, and read the version and role of the server."""
        try:
            raw = await self._connection.execute("INFO")
        except RedisFeedError as error:
            if error.cause != "no_permission":
                advice = _("check the URL, the password and the network; rediss:// needs TLS")
                raise StepFailedError(error_text(error), advice) from None
            return Finding(
                mark=Mark.WARNING,
                found=_("connected to {server}; its settings cannot be read").format(
                    server=self._address
                ),
                advice=_("allow the command INFO for this examination"),
            )
        lines = raw.decode(errors="replace").splitlines()
        self._info = dict(line.split(":", 1) for line in lines if ":" in line)
        version = self._info.get("redis_version", "0")
        parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if parts < _MINIMUM_VERSION:
            raise StepFailedError(
                _("version {version} is too old").format(version=version),
                _("install Redis 6.2 or newer, or Valkey"),
                version=version,
            )
        if self._info.get("role") == "slave":
            raise StepFailedError(
                _("the server is a replica, which is read-only"),
                _("use the address of the primary"),
                version=version,
            )
        text = (
            _("connected to {server}, version {version}, with TLS")
            if self._address.is_secure
            else _("connected to {server}, version {version}, unencrypted on this machine")
        )
        return Finding(
            found=text.format(server=self._address, version=version),
            details={"version": version, "tls": self._address.is_secure},
        )

    async def _check_memory(self) -> Finding:
        """Check that the server deletes no stream when its memory is full."""
        if self._info is None:
            return _unknown()
        policy = self._info.get("maxmemory_policy", "noeviction")
        details = {"maxmemory_policy": policy, "maxmemory": self._info.get("maxmemory", "0")}
        if policy == "noeviction":
            found = _("a full memory deletes nothing (noeviction)")
            return Finding(found=found, details=details)
        return Finding(
            mark=Mark.WARNING,
            found=_("a full memory may delete the stream: maxmemory-policy is {policy}").format(
                policy=policy
            ),
            advice=_("set maxmemory-policy noeviction, or use a separate server"),
            details=details,
        )

    async def _check_saving(self) -> Finding:
        """Check that the stream survives a restart of the server."""
        if self._info is None:
            return _unknown()
        has_aof = self._info.get("aof_enabled") == "1"
        if has_aof:
            return Finding(found=_("a restart keeps the stream (AOF)"), details={"aof": True})
        return Finding(
            mark=Mark.WARNING,
            found=_("a restart loses the stream: AOF is off"),
            advice=_("set appendonly yes; without it, readers get a gap at each restart"),
            details={"aof": False},
        )

    async def _check_permissions(self) -> Finding:
        """Try each command of publishers and readers."""
        missing = {
            role: [name for name, command in commands if not await self._may(command)]
            for role, commands in _commands(self._stream).items()
        }
        publish, read = missing["publish"], missing["read"]
        details = {f"missing_for_{role}": commands for role, commands in missing.items()}
        if not publish and not read:
            found = _("the user may publish and read")
        elif not publish:
            found = _("the user may publish, but not read: {commands}").format(
                commands=", ".join(read)
            )
        elif not read:
            found = _("the user may read, but not publish: {commands}").format(
                commands=", ".join(publish)
            )
        else:
            raise StepFailedError(
                _("the user lacks for publishing: {publish}; for reading: {read}").format(
                    publish=", ".join(publish), read=", ".join(read)
                ),
                _(_ACL_ADVICE),
                **details,
            )
        return Finding(found=f"{found}{self._describe_commands(missing)}", details=details)

    def _describe_commands(self, missing: dict[str, list[str]]) -> str:
        """Return what to add about the commands of followers; most users have no right to them."""
        can = [
            text
            for role, text in (
                ("execute_commands", _("it may execute commands of readers")),
                ("send_commands", _("it may send commands")),
            )
            if not missing[role] and not missing["publish" if "exec" in role else "read"]
        ]
        return "".join(f"; {text}" for text in can)

    async def _may(self, command: Iterable[str | int]) -> bool:
        try:
            await self._connection.execute(*command)
        except ResponseError:
            return True  # for instance a stream that does not exist
        except RedisFeedError as error:
            return error.cause != "no_permission"
        return True


def _commands(stream: str) -> dict[str, list[tuple[str, tuple[str | int, ...]]]]:
    """Return the commands of each role, with arguments that have no effect."""
    leader = leader_key(stream)
    absent = leader.replace(":leader", ":doctor")  # a key that nothing writes
    keys = CommandKeys(stream)
    claim, answer = keys.claim("doctor"), keys.reply("doctor")  # those of no request
    reading: list[tuple[str, tuple[str | int, ...]]] = [
        ("XRANGE", ("XRANGE", stream, "+", "-")),
        ("XREVRANGE", ("XREVRANGE", stream, "-", "+")),
    ]
    return {
        "publish": [
            ("GET", ("GET", leader)),
            ("SET", ("SET", absent, "x", "XX", "PX", 1)),
            ("DEL", ("DEL", absent)),
            ("PEXPIRE", ("PEXPIRE", absent, 1)),
            ("EVAL", ("EVAL", "return 1", 1, absent)),
            ("XADD", ("XADD", stream, "0-0", "field", "value")),  # an id that is never valid
            ("XINFO STREAM", ("XINFO", "STREAM", stream)),
            *reading,
        ],
        "read": [
            ("EXISTS", ("EXISTS", leader)),
            ("XREAD", ("XREAD", "COUNT", 1, "STREAMS", stream, _LAST_ID)),
            *reading,
        ],
        "execute_commands": [
            ("TIME", ("TIME",)),
            ("XREAD", ("XREAD", "COUNT", 1, "STREAMS", keys.requests, _LAST_ID)),
            ("RPUSH", ("EVAL", _PUSH, 1, answer)),
        ],
        "send_commands": [
            ("EXISTS", ("EXISTS", keys.announcement)),
            ("EVAL", ("EVAL", "return 1", 1, claim)),
            ("TIME", ("TIME",)),
            ("XADD", ("XADD", keys.requests, "0-0", "field", "value")),
            ("PEXPIRE", ("PEXPIRE", claim, 1)),
            ("GET", ("GET", claim)),
            ("SET", ("SET", claim, "x", "XX", "PX", 1)),
            ("LPOP", ("LPOP", answer)),
            ("BLPOP", ("BLPOP", answer, "x")),  # a time-out that is an error
        ],
    }


def _unknown() -> Finding:
    return Finding(mark=Mark.SKIPPED, found=_("not examined"))
