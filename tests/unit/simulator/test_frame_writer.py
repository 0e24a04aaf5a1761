"""Frames of the simulated PBX, as Erlang and a strict client decode them."""

from __future__ import annotations

import json
import subprocess
import zlib

import bert
import pytest
from support.feed_follower import FeedMirror, Office, element_records
from support.paths import ERLANG

from basix_ws_cti import MessageParser, Msg, SystemMsg
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.model import FIELDS, Person
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS, SCENARIOS
from basix_ws_cti.simulator.session_frames import frames, initial_frames

ESCRIPT = ERLANG / "terms.escript"

# Decodes lines of hex, and encodes the terms again with Erlang's own term_to_binary.
REWRITE = """
main([Minor]) ->
    ok = io:setopts([{encoding, latin1}, binary]),
    lines(list_to_integer(Minor)).

lines(Minor) ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            Term = binary_to_term(binary:decode_hex(string:trim(Line))),
            Frame = term_to_binary(Term, [{minor_version, Minor}]),
            io:put_chars([binary:encode_hex(Frame), $\\n]),
            lines(Minor)
    end.
"""


def escript(*command, frames):
    """Return the lines that an escript prints for frames."""
    run = subprocess.run(
        ["escript", *map(str, command)],
        input="".join(f"{frame.hex()}\n" for frame in frames),
        stdout=subprocess.PIPE,
        encoding="ascii",
        check=True,
    )
    return run.stdout.splitlines()


# Normal forms of terms, as the escript prints them


def atom(name):
    return ["a", name.encode().hex().upper()]


def binary(text):
    return ["b", text.encode().hex().upper()]


def string(text):
    return ["s", text.encode().hex().upper()]


def integer(number):
    return ["i", str(number)]


def tup(*elements):
    return ["t", list(elements)]


UNDEFINED = atom("undefined")
NIL = tup(atom("bert"), atom("nil"))


def office_with_call(**form):
    """Return a PBX and both legs: a caller known to the CRM, tagged, talks to a user."""
    office = Office(**form)
    lead = office.pbx.receive(CALLERS[0], DID)
    lead.tags = ("monitoring_required", "auto_answer")
    office.pbx.set_state(lead, "ivr", ivr_id="main_menu")
    leg = office.pbx.call_user(lead, office.users[0])
    office.pbx.now += 5_000_000
    office.pbx.connect(leg)
    return office, lead, leg


def expected_record(office, lead, leg):
    """Return the record of that caller's channel, written by hand."""
    user = office.users[0]
    offered, answered = 1735689600000000, 1735689605000000
    yamada = (
        "12345*%E5%B1%B1%E7%94%B0+%E5%A4%AA%E9%83%8E*%E6%A0%AA%E5%BC%8F%E4%BC%9A%E7%A4%BE"
        "%E5%B1%B1%E7%94%B0%E5%95%86%E5%BA%97**%E6%9D%B1%E4%BA%AC%E9%83%BD"
    )
    return tup(
        binary(lead.uuid),
        atom("inbound"),
        atom("external"),
        binary("0312341234"),
        binary("0312341234"),
        binary("0501234567"),
        integer(offered),
        integer(answered),
        UNDEFINED,
        binary(leg.uuid),
        UNDEFINED,
        tup(integer(answered), atom("bridged")),
        UNDEFINED,
        tup(atom("user"), integer(user.id), binary("user1"), binary("0501234567")),
        UNDEFINED,
        binary(yamada),
        binary("monitoring_required;auto_answer"),
        integer(user.id),
        binary("STATE_CHANGE"),
        UNDEFINED,
        tup(
            atom("user"),
            integer(user.id),
            atom("outbound"),
            atom("internal"),
            binary("term1"),
            integer(offered),
            UNDEFINED,
            UNDEFINED,
        ),
        binary(f"{lead.uuid}@192.0.2.1"),
    )


