"""Record decoder: from the terms of a record to the values of an element.

The terms are encoded and decoded first, so that they have the types that a decoder returns.
"""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from urllib.parse import quote_plus

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import etf_encoder
from support.cases import for_each
from support.etf_encoder import BERT_NIL, Atom, Charlist
from support.random_terms import random_term

from basix_ws_cti.elements import (
    Channel,
    Domain,
    EndUser,
    EndUsers,
    Extra,
    Group,
    GroupMember,
    OtherElement,
    OtherInfo,
    ParkedChannel,
    QueuedChannel,
    Target,
    Terminal,
    User,
    WaitingChannel,
    to_dict,
    to_plain,
)
from basix_ws_cti.messages import FieldSpec
from basix_ws_cti.parsing import record_decoder
from basix_ws_cti.parsing.record_decoder import (
    MAX_LISTED_END_USERS,
    MAX_PARTED_TEXT,
    MAX_READERS,
    record_reader,
)
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
    SystemOperation,
    Voicemail,
    XmlIvr,
)
from basix_ws_cti.terms import Regex, as_text, decode, decode_truncated

CLASSES = {
    "channel": Channel,
    "channel_waiting": WaitingChannel,
    "queued_channel": QueuedChannel,
    "parked_channel": ParkedChannel,
    "user": User,
    "group": Group,
    "group_member": GroupMember,
    "terminal": Terminal,
    "domain": Domain,
}
CHANNELS = [kind for kind in CLASSES if "channel" in kind]
OTHERS = [kind for kind in CLASSES if kind not in CHANNELS]

STRUCTURED = ("state", "target", "end_user", "other_info", "origination", "tags")
each_structured_field = for_each("field", STRUCTURED)

each_kind = for_each("kind", [*CLASSES, "robot"])
each_channel = for_each("kind", CHANNELS)

TS = 1546839040024071
AT = datetime(2019, 1, 7, 5, 30, 40, 24071, tzinfo=UTC)

# Japanese text in each encoding: a charlist of it is a list of integers on the wire.
TOKYO = "東京"
TEXTS = [
    pytest.param(TOKYO, id="binary"),
    pytest.param(Atom(TOKYO), id="atom"),
    pytest.param(Charlist(TOKYO), id="charlist-above-255"),
    pytest.param(Charlist(TOKYO.encode().decode("latin-1")), id="charlist-of-utf8"),
]
each_text = for_each("text", TEXTS)

# Terms that mean "no value" in any field.
NO_VALUES = [
    pytest.param(None, id="undefined"),
    pytest.param([], id="nil"),
    pytest.param(BERT_NIL, id="bert-nil"),
    pytest.param(Charlist(""), id="empty-charlist"),
]
each_no_value = for_each("no_value", NO_VALUES)

EMPTY_TEXTS = [pytest.param("", id="binary"), pytest.param(Atom(""), id="atom")]


def sent(term):
    """Return the term after encoding and decoding it."""
    return decode(etf_encoder.frame(term))


def read(kind, base_url=None, /, **fields):
    """Return the element of a record with these fields."""
    reader = record_reader(FieldSpec(kind, tuple(fields)), base_url)
    return reader(sent(tuple(fields.values())))


def get(element, field):
    """Return a field of an element: an attribute or an extra field."""
    return getattr(element, field) if hasattr(element, field) else element.extra.get(field)


def state(*parts, kind="channel"):
    return read(kind, state=parts).state


def end_user(text, base_url=None, kind="channel"):
    return read(kind, base_url, end_user=text).end_user


def one_end_user(*parts):
    """Return one end user with these parts."""
    names = ("id", "name", "organization", "avatar", "prefecture")
    return EndUsers(count=1, items=(EndUser(**dict(zip(names, parts, strict=False))),))


# Positions and fields


@each_kind
def test_known_kinds_have_their_own_element_class(kind):
    """A record of an unknown kind becomes an OtherElement."""
    element = read(kind, id=1, uuid="u")
    assert type(element) is CLASSES.get(kind, OtherElement)
    assert element.element_name == kind


def test_field_spec_decides_the_positions_of_fields():
    assert read("user", id=1, name="a", label="b") == User(id=1, name="a", label="b")
    assert read("user", label="b", id=1, name="a") == User(id=1, name="a", label="b")


def test_fields_missing_at_the_end_of_a_record_become_none():
    reader = record_reader(FieldSpec("user", ("id", "name", "label")))
    assert reader((1, "a")) == reader((1, "a", None)) == User(id=1, name="a")
    assert reader(()) == User()


def test_missing_extra_fields_are_not_in_extra():
    reader = record_reader(FieldSpec("user", ("id", "badge", "shoes")))
    assert reader((1, "gold")).extra == {"badge": "gold"}
    assert reader(()).extra == {}


def test_surplus_parts_of_a_record_are_ignored():
    reader = record_reader(FieldSpec("user", ("id", "name")))
    assert reader((1, "a", "surplus", ("more",))) == User(id=1, name="a")


@each_kind
def test_empty_field_spec_gives_elements_without_values(kind):
    reader = record_reader(FieldSpec(kind, ()))
    usual = CLASSES[kind]() if kind in CLASSES else OtherElement(element_name=kind)
    assert reader(()) == reader((1, 2)) == usual


def test_last_of_two_fields_with_one_name_counts():
    """This applies to known and to extra fields."""
    reader = record_reader(FieldSpec("user", ("id", "name", "badge", "name", "badge")))
    assert reader((1, "a", "b", "c", "d")) == User(id=1, name="c", extra=Extra(badge="d"))


def test_fields_outside_the_field_spec_become_none():
    assert read("user", name="a") == User(name="a")
    assert read("channel") == Channel()


def test_unknown_fields_are_kept_in_extra():
    """They are kept by name, with any value."""
    element = read(
        "user",
        id=1,
        text=TOKYO,
        number=2,
        flag=True,
        parts=(1, [2, "a"]),
        more={"a": 1},
        when=(Atom("bert"), Atom("time"), 1546, 839040, 24071),
        pattern=(Atom("bert"), Atom("regex"), "^a", [Atom("caseless")]),
    )
    assert element.extra == {
        "text": TOKYO,
        "number": 2,
        "flag": True,
        "parts": (1, [2, "a"]),
        "more": {"a": 1},
        "when": AT,
        "pattern": Regex("^a", ["caseless"]),
    }
    assert type(element.extra) is Extra


@for_each("name", ["extra", "element_name", "key", "KEY", "hangup", "_record"])
@each_kind
def test_fields_named_like_attributes_are_extra_fields(kind, name):
    element = read(kind, id=1, **{name: "sent"})
    assert element.extra[name] == "sent"
    assert element.element_name == kind
    assert to_dict(element)[name] == "sent"


def test_unknown_kind_keeps_all_fields_in_extra():
    """Fields with a well-known name are kept there as well."""
    element = read("robot", id=1, uuid="u", state=(1, Atom("park"), 901), tags="a;b", end_user="1")
    assert element == OtherElement(
        element_name="robot",
        extra=Extra(id=1, uuid="u", state=(1, "park", 901), tags="a;b", end_user="1"),
    )
    assert element.key == 1


