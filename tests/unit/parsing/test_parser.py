"""The parser: which message, which field spec, which callback, and what is refused."""

from __future__ import annotations

import asyncio
import functools
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import etf_encoder
from support.etf_encoder import (
    BERT_NIL,
    Atom,
    Charlist,
    field_spec,
    frame,
    info_event,
    initial_info,
)

from basix_ws_cti.elements import Channel, EndUser, EndUsers, Extra, GroupMember, OtherElement, User
from basix_ws_cti.exceptions import BasixError, DecodeError, ProtocolError, UsageError
from basix_ws_cti.messages import FieldSpec, InfoEvent, InitialInfo, Msg, SystemMsg, UnknownMessage
from basix_ws_cti.parsing import fast_path
from basix_ws_cti.parsing.fast_path import FAST_AFTER
from basix_ws_cti.parsing.parser import (
    MAX_ALL_FIELDS,
    MAX_FIELDS,
    MAX_KINDS,
    MAX_LOGGED_NAMES,
    MAX_NAME,
    MessageParser,
)
from basix_ws_cti.states import Park
from basix_ws_cti.terms import Limits

FORMS = [Atom, Charlist, str]
every_form = pytest.mark.parametrize("form", FORMS, ids=["atom", "charlist", "binary"])

USER_SPEC = field_spec("user", "id", "name")

# Texts that stand for somebody's data: none of them may turn up in an error or a log line.
CANARY = "canary-5fe1"
CANARIES = (CANARY, CANARY.upper(), "424242")


def parser(*given, **options):
    """A parser that has read these frames."""
    made = MessageParser(**options)
    for one in given:
        made.parse(one)
    return made


def initial(kind, names, *records):
    """The elements of an initial_info of these records, read by a parser of its own."""
    return parser(field_spec(kind, *names)).parse(initial_info(kind, *records)).elements


class Calls:
    """Callbacks that write down how they were called."""

    def __init__(self):
        self.calls = []

    def on_initial_info(self, element_name, elements):
        self.calls.append(("on_initial_info", element_name, elements))

    def on_info_event(self, element_name, element, event_name):
        self.calls.append(("on_info_event", element_name, element, event_name))

    def on_system_msg(self, text):
        self.calls.append(("on_system_msg", text))

    def on_msg(self, text):
        self.calls.append(("on_msg", text))


# A frame of each message, and the call it brings about.
EVERY_MESSAGE = [
    (USER_SPEC, None),
    (initial_info("user", (1, "a")), ("on_initial_info", "user", {1: User(id=1, name="a")})),
    (
        info_event("user", (1, "b"), "updated"),
        ("on_info_event", "user", User(id=1, name="b"), "updated"),
    ),
    (frame((Atom("system_msg"), Atom("logout"))), ("on_system_msg", "logout")),
    (frame((Atom("msg"), "hello")), ("on_msg", "hello")),
    (frame((Atom("ping"), 1)), None),
]
CALLBACKS = ("on_initial_info", "on_info_event", "on_system_msg", "on_msg")


# Messages


@every_form
def test_every_message_in_every_form(form):
    """Names of messages, kinds, fields and events may be atoms, charlists or binaries."""
    made = MessageParser()
    kind = form("user")
    spec = frame((form("field_spec"), kind, [form("id"), form("name")]))
    assert made.parse(spec) == FieldSpec("user", ("id", "name"))
    everyone = made.parse(frame((form("initial_info"), kind, [(1, "a")])))
    assert everyone == InitialInfo("user", {1: User(id=1, name="a")})
    event = made.parse(frame((form("info_event"), kind, (1, "b"), form("added"))))
    assert event == InfoEvent("user", User(id=1, name="b"), "added")
    assert made.parse(frame((form("system_msg"), form("logout")))) == SystemMsg("logout")
    assert made.parse(frame((form("msg"), form("hello")))) == Msg("hello")


def test_forms_may_differ():
    """A kind in one form is the same kind in another."""
    made = parser(frame((Atom("field_spec"), Charlist("user"), [Atom("id"), "name"])))
    for form in FORMS:
        event = made.parse(frame((Atom("info_event"), form("user"), (1, "a"), form("updated"))))
        assert event == InfoEvent("user", User(id=1, name="a"), "updated")


def test_messages_of_the_right_type():
    """An event that is made quickly is no less a message, and stays as it is."""
    event = parser(USER_SPEC).parse(info_event("user", (1, "a")))
    assert type(event) is InfoEvent
    assert hash(event) == hash(InfoEvent("user", User(id=1, name="a"), "updated"))


@pytest.mark.parametrize("event_name", ["added", "updated", "removed", "renamed", ""])
def test_event_names(event_name):
    """Any name of an event is passed on, known or not."""
    event = frame((Atom("info_event"), Charlist("user"), (1,), event_name))
    assert parser(USER_SPEC).parse(event).event_name == event_name


@pytest.mark.parametrize("empty", [[], BERT_NIL], ids=["nil", "bert-nil"])
def test_empty_initial_info(empty):
    """No elements are ``[]`` or ``{bert,nil}``."""
    made = parser(USER_SPEC)
    message = made.parse(frame((Atom("initial_info"), Charlist("user"), empty)))
    assert message == InitialInfo("user", {})


@pytest.mark.parametrize("empty", [[], BERT_NIL], ids=["nil", "bert-nil"])
def test_empty_field_spec(empty):
    """A kind may have no fields: its records then have no values."""
    made = MessageParser()
    message = made.parse(frame((Atom("field_spec"), Charlist("user"), empty)))
    assert message == FieldSpec("user", ())
    assert made.parse(info_event("user", (1, "a"))).element == User()
    assert made.parse(initial_info("user", (1,), ())).elements == {0: User(), 1: User()}


