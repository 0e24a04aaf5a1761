"""FreeSWITCH hangup causes: their meaning in English and their SIP status codes.

The status codes are the ones that FreeSWITCH sends for a cause, from its hangup-cause table.
FreeSWITCH sends 480 for each cause without a status code in that table.
"""

from __future__ import annotations

from basix_ws_cti.elements import Hangup

_DEFAULT_STATUS = 480

# Cause: meaning, and SIP status code of a refusal (None: the default).
CAUSES: dict[str, tuple[str, int | None]] = {
    "UNSPECIFIED": ("no cause given", None),
    "UNALLOCATED_NUMBER": ("number not in service", 404),
    "NO_ROUTE_TRANSIT_NET": ("no route to the transit network", 404),
    "NO_ROUTE_DESTINATION": ("no route to the number", 404),
    "CHANNEL_UNACCEPTABLE": ("channel not acceptable", None),
    "CALL_AWARDED_DELIVERED": ("call delivered on another channel", None),
    "NORMAL_CLEARING": ("normal hangup", None),
    "USER_BUSY": ("busy", 486),
    "NO_USER_RESPONSE": ("no response from the phone", 408),
    "NO_ANSWER": ("no answer", 480),
    "SUBSCRIBER_ABSENT": ("phone unreachable or switched off", 480),
    "CALL_REJECTED": ("call rejected", 603),
    "NUMBER_CHANGED": ("number changed", 410),
    "REDIRECTION_TO_NEW_DESTINATION": ("call redirected", 410),
    "EXCHANGE_ROUTING_ERROR": ("routing error in the exchange", 483),
    "DESTINATION_OUT_OF_ORDER": ("destination out of order", 502),
    "INVALID_NUMBER_FORMAT": ("number incomplete or invalid", 484),
    "FACILITY_REJECTED": ("service rejected by the network", 501),
    "RESPONSE_TO_STATUS_ENQUIRY": ("response to a status enquiry", None),
    "NORMAL_UNSPECIFIED": ("normal end, no cause given", 480),
    "NORMAL_CIRCUIT_CONGESTION": ("all circuits busy", 503),
    "NETWORK_OUT_OF_ORDER": ("network out of order", 503),
    "NORMAL_TEMPORARY_FAILURE": ("temporary failure", 503),
    "SWITCH_CONGESTION": ("exchange overloaded", 503),
    "ACCESS_INFO_DISCARDED": ("access information discarded by the network", None),
    "REQUESTED_CHAN_UNAVAIL": ("requested channel unavailable", 503),
    "PRE_EMPTED": ("line taken by a call of higher priority", None),
    "FACILITY_NOT_SUBSCRIBED": ("service not subscribed", None),
    "OUTGOING_CALL_BARRED": ("outgoing calls barred", 403),
    "INCOMING_CALL_BARRED": ("incoming calls barred", 403),
    "BEARERCAPABILITY_NOTAUTH": ("type of call not permitted", 403),
    "BEARERCAPABILITY_NOTAVAIL": ("type of call not available at present", 503),
    "SERVICE_UNAVAILABLE": ("service unavailable", None),
    "BEARERCAPABILITY_NOTIMPL": ("type of call not supported", 488),
    "CHAN_NOT_IMPLEMENTED": ("type of channel not supported", None),
    "FACILITY_NOT_IMPLEMENTED": ("service not supported", 501),
    "SERVICE_NOT_IMPLEMENTED": ("service not supported", 501),
    "INVALID_CALL_REFERENCE": ("no such call", None),
    "INCOMPATIBLE_DESTINATION": ("no common codec", 488),
    "INVALID_MSG_UNSPECIFIED": ("invalid message", None),
    "MANDATORY_IE_MISSING": ("required message element missing", None),
    "MESSAGE_TYPE_NONEXIST": ("unknown message type", None),
    "WRONG_MESSAGE": ("message does not fit the call state", None),
    "IE_NONEXIST": ("unknown message element", None),
    "INVALID_IE_CONTENTS": ("invalid content of a message element", None),
    "WRONG_CALL_STATE": ("message not allowed in the call state", None),
    "RECOVERY_ON_TIMER_EXPIRE": ("no response from the network in time", 504),
    "MANDATORY_IE_LENGTH_ERROR": ("wrong length of a message element", None),
    "PROTOCOL_ERROR": ("protocol error", None),
    "INTERWORKING": ("no cause given by another network", None),
    "ORIGINATOR_CANCEL": ("cancelled by the caller", 487),
    "CRASH": ("PBX crashed", None),
    "SYSTEM_SHUTDOWN": ("PBX shut down", None),
    "LOSE_RACE": ("answered on another phone", None),
    "MANAGER_REQUEST": ("ended by an administrator", None),
    "BLIND_TRANSFER": ("blind transfer", None),
    "ATTENDED_TRANSFER": ("attended transfer", None),
    "ALLOTTED_TIMEOUT": ("maximum call duration reached", None),
    "USER_CHALLENGE": ("authentication required", None),
    "MEDIA_TIMEOUT": ("no audio received", None),
    "PICKED_OFF": ("picked up by somebody else", None),
    "USER_NOT_REGISTERED": ("phone not registered", None),
    "PROGRESS_TIMEOUT": ("no ringing in time", None),
    "INVALID_GATEWAY": ("no such gateway", 484),
    "GATEWAY_DOWN": ("gateway down", 503),
    "INVALID_URL": ("invalid SIP address", 484),
    "INVALID_PROFILE": ("no such SIP profile", 502),
    "NO_PICKUP": ("no call to pick up", None),
}


def meaning(cause: str | None) -> str | None:
    """Return the meaning of a hangup cause in English, such as ``"no answer"``.

    ``None`` if the cause is unknown or ``None``.
    """
    return CAUSES[cause][0] if cause in CAUSES else None


def sip_status(hangup: Hangup | None) -> int | None:
    """Return the SIP status code of a refusal, such as 486.

    The code follows from the cause, because the feed does not contain it. ``None`` if the leg
    was not refused: only dispositions that end in ``_refuse`` are refusals.
    """
    if hangup is None or hangup.cause is None or not hangup.disposition.endswith("_refuse"):
        return None
    _, status = CAUSES.get(hangup.cause, ("", None))
    return status or _DEFAULT_STATUS
