"""Data model of a call: its legs, parties, phases and how it ended.

All classes are immutable: a ``Call`` shows the call at one moment. Times are integers in
microseconds since the epoch, UTC, taken from the PBX; durations are integers in microseconds.
The page "What a call is" in the documentation lists what the PBX reports and what is inferred.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from basix_ws_cti._internal.display import SetFields, count_of
from basix_ws_cti.elements import EndUser, Hangup
from basix_ws_cti.states import moment

from .hangup_causes import meaning, sip_status

Direction = Literal["inbound", "outbound", "internal"]

PhaseKind = Literal[
    "ivr", "queued", "ringing", "talking", "parked", "voicemail", "conference", "other", "unknown"
]

WITHOUT_PARTY: frozenset[PhaseKind] = frozenset({"ivr", "other"})
"""Kinds of phases that have no party: a menu, an announcement, or another service of the PBX. A
wait or a transfer may go on after them."""

Disposition = Literal[
    "answered",
    "abandoned",
    "missed",
    "unanswered",
    "busy",
    "rejected",
    "unreachable",
    "ended_in_menu",
    "voicemail",
    "picked_up_elsewhere",
    "failed",
    "unknown",
]

AbandonedIn = Literal["ivr", "queue", "ringing", "parked"]

Side = Literal["caller", "callee", "pbx"]

Purpose = Literal["call", "consult", "pickup", "monitor", "service"]

Role = Literal["offered", "placed", "consulted", "picked_up", "retrieved", "monitored", "service"]

WaitResult = Literal["answered", "abandoned", "overflowed", "voicemail", "ended", "unknown"]


@frozen(kw_only=True, repr=False)
class Party(SetFields):
    """Party at one end of a call: a user or group of the PBX, or a number outside.

    ``Party()``, with all fields ``None``, is an unknown party.
    """

    user_id: int | None = None
    """Id of the user; ``None`` for a group or a number outside."""
    group_id: int | None = None
    """Id of the group; ``None`` for a user or a number outside."""
    number: str | None = None
    """Telephone number or SIP address of a party outside."""
    name: str | None = None
    """Name of the party, if the PBX sent one."""
    end_user: EndUser | None = None
    """The first customer whom the CRM knows by the number."""
    whoscall: str | None = None
    """Entry of the caller directory for the number: percent-encoded JSON, as received."""


UNKNOWN_PARTY = Party()


@frozen(kw_only=True, repr=False)
class Phase(SetFields):
    """Period in which a call did one thing: wait in a queue, ring, be talked on.

    The phases of a call follow each other without a gap or an overlap.
    """

    kind: PhaseKind
    """Activity of the call in this phase."""
    started: int
    """Start, in microseconds since the epoch."""
    ended: int | None = None
    """End, in microseconds since the epoch; ``None`` while the phase lasts."""
    party: Party = UNKNOWN_PARTY
    """The party that is called or talked to, the group that is waited for, or the owner of the
    voicemail box."""
    place: str | int | None = None
    """Id of the menu (``ivr``), park slot (``parked``), room (``conference``), name of the
    voicemail box (``voicemail``), or the operation or state (``other``): ``"bridged"`` for an
    announcement or music, ``"ringing"`` for a ringing tone while no phone rings."""
    by: int | None = None
    """Id of the user who parked the call (``parked``)."""

    @property
    def duration(self) -> int:
        """Duration in microseconds; 0 while the phase lasts."""
        return 0 if self.ended is None else self.ended - self.started


@frozen(kw_only=True, repr=False)
class Wait(SetFields):
    """One stay of a call in the queue of one group, as far as the phases of the call show it.

    ``QueueWait`` is the complete row, and explains what counts as one stay.
    """

    group_id: int
    """Id of the group."""
    entered: int
    """Time at which the call entered the queue, in microseconds since the epoch."""
    left: int | None
    """Time at which the call left the queue, in microseconds since the epoch; ``None`` while it is
    in the queue. It has a value, but ``result`` none, while a menu or an announcement plays after
    which the call may return to the queue."""
    result: WaitResult | None = None
    """How the wait ended; ``None`` while it lasts."""
    next_group_id: int | None = None
    """Id of the group to which the call went; ``None``: to no group."""
    answered_by_user_id: int | None = None
    """Id of the user who answered; ``None``: no user did."""


@frozen(kw_only=True, repr=False)
class MergedPhases(SetFields):
    """Durations and waits of the merged phases of a long call."""

    phases: tuple[Phase, ...] = field(repr=count_of("phases"))
    """One phase for each kind, party and place, oldest first. It starts when the first of its
    phases started, and its duration is the sum of theirs. Of more than 1,000, further ones count
    with the first of their kind."""
    waits: tuple[Wait, ...] = field(repr=count_of("waits"))
    """Waits in queues that began in the merged phases, oldest first; the last 10,000 are kept.
    The last one has no result if it went on after the merged phases."""


@frozen(kw_only=True, repr=False)
class Transfer(SetFields):
    """One transfer of a call, blind or attended."""

    at: int
    """Time at which the call left the party that transferred it, in microseconds since the
    epoch."""
    source: Party
    """The party that transferred the call; ``Party()`` if it is unknown."""
    target: Party
    """The user, group or number that the call went to; the owner of a voicemail box."""
    phase: PhaseKind
    """Kind of the phase that the transfer began: ``"ringing"``, ``"queued"``, ``"talking"`` or
    ``"voicemail"``."""
    attended: bool
    """True if the source had talked to the target before."""


@frozen(kw_only=True, repr=False)
class Interval(SetFields):
    """Period of time, in microseconds since the epoch."""

    started: int
    """Start."""
    ended: int
    """End; never before ``started``."""


@frozen(kw_only=True, repr=False)
class Leg(SetFields):
    """One channel of a call.

    Of a call with very many legs, ended legs of one party are merged into one ``Leg`` that counts
    their rings: those that were not answered first.
    """

    uuid: str
    """Uuid of the channel."""
    party: Party
    """The party at the channel's own end."""
    direction: str | None = None
    """``"inbound"`` if the party dialled, ``"outbound"`` if the PBX called it."""
    offered: int | None = None
    """Time at which the leg was created, in microseconds since the epoch."""
    answered: int | None = None
    """Time at which the leg was answered, in microseconds since the epoch; ``None`` before it."""
    ended: int | None = None
    """Time at which the leg ended, in microseconds since the epoch; ``None`` while it lives."""
    hangup: Hangup | None = None
    """Disposition and cause of the hang-up, if the PBX sent them."""
    outcome: Disposition | None = None
    """How the leg went for its party; ``None`` while it lives. ``"missed"``, ``"busy"``,
    ``"rejected"``, ``"picked_up_elsewhere"`` and ``"abandoned"`` are words for a party that the
    PBX called; ``"unanswered"`` and ``"unreachable"`` for the leg of a party that dialled."""
    role: Role = "offered"
    """What the party did in the call."""
    group_id: int | None = None
    """Id of the group whose queue offered the call to this party; ``None``: no queue did."""
    rings: int = 0
    """Number of times that the party's phone rang; more than 1 for merged legs."""
    rang_us: int = 0
    """Time for which the phone rang, in microseconds; 0 while it rings for the first time."""
    timed_out: bool = False
    """True if one of the rings ended because nobody answered in time."""
    talks: tuple[Interval, ...] = ()
    """Ended periods in which the leg was connected with another party, oldest first."""
    holds: tuple[Interval, ...] = ()
    """Ended periods in which the party waited in an answered call: parked, while one of the two
    parties heard music on hold, or during a consult call of one of them; oldest first, no part of
    ``talks``."""
    talking_since: int | None = None
    """Start of the talk that lasts, in microseconds since the epoch; ``None``: none does."""


