"""CallRecord: a call that ended, as one flat row for a table or a file."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti.exceptions import UsageError

from .model import Call


@frozen(kw_only=True)
class CallRecord:
    """One row. The fields are its columns: their names and their order stay as they are.

    Times are microseconds since the epoch, UTC; the columns that end in ``_us`` are durations
    in microseconds, and of those all but ``waited_us`` add up to ``total_us``. What does not
    apply is ``None``.
    """

    id: str
    direction: str
    started: int
    answered: int | None
    ended: int
    caller_number: str | None
    caller_name: str | None
    caller_user_id: int | None
    caller_end_user_id: str | None
    called_number: str | None
    group_id: int | None
    answered_by_user_id: int | None
    answered_by_number: str | None
    disposition: str
    abandoned_in: str | None
    ended_by: str | None
    cause: str | None
    cause_meaning: str | None
    sip_status: int | None
    waited_us: int | None
    ivr_us: int
    queued_us: int
    ringing_us: int
    talking_us: int
    parked_us: int
    voicemail_us: int
    conference_us: int
    other_us: int
    total_us: int
    transfers: int
    complete: bool
    joined: str | None

    @classmethod
    def of(cls, call: Call) -> CallRecord:
        """The row of a call; ``UsageError`` for one that has not ended."""
        if call.ended is None or call.disposition is None:
            raise UsageError(f"the call {call.id} has not ended: it has no record yet")
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
        """The row as a plain dict, JSON-ready, in the order of the columns."""
        return attrs.asdict(self)


COLUMNS = tuple(attribute.name for attribute in attrs.fields(CallRecord))
"""The names of a record's columns, in their order."""
