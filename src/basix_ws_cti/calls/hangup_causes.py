"""FreeSWITCH hangup causes: their meaning in English and their SIP status codes.

The status codes are the ones that FreeSWITCH sends for a cause, from its hangup-cause table.
FreeSWITCH sends 480 for each cause without a status code in that table.
"""

from __future__ import annotations

from basix_ws_cti._internal.translation import N_
from basix_ws_cti.elements import Hangup

_DEFAULT_STATUS = 480

# Cause: meaning, marked for displays that translate it, and SIP status code of a refusal (None: the
# default).
CAUSES: dict[str, tuple[str, int | None]] = {
    "UNSPECIFIED": (N_("no cause given"), None),
    "UNALLOCATED_NUMBER": (N_("number not in service"), 404),
    "NO_ROUTE_TRANSIT_NET": (N_("no route to the transit network"), 404),
    "NO_ROUTE_DESTINATION": (N_("no route to the number"), 404),
    "CHANNEL_UNACCEPTABLE": (N_("channel not acceptable"), None),
    "CALL_AWARDED_DELIVERED": (N_("call delivered on another channel"), None),
    "NORMAL_CLEARING": (N_("normal hangup"), None),
    "USER_BUSY": (N_("busy"), 486),
    "NO_USER_RESPONSE": (N_("no response from the phone"), 408),
    "NO_ANSWER": (N_("no answer"), 480),
    "SUBSCRIBER_ABSENT": (N_("phone unreachable or switched off"), 480),
    "CALL_REJECTED": (N_("call rejected"), 603),
    "NUMBER_CHANGED": (N_("number changed"), 410),
    "REDIRECTION_TO_NEW_DESTINATION": (N_("call redirected"), 410),
    "EXCHANGE_ROUTING_ERROR": (N_("routing error in the exchange"), 483),
    "DESTINATION_OUT_OF_ORDER": (N_("destination out of order"), 502),
    "INVALID_NUMBER_FORMAT": (N_("number incomplete or invalid"), 484),
    "FACILITY_REJECTED": (N_("service rejected by the network"), 501),
    "RESPONSE_TO_STATUS_ENQUIRY": (N_("response to a status enquiry"), None),
    "NORMAL_UNSPECIFIED": (N_("normal end, no cause given"), 480),
    "NORMAL_CIRCUIT_CONGESTION": (N_("all circuits busy"), 503),
    "NETWORK_OUT_OF_ORDER": (N_("network out of order"), 503),
    "NORMAL_TEMPORARY_FAILURE": (N_("temporary failure"), 503),
    "SWITCH_CONGESTION": (N_("exchange overloaded"), 503),
    "ACCESS_INFO_DISCARDED": (N_("access information discarded by the network"), None),
    "REQUESTED_CHAN_UNAVAIL": (N_("requested channel unavailable"), 503),
    "PRE_EMPTED": (N_("line taken by a call of higher priority"), None),
    "FACILITY_NOT_SUBSCRIBED": (N_("service not subscribed"), None),
    "OUTGOING_CALL_BARRED": (N_("outgoing calls barred"), 403),
    "INCOMING_CALL_BARRED": (N_("incoming calls barred"), 403),
    "BEARERCAPABILITY_NOTAUTH": (N_("type of call not permitted"), 403),
    "BEARERCAPABILITY_NOTAVAIL": (N_("type of call not available at present"), 503),
    "SERVICE_UNAVAILABLE": (N_("service unavailable"), None),
    "BEARERCAPABILITY_NOTIMPL": (N_("type of call not supported"), 488),
    "CHAN_NOT_IMPLEMENTED": (N_("type of channel not supported"), None),
    "FACILITY_NOT_IMPLEMENTED": (N_("service not supported"), 501),
    "SERVICE_NOT_IMPLEMENTED": (N_("service not supported"), 501),
    "INVALID_CALL_REFERENCE": (N_("no such call"), None),
    "INCOMPATIBLE_DESTINATION": (N_("no common codec"), 488),
    "INVALID_MSG_UNSPECIFIED": (N_("invalid message"), None),
    "MANDATORY_IE_MISSING": (N_("required message element missing"), None),
    "MESSAGE_TYPE_NONEXIST": (N_("unknown message type"), None),
    "WRONG_MESSAGE": (N_("message does not fit the call state"), None),
    "IE_NONEXIST": (N_("unknown message element"), None),
    "INVALID_IE_CONTENTS": (N_("invalid content of a message element"), None),
    "WRONG_CALL_STATE": (N_("message not allowed in the call state"), None),
    "RECOVERY_ON_TIMER_EXPIRE": (N_("no response from the network in time"), 504),
    "MANDATORY_IE_LENGTH_ERROR": (N_("wrong length of a message element"), None),
    "PROTOCOL_ERROR": (N_("protocol error"), None),
    "INTERWORKING": (N_("no cause given by another network"), None),
    "ORIGINATOR_CANCEL": (N_("cancelled by the caller"), 487),
    "CRASH": (N_("PBX crashed"), None),
    "SYSTEM_SHUTDOWN": (N_("PBX shut down"), None),
    "LOSE_RACE": (N_("answered on another phone"), None),
    "MANAGER_REQUEST": (N_("ended by an administrator"), None),
    "BLIND_TRANSFER": (N_("blind transfer"), None),
    "ATTENDED_TRANSFER": (N_("attended transfer"), None),
    "ALLOTTED_TIMEOUT": (N_("maximum call duration reached"), None),
    "USER_CHALLENGE": (N_("authentication required"), None),
    "MEDIA_TIMEOUT": (N_("no audio received"), None),
    "PICKED_OFF": (N_("picked up by somebody else"), None),
    "USER_NOT_REGISTERED": (N_("phone not registered"), None),
    "PROGRESS_TIMEOUT": (N_("no ringing in time"), None),
    "INVALID_GATEWAY": (N_("no such gateway"), 484),
    "GATEWAY_DOWN": (N_("gateway down"), 503),
    "INVALID_URL": (N_("invalid SIP address"), 484),
    "INVALID_PROFILE": (N_("no such SIP profile"), 502),
    "NO_PICKUP": (N_("no call to pick up"), None),
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
