"""The fast path gives what the slow path gives, or leaves the frame to it."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.etf_encoder import BERT_NIL, Atom, Charlist, any_term, encode
from support.frame_mutations import bench_frames

from basix_ws_cti import BasixError, Channel, FieldSpec, InfoEvent, MessageParser, User, terms
from basix_ws_cti.parsing import event_readers
from basix_ws_cti.parsing.event_readers import (
    FALLBACK_ERRORS,
    MAX_FAST_BYTES,
    MAX_FAST_READERS,
    event_reader,
)
from basix_ws_cti.parsing.fast_path import (
    LOOKUP_BYTES,
    MAX_FAST_FIELDS,
    event_header,
    fast_path_fits,
)
from basix_ws_cti.simulator import frames as story
from basix_ws_cti.terms import Limits

BASE_URL = "https://xyz.com"
TS = 1546839040024071
UUID = "04b0aa6a-fb6a-4cb9-88d8-521e42662406"

CHANNEL = Charlist("channel")
UPDATED = Charlist("updated")

# Atoms in the frames below. The fast path reads only atoms that the slow path has met before.
WORDS = [
    *("user", "end_user", "group", "ring", "calling", "ivr", "bridged", "park", "ringing"),
    *("pstn", "inbound", "outbound", "internal", "external", "new", "bridged_endpoint", "nil"),
]

FIELDS = ("uuid", "direction", "offer_timestamp", "state", "target", "other_info", "end_user")


@pytest.fixture(autouse=True, params=[False, True], ids=["generated", "compiled"])
def _both_readers(request, monkeypatch):
    """Test both kinds of reader: the one for a compiled package works in any, only slower."""
    monkeypatch.setattr(event_readers, "COMPILED", request.param)
    event_reader.cache_clear()


@pytest.fixture(autouse=True)
def _no_other_atoms():
    """Make room in the atom cache for the atoms of these tests."""
    terms.atom_cache.clear()
    terms.atom_cache.update(terms.PREDEFINED_ATOMS)


def as_otp_25(term):
    """Encode a term as older PBXs do: atoms with tag 100."""
    if term is None or isinstance(term, bool | Atom):
        name = {None: "undefined", True: "true", False: "false"}.get(term, term)
        return b"d\0" + bytes([len(name)]) + name.encode()
    if isinstance(term, tuple) and len(term) < 256:
        return b"h" + bytes([len(term)]) + b"".join(map(as_otp_25, term))
    return encode(term)


WRITERS = {25: as_otp_25, 26: encode}


def event(record, *, otp=25, kind=CHANNEL, name=UPDATED):
    return b"\x83" + WRITERS[otp]((Atom("info_event"), kind, tuple(record), name))


def slow(spec, frame, base_url=None):
    """Return the slow path's message for a frame, or the text of its error."""
    parser = MessageParser(base_url=base_url)
    parser._specs[spec.element_name] = spec
    try:
        return parser.parse(frame)
    except BasixError as error:
        return str(error)


def reader(spec, frame, base_url=None):
    """Return the reader of frames with the header of this one."""
    for writer in WRITERS.values():
        MessageParser().parse(b"\x83" + writer((Atom("any"), *map(Atom, WORDS))))
    header = event_header(frame, spec)
    assert header is not None
    return event_reader(spec, base_url, header)


def fast(read, frame):
    """Return the fast path's message for a frame; None: it is left to the slow path."""
    try:
        kind, element, name = read(frame)
    except FALLBACK_ERRORS:
        return None
    return InfoEvent(kind, element, name)


def same(one, other):
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


def test_the_benchmark_s_events():
    """All of them take the fast path, and give what the slow path gives."""
    spec, _, _, _, *events = islice(bench_frames(), 500)
    parser = MessageParser()
    read = reader(parser.parse(spec), events[0])
    for frame in events:
        message = parser.parse(frame)
        assert same(fast(read, frame), message)


STORIES = ("inbound_call", "parked", "voicemail", "eavesdrop", "conference", "directory_changes")


