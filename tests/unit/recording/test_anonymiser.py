"""Anonymising: nothing is left of anybody, and the same calls come of it."""

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
from basix_ws_cti.terms import Regex, decode

UUID = "5714495a-b8a1-4fff-8420-78648863ecd1"
KEY = b"for these tests"


def shape(term):
    """A term without what it says."""
    if isinstance(term, dict):
        return [(shape(key), shape(value)) for key, value in term.items()]
    if isinstance(term, tuple):
        return tuple(map(shape, term))
    if isinstance(term, list):
        if term and all(type(one) is int and 0 <= one < 0x110000 for one in term):
            return ["a charlist"]
        return [shape(one) for one in term]
    if isinstance(term, Regex):
        return shape(term.source), shape(term.options)
    return term if term is None or isinstance(term, bool) else type(term)


def kept(written):
    """A frame, anonymised, has the same shape; what it holds now."""
    replaced = Anonymiser(KEY)(written)
    after = decode(replaced)
    assert shape(after) == shape(decode(written))
    return after


# -- shapes ---------------------------------------------------------------------------


@pytest.mark.slow
@given(any_term() | st.lists(any_term(), max_size=4).map(tuple))
def test_any_term_keeps_its_shape(term):
    """Whatever a frame holds, what is written is as valid, and of the same shape."""
    kept(frame(term))
    kept(frame((Atom("info_event"), Charlist("channel"), term, Charlist("updated"))))


@pytest.mark.slow
@given(st.lists(any_term(), max_size=24).map(tuple), st.sampled_from(["channel", "user", "new"]))
def test_any_record_keeps_its_shape(record, kind):
    """Whatever stands in a record's fields, they stay as many, and of the same shapes."""
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


def test_what_erlang_writes_keeps_its_shape():
    """Sessions that Erlang wrote, in all forms of kinds, names, atoms and compression, keep
    their shapes, and the messages in them their kinds, keys' counts and event names.
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
def test_real_shaped_frames_keep_their_shape():
    """The frames of a busy PBX keep their shapes, and hardly change their size."""
    data = gzip.decompress((DATA / "bench.frames.gz").read_bytes())
    anonymiser, at, sizes = Anonymiser(KEY), 0, [0, 0]
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4])
        raw, at = data[at + 4 : end], end
        replaced = anonymiser(raw)
        assert shape(decode(replaced)) == shape(decode(raw))
        sizes = [sizes[0] + len(raw), sizes[1] + len(replaced)]
    assert sizes[1] < 1.5 * sizes[0]


def test_a_compressed_frame_is_read():
    """A compressed frame is anonymised like the term that it inflates to."""
    term = encode((Atom("msg"), "Yamada Taro"))
    packed = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
    assert Anonymiser(KEY)(packed) == Anonymiser(KEY)(b"\x83" + term)


@pytest.mark.parametrize("tag", [100, 115, 118, 119])
def test_atoms_stay_atoms(tag):
    """A name that comes as an atom, of any encoding and up to 255 characters, stays one."""
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
    """A text as a charlist stays one: short, as long as there can be, or of wide characters."""
    for text in ("taro", "a " * 32767, "山田"):
        after = kept(frame((Atom("msg"), Charlist(text))))[1]
        assert isinstance(after, list if text == "山田" else str)


def test_frames_that_cannot_be_read():
    """A frame that is no term, or a text frame, gives nothing at all."""
    anonymiser = Anonymiser(KEY)
    whole = info_event("user", (1, "Yamada"))
    assert anonymiser(whole[:-1]) is None
    assert anonymiser(whole + b"x") is None
    assert anonymiser("Yamada") is None
    assert list(anonymise([b"", whole, "Yamada"], KEY)) == [anonymiser(whole)]


# -- nothing is left ------------------------------------------------------------------

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
    "%E5%B1%B1 yamada %ZZ",
    "call_user*yamada*0312341234",
    "auto_answer;yamada",
    "YAMADA",
    "recv_bye,yamada",
    "user_yamada_0312341234",
    "03-1234-1234 / +81 3 1234 1234",
    "\x00yamada\x01山田太郎",
]


def left(raw, after):
    """The secrets that are still there, in whatever form."""
    texts = " ".join(one for text in texts_of(after) for one in unescaped_forms(text)).lower()
    numbers = re.sub(r"[\s().\-/+]", "", texts)
    found = [secret for secret in SECRETS if secret in texts or secret in numbers]
    found += [secret for secret in SECRETS if secret.encode() in raw.lower()]
    return found + [one for one in ("山田太郎",) if quote(one).encode() in raw]


def everywhere(text):
    """Frames with a text in each place where one could stand, as each sort of term."""
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
    for kind in ("channel", "user", "domain", "unheard_of"):
        yield field_spec(kind, *names)
        for term in terms:
            yield info_event(kind, (term,) * (len(names) + 1))
            yield initial_info(kind, (term,), term)
    for term in terms:
        yield frame((Atom("msg"), term))
        yield frame((Atom("system_msg"), term))
        yield frame((Atom("unheard_of"), term, [term]))
        yield frame(term)


@pytest.mark.parametrize("text", PLACES)
def test_nothing_is_left_wherever_it_stands(text):
    """A name, number or address is found in no field, message or container of any sort, known
    or not, in plain text or in any of its escapes.
    """
    anonymiser = Anonymiser(KEY)
    for written in everywhere(text):
        try:
            decode(written)
        except ValueError:
            raise
        except Exception:  # noqa: BLE001 - some of these make no valid frame
            assert anonymiser(written) is None
            continue
        replaced = anonymiser(written)
        assert left(replaced, decode(replaced)) == [], written


def test_numbers_that_are_no_text():
    """Numbers, floats and addresses that nobody knows the meaning of are replaced; what a known
    field counts, or microseconds, stay.
    """
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


# -- what stays, and what stays the same ----------------------------------------------


def test_what_is_known_to_be_harmless_stays():
    """Ids, uuids, times, statuses and the protocol's own words stay as they are."""
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


