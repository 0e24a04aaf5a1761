"""Mirror: messages in, changes and current state out."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import re
import sys
import threading
import time
import weakref

import attrs
import pytest
from support.cases import for_each

from basix_ws_cti import (
    Channel,
    Domain,
    FieldSpec,
    Group,
    GroupMember,
    InfoEvent,
    InitialInfo,
    MessageParser,
    Msg,
    OtherElement,
    ParkedChannel,
    QueuedChannel,
    SystemMsg,
    Terminal,
    User,
    WaitingChannel,
    to_dict,
)
from basix_ws_cti.elements import Extra
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror import mirror as mirror_module
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.timeline import Timeline


def event_about(element, name="updated"):
    return InfoEvent(element.element_name, element, name)


def initial(kind, *elements):
    return InitialInfo(kind, {element.key: element for element in elements})


TALKING = Channel(uuid="a", last_event="STATE_CHANGE")
ENDED = attrs.evolve(TALKING, last_event="CHANNEL_HANGUP", last_event_data="recv_bye,X")


def test_events_add_change_and_remove_elements():
    """An event adds an unknown element, changes a known one, and removes it once."""
    mirror = Mirror()
    one, other = User(id=1, label="a"), User(id=1, label="b", presence=2)
    assert mirror.apply(event_about(one, "added")) == [Added("user", one)]
    assert dict(mirror.users) == {1: one}
    (change,) = mirror.apply(event_about(other))
    assert change == Changed("user", other, one)
    assert change.fields == {"label": ("a", "b"), "presence": (None, 2)}
    assert mirror.apply(event_about(other, "removed")) == [Removed("user", other)]
    assert dict(mirror.users) == {}
    assert mirror.apply(event_about(other, "removed")) == []


def test_update_without_new_values_changes_nothing():
    mirror = Mirror()
    mirror.apply(event_about(User(id=1)))
    assert mirror.apply(event_about(User(id=1))) == []


def test_update_of_an_unknown_element_adds_it():
    """An unknown element is added, whatever the name of its first event."""
    mirror = Mirror()
    assert mirror.apply(event_about(User(id=1))) == [Added("user", User(id=1))]
    assert mirror.apply(event_about(User(id=2), "renamed")) == [Added("user", User(id=2))]


def test_change_of_an_extra_field_is_among_the_fields():
    mirror = Mirror()
    mirror.apply(event_about(User(id=1, extra=Extra(shoe=40, hat=1))))
    (change,) = mirror.apply(event_about(User(id=1, extra=Extra(shoe=41, hat=1))))
    assert change.fields == {"shoe": (40, 41)}
    assert change.key == 1


def test_initial_info_replaces_its_kind():
    """An initial_info replaces all elements of its kind; the differences are synthetic changes."""
    mirror = Mirror()
    a, b, b2, c = User(id=1), User(id=2), User(id=2, label="x"), User(id=3)
    first = mirror.apply(initial("user", a, b))
    assert first == [Added("user", a, synthetic=True), Added("user", b, synthetic=True)]
    assert mirror.apply(initial("user", b2, c)) == [
        Removed("user", a, synthetic=True),
        Changed("user", b2, b, synthetic=True),
        Added("user", c, synthetic=True),
    ]
    assert list(mirror.users.values()) == [b2, c]
    assert mirror.apply(initial("user", b2, c)) == []


def test_hung_up_channel_is_removed_once():
    """A channel is removed at its hang-up; the ``removed`` event that follows changes nothing."""
    mirror = Mirror()
    mirror.apply(event_about(TALKING, "added"))
    assert mirror.apply(event_about(ENDED)) == [Removed("channel", ENDED)]
    assert dict(mirror.channels) == {}
    assert mirror.apply(event_about(ENDED, "removed")) == []


def test_channel_removed_before_its_hangup_is_removed_once():
    """After ``removed``, only ``added`` brings a channel back."""
    mirror = Mirror()
    mirror.apply(event_about(TALKING, "added"))
    assert mirror.apply(event_about(TALKING, "removed")) == [Removed("channel", TALKING)]
    assert mirror.apply(event_about(ENDED)) == []
    assert mirror.apply(event_about(TALKING)) == []
    assert mirror.apply(event_about(TALKING, "added")) == [Added("channel", TALKING)]
    tagged = attrs.evolve(TALKING, tags=("x",))
    assert mirror.apply(event_about(tagged)) == [Changed("channel", tagged, TALKING)]


@for_each("name", ["updated", "added", "renamed"])
def test_no_event_revives_a_hung_up_channel(name):
    """No event brings back a channel that was hung up, nor its place in a queue."""
    mirror = Mirror()
    mirror.apply(event_about(TALKING))
    mirror.apply(event_about(ENDED))
    assert mirror.apply(event_about(TALKING, name)) == []
    assert mirror.apply(event_about(WaitingChannel(uuid="a"), name)) == []
    assert dict(mirror.channels) == dict(mirror.waiting_channels) == {}


def test_hangup_in_the_queue_removes_the_waiting_channel():
    """A waiting channel that is hung up is removed; its channel ends by its own event."""
    mirror = Mirror()
    waiting = WaitingChannel(uuid="a")
    mirror.apply(event_about(TALKING))
    mirror.apply(event_about(waiting))
    gone = attrs.evolve(waiting, last_event="CHANNEL_HANGUP")
    assert mirror.apply(event_about(gone)) == [Removed("channel_waiting", gone)]
    assert "a" in mirror.channels
    assert mirror.apply(event_about(ENDED)) == [Removed("channel", ENDED)]


def test_waiting_channel_is_removed_after_the_hangup_of_its_channel():
    mirror = Mirror()
    waiting = WaitingChannel(uuid="a")
    for message in (event_about(TALKING), event_about(waiting), event_about(ENDED)):
        mirror.apply(message)
    assert mirror.apply(event_about(waiting, "removed")) == [Removed("channel_waiting", waiting)]


def test_channel_can_be_parked_again():
    """A channel can be parked, retrieved, and parked again."""
    mirror = Mirror()
    waiting = ParkedChannel(uuid="a")
    for name, count in (("added", 1), ("removed", 0), ("added", 1), ("removed", 0), ("updated", 1)):
        mirror.apply(event_about(waiting, name))
        assert len(mirror.parked_channels) == count


def test_snapshot_does_not_add_a_hung_up_channel():
    mirror = Mirror()
    assert mirror.apply(initial("channel", TALKING, attrs.evolve(ENDED, uuid="b"))) == [
        Added("channel", TALKING, synthetic=True)
    ]


def test_snapshot_revives_an_ended_channel():
    """A channel in a new snapshot exists, even if it ended before."""
    mirror = Mirror()
    mirror.apply(event_about(TALKING))
    mirror.apply(event_about(ENDED))
    mirror.apply(initial("channel", TALKING))
    assert mirror.apply(event_about(attrs.evolve(TALKING, tags=("x",)))) != []


def test_number_of_remembered_ended_channels_is_limited(monkeypatch):
    """The mirror forgets the oldest ended channels first."""
    monkeypatch.setattr(mirror_module, "MAX_ENDED_CHANNELS", 3)
    mirror = Mirror()
    for number in range(5):
        mirror.apply(event_about(attrs.evolve(ENDED, uuid=str(number))))
    alive = [n for n in range(5) if mirror.apply(event_about(Channel(uuid=str(n))))]
    assert alive == [0, 1]


def test_domain_is_kept_when_it_is_removed():
    mirror = Mirror()
    assert mirror.domain is None
    mirror.apply(event_about(Domain(id=1, label="a"), "added"))
    assert mirror.apply(event_about(Domain(id=1, label="a"), "removed")) == []
    assert mirror.domain == Domain(id=1, label="a")


def test_event_about_an_element_without_a_key_changes_nothing():
    mirror = Mirror()
    assert mirror.apply(event_about(User(label="nobody"), "added")) == []
    assert mirror.apply(InfoEvent("robot", OtherElement(element_name="robot"), "added")) == []
    assert repr(mirror) == "<Mirror empty>"


def test_elements_without_a_key_are_identified_by_position():
    """The position of an element in its initial_info is its key if it has none."""
    one, two, three = (User(label=label) for label in "abc")
    mirror = Mirror()
    added = mirror.apply(InitialInfo("user", {0: one, 1: two, 7: User(id=7)}))
    assert [change.key for change in added] == [0, 1, 7]
    assert [change.position for change in added] == [0, 1, None]
    changed = mirror.apply(InitialInfo("user", {0: one, 1: three, 7: User(id=7, label="d")}))
    assert [(type(change), change.key) for change in changed] == [(Changed, 1), (Changed, 7)]
    removed = mirror.apply(InitialInfo("user", {}))
    assert [(type(change), change.key) for change in removed] == [
        (Removed, 0),
        (Removed, 1),
        (Removed, 7),
    ]
    assert "position" not in repr(removed)


@for_each("message", [FieldSpec("user", ("id",)), SystemMsg("logout"), Msg("hi")])
def test_messages_about_no_element_change_nothing(message):
    assert Mirror().apply(message) == []


def test_unknown_kinds_are_mirrored():
    """An unknown kind is mirrored like any other; a kind without elements is empty."""
    mirror = Mirror()
    robot = OtherElement(element_name="robot", extra=Extra(id=7))
    mirror.apply(InfoEvent("robot", robot, "added"))
    assert dict(mirror["robot"]) == {7: robot}
    assert dict(mirror["drone"]) == {}
    assert list(mirror) == ["robot"]
    assert repr(mirror) == "<Mirror 1 robot>"
    mirror.apply(event_about(User(id=1)))
    assert repr(mirror) == "<Mirror 1 robot, 1 user>"


def test_one_mirror_holds_elements_of_all_kinds():
    mirror = Mirror()
    elements = {
        "channels": Channel(uuid="a"),
        "waiting_channels": WaitingChannel(uuid="a"),
        "queued_channels": QueuedChannel(uuid="a"),
        "parked_channels": ParkedChannel(uuid="a"),
        "users": User(id=1),
        "groups": Group(id=1),
        "group_members": GroupMember(user_id=1, group_id=1),
        "terminals": Terminal(id=1),
    }
    for element in elements.values():
        mirror.apply(event_about(element))
    assert {name: [*getattr(mirror, name).values()] for name in elements} == {
        name: [element] for name, element in elements.items()
    }


@for_each(
    "name, element",
    [
        ("channels", Channel(uuid="a")),
        ("waiting_channels", WaitingChannel(uuid="a")),
        ("queued_channels", QueuedChannel(uuid="a")),
        ("parked_channels", ParkedChannel(uuid="a")),
        ("users", User(id=1)),
        ("groups", Group(id=1)),
        ("group_members", GroupMember(user_id=1, group_id=2)),
        ("terminals", Terminal(id=1)),
    ],
)
def test_each_kind_has_a_mapping_of_its_name(name, element):
    """A known kind has a mapping, which holds its elements by key."""
    mirror = Mirror()
    assert dict(getattr(mirror, name)) == {}
    mirror.apply(event_about(element, "added"))
    assert dict(getattr(mirror, name)) == {element.key: element}
    assert list(mirror) == [element.element_name]


def test_mappings_are_live_and_read_only():
    """A mapping that a user holds shows the current elements and cannot be written to."""
    mirror = Mirror()
    users = mirror.users
    mirror.apply(event_about(User(id=1)))
    assert list(users) == [1]
    other = Mirror()
    other.apply(event_about(User(id=2)))
    mirror.replace_with(other)
    assert list(users) == [2]
    with pytest.raises(TypeError):
        users[3] = User(id=3)


def test_mapping_behaves_like_a_dict():
    """A mapping has the order and look-ups of a dict; integer and text keys differ."""
    mirror = Mirror()
    two, one, text = (
        OtherElement(element_name="robot", extra=Extra(id=key)) for key in (2, 1, "1")
    )
    mirror.apply(initial("robot", two, one))
    mirror.apply(InfoEvent("robot", text, "added"))
    mirror.apply(InfoEvent("robot", one, "updated"))
    robots = mirror["robot"]
    assert robots == {2: two, 1: one, "1": text}
    assert list(robots) == [2, 1, "1"]
    assert list(robots.values()) == [two, one, text]
    assert list(robots.items()) == [(2, two), (1, one), ("1", text)]
    assert len(robots) == 3
    assert 1 in robots
    assert "2" not in robots
    assert None not in robots
    assert robots.get(3) is None
    assert repr(robots) == repr({2: two, 1: one, "1": text})
    with pytest.raises(KeyError, match="^3$"):
        robots[3]


def test_empty_kinds_are_kept_only_while_their_mapping_is_held():
    """Kinds of an earlier connection are forgotten once no user holds their mapping."""
    mirror, other = Mirror(), Mirror()
    robots = mirror["robot"]
    robot = OtherElement(element_name="robot", extra=Extra(id=7))
    mappings = []
    for number in range(3):
        connection = Mirror()
        kind = f"robot{number}"
        connection.apply(InfoEvent(kind, attrs.evolve(robot, element_name=kind), "added"))
        mirror.replace_with(connection)
        mappings.append(weakref.ref(mirror[kind]))
    gc.collect()
    assert [mapping() is None for mapping in mappings] == [True, True, False]
    other.apply(InfoEvent("robot", robot, "added"))
    mirror.replace_with(other)
    assert robots == {7: robot}
    mirror.replace_with(Mirror())
    assert robots == {}
    gc.collect()
    assert mappings[2]() is None
    assert mirror["robot"] is robots
    mirror.apply(InfoEvent("robot", robot, "added"))
    assert robots == {7: robot}
    mirror.replace_with(Mirror())
    mappings.append(weakref.ref(robots))
    del robots
    gc.collect()
    assert mappings[3]() is None


def test_replace_with_reports_the_differences():
    """The mirror takes over the other state, including its ended channels."""
    mirror, other = Mirror(), Mirror()
    for message in (
        event_about(User(id=1)),
        event_about(User(id=2)),
        event_about(TALKING),
        event_about(Group(id=5)),
    ):
        mirror.apply(message)
    for message in (
        event_about(User(id=2, label="x")),
        event_about(TALKING),
        event_about(ENDED),
        event_about(Terminal(id=9)),
    ):
        other.apply(message)
    changes = mirror.replace_with(other)
    assert all(change.synthetic for change in changes)
    assert [(type(c).__name__, c.element_name, c.key) for c in changes] == [
        ("Removed", "user", 1),
        ("Changed", "user", 2),
        ("Removed", "channel", "a"),
        ("Removed", "group", 5),
        ("Added", "terminal", 9),
    ]
    assert mirror.apply(event_about(TALKING)) == []
    other.apply(event_about(User(id=3)))
    assert 3 not in mirror.users


def test_replaced_elements_are_freed_step_by_step():
    """A step frees one old element at most: freeing all of them at once would take long."""

    class Label:
        """Field value that a weak reference can follow."""

    labels = [Label() for _ in range(9)]
    kept = weakref.WeakSet(labels)
    mirror, other = Mirror(), Mirror()
    mirror.apply(initial("user", *(User(id=at, label=label) for at, label in enumerate(labels))))
    del labels
    other.apply(initial("user", *(User(id=at) for at in range(9))))
    counts = [len(kept) for _ in mirror.replace_stepwise(other)]
    assert counts[-9:] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert not kept


def test_equal_texts_of_a_snapshot_become_one_object():
    mirror = Mirror()
    one, other = (Channel(uuid=uuid, calling_number=str(312341234)) for uuid in "ab")
    assert one.calling_number is not other.calling_number
    mirror.apply(initial("channel", one, other))
    a, b = mirror.channels.values()
    assert a.calling_number is b.calling_number


@pytest.fixture
def office():
    """A mirror of users, groups, terminals and three channels."""
    mirror = Mirror()
    for element in (
        *(User(id=1, main_extension="1001"), User(id=2, main_extension="1002")),
        *(Group(id=10, name="a"), Group(id=11, name="b")),
        GroupMember(id=100, user_id=1, group_id=10),
        GroupMember(user_id=2, group_id=10),
        GroupMember(id=102, user_id=1, group_id=11),
        GroupMember(id=105, user_id=1, group_id=10),  # a second membership
        GroupMember(id=103, user_id=3, group_id=12),
        GroupMember(id=104, group_id=10),
        *(Terminal(id=50, assoc_user_id=1), Terminal(id=51, assoc_user_id=2)),
        Channel(uuid="a", calling_number="+81312341234", called_number="1001", other_uuid="b"),
        Channel(uuid="b", calling_number="03-1234-1234", user_id=1, group_id=10, other_uuid="x"),
        Channel(uuid="c", calling_number="anonymous", called_number="RINGING_PARK1", group_id=10),
    ):
        mirror.apply(event_about(element, "added"))
    return mirror


def test_lookups_by_user_group_extension_and_other_leg(office):
    assert [leg.uuid for leg in office.channels_of_user(1)] == ["b"]
    assert [leg.uuid for leg in office.channels_of_group(10)] == ["b", "c"]
    assert [user.id for user in office.members_of_group(10)] == [1, 2]
    assert office.members_of_group(12) == []
    assert [group.id for group in office.groups_of_user(1)] == [10, 11]
    assert office.groups_of_user(3) == []
    assert [one.id for one in office.terminals_of_user(2)] == [51]
    assert office.user_by_extension("1002") == office.users[2]
    assert office.user_by_extension("1003") is None
    a, b, c = office.channels.values()
    assert office.other_leg(a) is b
    assert office.other_leg(b) is None
    assert office.other_leg(c) is None
    assert office.other_leg(Channel(uuid="d", other_uuid=[70000])) is None


@pytest.mark.parametrize("number", ["03-1234-1234", "81312341234", "tel:+81312341234"])
def test_channels_are_found_by_number_in_any_notation(office, number):
    """The notation of the number does not matter, neither in the query nor in the channel."""
    assert [leg.uuid for leg in office.channels_by_number(number)] == ["a", "b"]


def test_withheld_numbers_and_markers_find_no_channels(office):
    """Withheld numbers and markers match nothing; an extension matches the called number."""
    assert office.channels_by_number("anonymous") == []
    assert office.channels_by_number("RINGING_PARK1") == []
    assert [leg.uuid for leg in office.channels_by_number("1001")] == ["a"]


def test_unknown_country_code_is_a_usage_error():
    """It is reported when the mirror is made, not at the first look-up."""
    with pytest.raises(UsageError, match="unknown country_code '\\+81'"):
        Mirror(country_code="+81")


def as_dicts(mirror):
    """Return the elements of a mirror as dicts, by kind and key."""
    return {kind: {key: to_dict(one) for key, one in mirror[kind].items()} for kind in mirror}


@pytest.mark.slow
@for_each("is_older_server", [False, True])
def test_mirror_and_changes_follow_a_simulated_day(is_older_server):
    """After each step, the mirror and the applied changes show the state of the simulated PBX."""
    pbx, writer, parser = Pbx(11, older=is_older_server), Writer(), MessageParser()
    scenarios.populate(pbx, 30)
    mirror, known = Mirror(), {}

    def apply_changes(changes):
        for change in changes:
            elements = known.setdefault(change.element_name, {})
            match change:
                case Added():
                    assert change.key not in elements
                    elements[change.key] = change.element
                case Changed(_, element, old):
                    assert elements[change.key] is old
                    assert change.fields
                    elements[change.key] = element
                case Removed():
                    del elements[change.key]

    def on_event(kind, _, values, event_name):
        frame = writer.info_event(kind, writer.record(kind, values), event_name)
        apply_changes(mirror.apply(parser.parse(frame)))

    for kind, elements in pbx.snapshot().items():
        parser.parse(writer.field_spec(kind))
        records = [writer.record(kind, one) for one in elements.values()]
        apply_changes(mirror.apply(parser.parse(writer.initial_info(kind, records))))
    pbx.listeners.append(on_event)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 40))
    for _ in range(1500):
        timeline.step()
        if random.random() < 0.1:
            assert as_dicts(mirror) == {k: v for k, v in pbx.snapshot().items() if v}
    assert {k: v for k, v in known.items() if v} == {kind: dict(mirror[kind]) for kind in mirror}
    assert as_dicts(mirror) == {k: v for k, v in pbx.snapshot().items() if v}


# -- threads and copies -------------------------------------------------------------------

READS = {
    "iteration": lambda mirror: [*mirror.channels],
    "values": lambda mirror: [to_dict(leg) for leg in mirror.channels.values()],
    "items": lambda mirror: {**dict(mirror.channels.items())},
    "views": lambda mirror: ([*mirror.channels.keys()], mirror.channels == {}),
    "kinds": lambda mirror: [len(mirror[kind]) for kind in mirror],
    "texts": lambda mirror: (repr(mirror), repr(mirror.channels)),
    "channels_of_user": lambda mirror: mirror.channels_of_user(1),
    "channels_by_number": lambda mirror: mirror.channels_by_number("0312345678"),
    "members_of_group": lambda mirror: mirror.members_of_group(1),
    "groups_of_user": lambda mirror: mirror.groups_of_user(1),
    "domain": lambda mirror: mirror.domain,
    "copy": lambda mirror: mirror.copy(),
    "pickle": lambda mirror: pickle.loads(pickle.dumps(mirror)),
}


@pytest.fixture
def quick_switches():
    """Lets threads alternate after a few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def legs_of(numbers):
    return [
        Channel(uuid=f"{n}", user_id=1, calling_number="0312345678", offer_timestamp=n)
        for n in numbers
    ]