@pytest.mark.parametrize("base_url", [None, BASE_URL])
@pytest.mark.parametrize("options", [{"otp": 25}, {"otp": 26}, {"otp": 26, "older": True}])
def test_stories(options, base_url):
    """Every event of the simulated stories takes the fast path: many kinds and states."""
    parser = MessageParser(base_url=base_url)
    readers, kinds, states = {}, set(), set()
    for frame in [frame for name in STORIES for frame in story(name, **options)]:
        message = parser.parse(frame)
        if not isinstance(message, InfoEvent):
            continue
        kind = message.element_name
        spec = parser._specs[kind]
        read = readers.setdefault(kind, event_reader(spec, base_url, event_header(frame, spec)))
        assert same(fast(read, frame), message)
        kinds.add(kind)
        states.add(type(getattr(message.element, "state", None)))
    assert {"channel", "user", "terminal"} <= kinds
    assert len(states) > 6


VALUES = {
    "text": "abc",
    "Japanese": "東京",
    "no text": "",
    "a long text": "a" * 300,
    "charlist": Charlist("abc"),
    "empty list": [],
    "bert nil": BERT_NIL,
    "bert true": (Atom("bert"), Atom("true")),
    "no value": None,
    "true": True,
    "a known atom": Atom("inbound"),
    "0": 0,
    "-1": -1,
    "70,000": 70_000,
    "2**31": 2**31,
    "a timestamp": TS,
    "minus a timestamp": -TS,
    "2**56": 2**56,
    "2**64 - 1": 2**64 - 1,
    "empty tuple": (),
    "tuple of four": (Atom("user"), 1, None, "1001"),
    "tuple of eight": (Atom("user"), 1, None, None, None, TS, None, None),
    "tuple of eight, a person": (Atom("pstn"), "1*A", None, None, None, TS, None, None),
    "tuple of eight, nobody": (None, None, Atom("inbound"), None, [], None, None, []),
    "tuple of eight, texts": ("user", "1", "a", "b", "c", "d", "e", "f"),
    "tuple of three": (Atom("user"), 1, None),
    "tuple of scalars": (1, 300, -5, "a", Atom("inbound"), None, [], Charlist("x"), 2**63, ""),
    "a state": (TS, Atom("ringing")),
    "a state with a part more": (TS, Atom("ringing"), 1),
    "a state without its part": (TS, Atom("ivr")),
    "a state whose name is text": (TS, "ivr", "menu"),
    "a state of another time": (1, Atom("ivr"), "menu"),
    "a state of no time": (None, Atom("ivr"), "menu"),
    "a state before its time": (-TS, Atom("ivr"), "menu"),
    "a state of nanoseconds": (TS * 1000, Atom("ivr"), "menu"),
    "a state nobody knows": (TS, Atom("new"), 1, []),
    "park": (TS, Atom("park"), 901, None, 7, "A"),
    "calling nobody": (TS, Atom("calling"), Atom("internal"), Atom("user"), None),
    "calling, no more": (TS, Atom("calling")),
}

# Tuples in tuples, where they belong.
CALLING = {
    "a number": (TS, Atom("calling"), Atom("external"), Atom("pstn"), ("03123", None)),
    "a group": (
        *(TS, Atom("calling"), Atom("internal"), Atom("group")),
        (Atom("ring"), 12, None, [], "q"),
    ),
    "a group, in short": (TS, Atom("calling"), None, Atom("group"), (Atom("ring"),)),
    "an endpoint": (
        *(TS, Atom("calling"), None, Atom("bridged_endpoint")),
        ("a", Charlist("b")),
    ),
    "bert nil": (TS, Atom("calling"), None, Atom("user"), BERT_NIL),
}


@pytest.mark.parametrize("otp", WRITERS)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_in_any_field(field, value, otp):
    """The fast path reads what a PBX may put into a field, as the slow path does."""
    frame = event(record(**{field: value}), otp=otp)
    message = fast(reader(SPEC, frame), frame)
    assert message is not None
    assert same(message, slow(SPEC, frame))


