"""Entry player: drives a session from the entries of a stream. No I/O, no clock.

The session thus reports what the session of the publisher reported: the same changes, call events,
gaps and messages. Entries of call events are skipped, since the session derives them from the
channels.

The state is *current* while each entry is applied to the session. Otherwise an *image* of the state
is built from a snapshot and the entries after it, unseen by anybody; once it has caught up with the
stream, it replaces the state of the session. There are three reasons for that::

    start, or entries were missed         image = the snapshot that the newest entry names, …
    the publisher lost the PBX            image = the next snapshot in the stream, …
    an entry could not be read            image = the state without it, …

                                          … and the entries after it

An unreadable entry may have been a change. The state is then current again after a ``Gap``, but an
element may be stale until the next snapshot in the stream, with which the state is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from basix_ws_cti.elements import Element
from basix_ws_cti.messages import InfoEvent, InitialInfo, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .entries import (
    ElementsPart,
    EntryError,
    NewerVersionError,
    ReceivedEntry,
    RelayedError,
    SnapshotElements,
    SnapshotEnded,
)
from .entry_decoder import decode
from .stream import EntryId, follows

# Entries that concern neither the state nor the messages of the feed.
_SKIPPED: Final = frozenset({"call", "epoch"})
_SNAPSHOT_TYPES: Final = frozenset(
    {"snapshot", "snapshot_elements", "snapshot_calls", "snapshot_end"}
)

_STOPPED: Final = RelayedError("Stopped", "the publisher has stopped")
_UNKNOWN: Final = RelayedError("Exception", "the publisher has missed something")


class EntryPlayer:
    """Applies entries of a stream to a session, in their order.

    Every method that returns an iterator must be exhausted before the next call; ``None`` among its
    items is a pause point. Besides the notifications of the session, the items are the states of
    the publisher.
    """

    position: EntryId | None
    """Id of the last entry; ``None``: the next entry may be any one."""

    is_current: bool
    """True while the state of the session is that of the stream."""

    def __init__(self, session: Session) -> None:
        self.position = None
        self.is_current = False
        self._session = session
        self._now = 0.0  # Unix time of the last entry; never goes back
        self._image: Mirror | None = None  # None: no complete snapshot yet
        self._has_caught_up = False
        self._snapshot: _Parts | None = None  # the snapshot that is being read
        self._kind: _Parts | None = None  # the kind that is being sent again
        self._may_be_stale = False  # an entry was not readable since the last snapshot
        self._needs_entry = False  # nothing is known about the state before the next entry
        self._feed_state: ClientState | None = None  # the publisher's, since it has no feed
        self._loss: Disconnected | None = None  # of the PBX, not reported to the session yet
        self._gap: Gap | None = None  # of the publisher, since that loss

    def __repr__(self) -> str:
        return f"<EntryPlayer at {self.position}, {'' if self.is_current else 'not '}current>"

    def continues(self, entry_id: EntryId, previous: EntryId) -> bool:
        """Return True if this entry is the one after the last one, or may be any one."""
        return self.position is None or follows(entry_id, previous, self.position)

    def lost(self, reason: Exception) -> Iterator[Any]:
        """Note that entries were missed: the next one belongs to a snapshot."""
        self._report_loss()
        reported = self._session.lost(reason, self._now)
        self.position, self.is_current, self._has_caught_up = None, False, False
        self._image = self._snapshot = self._kind = self._feed_state = None
        self._may_be_stale = self._needs_entry = False
        yield from reported or [Disconnected(reason, None)]

    def receive(self, entry: ReceivedEntry) -> Iterator[Any]:
        """Apply an entry, which must be the one after the last one.

        Raises ``EntryError`` if its data cannot be read: call ``reject`` then.
        """
        self.position = entry.id
        self._now = max(self._now, entry.at / 1e6)
        if entry.type in _SNAPSHOT_TYPES:
            yield from self._read_snapshot(entry)
        else:
            self._snapshot = None  # a snapshot in which something else follows is incomplete
            if entry.type not in _SKIPPED:
                yield from self._apply(decode(entry.type, entry.data))
        if self._needs_entry:
            self._needs_entry = False
            if self._has_caught_up:
                yield from self._complete()

    def reject(self, entry_id: EntryId, error: EntryError) -> Iterator[Any]:
        """Skip an unreadable entry."""
        self.position = entry_id
        self._snapshot = self._kind = None
        self._may_be_stale = True
        if isinstance(error, NewerVersionError):
            self._needs_entry = True
        if not self.is_current:
            return
        self.is_current, self._image = False, self._session.mirror.copy()
        yield from self._session.lost(error, self._now)
        if not self._needs_entry:
            yield from self._complete()

    def caught_up(self) -> Iterator[Any]:
        """Note that the last entry is the newest one of the stream, or was when reading began."""
        if self._has_caught_up:
            return
        self._has_caught_up = True
        if self._feed_state is not None:
            yield self._feed_state
        if not self._needs_entry:
            yield from self._complete()

    # -- entries ----------------------------------------------------------------------

    def _apply(self, item: Any) -> Iterator[Any]:
        if not isinstance(item, ElementsPart):
            self._kind = None
        match item:
            case InfoEvent():
                if self.is_current:
                    yield from self._session.receive(item, self._now)
                elif self._image is not None:
                    self._image.apply(item)
            case ElementsPart():
                yield from self._read_kind(item)
            case Gap() | Connecting() | Syncing() | Synced() | Disconnected() | Stopped():
                yield from self._apply_report(item)
            case SystemMsg() | Msg() | UnknownMessage() if self.is_current:
                yield from self._session.receive(item, self._now)

    def _apply_report(self, report: Gap | ClientState) -> Iterator[Any]:
        match report:
            case Gap(started, _, reason):
                if self._loss is None:
                    state = Disconnected(reason or _UNKNOWN, None, last_heard=started)
                    yield from self._publisher_lost(state)
                if self._loss is not None:  # else it is an old one, or part of a longer gap
                    # Another publisher may have reported one, and not completed its snapshot.
                    first = started if self._gap is None else min(self._gap.started, started)
                    self._gap = attrs.evolve(report, started=first)
            case Disconnected():
                yield from self._publisher_lost(report)
            case Stopped(reason):  # a follower goes on: another publisher may take over
                yield from self._publisher_lost(Disconnected(reason or _STOPPED, None))
            case Connecting() | Syncing() if not self.is_current:
                yield from self._enter(report)

    def _publisher_lost(self, state: Disconnected) -> Iterator[Any]:
        """Note that the publisher has no feed: what the stream shows is stale from here on."""
        if self.is_current:
            self._loss, self._gap = state, None
        self.is_current, self._image, self._needs_entry = False, None, False
        yield from self._enter(state)

    def _enter(self, state: ClientState) -> Iterator[ClientState]:
        """Yield the publisher's state, unless an old entry shows it."""
        self._feed_state = state
        if self._has_caught_up:
            yield state

    def _read_kind(self, part: ElementsPart) -> Iterator[Any]:
        """Collect the parts of a kind that the PBX has sent again; apply it after the last one."""
        if part.part == 1:
            self._kind = _Parts()
        if self._kind is None or self._kind.count != part.part - 1:
            self._kind = None
            raise EntryError("a part of 'elements' is missing")
        self._kind.add(part.kind, part.elements)
        if part.part < part.parts:
            return
        message = InitialInfo(part.kind, self._kind.elements.pop(part.kind))
        self._kind = None
        if self.is_current:
            yield from self._session.receive(message, self._now)
        elif self._image is not None:
            yield from _load(self._image, message.element_name, message.elements)

    def _read_snapshot(self, entry: ReceivedEntry) -> Iterator[Any]:
        """Collect a snapshot, unless the state is current without it."""
        self._kind = None
        if entry.type == "snapshot":
            is_needed = not self.is_current or self._may_be_stale
            self._snapshot = _Parts() if is_needed else None
            return
        if self._snapshot is None:
            return
        if entry.type == "snapshot_calls":
            self._snapshot.count += 1
            return
        item = decode(entry.type, entry.data)
        if isinstance(item, SnapshotElements):
            self._snapshot.add(item.kind, item.elements)
        elif isinstance(item, SnapshotEnded):
            snapshot, self._snapshot = self._snapshot, None
            if item.parts == snapshot.count:
                yield from self._use_snapshot(snapshot)

    def _use_snapshot(self, snapshot: _Parts) -> Iterator[Any]:
        self._may_be_stale = self._needs_entry = False
        if self.is_current:
            yield from self._compare_with(snapshot)
            return
        self._image, self._feed_state = Mirror(), None
        for kind, elements in snapshot.elements.items():
            yield from _load(self._image, kind, elements)
        if self._has_caught_up:
            yield from self._complete()

    def _compare_with(self, snapshot: _Parts) -> Iterator[Any]:
        """Correct what an unreadable entry may have left stale."""
        mirror = self._session.mirror
        kinds = {
            **snapshot.elements,
            **{kind: {} for kind in mirror if kind not in snapshot.elements},
        }
        for kind, elements in kinds.items():
            yield None
            if mirror[kind] != elements:
                yield from self._session.receive(InitialInfo(kind, elements), self._now)

    # -- new states -------------------------------------------------------------------

    def _complete(self) -> Iterator[Any]:
        """Make the image, if there is one, the state of the session."""
        image, self._image = self._image, None
        if image is None:
            return
        gap = self._gap
        self._report_loss()
        now = self._now if gap is None else gap.ended.timestamp()
        yield from self._session.connected()
        # Without any kind, a snapshot would not be complete.
        for kind in {"channel": None, **dict.fromkeys(image)}:
            yield from self._session.receive(InitialInfo(kind, dict(image[kind].items())), now)
        self.is_current = True
        yield from self._session.idle(now)

    def _report_loss(self) -> None:
        """Report the publisher's loss of the PBX to the session, which begins a gap."""
        loss, gap = self._loss, self._gap
        self._loss = self._gap = None
        if loss is None:
            return
        started, reason = loss.last_heard, loss.reason
        if gap is not None:
            started = gap.started if started is None else min(started, gap.started)
            reason = gap.reason or reason
        self._session.lost(reason, self._now, None if started is None else started.timestamp())


class _Parts:
    """Elements that arrive in several entries, by kind."""

    def __init__(self) -> None:
        self.count = 0
        self.elements: dict[str, dict[int | str, Element]] = {}

    def add(self, kind: str, elements: dict[int | str, Element]) -> None:
        self.count += 1
        self.elements.setdefault(kind, {}).update(elements)


def _load(mirror: Mirror, kind: str, elements: dict[int | str, Element]) -> Iterator[None]:
    """Replace the elements of a kind, step by step."""
    yield from mirror.load_stepwise(kind, elements)
