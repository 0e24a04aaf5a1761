"""Outcome of legs and calls, derived from hangup dispositions and causes."""

from __future__ import annotations

from support.cases import for_each

from basix_ws_cti.calls import Leg, Party, Phase
from basix_ws_cti.calls.outcome import (
    Ending,
    deciding_leg,
    disposition_of,
    ending_side,
    joined_disposition,
    leg_outcome,
    waiting_party_left,
)
from basix_ws_cti.elements import Hangup


def hangup(text):
    return Hangup(*text.split(",")) if text else None


def leg(uuid, text, ended=None):
    return Leg(uuid=uuid, party=Party(), hangup=hangup(text), ended=ended)


@for_each(
    "data, of_callee, of_caller",
    [
        ("recv_cancel,ORIGINATOR_CANCEL", "abandoned", "unanswered"),
        ("send_cancel,ORIGINATOR_CANCEL", "abandoned", "unanswered"),
        ("send_cancel,LOSE_RACE", "picked_up_elsewhere", "picked_up_elsewhere"),
        ("send_cancel,PICKED_OFF", "picked_up_elsewhere", "picked_up_elsewhere"),
        ("send_cancel,NO_ANSWER", "missed", "unanswered"),
        ("send_refuse,NO_ANSWER", "missed", "unanswered"),
        ("send_cancel,NORMAL_CLEARING", "missed", "unanswered"),
        ("send_cancel,ALLOTTED_TIMEOUT", "missed", "unanswered"),
        ("recv_refuse,USER_BUSY", "busy", "unanswered"),
        ("recv_refuse,CALL_REJECTED", "rejected", "unanswered"),
        ("recv_refuse,NO_USER_RESPONSE", "failed", "unreachable"),
        ("send_refuse,UNALLOCATED_NUMBER", "failed", "unreachable"),
        ("send_refuse,NO_PICKUP", "failed", "failed"),
        ("send_refuse,BRAND_NEW", "failed", "failed"),
        (None, "unknown", "unknown"),
    ],
)
def test_hangup_decides_the_outcome_of_an_unanswered_leg(data, of_callee, of_caller):
    """Only the leg of a party that was called can be missed, busy, rejected or abandoned."""
    for is_callers, outcome in ((False, of_callee), (True, of_caller)):
        found = leg_outcome(hangup(data), answered=False, is_callers=is_callers)
        assert found == outcome
        assert leg_outcome(hangup(data), answered=True, is_callers=is_callers) == "answered"