@pytest.mark.parametrize("name", ["system_msg", "msg"])
@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("hello", "hello"),
        (Atom("logout"), "logout"),
        (Charlist("café"), "café"),
        ("東京", "東京"),
        (Charlist("東京"), "東京"),
        (b"caf\xe9", "café"),
        ("", ""),
        ([], ""),
        (BERT_NIL, ""),
    ],
)
def test_texts(name, sent, text):
    """A message's text may be any form of text, the empty list in both its forms included."""
    cls = SystemMsg if name == "system_msg" else Msg
    assert MessageParser().parse(frame((Atom(name), sent))) == cls(text)


def test_surplus_parts():
    """Parts of a message beyond those known are ignored."""
    made = MessageParser()
    spec = frame((Atom("field_spec"), Charlist("user"), [Atom("id")], "more", 1))
    assert made.parse(spec) == FieldSpec("user", ("id",))
    everyone = frame((Atom("initial_info"), Charlist("user"), [(1,)], "more"))
    assert made.parse(everyone) == InitialInfo("user", {1: User(id=1)})
    event = frame((Atom("info_event"), Charlist("user"), (1,), Charlist("added"), "more", ()))
    assert made.parse(event) == InfoEvent("user", User(id=1), "added")
    assert made.parse(frame((Atom("msg"), "hello", "more"))) == Msg("hello")


@every_form
def test_unknown_messages(form):
    """A message nobody knows keeps its name and the whole decoded term."""
    term = (form("ping"), "a", [(1, 2.5)], {"b": None})
    assert MessageParser().parse(frame(term)) == UnknownMessage(
        "ping", ("ping", "a", [(1, 2.5)], {"b": None})
    )
    assert MessageParser().parse(frame((form("ping"),))) == UnknownMessage("ping", ("ping",))


def test_unknown_kinds():
    """A kind nobody has heard of is read as any other, if it has announced its fields."""
    made = parser(field_spec("robot", "uuid", "arms"))
    assert made.parse(info_event("robot", ("u", 2))).element == OtherElement(
        element_name="robot", extra=Extra(uuid="u", arms=2)
    )
    assert made.parse(initial_info("robot", ("u", 2), ("v", 3))).elements.keys() == {"u", "v"}


def test_records_shorter_and_longer():
    """A record may be shorter than its field spec, or longer."""
    made = parser(USER_SPEC)
    assert made.parse(info_event("user", (1,))).element == User(id=1)
    assert made.parse(info_event("user", ())).element == User()
    assert made.parse(info_event("user", (1, "a", "surplus"))).element == User(id=1, name="a")


# Field specs


def test_field_specs_first_or_each_with_its_own():
    """All field specs may come before the first initial_info, or each just before its own."""
    group_spec = field_spec("group", "id")
    users, groups = initial_info("user", (1, "a")), initial_info("group", (5,))
    first = [parser(USER_SPEC, group_spec).parse(one) for one in (users, groups)]
    made = MessageParser()
    each = [made.parse(one) for one in (USER_SPEC, users, group_spec, groups)]
    assert [message.element_name for message in first] == ["user", "group"]
    assert [each[1], each[3]] == first


def test_field_spec_replaced():
    """A field spec that comes again counts from there on, before and after records."""
    made = parser(USER_SPEC, field_spec("user", "name", "id"))
    assert made.parse(info_event("user", ("a", 1))).element == User(id=1, name="a")
    made.parse(field_spec("user", "id", "label"))
    assert made.parse(info_event("user", (1, "b"))).element == User(id=1, label="b")
    assert made.parse(initial_info("user", (1, "b"))).elements == {1: User(id=1, label="b")}


def test_field_spec_of_another_kind():
    """A field spec replaces that of its own kind only."""
    made = parser(USER_SPEC, field_spec("group", "name", "id"))
    assert made.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")


def test_field_specs_belong_to_one_parser():
    """Another parser knows nothing of a field spec, or has its own."""
    first, second = parser(USER_SPEC), parser(field_spec("user", "name", "id"))
    assert first.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")
    assert second.parse(info_event("user", ("a", 1))).element == User(id=1, name="a")
    with pytest.raises(ProtocolError):
        MessageParser().parse(info_event("user", (1, "a")))


def test_a_field_that_comes_twice():
    """Of two fields of one name the last counts; the message shows both."""
    made = MessageParser()
    message = made.parse(field_spec("user", "id", "name", "id"))
    assert message.fields == ("id", "name", "id")
    assert made.parse(info_event("user", (1, "a", 2))).element == User(id=2, name="a")


def test_field_names_above_255():
    """A field's name may be a charlist that is a list of integers on the wire."""
    spec = frame((Atom("field_spec"), Charlist("user"), [Atom("id"), Charlist("東京")]))
    made = MessageParser()
    assert made.parse(spec) == FieldSpec("user", ("id", "東京"))
    assert made.parse(info_event("user", (1, 2))).element.extra == {"東京": 2}


# Keys


def test_elements_by_key():
    """The elements are there by key, in the order they were sent; of one key the last counts."""
    users = initial("user", ("id", "name"), (3, "c"), (1, "a"), (2, "b"), (1, "again"))
    assert list(users) == [3, 1, 2]
    assert [user.name for user in users.values()] == ["c", "again", "b"]
    assert all(type(key) is int for key in users)
    channels = initial("channel", ("uuid",), ("v",), ("u",))
    assert list(channels) == ["v", "u"]


def test_keys_of_text():
    """A key that was sent as text stays text, though it be a number's."""
    assert list(initial("user", ("id",), ("7",), (7,))) == ["7", 7]


def test_keys_of_group_members():
    """A group_member that was sent without id has the key of user and group."""
    names = ("id", "user_id", "group_id")
    members = initial("group_member", names, (9, 1, 2), (None, 1, 2), (None, 3, 2), (None, None, 2))
    assert set(members) == {9, "1:2", "3:2", 3}
    assert members["1:2"] == GroupMember(user_id=1, group_id=2)


def test_keyless_elements_have_their_position():
    """An element without a key keeps its position for one."""
    users = initial("user", ("id", "name"), (None, "a"), (70, "b"), (None, "c"))
    assert users == {0: User(name="a"), 70: User(id=70, name="b"), 2: User(name="c")}
    robots = initial("robot", ("name",), ("a",), ("b",))
    assert [robot.extra["name"] for robot in (robots[0], robots[1])] == ["a", "b"]