# Name and data of each state, and its elements on the wire after the timestamp
STATES = [
    ("ivr", {"ivr_id": "m"}, [binary("m")]),
    ("xml_ivr", {}, []),
    ("ringing", {}, []),
    ("system_operation", {}, []),
    ("system_operation", {"operation": "unpark"}, [binary("unpark")]),
    ("checking_voicemail", {"target_name": "u"}, [binary("u")]),
    ("calling_siptermination", {"url": "sip:x"}, [binary("sip:x")]),
    ("conference", {"room_id": "8000"}, [binary("8000")]),
    (
        "voicemail",
        {"target_type": "group", "target_id": 7, "target_name": "g"},
        [atom("group"), integer(7), binary("g")],
    ),
    (
        "park",
        {"slot": 901, "parker_id": 5, "parker_name": "佐藤"},
        [integer(901), UNDEFINED, integer(5), binary("佐藤")],
    ),
    ("eavesdrop", {"uuid": "u", "eavesdrop_state": "listen"}, [binary("u"), binary("listen")]),
    (
        "calling",
        {"target_location": "int", "target_type": "user", "user_id": 5},
        [atom("int"), atom("user"), tup(integer(5))],
    ),
    (
        "calling",
        {
            "target_location": "int",
            "target_type": "group",
            "group_type": "ring",
            "group_id": 7,
            "group_queue_id": "q",
        },
        [
            atom("int"),
            atom("group"),
            tup(atom("ring"), integer(7), UNDEFINED, UNDEFINED, binary("q")),
        ],
    ),
    (
        "calling",
        {
            "target_location": "int",
            "target_type": "group",
            "group_type": "hunt",
            "group_id": 7,
        },
        [
            atom("int"),
            atom("group"),
            tup(atom("hunt"), integer(7), UNDEFINED, UNDEFINED, UNDEFINED),
        ],
    ),
    (
        "calling",
        {"target_location": "ext", "target_type": "pstn", "address": "03"},
        [atom("ext"), atom("pstn"), tup(binary("03"))],
    ),
    (
        "calling",
        {"target_location": "ext", "target_type": "bridged_endpoint", "address": "a@b"},
        [atom("ext"), atom("bridged_endpoint"), tup(binary("a"), binary("b"))],
    ),
]


def pbx_and_frames_of_all_states():
    """Return a PBX whose channel went through the states above, and the frames of its events."""
    pbx, writer, sent = Pbx(), Writer(), []
    pbx.listeners.append(
        lambda kind, _, values, name: sent.append(
            writer.info_event(kind, writer.record(kind, values), name)
        )
    )
    lead = pbx.receive(Person("03"), DID)
    for name, data, _ in STATES:
        pbx.set_state(lead, name, **data)
    return pbx, sent


@pytest.mark.slow
@pytest.mark.erl
def test_erlang_decodes_each_message_to_the_protocols_term():
    """Atoms, binaries and charlists are distinct."""
    for otp in (25, 26):
        for compressed in (False, True):
            writer = Writer(otp=otp, compressed=compressed)
            office, lead, leg = office_with_call()
            values = office.pbx.snapshot()["channel"][lead.uuid]
            record = writer.record("channel", values)
            expected = expected_record(office, lead, leg)
            pairs = [
                (
                    writer.field_spec("terminal"),
                    tup(
                        atom("field_spec"),
                        string("terminal"),
                        ["l", [atom(name) for name in FIELDS["terminal"]]],
                    ),
                ),
                (
                    writer.initial_info("channel", []),
                    tup(atom("initial_info"), string("channel"), NIL),
                ),
                (
                    writer.initial_info("channel", [record]),
                    tup(atom("initial_info"), string("channel"), ["l", [expected]]),
                ),
                (
                    writer.info_event("channel", record, "updated"),
                    tup(atom("info_event"), string("channel"), expected, string("updated")),
                ),
                (writer.system_msg("logout"), tup(atom("system_msg"), atom("logout"))),
                (writer.msg("お知らせ"), tup(atom("msg"), binary("お知らせ"))),
            ]
            verdicts = escript(ESCRIPT, "verdicts", frames=[frame for frame, _ in pairs])
            assert [json.loads(one) for one in verdicts] == [normal for _, normal in pairs]


@pytest.mark.slow
@pytest.mark.erl
def test_erlang_decodes_each_state():
    pbx, sent = pbx_and_frames_of_all_states()
    verdicts = [json.loads(one) for one in escript(ESCRIPT, "verdicts", frames=sent)]
    for one, (name, _, parts) in zip(verdicts, STATES, strict=True):
        state = one[1][2][1][FIELDS["channel"].index("state")]
        assert state == tup(integer(pbx.now), atom(name), *parts)


