"""Anonymiser: no personal data is left, and the calls stay the same."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from urllib.parse import quote, quote_plus

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.etf_encoder import (
    BERT_NIL,
    Atom,
    Charlist,
    any_term,
    encode,
    field_spec,
    frame,
    info_event,
    initial_info,
)
from support.paths import DATA
from support.simulated_day import frames as day
from support.simulated_day import searchable_parts, texts_of, unescaped_forms
from support.sizes import NIGHTLY

from basix_ws_cti import CallEnded, CallTracker, MessageParser, Mirror
from basix_ws_cti.recording import Anonymiser, anonymise
from basix_ws_cti.recording.pseudonyms import Pseudonyms
from basix_ws_cti.terms import Regex, as_text, decode

UUID = "5714495a-b8a1-4fff-8420-78648863ecd1"
KEY = b"for these tests"


def shape(term):
    """Return the structure of a term: its containers and types without values."""
    if isinstance(term, dict):
        return [(shape(key), shape(value)) for key, value in term.items()]
    if isinstance(term, tuple):
        return tuple(map(shape, term))
    if isinstance(term, list):
        if term and all(type(one) is int and 0 <= one < 0x110000 for one in term):
            return ["a charlist"]
        if term and as_text(term) is not None:
            return ["a text"]  # characters and texts, which become one text
        return [shape(one) for one in term]
    if isinstance(term, Regex):
        return shape(term.source), shape(term.options)
    return term if term is None or isinstance(term, bool) else type(term)


def anonymised(written):
    """Anonymise a frame, check that its shape is the same, and return the decoded term."""
    replaced = Anonymiser(KEY)(written)
    after = decode(replaced)
    assert shape(after) == shape(decode(written))
    return after


# -- shapes ---------------------------------------------------------------------------


@pytest.mark.slow
@given(any_term() | st.lists(any_term(), max_size=4).map(tuple))
def test_any_term_keeps_its_shape(term):
    """The replaced frame is valid, whatever the frame holds."""
    anonymised(frame(term))
    anonymised(frame((Atom("info_event"), Charlist("channel"), term, Charlist("updated"))))


@pytest.mark.slow
@given(st.lists(any_term(), max_size=24).map(tuple), st.sampled_from(["channel", "user", "new"]))
def test_any_record_keeps_its_shape(record, kind):
    """The number and shapes of fields stay, whatever their values."""
    names = ["uuid", "state", "target", "end_user", "other_info", "tags", "called_number", "id"]
    names += ["calling_name", "origination", "last_event_data", "mwi", "label", "surprise"]
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec(kind, *names))
    for written in (info_event(kind, record), initial_info(kind, record, record)):
        assert shape(decode(anonymiser(written))) == shape(decode(written))


def sessions():
    with (DATA / "conformance.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield from json.loads(line)["wire"].values()


def test_sessions_written_by_erlang_keep_their_shape():
    """Their messages keep type, kind, fields and event name.

    The sessions contain all encodings of kinds, names and atoms, and compressed frames.
    """
    count = 0
    for session in sessions():
        anonymiser, before, after = Anonymiser(KEY), MessageParser(), MessageParser()
        for raw in map(bytes.fromhex, session):
            replaced = anonymiser(raw)
            assert shape(decode(replaced)) == shape(decode(raw))
            one, other = before.parse(raw), after.parse(replaced)
            assert type(one) is type(other)
            for name in ("element_name", "event_name", "fields"):
                assert getattr(one, name, None) == getattr(other, name, None)
            count += 1
    assert count > 1000


@pytest.mark.slow
def test_frames_of_a_busy_pbx_keep_shape_and_approximate_size():
    data = gzip.decompress((DATA / "bench.frames.gz").read_bytes())
    anonymiser, at, sizes = Anonymiser(KEY), 0, [0, 0]
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4])
        raw, at = data[at + 4 : end], end
        replaced = anonymiser(raw)
        assert shape(decode(replaced)) == shape(decode(raw))
        sizes = [sizes[0] + len(raw), sizes[1] + len(replaced)]
    assert sizes[1] < 1.5 * sizes[0]


def test_compressed_frame_is_anonymised():
    """It is anonymised like the term that it inflates to."""
    term = encode((Atom("msg"), "Yamada Taro"))
    packed = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
    assert Anonymiser(KEY)(packed) == Anonymiser(KEY)(b"\x83" + term)


@pytest.mark.parametrize("tag", [100, 115, 118, 119])
def test_atoms_stay_atoms(tag):
    """A name as an atom of any encoding, with up to 255 characters, stays an atom."""
    for name in ("taro", "t" * 255, "a b " * 63, "é" * 120):
        raw = name.encode("utf-8" if tag >= 118 else "latin-1")
        if tag in {115, 119} and len(raw) > 255:
            continue
        size = len(raw).to_bytes(2 if tag in {100, 118} else 1, "big")
        replaced = Anonymiser(KEY)(b"\x83h\x02w\x03msg" + bytes([tag]) + size + raw)
        text = decode(replaced)[1]
        assert text
        assert not set(text.split()) & set(name.split())
        assert replaced[8] in {100, 118}


def test_charlists_stay_charlists():
    """This applies to short, maximal and non-Latin charlists."""
    for text in ("taro", "a " * 32767, "山田"):
        after = anonymised(frame((Atom("msg"), Charlist(text))))[1]
        assert isinstance(after, list if text == "山田" else str)


def test_undecodable_frames_and_text_frames_are_left_out():
    anonymiser = Anonymiser(KEY)
    valid = info_event("user", (1, "Yamada"))
    assert anonymiser(valid[:-1]) is None
    assert anonymiser(valid + b"x") is None
    assert anonymiser("Yamada") is None
    assert list(anonymise([b"", valid, "Yamada"], KEY)) == [anonymiser(valid)]


# -- replacement of personal data -----------------------------------------------------

SECRETS = ("山田太郎", "yamada", "0312341234", "192.0.2.55", "2001:db8::77", "acme", "1234567")

PLACES = [
    "yamada",
    "Yamada Taro, 山田太郎",
    "yamada@acme.example",
    "sip:yamada@acme.example:5061;user=0312341234",
    "<sip:0312341234@192.0.2.55>",
    "sip:yamada@[2001:db8::77]:5060",
    "https://acme.example/avatars/yamada.png?of=山田太郎",
    "a84b4c76e66710@192.0.2.55",
    "12*" + quote_plus("山田太郎") + "*" + quote_plus("acme & yamada") + "**",
    "_MANY_:3|1*" + quote("山田太郎") + "|2*yamada",
    quote(json.dumps({"name": "山田太郎", "number": "0312341234", "yamada": ["acme"]})),
    quote(quote("山田太郎 yamada")),
    quote(quote(quote(quote(quote(quote(quote("山田太郎 yamada"))))))),
    '{"name":"yamada","spam":false,"tel":"0312341234"}',
    "pickup_uuid.yamada",
    "RINGING_PARK yamada",
    "RINGING_PARK.yamada",
    "LOCAL_PARK.yamada",
    "assimilate.yamada",
    "%E5%B1%B1 yamada %ZZ",
    "call_user*yamada*0312341234",
    "auto_answer;yamada",
    "YAMADA",
    "recv_bye,yamada",
    "user_yamada_0312341234",
    "03-1234-1234 / +81 3 1234 1234",
    "\x00yamada\x01山田太郎",
]
SLOW_PLACES = [text for index, text in enumerate(PLACES) if index % 6]


def remaining_secrets(raw, after):
    """Return the secrets that a frame and its decoded term still contain, in any form."""
    texts = " ".join(one for text in texts_of(after) for one in unescaped_forms(text)).lower()
    numbers = re.sub(r"[\s().\-/+]", "", texts)
    found = [secret for secret in SECRETS if secret in texts or secret in numbers]
    found += [secret for secret in SECRETS if secret.encode() in raw.lower()]
    return found + [one for one in ("山田太郎",) if quote(one).encode() in raw]


def frames_with(text):
    """Yield frames with a text in each possible place, as each type of term."""
    names = ("uuid", "calling_name", "called_number", "state", "target", "end_user", "other_info")
    names += ("origination", "tags", "last_event", "last_event_data", "call_id", "surprise", "id")
    names += ("direction", "user_id", "answer_timestamp", "mwi", "label", "email")
    terms = [text, Charlist(text), [ord(char) for char in text], (text,), [text, 7], {text: text}]
    terms += [Atom(text[:60]), (1, Atom("calling"), text, text, (text, text)), (1, text, text)]
    terms += [(1, Atom("voicemail"), text, text, text), (1, Atom("new_state"), {7: [text]})]
    terms += [(Atom("user"), text, text, text), (Atom("group"), 7, Atom("internal"), text, text)]
    terms += [(Atom("bert"), Atom("string"), Atom("utf8"), text)]
    terms += [(Atom("bert"), Atom("dict"), [(text, text)])]
    terms += [(Atom("bert"), Atom("regex"), text, [text])]
    for kind in ("channel", "user", "domain", "unknown_kind"):
        yield field_spec(kind, *names)
        for term in terms:
            yield info_event(kind, (term,) * (len(names) + 1))
            yield initial_info(kind, (term,), term)
    for term in terms:
        yield frame((Atom("msg"), term))
        yield frame((Atom("system_msg"), term))
        yield frame((Atom("unknown_kind"), term, [term]))
        yield frame(term)


@pytest.mark.parametrize(
    "text", [*PLACES[::6], *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW_PLACES)]
)
def test_personal_data_is_replaced_in_every_place(text):
    """This applies to known and unknown fields, messages and containers, and to any escape."""
    anonymiser = Anonymiser(KEY)
    for written in frames_with(text):
        try:
            decode(written)
        except ValueError:
            raise
        except Exception:  # noqa: BLE001 - some of these make no valid frame
            assert anonymiser(written) is None
            continue
        replaced = anonymiser(written)
        assert remaining_secrets(replaced, decode(replaced)) == [], written


def test_numbers_of_unknown_meaning_are_replaced():
    """Integers, floats and IP addresses are replaced; ids in known fields and times stay."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("user", "id", "role", "phone", "name"))
    ip, long_ip = (192, 0, 2, 55), (8193, 3512, 0, 0, 0, 0, 0, 119)
    record = (10001001, 1234567, 312341234, [1234567, 2**40, 2.5, ip, long_ip])
    _, _, after, _ = decode(anonymiser(info_event("user", record)))
    assert after[:2] == (10001001, 1234567)
    assert after[2] != 312341234
    assert len(str(after[2])) == 9
    number, big, fraction, address, long_address = after[3]
    assert (number, big, fraction) != record[3][:3]
    assert len(str(number)) == 7
    assert address[0] == 10
    assert all(0 <= part < 256 for part in address)
    assert address != ip
    assert long_address[0] == 0xFD00
    _, after = decode(anonymiser(frame((Atom("new"), (7, 99, 1546839040024071, -312341234)))))
    assert after[:3] == (7, 99, 1546839040024071)
    assert after[3] < -(10**8)


