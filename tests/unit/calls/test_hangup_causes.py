"""Meanings of hangup causes and SIP status codes of refusals."""

from __future__ import annotations

from support.cases import for_each

from basix_ws_cti.calls.hangup_causes import CAUSES, meaning, sip_status
from basix_ws_cti.elements import Hangup

# FreeSWITCH's hangup-cause table, where it names a SIP status.
STATUSES = {
    "UNALLOCATED_NUMBER": 404,
    "NO_ROUTE_TRANSIT_NET": 404,
    "NO_ROUTE_DESTINATION": 404,
    "USER_BUSY": 486,
    "NO_USER_RESPONSE": 408,
    "NO_ANSWER": 480,
    "SUBSCRIBER_ABSENT": 480,
    "CALL_REJECTED": 603,
    "NUMBER_CHANGED": 410,
    "REDIRECTION_TO_NEW_DESTINATION": 410,
    "EXCHANGE_ROUTING_ERROR": 483,
    "DESTINATION_OUT_OF_ORDER": 502,
    "INVALID_NUMBER_FORMAT": 484,
    "FACILITY_REJECTED": 501,
    "NORMAL_UNSPECIFIED": 480,
    "NORMAL_CIRCUIT_CONGESTION": 503,
    "NETWORK_OUT_OF_ORDER": 503,
    "NORMAL_TEMPORARY_FAILURE": 503,
    "SWITCH_CONGESTION": 503,
    "REQUESTED_CHAN_UNAVAIL": 503,
    "OUTGOING_CALL_BARRED": 403,
    "INCOMING_CALL_BARRED": 403,
    "BEARERCAPABILITY_NOTAUTH": 403,
    "BEARERCAPABILITY_NOTAVAIL": 503,
    "BEARERCAPABILITY_NOTIMPL": 488,
    "FACILITY_NOT_IMPLEMENTED": 501,
    "SERVICE_NOT_IMPLEMENTED": 501,
    "INCOMPATIBLE_DESTINATION": 488,
    "RECOVERY_ON_TIMER_EXPIRE": 504,
    "ORIGINATOR_CANCEL": 487,
}


@for_each("cause, status", STATUSES.items())
def test_sip_status_of_a_refusal(cause, status):
    """A refusal has FreeSWITCH's status code for its cause, in both directions."""
    assert sip_status(Hangup("send_refuse", cause)) == status
    assert sip_status(Hangup("recv_refuse", cause)) == status


@for_each("cause", ["NORMAL_CLEARING", "LOSE_RACE", "BRAND_NEW"])
def test_sip_status_of_any_other_cause_is_480(cause):
    """FreeSWITCH sends 480 for a cause without a status code."""
    assert sip_status(Hangup("send_refuse", cause)) == 480


@for_each("disposition", ["send_bye", "recv_bye", "send_cancel", "recv_cancel", "refuse_bye", ""])
def test_only_refusals_have_a_sip_status(disposition):
    """A leg that was not refused has no status code, whatever the cause."""
    assert sip_status(Hangup(disposition, "USER_BUSY")) is None


def test_no_status_without_hangup_or_cause():
    assert sip_status(None) is None
    assert sip_status(Hangup("send_refuse", None)) is None


def test_every_cause_has_a_meaning_and_a_valid_status():
    """Each cause has a one-line text without a full stop, and a valid status code."""
    assert STATUSES.keys() <= CAUSES.keys()
    for cause, (text, status) in CAUSES.items():
        assert meaning(cause) == text
        assert text
        assert text == text.strip().rstrip(".")
        assert cause == cause.upper()
        assert status is None or 400 <= status <= 699


@for_each("cause", [None, "BRAND_NEW", "user_busy"])
def test_unknown_cause_has_no_meaning(cause):
    assert meaning(cause) is None
