"""Facts about the form of a feed, without personal data."""

from __future__ import annotations

import json
import re
import zlib

import pytest
from hypothesis import given, settings
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
from support.secret_scanner import STEM, found_in
from support.simulated_day import UUID, searchable_parts, unescaped_forms
from support.simulated_day import frames as day

from basix_ws_cti.cli.diagnostics import feed_facts
from basix_ws_cti.cli.diagnostics.feed_facts import (
    MAX_ENTRIES,
    MAX_EXAMINED,
    MAX_ORDER,
    FeedFacts,
    facts_as_markdown,
    shape,
)


def facts_of(*frames):
    """Return the facts of one connection with these frames."""
    facts = FeedFacts()
    facts.start_connection()
    for one in frames:
        facts.observe(one)
    return facts.as_dict()


def channel(**fields):
    """Return the facts of one event of a channel with these fields."""
    return facts_of(
        field_spec("channel", *fields), info_event("channel", tuple(fields.values()), "updated")
    )


def test_order_and_fields_of_the_field_specs_are_kept():
    facts = facts_of(
        field_spec("user", "id", "label"),
        initial_info("user", (1, "山田")),
        field_spec("user", "label", "id"),
        info_event("user", ("山田", 1)),
    )
    assert facts["order"] == ["field_spec user", "initial_info user", "field_spec user"]
    assert facts["field_specs"] == {"user (2): id, label": 1, "user (2): label, id": 1}
    assert facts["changed field_specs"] == {"user": 1}
    assert facts["forms of user values"] == {"id: integer": 2, "label: binary": 2}


@pytest.mark.parametrize(
    ("form", "kind"),
    [("charlist", Charlist("user")), ("atom", Atom("user")), ("binary", "user")],
)
def test_forms_of_names_are_counted(form, kind):
    facts = facts_of(
        frame((Atom("field_spec"), kind, [Atom("id"), "label"])),
        frame((Atom("info_event"), kind, (1, "x"), kind)),
    )
    assert facts["forms of kinds"] == {f"field_spec: {form}": 1, f"info_event: {form}": 1}
    assert facts["forms of event names"] == {form: 1}
    assert facts["forms of field names"] == {"atom": 1, "binary": 1}


@pytest.mark.parametrize(
    ("otp", "compressed", "atoms", "frames"),
    [
        (25, False, "ATOM_EXT (minor 1)", "binary"),
        (26, False, "SMALL_ATOM_UTF8_EXT (minor 2)", "binary"),
        (26, True, "SMALL_ATOM_UTF8_EXT (minor 2)", "binary, compressed"),
    ],
)
def test_encodings_are_recognised(otp, compressed, atoms, frames):
    written = [data for _, data in day(0, otp=otp, compressed=compressed, users=9)]
    facts = facts_of(*written)
    assert [*facts["encodings of atoms"]] == [atoms]
    assert frames in facts["frames"]


def test_empty_initial_info_of_both_forms_is_recognised():
    facts = facts_of(
        *(field_spec("user", "id"), initial_info("user")),
        frame((Atom("initial_info"), Charlist("user"), BERT_NIL)),
    )
    assert facts["forms of empty initial_info"] == {"[]": 1, "{bert,nil}": 1}


def test_lengths_of_records_are_compared_with_the_field_spec():
    facts = facts_of(
        field_spec("user", "id", "label"),
        initial_info("user", (1, "a"), (1,), (1, "a", 2, 3), "no record"),
        info_event("group", (1,)),
    )
    assert facts["records"] == {
        "user: as in the field_spec": 1,
        "user: -1 fields": 1,
        "user: +2 fields": 1,
        "user: binary": 1,
        "group: tuple, before its field_spec": 1,
    }


@pytest.mark.parametrize(
    ("state", "section", "entry"),
    [
        ((17, Atom("bridged")), "states", "bridged: 2 parts, time integer"),
        ((None, "ringing"), "states", "ringing: 2 parts, time atom undefined"),
        ((17, Atom("new_state"), 1), "states", "new_state: 3 parts, time integer"),
        ((17, "yamada"), "states", "6 characters: lower-case letters: 2 parts, time integer"),
        ((17,), "states", "1 parts"),
        (
            (17, Atom("calling"), Atom("int"), Atom("group"), (Atom("ring"), 1, 2, 3, 4)),
            "data of calling",
            "int group ring: tuple of 5",
        ),
        (
            (17, Atom("calling"), Atom("ext"), Atom("pstn"), ("0312341234",)),
            "data of calling",
            "ext pstn: tuple of 1",
        ),
        (
            (17, Atom("calling"), Atom("ext"), "yamada"),
            "data of calling",
            "ext 6 characters: lower-case letters: absent",
        ),
    ],
)
def test_states_are_counted_by_name_and_length(state, section, entry):
    assert channel(state=state)[section] == {entry: 1}