def test_field_names_that_are_no_list_are_replaced():
    """A field_spec whose names are no list is anonymised like any unknown message."""
    written = frame((Atom("field_spec"), Charlist("user"), "yamada"))
    _, _, names_after = decode(Anonymiser(KEY)(written))
    assert names_after != "yamada"


@pytest.mark.parametrize("encoding", ["utf8", "latin1"])
def test_bert_strings_keep_their_encoding(encoding):
    """The text of a ``{bert, string, …}`` is replaced in the encoding that it declares."""
    text = "yamada".encode(encoding).decode("latin-1")
    written = frame((Atom("msg"), (Atom("bert"), Atom("string"), Atom(encoding), text)))
    after = decode(Anonymiser(KEY)(written))[1]
    assert after == Pseudonyms(KEY).text("yamada")


# -- values that are kept -------------------------------------------------------------


def test_ids_times_statuses_and_protocol_words_stay():
    record = {
        "uuid": UUID,
        "direction": Atom("inbound"),
        "peer_location": Atom("external"),
        "called_number": f"pickup_uuid.{UUID}",
        "offer_timestamp": 1546839040024071,
        "state": (1546839040024071, Atom("park"), 901, None, 10001001, "user1"),
        "user_id": 10001001,
        "tags": "monitoring_required;auto_answer",
        "last_event": "CHANNEL_HANGUP",
        "last_event_data": "recv_bye,NORMAL_CLEARING",
        "origination": None,
        "end_user": BERT_NIL,
    }
    anonymiser = Anonymiser(KEY)
    spec = field_spec("channel", *record)
    assert anonymiser(spec) == spec
    event = info_event("channel", tuple(record.values()))
    before, after = decode(event)[2], decode(anonymiser(event))[2]
    assert after[:5] + after[6:] == before[:5] + before[6:]
    assert after[5][:5] == before[5][:5]
    for word in ("logout", "connection_replaced", "connection_limit_reached"):
        assert anonymiser(frame((Atom("system_msg"), Atom(word)))) == frame(
            (Atom("system_msg"), Atom(word))
        )


