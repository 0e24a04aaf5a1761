"""Fast path of a parser: setup after enough events, selection of a reader, fallbacks."""

from __future__ import annotations

import pytest
from support.cases import for_each
from support.etf_encoder import ENCODERS, Atom, Charlist, encode, field_spec, info_event

from basix_ws_cti._internal.native_ints import COMPILED
from basix_ws_cti.elements import Channel, OtherElement, User
from basix_ws_cti.exceptions import DecodeError, ProtocolError
from basix_ws_cti.messages import FieldSpec, InfoEvent
from basix_ws_cti.parsing import fast_path
from basix_ws_cti.parsing.event_readers import MAX_FAST_BYTES
from basix_ws_cti.parsing.fast_path import (
    LOOKUP_BYTES,
    MAX_FAST_FIELDS,
    FastPath,
    event_header,
    fast_path_fits,
    records_fit,
)
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.simulator import frames as story_frames
from basix_ws_cti.terms import DEFAULT_LIMITS, Limits

USER_SPEC = FieldSpec("user", ("id", "name"))
USER_SPEC_FRAME = field_spec("user", "id", "name")

CHANNEL = Charlist("channel")
CHANNEL_SPEC = FieldSpec("channel", ("uuid", "state", "name"))


def event(number, kind="user", name="updated"):
    return info_event(kind, (number, "a"), name)


def channel_event(*record, otp=25, kind=CHANNEL):
    record = record or ("u", None, "a")
    return b"\x83" + ENCODERS[otp]((Atom("info_event"), kind, record, Charlist("updated")))


def make_parser(*frames, **options):
    """Return a parser that has read these frames."""
    parser = MessageParser(**options)
    for one in frames:
        parser.parse(one)
    return parser


def make_fast_path(spec, frame, *, limits=DEFAULT_LIMITS, base_url=None):
    """Return a fast path that has observed two events with this frame."""
    made = FastPath(limits, base_url)
    made.observe(frame, spec)
    made.observe(frame, spec)
    return made


@pytest.fixture
def _two_slow_events(monkeypatch):
    """Let two events of a kind take the slow path, and the next ones the fast path."""
    monkeypatch.setattr(fast_path, "FAST_AFTER", 2)


# -- setup of readers ----------------------------------------------------------------------


def test_reader_is_set_up_after_500_events():
    made = FastPath(DEFAULT_LIMITS, None)
    for number in range(500):
        assert made.read(event(number)) is None
        made.observe(event(number), USER_SPEC)
    assert made.read(event(-1, name="added")) == ("user", User(id=-1, name="a"), "added")
    assert FastPath(DEFAULT_LIMITS, None).read(event(-1)) is None  # readers are not shared


@pytest.mark.usefixtures("_two_slow_events")
def test_events_of_each_kind_are_counted_separately():
    made = FastPath(DEFAULT_LIMITS, None)
    group_spec = FieldSpec("queued_group", ("id", "name"))
    made.observe(event(1), USER_SPEC)
    made.observe(event(1, "queued_group"), group_spec)
    made.observe(event(2), USER_SPEC)
    assert made.read(event(3)) is not None
    assert made.read(event(3, "queued_group")) is None
    made.observe(event(2, "queued_group"), group_spec)
    kind, element, event_name = made.read(event(3, "queued_group"))
    assert (kind, type(element), event_name) == ("queued_group", OtherElement, "updated")


@pytest.mark.usefixtures("_two_slow_events")
def test_base_url_reaches_the_reader():
    spec = FieldSpec("user", ("id", "avatar"))
    frame = info_event("user", (1, "a.png"))
    made = make_fast_path(spec, frame, base_url="https://xyz.com")
    _, element, _ = made.read(frame)
    assert element == User(id=1, avatar="https://xyz.com/basix/avatars/users/a.png")


