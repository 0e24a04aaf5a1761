"""End and row of a call in the ledger of the simulated PBX."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from attrs import frozen

from .ledger_calls import SERVICES
from .ledger_rows import CallRow
from .model import MEDIA_PLUG, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .ledger_calls import LedgerCall
    from .model import Channel

# Texts that a phone dials in place of a number.
_MARKER = re.compile(rf"pickup_uuid\.|{MEDIA_PLUG}$")

# Length of a box's greeting in microseconds: who hangs up sooner has left no message.
_GREETING = 5 * SECOND

# CallRow.last_phase by the activity of the lead leg; all others are "other".
_PHASES = {
    "ivr": "ivr",
    "xml_ivr": "ivr",
    "group": "queued",
    "calling": "ringing",
    "calling_siptermination": "ringing",
    "ringing": "ringing",
    "bridged": "talking",
    "park": "parked",
    "voicemail": "voicemail",
    "conference": "conference",
}

# CallRow.abandoned_in by the last phase; all others are "ringing".
_ABANDONED_IN = {"ivr": "ivr", "queued": "queue", "parked": "parked"}

# Words of CallRow.disposition by the hangup cause of a call that nobody answered.
_REFUSALS = {"USER_BUSY": "busy", "CALL_REJECTED": "rejected"}
_NO_ANSWERS = {"NO_ANSWER", "NORMAL_CLEARING", "ALLOTTED_TIMEOUT", "ORIGINATOR_CANCEL"}
_UNREACHABLE = {
    "NO_USER_RESPONSE",
    "SUBSCRIBER_ABSENT",
    "USER_NOT_REGISTERED",
    "DESTINATION_OUT_OF_ORDER",
    "UNALLOCATED_NUMBER",
    "NO_ROUTE_DESTINATION",
    "NO_ROUTE_TRANSIT_NET",
}


@frozen
class Ending:
    """The end of a call by itself."""

    side: str
    """``caller``, ``callee`` or ``pbx``."""
    leg: Channel
    """The leg whose hangup ended the call."""
    cause: str
    """Hangup cause."""

    @classmethod
    def of(cls, call: LedgerCall, last: Channel, now: int) -> Ending:
        """Return how a call ends at ``now``; ``last`` is the leg that ended last."""
        leg, by_peer = call.hung_up or (last, False)
        if by_peer:
            side = "caller" if call.is_callers(leg) else "callee"
        else:
            side = "pbx"
            leg = call.lead if call.lead.hangup_timestamp == now else leg
        return cls(side, leg, (leg.last_event_data or ",").split(",")[1])


def left_waiting(call: LedgerCall, ending: Ending | None) -> bool:
    """Return True if the call ended because the party that waited for somebody hung up."""
    if ending is None or ending.side == "pbx" or _has_reached_service(call):
        return False
    is_waiting = call.activity not in {"bridged", "voicemail"}
    return is_waiting and (ending.side == "caller" or ending.leg is call.lead)


def purpose_of(call: LedgerCall, *, joined: bool) -> str:
    """Return ``CallRow.purpose`` of a call that ends; ``joined``: it is merged into another."""
    if call.first.calling_number == MEDIA_PLUG:
        return "monitor"
    if joined and call.first.user is not None:
        return "consult"
    if call.is_pickup and call.answered is None:
        return "pickup"
    if _is_served_user(call) and call.conference_room is None:
        return "service"
    return "consult" if call.is_consult else "call"


def set_roles(call: LedgerCall, purpose: str) -> None:
    """Give the participants of a call that ends their final roles."""
    if purpose == "consult":
        call.participants.set_consulted()
    caller = call.participants.of(call.first)
    leg = caller.leg(call.first.uuid)
    if leg.role == "placed" and _is_served_user(call):
        leg.role = "service"
    if leg.role in {"monitored", "service"}:
        caller.served = call.first.answer_timestamp


def call_row(
    call: LedgerCall, now: int, purpose: str, ending: Ending | None, joined: str | None
) -> CallRow:
    """Return the row of a call that ends.

    ``ending`` is ``None`` if nobody knows how, or if the call is merged into the call with the id
    ``joined``.
    """
    first = call.first
    target, box = call.target or {}, call.box or {}
    waiting_party_left = left_waiting(call, ending)
    phase = _PHASES.get(call.activity, "other")
    abandoned_in = None
    if waiting_party_left and not _has_given_up(call, ending):
        waits_in = "queued" if call.waits.is_paused and phase == "other" else phase
        abandoned_in = _ABANDONED_IN.get(waits_in, "ringing")
    return CallRow(
        id=first.uuid,
        direction=call.final_direction,
        purpose=purpose,
        started=first.offer_timestamp,
        answered=call.answered,
        ended=now,
        caller_number=_number(first),
        caller_user_id=_user_id(first),
        called_number=None if _MARKER.match(first.called_number) else first.called_number,
        requested_user_id=target["id"] if target.get("type") == "user" else None,
        requested_group_id=target["id"] if target.get("type") == "group" else None,
        answered_by_user_id=_user_id(call.answered_by),
        answered_by_number=_number(call.answered_by),
        handlers=_json_array(call.handlers),
        last_handler_user_id=_user_id(call.last_handler),
        last_handler_number=_number(call.last_handler),
        disposition=_disposition(call, now, ending, abandoned_in, joined),
        abandoned_in=abandoned_in,
        last_phase=phase,
        ended_by=None if ending is None else ending.side,
        cause=None if ending is None else ending.cause,
        talking_us=call.talking_us,
        parked_us=call.parked_us,
        parks=call.parks,
        transfers=call.blind_transfers + call.attended_transfers,
        blind_transfers=call.blind_transfers,
        attended_transfers=call.attended_transfers,
        voicemail_user_id=box["target_id"] if box.get("target_type") == "user" else None,
        voicemail_group_id=box["target_id"] if box.get("target_type") == "group" else None,
        conference_room=call.conference_room,
        menu_id=call.menu_id,
        origination=_json_array(first.origination or ()),
        tags=_json_array(call.tags),
        went_outside=call.went_outside,
        joined=joined,
    )


def _disposition(
    call: LedgerCall,
    now: int,
    ending: Ending | None,
    abandoned_in: str | None,
    joined: str | None,
) -> str:
    """Return ``CallRow.disposition``."""
    if call.answered is not None:
        return "answered"
    if joined is not None:
        return "unanswered"
    if call.box is not None:
        if call.time_in_box(now) >= _GREETING:
            return "voicemail"
        return "no_message" if abandoned_in is None else "abandoned"
    if _has_reached_service(call):
        return "answered"
    if ending is None:
        return "unknown"
    if abandoned_in is not None:
        return "abandoned"
    return _word(call, ending)


def _has_given_up(call: LedgerCall, ending: Ending | None) -> bool:
    """Return True if a user gave up on somebody outside, or on the API, before an answer."""
    is_callers = ending is not None and ending.side == "caller"
    return is_callers and call.is_attempt and call.answered is None


def _word(call: LedgerCall, ending: Ending) -> str:
    """Return ``CallRow.disposition`` of a call that somebody refused or nobody took."""
    if _has_given_up(call, ending):
        return "unanswered"
    if ending.cause in _REFUSALS:
        return _REFUSALS[ending.cause]
    if ending.cause in _NO_ANSWERS:
        return "unanswered" if call.is_attempt else _word_of_pbx(call)
    if ending.cause in _UNREACHABLE and call.first.user is not None:
        return "unreachable" if _has_called_party(call) else "failed"
    return "failed"


def _word_of_pbx(call: LedgerCall) -> str:
    """Return ``CallRow.disposition`` of a call that the PBX ended for want of an answer."""
    if call.is_pickup:
        return "failed"
    if _has_called_party(call):
        return "missed"
    return "failed" if call.menu_id is None and call.activity != "xml_ivr" else "ended_in_menu"


def _has_called_party(call: LedgerCall) -> bool:
    """Return True if the PBX called somebody for the call."""
    return call.called_somebody or call.activity == "ringing"


def _has_reached_service(call: LedgerCall) -> bool:
    """Return True if the call is in a service of the PBX that answered, as dialled."""
    if call.activity not in SERVICES or call.lead.answer_timestamp is None:
        return False
    # After a queue, a menu or a phone that rang, an operation of the PBX is an announcement.
    return call.activity != "system_operation" or not call.called_somebody


def _is_served_user(call: LedgerCall) -> bool:
    """Return True if a user dialled, and reached nothing but services of the PBX."""
    is_users = call.first.user is not None and call.first.direction == "inbound"
    return is_users and call.was_served and not call.called_somebody


def _json_array(values: Iterable[object]) -> str | None:
    """Return values as a JSON array, as text; ``None`` if there are none."""
    items = list(values)
    return json.dumps(items, ensure_ascii=False) if items else None


def _user_id(leg: Channel | None) -> int | None:
    return leg.user.id if leg is not None and leg.user is not None else None


def _number(leg: Channel | None) -> str | None:
    return leg.person.number if leg is not None and leg.person is not None else None
