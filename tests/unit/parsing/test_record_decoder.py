"""Records: from the terms of a record to the values of an element, rule by rule.

The terms go over the wire, so that they are what a decoder gives: see ``frames``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import etf_encoder
from support.etf_encoder import BERT_NIL, Atom, Charlist

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
from basix_ws_cti.terms import Regex, decode

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
structured = pytest.mark.parametrize("field", STRUCTURED)

every_kind = pytest.mark.parametrize("kind", [*CLASSES, "robot"])
every_channel = pytest.mark.parametrize("kind", CHANNELS)

TS = 1546839040024071
AT = datetime(2019, 1, 7, 5, 30, 40, 24071, tzinfo=UTC)

# Japanese, as three sorts of text: a charlist of it is a list of integers on the wire.
TOKYO = "東京"
TEXTS = [
    pytest.param(TOKYO, id="binary"),
    pytest.param(Atom(TOKYO), id="atom"),
    pytest.param(Charlist(TOKYO), id="charlist-above-255"),
    pytest.param(Charlist(TOKYO.encode().decode("latin-1")), id="charlist-of-utf8"),
]
every_text = pytest.mark.parametrize("text", TEXTS)

# What stands for no value, in any field.
NOTHINGS = [
    pytest.param(None, id="undefined"),
    pytest.param([], id="nil"),
    pytest.param(BERT_NIL, id="bert-nil"),
    pytest.param(Charlist(""), id="empty-charlist"),
]
every_nothing = pytest.mark.parametrize("nothing", NOTHINGS)

EMPTY_TEXTS = [pytest.param("", id="binary"), pytest.param(Atom(""), id="atom")]


def sent(term):
    """The term as it is after its way over the wire."""
    return decode(etf_encoder.frame(term))


def read(kind, base_url=None, /, **fields):
    """The element that a record of these fields becomes."""
    reader = record_reader(FieldSpec(kind, tuple(fields)), base_url)
    return reader(sent(tuple(fields.values())))


def get(element, field):
    """A field of an element, known to its class or not."""
    return getattr(element, field) if hasattr(element, field) else element.extra.get(field)


def state(*parts, kind="channel"):
    return read(kind, state=parts).state


def end_user(text, base_url=None, kind="channel"):
    return read(kind, base_url, end_user=text).end_user


def one(*parts):
    """One person, of these parts."""
    names = ("id", "name", "organization", "avatar", "prefecture")
    return EndUsers(count=1, items=(EndUser(**dict(zip(names, parts, strict=False))),))


# Positions and fields


@every_kind
def test_every_kind_has_its_class(kind):
    """A record becomes an element of its kind's class, or, unknown, an OtherElement."""
    element = read(kind, id=1, uuid="u")
    assert type(element) is CLASSES.get(kind, OtherElement)
    assert element.element_name == kind


def test_positions_are_the_field_spec_s():
    """A record's parts are the fields that the field spec names, in whatever order."""
    assert read("user", id=1, name="a", label="b") == User(id=1, name="a", label="b")
    assert read("user", label="b", id=1, name="a") == User(id=1, name="a", label="b")


def test_a_short_record():
    """Fields missing at a record's end are absent."""
    reader = record_reader(FieldSpec("user", ("id", "name", "label")))
    assert reader((1, "a")) == reader((1, "a", None)) == User(id=1, name="a")
    assert reader(()) == User()


def test_missing_extra_fields_are_not_there():
    """A field that this version does not know and the PBX did not send is not in ``extra``."""
    reader = record_reader(FieldSpec("user", ("id", "badge", "shoes")))
    assert reader((1, "gold")).extra == {"badge": "gold"}
    assert reader(()).extra == {}


def test_a_long_record():
    """Parts beyond the field spec's are ignored."""
    reader = record_reader(FieldSpec("user", ("id", "name")))
    assert reader((1, "a", "surplus", ("more",))) == User(id=1, name="a")


@every_kind
def test_an_empty_field_spec(kind):
    """Where the field spec names nothing, every record is an element without values."""
    reader = record_reader(FieldSpec(kind, ()))
    usual = CLASSES[kind]() if kind in CLASSES else OtherElement(element_name=kind)
    assert reader(()) == reader((1, 2)) == usual


def test_a_name_that_comes_twice():
    """Of two fields of one name the last counts, known to the class or not."""
    reader = record_reader(FieldSpec("user", ("id", "name", "badge", "name", "badge")))
    assert reader((1, "a", "b", "c", "d")) == User(id=1, name="c", extra=Extra(badge="d"))