@pytest.mark.usefixtures("_two_slow_events")
def test_only_bytes_are_counted():
    """A bytearray takes the slow path and does not count for the fast path."""
    made = make_fast_path(USER_SPEC, bytearray(event(1)))
    assert made.read(event(2)) is None
    made.observe(event(1), USER_SPEC)
    assert made.read(event(2)) is None
    made.observe(event(1), USER_SPEC)
    assert made.read(event(2)) is not None


@pytest.mark.usefixtures("_two_slow_events")
def test_kind_without_header_gets_no_reader():
    """A kind that the fast path can't read keeps to the slow path."""
    frame = channel_event(kind=Charlist("チャネル"))
    made = make_fast_path(FieldSpec("チャネル", CHANNEL_SPEC.fields), frame)
    assert made.read(frame) is None
    made.forget("チャネル")


@pytest.mark.usefixtures("_two_slow_events")
def test_tight_limits_disable_the_fast_path():
    assert make_fast_path(USER_SPEC, event(1)).read(event(2)) is not None
    made = make_fast_path(USER_SPEC, event(1), limits=Limits(depth=3))
    assert made.read(event(2)) is None


@pytest.mark.usefixtures("_two_slow_events")
def test_forget_drops_the_reader_and_the_count():
    made = make_fast_path(USER_SPEC, event(1))
    new_spec = FieldSpec("user", ("id", "label"))
    made.forget("user")
    assert made.read(event(2)) is None
    made.observe(event(1), new_spec)
    assert made.read(event(2)) is None
    made.observe(event(1), new_spec)
    assert made.read(event(2)) == ("user", User(id=2, label="a"), "updated")


@pytest.mark.usefixtures("_two_slow_events")
def test_forget_leaves_other_kinds():
    made = make_fast_path(USER_SPEC, event(1))
    made.forget("group")
    assert made.read(event(2)) is not None


# -- fallbacks -----------------------------------------------------------------------------


@pytest.mark.parametrize("otp", ENCODERS)
@pytest.mark.usefixtures("_two_slow_events")
def test_frames_that_the_reader_cannot_read_are_left_to_the_slow_path(otp):
    """The fast path returns nothing for huge integers and for broken, long and other frames."""
    frame = channel_event(otp=otp)
    made = make_fast_path(CHANNEL_SPEC, frame)
    assert made.read(frame) == ("channel", Channel(uuid="u", extra={"name": "a"}), "updated")
    for other in (
        channel_event("u", None, 2**64, otp=otp),
        channel_event("u", None, "a" * MAX_FAST_BYTES, otp=otp),
        channel_event("u", None, otp=otp),
        frame[:-1],
        frame + b"\0",
        bytearray(frame),
        frame.decode("latin-1"),
        b"",
    ):
        assert made.read(other) is None


@pytest.mark.usefixtures("_two_slow_events")
def test_length_of_frames_is_bounded():
    """The fast path reads a frame of MAX_FAST_BYTES and leaves a longer one to the slow path."""
    made = make_fast_path(USER_SPEC, event(1))
    name = "a" * (MAX_FAST_BYTES - len(event(1)) + 1)
    frame = info_event("user", (1, name))
    assert len(frame) == MAX_FAST_BYTES
    assert made.read(frame) == ("user", User(id=1, name=name), "updated")
    assert made.read(info_event("user", (1, name + "a"))) is None


@pytest.mark.usefixtures("_two_slow_events")
def test_parser_reads_frames_that_the_fast_path_leaves():
    """Frames that are not bytes, long or broken, or contain rare terms, take the slow path."""
    parser = make_parser(USER_SPEC_FRAME, event(1), event(2))
    assert not parser.takes_fast_path(bytearray(event(3)))
    assert parser.parse(bytearray(event(3))) == parser.parse(event(3))
    long = "a" * 5000
    assert not parser.takes_fast_path(info_event("user", (1, long)))
    assert parser.parse(info_event("user", (1, long))).element.name == long
    assert parser.parse(info_event("user", (1, 1.5))).element.name == 1.5
    assert parser.parse(info_event("user", (1,))).element == User(id=1)
    cut = event(3)[:-1]
    with pytest.raises(DecodeError) as caught:
        parser.parse(cut)
    assert caught.value.offset == len(cut)
    assert caught.value.__context__ is None
    with pytest.raises(ProtocolError, match="text frame"):
        parser.handle_message("text")