@pytest.mark.slow
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_any_thread_may_read_while_the_mirror_changes(read, quick_switches):
    """Events and new snapshots disturb no reader."""
    snapshots = []
    for first in (0, 20):
        other = Mirror()
        other.apply(initial("channel", *legs_of(range(first, first + 40))))
        other.apply(initial("user", User(id=1), User(id=first)))
        other.apply(initial("group_member", GroupMember(id=first, user_id=1, group_id=1)))
        other.apply(initial("group", Group(id=1)))
        other.apply(initial(f"kind{first}", OtherElement(element_name="x", extra=Extra(id=1))))
        snapshots.append(other)
    mirror, errors, stop = Mirror(), [], threading.Event()

    def read_on():
        try:
            while not stop.is_set():
                read(mirror)
        except Exception as error:  # noqa: BLE001 - of any kind
            errors.append(error)

    thread = threading.Thread(target=read_on)
    thread.start()
    try:
        end = time.monotonic() + 0.4
        while time.monotonic() < end and not errors:
            for snapshot in snapshots:
                mirror.replace_with(snapshot)
                for leg in legs_of(range(100, 130)):
                    mirror.apply(event_about(leg, "added"))
                for leg in legs_of(range(100, 130)):
                    mirror.apply(event_about(leg, "removed"))
    finally:
        stop.set()
        thread.join()
    assert errors == []


