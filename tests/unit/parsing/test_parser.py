"""Message parser: messages, field specs, keys, callbacks, errors, limits and log lines."""

from __future__ import annotations

import asyncio
import functools
import logging
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import etf_encoder
from support.cases import for_each
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
each_form = pytest.mark.parametrize("form", FORMS, ids=["atom", "charlist", "binary"])

USER_SPEC = field_spec("user", "id", "name")

# Texts that stand for personal data. No error and no log line may contain them.
CANARY = "canary-5fe1"
CANARIES = (CANARY, CANARY.upper(), "424242")


def make_parser(*frames, **options):
    """Return a parser that has read these frames."""
    parser = MessageParser(**options)
    for one in frames:
        parser.parse(one)
    return parser


def initial(kind, names, *records):
    """Return the elements of an initial_info with these records, read by a new parser."""
    return make_parser(field_spec(kind, *names)).parse(initial_info(kind, *records)).elements


class Calls:
    """Callbacks that record their calls."""

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


# A frame of each message, and the call that it causes.
MESSAGES = [
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


@each_form
def test_names_may_be_atoms_charlists_or_binaries(form):
    """Names of messages, kinds, fields and events may have any of the three encodings."""
    parser = MessageParser()
    kind = form("user")
    spec = frame((form("field_spec"), kind, [form("id"), form("name")]))
    assert parser.parse(spec) == FieldSpec("user", ("id", "name"))
    initial = parser.parse(frame((form("initial_info"), kind, [(1, "a")])))
    assert initial == InitialInfo("user", {1: User(id=1, name="a")})
    event = parser.parse(frame((form("info_event"), kind, (1, "b"), form("added"))))
    assert event == InfoEvent("user", User(id=1, name="b"), "added")
    assert parser.parse(frame((form("system_msg"), form("logout")))) == SystemMsg("logout")
    assert parser.parse(frame((form("msg"), form("hello")))) == Msg("hello")


def test_kind_may_change_its_encoding():
    """A kind in one encoding is the same kind in another."""
    parser = make_parser(frame((Atom("field_spec"), Charlist("user"), [Atom("id"), "name"])))
    for form in FORMS:
        event = parser.parse(frame((Atom("info_event"), form("user"), (1, "a"), form("updated"))))
        assert event == InfoEvent("user", User(id=1, name="a"), "updated")


def test_event_is_a_hashable_info_event():
    event = make_parser(USER_SPEC).parse(info_event("user", (1, "a")))
    assert type(event) is InfoEvent
    assert hash(event) == hash(InfoEvent("user", User(id=1, name="a"), "updated"))


@for_each("event_name", ["added", "updated", "removed", "renamed", ""])
def test_any_event_name_is_passed_on(event_name):
    event = frame((Atom("info_event"), Charlist("user"), (1,), event_name))
    assert make_parser(USER_SPEC).parse(event).event_name == event_name


@for_each("empty", [[], BERT_NIL])
def test_initial_info_may_be_empty(empty):
    """An empty list of elements is ``[]`` or ``{bert,nil}``."""
    parser = make_parser(USER_SPEC)
    message = parser.parse(frame((Atom("initial_info"), Charlist("user"), empty)))
    assert message == InitialInfo("user", {})


@for_each("empty", [[], BERT_NIL])
def test_field_spec_may_be_empty(empty):
    """Records of a kind without fields have no values."""
    parser = MessageParser()
    message = parser.parse(frame((Atom("field_spec"), Charlist("user"), empty)))
    assert message == FieldSpec("user", ())
    assert parser.parse(info_event("user", (1, "a"))).element == User()
    assert parser.parse(initial_info("user", (1,), ())).elements == {0: User(), 1: User()}


@for_each("name", ["system_msg", "msg"])
@for_each(
    "sent, text",
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
        (["東京", 32, [Charlist("Tokyo")]], "東京 Tokyo"),
    ],
)
def test_texts_may_have_any_encoding(name, sent, text):
    """The text of a message may be a binary, an atom, a charlist or an empty list."""
    cls = SystemMsg if name == "system_msg" else Msg
    assert MessageParser().parse(frame((Atom(name), sent))) == cls(text)


@pytest.mark.parametrize("name", ["system_msg", "msg"])
@pytest.mark.parametrize("payload", [424242, True, 1.5, (CANARY,), [CANARY, -1], {CANARY: 1}])
def test_message_without_text_is_an_unknown_message(name, payload, caplog):
    """Its term is complete; the log line, once per name, has no data of it."""
    recorder = Calls()
    parser = MessageParser(recorder)
    sent = frame((Atom(name), payload, "surplus"))
    expected = UnknownMessage(name, (name, payload, "surplus"))
    assert parser.parse(sent) == parser.parse(sent) == expected
    parser.handle_message(sent)
    assert recorder.calls == []
    assert [record.getMessage() for record in caplog.records] == [
        f"message without text {name}: delivered as UnknownMessage"
    ]
    assert parser.parse(frame((Atom(name), "text"))).text == "text"