@pytest.mark.parametrize("otp", WRITERS)
@pytest.mark.parametrize("value", CALLING.values(), ids=CALLING)
def test_calling(value, otp):
    """The fast path reads calling states with any kind of target."""
    frame = event(record(state=value), otp=otp)
    message = fast(reader(SPEC, frame), frame)
    assert message is not None
    assert same(message, slow(SPEC, frame))


def test_bert_nil_in_a_structure():
    """The fast path reads ``{bert,nil}`` and ``{bert,true}`` as parts of a structure."""
    frame = event(record(other_info=(*[BERT_NIL] * 7, (Atom("bert"), Atom("true")))))
    message = fast(reader(SPEC, frame), frame)
    assert message is not None
    assert same(message, slow(SPEC, frame))


DETOURS = {
    "an atom not met before": Atom("not_met_before_" + "x" * 40),
    "Latin-1": b"\xe9",
    "a float": 1.5,
    "a list": [1],
    "a map": {"a": 1},
    "nine bytes": 2**64,
    "a tuple in a tuple": ((1,),),
    "a bert time": (Atom("bert"), Atom("time"), 1546, 839040, 24071),
    "four parts, of which one is bert": (Atom("bert"), Atom("regex"), "a", []),
    "eight parts, of which one is bert": (Atom("bert"), *[None] * 7),
    "a call within a call": (TS, Atom("calling"), None, Atom("user"), ((1,),)),
    "a call to bert": (TS, Atom("calling"), None, None, (Atom("bert"), Atom("new"))),
    "a large tuple": (None,) * 256,
}


@pytest.mark.parametrize("otp", WRITERS)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", DETOURS.values(), ids=DETOURS)
def test_detours(field, value, otp):
    """Rare or malformed values in any field are left to the slow path.

    The reader of a compiled package may read them, as the slow path does.
    """
    frame = event(record(**{field: value}), otp=otp)
    message = fast(reader(SPEC, frame), frame)
    assert message is None or (event_readers.COMPILED and same(message, slow(SPEC, frame)))


BEYOND = {
    "nine bytes": 2**64,
    "a fifth level": ((((1,),),),),
    "two keys": {"a": 1, "b": 2},
    "two numbers for keys": {1: 1, 2: 2},
}


@pytest.mark.parametrize("value", BEYOND.values(), ids=BEYOND)
def test_beyond_the_least_limits(value):
    """A value beyond FAST_PATH_LIMITS is left to the slow path, which knows the real limits."""
    frame = event(record(end_user=value))
    assert isinstance(slow(SPEC, frame), InfoEvent)
    assert fast(reader(SPEC, frame), frame) is None


@settings(deadline=None)  # a reader may have to be made
@given(data=st.data(), otp=st.sampled_from([*WRITERS]), base_url=st.sampled_from([None, BASE_URL]))
def test_any_term_in_any_field(data, otp, base_url):
    """Whatever a field holds, the fast path gives what the slow path gives, or None."""
    values = data.draw(
        st.dictionaries(st.sampled_from(FIELDS), any_term() | st.sampled_from([*VALUES.values()]))
    )
    frame = event(record(**values), otp=otp)
    expected = slow(SPEC, frame, base_url)  # it also fills the atom cache
    message = fast(reader(SPEC, frame, base_url), frame)
    assert message is None or same(message, expected)


@pytest.mark.parametrize("tag", ["s", "w"])
def test_an_atom_in_another_form(tag):
    """An atom with another tag than its neighbours is read if the slow path has met it."""
    frame = event(record()).replace(b"d\0\7inbound", tag.encode() + b"\7inbound")
    expected = slow(SPEC, frame)
    assert expected.element.direction == "inbound"
    assert same(fast(reader(SPEC, frame), frame), expected)


def test_fields_nobody_knows():
    """Undeclared fields, unknown kinds, and a field name that occurs twice are read."""
    for kind, names in (
        ("channel", ("uuid", "new", "tags", "other", "tags")),
        ("robot_of_some_kind", ("id", "new", "state", "other_info", "id")),
        ("queued_channel", ("uuid", "peer_number", "target", "x", "y")),
        ("user", ("id", "avatar", "other_info", "label", "name")),
    ):
        spec = FieldSpec(kind, names)
        for base_url in (None, BASE_URL):
            frame = event([1, "a.png", (TS, None), [], "b;c"], kind=Charlist(kind))
            message = fast(reader(spec, frame, base_url), frame)
            assert message is not None
            assert same(message, slow(spec, frame, base_url))


