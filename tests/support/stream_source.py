"""Writer of a stream for tests: appends entries as a publisher does, from one task."""

from __future__ import annotations

import time

import attrs

from basix_ws_cti.elements import Channel, User
from basix_ws_cti.fanout.entries import Entry
from basix_ws_cti.fanout.entry_encoder import encode, encode_epoch, encode_snapshot
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId, leader_key
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.mirror.mirror import Mirror


class StreamSource:
    """Stream with the state of ``mirror``; ``redis`` is a synchronous client.

    ``last`` and ``snapshot`` are the ids of the newest entry and of the newest complete snapshot.
    """

    def __init__(self, redis, name="basix", users=3):
        self._redis = redis
        self._name = name
        self._epoch = 0
        self.mirror = Mirror()
        self.mirror.apply(
            InitialInfo("user", {n: User(id=n, label="a") for n in range(1, users + 1)})
        )
        self.last = NO_ENTRY
        self.snapshot = NO_ENTRY

    def lead(self):
        """Hold the lease of the leader, and begin an epoch."""
        self._redis.set(leader_key(self._name), "token")
        self._epoch = max(time.time_ns() // 1000, self._epoch + 1)
        self._append_as(EntryId(self._epoch, 0), encode_epoch("test"))

    def vanish(self):
        """Lose the lease."""
        self._redis.delete(leader_key(self._name))

    def begin(self):
        """Lead, and append a snapshot."""
        self.lead()
        self.append_snapshot()

    def append(self, *entries, **fields):
        """Append entries, or notifications; ``fields`` replaces fields of theirs."""
        for one in entries:
            entry = one if isinstance(one, Entry) else encode(one)
            self._append_as(EntryId(self._epoch, self.last.seq + 1), entry, fields)

    def append_snapshot(self, part_size=1000):
        """Append a snapshot of the mirror."""
        first = EntryId(self._epoch, self.last.seq + 1)
        for entry in encode_snapshot(self.mirror, part_size=part_size):
            if entry.type == "snapshot_end":
                self.snapshot = first
            self.append(entry)

    def relabel(self, label, number=1):
        """Change the label of a user, and append the change."""
        user = User(id=number, label=label)
        old = self.mirror.users[number]
        self.mirror.apply(InitialInfo("user", {**dict(self.mirror.users.items()), number: user}))
        self.append(Changed("user", user, old))

    def ring(self, uuid):
        """Add a channel, and append the change."""
        leg = Channel(uuid=uuid, direction="inbound", offer_timestamp=1)
        legs = {**dict(self.mirror.channels.items()), uuid: leg}
        self.mirror.apply(InitialInfo("channel", legs))
        self.append(Added("channel", leg))

    def hang_up(self, uuid):
        """Remove a channel, and append the change."""
        legs = dict(self.mirror.channels.items())
        leg = attrs.evolve(
            legs.pop(uuid),
            last_event="CHANNEL_HANGUP",
            last_event_data="recv_bye,NORMAL_CLEARING",
            hangup_timestamp=2,
        )
        self.mirror.apply(InitialInfo("channel", legs))
        self.append(Removed("channel", leg))

    def save(self):
        """Return a function that replaces the stream by its present contents, as from a backup."""
        dump, last, snapshot = self._redis.dump(self._name), self.last, self.snapshot

        def restore():
            self._redis.restore(self._name, 0, dump, replace=True)
            self.last, self.snapshot = last, snapshot

        return restore

    def trim(self, keep=1):
        """Remove all but the newest entries."""
        self._redis.xtrim(self._name, maxlen=keep, approximate=False)

    def _append_as(self, entry_id, entry, fields=()):
        given = entry.fields(at=time.time_ns() // 1000, previous=self.last, snapshot=self.snapshot)
        self._redis.xadd(self._name, {**given, **dict(fields)}, id=entry_id.encode())
        self.last = entry_id