def test_fields_that_are_not_sent():
    """A known field that the field spec does not name is absent."""
    assert read("user", name="a") == User(name="a")
    assert read("channel") == Channel()


def test_extra_fields():
    """Fields that the class does not know are kept by name, whatever they hold."""
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


@pytest.mark.parametrize("name", ["extra", "element_name", "key", "KEY", "hangup", "_record"])
@every_kind
def test_fields_called_as_ours_are(kind, name):
    """A field that is called as something of ours is an extra field as any other."""
    element = read(kind, id=1, **{name: "sent"})
    assert element.extra[name] == "sent"
    assert element.element_name == kind
    assert to_dict(element)[name] == "sent"


def test_an_unknown_kind_keeps_all():
    """All fields of a kind nobody has heard of are kept, even those with a well-known name."""
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


def test_scalars_are_passed_through():
    """Values of a plain field are passed on as they are, of whatever type: no meaning invented."""
    for value in (0, -1, 2**63, 1.5, True, False, "", "text", (), (1, "a"), {"a": 1}):
        assert read("user", presence=value).presence == value
        assert type(read("user", presence=value).presence) is type(value)


# No value


@every_kind
@every_nothing
def test_no_value_in_a_field(kind, nothing):
    """``undefined``, the empty list and ``{bert,nil}`` are no value, in known and extra fields."""
    fields = ("id", "uuid", "name", "news", *STRUCTURED)
    element = read(kind, **dict.fromkeys(fields, nothing))
    assert [get(element, field) for field in fields] == [None] * len(fields)
    assert element.key is None


@structured
@pytest.mark.parametrize("empty", EMPTY_TEXTS)
@every_channel
def test_empty_text_in_a_structured_field(kind, field, empty):
    """An empty text in a structured field is no value."""
    assert get(read(kind, **{field: empty}), field) is None


def test_empty_text_in_a_plain_field():
    """An empty text in any other field is just that."""
    assert read("user", name="", news="") == User(name="", extra=Extra(news=""))


@every_nothing
def test_no_value_in_a_structure(nothing):
    """Parts of a structure that are no value are None, as if they were missing."""
    assert state(1, Atom("park"), nothing, nothing, nothing, "user1") == Park(
        ts=1, parker_name="user1"
    )
    assert read("channel", target=(nothing, nothing, nothing, nothing)).target == Target()
    assert read("channel", other_info=(nothing,) * 8).other_info == OtherInfo()
    assert read("channel", other_info=(Atom("user"), *(nothing,) * 7)).other_info == OtherInfo(
        type="user"
    )
    assert state(1, Atom("calling"), nothing, Atom("user"), (nothing,)).user_id is None


@pytest.mark.parametrize("nothing", [None, BERT_NIL])
def test_no_timestamp(nothing):
    """A state may lack its timestamp."""
    assert state(nothing, Atom("ringing")) == Ringing()
    assert state(nothing, Atom("park"), 901) == Park(slot=901)


@every_text
def test_text(text):
    """Text is UTF-8 in each of its forms; above 255, a charlist is a list and still text."""
    assert read("user", label=text).label == TOKYO
    assert state(1, Atom("voicemail"), Atom("user"), 1, text).target_name == TOKYO
    assert read("channel", target=(Atom("user"), 1, text, text)).target == Target(
        type="user", id=1, name=TOKYO, address=TOKYO
    )
    assert end_user(text) == one(TOKYO)
    assert read("channel", origination=text).origination == (TOKYO,)
    assert read("channel", tags=text).tags == (TOKYO,)
    info = read("channel", other_info=(Atom("external"), text, text, text, text, 1, 2, text))
    assert info.other_info == OtherInfo(
        type="external",
        end_user=one(TOKYO),
        direction=TOKYO,
        peer_location=TOKYO,
        address=TOKYO,
        offer_timestamp=1,
        group_id=2,
        whoscall=TOKYO,
    )


@every_text
def test_text_of_calling(text):
    """The texts that say who is called are read as all others are."""
    assert state(1, Atom("calling"), text, text).target_location == TOKYO
    assert state(1, Atom("calling"), None, text).target_type == TOKYO
    assert state(1, Atom("calling"), None, Atom("pstn"), (text,)).address == TOKYO
    group = state(1, Atom("calling"), None, Atom("group"), (Atom("ring"), 5, 0, 0, text))
    assert group.group_queue_id == TOKYO


