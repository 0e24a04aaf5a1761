"""History of one leg: its rings, its role, and the periods of its talks and holds.

``ActiveLegs`` calls one method for each event of a leg; ``UserLines`` says which leg of a user
with several legs waits. All times are in microseconds since the epoch.

Invariants:

- A leg is *connected* while it and the leg that it names are bridged to each other. If the feed
  does not show the other leg, the state of this one alone counts.
- A leg that is bridged to no other one while its partner lives hears music on hold, and stays
  connected.
- A connected leg talks, unless it or its partner waits or hears music: then it is on hold. A parked
  leg of an answered call is on hold too. Otherwise it does neither.
- Talks and holds do not overlap, and each of them is in order. Periods of one kind that touch are
  one period. A period of zero length is left out, except for a talk with which a connection began:
  the leg was answered, if only for an instant.

So the history does not depend on the order in which the events of different legs arrive, if they
have the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import define

from basix_ws_cti._internal.codegen import constructor

from .model import Interval, Leg, Role

if TYPE_CHECKING:
    from .active_legs import ActiveLegs

# Periods kept per leg, of talks and of holds: enough for a day of consult calls. Beyond this limit
# the oldest two are merged into one of their total length.
MAX_PERIODS = 200

# Hangup causes of a leg that was called and not answered in time.
_TIMED_OUT = frozenset({"NO_ANSWER", "ALLOTTED_TIMEOUT"})

_make_interval = constructor(Interval)


@define(eq=False)
class LegHistory:
    """Rings, role, talks and holds of one leg so far.

    The history goes with the leg into the call that absorbs its call.
    """

    uuid: str
    legs: ActiveLegs
    """The legs of the call that the leg belongs to."""
    user_id: int | None
    """Id of the user at the leg's own end; ``None`` for a party outside."""

    role: Role = "offered"
    group_id: int | None = None
    """Id of the group whose queue offered the call to the leg's party."""
    snapshot: Leg | None = None
    """The leg as it is now; ``None``: it changed since the last snapshot."""

    is_moved: bool = False
    """True if the phone rings for another leg than the one for which the PBX called it."""
    rings: int = 0
    rang_us: int = 0
    """Duration of the ended rings, in microseconds."""
    ring_began: int | None = None
    """Start of the ring that lasts; ``None``: the phone does not ring."""
    timed_out: bool = False
    clock_adjusted: bool = False
    """True if a duration would be negative, because a clock of the PBX was set back."""

    is_connected: bool = False
    is_parked: bool = False
    """True if the leg of an answered call is parked."""
    partner_uuid: str | None = None
    """Uuid of the leg that this one is connected with; ``None``: no leg, or an unknown one."""
    connected_at: int = 0
    """Start of the present or last connection."""
    music_since: int | None = None
    """Time since which the connected leg hears music on hold; ``None``: it does not."""
    has_asked: bool = False
    """True if the leg has called, or was connected with, another party."""
    is_line: bool = False
    """True if the leg is a permanent line that outlived a call which it took."""

    waits: bool = False
    """True while the user is busy on another leg."""
    line_key: tuple[int, bool, str] | None = None
    """Rank of the leg among those on which its user is busy, the latest highest; ``None``: the
    user is not busy on this leg. ``UserLines`` explains it."""
    busy_since: int = 0
    """Time at which the user became busy on this leg."""
    placed_at: int | None = None
    """Time at which the user dialled; ``None``: the user did not dial on this leg."""

    talks: tuple[Interval, ...] = ()
    holds: tuple[Interval, ...] = ()
    activity: Literal["talk", "hold"] | None = None
    since: int = 0
    """Start of the present activity."""
    _switched_at: int = 0
    """Time at which the activity changed last."""
    _keeps_talk: bool = False
    """True if a connection began with the present talk: it is kept even with zero length."""

    @property
    def has_talked(self) -> bool:
        """True if the leg was connected at least once."""
        return self.activity == "talk" or bool(self.talks)

    # -- rings ------------------------------------------------------------------------

    def begin_ring(self, at: int) -> None:
        """Begin a ring, unless one lasts."""
        if self.ring_began is None:
            self.rings += 1
            self.ring_began = at
            self.snapshot = None

    def end_ring(self, at: int) -> None:
        """End the ring that lasts, if any."""
        if self.ring_began is not None:
            self.rang_us += self._duration(self.ring_began, at)
            self.ring_began = None
            self.snapshot = None

    def add_ring(self, began: int, ended: int) -> None:
        """Add a ring that the feed did not show."""
        self.rings += 1
        self.rang_us += self._duration(began, ended)

    def note_cause(self, cause: str | None) -> None:
        """Note how the last ring of a leg that was never answered ended."""
        self.timed_out = self.timed_out or (self.rings > 0 and cause in _TIMED_OUT)

    def _duration(self, began: int, ended: int) -> int:
        if ended < began:
            self.clock_adjusted = True
            return 0
        return ended - began

    # -- connection -------------------------------------------------------------------

    def connect(self, partner_uuid: str | None, at: int) -> None:
        """Begin a connection. The leg must not be connected, or with another partner."""
        self.is_connected = True
        self.is_parked = False
        self.partner_uuid = partner_uuid
        self.connected_at = at
        self.music_since = None
        if self.activity is not None:
            self._switch(None, at)
        # Even if the leg waits from the beginning, it was answered.
        self._switch("talk", at)
        self._keeps_talk = True
        self.update_activity(at)

    def disconnect(self, at: int, *, is_parked: bool = False) -> None:
        """End the connection, if there is one; the leg may be parked from now on."""
        self.is_connected = False
        self.is_parked = is_parked
        self.partner_uuid = None
        self.music_since = None
        self.update_activity(at)

    def set_music(self, at: int, *, hears: bool) -> None:
        """Begin or end music on hold on a connected leg; its partner waits meanwhile."""
        self.music_since = at if hears else None
        self.update_activity(at)
        partner = self.partner
        if partner is not None:
            partner.update_activity(at)

    def update_activity(self, at: int) -> None:
        """Derive from the connection if the leg talks, is on hold, or neither."""
        if self.is_connected:
            partner = self.partner
            activity: Literal["talk", "hold"] | None = "talk"
            if self.waits or (partner is not None and partner.waits):
                activity = "hold"
            else:
                music_since = self._music_of_connection(partner)
                if music_since is not None:
                    activity = "hold"
                    at = max(at, music_since)
        else:
            activity = "hold" if self.is_parked else None
        if activity != self.activity:
            self._switch(activity, at)

    def hold_from(self, at: int) -> None:
        """Turn what was taken for a talk into a hold, from ``at`` on."""
        talks = self.talks
        self.talks = tuple(
            talk if talk.ended <= at else _make_interval(talk.started, max(at, talk.started))
            for talk in talks
        )
        holds = [
            _make_interval(max(at, talk.started), talk.ended)
            for talk in talks
            if talk.ended > max(at, talk.started)
        ]
        self.holds = limited(_joined([*self.holds, *holds]))
        if self.activity == "hold" and self.holds and self.holds[-1].ended == self.since:
            self.since = self.holds[-1].started
            self.holds = self.holds[:-1]
        self.snapshot = None

    def hears_music_for(self, uuid: str) -> bool:
        """Return True if the leg hears music on hold in its connection with the leg ``uuid``."""
        return self.music_since is not None and self.partner_uuid == uuid

    def _music_of_connection(self, partner: LegHistory | None) -> int | None:
        """Return the time since which a leg of the connection hears music; ``None``: none does."""
        own = self.music_since
        if partner is None or partner.music_since is None or partner.partner_uuid != self.uuid:
            return own
        return partner.music_since if own is None else min(own, partner.music_since)

    @property
    def partner(self) -> LegHistory | None:
        """The history of the connected leg; ``None`` if there is none, or it is not shown."""
        if self.partner_uuid is None:
            return None
        other = self.legs.living.get(self.partner_uuid)
        return None if other is None else other.history

    def _switch(self, activity: Literal["talk", "hold"] | None, at: int) -> None:
        """End the present activity and begin another one, not before the present one began."""
        self.snapshot = None
        at = max(at, self._switched_at)
        if self.activity == "talk":
            self.talks = _with_period(self.talks, self.since, at, keep=self._keeps_talk)
        elif self.activity == "hold":
            self.holds = _with_period(self.holds, self.since, at, keep=False)
        self.activity = activity
        self.since = self._switched_at = at
        self._keeps_talk = False
        if activity is None:
            return
        before = self.talks if activity == "talk" else self.holds
        if before and before[-1].ended == at:  # the last period of this kind goes on
            self.since = before[-1].started
            if activity == "talk":
                self.talks = before[:-1]
                self._keeps_talk = self.since == at
            else:
                self.holds = before[:-1]


def _with_period(
    periods: tuple[Interval, ...], started: int, ended: int, *, keep: bool
) -> tuple[Interval, ...]:
    """Return the periods with one more; ``keep``: even if it has zero length."""
    if ended == started and not keep:
        return periods
    periods = (*periods, _make_interval(started, ended))
    return periods if len(periods) <= MAX_PERIODS else limited(periods)


def _joined(periods: list[Interval]) -> tuple[Interval, ...]:
    """Return periods that do not overlap in their order; those that touch become one."""
    joined: list[Interval] = []
    for period in sorted(periods, key=_start_of):
        if joined and joined[-1].ended == period.started:
            joined[-1] = _make_interval(joined[-1].started, period.ended)
        else:
            joined.append(period)
    return tuple(joined)


def _start_of(period: Interval) -> int:
    return period.started


def limited(periods: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Return the periods, the oldest of them merged if they are more than ``MAX_PERIODS``.

    Two merged periods have their total length and the end of the second one.
    """
    while len(periods) > MAX_PERIODS:
        first, second, *rest = periods
        merged = _make_interval(second.started - (first.ended - first.started), second.ended)
        periods = (merged, *rest)
    return periods
