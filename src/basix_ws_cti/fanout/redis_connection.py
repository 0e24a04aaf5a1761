"""One connection to Redis, for one task: commands in, replies out, no automatic retry.

Automatic retry, as redis-py does it by default, would append an entry a second time if only the
answer was lost. Each connection therefore reports each failure, and the caller decides. Every
argument is set: the defaults of the package differ between versions, and some wait for a minute.

A command that fails or is cancelled while it waits closes the connection, so that no later command
reads the answer that was meant for it. The next command opens a new connection.
"""

from __future__ import annotations

import asyncio
import re
from inspect import signature
from pathlib import Path
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import RedisFeedError

from .redis_address import RedisAddress

REPLY_TIMEOUT = 2.0
"""Maximum time for connecting, and for the answer to a command, in seconds."""

# Version of the wire protocol. With another version, the shapes of some answers change.
_PROTOCOL = 2

# Sends no CLIENT SETINFO, which an ACL would have to allow. Newer versions replaced the arguments.
_NO_DRIVER_INFO: dict[str, None] = (
    {"driver_info": None}
    if "driver_info" in signature(AbstractConnection).parameters
    else {"lib_name": None, "lib_version": None}
)

# Codes of the server's errors that concern more than one command, with cause and remedy.
_CODES = {
    "LOADING": ("loading", "it is loading its data: wait until it has finished"),
    "MASTERDOWN": ("loading", "it is a replica that has lost its primary: use the primary"),
    "READONLY": ("read_only", "it is a replica, which is read-only: connect to the primary"),
    "MISCONF": ("read_only", "it refuses writes because it cannot save to disk: see its log"),
    "NOREPLICAS": ("read_only", "it refuses writes because too few replicas are connected"),
    "OOM": ("out_of_memory", "it is out of memory: raise maxmemory, or delete other data"),
    "NOPERM": ("no_permission", "a permission is missing: `basix-ws-cti doctor` names it"),
    "NOAUTH": ("login", "it requires a login: put user name and password into the URL"),
    "WRONGPASS": ("login", "it refused the user name or the password"),
    "BUSY": ("timeout", "it is busy with a script that takes long"),
    "WRONGTYPE": ("other", "the key of the stream is not a stream: use another name"),
}

# The package removes the codes of these errors from their texts.
_CLASSES: dict[type[Exception], str] = {
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.AuthenticationError: "WRONGPASS",
}

# Texts of errors without a code of their own.
_TEXTS = {
    "Authentication required": "NOAUTH",
    # Commands inside a script: until Redis 7.0, and of later versions and Valkey.
    "can't run this command": "NOPERM",
    "ACL failure in script": "NOPERM",
}

# Errors that are answers to a question.
_ANSWERS = ("no such key", "equal or smaller")

# Name of the command in an error with the code NOPERM, such as xread or xinfo|stream.
_REFUSED_COMMAND = re.compile(r"'([a-z]+(?:\|[a-z]+)?)' command")

# A code at the start of an error, or inside the error of a script.
_CODE = re.compile(rf"(?:^|-)({'|'.join(_CODES)})\b")


class RedisConnection:
    """Connection to one server, opened by the first command and again after each failure.

    - ``address``: the server.
    - ``ca_file``: PEM file of the CA to trust for ``rediss://``; ``None``: the system's.
    - ``timeout``: maximum time for connecting, and for the answer to a command, in seconds.

    Not for several tasks at once: each one needs its own connection.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        ca_file: Path | None = None,
        timeout: float = REPLY_TIMEOUT,
    ) -> None:
        self._address = address
        self._ca_file = ca_file
        self._timeout = timeout
        self._connection: _PlainConnection | _TlsConnection | None = None

    def __repr__(self) -> str:
        return f"<RedisConnection {self._address}>"

    async def execute(self, *command: bytes | str | int, wait: float = 0.0) -> Any:
        """Send a command and return its answer: bytes, integers, ``None`` and lists of them.

        ``wait``: seconds for which the command blocks in the server, in addition to the time-out.

        Raises ``RedisFeedError`` if the server does not answer or refuses the command, and
        ``redis.exceptions.ResponseError`` for a key that does not exist and an id that is too low.
        """
        limit = self._timeout + wait
        failure: Exception
        try:
            async with asyncio.timeout(limit):
                return await self._exchange(command)
        except TimeoutError:
            await self.close()
            failure = self._error("timeout", f"no answer within {limit:g} s")
        except redis_errors.RedisError as error:
            if not isinstance(error, redis_errors.ResponseError):
                await self.close()
            failure = self._translated(error).with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        except BaseException:
            await self.close()
            raise
        # Outside the except blocks: frames of the login hold the password.
        raise failure

    async def close(self) -> None:
        """Close the connection at once; the next command opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.abort()

    async def _exchange(self, command: tuple[bytes | str | int, ...]) -> Any:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._create()
            await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command(*command)
        return await connection.read_response()

    def _create(self) -> _PlainConnection | _TlsConnection:
        address = self._address
        arguments: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "db": address.database,
            "username": address.username.value,
            "password": address.password.value,
            "socket_timeout": None,  # ``execute`` has one, for connecting as well
            "socket_connect_timeout": None,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "retry_on_error": [],
            "health_check_interval": 0,
            "decode_responses": False,
            "protocol": _PROTOCOL,
            "client_name": None,
            **_NO_DRIVER_INFO,
        }
        if not address.is_secure:
            return _PlainConnection(**arguments)
        return _TlsConnection(
            ssl_cert_reqs="required",
            ssl_check_hostname=True,
            ssl_ca_certs=None if self._ca_file is None else str(self._ca_file),
            **arguments,
        )

    def _error(self, cause: str, problem: str) -> RedisFeedError:
        return RedisFeedError(str(self._address), cause, problem)

    def _translated(self, error: redis_errors.RedisError) -> Exception:
        """Return the error to raise instead of one of the package, whose text may be anything."""
        text = str(error)
        code = next((code for part, code in _TEXTS.items() if part in text), None)
        code = code or next((c for kind, c in _CLASSES.items() if isinstance(error, kind)), None)
        if code is None and (match := _CODE.search(text)):
            code = match[1]
        if code == "NOPERM" and (command := _REFUSED_COMMAND.search(text)):
            name = command[1].upper().replace("|", " ")
            return self._error("no_permission", f"the user may not run {name}: allow it in the ACL")
        if code is not None:
            return self._error(*_CODES[code])
        if isinstance(error, redis_errors.ResponseError):
            if any(part in text for part in _ANSWERS):
                return error
            return self._error("other", "it refused a command: is it Redis 6.2 or newer?")
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError):
            return self._error("unreachable", f"cannot connect: {describe_os_error(cause)}")
        return self._error("unreachable", "the connection was lost")


class _PlainConnection(Connection):
    """Connection that can be closed without waiting for a peer that does not read."""

    async def abort(self) -> None:
        """Close the socket at once; bytes that were not sent are dropped."""
        writer: Any = self._writer
        if writer is not None:
            writer.transport.abort()
        await self.disconnect(nowait=True)


class _TlsConnection(SSLConnection, _PlainConnection):
    """Encrypted connection."""
