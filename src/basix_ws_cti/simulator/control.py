"""What a test may do to the simulated PBX while it runs, from any thread."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from . import scenarios
from .model import Group, Person, User
from .pbx import DID, NotPossibleError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from .call_ledger import Row
    from .model import Channel
    from .pbx import Pbx
    from .timeline import Timeline

P = ParamSpec("P")
R = TypeVar("R")


def in_the_loop(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method run in the simulator's event loop, whichever thread calls it."""

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        self = cast("Control", args[0])
        if self.loop is None:
            raise RuntimeError(f"{method.__name__} works inside the simulator's with block only")
        if threading.get_ident() == self.thread_id:
            return self.act(functools.partial(method, *args, **kwargs))
        done: Future[R] = Future()

        def act() -> None:
            try:
                done.set_result(self.act(functools.partial(method, *args, **kwargs)))
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                done.set_exception(error)

        self.loop.call_soon_threadsafe(act)
        return done.result()

    return run


class Control:
    """The people at the telephones: each method happens at once, and clients are told.

    Users and groups are named by their extension, channels by their uuid. What can't be
    done as things stand is a ``NotPossibleError``.
    """

    pbx: Pbx
    timeline: Timeline
    loop: asyncio.AbstractEventLoop | None = None
    thread_id: int | None = None

    def act(self, action: Callable[[], R]) -> R:
        """Do something now, in the event loop's thread."""
        raise NotImplementedError

    # -- calls ------------------------------------------------------------------------

    @in_the_loop
    def call(self, caller: str | Person | None = None, to: str = "1001") -> str:
        """Somebody calls: the telephones of ``to`` ring, until you say what happens next.

        ``caller`` is a number outside (customers in ``scenarios.CALLERS`` are known to the
        CRM), a ``Person``, or a user's extension; ``None`` is the first of the customers.
        ``to`` is the extension of a user or group, or a number outside. Returns the uuid
        of the caller's channel.
        """
        person = self._person(caller)
        line = self.pbx.receive(person, to if isinstance(person, User) else DID)
        self._send(line, to)
        return line.uuid

    @in_the_loop
    def answer(self, uuid: str, by: str | None = None) -> str:
        """A ringing telephone is answered; the uuid of the channel that talks to the caller.

        ``uuid`` is the ringing channel, or the caller's: then it is the user with the
        extension ``by`` who answers, or the first whose telephone rings.
        """
        channel = self.pbx.channel(uuid)
        ringing = [channel] if channel.rings_for else self.pbx.ringing_for(channel)
        if by is not None:
            ringing = [leg for leg in ringing if leg.user and leg.user.main_extension == by]
        if not ringing:
            raise NotPossibleError(f"no such telephone rings for the channel {uuid!r}")
        self.pbx.connect(ringing[0])
        return ringing[0].uuid

    @in_the_loop
    def hangup(self, uuid: str, cause: str | None = None, *, by_peer: bool = True) -> None:
        """A channel ends: its own peer hangs up, cancels or refuses, or the PBX does.

        ``cause`` is a FreeSWITCH hangup cause; ``None``: what is usual.
        """
        self.pbx.hang_up(self.pbx.channel(uuid), cause, by_peer=by_peer)

    @in_the_loop
    def park(self, uuid: str) -> int:
        """The user who talks to a channel parks it; the slot it is on."""
        return self.pbx.park(self.pbx.channel(uuid))

    @in_the_loop
    def retrieve(self, slot: int, by: str) -> str:
        """The user with the extension ``by`` fetches the call on a slot; their channel's uuid."""
        line = next((one for one in self.pbx.parked() if one.state.data["slot"] == slot), None)
        if line is None:
            raise NotPossibleError(f"nobody stands on slot {slot}")
        leg = self.pbx.receive(self._user(by), str(slot))
        self.pbx.set_state(leg, "system_operation", operation="unpark")
        self.pbx.retrieve(leg, line)
        return leg.uuid

    @in_the_loop
    def pick_up(self, uuid: str, by: str) -> str:
        """A user answers for another, whose telephone rings as the channel ``uuid``."""
        ringing = self.pbx.channel(uuid)
        if ringing.rings_for is None:
            raise NotPossibleError(f"the channel {uuid!r} does not ring")
        leg = self.pbx.receive(self._user(by), f"pickup_uuid.{uuid}")
        self.pbx.set_state(leg, "system_operation", operation="pickup")
        self.pbx.pick_up(leg, self.pbx.channel(ringing.rings_for or ""))
        return leg.uuid

    @in_the_loop
    def transfer(self, uuid: str, to: str) -> None:
        """A channel is sent on, unannounced; the telephones of ``to`` ring."""
        self._send(self.pbx.channel(uuid), to)

    @in_the_loop
    def originate(self, extension: str, destination: str = "media_plug") -> str:
        """The API calls a user, who answers; the uuid of their channel."""
        leg = self.pbx.originate(self._user(extension), destination)
        self.pbx.answer(leg)
        return leg.uuid

    # -- the company ------------------------------------------------------------------

    @in_the_loop
    def set_presence(self, extension: str, presence: int) -> None:
        """A user's presence changes; what its values mean is not known."""
        self.pbx.edit(self._user(extension), presence=presence)

    @in_the_loop
    def register(self, extension: str, *, registered: bool = True) -> None:
        """A user's telephone registers, or is no longer there."""
        phone = self.pbx.terminals.get(self._user(extension).id)
        if phone is None:
            raise NotPossibleError(f"the user {extension!r} has no telephone")
        self.pbx.edit(phone, registered=int(registered))

    @in_the_loop
    def edit(self, extension: str, **changes: Any) -> None:
        """Fields of a user or group change, named as on the wire."""
        self.pbx.edit(self._find(extension), **changes)

    @in_the_loop
    def add_user(self, label: str, group: str | None = None) -> str:
        """A new user, in the group with that extension or in none; their extension."""
        found = None if group is None else self._find(group)
        if isinstance(found, User):
            raise NotPossibleError(f"{group!r} is a user's extension")
        user = self.pbx.add_user(label)
        if found is not None:
            self.pbx.join(user, found)
        return user.main_extension

    @in_the_loop
    def remove_user(self, extension: str) -> None:
        """A user is no more, and neither are their calls, memberships and telephone."""
        self.pbx.remove_user(self._user(extension))

    # -- stories and time -------------------------------------------------------------

    @in_the_loop
    def play(self, story: str | Iterator[float]) -> None:
        """Begin one of ``scenarios.STORIES``, by name, or a scenario of your own."""
        if isinstance(story, str):
            if story not in scenarios.STORIES:
                raise NotPossibleError(f"there is no story {story!r}")
            story = scenarios.STORIES[story](self.pbx)
        self.timeline.begin(story)

    @in_the_loop
    def advance(self, seconds: float) -> None:
        """Let the PBX's time run on, and happen what falls into it, all at once."""
        self.timeline.advance(seconds)

    @in_the_loop
    def snapshot(self, user_id: int | None = None) -> dict[str, dict[int | str, dict[str, Any]]]:
        """What a correct client must hold now: plain dicts by kind and key, as by ``to_dict``.

        With ``user_id``, a client that asked for the channels of this user alone.
        """
        return self.pbx.snapshot(user_id)

    @property
    def ledger(self) -> tuple[Row, ...]:
        """The PBX's own book of calls: a row for each that ended, of the last 20,000."""
        return self._read_ledger()

    @in_the_loop
    def _read_ledger(self) -> tuple[Row, ...]:
        return tuple(self.pbx.ledger)

    def _person(self, caller: str | Person | None) -> Person | User:
        if isinstance(caller, Person):
            return caller
        if caller is None:
            return scenarios.CALLERS[0]
        found = self.pbx.find(caller)
        if isinstance(found, User):
            return found
        known = (one for one in scenarios.CALLERS if one.number == caller)
        return next(known, Person(caller))

    def _find(self, extension: str) -> User | Group:
        found = self.pbx.find(extension)
        if found is None:
            raise NotPossibleError(f"nobody has the extension {extension!r}")
        return found

    def _user(self, extension: str) -> User:
        found = self._find(extension)
        if not isinstance(found, User):
            raise NotPossibleError(f"{extension!r} is a group's extension")
        return found

    def _send(self, line: Channel, to: str) -> None:
        self.pbx.transfer(line, self.pbx.find(to) or Person(to))
