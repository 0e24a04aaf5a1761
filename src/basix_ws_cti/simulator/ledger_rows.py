"""Rows of the simulated PBX's ledger: calls, waits in queues, and participations.

The columns are named as in the library's ``CallRecord``, ``QueueWait`` and ``Participation``,
and mean the same. Times are integers in microseconds since the epoch; columns that end in
``_us`` are durations in microseconds. ``None`` means that a column does not apply.
"""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class CallRow:
    """A call that ended."""

    id: str
    """uuid of the call's first channel."""
    direction: str
    """``inbound``, ``outbound`` or ``internal``, as dialled."""
    purpose: str
    """``call``, ``consult``, ``pickup`` (an attempt without success), ``monitor`` or
    ``service``."""
    started: int
    """Time of the first channel's offer."""
    answered: int | None
    """Time of the first answer by a person; ``None``: none."""
    ended: int
    """Time when the last channel ended."""
    caller_number: str | None
    """Number of a caller outside; ``None``: a user calls."""
    caller_user_id: int | None
    """Id of the user who calls; ``None``: a caller outside."""
    called_number: str | None
    """Number that the caller dialled; ``None``: no number, but a marker such as
    ``pickup_uuid.UUID``."""
    requested_user_id: int | None
    """Id of the user whom the caller asked for; ``None``: no user."""
    requested_group_id: int | None
    """Id of the group that the caller asked for; ``None``: no group."""
    answered_by_user_id: int | None
    """Id of the user who answered first; ``None``: no user did."""
    answered_by_number: str | None
    """Number of the person outside who answered first; ``None``: nobody outside did."""
    handlers: str | None
    """All who talked to the caller, in the order of their first talk: a JSON array of user ids and
    outside numbers; ``None``: nobody."""
    last_handler_user_id: int | None
    """Id of the user who talked to the caller last; ``None``: no user did."""
    last_handler_number: str | None
    """Number of the person outside who talked to the caller last; ``None``: nobody outside did."""
    disposition: str
    """``answered``, ``abandoned``, ``missed``, ``unanswered``, ``busy``, ``rejected``,
    ``unreachable``, ``ended_in_menu``, ``voicemail``, ``no_message`` (the caller left a voicemail
    box within its greeting of 5 seconds), ``failed`` or ``unknown``."""
    abandoned_in: str | None
    """``ivr``, ``queue``, ``ringing`` or ``parked``: what the waiting party hung up in;
    ``None``: they did not, or the call is outbound."""
    last_phase: str
    """Last activity: ``ivr``, ``queued``, ``ringing``, ``talking``, ``parked``, ``voicemail``,
    ``conference`` or ``other``."""
    ended_by: str | None
    """``caller``, ``callee`` or ``pbx``; ``None``: not known."""
    cause: str | None
    """FreeSWITCH hangup cause as ``str``; ``None``: not known."""
    talking_us: int
    """Total talk time."""
    parked_us: int
    """Total time on park slots."""
    parks: int
    """Number of times the call was parked."""
    transfers: int
    """Number of transfers."""
    blind_transfers: int
    """Number of blind transfers."""
    attended_transfers: int
    """Number of attended transfers."""
    voicemail_user_id: int | None
    """Id of the user whose voicemail box was reached; ``None``: no user's."""
    voicemail_group_id: int | None
    """Id of the group whose voicemail box was reached; ``None``: no group's."""
    conference_room: str | None
    """Id of the last conference room; ``None``: none."""
    menu_id: str | None
    """Id of the last menu; ``None``: none."""
    origination: str | None
    """``origination`` of the first channel: a JSON array of texts; ``None``: it has none."""
    tags: str | None
    """Tags of all channels, in the order in which they appeared: a JSON array of texts; ``None``
    without tags."""
    went_outside: bool
    """True: an inbound or internal call was sent outside."""
    joined: str | None
    """Id of the call that this one was merged into; ``None``: it was not merged."""


@frozen(kw_only=True)
class WaitRow:
    """One stay of a call in the queue of one group."""

    call_id: str
    """Id of the call. A call that was merged into another one keeps its waits."""
    group_id: int
    """Id of the group."""
    entered: int
    """Time at which the call entered the queue."""
    left: int
    """Time at which the wait ended."""
    waited_us: int
    """Time from ``entered`` to ``left``."""
    result: str
    """``answered``, ``abandoned``, ``overflowed``, ``voicemail``, ``ended`` or ``unknown``."""
    next_group_id: int | None
    """Id of the group to which an ``overflowed`` wait went; ``None``: to no group."""
    answered_by_user_id: int | None
    """Id of the user who answered; ``None``: no user did."""
    rings: int
    """Number of times that a phone rang for the call during the wait."""
    purpose: str
    """``CallRow.purpose``."""


@frozen(kw_only=True)
class ParticipationRow:
    """Part of one user, or of one person outside, in one call."""

    call_id: str
    """Id of the call. A call that was merged into another one has no participations."""
    user_id: int | None
    """Id of the user; ``None``: a person outside."""
    number: str | None
    """Number of the person outside; ``None``: a user."""
    role: str
    """What they did first: ``offered``, ``placed``, ``consulted``, ``picked_up``, ``retrieved``,
    ``monitored`` or ``service``."""
    group_id: int | None
    """Id of the group whose queue offered the call to them; ``None``: no queue did."""
    result: str
    """``answered``, ``missed``, ``busy``, ``rejected``, ``failed``, ``abandoned``,
    ``picked_up_elsewhere``, ``unanswered`` or ``unknown``."""
    rings: int
    """Number of rings of their phones."""
    rang_us: int
    """Time for which a phone of theirs rang."""
    talked_us: int
    """Time for which they talked."""
    held_us: int
    """Time for which they were parked or waited during a consult call."""
    first_offered: int
    """Time of the offer of their first channel."""
    answered: int | None
    """Time of their first talk or service; ``None``: none."""
    left: int
    """Time when their last channel ended."""