@pytest.mark.usefixtures("_two_slow_events")
def test_second_kind_with_the_same_lookup_bytes_gets_no_reader():
    """Of two kinds with the same LOOKUP_BYTES, only the first gets a reader; both are read."""
    kinds = ("queue_a", "queue_b")
    parser = make_parser(*(field_spec(kind, "id", "name") for kind in kinds))
    for _ in range(4):
        for kind in kinds:
            assert parser.parse(event(1, kind)).element_name == kind
    assert [parser.takes_fast_path(event(1, kind)) for kind in kinds] == [True, False]
    parser.parse(field_spec("queue_b", "id"))
    assert parser.takes_fast_path(event(1, "queue_a"))


@pytest.mark.usefixtures("_two_slow_events")
def test_tight_limits_and_long_field_specs_rule_out_the_fast_path():
    """Tight limits, and field specs with too many fields, rule the fast path out."""
    parser = make_parser(USER_SPEC_FRAME, event(1), event(2), event(3), limits=Limits(depth=3))
    assert not parser.takes_fast_path(event(3))
    names = [f"f{number}" for number in range(100)]
    record = (1,) * 100
    many = info_event("user", record)
    parser = make_parser(field_spec("user", *names), many, many, many)
    assert not parser.takes_fast_path(many)


@pytest.mark.usefixtures("_two_slow_events")
def test_event_with_another_encoding_of_its_kind_takes_the_slow_path():
    """An event whose kind is encoded in another way than the reader expects takes the slow path."""
    parser = make_parser(USER_SPEC_FRAME, event(1), event(2), event(3))
    other = b"\x83" + encode((Atom("info_event"), Atom("user"), (4, "a"), Atom("updated")))
    assert not parser.takes_fast_path(other)
    assert parser.parse(other) == InfoEvent("user", User(id=4, name="a"), "updated")


# -- header of an event --------------------------------------------------------------------


@pytest.mark.parametrize("otp", ENCODERS)
@pytest.mark.parametrize("form", [Charlist, Atom, str])
def test_header_ends_before_the_first_field(form, otp):
    frame = channel_event(otp=otp, kind=form("channel"))
    assert event_header(frame, CHANNEL_SPEC) == frame.partition(b"m\0\0\0\1u")[0]


@pytest.mark.parametrize(
    "frame",
    [
        channel_event("u", None),
        channel_event(kind=Charlist("user")),
        b"\x83h\3" + channel_event()[3:],
        b"\x83" + encode((Atom("system_msg"), "logout")),
        channel_event().replace(b"d\0\ninfo_event", b"s\ninfo_event"),
    ],
    ids=["short record", "another kind", "three parts", "system_msg", "atom with tag 115"],
)
def test_other_frames_have_no_header(frame):
    assert event_header(frame, CHANNEL_SPEC) is None


@pytest.mark.parametrize(
    ("kind", "size", "has_header"),
    [
        ("user", 1, True),
        ("use", 1, False),  # LOOKUP_BYTES would reach into the record
        ("チャネル", 1, False),
        ("user", MAX_FAST_FIELDS, True),
        ("user", MAX_FAST_FIELDS + 1, False),
    ],
)
def test_header_depends_on_kind_and_number_of_fields(kind, size, has_header):
    """A header needs an ASCII kind, LOOKUP_BYTES and at most MAX_FAST_FIELDS fields."""
    spec = FieldSpec(kind, tuple(f"f{number}" for number in range(size)))
    frame = channel_event(*[1] * size, otp=26, kind=Atom(kind))
    header = event_header(frame, spec)
    assert (header is not None) is has_header
    assert header is None or len(header) >= LOOKUP_BYTES


