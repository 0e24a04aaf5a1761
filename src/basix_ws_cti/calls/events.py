"""What happens to a call. Each event holds the call as it was then."""

from __future__ import annotations

from attrs import frozen

from .model import Call, Party


@frozen
class CallStarted:
    """A call is there: it began, or the client found it going on."""

    call: Call


@frozen
class CallRinging:
    """A telephone rings for the call."""

    call: Call
    party: Party


@frozen
class CallAnswered:
    """Somebody answered, ``waited`` microseconds after they were first asked for.

    That is since the call began, or since it was sent on.
    """

    call: Call
    party: Party
    waited: int


@frozen
class CallParked:
    """A call stands on a park slot; ``by`` is the user's id who put it there."""

    call: Call
    slot: str | int | None
    by: int | None


@frozen
class CallRetrieved:
    """Somebody fetched a call from its slot, after ``parked_for`` microseconds."""

    call: Call
    party: Party
    parked_for: int


@frozen
class CallTransferred:
    """Whom the call was with sent it on, or handed it over, to somebody else."""

    call: Call
    source: Party
    target: Party


@frozen
class CallUpdated:
    """Something else about a call is new: a menu, a queue, a voicemail box, its direction."""

    call: Call


@frozen
class CallEnded:
    """A call is over. ``synthetic``: nobody saw it end, it was gone when the client looked."""

    call: Call
    synthetic: bool = False


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
"""Any of the events."""
