"""Client of a simulated PBX, without a connection, that records what it receives."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from basix_ws_cti import ConnectionLost, MessageParser, Session
from basix_ws_cti.calls import CallEnded
from basix_ws_cti.recording import Recorder, replay

from .row_checks import Rows


class RecordingClient:
    """Session over the frames of a PBX, and a recording of them.

    - ``rows``: rows of the calls that ended, in their order.
    """

    def __init__(self, pbx, reader):
        self._pbx = pbx
        self._reader = reader
        self._start = pbx.now
        self._started = datetime.fromtimestamp(pbx.now / 1_000_000, UTC)
        self._file = io.StringIO()
        self._recorder = Recorder(self._file, started=self._started, clock=self._seconds)
        self._session = Session()
        self._session.follow_calls()
        self.rows = []
        self.connect()

    @property
    def is_connected(self):
        return self._parser is not None

    def connect(self):
        """Open a connection, and receive the snapshot."""
        self._parser = MessageParser()
        self._recorder.connected()
        self._collect(self._session.connected())
        for frame in self._reader.snapshot_frames(self._pbx):
            self.receive(frame)

    def receive(self, frame):
        """Receive a frame, if there is a connection."""
        if self.is_connected:
            self._complete_snapshot()
            self._recorder(frame)
            self._collect(self._session.receive(self._parser.parse(frame), self._now()))

    def lose_connection(self):
        """Lose the connection."""
        if self.is_connected:
            self._complete_snapshot()
            error = ConnectionLost(1006)
            self._recorder.lost(error)
            self._collect(self._session.lost(error, self._now()))
            self._collect(self._session.discard_snapshot())
            self._parser = None

    def close(self):
        """End the recording; return the rows that its replay yields."""
        self._complete_snapshot()
        self._collect(self._session.idle(self._now()))
        self._recorder.close()
        replayed = replay(io.BytesIO(self._file.getvalue().encode()))
        return [Rows.of(item.call) for _, item in replayed if isinstance(item, CallEnded)]

    def _seconds(self):
        return round((self._pbx.now - self._start) / 1_000_000, 6)

    def _now(self):
        return self._started.timestamp() + self._seconds()

    def _complete_snapshot(self):
        """Complete a snapshot whose quiet time has passed, as a player does."""
        if self._session.quiet_at <= self._now():
            self._collect(self._session.idle(self._session.quiet_at))

    def _collect(self, notifications):
        for item in notifications:
            if isinstance(item, CallEnded):
                self.rows.append(Rows.of(item.call))