def test_keyless_elements_in_their_place():
    """The elements are in the order they were sent, also where some have no key."""
    users = initial("user", ("id", "name"), (None, "a"), (70, "b"), (None, "c"))
    assert [user.name for user in users.values()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "key", [2**64, -(2**63) - 1, 2**4000, True, 1.0, (1,), [1.5], {"a": 1}, ""]
)
def test_keys_that_are_none(key):
    """An id beyond 64 bits, or of a type that no id has, is as none: the position counts."""
    users = initial("user", ("id",), (50,), (key,))
    assert set(users) == {50, 1}
    assert users[1].id == key


def test_a_position_that_is_somebody_s_id():
    """Where an id is the position of one without, that one has the next free number."""
    users = initial("user", ("id", "name"), (None, "a"), (0, "b"), (1, "c"), (None, "d"))
    assert users[0].name == "b"
    assert users[1].name == "c"
    assert users[2].name == "a"
    assert users[3].name == "d"
    assert len(users) == 4
    assert list(initial("user", ("id",), (None,), (0,))) == [1, 0]
    assert list(initial("user", ("id",), (None,), (None,), (0,))) == [1, 2, 0]


def test_nobody_is_lost_to_many_collisions():
    """However the ids lie, the free numbers found are as many as elements without one."""
    count = 3000
    records = [(None, number) for number in range(count)]
    records += [(number, count + number) for number in range(count)]
    users = initial("user", ("id", "name"), *records)
    assert sorted(user.name for user in users.values()) == list(range(2 * count))
    assert all(users[number].id == number for number in range(count))


@given(st.lists(st.none() | st.integers(0, 9) | st.just(2**70), max_size=10))
def test_nobody_is_lost(ids):
    """Every element without a key is there, and of those with one the last of each key."""
    users = initial("user", ("id", "name"), *enumerate_records(ids))
    by_id = {id_: position for position, id_ in enumerate(ids) if id_ in range(10)}
    for id_, position in by_id.items():
        assert users[id_].name == position
    keyless = [position for position, id_ in enumerate(ids) if id_ not in range(10)]
    assert sorted(user.name for key, user in users.items() if key not in by_id) == keyless
    assert len(users) == len(by_id) + len(keyless)


def enumerate_records(ids):
    return [(id_, position) for position, id_ in enumerate(ids)]


# Options


@pytest.mark.parametrize(
    ("base_url", "user", "person"),
    [
        (None, None, None),
        ("", None, None),
        ("/", "/static/icons/user.png", "/static/icons/end_user.png"),
        (
            "https://xyz.com",
            "https://xyz.com/static/icons/user.png",
            "https://xyz.com/static/icons/end_user.png",
        ),
        (
            "https://xyz.com/",
            "https://xyz.com/static/icons/user.png",
            "https://xyz.com/static/icons/end_user.png",
        ),
    ],
)
def test_base_url(base_url, user, person):
    """Avatars are under the base URL, joined with one slash; None or empty touches none."""
    made = parser(USER_SPEC, field_spec("channel", "uuid", "end_user"), base_url=base_url)
    assert made.parse(info_event("user", (1, "a"))).element == User(id=1, name="a", avatar=user)
    assert made.parse(initial_info("user", (1,))).elements[1].avatar == user
    assert made.parse(info_event("channel", ("u", "7"))).element == Channel(
        uuid="u", end_user=EndUsers(count=1, items=(EndUser(id="7", avatar=person),))
    )


def test_base_urls_do_not_mix():
    """Two parsers with different base URLs each keep to their own."""
    first, second = (parser(USER_SPEC, base_url=url) for url in ("https://a", "https://b"))
    for _ in range(2):
        for made, base in ((first, "https://a"), (second, "https://b")):
            avatar = made.parse(info_event("user", (1,))).element.avatar
            assert avatar == f"{base}/static/icons/user.png"


def test_limits():
    """The limits given are the decoder's, from the first frame on; others have the default."""
    limits = Limits(frame_bytes=40)
    at_limit = frame((Atom("msg"), "x" * (40 - 1 - 2 - 5 - 5)))
    assert len(at_limit) == 40
    assert type(parser(limits=limits).parse(at_limit)) is Msg
    beyond = frame((Atom("msg"), "x" * 28))
    with pytest.raises(DecodeError, match="a frame of 41 bytes; the limit is 40"):
        parser(limits=limits).parse(beyond)
    assert type(parser().parse(beyond)) is Msg


@pytest.mark.parametrize("as_frame", [bytes, bytearray, memoryview])
def test_frames_of_every_type(as_frame):
    """A frame is bytes, a bytearray or a memoryview; it is not kept, nor its memory."""
    raw = bytearray(frame((Atom("msg"), "hello")))
    message = MessageParser().parse(as_frame(raw))
    raw[:] = b"\0" * len(raw)
    assert message == Msg("hello")


# What is refused


def shape(*parts):
    return frame(tuple(Atom(part) if type(part) is str else part for part in parts))


