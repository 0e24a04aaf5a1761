"""Call log: calls, queue waits and participations in a database, SQLite or PostgreSQL.

- ``call_log``: ``CallLog``, which writes a feed's calls.
- ``writer``: the thread that writes; ``work``: its use of the database.
- ``reader``: ``CallLogReader``, which searches and follows a call log; ``read_access``: its
  transactions.
- ``schema``, ``migrations``: the tables and their versions; ``database``: connections.
- ``entries``, ``values``: calls as rows that every database can store; ``store``: transactions.
- ``retention``: deletion of old data; ``errors``: errors of the database as text.
- ``process_lock``: the lock that lets one process write to an SQLite file.

Needs the extra ``calllog``, and for PostgreSQL the extra ``postgresql``.
"""

from basix_ws_cti._internal.extras import imports_of_extra

with imports_of_extra(__name__, "calllog"):
    from .call_log import CallLog
    from .reader import CallLogReader, LoggedCall, Page
    from .writer import WriterHealth

__all__ = ["CallLog", "CallLogReader", "LoggedCall", "Page", "WriterHealth"]