@pytest.mark.parametrize(
    "marker",
    [
        *("media_plug", "anonymous", "901", "*97", "RINGING_PARK901", "RINGING_PARK", "LOCAL_PARK"),
        *(f"{name}.{UUID}" for name in ("RINGING_PARK", "LOCAL_PARK", "assimilate")),
    ],
)
def test_markers_instead_of_a_called_number_stay(marker):
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "called_number"))
    event = info_event("channel", (marker,))
    assert anonymiser(event) == event


def test_marker_of_a_withheld_number_stays_in_origination():
    """As in ``calling_number``: the same caller has one name."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "origination"))
    for number, is_kept in (("anonymous", True), ("0312341234", False)):
        event = info_event("channel", ([b"call_user", b"user", number.encode()],))
        assert (number.encode() in anonymiser(event)) is is_kept


def test_channel_id_that_is_no_uuid_has_one_pseudonym():
    """Its pseudonym is the same wherever the channel is referred to."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "uuid", "other_uuid", "called_number", "state"))
    state = (1, Atom("eavesdrop"), "yamada-1", Atom("on"))
    for prefix in ("pickup_uuid.", "assimilate.", "RINGING_PARK.", "LOCAL_PARK."):
        record = ("yamada-1", "yamada-1", f"{prefix}yamada-1", state)
        _, _, after, _ = decode(anonymiser(info_event("channel", record)))
        uuid, other, called, (_, _, monitored, _) = after
        assert called == prefix + uuid
        assert uuid == other == monitored
        assert "yamada" not in uuid


