"""Entry player: entries of a stream applied to a session."""

from datetime import UTC, datetime, timedelta

import pytest

from basix_ws_cti import ConnectionLost, Session
from basix_ws_cti.elements import Channel, OtherElement, User
from basix_ws_cti.fanout.entries import (
    Entry,
    EntryError,
    NewerVersionError,
    ReceivedEntry,
    RelayedError,
)
from basix_ws_cti.fanout.entry_encoder import encode, encode_elements, encode_epoch, encode_snapshot
from basix_ws_cti.fanout.entry_player import EntryPlayer
from basix_ws_cti.fanout.stream import NO_ENTRY, EntryId
from basix_ws_cti.messages import InfoEvent, InitialInfo, Msg
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
LOST = ConnectionLost(1006, "no pong")


def at(seconds):
    return START + timedelta(seconds=seconds)


def mirror_of(label="a", **channels):
    mirror = Mirror()
    mirror.apply(InitialInfo("user", {1: User(id=1, label=label)}))
    mirror.apply(InitialInfo("channel", {uuid: Channel(uuid=uuid) for uuid in channels}))
    return mirror


def relabelled(label, old="a"):
    return encode(Changed("user", User(id=1, label=label), User(id=1, label=old)))


class Stage:
    """Player whose entries are one second apart; ``items`` are the results without pauses."""

    def __init__(self):
        self.session = Session()
        self.player = EntryPlayer(self.session)
        self.items = []
        self._seq = 0

    def collect(self, items):
        got = [one for one in items if one is not None]
        self.items += got
        return got

    def play(self, *entries):
        got = []
        for entry in entries:
            self._seq += 1
            moment = START.timestamp() + self._seq
            one = ReceivedEntry(
                EntryId(5, self._seq),
                EntryId(5, self._seq - 1),
                NO_ENTRY,
                round(moment * 1e6),
                entry.type,
                entry.data,
            )
            try:
                got += self.collect(self.player.receive(one))
            except EntryError as error:
                got += self.collect(self.player.reject(one.id, error))
        return got

    def reject(self, error):
        self._seq += 1
        return self.collect(self.player.reject(EntryId(5, self._seq), error))

    def start(self, mirror=None):
        self.play(*encode_snapshot(mirror or mirror_of()))
        return self.collect(self.player.caught_up())

    @property
    def label(self):
        return self.session.mirror.users[1].label


def kinds(items):
    return [type(one) for one in items]


def test_nothing_is_visible_before_the_newest_entry():
    stage = Stage()
    assert stage.play(*encode_snapshot(mirror_of()), relabelled("b")) == []
    assert not stage.session.mirror.users
    items = stage.collect(stage.player.caught_up())
    assert kinds(items)[-2:] == [Synced, Added]
    assert items[0] == Syncing()
    assert stage.label == "b"
    assert stage.player.is_current
    assert stage.collect(stage.player.caught_up()) == []


def test_entries_after_that_are_applied_at_once():
    stage = Stage()
    stage.start()
    stage.session.follow_calls()
    items = stage.play(relabelled("b"), encode(Added("channel", Channel(uuid="u"))))
    assert [type(one).__name__ for one in items] == [
        *("Changed", "InfoEvent", "Added", "CallStarted", "InfoEvent")
    ]
    assert stage.play(encode(Msg("hello"))) == [Msg("hello")]


def test_a_snapshot_is_skipped_while_the_state_is_current():
    stage = Stage()
    stage.start()
    assert stage.play(*encode_snapshot(mirror_of("other"))) == []
    assert stage.label == "a"


def test_call_events_epochs_and_unknown_types_are_skipped():
    stage = Stage()
    stage.start()
    assert stage.play(encode_epoch("two"), Entry("call", b"{"), Entry("weather", b"{")) == []


@pytest.mark.parametrize(("previous", "expected"), [(EntryId(5, 1), False), (EntryId(5, 3), True)])
def test_an_entry_continues_the_one_that_it_names(previous, expected):
    stage = Stage()
    assert stage.player.continues(EntryId(9, 9), EntryId(9, 8))
    stage.start()
    assert stage.player.position == EntryId(5, 3)
    assert stage.player.continues(EntryId(5, 4), previous) is expected