def test_elements_share_no_extra_fields():
    """Two records read by one reader keep their extra fields apart."""
    reader = record_reader(FieldSpec("user", ("id", "badge")))
    first, second = reader((1, "gold")), reader((2, "tin"))
    assert (first.extra["badge"], second.extra["badge"]) == ("gold", "tin")


def test_values_of_plain_fields_are_unchanged():
    """A plain field keeps a scalar of any type as it was sent."""
    for value in (0, -1, 2**63, 1.5, True, False, "", "text"):
        assert read("user", presence=value) == User(presence=value)
        assert type(read("user", presence=value).presence) is type(value)


# No value


@each_kind
@each_no_value
def test_missing_values_become_none(kind, no_value):
    """``undefined``, the empty list and ``{bert,nil}`` are no value in known and extra fields."""
    fields = ("id", "uuid", "name", "news", *STRUCTURED)
    element = read(kind, **dict.fromkeys(fields, no_value))
    assert [get(element, field) for field in fields] == [None] * len(fields)
    assert element.key is None


@each_structured_field
@for_each("empty", EMPTY_TEXTS)
@each_channel
def test_empty_text_in_a_structured_field_becomes_none(kind, field, empty):
    assert get(read(kind, **{field: empty}), field) is None


def test_empty_text_in_a_plain_field_stays():
    assert read("user", name="", news="") == User(name="", extra=Extra(news=""))


@each_no_value
def test_parts_of_a_structure_without_value_become_none(no_value):
    assert state(1, Atom("park"), no_value, no_value, no_value, "user1") == Park(
        ts=1, parker_name="user1"
    )
    assert read("channel", target=(no_value, no_value, no_value, no_value)).target == Target()
    assert read("channel", other_info=(no_value,) * 8).other_info == OtherInfo()
    assert read("channel", other_info=(Atom("user"), *(no_value,) * 7)).other_info == OtherInfo(
        type="user"
    )
    assert state(1, Atom("calling"), no_value, Atom("user"), (no_value,)).user_id is None


@each_no_value
def test_state_may_lack_its_timestamp(no_value):
    assert state(no_value, Atom("ringing")) == Ringing()
    assert state(no_value, Atom("park"), 901) == Park(slot=901)
    assert state(no_value, Atom("calling"), Atom("ext")) == Calling(target_location="ext")
    assert state(no_value, Atom("new"), 1) == OtherState(name="new", data=(1,))


@each_text
def test_text_is_utf8_in_every_encoding(text):
    """A charlist of characters above 255 is a list on the wire and still text."""
    assert read("user", label=text).label == TOKYO
    assert state(1, Atom("voicemail"), Atom("user"), 1, text).target_name == TOKYO
    assert read("channel", target=(Atom("user"), 1, text, text)).target == Target(
        type="user", id=1, name=TOKYO, address=TOKYO
    )
    assert end_user(text) == one_end_user(TOKYO)
    assert read("channel", origination=text).origination == (TOKYO,)
    assert read("channel", tags=text).tags == (TOKYO,)
    info = read("channel", other_info=(Atom("external"), text, text, text, text, 1, 2, text))
    assert info.other_info == OtherInfo(
        type="external",
        end_user=one_end_user(TOKYO),
        direction=TOKYO,
        peer_location=TOKYO,
        address=TOKYO,
        offer_timestamp=1,
        group_id=2,
        whoscall=TOKYO,
    )


@each_text
def test_texts_of_calling_may_have_any_encoding(text):
    assert state(1, Atom("calling"), text, text).target_location == TOKYO
    assert state(1, Atom("calling"), None, text).target_type == TOKYO
    assert state(1, Atom("calling"), None, Atom("pstn"), (text,)).address == TOKYO
    group = state(1, Atom("calling"), None, Atom("group"), (Atom("ring"), 5, 0, 0, text))
    assert group.group_queue_id == TOKYO


@each_text
def test_texts_of_a_bridged_endpoint_may_have_any_encoding(text):
    endpoint = Atom("bridged_endpoint")
    assert state(1, Atom("calling"), None, endpoint, (text, "host")).address == f"{TOKYO}@host"
    assert state(1, Atom("calling"), None, endpoint, ("user", text)).address == f"user@{TOKYO}"


@each_text
def test_avatar_may_have_any_encoding(text):
    assert read("user", avatar=text).avatar == TOKYO
    assert read("user", "https://x", avatar=text).avatar == f"https://x/basix/avatars/users/{TOKYO}"


@for_each("form", [bytes, lambda raw: Charlist(raw.decode("latin-1"))])
def test_invalid_utf8_is_read_as_latin1(form):
    caf = form(b"caf\xe9")
    assert read("user", label=caf, news=caf) == User(label="café", extra=Extra(news="café"))
    assert end_user(caf) == one_end_user("café")


def test_atoms_become_their_names_except_constants():
    """``undefined``, ``true`` and ``false`` become ``None``, ``True`` and ``False``."""
    element = read("channel", direction=Atom("inbound"), call_id=Atom("true"), news=Atom("nil"))
    assert element == Channel(direction="inbound", call_id=True, extra=Extra(news="nil"))
    assert read("channel", call_id=Atom("undefined")).call_id is None
    assert read("terminal", registered=False).registered is False


@for_each("value", [[1.5], [-1], [0xD800], [0x110000], ["a", 1.5], [TOKYO, (1,)], [None], [True]])
def test_lists_that_are_not_text_stay_raw(value):
    """In a plain field, the raw list is in ``extra``."""
    assert read("user", label=value) == User(extra=Extra(label=value))
    assert state(1, Atom("park"), value) == OtherState(ts=1, name="park", data=(value,))
    for field in STRUCTURED:
        assert get(read("channel", **{field: value}), field) == value


# Values that are no scalars

NOT_SCALARS = [
    (),
    (1, "a"),
    (TOKYO,),
    [1.5],
    {},
    {"a": 1},
    (Atom("bert"), Atom("time"), 1546, 839040, 24071),
    (Atom("bert"), Atom("regex"), "^a", []),
]
each_other_value = for_each("value", NOT_SCALARS)


@each_other_value
@each_kind
def test_value_that_is_no_scalar_is_in_extra(kind, value):
    """The plain field itself has no value; fields beside it keep theirs."""
    element = read(kind, id=value, uuid=value, name=TOKYO, news=7)
    raw = sent(value)
    assert (get(element, "name"), element.extra["news"]) == (TOKYO, 7)
    assert element.extra["id"] == element.extra["uuid"] == raw
    assert element.key is None
    for name in ("id", "uuid"):
        assert getattr(element, name, None) is None
    assert to_dict(element)["id"] == to_plain(raw)


@each_other_value
def test_all_plain_fields_of_all_classes_hold_scalars_only(value):
    for kind, cls in CLASSES.items():
        plain = [
            one.name
            for one in attrs.fields(cls)
            if "Any" not in str(one.type) and one.name not in {"extra", "element_name"}
        ]
        element = read(kind, **dict.fromkeys(plain, value))
        assert element == cls(extra=Extra(dict.fromkeys(plain, sent(value))))
        assert type(element) is cls
        assert type(element.extra) is Extra


