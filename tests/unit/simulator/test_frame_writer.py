"""The simulated PBX's frames, as Erlang reads them, and as the strictest client would."""

from __future__ import annotations

import json
import shutil
import subprocess
import zlib

import bert
import pytest
from support.feed_follower import Office, Picture, written
from support.paths import ERLANG

from basix_ws_cti import Msg, SystemMsg
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.model import FIELDS, Person
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS, SCENARIOS
from basix_ws_cti.simulator.session_frames import frames, initial_frames

ESCRIPT = ERLANG / "terms.escript"
needs_erlang = pytest.mark.skipif(shutil.which("escript") is None, reason="no escript here")

# What Erlang itself writes for the terms that it reads: lines of hex, with minor_version.
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
    """The lines that an escript prints for frames."""
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


def talking(**form):
    """A caller whom the CRM knows, tagged and parked once, talks to a user: a PBX, and legs."""
    office = Office(**form)
    line = office.pbx.receive(CALLERS[0], DID)
    line.tags = ("monitoring_required", "auto_answer")
    office.pbx.set_state(line, "ivr", ivr_id="main_menu")
    leg = office.pbx.call_user(line, office.users[0])
    office.pbx.now += 5_000_000
    office.pbx.connect(leg)
    return office, line, leg


def intended(office, line, leg):
    """The record of that caller's channel, written out by hand."""
    user = office.users[0]
    offered, answered = 1735689600000000, 1735689605000000
    yamada = (
        "12345*%E5%B1%B1%E7%94%B0+%E5%A4%AA%E9%83%8E*%E6%A0%AA%E5%BC%8F%E4%BC%9A%E7%A4%BE"
        "%E5%B1%B1%E7%94%B0%E5%95%86%E5%BA%97**%E6%9D%B1%E4%BA%AC%E9%83%BD"
    )
    return tup(
        binary(line.uuid),
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
        binary(f"{line.uuid}@192.0.2.1"),
    )


# Each state as it stands on the wire, after its timestamp
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


def in_states():
    """A PBX in which a channel went through the states above, and the frames that told of it."""
    pbx, writer, told = Pbx(), Writer(), []
    pbx.listeners.append(
        lambda kind, _, picture, name: told.append(
            writer.info_event(kind, writer.record(kind, picture), name)
        )
    )
    line = pbx.receive(Person("03"), DID)
    for name, data, _ in STATES:
        pbx.set_state(line, name, **data)
    return pbx, told


@pytest.mark.erl
@needs_erlang
def test_erlang_reads_the_terms_that_are_meant():
    """Each sort of message is, to Erlang, the term of the protocol, down to atoms and strings."""
    for otp in (25, 26):
        for compressed in (False, True):
            writer = Writer(otp=otp, compressed=compressed)
            office, line, leg = talking()
            told = office.pbx.snapshot()["channel"][line.uuid]
            record = writer.record("channel", told)
            meant = intended(office, line, leg)
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
                    tup(atom("initial_info"), string("channel"), ["l", [meant]]),
                ),
                (
                    writer.info_event("channel", record, "updated"),
                    tup(atom("info_event"), string("channel"), meant, string("updated")),
                ),
                (writer.system_msg("logout"), tup(atom("system_msg"), atom("logout"))),
                (writer.msg("お知らせ"), tup(atom("msg"), binary("お知らせ"))),
            ]
            said = escript(ESCRIPT, "verdicts", frames=[frame for frame, _ in pairs])
            assert [json.loads(one) for one in said] == [normal for _, normal in pairs]


@pytest.mark.erl
@needs_erlang
def test_erlang_reads_each_state():
    """Each state is, to Erlang, the tuple of the protocol."""
    pbx, told = in_states()
    said = [json.loads(one) for one in escript(ESCRIPT, "verdicts", frames=told)]
    for one, (name, _, parts) in zip(said, STATES, strict=True):
        state = one[1][2][1][FIELDS["channel"].index("state")]
        assert state == tup(integer(pbx.now), atom(name), *parts)


@pytest.mark.erl
@needs_erlang
@pytest.mark.parametrize("otp", [25, 26])
def test_erlang_would_write_the_same_bytes(otp, tmp_path):
    """For every frame of every story, Erlang's own term_to_binary gives the same bytes."""
    script = tmp_path / "rewrite.escript"
    script.write_text("#!/usr/bin/env escript\n" + REWRITE, encoding="ascii")
    sent = [
        frame
        for number, story in enumerate(SCENARIOS)
        for frame in frames(story, otp=otp, older=number % 2 == 1)
    ]
    again = escript(script, 1 if otp == 25 else 2, frames=sent)
    for mine, erlangs in zip(sent, again, strict=True):
        assert mine.hex().upper() == erlangs