# What is sent, to a parser that knows users, and the error's three parts.
REFUSED = [
    (f'["msg", "{CANARY}"]', "expected a binary frame, got a text frame", None, None),
    *(
        (frame(term), f"expected a tuple that starts with the message name, got {what}", None, None)
        for term, what in [
            (CANARY, "str of length 11"),
            (Atom(CANARY), "str of length 11"),
            (424242, "int"),
            (1.5, "float"),
            (None, "no value"),
            (True, "bool"),
            ([], "list of length 0"),
            ([(Atom("msg"), CANARY)], "list of length 1"),
            ({"msg": CANARY}, "dict of length 1"),
            ((), "tuple of length 0"),
            ((424242, CANARY), "tuple of length 2"),
            ((None, CANARY), "tuple of length 2"),
            ((True, CANARY), "tuple of length 2"),
            (((Atom("msg"), CANARY), 1, 2), "tuple of length 3"),
            ((Atom("bert"), Atom("time"), 1, 2, 3), "datetime"),
            ((Atom("bert"), Atom("regex"), CANARY, []), "Regex"),
        ]
    ),
    # info_event
    (shape("info_event"), "expected 4 parts, got 1", None, "info_event"),
    (shape("info_event", "user"), "expected 4 parts, got 2", None, "info_event"),
    (shape("info_event", "user", (1, CANARY)), "expected 4 parts, got 3", None, "info_event"),
    *(
        (
            frame((Atom("info_event"), kind, (1, CANARY), Charlist("added"))),
            f"expected text as kind, got {what}",
            None,
            "info_event",
        )
        for kind, what in [
            (None, "no value"),
            (BERT_NIL, "no value"),
            (424242, "int"),
            (True, "bool"),
            ((CANARY,), "tuple of length 1"),
            ([CANARY], "list of length 1"),
            ([], "list of length 0"),
            ({CANARY: 1}, "dict of length 1"),
        ]
    ),
    (
        info_event("group", (424242, CANARY)),
        "no field_spec received for this kind",
        "group",
        "info_event",
    ),
    *(
        (
            info_event("user", record),
            f"expected a tuple as record, got {what}",
            "user",
            "info_event",
        )
        for record, what in [
            (None, "no value"),
            (CANARY, "str of length 11"),
            ([1, CANARY], "list of length 2"),
            ({"id": CANARY}, "dict of length 1"),
            (424242, "int"),
            (BERT_NIL, "no value"),
        ]
    ),
    *(
        (
            frame((Atom("info_event"), Charlist("user"), (1, CANARY), name)),
            f"expected text as event name, got {what}",
            "user",
            "info_event",
        )
        for name, what in [
            (None, "no value"),
            (424242, "int"),
            (False, "bool"),
            ((CANARY,), "tuple of length 1"),
            ([CANARY], "list of length 1"),
        ]
    ),
    # initial_info
    (shape("initial_info"), "expected 3 parts, got 1", None, "initial_info"),
    (shape("initial_info", "user"), "expected 3 parts, got 2", None, "initial_info"),
    (
        shape("initial_info", 424242, [(1, CANARY)]),
        "expected text as kind, got int",
        None,
        "initial_info",
    ),
    (
        initial_info("group", (424242, CANARY)),
        "no field_spec received for this kind",
        "group",
        "initial_info",
    ),
    *(
        (
            frame((Atom("initial_info"), Charlist("user"), given)),
            f"expected a list of records, got {what}",
            "user",
            "initial_info",
        )
        for given, what in [
            (CANARY, "str of length 11"),
            ((1, CANARY), "tuple of length 2"),
            ({1: CANARY}, "dict of length 1"),
            (False, "bool"),
        ]
    ),
    (
        initial_info("user", (1, CANARY), (2, CANARY), [3, CANARY], (4, CANARY)),
        "expected a tuple as record, got list of length 2",
        "user",
        "initial_info record 2",
    ),
    (
        initial_info("user", CANARY),
        "expected a tuple as record, got str of length 11",
        "user",
        "initial_info record 0",
    ),
    # field_spec
    (shape("field_spec"), "expected 3 parts, got 1", None, "field_spec"),
    (shape("field_spec", "user"), "expected 3 parts, got 2", None, "field_spec"),
    (
        shape("field_spec", ("user",), []),
        "expected text as kind, got tuple of length 1",
        None,
        "field_spec",
    ),
    (shape("field_spec", None, []), "expected text as kind, got no value", None, "field_spec"),
    *(
        (
            frame((Atom("field_spec"), Charlist("user"), given)),
            f"expected a list of field names, got {what}",
            "user",
            "field_spec",
        )
        for given, what in [
            ("id", "str of length 2"),
            (Charlist("id"), "str of length 2"),
            ((Atom("id"), Atom("name")), "tuple of length 2"),
            ({"id": 1}, "dict of length 1"),
        ]
    ),
    *(
        (
            frame((Atom("field_spec"), Charlist("user"), [Atom("label"), name, Atom("id")])),
            f"expected text as field name 1, got {what}",
            "user",
            "field_spec",
        )
        for name, what in [
            (None, "no value"),
            (True, "bool"),
            (424242, "int"),
            ((CANARY,), "tuple of length 1"),
            ([CANARY], "list of length 1"),
            ("", "str of length 0"),
            ([], "list of length 0"),
        ]
    ),
    # system_msg and msg
    (shape("system_msg"), "expected 2 parts, got 1", None, "system_msg"),
    (shape("msg"), "expected 2 parts, got 1", None, "msg"),
    *(
        (frame((Atom(name), *rest)), f"expected text, got {what}", None, name)
        for name in ("system_msg", "msg")
        for rest, what in [
            ((424242, CANARY), "int"),
            ((True,), "bool"),
            (((CANARY,),), "tuple of length 1"),
            (([CANARY],), "list of length 1"),
            (({CANARY: 1},), "dict of length 1"),
        ]
    ),
]


every_refused = pytest.mark.parametrize(
    ("sent", "problem", "element_name", "field"),
    REFUSED,
    ids=[f"{field or 'term'}: {problem}" for _, problem, _, field in REFUSED],
)


@every_refused
def test_refused(sent, problem, element_name, field, caplog):
    """A term that is no message is refused in words that name kind and part, and no data."""
    caplog.set_level(logging.DEBUG)
    made = parser(USER_SPEC)
    for read in (made.parse, made.handle_message):
        with pytest.raises(ProtocolError) as caught:
            read(sent)
        error = caught.value
        assert (error.problem, error.element_name, error.field) == (problem, element_name, field)
        where = ", ".join(part for part in (element_name, field) if part is not None)
        assert str(error) == (f"{where}: {problem}" if where else problem)
        shown = f"{error}{error!r}{error.args}{error.__context__!r}{error.__cause__!r}"
        assert not any(canary in shown for canary in CANARIES)
    assert caplog.records == []


