"""CallRecord: an ended call as one flat row for a table or a file."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti.exceptions import UsageError

from .model import Call


@frozen(kw_only=True)
class CallRecord:
    """One row per ended call. Names and order of the columns do not change between versions.

    Times are integers in microseconds since the epoch, UTC. Columns that end in ``_us`` are
    durations in microseconds; all of them except ``waited_us`` add up to ``total_us``. A column
    that does not apply is ``None``.
    """

    id: str
    """Uuid of the call's first leg."""
    direction: str
    """``"inbound"``, ``"outbound"`` or ``"internal"``."""
    started: int
    """Start of the call."""
    answered: int | None
    """Time at which somebody first talked to the caller; ``None`` if nobody did."""
    ended: int
    """End of the call."""
    caller_number: str | None
    """Number of a caller outside, as the PBX sent it: compare it with ``same_number``."""
    caller_name: str | None
    """Name of the caller, if the PBX sent one."""
    caller_user_id: int | None
    """Id of the user who called."""
    caller_end_user_id: str | None
    """Id of the caller in the CRM."""
    called_number: str | None
    """Number that the caller dialled, as the PBX sent it."""
    group_id: int | None
    """Id of the first group that the call waited for."""
    answered_by_user_id: int | None
    """Id of the user who answered first."""
    answered_by_number: str | None
    """Number outside that answered first."""
    disposition: str
    """How the call went, as in ``Call.disposition``."""
    abandoned_in: str | None
    """What an abandoning caller waited in: ``"ivr"``, ``"queue"`` or ``"ringing"``."""
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
    total_us: int
    """Time from the start to the end."""
    transfers: int
    """Number of transfers, blind and attended."""
    complete: bool
    """False if something of the call may have been missed."""
    joined: str | None
    """Id of the call that this one became a part of."""

    @classmethod
    def of(cls, call: Call) -> CallRecord:
        """Return the row of an ended call.

        Raise ``UsageError`` if the call is still active.
        """
        if call.ended is None or call.disposition is None:
            raise UsageError(f"call {call.id} has not ended: only an ended call has a record")
        answered_by = call.answered_by
        end_user = call.caller.end_user
        groups = (phase.party.group_id for phase in call.phases if phase.kind == "queued")
        return cls(
            id=call.id,
            direction=call.direction,
            started=call.started,
            answered=call.answered,
            ended=call.ended,
            caller_number=call.caller.number,
            caller_name=call.caller.name,
            caller_user_id=call.caller.user_id,
            caller_end_user_id=None if end_user is None else end_user.id,
            called_number=call.called_number,
            group_id=next(groups, None),
            answered_by_user_id=None if answered_by is None else answered_by.user_id,
            answered_by_number=None if answered_by is None else answered_by.number,
            disposition=call.disposition,
            abandoned_in=call.abandoned_in,
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
            total_us=call.ended - call.started,
            transfers=call.transfers,
            complete=call.complete,
            joined=call.joined,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict of JSON values, in the order of the columns."""
        return attrs.asdict(self)


COLUMNS = tuple(attribute.name for attribute in attrs.fields(CallRecord))
"""Names of the columns of a ``CallRecord``, in order."""