@pytest.mark.erl
@needs_erlang
def test_erlang_reads_what_is_compressed():
    """A compressed session holds, to Erlang, the same terms as one that is not."""
    plain = escript(ESCRIPT, "verdicts", frames=frames("parked", users=30))
    packed = frames("parked", users=30, compressed=True)
    assert any(frame[1:2] == b"P" for frame in packed)
    assert escript(ESCRIPT, "verdicts", frames=packed) == plain
    assert "refused" not in "".join(plain)


# A client that knows what the reference knows, and not a tag more


class Atom(str):
    __slots__ = ()


class Strict:
    """Reads one frame, of the tags 97 to 111 alone; a charlist is a str, a binary is bytes."""

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
    """What the reference's client holds after a session, by kind and key, and the tags it saw."""
    specs, store, tags = {}, {}, set()
    for frame in session:
        strict = Strict(frame, atoms)
        tags |= strict.tags
        match strict.term:
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


def agree(store, picture):
    """The strict client's bytes are the texts and numbers of the library's picture."""
    assert store.keys() == picture.keys()
    for kind, elements in store.items():
        made = {
            key.decode() if isinstance(key, bytes) else key: one for key, one in elements.items()
        }
        assert made.keys() == picture[kind].keys()
        for key, one in made.items():
            told = picture[kind][key]
            assert list(one) == list(FIELDS[kind])
            for name, value in one.items():
                if value == "undefined":
                    assert type(value) is Atom
                    assert told[name] is None
                elif isinstance(value, bytes) and name not in {"end_user", "tags", "origination"}:
                    assert value.decode() == told[name]
                elif isinstance(value, int | Atom):
                    assert value == told[name]
                else:
                    assert told[name]


@pytest.mark.parametrize("story", SCENARIOS)
@pytest.mark.parametrize("older", [False, True])
def test_a_strict_reader_follows_a_session(story, older):
    """Who reads only what the reference reads follows a session of OTP 25 to its end."""
    session = frames(story, older=older, seed=4)
    for end in (len(session), len(session) - 3):
        store, tags = follow_strictly(session[:end])
        assert tags <= set(range(97, 112)) - {105}
        agree(store, Picture(session[:end]).kinds)
    assert {97, 100, 107, 108, 109, 104} <= tags


@pytest.mark.parametrize("story", SCENARIOS)
def test_atoms_of_otp_26(story):
    """All atoms of OTP 26 have the tags 118 and 119; otherwise the session is the same."""
    newer, older = frames(story, otp=26), frames(story, otp=25)
    store, tags = follow_strictly(newer, atoms=(119,))
    assert 100 not in tags
    assert tags & {118, 119} == {119}
    assert store == follow_strictly(older)[0]
    assert len(newer) == len(older)


def test_the_wire_is_the_production_servers():
    """Kinds and event names are charlists, field names atoms, an empty list {bert,nil}."""
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


def test_the_parser_reads_system_msg_and_msg():
    """Words from the PBX and to the user arrive as they were, in each form."""
    for otp in (25, 26):
        for compressed in (False, True):
            writer = Writer(otp=otp, compressed=compressed)
            picture = Picture()._parser
            for text in ("logout", "connection_limit_reached", "x" * 200):
                assert picture.parse(writer.system_msg(text)) == SystemMsg(text)
            assert picture.parse(writer.msg("お知らせ" * 99)) == Msg("お知らせ" * 99)
            assert picture.parse(writer.msg("")) == Msg("")


@pytest.mark.parametrize("text", ["", "x" * 255, "日本"])
@pytest.mark.parametrize("otp", [25, 26])
def test_any_system_msg_can_be_written(text, otp):
    """Whatever text a test lets the PBX say, the parser reads it."""
    assert Picture()._parser.parse(Writer(otp=otp).system_msg(text)) == SystemMsg(text)