@every_text
def test_text_of_a_bridged_endpoint(text):
    """Both halves of an endpoint's address are read as all other texts are."""
    endpoint = Atom("bridged_endpoint")
    assert state(1, Atom("calling"), None, endpoint, (text, "host")).address == f"{TOKYO}@host"
    assert state(1, Atom("calling"), None, endpoint, ("user", text)).address == f"user@{TOKYO}"


@every_text
def test_text_of_an_avatar(text):
    """An avatar's name is read as all other texts are, with a base URL and without."""
    assert read("user", avatar=text).avatar == TOKYO
    assert read("user", "https://x", avatar=text).avatar == f"https://x/basix/avatars/users/{TOKYO}"


@pytest.mark.parametrize("form", [bytes, lambda raw: Charlist(raw.decode("latin-1"))])
def test_text_that_is_not_utf8(form):
    """Bytes that are not valid UTF-8 are read as Latin-1, so that nothing is lost."""
    caf = form(b"caf\xe9")
    assert read("user", label=caf, news=caf) == User(label="café", extra=Extra(news="café"))
    assert end_user(caf) == one("café")


def test_atoms():
    """Atoms are their names, but for ``undefined``, ``true`` and ``false``."""
    element = read("channel", direction=Atom("inbound"), call_id=Atom("true"), news=Atom("nil"))
    assert element == Channel(direction="inbound", call_id=True, extra=Extra(news="nil"))
    assert read("channel", call_id=Atom("undefined")).call_id is None
    assert read("terminal", registered=False).registered is False


@pytest.mark.parametrize(
    "value", [[1.5], [-1], [0xD800], [0x110000], ["a"], [TOKYO, "b"], [[]], [None], [True]]
)
def test_lists_that_are_no_text(value):
    """A list that is no text is kept as it is."""
    assert read("user", label=value).label == value
    assert state(1, Atom("park"), value).slot == value
    for field in STRUCTURED:
        assert get(read("channel", **{field: value}), field) == value


def test_a_list_in_an_extra_field():
    """Whether a list of integers is text can't be known of an extra field: it is kept."""
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
every_state = pytest.mark.parametrize(
    ("parts", "expected"), STATES, ids=lambda value: str(value[0]) if type(value) is tuple else ""
)


def with_ts(state, ts):
    return type(state)(
        **{name: getattr(state, name) for name in state.__slots__ if name != "__weakref__"}
        | {"ts": ts}
    )


@every_state
@every_channel
def test_state(kind, parts, expected):
    """Every state is read into its class, each part from its place, in all kinds of channel."""
    assert state(TS, *parts, kind=kind) == with_ts(expected, TS)
    assert type(state(TS, *parts, kind=kind)) is type(expected)


@every_state
def test_state_s_name_in_any_form(parts, expected):
    """A state's name may be an atom, a binary or a charlist."""
    for form in (Atom, Charlist, str):
        assert state(TS, form(parts[0]), *parts[1:]) == with_ts(expected, TS)


@every_state
def test_state_with_surplus(parts, expected):
    """Parts of a state beyond those known are ignored."""
    padded = (*parts, *(None,) * (5 - len(parts)), "surplus", 1)
    assert state(TS, *padded) == with_ts(expected, TS)


@every_state
def test_state_cut_short(parts, expected):
    """Parts of a state that are missing at its end are None; those that are there count."""
    for count in range(1, len(parts) + 1):
        whole = (*parts[:count], *(None,) * (6 - count))
        assert state(TS, *parts[:count]) == state(TS, *whole)
        assert type(state(TS, *parts[:count])) is type(expected)
    assert state(TS, parts[0]) == type(expected)(ts=TS)


