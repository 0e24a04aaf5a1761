"""Follower with a real Redis: lost positions, unreadable entries, faults of Redis and its link."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from datetime import UTC, datetime

import pytest
from support.faulty_proxy import Proxy
from support.redis_server import RedisServer
from support.stream_source import StreamSource
from support.waiting import eventually

from basix_ws_cti import (
    Added,
    AuthenticationError,
    Backoff,
    Changed,
    ConnectionLost,
    Disconnected,
    Gap,
    Msg,
    RedisFeedError,
    Stopped,
    Synced,
    UsageError,
)
from basix_ws_cti.calls import CallStarted
from basix_ws_cti.elements import User
from basix_ws_cti.fanout import Follower
from basix_ws_cti.fanout.entries import Entry, EntryError
from basix_ws_cti.fanout.entry_encoder import encode, encode_elements, encode_snapshot
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId
from basix_ws_cti.messages import InitialInfo

pytestmark = [pytest.mark.redis, pytest.mark.slow]

QUICK = Backoff(initial=0.01, maximum=0.1)


@pytest.fixture
def source(redis_server):
    """Stream that a leader has begun with a snapshot of three users."""
    source = StreamSource(redis_server.client)
    source.begin()
    return source


def follower_of(port, **options):
    return Follower(f"redis://127.0.0.1:{port}", backoff=QUICK, **options)


class Watcher:
    """Changes, states and errors of a follower, and a copy of its state made from the changes."""

    def __init__(self, follower):
        self.follower = follower
        self.changes, self.states, self.errors = [], [], []
        self.labels = {}
        follower.on_change(self._apply)
        follower.on_state(self.states.append)
        follower.on_error(self.errors.append)

    def _apply(self, change):
        self.changes.append(change)
        if isinstance(change, Gap):
            return
        if change.element_name == "user":
            self.labels.pop(change.key, None)
            if isinstance(change, Added | Changed):
                self.labels[change.key] = change.element.label

    @property
    def gaps(self):
        return [one for one in self.changes if isinstance(one, Gap)]

    def causes(self):
        return [one.cause for one in self.errors if isinstance(one, RedisFeedError)]

    async def shows(self, label, number=1):
        """Wait until the follower and the changes show this label of a user."""

        def is_shown():
            users = self.follower.mirror.users.items()
            return (
                self.follower.is_synced
                and self.labels.get(number) == label
                and self.labels == {key: user.label for key, user in users}
            )

        await eventually(is_shown)


# -- start ------------------------------------------------------------------------------------


async def test_a_follower_starts_with_the_snapshot_and_what_follows_it(redis_server, source):
    source.relabel("b")
    source.ring("u1")
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        events = follower.call_events()
        await watcher.shows("b")
        assert {*follower.mirror.channels} == {*follower.calls} == {"u1"}
        assert not follower.calls["u1"].complete  # it began before the follower did
        source.relabel("c", 2)
        await watcher.shows("c", 2)
    assert [type(one).__name__ for one in watcher.states[:3]] == ["Connecting", "Syncing", "Synced"]
    assert watcher.gaps == []
    assert [type(one).__name__ async for one in events] == ["CallStarted"]


async def test_a_follower_waits_for_the_first_complete_snapshot(redis_server):
    source = StreamSource(redis_server.client, users=50)
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await eventually(lambda: "no_publisher" in watcher.causes())
        assert "start `basix-ws-cti publish`" in str(follower.state.reason)
        source.lead()
        *most, end = encode_snapshot(source.mirror, part_size=500)
        source.append(*most)
        await eventually(lambda: follower.stats.frames >= len(most))
        assert not follower.is_synced
        assert not follower.mirror.users
        source.snapshot = EntryId(source.last.epoch, 1)
        source.append(end)
        await watcher.shows("a")
        assert len(follower.mirror.users) == 50
    assert watcher.gaps == []


async def test_a_snapshot_in_which_a_part_is_missing_is_not_used(redis_server):
    source = StreamSource(redis_server.client, users=50)
    source.lead()
    begin, _, *rest = encode_snapshot(source.mirror, part_size=500)
    source.append(begin, *rest)
    async with follower_of(redis_server.port) as follower:
        await eventually(lambda: follower.stats.frames >= len(rest) + 1)
        source.append(Msg("in between"))
        source.append_snapshot()
        await follower.synced(30)
        assert len(follower.mirror.users) == 50


async def test_a_stream_without_a_leader_is_not_current(redis_server, source):
    source.vanish()
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await eventually(lambda: isinstance(follower.state, Disconnected))
        assert watcher.causes() == ["no_publisher"]
        source.lead()
        await watcher.shows("a")


async def test_a_publisher_that_is_gone_is_reported_and_its_successor_causes_no_gap(
    redis_server, source
):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        source.vanish()
        await eventually(lambda: isinstance(follower.state, Disconnected))
        assert follower.state.reason.cause == "no_publisher"
        source.lead()
        source.relabel("b")
        await watcher.shows("b")
    assert watcher.gaps == []
    assert [type(one) for one in watcher.states].count(Synced) == 2


# -- lost positions ---------------------------------------------------------------------------


async def test_a_follower_whose_position_was_trimmed_has_one_gap(redis_server, source):
    async with Proxy(redis_server.port) as proxy, follower_of(proxy.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        before = follower.stats.frames
        link = next(iter(proxy.links))
        link.down.stall = 1.0  # the follower stands still
        for number in range(100):
            source.relabel(f"b{number}")
        source.append_snapshot()
        source.relabel("c", 2)
        source.trim(keep=6)  # the snapshot and what follows it
        await watcher.shows("c", 2)
        await watcher.shows("b99")
        assert follower.stats.frames < before + 100
        assert follower.stats.gaps == 1
    assert len(watcher.gaps) == 1
    assert watcher.gaps[0].reason.cause == "missed"
    assert all(change.synthetic for change in watcher.changes[-2:])


@pytest.mark.parametrize("fault", ["flushed", "deleted", "lower ids", "rolled back"])
async def test_a_replaced_stream_is_noticed(redis_server, source, fault):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        if fault == "rolled back":  # the last entries are gone
            known = source.last
            source.relabel("lost")
            await watcher.shows("lost")
            redis_server.client.xdel("basix", source.last.encode())
            source.last = known
        elif fault == "flushed":
            redis_server.client.flushall()
        else:
            redis_server.client.delete("basix")
        if fault == "lower ids":
            source.last = EntryId(0, 5)
            fields = encode(Msg("old")).fields(at=1, previous=NO_ENTRY, snapshot=NO_ENTRY)
            redis_server.client.xadd("basix", fields, id=b"7-0")
        await eventually(lambda: not follower.is_synced)
        await eventually(lambda: "missed" in watcher.causes())
        if fault != "rolled back":
            source.last = NO_ENTRY
            source.snapshot = NO_ENTRY
        if fault == "lower ids":
            source.last = EntryId(7, 0)
        source.begin()
        source.relabel("b")
        await watcher.shows("b")
    assert len(watcher.gaps) == 1


@pytest.mark.timing
@pytest.mark.parametrize("command", ["FLUSHALL", "DEL basix"])
async def test_a_replaced_stream_is_noticed_within_two_seconds(redis_server, source, command):
    async with follower_of(redis_server.port) as follower:
        await follower.synced()
        redis_server.client.execute_command(command)
        await eventually(lambda: not follower.is_synced, 3 * 2)


async def test_a_state_from_a_backup_is_not_current_until_a_publisher_has_compared_it(
    redis_server, source
):
    """A call that the backup does not have goes on, with the same id."""
    source.ring("u1")
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        call_events = []
        follower.on_call(call_events.append)
        await eventually(lambda: {*follower.calls} == {"u1"})
        roll_back = source.save()
        source.ring("u2")
        await eventually(lambda: {*follower.calls} == {"u1", "u2"})
        states = len(watcher.states)
        legs = source.mirror.channels
        frames = follower.stats.frames
        roll_back()
        await eventually(lambda: follower.stats.frames > frames)
        source.lead()
        now = datetime.now(UTC)
        source.append(Gap(now, now, ConnectionLost("lost")))
        source.append_snapshot()
        await eventually(lambda: follower.is_synced and watcher.gaps)
        assert {*follower.calls} == {*legs} == {"u1", "u2"}
        source.relabel("b")
        await watcher.shows("b")
    assert [type(one) for one in call_events] == [CallStarted] * 2  # one for each call
    assert len(watcher.gaps) == 1
    names = [type(one).__name__ for one in watcher.states[states:]]
    assert names.count("Synced") == 1


# -- unreadable entries -----------------------------------------------------------------------

BROKEN = {
    "bad UTF-8": (Entry("element", b'{"kind": "user\xff"}'), {}),
    "broken JSON": (Entry("element", b'{"kind": '), {}),
    "another shape": (Entry("element", b'{"kind": 5}'), {}),
    "bad UTF-8 in a field": (encode(Msg("a")), {b"type": b"\xff"}),
    "a missing part": (encode_elements("user", {1: User(id=1), 2: User(id=2)}, part_size=1)[1], {}),
    "newer version": (encode(Msg("a")), {b"v": b"2"}),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_an_unreadable_entry_is_counted_and_causes_a_gap(redis_server, source, kind):
    entry, fields = BROKEN[kind]
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        source.append(entry, **{name.decode(): value for name, value in fields.items()})
        source.relabel("b")
        await watcher.shows("b")
        assert follower.stats.bad_frames == 1
        assert follower.stats.gaps == 1
        assert follower.stats.connects == 1
        # What the entry may have changed is corrected by the next snapshot, without another gap.
        source.mirror.apply(InitialInfo("user", {9: User(id=9, label="new")}))
        source.append_snapshot()
        await watcher.shows("new", 9)
        source.relabel("newer", 9)
        await watcher.shows("newer", 9)
    assert len(watcher.gaps) == 1
    assert [type(one) for one in watcher.errors] == [type(watcher.gaps[0].reason)]
    assert isinstance(watcher.gaps[0].reason, EntryError)


async def test_entries_of_a_newer_version_are_not_guessed(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        source.append(*[Msg("a")] * 3, v=b"2")
        await eventually(lambda: follower.stats.bad_frames == 3)
        assert isinstance(follower.state, Disconnected)
        assert str(follower.state.reason) == (
            "the version of the format is not 1: upgrade this package"
        )
        source.begin()
        await watcher.shows("a")
    assert len(watcher.gaps) == 1
    assert len(watcher.errors) == 1  # reported once per kind


async def test_unknown_fields_and_types_are_ignored(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        source.append(Entry("weather", b'{"rain": true}'))
        source.append(Msg("a"), colour=b"\xff")
        source.relabel("b")
        await watcher.shows("b")
        assert follower.stats.bad_frames == 0
    assert watcher.gaps == []


async def test_an_unreadable_part_of_a_snapshot_makes_it_incomplete(redis_server):
    source = StreamSource(redis_server.client)
    source.lead()
    begin, part, end = encode_snapshot(source.mirror)
    source.snapshot = EntryId(source.last.epoch, 1)
    source.append(begin, Entry(part.type, b"{"), end)
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await eventually(lambda: follower.stats.bad_frames == 1)
        source.relabel("b")
        await asyncio.sleep(0)
        assert not follower.mirror.users
        source.append_snapshot()
        await watcher.shows("b")


async def test_elements_that_were_sent_again_replace_their_kind(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        users = {n: User(id=n, label="again") for n in (2, 3, 4)}
        source.append(*encode_elements("user", users, part_size=1))
        await watcher.shows("again", 4)
        assert {*follower.mirror.users} == {2, 3, 4}
    assert watcher.gaps == []


# -- the publisher's feed ---------------------------------------------------------------------


async def test_a_gap_of_the_publisher_is_passed_on(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        lost = ConnectionLost(1006, "no pong")
        source.append(Disconnected(lost, 2.0))
        await eventually(lambda: not follower.is_synced)
        assert (follower.state.retry_in, str(follower.state.reason)) == (2.0, str(lost))
        source.mirror.apply(InitialInfo("user", {1: User(id=1, label="b")}))
        source.append(Synced())
        source.append_snapshot()
        await watcher.shows("b")
    assert [str(one.reason) for one in watcher.gaps] == [str(lost)]
    assert watcher.errors == []


async def test_a_publisher_without_a_pbx_is_not_current(redis_server, source):
    source.append(Stopped(AuthenticationError(401, "Unauthorized")))
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await eventually(lambda: isinstance(follower.state, Disconnected))
        assert follower.state.reason.error == "AuthenticationError"
        assert not follower.mirror.users
        source.append_snapshot()
        await watcher.shows("a")
    assert watcher.gaps == []


# -- Redis and its link -----------------------------------------------------------------------


async def test_a_lost_connection_to_redis_loses_nothing(redis_server, source):
    async with Proxy(redis_server.port) as proxy, follower_of(proxy.port) as follower:
        watcher = Watcher(follower)
        messages = follower.messages()
        await watcher.shows("a")
        for number in range(20):
            next(iter(proxy.links)).cut(reset=True)
            source.append(Msg(str(number)))
            source.relabel(f"b{number}")
            await watcher.shows(f"b{number}")
        stats = follower.stats
    texts = [one.text async for one in messages if isinstance(one, Msg)]
    assert texts == [str(number) for number in range(20)]
    assert watcher.gaps == []
    assert stats.reconnects >= 20
    assert stats.gaps == stats.bad_frames == 0


@pytest.mark.timing
async def test_a_half_open_link_is_noticed_within_three_seconds(redis_server, source):
    async with Proxy(redis_server.port) as proxy, follower_of(proxy.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        link = next(iter(proxy.links))
        link.down.is_lost = link.up.is_lost = True
        await eventually(lambda: not follower.is_synced, 3 * 3)
        assert watcher.causes()[0] == "timeout"
        source.relabel("b")
        await watcher.shows("b")
    assert watcher.gaps == []


async def test_silence_is_no_error(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        asked = redis_server.client.info("commandstats")["cmdstat_xrevrange"]["calls"]
        await eventually(
            lambda: (
                redis_server.client.info("commandstats")["cmdstat_xrevrange"]["calls"] > asked + 2
            )
        )
        assert follower.is_synced
        assert follower.stats.connects == 1
    assert watcher.errors == []
    assert watcher.gaps == []


async def test_a_restarted_redis_loses_nothing(tmp_path, server_program):
    with RedisServer(tmp_path, aof=True, program=server_program) as server:
        source = StreamSource(server.client)
        source.begin()
        async with follower_of(server.port) as follower:
            watcher = Watcher(follower)
            await watcher.shows("a")
            server.kill()
            await eventually(lambda: "unreachable" in watcher.causes())
            server.start()
            source.relabel("b")
            await watcher.shows("b")
        assert watcher.gaps == []


async def test_a_redis_that_has_lost_its_data_is_noticed(redis_server, source):
    async with follower_of(redis_server.port) as follower:
        watcher = Watcher(follower)
        await watcher.shows("a")
        redis_server.kill()
        await eventually(lambda: not follower.is_synced)
        redis_server.start()
        await eventually(lambda: "missed" in watcher.causes())
        assert [type(one) for one in watcher.states].count(Synced) == 1
        source.last = source.snapshot = NO_ENTRY
        source.begin()
        await watcher.shows("a")
    assert len(watcher.gaps) == 1


async def test_a_refused_login_stops_the_follower(tmp_path, server_program, caplog):
    caplog.set_level(logging.DEBUG)
    with RedisServer(tmp_path, program=server_program) as server:
        server.client.config_set("requirepass", "right")
        follower = Follower(f"redis://:hunter2-secret@127.0.0.1:{server.port}")
        async with follower:
            with pytest.raises(RedisFeedError, match="refused the user name or the password") as e:
                await follower.synced(30)
            assert e.value.cause == "login"
            assert isinstance(follower.state, Stopped)
        assert "hunter2" not in repr(follower)
        assert "hunter2" not in caplog.text
        lines = traceback.TracebackException.from_exception(e.value, capture_locals=True)
        assert "hunter2" not in "".join(lines.format())
        server.client.execute_command("AUTH", "right")


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("http://:hunter2@localhost", {}, "redis must be a URL"),
        ("redis://:hunter2@example.com", {}, "would be sent unencrypted to example.com"),
        ("redis://:hunter2@localhost/x", {}, "the database in the URL of redis must be a number"),
        ("redis://:hunter2@localhost", {"stream": "a{b}"}, "must not contain braces"),
        ("redis://:hunter2@localhost", {"ca_file": 5}, "ca_file must be a path, got int"),
        ("redis://:hunter2@localhost", {"backoff": 5}, "backoff must be a Backoff"),
    ],
)
def test_arguments_that_cannot_work(url, options, text):
    with pytest.raises(UsageError, match=text) as error:
        Follower(url, **options)
    own = error.value.__traceback__.tb_next  # without the frame of this test
    lines = traceback.TracebackException(UsageError, error.value, own, capture_locals=True)
    assert "hunter2" not in "".join(lines.format())


async def test_leaving_the_block_leaves_no_connection(redis_server, source):
    def connections():
        return len(redis_server.client.client_list())

    before = connections()
    async with follower_of(redis_server.port) as follower:
        await follower.synced()
        assert connections() == before + 1
    await eventually(lambda: connections() == before)
    gc.collect()  # a connection that was not closed would raise a ResourceWarning