@pytest.mark.slow
def test_copy_holds_the_state_of_one_moment(quick_switches):
    """Elements of different kinds belong together in a copy made in another thread."""
    states = [Mirror() for _ in range(2)]
    for number, state in enumerate(states):
        state.apply(initial("user", User(id=number)))
        state.apply(initial("group", Group(id=number)))
    mirror, seen, stop = states[0].copy(), set(), threading.Event()

    def copy_on():
        while not stop.is_set():
            copied = mirror.copy()
            seen.add((*copied.users, *copied.groups))

    thread = threading.Thread(target=copy_on)
    thread.start()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        for state in states:
            mirror.replace_with(state)
    stop.set()
    thread.join()
    assert seen == {(0, 0), (1, 1)}


@pytest.mark.slow
def test_copy_shows_no_channel_that_it_takes_for_ended(quick_switches):
    """Copies that are made while channels end and begin can follow the feed."""
    mirror, kept, stop = Mirror(), [], threading.Event()
    legs = [Channel(uuid=str(number)) for number in range(5)]

    def copy_on():
        while not stop.is_set():
            copied = mirror.copy()
            for leg in legs:
                copied.apply(event_about(leg, "removed"))
            kept.extend(copied.channels)

    thread = threading.Thread(target=copy_on)
    thread.start()
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        for event_name in ("added", "removed"):
            for leg in legs:
                mirror.apply(event_about(leg, event_name))
    stop.set()
    thread.join()
    assert kept == []


