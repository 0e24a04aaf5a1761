"""Tracker that turns the changes of a mirror's channels into call events.

The tracker is pure: no I/O and no clock; all times are the PBX's. It decides which call a leg
belongs to and routes the leg to that ``ActiveCall``, whose module explains what a call infers
from its legs. docs/explanation/calls.md describes all inferences for users.

A leg belongs to

1. the call that its own uuid leads to, because it is a leg of that call or was named by one;
2. the call of the leg that it names as its other end. If that is another call than in 1 and
   the leg is bridged, or a phone rings for it that rang for the other, the two calls become one.
   An inbound call absorbs an outbound one, and that an internal one; of two calls of the same
   direction, the older absorbs the younger, unless it is a permanent line without a call;
3. the call that it tries to pick up: the phone dialled ``pickup_uuid.UUID`` or
   ``assimilate.UUID`` of a leg, or the slot on which a call is parked. This leg is a pending
   pickup until it is bridged. UUID may also be the one in the called number of a leg of the
   call, ``RINGING_PARK.UUID`` (``LOCAL_PARK.UUID`` on older servers);
4. otherwise a new call. Its id is the uuid of its first leg: of the leg that this one was
   created for, if there is one, so that the id is the same for a client that is shown other
   legs of the call. An id is never used twice, however: if another call has or had this id,
   because a leg came late or came back, the id is the uuid of the leg itself; if that is used
   too, with a number behind it. ``used_ids`` explains how this takes bounded memory.

A leg that was created for the first leg of a call, and is shown after both that leg and the call
ended, came late: it belongs to no call while it rings for that leg or is bridged to it. So did the
first leg itself if it is shown after the call ended: it belongs to no call while its state is older
than that end. This needs the id of the ended call, so it holds for the last ``MAX_USED_IDS`` calls.

When a call ends while pickups of it are pending, these legs are calls in their own right.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping

from basix_ws_cti.elements import Channel
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Removed
from basix_ws_cti.states import Calling

from .active_call import ActiveCall
from .active_leg import ActiveLeg
from .call_index import CallIndex
from .channel_facts import is_b_leg
from .events import CallEnded, CallEvent, CallUpdated
from .leg_roles import PICKUP, own_call_key
from .model import Call, Role
from .used_ids import UsedIds
from .user_lines import UserLines

# Directions of calls that join, in the order in which they survive.
_DIRECTIONS = ("inbound", "outbound", "internal")

# Maximum time between the offers of two phones that ring for one request of the API, in
# microseconds.
_SAME_REQUEST = 2_000_000

# Called number of a leg that web phones may take.
_RINGING_PARK = re.compile(r"(?:RINGING|LOCAL)_PARK\.(.+)", re.DOTALL)


class CallTracker:
    """Tracker of active calls: channel changes in, call events out.

    ``channels`` are the channels that exist already; the calls they form cause no events.
    Pass all changes of one mirror to ``apply``, in their order and without omission. With a
    ``Client``, use its ``call_events()`` instead. No two calls of a tracker have the same id.
    """

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self._index = CallIndex()
        self._used_ids = UsedIds()
        self._users = UserLines()
        # Start of the gap in the feed that the next synthetic changes bridge, in microseconds.
        self._gap_started: int | None = None
        self.calls: Mapping[str, Call] = self._index.snapshots
        """Active calls by id: a read-only mapping that always shows the current state. Any thread
        may read it: each iteration runs over the calls of the moment at which it starts."""
        self.apply([Added("channel", channel, synthetic=True) for channel in channels])

    def __repr__(self) -> str:
        return f"<CallTracker of {len(self._index)} calls>"

    @property
    def is_empty(self) -> bool:
        """True if no call is active and the tracker remembers no uuid of a call leg."""
        return self._index.is_empty and self._users.is_empty

    def apply(self, changes: Iterable[Change | Gap]) -> list[CallEvent]:
        """Apply changes of the mirror and return the call events that follow from them.

        A ``Gap`` goes before the synthetic changes that follow it: calls that are gone after
        the gap are taken to have ended when it started. Changes of elements other than
        channels are ignored.
        """
        items = list(changes)
        if len(items) == 1:  # the usual case
            events = self._apply_change(items[0])
        else:
            events = []
            for change in _in_order(items):
                events += self._apply_change(change)
        self._gap_started = None
        return events

    def apply_stepwise(self, changes: Iterable[Change | Gap]) -> Iterator[list[CallEvent]]:
        """Apply changes like ``apply``, yielding the events of one change after another.

        The caller may pause between two changes; it must exhaust the iterator.
        """
        for change in _in_order(changes):
            yield self._apply_change(change)
        self._gap_started = None

    def _apply_change(self, change: Change | Gap) -> list[CallEvent]:
        if isinstance(change, Gap):
            self._gap_started = int(change.started.timestamp() * 1_000_000)
            with self._index.lock:
                for call in self._index:
                    call.mark_incomplete()
            return []
        if change.element_name != "channel":
            return []
        channel: Channel = change.element  # type: ignore[assignment]
        key = channel.key
        if key is None:
            # As in the mirror, the position in the initial_info stands in for the key.
            key = change.key
            if key is None:
                return []
        uuid = key if type(key) is str else str(key)
        with self._index.lock:
            follow = self._end_leg if isinstance(change, Removed) else self._update_leg
            events = follow(channel, uuid, synthetic=change.synthetic)
            if self._users.new_consults:
                events += self._updates_of_consults(events)
            return events

    def _updates_of_consults(self, events: list[CallEvent]) -> list[CallEvent]:
        """Return updates of calls that turned out to be consult calls, which no event shows."""
        shown = {event.call.id: event.call.purpose for event in events}
        updates: list[CallEvent] = []
        for legs in self._users.new_consults:
            call = self._index.find(legs.first_uuid)
            if call is not None and call.legs is legs and shown.get(call.id) != call.purpose:
                updates.append(CallUpdated(call.snapshot()))
        self._users.new_consults.clear()
        return updates

    def _update_leg(
        self, channel: Channel, uuid: str, *, synthetic: bool, left: ActiveCall | None = None
    ) -> list[CallEvent]:
        """Route a new or changed leg to its call, by the rules in the module docstring.

        ``left``: the call that the leg, a permanent line, has just left.
        """
        index = self._index
        own_call = index.find(uuid)
        before = None if own_call is None else own_call.legs.living.get(uuid)
        leg = ActiveLeg(channel, uuid, before)
        if own_call is not None and own_call.legs.lines and own_call.legs.frees_line(leg):
            return self._move_line(leg, own_call, synthetic=synthetic)
        named_call = index.find(leg.other_uuid)
        if named_call is left:
            named_call = None
        call = own_call or named_call
        events: list[CallEvent]
        if call is None:
            if not synthetic and left is None and self._is_late(leg):
                return []
            call, events = self._add_leg(leg, synthetic=synthetic, is_line=left is not None)
        elif named_call is None or named_call is call or not _joins(leg, call, named_call):
            events = call.update_leg(leg, synthetic=synthetic)
        else:
            call, absorbed = sorted((call, named_call), key=_precedence)
            events = call.absorb(absorbed, leg)
            index.replace(absorbed, call)
            self._remember(events)
            events += call.update_leg(leg, synthetic=synthetic)
        if own_call is None:
            index.link(leg.uuid, call)
        if before is None:
            self._link_ringing_park(leg, call)
        # A leg of the call that a permanent line has left stays there, even if the line names it.
        if leg.other_uuid is not None and index.find(leg.other_uuid) is None:
            index.link(leg.other_uuid, call)
        if events:  # a call that is parked, or leaves its slot, always has an event
            index.update_parked(call)
        return events

    def _add_leg(
        self, leg: ActiveLeg, *, synthetic: bool, is_line: bool
    ) -> tuple[ActiveCall, list[CallEvent]]:
        """Add a new leg that names no leg of a call to the call that it takes, or to a new one.

        ``is_line``: the leg is a permanent line, which waits for its next call.
        """
        key = own_call_key(leg.channel)
        call, role = self._find_call(leg, key)
        if call is not None:
            return call, call.update_leg(leg, synthetic=synthetic, role=role)
        call = self._new_call(leg)
        call.own_call_key = key
        waits = is_line and not isinstance(leg.channel.state, Calling)
        events = call.start(leg, synthetic=synthetic, role="monitored" if waits else None)
        self._index.add(call)
        return call, events

    def _move_line(self, leg: ActiveLeg, call: ActiveCall, *, synthetic: bool) -> list[CallEvent]:
        """Take a permanent line out of its call, which may end with that, and route it anew."""
        events = call.release_line(leg)
        if call.is_over:
            events += self._remove(call, events)
        else:
            self._index.unlink(leg.uuid, call)
        events += self._update_leg(leg.channel, leg.uuid, synthetic=synthetic, left=call)
        next_call = self._index.find(leg.uuid)
        if next_call is not None:
            line = next_call.legs.living[leg.uuid]
            line.history.is_line = True
            if next_call.legs.opening is not line.history:
                next_call.take_line(line)
        return events

    def _link_ringing_park(self, leg: ActiveLeg, call: ActiveCall) -> None:
        """Make the uuid by which web phones take a new leg's call lead to that call."""
        offer = _called(leg.channel, _RINGING_PARK)
        if offer is not None and self._index.find(offer) is None:
            self._index.link(offer, call)

    def _find_call(
        self, leg: ActiveLeg, key: Hashable | None
    ) -> tuple[ActiveCall | None, Role | None]:
        """Return the call of a new leg that names no leg of a call, and the leg's role in it.

        ``key``: its ``own_call_key``. ``(None, None)``: the leg starts a call.
        """
        channel = leg.channel
        if key is not None:
            call = self._index.find_own_call(key)
            if call is not None and abs((leg.offered or 0) - call.started) <= _SAME_REQUEST:
                return call, "placed"
        called = channel.called_number
        is_dialling = channel.peer_location == "internal" and channel.answer_timestamp is None
        if not isinstance(called, str) or not is_dialling:
            return None, None
        uuid = _called(channel, PICKUP)
        if uuid is not None:
            return self._index.find(uuid), "picked_up"
        if not called.isdecimal():
            return None, "retrieved"
        # The call for which the party dialled may have left the slot, and then ended.
        return self._index.find_parked(called, leg.offered), "retrieved"

    def _new_call(self, leg: ActiveLeg) -> ActiveCall:
        """Create the call of a leg that belongs to no call (rule 4)."""
        first_uuid = (leg.other_uuid if is_b_leg(leg.channel) else None) or leg.uuid
        if self._index.find(first_uuid) is not None:
            # A permanent line still names a leg of the call that it has just left.
            first_uuid = leg.uuid
        call_id = first_uuid
        if self._may_be_used(call_id, leg):
            call_id = leg.uuid
            if self._may_be_used(call_id, leg):
                call_id = self._used_ids.numbered(first_uuid, self._index.has_id)
        return ActiveCall.of(call_id, first_uuid, self._users)

    def _may_be_used(self, call_id: str, leg: ActiveLeg) -> bool:
        offered = leg.offered if call_id == leg.uuid else None
        return self._index.has_id(call_id) or self._used_ids.may_be_used(call_id, offered)

    def _is_late(self, leg: ActiveLeg) -> bool:
        """Return True if a leg is shown after its call ended, in a state that is older.

        It was the first leg of the call, or was created for a first leg that ended with the call.
        """
        if self._used_ids.ended_after(leg.uuid, leg.entered):
            return True
        lead_uuid = leg.other_uuid
        return (
            lead_uuid is not None
            and is_b_leg(leg.channel)
            and self._used_ids.is_late(lead_uuid, leg.offered)
        )

    def _end_leg(self, channel: Channel, uuid: str, *, synthetic: bool) -> list[CallEvent]:
        """End a leg; if its call ends with it, start new calls for the pending pickups."""
        index = self._index
        call = index.find(uuid)
        if call is None or uuid not in call.legs.living:
            return []
        events = call.end_leg(channel, uuid, synthetic=synthetic, gap_started=self._gap_started)
        if call.is_over:
            return events + self._remove(call, events)
        if uuid != call.legs.first_uuid:
            index.unlink(uuid, call)
        if events:
            index.update_parked(call)
        return events

    def _remove(self, call: ActiveCall, events: list[CallEvent]) -> list[CallEvent]:
        """Remove a call that is over; return the events of new calls of its pending pickups."""
        self._index.remove(call)
        self._remember(events)
        new_events: list[CallEvent] = []
        ended = call.phases.current.ended or 0
        for pickup in call.legs.living.values():
            self._users.ended(pickup.history, ended)
            new_events += self._update_leg(pickup.channel, pickup.uuid, synthetic=not call.complete)
        return new_events

    def _remember(self, events: list[CallEvent]) -> None:
        """Remember the ids of the calls that ended with these events."""
        for event in events:
            if isinstance(event, CallEnded):
                call = event.call
                self._used_ids.add(call.id, call.ended or 0)
                if call.joined is None:  # otherwise, its legs live on
                    self._used_ids.legs_ended(leg.uuid for leg in call.legs)