def test_a_record_of_no_fields():
    """A kind without fields has a reader too."""
    spec = FieldSpec("channel", ())
    frame = event([])
    assert same(fast(reader(spec, frame), frame), InfoEvent("channel", Channel(), "updated"))


def test_the_result_is_final():
    """The element is an instance of the class itself, with all fields set."""
    frame = event([1, "a.png"], kind=Charlist("user"))
    spec = FieldSpec("user", ("id", "avatar"))
    kind, element, name = reader(spec, frame, BASE_URL)(frame)
    assert (kind, name) == ("user", "updated")
    assert type(element) is User
    assert element == User(id=1, avatar=f"{BASE_URL}/basix/avatars/users/a.png")
    assert type(reader(SPEC, event(record()))(event(record()))[1]) is Channel


# ----------------------------------------------------------------------- broken frames


@pytest.mark.parametrize("otp", WRITERS)
def test_no_more_and_no_less(otp):
    """A frame that is truncated anywhere, or has trailing bytes, is left to the slow path."""
    frame = event(record(state=CALLING["a group"]), otp=otp)
    read = reader(SPEC, frame)
    assert fast(read, frame) is not None
    for size in range(len(frame)):
        assert fast(read, frame[:size]) is None
    assert fast(read, frame + b"\0") is None
    assert fast(read, frame + frame[-10:]) is None


@pytest.mark.parametrize("otp", WRITERS)
def test_a_byte_changed(otp):
    """Whichever byte is changed, the fast path gives what the slow path gives, or None."""
    frame = bytearray(event(record(state=CALLING["a group"]), otp=otp))
    read = reader(SPEC, bytes(frame))
    draw = random.Random(0)
    read_fast = 0
    for at, byte in enumerate(frame):
        for other in {*b"\0\1\7\10adhjmnw\xff", byte ^ 1, draw.randrange(256)}:
            frame[at] = other
            expected = slow(SPEC, bytes(frame))
            message = fast(read, bytes(frame))
            assert message is None or same(message, expected), (at, other)
            read_fast += message is not None
        frame[at] = byte
    assert 1000 < read_fast < 14 * len(frame) - 1000


def test_a_length_of_more_than_a_byte():
    """Lengths are read whole: a text of 65,536 and more bytes is none of their rest."""
    frame = event(record())
    read = reader(SPEC, frame)
    at = frame.index(b"m\0\0\0$")
    for position in (1, 2, 3):
        longer = bytearray(frame)
        longer[at + position] = 1
        assert fast(read, bytes(longer)) is None


@pytest.mark.parametrize("otp", WRITERS)
def test_a_record_led_by_bert(otp):
    """A record that is a BERT compound is left to the slow path, which refuses it."""
    for first in (Atom("nil"), Atom("new"), 1):
        spec = FieldSpec("channel", ("uuid", "direction"))
        frame = event([Atom("bert"), first], otp=otp)
        assert isinstance(slow(spec, frame), str)
        assert fast(reader(spec, frame), frame) is None


# ------------------------------------------------------------------------ the header


@pytest.mark.parametrize("otp", WRITERS)
@pytest.mark.parametrize("form", [Charlist, Atom, str])
def test_forms_of_kinds_and_names(form, otp):
    """A kind, and an event's name, may be a charlist, an atom or a binary."""
    for name in ("added", "updated", "removed"):
        frame = event(record(), otp=otp, kind=form("channel"), name=form(name))
        message = fast(reader(SPEC, frame), frame)
        assert same(message, slow(SPEC, frame))
        assert message.event_name == name
    frame = event(record(), otp=otp, kind=form("channel"), name=form("rung"))
    message = fast(reader(SPEC, frame), frame)
    assert message is None or (event_readers.COMPILED and same(message, slow(SPEC, frame)))


