"""Names of kinds and events of a feed that this version knows, and their check.

They are listed here, and not taken from the classes of elements and call events, because the
completion of values in a shell has to be fast: it imports nothing that parses frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from basix_ws_cti._internal.translation import _

from .suggestions import unknown_name

KINDS = (
    "channel",
    "channel_waiting",
    "queued_channel",
    "parked_channel",
    "user",
    "group",
    "group_member",
    "terminal",
    "domain",
)
"""Kinds of elements. A newer PBX may send more."""

INITIAL = "initial"
"""Event name for elements of the snapshot, for which the PBX sends no event."""

ELEMENT_EVENTS = (INITIAL, "added", "updated", "removed")
"""Events of elements. A newer PBX may send more."""

CALL_EVENTS = (
    "started",
    "ringing",
    "answered",
    "parked",
    "retrieved",
    "transferred",
    "updated",
    "ended",
)
"""Call events, in the order of a call's life. The library derives them, so there are no others."""


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise ``UsageError`` for a kind that is not in ``KINDS``."""
    _check(_("kind"), kinds, KINDS, _("known: {known}; --allow-unknown accepts others"))


def check_events(events: Iterable[str], *, calls: bool) -> None:
    """Raise ``UsageError`` for an event of elements, or of calls, that is not known."""
    if calls:
        _check(_("call event"), events, CALL_EVENTS, _("known: {known}"))
    else:
        advice = _("known: {known}; --allow-unknown accepts others")
        _check(_("event"), events, ELEMENT_EVENTS, advice)


def _check(noun: str, names: Iterable[str], known: Sequence[str], advice: str) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(noun, name, known, advice.format(known=", ".join(known)))