def test_raw_values_are_read_from_their_own_record():
    """A reader keeps nothing of a record, and short records have no raw values beyond their end."""
    reader = record_reader(FieldSpec("user", ("id", "name", "label")))
    assert reader((1, (2,), "a")) == User(id=1, label="a", extra=Extra(name=(2,)))
    assert reader((1, (2,))) == User(id=1, extra=Extra(name=(2,)))
    assert reader((1, "b", "a", (3,))) == User(id=1, name="b", label="a")
    assert reader((1, "b", (3,), (4,))) == User(id=1, name="b", extra=Extra(label=(3,)))


@each_other_value
def test_avatar_that_is_no_scalar_counts_as_missing(value):
    """With a base URL, the user has the default icon."""
    icon = "https://x/static/icons/user.png"
    extra = Extra(avatar=sent(value))
    assert read("user", "https://x", avatar=value) == User(avatar=icon, extra=extra)
    assert read("user", avatar=value) == User(extra=extra)


@each_other_value
@for_each("at", range(2, 6))
def test_known_state_with_a_part_that_is_no_scalar_is_another_state(at, value):
    """Name, timestamp and all parts are kept; parts of unknown meaning may have any value."""
    parts = (TS, Atom("park"), 901, "unused", 7, "user7")
    parts = (*parts[:at], value, *parts[at + 1 :])
    if at == 3:
        assert state(*parts) == Park(ts=TS, slot=901, parker_id=7, parker_name="user7")
    else:
        assert state(*parts) == OtherState(ts=TS, name="park", data=sent(parts)[2:])
        assert state([], *parts[1:]) == OtherState(name="park", data=sent(parts)[2:])


@each_other_value
def test_calling_holds_scalars_only(value):
    """Parts of the target that are no scalars are in ``data`` alone."""
    raw = sent(value)
    for target_type, data in [
        ("user", (value,)),
        ("pstn", (value,)),
        ("bridged_endpoint", (value, "host")),
        ("bridged_endpoint", ("user", value)),
        ("group", (value,)),
    ]:
        assert state(TS, Atom("calling"), None, Atom(target_type), data) == Calling(
            ts=TS, target_type=target_type, data=sent(data)
        )
    group = (Atom("ring"), value, 0, 0, value)
    assert state(TS, Atom("calling"), Atom("int"), Atom("group"), group) == Calling(
        ts=TS,
        target_location="int",
        target_type="group",
        group_type="ring",
        data=("ring", raw, 0, 0, raw),
    )
    for parts in [(value, Atom("user"), (7,)), (Atom("int"), value, (7,))]:
        assert state(TS, Atom("calling"), *parts) == OtherState(
            ts=TS, name="calling", data=sent(parts)
        )


@each_other_value
def test_structure_with_a_part_that_is_no_scalar_stays_raw(value):
    for at in range(4):
        parts = [Atom("user"), 7, "user7", "1001"]
        parts[at] = value
        assert read("channel", target=tuple(parts)).target == sent(tuple(parts))
    for at in (0, 1, 2, 3, 4, 5, 6, 7):
        parts = [Atom("user"), 7, Atom("inbound"), Atom("external"), "1001", TS, 5, "%7B%7D"]
        parts[at] = value
        assert read("channel", other_info=tuple(parts)).other_info == sent(tuple(parts))
    short = (Atom("user"), value)
    assert read("channel", other_info=short).other_info == sent(short)


@each_other_value
def test_end_user_in_other_info_may_have_any_value(value):
    info = read("channel", other_info=(Atom("end_user"), value, Atom("inbound"))).other_info
    assert info == OtherInfo(type="end_user", end_user=sent(value), direction="inbound")


@for_each("number", [0, TS, -1])
def test_integer_in_place_of_whoscall_is_ignored(number):
    """Servers of 2021 to 2024 sent the time of the answer there."""
    parts = (Atom("user"), 7, Atom("inbound"), Atom("external"), "1001", TS, 5)
    expected = read("channel", other_info=(*parts, None))
    assert read("channel", other_info=(*parts, number)) == expected
    assert read("channel", other_info=(*parts, "%7B%7D")).other_info.whoscall == "%7B%7D"


def scalars_of(value):
    """Yield the values that must be scalars, in an element or a structure in it, at any depth."""
    for one in attrs.fields(type(value)):
        part = getattr(value, one.name)
        if attrs.has(type(part)):
            yield from scalars_of(part)
        elif isinstance(part, tuple) and one.name == "items":
            for item in part:
                yield from scalars_of(item)
        elif (
            "Any" not in str(one.type)
            and one.name != "extra"
            and not isinstance(value, OtherState | Regex)
        ):
            yield part


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("base_url", [None, "https://xyz.com"])
def test_random_terms_in_all_fields_give_scalars_and_lose_nothing(kind, base_url):
    draw = random.Random(kind)
    names = [one.name for one in attrs.fields(CLASSES[kind]) if one.name != "extra"]
    reader = record_reader(FieldSpec(kind, (*names, "news")), base_url)
    moved = 0
    for _ in range(100):
        record = sent(tuple(random_term(draw) for _ in (*names, "news")))
        element = reader(record)
        assert {*map(type, scalars_of(element))} <= {str, int, float, bool, type(None)}
        for name, raw in zip(names, record, strict=False):
            if name in element.extra:
                assert element.extra[name] is raw
                assert name == "avatar" or getattr(element, name) is None
                moved += 1
            elif name not in {*STRUCTURED, "avatar"} and type(raw) is not list:
                assert getattr(element, name) is raw
    assert moved > 50


# Chardata

CHARDATA = [
    (["山田", 32, "太郎"], "山田 太郎"),
    (["caf", 0xE9], "café"),
    ([Charlist("Ya"), ["ma", [Charlist("da")]], 0x3000, TOKYO], f"Yamada\u3000{TOKYO}"),
    ([[], ""], ""),
    ([TOKYO], TOKYO),
]


@for_each("value, text", CHARDATA)
def test_chardata_in_a_text_field_becomes_text(value, text):
    """Lists of characters and texts are the usual form of composed text in Erlang."""
    assert read("user", label=value) == User(label=text)
    assert state(1, Atom("voicemail"), Atom("user"), 7, value).target_name == text
    assert state(1, Atom("calling"), None, Atom("pstn"), (value,)).address == text
    assert read("channel", target=(Atom("user"), 7, value, value)).target == Target(
        type="user", id=7, name=text, address=text
    )
    assert read("channel", other_info=(Atom("user"), 7, None, None, value)).other_info == OtherInfo(
        type="user", user_id=7, address=text
    )
    assert end_user([Charlist("7*"), value]) == one_end_user("7", text)
    assert read("channel", origination=["call_user*", value]).origination == ("call_user", text)
    assert read("channel", tags=["auto_answer", Charlist(";"), value]).tags == ("auto_answer", text)
    assert read("user", news=value).extra == {"news": sent(value)}


