"""Entries of the stream: their format, and the types that stand for their contents.

``entry_encoder`` makes entries, and ``entry_decoder`` reads them. No I/O, no clock.

Each entry of the Redis stream has these fields, all of them bytes. A reader ignores other fields.

============  ==========================================================================
``prev``      as ``stream`` describes it
``snapshot``  as ``stream`` describes it
``v``         version of the format: ``1``
``at``        time at which the publisher appended it, in microseconds since the epoch (UTC)
``type``      one of the types below
``data``      JSON object in UTF-8, without NaN and infinity
============  ==========================================================================

The types, with the keys of ``data``:

``epoch``
    The marker, the first entry of an epoch: another publisher leads from here on. ``publisher``:
    its name.

``snapshot``, ``snapshot_elements``, ``snapshot_calls``, ``snapshot_end``
    The complete state after the entry before it. The entries of a snapshot follow each other; any
    other entry in between means that the snapshot stays incomplete. ``snapshot`` has no keys.
    ``snapshot_elements``: ``kind``, and ``elements``, an array of ``[key, element]``. A kind may
    have several of these entries. ``snapshot_calls``: ``calls``, an array. ``snapshot_end``:
    ``parts``, the number of entries between the first and the last one.

    A reader whose state is current skips a snapshot, unless ``state`` has reported a loss before.

``element``
    A change. ``kind``, ``event`` (``added``, ``updated`` or ``removed``), ``key`` and ``element``,
    the element after the change with all its fields.

``elements``
    The PBX has sent all elements of a kind again. ``kind``, ``elements`` as above, ``part`` and
    ``parts``: the number of this entry, from 1 on, and of all entries of this kind. The entries
    follow each other. Elements that are in none of them are gone.

``call``
    A call event, for readers that do not derive call events themselves. ``event`` (``started``,
    ``ringing``, ``answered``, ``parked``, ``retrieved``, ``transferred``, ``updated`` or
    ``ended``), ``call``, the other attributes of the event's class, and ``key``, which
    ``call_event_key`` computes.

``system_msg``, ``msg``, ``unknown``
    A message of the PBX. ``text``; of ``unknown``: ``name`` and ``term``.

``state``
    State of the publisher's connection to the PBX. ``state``: ``connecting``, ``syncing``,
    ``synced``, ``disconnected`` or ``stopped``; ``reason``: ``null``, or ``error`` (a class name)
    and ``text``; ``last_heard``: time in microseconds since the epoch, or ``null``; ``retry_in``:
    seconds until the next attempt, or ``null``; ``attempt``: number of the attempt, or ``null``.
    After ``disconnected`` and ``stopped``, the state in the stream is stale until the next complete
    snapshot.

``gap``
    Changes of the PBX may have been missed between ``started`` and ``ended``, in microseconds since
    the epoch. ``reason`` as above. The entries of a complete snapshot follow.

Elements have the shape of ``element_json``, calls that of the lines of ``listen --json``. Times are
integers in microseconds since the epoch, UTC. Readers ignore keys and types that they do not know:
a version that adds some keeps the number 1. Any other change of the format has a new number.

``data`` of all types except ``epoch``, ``state`` and ``gap`` is computed from data of the PBX only:
two publishers with the same feed make equal bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import attrs
from attrs import frozen

from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.messages import InfoEvent, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import ClientState

from .stream import DATA, PREVIOUS, SNAPSHOT, EntryId

VERSION: Final = 1
"""Version of the format."""

VERSION_FIELD: Final = b"v"
"""Field with the version."""

AT: Final = b"at"
"""Field with the time."""

TYPE: Final = b"type"
"""Field with the type."""

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of all times in the stream."""


class EntryError(FeedError, ValueError):
    """An entry cannot be read. The text says why, without any content of the entry."""


class NewerVersionError(EntryError):
    """An entry has another version of the format, so that nothing of it can be read."""


class RelayedError(FeedError):
    """Error that the publisher reported: the reason of a loss or a gap."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(error, text)
        self.error: str = error
        """Class name of the original error."""
        self.text: str = text
        """Text of the original error."""

    def __str__(self) -> str:
        return self.text or self.error


@frozen
class Entry:
    """Type and data of an entry, as the publisher appends them."""

    type: str
    """Type of the entry."""

    data: bytes = attrs.field(repr=False)
    """JSON in UTF-8."""

    def fields(self, *, at: int, previous: EntryId, snapshot: EntryId) -> dict[bytes, bytes]:
        """Return all fields of the entry.

        - ``at``: time in microseconds since the epoch.
        - ``previous``, ``snapshot``: the fields ``prev`` and ``snapshot``.
        """
        return {
            PREVIOUS: previous.encode(),
            SNAPSHOT: snapshot.encode(),
            VERSION_FIELD: b"%d" % VERSION,
            AT: b"%d" % at,
            TYPE: self.type.encode(),
            DATA: self.data,
        }


@frozen
class ReceivedEntry:
    """Entry as it was read from the stream; ``data`` is not decoded yet."""

    id: EntryId
    """Id in the stream."""

    previous: EntryId
    """Id of the entry before it, or ``NO_ENTRY``."""

    snapshot: EntryId
    """Id of the first entry of the newest complete snapshot, or ``NO_ENTRY``."""

    at: int
    """Time at which it was appended, in microseconds since the epoch."""

    type: str
    """Type of the entry."""

    data: bytes = attrs.field(repr=False)
    """JSON in UTF-8."""


# -- decoded entries ----------------------------------------------------------------------


@frozen
class EpochBegan:
    """Another publisher leads from here on."""

    publisher: str
    """Name of the publisher."""


@frozen
class SnapshotBegan:
    """The entries of a snapshot follow."""


@frozen
class SnapshotElements:
    """Elements of one kind in a snapshot."""

    kind: str
    """Kind of the elements."""

    elements: dict[int | str, Element] = attrs.field(repr=False)
    """Elements by key."""


@frozen
class SnapshotCalls:
    """Calls in a snapshot. They are not decoded: a follower derives them from the channels."""


@frozen
class SnapshotEnded:
    """The snapshot is complete."""

    parts: int
    """Number of entries between the first and the last entry of the snapshot."""


@frozen
class ElementsPart:
    """Elements of a kind that the PBX has sent again."""

    kind: str
    """Kind of the elements."""

    part: int
    """Number of this part, from 1 on."""

    parts: int
    """Number of all parts."""

    elements: dict[int | str, Element] = attrs.field(repr=False)
    """Elements by key."""


@frozen
class CallReported:
    """A call event. The call is not decoded: a follower derives it from the channels."""

    key: str
    """Key of the event, equal for all publishers of the same feed."""


@frozen
class UnknownEntry:
    """Entry of a type that this version does not know."""


Decoded = (
    EpochBegan
    | SnapshotBegan
    | SnapshotElements
    | SnapshotCalls
    | SnapshotEnded
    | ElementsPart
    | CallReported
    | UnknownEntry
    | InfoEvent
    | SystemMsg
    | Msg
    | UnknownMessage
    | ClientState
    | Gap
)
"""Contents of an entry."""
