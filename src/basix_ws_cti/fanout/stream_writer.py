"""Append entries to the stream, under a lease, in one step: the only code that writes to it.

**Fencing.** One Lua script checks the lease and appends. If the two were separate commands, a
publisher that is stopped between them could append after its successor has begun.

**Unknown outcomes.** If the answer to an append is lost, it may have been executed, or may be
executed later. The script therefore appends only after the entry that the publisher names as
predecessor. The same append can be sent any number of times: if the newest entry is already the
last one of the append, nothing happens; if it is another one, nothing is appended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen
from redis.exceptions import ResponseError

from .entries import Entry
from .redis_connection import RedisConnection
from .stream import NO_ENTRY, EntryId, fields_of, leader_key

# Keys: stream, lease. Arguments: token of the lease, id of the predecessor, id of the last entry,
# maximum length of the stream, number of arguments per entry; then for each entry its id, and names
# and values of its fields. Without entries it only compares. It returns "lease", or the id of the
# newest entry.
_APPEND: Final = """
local function newest()
  local found = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  return found[1] and found[1][1] or '0-0'
end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'lease' end
local found = newest()
if found ~= ARGV[2] or ARGV[2] == ARGV[3] then return found end
local size = tonumber(ARGV[5])
for first = 6, #ARGV, size do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], unpack(ARGV, first, first + size - 1))
end
return ARGV[3]
"""


@frozen
class NewEntry:
    """Entry that waits to be appended."""

    id: EntryId
    """Its id."""

    previous: EntryId
    """Id of the entry before it."""

    snapshot: EntryId
    """Id of the first entry of the newest complete snapshot."""

    at: int
    """Time of the append, in microseconds since the epoch."""

    entry: Entry
    """Type and data."""

    def arguments(self) -> list[bytes]:
        """Return the id, and names and values of all fields."""
        fields = self.entry.fields(at=self.at, previous=self.previous, snapshot=self.snapshot)
        return [self.id.encode(), *(part for field in fields.items() for part in field)]


@frozen
class LeaseLost:
    """Nothing was appended: the lease has expired, or belongs to another publisher."""


@frozen
class Conflict:
    """Nothing was appended: the newest entry is not the one that was expected."""

    newest: EntryId
    """Id of the newest entry; ``NO_ENTRY``: there is none."""


class StreamWriter:
    """Writer of one stream, through a connection that nothing else uses.

    ``max_entries``: approximate number of entries that the stream keeps.
    """

    def __init__(self, connection: RedisConnection, name: str, *, max_entries: int) -> None:
        self._connection = connection
        self._name = name
        self._max_entries = max_entries

    async def append(
        self, token: str, predecessor: EntryId, entries: Sequence[NewEntry] = ()
    ) -> LeaseLost | Conflict | None:
        """Append entries after ``predecessor``, all or none; ``None``: they are in the stream.

        Without entries, check that ``predecessor`` is the newest entry. After a ``RedisFeedError``
        the outcome is unknown: call it again with the same arguments. An id that Redis does not
        accept, since the stream had a higher one once, is a ``Conflict`` with that id.
        """
        last = entries[-1].id if entries else predecessor
        arguments = [one.arguments() for one in entries]
        try:
            answer = await self._connection.execute(
                *("EVAL", _APPEND, 2, self._name, leader_key(self._name)),
                *(token, predecessor.encode(), last.encode(), self._max_entries),
                len(arguments[0]) if arguments else 1,
                *(part for one in arguments for part in one),
            )
        except ResponseError as error:
            if "equal or smaller" in str(error):
                return Conflict(await self.last_generated_id())
            raise
        if answer == b"lease":
            return LeaseLost()
        newest = EntryId.parse(answer)
        return None if newest == last else Conflict(newest)

    async def last_generated_id(self) -> EntryId:
        """Return the highest id that the stream ever had, also of an entry that was deleted."""
        try:
            answer = await self._connection.execute("XINFO", "STREAM", self._name)
        except ResponseError:  # no such key
            return NO_ENTRY
        return EntryId.parse(fields_of(answer)[b"last-generated-id"])
