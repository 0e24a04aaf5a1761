"""Words for kinds of elements and for events, instead of their names in the protocol."""

from __future__ import annotations

from collections.abc import Iterable

from basix_ws_cti._internal.translation import N_, _

# In the order in which state shows them; other kinds follow by name.
KINDS = {
    "channel": (N_("channel"), N_("Channels: {count}")),
    "channel_waiting": (N_("waiting"), N_("Waiting and parked calls: {count}")),
    "queued_channel": (N_("queued"), N_("Queued calls: {count}")),
    "parked_channel": (N_("parked"), N_("Parked calls: {count}")),
    "user": (N_("user"), N_("Users: {count}")),
    "group": (N_("group"), N_("Groups: {count}")),
    "group_member": (N_("member"), N_("Members of groups: {count}")),
    "terminal": (N_("phone"), N_("Phones: {count}")),
    "domain": (N_("domain"), N_("Domains: {count}")),
}
"""Word for each kind of element in a line, and heading of a table of such elements; translate both
with ``_``."""

ELEMENT_EVENTS = {
    "initial": N_("initial"),
    "added": N_("added"),
    "updated": N_("updated"),
    "removed": N_("removed"),
    "message": N_("message"),
    "unknown": N_("unknown"),
    "lagged": N_("lagged"),
    "alert_raised": N_("raised"),
    "alert_ended": N_("ended"),
}
"""Word for each event of a line about an element or a message."""

CALL_EVENTS = {
    "started": N_("started"),
    "ringing": N_("ringing"),
    "answered": N_("answered"),
    "parked": N_("parked"),
    "retrieved": N_("retrieved"),
    "transferred": N_("transferred"),
    "updated": N_("updated"),
    "ended": N_("ended"),
    "lagged": N_("lagged"),
    "alert_raised": N_("raised"),
    "alert_ended": N_("ended"),
}
"""Word for each event of a line about a call."""


def kind_word(kind: str) -> str:
    """Return the word for a kind of element; for an unknown kind, its name."""
    return _(KINDS[kind][0]) if kind in KINDS else kind


def kind_heading(kind: str, count: int) -> str:
    """Return the heading of a table of ``count`` elements of a kind."""
    if kind not in KINDS:
        return f"{kind}: {count}"
    return _(KINDS[kind][1]).format(count=count)


def widest(words: Iterable[str]) -> int:
    """Return the width of the widest word in the reader's language, in terminal columns."""
    from rich.cells import cell_len

    return max(cell_len(_(word)) for word in words)