@pytest.mark.slow
@pytest.mark.erl
@pytest.mark.parametrize("otp", [25, 26])
def test_erlang_encodes_the_same_bytes(otp, tmp_path):
    """Erlang's term_to_binary gives the same bytes for every frame of every scenario."""
    script = tmp_path / "rewrite.escript"
    script.write_text("#!/usr/bin/env escript\n" + REWRITE, encoding="ascii")
    sent = [
        frame
        for number, scenario in enumerate(SCENARIOS)
        for frame in frames(scenario, otp=otp, older=number % 2 == 1)
    ]
    rewritten = escript(script, 1 if otp == 25 else 2, frames=sent)
    for frame, erlang_frame in zip(sent, rewritten, strict=True):
        assert frame.hex().upper() == erlang_frame


@pytest.mark.slow
@pytest.mark.erl
def test_erlang_decodes_compressed_frames():
    """A compressed session has the same terms as an uncompressed one."""
    plain = escript(ESCRIPT, "verdicts", frames=frames("parked", users=30))
    packed = frames("parked", users=30, compressed=True)
    assert any(frame[1:2] == b"P" for frame in packed)
    assert escript(ESCRIPT, "verdicts", frames=packed) == plain
    assert "refused" not in "".join(plain)


# A client that knows the tags of the reference client, and no other


class Atom(str):
    __slots__ = ()


class StrictDecoder:
    """Decoder of one frame, for the tags 97 to 111; a charlist is a str, a binary is bytes."""

    def __init__(self, frame, atoms=(100,)):
        self.frame, self.at, self.atoms, self.tags = frame, 0, atoms, set()
        assert self.take(1) == b"\x83"
        self.term = self.read()
        assert self.at == len(frame)

    def take(self, size):
        taken = self.frame[self.at : self.at + size]
        assert len(taken) == size
        self.at += size
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def read(self):  # noqa: C901 - a case per tag
        tag = self.number(1)
        self.tags.add(tag)
        match tag:
            case 97:
                return self.number(1)
            case 98:
                return int.from_bytes(self.take(4), "big", signed=True)
            case 110:
                size, sign = self.number(1), self.number(1)
                assert sign in {0, 1}
                return int.from_bytes(self.take(size), "little") * (1 - 2 * sign)
            case 100 if tag in self.atoms:
                return Atom(self.take(self.number(2)).decode("latin-1"))
            case 119 if tag in self.atoms:
                return Atom(self.take(self.number(1)).decode())
            case 104:
                return tuple(self.read() for _ in range(self.number(1)))
            case 106:
                return []
            case 107:
                return self.take(self.number(2)).decode("latin-1")
            case 108:
                made = [self.read() for _ in range(self.number(4))]
                assert self.number(1) == 106, "an improper list"
                return made
            case 109:
                return self.take(self.number(4))
        raise AssertionError(f"the tag {tag}")


def follow_strictly(session, atoms=(100,)):
    """Return the elements of a strict client after a session, by kind and key, and the tags."""
    specs, store, tags = {}, {}, set()
    for frame in session:
        decoder = StrictDecoder(frame, atoms)
        tags |= decoder.tags
        match decoder.term:
            case (Atom("field_spec"), str(kind), list(names)):
                assert not isinstance(kind, Atom)
                assert all(type(name) is Atom for name in names)
                specs[kind] = names
            case (Atom("initial_info"), str(kind), records):
                assert not isinstance(kind, Atom)
                if records == (Atom("bert"), Atom("nil")):
                    records = []
                assert type(records) is list
                made = [dict(zip(specs[kind], record, strict=True)) for record in records]
                store[kind] = {one.get("uuid", one.get("id")): one for one in made}
            case (Atom("info_event"), str(kind), tuple(record), str(event_name)):
                assert not {type(kind), type(event_name)} & {Atom}
                element = dict(zip(specs[kind], record, strict=True))
                key = element.get("uuid", element.get("id"))
                if event_name == "removed":
                    del store[kind][key]
                else:
                    assert (event_name == "added") is (key not in store[kind])
                    assert event_name in {"added", "updated"}
                    store[kind][key] = element
            case other:
                raise AssertionError(f"an unknown message {other!r:.200}")
    return store, tags


