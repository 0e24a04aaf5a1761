"""Commands to the PBX.

A command is a JSON object, sent as a text frame. The PBX does not reply. The effect of a command
shows in later changes; for some commands it is known in which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.changes import Change, Removed
from basix_ws_cti.states import Park


@frozen
class Command:
    """A command and its effect."""

    sent: dict[str, Any]
    """JSON object that is sent."""

    has_effect: Callable[[Change], bool] | None = None
    """Returns True for the change that shows the command's effect; ``None``: it is unknown."""

    @property
    def name(self) -> str:
        """Name of the command on the wire."""
        return str(self.sent["cmd"])


def hangup(uuid: str) -> Command:
    """Return the command that hangs up a channel; its effect is the channel's removal."""

    def has_effect(change: Change) -> bool:
        return isinstance(change, Removed) and (change.element_name, change.key) == (
            "channel",
            uuid,
        )

    return Command({"cmd": "hangup", "uuid": uuid}, has_effect)


def park(uuid: str, park_timeout: int | None = None, other_uuid: str | None = None) -> Command:
    """Return the command that parks a channel.

    Its effect is that the channel, or ``other_uuid``, the one at its other end, is on a park slot.
    ``park_timeout`` is in seconds; ``None``: the PBX's default.
    """

    def has_effect(change: Change) -> bool:
        return (
            not isinstance(change, Removed)
            and change.element_name == "channel"
            and change.key is not None
            and change.key in (uuid, other_uuid)
            and isinstance(getattr(change.element, "state", None), Park)
        )

    timeout = {} if park_timeout is None else {"timeout": park_timeout}
    return Command({"cmd": "park", "uuid": uuid, **timeout}, has_effect)


def transfer(
    uuid: str,
    *,
    user_id: int | None = None,
    user_name: str | None = None,
    destination: str | None = None,
) -> Command:
    """Return the command that transfers a channel: for a user in a call, the *other* leg.

    Raises ``UsageError`` if no target is given.
    """
    target = {"user_id": user_id, "user_name": user_name, "destination": destination}
    given = {name: value for name, value in target.items() if value is not None}
    if not given:
        raise UsageError("transfer has no target: pass user_id, user_name or destination")
    return Command({"cmd": "transfer", "uuid": uuid, **given})


def eavesdrop(plug_uuid: str, uuid: str, subcommand: str) -> Command:
    """Return the command that listens to channel ``uuid`` through media plug ``plug_uuid``."""
    sent = {"cmd": "eavesdrop", "uuid": plug_uuid, "target_uuid": uuid, "subcommand": subcommand}
    return Command(sent)
