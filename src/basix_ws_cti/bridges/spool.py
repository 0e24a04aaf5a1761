"""Spool of a webhook: the events that are not delivered yet, and the dead letters, in SQLite.

Why ``sqlite3`` and not SQLAlchemy, which the call log uses: the spool is one local file with three
tables, never PostgreSQL, and users of webhooks need no further package for it.

Invariants of the tables:

- ``events``: rows of one topic are sent in the order of ``seq``. Only the first row of a topic, its
  head, has a time in ``due``: the time of the next attempt. All others have NULL. So the index on
  ``due`` holds one entry per topic, and the next events to send are found without a scan.
- ``dead_letters``: events that the receiver refused permanently.
- ``facts``: numbers and times that must survive a restart.

The journal is a rollback journal. A write-ahead log would not be safe while a command changes the
dead letters beside the webhook: some versions of SQLite (3.7.0 to 3.51.2) can lose commits of two
connections that write and checkpoint at the same time.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from basix_ws_cti.exceptions import SpoolError

from .webhook_events import OutgoingEvent

# Seconds for which a statement waits for the lock of another connection.
LOCK_TIMEOUT = 5.0

# Version of the tables, in the file's header.
_FORMAT = 1

# "WHKS": tells a spool from other SQLite files, which must not be changed.
_APPLICATION_ID = 0x57484B53

_TABLES = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    topic TEXT NOT NULL,
    created REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL,
    body BLOB NOT NULL
);
CREATE INDEX events_due ON events (due) WHERE due IS NOT NULL;
CREATE INDEX events_topic ON events (topic, seq);
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    topic TEXT NOT NULL,
    created REAL NOT NULL,
    attempts INTEGER NOT NULL,
    died REAL NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX dead_letters_died ON dead_letters (died);
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""

_PRAGMAS = (
    "journal_mode = TRUNCATE",
    "synchronous = FULL",
    "secure_delete = ON",  # deleted data, which is personal, is overwritten
)

# Oldest events that are looked at together for those to drop.
_DROP_BATCH = 1000

# Younger events have higher numbers: only the oldest ones are looked at.
_OLDEST = f"SELECT seq, created FROM events ORDER BY seq LIMIT {_DROP_BATCH}"  # noqa: S608
_EXPIRED = f"SELECT seq FROM ({_OLDEST}) WHERE created < ?"  # noqa: S608

_HEAD_COLUMNS = ("seq", "id", "type", "topic", "body", "attempts", "due")

_HEADS = (
    f"SELECT {', '.join(_HEAD_COLUMNS)} FROM events WHERE due IS NOT NULL "  # noqa: S608
    "ORDER BY due, seq LIMIT ?"
)

_HEAD = "SELECT min(seq) FROM events WHERE topic = ?"

# Free pages that are given back to the file system at a time.
_VACUUM_PAGES = 256


@frozen(kw_only=True)
class StoredEvent:
    """Event of the spool that is due."""

    seq: int
    """Place in the order of the events."""

    id: str
    """Id of the event."""

    type: str
    """Type of the event."""

    topic: str
    """Topic of the event; those of one topic are sent in order."""

    body: bytes
    """JSON text to send."""

    attempts: int
    """Attempts that failed so far."""

    due: float
    """Time of the next attempt, in seconds since the epoch."""


@frozen(kw_only=True)
class DeadLetter:
    """Event that the receiver refused permanently."""

    id: str
    """Id of the event."""

    type: str
    """Type of the event, such as ``call.answered``."""

    created: float
    """Time at which the event was stored, in seconds since the epoch."""

    died: float
    """Time at which the receiver refused it, in seconds since the epoch."""

    attempts: int
    """Attempts to send it."""

    reason: str
    """Reason, such as ``HTTP 400``."""


@frozen(kw_only=True)
class SpoolCounts:
    """Numbers of a spool at one moment."""

    waiting: int
    """Events that are not delivered yet."""

    dead_letters: int
    """Events that the receiver refused permanently."""

    dropped: int
    """Events that were dropped since the spool was created: too many, or too old."""


class Spool:
    """Spool in a file, created if missing. One thread uses it.

    - ``path``: the file.
    - ``max_events``: number of events, and of dead letters, that are kept. Beyond it, the oldest
      ones are dropped.
    - ``max_age``: seconds after which an event that is not delivered is dropped; also the age at
      which a dead letter is.
    - ``checks_health``: read the whole file at the opening, to find damage.
    - ``clock``: returns the time in seconds since the epoch.

    The methods raise ``sqlite3.Error``, and those that open the file ``SpoolError``.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_events: int,
        max_age: float,
        checks_health: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._max_events = max_events
        self._max_age = max_age
        self._clock = clock
        # Numbers of events and of dead letters, now and as they are stored in the file.
        self._waiting, self._dead = self._stored_counts = 0, 0
        self._connection = self._open(checks_health=checks_health)
        try:
            self.begin()
            self.commit()
        except BaseException:
            self._connection.close()
            raise

    def _open(self, *, checks_health: bool) -> sqlite3.Connection:
        _create_file(self.path)
        connection = sqlite3.connect(
            self.path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            check_application(connection, self.path)  # before anything is changed
            if checks_health:
                check_health(connection)
            if self.path.stat().st_size == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # lets the file shrink
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").close()
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                for statement in _TABLES.split(";")[:-1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # -- transactions ----------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a transaction: all further calls take effect together."""
        self._connection.execute("BEGIN IMMEDIATE")
        # A command may have changed the dead letters since the last transaction.
        self._stored_counts = self.fact("waiting", 0), self.fact("dead_letters", 0)
        self._waiting, self._dead = self._stored_counts

    def commit(self) -> None:
        """Make the changes of the transaction permanent."""
        if self._stored_counts != (self._waiting, self._dead):
            self.set_fact("waiting", self._waiting)
            self.set_fact("dead_letters", self._dead)
        self._connection.execute("COMMIT")

    @property
    def fill_level(self) -> float:
        """Part of the room for events that is used, from 0 to 1."""
        return self._waiting / self._max_events

    def roll_back(self) -> None:
        """Undo the changes of the transaction, if one is open."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # -- events ----------------------------------------------------------------------------

    def add(self, events: Iterable[OutgoingEvent]) -> int:
        """Store events; return the number of the oldest ones that were dropped to make room."""
        now = self._clock()
        for event in events:
            row = (event.id, event.type, event.topic, event.created, event.body)
            found = self._connection.execute(
                "SELECT 1 FROM events WHERE topic = ? LIMIT 1", (event.topic,)
            ).fetchone()
            self._connection.execute(
                "INSERT INTO events (id, type, topic, created, body, due) VALUES (?,?,?,?,?,?)",
                (*row, None if found else now),
            )
            self._waiting += 1
        surplus = self._waiting - self._max_events
        if surplus <= 0:
            return 0
        return self._drop("SELECT seq FROM events ORDER BY seq LIMIT ?", surplus)

    def next_due(self, limit: int, besides: Collection[str] = ()) -> Sequence[StoredEvent]:
        """Return the heads of the topics whose next attempt is earliest, also if not due yet.

        - ``limit``: greatest number of heads.
        - ``besides``: topics to leave out.
        """
        rows = self._connection.execute(_HEADS, (limit + len(besides),))
        found = [
            event
            for event in (StoredEvent(**dict(zip(_HEAD_COLUMNS, row, strict=True))) for row in rows)
            if event.topic not in besides
        ]
        return found[:limit]

    def delete(self, seq: int) -> bool:
        """Delete a delivered event; its topic's next one is due now.

        Returns False if the event is not there any more.
        """
        row = self._connection.execute(
            "DELETE FROM events WHERE seq = ? RETURNING topic", (seq,)
        ).fetchone()
        if row is None:
            return False
        self._waiting -= 1
        self._release(row[0])
        return True

    def uncount_dropped(self) -> None:
        """Note that one dropped event is not missing: it was being sent, and has arrived."""
        self.set_fact("dropped", max(0, self.fact("dropped", 0) - 1))
        self.set_fact("unreported", max(0, self.fact("unreported", 0) - 1))

    def postpone(self, seq: int, due: float) -> None:
        """Count a failed attempt, and set the time of the next one."""
        self._connection.execute(
            "UPDATE events SET attempts = attempts + 1, due = ? WHERE seq = ?", (due, seq)
        )

    def bury(self, seq: int, reason: str) -> None:
        """Move an event that was refused permanently to the dead letters."""
        moved = self._connection.execute(
            "INSERT INTO dead_letters (id, type, topic, created, body, attempts, died, reason) "
            "SELECT id, type, topic, created, body, attempts + 1, ?, ? FROM events WHERE seq = ?",
            (self._clock(), reason, seq),
        ).rowcount
        if not self.delete(seq):
            return
        self._dead += moved
        if (surplus := self._dead - self._max_events) > 0:
            self._delete_letters(
                "seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?)", surplus
            )

    def expire(self) -> int:
        """Drop events and dead letters that are too old; return the number of events.

        Also gives free space back to the file system.
        """
        limit = self._clock() - self._max_age
        self._delete_letters("died < ?", limit)
        count, dropped = 0, _DROP_BATCH
        while dropped == _DROP_BATCH:
            dropped = self._drop(_EXPIRED, limit)
            count += dropped
        self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        return count

    def limit_delays(self, longest: float) -> None:
        """Let no event wait longer than this from now: the clock may have been set back."""
        due = self._clock() + longest
        self._connection.execute("UPDATE events SET due = ? WHERE due > ?", (due, due))

    def _drop(self, query: str, parameter: float) -> int:
        """Delete the events that a query selects; return their number. It is noted as a fact."""
        rows = self._connection.execute(
            f"DELETE FROM events WHERE seq IN ({query}) RETURNING topic, created",  # noqa: S608
            (parameter,),
        ).fetchall()
        if not rows:
            return 0
        for topic in {topic for topic, _ in rows}:
            self._release(topic)
        self._waiting -= len(rows)
        self.set_fact("dropped", self.fact("dropped", 0) + len(rows))
        self.set_fact("unreported", self.fact("unreported", 0) + len(rows))
        earliest = min(created for _, created in rows)
        self.set_fact("unreported_since", self.fact("unreported_since", None) or earliest)
        return len(rows)

    def _release(self, topic: str) -> None:
        """Make the head of a topic due now, unless it has a time already."""
        self._connection.execute(
            f"UPDATE events SET due = ? WHERE seq = ({_HEAD}) AND due IS NULL",  # noqa: S608
            (self._clock(), topic),
        )

    # -- dead letters ----------------------------------------------------------------------

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        rows = self._connection.execute(
            "SELECT id, type, created, died, attempts, reason FROM dead_letters ORDER BY seq"
        )
        names = ("id", "type", "created", "died", "attempts", "reason")
        return [DeadLetter(**dict(zip(names, row, strict=True))) for row in rows]

    def retry_letters(self, ids: Sequence[str] | None) -> int:
        """Move dead letters back to the events, behind those of their topic; return their number.

        ``None``: all of them. Their age starts again.
        """
        moved = self._letter_ids(ids)
        now = self._clock()
        for event_id in moved:
            kind, topic, body = self._connection.execute(
                "SELECT type, topic, body FROM dead_letters WHERE id = ?", (event_id,)
            ).fetchone()
            self._delete_letters("id = ?", event_id)
            event = OutgoingEvent(id=event_id, type=kind, topic=topic, created=now, body=body)
            self.add([event])
        return len(moved)

    def delete_letters(self, ids: Sequence[str] | None) -> int:
        """Delete dead letters, all for ``None``; return their number."""
        return sum(self._delete_letters("id = ?", one) for one in self._letter_ids(ids))

    def _letter_ids(self, ids: Sequence[str] | None) -> list[str]:
        """Return the ids of the selected dead letters that exist, oldest first."""
        rows = self._connection.execute("SELECT id FROM dead_letters ORDER BY seq")
        wanted = None if ids is None else {*ids}
        return [one for (one,) in rows.fetchall() if wanted is None or one in wanted]

    def _delete_letters(self, condition: str, parameter: float | str) -> int:
        count = self._connection.execute(
            f"DELETE FROM dead_letters WHERE {condition}",  # noqa: S608
            (parameter,),
        ).rowcount
        self._dead -= count
        return count

    # -- facts -----------------------------------------------------------------------------

    def counts(self) -> SpoolCounts:
        """Return the numbers of the spool."""
        return SpoolCounts(
            waiting=self._waiting, dead_letters=self._dead, dropped=self.fact("dropped", 0)
        )

    def fact(self, name: str, default: Any) -> Any:
        """Return a fact, or ``default`` if it is not set."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return default if row is None or row[0] is None else row[0]

    def set_fact(self, name: str, value: float | str | None) -> None:
        """Set a fact; ``None`` removes it."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _create_file(path: Path) -> None:
    """Create a file for its owner only, unless it exists: events have names and numbers.

    An existing file is not opened: closing it would drop the locks that this process's connections
    to it hold, because POSIX locks belong to the process and not to the descriptor.
    """
    try:
        # The target of a symbolic link: with O_EXCL, a link itself counts as an existing file.
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # SQLite's errors would not name these reasons.
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def check_health(connection: sqlite3.Connection) -> None:
    """Raise ``sqlite3.DatabaseError`` without an error code if the file is damaged."""
    (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if health != "ok":
        raise sqlite3.DatabaseError(health)


def check_application(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``SpoolError`` if a file is the database of another program, or of a newer format."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION_ID and (application or version or tables):
        raise SpoolError(str(path), "it is a database, but no spool: name another file")
    if version > _FORMAT:
        raise SpoolError(str(path), "a newer version of this program made it: use that version")