@frozen(kw_only=True, repr=False)
class Call(SetFields):
    """One call at one moment: the legs that belong together."""

    id: str
    """Uuid of the first leg, the one that the others were created for. No two calls of a tracker
    have the same id: if another call has or had that uuid as its id, this is the uuid of the leg
    that was shown first; if that is used too, ``UUID#NUMBER``."""
    direction: Direction
    """Direction as dialled. ``"inbound"``: from outside. ``"outbound"``: from a user to outside,
    also while the PBX rings the user who requested the call through the API. ``"internal"``:
    between users and groups, or to a service of the PBX."""
    caller: Party
    """The party that called."""
    called_number: str | None
    """The number that the caller dialled; the last one if it changed. ``None`` if the PBX sent
    none, or a marker such as ``pickup_uuid.UUID`` only."""
    started: int
    """Start, in microseconds since the epoch."""
    phases: tuple[Phase, ...] = field(default=(), repr=count_of("phases"))
    """The phases, oldest first. Each starts at the time at which its predecessor ended. Of a long
    call, the last 999 phases are kept, and all older ones are merged into a first phase of kind
    ``"unknown"``: see ``merged``."""
    legs: tuple[Leg, ...] = field(default=(), repr=count_of("legs"))
    """The legs: ended ones first (the last 200 of them), then those that live."""
    answered: int | None = None
    """Time at which somebody first talked to the caller, in microseconds since the epoch;
    ``None``: nobody has."""
    answered_by: Party | None = None
    """The party that first talked to the caller; ``None``: nobody has."""
    transfers: int = 0
    """Number of transfers, blind and attended."""
    attended_transfers: int = 0
    """Number of attended transfers; part of ``transfers``."""
    transfer_history: tuple[Transfer, ...] = field(default=(), repr=count_of("transfers"))
    """The transfers of this call and of the calls that were joined to it, oldest first; the last
    1,000 are kept. ``transfers`` and ``attended_transfers`` count those of this call alone."""
    purpose: Purpose = "call"
    """``"consult"``: a user asks a colleague or somebody outside while their talk in another call
    waits. ``"pickup"``: an attempt to take another call, without success. ``"monitor"``: a user
    listens in on another call, or keeps a line open between two calls. ``"service"``: a service of
    the PBX only, such as a user's messages. Everything else is a ``"call"``."""
    requested: Party = UNKNOWN_PARTY
    """The user or group that the caller asked for, from the first leg's ``target``; ``Party()``
    if the PBX did not say."""
    origination: tuple[str, ...] = ()
    """``origination`` of the first leg."""
    tags: tuple[str, ...] = ()
    """Tags that any leg of the call had, in the order in which they appeared; at most 100."""
    went_outside: bool = False
    """True if somebody outside was called for an inbound or internal call: a transfer or forward
    to outside. The direction stays as it was."""
    clock_adjusted: bool = False
    """True if a clock of the PBX was set back during the call: a duration became zero."""
    complete: bool = True
    """False if something of the call may have been missed: the client joined while it was going
    on, or there was a gap in the feed."""
    ended: int | None = None
    """End, in microseconds since the epoch; ``None`` while the call is active."""
    disposition: Disposition | None = None
    """How the call went; ``None`` while it is active."""
    abandoned_in: AbandonedIn | None = None
    """What the waiting party waited in when they hung up, whatever happened before; ``None`` if
    they did not hang up while they waited. A call that was talked on before is ``"answered"`` and
    has this all the same, also if a user called the party that waited. ``None`` if a user gave up
    on an outbound call before anybody answered, which is ``"unanswered"``."""
    ended_by: Side | None = None
    """The side that hung up; ``None`` if it is unknown or the call is active."""
    hangup: Hangup | None = None
    """Disposition and cause of the hang-up that ended the call."""
    joined: str | None = None
    """Id of the call that this one became a part of; ``None`` if it ended by itself."""
    taken_by: Party | None = None
    """The party that talks to the one who waited in this call, since it was joined to the other
    call. ``None``: nobody waited, the phone that rang goes on ringing for the other call, or the
    call was not joined."""
    merged: MergedPhases | None = None
    """What the merged phases contained; ``None``: no phases were merged. The rows of the call and
    ``time_in`` take it into account."""

    @property
    def phase(self) -> Phase:
        """The current phase, or the last one of a call that has ended."""
        return self.phases[-1]

    @property
    def summed_phases(self) -> tuple[Phase, ...]:
        """``phases`` with those of ``merged`` in place of the merged one.

        They show everything that the call did and for how long, but do not follow each other
        without gaps.
        """
        merged = self.merged
        return self.phases if merged is None else (*merged.phases, *self.phases[1:])

    @property
    def started_at(self) -> datetime | None:
        """``started`` as an aware datetime in UTC."""
        return moment(self.started)

    @property
    def answered_at(self) -> datetime | None:
        """``answered`` as an aware datetime in UTC; ``None``: not answered."""
        return moment(self.answered)

    @property
    def ended_at(self) -> datetime | None:
        """``ended`` as an aware datetime in UTC; ``None`` while the call is active."""
        return moment(self.ended)

    @property
    def cause(self) -> str | None:
        """FreeSWITCH's hangup cause, such as ``"USER_BUSY"``."""
        return None if self.hangup is None else self.hangup.cause

    @property
    def cause_meaning(self) -> str | None:
        """The hangup cause in English, such as ``"no answer"``; ``None`` for an unknown cause."""
        return meaning(self.cause)

    @property
    def sip_status(self) -> int | None:
        """The SIP status code of a refused call, such as 486; ``None`` if it was not refused."""
        return sip_status(self.hangup)

    def time_in(self, *kinds: PhaseKind) -> int:
        """Return the time spent in phases of these kinds, in microseconds.

        The current phase of an active call counts as 0. Over all kinds, the time in an ended
        call is its whole duration.
        """
        return sum(phase.duration for phase in self.summed_phases if phase.kind in kinds)