def test_surplus_parts_of_a_message_are_ignored():
    parser = MessageParser()
    spec = frame((Atom("field_spec"), Charlist("user"), [Atom("id")], "more", 1))
    assert parser.parse(spec) == FieldSpec("user", ("id",))
    initial = frame((Atom("initial_info"), Charlist("user"), [(1,)], "more"))
    assert parser.parse(initial) == InitialInfo("user", {1: User(id=1)})
    event = frame((Atom("info_event"), Charlist("user"), (1,), Charlist("added"), "more", ()))
    assert parser.parse(event) == InfoEvent("user", User(id=1), "added")
    assert parser.parse(frame((Atom("msg"), "hello", "more"))) == Msg("hello")


@each_form
def test_unknown_message_keeps_its_name_and_term(form):
    term = (form("ping"), "a", [(1, 2.5)], {"b": None})
    assert MessageParser().parse(frame(term)) == UnknownMessage(
        "ping", ("ping", "a", [(1, 2.5)], {"b": None})
    )
    assert MessageParser().parse(frame((form("ping"),))) == UnknownMessage("ping", ("ping",))


def test_unknown_kinds_with_a_field_spec_are_read():
    """A kind that the library does not know is read like any other after its field spec."""
    parser = make_parser(field_spec("robot", "uuid", "arms"))
    assert parser.parse(info_event("robot", ("u", 2))).element == OtherElement(
        element_name="robot", extra=Extra(uuid="u", arms=2)
    )
    assert parser.parse(initial_info("robot", ("u", 2), ("v", 3))).elements.keys() == {"u", "v"}


def test_records_may_be_shorter_or_longer_than_their_field_spec():
    parser = make_parser(USER_SPEC)
    assert parser.parse(info_event("user", (1,))).element == User(id=1)
    assert parser.parse(info_event("user", ())).element == User()
    assert parser.parse(info_event("user", (1, "a", "surplus"))).element == User(id=1, name="a")


# Field specs


def test_field_specs_may_arrive_together_or_generator():
    """All field specs may arrive before the first initial_info, or each just before its own."""
    group_spec = field_spec("group", "id")
    users, groups = initial_info("user", (1, "a")), initial_info("group", (5,))
    first = [make_parser(USER_SPEC, group_spec).parse(one) for one in (users, groups)]
    parser = MessageParser()
    each = [parser.parse(one) for one in (USER_SPEC, users, group_spec, groups)]
    assert [message.element_name for message in first] == ["user", "group"]
    assert [each[1], each[3]] == first


def test_new_field_spec_replaces_the_old_one():
    """A new field spec applies to all following records of its kind."""
    parser = make_parser(USER_SPEC, field_spec("user", "name", "id"))
    assert parser.parse(info_event("user", ("a", 1))).element == User(id=1, name="a")
    parser.parse(field_spec("user", "id", "label"))
    assert parser.parse(info_event("user", (1, "b"))).element == User(id=1, label="b")
    assert parser.parse(initial_info("user", (1, "b"))).elements == {1: User(id=1, label="b")}


def test_field_spec_leaves_other_kinds_unchanged():
    parser = make_parser(USER_SPEC, field_spec("group", "name", "id"))
    assert parser.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")


def test_parsers_do_not_share_field_specs():
    first, second = make_parser(USER_SPEC), make_parser(field_spec("user", "name", "id"))
    assert first.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")
    assert second.parse(info_event("user", ("a", 1))).element == User(id=1, name="a")
    with pytest.raises(ProtocolError):
        MessageParser().parse(info_event("user", (1, "a")))


def test_last_of_two_fields_with_one_name_counts():
    """The message shows both fields."""
    parser = MessageParser()
    message = parser.parse(field_spec("user", "id", "name", "id"))
    assert message.fields == ("id", "name", "id")
    assert parser.parse(info_event("user", (1, "a", 2))).element == User(id=2, name="a")


def test_field_names_may_contain_characters_above_255():
    """Such a charlist is a list of integers on the wire."""
    spec = frame((Atom("field_spec"), Charlist("user"), [Atom("id"), Charlist("東京")]))
    parser = MessageParser()
    assert parser.parse(spec) == FieldSpec("user", ("id", "東京"))
    assert parser.parse(info_event("user", (1, 2))).element.extra == {"東京": 2}


# Keys


def test_elements_are_ordered_by_arrival_and_last_key_counts():
    """Elements keep the order of arrival; of two elements with one key the last counts."""
    users = initial("user", ("id", "name"), (3, "c"), (1, "a"), (2, "b"), (1, "again"))
    assert list(users) == [3, 1, 2]
    assert [user.name for user in users.values()] == ["c", "again", "b"]
    assert all(type(key) is int for key in users)
    channels = initial("channel", ("uuid",), ("v",), ("u",))
    assert list(channels) == ["v", "u"]


def test_text_keys_stay_text():
    """A key that was sent as text stays text, even if it is a number."""
    assert list(initial("user", ("id",), ("7",), (7,))) == ["7", 7]


