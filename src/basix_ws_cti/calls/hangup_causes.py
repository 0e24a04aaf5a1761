"""Why a leg ended: FreeSWITCH's hangup causes, in plain words and as SIP statuses.

The statuses are those that FreeSWITCH itself sends for a cause (its hangup-cause table);
a refusal for a cause that it does not list goes out as 480.
"""

from __future__ import annotations

from basix_ws_cti.elements import Hangup

_DEFAULT_STATUS = 480

# Cause -> what it means, and the SIP status of a refusal; None: the default.
_CAUSES: dict[str, tuple[str, int | None]] = {
    "UNSPECIFIED": ("no reason was given", None),
    "UNALLOCATED_NUMBER": ("the number does not exist", 404),
    "NO_ROUTE_TRANSIT_NET": ("there is no way to the network", 404),
    "NO_ROUTE_DESTINATION": ("there is no way to the number", 404),
    "CHANNEL_UNACCEPTABLE": ("the channel was not acceptable", None),
    "CALL_AWARDED_DELIVERED": ("the call was delivered on another channel", None),
    "NORMAL_CLEARING": ("somebody hung up", None),
    "USER_BUSY": ("busy", 486),
    "NO_USER_RESPONSE": ("the telephone did not respond", 408),
    "NO_ANSWER": ("nobody answered", 480),
    "SUBSCRIBER_ABSENT": ("the telephone is switched off or away", 480),
    "CALL_REJECTED": ("the call was rejected", 603),
    "NUMBER_CHANGED": ("the number has changed", 410),
    "REDIRECTION_TO_NEW_DESTINATION": ("the call was redirected", 410),
    "EXCHANGE_ROUTING_ERROR": ("the exchange could not route the call", 483),
    "DESTINATION_OUT_OF_ORDER": ("the destination is out of order", 502),
    "INVALID_NUMBER_FORMAT": ("the number is not complete or not valid", 484),
    "FACILITY_REJECTED": ("the network refused a service", 501),
    "RESPONSE_TO_STATUS_ENQUIRY": ("an answer to a question about the state", None),
    "NORMAL_UNSPECIFIED": ("it ended normally", 480),
    "NORMAL_CIRCUIT_CONGESTION": ("all lines are busy", 503),
    "NETWORK_OUT_OF_ORDER": ("the network is out of order", 503),
    "NORMAL_TEMPORARY_FAILURE": ("a failure that will pass", 503),
    "SWITCH_CONGESTION": ("the exchange is overloaded", 503),
    "ACCESS_INFO_DISCARDED": ("the network dropped information", None),
    "REQUESTED_CHAN_UNAVAIL": ("the line asked for is not free", 503),
    "PRE_EMPTED": ("a more important call took the line", None),
    "FACILITY_NOT_SUBSCRIBED": ("the service is not subscribed to", None),
    "OUTGOING_CALL_BARRED": ("outgoing calls are barred", 403),
    "INCOMING_CALL_BARRED": ("incoming calls are barred", 403),
    "BEARERCAPABILITY_NOTAUTH": ("the kind of call is not permitted", 403),
    "BEARERCAPABILITY_NOTAVAIL": ("the kind of call is not available now", 503),
    "SERVICE_UNAVAILABLE": ("the service is not available", None),
    "BEARERCAPABILITY_NOTIMPL": ("the kind of call is not supported", 488),
    "CHAN_NOT_IMPLEMENTED": ("the kind of channel is not supported", None),
    "FACILITY_NOT_IMPLEMENTED": ("the service is not supported", 501),
    "SERVICE_NOT_IMPLEMENTED": ("the service is not supported", 501),
    "INVALID_CALL_REFERENCE": ("there is no such call", None),
    "INCOMPATIBLE_DESTINATION": ("the two ends have no codec in common", 488),
    "INVALID_MSG_UNSPECIFIED": ("an invalid message", None),
    "MANDATORY_IE_MISSING": ("a part of the message is missing", None),
    "MESSAGE_TYPE_NONEXIST": ("an unknown sort of message", None),
    "WRONG_MESSAGE": ("a message that did not fit", None),
    "IE_NONEXIST": ("an unknown part of a message", None),
    "INVALID_IE_CONTENTS": ("an invalid part of a message", None),
    "WRONG_CALL_STATE": ("a message at the wrong time", None),
    "RECOVERY_ON_TIMER_EXPIRE": ("no answer from the network in time", 504),
    "MANDATORY_IE_LENGTH_ERROR": ("a part of the message has the wrong length", None),
    "PROTOCOL_ERROR": ("a protocol error", None),
    "INTERWORKING": ("a network in between gave no reason", None),
    "ORIGINATOR_CANCEL": ("the caller gave up", 487),
    "CRASH": ("the PBX crashed", None),
    "SYSTEM_SHUTDOWN": ("the PBX was shut down", None),
    "LOSE_RACE": ("another telephone answered first", None),
    "MANAGER_REQUEST": ("an administrator ended it", None),
    "BLIND_TRANSFER": ("the call was sent on", None),
    "ATTENDED_TRANSFER": ("the call was handed over", None),
    "ALLOTTED_TIMEOUT": ("the longest time that a call may take was over", None),
    "USER_CHALLENGE": ("a password was asked for", None),
    "MEDIA_TIMEOUT": ("no sound came any more", None),
    "PICKED_OFF": ("somebody else picked it up", None),
    "USER_NOT_REGISTERED": ("the telephone is not registered", None),
    "PROGRESS_TIMEOUT": ("it did not begin to ring in time", None),
    "INVALID_GATEWAY": ("there is no such gateway", 484),
    "GATEWAY_DOWN": ("the gateway is down", 503),
    "INVALID_URL": ("the SIP address is not valid", 484),
    "INVALID_PROFILE": ("there is no such SIP profile", 502),
    "NO_PICKUP": ("there was nothing to pick up", None),
}


def meaning(cause: str | None) -> str | None:
    """A cause in plain English; ``None``: it is not known."""
    return _CAUSES[cause][0] if cause in _CAUSES else None


def sip_status(hangup: Hangup | None) -> int | None:
    """The SIP status that a refusal carried; ``None``: it was no refusal.

    Derived from the cause, which is all that the PBX says, and for ``…_refuse`` only.
    """
    if hangup is None or hangup.cause is None or not hangup.disposition.endswith("_refuse"):
        return None
    _, status = _CAUSES.get(hangup.cause, ("", None))
    return status or _DEFAULT_STATUS
