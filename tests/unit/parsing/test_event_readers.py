"""Readers of the fast path: equal results to the slow path, or a fallback to it."""

from __future__ import annotations

import gc
import itertools
import random
import sys

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import for_each
from support.etf_encoder import BERT_NIL, ENCODERS, Atom, Charlist, any_term, field_spec
from support.frame_mutations import bench_frames
from support.random_terms import random_term

import basix_ws_cti
from basix_ws_cti import BasixError, Channel, FieldSpec, InfoEvent, MessageParser, User
from basix_ws_cti.parsing import event_readers
from basix_ws_cti.parsing.event_readers import (
    FALLBACK_ERRORS,
    MAX_FAST_BYTES,
    MAX_FAST_READERS,
    event_reader,
    generated_reader,
    records_reader,
)
from basix_ws_cti.parsing.fast_path import event_header
from basix_ws_cti.parsing.record_decoder import ELEMENTS
from basix_ws_cti.simulator import frames as story_frames
from basix_ws_cti.terms import Limits

BASE_URL = "https://xyz.com"
TS = 1546839040024071
UUID = "04b0aa6a-fb6a-4cb9-88d8-521e42662406"

CHANNEL = Charlist("channel")
UPDATED = Charlist("updated")

# Atoms in the frames below. The fast path reads only atoms that the slow path has cached.
ATOMS = [
    *("user", "end_user", "group", "ring", "calling", "ivr", "bridged", "park", "ringing"),
    *("pstn", "inbound", "outbound", "internal", "external", "new", "bridged_endpoint", "nil"),
]

# The atom cache must have room for the atoms of these tests.
pytestmark = pytest.mark.usefixtures("forget_atoms")

FIELDS = ("uuid", "direction", "offer_timestamp", "state", "target", "other_info", "end_user")
PLAIN_FIELDS = FIELDS[:3]


@pytest.fixture(autouse=True, params=[False, True], ids=["generated", "compiled"])
def _reader_kind(request, monkeypatch):
    """Test both kinds of reader: that of a compiled package also works, slowly, in any other."""
    monkeypatch.setattr(event_readers, "COMPILED", request.param)
    event_reader.cache_clear()


def event(record, *, otp=25, kind=CHANNEL, name=UPDATED):
    return b"\x83" + ENCODERS[otp]((Atom("info_event"), kind, tuple(record), name))


def parse_slow(spec, frame, base_url=None):
    """Return the slow path's message for a frame, or the text of its error."""
    parser = MessageParser(base_url=base_url)
    parser.parse(field_spec(spec.element_name, *spec.fields))
    try:
        return parser.parse(frame)
    except BasixError as error:
        return str(error)


def make_reader(spec, frame, base_url=None):
    """Return the reader of frames with the header of this one."""
    for encoder in ENCODERS.values():
        MessageParser().parse(b"\x83" + encoder((Atom("any"), *map(Atom, ATOMS))))
    header = event_header(frame, spec)
    assert header is not None
    return event_reader(spec, base_url, header)


def parse_fast(read, frame):
    """Return the fast path's message for a frame; None if it leaves the frame to the slow path."""
    try:
        kind, element, name = read(frame)
    except FALLBACK_ERRORS:
        return None
    return InfoEvent(kind, element, name)


def is_identical(one, other):
    """Return True for equal values of equal types: 1, 1.0 and True differ."""
    return one == other and repr(one) == repr(other)


def record(**values):
    usual = {
        "uuid": UUID,
        "direction": Atom("inbound"),
        "offer_timestamp": TS,
        "state": (TS, Atom("ivr"), "menu50"),
        "target": (Atom("group"), 10001117, "a group", "0558007614"),
        "other_info": (
            *(Atom("end_user"), "1*A+B%2A*C**", Atom("outbound"), Atom("external")),
            *("0734272995", TS, 10001103, None),
        ),
        "end_user": "735911*%E4%BD%90%E8%97%A4*Acme**Tokyo",
    }
    return list((usual | values).values())