def test_text_in_pieces_has_the_pseudonym_of_the_text():
    """In a declared field, a list of characters and texts is one text, with one pseudonym."""
    anonymiser = Anonymiser(KEY)
    names = ("uuid", "calling_number", "calling_name", "end_user", "other_info", "state")
    anonymiser(field_spec("channel", *names))

    def texts(form):
        info = (Atom("user"), 7, None, None, form("0312341234"))
        state = (1, Atom("park"), 901, None, 7, form("yamada 山田"))
        values = ["yamada-1", "0312341234", "yamada 山田", "7*yamada+taro"]
        event = info_event("channel", (*map(form, values), info, state))
        after = decode(anonymiser(event))[2]
        return [as_text(one) for one in (*after[:4], after[4][4], after[5][5])]

    whole = texts(str)
    assert whole == texts(lambda text: [text[:3], ord(text[3]), [Charlist(""), text[4:]]])
    assert "yamada" not in "".join(whole)


def test_binary_tail_of_a_list_is_replaced():
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("user", "label", "news"))
    pieces = b"l\0\0\0\1m\0\0\0\3yamm\0\0\0\3ada"
    event = b"\x83h\4" + b"".join(
        [encode(Atom("info_event")), encode(Charlist("user")), b"h\2" + pieces * 2]
    )
    event += encode(Charlist("updated"))
    label, news = decode(anonymiser(event))[2]
    assert as_text(label) == Pseudonyms(KEY).text("yamada")
    assert news == [Pseudonyms(KEY).text("yam"), Pseudonyms(KEY).text("ada")]


def test_list_of_tags_keeps_protocol_words():
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "tags"))
    after = decode(anonymiser(info_event("channel", (["auto_answer", "yamada"],))))[2][0]
    assert after == ["auto_answer", Pseudonyms(KEY).text("yamada")]
    after = decode(anonymiser(info_event("channel", (["auto_answer", ";yamada"],))))[2][0]
    assert after == ["auto_answer;" + Pseudonyms(KEY).text("yamada")]