@pytest.mark.parametrize("otp", [25, 26])
def test_a_system_msg_too_long_for_an_atom(otp):
    """A text that no atom can hold is a ValueError, or sent as something the parser reads."""
    text = "x" * 300
    try:
        frame = Writer(otp=otp).system_msg(text)
    except ValueError:
        return
    assert Picture()._parser.parse(frame) == SystemMsg(text)


@pytest.mark.parametrize("otp", [24, 27, "25", None])
def test_there_are_two_releases(otp):
    """OTP is 25 or 26: the two whose atoms differ."""
    with pytest.raises(ValueError, match="otp must be 25"):
        Writer(otp=otp)


def test_compressed_if_that_is_shorter():
    """A frame is compressed where that saves bytes; it declares the size of its own term."""
    office, line, _ = talking()
    plain, packed = Writer(), Writer(compressed=True)
    pairs = [
        (
            plain.initial_info("user", written(plain, office.pbx)["user"]),
            packed.initial_info("user", written(packed, office.pbx)["user"]),
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
    assert line.uuid in office.client.kinds["channel"]


def test_fields_may_be_sent_in_another_order():
    """A writer whose fields are others sends records of these; the parser follows."""
    office, line, _ = talking()
    writer, first = Writer(), Writer()
    writer.fields["channel"] = ("state", "uuid", "target")
    assert first.fields["channel"] == FIELDS["channel"]
    picture = Picture(initial_frames(writer, written(writer, office.pbx)))
    assert picture.specs["channel"] == ("state", "uuid", "target")
    told = picture.kinds["channel"][line.uuid]
    whole = office.pbx.snapshot()["channel"][line.uuid]
    assert {name for name, value in told.items() if value is not None} == {
        *writer.fields["channel"]
    }
    assert told["state"] == whole["state"]
    assert told["target"] == whole["target"]


def test_every_state_comes_back():
    """The parser reads each state's parts as they were put in."""
    pbx, told = in_states()
    picture = Picture([Writer().field_spec("channel"), Writer().initial_info("channel", [])])
    for frame, (name, data, _) in zip(told, STATES, strict=True):
        picture.read(frame)
        (values,) = picture.kinds["channel"].values()
        assert values["state"] == {"ts": pbx.now, "name": name, "data": data}


@pytest.mark.parametrize("number", range(len(CALLERS)))
def test_every_caller_comes_back(number):
    """Whoever calls, with stars, ampersands and namesakes, is read as the CRM knows them."""
    office = Office(compressed=number % 2 == 1)
    line, leg = office.talk(0, CALLERS[number])
    office.pbx.park(line)
    office.client.check()
    told = office.client.kinds["channel_waiting"][line.uuid]
    assert told["whoscall"] == CALLERS[number].whoscall
    count = (
        bool(CALLERS[number].id)
        + len(CALLERS[number].other_matches)
        + CALLERS[number].unlisted_matches
    )
    assert (told["end_user"] or {"count": 0})["count"] == count
    assert leg.uuid not in office.client.kinds["channel"]


@pytest.mark.parametrize(
    "text", ["", "*", "%", "%41", "a+b", "|", "_MANY_:3|x", "山*田;", "\0", "é", "\U0001f600"]
)
def test_any_text_comes_back(text):
    """Texts are what they were, whatever they hold, in fields, in people and in origination."""
    office = Office()
    person = Person("03" + text, "7", text, text, text, text, whoscall=text or None)
    many = Person("1", "8", text, other_matches=(person,), unlisted_matches=1)
    for who in (person, many):
        line, _ = office.talk(0, who)
        office.pbx.hang_up(line)
    office.pbx.edit(office.users[0], label=text, mwi=text, avatar=text, followme=text)
    office.pbx.originate(office.users[1], "x" + text)
    office.client.check()


@pytest.mark.parametrize(
    "value", [0, 255, 256, -1, 2**27, 2**31, -(2**31), 2**53, -(2**63), 1.5, True, False]
)
def test_any_number_comes_back(value):
    """Numbers are what they were, whatever their size."""
    office = Office()
    office.pbx.edit(office.users[0], presence=value, flags=value)
    office.client.check()
    assert office.client.kinds["user"][office.users[0].id]["presence"] == value


def test_a_company_of_five_hundred():
    """A large company's opening is read whole."""
    pbx = Pbx()
    scenarios.populate(pbx, 500)
    writer = Writer()
    picture = Picture(initial_frames(writer, written(writer, pbx)))
    assert picture.kinds == pbx.snapshot()
    assert len(picture.kinds["user"]) == 500
