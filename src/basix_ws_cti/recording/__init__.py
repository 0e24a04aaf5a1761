"""Recordings: the frames of a feed in a file, with the times at which they arrived.

``Recorder`` writes a recording, ``read_recording`` reads it back, and ``Anonymiser`` replaces
personal data in frames. A recording contains names and telephone numbers; give only anonymised
ones away.

A recording is a text file in ASCII with one JSON object per line. It may be compressed with gzip:
``Recorder`` compresses it if its name ends in ``.gz``, and readers recognise compressed data by its
first bytes. The first line is the header::

    {"format": "basix_ws_cti recording", "version": 1,
     "started": "2026-01-31T09:00:00.123456+00:00", "anonymised": false}

It contains no secret, and neither the server nor the domain. Each further line is one entry. Its
``at`` is the time in seconds since the start:

- ``{"at": 1.5, "frame": "g2gC…"}``: a binary frame arrived; the frame in base64.
- ``{"at": 1.5, "text": "…"}``: a text frame arrived. The PBX sends none.
- ``{"at": 1.5, "event": "connected"}``: a connection was opened. The frames that follow belong to
  it and begin with a snapshot of the PBX.
- ``{"at": 1.5, "event": "lost", "error": "ConnectionLost", "text": "…", "last_heard": 1.2}``: the
  connection ended. ``error`` is the name of the exception's class. ``text`` is its text; ``null``:
  the text was removed. ``last_heard`` is the time of the last sign of life on the connection, in
  seconds since the start, and at most ``at``; without it (as in older recordings) or ``null``:
  unknown.
- ``{"at": 1.5, "event": "left out", "size": 70}``: a frame of 70 bytes arrived that could not be
  anonymised because it could not be decoded.
- ``{"at": 1.5, "event": "end", "frames": 12}``: the last line. ``frames`` is the number of frames
  before it, including those left out. A file without this line is incomplete.

Readers ignore additional keys. The file is created with permissions for its owner only.
"""

from __future__ import annotations

from .anonymiser import Anonymiser, anonymise
from .disk import (
    Connected,
    Entry,
    Frame,
    Header,
    LeftOut,
    Lost,
    Recorder,
    Recording,
    read_recording,
)
from .player import RecordedLoss, Replay, replay

__all__ = [
    "Anonymiser",
    "Connected",
    "Entry",
    "Frame",
    "Header",
    "LeftOut",
    "Lost",
    "RecordedLoss",
    "Recorder",
    "Recording",
    "Replay",
    "anonymise",
    "read_recording",
    "replay",
]
