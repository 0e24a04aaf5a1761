"""How legs and calls end: from what the PBX says to a word for people."""

from __future__ import annotations

import pytest

from basix_ws_cti.calls import Leg, Party, Phase
from basix_ws_cti.calls.outcome import decisive, disposition_of, leg_outcome, who_ended_it
from basix_ws_cti.elements import Hangup


def hangup(text):
    return Hangup(*text.split(",")) if text else None


def leg(uuid, text, ended=None):
    return Leg(uuid=uuid, party=Party(), hangup=hangup(text), ended=ended)


@pytest.mark.parametrize(
    ("data", "outcome"),
    {
        "recv_cancel,ORIGINATOR_CANCEL": "abandoned",
        "send_cancel,ORIGINATOR_CANCEL": "missed",
        "send_cancel,LOSE_RACE": "picked up elsewhere",
        "send_cancel,PICKED_OFF": "picked up elsewhere",
        "send_cancel,NO_ANSWER": "missed",
        "send_refuse,NO_ANSWER": "missed",
        "recv_refuse,USER_BUSY": "busy",
        "recv_refuse,CALL_REJECTED": "rejected",
        "recv_refuse,NO_USER_RESPONSE": "failed",
        "send_refuse,BRAND_NEW": "failed",
        None: "unknown",
    }.items(),
)
def test_how_a_leg_went(data, outcome):
    """A leg that nobody answered went by its hang-up; one that was answered was answered."""
    assert leg_outcome(hangup(data), answered=False) == outcome
    assert leg_outcome(hangup(data), answered=True) == "answered"


@pytest.mark.parametrize(
    ("kind", "legs", "which"),
    [
        # Who hung up themselves: the line before all others.
        ("talking", {"line": "recv_bye,NORMAL_CLEARING", "b": "send_bye,NORMAL_CLEARING"}, "line"),
        ("talking", {"b": "recv_bye,NORMAL_CLEARING", "line": "send_bye,NORMAL_CLEARING"}, "b"),
        ("talking", {"b": "recv_bye,NORMAL_CLEARING", "line": "recv_bye,NORMAL_CLEARING"}, "line"),
        ("ringing", {"b": "recv_refuse,USER_BUSY", "line": "send_refuse,USER_BUSY"}, "b"),
        # A telephone was busy, and the PBX ended the line for another reason.
        ("queued", {"b": "recv_refuse,USER_BUSY", "line": "send_refuse,NO_ANSWER"}, "line"),
        # Nobody did: the PBX's doing.
        (
            "talking",
            {"line": "send_bye,ALLOTTED_TIMEOUT", "b": "send_bye,ALLOTTED_TIMEOUT"},
            "line",
        ),
        # The line is not shown.
        ("talking", {"a": "send_bye,NORMAL_CLEARING", "b": "recv_bye,NORMAL_CLEARING"}, "b"),
        ("talking", {"a": "send_bye,NORMAL_CLEARING", "b": "send_bye,NORMAL_CLEARING"}, "b"),
        # Where nobody waits or talks, nobody but the line counts.
        ("parked", {"b": "recv_bye,NORMAL_CLEARING", "line": "send_bye,NORMAL_CLEARING"}, "line"),
        ("conference", {"b": "recv_bye,NORMAL_CLEARING", "line": ""}, "line"),
        ("ringing", {"line": "", "b": "recv_refuse,USER_BUSY"}, "line"),
        ("talking", {}, None),
    ],
)
def test_whose_hang_up_ended_it(kind, legs, which):
    """The leg that ended a call is the line, or who hung up and took the line with them."""
    ended = [leg(uuid, text) for uuid, text in legs.items()]
    found = decisive(Phase(kind=kind, started=0), ended, "line")
    assert (None if found is None else found.uuid) == which