@pytest.mark.parametrize(
    ("target_type", "data", "fields"),
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
def test_calling_with_parts_missing(target_type, data, fields):
    """What is missing in a target's description is None; the description itself is kept."""
    assert state(TS, Atom("calling"), Atom("int"), Atom(target_type), data) == Calling(
        ts=TS, target_location="int", target_type=target_type, data=sent(data), **fields
    )


@pytest.mark.parametrize("target_type", ["user", "group", "pstn", "bridged_endpoint"])
@pytest.mark.parametrize("data", ["text", 7, {"a": 1}, ["a", "b"], 0, False])
def test_calling_with_data_of_another_shape(target_type, data):
    """A target's description that is no tuple is kept raw, and says nothing of its parts."""
    assert state(TS, Atom("calling"), None, Atom(target_type), data) == Calling(
        ts=TS, target_type=target_type, data=data
    )


def test_calling_without_a_known_target():
    """Without a target type nothing is read into the description."""
    assert state(TS, Atom("calling"), None, None, (7, 8)) == Calling(ts=TS, data=(7, 8))
    assert state(TS, Atom("calling"), None, (1,), (7,)) == Calling(
        ts=TS, target_type=(1,), data=(7,)
    )


@pytest.mark.parametrize("form", [Atom, Charlist, str])
def test_an_unknown_state(form):
    """A state nobody knows keeps its name, its timestamp and the raw rest."""
    assert state(TS, form("dancing"), Atom("tango"), (1, [2])) == OtherState(
        ts=TS, name="dancing", data=("tango", (1, [2]))
    )
    assert state(TS, form("dancing")) == OtherState(ts=TS, name="dancing")
    assert state(None, form("dancing")) == OtherState(name="dancing")


def test_timestamps_of_any_size():
    """A timestamp is any integer, one that no datetime can hold included."""
    for ts in (0, -1, 2**64, -(2**200)):
        assert state(ts, Atom("ringing")) == Ringing(ts=ts)


@pytest.mark.parametrize(
    "raw",
    [
        "parked",
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
    ids=repr,
)
def test_state_of_another_shape(raw):
    """A state that is no tuple of a timestamp and a name is kept raw: nothing is lost."""
    for kind in CHANNELS:
        got = read(kind, state=raw).state
        assert got == sent(raw)
        assert type(got) is type(sent(raw))


# target


def test_target():
    """A target is a tuple of type, id, name and address; parts beyond are ignored."""
    raw = (Atom("group"), 5, "Sales", "0501234567")
    expected = Target(type="group", id=5, name="Sales", address="0501234567")
    assert read("channel", target=raw).target == expected
    assert read("channel_waiting", target=(*raw, "surplus")).target == expected
    assert read("queued_channel", target=raw).extra["target"] == expected


@pytest.mark.parametrize(
    "raw",
    ["text", 7, 0, 0.0, True, False, {}, {"a": 1}, (), (1,), (Atom("user"), 5), (1, 2, 3), ["a"]],
    ids=repr,
)
def test_target_of_another_shape(raw):
    """A target that is no tuple of four is kept raw: nothing is lost."""
    got = read("channel", target=raw).target
    assert got == sent(raw)
    assert type(got) is type(sent(raw))


# end_user


@pytest.mark.parametrize(
    ("text", "parts"),
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
@every_channel
def test_end_user(kind, text, parts):
    """A text between asterisks is one person; missing parts are None, surplus ones ignored."""
    for form in (Atom, Charlist, str):
        assert end_user(form(text), kind=kind) == one(*parts)


@pytest.mark.parametrize(
    ("written", "meant"),
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
        # Malformed escapes stay as written, and harm nothing beside them.
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz", "%zz"),
        ("%E6%9D%B1%zz", "東%zz"),
        ("%%41", "%A"),
        ("% 41", "% 41"),
        ("%4１", "%4１"),  # noqa: RUF001 - a digit, but none of ours
        ("%u6771", "%u6771"),
        # So do escapes that are not UTF-8: half a character, a lone half of a pair, no lead.
        ("%E6%9D", "%E6%9D"),
        ("%FF", "%FF"),
        ("caf%E9", "caf%E9"),
        ("%ED%A0%80", "%ED%A0%80"),
        ("%C0%AA", "%C0%AA"),  # an overlong asterisk
        ("%E6%9D.%41", "%E6%9D.A"),
        ("%E6東%9D%B1", "%E6東%9D%B1"),
        # What Python's own escapes look like is text here.
        ("\\x41", "\\x41"),
        ("\\n%41\\", "\\nA\\"),
        ("\\u6771%E6%9D%B1", "\\u6771東"),
        ("é%41\n", "éA\n"),
    ],
)
def test_percent_encoding(written, meant):
    """Each part is percent-encoded, with ``+`` for a space; what can't be decoded stays."""
    assert end_user(f"1*{written}*x") == one("1", meant, "x")
    assert end_user(f"{written}*%2A%2a") == one(meant, "**")
    assert end_user(written) == one(meant)


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


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_percent_decoding_at_once(text):
    """A text that is decoded as a whole is what its runs of escapes are, one by one."""
    assert record_decoder._unquote(text) == record_decoder._ESCAPES.sub(
        record_decoder._unescape, text
    )


def test_an_encoded_asterisk_separates_nothing():
    """An asterisk that belongs to a name is encoded, and stays in it."""
    assert end_user("1*Sir%2ALot*%2A%2A*%2a") == one("1", "Sir*Lot", "**", "*")
    for asterisk in ("%2A", "%2a"):
        assert end_user(asterisk) == one("*")
        assert end_user(f"1*Sir{asterisk}Lot*{asterisk}") == one("1", "Sir*Lot", "*")


def test_an_encoded_bar_separates_nobody():
    """A bar that belongs to a name is encoded, and stays in it."""
    people = end_user("_MANY_:2|1*A%7CB|2*C")
    assert people.items == (EndUser(id="1", name="A|B"), EndUser(id="2", name="C"))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 1000])
