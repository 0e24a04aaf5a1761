"""Notifications of a client, written into a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs

from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.client.client import Client
from basix_ws_cti.messages import Msg, SystemMsg
from basix_ws_cti.mirror.changes import Change, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState, Disconnected, Stopped, Synced, Syncing

from .entries import Entry, RelayedError
from .entry_encoder import encode, encode_elements
from .journal import Item, Journal, PendingSnapshot


class ClientFeed:
    """Adds each notification of a client to a journal, at once and in order.

    - ``client``: not entered yet, so that no call is missed.
    - ``journal``: starts anew with each connection while this publisher does not lead.
    - ``on_news``: called after items were added, and for each state of the client.
    - ``with_error_texts``: False leaves the texts of errors out of states and gaps.

    Changes that follow from a snapshot are left out: the journal starts with the state after it,
    or, of a leader, contains a gap and the whole snapshot.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        on_news: Callable[[], None],
        *,
        with_error_texts: bool = True,
    ) -> None:
        self._client = client
        self._journal = journal
        self._on_news = on_news
        self._with_error_texts = with_error_texts
        # State of the last complete snapshot, until the changes that led to it were delivered.
        self._baseline: Mirror | None = None
        self._resent_kinds: set[str] = set()  # of elements without keys, which have no entries
        # First and last state since the PBX was lost; empty while the feed is current.
        self._loss: list[ClientState] = []
        self.is_leading = False
        """True while the items are for the stream: gaps and states are added as well."""
        self.restarts: int = 0
        """Number of times that the journal has started anew."""
        client.on_change(self._add_change)
        client.on_call(self._add_call)
        client.on_state(self._add_state)
        client.on_system_msg(lambda text: self._add(encode(SystemMsg(text))))
        client.on_msg(lambda text: self._add(encode(Msg(text))))
        client.on_unknown_message(lambda message: self._add(encode(message)))

    def snapshot(self, *, is_takeover: bool = False) -> PendingSnapshot:
        """Return a snapshot of this moment, with the state after all items of the journal."""
        self._flush()
        calls = tuple(self._client.calls.values())
        return PendingSnapshot(self._client.mirror.copy(), calls, is_takeover)

    def encode_report(self, report: Gap | ClientState) -> Entry:
        """Return the entry of a gap or a state, with or without the text of its reason."""
        if self._with_error_texts or not isinstance(report, Gap | Disconnected):
            return encode(report)
        if report.reason is None:
            return encode(report)
        reason = RelayedError(type(report.reason).__name__, "")
        return encode(attrs.evolve(report, reason=reason))

    def restart(self) -> None:
        """Start the journal anew: something of the PBX was missed."""
        self._journal.clear()
        self.restarts += 1

    def add_loss(self) -> None:
        """Add the loss of the PBX if it is lost: a term begins, and its states were not added."""
        for state in self._loss:
            self._add(self.encode_report(state))

    def _add(self, item: Item) -> None:
        self._journal.add(item)
        self._on_news()

    def _add_change(self, change: Change | Gap | Lagged) -> None:
        if isinstance(change, Lagged):  # only for asynchronous callbacks
            return
        if isinstance(change, Gap):
            if self.is_leading:
                self._journal.add(self.encode_report(change))
                self._add(self.snapshot())
            else:
                self.restart()
            return
        if not change.synthetic:
            self._baseline = None
        elif self._baseline is not None and _is_in(self._baseline, change):
            return
        if change.position is None:
            self._add(encode(change))
        elif change.element_name not in self._resent_kinds:
            self._resent_kinds.add(change.element_name)
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Add the kinds whose elements have no keys, of which one has changed."""
        kinds, self._resent_kinds = self._resent_kinds, set()
        for kind in sorted(kinds):
            for entry in encode_elements(kind, self._client.mirror[kind]):
                self._add(entry)

    def _add_call(self, event: CallEvent) -> None:
        # The events that follow from the snapshot of a standby are about calls that the leader
        # has reported. After a gap, the leader reports what has changed.
        if self.is_leading or self._baseline is None:
            self._add(encode(event))

    def _add_state(self, state: ClientState) -> None:
        if isinstance(state, Syncing) and not self.is_leading:
            # Events that arrive during the snapshot are delivered after it.
            self.restart()
        if isinstance(state, Synced):
            self._baseline = self._client.mirror.copy()
        self._note_loss(state)
        if self.is_leading and not isinstance(state, Stopped):
            self._journal.add(self.encode_report(state))
        self._on_news()

    def _note_loss(self, state: ClientState) -> None:
        if isinstance(state, Synced):
            self._loss = []
        elif isinstance(state, Disconnected) or (self._loss and not isinstance(state, Stopped)):
            # The first state has the time of the last sign of life.
            self._loss = [*self._loss[:1], state]


def _is_in(state: Mirror, change: Change) -> bool:
    """Return True if a state has a change already."""
    key = change.key
    present = None if key is None else state[change.element_name].get(key)
    return present is None if isinstance(change, Removed) else present is change.element
