"""What a call is: who takes part, which phases it went through, how it ended.

All of it is immutable: a ``Call`` is the call as it was when somebody was told of it. Times
are microseconds since the epoch, UTC, as the PBX sends them; durations are microseconds.
docs/explanation/calls.md says what of this the PBX says and what is inferred.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import frozen

from basix_ws_cti.elements import EndUser, Hangup
from basix_ws_cti.states import moment

from .hangup_causes import meaning, sip_status

Direction = Literal["inbound", "outbound", "internal"]

PhaseKind = Literal[
    "ivr", "queued", "ringing", "talking", "parked", "voicemail", "conference", "other", "unknown"
]

Disposition = Literal[
    "answered",
    "abandoned",
    "missed",
    "busy",
    "rejected",
    "voicemail",
    "picked up elsewhere",
    "failed",
    "unknown",
]

Where = Literal["ivr", "queue", "ringing"]

Side = Literal["caller", "callee", "pbx"]


@frozen(kw_only=True)
class Party:
    """Who is at one end: a user or group of the PBX by id, or a number outside.

    ``end_user`` is the first of the customers whom the CRM knows by the number, ``whoscall``
    what the caller directory says (percent-encoded JSON).
    """

    user_id: int | None = None
    group_id: int | None = None
    number: str | None = None
    name: str | None = None
    end_user: EndUser | None = None
    whoscall: str | None = None


UNKNOWN_PARTY = Party()


@frozen(kw_only=True)
class Phase:
    """What a call was doing from ``started`` to ``ended``; ``None``: and still is.

    ``party`` is who rings, is talked to, or the group that is waited for; ``place`` is the
    menu's id, the park slot, the room, the operation or state; ``by`` is the user who parked.
    """

    kind: PhaseKind
    started: int
    ended: int | None = None
    party: Party = UNKNOWN_PARTY
    place: str | int | None = None
    by: int | None = None

    @property
    def duration(self) -> int:
        """How long it lasted, in microseconds; 0 while it goes on."""
        return 0 if self.ended is None else self.ended - self.started


@frozen(kw_only=True)
class Leg:
    """One channel of a call. ``outcome`` is how it ended for its party; ``None``: it lives."""

    uuid: str
    party: Party
    direction: str | None = None
    offered: int | None = None
    answered: int | None = None
    ended: int | None = None
    hangup: Hangup | None = None
    outcome: Disposition | None = None


@frozen(kw_only=True)
class Call:
    """The legs that belong together, as one call.

    ``id`` is the first leg's uuid. ``phases`` tile its life: each begins where the one before
    ended. ``answered`` is when somebody first talked to the caller. ``complete`` is false when
    the client joined in the middle or was blind for a while: then there may be more to it.

    After the end ``disposition`` says how it went, ``abandoned_in`` where the caller gave up,
    ``ended_by`` who hung up, ``cause`` and ``sip_status`` what the PBX says of it. ``joined`` is
    the id of the call that this one became a part of.
    """

    id: str
    direction: Direction
    caller: Party
    called_number: str | None
    started: int
    phases: tuple[Phase, ...] = ()
    legs: tuple[Leg, ...] = ()
    answered: int | None = None
    answered_by: Party | None = None
    transfers: int = 0
    complete: bool = True
    ended: int | None = None
    disposition: Disposition | None = None
    abandoned_in: Where | None = None
    ended_by: Side | None = None
    hangup: Hangup | None = None
    joined: str | None = None

    @property
    def phase(self) -> Phase:
        """What it is doing, or did last."""
        return self.phases[-1]

    @property
    def started_at(self) -> datetime | None:
        """``started`` as an aware datetime in UTC."""
        return moment(self.started)

    @property
    def answered_at(self) -> datetime | None:
        """``answered`` as an aware datetime in UTC; ``None``: nobody did."""
        return moment(self.answered)

    @property
    def ended_at(self) -> datetime | None:
        """``ended`` as an aware datetime in UTC; ``None``: it goes on."""
        return moment(self.ended)

    @property
    def cause(self) -> str | None:
        """FreeSWITCH's hangup cause."""
        return None if self.hangup is None else self.hangup.cause

    @property
    def cause_meaning(self) -> str | None:
        """The cause in plain English."""
        return meaning(self.cause)

    @property
    def sip_status(self) -> int | None:
        """The SIP status of a refusal; ``None``: it was none."""
        return sip_status(self.hangup)

    def time_in(self, *kinds: PhaseKind) -> int:
        """Microseconds spent in phases of these kinds, the present one left out.

        Over all kinds that is the whole life of a call that has ended.
        """
        return sum(phase.duration for phase in self.phases if phase.kind in kinds)
