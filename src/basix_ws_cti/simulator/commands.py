"""Commands that clients send to the simulated PBX, as JSON text frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .errors import NotPossibleError
from .model import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .model import Channel, Group, User
    from .pbx import Pbx

    Scenario = Iterator[float]


def parse_command(pbx: Pbx, text: str | bytes, *, simulate_users: bool) -> Scenario:
    """Return the scenario that carries out a command.

    Raises ``NotPossibleError`` if the text is not a known command. With ``simulate_users``,
    simulated users answer the phones that ring, and end the calls.
    """
    if isinstance(text, bytes):
        raise NotPossibleError("a command must be a text frame, got a binary frame")
    try:
        command = json.loads(text)
        json.dumps(command, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except (ValueError, RecursionError):
        raise NotPossibleError("a command must be valid JSON") from None
    name = command.get("cmd") if isinstance(command, dict) else None
    function = _COMMANDS.get(name) if isinstance(name, str) else None
    if function is None:
        known = ", ".join(_COMMANDS)
        raise NotPossibleError(f"a command must be a JSON object whose cmd is one of {known}")
    return function(pbx, command, simulate_users=simulate_users)


def _channel(pbx: Pbx, command: dict[str, Any], name: str = "uuid") -> Channel:
    uuid = command.get(name)
    if not isinstance(uuid, str):
        raise NotPossibleError(f"the command has no channel uuid in {name}")
    return pbx.channel(uuid)


def _hangup(pbx: Pbx, command: dict[str, Any], **_: Any) -> Scenario:
    pbx.hang_up(_channel(pbx, command), by_peer=False)
    yield from ()


def _park(pbx: Pbx, command: dict[str, Any], *, simulate_users: bool) -> Scenario:
    channel = _channel(pbx, command)
    partner = pbx.partner(channel)
    if channel.user is not None and partner is not None and partner.user is None:
        channel = partner  # the command names the user's own leg: park the person outside
    timeout = command.get("timeout")
    pbx.park(channel, by_peer=False)
    parked_at = channel.state.ts
    if isinstance(timeout, int | float) and 0 < timeout < 1e6:
        yield timeout
        state = channel.state
        if channel.uuid in pbx.channels and (state.name, state.ts) == ("park", parked_at):
            parker = pbx.users.get(state.data["parker_id"])
            if parker is None:
                pbx.hang_up(channel, by_peer=False)
            else:
                yield from _transfer_to(pbx, channel, parker, simulate_users=simulate_users)


def _transfer(pbx: Pbx, command: dict[str, Any], *, simulate_users: bool) -> Scenario:
    channel = _channel(pbx, command)
    destination = command.get("destination")
    if not isinstance(destination, str) or not destination:
        raise NotPossibleError("the transfer command has no destination")
    _check_transferor(pbx, command)
    to = pbx.find_extension(destination) or Person(destination)
    yield from _transfer_to(pbx, channel, to, simulate_users=simulate_users)


def _check_transferor(pbx: Pbx, command: dict[str, Any]) -> None:
    """Check the user on whose behalf a call is transferred, if the command names one."""
    named = [
        (name, command[f"user_{name}"])
        for name in ("id", "name")
        if command.get(f"user_{name}") is not None
    ]
    if not named:
        return
    for user in pbx.users.values():
        if all(getattr(user, name) == value for name, value in named):
            return
    raise NotPossibleError("the transfer command names a user whom the PBX does not have")


def _eavesdrop(pbx: Pbx, command: dict[str, Any], **_: Any) -> Scenario:
    subcommand = command.get("subcommand")
    pbx.eavesdrop(
        _channel(pbx, command),
        _channel(pbx, command, "target_uuid"),
        subcommand if isinstance(subcommand, str) else "listen",
    )
    yield from ()


def _transfer_to(
    pbx: Pbx, channel: Channel, to: User | Group | Person, *, simulate_users: bool
) -> Scenario:
    legs = pbx.transfer(channel, to, by_peer=False)
    if simulate_users:
        yield pbx.random.uniform(2, 6)
        legs = [leg for leg in legs if leg.rings_for and leg.uuid in pbx.channels]
        if not legs:
            raise NotPossibleError("no phone rings any more for the transferred channel")
        pbx.connect(legs[0])
        yield pbx.random.uniform(5, 60)
        pbx.hang_up(channel)


_COMMANDS: dict[str, Callable[..., Scenario]] = {
    "hangup": _hangup,
    "park": _park,
    "transfer": _transfer,
    "eavesdrop": _eavesdrop,
}
