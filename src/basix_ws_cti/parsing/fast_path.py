"""Fast path of a parser: reads frequent events, and long lists of records, in one pass.

A PBX mostly sends events of the same few kinds in the same encoding. After ``FAST_AFTER`` events of
a kind, the fast path gets a reader for it from ``event_readers``, which turns a frame into its
element without building terms, a record and a message first. That takes two thirds of the time of
the slow path, which is ``terms.decode`` followed by ``record_decoder``. An ``initial_info`` with
``FAST_RECORDS`` records or more gets its reader at once.

Invariant: for every frame the fast path returns exactly what the slow path would return, or
nothing. In the second case the slow path reads the same frame from its start. So everything rare or
malformed, and every error message, is left to the slow path.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from basix_ws_cti._internal.native_ints import COMPILED
from basix_ws_cti.terms import BASE_TERM_BUDGET, encode_atom

from .event_readers import (
    ATOM_FORMATS,
    FALLBACK_ERRORS,
    FAST_PATH_LIMITS,
    MAX_FAST_BYTES,
    event_reader,
    records_reader,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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


# Records of an ``initial_info`` from which on a function is generated for it.
FAST_RECORDS = 500

# Start of an ``initial_info``: its name, and the tag and length of its kind. A kind that is an
# atom, such as ``undefined``, need not be text.
_INITIAL_INFO = re.compile(
    rb"\x83h\x03(?:(d)\x00\x0c|w\x0c)initial_info(?:k\x00|m\x00{3})(.)", re.DOTALL
)

_read_u32 = struct.Struct(">I").unpack_from


def fast_path_fits(limits: Limits) -> bool:
    """Return True if no frame that the fast path reads can exceed these limits."""
    return (
        limits.terms >= FAST_PATH_LIMITS.terms
        and limits.depth >= FAST_PATH_LIMITS.depth
        and limits.big_integer_bytes >= FAST_PATH_LIMITS.big_integer_bytes
        and limits.frame_bytes >= FAST_PATH_LIMITS.frame_bytes
    )


def records_fit(frame: bytes, count: int, limits: Limits) -> bool:
    """Return True if no such ``initial_info`` that the fast path reads can exceed the limits.

    ``terms.read_term`` weighs terms: one each, two more for an empty list, and six more for
    another list or tuple. Of the terms that the fast path reads, only the empty list has less than
    two bytes. Its tag, and that of a tuple, are counted wherever their byte occurs.
    """
    weight = len(frame) // 2 + 6 * frame.count(b"h") + 3 * frame.count(b"j") + 7
    budget = min(limits.terms, BASE_TERM_BUDGET + limits.terms_per_byte * len(frame))
    return (
        count <= limits.records
        and len(frame) <= limits.frame_bytes
        and limits.depth > FAST_PATH_LIMITS.depth  # one level more: the list
        and weight <= budget
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
        self._limits = limits
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

    def read_records(
        self, frame: object, specs: Mapping[str, FieldSpec]
    ) -> tuple[str, list[Element]] | None:
        """Return the kind and the elements of an ``initial_info``; None: take the slow path."""
        if COMPILED or not self._enabled or type(frame) is not bytes:
            return None
        start = _INITIAL_INFO.match(frame)
        if start is None:
            return None
        at = start.end() + start[2][0]
        try:
            spec = specs.get(frame[start.end() : at].decode("ascii"))
            if spec is None or len(spec.fields) > MAX_FAST_FIELDS or frame[at] != 108:
                return None
            (count,) = _read_u32(frame, at + 1)
            if count < FAST_RECORDS or not records_fit(frame, count, self._limits):
                return None
            read = records_reader(spec, self._base_url, 100 if start[1] else 119)
            return spec.element_name, read(frame, at + 5, count)
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