def test_group_members_without_id_have_a_key_of_user_and_group():
    names = ("id", "user_id", "group_id")
    members = initial("group_member", names, (9, 1, 2), (None, 1, 2), (None, 3, 2), (None, None, 2))
    assert set(members) == {9, "1:2", "3:2", 3}
    assert members["1:2"] == GroupMember(user_id=1, group_id=2)


def test_elements_without_key_get_their_position_as_key():
    users = initial("user", ("id", "name"), (None, "a"), (70, "b"), (None, "c"))
    assert users == {0: User(name="a"), 70: User(id=70, name="b"), 2: User(name="c")}
    robots = initial("robot", ("name",), ("a",), ("b",))
    assert [robot.extra["name"] for robot in (robots[0], robots[1])] == ["a", "b"]


def test_elements_without_key_keep_their_place():
    """The order of arrival also applies to elements without a key."""
    users = initial("user", ("id", "name"), (None, "a"), (70, "b"), (None, "c"))
    assert [user.name for user in users.values()] == ["a", "b", "c"]


@for_each("key", [2**64, -(2**63) - 1, 2**4000, True, 1.0, (1,), [1.5], {"a": 1}, ""])
def test_invalid_keys_count_as_missing(key):
    """An id beyond 64 bits, or of a type that is no id, is replaced by the position."""
    users = initial("user", ("id",), (50,), (key,))
    assert set(users) == {50, 1}
    assert users[1].extra.get("id", users[1].id) == key


def test_missing_key_gets_the_next_free_number_if_its_position_is_taken():
    users = initial("user", ("id", "name"), (None, "a"), (0, "b"), (1, "c"), (None, "d"))
    assert users[0].name == "b"
    assert users[1].name == "c"
    assert users[2].name == "a"
    assert users[3].name == "d"
    assert len(users) == 4
    assert list(initial("user", ("id",), (None,), (0,))) == [1, 0]
    assert list(initial("user", ("id",), (None,), (None,), (0,))) == [1, 2, 0]


@pytest.mark.slow
def test_many_key_collisions_lose_no_element():
    count = 3000
    records = [(None, number) for number in range(count)]
    records += [(number, count + number) for number in range(count)]
    users = initial("user", ("id", "name"), *records)
    assert sorted(user.name for user in users.values()) == list(range(2 * count))
    assert all(users[number].id == number for number in range(count))


@pytest.mark.slow
@given(st.lists(st.none() | st.integers(0, 9) | st.just(2**70), max_size=10))
def test_no_element_is_lost_for_any_ids(ids):
    """The dict contains each element without a key, and of the others the last with each key."""
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


