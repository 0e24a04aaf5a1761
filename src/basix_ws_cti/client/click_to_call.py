"""Click-to-call as one operation: start the call, follow its legs, wait for answer and end.

The HTTP API's ``call_user`` rings all phones of a user, each on a channel of its own, and returns
the uuids of these channels. Once one phone is answered, the others stop ringing and the PBX calls
the destination. The feed shows the channels after the API's reply, or shortly before it.

- A call belongs to the operation if a leg of it has one of the uuids, whether the channels are one
  call or several.
- The subscription begins before the request, so that nothing is missed.
- A channel may never be shown: it came and went within a gap, or the feed does not contain the
  user's channels. ``SHOWN_WITHIN`` limits the wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, Protocol, Self, cast

from basix_ws_cti._internal.arguments import check_timeout, type_name
from basix_ws_cti._internal.owner_loop import OwnerLoop
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import ClickToCallError, UsageError
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import Synced

from .call_following import LegFollower
from .state_holder import StateHolder

P = ParamSpec("P")

# Seconds after the API's reply in which the feed shows the channels. Longer than a client takes to
# detect a connection that is silently broken.
SHOWN_WITHIN = 20.0

# Seconds between later checks for channels that are not shown by then.
_CHECK_INTERVAL = 1.0


class ClickToCallApi(Protocol[P]):
    """Part of the HTTP API that click-to-call needs; ``HttpApi`` has it."""

    async def call_user(self, *arguments: P.args, **options: P.kwargs) -> Sequence[str]:
        """Ring the phones of a user, and call a destination for the first that answers.

        Return the uuids of the user's channels, one for each phone.
        """
        ...


def check_api(api: object) -> None:
    """Require an object with a method ``call_user``; otherwise raise ``UsageError``."""
    if not callable(getattr(api, "call_user", None)):
        raise UsageError(f"api must be an HttpApi, got {type_name(api)}")


class ClickToCall:
    """Call that ``Client.call_user`` has started: an async iterator over its events.

    All phones of the user are one operation, even if each of them is a call in ``Client.calls``.
    Iterating yields the events of these calls. A call that the feed has shown before the API's
    reply begins with a ``CallStarted`` that holds its state after the last event. If a call becomes
    a part of another one (``Call.joined``), that call is followed as well. The iteration ends after
    the last ``CallEnded``, and when the client stops, with the error that stopped it, if any.

    Up to 1,024 events wait to be read, or are left unread; see ``Subscription``. ``close()`` or a
    ``with`` block ends the subscription and not the call: to end that, hang up the user's channel.
    """

    def __init__(
        self, follower: LegFollower, session: Session, state: StateHolder, owner: OwnerLoop
    ) -> None:
        self._follower = follower
        self._session = session
        self._state = state
        self._owner = owner
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<ClickToCall {', '.join(self.uuids)}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CallEvent | Lagged:
        return await anext(self._follower)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def uuids(self) -> tuple[str, ...]:
        """Uuids of the channels to the user's phones, one for each phone."""
        return self._follower.uuids

    @property
    def call(self) -> Call | None:
        """The call in its present state, or as it ended; ``None``: the feed has not shown it.

        If each phone is a call, this is the one that was answered; while none is, one that is
        still active.
        """
        active = self._session.calls
        calls = [active.get(key, call) for key, call in self._follower.shown.items()]
        return max(calls, key=self._relevance, default=None)

    @property
    def is_over(self) -> bool:
        """True once the call has ended, or was found not to be in the feed."""
        return self._follower.is_over

    async def answered(self, timeout: float | None = None) -> Call:  # noqa: ASYNC109 - seconds, as everywhere
        """Wait until the destination answers; return the call as it was then.

        The user's own answer does not count, and neither do a menu, a conference or a voicemail
        box. If the destination has answered, the call is returned at once, even if it has ended.

        Raises ``ClickToCallError`` if the call ends without an answer, or the feed does not show
        it; ``WaitTimeout`` after ``timeout`` seconds (``None``: no limit), the error that stopped
        the client, ``ClientClosed`` if its block is left, and ``UsageError`` once this object is
        closed.
        """
        return await self._wait(self._find_answer, "the answer of the destination", timeout)

    async def ended(self, timeout: float | None = None) -> Call:  # noqa: ASYNC109
        """Wait until the call has ended; return it.

        Raises what ``answered`` raises; ``ClickToCallError`` only if the feed does not show the
        call.
        """
        return await self._wait(self._find_end, "the end of the call", timeout)

    def close(self) -> None:
        """Drop all waiting events, and follow the call no longer."""
        self._is_closed = True
        self._follower.close()
        self._state.wake()

    async def start(self, reply: Awaitable[Sequence[str]]) -> None:
        """Await the API's reply, and follow its channels; close if there is no reply."""
        try:
            self._follower.begin(await reply)
        except BaseException:
            self.close()
            raise
        if not self.is_over:
            asyncio.get_running_loop().call_later(SHOWN_WITHIN, self._give_up_unseen)

    def _give_up_unseen(self) -> None:
        """Stop waiting for channels that the feed does not show; if it is interrupted, later."""
        unseen = self._follower.unseen
        if not unseen or self._is_closed or self._state.has_stopped:
            return
        # A channel is in the mirror a moment before its call events are delivered.
        is_shown = not unseen.isdisjoint(self._session.mirror.channels)
        if is_shown or not isinstance(self._state.current, Synced):
            asyncio.get_running_loop().call_later(_CHECK_INTERVAL, self._give_up_unseen)
        else:
            self._follower.give_up_unseen()
            self._state.wake()

    # -- waiting ----------------------------------------------------------------------

    async def _wait(
        self,
        condition: Callable[[], Call | None],
        description: str,
        timeout: float | None,  # noqa: ASYNC109
    ) -> Call:
        check_timeout("timeout", timeout)
        self._owner.check()
        return cast("Call", await self._state.wait_until(condition, description, timeout))

    def _find_answer(self) -> Call | None:
        """Return the call at the time of the answer; ``None``: wait for it."""
        if self._follower.answered_call is not None:
            return self._follower.answered_call
        call = self._find_end()
        if call is None:
            return None
        if call.disposition == "unknown":
            raise ClickToCallError("the call ended in a gap of the feed")
        if not self._follower.was_picked_up(call):
            raise ClickToCallError("no phone of the user was answered")
        cause = "" if call.cause is None else f" ({call.cause})"
        raise ClickToCallError(f"the destination did not answer{cause}")

    def _find_end(self) -> Call | None:
        """Return the call that has ended; ``None``: wait for its end."""
        if self.is_over:
            call = self.call
            if call is None:
                raise ClickToCallError(
                    "the feed shows no channel of the call: pass full_events=True, or monitor the "
                    "user"
                )
            return call
        if self._is_closed:
            raise UsageError("this ClickToCall is closed: wait before you close it")
        return None

    def _relevance(self, call: Call) -> tuple[bool, ...]:
        """Return the sort key by which the call of the operation comes last."""
        return (
            call.joined is None,
            call.answered is not None,
            self._follower.was_picked_up(call),
            call.ended is None,
        )