def assert_same(store, kinds):
    """Assert that the strict client's bytes are the texts and numbers of the library's state."""
    assert store.keys() == kinds.keys()
    for kind, elements in store.items():
        made = {
            key.decode() if isinstance(key, bytes) else key: one for key, one in elements.items()
        }
        assert made.keys() == kinds[kind].keys()
        for key, one in made.items():
            parsed = kinds[kind][key]
            assert list(one) == list(FIELDS[kind])
            for name, value in one.items():
                if value == "undefined":
                    assert type(value) is Atom
                    assert parsed[name] is None
                elif isinstance(value, bytes) and name not in {"end_user", "tags", "origination"}:
                    assert value.decode() == parsed[name]
                elif isinstance(value, int | Atom):
                    assert value == parsed[name]
                else:
                    assert parsed[name]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("older", [False, True])
def test_strict_client_decodes_a_session(scenario, older):
    """A client that knows only the reference's tags decodes every frame of OTP 25."""
    session = frames(scenario, older=older, seed=4)
    for end in (len(session), len(session) - 3):
        store, tags = follow_strictly(session[:end])
        assert tags <= set(range(97, 112)) - {105}
        assert_same(store, FeedMirror(session[:end]).kinds)
    assert {97, 100, 107, 108, 109, 104} <= tags


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_otp_26_writes_utf8_atoms(scenario):
    """All atoms have the tags 118 and 119; the rest of the session is the same."""
    newer, older = frames(scenario, otp=26), frames(scenario, otp=25)
    store, tags = follow_strictly(newer, atoms=(119,))
    assert 100 not in tags
    assert tags & {118, 119} == {119}
    assert store == follow_strictly(older)[0]
    assert len(newer) == len(older)


def test_frames_have_the_forms_of_production_servers():
    """Kinds and event names are charlists, field names are atoms, an empty list is {bert,nil}."""
    writer = Writer()
    spec, empty = writer.field_spec("user"), writer.initial_info("channel", [])
    assert spec.startswith(b"\x83h\x03d\x00\nfield_speck\x00\x04userl\x00\x00\x00\x10d\x00\x02id")
    assert empty == b"\x83h\x03d\x00\x0cinitial_infok\x00\x07channelh\x02d\x00\x04bertd\x00\x03nil"
    assert writer.system_msg("logout") == b"\x83h\x02d\x00\nsystem_msgd\x00\x06logout"
    assert writer.msg("é") == b"\x83h\x02d\x00\x03msgm\x00\x00\x00\x02\xc3\xa9"
    for frame in frames("parked")[-20:]:
        message, kind, record, event_name = bert.decode(frame)
        assert message == "info_event"
        assert event_name in {b"added", b"updated", b"removed"}
        assert len(record) == len(FIELDS[kind.decode()])
        assert frame.endswith(b"k\x00" + bytes([len(event_name)]) + event_name)


def test_parser_reads_system_msg_and_msg():
    for otp in (25, 26):
        for compressed in (False, True):
            writer = Writer(otp=otp, compressed=compressed)
            parser = MessageParser()
            for text in ("logout", "connection_limit_reached", "x" * 200):
                assert parser.parse(writer.system_msg(text)) == SystemMsg(text)
            assert parser.parse(writer.msg("お知らせ" * 99)) == Msg("お知らせ" * 99)
            assert parser.parse(writer.msg("")) == Msg("")


@pytest.mark.parametrize("text", ["", "x" * 255, "日本"])
@pytest.mark.parametrize("otp", [25, 26])
def test_system_msg_with_any_text(text, otp):
    assert MessageParser().parse(Writer(otp=otp).system_msg(text)) == SystemMsg(text)


@pytest.mark.parametrize("otp", [25, 26])
def test_system_msg_too_long_for_an_atom(otp):
    """It raises ValueError, or the parser can read the frame."""
    text = "x" * 300
    try:
        frame = Writer(otp=otp).system_msg(text)
    except ValueError:
        return
    assert MessageParser().parse(frame) == SystemMsg(text)


@pytest.mark.parametrize("otp", [24, 27, "25", None])
def test_unknown_otp_release_is_refused(otp):
    with pytest.raises(ValueError, match="otp must be 25"):
        Writer(otp=otp)