def test_nobody(count):
    """Asterisks alone are nobody."""
    assert end_user("*" * count) is None
    assert read("channel", other_info=(Atom("x"), "*" * count)).other_info == OtherInfo(type="x")


@pytest.mark.parametrize(
    ("text", "count", "ids"),
    [
        ("_MANY_:2|1*Taro|2*Hanako", 2, "12"),
        ("_MANY_:12|1*Taro|2*Hanako", 12, "12"),
        ("_MANY_:1|1*Taro|2*Hanako", 1, "12"),
        ("_MANY_:0", 0, ""),
        ("_MANY_:7", 7, ""),
        ("_MANY_:007", 7, ""),
        ("_MANY_:999999999999999999|1", 10**18 - 1, "1"),
        # Nobody is among them only as an empty place.
        ("_MANY_:2|****|2*Hanako||*", 2, "2"),
        ("_MANY_:2|", 2, ""),
        ("_MANY_:2|*", 2, ""),
        ("_MANY_:2|X|*", 2, "X"),
    ],
)
@every_channel
def test_many(kind, text, count, ids):
    """``_MANY_:N|one|two`` is N people, of whom some are listed."""
    people = end_user(text, kind=kind)
    assert type(people) is EndUsers
    assert people.count == count
    assert [person.id for person in people.items] == list(ids)
    assert type(people.items) is tuple


def test_many_people_in_full():
    """Each of many people is read as one alone would be."""
    assert end_user("_MANY_:3|1*Taro+Y*Acme*t.png*Tokyo|2*%E6%9D%B1|3*100%*Sir%2ALot") == EndUsers(
        count=3,
        items=(
            EndUser(id="1", name="Taro Y", organization="Acme", avatar="t.png", prefecture="Tokyo"),
            EndUser(id="2", name="東"),
            EndUser(id="3", name="100%", organization="Sir*Lot"),
        ),
    )


@pytest.mark.parametrize(
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
        "２",  # noqa: RUF001 - digits, but none of ours
        "٢",
        "1" * 19,
        "9" * 5000,
    ],
)
def test_many_without_a_count(count):
    """A count that is no plain number of at most 18 digits leaves the text as it is."""
    for text in (f"_MANY_:{count}", f"_MANY_:{count}|1*Taro|2*Hanako"):
        assert end_user(text) == text
        assert read("channel", other_info=(None, text)).other_info == OtherInfo(end_user=text)


def test_many_are_limited():
    """A list of more people than anyone would send stays as it is; up to there it is read."""
    everybody = "|".join(str(number) for number in range(MAX_LISTED_END_USERS))
    most = f"_MANY_:5|{everybody}"
    assert MAX_LISTED_END_USERS == 1000
    assert len(end_user(most).items) == MAX_LISTED_END_USERS
    assert end_user(f"{most}|one more") == f"{most}|one more"
    assert end_user(f"{most}|") == f"{most}|"


@pytest.mark.parametrize(
    "raw", [7, 0, 1.5, True, False, (), (1, "Taro"), ("1*Taro",), {}, {"id": 1}, ["1*Taro"]]
)
@every_channel
def test_end_user_of_another_shape(kind, raw):
    """An end_user that is no text is kept raw: nothing is lost."""
    got = end_user(raw, kind=kind)
    assert got == raw
    assert type(got) is type(raw)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=5
    ).filter(any)
)
def test_people_encoded_as_the_pbx_does(parts):
    """Whatever a person's parts are, what was percent-encoded comes back to the letter."""
    text = "*".join(quote_plus(part) for part in parts)
    if text.startswith("_MANY_:"):  # not what a colon is encoded to
        raise AssertionError(text)
    assert end_user(text) == one(*parts)


