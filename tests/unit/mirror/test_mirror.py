from __future__ import annotations

import random

import attrs
import pytest

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
from basix_ws_cti.mirror import mirror as module
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.timeline import Timeline


def event(element, name="updated"):
    return InfoEvent(element.element_name, element, name)


def initial(kind, *elements):
    return InitialInfo(kind, {element.key: element for element in elements})


TALKS = Channel(uuid="a", last_event="STATE_CHANGE")
ENDED = attrs.evolve(TALKS, last_event="CHANNEL_HANGUP", last_event_data="recv_bye,X")


def test_added_changed_removed():
    """An event adds what is not there, changes what is, and removes it."""
    mirror = Mirror()
    one, other = User(id=1, label="a"), User(id=1, label="b", presence=2)
    assert mirror.apply(event(one, "added")) == [Added("user", one)]
    assert dict(mirror.users) == {1: one}
    (change,) = mirror.apply(event(other))
    assert change == Changed("user", other, one)
    assert change.fields == {"label": ("a", "b"), "presence": (None, 2)}
    assert mirror.apply(event(other, "removed")) == [Removed("user", other)]
    assert dict(mirror.users) == {}
    assert mirror.apply(event(other, "removed")) == []


def test_the_same_again_is_no_change():
    """An update that says nothing new changes nothing."""
    mirror = Mirror()
    mirror.apply(event(User(id=1)))
    assert mirror.apply(event(User(id=1))) == []


def test_an_update_of_the_unknown_adds():
    """An element of which the first word is an update, or an event of another name, is added."""
    mirror = Mirror()
    assert mirror.apply(event(User(id=1))) == [Added("user", User(id=1))]
    assert mirror.apply(event(User(id=2), "renamed")) == [Added("user", User(id=2))]


def test_extra_fields_change():
    """A change of a field that the class does not know is among the fields."""
    mirror = Mirror()
    mirror.apply(event(User(id=1, extra=Extra(shoe=40, hat=1))))
    (change,) = mirror.apply(event(User(id=1, extra=Extra(shoe=41, hat=1))))
    assert change.fields == {"shoe": (40, 41)}
    assert change.key == 1


def test_a_snapshot_replaces_its_kind():
    """An initial_info replaces all of its kind; what differs are synthetic changes."""
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


def test_a_hung_up_channel_is_gone_once():
    """A channel is gone at its hang-up; the removed that follows is not reported again."""
    mirror = Mirror()
    mirror.apply(event(TALKS, "added"))
    assert mirror.apply(event(ENDED)) == [Removed("channel", ENDED)]
    assert dict(mirror.channels) == {}
    assert mirror.apply(event(ENDED, "removed")) == []


def test_removed_first():
    """A channel that is removed before its hang-up is told is gone, once, as well."""
    mirror = Mirror()
    mirror.apply(event(TALKS, "added"))
    assert mirror.apply(event(TALKS, "removed")) == [Removed("channel", TALKS)]
    assert mirror.apply(event(ENDED)) == []
    assert mirror.apply(event(TALKS)) == []
    assert mirror.apply(event(TALKS, "added")) == [Added("channel", TALKS)]
    tagged = attrs.evolve(TALKS, tags=("x",))
    assert mirror.apply(event(tagged)) == [Changed("channel", tagged, TALKS)]


@pytest.mark.parametrize("name", ["updated", "added", "renamed"])
def test_nothing_comes_back_from_a_hang_up(name):
    """No event brings back a channel that was hung up, nor its place in a queue."""
    mirror = Mirror()
    mirror.apply(event(TALKS))
    mirror.apply(event(ENDED))
    assert mirror.apply(event(TALKS, name)) == []
    assert mirror.apply(event(WaitingChannel(uuid="a"), name)) == []
    assert dict(mirror.channels) == dict(mirror.waiting_channels) == {}


def test_a_hang_up_in_the_queue():
    """A waiting channel that is hung up waits no more, and its channel ends by its own event."""
    mirror = Mirror()
    waiting = WaitingChannel(uuid="a")
    mirror.apply(event(TALKS))
    mirror.apply(event(waiting))
    gone = attrs.evolve(waiting, last_event="CHANNEL_HANGUP")
    assert mirror.apply(event(gone)) == [Removed("channel_waiting", gone)]
    assert "a" in mirror.channels
    assert mirror.apply(event(ENDED)) == [Removed("channel", ENDED)]


def test_the_queue_is_left_after_the_hang_up():
    """A waiting channel's removal that comes after its channel's hang-up is told."""
    mirror = Mirror()
    waiting = WaitingChannel(uuid="a")
    for message in (event(TALKS), event(waiting), event(ENDED)):
        mirror.apply(message)
    assert mirror.apply(event(waiting, "removed")) == [Removed("channel_waiting", waiting)]