SPEC = FieldSpec("channel", FIELDS)


# ---------------------------------------------------------- frames that the fast path reads


@for_each("otp, atom_tag", [(25, 100), (26, 119)])
def test_records_of_a_snapshot_are_read_one_after_another(otp, atom_tag):
    """The end of the list must follow."""
    encode = ENCODERS[otp]
    spec = FieldSpec("channel", PLAIN_FIELDS)
    uuids = ("a", "b")
    records = [(uuid, Atom("inbound"), TS) for uuid in uuids]
    MessageParser().parse(b"\x83" + encode((Atom("any"), *map(Atom, ATOMS))))
    frame = b"".join(map(encode, records)) + b"j"
    read = records_reader(spec, None, atom_tag)
    expected = [Channel(uuid=uuid, direction="inbound", offer_timestamp=TS) for uuid in uuids]
    assert read(frame, 0, 2) == expected
    for wrong in (frame + b"j", frame[:-1], b"k" + frame):
        with pytest.raises(FALLBACK_ERRORS):
            read(wrong, 0, 2)


def test_benchmark_events_take_the_fast_path():
    """The fast path reads all benchmark events and returns the slow path's results."""
    spec, _, _, _, *events = itertools.islice(bench_frames(), 500)
    parser = MessageParser()
    read = make_reader(parser.parse(spec), events[0])
    for frame in events:
        message = parser.parse(frame)
        assert is_identical(parse_fast(read, frame), message)


STORY_NAMES = (
    "inbound_call",
    "parked",
    "voicemail",
    "eavesdrop",
    "conference",
    "directory_changes",
)


@pytest.mark.parametrize("base_url", [None, BASE_URL])
@pytest.mark.parametrize("options", [{"otp": 25}, {"otp": 26}, {"otp": 26, "older": True}])
def test_events_of_simulated_stories_take_the_fast_path(options, base_url):
    """The fast path reads every event of the stories, with many kinds and states."""
    parser = MessageParser(base_url=base_url)
    specs, readers, kinds, states = {}, {}, set(), set()
    for frame in [frame for name in STORY_NAMES for frame in story_frames(name, **options)]:
        message = parser.parse(frame)
        if isinstance(message, FieldSpec):
            specs[message.element_name] = message
        if not isinstance(message, InfoEvent):
            continue
        kind = message.element_name
        spec = specs[kind]
        read = readers.setdefault(kind, event_reader(spec, base_url, event_header(frame, spec)))
        assert is_identical(parse_fast(read, frame), message)
        kinds.add(kind)
        states.add(type(getattr(message.element, "state", None)))
    assert {"channel", "user", "terminal"} <= kinds
    assert len(states) > 6


