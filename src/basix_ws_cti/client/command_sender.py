"""Sending of commands, with or without waiting for their effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from basix_ws_cti.exceptions import CommandTimeout, NotConnectedError
from basix_ws_cti.transport.connection import Connection

from .commands import Command
from .dispatch import Dispatcher


class CommandSender:
    """Sends commands on the current connection; a call of ``send`` sends its command at most once.

    ``connection`` returns the open connection, or ``None``.
    """

    def __init__(self, connection: Callable[[], Connection | None], dispatcher: Dispatcher) -> None:
        self._connection = connection
        self._dispatcher = dispatcher

    async def send(self, command: Command, confirm_timeout: float | None = None) -> None:
        """Send a command; wait up to ``confirm_timeout`` seconds for its effect.

        ``None`` does not wait, and neither does a command whose effect is not known. Raises
        ``NotConnectedError`` without a connection, ``ConnectionLost`` if it breaks,
        ``CommandTimeout`` if the effect does not show in time, and while it waits for the effect
        the error that stops the client, or ``ClientClosed``.
        """
        connection = self._connection()
        if connection is None:
            raise NotConnectedError
        if command.has_effect is None or confirm_timeout is None:
            await connection.send(command.sent)
            return
        scope = asyncio.timeout(confirm_timeout)
        try:
            with self._dispatcher.waiting_for(command.has_effect) as seen:
                async with scope:
                    await connection.send(command.sent)
                    await seen
        except TimeoutError:
            if not scope.expired():
                raise
            raise CommandTimeout(command.name, confirm_timeout) from None
