"""States: classes, names, positions of parts, and the time of their start."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import for_each

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

# Each known state: its name on the wire, and the fields of the parts after the name. The
# parts of `calling` depend on each other, so that no list describes them.
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

each_known_state = pytest.mark.parametrize("cls", KNOWN, ids=lambda cls: cls.__name__)

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(when):
    return (when - EPOCH) // timedelta(microseconds=1)


def test_all_state_classes_are_tested():
    classes = {
        value
        for value in vars(states).values()
        if isinstance(value, type) and issubclass(value, State)
    }
    assert classes == {*KNOWN, State, OtherState}


@each_known_state
def test_state_class_has_its_name_and_parts(cls):
    name, parts = KNOWN[cls]
    assert cls.name == cls().name == name
    assert parts == cls.PARTS


@each_known_state
def test_fields_of_a_state_are_ts_and_its_parts(cls):
    """All are None by default."""
    _, parts = KNOWN[cls]
    fields = [attribute.name for attribute in attrs.fields(cls)]
    assert fields[0] == "ts"
    if cls is not Calling:
        assert fields[1:] == [part for part in parts if part is not None]
    assert attrs.asdict(cls()) == dict.fromkeys(fields)


def test_calling_has_a_field_for_each_kind_of_target():
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


def test_other_state_keeps_name_timestamp_and_data():
    state = OtherState(name="dancing", ts=1, data=("tango",))
    assert (state.name, state.ts, state.data) == ("dancing", 1, ("tango",))
    assert OtherState(name="dancing").data == ()
    assert OtherState(name="dancing") != OtherState(name="singing")
    with pytest.raises(TypeError):
        OtherState(ts=1)


@each_known_state
def test_states_are_frozen(cls):
    state = cls(ts=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.ts = 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del state.ts
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.more = 2


@each_known_state
def test_states_are_made_with_keywords_only(cls):
    with pytest.raises(TypeError):
        cls(1)


@each_known_state
def test_states_are_equal_if_class_and_parts_are(cls):
    """Equal states have equal hashes, and copies are equal."""
    state = cls(ts=1)
    assert state == cls(ts=1)
    assert hash(state) == hash(cls(ts=1))
    assert state != cls(ts=2)
    assert state != (Ringing if cls is Bridged else Bridged)(ts=1)
    for copied in (pickle.loads(pickle.dumps(state)), copy.copy(state), copy.deepcopy(state)):
        assert copied == state
        assert type(copied) is cls


def test_states_can_be_matched_by_class_and_part():
    match Park(ts=1, slot=901, parker_name="user1"):
        case Park(slot=901, parker_name=name):
            assert name == "user1"
        case _:
            raise AssertionError


def test_since_is_an_aware_datetime():
    """``since`` has microseconds and the time zone UTC."""
    when = Bridged(ts=1546839040035125).since
    assert when == datetime(2019, 1, 7, 5, 30, 40, 35125, tzinfo=UTC)
    assert when.tzinfo is UTC
    assert Bridged().since is None


@for_each(
    "ts, when",
    [
        (0, EPOCH),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (microseconds(FIRST), FIRST),
        (microseconds(LAST), LAST),
    ],
)
def test_integer_from_year_1_to_9999_is_a_moment(ts, when):
    assert moment(ts) == when


@for_each(
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
def test_integer_beyond_datetime_is_no_moment(ts):
    assert moment(ts) is None
    assert Ringing(ts=ts).since is None


@for_each("ts", [None, "1546839040035125", 1.5, True, (1,), [], {}, EPOCH])
def test_values_of_other_types_are_no_moment(ts):
    assert moment(ts) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_moment_of_microseconds_equals_the_datetime(when):
    assert moment(microseconds(when)) == when