def test_waiting_twice():
    """A channel can wait, be fetched, and wait again."""
    mirror = Mirror()
    waiting = ParkedChannel(uuid="a")
    for name, count in (("added", 1), ("removed", 0), ("added", 1), ("removed", 0), ("updated", 1)):
        mirror.apply(event(waiting, name))
        assert len(mirror.parked_channels) == count


def test_a_hung_up_channel_in_a_snapshot():
    """A channel that was hung up already is not added by a snapshot."""
    mirror = Mirror()
    assert mirror.apply(initial("channel", TALKS, attrs.evolve(ENDED, uuid="b"))) == [
        Added("channel", TALKS, synthetic=True)
    ]


def test_a_snapshot_revives():
    """A channel that a new snapshot shows lives, whatever was said of it before."""
    mirror = Mirror()
    mirror.apply(event(TALKS))
    mirror.apply(event(ENDED))
    mirror.apply(initial("channel", TALKS))
    assert mirror.apply(event(attrs.evolve(TALKS, tags=("x",)))) != []


def test_what_is_gone_is_forgotten_at_last(monkeypatch):
    """The memory of channels that are gone is bounded; the oldest are forgotten first."""
    monkeypatch.setattr(module, "MAX_ENDED_CHANNELS", 3)
    mirror = Mirror()
    for number in range(5):
        mirror.apply(event(attrs.evolve(ENDED, uuid=str(number))))
    alive = [n for n in range(5) if mirror.apply(event(Channel(uuid=str(n))))]
    assert alive == [0, 1]


def test_the_domain_stays():
    """The domain is kept even when it is removed."""
    mirror = Mirror()
    assert mirror.domain is None
    mirror.apply(event(Domain(id=1, label="a"), "added"))
    assert mirror.apply(event(Domain(id=1, label="a"), "removed")) == []
    assert mirror.domain == Domain(id=1, label="a")


def test_without_a_key():
    """An event about an element without a key changes nothing."""
    mirror = Mirror()
    assert mirror.apply(event(User(label="nobody"), "added")) == []
    assert mirror.apply(InfoEvent("robot", OtherElement(element_name="robot"), "added")) == []
    assert repr(mirror) == "<Mirror empty>"


def test_changes_of_what_has_no_key():
    """Elements of an initial_info that have no key are told apart by their positions there."""
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


@pytest.mark.parametrize("message", [FieldSpec("user", ("id",)), SystemMsg("logout"), Msg("hi")])
def test_other_messages(message):
    """Messages that are not about elements change nothing."""
    assert Mirror().apply(message) == []


def test_any_kind():
    """A kind nobody has heard of is mirrored as well; one that is not there is empty."""
    mirror = Mirror()
    robot = OtherElement(element_name="robot", extra=Extra(id=7))
    mirror.apply(InfoEvent("robot", robot, "added"))
    assert dict(mirror["robot"]) == {7: robot}
    assert dict(mirror["drone"]) == {}
    assert list(mirror) == ["robot"]
    assert repr(mirror) == "<Mirror 1 robot>"
    mirror.apply(event(User(id=1)))
    assert repr(mirror) == "<Mirror 1 robot, 1 user>"


def test_a_mapping_for_each_kind():
    """Each kind of element that is known is found in the mapping of its name."""
    mirror = Mirror()
    held = {
        "channels": Channel(uuid="a"),
        "waiting_channels": WaitingChannel(uuid="a"),
        "queued_channels": QueuedChannel(uuid="a"),
        "parked_channels": ParkedChannel(uuid="a"),
        "users": User(id=1),
        "groups": Group(id=1),
        "group_members": GroupMember(user_id=1, group_id=1),
        "terminals": Terminal(id=1),
    }
    for element in held.values():
        mirror.apply(event(element))
    assert {name: [*getattr(mirror, name).values()] for name in held} == {
        name: [element] for name, element in held.items()
    }


