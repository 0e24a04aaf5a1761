"""The simulated PBX's own book of calls: a row for each that ended, to compare others' with.

It is kept from what the PBX does (who rings for whom, who is connected, sent on, parked, who
hangs up), not from what the feed says of it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import Factory, define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Channel

# Rows that are kept, the newest: a day and a half of a call centre.
MAX_ROWS = 20_000

# What a caller gets from the PBX itself, without anybody answering.
_SERVICES = {"conference", "eavesdrop", "checking_voicemail", "system_operation"}

_PLACES = {"ivr": "ivr", "xml_ivr": "ivr", "group": "queue"}

_BY_CAUSE = {
    "USER_BUSY": "busy",
    "CALL_REJECTED": "rejected",
    "NO_ANSWER": "missed",
    "NORMAL_CLEARING": "missed",
    "ALLOTTED_TIMEOUT": "missed",
    "ORIGINATOR_CANCEL": "missed",
}


@frozen(kw_only=True)
class Row:
    """A call that ended, in the columns of the library's ``CallRecord`` that it has.

    ``parks`` is how often it was parked.
    """

    id: str
    direction: str
    started: int
    answered: int | None
    ended: int
    caller_number: str | None
    caller_user_id: int | None
    called_number: str
    answered_by_user_id: int | None
    answered_by_number: str | None
    disposition: str
    abandoned_in: str | None
    ended_by: str | None
    cause: str | None
    talking_us: int
    parked_us: int
    parks: int
    transfers: int
    joined: str | None


@define(eq=False)
class _Open:
    """A call that goes on."""

    first: Channel
    line: Channel
    legs: dict[str, Channel]
    pending_pickups: set[str] = Factory(set)  # legs that want to fetch it
    outward: bool = False
    answered: int | None = None
    answered_by: Channel | None = None
    message: bool = False
    doing: str = ""  # what its line does: a state, or group for the queue of one
    talkers: tuple[Channel, ...] = ()
    talking_us: int = 0
    parked_us: int = 0
    parks: int = 0
    transfers: int = 0
    since: int = 0  # of the talk, or on the slot
    parked: Channel | None = None
    hung_up: tuple[Channel, bool] | None = None


@define(eq=False)
class Ledger:
    """The book. Iterating gives the rows that are kept, in the order of the calls' ends."""

    _rows: deque[Row] = field(factory=lambda: deque(maxlen=MAX_ROWS))
    _call_of: dict[str, _Open] = field(factory=dict)

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    # -- what the PBX does ------------------------------------------------------------

    def begins(self, channel: Channel, served: Channel | None) -> None:
        """A leg is there: for another's sake, whom it rings for, or wants to fetch; or a call."""
        call = self._call_of.get(served.uuid) if served is not None else None
        if call is None:
            call = _Open(first=channel, line=channel, legs={})
        elif not channel.rings_for:
            call.pending_pickups.add(channel.uuid)
        elif channel.person is not None:
            call.outward = True
        call.legs[channel.uuid] = channel
        self._call_of[channel.uuid] = call

    def enters(self, channel: Channel, now: int) -> None:
        """A leg does something else now."""
        call = self._call_of[channel.uuid]
        name = channel.state.name
        if channel in call.talkers and name != "bridged":
            self._stop(call, now)
        leads = call.first is channel or call.first.uuid not in call.legs or name == "park"
        if channel.rings_for is None and channel.uuid not in call.pending_pickups and leads:
            self._fetch(call, now)
            call.line = channel
            if name == "park":
                call.since = now
                call.parked = channel
                call.parks += 1
            kind = channel.state.data.get("target_type") if name == "calling" else None
            call.doing = "group" if kind == "group" else name
            call.message = call.message or name == "voicemail"
            call.hung_up = None
        if name == "calling_siptermination" or channel.state.data.get("target_location") == "ext":
            call.outward = True

    def bridges(self, line: Channel, leg: Channel, now: int) -> None:
        """Two legs are connected: ``leg`` answers, or takes over."""
        call, other = self._call_of[line.uuid], self._call_of[leg.uuid]
        if call is not other:
            call, other = sorted((call, other), key=_age)
            self._stop(other, now)
            self._close(other, now, joined=call.first.uuid)
            call.legs |= other.legs
            call.outward = call.outward or other.outward
            call.pending_pickups |= other.pending_pickups
            self._call_of |= dict.fromkeys(other.legs, call)
        self._fetch(call, now)
        if not call.talkers:
            call.since = now
        call.pending_pickups -= {line.uuid, leg.uuid}
        call.line = line
        call.talkers = (line, leg)
        call.doing = "bridged"
        call.hung_up = None
        if call.answered is None:
            call.answered, call.answered_by = now, leg

    def sends_on(self, line: Channel) -> None:
        """A talk is handed to somebody else."""
        self._call_of[line.uuid].transfers += 1

    def hangs_up(self, channel: Channel, *, by_peer: bool) -> None:
        """Somebody hangs up, or the PBX does: the last counts, but once the caller is gone."""
        call = self._call_of[channel.uuid]
        if call.hung_up is None or call.hung_up[0] is not call.first:
            call.hung_up = (channel, by_peer)

    def ends(self, channel: Channel, now: int) -> None:
        """A leg is gone, and perhaps the call with it."""
        call = self._call_of.pop(channel.uuid)
        if channel in call.talkers:
            self._stop(call, now)
        if channel is call.parked:
            self._fetch(call, now)
        del call.legs[channel.uuid]
        call.pending_pickups.discard(channel.uuid)
        if call.legs.keys() <= call.pending_pickups:
            self._close(call, now, last=channel)
            for guest in call.legs.values():  # there is nothing to fetch any more
                self.begins(guest, None)
                self.enters(guest, now)

    def loses_all(self, now: int) -> None:
        """All legs are gone, and nobody knows how."""
        for call in dict.fromkeys(self._call_of.values()):
            self._stop(call, now)
            self._fetch(call, now)
            self._close(call, now)
        self._call_of.clear()

    # -- how it is kept ---------------------------------------------------------------

    def _stop(self, call: _Open, now: int) -> None:
        if call.talkers:
            call.talking_us += now - call.since
            call.talkers = ()

    def _fetch(self, call: _Open, now: int) -> None:
        if call.parked is not None:
            call.parked_us += now - call.since
            call.parked = None

    def _close(
        self, call: _Open, now: int, *, last: Channel | None = None, joined: str | None = None
    ) -> None:
        first, by = call.first, call.answered_by
        cause = ended_by = None
        if last is not None:
            leg, by_peer = call.hung_up or (last, False)
            if by_peer:
                ended_by = "caller" if leg is first else "callee"
            else:
                ended_by = "pbx"
                leg = call.line if call.line.hangup_timestamp == now else leg
            cause = (leg.last_event_data or ",").split(",")[1]
        disposition, place = _disposition(call, ended_by, cause)
        self._rows.append(
            Row(
                id=first.uuid,
                direction="inbound" if first.person else "outbound" if call.outward else "internal",
                started=first.offer_timestamp,
                answered=call.answered,
                ended=now,
                caller_number=first.person.number if first.person else None,
                caller_user_id=first.user.id if first.user else None,
                called_number=first.called_number,
                answered_by_user_id=by.user.id if by and by.user else None,
                answered_by_number=by.person.number if by and by.person else None,
                disposition=disposition if joined is None else "answered",
                abandoned_in=place,
                ended_by=ended_by,
                cause=cause,
                talking_us=call.talking_us,
                parked_us=call.parked_us,
                parks=call.parks,
                transfers=call.transfers,
                joined=joined,
            )
        )


def _age(call: _Open) -> tuple[int, str]:
    return call.first.offer_timestamp, call.first.uuid


def _disposition(call: _Open, ended_by: str | None, cause: str | None) -> tuple[str, str | None]:
    if call.answered is not None:
        return "answered", None
    if call.message:
        return "voicemail", None
    if call.doing in _SERVICES:
        return "answered", None
    if cause is None:
        return "unknown", None
    if ended_by == "caller":
        return "abandoned", _PLACES.get(call.doing, "ringing")
    return _BY_CAUSE.get(cause, "failed"), None