def test_event_waits_for_a_copy_in_another_thread():
    """An event that arrives while a copy is made is applied after it."""
    is_copied, may_go_on = threading.Event(), threading.Event()

    class SlowDict(dict):
        def copy(self):
            is_copied.set()
            assert may_go_on.wait(5)
            return dict(self)

    mirror, copies = Mirror(), []
    elements = {"user": SlowDict({1: User(id=1)})}
    mirror.__setstate__({**mirror.__getstate__(), "elements": elements})
    reader = threading.Thread(target=lambda: copies.append(mirror.copy()))
    writer = threading.Thread(target=mirror.apply, args=[event_about(User(id=2), "added")])
    reader.start()
    assert is_copied.wait(5)
    writer.start()
    writer.join(0.05)
    assert writer.is_alive()
    assert len(mirror.users) == 1
    may_go_on.set()
    for thread in (reader, writer):
        thread.join(5)
    assert [*copies[0].users] == [1]
    assert len(mirror.users) == 2


@pytest.mark.slow
def test_copy_follows_the_order_of_events(quick_switches):
    """A copy does not show an event of one kind without the earlier events of other kinds."""
    mirror, early, stop = Mirror(), [], threading.Event()
    # Kinds are copied in the order of their arrival; many of them make a copy take long.
    kinds = ["first", *(f"kind{number}" for number in range(100)), "last"]
    first, *_, last = elements = [
        OtherElement(element_name=kind, extra=Extra(id=1)) for kind in kinds
    ]
    for element in elements:
        mirror.apply(event_about(element, "added"))

    def copy_on():
        while not stop.is_set():
            copied = mirror.copy()
            # The last element comes and goes while the first one is there.
            if copied["last"] and not copied["first"]:
                early.append(copied)

    thread = threading.Thread(target=copy_on)
    thread.start()
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        mirror.apply(event_about(last, "removed"))
        mirror.apply(event_about(first, "removed"))
        mirror.apply(event_about(first, "added"))
        mirror.apply(event_about(last, "added"))
    stop.set()
    thread.join()
    assert early == []


