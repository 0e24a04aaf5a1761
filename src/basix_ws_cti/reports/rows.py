"""Rows of reports.

Times are datetimes in the time zone of the report's period. Durations are integers in
microseconds, as in all figures.
"""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from basix_ws_cti.calls import AgentFigures, CallRecord, QueueFigures


@frozen(kw_only=True)
class QueueRow:
    """Figures of one queue, or of all selected queues together, in one interval."""

    start: datetime
    """First moment of the interval."""
    end: datetime
    """First moment after the interval."""
    group_id: int | None
    """Id of the group whose queue this is; ``None``: all selected queues together."""
    group_name: str | None
    """Name that the group had in the interval; ``None`` if it is not known."""
    figures: QueueFigures
    """Figures of the waits that began in the interval."""


@frozen(kw_only=True)
class AgentRow:
    """Figures of one agent, or of all selected agents together, in one interval."""

    start: datetime
    """First moment of the interval."""
    end: datetime
    """First moment after the interval."""
    user_id: int | None
    """Id of the user; ``None``: all selected agents together."""
    user_name: str | None
    """Name that the user had in the interval; ``None`` if it is not known."""
    extension: str | None
    """Extension that the user had in the interval; ``None`` if it is not known."""
    group_id: int | None
    """In a report by queue, the id of the group whose queue offered the calls; ``None``: no queue
    did. In other reports always ``None``."""
    group_name: str | None
    """Name that the group had in the interval; ``None`` if it is not known."""
    figures: AgentFigures
    """Figures of the calls that were first offered to the agent in the interval."""


@frozen(kw_only=True)
class VolumeRow:
    """Calls of one direction, or of all, by disposition, in one interval.

    ``calls`` is the sum of all other numbers. The dispositions are those of
    ``CallRecord.disposition``.
    """

    start: datetime
    """First moment of the interval."""
    end: datetime
    """First moment after the interval."""
    direction: str | None
    """``"inbound"``, ``"outbound"`` or ``"internal"``; ``None``: all directions together."""
    calls: int
    """Number of calls that started in the interval."""
    answered: int
    """Number of calls in which somebody talked to the caller."""
    abandoned: int
    """Number of calls whose waiting party hung up before anybody talked."""
    missed: int
    """Number of calls that nobody answered in time, and that the PBX ended."""
    voicemail: int
    """Number of calls whose caller left a message in a voicemail box."""
    no_message: int
    """Number of calls whose caller left the voicemail box within the greeting."""
    ended_in_menu: int
    """Number of calls that the PBX ended in a menu or announcement."""
    unanswered: int
    """Number of outgoing calls that nobody answered, or on which the user gave up."""
    busy: int
    """Number of calls whose called party was busy."""
    rejected: int
    """Number of calls that the called party rejected."""
    unreachable: int
    """Number of calls whose called party could not be reached."""
    picked_up_elsewhere: int
    """Number of calls that another phone answered, and of which the feed shows no more."""
    failed: int
    """Number of calls that failed for another reason."""
    unknown: int
    """Number of calls whose end the feed did not show."""
    active: int
    """Number of calls that had not ended when the log was last written."""


@frozen(kw_only=True)
class HeatCell:
    """Waits that began in one hour of one weekday, in the whole period."""

    weekday: int
    """Day of the week: 0 is Monday."""
    hour: int
    """Hour of the day, 0 to 23."""
    offered: int
    """Number of waits."""
    answered: int
    """Number of waits that ended with an answer."""
    abandoned: int
    """Number of waits that the caller ended by hanging up."""


@frozen(kw_only=True)
class CallbackRow:
    """Caller who was not answered, and has not been called back since."""

    number: str
    """Number of the caller, in its normal form."""
    name: str | None
    """Last name that the PBX sent for the caller; ``None`` if it sent none."""
    calls: int
    """Number of unanswered calls in the period since the caller was last answered."""
    first: datetime
    """Start of the first of these calls."""
    last: datetime
    """Start of the last of these calls."""
    group_id: int | None
    """Id of the first group that the last call waited for; ``None``: it waited for none."""
    group_name: str | None
    """Name that the group had at that time; ``None`` if it is not known."""
    disposition: str
    """How the last call went, as in ``CallRecord.disposition``; ``"voicemail"``: there is a
    message."""
    queued_us: int
    """Time that the last call waited in queues, in microseconds."""
    attempts: int
    """Number of outgoing calls to the number since the last call; nobody answered them."""