def test_targets_and_other_info_are_counted_by_type_and_length():
    facts = channel(target=(Atom("user"), 1, "佐藤", "1001"), other_info=("end_user", "1*佐藤"))
    assert facts["target tuples"] == {"user: 4 parts": 1}
    assert facts["other_info tuples"] == {"end_user: 2 parts": 1}


@pytest.mark.parametrize(
    ("field", "value", "section", "entries"),
    [
        ("last_event", "CHANNEL_ANSWER", "values of last_event", ["CHANNEL_ANSWER"]),
        ("last_event", "佐藤", "values of last_event", ["2 characters: other letters"]),
        ("last_event_data", "recv_bye,NEW_CAUSE", "hangups", ["recv_bye,NEW_CAUSE"]),
        ("last_event_data", "send_bye", "hangups", ["send_bye"]),
        (
            "last_event_data",
            "recv_bye,a b",
            "hangups",
            ["recv_bye,3 characters: lower-case letters, spaces"],
        ),
        (
            "last_event_data",
            "yamada,X",
            "hangups",
            ["8 characters: lower-case letters, upper-case letters, punctuation"],
        ),
        (
            "tags",
            "auto_answer;vip_sato",
            "tags",
            ["8 characters: lower-case letters, underscores", "auto_answer"],
        ),
        ("direction", Atom("inbound"), "values of direction", ["inbound"]),
        (
            "peer_location",
            Atom("sato"),
            "values of peer_location",
            ["4 characters: lower-case letters"],
        ),
    ],
)
def test_words_of_the_protocol_are_shown_and_other_texts_are_not(field, value, section, entries):
    assert [*channel(**{field: value})[section]] == entries


def test_values_without_content_are_counted_by_form_only():
    facts = channel(tags=None, state=BERT_NIL, last_event="", target=[], other_info=(), mwi=1.5)
    assert facts["forms of channel values"] == dict.fromkeys(
        [
            *("last_event: empty binary", "mwi: float", "other_info: tuple of 0"),
            *("state: {bert,nil}", "tags: atom undefined", "target: []"),
        ],
        1,
    )
    assert not {"tags", "states", "target tuples", "values of last_event"} & {*facts}


def test_texts_of_messages_are_reduced_to_their_shape():
    facts = facts_of(
        frame((Atom("system_msg"), "logout")),
        frame((Atom("system_msg"), Charlist("Call 0312341234!"))),
        frame((Atom("system_msg"), (1, 2))),
        frame((Atom("msg"), "")),
    )
    assert facts["system_msg texts"] == {
        "binary: logout": 1,
        "charlist: 16 characters: lower-case letters, upper-case letters, digits, spaces, "
        "punctuation": 1,
        "tuple: tuple of 2": 1,
    }
    assert facts["msg texts"] == {"binary: empty": 1}


def test_unknown_and_unreadable_frames_are_counted():
    facts = facts_of(
        *("a text", b"", b"\x83h", frame(5), frame(()), frame((Atom("news"), 1))),
        *(frame((5, 1)), frame((Atom("field_spec"),)), b"\x83" * (MAX_EXAMINED + 1)),
    )
    assert facts["frames"] == {
        "binary": 5,
        "binary, over 1000000 bytes: not examined": 1,
        "binary, unreadable": 2,
        "text frame": 1,
    }
    assert facts["messages"] == {
        "field_spec (atom), 0 parts": 1,
        "news (atom), 1 parts": 1,
        "no name: integer (integer), 1 parts": 1,
        "no tuple: integer": 1,
        "no tuple: tuple": 1,
    }


def test_size_after_inflation_limits_the_examination():
    term = encode((Atom("msg"), "x" * MAX_EXAMINED))
    bomb = b"\x83P" + len(term).to_bytes(4, "big") + zlib.compress(term)
    assert [*facts_of(bomb)["frames"]] == ["binary, over 1000000 bytes: not examined"]


