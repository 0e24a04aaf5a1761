"""What clients may ask of the simulated PBX, as JSON text frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .model import Person
from .pbx import NotPossibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .model import Channel, Group, User
    from .pbx import Pbx

    Scenario = Iterator[float]


def read_command(pbx: Pbx, text: str | bytes, *, lively: bool) -> Scenario:
    """What a command leads to, as a scenario; ``NotPossibleError`` for one that means nothing.

    In a ``lively`` PBX there are people at the telephones, who answer what rings.
    """
    if isinstance(text, bytes):
        raise NotPossibleError("a command is a text frame")
    try:
        command = json.loads(text)
        json.dumps(command, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise NotPossibleError("a command is JSON") from None
    name = command.get("cmd") if isinstance(command, dict) else None
    known = _COMMANDS.get(name) if isinstance(name, str) else None
    if known is None:
        raise NotPossibleError("a command is an object whose cmd is one of " + ", ".join(_COMMANDS))
    return known(pbx, command, lively=lively)


def _channel(pbx: Pbx, command: dict[str, Any], name: str = "uuid") -> Channel:
    uuid = command.get(name)
    if not isinstance(uuid, str):
        raise NotPossibleError(f"the command names no channel as {name}")
    return pbx.channel(uuid)


def _hangup(pbx: Pbx, command: dict[str, Any], **_: Any) -> Scenario:
    pbx.hang_up(_channel(pbx, command), by_peer=False)
    yield from ()


def _park(pbx: Pbx, command: dict[str, Any], *, lively: bool) -> Scenario:
    line = _channel(pbx, command)
    partner = pbx.partner(line)
    if line.user is not None and partner is not None and partner.user is None:
        line = partner  # a user's own leg is named: whom they talk to is parked
    timeout = command.get("timeout")
    pbx.park(line)
    since = line.state.ts
    if isinstance(timeout, int | float) and 0 < timeout < 1e6:
        yield timeout
        if line.uuid in pbx.channels and (line.state.name, line.state.ts) == ("park", since):
            parker = pbx.users.get(line.state.data["parker_id"])
            if parker is None:
                pbx.hang_up(line, by_peer=False)
            else:
                yield from _send(pbx, line, parker, lively=lively)


def _transfer(pbx: Pbx, command: dict[str, Any], *, lively: bool) -> Scenario:
    line = _channel(pbx, command)
    destination = command.get("destination")
    user_id = command.get("user_id")
    to: User | Group | Person | None = pbx.users.get(user_id) if isinstance(user_id, int) else None
    if to is None and isinstance(destination, str) and destination:
        to = pbx.find(destination) or Person(destination)
    if to is None:
        raise NotPossibleError("the command names neither a user_id nor a destination")
    yield from _send(pbx, line, to, lively=lively)


def _eavesdrop(pbx: Pbx, command: dict[str, Any], **_: Any) -> Scenario:
    subcommand = command.get("subcommand")
    pbx.eavesdrop(
        _channel(pbx, command),
        _channel(pbx, command, "target_uuid"),
        subcommand if isinstance(subcommand, str) else "listen",
    )
    yield from ()


def _send(pbx: Pbx, line: Channel, to: User | Group | Person, *, lively: bool) -> Scenario:
    legs = pbx.transfer(line, to)
    if lively:
        yield pbx.random.uniform(2, 6)
        legs = [leg for leg in legs if leg.rings_for and leg.uuid in pbx.channels]
        if not legs:
            raise NotPossibleError("nobody is there")
        pbx.connect(legs[0])
        yield pbx.random.uniform(5, 60)
        pbx.hang_up(line)


_COMMANDS: dict[str, Callable[..., Scenario]] = {
    "hangup": _hangup,
    "park": _park,
    "transfer": _transfer,
    "eavesdrop": _eavesdrop,
}
