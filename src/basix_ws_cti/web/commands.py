"""Commands of the page to the PBX: hang up, park, transfer, call."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from basix_ws_cti.exceptions import BasixError, CommandTimeout, NotConnectedError, UsageError

from .access import Access
from .json_requests import RefusedRequestError, json_response, read_texts

_logger = logging.getLogger(__name__)

COMMANDS = ("hangup", "park", "transfer", "call")
"""Names of the commands."""


class CommandTarget(Protocol):
    """Object that sends commands to the PBX, such as a ``Client``."""

    async def hangup(self, uuid: str, *, confirm: bool = False) -> None:
        """Hang up a channel."""

    async def park(self, uuid: str, *, confirm: bool = False) -> None:
        """Park a channel."""

    async def transfer(self, uuid: str, destination: str) -> None:
        """Transfer a channel."""


class CallStarter(Protocol):
    """Object that starts calls, such as an ``HttpApi``."""

    async def call_user(self, destination: str, *, user_id: int) -> Any:
        """Ring a user's phones, and then call the destination."""


@frozen(eq=False)
class Commands:
    """Commands that pages may send."""

    target: CommandTarget
    """Object that sends commands about channels."""

    caller: CallStarter | None = None
    """Object that starts calls; ``None``: pages cannot start calls."""

    async def run(self, request: Request, access: Access) -> Response:
        """Run the command that a request names, and return the answer.

        The log has the name of the command, of the reader, and the result, but no number.
        Raises ``RefusedRequestError``.
        """
        name = request.path_params["name"]
        if name not in COMMANDS or (name == "call" and self.caller is None):
            raise RefusedRequestError(404, "there is no such command")
        if not access.with_commands:
            raise RefusedRequestError(403, "commands are not allowed")
        try:
            await self._send(name, request)
        except BasixError as error:
            _logger.warning("command failed: %s by %s: %s", name, access.name, type(error).__name__)
            raise RefusedRequestError(_status_of(error), _text_of(error)) from None
        _logger.info("command: %s by %s", name, access.name)
        return json_response({"state": "done"})

    async def _send(self, name: str, request: Request) -> None:
        match name:
            case "hangup":
                (channel,) = await read_texts(request, "channel")
                await self.target.hangup(channel, confirm=True)
            case "park":
                (channel,) = await read_texts(request, "channel")
                await self.target.park(channel, confirm=True)
            case "transfer":
                channel, destination = await read_texts(request, "channel", "destination")
                await self.target.transfer(channel, destination)
            case "call" if self.caller is not None:
                user, destination = await read_texts(request, "user", "destination")
                if not (user.isascii() and user.isdecimal()):
                    raise RefusedRequestError(400, "the user must be an id")
                await self.caller.call_user(destination, user_id=int(user))


def _status_of(error: BasixError) -> int:
    match error:
        case CommandTimeout():
            return 504
        case NotConnectedError():
            return 503
        case UsageError():
            return 400
    return 502


def _text_of(error: BasixError) -> str:
    """Return a text without the values of the request, which may be numbers."""
    match error:
        case CommandTimeout():
            return "the effect of the command was not seen in time"
        case NotConnectedError():
            return "there is no connection to the PBX"
        case UsageError():
            return "the values of the command cannot work"
    return "the PBX did not accept the command"