@given(st.text(max_size=40), st.text(alphabet="*%_MANY:|0123+eE69DfF2Aa", max_size=40))
def test_any_text_is_some_end_user(first, second):
    """No text fails: it is people, or nobody, or stays."""
    for text in (first, second, first + second, f"_MANY_:2|{second}|{first}"):
        people = end_user(text)
        assert people is None or people == text or type(people) is EndUsers


# other_info

INFO = ("outbound", "internal", "term1", TS, 5, "%7B%7D")


def info(*parts, kind="channel", base_url=None):
    return get(read(kind, base_url, other_info=parts), "other_info")


@every_kind
def test_other_info_of_a_user(kind):
    """With type ``user`` the second part is a user's id; it is read in every kind that has it."""
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


@pytest.mark.parametrize("type_", ["end_user", "group", "undefined"])
@every_kind
def test_other_info_of_an_end_user(kind, type_):
    """With any other type, or none, the second part is people."""
    got = info(Atom(type_), "1*Taro", *INFO, kind=kind)
    assert got.type == (None if type_ == "undefined" else type_)
    assert got.end_user == one("1", "Taro")
    assert got.user_id is None
    assert (got.direction, got.peer_location, got.address) == INFO[:3]
    assert (got.offer_timestamp, got.whoscall) == (TS, "%7B%7D")


def test_other_info_s_type_in_any_form():
    """The type may be an atom, a binary or a charlist."""
    for form in (Atom, Charlist, str):
        assert info(form("user"), 7) == OtherInfo(type="user", user_id=7)
        assert info(form("end_user"), "7") == OtherInfo(type="end_user", end_user=one("7"))


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("who", [(Atom("user"), 7), (Atom("end_user"), "1*Taro")])
def test_other_info_cut_short(who, count):
    """Parts missing at the end are None; those that are there count."""
    parts = (*who, *INFO)
    assert info(*parts[:count]) == info(*parts[:count], *(None,) * (8 - count))
    assert type(info(*parts[:count])) is OtherInfo
    assert info(who[0]) == OtherInfo(type=who[0])


def test_other_info_with_surplus():
    """Parts beyond those known are ignored."""
    assert info(Atom("user"), 7, *INFO, "surplus", 1) == info(Atom("user"), 7, *INFO)


@pytest.mark.parametrize("who", [None, "", "****", [], BERT_NIL])
def test_other_info_of_nobody(who):
    """An end_user without a value, empty, or of asterisks alone is nobody."""
    assert info(Atom("end_user"), who) == OtherInfo(type="end_user")


@pytest.mark.parametrize("who", [7, 0, (1, "Taro"), {"a": 1}, ["a"], "_MANY_:x"])
def test_other_info_of_people_of_another_shape(who):
    """People of another shape are kept raw where they stand."""
    assert info(Atom("end_user"), who) == OtherInfo(type="end_user", end_user=who)


def test_other_info_of_many():
    """Many people may be at the other end."""
    assert info(None, "_MANY_:3|1*Taro|2").end_user == EndUsers(
        count=3, items=(EndUser(id="1", name="Taro"), EndUser(id="2"))
    )


@pytest.mark.parametrize("who", ["7", 2**70, (7,), True, "1*Taro"])
def test_other_info_of_a_user_as_sent(who):
    """What stands in a user's place is passed through as it was sent."""
    assert info(Atom("user"), who) == OtherInfo(type="user", user_id=who)


@pytest.mark.parametrize(
    "raw", ["text", 7, 0, 1.5, True, False, (), {}, {"type": "user"}, ["a"]], ids=repr
)
def test_other_info_of_another_shape(raw):
    """An other_info that is no tuple, or an empty one, is kept raw: nothing is lost."""
    for kind in [*CLASSES, "robot"]:
        got = get(read(kind, other_info=raw), "other_info")
        assert got == sent(raw)
        assert type(got) is type(sent(raw))


# origination and tags