# -- limits --------------------------------------------------------------------------------


def test_number_of_fields_is_bounded():
    assert MAX_FAST_FIELDS == 64


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("terms", 100_000),
        ("depth", 4),
        ("big_integer_bytes", 8),
        ("frame_bytes", MAX_FAST_BYTES),
    ],
)
def test_limits_that_a_fast_frame_could_exceed_do_not_fit(name, minimum):
    assert fast_path_fits(Limits(**{name: minimum}))
    assert not fast_path_fits(Limits(**{name: minimum - 1}))


# -- lists of records ----------------------------------------------------------------------

# A record for each encoding that a template of the generated code reads, and others.
USERS = [
    (1, "a"),
    (70_000, "名前"),
    (2**40, Charlist("c")),
    (255, None),
    (-3, ""),
    (None, Atom("true")),
    (4, []),
]


def users(records, *, otp=25, kind=Charlist("user")):  # noqa: B008 - a constant
    return b"\x83" + ENCODERS[otp]((Atom("initial_info"), kind, records))


def read_both(frame, specs=(USER_SPEC_FRAME,), **limits):
    """Return the elements that the fast path reads (None: it read nothing), and the slow path's.

    An error of the slow path is returned as its text.
    """
    parser = make_parser(*specs, limits=Limits(**limits))
    fast = FastPath(Limits(**limits), None).read_records(frame, parser._specs)  # noqa: SLF001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastPath, "read_records", lambda *_: None)
        try:
            slow = parser.parse(frame).elements
        except (DecodeError, ProtocolError) as error:
            slow = str(error)
    return (None if fast is None else fast[1]), slow


@pytest.fixture
def _any_number_of_records(monkeypatch):
    monkeypatch.setattr(fast_path, "FAST_RECORDS", 0)


interpreted = pytest.mark.skipif(COMPILED, reason="compiled code generates no readers")


@interpreted
@pytest.mark.parametrize("kind", [Charlist("user"), "user"], ids=["charlist", "binary"])
@pytest.mark.parametrize("otp", ENCODERS)
@pytest.mark.usefixtures("_any_number_of_records")
def test_records_of_an_initial_info_are_read_fast(otp, kind):
    fast, slow = read_both(users(USERS, otp=otp, kind=kind))
    assert fast == [*slow.values()]
    assert [one.id for one in fast] == [1, 70_000, 2**40, 255, -3, None, 4]
    assert [one.name for one in fast] == ["a", "名前", "c", None, "", True, None]


@pytest.mark.slow
@interpreted
@pytest.mark.usefixtures("_any_number_of_records")
def test_initial_infos_of_simulated_stories_are_read_fast():
    """A second parser reads them on the fast path: the first one has cached their atoms."""
    frames = [*story_frames()]
    specs = [one for one in frames if b"field_spec" in one[:20]]
    kinds = 0
    for frame in [one for one in frames if b"initial_info" in one[:20]]:
        read_both(frame, specs)
        fast, slow = read_both(frame, specs)
        assert fast == ([*slow.values()] or None)  # an empty list takes the slow path
        kinds += fast is not None
    assert kinds >= 5


@interpreted
@pytest.mark.usefixtures("_any_number_of_records")
def test_truncated_and_longer_lists_are_left_to_the_slow_path():
    frame = users(USERS)
    for wrong in [*(frame[:size] for size in range(20, len(frame))), frame + b"j"]:
        fast, slow = read_both(wrong)
        assert fast is None
        assert type(slow) is str