def test_binary_tail_of_chardata_is_text():
    label = b"l\0\0\0\1aA" + etf_encoder.encode(TOKYO)
    record = decode(b"\x83h\1" + label)
    assert record_reader(FieldSpec("user", ("label",)))(record) == User(label=f"A{TOKYO}")


def test_list_of_several_tags_stays_raw():
    """Joined, they would become one tag."""
    assert read("channel", tags=["auto_answer", "pickup"]).tags == ["auto_answer", "pickup"]
    assert read("channel", tags=["auto_answer", ["pickup"]]).tags == ["auto_answer", ["pickup"]]
    assert read("channel", tags=["auto_answer"]).tags == ("auto_answer",)
    assert read("channel", tags=["a", 32, "b"]).tags == ("a b",)
    assert read("channel", tags=["a;b", "c"]).tags == ("a", "bc")
    assert read("channel", tags=[TOKYO[0], ";", TOKYO[1]]).tags == tuple(TOKYO)


@for_each("field", ["state", "target", "other_info"])
def test_list_in_place_of_a_tuple_stays_raw(field):
    assert get(read("channel", **{field: ["a", "b"]}), field) == ["a", "b"]


# Truncated text


def test_truncated_name_keeps_its_complete_characters():
    """A name of 86 characters has been truncated to 255 bytes."""
    raw = ("x" + TOKYO * 50).encode()[:255]
    assert read("user", label=raw).label == "x" + TOKYO * 42
    assert read("channel", calling_name=raw[:-1], end_user=b"7*" + raw[:-1]) == Channel(
        calling_name="x" + TOKYO * 42, end_user=one_end_user("7", "x" + TOKYO * 42)
    )


@for_each("count", [1, 20])
def test_truncated_escapes_keep_their_complete_characters(count):
    escaped = quote_plus(TOKYO * count)
    assert end_user(f"7*{escaped[:-3]}*Acme") == one_end_user("7", (TOKYO * count)[:-1], "Acme")
    assert end_user(f"7*{escaped[:-6]}*Acme") == one_end_user("7", (TOKYO * count)[:-1], "Acme")
    got = read("channel", origination=f"call_user*{escaped[:-3]}").origination
    assert got == ("call_user", (TOKYO * count)[:-1])


@for_each("escapes", ["%E6", "%E6%9D", "caf%E9", "%20%E9", "%E6%9D%B1%FF"])
def test_escapes_without_a_complete_character_stay_as_sent(escapes):
    assert end_user(f"7*{escapes}") == one_end_user("7", escapes)


def test_shift_jis_names_can_be_recovered():
    """They are read as Latin-1, which keeps every byte."""
    for name in ("山田太郎", "株式会社ブラステル", "ｱｲｳ", "髙橋"):
        label = read("user", label=name.encode("cp932")).label
        assert label.encode("latin-1").decode("cp932") == name


def test_list_of_integers_in_an_extra_field_stays_raw():
    """The decoder cannot know if such a list is text."""
    assert read("user", news=[26481, 20140]).extra["news"] == [26481, 20140]


# state

STATES = [
    ((Atom("ringing"),), Ringing()),
    ((Atom("bridged"),), Bridged()),
    ((Atom("xml_ivr"),), XmlIvr()),
    (
        (Atom("voicemail"), Atom("user"), 7, "user7"),
        Voicemail(target_type="user", target_id=7, target_name="user7"),
    ),
    ((Atom("checking_voicemail"), "user7"), CheckingVoicemail(target_name="user7")),
    ((Atom("calling_siptermination"), "sip:a@b"), CallingSipTermination(url="sip:a@b")),
    ((Atom("ivr"), "menu"), Ivr(ivr_id="menu")),
    ((Atom("ivr"), 3), Ivr(ivr_id=3)),
    ((Atom("system_operation"), Atom("record")), SystemOperation(operation="record")),
    ((Atom("conference"), 12), Conference(room_id=12)),
    (
        (Atom("park"), 901, "unused", 7, "user7"),
        Park(slot=901, parker_id=7, parker_name="user7"),
    ),
    ((Atom("eavesdrop"), "u", Atom("listen")), Eavesdrop(uuid="u", eavesdrop_state="listen")),
    (
        (Atom("calling"), Atom("int"), Atom("user"), (7, "more")),
        Calling(target_location="int", target_type="user", user_id=7, data=(7, "more")),
    ),
    (
        (Atom("calling"), Atom("int"), Atom("group"), (Atom("ring"), 5, 0, 0, "q")),
        Calling(
            target_location="int",
            target_type="group",
            group_type="ring",
            group_id=5,
            group_queue_id="q",
            data=("ring", 5, 0, 0, "q"),
        ),
    ),
    (
        (Atom("calling"), Atom("int"), Atom("group"), (Atom("hunt"), 5, 0, 0, "q")),
        Calling(
            target_location="int",
            target_type="group",
            group_type="hunt",
            group_id=5,
            data=("hunt", 5, 0, 0, "q"),
        ),
    ),
    (
        (Atom("calling"), Atom("ext"), Atom("pstn"), ("0312341234",)),
        Calling(
            target_location="ext", target_type="pstn", address="0312341234", data=("0312341234",)
        ),
    ),
    (
        (Atom("calling"), Atom("ext"), Atom("bridged_endpoint"), ("a", "b", "c")),
        Calling(
            target_location="ext",
            target_type="bridged_endpoint",
            address="a@b",
            data=("a", "b", "c"),
        ),
    ),
    (
        (Atom("calling"), Atom("ext"), Atom("satellite"), ("a", "b")),
        Calling(target_location="ext", target_type="satellite", data=("a", "b")),
    ),
]
each_state = for_each("parts, expected", STATES)


def with_ts(state, ts):
    return type(state)(
        **{name: getattr(state, name) for name in state.__slots__ if name != "__weakref__"}
        | {"ts": ts}
    )


@each_state
@each_channel
def test_states_have_their_own_classes(kind, parts, expected):
    """Each part is read from its position, in all kinds of channel."""
    assert state(TS, *parts, kind=kind) == with_ts(expected, TS)
    assert type(state(TS, *parts, kind=kind)) is type(expected)


@each_state
def test_state_name_may_have_any_encoding(parts, expected):
    for form in (Atom, Charlist, str):
        assert state(TS, form(parts[0]), *parts[1:]) == with_ts(expected, TS)


@each_state
def test_surplus_parts_of_a_state_are_ignored(parts, expected):
    padded = (*parts, *(None,) * (5 - len(parts)))
    for surplus in ((), ("surplus",), ("surplus", 1)):
        assert state(TS, *padded, *surplus) == with_ts(expected, TS)


@each_state
def test_parts_missing_at_the_end_of_a_state_become_none(parts, expected):
    for count in range(1, len(parts) + 1):
        padded = (*parts[:count], *(None,) * (6 - count))
        assert state(TS, *parts[:count]) == state(TS, *padded)
        assert type(state(TS, *parts[:count])) is type(expected)
    assert state(TS, parts[0]) == type(expected)(ts=TS)


