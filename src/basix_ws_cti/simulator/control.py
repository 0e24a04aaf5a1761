"""Methods of the simulator that stand for people at phones and for administrators."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti.exceptions import UsageError

from . import scenarios
from .company import DID
from .errors import NotPossibleError
from .model import Group, Person, User

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from .ledger_rows import CallRow, ParticipationRow, WaitRow
    from .model import Channel
    from .pbx import Pbx
    from .timeline import Timeline

P = ParamSpec("P")
R = TypeVar("R")


def in_event_loop(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a method so that it runs in the simulator's event loop.

    A call from another thread waits for the result.
    """

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        self = cast("Control", args[0])
        if self.loop is None:
            raise UsageError(
                f"the simulator is not running: call {method.__name__}() inside its with block"
            )
        if threading.get_ident() == self.thread_id:
            return self.run_now(functools.partial(method, *args, **kwargs))
        done: Future[R] = Future()

        def run_in_loop() -> None:
            try:
                done.set_result(self.run_now(functools.partial(method, *args, **kwargs)))
            except BaseException as error:  # noqa: BLE001 - raised in the calling thread
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run_in_loop)
        return done.result()

    return run


class Control:
    """Operations on a running simulator: each takes effect at once, and clients receive it.

    Users and groups are given by their extension, channels by their uuid. An operation raises
    ``NotPossibleError`` if it is not possible now.
    """

    pbx: Pbx
    timeline: Timeline
    loop: asyncio.AbstractEventLoop | None = None
    thread_id: int | None = None

    def run_now(self, action: Callable[[], R]) -> R:
        """Run an action in the event loop's thread."""
        raise NotImplementedError

    # -- calls ------------------------------------------------------------------------

    @in_event_loop
    def call(self, caller: str | Person | None = None, to: str = "1001") -> str:
        """Start a call; return the uuid of the caller's channel.

        The phones of ``to`` ring until another operation answers or ends the call.

        :param caller: a number outside (the CRM knows those in ``scenarios.CALLERS``), a
            ``Person``, or the extension of a user; ``None``: the first of ``CALLERS``.
        :param to: extension of a user or group, or a number outside.
        """
        peer = self._caller(caller)
        lead = self.pbx.receive(peer, to if isinstance(peer, User) else DID)
        self._transfer_to(lead, to)
        return lead.uuid

    @in_event_loop
    def answer(self, uuid: str, by: str | None = None) -> str:
        """Answer a call; return the uuid of the channel that is connected to the caller.

        For a channel that the API rings, the PBX then calls its destination.

        :param uuid: the ringing channel, or the caller's.
        :param by: extension of the user who answers; ``None``: the first whose phone rings.
        """
        channel = self.pbx.channel(uuid)
        if channel.destination is not None:
            self.pbx.answer_originated(channel)
            return channel.uuid
        ringing = [channel] if channel.rings_for else self.pbx.ringing_for(channel)
        if by is not None:
            ringing = [leg for leg in ringing if leg.user and leg.user.main_extension == by]
        if not ringing:
            raise NotPossibleError(f"no phone of {by or 'any user'} rings for channel {uuid!r}")
        self.pbx.connect(ringing[0])
        return ringing[0].uuid

    @in_event_loop
    def hangup(self, uuid: str, cause: str | None = None, *, by_peer: bool = True) -> None:
        """End a channel, the channel bridged to it, and the phones that ring for it.

        :param cause: a FreeSWITCH hangup cause; ``None``: the usual one.
        :param by_peer: ``True``: the channel's own peer hangs up, cancels or refuses;
            ``False``: the PBX does.
        """
        self.pbx.hang_up(self.pbx.channel(uuid), cause, by_peer=by_peer)

    @in_event_loop
    def park(self, uuid: str) -> int:
        """Park a channel that talks to a user; return its park slot."""
        return self.pbx.park(self.pbx.channel(uuid))

    @in_event_loop
    def retrieve(self, slot: int, by: str) -> str:
        """Let the user with extension ``by`` retrieve a parked call; return their leg's uuid."""
        parked = self.pbx.parked_channels()
        channel = next((one for one in parked if one.state.data["slot"] == slot), None)
        if channel is None:
            raise NotPossibleError(f"no channel is parked on slot {slot}")
        leg = self.pbx.receive(self._user(by), str(slot))
        self.pbx.set_state(leg, "system_operation", operation="unpark")
        self.pbx.retrieve(leg, channel)
        return leg.uuid

    @in_event_loop
    def pick_up(self, uuid: str, by: str) -> str:
        """Let the user with extension ``by`` pick up the ringing channel ``uuid`` of another user.

        Returns the uuid of their channel.
        """
        ringing = self.pbx.channel(uuid)
        if ringing.rings_for is None:
            raise NotPossibleError(f"channel {uuid!r} does not ring")
        leg = self.pbx.receive(self._user(by), f"pickup_uuid.{uuid}")
        self.pbx.set_state(leg, "system_operation", operation="pickup")
        self.pbx.pick_up(leg, self.pbx.channel(ringing.rings_for or ""))
        return leg.uuid

    @in_event_loop
    def transfer(self, uuid: str, to: str) -> None:
        """Make a blind transfer of a channel to an extension or a number outside."""
        self._transfer_to(self.pbx.channel(uuid), to)

    @in_event_loop
    def originate(self, extension: str, destination: str = "media_plug") -> str:
        """Call a user as the API's ``call_user`` does, and let them answer.

        Returns the uuid of the user's channel.
        """
        leg = self.pbx.originate(self._user(extension), destination)
        self.pbx.answer(leg)
        return leg.uuid

    # -- users and groups -------------------------------------------------------------

    @in_event_loop
    def set_presence(self, extension: str, presence: int) -> None:
        """Set a user's presence; the meaning of its values is not documented."""
        self.pbx.edit(self._user(extension), presence=presence)

    @in_event_loop
    def register(self, extension: str, *, registered: bool = True) -> None:
        """Register a user's phones, or unregister them."""
        phones = self.pbx.terminals_of(self._user(extension))
        if not phones:
            raise NotPossibleError(f"user {extension!r} has no phone")
        for phone in phones:
            self.pbx.edit(phone, registered=int(registered))

    @in_event_loop
    def add_terminal(self, extension: str) -> str:
        """Give a user another phone, which is registered; return its name."""
        return self.pbx.add_terminal(self._user(extension)).name

    @in_event_loop
    def edit(self, extension: str, **changes: Any) -> None:
        """Change fields of a user or group, named as in the feed."""
        self.pbx.edit(self._find(extension), **changes)

    @in_event_loop
    def add_user(self, label: str, group: str | None = None) -> str:
        """Add a user; return their extension.

        ``group`` is the extension of a group that they join; ``None``: no group.
        """
        to_join = None if group is None else self._find(group)
        if isinstance(to_join, User):
            raise NotPossibleError(f"extension {group!r} is that of a user, not of a group")
        user = self.pbx.add_user(label)
        if to_join is not None:
            self.pbx.add_member(user, to_join)
        return user.main_extension

    @in_event_loop
    def remove_user(self, extension: str) -> None:
        """Remove a user with their memberships and phone; their calls end."""
        self.pbx.remove_user(self._user(extension))

    # -- scenarios and time -----------------------------------------------------------

    @in_event_loop
    def play(self, scenario: str | Iterator[float]) -> None:
        """Start one of ``scenarios.SCENARIOS`` by name, or a scenario of your own.

        A scenario is an iterator that operates on ``pbx``, and yields seconds of PBX time until
        its next step.
        """
        if isinstance(scenario, str):
            if scenario not in scenarios.SCENARIOS:
                known = ", ".join(scenarios.SCENARIOS)
                raise NotPossibleError(f"unknown scenario {scenario!r}; known are: {known}")
            scenario = scenarios.SCENARIOS[scenario](self.pbx)
        self.timeline.start_now(scenario)

    @in_event_loop
    def advance(self, seconds: float) -> None:
        """Move the PBX's time on by ``seconds`` at once, with all that happens in it."""
        check_seconds("seconds", seconds, at_least=0)
        self.timeline.advance(seconds)

    @in_event_loop
    def snapshot(self, user_id: int | None = None) -> dict[str, dict[int | str, dict[str, Any]]]:
        """Return what a consistent client holds now: dicts by kind and key, as by ``to_dict``.

        With ``user_id``, return what a client holds that asked for the channels of this user
        only.
        """
        return self.pbx.snapshot(user_id)

    @property
    def ledger(self) -> tuple[CallRow, ...]:
        """Log of the calls that ended, as the PBX knows them: the last 20,000, oldest first."""
        return self._read_ledger()

    @property
    def waits(self) -> tuple[WaitRow, ...]:
        """Waits in queues of the calls in ``ledger``."""
        return self._read_waits()

    @property
    def participations(self) -> tuple[ParticipationRow, ...]:
        """Participations of users and people outside in the calls in ``ledger``."""
        return self._read_participations()

    @in_event_loop
    def _read_ledger(self) -> tuple[CallRow, ...]:
        return tuple(self.pbx.ledger)

    @in_event_loop
    def _read_waits(self) -> tuple[WaitRow, ...]:
        return self.pbx.ledger.waits

    @in_event_loop
    def _read_participations(self) -> tuple[ParticipationRow, ...]:
        return self.pbx.ledger.participations

    def _caller(self, caller: str | Person | None) -> Person | User:
        if isinstance(caller, Person):
            return caller
        if caller is None:
            return scenarios.CALLERS[0]
        element = self.pbx.find_extension(caller)
        if isinstance(element, User):
            return element
        known = (one for one in scenarios.CALLERS if one.number == caller)
        return next(known, Person(caller))

    def _find(self, extension: str) -> User | Group:
        element = self.pbx.find_extension(extension)
        if element is None:
            raise NotPossibleError(f"no user or group has the extension {extension!r}")
        return element

    def _user(self, extension: str) -> User:
        element = self._find(extension)
        if not isinstance(element, User):
            raise NotPossibleError(f"extension {extension!r} is that of a group, not of a user")
        return element

    def _transfer_to(self, channel: Channel, to: str) -> None:
        self.pbx.transfer(channel, self.pbx.find_extension(to) or Person(to))