@every_refused
def test_refused_and_gone(sent, problem, element_name, field):
    """After a refused frame the parser goes on as if it had never come."""
    made = parser(USER_SPEC)
    before = made.parse(initial_info("user", (1, "a")))
    with pytest.raises(ProtocolError):
        made.parse(sent)
    assert made.parse(initial_info("user", (1, "a"))) == before
    assert made.parse(info_event("user", (2, "b"))).element == User(id=2, name="b")


def test_a_kind_in_an_error_is_printable():
    """A kind's name in an error is printable and of bounded length: a peer chose it."""
    with pytest.raises(ProtocolError) as caught:
        MessageParser().parse(info_event("a\n\x1b[31m" + "b" * 200, (1,)))
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith("a\ufffd\ufffd[31mbbb")
    assert len(text) < 160


@pytest.mark.parametrize("sent", [None, 7, [131, 97, 1], object()])
def test_what_is_no_frame(sent):
    """What is neither bytes nor text is refused as bytes that can't be read are."""
    with pytest.raises(DecodeError, match="expected bytes, got"):
        MessageParser().parse(sent)


def test_bytes_that_are_no_term():
    """Bytes that can't be read are a DecodeError, which quotes none of them."""
    whole = frame((Atom("msg"), CANARY))
    made = parser(USER_SPEC)
    for end in range(len(whole)):
        with pytest.raises(DecodeError) as caught:
            made.handle_message(whole[:end])
        assert CANARY not in f"{caught.value}{caught.value!r}"
    with pytest.raises(DecodeError):
        made.handle_message(whole + b"\0")
    assert made.parse(whole) == Msg(CANARY)


def test_too_many_kinds():
    """A connection has at most so many kinds; those that there are can still be replaced."""
    made = MessageParser()
    for number in range(MAX_KINDS):
        made.parse(field_spec(f"kind{number}", "id"))
    for _ in range(2):
        with pytest.raises(ProtocolError) as caught:
            made.parse(field_spec("one-more", "id"))
        assert str(caught.value) == "field_spec: more than 1000 kinds on one connection (MAX_KINDS)"
        assert (caught.value.element_name, caught.value.field) == (None, "field_spec")
    with pytest.raises(ProtocolError, match="no field_spec received for this kind"):
        made.parse(info_event("one-more", (1,)))
    made.parse(field_spec("kind0", "uuid"))
    assert made.parse(info_event("kind0", ("u",))).element.key == "u"
    assert made.parse(info_event(f"kind{MAX_KINDS - 1}", (7,))).element.key == 7


# A session of good frames, with bad ones in between

GOOD = [
    USER_SPEC,
    initial_info("user", (1, "a"), (None, "b")),
    field_spec("channel", "uuid", "state", "tags"),
    initial_info("channel"),
    info_event("channel", ("u", (1, Atom("park"), 901), "a;b"), "added"),
    info_event("user", (1, "c")),
    frame((Atom("ping"), "pong")),
    field_spec("user", "name", "id", "label"),
    info_event("user", ("d", 2, "e"), "added"),
    initial_info("user", ("d", 2, "e")),
    frame((Atom("msg"), "hello")),
    field_spec("user", "id"),
    info_event("channel", ("u",), "removed"),
    info_event("user", (2,), "removed"),
    frame((Atom("system_msg"), Atom("logout"))),
]

# Bad in whatever state the session is, the field specs of its own kinds included.
BAD = [
    "text",
    b"",
    b"\x83",
    frame("no message"),
    frame(()),
    shape("info_event", "user"),
    shape("info_event", "robot", (1,), "added"),
    shape("info_event", "user", [1, "x"], "added"),
    shape("info_event", "user", (1, "x"), 7),
    shape("initial_info", "robot", []),
    initial_info("user", (1, "x"), (2, "y"), "no record"),
    initial_info("channel", ("u",), None),
    frame((Atom("field_spec"), Charlist("user"), [Atom("label"), 7])),
    frame((Atom("field_spec"), Charlist("user"), [Atom("label"), ""])),
    frame((Atom("field_spec"), Charlist("channel"), [None])),
    frame((Atom("field_spec"), Charlist("user"), (Atom("label"),))),
    frame((Atom("field_spec"), Charlist("user"))),
    frame((Atom("msg"),)),
    frame((Atom("system_msg"), 7)),
]

GOOD_MESSAGES = [parser(*GOOD[:at]).parse(good) for at, good in enumerate(GOOD)]

damaged = st.builds(lambda good, end: good[: end % len(good)], st.sampled_from(GOOD), st.integers())
between = st.lists(st.sampled_from(BAD) | damaged, max_size=3)


@given(st.tuples(*[between] * len(GOOD)))
def test_bad_frames_change_nothing(bad):
    """A session gives the same messages, whatever bad frames come in between."""
    made = MessageParser()
    messages = []
    for good, some_bad in zip(GOOD, bad, strict=True):
        for one in some_bad:
            with pytest.raises(BasixError):
                made.parse(one)
        messages.append(made.parse(good))
    assert messages == GOOD_MESSAGES


def test_a_bad_field_spec_does_not_replace_a_good_one():
    """A field spec that is refused leaves the one that there was, used already or not."""
    bad = [one for one in BAD if b"field_spec" in (one if type(one) is bytes else b"")]
    assert len(bad) == 5
    for used in (False, True):
        made = parser(USER_SPEC, *([info_event("user", (1, "a"))] if used else []))
        for one in bad:
            with pytest.raises(ProtocolError):
                made.parse(one)
        assert made.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")


