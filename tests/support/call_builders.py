"""Builders of ``Call`` objects from short texts, for tests of functions over calls."""

from __future__ import annotations

from basix_ws_cti.calls import Call, Interval, Leg, Party, Phase
from basix_ws_cti.elements import Hangup

CUSTOMER = Party(number="0312341234")

# Hang-up of the deciding leg, by ``Call.ended_by``.
_HANGUPS = {
    "caller": Hangup("recv_bye", "NORMAL_CLEARING"),
    "callee": Hangup("recv_bye", "NORMAL_CLEARING"),
    "pbx": Hangup("send_bye", "NORMAL_CLEARING"),
    None: None,
}


def party(word):
    """Return a party: ``g1`` is group 1, ``u7`` user 7, another word a number outside."""
    if word[0] == "u" and word[1:].isdecimal():
        return Party(user_id=int(word[1:]))
    if word[0] == "g" and word[1:].isdecimal():
        return Party(group_id=int(word[1:]))
    return Party(number=word)


def phases(text, ended=None):
    """Return phases from a text such as ``"0 ivr, 5 queued g1, 20 talking u7"``.

    Each has the time of its start, its kind, and perhaps its party. ``ended`` is the end of the
    last one; ``None``: it lasts.
    """
    words = [phase.split() for phase in text.split(",")]
    starts = [int(start) for start, *_ in words]
    ends = [*starts[1:], ended]
    return tuple(
        Phase(kind=kind, started=start, ended=end, party=party(*who) if who else Party())
        for (_, kind, *who), start, end in zip(words, starts, ends, strict=True)
    )


def call(text, ended=None, *, by=None, **fields):
    """Return a call with phases from a text, which ended at ``ended`` through ``by``.

    ``fields`` are further attributes of the call. The default disposition of an ended call is
    ``"answered"`` if it was talked on, else ``"missed"``, or ``"unknown"`` if ``by`` is ``None``.
    """
    made = phases(text, ended)
    talks = [phase for phase in made if phase.kind == "talking"]
    disposition = None
    if ended is not None:
        disposition = "answered" if talks else "missed" if by is not None else "unknown"
    defaults = {
        "id": "call",
        "direction": "inbound",
        "caller": CUSTOMER,
        "called_number": "0312345678",
        "started": made[0].started,
        "answered": talks[0].started if talks else None,
        "answered_by": talks[0].party if talks else None,
        "ended": ended,
        "ended_by": by,
        "hangup": _HANGUPS[by],
        "disposition": disposition,
    }
    return Call(**(defaults | {"phases": made} | fields))


def leg(who, offered=0, ended=None, **fields):
    """Return a leg of a party, such as ``u7``; its uuid is ``WHO@OFFERED`` by default.

    ``talks`` and ``holds`` may be given as pairs of times.
    """
    for name in ("talks", "holds"):
        if name in fields:
            fields[name] = tuple(Interval(started=a, ended=b) for a, b in fields[name])
    defaults = {"uuid": f"{who}@{offered}", "party": party(who)}
    return Leg(**(defaults | fields), offered=offered, ended=ended)
