"""Elements: fields, keys, immutability, copies, datetimes and to_dict."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from types import MappingProxyType

import attrs
import pytest
from support.cases import for_each

from basix_ws_cti import elements
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    Domain,
    Element,
    EndUser,
    EndUsers,
    Extra,
    FullChannel,
    Group,
    GroupMember,
    Hangup,
    OtherElement,
    OtherInfo,
    ParkedChannel,
    QueuedChannel,
    Target,
    Terminal,
    User,
    WaitingChannel,
    to_dict,
)
from basix_ws_cti.messages import FieldSpec
from basix_ws_cti.parsing.record_decoder import record_reader
from basix_ws_cti.states import Bridged, Calling, OtherState, Park
from basix_ws_cti.terms import Regex

CHANNEL_FIELDS = {
    "uuid",
    "direction",
    "peer_location",
    "calling_name",
    "calling_number",
    "called_number",
    "offer_timestamp",
    "answer_timestamp",
    "hangup_timestamp",
    "other_uuid",
    "user_id",
    "state",
    "group_id",
    "target",
    "origination",
    "end_user",
    "tags",
    "last_bridged_user_id",
    "last_event",
    "last_event_data",
    "other_info",
    "call_id",
}
OLD_CHANNEL_FIELDS = {"uuid", "state", "peer_number", "end_user"}

# Each kind: its name on the wire and its known fields.
KINDS = {
    Channel: ("channel", CHANNEL_FIELDS),
    WaitingChannel: ("channel_waiting", CHANNEL_FIELDS | {"whoscall"}),
    QueuedChannel: ("queued_channel", OLD_CHANNEL_FIELDS),
    ParkedChannel: ("parked_channel", OLD_CHANNEL_FIELDS),
    User: (
        "user",
        {
            "id",
            "name",
            "fwd_always_status",
            "do_not_disturb_status",
            "language",
            "main_extension",
            "presence",
            "role",
            "park_group",
            "mwi_target",
            "flags",
            "followme",
            "email",
            "avatar",
            "label",
            "mwi",
        },
    ),
    Group: (
        "group",
        {
            "id",
            "name",
            "type",
            "language",
            "main_extension",
            "queue",
            "label",
            "flags",
            "check_login_status",
            "mwi",
        },
    ),
    GroupMember: (
        "group_member",
        {"id", "group_id", "user_id", "priority", "login_status", "role"},
    ),
    Terminal: ("terminal", {"id", "name", "assoc_user_id", "type", "user_agent", "registered"}),
    Domain: ("domain", {"id", "name", "label", "flags"}),
}
CHANNELS = {Channel, WaitingChannel, QueuedChannel, ParkedChannel}

each_kind = for_each("cls", KINDS)
each_full_channel = for_each("cls", [Channel, WaitingChannel])

TS = 1546839040024071
AT = datetime(2019, 1, 7, 5, 30, 40, 24071, tzinfo=UTC)
TOO_LATE = 2**62

PARTS = [
    EndUser(id="1"),
    EndUsers(count=1, items=(EndUser(id="1"),)),
    Target(type="user"),
    OtherInfo(type="user"),
    Hangup("recv_bye"),
]


def example(cls, **extra):
    """Return an element of the class with a value in each kind of field."""
    key = {"uuid": "u"} if cls in CHANNELS else {"id": 1}
    if cls in CHANNELS:
        key |= {"state": Park(ts=1, slot=901), "end_user": EndUsers(count=1)}
    return cls(**key, extra=Extra(extra))


def test_all_element_classes_are_tested():
    classes = {
        value
        for value in vars(elements).values()
        if isinstance(value, type) and issubclass(value, Element)
    }
    assert classes == {*KINDS, OtherElement, Element, AnyChannel, FullChannel}


@each_kind
def test_element_class_has_its_name_and_fields(cls):
    """All fields are None if absent, except ``extra``."""
    name, fields = KINDS[cls]
    assert cls.element_name == cls().element_name == name
    assert {attribute.name for attribute in attrs.fields(cls)} == fields | {"extra"}
    assert attrs.asdict(cls(), recurse=False) == dict.fromkeys(fields) | {"extra": {}}


@each_kind
def test_elements_are_made_with_keywords_only(cls):
    with pytest.raises(TypeError):
        cls("u")


# Keys


@each_kind
def test_key_of_a_channel_is_its_uuid_and_of_others_their_id(cls):
    """The key is None if the field is missing."""
    field = "uuid" if cls in CHANNELS else "id"
    assert field == cls.KEY
    assert cls(**{field: 7}).key == 7
    assert type(cls(**{field: 7}).key) is int
    assert cls(**{field: "7"}).key == "7"
    assert cls().key is None


@for_each("number", [0, -1, 2**63, 2**64 - 1, -(2**63)])
def test_64_bit_integer_is_a_key(number):
    assert User(id=number).key == number


@for_each("unit", ["u", "ー"])
def test_text_over_255_characters_is_no_key(unit):
    assert Channel(uuid=unit * 255).key == unit * 255
    assert Channel(uuid=unit * 256).key is None
    assert GroupMember(user_id=unit * 256, group_id=2).key is None


@for_each("number", [2**64, -(2**63) - 1, 2**61 - 1 << 64, 10**300])
def test_integer_beyond_64_bits_is_no_key(number):
    """Such integers can be chosen to have equal hashes."""
    assert User(id=number).key is None
    assert User(id=number).id == number


@for_each("value", [None, True, False, 1.0, (1,), [1], {"a": 1}, AT, ""])
def test_values_of_other_types_are_no_key(value):
    """Only integers and non-empty texts are keys."""
    assert User(id=value).key is None
    assert Channel(uuid=value).key is None
    assert GroupMember(id=value).key is None
    assert OtherElement(element_name="x", extra=Extra(id=value, uuid=value)).key is None


@for_each(
    "fields, key",
    [
        ({"id": 5, "user_id": 1, "group_id": 2}, 5),
        ({"id": 0, "user_id": 1, "group_id": 2}, 0),
        ({"id": "5", "user_id": 1, "group_id": 2}, "5"),
        ({"user_id": 1, "group_id": 2}, "1:2"),
        ({"id": 2**64, "user_id": 1, "group_id": 2}, "1:2"),
        ({"user_id": "a", "group_id": "b"}, "a:b"),
        ({"user_id": 0, "group_id": 0}, "0:0"),
        ({"user_id": 1}, None),
        ({"group_id": 2}, None),
        ({"user_id": 1, "group_id": (2,)}, None),
        ({"user_id": 2**64, "group_id": 2}, None),
        ({}, None),
    ],
)
def test_key_of_a_group_member_is_its_id_or_user_and_group(fields, key):
    assert GroupMember(**fields).key == key


@for_each(
    "fields, key",
    [
        ({"id": 5, "uuid": "u"}, 5),
        ({"id": 0, "uuid": "u"}, 0),
        ({"uuid": "u"}, "u"),
        ({"id": None, "uuid": "u"}, "u"),
        ({"id": 2**64, "uuid": "u"}, "u"),
        ({"id": True, "uuid": 3}, 3),
        ({"name": "a"}, None),
        ({}, None),
    ],
)
def test_key_of_an_unknown_kind_is_its_id_or_uuid(fields, key):
    assert OtherElement(element_name="robot", extra=Extra(fields)).key == key


def test_element_of_an_unknown_kind_keeps_the_name_of_its_kind():
    """Elements of different unknown kinds are not equal."""
    robot = OtherElement(element_name="robot", extra=Extra(id=1))
    assert robot.element_name == "robot"
    assert robot == OtherElement(element_name="robot", extra=Extra(id=1))
    assert robot != OtherElement(element_name="drone", extra=Extra(id=1))
    with pytest.raises(TypeError):
        OtherElement(extra=Extra(id=1))


# Immutability and copies


@each_kind
def test_elements_are_frozen(cls):
    """No field can be set, deleted or added."""
    element = example(cls, more=1)
    for name in ("extra", cls.KEY, "more"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(element, name, 2)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(element, cls.KEY)
    assert element == example(cls, more=1)


@for_each("part", PARTS)
def test_parts_of_elements_are_frozen(part):
    """They can be hashed and pickled."""
    for attribute in attrs.fields(type(part)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(part, attribute.name, None)
    assert hash(part) == hash(copy.deepcopy(part))
    assert pickle.loads(pickle.dumps(part)) == part


# Calls of all methods that change a dict.
MUTATIONS = {
    "__setitem__": lambda extra: extra.__setitem__("a", 2),
    "__delitem__": lambda extra: extra.__delitem__("a"),
    "__ior__": lambda extra: extra.__ior__({"a": 2}),
    "clear": lambda extra: extra.clear(),
    "pop": lambda extra: extra.pop("a"),
    "popitem": lambda extra: extra.popitem(),
    "setdefault": lambda extra: extra.setdefault("b", 2),
    "update": lambda extra: extra.update(a=2),
}


@for_each("name", MUTATIONS)
def test_extra_refuses_each_mutating_method(name):
    extra = Extra(a=1)
    with pytest.raises(TypeError, match="the extra fields of an element are immutable"):
        MUTATIONS[name](extra)
    assert extra == {"a": 1}


def test_all_mutating_methods_of_dict_are_tested():
    changing = set(dir(dict)) - set(dir(MappingProxyType)) - {"fromkeys"}
    assert changing | {"__ior__"} == set(MUTATIONS)


def test_extra_refuses_mutating_statements():
    user = User(extra=Extra(a=1))
    extra = user.extra
    with pytest.raises(TypeError):
        user.extra["a"] = 2
    with pytest.raises(TypeError):
        del user.extra["a"]
    with pytest.raises(TypeError):
        extra |= {"a": 2}
    with pytest.raises(AttributeError):
        extra.more = 1
    assert user.extra == {"a": 1}


def test_extra_reads_like_a_dict():
    """A changed copy is a plain dict."""
    extra = Extra(a=1, b=None)
    assert extra == {"a": 1, "b": None}
    assert (extra["a"], extra.get("c"), "b" in extra, list(extra)) == (1, None, True, ["a", "b"])
    changed = extra | {"c": 3}
    changed["d"] = 4
    assert changed == {"a": 1, "b": None, "c": 3, "d": 4}
    assert type(extra.copy()) is dict


@for_each("make_copy", [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy])
def test_copy_of_extra_is_immutable(make_copy):
    extra = Extra(a=[1], b={"c": (2,)})
    assert make_copy(extra) == extra
    assert type(make_copy(extra)) is Extra


def test_hash_of_extra_ignores_the_order():
    """Extra fields with an unhashable value have no hash."""
    assert hash(Extra(a=1, b=2)) == hash(Extra(b=2, a=1))
    assert Extra(a=1, b=2) == Extra(b=2, a=1)
    with pytest.raises(TypeError):
        hash(Extra(a=[1]))


@each_kind
def test_elements_with_hashable_values_have_a_hash(cls):
    """Equal elements have equal hashes."""
    assert hash(example(cls, a=1)) == hash(example(cls, a=1))
    assert len({example(cls), example(cls), example(cls, a=1)}) == 2
    with pytest.raises(TypeError):
        hash(example(cls, a=[1]))
    with pytest.raises(TypeError):
        hash(example(cls, a={"b": 1}))


@each_kind
def test_elements_are_equal_if_kind_and_all_fields_are(cls):
    assert example(cls, a=1) == example(cls, a=1)
    assert example(cls, a=1) != example(cls, a=2)
    assert example(cls) != example(cls, a=1)
    assert cls() != (Group if cls is User else User)()


@for_each("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@each_kind
def test_pickled_element_equals_the_original(cls, protocol):
    element = example(cls, a=[1], b=Regex("x", []))
    copied = pickle.loads(pickle.dumps(element, protocol))
    assert copied == element
    assert type(copied) is cls
    assert type(copied.extra) is Extra


@for_each("make_copy", [copy.copy, copy.deepcopy])
@each_kind
def test_copied_element_equals_the_original(cls, make_copy):
    """The extra fields of the copy are immutable."""
    element = example(cls, a=[1])
    assert make_copy(element) == element
    assert type(make_copy(element)) is cls
    assert type(make_copy(element).extra) is Extra


def test_copies_of_an_unknown_kind_keep_its_name():
    robot = OtherElement(element_name="robot", extra=Extra(id=1, a=[1]))
    assert pickle.loads(pickle.dumps(robot)) == copy.copy(robot) == copy.deepcopy(robot) == robot


@each_kind
def test_element_from_a_record_equals_a_usual_one(cls):
    """It has the same class, hash and repr."""
    spec = FieldSpec(cls.element_name, (cls.KEY, "news"))
    element = record_reader(spec)((1, "n"))
    usual = cls(**{cls.KEY: 1}, extra=Extra(news="n"))
    assert element == usual
    assert hash(element) == hash(usual)
    assert repr(element) == repr(usual)
    assert type(element) is cls
    assert type(element.extra) is Extra
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        element.extra = None
    for copied in (pickle.loads(pickle.dumps(element)), copy.copy(element), copy.deepcopy(element)):
        assert copied == usual
        assert type(copied) is cls


# Datetimes and hangup


@each_full_channel
@for_each(
    "field, moment",
    [
        ("offer_timestamp", "offered_at"),
        ("answer_timestamp", "answered_at"),
        ("hangup_timestamp", "hung_up_at"),
    ],
)
def test_timestamps_of_a_channel_become_datetimes(cls, field, moment):
    """A value that is no timestamp gives None."""
    assert getattr(cls(**{field: TS}), moment) == AT
    assert getattr(cls(**{field: TS}), moment).tzinfo is UTC
    for invalid in (None, TOO_LATE, -TOO_LATE, 10**300, str(TS), 1.5, True, (TS,)):
        assert getattr(cls(**{field: invalid}), moment) is None


def test_offer_timestamp_of_other_info_becomes_a_datetime():
    assert OtherInfo(offer_timestamp=TS).offered_at == AT
    assert OtherInfo().offered_at is None
    assert OtherInfo(offer_timestamp=TOO_LATE).offered_at is None


@each_full_channel
@for_each(
    "data, hangup",
    [
        ("recv_cancel,ORIGINATOR_CANCEL", Hangup("recv_cancel", "ORIGINATOR_CANCEL")),
        ("send_bye,ALLOTTED_TIMEOUT", Hangup("send_bye", "ALLOTTED_TIMEOUT")),
        ("recv_bye", Hangup("recv_bye", None)),
        ("recv_bye,", Hangup("recv_bye", None)),
        ("vanished,SOMEHOW,AGAIN", Hangup("vanished", "SOMEHOW,AGAIN")),
        (",NORMAL_CLEARING", None),
        ("", None),
        (None, None),
        (("recv_bye", "NORMAL_CLEARING"), None),
        (17, None),
    ],
)
def test_hangup_is_parsed_from_the_last_event(cls, data, hangup):
    """An event without a hangup cause gives no Hangup."""
    assert cls(last_event="CHANNEL_HANGUP", last_event_data=data).hangup == hangup


@each_full_channel
@for_each("event", [None, "CHANNEL_ANSWER", "STATE_CHANGE", "", 1])
def test_other_events_give_no_hangup(cls, event):
    assert cls(last_event=event, last_event_data="recv_bye,NORMAL_CLEARING").hangup is None


# to_dict


@each_kind
def test_to_dict_has_all_known_fields(cls):
    """A field without value is None; there is no key ``extra``."""
    assert to_dict(cls()) == dict.fromkeys(KINDS[cls][1])


@each_kind
def test_to_dict_contains_extra_fields(cls):
    """A known field wins over an extra field of the same name."""
    element = example(cls, news="n", **{cls.KEY: "other"})
    assert to_dict(element)["news"] == "n"
    assert to_dict(element)[cls.KEY] == getattr(element, cls.KEY)


def test_to_dict_of_an_unknown_kind_has_all_fields():
    """Fields with the name of an attribute are kept as well."""
    fields = {"id": 1, "element_name": "e", "extra": "x", "key": "k"}
    assert to_dict(OtherElement(element_name="robot", extra=Extra(fields))) == fields


def test_to_dict_of_a_channel_has_the_shape_of_the_reference():
    """The result can be written as JSON."""
    end_user = EndUser(id="1", name="Taro", avatar="a.png")
    channel = Channel(
        uuid="u",
        state=Park(ts=TS, slot=901, parker_id=1, parker_name="user1"),
        end_user=EndUsers(count=2, items=(end_user,)),
        target=Target(type="user", id=1, name="user1"),
        origination=("call_user", "1"),
        tags=("auto_answer",),
        other_info=OtherInfo(type="end_user", end_user=EndUsers(count=1, items=(end_user,))),
    )
    plain_end_user = {
        "id": "1",
        "name": "Taro",
        "organization": None,
        "avatar": "a.png",
        "prefecture": None,
    }
    expected = dict.fromkeys(CHANNEL_FIELDS) | {
        "uuid": "u",
        "state": {
            "ts": TS,
            "name": "park",
            "data": {"slot": 901, "parker_id": 1, "parker_name": "user1"},
        },
        "end_user": {"count": 2, "items": [plain_end_user]},
        "target": {"type": "user", "id": 1, "name": "user1", "address": None},
        "origination": ["call_user", "1"],
        "tags": ["auto_answer"],
        "other_info": {
            "type": "end_user",
            "user_id": None,
            "end_user": {"count": 1, "items": [plain_end_user]},
            "direction": None,
            "peer_location": None,
            "address": None,
            "offer_timestamp": None,
            "group_id": None,
            "whoscall": None,
        },
    }
    assert to_dict(channel) == expected
    assert json.loads(json.dumps(to_dict(channel))) == expected


@for_each(
    "state, plain",
    [
        (Bridged(ts=1), {"ts": 1, "name": "bridged", "data": {}}),
        (Bridged(), {"ts": None, "name": "bridged", "data": {}}),
        (Park(ts=1, slot=901), {"ts": 1, "name": "park", "data": {"slot": 901}}),
        # The reference has no raw description, only its parts.
        (
            Calling(ts=1, target_location="int", target_type="user", user_id=5, data=(5, "x")),
            {
                "ts": 1,
                "name": "calling",
                "data": {"target_location": "int", "target_type": "user", "user_id": 5},
            },
        ),
        (
            OtherState(ts=1, name="dancing", data=("tango", 2)),
            {"ts": 1, "name": "dancing", "data": {}},
        ),
        (
            Park(ts=1, slot=(1, [2]), parker_id=AT),
            {
                "ts": 1,
                "name": "park",
                "data": {"slot": [1, [2]], "parker_id": "2019-01-07T05:30:40.024071+00:00"},
            },
        ),
    ],
)
def test_to_dict_of_a_state_has_ts_name_and_data(state, plain):
    assert to_dict(ParkedChannel(state=state))["state"] == plain


@for_each(
    "raw, plain",
    [
        (None, None),
        ("text", "text"),
        (True, True),
        (7, 7),
        (2**200, 2**200),
        (1.5, 1.5),
        ((), []),
        ((1, ("a", [2, ()])), [1, ["a", [2, []]]]),
        ([(1, "a"), [None]], [[1, "a"], [None]]),
        ({}, {}),
        ({"a": (1, {"b": [()]})}, {"a": [1, {"b": [[]]}]}),
        ({1: "a", "b": (2,)}, [[1, "a"], ["b", [2]]]),
        ({None: {True: 1.5}, 2.5: ()}, [[None, [[True, 1.5]]], [2.5, []]]),
        (AT, "2019-01-07T05:30:40.024071+00:00"),
        (Regex("^a", ["caseless"]), {"source": "^a", "options": ["caseless"]}),
        (Regex("^a", (AT,)), {"source": "^a", "options": ["2019-01-07T05:30:40.024071+00:00"]}),
    ],
)
def test_to_dict_converts_raw_values_in_any_field(raw, plain):
    channel = to_dict(Channel(calling_name=raw, tags=raw, extra=Extra(news=raw)))
    assert channel["calling_name"] == channel["tags"] == channel["news"] == plain
    assert json.loads(json.dumps(channel))["news"] == plain


def test_to_dict_shares_nothing_mutable_with_the_element():
    user = User(id=1, extra=Extra(a=[1], b={"c": 2}))
    plain = to_dict(user)
    plain["a"].append(2)
    plain["b"]["d"] = 3
    assert user == User(id=1, extra=Extra(a=[1], b={"c": 2}))


def test_to_dict_of_an_impossible_value_is_an_assertion_error():
    """No frame decodes to such a value."""
    with pytest.raises(AssertionError, match="an element can't contain a object"):
        to_dict(User(extra=Extra(a=object())))


def test_method_to_dict_gives_what_the_function_gives():
    user = User(id=7, label="佐藤 健")
    assert user.to_dict() == to_dict(user)
    assert user.to_dict()["label"] == "佐藤 健"
