"""Fast path of a parser: reads the frames of frequent events in one pass.

A PBX mostly sends events of the same few kinds in the same encoding. After ``FAST_AFTER`` events of
a kind, the fast path gets a reader for it from ``event_readers``, which turns a frame into its
element without building terms, a record and a message first. That takes two thirds of the time of
the slow path, which is ``terms.decode`` followed by ``record_decoder``.

Invariant: for every frame the fast path returns exactly what the slow path would return, or
nothing. In the second case the slow path reads the same frame from its start. So everything rare or
malformed, and every error message, is left to the slow path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from basix_ws_cti.terms import encode_atom

from .event_readers import (
    ATOM_FORMATS,
    FALLBACK_ERRORS,
    FAST_PATH_LIMITS,
    MAX_FAST_BYTES,
    event_reader,
)

if TYPE_CHECKING:
    from basix_ws_cti.elements import Element
    from basix_ws_cti.messages import FieldSpec
    from basix_ws_cti.terms import Limits

    from .event_readers import EventReader

# Generating the function for hundreds of fields would take 10 ms. The longest known field
# spec has 23 fields.
MAX_FAST_FIELDS = 64

# Bytes at the start of a frame that select its reader. They reach into the name of the kind in
# every encoding, and the shortest known header is not shorter. If two kinds agree in these
# bytes, one of them keeps to the slow path.
LOOKUP_BYTES = 23

# Events of a kind that take the slow path before a function is generated. Generating it takes
# as long as reading 100 events, or 300 with the longest field spec: a peer that sends a new
# field spec every few events must not make the client generate all the time.
FAST_AFTER = 500


def fast_path_fits(limits: Limits) -> bool:
    """Return True if no frame that the fast path reads can exceed these limits."""
    return (
        limits.terms >= FAST_PATH_LIMITS.terms
        and limits.depth >= FAST_PATH_LIMITS.depth
        and limits.big_integer_bytes >= FAST_PATH_LIMITS.big_integer_bytes
        and limits.frame_bytes >= FAST_PATH_LIMITS.frame_bytes
    )


class FastPath:
    """Fast path of one parser: the readers of the kinds that have sent enough events.

    The parser offers every frame to ``read`` first. It reports each event that took the slow
    path to ``observe``, which sets up a reader after ``FAST_AFTER`` events of a kind, and each
    new field spec to ``forget``. If ``limits`` are too tight (``fast_path_fits``), ``read``
    returns None for every frame.
    """

    def __init__(self, limits: Limits, base_url: str | None) -> None:
        self._enabled = fast_path_fits(limits)
        self._base_url = base_url
        # By the first LOOKUP_BYTES of a frame, which are kept by kind for ``forget``.
        self._readers: dict[bytes, EventReader] = {}
        self._lookup_keys: dict[str, bytes] = {}
        # By kind: events that took the slow path since the last field_spec.
        self._slow_events: dict[str, int] = {}

    def read(self, frame: object) -> tuple[str, Element, str] | None:
        """Return an event's kind, element and event name; None: take the slow path."""
        if type(frame) is not bytes or len(frame) > MAX_FAST_BYTES:
            return None
        reader = self._readers.get(frame[:LOOKUP_BYTES])
        if reader is None:
            return None
        try:
            return reader(frame)
        except FALLBACK_ERRORS:
            return None

    def observe(self, frame: object, spec: FieldSpec) -> None:
        """Count an event, read on the slow path with this field spec.

        The event that completes FAST_AFTER provides the header of the frames that its kind's
        reader accepts. Only frames of type ``bytes`` count, since ``read`` takes no others.
        """
        if not self._enabled or type(frame) is not bytes:
            return
        kind = spec.element_name
        count = self._slow_events.get(kind, 0) + 1
        self._slow_events[kind] = count
        if count != FAST_AFTER:
            return
        header = event_header(frame, spec)
        key = frame[:LOOKUP_BYTES]
        if header is not None and key not in self._readers:
            self._lookup_keys[kind] = key
            self._readers[key] = event_reader(spec, self._base_url, header)

    def forget(self, kind: str) -> None:
        """Drop the reader and the count of a kind, whose field spec has been replaced."""
        self._slow_events.pop(kind, None)
        self._readers.pop(self._lookup_keys.pop(kind, b""), None)


def event_header(frame: bytes, spec: FieldSpec) -> bytes | None:
    """Return the bytes before the event's first field; None if the fast path can't read it."""
    size = len(spec.fields)
    if size > MAX_FAST_FIELDS:
        return None
    try:
        kind = spec.element_name.encode("ascii")
    except UnicodeEncodeError:
        return None
    for tag in ATOM_FORMATS:
        start = b"\x83h\4" + encode_atom(tag, b"info_event")
        for encoded_kind in (
            b"k" + len(kind).to_bytes(2, "big") + kind,
            b"m" + len(kind).to_bytes(4, "big") + kind,
            encode_atom(tag, kind),
        ):
            header = start + encoded_kind + b"h" + bytes([size])
            if frame.startswith(header) and len(header) >= LOOKUP_BYTES:
                return header
    return None