@pytest.mark.parametrize("marker", ["media_plug", "anonymous", "RINGING_PARK901", "901", "*97"])
def test_markers_stay(marker):
    """What stands for a number in ``called_number`` and is none stays."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "called_number"))
    event = info_event("channel", (marker,))
    assert anonymiser(event) == event


def test_channels_without_uuids_are_found_again():
    """A channel that is named by no uuid has another name, the same wherever it is named."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("channel", "uuid", "other_uuid", "called_number", "state"))
    state = (1, Atom("eavesdrop"), "yamada-1", Atom("on"))
    record = ("yamada-1", "yamada-1", "pickup_uuid.yamada-1", state)
    _, _, after, _ = decode(anonymiser(info_event("channel", record)))
    uuid, other, called, (_, _, heard, _) = after
    assert {uuid} == {other, called.removeprefix("pickup_uuid."), heard}
    assert "yamada" not in uuid


def test_fields_are_told_anew_on_each_connection():
    """Which field is which is each connection's own: what was known before is not."""
    anonymiser = Anonymiser(KEY)
    anonymiser(field_spec("user", "id"))
    event = info_event("user", (1234567,))
    assert anonymiser(event) == event
    anonymiser(field_spec("user", "label"))
    assert anonymiser(event) != event
    anonymiser(field_spec("user", "id"))
    anonymiser.start_connection()
    assert anonymiser(event) != event


def test_the_key_decides():
    """The same key gives the same names, another one others, and by default nobody knows it."""
    message = frame((Atom("msg"), "Yamada 0312341234"))
    same = {Anonymiser(KEY)(message) for _ in range(3)}
    assert len(same) == 1
    others = {Anonymiser(key)(message) for key in (b"another", None, None)}
    assert len(others | same) == 4


# -- a day ----------------------------------------------------------------------------


def calls_of(written):
    """The calls that come of frames, each as it ended."""
    parser, mirror, tracker, ended = MessageParser(), Mirror(), CallTracker(), []
    for one in written:
        for event in tracker.apply(mirror.apply(parser.parse(one))):
            if isinstance(event, CallEnded):
                ended.append(event.call)
    assert not tracker.calls
    return ended, mirror


class Renaming:
    """Two things are the same but for texts, of which each is always replaced by the same."""

    def __init__(self):
        self.there, self.back = {}, {}

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
            *("number", "name", "whoscall", "called_number", "place"),
            *("id", "organization", "avatar", "prefecture"),
        }:
            assert self.there.setdefault(one, other) == other
            assert self.back.setdefault(other, one) == one
        else:
            assert one == other, name


@pytest.mark.slow
def test_a_day_in_the_call_centre(capsys):
    """Of a day, anonymised, nothing is left of anybody, in any form; and the calls are the same:
    as many, with the same legs, phases, times and ends, parties the same but for their names.
    """
    hours = 24 if NIGHTLY else 0.75
    heard = set()
    written = [one for _, one in day(hours * 3600, personal_texts=heard)]
    replaced = list(anonymise(written, KEY))
    assert len(replaced) == len(written)
    secrets = searchable_parts(heard)
    assert {"佐藤", "健", "0312341234", "user1", "Silva", "1001", "株式会社山田商店"} <= secrets
    seen = set()
    for one in replaced:
        seen |= {text for found in texts_of(decode(one)) for text in unescaped_forms(found)}
    text = "\n".join(seen)
    words = {*re.findall(r"\d+|[^\W\d]+|\w+", text), *re.findall(r"\w+", text)}
    # A word of ASCII is looked for as a word: "voice" is in "voicemail", which the PBX says.
    alone = {one for one in secrets if re.fullmatch(r"\w+", one, re.ASCII)}
    assert not alone & words
    assert [one for one in secrets - alone if one in text] == []
    raw = b"".join(replaced)
    for secret in secrets - alone:
        forms = {secret, quote(secret), quote_plus(secret)}
        # Three bytes can come about by chance, in a number's.
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