@frozen(kw_only=True)
class RepeatCallerRow:
    """Number that called several times within the period."""

    number: str
    """Number of the caller, in its normal form."""
    name: str | None
    """Last name that the PBX sent for the caller; ``None`` if it sent none."""
    calls: int
    """Number of calls from the number."""
    answered: int
    """Number of these calls in which somebody talked to the caller."""
    first: datetime
    """Start of the first call."""
    last: datetime
    """Start of the last call."""


@frozen(kw_only=True)
class FirstContactRow:
    """Number of callers whose matter was settled by their first answered call."""

    callers: int
    """Number of callers with an answered call in the period."""
    resolved: int
    """Number of those who did not call again within the time after their first answered call."""
    rate: float | None
    """``resolved`` divided by ``callers``: 0 to 1; ``None`` without callers."""


@frozen(kw_only=True)
class OutboundRow:
    """Results of the outgoing calls of one user, or of all selected users together."""

    user_id: int | None
    """Id of the user who called; ``None``: all selected users together."""
    user_name: str | None
    """Name that the user had at the end of the period; ``None`` if it is not known."""
    extension: str | None
    """Extension that the user had at the end of the period; ``None`` if it is not known."""
    calls: int
    """Number of outgoing calls. It is the sum of the next six figures."""
    answered: int
    """Number of calls that somebody answered, a voicemail box included."""
    unanswered: int
    """Number of calls that nobody answered, or on which the user gave up."""
    refused: int
    """Number of calls whose called party was busy, or rejected the call."""
    unreachable: int
    """Number of calls to numbers that could not be reached."""
    failed: int
    """Number of calls that failed for another reason, or whose end the feed did not show."""
    active: int
    """Number of calls that had not ended when the log was last written."""
    click_to_call: int
    """Number of calls that were requested through the PBX's API; part of ``calls``."""
    talked: int
    """Time of talk of these calls, in microseconds."""


@frozen(kw_only=True)
class NumberRow:
    """Incoming calls to one of the company's numbers (DID), or to all of them together."""

    number: str | None
    """Number that the callers dialled: the normal form, or what the PBX sent if there is none;
    ``None``: all numbers together."""
    calls: int
    """Number of incoming calls. It is the sum of the next five figures."""
    answered: int
    """Number of calls in which somebody talked to the caller."""
    abandoned: int
    """Number of calls whose caller hung up before anybody talked to them."""
    voicemail: int
    """Number of calls that reached a voicemail box, with or without a message."""
    other: int
    """Number of calls that ended otherwise."""
    active: int
    """Number of calls that had not ended when the log was last written."""


@frozen(kw_only=True)
class CallListRow:
    """A call, with the names that users and groups had when it started."""

    call: CallRecord
    """Row of the call."""
    started: datetime
    """Start of the call."""
    caller_user_name: str | None
    """Name of the user who called; ``None`` if no user did, or the name is not known."""
    group_name: str | None
    """Name of the first group that the call waited for; ``None`` if there is none, or the name
    is not known."""
    answered_by_user_name: str | None
    """Name of the user who answered first; ``None`` if no user did, or the name is not known."""
    last_handler_user_name: str | None
    """Name of the user who talked last; ``None`` if no user did, or the name is not known."""


@frozen(kw_only=True)
class GapRow:
    """Interruption of the feed that overlaps the period: calls may be missing."""

    start: datetime
    """Start of the gap; it may lie before the period."""
    end: datetime
    """End of the gap; it may lie after the period."""
    reason: str
    """Name of the error that caused the gap; ``"unknown"`` if there is none."""


@frozen(kw_only=True)
class NameRow:
    """Name that a user or group has from some time on."""

    kind: str
    """``"user"`` or ``"group"``."""
    id: int
    """Id of the user or group."""
    name: str
    """Name."""
    extension: str | None
    """Extension; ``None`` if it is not known."""
    since: datetime
    """Time from which the name was known, in UTC."""