def test_the_gap_of_the_publisher_has_its_times():
    stage = Stage()
    stage.start(mirror_of("a", u=1))
    states = stage.play(
        encode(Disconnected(LOST, None, last_heard=at(2))),
        encode(Disconnected(LOST, 1.5)),
        encode(Connecting(2)),
        encode(Syncing()),
        encode(Synced()),
    )
    assert kinds(states) == [Disconnected, Disconnected, Connecting, Syncing]
    assert (states[0].last_heard, states[1].retry_in, states[2].attempt) == (at(2), 1.5, 2)
    assert not stage.player.is_current
    gap = encode(Gap(at(1.5), at(30.25), LOST))
    items = stage.play(gap, relabelled("ignored"), *encode_snapshot(mirror_of("b")))
    changes = [one for one in items if isinstance(one, Gap | Changed | Removed)]
    assert (changes[0].started, changes[0].ended) == (at(1.5), at(30.25))
    assert str(changes[0].reason) == str(LOST)
    assert kinds(changes) == [Gap, Removed, Changed]
    assert all(one.synthetic for one in changes[1:])
    assert kinds(items).index(Synced) < kinds(items).index(Gap)
    assert stage.session.gaps == 1


def test_gaps_of_two_publishers_in_a_row_are_one():
    """The first one was killed before it had appended a snapshot."""
    stage = Stage()
    stage.start()
    stage.play(encode(Gap(at(1), at(2), LOST)), encode(Gap(at(3), at(4), LOST)))
    items = stage.play(*encode_snapshot(mirror_of("b")))
    assert [(one.started, one.ended) for one in items if isinstance(one, Gap)] == [(at(1), at(4))]


def test_a_gap_without_a_loss_begins_one():
    stage = Stage()
    stage.start()
    [state] = stage.play(encode(Gap(at(1), at(2), None)))
    assert isinstance(state, Disconnected)
    assert state.last_heard == at(1)
    items = stage.play(*encode_snapshot(mirror_of("b")))
    assert [(one.started, one.ended) for one in items if isinstance(one, Gap)] == [(at(1), at(2))]


def test_a_publisher_that_has_stopped_leaves_the_follower_waiting():
    stage = Stage()
    stage.start()
    [state] = stage.play(encode(Stopped(None)))
    assert state == Disconnected(state.reason, None)
    assert str(state.reason) == "the publisher has stopped"
    assert isinstance(state.reason, RelayedError)


def test_the_state_of_the_publisher_at_the_newest_entry_is_reported():
    stage = Stage()
    stage.play(*encode_snapshot(mirror_of()), encode(Disconnected(LOST, None)))
    [state] = stage.collect(stage.player.caught_up())
    assert isinstance(state, Disconnected)
    assert not stage.player.is_current
    items = stage.play(*encode_snapshot(mirror_of("b")))
    assert Gap not in kinds(items)  # nothing was current before
    assert stage.label == "b"


def test_missed_entries_cause_one_gap():
    stage = Stage()
    stage.start()
    stage.play(relabelled("b"))
    reason = RelayedError("Missed", "missed")
    items = stage.collect(stage.player.lost(reason))
    assert items == [Disconnected(reason, None)]
    assert items[0].last_heard == at(4)
    assert stage.player.position is None
    assert kinds(stage.collect(stage.player.lost(reason))) == [Disconnected]
    items = stage.start(mirror_of("c"))
    assert kinds(items)[:1] == [Syncing]
    [gap] = [one for one in items if isinstance(one, Gap)]
    assert (gap.started, gap.ended, gap.reason) == (at(4), at(7), reason)


def test_a_gap_of_the_publisher_among_missed_entries_does_not_end_that_of_the_follower():
    stage = Stage()
    stage.start()
    stage.collect(stage.player.lost(RelayedError("Missed", "missed")))
    stage.play(encode(Gap(at(1), at(2), LOST)), *encode_snapshot(mirror_of("b")), relabelled("c"))
    items = stage.collect(stage.player.caught_up())
    [gap] = [one for one in items if isinstance(one, Gap)]
    assert (gap.started, gap.ended, gap.reason.error) == (at(3), at(8), "Missed")


def test_a_loss_of_the_pbx_before_missed_entries_is_where_the_gap_begins():
    stage = Stage()
    stage.start()
    stage.play(encode(Disconnected(LOST, None, last_heard=at(1))))
    stage.collect(stage.player.lost(RelayedError("Missed", "missed")))
    items = stage.start()
    [gap] = [one for one in items if isinstance(one, Gap)]
    assert (gap.started, str(gap.reason)) == (at(1), str(LOST))


