"""Participations of users and people outside in one call, as the simulated PBX knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define

from .ledger_rows import ParticipationRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import Channel

    Interval = tuple[int, int]  # start and end, in microseconds since the epoch

# Result of a ring by the hangup cause of its leg; all others are "failed".
_RING_RESULTS = {
    "LOSE_RACE": "picked_up_elsewhere",
    "PICKED_OFF": "picked_up_elsewhere",
    "USER_BUSY": "busy",
    "CALL_REJECTED": "rejected",
    "NO_ANSWER": "missed",
    "ALLOTTED_TIMEOUT": "missed",
    # The PBX stopped the ring although nobody hung up: it transferred the caller, for example.
    "ORIGINATOR_CANCEL": "missed",
    "NORMAL_CLEARING": "missed",
}

# Causes of a ring that the PBX ended because nobody answered in time.
_TIMEOUTS = {"NO_ANSWER", "ALLOTTED_TIMEOUT", "NORMAL_CLEARING"}

# Rings of a party that are kept one by one.
_MAX_RINGS = 100


@define(eq=False)
class PartyLeg:
    """One leg of a participant."""

    uuid: str
    offered: int
    role: str
    group_id: int | None  # of the queue that offered it
    talked: bool = False
    ended: bool = False  # without a talk

    def is_of_consult(self, party: int | str, caller: Channel) -> bool:
        """Return True if the call took over the leg of a party from a consult call.

        ``caller``: the first leg of the call.
        """
        if self.role == "placed" and party != party_of(caller):
            return True
        is_earlier = self.offered < caller.offer_timestamp
        return is_earlier and self.role in {"placed", "consulted"}


@define(eq=False)
class Participant:
    """One user, or one person outside, in one call."""

    user_id: int | None
    number: str | None
    legs: list[PartyLeg]
    rings: int = 0
    ringing: dict[str, int] = Factory(dict)  # legs that ring: since when, by uuid
    rung: list[Interval] = Factory(list)  # the last rings that have ended
    rang_before_us: int = 0  # time of all earlier rings
    timed_out: bool = False  # at least one ring
    last_ring: tuple[int, str] | None = None  # end and result of the ring that ended last
    talks: list[Interval] = Factory(list)
    holds: list[Interval] = Factory(list)
    answered: int | None = None  # first talk
    served: int | None = None  # first answer by a service of the PBX
    left: int = 0

    @property
    def party(self) -> int | str:
        """Id of the user, or the number of the person."""
        return (self.number if self.user_id is None else self.user_id) or ""

    def leg(self, uuid: str) -> PartyLeg:
        """Return one of the legs."""
        return next(leg for leg in self.legs if leg.uuid == uuid)

    def ring_started(self, uuid: str, now: int) -> None:
        """Record that a leg begins to ring."""
        self.ringing[uuid] = now
        self.rings += 1

    def ring_ended(self, uuid: str, now: int) -> bool:
        """Record that a leg rings no more; return False if it did not ring."""
        began = self.ringing.pop(uuid, None)
        if began is None:
            return False
        self.rung.append((began, now))
        self._forget_old_rings()
        return True

    def _forget_old_rings(self) -> None:
        """Keep no more than the last rings, since a queue may ring the same phones for hours."""
        if len(self.rung) > 2 * _MAX_RINGS:
            self.rang_before_us += _length(self.rung[:-_MAX_RINGS])
            del self.rung[:-_MAX_RINGS]

    def ring_failed(self, channel: Channel, now: int, *, caller_hung_up: bool) -> None:
        """Record that the leg of an unanswered ring ended."""
        if not self.ring_ended(channel.uuid, now) or channel.rings_for is None:
            return  # nobody called the party: the API rang their phone for a call of theirs
        self._end_ringing_leg(channel.uuid)
        cause = (channel.last_event_data or ",").split(",")[1]
        result = _RING_RESULTS.get(cause, "failed")
        if result == "missed" and caller_hung_up and cause not in _TIMEOUTS:
            result = "abandoned"
        elif not cause:
            result = "unknown"
        self.timed_out = self.timed_out or cause in _TIMEOUTS
        self.last_ring = now, result

    def _end_ringing_leg(self, uuid: str) -> None:
        """Note that nobody answered a leg; forget it if the same queue has rung before.

        Such a leg decides nothing.
        """
        leg = self.leg(uuid)
        leg.ended = True
        if any(
            one.ended and one.group_id == leg.group_id and one.offered < leg.offered
            for one in self.legs
        ):
            self.legs.remove(leg)

    def offer_moved(self, uuid: str) -> None:
        """Record that a leg which rings was transferred: no queue offers the call to it now."""
        self.leg(uuid).group_id = None

    def talk_started(self, channel: Channel, now: int) -> None:
        """Record that a leg is connected with another one."""
        self.leg(channel.uuid).talked = True
        if self.answered is None:
            self.answered = now

    def merge(self, other: Participant) -> None:
        """Add what the same party did on other legs."""
        self.legs += other.legs
        self.rings += other.rings
        self.rang_before_us += other.rang_before_us
        self.ringing |= other.ringing
        self.rung = sorted(self.rung + other.rung)
        self._forget_old_rings()
        self.timed_out = self.timed_out or other.timed_out
        self.last_ring = max(filter(None, (self.last_ring, other.last_ring)), default=None)
        self.talks += other.talks
        self.holds += other.holds
        self.answered = _earlier(self.answered, other.answered)
        self.served = _earlier(self.served, other.served)
        self.left = max(self.left, other.left)

    def row(self, call_id: str, caller: Channel) -> ParticipationRow:
        """Return the row of the participation. ``caller``: the first leg of the call."""
        # Legs of a consult call decide only if there are no others. As all times are the PBX's, two
        # legs may have the same; then the uuids decide.
        own = [leg for leg in self.legs if not leg.is_of_consult(self.party, caller)]
        legs = sorted(own or self.legs, key=lambda leg: (leg.offered, leg.uuid))
        first = legs[0]
        groups = [leg.group_id for leg in legs if leg.group_id is not None]
        talked = [leg.group_id for leg in legs if leg.group_id is not None and leg.talked]
        is_service = first.role in {"monitored", "service"}
        talked_us = _length(self.talks)
        answered = self.answered
        if answered is not None and answered < first.offered:  # in a consult call
            later = (started for started, _ in self.talks if started >= first.offered)
            answered = min(later, default=answered)
        return ParticipationRow(
            call_id=call_id,
            user_id=self.user_id,
            number=self.number,
            role=first.role,
            group_id=next(iter(talked + groups), None),
            result=self._result(is_service=is_service),
            rings=self.rings,
            rang_us=self.rang_before_us + _length(self.rung),
            talked_us=talked_us,
            held_us=_length([*self.talks, *self.holds]) - talked_us,
            first_offered=first.offered,
            answered=_earlier(answered, self.served) if is_service else answered,
            left=self.left,
        )

    def _result(self, *, is_service: bool) -> str:
        if self.answered is not None or (is_service and self.served is not None):
            return "answered"
        if self.timed_out:
            return "missed"
        if self.last_ring is not None:
            return self.last_ring[1]
        only_takes = all(leg.role in {"picked_up", "retrieved"} for leg in self.legs)
        return "failed" if only_takes else "unanswered"


@define(eq=False)
class Participants:
    """All users and people outside in one call."""

    _by_party: dict[int | str, Participant] = Factory(dict)

    def add(self, channel: Channel, role: str, group_id: int | None = None) -> None:
        """Add the party at a leg's own end, or its further leg."""
        self._add(
            Participant(
                user_id=None if channel.user is None else channel.user.id,
                number=None if channel.person is None else channel.person.number,
                legs=[PartyLeg(channel.uuid, channel.offer_timestamp, role, group_id)],
            )
        )

    def of(self, channel: Channel) -> Participant:
        """Return the participant at a leg's own end."""
        return self._by_party[party_of(channel)]

    def add_talk(self, legs: Iterable[Channel], started: int, ended: int, *, held: bool) -> None:
        """Record that legs were connected with each other; ``held``: without talking."""
        for leg in legs:
            participant = self.of(leg)
            (participant.holds if held else participant.talks).append((started, ended))

    def set_consulted(self) -> None:
        """Give the legs that were called and talked the role ``consulted``."""
        for participant in self._by_party.values():
            for leg in participant.legs:
                if leg.role == "offered" and leg.talked:
                    leg.role = "consulted"

    def merge(self, other: Participants) -> None:
        """Add the participants of a call that was merged into this one."""
        for participant in other._by_party.values():
            self._add(participant)

    def _add(self, participant: Participant) -> None:
        known = self._by_party.get(participant.party)
        if known is None:
            self._by_party[participant.party] = participant
        else:
            known.merge(participant)

    def rows(self, call_id: str, caller: Channel) -> Iterator[ParticipationRow]:
        """Yield the rows of the participations. ``caller``: the first leg of the call."""
        for participant in self._by_party.values():
            yield participant.row(call_id, caller)


def party_of(leg: Channel) -> int | str:
    """Return the id of the user, or the number of the person, at a leg's own end."""
    if leg.user is not None:
        return leg.user.id
    return leg.person.number if leg.person is not None else ""


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _length(intervals: Iterable[Interval]) -> int:
    """Return the length of the union of intervals."""
    length = covered_until = 0
    for started, ended in sorted(intervals):
        length += max(0, ended - max(started, covered_until))
        covered_until = max(covered_until, ended)
    return length
