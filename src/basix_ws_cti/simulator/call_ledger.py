"""Log of the calls that ended in the simulated PBX, to compare with a client's call records.

The ledger follows the operations of the PBX (which leg rings for which, which legs are bridged,
transferred, parked, hung up), and not the feed. So it is an independent check of code that
derives calls from the feed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import Factory, define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Channel

# Rows that are kept, the newest: enough for 36 hours of a call centre.
MAX_ROWS = 20_000

# States in which the PBX itself serves the caller: the call counts as answered.
_SERVICES = {"conference", "eavesdrop", "checking_voicemail", "system_operation"}

# Row.abandoned_in by the activity of the lead leg; all others are "ringing".
_ABANDONED_IN = {"ivr": "ivr", "xml_ivr": "ivr", "group": "queue"}

# Row.disposition of an unanswered call by its hangup cause; all others are "failed".
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
    """A call that ended. The columns are named as in the library's ``CallRecord``."""

    id: str
    """uuid of the call's first channel."""
    direction: str
    """``inbound``, ``outbound`` or ``internal``."""
    started: int
    """Time of the first channel's offer, in microseconds since the epoch."""
    answered: int | None
    """Time of the first answer by a person, in microseconds since the epoch; ``None``: none."""
    ended: int
    """Time when the last channel ended, in microseconds since the epoch."""
    caller_number: str | None
    """Number of a caller outside; ``None``: a user calls."""
    caller_user_id: int | None
    """Id of the user who calls; ``None``: a caller outside."""
    called_number: str
    """Number that the caller dialled."""
    answered_by_user_id: int | None
    """Id of the user who answered first; ``None``: no user did."""
    answered_by_number: str | None
    """Number of the person outside who answered first; ``None``: nobody outside did."""
    disposition: str
    """``answered``, ``abandoned``, ``voicemail``, ``missed``, ``busy``, ``rejected``, ``failed``
    or ``unknown``."""
    abandoned_in: str | None
    """``ivr``, ``queue`` or ``ringing``; ``None``: the call was not abandoned."""
    ended_by: str | None
    """``caller``, ``callee`` or ``pbx``; ``None``: not known."""
    cause: str | None
    """FreeSWITCH hangup cause as ``str``; ``None``: not known."""
    talking_us: int
    """Total talk time in microseconds."""
    parked_us: int
    """Total time on park slots in microseconds."""
    parks: int
    """Number of times the call was parked."""
    transfers: int
    """Number of transfers."""
    joined: str | None
    """Id of the call that this one was merged into; ``None``: it was not merged."""


@define(eq=False)
class _ActiveCall:
    """A call that has not ended.

    ``lead`` is the leg that the call is about now: the first one, until it ends, is parked
    or is bridged to the lead of another call.
    """

    first: Channel
    lead: Channel
    legs: dict[str, Channel]
    pending_pickups: set[str] = Factory(set)  # uuids of legs that are to pick up or retrieve it
    outward: bool = False  # a phone outside is called
    answered: int | None = None
    answered_by: Channel | None = None
    message: bool = False  # the caller reached a voicemail box
    activity: str = ""  # state of the lead leg, or "group" while it calls a group
    talkers: tuple[Channel, ...] = ()
    talking_us: int = 0
    parked_us: int = 0
    parks: int = 0
    transfers: int = 0
    since: int = 0  # start of the current talk, or of the current stay on a slot
    parked: Channel | None = None
    hung_up: tuple[Channel, bool] | None = None  # the leg that hung up, and whether by its peer

    def is_callers(self, leg: Channel) -> bool:
        """Return True for the caller's leg, on any of the phones that the API rings."""
        return leg is self.first or leg.forked_from == self.first.uuid