@given(
    st.one_of(
        etf_encoder.any_term(),
        st.tuples(
            st.sampled_from(["field_spec", "initial_info", "info_event", "msg"]).map(Atom),
            st.sampled_from(["user", "channel", "robot"]).map(Charlist) | etf_encoder.any_term(),
            etf_encoder.any_term()
            | st.lists(etf_encoder.any_term() | st.text(min_size=1), max_size=4),
            etf_encoder.any_term(),
        ),
        st.lists(etf_encoder.any_term(), max_size=4).map(lambda parts: (Atom("msg"), *parts)),
    )
)
def test_no_term_breaks_the_parser(term):
    """Any term is a message or a BasixError, and harms nothing that comes after."""
    made = parser(USER_SPEC, field_spec("channel", "uuid", "state", "end_user", "other_info"))
    try:
        message = made.parse(frame(term))
    except BasixError:
        message = None
    if type(message) is not FieldSpec:
        assert made.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")
    made.parse(USER_SPEC)
    assert made.parse(initial_info("user", (1, "a"))).elements == {1: User(id=1, name="a")}


# What is logged


def test_an_unknown_message_is_logged_once(caplog):
    """A message nobody knows is logged at WARNING by name, once, and never what it holds."""
    made = MessageParser()
    for _ in range(3):
        made.handle_message(frame((Atom("ping"), CANARY, [424242], {CANARY: CANARY})))
    made.parse(frame((Charlist("ping"), CANARY)))
    made.parse(frame((Atom("pong"), CANARY)))
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "basix_ws_cti.parsing.parser",
            "WARNING",
            "unknown message ping: delivered as UnknownMessage",
        ),
        (
            "basix_ws_cti.parsing.parser",
            "WARNING",
            "unknown message pong: delivered as UnknownMessage",
        ),
    ]
    for record in caplog.records:
        assert not any(canary in str(vars(record)) for canary in CANARIES)


def test_another_parser_logs_anew(caplog):
    """What was logged is each parser's own affair."""
    for _ in range(2):
        MessageParser().parse(frame((Atom("ping"),)))
    assert len(caplog.records) == 2


def test_logged_names_are_limited(caplog):
    """A peer that makes up names does not fill the log; the messages still come through."""
    made = MessageParser()
    for number in range(MAX_LOGGED_NAMES + 50):
        message = made.parse(frame((Atom(f"name{number}"),)))
        assert message == UnknownMessage(f"name{number}", (f"name{number}",))
    assert MAX_LOGGED_NAMES == len(caplog.records) == 100
    made.parse(frame((Atom("name0"),)))
    assert len(caplog.records) == 100


def test_logged_names_are_printable(caplog):
    """A name in the log is one printable line of bounded length, whatever the peer wrote."""
    MessageParser().parse(frame(("ping\n\x1b[31mWARNING forged\u2028%s\u202e", CANARY)))
    MessageParser().parse(frame(("x" * 5000, CANARY)))
    first, second = (record.getMessage() for record in caplog.records)
    assert first.isprintable()
    assert first.startswith("unknown message ping\ufffd\ufffd[31mWARNING forged\ufffd%s\ufffd:")
    assert second == f"unknown message {'x' * 59}…: delivered as UnknownMessage"


def test_good_frames_log_nothing(caplog):
    """Frames that are understood are not logged, not even at DEBUG."""
    caplog.set_level(logging.DEBUG)
    for one, _ in EVERY_MESSAGE[:-1]:
        parser(USER_SPEC, on_msg=print).parse(one)
    assert caplog.records == []


# Callbacks


def test_keywords():
    """Each message with a callback calls it back with its parts; the others call nothing."""
    seen = Calls()
    made = MessageParser(**{name: getattr(seen, name) for name in CALLBACKS})
    for one, call in EVERY_MESSAGE:
        seen.calls.clear()
        assert made.handle_message(one) is None
        assert seen.calls == ([] if call is None else [call])


def test_an_object_with_all_methods():
    """An object with methods of those names serves as well as keywords."""
    seen = Calls()
    made = MessageParser(seen)
    for one, _ in EVERY_MESSAGE:
        made.handle_message(one)
    assert seen.calls == [call for _, call in EVERY_MESSAGE if call is not None]


@pytest.mark.parametrize("name", CALLBACKS)
def test_one_keyword_alone(name):
    """Messages without a callback are read and passed over."""
    seen = Calls()
    made = MessageParser(**{name: getattr(seen, name)})
    for one, _ in EVERY_MESSAGE:
        made.handle_message(one)
    assert seen.calls == [call for _, call in EVERY_MESSAGE if call is not None and call[0] == name]


@pytest.mark.parametrize("name", CALLBACKS)
def test_an_object_with_one_method(name):
    """An object need not have all methods; one that is None is as none."""
    seen = Calls()

    class Handler:
        on_msg = on_system_msg = None

    handler = Handler()
    setattr(handler, name, getattr(seen, name))
    made = MessageParser(handler)
    for one, _ in EVERY_MESSAGE:
        made.handle_message(one)
    assert seen.calls == [call for _, call in EVERY_MESSAGE if call is not None and call[0] == name]


def test_no_callbacks():
    """A parser without callbacks reads, and refuses, all the same."""
    made = MessageParser()
    for one, _ in EVERY_MESSAGE:
        assert made.handle_message(one) is None
    with pytest.raises(ProtocolError):
        made.handle_message("text")


def test_parse_calls_nobody():
    """``parse`` gives the message and calls nothing back."""
    seen = Calls()
    made = MessageParser(seen)
    for one, _ in EVERY_MESSAGE:
        made.parse(one)
    assert seen.calls == []