VALUES = {
    "text": "abc",
    "Japanese": "東京",
    "empty text": "",
    "long text": "a" * 300,
    "charlist": Charlist("abc"),
    "empty list": [],
    "bert nil": BERT_NIL,
    "bert true": (Atom("bert"), Atom("true")),
    "undefined": None,
    "true": True,
    "known atom": Atom("inbound"),
    "0": 0,
    "-1": -1,
    "70,000": 70_000,
    "2**31": 2**31,
    "timestamp": TS,
    "negative timestamp": -TS,
    "2**56": 2**56,
    "2**64 - 1": 2**64 - 1,
    "empty tuple": (),
    "tuple of four": (Atom("user"), 1, None, "1001"),
    "tuple of eight": (Atom("user"), 1, None, None, None, TS, None, None),
    "tuple of eight, person": (Atom("pstn"), "1*A", None, None, None, TS, None, None),
    "tuple of eight, mostly empty": (None, None, Atom("inbound"), None, [], None, None, []),
    "tuple of eight, texts": ("user", "1", "a", "b", "c", "d", "e", "f"),
    "tuple of three": (Atom("user"), 1, None),
    "tuple of scalars": (1, 300, -5, "a", Atom("inbound"), None, [], Charlist("x"), 2**63, ""),
    "state": (TS, Atom("ringing")),
    "state with an extra part": (TS, Atom("ringing"), 1),
    "state with a missing part": (TS, Atom("ivr")),
    "state with a text as name": (TS, "ivr", "menu"),
    "state with a small timestamp": (1, Atom("ivr"), "menu"),
    "state without timestamp": (None, Atom("ivr"), "menu"),
    "state with nil as timestamp": ([], Atom("ivr"), "menu"),
    "unknown state with nil as timestamp": ([], Atom("new"), "menu"),
    "calling with nil as timestamp": ([], Atom("calling"), None, Atom("user"), []),
    "integer as whoscall": (Atom("user"), 1, None, None, None, TS, None, TS),
    "small integer as whoscall": (Atom("pstn"), "1*A", None, None, None, TS, None, 7),
    "true as whoscall": (Atom("pstn"), "1*A", None, None, None, TS, None, True),
    "state with a negative timestamp": (-TS, Atom("ivr"), "menu"),
    "state with nanoseconds": (TS * 1000, Atom("ivr"), "menu"),
    "unknown state": (TS, Atom("new"), 1, []),
    "park": (TS, Atom("park"), 901, None, 7, "A"),
    "calling without target": (TS, Atom("calling"), Atom("internal"), Atom("user"), None),
    "calling without parts": (TS, Atom("calling")),
}