@for_each(
    "kind, legs, expected",
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


@for_each(
    "kind, apart, expected",
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


@for_each(
    "cause, kind, apart, expected",
    [
        ("NO_ANSWER", "ringing", 100_000, "b"),
        ("NO_ANSWER", "queued", 100_000, "b"),
        ("NO_ANSWER", "ringing", 15 * 10**6, "lead"),
        ("NO_ANSWER", "queued", 15 * 10**6, "lead"),
        ("NO_ANSWER", "queued", None, "b"),
        ("USER_BUSY", "queued", 15 * 10**6, "b"),
    ],
)
def test_phone_that_was_not_answered_decides_only_if_the_call_ends_then(
    cause, kind, apart, expected
):
    """A refusal decides also if the caller hears an announcement before the call ends."""
    lead = leg("lead", f"send_refuse,{cause}", ended=None if apart is None else 10**9 + apart)
    ended = [leg("b", f"recv_refuse,{cause}", ended=10**9), lead]
    assert deciding_leg(Phase(kind=kind, started=0), ended, "lead").uuid == expected


@for_each(
    "kind, text, by_caller, only_leg, side",
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


@for_each(
    "text, uuid, side, has_left",
    [
        ("recv_cancel,ORIGINATOR_CANCEL", "lead", "caller", True),
        ("send_cancel,ORIGINATOR_CANCEL", "phone", "caller", True),  # of a caller not shown
        # The caller transferred the party that they had called, and is gone.
        ("recv_bye,NORMAL_CLEARING", "lead", "callee", True),
        ("recv_refuse,USER_BUSY", "lead", "callee", False),
        ("recv_refuse,USER_BUSY", "phone", "callee", False),
        ("recv_bye,NORMAL_CLEARING", "phone", "callee", False),
        ("send_bye,NORMAL_CLEARING", "lead", "pbx", False),
        (None, "lead", None, False),
    ],
)
def test_party_that_waits_leaves_by_hanging_up(text, uuid, side, has_left):
    """A phone that rings refuses; it does not leave."""
    assert waiting_party_left(leg(uuid, text), side, "lead") is has_left


def test_nobody_left_a_call_whose_end_was_not_seen():
    assert not waiting_party_left(None, None, "lead")


def phases_of(text):
    """Return phases: their kinds, with the place after a colon."""
    words = [word.partition(":") for word in text.split()]
    return [Phase(kind=kind, started=0, place=place or None) for kind, _, place in words]


def ending_of(phases, text, side, *, left=None, **facts):
    """Return an ending; the waiting party left if the caller hung up, unless stated."""
    return Ending(
        phases=phases_of(phases),
        hangup=hangup(text),
        ended_by=side,
        is_left=side == "caller" if left is None else left,
        **{"direction": "inbound", **facts},
    )


CALLER_LEFT = "recv_bye,NORMAL_CLEARING", "caller"


@for_each(
    "phases, text, side, disposition",
    [
        ("ringing talking", "", None, ("answered", None)),
        ("ringing talking", *CALLER_LEFT, ("answered", None)),
        ("ringing talking ringing", "send_bye,NO_ANSWER", "pbx", ("answered", None)),
        ("ringing talking voicemail", *CALLER_LEFT, ("answered", None)),
        ("ringing talking conference", *CALLER_LEFT, ("answered", None)),
        # The caller hangs up after a talk, while they wait for the next party.
        ("ringing talking ringing", *CALLER_LEFT, ("answered", "ringing")),
        ("ringing talking queued", *CALLER_LEFT, ("answered", "queue")),
        ("ringing talking parked", *CALLER_LEFT, ("answered", "parked")),
        ("ringing talking ivr", *CALLER_LEFT, ("answered", "ivr")),
        ("ringing talking queued other:bridged", *CALLER_LEFT, ("answered", "queue")),
        ("ringing talking other:survey", *CALLER_LEFT, ("answered", None)),
        ("ringing voicemail", *CALLER_LEFT, ("voicemail", None)),
        ("ringing voicemail", "", None, ("voicemail", None)),
        ("voicemail queued", *CALLER_LEFT, ("voicemail", "queue")),
        ("other conference", *CALLER_LEFT, ("answered", None)),
        ("queued conference", *CALLER_LEFT, ("answered", None)),
        ("other:directory", *CALLER_LEFT, ("answered", None)),
        ("conference", "send_bye,NORMAL_CLEARING", "pbx", ("answered", None)),
        ("conference", "send_bye,ALLOTTED_TIMEOUT", "pbx", ("answered", None)),
        ("ivr conference", "send_bye,USER_BUSY", "pbx", ("busy", None)),  # it is full
        ("ivr conference", "send_bye,CALL_REJECTED", "pbx", ("rejected", None)),
        ("conference", "recv_bye,USER_BUSY", "caller", ("answered", None)),
        ("other", "", None, ("answered", None)),
        ("ivr", "", None, ("unknown", None)),
        ("other:ringing", "", None, ("unknown", None)),
        ("ivr", *CALLER_LEFT, ("abandoned", "ivr")),
        ("ivr queued", *CALLER_LEFT, ("abandoned", "queue")),
        ("parked", *CALLER_LEFT, ("abandoned", "parked")),
        ("ringing", "recv_cancel,ORIGINATOR_CANCEL", "caller", ("abandoned", "ringing")),
        ("unknown", *CALLER_LEFT, ("abandoned", "ringing")),
        # An announcement is no service. It belongs to the wait before it.
        ("other:bridged", *CALLER_LEFT, ("abandoned", "ringing")),
        ("queued other:bridged", *CALLER_LEFT, ("abandoned", "queue")),
        ("queued other:all_busy", *CALLER_LEFT, ("abandoned", "queue")),
        ("ivr other:closed", *CALLER_LEFT, ("abandoned", "ivr")),
        ("queued ivr", *CALLER_LEFT, ("abandoned", "ivr")),
        # The PBX ends the call.
        ("ringing", "send_refuse,NO_ANSWER", "pbx", ("missed", None)),
        ("queued", "send_bye,NORMAL_CLEARING", "pbx", ("missed", None)),
        ("unknown", "send_bye,NORMAL_CLEARING", "pbx", ("missed", None)),
        ("ivr", "send_bye,NORMAL_CLEARING", "pbx", ("ended_in_menu", None)),
        ("ivr other:closed", "send_bye,NORMAL_CLEARING", "pbx", ("ended_in_menu", None)),
        ("other:bridged", "send_bye,NORMAL_CLEARING", "pbx", ("ended_in_menu", None)),
        ("queued ivr", "send_bye,NORMAL_CLEARING", "pbx", ("missed", None)),
        # The cause decides.
        ("ringing", "recv_refuse,USER_BUSY", "callee", ("busy", None)),
        ("ringing", "send_refuse,CALL_REJECTED", "pbx", ("rejected", None)),
        ("ringing", "send_cancel,LOSE_RACE", "pbx", ("picked_up_elsewhere", None)),
        ("ringing", "send_cancel,PICKED_OFF", "pbx", ("picked_up_elsewhere", None)),
        ("ringing", "recv_refuse,NO_USER_RESPONSE", "callee", ("failed", None)),
        ("ringing", "send_refuse,BRAND_NEW", "pbx", ("failed", None)),
        ("ivr", "send_bye,SYSTEM_SHUTDOWN", "pbx", ("failed", None)),
    ],
)
def test_disposition_of_an_inbound_call(phases, text, side, disposition):
    """The phases that the call reached decide, then the side that ended it, then the cause."""
    assert disposition_of(ending_of(phases, text, side)) == disposition


def test_party_that_was_transferred_abandons_a_call_that_a_colleague_began():
    """User A called B and transferred B to C; B hangs up while C's phone rings."""
    ending = ending_of(
        "ringing talking ringing",
        "recv_bye,NORMAL_CLEARING",
        "callee",
        left=True,
        direction="internal",
    )
    assert disposition_of(ending) == ("answered", "ringing")


@for_each("phase", ["other:routing", "other", "conference"])
@for_each(
    "text, side, inbound, internal",
    [
        ("recv_cancel,ORIGINATOR_CANCEL", "caller", "abandoned", "abandoned"),
        ("send_refuse,CALL_REJECTED", "pbx", "rejected", "rejected"),
        ("send_refuse,UNALLOCATED_NUMBER", "pbx", "failed", "failed"),
        ("send_refuse,NO_PICKUP", "pbx", "failed", "failed"),
        ("send_refuse,NO_ANSWER", "pbx", "failed", "failed"),
        ("", None, "unknown", "unknown"),
    ],
)
def test_line_that_the_pbx_never_answered_reaches_no_service(phase, text, side, inbound, internal):
    for direction, expected in (("inbound", inbound), ("internal", internal)):
        ending = ending_of(phase, text, side, direction=direction, is_line_answered=False)
        assert disposition_of(ending)[0] == expected


def test_caller_who_hears_a_ringing_tone_only_is_missed():
    """The PBX ends the call before it shows whom it called."""
    ending = ending_of("other:ringing", "send_refuse,NO_ANSWER", "pbx", is_line_answered=False)
    assert disposition_of(ending) == ("missed", None)


@for_each(
    "text, side, outbound, internal",
    [
        ("recv_cancel,ORIGINATOR_CANCEL", "caller", "unanswered", "abandoned"),
        ("send_refuse,NO_ANSWER", "pbx", "unanswered", "missed"),
        ("recv_refuse,NO_ANSWER", "callee", "unanswered", "missed"),
        ("recv_refuse,USER_BUSY", "callee", "busy", "busy"),
        ("recv_refuse,CALL_REJECTED", "callee", "rejected", "rejected"),
        *(
            (f"recv_refuse,{cause}", "callee", "unreachable", "unreachable")
            for cause in (
                *("NO_USER_RESPONSE", "SUBSCRIBER_ABSENT", "USER_NOT_REGISTERED"),
                *("DESTINATION_OUT_OF_ORDER", "NO_ROUTE_TRANSIT_NET", "NO_ROUTE_DESTINATION"),
                *("UNALLOCATED_NUMBER", "NUMBER_CHANGED", "INVALID_NUMBER_FORMAT"),
                "PROGRESS_TIMEOUT",
            )
        ),
        ("send_refuse,NORMAL_TEMPORARY_FAILURE", "pbx", "failed", "failed"),
    ],
)
def test_call_of_a_user_that_nobody_answers(text, side, outbound, internal):
    """An outbound call that nobody answers is never missed or abandoned."""
    for direction, expected in (("outbound", outbound), ("internal", internal)):
        ending = ending_of("ringing", text, side, direction=direction, is_line_answered=False)
        abandoned_in = "ringing" if expected == "abandoned" else None
        assert disposition_of(ending) == (expected, abandoned_in)


@for_each(
    "state, abandoned_in", [("ringing", "ringing"), ("queued", "queue"), ("parked", "parked")]
)
def test_customer_whom_a_user_called_abandons_the_call_after_a_talk(state, abandoned_in):
    ending = ending_of(
        f"ringing talking {state}", CALLER_LEFT[0], "callee", left=True, direction="outbound"
    )
    assert disposition_of(ending) == ("answered", abandoned_in)


@for_each(
    "text, side, disposition",
    [
        ("send_refuse,NO_ANSWER", "pbx", "failed"),
        ("send_refuse,NORMAL_CLEARING", "pbx", "failed"),
        ("send_refuse,NO_PICKUP", "pbx", "failed"),
        ("recv_cancel,ORIGINATOR_CANCEL", "caller", "abandoned"),
    ],
)
def test_pickup_that_takes_no_call_is_not_answered(text, side, disposition):
    for phases in ("other:pickup", "other:ringing"):
        ending = ending_of(
            phases, text, side, direction="internal", purpose="pickup", is_line_answered=False
        )
        assert disposition_of(ending)[0] == disposition


@for_each(
    "phases, text, side, is_answered, disposition",
    [
        # The phone of the user who placed the call.
        ("ringing", "recv_refuse,USER_BUSY", "caller", False, ("unanswered", None)),
        ("ringing", "send_cancel,NO_ANSWER", "pbx", False, ("unanswered", None)),
        ("ringing", "send_cancel,USER_NOT_REGISTERED", "pbx", False, ("unreachable", None)),
        ("ringing", *CALLER_LEFT, True, ("abandoned", "ringing")),
        # The destination.
        ("ringing ringing", *CALLER_LEFT, True, ("abandoned", "ringing")),
        ("ringing ringing", "send_bye,NO_ANSWER", "pbx", True, ("missed", None)),
        ("ringing ringing", "recv_refuse,USER_BUSY", "callee", True, ("busy", None)),
        ("ringing ringing talking", *CALLER_LEFT, True, ("answered", None)),
        ("ringing ringing voicemail", *CALLER_LEFT, True, ("voicemail", None)),
        ("ringing other:directory", *CALLER_LEFT, True, ("answered", None)),
        ("ringing other:eavesdrop", *CALLER_LEFT, True, ("answered", None)),
    ],
)
def test_pick_up_of_the_user_who_placed_the_call_is_no_answer(
    phases, text, side, is_answered, disposition
):
    """The PBX rings that user first. Until they answer, this is an attempted outbound call."""
    ending = ending_of(
        phases,
        text,
        side,
        direction="internal",
        is_originated=True,
        is_line_answered=is_answered,
    )
    assert disposition_of(ending) == disposition


@for_each(
    "phases, caller, disposition",
    [
        ("ringing talking", Party(user_id=1), "answered"),
        ("ringing", Party(user_id=1), "unanswered"),
        ("queued", Party(number="0312341234"), "answered"),
    ],
)
def test_call_that_is_joined_before_an_answer_was_a_consult_without_talk(
    phases, caller, disposition
):
    """A caller outside talks from then on."""
    assert joined_disposition(phases_of(phases), caller) == disposition
