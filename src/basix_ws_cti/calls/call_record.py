"""CallRecord: a call as one flat row for a table or a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti._internal.display import SetFields
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY, normalise_number

from .channel_facts import party_key
from .model import UNKNOWN_PARTY, Call, Phase, PhaseKind

DEFAULT_GREETING = 5.0
"""Default length of the greeting of a voicemail box, in seconds."""


@frozen(kw_only=True, repr=False)
class CallRecord(SetFields):
    """One row per call. Names and order of the columns do not change between versions.

    - Times are integers in microseconds since the epoch, UTC.
    - Columns that end in ``_us`` are durations in microseconds. Those of the phases (``ivr_us`` to
      ``other_us``) add up to ``total_us``.
    - A column that does not apply is ``None``. A column with several values is a JSON array, as
      text; it is ``None`` if there are no values.
    - Numbers are as the PBX sent them. Columns that end in ``_normalised`` are the same numbers as
      ``normalise_number`` writes them.

    To count calls, count the rows whose ``purpose`` is ``"call"`` and whose ``joined`` is ``None``.

    The row of a call in progress shows the call so far. It has ``complete=False``, and ``None`` in
    the columns that only the end decides: ``ended``, ``disposition``, ``abandoned_in``,
    ``ended_by``, ``cause``, ``cause_meaning``, ``sip_status``, ``total_us`` and ``joined``. The
    durations do not include the current phase.
    """

    id: str
    """Uuid of the call's first leg."""
    purpose: str
    """``"call"``, or ``"consult"``, ``"pickup"``, ``"monitor"``, ``"service"``: see
    ``Call.purpose``."""
    direction: str
    """``"inbound"``, ``"outbound"`` or ``"internal"``, as dialled."""
    went_outside: bool
    """True if an inbound or internal call was transferred or forwarded to outside."""
    started: int
    """Start of the call."""
    answered: int | None
    """Time at which somebody first talked to the caller; ``None`` if nobody did."""
    ended: int | None
    """End of the call; ``None`` while it is active."""
    caller_number: str | None
    """Number of a caller outside, as the PBX sent it."""
    caller_number_normalised: str | None
    """Normal form of ``caller_number``; ``None`` if that is no telephone number."""
    caller_name: str | None
    """Name of the caller, if the PBX sent one."""
    caller_user_id: int | None
    """Id of the user who called."""
    caller_end_user_id: str | None
    """Id of the caller in the CRM."""
    called_number: str | None
    """Number that the caller dialled, as the PBX sent it."""
    called_number_normalised: str | None
    """Normal form of ``called_number``; ``None`` if that is no telephone number."""
    requested_user_id: int | None
    """Id of the user whom the caller asked for."""
    requested_group_id: int | None
    """Id of the group that the caller asked for."""
    menu_id: str | None
    """Id of the last voice menu that the call was in."""
    group_id: int | None
    """Id of the first group that the call waited for. ``QueueWait`` has one row per wait."""
    answered_by_user_id: int | None
    """Id of the user who answered first."""
    answered_by_number: str | None
    """Number outside that answered first."""
    handlers: str | None
    """All who talked to the caller, in the order of their first talk: a JSON array of user ids
    (integers), numbers outside (strings) and ``null`` for an unknown party. After the caller
    transferred the call, also those who talk to the party that is left."""
    last_handler_user_id: int | None
    """Id of the user who talked last to the caller, or to the party that is left after the caller
    transferred the call."""
    last_handler_number: str | None
    """Number outside that talked last to the caller, or to the party that is left after the caller
    transferred the call."""
    voicemail_user_id: int | None
    """Id of the user whose voicemail box the caller reached."""
    voicemail_group_id: int | None
    """Id of the group whose voicemail box the caller reached."""
    conference_room: str | None
    """Id of the last conference room that the call was in."""
    disposition: str | None
    """How the call went, as in ``Call.disposition``. ``"no_message"`` instead of ``"voicemail"`` if
    the caller left the voicemail box within the greeting."""
    abandoned_in: str | None
    """What the waiting party hung up in: ``"ivr"``, ``"queue"``, ``"ringing"`` or ``"parked"``,
    whatever happened before."""
    last_phase: str
    """Kind of the last phase, such as ``"talking"``; of an active call, of the current one."""
    ended_by: str | None
    """Side that hung up: ``"caller"``, ``"callee"`` or ``"pbx"``."""
    cause: str | None
    """FreeSWITCH's hangup cause."""
    cause_meaning: str | None
    """The hangup cause in English."""
    sip_status: int | None
    """SIP status code of a refused call."""
    waited_us: int | None
    """Time from the start to the answer, menus included; ``None`` if nobody answered."""
    ivr_us: int
    """Time in voice menus."""
    queued_us: int
    """Time in queues."""
    ringing_us: int
    """Time of ringing outside of queues."""
    talking_us: int
    """Time of talk."""
    parked_us: int
    """Time on park slots."""
    voicemail_us: int
    """Time in voicemail boxes."""
    conference_us: int
    """Time in conferences."""
    other_us: int
    """Time in other services and in phases that the feed did not show."""
    total_us: int | None
    """Time from the start to the end."""
    transfers: int
    """Number of transfers: the sum of the next two columns."""
    blind_transfers: int
    """Number of blind transfers."""
    attended_transfers: int
    """Number of attended transfers."""
    origination: str | None
    """Parts of the API request that created the first leg: a JSON array of strings."""
    tags: str | None
    """Tags of all legs, in the order in which they appeared: a JSON array of strings."""
    complete: bool
    """False if something of the call may have been missed, and while the call is active."""
    clock_adjusted: bool
    """True if a clock of the PBX was set back during the call: a duration may be zero."""
    joined: str | None
    """Id of the call that this one became a part of."""

    @classmethod
    def of(
        cls, call: Call, *, country_code: str = HOME_COUNTRY, greeting: float = DEFAULT_GREETING
    ) -> CallRecord:
        """Return the row of a call.

        - ``country_code``: calling code of the home country, in digits, for the normalised numbers:
          see ``normalise_number``.
        - ``greeting``: length of the greeting of a voicemail box, in seconds. A caller who was in
          the box for a shorter time has left no message.

        Raise ``UsageError`` for an unknown ``country_code``, or a ``greeting`` below 0.
        """
        check_seconds("greeting", greeting, at_least=0)
        answered_by = call.answered_by or UNKNOWN_PARTY
        end_user = call.caller.end_user
        talks = [phase.party for phase in call.summed_phases if phase.kind == "talking"]
        last_handler = talks[-1] if talks else UNKNOWN_PARTY
        mailbox = next(_latest(call, "voicemail"), None)
        box_owner = UNKNOWN_PARTY if mailbox is None else mailbox.party
        groups = (one.party.group_id for one in call.summed_phases if one.kind == "queued")
        has_ended = call.ended is not None
        return cls(
            id=call.id,
            purpose=call.purpose,
            direction=call.direction,
            went_outside=call.went_outside,
            started=call.started,
            answered=call.answered,
            ended=call.ended,
            caller_number=call.caller.number,
            caller_number_normalised=normalise_number(call.caller.number, country_code),
            caller_name=call.caller.name,
            caller_user_id=call.caller.user_id,
            caller_end_user_id=None if end_user is None else end_user.id,
            called_number=call.called_number,
            called_number_normalised=normalise_number(call.called_number, country_code),
            requested_user_id=call.requested.user_id,
            requested_group_id=call.requested.group_id,
            menu_id=_last_place(call, "ivr"),
            group_id=next(groups, None),
            answered_by_user_id=answered_by.user_id,
            answered_by_number=answered_by.number,
            handlers=_json_array(dict.fromkeys(map(party_key, talks))),
            last_handler_user_id=last_handler.user_id,
            last_handler_number=last_handler.number,
            voicemail_user_id=box_owner.user_id,
            voicemail_group_id=box_owner.group_id,
            conference_room=_last_place(call, "conference"),
            disposition=_disposition(call, greeting),
            abandoned_in=call.abandoned_in,
            last_phase=call.phase.kind,
            ended_by=call.ended_by,
            cause=call.cause,
            cause_meaning=call.cause_meaning,
            sip_status=call.sip_status,
            waited_us=None if call.answered is None else call.answered - call.started,
            ivr_us=call.time_in("ivr"),
            queued_us=call.time_in("queued"),
            ringing_us=call.time_in("ringing"),
            talking_us=call.time_in("talking"),
            parked_us=call.time_in("parked"),
            voicemail_us=call.time_in("voicemail"),
            conference_us=call.time_in("conference"),
            other_us=call.time_in("other", "unknown"),
            total_us=None if call.ended is None else call.ended - call.started,
            transfers=call.transfers,
            blind_transfers=call.transfers - call.attended_transfers,
            attended_transfers=call.attended_transfers,
            origination=_json_array(call.origination),
            tags=_json_array(call.tags),
            complete=call.complete and has_ended,
            clock_adjusted=call.clock_adjusted,
            joined=call.joined,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)


COLUMNS = tuple(attribute.name for attribute in attrs.fields(CallRecord))
"""Names of the columns of a ``CallRecord``, in order."""


def _disposition(call: Call, greeting: float) -> str | None:
    """Return the disposition; a caller who left the box within the greeting left no message."""
    if call.disposition != "voicemail" or call.time_in("voicemail") >= greeting * 1_000_000:
        return call.disposition
    return "no_message" if call.abandoned_in is None else "abandoned"


def _latest(call: Call, kind: PhaseKind) -> Iterator[Phase]:
    """Yield the phases of a kind, latest first."""
    return (phase for phase in reversed(call.summed_phases) if phase.kind == kind)


def _last_place(call: Call, kind: PhaseKind) -> str | None:
    """Return the last known place of phases of a kind, as text."""
    places = (phase.place for phase in _latest(call, kind) if phase.place is not None)
    place = next(places, None)
    return None if place is None else str(place)


def _json_array(values: Iterable[object]) -> str | None:
    """Return values as a JSON array, as text; ``None`` for an empty array."""
    items = list(values)
    return json.dumps(items, ensure_ascii=False) if items else None