def test_order_is_that_of_the_first_connection():
    """Later connections have their own field_specs."""
    facts = FeedFacts()
    for kind in ("user", "group"):
        facts.start_connection()
        facts.observe(field_spec(kind, "id"))
        facts.observe(info_event("user", (1,)))
    assert facts.as_dict()["order"] == ["field_spec user"]
    assert facts.as_dict()["records"] == {
        "user: as in the field_spec": 1,
        "user: tuple, before its field_spec": 1,
    }


def test_memory_and_output_are_bounded():
    """A PBX that makes up kinds, fields and states fills no list."""
    facts = FeedFacts()
    names = ["k" + "".join("abcdefghij"[int(d)] for d in str(n)) for n in range(MAX_ENTRIES + 50)]
    facts.observe(field_spec("all", *names))
    for name in names:
        facts.observe(field_spec(name, "id"))
        facts.observe(info_event(name, (1,), name))
    found = facts.as_dict()
    assert len(found["order"]) == MAX_ORDER
    assert len(found) <= MAX_ENTRIES + 1
    assert found["frames"]["facts left out: too many lists"] > 0
    for entries in found.values():
        assert len(entries) <= MAX_ENTRIES + 1
    assert found["events"]["and more"] == 50
    assert any(entry.endswith("and 50 more") for entry in found["field_specs"])


def test_names_that_look_like_data_are_not_shown():
    """Names of kinds, fields and events have a fixed form."""
    facts = facts_of(
        field_spec("Yamada Taro", "0312341234"), info_event("Yamada Taro", (1,), "佐藤")
    )
    assert not re.search("Yamada|0312|佐藤", json.dumps(facts, ensure_ascii=False))


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("", "empty"),
        ("山田 1", "4 characters: other letters, digits, spaces"),
        ("aB_-", "4 characters: lower-case letters, upper-case letters, underscores, punctuation"),
    ],
)
def test_shape_describes_a_text_by_its_length_and_characters(text, described):
    assert shape(text) == described


def test_markdown_has_a_section_per_list():
    text = facts_as_markdown({"frames": {"binary": 2}, "order": ["a", "b"], "tags": {}}, "Facts")
    assert text == (
        "## Facts\n\n### frames\n\n- binary: 2\n\n### order\n\n1. a\n2. b\n\n### tags\n\n- none\n"
    )


@given(st.lists(any_term(), max_size=3), st.binary(max_size=20))
@settings(max_examples=10)
def test_any_frame_is_observed(terms, tail):
    """No frame raises an exception, and no text of one is shown."""
    facts = FeedFacts()
    secret = f"{STEM} yamada"
    facts.observe(field_spec("channel", "state", "target", "tags", "last_event", "x"))
    for term in terms:
        facts.observe(frame(term))
        facts.observe(frame(term) + tail)
        facts.observe(info_event("channel", (term, (term, secret), secret, secret, [term]), "x"))
        facts.observe(frame((Atom("system_msg"), term)))
    assert not found_in(json.dumps(facts.as_dict()))


@pytest.mark.parametrize("seconds", [15, pytest.param(1800, marks=pytest.mark.slow)])
def test_facts_of_a_simulated_day_have_no_personal_data(seconds):
    """No name, number, uuid or label of the simulated company is in the output."""
    personal_texts = set()
    facts = FeedFacts()
    facts.start_connection()
    for _, data in day(seconds, users=15, personal_texts=personal_texts):
        facts.observe(data)
    # A count may happen to be an extension.
    text = re.sub(r": \d+$", "", facts_as_markdown(facts.as_dict(), "Facts"), flags=re.MULTILINE)
    assert not UUID.search(text)
    for part in searchable_parts(personal_texts):
        # Whole words: "voice" is a word of a name, and "voicemail" a state.
        edge = r"[^\W_]" if part.isascii() else "(?!)"
        found = re.compile(rf"(?<!{edge}){re.escape(part)}(?!{edge})")
        assert not any(found.search(form) for form in unescaped_forms(text)), part
    assert facts.as_dict()["states"]
    assert len(searchable_parts(personal_texts)) > 20


def test_known_words_are_no_personal_data_of_the_simulated_day():
    """Otherwise the test above could not find them."""
    personal_texts = set()
    list(day(15, users=15, personal_texts=personal_texts))
    assert not searchable_parts(personal_texts) & feed_facts.KNOWN_WORDS
