"""What a client may ask of the PBX.

A command is a JSON object that goes out as a text frame. The PBX does not reply: what a
command does shows in later changes, for some commands in one that can be waited for.
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
    """The JSON object ``sent``, and which change shows its effect; ``None``: none is known to."""

    sent: dict[str, Any]
    shown_by: Callable[[Change], bool] | None = None

    @property
    def name(self) -> str:
        """What the command is called on the wire."""
        return str(self.sent["cmd"])


def hangup(uuid: str) -> Command:
    """End a channel; it shows when the channel is gone."""

    def shown_by(change: Change) -> bool:
        return isinstance(change, Removed) and (change.element_name, change.key) == (
            "channel",
            uuid,
        )

    return Command({"cmd": "hangup", "uuid": uuid}, shown_by)


def park(uuid: str, park_timeout: int | None = None, other_uuid: str | None = None) -> Command:
    """Park a channel for ``park_timeout`` seconds; ``None``: for as long as the PBX likes.

    It shows when the channel, or the one at its other end, ``other_uuid``, is on a slot.
    """

    def shown_by(change: Change) -> bool:
        return (
            not isinstance(change, Removed)
            and change.element_name == "channel"
            and change.key is not None
            and change.key in (uuid, other_uuid)
            and isinstance(getattr(change.element, "state", None), Park)
        )

    timeout = {} if park_timeout is None else {"timeout": park_timeout}
    return Command({"cmd": "park", "uuid": uuid, **timeout}, shown_by)


def transfer(
    uuid: str,
    *,
    user_id: int | None = None,
    user_name: str | None = None,
    destination: str | None = None,
) -> Command:
    """Send a channel on: for a user who talks it is the *other* leg, the caller's.

    Raises ``UsageError`` when nothing says where to.
    """
    where = {"user_id": user_id, "user_name": user_name, "destination": destination}
    given = {name: value for name, value in where.items() if value is not None}
    if not given:
        raise UsageError("a transfer goes to a user_id, user_name or destination")
    return Command({"cmd": "transfer", "uuid": uuid, **given})


def eavesdrop(plug_uuid: str, uuid: str, subcommand: str) -> Command:
    """Listen in on the channel ``uuid`` through a media plug of one's own, ``plug_uuid``."""
    sent = {"cmd": "eavesdrop", "uuid": plug_uuid, "target_uuid": uuid, "subcommand": subcommand}
    return Command(sent)