@for_each(
    "target_type, data, fields",
    [
        ("user", (), {}),
        ("group", (), {}),
        ("group", (Atom("ring"),), {"group_type": "ring"}),
        ("group", (Atom("ring"), 5), {"group_type": "ring", "group_id": 5}),
        ("group", (Atom("ring"), 5, 0, 0), {"group_type": "ring", "group_id": 5}),
        ("group", (None, 5, 0, 0, "q"), {"group_id": 5}),
        (
            "group",
            (Charlist("ring"), 5, 0, 0, "q", "surplus"),
            {"group_type": "ring", "group_id": 5, "group_queue_id": "q"},
        ),
        ("pstn", (), {}),
        ("pstn", (None,), {}),
        ("bridged_endpoint", (), {}),
        ("bridged_endpoint", ("a",), {}),
        ("bridged_endpoint", ("a", None), {}),
        ("bridged_endpoint", (None, "b"), {}),
    ],
)
def test_missing_parts_of_a_calling_target_become_none(target_type, data, fields):
    """The raw description of the target is kept."""
    assert state(TS, Atom("calling"), Atom("int"), Atom(target_type), data) == Calling(
        ts=TS, target_location="int", target_type=target_type, data=sent(data), **fields
    )


@for_each("target_type", ["user", "group", "pstn", "bridged_endpoint"])
@for_each("data", ["text", 7, {"a": 1}, ["a", "b"], 0, False])
def test_calling_data_that_is_no_tuple_stays_raw(target_type, data):
    assert state(TS, Atom("calling"), None, Atom(target_type), data) == Calling(
        ts=TS, target_type=target_type, data=data
    )


def test_calling_without_a_known_target_type_keeps_raw_data():
    assert state(TS, Atom("calling"), None, None, (7, 8)) == Calling(ts=TS, data=(7, 8))
    assert state(TS, Atom("calling"), None, None, []) == Calling(ts=TS)


@for_each("form", [Atom, Charlist, str])
def test_unknown_state_keeps_name_timestamp_and_data(form):
    assert state(TS, form("dancing"), Atom("tango"), (1, [2])) == OtherState(
        ts=TS, name="dancing", data=("tango", (1, [2]))
    )
    assert state(TS, form("dancing")) == OtherState(ts=TS, name="dancing")
    assert state(None, form("dancing")) == OtherState(name="dancing")


def test_timestamp_may_be_any_integer():
    """An integer that no datetime can hold is kept as well."""
    for ts in (0, -1, 2**64, -(2**200)):
        assert state(ts, Atom("ringing")) == Ringing(ts=ts)


@for_each(
    "raw",
    [
        "parked",
        ["parked", "there"],
        Atom("parked"),
        7,
        0,
        1.5,
        True,
        False,
        [TS, "park"],
        {"name": "park"},
        {},
        (),
        (TS,),
        (Atom("park"),),
        ("2019-01-07", Atom("park"), 901),
        (1.5, Atom("park"), 901),
        (True, Atom("park"), 901),
        ((1546, 839040, 24071), Atom("park"), 901),
        (TS, 7),
        (TS, None, 901),
        (TS, True, 901),
        (TS, (Atom("park"),), 901),
    ],
)
def test_malformed_state_stays_raw(raw):
    """A state needs a tuple of a timestamp and a name."""
    for kind in CHANNELS:
        got = read(kind, state=raw).state
        assert got == sent(raw)
        assert type(got) is type(sent(raw))


# target


def test_target_has_type_id_name_and_address():
    """Surplus parts are ignored."""
    raw = (Atom("group"), 5, "Sales", "0501234567")
    expected = Target(type="group", id=5, name="Sales", address="0501234567")
    assert read("channel", target=raw).target == expected
    assert read("channel_waiting", target=(*raw, "surplus")).target == expected
    assert read("queued_channel", target=raw).extra["target"] == expected


@for_each(
    "raw",
    ["text", 7, 0, 0.0, True, False, {}, {"a": 1}, (), (1,), (Atom("user"), 5), (1, 2, 3), ["a"]],
)
def test_malformed_target_stays_raw(raw):
    """A target needs a tuple of at least four parts."""
    got = read("channel", target=raw).target
    assert got == sent(raw)
    assert type(got) is type(sent(raw))


# end_user


@for_each(
    "text, parts",
    [
        ("1*Taro*Acme*t.png*Tokyo", ("1", "Taro", "Acme", "t.png", "Tokyo")),
        ("1*Taro*Acme*t.png", ("1", "Taro", "Acme", "t.png")),
        ("1*Taro", ("1", "Taro")),
        ("1", ("1",)),
        ("1****", ("1", "", "", "", "")),
        ("1**", ("1", "", "")),
        ("*Taro", ("", "Taro")),
        ("*X", ("", "X")),
        ("****Tokyo", ("", "", "", "", "Tokyo")),
        ("1*Taro*Acme*t.png*Tokyo*surplus*more", ("1", "Taro", "Acme", "t.png", "Tokyo")),
        ("_MANY_", ("_MANY_",)),
        ("_many_:2|1", ("_many_:2|1",)),
        (" ", (" ",)),
    ],
)
@each_channel
def test_end_user_text_is_split_at_asterisks(kind, text, parts):
    """Missing parts are None; surplus parts are ignored."""
    for form in (Atom, Charlist, str):
        assert end_user(form(text), kind=kind) == one_end_user(*parts)


@for_each(
    "written, meant",
    [
        ("Taro+Yamada", "Taro Yamada"),
        ("Taro%20Yamada", "Taro Yamada"),
        ("+", " "),
        ("a%2Bb+c", "a+b c"),
        ("%E6%9D%B1%E4%BA%AC", TOKYO),
        ("%e6%9d%b1%e4%ba%ac", TOKYO),
        ("%E6%9D%B1-%E4%BA%AC", "東-京"),
        (TOKYO, TOKYO),
        ("100%25", "100%"),
        ("%2525", "%25"),  # decoded once
        ("a%00b", "a\0b"),
        # Malformed escapes stay as written; those next to them are decoded.
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz", "%zz"),
        ("%E6%9D%B1%zz", "東%zz"),
        ("%%41", "%A"),
        ("% 41", "% 41"),
        ("%4１", "%4１"),  # noqa: RUF001 - a digit, but not an ASCII one
        ("%u6771", "%u6771"),
        # Escapes that are not UTF-8 stay as well: half a character, a surrogate, no lead byte.
        ("%E6%9D", "%E6%9D"),
        ("%FF", "%FF"),
        ("caf%E9", "caf%E9"),
        ("%ED%A0%80", "%ED%A0%80"),
        ("%C0%AA", "%C0%AA"),  # an overlong asterisk
        ("%E6%9D.%41", "%E6%9D.A"),
        ("%E6東%9D%B1", "%E6東%9D%B1"),
        # Text that looks like an escape sequence of Python stays text.
        ("\\x41", "\\x41"),
        ("\\n%41\\", "\\nA\\"),
        ("\\u6771%E6%9D%B1", "\\u6771東"),
        ("é%41\n", "éA\n"),
    ],
)
def test_parts_of_an_end_user_are_percent_decoded(written, meant):
    """A ``+`` is a space; invalid escapes stay as they are."""
    assert end_user(f"1*{written}*x") == one_end_user("1", meant, "x")
    assert end_user(f"{written}*%2A%2a") == one_end_user(meant, "**")
    assert end_user(written) == one_end_user(meant)