@pytest.mark.parametrize(
    "make_copy",
    [Mirror.copy, copy.copy, copy.deepcopy, lambda mirror: pickle.loads(pickle.dumps(mirror))],
)
def test_copies_of_a_mirror_are_independent(office, make_copy):
    """A copy has the same elements and the same memory of ended channels."""
    office.apply(event_about(Channel(uuid="z", last_event="CHANNEL_HANGUP")))
    before = {kind: dict(office[kind]) for kind in office}
    copied = make_copy(office)
    office.apply(InitialInfo("user", {}))
    assert {kind: dict(copied[kind]) for kind in copied} == before
    assert copied.apply(event_about(Channel(uuid="z"))) == []
    copied.apply(initial("robot", OtherElement(element_name="robot", extra=Extra(id=1))))
    assert not office["robot"]
    assert copied["robot"]


def test_copy_keeps_the_country_code():
    mirror = Mirror(country_code="44")
    mirror.apply(event_about(Channel(uuid="a", calling_number="+442071234567")))
    assert len(mirror.copy().channels_by_number("02071234567")) == 1


def test_views_kept_across_a_new_snapshot_are_current():
    mirror, other = Mirror(), Mirror()
    mirror.apply(event_about(User(id=1)))
    values, items = mirror.users.values(), mirror.users.items()
    other.apply(event_about(User(id=2)))
    mirror.replace_with(other)
    assert ([*values], [*items]) == ([User(id=2)], [(2, User(id=2))])
    mirror.replace_with(Mirror())
    assert not [*values]
    mirror.apply(event_about(User(id=3)))
    assert [*values] == [User(id=3)]


def test_notebooks_show_the_number_of_elements_of_each_kind():
    mirror = Mirror()
    mirror.apply(InitialInfo("user", {7: User(id=7), 8: User(id=8)}))
    html = mirror._repr_html_()
    assert re.findall("<t[hd][^>]*>(.*?)</t[hd]>", html) == ["Kind", "Elements", "user", "2"]