@pytest.mark.parametrize("error", [ValueError("mine"), ProtocolError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_s_exception_is_its_own(name, error):
    """What a callback raises passes through unchanged, and the next frame works."""
    seen = Calls()

    def fail(*given):
        getattr(seen, name)(*given)
        raise error

    made = MessageParser(**{other: getattr(seen, other) for other in CALLBACKS} | {name: fail})
    for one, call in EVERY_MESSAGE:
        if call is None or call[0] != name:
            made.handle_message(one)
            continue
        for _ in range(2):
            with pytest.raises(type(error)) as caught:
                made.handle_message(one)
            assert caught.value is error
            assert error.__context__ is None
    calls = [call for _, call in EVERY_MESSAGE if call is not None]
    assert sorted(seen.calls, key=str) == sorted(
        calls + [call for call in calls if call[0] == name], key=str
    )


def test_a_callback_may_read_on():
    """A callback may hand the next frame to the parser itself."""
    seen = []

    def on_msg(text):
        seen.append(text)
        if text == "first":
            made.handle_message(frame((Atom("msg"), "second")))

    made = MessageParser(on_msg=on_msg)
    made.handle_message(frame((Atom("msg"), "first")))
    assert seen == ["first", "second"]


def test_elements_are_the_callback_s_own():
    """The dict of elements is made anew for each message: a callback may keep and change it."""
    made = parser(USER_SPEC)
    first = made.parse(initial_info("user", (1, "a"))).elements
    first.clear()
    assert made.parse(initial_info("user", (1, "a"))).elements == {1: User(id=1, name="a")}


def test_both_forms_at_once():
    """An object and keywords together are refused: which should be called?"""
    for name in CALLBACKS:
        with pytest.raises(UsageError) as caught:
            MessageParser(Calls(), **{name: print})
        assert str(caught.value) == ("pass the callbacks as a handler or as keywords, not both")


@pytest.mark.parametrize("handler", [object(), 7, "on_msg", print, {"on_msg": print}])
def test_an_object_with_none_of_the_methods(handler):
    """An object with none of the methods is refused: nothing would ever be called."""
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == (
        f"the handler, a {type(handler).__name__}, has none of the methods "
        "on_initial_info, on_info_event, on_system_msg, on_msg"
    )


def test_an_object_whose_methods_are_none():
    """An object whose methods are all None has none of them, however false it is itself."""

    class Nothing(list):
        on_msg = on_system_msg = on_info_event = on_initial_info = None

    with pytest.raises(UsageError, match="the handler, a Nothing, has none of the methods"):
        MessageParser(Nothing())


@pytest.mark.parametrize("value", [7, "print", [print], False, 0, ""])
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_that_is_not_callable(name, value):
    """A callback that can't be called is refused at once, not when its message comes."""
    text = f"{name} must be callable, not {type(value).__name__}"
    with pytest.raises(UsageError) as caught:
        MessageParser(**{name: value})
    assert str(caught.value) == text
    handler = Calls()
    setattr(handler, name, value)
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == text


class Later:
    """Coroutine functions in all their disguises."""

    async def __call__(self, *given):
        pass

    async def method(self, *given):
        pass

    @classmethod
    async def of_the_class(cls, *given):
        pass

    @staticmethod
    async def of_nobody(*given):
        pass

    @staticmethod
    async def one_by_one(*given):
        yield given


LATER = {
    "function": Later.of_nobody,
    "method": Later().method,
    "class method": Later.of_the_class,
    "partial": functools.partial(Later.of_nobody, 1),
    "partial of an object": functools.partial(functools.partial(Later(), 1), 2),
    "generator": Later.one_by_one,
    "object": Later(),
    "library": asyncio.sleep,
}


@pytest.mark.parametrize("callback", LATER.values(), ids=LATER)
@pytest.mark.parametrize("name", CALLBACKS)
def test_coroutine_functions(name, callback):
    """A coroutine function is refused: nobody would await what it returns."""
    text = f"{name} is a coroutine function, which the parser can't await: pass a plain function"
    with pytest.raises(UsageError) as caught:
        MessageParser(**{name: callback})
    assert str(caught.value) == text
    handler = Calls()
    setattr(handler, name, callback)
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == text


class Plain:
    def __call__(self, *given):
        pass


@pytest.mark.parametrize(
    "callback", [print, lambda *_: None, Plain(), str, functools.partial(print, "a"), [].append]
)
def test_whatever_can_be_called(callback):
    """Any other callable will do: a function, an object, a class, a partial, a builtin."""
    MessageParser(on_msg=callback).handle_message(frame((Atom("msg"), "hello")))


def test_usage_errors_are_value_errors():
    """A wrong call of the parser is a ValueError as well as one of ours."""
    assert issubclass(UsageError, ValueError)
    with pytest.raises(ValueError, match="must be callable"):
        MessageParser(on_msg=7)


# A session in full


def test_a_whole_session():
    """From the first field spec to the end: the state of a channel as it goes."""
    seen = Calls()
    made = MessageParser(seen)
    for one in (
        field_spec("channel", "uuid", "state"),
        initial_info("channel"),
        info_event("channel", ("u", (1, Atom("park"), 901)), "added"),
        info_event("channel", ("u",), "removed"),
        frame((Atom("system_msg"), Atom("connection_replaced"))),
    ):
        made.handle_message(one)
    assert seen.calls == [
        ("on_initial_info", "channel", {}),
        ("on_info_event", "channel", Channel(uuid="u", state=Park(ts=1, slot=901)), "added"),
        ("on_info_event", "channel", Channel(uuid="u"), "removed"),
        ("on_system_msg", "connection_replaced"),
    ]


def test_names_beyond_latin_1():
    """A kind, a field and an event's name may be charlists that go out as lists of numbers."""
    kind, field, name = ([ord(char) for char in text] for text in ("部署", "名前", "変更"))
    made = parser(frame((Atom("field_spec"), kind, [Atom("id"), field])))
    told = made.parse(frame((Atom("info_event"), kind, (1, "x"), name)))
    assert (told.element_name, told.event_name) == ("部署", "変更")
    assert told.element.extra == {"id": 1, "名前": "x"}
    listed = made.parse(frame((Atom("initial_info"), kind, [(1, "x")])))
    assert listed.element_name == "部署"


def test_max_fields():
    """A field_spec may name 256 fields, and not one more."""
    names = [f"f{n}" for n in range(257)]
    made = parser(field_spec("user", *names[:256]))
    with pytest.raises(ProtocolError) as caught:
        made.parse(field_spec("user", *names))
    assert str(caught.value) == "user, field_spec: more than 256 fields (MAX_FIELDS)"
    assert len(made.parse(info_event("user", ("x",) * 300)).element.extra) == 256


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"base_url": 5}, "base_url must be a str, not int"),
        ({"base_url": b"https://x"}, "base_url must be a str, not bytes"),
        ({"limits": None}, "limits must be a Limits object, not NoneType"),
    ],
)
def test_options_of_the_wrong_type(options, text):
    """Options are looked at when they are given, not when the first record comes."""
    with pytest.raises(UsageError) as caught:
        MessageParser(**options)
    assert str(caught.value) == text