PIECES = [
    "%41",
    "%E6%9D%B1",
    "%e6",
    "%9D",
    "%2a",
    "%",
    "%4",
    "4",
    "\\",
    "x41",
    "é",
    "東",
    "*",
    "\0",
]


def unquoted(text):
    """Percent-decode each run of escapes; those that are not UTF-8 stay as they are.

    A run that ends inside a character gives the text before it.
    """

    def decode_run(escapes):
        raw = bytes.fromhex(escapes[0].replace("%", ""))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return decode_truncated(raw) or escapes[0]

    return re.sub("(?:%[0-9A-Fa-f]{2})+", decode_run, text)


@pytest.mark.slow
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_decoding_all_escapes_at_once_equals_one_by_one(text):
    parts = tuple(unquoted(part) for part in text.split("*")) if text else None
    assert read("channel", origination=text).origination == parts


def test_encoded_asterisk_does_not_separate_parts():
    assert end_user("1*Sir%2ALot*%2A%2A*%2a") == one_end_user("1", "Sir*Lot", "**", "*")
    for asterisk in ("%2A", "%2a"):
        assert end_user(asterisk) == one_end_user("*")
        assert end_user(f"1*Sir{asterisk}Lot*{asterisk}") == one_end_user("1", "Sir*Lot", "*")


def test_encoded_bar_does_not_separate_end_users():
    end_users = end_user("_MANY_:2|1*A%7CB|2*C")
    assert end_users.items == (EndUser(id="1", name="A|B"), EndUser(id="2", name="C"))


@for_each("count", [1, 2, 4, 5, 9, 1000])
def test_asterisks_alone_are_no_end_user(count):
    assert end_user("*" * count) is None
    assert read("channel", other_info=(Atom("x"), "*" * count)).other_info == OtherInfo(type="x")


@for_each(
    "text, count, ids",
    [
        ("_MANY_:2|1*Taro|2*Hanako", 2, "12"),
        ("_MANY_:12|1*Taro|2*Hanako", 12, "12"),
        ("_MANY_:1|1*Taro|2*Hanako", 1, "12"),
        ("_MANY_:0", 0, ""),
        ("_MANY_:7", 7, ""),
        ("_MANY_:007", 7, ""),
        ("_MANY_:999999999999999999|1", 10**18 - 1, "1"),
        # Empty places are not listed.
        ("_MANY_:2|****|2*Hanako||*", 2, "2"),
        ("_MANY_:2|", 2, ""),
        ("_MANY_:2|*", 2, ""),
        ("_MANY_:2|X|*", 2, "X"),
    ],
)
@each_channel
def test_many_end_users_have_a_count_and_a_list(kind, text, count, ids):
    """``_MANY_:N|first|second`` stands for N end users, some of them listed."""
    end_users = end_user(text, kind=kind)
    assert type(end_users) is EndUsers
    assert end_users.count == count
    assert [item.id for item in end_users.items] == list(ids)
    assert type(end_users.items) is tuple


def test_each_listed_end_user_is_read_completely():
    assert end_user("_MANY_:3|1*Taro+Y*Acme*t.png*Tokyo|2*%E6%9D%B1|3*100%*Sir%2ALot") == EndUsers(
        count=3,
        items=(
            EndUser(id="1", name="Taro Y", organization="Acme", avatar="t.png", prefecture="Tokyo"),
            EndUser(id="2", name="東"),
            EndUser(id="3", name="100%", organization="Sir*Lot"),
        ),
    )


@for_each(
    "count",
    [
        "",
        "-1",
        "+1",
        " 2",
        "2 ",
        "two",
        "1_0",
        "1.0",
        "0x2",
        "%32",
        "²",
        "２",  # noqa: RUF001 - digits, but not ASCII ones
        "٢",
        "1" * 19,
        "9" * 5000,
    ],
)
def test_invalid_count_of_end_users_leaves_the_text(count):
    """A count has at most 18 ASCII digits."""
    for text in (f"_MANY_:{count}", f"_MANY_:{count}|1*Taro|2*Hanako"):
        assert end_user(text) == text
        assert read("channel", other_info=(None, text)).other_info == OtherInfo(end_user=text)


def test_number_of_listed_end_users_is_bounded():
    """A longer list stays text."""
    numbers = "|".join(str(number) for number in range(MAX_LISTED_END_USERS))
    most = f"_MANY_:5|{numbers}"
    assert MAX_LISTED_END_USERS == 1000
    assert len(end_user(most).items) == MAX_LISTED_END_USERS
    assert end_user(f"{most}|one more") == f"{most}|one more"
    assert end_user(f"{most}|") == f"{most}|"


@for_each(
    "raw", [7, 0, 1.5, True, False, (), (1, "Taro"), ("1*Taro",), {}, {"id": 1}, ["1*Taro", -1]]
)
@each_channel
def test_end_user_that_is_not_text_stays_raw(kind, raw):
    got = end_user(raw, kind=kind)
    assert got == raw
    assert type(got) is type(raw)


@pytest.mark.slow
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=5
    ).filter(any)
)
def test_percent_encoded_end_users_are_decoded_exactly(parts):
    text = "*".join(quote_plus(part) for part in parts)
    if text.startswith("_MANY_:"):  # not what a colon is encoded to
        raise AssertionError(text)
    assert end_user(text) == one_end_user(*parts)


@given(st.text(max_size=40), st.text(alphabet="*%_MANY:|0123+eE69DfF2Aa", max_size=40))
def test_any_end_user_text_can_be_read(first, second):
    """The result is a list of end users, None or the text."""
    for text in (first, second, first + second, f"_MANY_:2|{second}|{first}"):
        end_users = end_user(text)
        assert end_users is None or end_users == text or type(end_users) is EndUsers


# other_info

INFO = ("outbound", "internal", "term1", TS, 5, "%7B%7D")


def info(*parts, kind="channel", base_url=None):
    return get(read(kind, base_url, other_info=parts), "other_info")


@each_kind
def test_other_info_of_a_user_has_a_user_id(kind):
    """Every kind of channel and element reads it."""
    assert info(Atom("user"), 7, *INFO, kind=kind) == OtherInfo(
        type="user",
        user_id=7,
        direction="outbound",
        peer_location="internal",
        address="term1",
        offer_timestamp=TS,
        group_id=5,
        whoscall="%7B%7D",
    )