# Calling states contain a tuple in a tuple.
CALLING_STATES = {
    "number": (TS, Atom("calling"), Atom("external"), Atom("pstn"), ("03123", None)),
    "group": (
        *(TS, Atom("calling"), Atom("internal"), Atom("group")),
        (Atom("ring"), 12, None, [], "q"),
    ),
    "short group": (TS, Atom("calling"), None, Atom("group"), (Atom("ring"),)),
    "endpoint": (
        *(TS, Atom("calling"), None, Atom("bridged_endpoint")),
        ("a", Charlist("b")),
    ),
    "bert nil": (TS, Atom("calling"), None, Atom("user"), BERT_NIL),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_fields_with_any_value_equal_the_slow_path(value):
    """The fast path reads every value that a PBX may put into a field, but no tuple as a scalar."""
    for field, otp in itertools.product(FIELDS, ENCODERS):
        frame = event(record(**{field: value}), otp=otp)
        expected = parse_slow(SPEC, frame)
        message = parse_fast(make_reader(SPEC, frame), frame)
        if field in expected.element.extra:
            assert field in PLAIN_FIELDS, otp
            assert message is None or event_readers.COMPILED, (field, otp)
        else:
            assert message is not None, (field, otp)
        assert message is None or is_identical(message, expected), (field, otp)


@for_each("otp", ENCODERS)
@for_each("value", CALLING_STATES.values())
def test_calling_states_equal_the_slow_path(value, otp):
    """The fast path reads calling states with any kind of target."""
    frame = event(record(state=value), otp=otp)
    message = parse_fast(make_reader(SPEC, frame), frame)
    assert message is not None
    assert is_identical(message, parse_slow(SPEC, frame))


@for_each("otp", ENCODERS)
@for_each("at", range(8))
@for_each("part", [(), (1, "a")])
def test_tuples_in_a_structure_are_left_to_the_slow_path(at, part, otp):
    """Only the parts of a call target may be tuples."""
    parts = [Atom("user"), 7, Atom("inbound"), Atom("external"), "1001", TS, 5, None]
    parts[at] = part
    park = (TS, Atom("park"), 901, None, 7, "A")
    voicemail = (TS, Atom("voicemail"), Atom("user"), 7, "A")
    states = [(*one[: at + 2], part, *one[at + 3 :]) for one in (park, voicemail)]
    called = (TS, Atom("calling"), *(part, None, None)[at % 2 :], None)[:4]
    for fields in (
        {"other_info": tuple(parts)},
        {"target": tuple(parts[:4])} if at < 4 else {"other_info": (Atom("end_user"), *parts[1:])},
        {"state": states[0]} if at < 4 else {"state": states[1]},
        {"state": (*called, (7,))},
    ):
        frame = event(record(**fields), otp=otp)
        message = parse_fast(make_reader(SPEC, frame), frame)
        expected = parse_slow(SPEC, frame)
        assert message is None or is_identical(message, expected)
        assert event_readers.COMPILED or message is None or part not in (*fields.values(),)[0]


def test_bert_constants_in_a_structure_are_read():
    """The fast path reads ``{bert,nil}`` and ``{bert,true}`` as parts of a structure."""
    frame = event(record(other_info=(*[BERT_NIL] * 7, (Atom("bert"), Atom("true")))))
    message = parse_fast(make_reader(SPEC, frame), frame)
    assert message is not None
    assert is_identical(message, parse_slow(SPEC, frame))


def functions_called(call, *args):
    """Return the names of the Python functions that a call runs, without the generated ones."""
    names = set()

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and not code.co_filename.startswith("<basix_ws_cti generated"):
            names.add(code.co_name)

    gc.disable()  # a collection calls Python functions, such as finalisers
    sys.setprofile(note)
    try:
        call(*args)
    finally:
        sys.setprofile(None)
        gc.enable()
    return names


USER_PARTY = (Atom("user"), 10001, Atom("outbound"), Atom("external"), "073", TS, 10002, None)
USUAL_VALUES = {
    "uuid": [UUID, None, Atom("inbound")],
    "direction": [Atom("inbound"), None, "inbound"],
    "offer_timestamp": [TS, None, 70_000],
    "state": [(TS, Atom("ivr"), "menu50"), (TS, Atom("ringing")), None],
    "target": [(Atom("user"), 10001, "a user", None), (None, None, None, None), None],
    "other_info": [USER_PARTY, (None,) * 8, None],
}


needs_interpreted_code = pytest.mark.skipif(
    basix_ws_cti.compiled, reason="a profiler does not see calls of compiled functions"
)


@needs_interpreted_code
@for_each("otp", ENCODERS)
@for_each("field", USUAL_VALUES)
def test_usual_values_are_read_by_generated_code_alone(field, otp):
    """The generated code calls no general function for the usual encodings of a value."""
    usual = {name: values[0] for name, values in USUAL_VALUES.items()} | {"end_user": None}
    for value in USUAL_VALUES[field]:
        frame = event(record(**usual | {field: value}), otp=otp)
        make_reader(SPEC, frame)  # caches the atoms
        read = generated_reader(SPEC, None, event_header(frame, SPEC))
        is_state = field != "state" or value is not None
        assert functions_called(read, frame) == ({"read"} if is_state else set()), value


@needs_interpreted_code
@for_each("otp", ENCODERS)
def test_usual_calling_states_are_read_by_three_functions(otp):
    data = (Atom("ring"), 10002, None, [], "q")
    state = (TS, Atom("calling"), Atom("internal"), Atom("group"), data)
    frame = event(record(state=state, other_info=None, end_user=None), otp=otp)
    make_reader(SPEC, frame)
    read = generated_reader(SPEC, None, event_header(frame, SPEC))
    assert functions_called(read, frame) == {"read", "_read_tuple", "decode_calling"}


RARE_VALUES = {
    "new atom": Atom("not_met_before_" + "x" * 40),
    "Latin-1": b"\xe9",
    "float": 1.5,
    "list": [1],
    "map": {"a": 1},
    "integer of nine bytes": 2**64,
    "nested tuple": ((1,),),
    "bert time": (Atom("bert"), Atom("time"), 1546, 839040, 24071),
    "bert compound of four parts": (Atom("bert"), Atom("regex"), "a", []),
    "bert compound of eight parts": (Atom("bert"), *[None] * 7),
    "calling with nested tuples": (TS, Atom("calling"), None, Atom("user"), ((1,),)),
    "calling with a bert compound": (TS, Atom("calling"), None, None, (Atom("bert"), Atom("new"))),
    "large tuple": (None,) * 256,
}


@for_each("value", RARE_VALUES.values())
def test_rare_values_are_left_to_the_slow_path(value):
    """Rare or malformed values in any field are left to the slow path.

    The reader of a compiled package may read them, as the slow path does.
    """
    for field, otp in itertools.product(FIELDS, ENCODERS):
        frame = event(record(**{field: value}), otp=otp)
        message = parse_fast(make_reader(SPEC, frame), frame)
        assert message is None or (
            event_readers.COMPILED and is_identical(message, parse_slow(SPEC, frame))
        ), (field, otp)


BEYOND_LIMITS = {
    "integer of nine bytes": 2**64,
    "fifth level": ((((1,),),),),
    "two keys": {"a": 1, "b": 2},
    "two numeric keys": {1: 1, 2: 2},
}


@for_each("value", BEYOND_LIMITS.values())
def test_values_beyond_fast_path_limits_are_left_to_the_slow_path(value):
    """The slow path reads them, because it knows the limits of the parser."""
    frame = event(record(end_user=value))
    assert isinstance(parse_slow(SPEC, frame), InfoEvent)
    assert parse_fast(make_reader(SPEC, frame), frame) is None


@pytest.mark.slow
@given(data=st.data(), otp=st.sampled_from([*ENCODERS]), base_url=st.sampled_from([None, BASE_URL]))
def test_fields_with_random_terms_never_differ_from_the_slow_path(data, otp, base_url):
    """The fast path returns the slow path's result or nothing, whatever a field contains."""
    values = data.draw(
        st.dictionaries(st.sampled_from(FIELDS), any_term() | st.sampled_from([*VALUES.values()]))
    )
    frame = event(record(**values), otp=otp)
    expected = parse_slow(SPEC, frame, base_url)  # it also fills the atom cache
    message = parse_fast(make_reader(SPEC, frame, base_url), frame)
    assert message is None or is_identical(message, expected)


@pytest.mark.parametrize("base_url", [None, BASE_URL])
@pytest.mark.parametrize("kind", ELEMENTS)
def test_random_terms_in_all_fields_of_all_kinds_equal_the_slow_path(kind, base_url):
    draw = random.Random(kind)
    names = [one.name for one in attrs.fields(ELEMENTS[kind]) if one.name != "extra"]
    spec = FieldSpec(kind, (*names, "news"))
    frame = event([None] * len(spec.fields), kind=Charlist(kind))
    read = make_reader(spec, frame, base_url)
    usual = [random_term(draw, depth=0) for _ in spec.fields]
    fast = 0
    for at in range(60):
        values = list(usual)
        values[at % len(values)] = random_term(draw)
        frame = event(values, kind=Charlist(kind))
        message = parse_fast(read, frame)
        assert message is None or is_identical(message, parse_slow(spec, frame, base_url))
        fast += message is not None
        usual[draw.randrange(len(usual))] = draw.choice([None, 7, "text", Atom("inbound")])
    assert fast


@for_each("tag", ["s", "w"])
def test_known_atoms_with_another_tag_are_read(tag):
    """The fast path reads an atom with another tag than its neighbours from the atom cache."""
    frame = event(record()).replace(b"d\0\7inbound", tag.encode() + b"\7inbound")
    expected = parse_slow(SPEC, frame)
    assert expected.element.direction == "inbound"
    assert is_identical(parse_fast(make_reader(SPEC, frame), frame), expected)


def test_undeclared_fields_and_unknown_kinds_are_read():
    """The fast path reads undeclared fields, unknown kinds and a repeated field name."""
    for kind, names in (
        ("channel", ("uuid", "new", "tags", "other", "tags")),
        ("robot_of_some_kind", ("id", "new", "state", "other_info", "id")),
        ("queued_channel", ("uuid", "peer_number", "target", "x", "y")),
        ("user", ("id", "avatar", "other_info", "label", "name")),
    ):
        spec = FieldSpec(kind, names)
        for base_url in (None, BASE_URL):
            frame = event([1, "a.png", (TS, None), [], "b;c"], kind=Charlist(kind))
            message = parse_fast(make_reader(spec, frame, base_url), frame)
            assert message is not None
            assert is_identical(message, parse_slow(spec, frame, base_url))


@for_each("first", range(len(FIELDS)))
def test_fields_are_read_in_any_order(first):
    spec = FieldSpec("channel", FIELDS[first:] + FIELDS[:first])
    values = record()
    frame = event(values[first:] + values[:first])
    message = parse_fast(make_reader(spec, frame), frame)
    assert is_identical(message, parse_slow(spec, frame))
    assert is_identical(message, parse_slow(SPEC, event(values)))


def test_kind_without_fields_has_a_reader():
    spec = FieldSpec("channel", ())
    frame = event([])
    assert is_identical(
        parse_fast(make_reader(spec, frame), frame), InfoEvent("channel", Channel(), "updated")
    )


def test_reader_returns_an_instance_of_the_element_class():
    """The element is an instance of the class itself, with all fields set."""
    frame = event([1, "a.png"], kind=Charlist("user"))
    spec = FieldSpec("user", ("id", "avatar"))
    kind, element, name = make_reader(spec, frame, BASE_URL)(frame)
    assert (kind, name) == ("user", "updated")
    assert type(element) is User
    assert element == User(id=1, avatar=f"{BASE_URL}/basix/avatars/users/a.png")
    assert type(make_reader(SPEC, event(record()))(event(record()))[1]) is Channel


# ----------------------------------------------------------------------- broken frames


@for_each("otp", ENCODERS)
def test_truncated_and_longer_frames_are_left_to_the_slow_path(otp):
    """The fast path returns nothing for a truncated frame and for one with trailing bytes."""
    frame = event(record(state=CALLING_STATES["group"]), otp=otp)
    read = make_reader(SPEC, frame)
    assert parse_fast(read, frame) is not None
    for size in range(len(frame)):
        assert parse_fast(read, frame[:size]) is None
    assert parse_fast(read, frame + b"\0") is None
    assert parse_fast(read, frame + frame[-10:]) is None


@pytest.mark.slow
@pytest.mark.parametrize("otp", ENCODERS)
def test_frames_with_a_changed_byte_never_differ_from_the_slow_path(otp):
    """The fast path returns the slow path's result or nothing, whichever byte changes."""
    frame = bytearray(event(record(state=CALLING_STATES["group"]), otp=otp))
    read = make_reader(SPEC, bytes(frame))
    draw = random.Random(0)
    read_fast = 0
    for at, byte in enumerate(frame):
        for other in {*b"\0\1\7\10adhjmnw\xff", byte ^ 1, draw.randrange(256)}:
            frame[at] = other
            expected = parse_slow(SPEC, bytes(frame))
            message = parse_fast(read, bytes(frame))
            assert message is None or is_identical(message, expected), (at, other)
            read_fast += message is not None
        frame[at] = byte
    assert 1000 < read_fast < 14 * len(frame) - 1000


def test_all_bytes_of_a_length_are_read():
    """A reader does not cut the length of a text of 65,536 or more bytes."""
    frame = event(record())
    read = make_reader(SPEC, frame)
    at = frame.index(b"m\0\0\0$")
    for position in (1, 2, 3):
        longer = bytearray(frame)
        longer[at + position] = 1
        assert parse_fast(read, bytes(longer)) is None


@for_each("otp", ENCODERS)
def test_record_that_starts_with_bert_is_left_to_the_slow_path(otp):
    """The slow path refuses a record that is a BERT compound."""
    for first in (Atom("nil"), Atom("new"), 1):
        spec = FieldSpec("channel", ("uuid", "direction"))
        frame = event([Atom("bert"), first], otp=otp)
        assert isinstance(parse_slow(spec, frame), str)
        assert parse_fast(make_reader(spec, frame), frame) is None


# ------------------------------------------------------------------------ the header


@for_each("otp", ENCODERS)
@for_each("form", [Charlist, Atom, str])
def test_kinds_and_event_names_are_read_in_every_encoding(form, otp):
    """A kind and an event's name may be a charlist, an atom or a binary."""
    for name in ("added", "updated", "removed"):
        frame = event(record(), otp=otp, kind=form("channel"), name=form(name))
        message = parse_fast(make_reader(SPEC, frame), frame)
        assert is_identical(message, parse_slow(SPEC, frame))
        assert message.event_name == name
    frame = event(record(), otp=otp, kind=form("channel"), name=form("rung"))
    message = parse_fast(make_reader(SPEC, frame), frame)
    assert message is None or (
        event_readers.COMPILED and is_identical(message, parse_slow(SPEC, frame))
    )


@for_each("name", [None, 5, [0x6771, 0x4EAC], []])
def test_event_names_that_are_not_text_are_left_to_the_slow_path(name):
    frame = event(record(), name=name)
    assert parse_fast(make_reader(SPEC, frame), frame) is None


def test_reader_leaves_frames_with_another_header():
    """A reader reads no frame with another kind, encoding or number of fields."""
    read = make_reader(SPEC, event(record()))
    assert parse_fast(read, event(record(), otp=26)) is None
    assert parse_fast(read, event(record(), kind=Charlist("chancel"))) is None
    assert parse_fast(read, event(record()[:-1])) is None
    assert parse_fast(read, event([*record(), None])) is None


# ------------------------------------------------------------------------ the limits


def test_number_of_cached_readers_is_bounded():
    """The process keeps at most MAX_FAST_READERS readers."""
    assert MAX_FAST_BYTES == 4096
    for number in range(2 * MAX_FAST_READERS):
        spec = FieldSpec("channel", ("uuid", f"f{number}"))
        frame = event([1, 2])
        make_reader(spec, frame)
    assert event_reader.cache_info().currsize == MAX_FAST_READERS == 64


def test_most_expensive_frames_stay_within_fast_path_limits():
    """The parser reads the most expensive frames of the fast path under FAST_PATH_LIMITS."""
    least = Limits(terms=100_000, depth=4, big_integer_bytes=8, frame_bytes=MAX_FAST_BYTES)
    spec = FieldSpec("channel", ("state", *(f"f{number}" for number in range(18))))
    call = (TS, Atom("calling"), None, Atom("user"), ([],) * 255)
    for value in (([],) * 200, ((),) * 200, call, (2**63,) * 18):
        frame = event([value, *[[]] * 18])
        assert len(frame) <= MAX_FAST_BYTES
        parser = MessageParser(limits=least)
        parser.parse(field_spec("channel", *spec.fields))
        assert is_identical(parser.parse(frame), parse_slow(spec, frame))


def test_generated_source_contains_no_text_from_a_peer(monkeypatch):
    """Generated source contains no kind or field name from a peer."""
    sources = []
    original = event_readers.generate

    def generate(cls, **options):
        sources.append(repr((options["parameters"], options["before"], options["values"])))
        return original(cls, **options)

    monkeypatch.setattr(event_readers, "generate", generate)
    monkeypatch.setattr(event_readers, "COMPILED", False)
    spec = FieldSpec("evil_kind_of_things", ("evil_name", "uuid", "__class__", "); evil("))
    frame = event([1, 2, 3, 4], kind=Charlist(spec.element_name))
    message = parse_fast(make_reader(spec, frame), frame)
    assert message.element.extra["evil_name"] == 1
    assert sources
    assert not any("evil" in source for source in sources)
