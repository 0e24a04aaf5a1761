"""Commands that a client and a follower have in common; they differ in how a command is sent."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import ParamSpec

from basix_ws_cti._internal.arguments import check_bool, check_seconds

from . import commands
from .call_following import LegFollower
from .click_to_call import ClickToCall, ClickToCallApi, check_api
from .live_feed import LiveFeed
from .subscriptions import QUEUE_SIZE

P = ParamSpec("P")


class CommandedFeed(LiveFeed):
    """Live feed whose PBX takes commands."""

    @abstractmethod
    async def _send(self, command: commands.Command, confirm_timeout: float | None = None) -> None:
        """Send a command; wait up to ``confirm_timeout`` seconds for its effect (``None``: no)."""

    def _check_running(self) -> None:
        """Raise the error that stopped the client, and ``UsageError`` outside its block."""
        self._core.owner.check()
        self._core.state.raise_if_stopped()

    async def hangup(self, uuid: str, *, confirm: bool = False, confirm_timeout: float = 5) -> None:
        """Hang up a channel. With ``confirm``, wait until it is gone.

        All commands raise ``UsageError`` for invalid arguments, ``NotConnectedError`` at once if
        there is no connection, and ``ConnectionLost`` if it breaks while sending; no command is
        sent twice. With ``confirm`` they raise ``CommandTimeout`` if the effect does not show
        within ``confirm_timeout`` seconds. Those of a ``Follower`` also raise ``CommandRefused``
        and ``RedisFeedError``: the command was not executed; and ``CommandTimeout`` without
        ``confirm``, too: the outcome is unknown.
        """
        timeout = effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._send(commands.hangup(uuid), timeout)

    async def park(
        self,
        uuid: str,
        park_timeout: float | None = None,
        *,
        confirm: bool = False,
        confirm_timeout: float = 5,
    ) -> None:
        """Park a channel for ``park_timeout`` seconds (``None``: the PBX's default).

        With ``confirm``, wait until it is parked. Raises what ``hangup`` raises.
        """
        leg = self.mirror.channels.get(uuid) if isinstance(uuid, str) else None
        command = commands.park(uuid, park_timeout, None if leg is None else leg.other_uuid)
        timeout = effect_timeout(confirm=confirm, confirm_timeout=confirm_timeout)
        await self._send(command, timeout)

    async def transfer(
        self,
        uuid: str,
        destination: str,
        *,
        user_id: int | None = None,
        user_name: str | None = None,
    ) -> None:
        """Transfer a channel to ``destination``, a number or an extension.

        For a user in a call, ``uuid`` is the *other* leg, the caller's: it is connected to the
        destination, and the user's leg ends. ``user_id`` and ``user_name`` name the user on whose
        behalf the call is transferred; ``None``: not sent.

        Raises ``UsageError`` if the destination is empty, and what ``hangup`` raises.
        """
        command = commands.transfer(uuid, destination, user_id=user_id, user_name=user_name)
        await self._send(command)

    async def call_user(
        self, api: ClickToCallApi[P], *arguments: P.args, **options: P.kwargs
    ) -> ClickToCall:
        """Ring a user's phones, and once one is answered, call a destination (click-to-call).

        - ``api``: the HTTP API that starts the call: an ``HttpApi``, or ``Follower.api``.
        - ``arguments``, ``options``: those of ``HttpApi.call_user``: the destination and the user.

        Returns once the API has replied; the phones ring after that. The result waits for answer
        and end of the call, and iterates over its events. None is missed, even if the feed shows
        the call before the reply, or the connection breaks. The feed must contain the channels of
        that user.

        Raises the errors of ``api``, and before anything is sent the error that stopped the client,
        ``ClientClosed`` after its block was left, and ``UsageError`` before it was entered.
        """
        check_api(api)
        self._check_running()
        make = partial(LegFollower, self.calls)
        follower = self._subscribe_to_calls("drop_oldest", QUEUE_SIZE, make)
        call = ClickToCall(follower, self._core.session, self._core.state, self._core.owner)
        await call.start(api.call_user(*arguments, **options))
        return call


def effect_timeout(*, confirm: bool, confirm_timeout: float) -> float | None:
    """Return the seconds to wait for a command's effect; ``None``: do not wait."""
    check_bool("confirm", confirm)
    check_seconds("confirm_timeout", confirm_timeout)
    return confirm_timeout if confirm else None
