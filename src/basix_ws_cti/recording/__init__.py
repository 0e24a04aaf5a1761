"""Recordings: the frames of a feed on disk, with the times at which they came.

A recording is a text file of JSON objects, one a line, in ASCII; compressed where its name ends
in ``.gz``. The first line is the header::

    {"format": "basix_ws_cti recording", "version": 1,
     "started": "2026-01-31T09:00:00.123456+00:00", "anonymised": false}

Nothing secret is in there, nor which server and domain it was. Each further line has ``at``,
the seconds since the start, and says one thing:

- ``{"at": 1.5, "frame": "g2gC…"}``: a binary frame came, here in base64;
- ``{"at": 1.5, "text": "…"}``: a text frame came, of which the feed has none;
- ``{"at": 1.5, "event": "connected"}``: a connection begins: frames that follow are its own,
  and the picture is told anew;
- ``{"at": 1.5, "event": "lost", "error": "ConnectionLost", "text": "…"}``: it ended, with an
  error of that class and text; ``null``: its text is kept back;
- ``{"at": 1.5, "event": "left out", "size": 70}``: a frame of so many bytes came that could not
  be read, and so could not be anonymised;
- ``{"at": 1.5, "event": "end", "frames": 12}``: the last line, and how many frames there are
  before it, those left out included. Where it is missing the recording breaks off.

What has further keys is read without them. A recording holds people's names and numbers, and is
readable for its owner alone; see ``Anonymiser`` for one to be given away.
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