@for_each(
    "base_url, user, person",
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
def test_base_url_and_avatars_are_joined_with_one_slash(base_url, user, person):
    """Without a base URL, or with an empty one, avatars stay as they were sent."""
    parser = make_parser(USER_SPEC, field_spec("channel", "uuid", "end_user"), base_url=base_url)
    assert parser.parse(info_event("user", (1, "a"))).element == User(id=1, name="a", avatar=user)
    assert parser.parse(initial_info("user", (1,))).elements[1].avatar == user
    assert parser.parse(info_event("channel", ("u", "7"))).element == Channel(
        uuid="u", end_user=EndUsers(count=1, items=(EndUser(id="7", avatar=person),))
    )


def test_parsers_keep_their_own_base_urls():
    first, second = (make_parser(USER_SPEC, base_url=url) for url in ("https://a", "https://b"))
    for _ in range(2):
        for parser, base in ((first, "https://a"), (second, "https://b")):
            avatar = parser.parse(info_event("user", (1,))).element.avatar
            assert avatar == f"{base}/static/icons/user.png"


def test_limits_apply_from_the_first_frame():
    """The parser passes its limits to the decoder; the default ones are wider."""
    limits = Limits(frame_bytes=40)
    at_limit = frame((Atom("msg"), "x" * (40 - 1 - 2 - 5 - 5)))
    assert len(at_limit) == 40
    assert type(make_parser(limits=limits).parse(at_limit)) is Msg
    beyond = frame((Atom("msg"), "x" * 28))
    with pytest.raises(DecodeError, match="a frame of 41 bytes; the limit is 40"):
        make_parser(limits=limits).parse(beyond)
    assert type(make_parser().parse(beyond)) is Msg


@for_each("as_frame", [bytes, bytearray, memoryview])
def test_frames_may_be_any_bytes_type(as_frame):
    """A frame is bytes, a bytearray or a memoryview; the parser does not keep its memory."""
    raw = bytearray(frame((Atom("msg"), "hello")))
    message = MessageParser().parse(as_frame(raw))
    raw[:] = b"\0" * len(raw)
    assert message == Msg("hello")


# Invalid messages


def shape(*parts):
    return frame(tuple(Atom(part) if type(part) is str else part for part in parts))


# The frame, sent to a parser that knows users, and the three parts of the error.
INVALID_MESSAGES = [
    (f'["msg", "{CANARY}"]', "expected a binary frame, got a text frame", None, None),
    *(
        (
            frame(term),
            f"expected a tuple that starts with the message name, got {description}",
            None,
            None,
        )
        for term, description in [
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
            f"expected text as kind, got {description}",
            None,
            "info_event",
        )
        for kind, description in [
            (None, "no value"),
            (BERT_NIL, "no value"),
            (424242, "int"),
            (True, "bool"),
            ((CANARY,), "tuple of length 1"),
            ([(CANARY,)], "list of length 1"),
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
            f"expected a tuple as record, got {description}",
            "user",
            "info_event",
        )
        for record, description in [
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
            f"expected text as event name, got {description}",
            "user",
            "info_event",
        )
        for name, description in [
            (None, "no value"),
            (424242, "int"),
            (False, "bool"),
            ((CANARY,), "tuple of length 1"),
            ([(CANARY,)], "list of length 1"),
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
            frame((Atom("initial_info"), Charlist("user"), value)),
            f"expected a list of records, got {description}",
            "user",
            "initial_info",
        )
        for value, description in [
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
            frame((Atom("field_spec"), Charlist("user"), value)),
            f"expected a list of field names, got {description}",
            "user",
            "field_spec",
        )
        for value, description in [
            ("id", "str of length 2"),
            (Charlist("id"), "str of length 2"),
            ((Atom("id"), Atom("name")), "tuple of length 2"),
            ({"id": 1}, "dict of length 1"),
        ]
    ),
    *(
        (
            frame((Atom("field_spec"), Charlist("user"), [Atom("label"), name, Atom("id")])),
            f"expected text as field name 1, got {description}",
            "user",
            "field_spec",
        )
        for name, description in [
            (None, "no value"),
            (True, "bool"),
            (424242, "int"),
            ((CANARY,), "tuple of length 1"),
            ([(CANARY,)], "list of length 1"),
            ("", "str of length 0"),
            ([], "list of length 0"),
        ]
    ),
    # system_msg and msg
    (shape("system_msg"), "expected 2 parts, got 1", None, "system_msg"),
    (shape("msg"), "expected 2 parts, got 1", None, "msg"),
]


each_invalid = pytest.mark.parametrize(
    ("sent", "problem", "element_name", "field"),
    INVALID_MESSAGES,
    ids=[f"{field or 'term'}: {problem}" for _, problem, _, field in INVALID_MESSAGES],
)


@each_invalid
def test_invalid_messages_raise_errors_without_data(sent, problem, element_name, field, caplog):
    """The error names the kind and the part, and contains no data of the frame."""
    caplog.set_level(logging.DEBUG)
    parser = make_parser(USER_SPEC)
    for read in (parser.parse, parser.handle_message):
        with pytest.raises(ProtocolError) as caught:
            read(sent)
        error = caught.value
        assert (error.problem, error.element_name, error.field) == (problem, element_name, field)
        where = ", ".join(part for part in (element_name, field) if part is not None)
        assert str(error) == (f"{where}: {problem}" if where else problem)
        shown = f"{error}{error!r}{error.args}{error.__context__!r}{error.__cause__!r}"
        assert not any(canary in shown for canary in CANARIES)
    assert caplog.records == []


@each_invalid
def test_parser_continues_after_an_invalid_message(sent, problem, element_name, field):
    parser = make_parser(USER_SPEC)
    before = parser.parse(initial_info("user", (1, "a")))
    with pytest.raises(ProtocolError):
        parser.parse(sent)
    assert parser.parse(initial_info("user", (1, "a"))) == before
    assert parser.parse(info_event("user", (2, "b"))).element == User(id=2, name="b")


def test_kind_in_an_error_is_printable_and_short():
    """A peer chooses the name of a kind."""
    with pytest.raises(ProtocolError) as caught:
        MessageParser().parse(info_event("a\n\x1b[31m" + "b" * 200, (1,)))
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith("a\ufffd\ufffd[31mbbb")
    assert len(text) < 160


@for_each("sent", [None, 7, [131, 97, 1], object()])
def test_frames_of_other_types_raise_decode_error(sent):
    with pytest.raises(DecodeError, match="expected bytes, got"):
        MessageParser().parse(sent)


def test_truncated_frames_raise_decode_error_without_data():
    complete = frame((Atom("msg"), CANARY))
    parser = make_parser(USER_SPEC)
    for end in range(len(complete)):
        with pytest.raises(DecodeError) as caught:
            parser.handle_message(complete[:end])
        assert CANARY not in f"{caught.value}{caught.value!r}"
    with pytest.raises(DecodeError):
        parser.handle_message(complete + b"\0")
    assert parser.parse(complete) == Msg(CANARY)


@pytest.mark.slow
def test_number_of_kinds_is_bounded():
    """A connection has at most MAX_KINDS kinds; known ones can still be replaced."""
    parser = MessageParser()
    for number in range(MAX_KINDS):
        parser.parse(field_spec(f"kind{number}", "id"))
    for _ in range(2):
        with pytest.raises(ProtocolError) as caught:
            parser.parse(field_spec("one-more", "id"))
        assert str(caught.value) == "field_spec: more than 1000 kinds on one connection (MAX_KINDS)"
        assert (caught.value.element_name, caught.value.field) == (None, "field_spec")
    with pytest.raises(ProtocolError, match="no field_spec received for this kind"):
        parser.parse(info_event("one-more", (1,)))
    parser.parse(field_spec("kind0", "uuid"))
    assert parser.parse(info_event("kind0", ("u",))).element.key == "u"
    assert parser.parse(info_event(f"kind{MAX_KINDS - 1}", (7,))).element.key == 7


# A session of valid frames with invalid ones in between

VALID = [
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

# Frames that are invalid at any point of the session above.
INVALID = [
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
]

VALID_MESSAGES = [make_parser(*VALID[:at]).parse(valid) for at, valid in enumerate(VALID)]

damaged = st.builds(
    lambda valid, end: valid[: end % len(valid)], st.sampled_from(VALID), st.integers()
)
between = st.lists(st.sampled_from(INVALID) | damaged, max_size=3)


@pytest.mark.slow
@given(st.tuples(*[between] * len(VALID)))
def test_bad_frames_do_not_change_later_messages(invalid):
    """A session returns the same messages, whatever invalid frames arrive in between."""
    parser = MessageParser()
    messages = []
    for valid, invalid_frames in zip(VALID, invalid, strict=True):
        for one in invalid_frames:
            with pytest.raises(BasixError):
                parser.parse(one)
        messages.append(parser.parse(valid))
    assert messages == VALID_MESSAGES


def test_invalid_field_spec_does_not_replace_a_valid_one():
    """This holds before and after the first record of the kind."""
    invalid = [one for one in INVALID if b"field_spec" in (one if type(one) is bytes else b"")]
    assert len(invalid) == 5
    for used in (False, True):
        parser = make_parser(USER_SPEC, *([info_event("user", (1, "a"))] if used else []))
        for one in invalid:
            with pytest.raises(ProtocolError):
                parser.parse(one)
        assert parser.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")


@pytest.mark.slow
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
def test_any_term_is_a_message_or_a_basix_error(term):
    """The parser reads the following frames correctly."""
    parser = make_parser(
        USER_SPEC, field_spec("channel", "uuid", "state", "end_user", "other_info")
    )
    try:
        message = parser.parse(frame(term))
    except BasixError:
        message = None
    if type(message) is not FieldSpec:
        assert parser.parse(info_event("user", (1, "a"))).element == User(id=1, name="a")
    parser.parse(USER_SPEC)
    assert parser.parse(initial_info("user", (1, "a"))).elements == {1: User(id=1, name="a")}


# Log lines


def test_unknown_message_is_logged_once_by_name(caplog):
    """The log line is a WARNING and contains no data of the message."""
    parser = MessageParser()
    for _ in range(3):
        parser.handle_message(frame((Atom("ping"), CANARY, [424242], {CANARY: CANARY})))
    parser.parse(frame((Charlist("ping"), CANARY)))
    parser.parse(frame((Atom("pong"), CANARY)))
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


def test_each_parser_logs_unknown_messages(caplog):
    for _ in range(2):
        MessageParser().parse(frame((Atom("ping"),)))
    assert len(caplog.records) == 2


def test_number_of_logged_names_is_bounded(caplog):
    """A peer cannot fill the log with invented names; their messages are still delivered."""
    parser = MessageParser()
    for number in range(MAX_LOGGED_NAMES + 50):
        message = parser.parse(frame((Atom(f"name{number}"),)))
        assert message == UnknownMessage(f"name{number}", (f"name{number}",))
    assert MAX_LOGGED_NAMES == len(caplog.records) == 100
    parser.parse(frame((Atom("name0"),)))
    assert len(caplog.records) == 100


def test_logged_names_are_printable_and_short(caplog):
    MessageParser().parse(frame(("ping\n\x1b[31mWARNING forged\u2028%s\u202e", CANARY)))
    MessageParser().parse(frame(("x" * 5000, CANARY)))
    first, second = (record.getMessage() for record in caplog.records)
    assert first.isprintable()
    assert first.startswith("unknown message ping\ufffd\ufffd[31mWARNING forged\ufffd%s\ufffd:")
    assert second == f"unknown message {'x' * 59}…: delivered as UnknownMessage"


def test_valid_frames_are_not_logged(caplog):
    """Nothing is logged for them, not even at DEBUG."""
    caplog.set_level(logging.DEBUG)
    for one, _ in MESSAGES[:-1]:
        make_parser(USER_SPEC, on_msg=print).parse(one)
    assert caplog.records == []


# Callbacks


def test_keyword_callbacks_get_the_parts_of_their_message():
    """A message without a callback calls nothing."""
    seen = Calls()
    parser = MessageParser(**{name: getattr(seen, name) for name in CALLBACKS})
    for one, call in MESSAGES:
        seen.calls.clear()
        assert parser.handle_message(one) is None
        assert seen.calls == ([] if call is None else [call])


def test_handler_methods_are_called_like_keywords():
    seen = Calls()
    parser = MessageParser(seen)
    for one, _ in MESSAGES:
        parser.handle_message(one)
    assert seen.calls == [call for _, call in MESSAGES if call is not None]


@for_each("name", CALLBACKS)
def test_messages_without_a_callback_are_skipped(name):
    seen = Calls()
    parser = MessageParser(**{name: getattr(seen, name)})
    for one, _ in MESSAGES:
        parser.handle_message(one)
    assert seen.calls == [call for _, call in MESSAGES if call is not None and call[0] == name]


@for_each("name", CALLBACKS)
def test_handler_needs_only_one_method(name):
    """A method that is missing or None is not called."""
    seen = Calls()

    class Handler:
        on_msg = on_system_msg = None

    handler = Handler()
    setattr(handler, name, getattr(seen, name))
    parser = MessageParser(handler)
    for one, _ in MESSAGES:
        parser.handle_message(one)
    assert seen.calls == [call for _, call in MESSAGES if call is not None and call[0] == name]


def test_parser_without_callbacks_still_refuses_invalid_frames():
    parser = MessageParser()
    for one, _ in MESSAGES:
        assert parser.handle_message(one) is None
    with pytest.raises(ProtocolError):
        parser.handle_message("text")


def test_parse_calls_no_callback():
    seen = Calls()
    parser = MessageParser(seen)
    for one, _ in MESSAGES:
        parser.parse(one)
    assert seen.calls == []


@for_each("error", [ValueError("mine"), ProtocolError("mine"), KeyboardInterrupt()])
@for_each("name", CALLBACKS)
def test_callback_exceptions_pass_through_unchanged(name, error):
    """The parser reads the next frame correctly."""
    seen = Calls()

    def fail(*arguments):
        getattr(seen, name)(*arguments)
        raise error

    parser = MessageParser(**{other: getattr(seen, other) for other in CALLBACKS} | {name: fail})
    for one, call in MESSAGES:
        if call is None or call[0] != name:
            parser.handle_message(one)
            continue
        for _ in range(2):
            with pytest.raises(type(error)) as caught:
                parser.handle_message(one)
            assert caught.value is error
            assert error.__context__ is None
    calls = [call for _, call in MESSAGES if call is not None]
    assert sorted(seen.calls, key=str) == sorted(
        calls + [call for call in calls if call[0] == name], key=str
    )


def test_callback_may_pass_the_next_frame_to_the_parser():
    seen = []

    def on_msg(text):
        seen.append(text)
        if text == "first":
            parser.handle_message(frame((Atom("msg"), "second")))

    parser = MessageParser(on_msg=on_msg)
    parser.handle_message(frame((Atom("msg"), "first")))
    assert seen == ["first", "second"]


def test_callback_may_change_the_dict_of_elements():
    """The parser makes a new dict for each message."""
    parser = make_parser(USER_SPEC)
    first = parser.parse(initial_info("user", (1, "a"))).elements
    first.clear()
    assert parser.parse(initial_info("user", (1, "a"))).elements == {1: User(id=1, name="a")}


def test_handler_and_keywords_together_are_refused():
    for name in CALLBACKS:
        with pytest.raises(UsageError) as caught:
            MessageParser(Calls(), **{name: print})
        assert str(caught.value) == ("pass the callbacks as a handler or as keywords, not both")


@for_each("handler", [object(), 7, "on_msg", print, [print]])
def test_handler_without_methods_is_refused(handler):
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == (
        f"the handler, a {type(handler).__name__}, has none of the methods "
        "on_initial_info, on_info_event, on_system_msg, on_msg"
    )


@for_each("handler", [{"on_msg": print}, {}, types.MappingProxyType({"on_msg": print})])
def test_dict_of_callbacks_must_be_unpacked(handler):
    """The reference library takes such a dict; the error shows how to pass it here."""
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == (
        f"the handler is a {type(handler).__name__}: pass a dict of callbacks as keywords, "
        "MessageParser(**callbacks)"
    )


def test_handler_whose_methods_are_all_none_is_refused():
    """A handler that is false itself is refused as well."""

    class Nothing(list):
        on_msg = on_system_msg = on_info_event = on_initial_info = None

    with pytest.raises(UsageError, match="the handler, a Nothing, has none of the methods"):
        MessageParser(Nothing())


@for_each("value", [7, "print", [print], False, 0, ""])
@for_each("name", CALLBACKS)
def test_callbacks_must_be_callable(name, value):
    """The constructor raises the error, not the first message."""
    text = f"{name} must be callable, got {type(value).__name__}"
    with pytest.raises(UsageError) as caught:
        MessageParser(**{name: value})
    assert str(caught.value) == text
    handler = Calls()
    setattr(handler, name, value)
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == text


class Coroutines:
    """Coroutine functions of all kinds."""

    async def __call__(self, *arguments):
        pass

    async def method(self, *arguments):
        pass

    @classmethod
    async def of_class(cls, *arguments):
        pass

    @staticmethod
    async def static(*arguments):
        pass

    @staticmethod
    async def generator(*arguments):
        yield arguments


COROUTINE_FUNCTIONS = {
    "function": Coroutines.static,
    "method": Coroutines().method,
    "class method": Coroutines.of_class,
    "partial": functools.partial(Coroutines.static, 1),
    "partial of an object": functools.partial(functools.partial(Coroutines(), 1), 2),
    "generator": Coroutines.generator,
    "object": Coroutines(),
    "library": asyncio.sleep,
}


@for_each("callback", COROUTINE_FUNCTIONS.values())
@for_each("name", CALLBACKS)
def test_coroutine_functions_are_refused(name, callback):
    """The parser does not await description a callback returns."""
    text = f"{name} must be a plain function (def), got a coroutine function"
    if callback is COROUTINE_FUNCTIONS["generator"]:
        text = f"{name} must be a plain function (def), got an async generator"
    with pytest.raises(UsageError) as caught:
        MessageParser(**{name: callback})
    assert str(caught.value) == text
    handler = Calls()
    setattr(handler, name, callback)
    with pytest.raises(UsageError) as caught:
        MessageParser(handler)
    assert str(caught.value) == text


class Plain:
    def __call__(self, *arguments):
        pass


@for_each(
    "callback", [print, lambda *_: None, Plain(), str, functools.partial(print, "a"), [].append]
)
def test_any_callable_may_be_a_callback(callback):
    """A function, an object, a class, a partial or a builtin may be a callback."""
    MessageParser(on_msg=callback).handle_message(frame((Atom("msg"), "hello")))


def test_usage_error_is_a_value_error():
    assert issubclass(UsageError, ValueError)
    with pytest.raises(ValueError, match="must be callable"):
        MessageParser(on_msg=7)


# A complete session


def test_session_from_first_field_spec_to_end():
    seen = Calls()
    parser = MessageParser(seen)
    for one in (
        field_spec("channel", "uuid", "state"),
        initial_info("channel"),
        info_event("channel", ("u", (1, Atom("park"), 901)), "added"),
        info_event("channel", ("u",), "removed"),
        frame((Atom("system_msg"), Atom("connection_replaced"))),
    ):
        parser.handle_message(one)
    assert seen.calls == [
        ("on_initial_info", "channel", {}),
        ("on_info_event", "channel", Channel(uuid="u", state=Park(ts=1, slot=901)), "added"),
        ("on_info_event", "channel", Channel(uuid="u"), "removed"),
        ("on_system_msg", "connection_replaced"),
    ]


def test_names_may_be_lists_of_code_points():
    """A kind, a field and an event name may be charlists that are lists of integers on the wire."""
    kind, field, name = ([ord(char) for char in text] for text in ("部署", "名前", "変更"))
    parser = make_parser(frame((Atom("field_spec"), kind, [Atom("id"), field])))
    message = parser.parse(frame((Atom("info_event"), kind, (1, "x"), name)))
    assert (message.element_name, message.event_name) == ("部署", "変更")
    assert message.element.extra == {"id": 1, "名前": "x"}
    listed = parser.parse(frame((Atom("initial_info"), kind, [(1, "x")])))
    assert listed.element_name == "部署"


def test_number_of_fields_of_a_kind_is_bounded():
    """A field spec with more than MAX_FIELDS fields is refused and changes nothing."""
    names = [f"f{n}" for n in range(257)]
    parser = make_parser(field_spec("user", *names[:256]))
    with pytest.raises(ProtocolError) as caught:
        parser.parse(field_spec("user", *names))
    assert str(caught.value) == "user, field_spec: more than 256 fields (MAX_FIELDS)"
    assert len(parser.parse(info_event("user", ("x",) * 300)).element.extra) == 256


@for_each(
    "options, text",
    [
        ({"base_url": 5}, "base_url must be a str (or None), got int"),
        ({"base_url": b"https://x"}, "base_url must be a str (or None), got bytes"),
        ({"limits": None}, "limits must be a Limits object, got None"),
    ],
)
def test_options_of_wrong_types_are_refused(options, text):
    """The constructor raises the error, not the first record."""
    with pytest.raises(UsageError) as caught:
        MessageParser(**options)
    assert str(caught.value) == text


def test_snapshot_of_empty_lists_stays_within_limits():
    """A thousand channels whose missing fields are empty lists are read."""
    names = ["uuid", *(f"f{n}" for n in range(21))]
    elements = initial("channel", names, *((str(n), *([] for _ in range(21))) for n in range(1000)))
    assert len(elements) == 1000


# Bounds of description a peer can make the parser keep or log


def test_number_of_records_is_bounded():
    """The limit counts records, whatever they contain."""
    parser = MessageParser(limits=Limits(records=3))
    parser.parse(field_spec("user", "id"))
    assert len(parser.parse(initial_info("user", (), (), ())).elements) == 3
    with pytest.raises(ProtocolError) as caught:
        parser.parse(initial_info("user", (), (), (), ()))
    assert caught.value.problem == "4 records; the limit is 3 (records)"
    assert (caught.value.element_name, caught.value.field) == ("user", "initial_info")


def test_length_of_kinds_and_field_names_is_bounded():
    """They have at most 255 characters."""
    assert MAX_NAME == 255
    parser = make_parser()
    for kind, name in (("k" * 255, "a"), ("k", "ー" * 255)):
        assert parser.parse(frame((Atom("field_spec"), kind, [name]))) == FieldSpec(kind, (name,))
    for kind, name, problem in (
        ("k" * 256, "a", "the kind is longer than 255 characters (MAX_NAME)"),
        ("k", "a" * 256, "field name 0 is longer than 255 characters (MAX_NAME)"),
    ):
        with pytest.raises(ProtocolError) as caught:
            parser.parse(frame((Atom("field_spec"), kind, [name])))
        assert caught.value.problem == problem


def test_number_of_fields_of_all_kinds_is_bounded():
    """A connection has at most 10,000 fields; a kind that is sent again counts once."""
    assert MAX_ALL_FIELDS == 10_000
    names = [f"f{number}" for number in range(MAX_FIELDS)]
    parser = make_parser()
    for number in range(39):
        parser.parse(field_spec(f"kind{number}", *names))
    for _ in range(2):
        parser.parse(field_spec("last", *names[:16]))
    with pytest.raises(ProtocolError) as caught:
        parser.parse(field_spec("last", *names[:17]))
    assert caught.value.problem == "more than 10000 fields on one connection (MAX_ALL_FIELDS)"
    assert parser.parse(info_event("last", tuple(range(20)))).element.extra["f15"] == 15
    parser.parse(field_spec("kind0", "id"))
    parser.parse(field_spec("last", *names[:17]))


def test_missing_keys_get_the_next_free_numbers():
    """A record without a key gets the next number that no other record uses."""
    parser = make_parser(field_spec("user", "id"))
    ids = [None, 2, None, 0, 1, 2**61, -1, None, 7, 17]
    message = parser.parse(initial_info("user", *((one,) for one in ids)))
    assert list(message.elements) == [3, 2, 4, 0, 1, 2**61, -1, 8, 7, 17]


def test_parser_keeps_only_the_logged_part_of_a_name(caplog):
    parser = make_parser()
    for _ in range(2):
        parser.parse(frame((Atom("x" * 255),)))
        parser.parse(frame((b"y" * 10_000,)))
    assert len(caplog.records) == 2
    parser.parse(frame((Atom("x" * 60 + "z"),)))  # equal in the part that is kept
    assert len(caplog.records) == 2
    parser.parse(frame((Atom("x" * 59 + "z"),)))
    assert len(caplog.records) == 3


# The fast path


def event(number, kind="user", name="updated"):
    return info_event(kind, (number, "a"), name)


@pytest.fixture
def _two_slow_events(monkeypatch):
    """Let two events of a kind take the slow path, and the next ones the fast path."""
    monkeypatch.setattr(fast_path, "FAST_AFTER", 2)


def test_events_take_the_fast_path_after_fast_after_events():
    """After FAST_AFTER events of a kind the next ones take the fast path, with equal results."""
    seen = Calls()
    parser = make_parser(USER_SPEC, handler=seen)
    for number in range(FAST_AFTER):
        assert not parser.takes_fast_path(event(number))
        parser.handle_message(event(number))
    assert parser.takes_fast_path(event(-1))
    parser.handle_message(event(-1, name="added"))
    assert seen.calls[-1] == ("on_info_event", "user", User(id=-1, name="a"), "added")
    assert parser.parse(event(-2)) == InfoEvent("user", User(id=-2, name="a"), "updated")
    assert len(seen.calls) == FAST_AFTER + 1
    # Readers belong to one connection.
    assert not make_parser(USER_SPEC).takes_fast_path(event(-1))


@pytest.mark.usefixtures("_two_slow_events")
def test_parser_without_callbacks_uses_the_fast_path():
    parser = make_parser(USER_SPEC, event(1), event(2))
    assert parser.takes_fast_path(event(3))
    parser.handle_message(event(3))


@pytest.mark.usefixtures("_two_slow_events")
def test_callback_error_on_the_fast_path_is_no_fallback():
    """The parser does not mistake a LookupError of a callback for a fallback: it calls once."""
    called = []

    def fail(*arguments):
        called.append(arguments)
        raise KeyError("mine")

    parser = make_parser(USER_SPEC, event(1), event(2), on_info_event=fail)
    with pytest.raises(KeyError, match="mine"):
        parser.handle_message(event(3))
    assert len(called) == 1


@pytest.mark.usefixtures("_two_slow_events")
def test_new_field_spec_resets_the_fast_path():
    """A new field_spec of a kind applies at once, and the parser counts its events from zero."""
    parser = make_parser(USER_SPEC, event(1), event(2))
    assert parser.takes_fast_path(event(3))
    parser.parse(field_spec("user", "id", "label"))
    assert not parser.takes_fast_path(event(3))
    for number in range(4):
        element = User(id=number, label="a")
        assert parser.parse(event(number)) == InfoEvent("user", element, "updated")
    assert parser.takes_fast_path(event(4))


def test_repr_shows_the_kinds_with_a_field_spec():
    parser = MessageParser()
    assert repr(parser) == "<MessageParser without field specs>"
    for kind in ("user", "group"):
        parser.parse(field_spec(kind, "id"))
    assert repr(parser) == "<MessageParser user, group>"
