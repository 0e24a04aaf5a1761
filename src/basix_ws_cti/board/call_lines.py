"""One line of text for each event of a call."""

from __future__ import annotations

from collections.abc import Sequence

from basix_ws_cti._internal.translation import N_, _, ngettext
from basix_ws_cti.calls import (
    Call,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTransferred,
    Party,
)
from basix_ws_cti.calls.model import UNKNOWN_PARTY

from .durations import format_duration
from .endings import call_end_phrases
from .labels import Labels, describe_parking, join_phrases

DIRECTIONS = {
    "inbound": N_("inbound"),
    "outbound": N_("outbound"),
    "internal": N_("internal"),
}
"""Words for the direction of a call; translate with ``_``."""

# Parties that a line about ringing phones names, if there are more.
_NAMED = 2


def describe_call_ends(call: Call, labels: Labels) -> str:
    """Return the caller and the called party of a call, as ``CALLER -> CALLED``.

    The called party is the one that answered, before the answer the user or group that the caller
    asked for, else the number that was dialled.
    """
    called = call.answered_by or call.requested
    if called == UNKNOWN_PARTY:
        shown = str(call.called_number or _("unknown"))
    else:
        shown = labels.party(called)
    return f"{labels.party(call.caller)} -> {shown}"


def describe_call_event(event: CallEvent, labels: Labels) -> str:
    """Return a call event as text, such as ``answered by NAME after 0:07``."""
    match event:
        case CallStarted(call):
            return _describe_start(call, labels)
        case CallRinging(_call, party):
            return describe_ringing([party], labels)
        case CallAnswered(_call, party, waited):
            return _("answered by {party} after {time}").format(
                party=labels.party(party), time=format_duration(waited)
            )
        case CallParked(_call, slot, by):
            return describe_parking(labels, slot, by)
        case CallRetrieved(_call, party, parked_for):
            return _("retrieved by {party} after {time}").format(
                party=labels.party(party), time=format_duration(parked_for)
            )
        case CallTransferred(_call, source, target):
            return _("transferred by {source} to {target}").format(
                source=labels.party(source), target=labels.party(target)
            )
        case CallEnded(call, synthetic):
            details = join_phrases(call_end_phrases(call, synthetic=synthetic))
            return _("ended: {details}").format(details=details)
    return labels.phase(event.call.phase)


def describe_ringing(parties: Sequence[Party], labels: Labels) -> str:
    """Return at whom phones started to ring at the same time, such as ``ringing at NAME``.

    More than three parties are counted behind the first two.
    """
    names = [labels.party(party) for party in parties]
    match names:
        case [one]:
            return _("ringing at {party}").format(party=one)
        case [first, second]:
            return _("ringing at {first} and {second}").format(first=first, second=second)
        case [first, second, third]:
            text = _("ringing at {first}, {second} and {third}")
            return text.format(first=first, second=second, third=third)
    more = len(names) - _NAMED
    text = ngettext(
        "ringing at {first}, {second} and {count} more",
        "ringing at {first}, {second} and {count} more",
        more,
    )
    return text.format(first=names[0], second=names[1], count=more)


def _describe_start(call: Call, labels: Labels) -> str:
    activity = labels.phase(call.phase)
    if not call.complete:  # it was active before the feed was connected
        return activity
    return _("new call, {activity}").format(activity=activity) if activity else _("new call")