@pytest.mark.slow
@interpreted
@pytest.mark.usefixtures("_any_number_of_records")
def test_lists_with_a_changed_byte_never_differ_from_the_slow_path():
    frame = users(USERS)
    fast_ones = 0
    for at in range(20, len(frame)):
        for value in (0, 97, 106, 109, frame[at] ^ 1, frame[at] ^ 128):
            wrong = frame[:at] + bytes([value]) + frame[at + 1 :]
            fast, slow = read_both(wrong)
            if fast is not None:
                assert make_parser(USER_SPEC_FRAME).parse(wrong).elements == slow
                assert len(fast) == len(USERS)
                fast_ones += 1
    assert fast_ones > 10


@pytest.mark.slow
@interpreted
@for_each(
    "frame, limits",
    [
        pytest.param(users(USERS), {}, id="too few records"),
        pytest.param(users([(1,)] * 500), {}, id="record of another size"),
        pytest.param(users([(1, (2, 3))] * 500), {}, id="tuple in a scalar field"),
        pytest.param(users(USERS * 100, kind=Charlist("group")), {}, id="kind without field_spec"),
        pytest.param(users(USERS * 100, kind=Atom("user")), {}, id="kind that is an atom"),
        pytest.param(users([(1, "a")] * 500), {"records": 499}, id="more records than allowed"),
        pytest.param(
            users([(1, "a" * 20)] * 500), {"frame_bytes": 4096}, id="frame longer than allowed"
        ),
        pytest.param(users([(1, "a")] * 500), {"depth": 4}, id="list deeper than allowed"),
        pytest.param(users([(1, "")] * 13_000), {"terms": 100_000}, id="more tuples than terms"),
    ],
)
def test_other_lists_are_left_to_the_slow_path(frame, limits):
    assert read_both(frame, **limits)[0] is None


@interpreted
def test_500_records_are_read_fast_at_once():
    assert read_both(users([(1, "a")] * 499))[0] is None
    assert read_both(users([(1, "a")] * 500))[0] == [User(id=1, name="a")] * 500


@interpreted
@pytest.mark.usefixtures("_any_number_of_records")
@for_each("size, is_fast", [(MAX_FAST_FIELDS, True), (MAX_FAST_FIELDS + 1, False)])
def test_records_with_too_many_fields_are_left_to_the_slow_path(size, is_fast):
    spec = field_spec("user", "id", *(f"field{at}" for at in range(1, size)))
    fast, slow = read_both(users([tuple(range(size))]), specs=(spec,))
    assert fast == ([*slow.values()] if is_fast else None)


@pytest.mark.slow
@interpreted
def test_lists_heavier_than_allowed_are_left_to_the_slow_path():
    fast, slow = read_both(users([([], [])] * 12_000))
    assert fast is None
    assert "more terms than the limits" in slow


@interpreted
def test_known_kind_with_a_new_field_spec_reads_lists_by_the_new_one():
    records = [(1, "a")] * 500
    parser = make_parser(USER_SPEC_FRAME)
    assert parser.parse(users(records)).elements[1].name == "a"
    parser.parse(field_spec("user", "id", "label"))
    assert parser.parse(users(records)).elements[1].label == "a"


@for_each(
    "name, too_low",
    [("terms", 26), ("frame_bytes", 9), ("records", 2), ("depth", 4)],
)
def test_list_within_all_limits_fits(name, too_low):
    """Two bytes weigh one term, a tuple's tag 6 more, an empty list's 3 more; and 7 in all."""
    frame = b"hhj" + bytes(7)
    assert records_fit(frame, 3, Limits(**{name: too_low + 1}))
    assert not records_fit(frame, 3, Limits(**{name: too_low}))


@for_each("tuples, fits", [(18_182, True), (18_183, False)])
def test_longer_lists_may_weigh_more(tuples, fits):
    """The weight may be the base budget and ``terms_per_byte`` for each byte, and no more."""
    frame = (b"h" * tuples).ljust(18_198)
    assert records_fit(frame, 1, Limits(terms_per_byte=1)) is fits
