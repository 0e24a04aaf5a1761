"""Call events. Each event holds the call as it was right after the event.

The calls of the last events are those in progress. Each change of a call has an event, except
changes of ``complete``, of ``clock_adjusted`` and of the details of its legs, which the next event
of the call shows. The legs that belong to a call are no such detail.
"""

from __future__ import annotations

from attrs import frozen

from basix_ws_cti._internal.display import SetFields

from .model import Call, Party


@frozen(repr=False)
class CallStarted(SetFields):
    """A call began, or was found to be active."""

    call: Call
    """The call."""


@frozen(repr=False)
class CallRinging(SetFields):
    """A phone started to ring for the call."""

    call: Call
    """The call."""
    party: Party
    """The party whose phone rings."""


@frozen(repr=False)
class CallAnswered(SetFields):
    """A party answered the call, for the first time or after a transfer or recall."""

    call: Call
    """The call."""
    party: Party
    """The party that answered."""
    waited: int
    """Time since the call began, since the talk before its last transfer, or since its last recall
    from a park slot, in microseconds."""


@frozen(repr=False)
class CallParked(SetFields):
    """The call was parked."""

    call: Call
    """The call."""
    slot: str | int | None
    """The park slot."""
    by: int | None
    """Id of the user who parked the call."""


@frozen(repr=False)
class CallRetrieved(SetFields):
    """A party retrieved the call from its park slot."""

    call: Call
    """The call."""
    party: Party
    """The party that retrieved the call."""
    parked_for: int
    """Time on the park slot, in microseconds."""


@frozen(repr=False)
class CallTransferred(SetFields):
    """The call was transferred, blind or attended."""

    call: Call
    """The call."""
    source: Party
    """The party that transferred the call."""
    target: Party
    """The party or group that the call was transferred to."""


@frozen(repr=False)
class CallUpdated(SetFields):
    """Something else changed: menu, queue, voicemail, caller, direction, purpose, or the legs."""

    call: Call
    """The call."""


@frozen(repr=False)
class CallEnded(SetFields):
    """The call ended, or became part of another call (``call.joined``)."""

    call: Call
    """The call."""
    synthetic: bool = False
    """True if the feed did not show the end: the call was gone after a gap."""


CallEvent = (
    CallStarted
    | CallRinging
    | CallAnswered
    | CallParked
    | CallRetrieved
    | CallTransferred
    | CallUpdated
    | CallEnded
)
"""Any of the call events."""
