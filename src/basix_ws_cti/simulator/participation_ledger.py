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
class Participant:
    """One user, or one person outside, in one call."""

    user_id: int | None
    number: str | None
    role: str
    group_id: int | None  # of the first leg that a queue offered
    first_uuid: str  # of the first leg, which decides about the role
    first_offered: int
    is_of_consult: bool = False  # all legs are those of a consult call that was merged
    only_takes: bool = False  # tried to pick up or to retrieve the call, and nothing else
    rings: int = 0
    ringing: dict[str, int] = Factory(dict)  # legs that ring: since when, by uuid
    rung: list[Interval] = Factory(list)  # the last rings that have ended
    rang_before_us: int = 0  # time of all earlier rings
    timed_out: bool = False  # at least one ring
    last_ring: tuple[int, str] | None = None  # end and result of the ring that ended last
    groups: dict[str, int] = Factory(dict)  # of the legs that a queue offered and that live
    talked_offer: tuple[int, str, int] | None = None  # first of these that talked, and its group
    talks: list[Interval] = Factory(list)
    holds: list[Interval] = Factory(list)
    first_talked: bool = False  # on the first leg
    answered: int | None = None  # first talk
    served: int | None = None  # first answer by a service of the PBX
    left: int = 0

    @property
    def party(self) -> int | str:
        """Id of the user, or the number of the person."""
        return (self.number if self.user_id is None else self.user_id) or ""

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
        self.groups.pop(channel.uuid, None)
        if not self.ring_ended(channel.uuid, now) or channel.rings_for is None:
            return  # nobody called the party: the API rang their phone for a call of theirs
        cause = (channel.last_event_data or ",").split(",")[1]
        result = _RING_RESULTS.get(cause, "failed")
        if result == "missed" and caller_hung_up and cause not in _TIMEOUTS:
            result = "abandoned"
        elif not cause:
            result = "unknown"
        self.timed_out = self.timed_out or cause in _TIMEOUTS
        self.last_ring = now, result

    def offer_moved(self, uuid: str) -> None:
        """Record that a leg which rings was transferred: no queue offers the call to it now."""
        if self.groups.pop(uuid, None) is not None and self.rings == 1:
            self.group_id = None

    def talk_started(self, channel: Channel, now: int) -> None:
        """Record that a leg is connected with another one."""
        self.first_talked = self.first_talked or channel.uuid == self.first_uuid
        if self.answered is None:
            self.answered = now
        group_id = self.groups.get(channel.uuid)
        if group_id is not None:
            offer = channel.offer_timestamp, channel.uuid, group_id
            self.talked_offer = min(self.talked_offer or offer, offer)

    def merge(self, other: Participant) -> None:
        """Add what the same party did on other legs."""
        # As all times are the PBX's, two legs may have the same; then the uuids decide.
        # Legs of a consult call decide only if there are no others.
        first = (self.is_of_consult, self.first_offered, self.first_uuid)
        if (other.is_of_consult, other.first_offered, other.first_uuid) < first:
            self.first_uuid, self.first_offered = other.first_uuid, other.first_offered
            self.role, self.first_talked = other.role, other.first_talked
            self.is_of_consult = other.is_of_consult
        self.only_takes = self.only_takes and other.only_takes
        self.group_id = other.group_id if self.group_id is None else self.group_id
        self.groups |= other.groups
        self.talked_offer = min(filter(None, (self.talked_offer, other.talked_offer)), default=None)
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

    def row(self, call_id: str) -> ParticipationRow:
        """Return the row of the participation."""
        is_service = self.role in {"monitored", "service"}
        talked_us = _length(self.talks)
        answered = self.answered
        if answered is not None and answered < self.first_offered:  # in a consult call
            later = (started for started, _ in self.talks if started >= self.first_offered)
            answered = min(later, default=answered)
        return ParticipationRow(
            call_id=call_id,
            user_id=self.user_id,
            number=self.number,
            role=self.role,
            group_id=self.group_id if self.talked_offer is None else self.talked_offer[2],
            result=self._result(is_service=is_service),
            rings=self.rings,
            rang_us=self.rang_before_us + _length(self.rung),
            talked_us=talked_us,
            held_us=_length([*self.talks, *self.holds]) - talked_us,
            first_offered=self.first_offered,
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
        return "failed" if self.only_takes else "unanswered"


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
                role=role,
                group_id=group_id,
                groups={} if group_id is None else {channel.uuid: group_id},
                first_uuid=channel.uuid,
                first_offered=channel.offer_timestamp,
                only_takes=role in {"picked_up", "retrieved"},
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
        """Give the parties that were called and talked at once the role ``consulted``."""
        for participant in self._by_party.values():
            if participant.role == "offered" and participant.first_talked:
                participant.role = "consulted"

    def merge(self, other: Participants, caller: Channel) -> None:
        """Add the participants of a call that was merged into this one.

        ``caller``: the first leg of this call.
        """
        for participant in other._by_party.values():
            is_placed = participant.role == "placed" and participant.party != party_of(caller)
            is_earlier = participant.first_offered < caller.offer_timestamp
            participant.is_of_consult = is_placed or (
                is_earlier and participant.role in {"placed", "consulted"}
            )
            self._add(participant)

    def _add(self, participant: Participant) -> None:
        known = self._by_party.get(participant.party)
        if known is None:
            self._by_party[participant.party] = participant
        else:
            known.merge(participant)

    def rows(self, call_id: str) -> Iterator[ParticipationRow]:
        """Yield the rows of the participations."""
        for participant in self._by_party.values():
            yield participant.row(call_id)


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