def test_an_unreadable_entry_causes_a_gap_at_once_and_a_comparison_later():
    stage = Stage()
    stage.start(mirror_of("a", u=1))
    items = stage.play(Entry("element", b"{"))
    assert kinds(items)[0] is Disconnected
    assert kinds(items)[-2:] == [Synced, Gap]
    assert isinstance(items[-1].reason, EntryError)
    assert stage.player.is_current
    items = stage.play(*encode_snapshot(mirror_of("b")))
    changes = [one for one in items if isinstance(one, Changed | Removed)]
    assert {*kinds(changes)} == {Changed, Removed}
    assert stage.label == "b"
    assert stage.play(*encode_snapshot(mirror_of("other"))) == []
    assert stage.session.gaps == 1


def test_after_an_entry_of_a_newer_version_a_readable_one_is_waited_for():
    stage = Stage()
    stage.start()
    assert kinds(stage.reject(NewerVersionError("newer"))) == [Disconnected]
    assert stage.reject(NewerVersionError("newer")) == []
    assert stage.collect(stage.player.caught_up()) == []
    items = stage.play(relabelled("b"))
    assert kinds([one for one in items if not isinstance(one, InitialInfo)]) == [
        *(Syncing, Synced, Gap, Changed)
    ]
    assert stage.label == "b"


def test_unreadable_entries_before_the_newest_one():
    stage = Stage()
    stage.play(*encode_snapshot(mirror_of()))
    assert stage.reject(NewerVersionError("newer")) == []
    assert stage.collect(stage.player.caught_up()) == []
    stage.play(relabelled("b"))
    assert stage.label == "b"


@pytest.mark.parametrize("is_current", [True, False])
def test_a_kind_that_was_sent_again_replaces_the_old_one(is_current):
    stage = Stage()
    entries = encode_elements("user", {1: User(id=1, label="b"), 2: User(id=2)}, part_size=1)
    robots = encode_elements("robot", {0: OtherElement(element_name="robot")})
    if is_current:
        stage.start()
        stage.play(*entries, *robots)
    else:
        stage.play(*encode_snapshot(mirror_of()), *entries, *robots)
        stage.collect(stage.player.caught_up())
    assert {*stage.session.mirror.users} == {1, 2}
    assert stage.label == "b"
    assert {*stage.session.mirror["robot"]} == {0}


def test_a_kind_without_its_first_part_is_unreadable():
    stage = Stage()
    stage.start()
    first, second = encode_elements("user", {1: User(id=1, label="b"), 2: User(id=2)}, part_size=1)
    assert Gap in kinds(stage.play(second))
    assert Gap in kinds(stage.play(first, encode(Msg("between")), second))
    assert stage.label == "a"


@pytest.mark.parametrize("loss", ["a part", "the end", "another entry"])
def test_an_incomplete_snapshot_is_not_used(loss):
    stage = Stage()
    begin, part, *parts, end = encode_snapshot(mirror_of("a", u=1))
    entries = {
        "a part": [begin, *parts, end],
        "the end": [begin, part, *parts],
        "another entry": [begin, part, encode(Msg("between")), *parts, end],
    }[loss]
    stage.play(*entries)
    assert stage.collect(stage.player.caught_up()) == []
    assert not stage.player.is_current
    stage.play(*encode_snapshot(mirror_of("b")))
    assert stage.label == "b"


def test_calls_of_a_snapshot_are_counted_and_not_decoded():
    stage = Stage()
    source = Session()
    source.follow_calls()
    list(source.connected())
    list(source.receive(InitialInfo("channel", {"u": Channel(uuid="u")}), 0))
    list(source.idle(1))
    stage.play(*encode_snapshot(source.mirror, source.calls.values()))
    stage.collect(stage.player.caught_up())
    assert {*stage.session.calls} == {"u"}


def test_an_empty_snapshot_is_complete():
    stage = Stage()
    assert Synced() in stage.start(Mirror())


def test_changes_while_the_state_is_built_are_not_reported():
    stage = Stage()
    stage.play(relabelled("early"), *encode_snapshot(mirror_of()), encode(Msg("old")))
    items = stage.collect(stage.player.caught_up())
    assert not any(isinstance(one, Msg | InfoEvent | Changed) for one in items)
    assert "not current" not in repr(stage.player)
    assert "5-5" in repr(stage.player)