@pytest.mark.parametrize(
    ("name", "element"),
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
def test_each_kind_has_its_mapping(name, element):
    """The elements of a known kind are in the mapping named after them, by their key."""
    mirror = Mirror()
    assert dict(getattr(mirror, name)) == {}
    mirror.apply(event(element, "added"))
    assert dict(getattr(mirror, name)) == {element.key: element}
    assert list(mirror) == [element.element_name]


def test_views_are_live_and_read_only():
    """A mapping that is held shows what is there, and can't be written to."""
    mirror = Mirror()
    users = mirror.users
    mirror.apply(event(User(id=1)))
    assert list(users) == [1]
    other = Mirror()
    other.apply(event(User(id=2)))
    mirror.replace_with(other)
    assert list(users) == [2]
    with pytest.raises(TypeError):
        users[3] = User(id=3)


def test_a_mapping_is_as_a_dict_is():
    """A mapping of the mirror has a dict's order and look-ups, and an int is no text."""
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


def test_kinds_that_are_no_more_are_forgotten():
    """Of kinds that came with an earlier connection, the empty ones are kept by their holders."""
    mirror, other = Mirror(), Mirror()
    robots = mirror["robot"]
    robot = OtherElement(element_name="robot", extra=Extra(id=7))
    for number in range(3):
        aside = Mirror()
        kind = f"robot{number}"
        aside.apply(InfoEvent(kind, attrs.evolve(robot, element_name=kind), "added"))
        mirror.replace_with(aside)
    assert list(mirror._stores) == ["robot2"]
    other.apply(InfoEvent("robot", robot, "added"))
    mirror.replace_with(other)
    assert robots == {7: robot}
    mirror.replace_with(Mirror())
    assert robots == {}
    assert not mirror._stores
    assert list(mirror._empty) == ["robot"]
    assert mirror["robot"] is robots
    mirror.apply(InfoEvent("robot", robot, "added"))
    assert robots == {7: robot}


def test_become():
    """Taking on another picture says what differs, and remembers what that one knew to be gone."""
    mirror, other = Mirror(), Mirror()
    for message in (event(User(id=1)), event(User(id=2)), event(TALKS), event(Group(id=5))):
        mirror.apply(message)
    for message in (
        event(User(id=2, label="x")),
        event(TALKS),
        event(ENDED),
        event(Terminal(id=9)),
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
    assert mirror.apply(event(TALKS)) == []
    other.apply(event(User(id=3)))
    assert 3 not in mirror.users


@pytest.fixture
def office():
    mirror = Mirror()
    for element in (
        *(User(id=1, main_extension="1001"), User(id=2, main_extension="1002")),
        *(Group(id=10, name="a"), Group(id=11, name="b")),
        GroupMember(id=100, user_id=1, group_id=10),
        GroupMember(user_id=2, group_id=10),
        GroupMember(id=102, user_id=1, group_id=11),
        GroupMember(id=103, user_id=3, group_id=12),
        GroupMember(id=104, group_id=10),
        *(Terminal(id=50, assoc_user_id=1), Terminal(id=51, assoc_user_id=2)),
        Channel(uuid="a", calling_number="+81312341234", called_number="1001", other_uuid="b"),
        Channel(uuid="b", calling_number="03-1234-1234", user_id=1, group_id=10, other_uuid="x"),
        Channel(uuid="c", calling_number="anonymous", called_number="RINGING_PARK1", group_id=10),
    ):
        mirror.apply(event(element, "added"))
    return mirror


def test_looking_things_up(office):
    """Who is where: by user, group, extension, and across a call."""
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


@pytest.mark.parametrize("number", ["03-1234-1234", "0312341234", "+81312341234"])
def test_channels_by_number(office, number):
    """A number is found however it is written, here and there."""
    assert [leg.uuid for leg in office.channels_by_number(number)] == ["a", "b"]


def test_numbers_that_are_none(office):
    """Withheld numbers and markers find nothing; an extension finds who was called."""
    assert office.channels_by_number("anonymous") == []
    assert office.channels_by_number("RINGING_PARK1") == []
    assert [leg.uuid for leg in office.channels_by_number("1001")] == ["a"]


def plain(mirror):
    return {kind: {key: to_dict(one) for key, one in mirror[kind].items()} for kind in mirror}


@pytest.mark.parametrize("older", [False, True])
def test_a_day_in_the_mirror(older):
    """After each of a day's steps, mirror, changes and the simulated PBX tell one story."""
    pbx, writer, parser = Pbx(11, older=older), Writer(), MessageParser()
    scenarios.populate(pbx, 30)
    mirror, told = Mirror(), {}

    def follow(changes):
        for change in changes:
            known = told.setdefault(change.element_name, {})
            match change:
                case Added():
                    assert change.key not in known
                    known[change.key] = change.element
                case Changed(_, element, old):
                    assert known[change.key] is old
                    assert change.fields
                    known[change.key] = element
                case Removed():
                    del known[change.key]

    def hear(kind, _, picture, event_name):
        frame = writer.info_event(kind, writer.record(kind, picture), event_name)
        follow(mirror.apply(parser.parse(frame)))

    for kind, elements in pbx.snapshot().items():
        parser.parse(writer.field_spec(kind))
        records = [writer.record(kind, one) for one in elements.values()]
        follow(mirror.apply(parser.parse(writer.initial_info(kind, records))))
    pbx.listeners.append(hear)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 40))
    for _ in range(1500):
        timeline.step()
        if random.random() < 0.1:
            assert plain(mirror) == {k: v for k, v in pbx.snapshot().items() if v}
    assert {k: v for k, v in told.items() if v} == {kind: dict(mirror[kind]) for kind in mirror}
    assert plain(mirror) == {k: v for k, v in pbx.snapshot().items() if v}