def test_field_names_belong_to_their_connection():
    """Fields of an earlier connection are unknown on the next one."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("user", "id"))
    event = info_event("user", (1234567,))
    assert anonymiser(event) == event
    anonymiser(field_spec("user", "label"))
    assert anonymiser(event) != event
    anonymiser(field_spec("user", "id"))
    anonymiser.start_connection()
    assert anonymiser(event) != event


def test_key_determines_the_pseudonyms():
    """Equal keys give equal pseudonyms; the default is a random key."""
    message = frame((Atom("msg"), "Yamada 0312341234"))
    same = {Anonymiser(KEY)(message) for _ in range(3)}
    assert len(same) == 1
    others = {Anonymiser(key)(message) for key in (b"another", None, None)}
    assert len(others | same) == 4


# -- a day ----------------------------------------------------------------------------


def calls_of(written):
    """Return the ended calls that follow from frames, and the final mirror."""
    parser, mirror, tracker, ended = MessageParser(), Mirror(), CallTracker(), []
    for one in written:
        for event in tracker.apply(mirror.apply(parser.parse(one))):
            if isinstance(event, CallEnded):
                ended.append(event.call)
    assert not tracker.calls
    return ended, mirror


class Renaming:
    """One-to-one mapping of texts that makes two objects equal."""

    def __init__(self):
        self.forward, self.backward = {}, {}

    def check(self, one, other, name=""):
        assert type(one) is type(other), name
        if attrs.has(type(one)):
            for attribute in attrs.fields(type(one)):
                self.check(
                    getattr(one, attribute.name), getattr(other, attribute.name), attribute.name
                )
        elif isinstance(one, tuple):
            assert len(one) == len(other), name
            for pair in zip(one, other, strict=True):
                self.check(*pair, name)
        elif isinstance(one, str) and name in {
            *("number", "name", "whoscall", "called_number", "place", "origination"),
            *("id", "organization", "avatar", "prefecture"),
        }:
            assert self.forward.setdefault(one, other) == other
            assert self.backward.setdefault(other, one) == one
        else:
            assert one == other, name


@pytest.mark.slow
def test_anonymised_day_has_the_same_calls_without_personal_data(capsys):
    """No name and no number is left in any form.

    Calls have the same legs, phases, times and ends; parties differ in names and numbers only.
    """
    hours = 24 if NIGHTLY else 0.75
    personal_texts = set()
    written = [one for _, one in day(hours * 3600, personal_texts=personal_texts)]
    replaced = list(anonymise(written, KEY))
    assert len(replaced) == len(written)
    secrets = searchable_parts(personal_texts)
    assert {"佐藤", "健", "0312341234", "user1", "Silva", "1001", "株式会社山田商店"} <= secrets
    texts = set()
    for one in replaced:
        texts |= {text for found in texts_of(decode(one)) for text in unescaped_forms(found)}
    text = "\n".join(texts)
    words = {*re.findall(r"\d+|[^\W\d]+|\w+", text), *re.findall(r"\w+", text)}
    # An ASCII word is searched as a word: the protocol's "voicemail" contains "voice".
    ascii_words = {one for one in secrets if re.fullmatch(r"\w+", one, re.ASCII)}
    assert not ascii_words & words
    assert [one for one in secrets - ascii_words if one in text] == []
    raw = b"".join(replaced)
    for secret in secrets - ascii_words:
        forms = {secret, quote(secret), quote_plus(secret)}
        # A few bytes can occur by chance, for example within a number.
        searched = [form.encode() for form in forms if len(form.encode()) > 5]
        assert not any(form in raw for form in searched), secret

    before, mirror = calls_of(written)
    after, others = calls_of(replaced)
    assert len(before) == len(after) > 300 * hours
    renaming = Renaming()
    for pair in zip(before, after, strict=True):
        renaming.check(*pair)
    assert [*mirror] == [*others]
    for kind in mirror:
        assert [*mirror[kind]] == [*others[kind]]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{hours:g} h: {len(replaced)} frames, {len(after)} calls, "
            f"{len(secrets)} names and numbers, none left"
        )