@for_each("type_", ["end_user", "group", "undefined"])
@each_kind
def test_other_info_of_other_types_has_an_end_user(kind, type_):
    got = info(Atom(type_), "1*Taro", *INFO, kind=kind)
    assert got.type == (None if type_ == "undefined" else type_)
    assert got.end_user == one_end_user("1", "Taro")
    assert got.user_id is None
    assert (got.direction, got.peer_location, got.address) == INFO[:3]
    assert (got.offer_timestamp, got.whoscall) == (TS, "%7B%7D")


def test_other_info_type_may_have_any_encoding():
    for form in (Atom, Charlist, str):
        assert info(form("user"), 7) == OtherInfo(type="user", user_id=7)
        assert info(form("end_user"), "7") == OtherInfo(type="end_user", end_user=one_end_user("7"))


@for_each("count", range(1, 9))
@for_each("end_user_parts", [(Atom("user"), 7), (Atom("end_user"), "1*Taro")])
def test_parts_missing_at_the_end_of_other_info_become_none(end_user_parts, count):
    parts = (*end_user_parts, *INFO)
    assert info(*parts[:count]) == info(*parts[:count], *(None,) * (8 - count))
    assert type(info(*parts[:count])) is OtherInfo
    assert info(end_user_parts[0]) == OtherInfo(type=end_user_parts[0])


def test_surplus_parts_of_other_info_are_ignored():
    for surplus in (("surplus",), ("surplus", 1)):
        assert info(Atom("user"), 7, *INFO, *surplus) == info(Atom("user"), 7, *INFO)


@for_each("end_user_parts", [None, "", "****", [], BERT_NIL])
def test_other_info_without_end_user(end_user_parts):
    """An end user that is missing, empty or all asterisks is None."""
    assert info(Atom("end_user"), end_user_parts) == OtherInfo(type="end_user")


@for_each("end_user_parts", [7, 0, (1, "Taro"), {"a": 1}, ["a", -1], "_MANY_:x"])
def test_malformed_end_user_in_other_info_stays_raw(end_user_parts):
    assert info(Atom("end_user"), end_user_parts) == OtherInfo(
        type="end_user", end_user=end_user_parts
    )


def test_other_info_may_have_many_end_users():
    assert info(None, "_MANY_:3|1*Taro|2").end_user == EndUsers(
        count=3, items=(EndUser(id="1", name="Taro"), EndUser(id="2"))
    )


@for_each("end_user_parts", ["7", 2**70, 1.5, True, "1*Taro"])
def test_user_id_in_other_info_is_unchanged(end_user_parts):
    """A user id of any type is kept as it was sent."""
    assert info(Atom("user"), end_user_parts) == OtherInfo(type="user", user_id=end_user_parts)


@for_each("raw", ["text", 7, 0, 1.5, True, False, (), {}, {"type": "user"}, ["a"]])
def test_malformed_other_info_stays_raw(raw):
    """An other_info needs a tuple with at least one part."""
    for kind in [*CLASSES, "robot"]:
        got = get(read(kind, other_info=raw), "other_info")
        assert got == sent(raw)
        assert type(got) is type(sent(raw))


# origination and tags


@for_each(
    "text, parts",
    [
        ("call_user*7*0312341234", ("call_user", "7", "0312341234")),
        ("call_user", ("call_user",)),
        ("a**b*", ("a", "", "b", "")),
        ("*", ("", "")),
        ("%E6%9D%B1*a+b*%2B*Sir%2ALot", ("東", "a+b", "+", "Sir*Lot")),
        ("100%*%zz*%FF*%41", ("100%", "%zz", "%FF", "A")),
        ("a;b", ("a;b",)),
    ],
)
def test_origination_is_split_at_asterisks_and_percent_decoded(text, parts):
    """A ``+`` stays ``+``."""
    for form in (Atom, Charlist, str):
        assert read("channel", origination=form(text)).origination == parts
    assert read("parked_channel", origination=text).extra["origination"] == parts


@for_each(
    "text, tags",
    [
        ("monitoring_required", ("monitoring_required",)),
        ("monitoring_required;auto_answer", ("monitoring_required", "auto_answer")),
        ("a;;b;", ("a", "", "b", "")),
        ("a%20b+c*d", ("a%20b+c*d",)),
    ],
)
def test_tags_are_split_at_semicolons(text, tags):
    for form in (Atom, Charlist, str):
        assert read("channel", tags=form(text)).tags == tags
    assert read("queued_channel", tags=text).extra["tags"] == tags


@for_each("field", ["origination", "tags"])
@for_each("raw", [7, 0, True, False, (), ("a", "b"), {}, {"a": 1}, ["a", -1]])
def test_origination_and_tags_that_are_not_text_stay_raw(field, raw):
    got = getattr(read("channel", **{field: raw}), field)
    assert got == raw
    assert type(got) is type(raw)


# Other kinds


@for_each("kind", [*OTHERS, "robot"])
def test_only_channels_have_structured_fields(kind):
    """A field with the same name in another kind of element is an extra field."""
    sent_fields = {
        "state": (1, "park", 901),
        "target": ("user", 1, "a", "b"),
        "end_user": "1*Taro",
        "origination": "a*b",
        "tags": "a;b",
    }
    assert read(kind, **sent_fields).extra == sent_fields


def test_older_channels_keep_structured_fields_in_extra():
    element = read(
        "queued_channel",
        target=(Atom("user"), 7, "a", "b"),
        other_info=(Atom("user"), 7),
        tags="a;b",
        origination="a*b",
    )
    assert element.extra == {
        "target": Target(type="user", id=7, name="a", address="b"),
        "other_info": OtherInfo(type="user", user_id=7),
        "tags": ("a", "b"),
        "origination": ("a", "b"),
    }


# Avatars

BASES = [
    ("https://xyz.com", "https://xyz.com"),
    ("https://xyz.com/", "https://xyz.com"),
    ("https://xyz.com//", "https://xyz.com"),
    ("https://xyz.com/pbx", "https://xyz.com/pbx"),
    ("https://xyz.com/pbx/", "https://xyz.com/pbx"),
    ("https://xyz.com/PBX/", "https://xyz.com/PBX"),
    ("/", ""),
]
each_base = for_each("base_url, base", BASES)

ABSOLUTE = [
    "https://cdn.example.com/h.png",
    "http://cdn.example.com/h.png",
    "HTTPS://cdn.example.com/h.png",
    "Http://cdn.example.com/h.png",
    "https:cdn.png",  # absolute in the reference too
]
RELATIVE = ["http:h.png", "http:/h.png", "HTTP:h.png", "https", "h.png", "xhttps://h.png"]


@each_base
def test_user_avatar_is_below_the_base_url(base_url, base):
    """Base URL and path are joined with one slash."""
    user = read("user", base_url, id=1, avatar="a b.png")
    assert user == User(id=1, avatar=f"{base}/basix/avatars/users/a b.png")


@for_each("no_value", [*NO_VALUES, *EMPTY_TEXTS])
def test_user_with_empty_avatar_has_the_user_icon(no_value):
    for base_url, base in BASES:
        assert read("user", base_url, avatar=no_value).avatar == f"{base}/static/icons/user.png"