@pytest.mark.parametrize("name", [None, 5, [0x6771, 0x4EAC], []])
def test_names_that_are_no_plain_text(name):
    """An event name that is not plain text is left to the slow path."""
    frame = event(record(), name=name)
    assert fast(reader(SPEC, frame), frame) is None


def test_another_header():
    """A reader refuses a frame with another kind, encoding or number of fields than its own."""
    read = reader(SPEC, event(record()))
    assert fast(read, event(record(), otp=26)) is None
    assert fast(read, event(record(), kind=Charlist("chancel"))) is None
    assert fast(read, event(record()[:-1])) is None
    assert fast(read, event([*record(), None])) is None


def test_frames_without_a_header():
    """Other messages, other encodings, long records and non-ASCII kinds get no reader."""
    assert event_header(event(record()), SPEC) == event(record()).partition(b"m\0\0\0$")[0]
    for frame in (
        event(record()[:-1]),
        event(record(), kind=Charlist("user")),
        b"\x83h\3" + event(record())[3:],
        b"\x83" + encode((Atom("system_msg"), "logout")),
        event(record()).replace(b"d\0\ninfo_event", b"s\ninfo_event"),
    ):
        assert event_header(frame, SPEC) is None
    for kind, size, there in (
        ("user", 1, True),
        ("use", 1, False),  # the first bytes would reach into the record
        ("チャネル", 1, False),
        ("user", MAX_FAST_FIELDS, True),
        ("user", MAX_FAST_FIELDS + 1, False),
    ):
        spec = FieldSpec(kind, tuple(f"f{number}" for number in range(size)))
        frame = event([1] * size, otp=26, kind=Atom(kind))
        header = event_header(frame, spec)
        assert (header is not None) is there
        assert header is None or len(header) >= LOOKUP_BYTES


# ------------------------------------------------------------------------ the limits


def test_bounds_of_the_fast_path():
    """Frames, fields and readers kept are bounded by the constants."""
    assert (MAX_FAST_BYTES, MAX_FAST_FIELDS) == (4096, 64)
    for number in range(2 * MAX_FAST_READERS):
        spec = FieldSpec("channel", ("uuid", f"f{number}"))
        frame = event([1, 2])
        reader(spec, frame)
    assert event_reader.cache_info().currsize == MAX_FAST_READERS == 64


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("terms", 100_000),
        ("depth", 4),
        ("big_integer_bytes", 8),
        ("frame_bytes", MAX_FAST_BYTES),
    ],
)
def test_limits(name, least):
    """The fast path is off under limits that one of its frames might exceed."""
    assert fast_path_fits(Limits(**{name: least}))
    assert not fast_path_fits(Limits(**{name: least - 1}))


def test_the_limits_of_the_dearest_frame():
    """The most expensive frames of the fast path stay within the least limits."""
    least = Limits(terms=100_000, depth=4, big_integer_bytes=8, frame_bytes=MAX_FAST_BYTES)
    spec = FieldSpec("channel", ("state", *(f"f{number}" for number in range(18))))
    call = (TS, Atom("calling"), None, Atom("user"), ([],) * 255)
    for value in (([],) * 200, ((),) * 200, call, (2**63,) * 18):
        frame = event([value, *[[]] * 18])
        assert len(frame) <= MAX_FAST_BYTES
        parser = MessageParser(limits=least)
        parser._specs["channel"] = spec
        assert same(parser.parse(frame), slow(spec, frame))


def test_no_text_of_a_peer_is_compiled(monkeypatch):
    """No kind or field name from a peer gets into generated source."""
    sources = []
    original = event_readers.generate

    def generate(cls, **given):
        sources.append(repr((given["parameters"], given["before"], given["values"])))
        return original(cls, **given)

    monkeypatch.setattr(event_readers, "generate", generate)
    monkeypatch.setattr(event_readers, "COMPILED", False)
    spec = FieldSpec("evil_kind_of_things", ("evil_name", "uuid", "__class__", "); evil("))
    frame = event([1, 2, 3, 4], kind=Charlist(spec.element_name))
    message = fast(reader(spec, frame), frame)
    assert message.element.extra["evil_name"] == 1
    assert sources
    assert not any("evil" in source for source in sources)