@pytest.mark.parametrize(
    ("kind", "apart", "which"),
    [
        ("ringing", 0, "b"),
        ("ringing", 100_000, "b"),
        ("ringing", 100_001, "line"),
        ("queued", 0, "line"),
        ("ringing", None, "line"),
    ],
)
def test_a_refusal_that_the_pbx_words_in_its_own_way(kind, apart, which):
    """Who alone was asked, and refused in the moment of the line's end, is why it ended."""
    line = leg("line", "send_refuse,NO_ANSWER", ended=None if apart is None else 10**9 + apart)
    ended = [leg("b", "recv_refuse,USER_BUSY", ended=10**9), line]
    assert decisive(Phase(kind=kind, started=0), ended, "line").uuid == which


@pytest.mark.parametrize(
    ("kind", "text", "by_caller", "alone", "side"),
    [
        ("talking", "recv_bye,NORMAL_CLEARING", True, False, "caller"),
        ("talking", "recv_bye,NORMAL_CLEARING", False, False, "callee"),
        ("talking", "send_bye,ALLOTTED_TIMEOUT", True, False, "pbx"),
        ("talking", "send_bye,NORMAL_CLEARING", True, False, "pbx"),
        ("talking", "send_bye,NORMAL_CLEARING", True, True, "callee"),
        ("talking", "send_bye,NORMAL_CLEARING", False, True, "caller"),
        ("talking", "send_bye,ALLOTTED_TIMEOUT", False, True, "pbx"),
        ("ivr", "send_bye,NORMAL_CLEARING", True, True, "pbx"),
        ("ringing", "send_cancel,ORIGINATOR_CANCEL", False, True, "caller"),
        ("ringing", "send_cancel,ORIGINATOR_CANCEL", True, True, "pbx"),
        ("ringing", "send_cancel,ORIGINATOR_CANCEL", False, False, "pbx"),
        ("ringing", "send_cancel,LOSE_RACE", False, True, "pbx"),
        ("ringing", "", True, True, None),
    ],
)
def test_who_ended_it(kind, text, by_caller, alone, side):
    """Who hung up is told by the leg itself, or by what was sent on of who is not shown."""
    last = Phase(kind=kind, started=0)
    assert who_ended_it(last, hangup(text), by_caller=by_caller, alone=alone) == side


@pytest.mark.parametrize(
    ("kinds", "text", "side", "disposition"),
    [
        ("ringing talking", "", None, ("answered", None)),
        ("ringing talking ringing", "send_bye,NO_ANSWER", "pbx", ("answered", None)),
        ("ringing voicemail", "recv_bye,NORMAL_CLEARING", "caller", ("voicemail", None)),
        ("ringing talking voicemail", "recv_bye,X", "caller", ("answered", None)),
        ("other conference", "recv_bye,NORMAL_CLEARING", "caller", ("answered", None)),
        ("other", "", None, ("answered", None)),
        ("ivr", "", None, ("unknown", None)),
        ("ivr", "recv_bye,NORMAL_CLEARING", "caller", ("abandoned", "ivr")),
        ("ivr queued", "recv_bye,NORMAL_CLEARING", "caller", ("abandoned", "queue")),
        ("ringing", "recv_cancel,ORIGINATOR_CANCEL", "caller", ("abandoned", "ringing")),
        ("unknown", "recv_bye,NORMAL_CLEARING", "caller", ("abandoned", "ringing")),
        ("ringing", "recv_refuse,USER_BUSY", "callee", ("busy", None)),
        ("ringing", "send_refuse,CALL_REJECTED", "pbx", ("rejected", None)),
        ("ringing", "send_refuse,NO_ANSWER", "pbx", ("missed", None)),
        ("queued", "send_bye,NORMAL_CLEARING", "pbx", ("missed", None)),
        ("ringing", "send_cancel,LOSE_RACE", "pbx", ("picked up elsewhere", None)),
        ("ringing", "send_cancel,PICKED_OFF", "pbx", ("picked up elsewhere", None)),
        ("ringing", "send_refuse,BRAND_NEW", "pbx", ("failed", None)),
    ],
)
def test_how_a_call_went(kinds, text, side, disposition):
    """A call went by what it came to, and if to nothing by who ended it, and for what cause."""
    phases = [Phase(kind=kind, started=0) for kind in kinds.split()]
    assert disposition_of(phases, hangup(text), side) == disposition
