"""Commands to the PBX.

A command is a JSON object, sent as a text frame. The PBX does not reply. The effect of a command
shows in later changes; for some commands it is known in which. Keys are sent in the order in which
the JavaScript library sends them, and what is ``None`` is left out. Each function raises
``UsageError`` for arguments that are empty or of another type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from basix_ws_cti._internal.arguments import (
    check_filled_text,
    check_seconds,
    check_text,
    type_name,
)
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.changes import Change, Removed
from basix_ws_cti.states import Eavesdrop, Park


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
    check_filled_text("uuid", uuid)

    def has_effect(change: Change) -> bool:
        return isinstance(change, Removed) and (change.element_name, change.key) == (
            "channel",
            uuid,
        )

    return Command({"cmd": "hangup", "uuid": uuid}, has_effect)


def park(uuid: str, park_timeout: float | None = None, other_uuid: str | None = None) -> Command:
    """Return the command that parks a channel.

    Its effect is that the channel, or ``other_uuid``, the one at its other end, is on a park slot.
    ``park_timeout`` is in seconds; ``None``: the PBX's default. A whole number is sent as an
    integer, ``60.0`` as 60.
    """
    check_filled_text("uuid", uuid)
    check_seconds("park_timeout", park_timeout, at_least=0, optional=True)

    def has_effect(change: Change) -> bool:
        return (
            not isinstance(change, Removed)
            and change.element_name == "channel"
            and change.key is not None
            and change.key in (uuid, other_uuid)
            and isinstance(getattr(change.element, "state", None), Park)
        )

    if isinstance(park_timeout, float) and park_timeout.is_integer():
        park_timeout = int(park_timeout)
    timeout = {} if park_timeout is None else {"timeout": park_timeout}
    return Command({"cmd": "park", "uuid": uuid, **timeout}, has_effect)


def transfer(
    uuid: str,
    destination: str,
    *,
    user_id: int | None = None,
    user_name: str | None = None,
) -> Command:
    """Return the command that transfers a channel to ``destination``, a number or extension.

    ``uuid`` is the leg that is to be connected to the destination: for a user in a call, the
    *other* leg. ``user_id`` and ``user_name`` name the user on whose behalf the call is
    transferred; ``None``: not sent.
    """
    check_filled_text("uuid", uuid)
    if not isinstance(destination, str) or not destination:
        raise UsageError("transfer needs a destination: pass a number or an extension as text")
    if user_id is not None and (isinstance(user_id, bool) or not isinstance(user_id, int)):
        raise UsageError(f"user_id must be an int (or None), got {type_name(user_id)}")
    check_text("user_name", user_name, optional=True)
    user = {"user_id": user_id, "user_name": user_name}
    given = {name: value for name, value in user.items() if value is not None}
    return Command({"cmd": "transfer", "uuid": uuid, **given, "destination": destination})


def eavesdrop(plug_uuid: str, target_uuid: str, subcommand: str | None = None) -> Command:
    """Return the command that listens to a channel through the media plug ``plug_uuid``.

    Its effect is that the plug is in the state ``eavesdrop``. The values of ``subcommand`` are not
    documented; ``None``: not sent.
    """
    check_filled_text("plug_uuid", plug_uuid)
    check_filled_text("target_uuid", target_uuid)
    check_text("subcommand", subcommand, optional=True)

    def has_effect(change: Change) -> bool:
        return (
            not isinstance(change, Removed)
            and (change.element_name, change.key) == ("channel", plug_uuid)
            and isinstance(getattr(change.element, "state", None), Eavesdrop)
        )

    sent = {"cmd": "eavesdrop", "uuid": plug_uuid, "target_uuid": target_uuid}
    if subcommand is not None:
        sent["subcommand"] = subcommand
    return Command(sent, has_effect)