def _joins(leg: ActiveLeg, call: ActiveCall, named_call: ActiveCall) -> bool:
    """Return True if a leg of ``call`` that names a leg of another call joins the two calls.

    - The leg is bridged. If it is bridged to a permanent line of the other call, that line leaves
      its call with its own next event.
    - A phone that rang for the other leg before rings for this one now, or the other way round:
      a user completed an attended transfer before the answer. A permanent line that calls somebody
      may still name a leg of the call that it has left.
    """
    if leg.is_bridged:
        return leg.other_uuid not in named_call.legs.lines
    if not (leg.is_ringing or isinstance(leg.channel.state, Calling)):
        return False
    before = call.legs.living.get(leg.uuid)
    is_moved = before is not None and not before.history.is_line
    return is_moved and leg.other_uuid in named_call.legs.living


def _precedence(call: ActiveCall) -> tuple[int, bool, int, str]:
    """Return the sort key of two calls that join: the first one survives."""
    direction = _DIRECTIONS.index(call.parties.direction)
    return direction, call.legs.is_idle_line, call.started, call.id


def _called(channel: Channel, marker: re.Pattern[str]) -> str | None:
    """Return the uuid in a called number of this form; ``None`` if it has another form."""
    called: object = channel.called_number
    # Nearly all numbers begin with a digit, and need no regular expression.
    if not isinstance(called, str) or not called[:1].isalpha():
        return None
    match = marker.fullmatch(called)
    return None if match is None else match[1]


def _in_order(changes: Iterable[Change | Gap]) -> list[Change | Gap]:
    """Return the changes in the order in which to apply them.

    Changes from events keep their order. Synthetic changes come in no meaningful order, so
    they are sorted: gaps, added channels in the order of their offers, changed channels, removed
    channels. Legs that changed may name legs that were added, and legs that ended may have been
    replaced by either.
    """
    items = list(changes)
    for item in items:
        if not isinstance(item, Gap) and item.synthetic:
            return sorted(items, key=_order)
    return items


def _order(item: Change | Gap) -> tuple[int, int]:
    """Return the sort key of a synthetic change."""
    match item:
        case Gap():
            return 0, 0
        case Added():
            offered = getattr(item.element, "offer_timestamp", None)
            return 1, offered if isinstance(offered, int) else 0
        case Changed():
            return 2, 0
    return 3, 0
