"""Outcome of legs and calls, derived from hangup dispositions and causes."""

from __future__ import annotations

import pytest

from basix_ws_cti.calls import Leg, Party, Phase
from basix_ws_cti.calls.outcome import deciding_leg, disposition_of, ending_side, leg_outcome
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
        "send_cancel,LOSE_RACE": "picked_up_elsewhere",
        "send_cancel,PICKED_OFF": "picked_up_elsewhere",
        "send_cancel,NO_ANSWER": "missed",
        "send_refuse,NO_ANSWER": "missed",
        "recv_refuse,USER_BUSY": "busy",
        "recv_refuse,CALL_REJECTED": "rejected",
        "recv_refuse,NO_USER_RESPONSE": "failed",
        "send_refuse,BRAND_NEW": "failed",
        None: "unknown",
    }.items(),
)
def test_hangup_decides_the_outcome_of_an_unanswered_leg(data, outcome):
    assert leg_outcome(hangup(data), answered=False) == outcome
    assert leg_outcome(hangup(data), answered=True) == "answered"


@pytest.mark.parametrize(
    ("kind", "legs", "expected"),
    [
        # A party hung up: the lead leg comes before all others.
        ("talking", {"lead": "recv_bye,NORMAL_CLEARING", "b": "send_bye,NORMAL_CLEARING"}, "lead"),
        ("talking", {"b": "recv_bye,NORMAL_CLEARING", "lead": "send_bye,NORMAL_CLEARING"}, "b"),
        ("talking", {"b": "recv_bye,NORMAL_CLEARING", "lead": "recv_bye,NORMAL_CLEARING"}, "lead"),
        ("ringing", {"b": "recv_refuse,USER_BUSY", "lead": "send_refuse,USER_BUSY"}, "b"),
        # A phone was busy, and the PBX ended the lead leg for another cause.
        ("queued", {"b": "recv_refuse,USER_BUSY", "lead": "send_refuse,NO_ANSWER"}, "lead"),
        # No party hung up: the PBX ended the call.
        (
            "talking",
            {"lead": "send_bye,ALLOTTED_TIMEOUT", "b": "send_bye,ALLOTTED_TIMEOUT"},
            "lead",
        ),
        # The feed does not show the lead leg.
        ("talking", {"a": "send_bye,NORMAL_CLEARING", "b": "recv_bye,NORMAL_CLEARING"}, "b"),
        ("talking", {"a": "send_bye,NORMAL_CLEARING", "b": "send_bye,NORMAL_CLEARING"}, "b"),
        # In a phase without waiting or talk, only the lead leg counts.
        ("parked", {"b": "recv_bye,NORMAL_CLEARING", "lead": "send_bye,NORMAL_CLEARING"}, "lead"),
        ("conference", {"b": "recv_bye,NORMAL_CLEARING", "lead": ""}, "lead"),
        ("ringing", {"lead": "", "b": "recv_refuse,USER_BUSY"}, "lead"),
        ("talking", {}, None),
    ],
)
def test_lead_leg_or_leg_that_hung_up_decides(kind, legs, expected):
    """The lead leg decides, or a leg whose party hung up and that ended the lead leg."""
    ended = [leg(uuid, text) for uuid, text in legs.items()]
    found = deciding_leg(Phase(kind=kind, started=0), ended, "lead")
    assert (None if found is None else found.uuid) == expected


@pytest.mark.parametrize(
    ("kind", "apart", "expected"),
    [
        ("ringing", 0, "b"),
        ("ringing", 100_000, "b"),
        ("ringing", 100_001, "lead"),
        ("queued", 0, "lead"),
        ("ringing", None, "lead"),
    ],
)
def test_refusal_decides_if_the_lead_leg_ends_at_the_same_moment(kind, apart, expected):
    """A refusal decides if the lead leg ends within 0.1 s, even for another cause."""
    lead = leg(
        "lead",
        "send_refuse,NO_ANSWER",
        ended=None if apart is None else 10**9 + apart,
    )
    ended = [leg("b", "recv_refuse,USER_BUSY", ended=10**9), lead]
    assert deciding_leg(Phase(kind=kind, started=0), ended, "lead").uuid == expected


@pytest.mark.parametrize(
    ("kind", "text", "by_caller", "only_leg", "side"),
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
def test_hangup_of_the_deciding_leg_names_the_ending_side(kind, text, by_caller, only_leg, side):
    """It also names a party whose leg is not visible."""
    last = Phase(kind=kind, started=0)
    assert ending_side(last, hangup(text), by_caller=by_caller, only_leg=only_leg) == side


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
        ("ringing", "send_cancel,LOSE_RACE", "pbx", ("picked_up_elsewhere", None)),
        ("ringing", "send_cancel,PICKED_OFF", "pbx", ("picked_up_elsewhere", None)),
        ("ringing", "send_refuse,BRAND_NEW", "pbx", ("failed", None)),
    ],
)
def test_disposition_follows_from_phases_side_and_cause(kinds, text, side, disposition):
    """The phases that the call reached decide, then the side that ended it, then the cause."""
    phases = [Phase(kind=kind, started=0) for kind in kinds.split()]
    assert disposition_of(phases, hangup(text), side) == disposition
