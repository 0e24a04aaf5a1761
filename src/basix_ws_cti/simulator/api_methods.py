"""Methods of the simulated PBX's HTTP API that start calls.

The first half of a call rings phones of a user or group. Once one of them is answered, the PBX
calls the destination. Pure: a scenario in the PBX's time does what happens after the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from .access_control import USER_FILTERS, did_of
from .errors import ApiError
from .model import MEDIA_PLUG, Group, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .model import Terminal
    from .pbx import Pbx

    Scenario = Iterator[float]

_GROUP_FILTERS: dict[str, Callable[[Group, str], bool]] = {
    "group_id": lambda group, value: str(group.id) == value,
    "group_name": lambda group, value: group.name == value,
    "group_label": lambda group, value: group.label == value,
    "group_extension": lambda group, value: group.main_extension == value,
    "group_did": lambda group, value: did_of(group) == value,
}
_GROUP_RESOLVERS = ("*", "any:CALL_CENTER")

# Seconds of PBX time. Phones ring after the response, and a phone that answers by itself takes a
# moment. A user or group that does not answer is given up after the last one.
_RING_AFTER = 0.1
_AUTO_ANSWER_AFTER = 0.3
_ANSWER_TIMEOUT = 180


@frozen(kw_only=True)
class ApiCall:
    """A call that the API has accepted."""

    phones: dict[str, Terminal] = field(repr=False)
    """Phones to ring, by the uuid of the leg that each of them gets."""
    destination: str
    """Number to call once a phone has been answered, or ``media_plug``."""
    answer_timeout: float = _ANSWER_TIMEOUT
    """Seconds for which the phones ring."""
    auto_answer: bool = False
    """True: one of the phones answers by itself."""
    details: dict[str, Any] = field(factory=dict)
    """Further fields of the legs."""

    @property
    def uuids(self) -> list[str]:
        """Return the uuids of the legs."""
        return list(self.phones)

    def run(self, pbx: Pbx, *, simulate_users: bool) -> Scenario:
        """Yield the steps of the call.

        With ``simulate_users``, simulated people answer the phones, and end the call.
        """
        yield _RING_AFTER
        legs = pbx.ring_endpoints(
            self.phones, self.destination, auto_answer=self.auto_answer, **self.details
        )
        if self.auto_answer:
            yield _AUTO_ANSWER_AFTER
        else:
            yield (
                min(self.answer_timeout, pbx.random.uniform(2, 6))
                if simulate_users
                else (self.answer_timeout)
            )
        legs = [leg for leg in legs if leg.uuid in pbx.channels and leg.destination is not None]
        if not legs:
            return  # answered or ended by somebody else
        if not (self.auto_answer or simulate_users):
            for leg in legs:
                pbx.stop_ringing(leg)
            return
        lead = pbx.random.choice(legs)
        ringing = pbx.answer_originated(lead)
        if simulate_users and ringing:
            yield pbx.random.uniform(2, 6)
            pbx.connect(ringing[0])
            yield pbx.random.uniform(5, 60)
            pbx.hang_up(lead)


def accept_call(pbx: Pbx, method: str, request: Mapping[str, Any]) -> ApiCall:
    """Check a request of ``call_user`` or ``call_group``, and return the call to make.

    Raises ``ApiError`` if the request cannot be carried out.
    """
    details: dict[str, Any] = {}
    if method == "call_group":
        group = _find("group", request, _GROUP_FILTERS, pbx.groups.values())
        users = pbx.available(pbx.members_of(group))[: 1 if group.type else None]
        details["group_id"] = group.id
    else:
        users = [_find("user", request, USER_FILTERS, pbx.users.values())]
        if any(name in request for name in _GROUP_FILTERS):
            details["group_id"] = _find("group", request, _GROUP_FILTERS, pbx.groups.values()).id
        elif "group_resolver" in request:
            details["group_id"] = _resolve_group(pbx, users[0], request["group_resolver"])
    phones = [phone for user in users for phone in pbx.terminals_of(user) if phone.registered]
    if not phones:
        raise ApiError("not_available", f"no phone can ring for this {method[5:]}")
    destination = _destination(request.get("destination"))
    calling_name = request.get("calling_name")
    if calling_name is not None:
        if not isinstance(calling_name, str) or not calling_name.isascii():
            raise _invalid("calling_name must be a string of ASCII characters")
        details["calling_name"] = calling_name
    auto_answer = request.get("auto_answer", False)
    if not isinstance(auto_answer, bool):
        raise _invalid("auto_answer must be true or false")
    url = request.get("callback_url", "http://")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise _invalid("callback_url must be an HTTP or HTTPS URL")
    timeout = _seconds(request, "answer_timeout")
    _seconds(request, "member_answer_timeout")
    return ApiCall(
        phones={pbx.new_uuid(): phone for phone in phones},
        destination=destination,
        answer_timeout=timeout,
        auto_answer=auto_answer or destination == MEDIA_PLUG,
        details=details,
    )


def _find(
    kind: str,
    request: Mapping[str, Any],
    filters: Mapping[str, Callable[[Any, str], bool]],
    elements: Iterable[Any],
) -> Any:
    """Return the user or group that a request names."""
    names = [name for name in filters if name in request]
    if len(names) != 1:
        raise _invalid(f"the request needs exactly one of {', '.join(filters)}")
    (name,) = names
    value = request[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(f"{name} must be a string or a number")
    found = next((one for one in elements if filters[name](one, str(value))), None)
    if found is None:
        raise ApiError(f"{kind}_not_found", f"no {kind} has this {name}")
    return found


def _resolve_group(pbx: Pbx, user: User, resolver: object) -> int | None:
    """Return the id of the group in whose context a user is called; ``None``: no group."""
    if resolver not in _GROUP_RESOLVERS:
        raise _invalid(f"group_resolver must be one of {', '.join(_GROUP_RESOLVERS)}")
    return next((one.group_id for one in pbx.members.values() if one.user_id == user.id), None)


def _destination(value: object) -> str:
    """Return the number in a destination, which is a string or an object with details."""
    if isinstance(value, dict):
        value = value.get("called_number")
    if not isinstance(value, str) or not value:
        raise _invalid("destination must be a string, or an object with called_number")
    _check_encodable(value)
    return value


def _seconds(request: Mapping[str, Any], name: str) -> float:
    value = request.get(name, _ANSWER_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1e6:
        raise _invalid(f"{name} must be a positive number of seconds")
    return value


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid("a text contains half a surrogate pair") from None


def _invalid(reason: str) -> ApiError:
    return ApiError("invalid_parameter", reason)
