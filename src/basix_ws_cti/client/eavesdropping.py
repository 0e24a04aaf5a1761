"""Eavesdropping as one operation: request a media plug, wait for its answer, listen in.

A media plug is a channel to a phone of the user who listens. The HTTP API's ``call_user`` rings
all phones of the user and returns one uuid for each; the phone that is answered becomes the plug.
Its answer can reach the feed before or after the API's reply, and the connection can break in
between. So the search looks at the mirror, which is complete again after a reconnect, and only the
ends of channels, which the mirror forgets, are recorded from before the request on.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from attrs import Factory, frozen

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_filled_text,
    check_seconds,
    check_text,
)
from basix_ws_cti.calls.leg_roles import MEDIA_PLUG
from basix_ws_cti.exceptions import (
    CommandTimeout,
    ConnectionLost,
    EavesdropError,
    NotConnectedError,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.mirror.changes import Removed

from .click_to_call import check_api

if TYPE_CHECKING:
    from basix_ws_cti.mirror.mirror import Mirror

    from .client import Client

_logger = logging.getLogger(__name__)

# Seconds that hanging up the plug waits for a new connection. A phone that keeps ringing longer
# ends by its own answer time-out.
_RECONNECT_TIMEOUT = 5.0

# Seconds in which a client notices that a connection is lost on which a command has failed.
_NOTICE_TIME = 0.1


class CallUserApi(Protocol):
    """Part of the HTTP API that eavesdropping needs; ``HttpApi`` has it."""

    async def call_user(
        self,
        *,
        user_id: int | None = None,
        user_name: str | None = None,
        destination: str,
        answer_timeout: int,
    ) -> Sequence[str]:
        """Ring the phones of a user and connect the first that answers to ``destination``.

        Return the uuids of the user's channels, one for each phone. ``answer_timeout`` is the
        maximum ringing time in seconds.
        """
        ...


@frozen
class Eavesdropping:
    """One attempt to listen in on the channel ``target_uuid``."""

    client: Client
    target_uuid: str
    subcommand: str | None
    uuids: list[str] = Factory(list)
    """Channels to the phones of the user; empty before the API's reply."""
    ended: set[Any] = Factory(set)
    """Keys of all channels that have ended during the attempt."""

    async def run(
        self,
        api: CallUserApi,
        *,
        user_id: int | None,
        user_name: str | None,
        timeout: float,  # noqa: ASYNC109 - seconds, as everywhere
        confirm: bool,
    ) -> str:
        """Listen in and return the uuid of the plug; see ``Client.eavesdrop``."""
        if (user_id is None) == (user_name is None):
            raise UsageError("eavesdrop: pass user_id or user_name, the user who listens")
        check_filled_text("target_uuid", self.target_uuid)
        check_text("subcommand", self.subcommand, optional=True)
        check_seconds("timeout", timeout)
        check_bool("confirm", confirm)
        check_api(api)
        user: dict[str, Any] = (
            {"user_id": user_id} if user_name is None else {"user_name": user_name}
        )
        unregister = self.client.on_change(self._note_end, kind="channel")
        awaited = "a complete snapshot"
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                await self.client.synced()
                awaited = "the reply to call_user"
                uuids = await api.call_user(
                    **user, destination=MEDIA_PLUG, answer_timeout=math.ceil(timeout)
                )
                self.uuids.extend(uuids)
                awaited = "the answer of the media plug"
                plug_uuid = cast("str", await self.client.wait_for(self._answered_plug))
                awaited = ""
                await self.client.eavesdrop_with_plug(
                    plug_uuid,
                    self.target_uuid,
                    self.subcommand,
                    confirm=confirm,
                    confirm_timeout=timeout,
                )
                return plug_uuid
        except BaseException as error:
            await self._hang_up_plugs(wait=isinstance(error, Exception))
            if not (isinstance(error, TimeoutError) and scope.expired()):
                raise
        finally:
            unregister()
        if not awaited:
            raise CommandTimeout("eavesdrop", timeout)
        raise WaitTimeout(awaited, timeout)

    def _note_end(self, change: object) -> None:
        if isinstance(change, Removed):
            self.ended.add(change.key)

    def _answered_plug(self, mirror: Mirror) -> str | None:
        """Return the uuid of the answered plug; ``None``: no phone has answered yet.

        Raises ``EavesdropError`` if none can answer any more, or the target has ended.
        """
        if self.target_uuid in self.ended:
            raise EavesdropError("the target has ended")
        for uuid in self.uuids:
            leg = mirror.channels.get(uuid)
            # The answer may not be the last event any more when the mirror is read.
            if (
                leg is not None
                and leg.calling_number == MEDIA_PLUG
                and (leg.last_event == "CHANNEL_ANSWER" or leg.answer_timestamp)
            ):
                return uuid
        if not self.uuids:
            raise EavesdropError("the PBX has rung no phone of the user")
        if self.ended.issuperset(self.uuids):
            raise EavesdropError("no phone of the user has answered")
        return None

    async def _hang_up_plugs(self, *, wait: bool) -> None:
        """Hang up the plug and the phones that still ring; errors are logged.

        With ``wait``, wait a few seconds for a connection.
        """
        try:
            async with asyncio.timeout(_RECONNECT_TIMEOUT):
                for uuid in self.uuids:
                    if uuid not in self.ended:
                        await self._hang_up(uuid, wait=wait)
        except Exception as error:  # noqa: BLE001 - the error that ended the attempt matters more
            _logger.warning("media plug was not hung up: %s", type(error).__name__)

    async def _hang_up(self, uuid: str, *, wait: bool) -> None:
        while True:
            try:
                await self.client.hangup(uuid)
            except (ConnectionLost, NotConnectedError):
                if not wait:
                    raise
            else:
                return
            # A command may fail before the client has noticed that the connection is lost.
            await asyncio.sleep(_NOTICE_TIME)
            await self.client.synced()