@pytest.mark.parametrize(
    ("text", "parts"),
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
def test_origination(text, parts):
    """The origination is split at asterisks and percent-decoded; ``+`` stays ``+``."""
    for form in (Atom, Charlist, str):
        assert read("channel", origination=form(text)).origination == parts
    assert read("parked_channel", origination=text).extra["origination"] == parts


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("monitoring_required", ("monitoring_required",)),
        ("monitoring_required;auto_answer", ("monitoring_required", "auto_answer")),
        ("a;;b;", ("a", "", "b", "")),
        ("a%20b+c*d", ("a%20b+c*d",)),
    ],
)
def test_tags(text, tags):
    """Tags are split at semicolons, and are otherwise as sent."""
    for form in (Atom, Charlist, str):
        assert read("channel", tags=form(text)).tags == tags
    assert read("queued_channel", tags=text).extra["tags"] == tags


@pytest.mark.parametrize("field", ["origination", "tags"])
@pytest.mark.parametrize("raw", [7, 0, True, False, (), ("a", "b"), {}, {"a": 1}, ["a", "b"]])
def test_origination_and_tags_of_another_shape(field, raw):
    """What is no text, such as a list of tags, is kept raw: nothing is lost."""
    got = getattr(read("channel", **{field: raw}), field)
    assert got == raw
    assert type(got) is type(raw)


# Other kinds


@pytest.mark.parametrize("kind", [*OTHERS, "robot"])
def test_channels_alone_have_structures(kind):
    """Fields called as a channel's are nothing special in an element that is no channel."""
    sent_fields = {
        "state": (1, "park", 901),
        "target": ("user", 1, "a", "b"),
        "end_user": "1*Taro",
        "origination": "a*b",
        "tags": "a;b",
    }
    assert read(kind, **sent_fields).extra == sent_fields


def test_structures_in_channels_that_should_not_have_them():
    """The older channels read the structures of newer ones into their extra fields."""
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
every_base = pytest.mark.parametrize(("base_url", "base"), BASES)

ABSOLUTE = ["https://cdn.example.com/h.png", "http://cdn.example.com/h.png"]


@every_base
def test_avatars_of_users(base_url, base):
    """A user's avatar is under the base URL, in its folder, joined with exactly one slash."""
    user = read("user", base_url, id=1, avatar="a b.png")
    assert user == User(id=1, avatar=f"{base}/basix/avatars/users/a b.png")


@pytest.mark.parametrize("nothing", [*NOTHINGS, *EMPTY_TEXTS])
def test_users_without_an_avatar(nothing):
    """A user without an avatar has the icon for users."""
    for base_url, base in BASES:
        assert read("user", base_url, avatar=nothing).avatar == f"{base}/static/icons/user.png"


@every_base
def test_users_whose_avatar_is_not_sent(base_url, base):
    """A user has the icon also where the record is short, or has no place for an avatar."""
    icon = f"{base}/static/icons/user.png"
    assert read("user", base_url, id=1).avatar == icon
    assert record_reader(FieldSpec("user", ("id", "avatar")), base_url)((1,)).avatar == icon


@every_base
def test_avatars_of_end_users(base_url, base):
    """A person's avatar is under the base URL, in its own folder."""
    path = f"{base}/basix/avatars/end_users/a b.png"
    assert end_user("1*Taro*Acme*a+b.png*Tokyo", base_url) == one(
        "1", "Taro", "Acme", path, "Tokyo"
    )
    assert info(None, "1*Taro*Acme*a+b.png", base_url=base_url).end_user == one(
        "1", "Taro", "Acme", path
    )


@every_base
def test_end_users_without_an_avatar(base_url, base):
    """Each person without an avatar, left out or empty, has the icon for people."""
    icon = f"{base}/static/icons/end_user.png"
    people = end_user("_MANY_:3|1*Taro|2*Hanako*Acme**Osaka|3****", base_url)
    assert [person.avatar for person in people.items] == [icon] * 3
    assert end_user("1", base_url) == one("1", None, None, icon)
    assert end_user("****", base_url) is None


@every_base
@every_kind
def test_avatars_in_every_kind_of_other_info(kind, base_url, base):
    """People in an other_info get their avatars in whatever kind it comes."""
    people = info(None, "1*Taro*Acme*a.png", kind=kind, base_url=base_url).end_user
    assert people.items[0].avatar == f"{base}/basix/avatars/end_users/a.png"


@pytest.mark.parametrize("base_url", [base_url for base_url, _ in BASES])
@pytest.mark.parametrize("url", ABSOLUTE)
def test_absolute_avatars(base_url, url):
    """An absolute avatar stays as it is."""
    assert read("user", base_url, avatar=url).avatar == url
    assert end_user(f"1***{quote_plus(url)}", base_url).items[0].avatar == url