@define(eq=False)
class Ledger:
    """Log of completed calls; iterates over the rows kept, in the order of the calls' ends.

    ``max_rows`` is the number of rows kept, the newest.
    """

    max_rows: int = MAX_ROWS
    _rows: deque[Row] = field(
        init=False, default=Factory(lambda self: deque(maxlen=self.max_rows), takes_self=True)
    )
    # By uuid of each of its legs.
    _call_of: dict[str, _ActiveCall] = field(init=False, factory=dict)

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def active_calls(self) -> int:
        """Number of calls that have not ended."""
        return len({*self._call_of.values()})

    # -- operations of the PBX --------------------------------------------------------

    def leg_added(self, channel: Channel, served: Channel | None) -> None:
        """Record a new leg.

        ``served`` is the channel for which or with which it rings, or which it is to pick up or
        retrieve; ``None``: the leg starts a call.
        """
        call = self._call_of.get(served.uuid) if served is not None else None
        if call is None:
            call = _ActiveCall(first=channel, lead=channel, legs={})
        elif not channel.rings_for and channel.forked_from is None:
            call.pending_pickups.add(channel.uuid)
        elif channel.person is not None:
            call.outward = True
        call.legs[channel.uuid] = channel
        self._call_of[channel.uuid] = call

    def state_changed(self, channel: Channel, now: int) -> None:
        """Record the new state of a leg. ``now``, here and below: microseconds since the epoch."""
        call = self._call_of[channel.uuid]
        name = channel.state.name
        if channel in call.talkers and name != "bridged":
            self._stop_talk(call, now)
        leads = call.first is channel or call.first.uuid not in call.legs or name == "park"
        if channel.rings_for is None and channel.uuid not in call.pending_pickups and leads:
            self._stop_park(call, now)
            call.lead = channel
            if name == "park":
                call.since = now
                call.parked = channel
                call.parks += 1
            target_type = channel.state.data.get("target_type") if name == "calling" else None
            call.activity = "group" if target_type == "group" else name
            call.message = call.message or name == "voicemail"
            call.hung_up = None
        if name == "calling_siptermination" or channel.state.data.get("target_location") == "ext":
            call.outward = True

    def legs_bridged(self, lead: Channel, leg: Channel, now: int) -> None:
        """Record that two legs are connected: ``leg`` answers, or replaces the former one.

        If they belong to two calls, one is merged into the other: an internal call into an
        outbound or inbound one, an outbound into an inbound one, and else the younger.
        """
        call, other = self._call_of[lead.uuid], self._call_of[leg.uuid]
        if call is not other:
            call, other = sorted((call, other), key=_precedence)
            self._stop_talk(other, now)
            self._close(other, now, joined=call.first.uuid)
            call.legs |= other.legs
            call.outward = call.outward or other.outward
            call.pending_pickups |= other.pending_pickups
            self._call_of |= dict.fromkeys(other.legs, call)
        self._stop_park(call, now)
        if not call.talkers:
            call.since = now
        call.pending_pickups -= {lead.uuid, leg.uuid}
        call.lead = lead
        call.talkers = (lead, leg)
        call.activity = "bridged"
        call.hung_up = None
        if call.answered is None:
            call.answered, call.answered_by = now, leg

    def transferred(self, lead: Channel) -> None:
        """Record a transfer."""
        self._call_of[lead.uuid].transfers += 1

    def leg_hung_up(self, channel: Channel, *, by_peer: bool) -> None:
        """Record a hangup, by the leg's peer or by the PBX, before the leg ends.

        The last hangup decides how the call ended, but none after the caller's is recorded.
        """
        call = self._call_of[channel.uuid]
        if call.hung_up is None or not call.is_callers(call.hung_up[0]):
            call.hung_up = (channel, by_peer)

    def leg_ended(self, channel: Channel, now: int) -> None:
        """Record the end of a leg; the call ends with its last leg.

        A leg that waits to pick the call up does not keep it going, and becomes a call itself.
        """
        call = self._call_of.pop(channel.uuid)
        if channel in call.talkers:
            self._stop_talk(call, now)
        if channel is call.parked:
            self._stop_park(call, now)
        del call.legs[channel.uuid]
        call.pending_pickups.discard(channel.uuid)
        if call.legs.keys() <= call.pending_pickups:
            self._close(call, now, last=channel)
            for leg in call.legs.values():
                self.leg_added(leg, None)
                self.state_changed(leg, now)

    def channels_dropped(self, now: int) -> None:
        """Record the end of all calls with an unknown cause, as when the PBX restarts."""
        for call in dict.fromkeys(self._call_of.values()):
            self._stop_talk(call, now)
            self._stop_park(call, now)
            self._close(call, now)
        self._call_of.clear()

    # -- helpers ----------------------------------------------------------------------

    def _stop_talk(self, call: _ActiveCall, now: int) -> None:
        if call.talkers:
            call.talking_us += now - call.since
            call.talkers = ()

    def _stop_park(self, call: _ActiveCall, now: int) -> None:
        if call.parked is not None:
            call.parked_us += now - call.since
            call.parked = None

    def _close(
        self, call: _ActiveCall, now: int, *, last: Channel | None = None, joined: str | None = None
    ) -> None:
        """Add the row of a call that ends.

        ``last`` is the leg that ended last; ``None``: unknown. ``joined`` is the id of the
        call that this one is merged into.
        """
        first, by = call.first, call.answered_by
        cause = ended_by = None
        if last is not None:
            leg, by_peer = call.hung_up or (last, False)
            if by_peer:
                ended_by = "caller" if call.is_callers(leg) else "callee"
            else:
                ended_by = "pbx"
                leg = call.lead if call.lead.hangup_timestamp == now else leg
            cause = (leg.last_event_data or ",").split(",")[1]
        disposition, abandoned_in = _disposition(call, ended_by, cause)
        if joined is not None:
            disposition = "unanswered" if call.answered is None else "answered"
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
                disposition=disposition,
                abandoned_in=abandoned_in,
                ended_by=ended_by,
                cause=cause,
                talking_us=call.talking_us,
                parked_us=call.parked_us,
                parks=call.parks,
                transfers=call.transfers,
                joined=joined,
            )
        )


def _precedence(call: _ActiveCall) -> tuple[bool, bool, int, str]:
    """Return the sort key of two calls that are merged: the first one goes on."""
    first = call.first
    return first.person is None, not call.outward, first.offer_timestamp, first.uuid


def _disposition(
    call: _ActiveCall, ended_by: str | None, cause: str | None
) -> tuple[str, str | None]:
    """Return ``Row.disposition`` and ``Row.abandoned_in``."""
    if call.answered is not None:
        return "answered", None
    if call.message:
        return "voicemail", None
    if call.activity in _SERVICES:
        return "answered", None
    if cause is None:
        return "unknown", None
    if ended_by == "caller":
        return "abandoned", _ABANDONED_IN.get(call.activity, "ringing")
    return _BY_CAUSE.get(cause, "failed"), None
