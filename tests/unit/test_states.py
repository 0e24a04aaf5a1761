"""The states: classes, names, the places of their parts, the moment they began."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basix_ws_cti import states
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    Ivr,
    OtherState,
    Park,
    Ringing,
    State,
    SystemOperation,
    Voicemail,
    XmlIvr,
    moment,
)

# Every known state: its name on the wire, and the places of its parts after the name. The
# parts of `calling` depend on each other: no list of places can say where they are.
KNOWN = {
    Calling: ("calling", ()),
    CallingSipTermination: ("calling_siptermination", ("url",)),
    Ringing: ("ringing", ()),
    Bridged: ("bridged", ()),
    Voicemail: ("voicemail", ("target_type", "target_id", "target_name")),
    CheckingVoicemail: ("checking_voicemail", ("target_name",)),
    Ivr: ("ivr", ("ivr_id",)),
    XmlIvr: ("xml_ivr", ()),
    SystemOperation: ("system_operation", ("operation",)),
    Conference: ("conference", ("room_id",)),
    Park: ("park", ("slot", None, "parker_id", "parker_name")),
    Eavesdrop: ("eavesdrop", ("uuid", "eavesdrop_state")),
}

every_known = pytest.mark.parametrize("cls", KNOWN, ids=lambda cls: cls.__name__)

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(when):
    return (when - EPOCH) // timedelta(microseconds=1)


def test_every_class_is_known_here():
    """The module's classes are the known states, State itself and OtherState."""
    classes = {
        value
        for value in vars(states).values()
        if isinstance(value, type) and issubclass(value, State)
    }
    assert classes == {*KNOWN, State, OtherState}


@every_known
def test_names_and_places(cls):
    """A class has the name that its state has on the wire, and says where the parts stand."""
    name, parts = KNOWN[cls]
    assert cls.name == cls().name == name
    assert parts == cls.PARTS


@every_known
def test_fields(cls):
    """The parts are the class's fields, after ``ts``; all are None if not given."""
    _, parts = KNOWN[cls]
    fields = [attribute.name for attribute in attrs.fields(cls)]
    assert fields[0] == "ts"
    if cls is not Calling:
        assert fields[1:] == [part for part in parts if part is not None]
    assert attrs.asdict(cls()) == dict.fromkeys(fields)


def test_fields_of_calling():
    """Calling has where to, to what, and a field for each thing that may say to whom."""
    assert [attribute.name for attribute in attrs.fields(Calling)] == [
        "ts",
        "target_location",
        "target_type",
        "user_id",
        "group_type",
        "group_id",
        "group_queue_id",
        "address",
        "data",
    ]


def test_other_state():
    """A state nobody knows has its name for itself, its timestamp, and the rest."""
    state = OtherState(name="dancing", ts=1, data=("tango",))
    assert (state.name, state.ts, state.data) == ("dancing", 1, ("tango",))
    assert OtherState(name="dancing").data == ()
    assert OtherState(name="dancing") != OtherState(name="singing")
    with pytest.raises(TypeError):
        OtherState(ts=1)


@every_known
def test_frozen(cls):
    """A state's parts can't be set, and nothing can be added to it."""
    state = cls(ts=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.ts = 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del state.ts
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.more = 2


@every_known
def test_parts_by_name_alone(cls):
    """A state is made with keywords: the order of its parts is nobody's to rely on."""
    with pytest.raises(TypeError):
        cls(1)


@every_known
def test_equality_hash_and_copies(cls):
    """States are equal, and hash alike, when class and parts are; so are their copies."""
    state = cls(ts=1)
    assert state == cls(ts=1)
    assert hash(state) == hash(cls(ts=1))
    assert state != cls(ts=2)
    assert state != (Ringing if cls is Bridged else Bridged)(ts=1)
    for again in (pickle.loads(pickle.dumps(state)), copy.copy(state), copy.deepcopy(state)):
        assert again == state
        assert type(again) is cls


def test_match():
    """States are there to ``match`` on, by class and by part."""
    match Park(ts=1, slot=901, parker_name="user1"):
        case Park(slot=901, parker_name=name):
            assert name == "user1"
        case _:
            raise AssertionError


def test_since():
    """``since`` is ``ts`` as an aware datetime in UTC, to the microsecond."""
    when = Bridged(ts=1546839040035125).since
    assert when == datetime(2019, 1, 7, 5, 30, 40, 35125, tzinfo=UTC)
    assert when.tzinfo is UTC
    assert Bridged().since is None


@pytest.mark.parametrize(
    ("ts", "when"),
    [
        (0, EPOCH),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (microseconds(FIRST), FIRST),
        (microseconds(LAST), LAST),
    ],
)
def test_moment(ts, when):
    """Any integer from the year 1 to 9999 is a moment, those before 1970 included."""
    assert moment(ts) == when


@pytest.mark.parametrize(
    "ts",
    [
        microseconds(FIRST) - 1,
        microseconds(LAST) + 1,
        2**63,
        -(2**63),
        10**400,
        -(10**400),
    ],
)
def test_moment_out_of_range(ts):
    """A timestamp that no datetime can hold is no moment, and no exception, however large."""
    assert moment(ts) is None
    assert Ringing(ts=ts).since is None


@pytest.mark.parametrize("ts", [None, "1546839040035125", 1.5, True, (1,), [], {}, EPOCH])
def test_moment_of_something_else(ts):
    """What is no integer is no moment: not a text of digits, a float, a bool, a datetime."""
    assert moment(ts) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_moment_gives_back_what_was_counted(when):
    """Every datetime, counted in microseconds, comes back as itself."""
    assert moment(microseconds(when)) == when
