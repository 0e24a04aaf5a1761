"""Words for the end of a call or of a leg."""

from __future__ import annotations

from collections.abc import Iterator

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.calls import Call
from basix_ws_cti.calls.hangup_causes import CAUSES, meaning
from basix_ws_cti.elements import FullChannel, Hangup

from .durations import format_duration

DISPOSITIONS = {
    "answered": N_("answered"),
    "abandoned": N_("abandoned"),
    "missed": N_("missed"),
    "unanswered": N_("not answered"),
    "busy": N_("busy"),
    "rejected": N_("rejected"),
    "unreachable": N_("unreachable"),
    "ended_in_menu": N_("ended in the menu"),
    "voicemail": N_("went to voicemail"),
    "picked_up_elsewhere": N_("picked up elsewhere"),
    "failed": N_("failed"),
    "unknown": N_("outcome unknown"),
}
"""Words for how a call went, or a leg for its party; translate with ``_``."""

_ABANDONED = {
    "ivr": N_("abandoned in the menu"),
    "queue": N_("abandoned in the queue"),
    "ringing": N_("abandoned while ringing"),
    "parked": N_("abandoned while parked"),
}

_ENDED_BY = {
    "caller": N_("caller hung up"),
    "callee": N_("called party hung up"),
    "pbx": N_("ended by the PBX"),
}

# Words for the SIP message that ended a leg: received from its party, or sent to it.
_LEG_ENDS = {
    "recv_bye": N_("hung up"),
    "recv_cancel": N_("cancelled"),
    "recv_refuse": N_("refused"),
    "send_bye": N_("disconnected by the PBX"),
    "send_cancel": N_("ringing stopped by the PBX"),
    "send_refuse": N_("refused by the PBX"),
}

# A cancelled ring needs no words for the message: the cause says why the phone rings no more.
_CANCELS = frozenset({"recv_cancel", "send_cancel"})

# Cause of a leg or call that ended in the ordinary way; it tells nothing more.
_NORMAL = "NORMAL_CLEARING"


def describe_cause(cause: str | None) -> str:
    """Return a hangup cause in words; an unknown one as it is, and ``None`` as no words."""
    text = meaning(cause)
    return str(cause or "") if text is None else _(text)


def describe_disposition(disposition: str | None) -> str:
    """Return a disposition from ``DISPOSITIONS`` in words; ``None`` is an unknown outcome."""
    return _(DISPOSITIONS[disposition or "unknown"])


def describe_leg_end(leg: FullChannel, hangup: Hangup) -> str:
    """Return how a leg ended, such as ``refused: busy`` or ``hung up after 1:02``."""
    if hangup.disposition in _CANCELS and hangup.cause in CAUSES:
        return describe_cause(hangup.cause)
    end = _(_LEG_ENDS[hangup.disposition]) if hangup.disposition in _LEG_ENDS else _("ended")
    cause = "" if hangup.cause == _NORMAL else describe_cause(hangup.cause)
    if hangup.disposition not in _LEG_ENDS:
        cause = ", ".join(filter(None, (hangup.disposition, cause)))
    ended, answered = leg.hangup_timestamp, leg.answer_timestamp
    if not (isinstance(ended, int) and isinstance(answered, int)):
        return _("{end}: {cause}").format(end=end, cause=cause) if cause else end
    time = format_duration(ended - answered)
    if cause:
        return _("{end} after {time}: {cause}").format(end=end, time=time, cause=cause)
    return _("{end} after {time}").format(end=end, time=time)


def call_end_phrases(call: Call, *, synthetic: bool) -> Iterator[str]:
    """Yield phrases about how a call ended, the most important first.

    ``synthetic``: the end was not observed.
    """
    if call.abandoned_in is None:
        yield describe_disposition(call.disposition)
    else:
        if call.disposition != "abandoned":  # abandoned after an earlier talk
            yield describe_disposition(call.disposition)
        yield _(_ABANDONED[call.abandoned_in])
    if talked := call.time_in("talking"):
        yield _("talked {time}").format(time=format_duration(talked))
    if call.ended_by:
        yield _(_ENDED_BY[call.ended_by])
    if call.cause != _NORMAL and (cause := describe_cause(call.cause)):
        yield cause
    if call.ended is not None:
        yield _("{time} in all").format(time=format_duration(call.ended - call.started))
    if call.joined:
        yield _("merged into another call")
    if synthetic:
        yield _("end not observed")