@pytest.mark.parametrize("base_url", [None, ""])
@pytest.mark.parametrize("avatar", ["a.png", "", *ABSOLUTE])
def test_avatars_without_a_base_url(base_url, avatar):
    """Without a base URL, an empty one included, nothing is touched."""
    assert read("user", base_url, avatar=avatar) == User(avatar=avatar)
    assert end_user(f"1***{quote_plus(avatar)}", base_url) == one("1", "", "", avatar)


@pytest.mark.parametrize("base_url", [None, ""])
def test_no_avatar_and_no_base_url(base_url):
    """Without a base URL, who has no avatar has none."""
    assert read("user", base_url, id=1).avatar is None
    assert read("user", base_url, avatar=None).avatar is None
    assert end_user("1", base_url) == one("1")


@pytest.mark.parametrize("raw", [7, 0, True, False, (), (1, "a"), {"a": 1}, ["a.png"]])
def test_avatars_of_another_shape(raw):
    """An avatar that is no text is kept raw, with a base URL as without."""
    for base_url in (None, "https://xyz.com"):
        got = read("user", base_url, avatar=raw).avatar
        assert got == raw
        assert type(got) is type(raw)


def test_only_users_have_avatars():
    """A field of that name in another kind is as any extra field."""
    assert read("group", "https://xyz.com", avatar="a.png").extra == {"avatar": "a.png"}
    assert read("group", "https://xyz.com", id=1) == Group(id=1)


# Readers


def test_readers_are_kept():
    """A reader is made once for a spec and base URL, and a limited number of them is kept."""
    spec = FieldSpec("user", ("id", "kept"))
    assert record_reader(spec) is record_reader(FieldSpec("user", ("id", "kept")))
    assert record_reader(spec) is not record_reader(spec, "https://xyz.com")
    assert record_reader(spec, "https://xyz.com") is not record_reader(spec, "https://abc.com")
    for number in range(2 * MAX_READERS):
        record_reader(FieldSpec("user", ("id", f"field{number}")))
    assert record_reader.cache_info().currsize == MAX_READERS == 64


@every_kind
def test_readers_of_many_fields(kind):
    """A record of more fields than a small tuple holds is read as any other."""
    fields = {f"field{number}": number for number in range(300)}
    assert read(kind, id=1, **fields).extra.items() >= fields.items()


# Anything at all

FIELDS = sorted({"id", "uuid", "avatar", "news", "name", "last_event_data", *STRUCTURED})


@given(
    kind=st.sampled_from([*CLASSES, "robot"]),
    record=st.lists(etf_encoder.any_term(), max_size=len(FIELDS) + 1).map(tuple),
    base_url=st.sampled_from([None, "", "/", "https://xyz.com"]),
)
def test_nothing_raises(kind, record, base_url):
    """No record fails: every one is an element, has a key or none, and is plain and JSON."""
    element = record_reader(FieldSpec(kind, tuple(FIELDS)), base_url)(sent(record))
    assert type(element) is CLASSES.get(kind, OtherElement)
    assert element.key is None or type(element.key) in {int, str}
    assert element == element  # noqa: PLR0124 - each part must be comparable
    json.dumps(to_dict(element), allow_nan=False)
    for field in ("hangup", "offered_at", "answered_at", "hung_up_at"):
        getattr(element, field, None)


def is_nothing(value):
    """Whether a decoded term is no value in a structured field."""
    return value is None or value == [] or (type(value) is str and not value.strip("*"))


@given(
    field=st.sampled_from(STRUCTURED), kind=st.sampled_from(CHANNELS), term=etf_encoder.any_term()
)
def test_nothing_is_lost(field, kind, term):
    """A structured field has no value only where none was sent."""
    raw = sent(term)
    if not is_nothing(raw):
        assert get(read(kind, **{field: term}), field) is not None


def test_every_class_is_known_here():
    """The kinds that records are read into are those tried here."""
    assert record_decoder.ELEMENTS == CLASSES


@pytest.mark.parametrize("name", ["end_user", "origination", "tags"])
def test_long_texts_of_parts_stay_raw(name):
    """A text of parts is read up to 262,144 characters; a longer one is kept as it came."""
    assert MAX_PARTED_TEXT == 262_144
    read = record_reader(FieldSpec("channel", (name,)))
    longest = "a" * MAX_PARTED_TEXT
    assert getattr(read((longest,)), name) not in (longest, None)
    assert getattr(read((longest + "a",)), name) == longest + "a"