def test_a_snapshot_of_empty_lists():
    """A thousand channels whose missing fields are empty lists are no hostile frame."""
    names = ["uuid", *(f"f{n}" for n in range(21))]
    elements = initial("channel", names, *((str(n), *([] for _ in range(21))) for n in range(1000)))
    assert len(elements) == 1000


# ------------------------------------------------------------------ what a peer may ask for


def test_records():
    """As many records as the limit are read, one more is refused, whatever is in them."""
    made = MessageParser(limits=Limits(records=3))
    made.parse(field_spec("user", "id"))
    assert len(made.parse(initial_info("user", (), (), ())).elements) == 3
    with pytest.raises(ProtocolError) as caught:
        made.parse(initial_info("user", (), (), (), ()))
    assert caught.value.problem == "4 records; the limit is 3 (records)"
    assert (caught.value.element_name, caught.value.field) == ("user", "initial_info")


def test_long_names():
    """A kind or a field has a name of at most 255 characters."""
    assert MAX_NAME == 255
    made = parser()
    for kind, name in (("k" * 255, "a"), ("k", "ー" * 255)):
        assert made.parse(frame((Atom("field_spec"), kind, [name]))) == FieldSpec(kind, (name,))
    for kind, name, problem in (
        ("k" * 256, "a", "the kind is longer than 255 characters (MAX_NAME)"),
        ("k", "a" * 256, "field name 0 is longer than 255 characters (MAX_NAME)"),
    ):
        with pytest.raises(ProtocolError) as caught:
            made.parse(frame((Atom("field_spec"), kind, [name])))
        assert caught.value.problem == problem


def test_fields_in_all():
    """A connection has at most 10,000 fields in all; a kind sent again counts once."""
    assert MAX_ALL_FIELDS == 10_000
    names = [f"f{number}" for number in range(MAX_FIELDS)]
    made = parser()
    for number in range(39):
        made.parse(field_spec(f"kind{number}", *names))
    for _ in range(2):
        made.parse(field_spec("last", *names[:16]))
    with pytest.raises(ProtocolError) as caught:
        made.parse(field_spec("last", *names[:17]))
    assert caught.value.problem == "more than 10000 fields on one connection (MAX_ALL_FIELDS)"
    assert made.parse(info_event("last", tuple(range(20)))).element.extra["f15"] == 15
    made.parse(field_spec("kind0", "id"))
    made.parse(field_spec("last", *names[:17]))


def test_record_without_key_gets_next_free_number():
    """A record without a key gets the next number that is nobody's, whatever the others chose."""
    made = parser(field_spec("user", "id"))
    ids = [None, 2, None, 0, 1, 2**61, -1, None, 7, 17]
    message = made.parse(initial_info("user", *((one,) for one in ids)))
    assert list(message.elements) == [3, 2, 4, 0, 1, 2**61, -1, 8, 7, 17]


def test_logged_names_are_kept_short(caplog):
    """Of the name of an unknown message no more is kept than is logged."""
    made = parser()
    for _ in range(2):
        made.parse(frame((Atom("x" * 255),)))
        made.parse(frame((b"y" * 10_000,)))
    assert len(caplog.records) == 2
    assert max(map(len, made._logged)) == 60


# The fast path


def event(number, kind="user", name="updated"):
    return info_event(kind, (number, "a"), name)


def takes_fast_path(made, one):
    return made._fast_path.read(one) is not None


@pytest.fixture
def _two_slow_events(monkeypatch):
    """Let two events of a kind take the slow path, and the next ones the fast path."""
    monkeypatch.setattr(fast_path, "FAST_AFTER", 2)


def test_events_take_the_fast_path_after_fast_after():
    """After FAST_AFTER events of a kind the next ones take the fast path, with equal results."""
    made = Calls()
    reader = parser(USER_SPEC, handler=made)
    for number in range(FAST_AFTER):
        assert not takes_fast_path(reader, event(number))
        reader.handle_message(event(number))
    assert takes_fast_path(reader, event(-1))
    reader.handle_message(event(-1, name="added"))
    assert made.calls[-1] == ("on_info_event", "user", User(id=-1, name="a"), "added")
    assert reader.parse(event(-2)) == InfoEvent("user", User(id=-2, name="a"), "updated")
    assert len(made.calls) == FAST_AFTER + 1
    assert not takes_fast_path(parser(USER_SPEC), event(-1))  # readers belong to one connection


@pytest.mark.usefixtures("_two_slow_events")
def test_fast_path_without_a_callback():
    """An event may take the fast path of a parser without callbacks."""
    reader = parser(USER_SPEC, event(1), event(2))
    assert takes_fast_path(reader, event(3))
    reader.handle_message(event(3))


@pytest.mark.usefixtures("_two_slow_events")
def test_callback_error_on_the_fast_path():
    """A LookupError of a callback is not mistaken for a fallback: the event is delivered once."""
    called = []

    def fail(*given):
        called.append(given)
        raise KeyError("mine")

    reader = parser(USER_SPEC, event(1), event(2), on_info_event=fail)
    with pytest.raises(KeyError, match="mine"):
        reader.handle_message(event(3))
    assert len(called) == 1


@pytest.mark.usefixtures("_two_slow_events")
def test_new_field_spec_resets_the_fast_path():
    """A new field_spec of a kind applies at once, and its events are counted anew."""
    reader = parser(USER_SPEC, event(1), event(2))
    assert takes_fast_path(reader, event(3))
    reader.parse(field_spec("user", "id", "label"))
    assert not takes_fast_path(reader, event(3))
    for number in range(4):
        element = User(id=number, label="a")
        assert reader.parse(event(number)) == InfoEvent("user", element, "updated")
    assert takes_fast_path(reader, event(4))