def test_frames_are_compressed_if_that_saves_bytes():
    """A compressed frame declares the size of its own term."""
    office, lead, _ = office_with_call()
    plain, packed = Writer(), Writer(compressed=True)
    pairs = [
        (
            plain.initial_info("user", element_records(plain, office.pbx)["user"]),
            packed.initial_info("user", element_records(packed, office.pbx)["user"]),
        ),
        (plain.field_spec("channel"), packed.field_spec("channel")),
    ]
    for before, after in pairs:
        assert after[:2] == b"\x83P"
        assert len(after) < len(before)
        assert int.from_bytes(after[2:6], "big") == len(before) - 1
        assert zlib.decompress(after[6:]) == before[1:]
    assert packed.msg("x") == plain.msg("x")
    assert packed.system_msg("logout")[:2] == b"\x83h"
    assert lead.uuid in office.client.kinds["channel"]


def test_writer_with_other_fields():
    """Its records have these fields, in their order."""
    office, lead, _ = office_with_call()
    writer, default = Writer(), Writer()
    writer.fields["channel"] = ("state", "uuid", "target")
    assert default.fields["channel"] == FIELDS["channel"]
    mirror = FeedMirror(initial_frames(writer, element_records(writer, office.pbx)))
    assert mirror.specs["channel"] == ("state", "uuid", "target")
    parsed = mirror.kinds["channel"][lead.uuid]
    complete = office.pbx.snapshot()["channel"][lead.uuid]
    assert {name for name, value in parsed.items() if value is not None} == {
        *writer.fields["channel"]
    }
    assert parsed["state"] == complete["state"]
    assert parsed["target"] == complete["target"]


def test_parser_reads_every_state():
    pbx, sent = pbx_and_frames_of_all_states()
    mirror = FeedMirror([Writer().field_spec("channel"), Writer().initial_info("channel", [])])
    for frame, (name, data, _) in zip(sent, STATES, strict=True):
        mirror.apply(frame)
        (values,) = mirror.kinds["channel"].values()
        assert values["state"] == {"ts": pbx.now, "name": name, "data": data}


@pytest.mark.parametrize("number", range(len(CALLERS)))
def test_parser_reads_every_caller(number):
    """Names with stars, ampersands and several matches are read as the CRM has them."""
    office = Office(compressed=number % 2 == 1)
    lead, leg = office.talk(0, CALLERS[number])
    office.pbx.park(lead)
    office.client.assert_in_sync()
    parsed = office.client.kinds["channel_waiting"][lead.uuid]
    assert parsed["whoscall"] == CALLERS[number].whoscall
    count = (
        bool(CALLERS[number].id)
        + len(CALLERS[number].other_matches)
        + CALLERS[number].unlisted_matches
    )
    assert (parsed["end_user"] or {"count": 0})["count"] == count
    assert leg.uuid not in office.client.kinds["channel"]


@pytest.mark.parametrize(
    "text", ["", "*", "%", "%41", "a+b", "|", "_MANY_:3|x", "山*田;", "\0", "é", "\U0001f600"]
)
def test_parser_reads_any_text(text):
    """The text survives in fields, people and origination."""
    office = Office()
    person = Person("03" + text, "7", text, text, text, text, whoscall=text or None)
    many = Person("1", "8", text, other_matches=(person,), unlisted_matches=1)
    for caller in (person, many):
        lead, _ = office.talk(0, caller)
        office.pbx.hang_up(lead)
    office.pbx.edit(office.users[0], label=text, mwi=text, avatar=text, followme=text)
    office.pbx.originate(office.users[1], "x" + text)
    office.client.assert_in_sync()


@pytest.mark.parametrize(
    "value", [0, 255, 256, -1, 2**27, 2**31, -(2**31), 2**53, -(2**63), 1.5, True, False]
)
def test_parser_reads_any_number(value):
    office = Office()
    office.pbx.edit(office.users[0], presence=value, flags=value)
    office.client.assert_in_sync()
    assert office.client.kinds["user"][office.users[0].id]["presence"] == value


def test_parser_reads_a_company_of_500_users():
    pbx = Pbx()
    scenarios.populate(pbx, 500)
    writer = Writer()
    mirror = FeedMirror(initial_frames(writer, element_records(writer, pbx)))
    assert mirror.kinds == pbx.snapshot()
    assert len(mirror.kinds["user"]) == 500