@each_base
def test_user_without_avatar_field_has_the_user_icon(base_url, base):
    """The record is short, or the field spec names no avatar."""
    icon = f"{base}/static/icons/user.png"
    assert read("user", base_url, id=1).avatar == icon
    assert record_reader(FieldSpec("user", ("id", "avatar")), base_url)((1,)).avatar == icon


def test_avatar_is_absolute_with_https_colon_or_http_slashes():
    """``http:`` without slashes is the start of a file name, as in the reference library."""
    assert read("user", "https://xyz.com", avatar="https:h.png").avatar == "https:h.png"
    relative = read("user", "https://xyz.com", avatar="http:h.png").avatar
    assert relative == "https://xyz.com/basix/avatars/users/http:h.png"


@each_base
def test_end_user_avatar_is_below_the_base_url(base_url, base):
    path = f"{base}/basix/avatars/end_users/a b.png"
    assert end_user("1*Taro*Acme*a+b.png*Tokyo", base_url) == one_end_user(
        "1", "Taro", "Acme", path, "Tokyo"
    )
    assert info(None, "1*Taro*Acme*a+b.png", base_url=base_url).end_user == one_end_user(
        "1", "Taro", "Acme", path
    )


@each_base
def test_end_user_without_avatar_has_the_end_user_icon(base_url, base):
    """The avatar is missing or empty."""
    icon = f"{base}/static/icons/end_user.png"
    end_users = end_user("_MANY_:3|1*Taro|2*Hanako*Acme**Osaka|3****", base_url)
    assert [item.avatar for item in end_users.items] == [icon] * 3
    assert end_user("1", base_url) == one_end_user("1", None, None, icon)
    assert end_user("****", base_url) is None


@each_base
@each_kind
def test_end_users_in_other_info_have_avatars_in_each_kind(kind, base_url, base):
    end_users = info(None, "1*Taro*Acme*a.png", kind=kind, base_url=base_url).end_user
    assert end_users.items[0].avatar == f"{base}/basix/avatars/end_users/a.png"


@for_each("base_url", [base_url for base_url, _ in BASES])
@for_each("url", ABSOLUTE)
def test_absolute_avatar_is_unchanged(base_url, url):
    assert read("user", base_url, avatar=url).avatar == url
    assert end_user(f"1***{quote_plus(url)}", base_url).items[0].avatar == url


@for_each("base_url", [None, ""])
@for_each("avatar", ["a.png", "", *ABSOLUTE, *RELATIVE])
def test_avatar_without_a_base_url_is_unchanged(base_url, avatar):
    """An empty base URL counts as none."""
    assert read("user", base_url, avatar=avatar) == User(avatar=avatar)
    assert end_user(f"1***{quote_plus(avatar)}", base_url) == one_end_user("1", "", "", avatar)


@for_each("base_url", [None, ""])
def test_missing_avatar_without_a_base_url_becomes_none(base_url):
    assert read("user", base_url, id=1).avatar is None
    assert read("user", base_url, avatar=None).avatar is None
    assert end_user("1", base_url) == one_end_user("1")


@for_each("base_url", ["https://xyz.com", "HTTP://xyz.com"])
@for_each("avatar", RELATIVE)
def test_other_avatars_are_relative(base_url, avatar):
    """``http:`` without two slashes is relative, as in the reference."""
    assert (
        read("user", base_url, avatar=avatar).avatar == f"{base_url}/basix/avatars/users/{avatar}"
    )
    (item,) = end_user(f"1***{quote_plus(avatar)}", base_url).items
    assert item.avatar == f"{base_url}/basix/avatars/end_users/{avatar}"


@for_each("raw", [7, 0, 1.5, True, False])
def test_avatar_that_is_not_text_stays_raw(raw):
    for base_url in (None, "https://xyz.com"):
        got = read("user", base_url, avatar=raw).avatar
        assert got == raw
        assert type(got) is type(raw)


def test_avatar_of_other_kinds_is_an_extra_field():
    assert read("group", "https://xyz.com", avatar="a.png").extra == {"avatar": "a.png"}
    assert read("group", "https://xyz.com", id=1) == Group(id=1)


# Readers


def test_readers_are_cached_by_spec_and_base_url():
    """The cache has at most MAX_READERS entries."""
    spec = FieldSpec("user", ("id", "kept"))
    assert record_reader(spec) is record_reader(FieldSpec("user", ("id", "kept")))
    assert record_reader(spec) is not record_reader(spec, "https://xyz.com")
    assert record_reader(spec, "https://xyz.com") is not record_reader(spec, "https://abc.com")
    for number in range(2 * MAX_READERS):
        record_reader(FieldSpec("user", ("id", f"field{number}")))
    assert record_reader.cache_info().currsize == MAX_READERS == 64


@each_kind
def test_records_may_have_more_than_255_fields(kind):
    fields = {f"field{number}": number for number in range(300)}
    assert read(kind, id=1, **fields).extra.items() >= fields.items()


# Random records

FIELDS = sorted({"id", "uuid", "avatar", "news", "name", "last_event_data", *STRUCTURED})


@pytest.mark.slow
@given(
    kind=st.sampled_from([*CLASSES, "robot"]),
    record=st.lists(etf_encoder.any_term(), max_size=len(FIELDS) + 1).map(tuple),
    base_url=st.sampled_from([None, "", "/", "https://xyz.com"]),
)
def test_any_record_becomes_an_element(kind, record, base_url):
    """Every element has a valid key or None and can be written as JSON."""
    element = record_reader(FieldSpec(kind, tuple(FIELDS)), base_url)(sent(record))
    assert type(element) is CLASSES.get(kind, OtherElement)
    assert element.key is None or type(element.key) in {int, str}
    assert element == element  # noqa: PLR0124 - each part must be comparable
    json.dumps(to_dict(element), allow_nan=False)
    for field in ("hangup", "offered_at", "answered_at", "hung_up_at"):
        getattr(element, field, None)


def is_no_value(value):
    """Return True if a decoded term is no value in a structured field."""
    text = as_text(value)  # ``[[]]`` is an empty text, too
    return value is None or (text is not None and not text.strip("*"))


@pytest.mark.slow
@given(
    field=st.sampled_from(STRUCTURED), kind=st.sampled_from(CHANNELS), term=etf_encoder.any_term()
)
def test_structured_field_becomes_none_only_if_no_value_was_sent(field, kind, term):
    raw = sent(term)
    if not is_no_value(raw):
        assert get(read(kind, **{field: term}), field) is not None


def test_all_element_classes_are_tested():
    assert record_decoder.ELEMENTS == CLASSES


@for_each("name", ["end_user", "origination", "tags"])
def test_texts_longer_than_max_parted_text_stay_raw(name):
    """A text of 262,144 characters is split; a longer one is kept as it was sent."""
    assert MAX_PARTED_TEXT == 262_144
    read = record_reader(FieldSpec("channel", (name,)))
    longest = "a" * MAX_PARTED_TEXT
    assert getattr(read((longest,)), name) not in (longest, None)
    assert getattr(read((longest + "a",)), name) == longest + "a"
